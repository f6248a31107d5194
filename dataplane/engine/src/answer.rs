//! The answer to a query, by the algorithm of RFC 1034 section 4.3.2 on an immutable snapshot.

use crate::additional;
use crate::cookie::Client;
use crate::limits::{CHAIN_STEPS_MAX, NAME_BYTES_MAX};
use crate::query::{FLAG_AA, FLAG_TC, Query, QueryName};
use crate::rtype::{rcode, types};
use crate::select::{Chooser, Turns, Window};
use crate::snapshot::{CUT, DNAME, NodeView, RrsetView, Snapshot, WILDCARD_CHILD};
use crate::writer::{Full, Owner, QNAME_OFFSET, Section, Writer};

/// Working memory of an answer, reused for ever.
#[derive(Default)]
pub(crate) struct Scratch {
    /// The name that a chain has come to, or whose addresses are looked for.
    pub name: QueryName,
    /// A name made by a DNAME record.
    synthesized: SynthesizedName,
    /// What choices among records are made with.
    turns: Turns,
}

/// What an answer came to, apart from its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The response code.
    pub rcode: u16,
    /// AA and TC.
    pub flags: u16,
    /// The name is not ours and nothing is known of it: the forwarder is to ask others. Nothing was written.
    pub is_foreign: bool,
}

impl Outcome {
    /// An answer.
    pub(crate) const fn new(rcode: u16, flags: u16) -> Self {
        Self { rcode, flags, is_foreign: false }
    }
}

/// The zone that a name was found to belong to.
#[derive(Clone, Copy)]
pub(crate) struct Zone<'a> {
    /// Number of labels of its apex.
    pub depth: u8,
    /// Its apex.
    pub apex: NodeView<'a>,
}

/// An RRset whose names want addresses in the additional section.
#[derive(Clone, Copy)]
pub(crate) struct Mention<'a> {
    /// The RRset.
    pub rrset: RrsetView<'a>,
    /// What was chosen of it; nothing: all.
    pub chosen: Option<Window<'a>>,
    /// The zone that it is from.
    pub zone: Zone<'a>,
    /// The zone cut, where the RRset is a referral: addresses of names at or below it must not be missing (RFC 9471).
    pub cut: Option<&'a [u8]>,
}

impl<'a> Mention<'a> {
    /// The rdata of each record that was written.
    pub(crate) fn rdatas(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let all = if self.chosen.is_none() { Some(self.rrset.rdatas()) } else { None };
        let chosen = self.chosen.map(|chosen| chosen.rdatas());
        all.into_iter().flatten().chain(chosen.into_iter().flatten())
    }
}

/// Where a step of the search leads.
enum Step<'a> {
    /// The answer is as far as it goes.
    Done(u16),
    /// The search goes on at the target of a CNAME record.
    Chase(&'a [u8]),
    /// The search goes on at the name that a DNAME record made.
    ChaseSynthesized,
}

/// Answers a query into a writer that stands behind the question.
pub(crate) fn answer(
    query: &Query,
    client: Client,
    snapshot: &Snapshot,
    scratch: &mut Scratch,
    writer: &mut Writer<'_>,
) -> Outcome {
    let Scratch { name, synthesized, turns } = scratch;
    let chooser = Chooser::new(client, turns);
    let mut search = Search {
        snapshot,
        qtype: query.qtype,
        writer,
        chooser,
        synthesized,
        flags: 0,
        mention: None,
        aliases: Places::default(),
        dnames: Places::default(),
    };
    search.aliases.add(QNAME_OFFSET);
    let mut step = search.first(&query.name);
    for _ in 0..CHAIN_STEPS_MAX {
        let target = match step {
            Step::Done(_) => break,
            Step::Chase(target) => target,
            Step::ChaseSynthesized => {
                // The name is needed as an owner while the next one may be made.
                let copy = *search.synthesized;
                if search.has_been_at(copy.bytes()) || name.take(copy.bytes()).is_err() {
                    break;
                }
                step = search.step(name, Owner::Name(copy.bytes()), false);
                continue;
            }
        };
        if search.has_been_at(target) || name.take(target).is_err() {
            break;
        }
        step = search.step(name, Owner::Name(target), false);
    }
    // A chain that is too long, or comes back to where it was, ends where it is: the client may go on from there.
    let rcode = if let Step::Done(rcode) = step { rcode } else { rcode::NOERROR };
    if let Some(mention) = search.mention.filter(|_| search.flags & FLAG_TC == 0)
        && additional::add(snapshot, mention, name, search.writer, &mut search.chooser).is_err()
    {
        search.flags |= FLAG_TC;
    }
    let is_of_zone = matches!(rcode, rcode::NOERROR | rcode::NXDOMAIN | rcode::YXDOMAIN);
    let flags = if is_of_zone { search.flags } else { search.flags & FLAG_TC };
    Outcome::new(rcode, flags)
}

