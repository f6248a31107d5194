//! Whether what is asked of an upstream comes back to this server.
//!
//! An upstream that asks this server would be asked by it in turn, until both have nothing left. So names that nobody else can
//! know are asked for now and then, and whoever asks for one of them here is that upstream (CoreDNS's plugin `loop` does it so).
//! The name lies below the zone that the upstream is asked for, because whoever is in between may pass on that zone only, and
//! not below a name for special use, which many answer themselves.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use ringdns_engine::name::WireName;

use super::random;

/// The type that is asked for: HINFO, which has no other use (RFC 8482), so that questions of others are known by it to be none
/// of ours without a look at the name.
pub(super) const QTYPE: u16 = 13;

/// Bytes of chance in a name.
const CHANCE_BYTES: usize = 16;

/// Names that are remembered: an answer may take longer than to the next name.
const REMEMBERED: usize = 4;

/// Finds out whether an upstream leads back.
#[derive(Debug, Default)]
pub(super) struct LoopProbe {
    /// The last names, oldest first.
    names: Mutex<Vec<WireName>>,
    /// One has come back.
    is_loop: AtomicBool,
    /// One has come back since this was last set to false.
    came_back: AtomicBool,
}

impl LoopProbe {
    /// A name to ask for, below a zone; nothing where the zone leaves no room for one, or nothing is random.
    pub(super) fn name(&self, zone: &WireName) -> Option<WireName> {
        let mut text = String::new();
        for byte in random::bytes::<CHANCE_BYTES>().ok()? {
            write!(text, "{byte:02x}").ok()?;
        }
        let (left, right) = text.as_bytes().split_at_checked(CHANCE_BYTES)?;
        let name = zone.child(right).and_then(|below| below.child(left)).ok()?;
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= REMEMBERED {
            names.remove(0);
        }
        names.push(name.clone());
        Some(name)
    }

    /// Whether a question is one of ours, which has come back.
    pub(super) fn recognises(&self, name: &WireName, qtype: u16) -> bool {
        let is_ours =
            qtype == QTYPE && self.names.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|each| each == name);
        if is_ours {
            self.came_back.store(true, Ordering::Relaxed);
            self.is_loop.store(true, Ordering::Relaxed);
        }
        is_ours
    }

    /// Whether the upstream leads back.
    pub(super) fn is_loop(&self) -> bool {
        self.is_loop.load(Ordering::Relaxed)
    }

    /// A new round begins.
    pub(super) fn begin_round(&self) {
        self.came_back.store(false, Ordering::Relaxed);
    }

    /// A round in which the upstream was asked is over: where nothing came back it does not lead back (any more).
    pub(super) fn end_round(&self) {
        if !self.came_back.load(Ordering::Relaxed) {
            self.is_loop.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_recognised_and_only_the_last() {
        let probe = LoopProbe::default();
        let zone: WireName = "corp.example.".parse().unwrap();
        let first = probe.name(&zone).unwrap();
        assert!(zone.contains(&first) && first.label_count() == 4);
        assert!(!probe.recognises(&first, 1) && !probe.recognises(&zone, QTYPE) && !probe.is_loop());
        assert!(probe.recognises(&first.to_lowercase(), QTYPE) && probe.is_loop());
        for _ in 0..REMEMBERED {
            assert_ne!(probe.name(&zone).unwrap(), first);
        }
        assert!(!probe.recognises(&first, QTYPE));
    }

    #[test]
    fn a_loop_that_was_mended_is_forgotten() {
        let probe = LoopProbe::default();
        let name = probe.name(&WireName::root()).unwrap();
        probe.begin_round();
        probe.recognises(&name, QTYPE);
        probe.end_round();
        assert!(probe.is_loop());
        probe.begin_round();
        probe.end_round();
        assert!(!probe.is_loop());
    }

    #[test]
    fn a_zone_without_room_has_no_name() {
        let label = "a".repeat(60);
        let zone: WireName = format!("{label}.{label}.{label}.{label}.").parse().unwrap();
        assert_eq!(LoopProbe::default().name(&zone), None);
    }
}
