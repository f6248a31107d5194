//! Negative answers to plain queries: NXDOMAIN where the parent is the closest encloser, and NODATA. Random names below a
//! zone are normal traffic, and half of what a cluster's resolvers ask for are addresses of the other family. Those of a flood
//! have one parent: what was found of it is remembered to the end of the burst.

use super::name::{Labels, Suffix};
use super::reply::{Head, Maker, zone_flags};
use super::{HEADER_AT, NAME_AT, PlainQuery, Window, load};
use crate::machine::{BLOCK_BYTES, Block};
use crate::rtype::{rcode, types};
use crate::rules::{BRANCH_BYTES, Denial};
use crate::snapshot::{Candidate, Negative, PlainNode, WILDCARD_CHILD};
use crate::writer::pointer;

/// A closest encloser without wildcard, and what denies the names right below it. It holds for one snapshot.
#[derive(Clone, Copy)]
pub(crate) struct Encloser<'a> {
    /// Its first blocks, which are all of it.
    name: [Block; 2],
    /// Bytes of its name.
    name_bytes: usize,
    /// Number of labels of its zone's apex.
    apex_depth: u8,
    /// The negative answer of the zone.
    negative: Negative<'a>,
}

impl PlainQuery {
    /// Writes a negative answer over the query in the frame that starts `room`, if it is one for the plain way. Returns the
    /// length of the reply's frame and the response code. `last` is what the last query's name was denied by.
    // Not inlined: what is found needs the registers.
    #[inline(never)]
    pub(crate) fn deny<'a, const START: usize, const HIDES_AAAA: bool, const HAS_OTHERS: bool>(
        &self,
        maker: Maker<'a>,
        candidate: Option<Candidate<'a>>,
        room: &mut [u8],
        last: &mut Option<Encloser<'a>>,
    ) -> Option<(usize, u16)> {
        let window: &Window = room.first_chunk()?;
        let qtype = self.qtype(window)?;
        // A DS record may be for the zone above to answer; types from 128 to 255 and OPT are not types of data (RFC 6895
        // section 3.1). For SOA there may be a rule, and nobody asks.
        if !maker.snapshot.is_complete() || matches!(qtype, types::DS | types::OPT | types::SOA | 0 | 128..=255) {
            return None;
        }
        let labels = Labels::of(window, usize::from(self.name_bytes))?;
        let (apex_depth, negative, rcode) = match candidate {
            Some(candidate) => {
                let node = PlainNode::decode(candidate)?;
                let looked_for = if HIDES_AAAA && qtype == types::AAAA { types::CNAME } else { qtype };
                if !labels.suffix(window, labels.depth)?.is_owner(&node)? || node.has_rrset([looked_for, types::CNAME])
                {
                    return None;
                }
                (node.apex_depth, negative(maker, window, labels, node, Denied::Type)?, rcode::NOERROR)
            }
            None => {
                let parent = labels.suffix(window, labels.depth.checked_sub(1)?)?;
                let known = last.filter(|last| parent.bytes == last.name_bytes && parent.begins_with(last.name));
                let encloser = match known {
                    Some(known) => known,
                    None => enclose(maker, window, labels, parent, last)?,
                };
                (encloser.apex_depth, encloser.negative, rcode::NXDOMAIN)
            }
        };
        let to_apex = pointer(NAME_AT - HEADER_AT + labels.start(apex_depth)?);
        let head = Head { flags: zone_flags(HAS_OTHERS) | rcode, answers: 0, authorities: 1 };
        let length = self.reply::<START>(maker, room, head, negative.len(), |to| negative.write(to, to_apex))?;
        Some((length, rcode))
    }
}

/// Finds the closest encloser of a name that does not exist, if it is the parent, and remembers it.
#[inline(never)]
fn enclose<'a>(
    maker: Maker<'a>,
    window: &Window,
    labels: Labels,
    parent: Suffix<'_>,
    last: &mut Option<Encloser<'a>>,
) -> Option<Encloser<'a>> {
    let node = parent.node(maker.snapshot, None).filter(|node| !node.has(WILDCARD_CHILD))?;
    let name = [parent.block(0), parent.block(1)];
    let negative = negative(maker, window, labels, node, Denied::Child)?;
    let encloser = Encloser { name, name_bytes: parent.bytes, apex_depth: node.apex_depth, negative };
    if parent.bytes <= 2 * BLOCK_BYTES {
        *last = Some(encloser);
    }
    Some(encloser)
}

/// What is denied by a node.
#[derive(Clone, Copy)]
enum Denied {
    /// A type at its name.
    Type,
    /// A name right below its own.
    Child,
}

/// The negative answer of a node's zone, where nothing turns the search for the whole name.
#[inline(always)]
fn negative<'a>(
    maker: Maker<'a>,
    window: &Window,
    labels: Labels,
    node: PlainNode<'a>,
    denied: Denied,
) -> Option<Negative<'a>> {
    if !maker.snapshot.leads_straight_to(node.apex_depth, labels.depth) {
        return None;
    }
    let apex = if node.depth == node.apex_depth {
        node
    } else {
        labels.suffix(window, node.apex_depth)?.node(maker.snapshot, Some(node.apex_depth))?
    };
    match apex.negative() {
        Some(negative) => Some(negative),
        None => negative_by_rules(window, labels, node, apex, denied),
    }
}

/// The same where the zone has rules, and they leave it.
#[inline(never)]
fn negative_by_rules<'a>(
    window: &Window,
    labels: Labels,
    node: PlainNode<'a>,
    apex: PlainNode<'a>,
    denied: Denied,
) -> Option<Negative<'a>> {
    let apex = apex.whole()?;
    let rules = apex.rules()?;
    let are_left = match denied {
        Denied::Type => rules.leave_existing(node.whole()?),
        Denied::Child => {
            let branch = labels.start(node.apex_depth + 1)?;
            rules.leave_missing(Denial {
                below_apex: usize::from(labels.depth - node.apex_depth),
                encloser_below_apex: usize::from(node.depth - node.apex_depth),
                branch: load::<BRANCH_BYTES>(window, NAME_AT + branch).map(|byte| byte.to_ascii_lowercase()),
            })
        }
    };
    if are_left { apex.negative() } else { None }
}
