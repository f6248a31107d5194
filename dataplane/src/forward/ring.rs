//! A ring of frames between two threads, one that gives and one that takes, made for the one that must not wait: the worker.
//!
//! Frames lie in the ring itself, each from the start of a cache line on. Who gives only writes to lines that are shared, and
//! looks at the other end's mark only where the ring seems full: its core hands the lines over while it goes on. Who takes
//! learns of several frames by one look, and gives their places back at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bytes of a word.
const WORD_BYTES: usize = size_of::<u64>();

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// Words of a cache line.
const LINE_WORDS: usize = LINE_BYTES / WORD_BYTES;

/// How many frames an end has got on by, on cache lines of its own: processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Mark(AtomicUsize);

/// What both ends share.
#[derive(Debug)]
struct Shared {
    /// Written by who gives: frames that were given.
    given: Mark,
    /// Written by who takes: frames whose places are free again.
    freed: Mark,
    /// The places, one after the other, each of some whole lines: the length of a frame in bytes, then the frame. Words, so
    /// that both ends may touch them without a promise that they never do so at once.
    words: Box<[AtomicU64]>,
    /// Where the first line begins.
    first: usize,
    /// Words of a place.
    place_words: usize,
    /// Places, a power of two.
    places: usize,
}

impl Shared {
    /// The place of the frame with a number: its length, and its words.
    #[inline(always)]
    fn place(&self, number: usize) -> Option<(&AtomicU64, &[AtomicU64])> {
        let start = self.first + (number & (self.places - 1)) * self.place_words;
        self.words.get(start..start + self.place_words)?.split_first()
    }
}

/// The end that gives.
#[derive(Debug)]
pub(super) struct Giver {
    /// The ring.
    shared: Arc<Shared>,
    /// Frames that were put.
    put: usize,
    /// Frames of those that were given.
    given: usize,
    /// Frames whose places were free when this end looked last.
    freed: usize,
}

/// The end that takes.
#[derive(Debug)]
pub(super) struct Taker {
    /// The ring.
    shared: Arc<Shared>,
    /// Frames that were taken.
    taken: usize,
    /// Frames that were given when this end looked last.
    given: usize,
}

/// A ring with so many places for frames of so many bytes. Allocates here and never again.
pub(super) fn ring<const PLACES: usize>(frame_bytes_max: usize) -> (Giver, Taker) {
    const { assert!(PLACES.is_power_of_two()) };
    let place_words = (WORD_BYTES + frame_bytes_max).next_multiple_of(LINE_BYTES) / WORD_BYTES;
    let words: Box<[AtomicU64]> = (0..PLACES * place_words + LINE_WORDS).map(|_| AtomicU64::new(0)).collect();
    // Where it cannot be told, lines are shared by two places: slower, and right.
    let first = words.as_ptr().align_offset(LINE_BYTES).min(LINE_WORDS);
    let (given, freed) = (Mark::default(), Mark::default());
    let shared = Arc::new(Shared { given, freed, words, first, place_words, places: PLACES });
    let giver = Giver { shared: Arc::clone(&shared), put: 0, given: 0, freed: 0 };
    (giver, Taker { shared, taken: 0, given: 0 })
}

impl Giver {
    /// True where there is no place for another frame.
    #[inline]
    pub(super) fn is_full(&mut self) -> bool {
        if self.put.wrapping_sub(self.freed) < self.shared.places {
            return false;
        }
        // Pairs with `free`: what the other end had to read of these places it has read.
        self.freed = self.shared.freed.0.load(Ordering::Acquire);
        self.put.wrapping_sub(self.freed) >= self.shared.places
    }

    /// Copies a frame into the ring, to be given with others; false where there is no room, or the frame is too long.
    #[inline]
    pub(super) fn put(&mut self, frame: &[u8]) -> bool {
        if self.is_full() {
            return false;
        }
        let Some((length, words)) = self.shared.place(self.put) else { return false };
        let (whole, rest) = frame.as_chunks::<WORD_BYTES>();
        let Some((to, to_rest)) = words.split_at_checked(whole.len()) else { return false };
        for (word, bytes) in to.iter().zip(whole) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        if !rest.is_empty() {
            let Some(word) = to_rest.first() else { return false };
            let mut last = [0; WORD_BYTES];
            last.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
            word.store(u64::from_ne_bytes(last), Ordering::Relaxed);
        }
        length.store(frame.len() as u64, Ordering::Relaxed);
        self.put = self.put.wrapping_add(1);
        true
    }

    /// Frames that were put and not given.
    #[inline]
    pub(super) fn held(&self) -> usize {
        self.put.wrapping_sub(self.given)
    }

    /// Gives what was put.
    #[inline]
    pub(super) fn give(&mut self) {
        self.given = self.put;
        // Pairs with `look`: who sees the mark sees the frames.
        self.shared.given.0.store(self.put, Ordering::Release);
    }
}

