//! The answer to a query, by the algorithm of RFC 1034 section 4.3.2 on an immutable snapshot.

use crate::additional;
use crate::chain::{MadeName, Places};
use crate::cookie::Client;
use crate::limits::CHAIN_STEPS_MAX;
use crate::locate::{Zone, locate, zone_above, zone_of};
use crate::query::{FLAG_AA, FLAG_RA, FLAG_TC, Query, QueryName};
use crate::recall::{Recall, Wanted};
use crate::rtype::{rcode, types};
use crate::rules::{Dangling, REFUSE_ANY, has_whole_names, is_for_others};
use crate::select::{Chooser, Turns, Window};
use crate::snapshot::{CUT, DNAME, NodeView, RULED, RrsetView, Snapshot};
use crate::writer::{Full, Owner, QNAME_OFFSET, Section, Writer};

/// Working memory of an answer, reused for ever.
#[derive(Default)]
pub(crate) struct Scratch {
    /// The name that a chain has come to, or whose addresses are looked for.
    pub name: QueryName,
    /// A name made by a DNAME record.
    synthesized: MadeName,
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
    /// Where it comes from.
    pub origin: Origin,
}

/// Where an answer comes from, or why there is none yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From what is served here alone.
    #[default]
    Ours,
    /// At least in part out of the cache.
    Cache,
    /// The client may not ask for names of others.
    Denied,
    /// The same, and gets no answer.
    Dropped,
    /// Nothing is known of the question's name, which is one of others: the forwarder is to ask them.
    Forwarder,
    /// The same of the name in [`Scratch::name`], to which an alias of ours has led.
    ForwarderByAlias,
}

