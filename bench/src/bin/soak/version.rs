//! Versions: what a name is changed to, told by its addresses; and which of them may be seen at a time.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use harness::message::Answer;

/// Addresses of a name, each of another network, all of one version.
const NETWORKS: [u8; 3] = [10, 11, 12];

/// One in so many versions is that there is no such name.
const ABSENT_EVERY: u32 = 5;

/// Response codes.
const NOERROR: u16 = 0;
/// There is no such name.
const NXDOMAIN: u16 = 3;

/// A version, below 2^24; each change of a name makes the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32);

impl Version {
    /// Whether the name is not there in this version.
    pub fn is_absent(self) -> bool {
        self.0 % ABSENT_EVERY == ABSENT_EVERY - 1
    }

    /// Its addresses.
    pub fn addresses(self) -> impl Iterator<Item = [u8; 4]> {
        let [_, a, b, c] = self.0.to_be_bytes();
        NETWORKS.into_iter().map(move |network| [network, a, b, c])
    }

    /// Its addresses as text.
    pub fn texts(self) -> impl Iterator<Item = String> {
        self.addresses().map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}"))
    }
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Addresses, all of them of one version.
    Present(Version),
    /// There is no such name.
    Absent,
}

/// Why an answer says neither.
#[derive(Debug, PartialEq, Eq)]
pub struct Mixture(String);

impl fmt::Display for Mixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an answer that was never published: {}", self.0)
    }
}

impl Seen {
    /// Reads an answer: NXDOMAIN, or NOERROR with the addresses of one version and no others.
    pub fn of(answer: &Answer) -> Result<Seen, Mixture> {
        let mut found: Vec<&[u8]> = answer.answer.iter().map(|rr| rr.rdata.as_slice()).collect();
        found.sort_unstable();
        let seen = match (u16::from(answer.rcode), found.first()) {
            (NXDOMAIN, None) => Some(Seen::Absent),
            (NOERROR, Some(&&[_, a, b, c])) => {
                let version = Version(u32::from_be_bytes([0, a, b, c]));
                version.addresses().eq(found.iter().copied()).then_some(Seen::Present(version))
            }
            _ => None,
        };
        seen.ok_or_else(|| Mixture(answer.to_string()))
    }
}

/// The versions of one name. One writer changes it.
#[derive(Debug, Default)]
pub struct Name {
    /// The last version that may have been published: written before the change is sent.
    submitted: AtomicU32,
    /// The last version that was acknowledged: written after the answer has come.
    acknowledged: AtomicU32,
}

impl Name {
    /// The version that the next change makes; from now on it may be seen.
    pub fn submit(&self) -> Version {
        let next = self.submitted.load(Ordering::Relaxed) + 1;
        // NOTE: SeqCst here and below: the checker's reads must not pass its own sending and receiving.
        self.submitted.store(next, Ordering::SeqCst);
        Version(next)
    }

    /// From now on nothing older may be seen.
    pub fn acknowledge(&self, version: Version) {
        self.acknowledged.store(version.0, Ordering::SeqCst);
    }

    /// The oldest version that a question sent from now on may show.
    pub fn oldest(&self) -> Version {
        Version(self.acknowledged.load(Ordering::SeqCst))
    }

    /// The newest version that an answer received until now may show.
    pub fn newest(&self) -> Version {
        Version(self.submitted.load(Ordering::SeqCst))
    }
}

/// The oldest version between two that an answer may mean; nothing where it means none of them.
pub fn explain(seen: Seen, oldest: Version, newest: Version) -> Option<Version> {
    match seen {
        Seen::Present(version) => (oldest <= version && version <= newest && !version.is_absent()).then_some(version),
        Seen::Absent => (oldest.0..=newest.0).map(Version).find(|version| version.is_absent()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_published_between_the_bounds_explains_an_answer() {
        let explained = |seen, oldest, newest| explain(seen, Version(oldest), Version(newest)).map(|version| version.0);
        assert_eq!(explained(Seen::Present(Version(7)), 6, 8), Some(7));
        assert_eq!(explained(Seen::Present(Version(7)), 8, 8), None, "it went back");
        assert_eq!(explained(Seen::Present(Version(7)), 5, 6), None, "it was never sent");
        assert_eq!(explained(Seen::Present(Version(9)), 8, 9), None, "there is no such name in version 9");
        assert_eq!(explained(Seen::Absent, 5, 9), Some(9));
        assert_eq!(explained(Seen::Absent, 5, 8), None, "it was there all the time");
    }
}
