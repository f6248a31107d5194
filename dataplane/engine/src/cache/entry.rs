//! How an entry lies in its log.
//!
//! | word | from the lowest bit on |
//! |---|---|
//! | 0 | words in all 16, bytes of the name 8, bits 8, type 16, response code 16 |
//! | 1 | the hash |
//! | 2 | when it was fetched 32, how long it may be answered 32, in seconds |
//! | 3 | records in answer and authority section, TTLs and pointers in them, 16 each |
//! | 4 | bytes of records 16, their checksum's sum 16, for how long it may be answered stale 32 |
//! | .. | the name in lower case; the places of TTLs, then of pointers, 16 each; the records; each filled up with zeros |
//!
//! Names in the records are whole, or end in a pointer to a place in the question's name, where no name of theirs does: so
//! they can stand behind another name too.
//!
//! An entry of no name fills a log up to its end.

use super::log::WORD_BYTES;
use crate::hash::fold;

/// Words before the name.
pub(super) const HEAD_WORDS: usize = 5;

/// What is true of an answer, and of the questions that it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryBits(u8);

impl EntryBits {
    /// The question had DO set (RFC 3225): the answer may have signatures.
    pub const DNSSEC_OK: Self = Self(1);
    /// The question had CD set (RFC 4035 section 3.2.2): the answer may be bogus.
    pub const CHECKING_DISABLED: Self = Self(2);
    /// The answer has AD set: its records were validated (RFC 4035 section 3.2.3).
    pub const AUTHENTIC: Self = Self(4);
    /// NXDOMAIN or NODATA (RFC 2308).
    pub const NEGATIVE: Self = Self(8);
    /// No answer could be had (RFC 9520).
    pub const FAILURE: Self = Self(16);
    /// Records are missing for which whoever answered had no room (TC, RFC 1035 section 4.1.1): for those who wait only.
    pub const TRUNCATED: Self = Self(32);

    /// All that is in either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This where a condition holds, else nothing.
    #[must_use]
    pub const fn when(self, holds: bool) -> Self {
        if holds { self } else { Self(0) }
    }

    /// True where all of the other is in it.
    #[inline(always)]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The same, with what belongs to the question taken from there.
    #[must_use]
    pub(super) const fn for_question(self, question: Self) -> Self {
        Self(self.0 & !(Self::DNSSEC_OK.0 | Self::CHECKING_DISABLED.0) | question.of_question())
    }

    /// What belongs to the question.
    #[inline(always)]
    pub(super) const fn of_question(self) -> u8 {
        self.0 & (Self::DNSSEC_OK.0 | Self::CHECKING_DISABLED.0)
    }
}

/// What an answer is kept under.
#[derive(Clone, Copy, Debug)]
pub struct CacheKey<'a> {
    /// The hash of the name, by the seed that everybody uses.
    pub name_hash: u64,
    /// The name in wire form, in lower case.
    pub name: &'a [u8],
    /// The type; the class is IN.
    pub qtype: u16,
    /// DO and CD of the question.
    pub bits: EntryBits,
}

impl CacheKey<'_> {
    /// The hash of all of it.
    #[inline(always)]
    pub(super) fn hash(&self) -> u64 {
        key_hash(self.name_hash, self.qtype, self.bits)
    }
}

/// The hash of all of a key.
#[inline(always)]
pub(crate) fn key_hash(name_hash: u64, qtype: u16, bits: EntryBits) -> u64 {
    fold(name_hash ^ u64::from(qtype) << 8 ^ u64::from(bits.of_question()))
}

