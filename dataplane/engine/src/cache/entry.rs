//! How an entry lies in its log: in whole cache lines, of which the most frequent answer, one or two IPv4 addresses, takes one.
//!
//! | word | from the lowest bit on |
//! |---|---|
//! | 0 | words in all 16, bytes of the name 8, bits 8, type 16, response code or number of addresses 12, [`ADDRESSES`] 4 |
//! | 1 | when it was fetched 32, how long it may be answered 32, in seconds |
//! | 2 | for how long it may be answered stale after that 32, the lower half of the hash 32 |
//! | 3.. | the name in lower case, in four words at least |
//!
//! Behind that addresses alone, whose records are made anew for each answer; or
//!
//! | word | from the lowest bit on |
//! |---|---|
//! | 0 | records in answer and authority section, runs of TTLs, pointers, 16 each |
//! | 1 | bytes of records 16, their checksum's sum without the TTLs 16 |
//! | .. | runs of TTLs ([`Run`]) |
//! | .. | the records |
//! | .. | the places of pointers, 16 each |
//!
//! each filled up with zeros. Names in the records are whole, or end in a pointer to a place in the question's name, where no
//! name of theirs does: so they can stand behind another name too.
//!
//! An entry of no name fills a log up to its end.

use super::log::WORD_BYTES;
use crate::hash::fold;
use crate::limits::NAME_BYTES_MAX;
use crate::rtype::types;

/// Words before the name.
pub(super) const HEAD_WORDS: usize = 3;

/// Fewest words of a name: those of nearly all are read without a loop.
pub(super) const NAME_WORDS_MIN: usize = 4;

/// Words of the longest name.
pub(super) const NAME_WORDS_MAX: usize = NAME_BYTES_MAX.div_ceil(WORD_BYTES);

/// Words behind the name of an entry that has whole records, before their runs.
pub(super) const COUNT_WORDS: usize = 2;

/// Entries begin at multiples of so many words, which are a cache line.
pub(super) const LINE_WORDS: usize = 8;

/// The bit of the first word that is set where only addresses are stored.
const ADDRESSES: u64 = 1 << 60;

/// Most addresses that are stored so.
pub(super) const ADDRESSES_MAX: usize = 0xfff;

/// The bits of the first word that are of the question.
const QUESTION_MASK: u64 = 0xffff_03ff << 16;

/// The bits of the first word that are the number of words.
const WORDS_MASK: u64 = 0xffff;

/// Bytes of an address's record before the address: a pointer to the question's name, type, class, TTL and length.
pub(super) const ADDRESS_AT: usize = 12;