/// A search through the zones.
struct Search<'a, 'b, 'c> {
    /// What is served.
    snapshot: &'a Snapshot,
    /// The type asked for.
    qtype: u16,
    /// The answer.
    writer: &'b mut Writer<'c>,
    /// Chooses among records and views.
    chooser: Chooser<'b>,
    /// The name that a DNAME record made last.
    synthesized: &'b mut SynthesizedName,
    /// AA and TC so far.
    flags: u16,
    /// The last RRset whose names want addresses.
    mention: Option<Mention<'a>>,
    /// Where the names of the chain stand, the question's first.
    aliases: Places,
    /// Where the owners of the DNAME records stand.
    dnames: Places,
}

impl<'a> Search<'a, '_, '_> {
    /// The first step: from the question's name.
    fn first(&mut self, name: &QueryName) -> Step<'a> {
        match self.qtype {
            // Not in a query: RFC 6891 section 6.1.1; transfers go over TCP, and not to everybody: RFC 5936 section 4.2.
            types::OPT => Step::Done(rcode::FORMERR),
            types::AXFR | types::IXFR => Step::Done(rcode::REFUSED),
            types::MAILA | types::MAILB => Step::Done(rcode::NOTIMP),
            _ => self.step(name, Owner::Question, true),
        }
    }

    /// True where the chain comes back to one of its names: going on would repeat records, and no RRset has a record twice
    /// (RFC 2181 section 5). Else the name, which was written last, is one of them.
    fn has_been_at(&mut self, target: &[u8]) -> bool {
        let is_known = self.aliases.hold(self.writer, target);
        self.aliases.add(self.writer.last_rdata());
        is_known
    }

    /// One step: the data of one name, or where to go from there.
    #[inline]
    fn step(&mut self, name: &QueryName, owner: Owner<'_>, first: bool) -> Step<'a> {
        let Some(zone) = zone_of(self.snapshot, name, self.qtype) else {
            return match (first, self.snapshot.is_complete()) {
                (true, true) => Step::Done(rcode::REFUSED),
                // The zone may still be loading.
                (_, false) => Step::Done(rcode::SERVFAIL),
                (false, true) => Step::Done(rcode::NOERROR),
            };
        };
        if zone.apex.rrset(types::SOA).is_none() {
            return Step::Done(rcode::SERVFAIL);
        }
        if first {
            self.flags |= FLAG_AA;
        }
        for depth in self.snapshot.turns(usize::from(zone.depth), name.depth()) {
            let Some(node) = self.snapshot.find(name, depth, zone.depth) else {
                break;
            };
            let is_name = depth == name.depth();
            // RFC 4035 section 3.1.4.1: the DS record is on the parent's side of the cut.
            if node.has(CUT) && !(is_name && self.qtype == types::DS) {
                return self.refer(zone, node, first);
            }
            if node.has(DNAME) && !is_name {
                return self.redirect(name, owner, node);
            }
        }
        match locate(self.snapshot, name, zone.depth) {
            Some(node) => self.data(zone, node, owner),
            None => self.negative(zone, rcode::NXDOMAIN),
        }
    }

    /// Answers from the node of the name, or of the wildcard that stands for it.
    #[inline]
    fn data(&mut self, zone: Zone<'a>, node: NodeView<'a>, owner: Owner<'_>) -> Step<'a> {
        let wanted = match self.qtype {
            // RFC 8482 section 4.1: one RRset is enough of an answer to ANY.
            types::ANY => self.chooser.first_rrset(self.snapshot, node),
            qtype => self.chooser.rrset(self.snapshot, node, qtype),
        };
        if let Some(rrset) = wanted {
            // The chain came by way of this very DNAME record: it is in the answer.
            if let (types::DNAME, Owner::Name(name)) = (rrset.rtype(), owner)
                && self.dnames.hold(self.writer, name)
            {
                return Step::Done(rcode::NOERROR);
            }
            self.put_mentioning(Section::Answer, owner, Mention { rrset, chosen: None, zone, cut: None });
            return Step::Done(rcode::NOERROR);
        }
        let Some(cname) = self.chooser.rrset(self.snapshot, node, types::CNAME) else {
            return self.negative(zone, rcode::NOERROR);
        };
        match (self.put(Section::Answer, owner, cname, None), cname.rdatas().next()) {
            (Ok(()), Some(target)) => Step::Chase(target),
            _ => Step::Done(rcode::NOERROR),
        }
    }

    /// NXDOMAIN or NODATA: the SOA record says for how long (RFC 2308 section 3: the smaller of its TTL and MINIMUM).
    fn negative(&mut self, zone: Zone<'a>, rcode: u16) -> Step<'a> {
        if !self.snapshot.is_complete() {
            return Step::Done(rcode::SERVFAIL);
        }
        let Some(soa) = zone.apex.rrset(types::SOA) else {
            return Step::Done(rcode::SERVFAIL);
        };
        let minimum = soa.rdatas().next().and_then(<[u8]>::last_chunk::<4>).map(|bytes| u32::from_be_bytes(*bytes));
        let ttl = soa.ttl().min(minimum.unwrap_or(u32::MAX));
        // Where it does not fit, TC is set; there is nothing else to do.
        self.put(Section::Authority, Owner::Name(zone.apex.name()), soa, Some(ttl)).ok();
        Step::Done(rcode)
    }

    /// A referral: RFC 1034 section 4.3.2 step 3b. It is authoritative only for the CNAME records that led to it.
    fn refer(&mut self, zone: Zone<'a>, cut: NodeView<'a>, first: bool) -> Step<'a> {
        if first {
            self.flags &= !FLAG_AA;
        }
        if let Some(rrset) = cut.rrset(types::NS) {
            let mention = Mention { rrset, chosen: None, zone, cut: Some(cut.name()) };
            self.put_mentioning(Section::Authority, Owner::Name(cut.name()), mention);
        }
        Step::Done(rcode::NOERROR)
    }

    /// A DNAME record above the name: RFC 6672 section 3.2.
    fn redirect(&mut self, name: &QueryName, owner: Owner<'_>, node: NodeView<'a>) -> Step<'a> {
        let Some(dname) = node.rrset(types::DNAME) else {
            return Step::Done(rcode::SERVFAIL);
        };
        let Some(target) = dname.rdatas().next() else {
            return Step::Done(rcode::SERVFAIL);
        };
        // A chain may come to the same DNAME record again with another name; the record stands in the answer once.
        if !self.dnames.hold(self.writer, node.name()) {
            self.dnames.add(self.writer.position());
            if self.put(Section::Answer, Owner::Name(node.name()), dname, None).is_err() {
                return Step::Done(rcode::NOERROR);
            }
        }
        let prefix = name.bytes().len() - node.name().len();
        let Some(prefix) = name.bytes().get(..prefix) else {
            return Step::Done(rcode::SERVFAIL);
        };
        if self.synthesized.join(prefix, target).is_none() {
            return Step::Done(rcode::YXDOMAIN);
        }
        match self.writer.put_cname(owner, dname.ttl(), self.synthesized.bytes()) {
            // The CNAME record that was made is what was asked for; NSD and Knot stop here too.
            Ok(()) if self.qtype == types::CNAME => Step::Done(rcode::NOERROR),
            Ok(()) => Step::ChaseSynthesized,
            Err(Full) => {
                self.flags |= FLAG_TC;
                Step::Done(rcode::NOERROR)
            }
        }
    }

    /// Writes what is chosen of an RRset whose names want addresses.
    #[inline]
    fn put_mentioning(&mut self, section: Section, owner: Owner<'_>, mention: Mention<'a>) {
        let chosen = self.chooser.choose(mention.rrset);
        if self.put_chosen(section, owner, mention.rrset, chosen, None).is_ok() {
            self.mention = Some(Mention { chosen, ..mention });
        }
    }

    /// Writes what is chosen of an RRset.
    fn put(&mut self, section: Section, owner: Owner<'_>, rrset: RrsetView<'_>, ttl: Option<u32>) -> Result<(), Full> {
        let chosen = self.chooser.choose(rrset);
        self.put_chosen(section, owner, rrset, chosen, ttl)
    }

    /// Writes an RRset that must not be missing: where it does not fit, the answer is truncated (RFC 2181 section 9).
    fn put_chosen(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rrset: RrsetView<'_>,
        chosen: Option<Window<'_>>,
        ttl: Option<u32>,
    ) -> Result<(), Full> {
        let written = self.writer.put_rrset(section, owner, rrset, chosen, ttl);
        if written.is_err() {
            self.flags |= FLAG_TC;
        }
        written
    }
}