impl Outcome {
    /// An answer.
    pub(crate) const fn new(rcode: u16, flags: u16) -> Self {
        Self { rcode, flags, origin: Origin::Ours }
    }
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
pub(crate) enum Step<'a> {
    /// The answer is as far as it goes.
    Done(u16),
    /// The search goes on at the target of a CNAME record.
    Chase(&'a [u8]),
    /// The search goes on at the name that a DNAME record made.
    ChaseSynthesized,
    /// The zone has not got the name, and leaves it to the one above.
    Above,
    /// The name is one of others, of whom it can be had.
    Others,
}

/// What a node has for a question.
pub(crate) enum Pick<'a> {
    /// An RRset of the type.
    Rrset(RrsetView<'a>),
    /// A CNAME record.
    Alias(RrsetView<'a>),
    /// Neither.
    Nothing,
}

/// Answers a query into a writer that stands behind the question. `hidden` is the type that is shown to nobody, or 0; `others`
/// have what is not in any zone.
pub(crate) fn answer(
    query: &Query,
    client: Client,
    hidden: u16,
    snapshot: &Snapshot,
    scratch: &mut Scratch,
    writer: &mut Writer<'_>,
    others: Option<&Recall>,
) -> Outcome {
    let Scratch { name, synthesized, turns } = scratch;
    let chooser = Chooser::new(client, turns, hidden);
    let mut walk = Walk {
        snapshot,
        qtype: query.qtype,
        writer,
        chooser,
        synthesized,
        flags: 0,
        mention: None,
        aliases: Places::default(),
        dnames: Places::default(),
        dangling: None,
        asks_others: others.is_some(),
    };
    walk.aliases.add(QNAME_OFFSET);
    let mut step = walk.first(&query.name, name);
    for _ in 0..CHAIN_STEPS_MAX {
        let target = match step {
            Step::Done(_) | Step::Above | Step::Others => break,
            Step::Chase(target) => target,
            Step::ChaseSynthesized => {
                // The name is needed as an owner while the next one may be made.
                let copy = *walk.synthesized;
                if walk.has_been_at(copy.bytes()) || name.take(copy.bytes()).is_err() {
                    break;
                }
                step = walk.step(name, Owner::Name(copy.bytes()), None);
                continue;
            }
        };
        if walk.has_been_at(target) || name.take(target).is_err() {
            break;
        }
        step = walk.step(name, Owner::Name(target), None);
    }
    if let (Step::Others, Some(others)) = (&step, others) {
        let name_at = walk.aliases.last();
        let is_alias = name_at != QNAME_OFFSET;
        let name = if is_alias { &*name } else { &query.name };
        let wanted = Wanted { query, client, hidden, name, name_at };
        let outcome = others.answer(wanted, snapshot, walk.writer);
        return if is_alias { walk.behind_alias(outcome) } else { outcome };
    }
    // A chain that is too long, or comes back to where it was, ends where it is: the client may go on from there.
    let rcode = walk.settle_dangling(if let Step::Done(rcode) = step { rcode } else { rcode::NOERROR });
    if let Some(mention) = walk.mention.filter(|_| walk.flags & FLAG_TC == 0)
        && additional::add(snapshot, mention, name, walk.writer, &mut walk.chooser).is_err()
    {
        walk.flags |= FLAG_TC;
    }
    let is_of_zone = matches!(rcode, rcode::NOERROR | rcode::NXDOMAIN | rcode::YXDOMAIN);
    let flags = if is_of_zone { walk.flags } else { walk.flags & FLAG_TC };
    Outcome::new(rcode, flags)
}

/// A walk through the zones.
pub(crate) struct Walk<'a, 'b, 'c> {
    /// What is served.
    pub snapshot: &'a Snapshot,
    /// The type asked for.
    pub qtype: u16,
    /// The answer.
    pub writer: &'b mut Writer<'c>,
    /// Chooses among records and views.
    pub chooser: Chooser<'b>,
    /// The name that a DNAME record made last.
    synthesized: &'b mut MadeName,
    /// AA and TC so far.
    pub flags: u16,
    /// The last RRset whose names want addresses.
    mention: Option<Mention<'a>>,
    /// Where the names of the chain stand, the question's first.
    pub aliases: Places,
    /// Where the owners of the DNAME records stand.
    dnames: Places,
    /// The CNAME record that a rule takes back where nothing comes of it.
    pub dangling: Option<Dangling<'a>>,
    /// Whether names of others can be had of them.
    asks_others: bool,
}

impl<'a> Walk<'a, '_, '_> {
    /// The first step: from the question's name. `spare` is working memory.
    fn first(&mut self, name: &QueryName, spare: &mut QueryName) -> Step<'a> {
        match self.qtype {
            // Not in a query: RFC 6891 section 6.1.1; transfers go over TCP, and not to everybody: RFC 5936 section 4.2.
            types::OPT => Step::Done(rcode::FORMERR),
            types::AXFR | types::IXFR => Step::Done(rcode::REFUSED),
            types::MAILA | types::MAILB => Step::Done(rcode::NOTIMP),
            _ => self.step(name, Owner::Question, Some(spare)),
        }
    }

    /// True where the chain comes back to one of its names: going on would repeat records, and no RRset has a record twice
    /// (RFC 2181 section 5). Else the name, which was written last, is one of them.
    fn has_been_at(&mut self, target: &[u8]) -> bool {
        let is_known = self.aliases.hold(self.writer, target);
        self.aliases.add(self.writer.last_rdata());
        is_known
    }

