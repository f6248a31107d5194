//! Outgoing zone transfers (RFC 5936): a zone of one snapshot as messages that are made one at a time, when the client takes them.
//!
//! Between two messages a transfer is a place in the snapshot's tables, so that it holds no records, whatever the size of the
//! zone; the snapshot stays as it was, whatever is published meanwhile. How much is done at once is bounded, so that others on
//! the same thread have their turn.
//!
//! A zone of few names is sent in canonical order (RFC 4034 section 6.1), a larger one in that of the tables.

mod cluster;

use core::mem;
use std::sync::Arc;

use crate::limits::STREAM_MESSAGE_BYTES_MAX;
use crate::name::WireName;
use crate::options;
use crate::query::{FLAG_AA, FLAG_CD, FLAG_RD, HEADER_BYTES, Query};
use crate::rtype::{rcode, types};
use crate::select::{Window, seen};
use crate::snapshot::{NodePlace, NodeView, RrsetView, Scan, Scanned, Snapshot, VIEWS};
use crate::writer::{EdnsReply, Full, NAMES_MAX, OPT_BYTES, Writer};

/// Bytes from which on a message is sent: as far as compression pointers reach (RFC 1035 section 4.1.4).
const MESSAGE_BYTES: usize = 16 << 10;

/// Slots of the tables that are looked at for one message: a millisecond or less.
const SLOTS_AT_ONCE: usize = 1 << 15;

/// Most names of a zone that is sent in canonical order: some hundred KiB for a moment, and a millisecond to sort.
const SORTED_NAMES_MAX: usize = 4096;

/// Names that a message has room to point to before the older ones are forgotten.
const NAMES_KEPT: usize = NAMES_MAX / 4 * 3;

/// Which of a zone's records are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// All.
    #[default]
    Zone,
    /// Those that CoreDNS sends of a cluster's zone: names of Services and endpoints, without Pods, zonal names and the version.
    Cluster,
}

/// A transfer that has begun.
pub struct Transfer {
    /// What is sent from.
    snapshot: Arc<Snapshot>,
    /// The query.
    query: Query,
    /// The query's bytes up to the end of its question.
    head: Box<[u8]>,
    /// What the OPT record says.
    edns: Option<EdnsReply>,
    /// Its options.
    options: Box<[u8]>,
    /// The view that is sent.
    view: u16,
    /// Which records are sent.
    shape: Shape,
    /// Number of labels of the apex.
    apex_depth: u8,
    /// How far it has come.
    stage: Stage,
    /// The node that is being sent.
    node: Option<NodePlace>,
    /// Records of that node which were sent.
    sent: usize,
    /// Messages that were made.
    messages: u64,
}

/// How far a transfer has come.
enum Stage {
    /// The SOA record comes.
    Begin,
    /// The other records of the apex come.
    Apex,
    /// The names are collected, each with what it is sorted by.
    Collect(Scan, Vec<(Box<[u8]>, NodePlace)>),
    /// The names come that were sorted, the last one first.
    Sorted(Vec<NodePlace>),
    /// The names come in the order of the tables.
    Unsorted(Scan),
    /// The SOA record comes again.
    End,
    /// All is sent.
    Done,
}

/// What a message came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// So many bytes, and there is more to come.
    More(usize),
    /// So many bytes, which are the last.
    Last(usize),
    /// Nothing yet: much was looked at that is of other zones.
    Nothing,
    /// A record that no message can hold: the transfer cannot be ended, and must not look as if it were.
    Impossible,
}

/// How a transfer goes on after a step.
enum Step {
    /// At once.
    Next,
    /// With the next message.
    Rest,
    /// It has ended.
    Done,
}

/// What a transfer is made of beside its query and snapshot.
pub(crate) struct Terms {
    /// What the OPT record says.
    pub edns: Option<EdnsReply>,
    /// Its options.
    pub options: Box<[u8]>,
    /// The view that is sent.
    pub view: u16,
    /// Which records are sent.
    pub shape: Shape,
}

impl Transfer {
    /// The transfer that a query asks for by the name of a zone's apex. `message` is the query.
    pub(crate) fn new(message: &[u8], snapshot: &Arc<Snapshot>, terms: Terms) -> Option<Self> {
        let mut query = Query::default();
        query.parse(message).ok()?;
        let head = message.get(..query.question_end)?.into();
        let apex_depth = u8::try_from(query.name.depth()).ok()?;
        let Terms { edns, options, view, shape } = terms;
        let snapshot = Arc::clone(snapshot);
        let (stage, node, sent, messages) = (Stage::Begin, None, 0, 0);
        Some(Self { snapshot, query, head, edns, options, view, shape, apex_depth, stage, node, sent, messages })
    }

