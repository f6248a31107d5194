//! What goes wrong in the double.

use std::collections::VecDeque;

/// One thing that goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused with a status.
    Status(u16),
    /// The connection is cut instead of an answer.
    Cut,
    /// The connection is cut in the middle of the answer: a listing's page, or an event.
    CutMiddle,
    /// The answer takes so many milliseconds longer.
    Slow(u64),
    /// A watch begins with an event that was told before.
    Duplicate,
    /// A watch says nothing, whatever happens.
    Silent,
    /// A watch ends with an error event.
    Error(u16),
}

/// A small generator of numbers (xorshift64*): the same for the same seed.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// What goes wrong.
#[derive(Debug, Default)]
pub struct Faults {
    /// With the next requests, one by one.
    pub next: VecDeque<Fault>,
    /// At random, with one of so many requests.
    pub storm: Option<(Chance, u64)>,
    /// Milliseconds between two bookmarks; 0: none are sent.
    pub bookmark_ms: u64,
}

impl Faults {
    /// What goes wrong with a request.
    pub fn of_request(&mut self, is_watch: bool) -> Option<Fault> {
        if let Some(fault) = self.next.pop_front() {
            return Some(fault);
        }
        let (chance, one_of) = self.storm.as_mut()?;
        if chance.below(*one_of) > 0 {
            return None;
        }
        Some(match chance.below(if is_watch { 12 } else { 9 }) {
            0 => Fault::Status(500),
            1 => Fault::Status(503),
            2 => Fault::Status(429),
            3 => Fault::Status(410),
            4 => Fault::Status(401),
            5 => Fault::Cut,
            6 | 7 => Fault::CutMiddle,
            8 => Fault::Slow(chance.below(60)),
            9 => Fault::Duplicate,
            10 => Fault::Silent,
            _ => Fault::Error([410, 500][usize::try_from(chance.below(2)).unwrap()]),
        })
    }
}