impl Taker {
    /// Frames that are there, as far as this end knows: it looks only where it knows of none.
    #[inline]
    pub(super) fn look(&mut self) -> usize {
        if self.given == self.taken {
            // Pairs with `give`.
            self.given = self.shared.given.0.load(Ordering::Acquire);
        }
        self.given.wrapping_sub(self.taken)
    }

    /// Takes the next of the frames that this end knows of.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Given<'_>> {
        if self.given == self.taken {
            return None;
        }
        let (length, words) = self.shared.place(self.taken)?;
        self.taken = self.taken.wrapping_add(1);
        Some(Given { length: usize::try_from(length.load(Ordering::Relaxed)).unwrap_or_default(), words })
    }

    /// Gives the places of what was taken back.
    #[inline]
    pub(super) fn free(&self) {
        self.shared.freed.0.store(self.taken, Ordering::Release);
    }
}

/// A frame that was taken, in its place yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    /// Its bytes' number.
    length: usize,
    /// What they are in.
    words: &'a [AtomicU64],
}

impl Given<'_> {
    /// Copies the frame to the start of a buffer; its length, or nothing where the buffer is too short.
    #[inline]
    pub(super) fn copy_to(self, buffer: &mut [u8]) -> Option<usize> {
        let (whole, rest) = buffer.get_mut(..self.length)?.as_chunks_mut::<WORD_BYTES>();
        for (to, word) in whole.iter_mut().zip(self.words) {
            *to = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        if let Some(word) = self.words.get(whole.len()) {
            let last = word.load(Ordering::Relaxed).to_ne_bytes();
            rest.iter_mut().zip(last).for_each(|(to, byte)| *to = byte);
        }
        Some(self.length)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// The frame of a number: its bytes tell which one it is, and how long it is.
    fn frame(number: u32, length: usize) -> Vec<u8> {
        number.to_le_bytes().into_iter().cycle().take(length).collect()
    }

    /// What is taken next.
    fn next(taker: &mut Taker) -> Option<Vec<u8>> {
        let mut buffer = [0xaa; 200];
        let length = taker.next()?.copy_to(&mut buffer)?;
        assert!(buffer[length..].iter().all(|&byte| byte == 0xaa), "no more is written than there is");
        Some(buffer[..length].to_vec())
    }

    #[test]
    fn frames_of_all_lengths_come_as_they_went() {
        let (mut giver, mut taker) = ring::<4>(100);
        for (number, length) in (0..=100).enumerate() {
            let sent = frame(u32::try_from(number).unwrap(), length);
            assert!(giver.put(&sent));
            assert_eq!((taker.look(), giver.held()), (0, 1), "it is not given yet");
            giver.give();
            assert_eq!((taker.look(), giver.held()), (1, 0));
            assert_eq!(next(&mut taker), Some(sent));
            assert_eq!(next(&mut taker), None);
            taker.free();
        }
        let longest = giver.shared.place_words * WORD_BYTES - WORD_BYTES;
        assert!(giver.put(&frame(1, longest)) && !giver.put(&frame(1, longest + 1)) && !giver.put(&frame(1, 5000)));
        giver.give();
        assert_eq!(taker.look(), 1, "of a frame that is too long nothing comes");
        assert!(taker.next().unwrap().copy_to(&mut [0; 99]).is_none(), "nor into a buffer that is too short");
    }

    #[test]
    fn a_full_ring_takes_no_more_until_places_are_given_back() {
        let (mut giver, mut taker) = ring::<4>(60);
        for round in 0..10 {
            let numbers = 4 * round..4 * round + 4;
            assert!(numbers.clone().all(|number| giver.put(&frame(number, 60))));
            assert!(giver.is_full() && !giver.put(&frame(99, 60)));
            giver.give();
            assert_eq!(taker.look(), 4);
            for number in numbers {
                assert_eq!(next(&mut taker), Some(frame(number, 60)));
                assert!(giver.is_full(), "taken, and not given back");
            }
            taker.free();
            assert!(!giver.is_full());
        }
    }

    #[test]
    fn places_begin_where_lines_do() {
        let (giver, _) = ring::<4>(100);
        for number in 0..4 {
            let (length, _) = giver.shared.place(number).unwrap();
            assert_eq!(std::ptr::from_ref(length).addr() % LINE_BYTES, 0);
        }
    }

    #[test]
    fn nothing_is_lost_or_torn_between_threads() {
        let (mut giver, mut taker) = ring::<8>(100);
        let (frames, deadline) = (if cfg!(miri) { 200 } else { 200_000 }, Instant::now() + Duration::from_secs(60));
        let length = |number: u32| usize::try_from(number % 101).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..frames {
                    while !giver.put(&frame(number, length(number))) {
                        giver.give();
                        thread::yield_now();
                        assert!(Instant::now() < deadline);
                    }
                    if number % 3 == 0 || number + 1 == frames {
                        giver.give();
                    }
                }
            });
            let mut number = 0;
            while number < frames {
                for _ in 0..taker.look() {
                    assert_eq!(next(&mut taker), Some(frame(number, length(number))));
                    number += 1;
                }
                taker.free();
                thread::yield_now();
                assert!(Instant::now() < deadline);
            }
        });
    }
}
