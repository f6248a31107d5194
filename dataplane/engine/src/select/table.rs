//! What lies behind the records of an RRset with a selection, as the packet path reads it.
//!
//! ```text
//! settings   for each record: weight u16, up u8 - to give back what was put
//! choices    for each record that may be chosen: its place u16, cumulated weight u32, hash u64
//! end        mode u8, flags u8, most answers u16, choices u16, turn u16
//! ```
//!
//! There are no choices where no record is up and the RRset is not to be answered then.
//!
//! It stands behind the records and is read from its end, so that records begin where those of any other RRset do. Numbers
//! are little-endian. [`crate::snapshot`] writes it.

use crate::snapshot::RECORD_HEAD_BYTES;

/// Bytes of a record's settings.
pub(crate) const SETTING_BYTES: usize = 3;
/// Bytes of a choice.
pub(crate) const CHOICE_BYTES: usize = 14;
/// Flag: the RRset was put without a selection; the table is there because records of it are down.
pub(crate) const MARKED_ONLY: u8 = 1;
/// Bytes of the end.
pub(crate) const END_BYTES: usize = 8;

/// The table of an RRset.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    /// Records and what follows them.
    stored: &'a [u8],
    /// Records and their settings.
    before: &'a [u8],
    /// The records that may be chosen.
    choices: &'a [[u8; CHOICE_BYTES]],
    /// The mode's number.
    pub mode: u8,
    /// [`MARKED_ONLY`], or 0.
    pub flags: u8,
    /// Most records of an answer; 0: no bound.
    pub answers_max: u16,
    /// Which counter of turns is the RRset's.
    pub turn: u16,
}

/// A record that may be chosen.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    /// Where it stands.
    place: usize,
    /// The weights of it and all before it.
    pub cumulated: u32,
    /// The hash of its rdata.
    pub hash: u64,
}

impl<'a> Table<'a> {
    /// The table in what is stored of an RRset with a selection.
    #[inline]
    pub(crate) fn of(stored: &'a [u8]) -> Option<Self> {
        let (rest, &[mode, flags, a1, a2, n1, n2, t1, t2]) = stored.split_last_chunk::<END_BYTES>()?;
        let bytes = usize::from(u16::from_le_bytes([n1, n2])) * CHOICE_BYTES;
        let (before, choices) = rest.split_at_checked(rest.len().checked_sub(bytes)?)?;
        let (choices, _) = choices.as_chunks::<CHOICE_BYTES>();
        let (answers_max, turn) = (u16::from_le_bytes([a1, a2]), u16::from_le_bytes([t1, t2]));
        Some(Self { stored, before, choices, mode, flags, answers_max, turn })
    }

    /// Records that may be chosen.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "their number is read from two bytes")]
    pub(crate) fn len(&self) -> u16 {
        self.choices.len() as u16
    }

    /// The sum of all weights.
    #[inline]
    pub(crate) fn weights(&self) -> u32 {
        self.choices.last().map_or(0, |choice| Choice::decode(choice).cumulated)
    }

    /// The records that may be chosen.
    #[inline]
    pub(crate) fn choices(&self) -> impl Iterator<Item = Choice> + use<'a> {
        self.choices.iter().map(Choice::decode)
    }

    /// The first choice whose cumulated weight is above a number.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a place among as many as two bytes can count")]
    pub(crate) fn above(&self, number: u32) -> u16 {
        self.choices.partition_point(|choice| Choice::decode(choice).cumulated <= number) as u16
    }

    /// A record that may be chosen, as it is stored; places beyond the last begin anew.
    #[inline]
    pub(crate) fn record(&self, index: usize) -> Option<&'a [u8]> {
        let index = if index < self.choices.len() { index } else { index - self.choices.len() };
        let record = self.stored.get(Choice::decode(self.choices.get(index)?).place..)?;
        let &[.., l1, l2] = record.first_chunk::<RECORD_HEAD_BYTES>()?;
        record.get(..RECORD_HEAD_BYTES + usize::from(u16::from_be_bytes([l1, l2])))
    }

    /// The weight of each of `count` records, and whether it is up.
    pub(crate) fn settings(&self, count: u16) -> impl Iterator<Item = (u16, bool)> + use<'a> {
        let start = self.before.len().saturating_sub(usize::from(count) * SETTING_BYTES);
        let (settings, _) = self.before.get(start..).unwrap_or_default().as_chunks::<SETTING_BYTES>();
        settings.iter().map(|&[w1, w2, up]| (u16::from_le_bytes([w1, w2]), up != 0))
    }
}

impl Choice {
    /// A stored choice.
    #[inline]
    fn decode(&[p1, p2, c1, c2, c3, c4, h1, h2, h3, h4, h5, h6, h7, h8]: &[u8; CHOICE_BYTES]) -> Self {
        Self {
            place: usize::from(u16::from_le_bytes([p1, p2])),
            cumulated: u32::from_le_bytes([c1, c2, c3, c4]),
            hash: u64::from_le_bytes([h1, h2, h3, h4, h5, h6, h7, h8]),
        }
    }
}