/// Places of names in the answer.
#[derive(Default)]
struct Places {
    /// Offsets in the message, which is far shorter than 64 KiB.
    offsets: [u16; CHAIN_STEPS_MAX + 1],
    /// How many there are.
    count: usize,
}

impl Places {
    /// Takes note of a name's place; a chain has no more steps than there is room for.
    fn add(&mut self, offset: usize) {
        if let (Some(slot), Ok(offset)) = (self.offsets.get_mut(self.count), u16::try_from(offset)) {
            *slot = offset;
            self.count += 1;
        }
    }

    /// True where a name stands at one of the places.
    fn hold(&self, writer: &Writer<'_>, name: &[u8]) -> bool {
        self.offsets.iter().take(self.count).any(|&offset| writer.holds_at(offset.into(), name))
    }
}

/// The zone that answers for a name: the deepest whose apex encloses it. For DS at an apex it is the zone above, where
/// that is served here too (RFC 4035 section 3.1.4.1).
#[inline]
pub(crate) fn zone_of<'a>(snapshot: &'a Snapshot, name: &QueryName, qtype: u16) -> Option<Zone<'a>> {
    let mut below_cut = None;
    for depth in snapshot.apexes().between(0, name.depth()).rev() {
        let short = u8::try_from(depth).ok()?;
        let Some(apex) = snapshot.find(name, depth, short) else {
            continue;
        };
        let zone = Zone { depth: short, apex };
        if qtype == types::DS && depth == name.depth() && depth > 0 {
            below_cut = Some(zone);
            continue;
        }
        return Some(zone);
    }
    below_cut
}