/// The fixed part of an entry. What was read while it was written over can hold anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryHead {
    /// Words in all.
    pub(super) words: u16,
    /// Bytes of the name; 0: a filler.
    pub(super) name_bytes: u8,
    /// What is true of it.
    pub bits: EntryBits,
    /// The type.
    pub qtype: u16,
    /// The response code, with the bits that an OPT record carries.
    pub rcode: u16,
    /// The hash.
    pub(super) hash: u64,
    /// When it was fetched, in seconds since 1970.
    pub fetched_seconds: u32,
    /// How long from then on it may be answered.
    pub ttl_seconds: u32,
    /// Records in the answer section.
    pub answers: u16,
    /// Records in the authority section.
    pub authorities: u16,
    /// TTLs in them.
    pub(super) ttls: u16,
    /// Pointers in them.
    pub(super) pointers: u16,
    /// Bytes of the records.
    pub body_bytes: u16,
    /// The checksum's sum of the records as they are stored, as if they began at an even place.
    pub(super) body_sum: u16,
    /// For how long it may be answered stale after that (RFC 8767).
    pub stale_seconds: u32,
}

impl EntryHead {
    /// As words.
    pub(super) fn to_words(self) -> [u64; HEAD_WORDS] {
        let quarters = |numbers: [u16; 4]| {
            let [first, second, third, fourth] = numbers.map(u64::from);
            first | second << 16 | third << 32 | fourth << 48
        };
        let halves = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let second = u16::from(self.name_bytes) | u16::from(self.bits.0) << 8;
        [
            quarters([self.words, second, self.qtype, self.rcode]),
            self.hash,
            halves(self.fetched_seconds, self.ttl_seconds),
            quarters([self.answers, self.authorities, self.ttls, self.pointers]),
            quarters([self.body_bytes, self.body_sum, 0, 0]) | u64::from(self.stale_seconds) << 32,
        ]
    }

    /// From words.
    #[inline(always)]
    pub(super) fn from_words(words: [u64; HEAD_WORDS]) -> Self {
        let [first, hash, times, counts, last] = words;
        Self {
            words: quarter(first, 0),
            name_bytes: byte(first, 2),
            bits: EntryBits(byte(first, 3)),
            qtype: quarter(first, 2),
            rcode: quarter(first, 3),
            hash,
            fetched_seconds: half(times, 0),
            ttl_seconds: half(times, 1),
            answers: quarter(counts, 0),
            authorities: quarter(counts, 1),
            ttls: quarter(counts, 2),
            pointers: quarter(counts, 3),
            body_bytes: quarter(last, 0),
            body_sum: quarter(last, 1),
            stale_seconds: half(last, 1),
        }
    }

    /// Words of the name.
    #[inline(always)]
    pub(super) fn name_words(&self) -> usize {
        usize::from(self.name_bytes).div_ceil(WORD_BYTES)
    }

    /// Words of the places of TTLs and pointers.
    #[inline(always)]
    pub(super) fn place_words(&self) -> usize {
        (usize::from(self.ttls) + usize::from(self.pointers)).div_ceil(WORD_BYTES / 2)
    }

    /// Words of the records.
    #[inline(always)]
    pub(super) fn body_words(&self) -> usize {
        usize::from(self.body_bytes).div_ceil(WORD_BYTES)
    }

    /// Seconds since it was fetched. A clock that was set back makes it fresh, not old.
    #[inline(always)]
    pub fn age_seconds(&self, now_seconds: u32) -> u32 {
        now_seconds.saturating_sub(self.fetched_seconds)
    }

    /// True where it may be answered as it is.
    #[inline(always)]
    pub fn is_fresh(&self, now_seconds: u32) -> bool {
        self.age_seconds(now_seconds) < self.ttl_seconds
    }

    /// True where it may be answered though its time is over.
    #[inline(always)]
    pub fn is_stale_but_good(&self, now_seconds: u32) -> bool {
        let age = self.age_seconds(now_seconds);
        age >= self.ttl_seconds && age - self.ttl_seconds < self.stale_seconds
    }
}

/// A byte of a word, from the lowest on.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the part is cut out of the word")]
fn byte(word: u64, index: u32) -> u8 {
    (word >> (8 * index)) as u8
}

/// Two bytes of a word.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the part is cut out of the word")]
fn quarter(word: u64, index: u32) -> u16 {
    (word >> (16 * index)) as u16
}

/// Four bytes of a word.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the part is cut out of the word")]
fn half(word: u64, index: u32) -> u32 {
    (word >> (32 * index)) as u32
}
