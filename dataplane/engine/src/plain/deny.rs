//! Negative answers to plain queries: NXDOMAIN where the parent is the closest encloser, and NODATA. Random names below a
//! zone are normal traffic, and half of what a cluster's resolvers ask for are addresses of the other family.

use super::name::Labels;
use super::reply::{Head, Maker};
use super::{HEADER_AT, NAME_AT, PlainQuery, Window};
use crate::rtype::{rcode, types};
use crate::snapshot::{Candidate, PlainNode, WILDCARD_CHILD};
use crate::writer::pointer;

impl PlainQuery {
    /// Writes a negative answer over the query in the frame that starts `room`, if it is one for the plain way. Returns the
    /// length of the reply's frame and the response code.
    // Not inlined: what is found needs the registers.
    #[inline(never)]
    pub(crate) fn deny(
        &self,
        maker: Maker<'_>,
        candidate: Option<Candidate<'_>>,
        room: &mut [u8],
    ) -> Option<(usize, u16)> {
        let window: &Window = room.first_chunk()?;
        let qtype = self.qtype(window)?;
        // A DS record may be for the zone above to answer; types from 128 to 255 and OPT are not types of data (RFC 6895
        // section 3.1).
        if !maker.snapshot.is_complete() || matches!(qtype, types::DS | types::OPT | 0 | 128..=255) {
            return None;
        }
        let name_bytes = usize::from(self.name_bytes);
        let labels = Labels::of(window, name_bytes)?;
        let (node, rcode) = match candidate {
            Some(candidate) => {
                let node = PlainNode::decode(candidate)?;
                if !labels.suffix(window, labels.depth)?.is_owner(&node)? || node.has_rrset([qtype, types::CNAME]) {
                    return None;
                }
                (node, rcode::NOERROR)
            }
            None => (labels.suffix(window, labels.depth.checked_sub(1)?)?.node(maker.snapshot, None)?, rcode::NXDOMAIN),
        };
        if !maker.snapshot.leads_straight_to(node.apex_depth, labels.depth)
            || (rcode == rcode::NXDOMAIN && node.has(WILDCARD_CHILD))
        {
            return None;
        }
        let apex_depth = node.apex_depth;
        let apex = if node.depth == apex_depth {
            node
        } else {
            labels.suffix(window, apex_depth)?.node(maker.snapshot, Some(apex_depth))?
        };
        let negative = apex.negative()?;
        let to_apex = pointer(NAME_AT - HEADER_AT + labels.start(apex_depth)?);
        let head = Head { rcode, answers: 0, authorities: 1 };
        let length = self.reply(maker, room, head, negative.len(), |to| negative.write(to, to_apex))?;
        Some((length, rcode))
    }
}
