//! What was written, so that it can be told from what others write. The ledger is keys of its own beside the records, one for each
//! unit, and is written in the transaction that writes the unit.
//!
//! The values of records are the originals' to the byte, because the labels of their keys are hashes of them: there is no room for a
//! mark in them. A lease that records would hang on would take them away together with us. To compare keys with what would be
//! written tells nothing of Services that were deleted while nobody looked. So the ledger has each key with the sum of its value: a key
//! that is not in there, or that has another value by now, is somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The sum of a value: FNV-1a over 64 bits. It tells whether somebody has written since, and keeps nobody out who could write anything.
pub(super) fn sum(value: &[u8]) -> u64 {
    value.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What was written for an object: keys, each with the sums of values that it may have. It has several while a large unit is written in
/// more than one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger(pub(super) BTreeMap<String, BTreeSet<u64>>);

/// As it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    /// What all keys begin with.
    at: String,
    /// The rest of each key, with sums in hexadecimal, a comma between two.
    keys: BTreeMap<String, String>,
}

impl Ledger {
    /// True where a key with a value of this sum was written by us.
    pub(super) fn has(&self, key: &str, sum: u64) -> bool {
        self.0.get(key).is_some_and(|sums| sums.contains(&sum))
    }

    /// Notes a key.
    pub(super) fn note(&mut self, key: &str, sum: u64) {
        self.0.entry(key.to_owned()).or_default().insert(sum);
    }

    /// Reads a value; nothing where it is none of ours.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let Written { at, keys } = serde_json::from_slice(value).ok()?;
        let sums =
            |text: &str| text.split(',').map(|sum| u64::from_str_radix(sum, 16).ok()).collect::<Option<BTreeSet<_>>>();
        keys.into_iter().map(|(key, text)| Some((format!("{at}{key}"), sums(&text)?))).collect::<Option<_>>().map(Self)
    }

    /// As it is written; nothing where there is nothing to write.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let (first, last) = (self.0.keys().next()?, self.0.keys().next_back()?);
        // Keys are in their order, so what the first and the last have in common all have in common. Keys are text of ASCII.
        let common = first.bytes().zip(last.bytes()).take_while(|(one, other)| one == other).count();
        let at = first.get(..common).unwrap_or_default();
        let text = |sums: &BTreeSet<u64>| sums.iter().map(|sum| format!("{sum:x}")).collect::<Vec<_>>().join(",");
        let rest = |key: &String| key.strip_prefix(at).unwrap_or(key).to_owned();
        let keys = self.0.iter().map(|(key, sums)| (rest(key), text(sums))).collect();
        serde_json::to_vec(&Written { at: at.to_owned(), keys }).ok()
    }
}

/// What was added to the state of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Share {
    /// Names.
    pub(super) domains: BTreeSet<String>,
    /// Ports.
    pub(super) ports: BTreeSet<String>,
    /// True where there was no state before.
    pub(super) created: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledgers_are_read_as_they_are_written() {
        assert_eq!(Ledger::default().to_bytes(), None);
        let mut ledger = Ledger::default();
        ledger.note("/skydns/local/a/1", 1);
        let one = br#"{"at":"/skydns/local/a/1","keys":{"":"1"}}"#;
        assert_eq!(ledger.to_bytes().as_deref(), Some(one.as_slice()));
        ledger.note("/skydns/local/a/_tcp/1", u64::MAX);
        ledger.note("/skydns/local/a/1", 255);
        let bytes = ledger.to_bytes().unwrap();
        assert_eq!(bytes, br#"{"at":"/skydns/local/a/","keys":{"1":"1,ff","_tcp/1":"ffffffffffffffff"}}"#);
        assert_eq!(Ledger::parse(&bytes), Some(ledger.clone()));
        assert!(ledger.has("/skydns/local/a/1", 255) && !ledger.has("/skydns/local/a/1", 2) && !ledger.has("/x", 1));
        for wrong in ["", "{}", r#"{"at":"/a","keys":{"b":"x"}}"#] {
            assert_eq!(Ledger::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
