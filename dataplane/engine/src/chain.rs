//! What a chain of aliases leaves behind: where its names stand in the answer, and the name that was made last.

use crate::limits::{CHAIN_STEPS_MAX, NAME_BYTES_MAX};
use crate::writer::Writer;

/// Places of names in the answer.
#[derive(Default)]
pub(crate) struct Places {
    /// Offsets in the message, which is far shorter than 64 KiB.
    offsets: [u16; CHAIN_STEPS_MAX + 1],
    /// How many there are.
    count: usize,
}

impl Places {
    /// Takes note of a name's place; a chain has no more steps than there is room for.
    pub(crate) fn add(&mut self, offset: usize) {
        if let (Some(slot), Ok(offset)) = (self.offsets.get_mut(self.count), u16::try_from(offset)) {
            *slot = offset;
            self.count += 1;
        }
    }

    /// The place that was taken note of last.
    pub(crate) fn last(&self) -> usize {
        let last = self.count.checked_sub(1).and_then(|last| self.offsets.get(last));
        last.map_or(0, |&offset| offset.into())
    }

    /// True where a name stands at one of the places.
    pub(crate) fn hold(&self, writer: &Writer<'_>, name: &[u8]) -> bool {
        self.offsets.iter().take(self.count).any(|&offset| writer.holds_at(offset.into(), name))
    }
}

/// A name that was made of labels and a name: by a DNAME record, or for a search path.
#[derive(Clone, Copy)]
pub(crate) struct MadeName {
    /// The name, and stale bytes.
    bytes: [u8; NAME_BYTES_MAX],
    /// Bytes of the name.
    length: usize,
}

impl Default for MadeName {
    fn default() -> Self {
        Self { bytes: [0; NAME_BYTES_MAX], length: 1 }
    }
}

impl MadeName {
    /// The name.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Sets the name to some labels and the name below which they go; nothing where that is too long a name.
    pub(crate) fn join(&mut self, labels: &[u8], parent: &[u8]) -> Option<()> {
        let length = labels.len() + parent.len();
        let (left, right) = self.bytes.get_mut(..length)?.split_at_mut_checked(labels.len())?;
        left.copy_from_slice(labels);
        right.copy_from_slice(parent);
        self.length = length;
        Some(())
    }
}