    /// The zone.
    pub fn zone(&self) -> WireName {
        WireName::from_wire(self.query.name.bytes()).unwrap_or_else(|_| WireName::root())
    }

    /// The number of the snapshot that is sent.
    pub fn generation(&self) -> u64 {
        self.snapshot.generation()
    }

    /// Bytes that it holds, for as long as it lasts.
    pub fn held_bytes(&self) -> usize {
        let names = match &self.stage {
            Stage::Collect(_, names) => {
                names.iter().map(|(key, _)| key.len() + size_of::<(Box<[u8]>, NodePlace)>()).sum()
            }
            Stage::Sorted(places) => places.capacity() * size_of::<NodePlace>(),
            _ => 0,
        };
        size_of::<Self>() + self.head.len() + self.options.len() + names
    }

    /// Makes the next message in `room`, which should be as long as a message can be.
    pub fn fill(&mut self, room: &mut [u8]) -> Filled {
        let snapshot = Arc::clone(&self.snapshot);
        let Some(place) = room.get_mut(..self.head.len()) else { return Filled::Impossible };
        place.copy_from_slice(&self.head);
        // RFC 5936 section 2.2.5: an OPT record in the first message is enough.
        let edns = self.edns.filter(|_| self.messages == 0);
        let edns_bytes = if edns.is_some() { OPT_BYTES + self.options.len() } else { 0 };
        let limit = room.len().min(STREAM_MESSAGE_BYTES_MAX).saturating_sub(edns_bytes);
        let mut writer = Writer::new(room, &self.query, limit);
        let (question_names, mut slots, mut is_last) = (writer.names_count(), SLOTS_AT_ONCE, false);
        while writer.position() < MESSAGE_BYTES {
            match self.step(&snapshot, &mut writer, &mut slots) {
                Ok(Step::Next) => {}
                Ok(Step::Rest) => break,
                Ok(Step::Done) => {
                    is_last = true;
                    break;
                }
                Err(Full) if writer.answers() == 0 => return Filled::Impossible,
                Err(Full) => break,
            }
            if writer.names_count() > NAMES_KEPT {
                writer.forget_names(question_names);
            }
        }
        if writer.answers() == 0 {
            return Filled::Nothing;
        }
        let flags = FLAG_AA | (self.query.flags & (FLAG_RD | FLAG_CD));
        let mut length = writer.finish(flags, rcode::NOERROR, edns);
        if edns.is_some() {
            length = options::append(&self.options, room, length).unwrap_or(length);
        }
        self.messages += 1;
        if is_last { Filled::Last(length) } else { Filled::More(length) }
    }

    /// Writes the rest of the node at hand, or finds the next one.
    fn step(&mut self, snapshot: &Snapshot, writer: &mut Writer<'_>, slots: &mut usize) -> Result<Step, Full> {
        if let Some(place) = self.node {
            let node = snapshot.node_at(place);
            node.map_or(Ok(()), |node| self.put_node(snapshot, node, writer))?;
            (self.node, self.sent) = (None, 0);
            return Ok(Step::Next);
        }
        let apex_depth = self.apex_depth;
        match &mut self.stage {
            Stage::Begin => {
                self.put_soa(snapshot, writer)?;
                self.stage = Stage::Apex;
            }
            Stage::Apex => {
                let apex = snapshot.find(&self.query.name, usize::from(apex_depth), apex_depth);
                apex.map_or(Ok(()), |apex| self.put_node(snapshot, apex, writer))?;
                (self.stage, self.sent) = (Stage::Collect(Scan::default(), Vec::new()), 0);
            }
            Stage::Collect(scan, names) => match scan.next(snapshot, self.query.name.bytes(), apex_depth, slots) {
                Scanned::Node(..) if names.len() == SORTED_NAMES_MAX => self.stage = Stage::Unsorted(Scan::default()),
                Scanned::Node(_, node) if node.depth() == apex_depth => {}
                Scanned::Node(place, node) => names.push((sort_key(node.name()), place)),
                Scanned::Rest => return Ok(Step::Rest),
                Scanned::End => {
                    let mut names = mem::take(names);
                    names.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
                    self.stage = Stage::Sorted(names.into_iter().map(|(_, place)| place).collect());
                }
            },
            Stage::Sorted(places) => match places.pop() {
                Some(place) => self.node = Some(place),
                None => self.stage = Stage::End,
            },
            Stage::Unsorted(scan) => match scan.next(snapshot, self.query.name.bytes(), apex_depth, slots) {
                Scanned::Node(_, node) if node.depth() == apex_depth => {}
                Scanned::Node(place, _) => self.node = Some(place),
                Scanned::Rest => return Ok(Step::Rest),
                Scanned::End => self.stage = Stage::End,
            },
            Stage::End => {
                self.put_soa(snapshot, writer)?;
                self.stage = Stage::Done;
                return Ok(Step::Done);
            }
            Stage::Done => return Ok(Step::Done),
        }
        Ok(Step::Next)
    }