/// Bytes of the addresses that records of a type hold.
#[inline(always)]
pub(super) const fn address_bytes(qtype: u16) -> Option<usize> {
    match qtype {
        types::A => Some(4),
        types::AAAA => Some(16),
        _ => None,
    }
}

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

    /// True for what says that there is nothing, or that no answer could be had.
    pub const fn is_denial(self) -> bool {
        self.0 & (Self::NEGATIVE.0 | Self::FAILURE.0) != 0
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

/// What the first word of an entry is for a question, apart from what the question does not tell.
#[inline(always)]
pub(crate) fn question_word(name_bytes: usize, qtype: u16, bits: EntryBits) -> u64 {
    (name_bytes as u64 & 0xff) << 16 | u64::from(bits.of_question()) << 24 | u64::from(qtype) << 32
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
    /// Whether it has addresses alone.
    pub(super) has_addresses: bool,
    /// The lower half of the hash.
    pub(super) hash: u32,
    /// When it was fetched, in seconds since 1970.
    pub fetched_seconds: u32,
    /// How long from then on it may be answered.
    pub ttl_seconds: u32,
    /// For how long it may be answered stale after that (RFC 8767).
    pub stale_seconds: u32,
    /// Records in the answer section.
    pub answers: u16,
    /// Records in the authority section.
    pub authorities: u16,
    /// Runs of TTLs.
    pub(super) runs: u16,
    /// Pointers in the records.
    pub(super) pointers: u16,
    /// Bytes of the records.
    pub body_bytes: u16,
    /// The checksum's sum of the records, as if they began at an even place and their TTLs were 0.
    pub(super) body_sum: u16,
}

impl EntryHead {
    /// The words before the name.
    pub(super) fn to_words(self) -> [u64; HEAD_WORDS] {
        let last =
            if self.has_addresses { u64::from(self.answers) << 48 | ADDRESSES } else { u64::from(self.rcode) << 48 };
        let asked = u64::from(self.name_bytes) << 16 | u64::from(self.bits.0) << 24 | u64::from(self.qtype) << 32;
        let halves = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        [
            u64::from(self.words) | asked | last,
            halves(self.fetched_seconds, self.ttl_seconds),
            halves(self.stale_seconds, self.hash),
        ]
    }

    /// The words behind the name, of an entry that has whole records.
    pub(super) fn to_counts(self) -> [u64; COUNT_WORDS] {
        let [first, second, third, fourth] = [self.answers, self.authorities, self.runs, self.pointers].map(u64::from);
        [first | second << 16 | third << 32 | fourth << 48, u64::from(self.body_bytes) | u64::from(self.body_sum) << 16]
    }

    /// From the words before the name, and `word` of those behind it.
    #[inline(always)]
    pub(super) fn from_words(words: [u64; HEAD_WORDS], word: impl Fn(usize) -> u64) -> Self {
        let [first, times, last] = words;
        let (has_addresses, upper, qtype) = (first & ADDRESSES != 0, quarter(first, 3) & 0xfff, quarter(first, 2));
        let head = Self {
            words: quarter(first, 0),
            name_bytes: byte(first, 2),
            bits: EntryBits(byte(first, 3)),
            qtype,
            has_addresses,
            hash: half(last, 1),
            fetched_seconds: half(times, 0),
            ttl_seconds: half(times, 1),
            stale_seconds: half(last, 0),
            ..Self::default()
        };
        if has_addresses {
            // A multiple of 28 at most, which is far below 2^17; what does not fit is torn, or was not put in.
            let bytes = u32::from(upper) * (if qtype == types::A { 16 } else { 28 });
            return Self { answers: upper, body_bytes: u16::try_from(bytes).unwrap_or(0), ..head };
        }
        let (counts, sums) = (word(0), word(1));
        Self {
            rcode: upper,
            answers: quarter(counts, 0),
            authorities: quarter(counts, 1),
            runs: quarter(counts, 2),
            pointers: quarter(counts, 3),
            body_bytes: quarter(sums, 0),
            body_sum: quarter(sums, 1),
            ..head
        }
    }

    /// In what the first word of an entry is not for the question that a [`question_word`] is of.
    #[inline(always)]
    pub(super) fn differs(first: u64, question: u64) -> u64 {
        (first ^ question) & QUESTION_MASK
    }

    /// In what the first word is not that of an entry for the same question which has one address, and of which nothing more is
    /// true than of the question.
    #[inline(always)]
    pub(super) fn differs_from_address(first: u64, question: u64) -> u64 {
        (first ^ (question | ADDRESSES | 1 << 48)) & !WORDS_MASK
    }

    /// Words of the name.
    #[inline(always)]
    pub(super) fn name_words(&self) -> usize {
        name_words(self.name_bytes.into())
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

/// Words that a name of so many bytes takes.
#[inline(always)]
pub(super) fn name_words(name_bytes: usize) -> usize {
    name_bytes.div_ceil(WORD_BYTES).max(NAME_WORDS_MIN)
}

/// TTLs that are the same and stand at even distances: those of an RRset whose records are of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Where the first stands in the records.
    pub place: u16,
    /// Bytes from one to the next: an even number, so that all count alike in the checksum.
    pub stride: u8,
    /// How many there are.
    pub count: u8,
    /// The TTL in seconds.
    pub ttl: u32,
}

impl Run {
    /// As a word.
    pub(super) fn to_word(self) -> u64 {
        let [place, stride, count] = [u64::from(self.place), u64::from(self.stride), u64::from(self.count)];
        place | stride << 16 | count << 24 | u64::from(self.ttl) << 32
    }

    /// From a word.
    #[inline(always)]
    pub(super) fn from_word(word: u64) -> Self {
        Self { place: quarter(word, 0), stride: byte(word, 2), count: byte(word, 3), ttl: half(word, 1) }
    }

    /// Where its TTLs stand.
    #[inline(always)]
    pub(super) fn places(self) -> impl Iterator<Item = usize> {
        (0..usize::from(self.count)).map(move |index| usize::from(self.place) + index * usize::from(self.stride))
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
pub(super) fn quarter(word: u64, index: u32) -> u16 {
    (word >> (16 * index)) as u16
}

/// Four bytes of a word.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the part is cut out of the word")]
fn half(word: u64, index: u32) -> u32 {
    (word >> (32 * index)) as u32
}