    /// One step: the data of one name, or where to go from there. `spare` is working memory, which comes with the first.
    #[inline]
    fn step(&mut self, name: &QueryName, owner: Owner<'_>, mut spare: Option<&mut QueryName>) -> Step<'a> {
        let mut next = zone_of(self.snapshot, name, self.qtype);
        // What is in no zone is known to be there in none before all that zones have is known.
        let mut is_known = self.snapshot.knows_zones();
        while let Some(zone) = next {
            match self.step_in(zone, name, owner, spare.as_deref_mut()) {
                Step::Above => next = zone_above(self.snapshot, name, zone.depth),
                Step::Others => break,
                step => return step,
            }
            is_known = self.snapshot.is_complete();
        }
        self.note_zone(None);
        match (is_known, self.asks_others) {
            // The zone, or the name in it, may still be loading.
            (false, _) => Step::Done(rcode::SERVFAIL),
            (true, true) => Step::Others,
            (true, false) if spare.is_some() => Step::Done(rcode::REFUSED),
            (true, false) => Step::Done(rcode::NOERROR),
        }
    }

    /// What an answer comes to whose alias leads to a name of others.
    fn behind_alias(&self, outcome: Outcome) -> Outcome {
        // RFC 6604 has AA for the first owner, which is ours (section 2), and the response code for the last name (section 3). AD
        // would be said of the alias too.
        let is_answer = matches!(outcome.rcode, rcode::NOERROR | rcode::NXDOMAIN);
        let ours = self.flags & if is_answer { FLAG_AA | FLAG_TC } else { FLAG_TC };
        Outcome { flags: ours | outcome.flags & (FLAG_RA | FLAG_TC), ..outcome }
    }

    /// One step in a zone.
    #[inline]
    fn step_in(
        &mut self,
        zone: Zone<'a>,
        name: &QueryName,
        owner: Owner<'_>,
        spare: Option<&mut QueryName>,
    ) -> Step<'a> {
        if zone.apex.rrset(types::SOA).is_none() {
            return if is_for_others(zone.apex) { Step::Others } else { Step::Done(rcode::SERVFAIL) };
        }
        self.note_zone(Some(zone));
        let first = spare.is_some();
        if first {
            if self.qtype == types::ANY && zone.apex.rules().is_some_and(|rules| rules.has(REFUSE_ANY)) {
                return Step::Done(rcode::REFUSED);
            }
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
        if zone.apex.has(RULED) {
            return self.step_by_rules(zone, name, owner, spare);
        }
        match locate(self.snapshot, name, zone.depth) {
            Some(node) => self.data(zone, node, owner),
            None => self.negative(zone, rcode::NXDOMAIN),
        }
    }

    /// Answers from the node of the name, or of the wildcard that stands for it.
    #[inline]
    pub(crate) fn data(&mut self, zone: Zone<'a>, node: NodeView<'a>, owner: Owner<'_>) -> Step<'a> {
        match self.pick(zone, node) {
            Pick::Rrset(rrset) => {
                self.dangling = None;
                // The chain came by way of this very DNAME record: it is in the answer.
                if let (types::DNAME, Owner::Name(name)) = (rrset.rtype(), owner)
                    && self.dnames.hold(self.writer, name)
                {
                    return Step::Done(rcode::NOERROR);
                }
                self.put_mentioning(Section::Answer, owner, Mention { rrset, chosen: None, zone, cut: None });
                Step::Done(rcode::NOERROR)
            }
            Pick::Alias(cname) => {
                let before = self.writer.mark();
                match (self.put(Section::Answer, owner, cname, None), cname.rdatas().next()) {
                    (Ok(()), Some(target)) => {
                        self.note_alias(zone, before);
                        Step::Chase(target)
                    }
                    _ => Step::Done(rcode::NOERROR),
                }
            }
            Pick::Nothing => self.negative(zone, rcode::NOERROR),
        }
    }

    /// What a node of a zone has for the question.
    #[inline]
    pub(crate) fn pick(&mut self, zone: Zone<'a>, node: NodeView<'a>) -> Pick<'a> {
        let wanted = match self.qtype {
            // RFC 8482 section 4.1: one RRset is enough of an answer to ANY.
            types::ANY => self.chooser.first_rrset(self.snapshot, node),
            qtype => self.chooser.rrset(self.snapshot, node, qtype),
        };
        if let Some(rrset) = wanted {
            return Pick::Rrset(rrset);
        }
        match self.chooser.rrset(self.snapshot, node, types::CNAME) {
            Some(cname) if !self.is_barred(zone) => Pick::Alias(cname),
            _ => Pick::Nothing,
        }
    }

    /// NXDOMAIN or NODATA: the SOA record says for how long (RFC 2308 section 3: the smaller of its TTL and MINIMUM). What is
    /// missing while sources are loading may yet come.
    pub(crate) fn negative(&mut self, zone: Zone<'a>, rcode: u16) -> Step<'a> {
        let is_true = self.snapshot.is_complete() || (rcode == rcode::NOERROR && has_whole_names(zone));
        let rcode = if is_true { rcode } else { rcode::SERVFAIL };
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
        self.dangling = None;
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