    /// Writes the SOA record: RFC 5936 section 2.2 has it "be both the first and the last record".
    fn put_soa(&self, snapshot: &Snapshot, writer: &mut Writer<'_>) -> Result<(), Full> {
        let apex = snapshot.find(&self.query.name, usize::from(self.apex_depth), self.apex_depth);
        let soa = apex.and_then(|apex| apex.rrset(types::SOA));
        let Some((soa, rdata)) = soa.and_then(|soa| Some((soa, soa.rdatas().next()?))) else { return Ok(()) };
        writer.put_record(self.query.name.bytes(), soa, rdata)
    }

    /// Writes the records of a node that were not written yet.
    fn put_node(&mut self, snapshot: &Snapshot, node: NodeView<'_>, writer: &mut Writer<'_>) -> Result<(), Full> {
        let (sent, view) = (self.sent, self.view);
        let mut number = 0;
        let shown = |rrset: &RrsetView<'_>| rrset.rtype() != types::SOA && shows(view, node, rrset);
        // Others do not take an alias beside other records (RFC 2181 section 10.1), where our rules allow it.
        let is_alias_beside = node.rrsets().any(|rrset| shown(&rrset) && !goes_with_alias(rrset.rtype()));
        let sent_of = |rrset: &RrsetView<'_>| shown(rrset) && !(is_alias_beside && rrset.rtype() == types::CNAME);
        for rrset in node.rrsets().filter(sent_of) {
            for rdata in all(rrset) {
                number += 1;
                if number <= sent {
                    continue;
                }
                match self.shape {
                    Shape::Zone => writer.put_record(node.name(), rrset, rdata)?,
                    Shape::Cluster => cluster::put(snapshot, self.apex_depth, node, rrset, rdata, writer)?,
                }
                self.sent = number;
            }
        }
        Ok(())
    }
}

/// True for an alias, and for what may stand beside one (RFC 4035 section 2.5).
fn goes_with_alias(rtype: u16) -> bool {
    matches!(rtype, types::CNAME | types::RRSIG | types::NSEC)
}

/// True for an RRset that a view shows.
fn shows(view: u16, node: NodeView<'_>, rrset: &RrsetView<'_>) -> bool {
    !node.has(VIEWS) || seen(node, view, rrset.rtype()).is_some_and(|seen| seen.view() == rrset.view())
}

/// The rdata that an RRset can be answered with: those that are chosen from are sent together, those that are down are not.
fn all<'a>(rrset: RrsetView<'a>) -> impl Iterator<Item = &'a [u8]> {
    let chosen = Window::all(rrset);
    let stored = if chosen.is_none() { Some(rrset.rdatas()) } else { None };
    stored.into_iter().flatten().chain(chosen.into_iter().flat_map(|chosen| chosen.rdatas()))
}

/// What a name in wire form is sorted by: its labels from the right, each followed by a zero byte.
fn sort_key(name: &[u8]) -> Box<[u8]> {
    let mut labels: Vec<&[u8]> = Vec::new();
    let mut rest = name;
    while let Some((&length, after)) = rest.split_first().filter(|(length, _)| **length != 0) {
        let Some((label, after)) = after.split_at_checked(usize::from(length)) else { break };
        labels.push(label);
        rest = after;
    }
    let mut key = Vec::with_capacity(name.len());
    for label in labels.iter().rev() {
        key.extend_from_slice(label);
        key.push(0);
    }
    key.into()
}

/// The name of the zone whose transfer a message asks for; nothing where it asks for something else, or cannot be read. A look
/// at fixed places tells the two apart for nearly all messages.
pub fn zone_asked(message: &[u8]) -> Option<WireName> {
    let body = message.get(HEADER_BYTES..)?;
    let end = crate::name::name_length(body).ok()?;
    let &[t1, t2, ..] = body.get(end..)?.first_chunk::<4>()?;
    if !matches!(u16::from_be_bytes([t1, t2]), types::AXFR | types::IXFR) {
        return None;
    }
    Some(WireName::from_wire(body.get(..end)?).ok()?.to_lowercase())
}