/// The node that answers for a name of a zone: its own, or that of the wildcard at the closest encloser (RFC 4592
/// section 3.3.1). The name is at no place below a zone cut or a DNAME.
#[inline]
pub(crate) fn locate<'a>(snapshot: &'a Snapshot, name: &QueryName, apex_depth: u8) -> Option<NodeView<'a>> {
    if let Some(node) = snapshot.find(name, name.depth(), apex_depth) {
        return Some(node);
    }
    let encloser = closest_encloser(snapshot, name, apex_depth)?;
    if !encloser.node.has(WILDCARD_CHILD) {
        return None;
    }
    snapshot.find_wildcard(name, encloser.depth, apex_depth)
}

/// The closest encloser of a name that does not exist: its longest suffix that does (RFC 4592 section 2.2.1).
pub(crate) fn closest_encloser<'a>(snapshot: &'a Snapshot, name: &QueryName, apex_depth: u8) -> Option<Encloser<'a>> {
    // Mostly it is the parent. Else by bisection, since with a name all between it and the apex exist: a flood of names
    // with a hundred labels costs seven probes each, not a hundred.
    let parent = name.depth().checked_sub(1)?;
    if let Some(node) = snapshot.find(name, parent, apex_depth) {
        return Some(Encloser { node, depth: parent });
    }
    let (mut exists, mut missing) = (usize::from(apex_depth), parent);
    let mut node = snapshot.find(name, exists, apex_depth)?;
    while missing - exists > 1 {
        let middle = exists.midpoint(missing);
        match snapshot.find(name, middle, apex_depth) {
            Some(found) => (exists, node) = (middle, found),
            None => missing = middle,
        }
    }
    Some(Encloser { node, depth: exists })
}

/// A closest encloser and its number of labels.
#[derive(Clone, Copy)]
pub(crate) struct Encloser<'a> {
    /// The node.
    pub node: NodeView<'a>,
    /// Its number of labels.
    pub depth: usize,
}

/// A name that a DNAME record made.
#[derive(Clone, Copy)]
struct SynthesizedName {
    /// The name, and stale bytes.
    bytes: [u8; NAME_BYTES_MAX],
    /// Bytes of the name.
    length: usize,
}

impl Default for SynthesizedName {
    fn default() -> Self {
        Self { bytes: [0; NAME_BYTES_MAX], length: 1 }
    }
}

impl SynthesizedName {
    /// The name.
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Sets the name to some labels and the name below which they go; nothing where that is too long a name.
    fn join(&mut self, labels: &[u8], parent: &[u8]) -> Option<()> {
        let length = labels.len() + parent.len();
        let (left, right) = self.bytes.get_mut(..length)?.split_at_mut_checked(labels.len())?;
        left.copy_from_slice(labels);
        right.copy_from_slice(parent);
        self.length = length;
        Some(())
    }
}
