//! A log of entries: a ring of words that is written at its head and forgotten at its tail.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use super::entry::LINE_WORDS;
use crate::machine::prefetch;

/// Bytes of a word.
pub(super) const WORD_BYTES: usize = 8;

/// A cache line.
pub(super) type Line = [AtomicU64; LINE_WORDS];

/// A ring of words. Places are counted in words from the log's beginning and never come back.
pub(super) struct Log {
    /// The words; as many as the log holds.
    words: Box<[AtomicU64]>,
    /// The oldest place that nothing is written over yet.
    tail: AtomicU64,
}

/// The first place of a log: no entry's is 0, which is what an empty slot holds.
pub(super) const FIRST_PLACE: u64 = LINE_WORDS as u64;

impl Log {
    /// A log of so many words, a power of two, all of whose memory is there.
    pub(super) fn new(words: usize) -> Self {
        Self {
            words: (0..words.next_power_of_two()).map(|_| AtomicU64::new(0)).collect(),
            tail: AtomicU64::new(FIRST_PLACE),
        }
    }

    /// Words that it holds.
    pub(super) fn capacity(&self) -> u64 {
        self.words.len() as u64
    }

    /// Where a place is in the ring.
    #[inline(always)]
    fn at(&self, place: u64) -> usize {
        // The length is a power of two, and what is left is below it.
        usize::try_from(place).unwrap_or_default() & (self.words.len() - 1)
    }

    /// Words from a place on to where the ring begins anew: an entry does not go beyond.
    pub(super) fn words_to_end(&self, place: u64) -> u64 {
        self.capacity() - self.at(place) as u64
    }

    /// The words from a place on to where the ring begins anew. They may be torn from their entry: see [`Log::is_intact`].
    #[inline(always)]
    pub(super) fn words_from(&self, place: u64) -> &[AtomicU64] {
        self.words.get(self.at(place)..).unwrap_or_default()
    }

    /// The cache line at a place, and the one behind it.
    #[inline(always)]
    pub(super) fn lines(&self, place: u64) -> (Option<&Line>, Option<&Line>) {
        let (lines, at) = (self.words.as_chunks().0, self.at(place) / LINE_WORDS);
        (lines.get(at), lines.get(at + 1))
    }

    /// So many words from a place on, none where they are not in one piece.
    pub(super) fn words(&self, place: u64, count: usize) -> &[AtomicU64] {
        self.words_from(place).get(..count).unwrap_or_default()
    }

    /// Asks the memory for the cache line that an entry begins with, and for the next one where it is longer.
    #[inline(always)]
    pub(super) fn ask_for(&self, place: u64, is_long: bool) {
        let (first, second) = self.lines(place);
        if let Some(line) = first {
            prefetch(line);
        }
        if is_long && let Some(line) = second {
            prefetch(line);
        }
    }

    /// True where nothing was written over what was read from a place on before this.
    #[inline(always)]
    pub(super) fn is_intact(&self, place: u64) -> bool {
        // Pairs with the fence of `forget`: who has read a word that was written after it sees the tail that was set before it.
        fence(Ordering::Acquire);
        self.tail.load(Ordering::Relaxed) <= place
    }

    /// The oldest place that is kept. For the writer.
    pub(super) fn tail(&self) -> u64 {
        self.tail.load(Ordering::Relaxed)
    }

    /// Forgets what is before a place, so that it can be written over. For the writer.
    pub(super) fn forget(&self, before: u64) {
        self.tail.store(before, Ordering::Relaxed);
        fence(Ordering::Release);
    }

    /// Writes words at a place that was forgotten, in one piece. For the writer.
    pub(super) fn write(&self, place: u64, words: &[u64]) {
        for (word, value) in self.words(place, words.len()).iter().zip(words) {
            word.store(*value, Ordering::Relaxed);
        }
    }
}
