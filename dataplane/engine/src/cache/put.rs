//! Writing the records of an entry into a message. What is read may be torn: every length is bounded by the slice that it is
//! used on, and whoever calls looks afterwards whether it was.

use core::sync::atomic::{AtomicU64, Ordering};

use super::entry::{ADDRESS_AT, COUNT_WORDS, EntryHead, Run, address_bytes};
use super::log::WORD_BYTES;
use crate::frame::checksum::Sum;
use crate::rtype::types;

/// Bytes of a TTL.
pub(super) const TTL_BYTES: usize = 4;

/// Bytes of a pointer.
pub(super) const POINTER_BYTES: usize = 2;

/// Bytes of the record of an IPv4 address.
pub(crate) const A_BYTES: usize = ADDRESS_AT + 4;

/// Bytes of the record of an IPv6 address.
pub(crate) const AAAA_BYTES: usize = ADDRESS_AT + 16;

/// What the TTLs of a copy become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttls {
    /// Each is lowered by so many seconds.
    Aged(u32),
    /// All are this.
    Fixed(u32),
}

impl Ttls {
    /// What a TTL becomes.
    #[inline(always)]
    fn of(self, stored: u32) -> u32 {
        match self {
            Self::Aged(age) => stored.saturating_sub(age),
            Self::Fixed(ttl) => ttl,
        }
    }
}

/// Writes the records of the addresses that `words` begin with over the whole of `to`, and returns the checksum's sum of what
/// was written, as if it began at an even place.
#[inline(always)]
pub(super) fn put_addresses(words: &[AtomicU64], head: &EntryHead, ttls: Ttls, to: &mut [u8]) -> Option<u16> {
    let ttl = ttls.of(head.ttl_seconds);
    if let Ok(record) = <&mut [u8; A_BYTES]>::try_from(&mut *to) {
        return Some(put_ipv4(words.first()?.load(Ordering::Relaxed), ttl, record).fold());
    }
    if head.qtype == types::A { put_all_ipv4(words, ttl, to) } else { put_all_ipv6(words, ttl, to) }
}

/// The same for IPv4 addresses.
#[inline(never)]
fn put_all_ipv4(words: &[AtomicU64], ttl: u32, to: &mut [u8]) -> Option<u16> {
    let mut sum = Sum::default();
    for (index, record) in to.as_chunks_mut::<A_BYTES>().0.iter_mut().enumerate() {
        // Two in a word.
        let word = words.get(index / 2)?.load(Ordering::Relaxed);
        sum = sum.add_sum(put_ipv4(word >> (32 * (index % 2)), ttl, record).fold(), 0);
    }
    Some(sum.fold())
}

/// The same for IPv6 addresses.
#[inline(always)]
fn put_all_ipv6(words: &[AtomicU64], ttl: u32, to: &mut [u8]) -> Option<u16> {
    let mut sum = Sum::default();
    for (record, words) in to.as_chunks_mut::<AAAA_BYTES>().0.iter_mut().zip(words.as_chunks::<2>().0) {
        let address = words.each_ref().map(|word| word.load(Ordering::Relaxed));
        sum = sum.add_sum(put_ipv6(address, ttl, record).fold(), 0);
    }
    Some(sum.fold())
}

/// Writes the record of the IPv6 address in two words; gives its sum.
#[inline(always)]
pub(super) fn put_ipv6(words: [u64; 2], ttl: u32, to: &mut [u8; AAAA_BYTES]) -> Sum {
    let (start, length) = record_head(types::AAAA, 16, ttl);
    let (start, length) = (start.to_le_bytes(), length.to_le_bytes());
    let address = words.map(u64::to_le_bytes);
    let mut sum = Sum::of(u64::from_ne_bytes(start)).add_word(u32::from_ne_bytes(length).into());
    if let Some((first, rest)) = to.split_first_chunk_mut()
        && let Some((second, rest)) = rest.split_first_chunk_mut()
    {
        (*first, *second) = (start, length);
        for (to, word) in rest.as_chunks_mut::<WORD_BYTES>().0.iter_mut().zip(address) {
            *to = word;
            sum = sum.add_word(u64::from_ne_bytes(word));
        }
    }
    sum
}

/// Writes the record of the IPv4 address in the lower half of a word; gives its sum.
#[inline(always)]
pub(super) fn put_ipv4(word: u64, ttl: u32, to: &mut [u8; A_BYTES]) -> Sum {
    let (start, length) = record_head(types::A, 4, ttl);
    let words = [start, u64::from(length) | word << 32].map(u64::to_le_bytes);
    let [first, second] = words.map(u64::from_ne_bytes);
    for (to, word) in to.as_chunks_mut::<WORD_BYTES>().0.iter_mut().zip(words) {
        *to = word;
    }
    Sum::of(first).add_word(second)
}

