//! What one worker counts. Written by that worker alone, read by anybody at any time.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::census::Census;
use crate::rtype::rcode;
use crate::tally::NameTally;
use crate::verdict::Reason;

/// Response codes counted apart: 0 to 15 of the header, BADVERS and BADCOOKIE.
pub const RCODES: usize = 18;

/// The response code that is counted last: those between BADVERS and this one are never given.
const LAST_RCODE: u16 = rcode::BADCOOKIE;

/// A number with one writer: no locked instruction is needed to add to it.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the owning worker may call it.
    #[inline]
    pub fn add(&self, amount: u64) {
        // NOTE: load and store instead of fetch_add: there is one writer, and readers may see either value.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One line a plain counter: field, metric name, explanation.
macro_rules! counters {
    ($($field:ident, $name:literal, $help:literal;)*) => {
        /// The counters of one worker, on cache lines of their own.
        #[derive(Debug)]
        #[repr(align(128))]
        pub struct Counters {
            $(#[doc = $help] pub $field: Counter,)*
            /// Answers by response code.
            rcodes: [Counter; RCODES],
            /// Frames by [`Reason`].
            reasons: [Counter; Reason::ALL.len()],
            /// Queries by name, where they are counted.
            names: Option<NameTally>,
            /// What messages are like, where it is counted.
            census: Option<Box<Census>>,
        }

        impl Default for Counters {
            fn default() -> Self {
                Self {
                    $($field: Counter::default(),)*
                    rcodes: core::array::from_fn(|_| Counter::default()),
                    reasons: core::array::from_fn(|_| Counter::default()),
                    names: None,
                    census: None,
                }
            }
        }

        impl Counters {
            /// The plain counters: name without prefix, explanation, value.
            pub fn plain(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$(($name, $help, self.$field.get()),)*].into_iter()
            }
        }
    };
}

counters! {
    rx_frames, "rx_frames", "Frames received.";
    rx_bytes, "rx_bytes", "Bytes received, without preamble and frame check sequence.";
    tx_frames, "tx_frames", "Frames sent.";
    tx_bytes, "tx_bytes", "Bytes sent, without preamble and frame check sequence.";
    polls, "polls", "Times that the port was asked for frames.";
    bursts, "bursts", "Polls that brought at least one frame.";
    queries_ipv4, "queries_ipv4", "DNS queries over IPv4 that were answered.";
    queries_ipv6, "queries_ipv6", "DNS queries over IPv6 that were answered.";
    recalled, "recalled", "Queries for names of others that were answered from the cache.";
    forwarded, "forwarded", "Queries for names of others that went to the forwarder.";
    clients_denied, "clients_denied", "Answers to clients that may not ask for names of others.";
    truncated, "truncated", "Answers sent with the TC bit.";
    cookies_absent, "cookies_absent", "Queries with a client cookie and no server cookie.";
    cookies_valid, "cookies_valid", "Queries with a valid server cookie.";
    cookies_invalid, "cookies_invalid", "Queries with a server cookie that is wrong, too old or of another server.";
    slipped, "slipped", "Answers over a rate limit that were sent empty with the TC bit.";
    kernel_frames, "kernel_frames", "Frames handed over to the kernel path.";
    arp_replies, "arp_replies", "ARP requests answered by the worker.";
    neighbour_replies, "neighbour_replies", "Neighbour solicitations answered by the worker.";
    echo_replies, "echo_replies", "ICMP and ICMPv6 echo requests answered by the worker.";
}

impl Counters {
    /// Counters that count queries by name too, of at least so many names; 0: they do not.
    pub fn with_names(names: usize) -> Self {
        Self { names: (names > 0).then(|| NameTally::new(names)), ..Self::default() }
    }

    /// The same, and what messages are like, if that is wanted.
    #[must_use]
    pub fn with_census(self, is_wanted: bool) -> Self {
        Self { census: is_wanted.then(Box::default), ..self }
    }

    /// What messages are like, where it is counted.
    #[inline]
    pub fn census(&self) -> Option<&Census> {
        self.census.as_deref()
    }

    /// Queries by name, where they are counted.
    #[inline]
    pub fn names(&self) -> Option<&NameTally> {
        self.names.as_ref()
    }

    /// Counts answers of one code; those beyond BADVERS other than BADCOOKIE do not occur.
    #[inline]
    pub fn answered(&self, rcode: u16, answers: u64) {
        let place = if rcode == LAST_RCODE { RCODES - 1 } else { usize::from(rcode) };
        if let Some(counter) = self.rcodes.get(place) {
            counter.add(answers);
        }
    }

    /// Counts a frame under a reason.
    #[inline]
    pub fn count(&self, reason: Reason) {
        self.count_many(reason, 1);
    }

    /// Counts several frames under one reason.
    #[inline]
    pub fn count_many(&self, reason: Reason, frames: u64) {
        if let Some(counter) = self.reasons.get(reason as usize) {
            counter.add(frames);
        }
    }

    /// Answers by response code: code and number, zeros included.
    pub fn rcodes(&self) -> impl Iterator<Item = (u16, u64)> {
        (0..=rcode::BADVERS).chain([LAST_RCODE]).zip(self.rcodes.iter().map(Counter::get))
    }

    /// Frames counted under a reason.
    pub fn reason(&self, reason: Reason) -> u64 {
        self.reasons.get(reason as usize).map_or(0, Counter::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_of_its_own() {
        let counters = Counters::default();
        for (amount, &reason) in (1u64..).zip(Reason::ALL) {
            counters.count_many(reason, amount);
        }
        for (amount, &reason) in (1u64..).zip(Reason::ALL) {
            assert_eq!(counters.reason(reason), amount, "{}", reason.name());
        }
    }

    #[test]
    fn every_response_code_that_is_given_has_a_counter_of_its_own() {
        let counters = Counters::default();
        let codes: Vec<u16> = counters.rcodes().map(|(code, _)| code).collect();
        assert_eq!(codes.len(), RCODES);
        for &code in &codes {
            counters.answered(code, 1);
        }
        assert!(counters.rcodes().all(|(_, answers)| answers == 1));
        assert!(codes.contains(&rcode::BADVERS) && codes.contains(&rcode::BADCOOKIE));
    }

    #[test]
    fn reason_names_differ() {
        for (index, first) in Reason::ALL.iter().enumerate() {
            for second in &Reason::ALL[index + 1..] {
                assert_ne!(first.name(), second.name());
            }
        }
    }
}
