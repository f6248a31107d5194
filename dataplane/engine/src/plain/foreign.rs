//! Plain queries for names of others of which nothing is known here: a flood of names that nobody has asked for yet is passed
//! to the forwarder at a fraction of what the general way takes to find out the same.

use super::name::{Labels, Suffix};
use super::{Ahead, CLIENT_AT, PlainQuery, Window, load};
use crate::recall::Recall;
use crate::snapshot::Snapshot;

impl PlainQuery {
    /// True where it is certain that others are to be asked for the query in the frame that starts `room`, whose name itself
    /// was not found: it is one for the cache, which has nothing for it, its name is in no zone, and its client may ask. What is not certain
    /// is left to the general way. To be asked once nothing else came of the query: those answers are more frequent.
    // Not inlined: zones need the registers.
    #[inline(never)]
    pub(crate) fn is_for_forwarder(&self, snapshot: &Snapshot, recall: &Recall, ahead: &Ahead, room: &[u8]) -> bool {
        let Some(window) = room.first_chunk::<{ size_of::<Window>() }>() else { return false };
        if ahead.may_be_there(recall) || !recall.permits_ipv4(load(window, CLIENT_AT)) {
            return false;
        }
        let Some(labels) = Labels::of(window, usize::from(self.name_bytes)) else { return false };
        let Some(parent_depth) = labels.depth.checked_sub(1) else { return false };
        // NOTE: the root has no suffix here: where it is an apex nothing is certain.
        let mut apexes = snapshot.apexes().between(0, usize::from(parent_depth));
        apexes.all(|depth| {
            let suffix = u8::try_from(depth).ok().and_then(|depth| labels.suffix(window, depth));
            suffix.is_some_and(|suffix| suffix.is_nowhere(snapshot))
        })
    }
}

impl Suffix<'_> {
    /// True where no zone has a node of this name. False says nothing.
    #[inline(always)]
    fn is_nowhere(&self, snapshot: &Snapshot) -> bool {
        snapshot.candidate(self.key(snapshot.seed())).is_none()
    }
}