/// The first twelve bytes of an address's record, little-endian: a pointer to the question's name (RFC 1035 section 4.1.4), type,
/// class IN, TTL, length.
#[inline(always)]
fn record_head(rtype: u16, bytes: u16, ttl: u32) -> (u64, u32) {
    // The pointer 0xc00c and the class 1, each from its first byte on.
    let [pointer, class] = [0x0cc0, 0x0100];
    let ttl = u64::from(ttl.swap_bytes());
    let start = pointer | u64::from(rtype.swap_bytes()) << 16 | class << 32 | ttl << 48;
    (start, u32::from(bytes.swap_bytes()) << 16 | lower_half(ttl >> 16))
}

/// The lower half of a word.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the part is cut out of the word")]
pub(super) fn lower_half(word: u64) -> u32 {
    word as u32
}

/// What is behind the name of an entry that has whole records.
#[derive(Clone, Copy)]
pub(super) struct Records<'a> {
    /// The runs of TTLs.
    runs: &'a [AtomicU64],
    /// The records, and what follows.
    body: &'a [AtomicU64],
    /// The places of pointers.
    pointers: &'a [AtomicU64],
    /// How many there are.
    pointers_count: usize,
}

impl<'a> Records<'a> {
    /// Those in the words behind a name; nothing for torn ones that would not be in one piece.
    #[inline(always)]
    pub(super) fn of(words: &'a [AtomicU64], head: &EntryHead) -> Option<Self> {
        let (runs, body) = words.get(COUNT_WORDS..)?.split_at_checked(head.runs.into())?;
        let pointers = body.get(head.body_words()..)?;
        Some(Self { runs, body, pointers, pointers_count: head.pointers.into() })
    }

    /// The runs of TTLs.
    #[inline(always)]
    pub(super) fn runs(self) -> impl Iterator<Item = Run> {
        self.runs.iter().map(|word| Run::from_word(word.load(Ordering::Relaxed)))
    }

    /// Where pointers stand in the records.
    pub(super) fn pointers(self) -> impl Iterator<Item = usize> {
        let words = self.pointers.iter().flat_map(|word| {
            let word = word.load(Ordering::Relaxed);
            (0..WORD_BYTES / POINTER_BYTES)
                .map(move |index| usize::try_from(word >> (16 * index) & 0xffff).unwrap_or(0))
        });
        words.take(self.pointers_count)
    }

    /// Copies as much of the records as there is room for.
    #[inline(always)]
    pub(super) fn copy(self, to: &mut [u8]) {
        copy(self.body, to);
    }

    /// Writes the records over the whole of `to`, and returns the checksum's sum of what was written, as if it began at an
    /// even place.
    #[inline(always)]
    pub(super) fn put(self, head: &EntryHead, ttls: Ttls, to: &mut [u8]) -> Option<u16> {
        self.copy(to);
        let mut sum = Sum::default().add_sum(head.body_sum, 0);
        for run in self.runs() {
            let ttl = ttls.of(run.ttl);
            for place in run.places() {
                *to.get_mut(place..)?.first_chunk_mut()? = ttl.to_be_bytes();
            }
            sum = sum.add_sum(run_sum(run, ttl), run.place.into());
        }
        Some(sum.fold())
    }
}

/// What the TTLs of a run add to the checksum's sum where all of them are `ttl`, as if they stood at even places.
#[inline(always)]
pub(super) fn run_sum(run: Run, ttl: u32) -> u16 {
    // RFC 1071 section 2(C): a number of two words counts as both of them.
    Sum::of(u64::from(u32::from_ne_bytes(ttl.to_be_bytes())) * u64::from(run.count)).fold()
}

/// Bytes of the record of an address of the type asked for.
#[inline(always)]
pub(super) fn address_record_bytes(qtype: u16) -> usize {
    address_bytes(qtype).map_or(0, |bytes| ADDRESS_AT + bytes)
}

/// Fewer than eight bytes as a word, zeros behind them.
#[inline(always)]
pub(super) fn last_word(rest: &[u8]) -> u64 {
    rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Copies as many bytes as there is room for.
#[inline(always)]
pub(super) fn copy(words: &[AtomicU64], to: &mut [u8]) {
    let (whole, rest) = to.as_chunks_mut::<WORD_BYTES>();
    let mut words = words.iter().map(|word| word.load(Ordering::Relaxed).to_le_bytes());
    for (chunk, word) in whole.iter_mut().zip(&mut words) {
        *chunk = word;
    }
    if !rest.is_empty()
        && let Some(word) = words.next()
    {
        for (byte, stored) in rest.iter_mut().zip(word) {
            *byte = stored;
        }
    }
}
