//! The choice for one query.

use core::hash::BuildHasher as _;

use super::generator::Generator;
use super::rendezvous::Draw;
use super::table::Table;
use super::{Mode, VIEW_DEFAULT, client_hash};
use crate::cookie::Client;
use crate::rtype::types;
use crate::snapshot::{NodeView, RECORD_HEAD_BYTES, RrsetView, Snapshot, VIEWS};

/// Counters of turns: RRsets that are asked for in turns (A and AAAA of a name are) should not share one, by which each
/// would give the same member for ever.
const TURNS: usize = 1024;

/// What a worker needs for its choices.
#[derive(Debug)]
pub(crate) struct Turns {
    /// Whose turn it is, by RRset. They begin anywhere: otherwise what is asked for seldom always gave its first member.
    counters: Box<[u32; TURNS]>,
    /// Chooses by chance.
    generator: Generator,
}

impl Default for Turns {
    fn default() -> Self {
        let mut generator = Generator::new(std::hash::RandomState::new().hash_one(0u64));
        Self { counters: Box::from([0; TURNS].map(|_| generator.next())), generator }
    }
}

impl Turns {
    /// Whose turn it is among `count`, which is not 0.
    #[inline]
    fn next(&mut self, turn: u16, count: u16) -> u16 {
        let Some(counter) = self.counters.get_mut(usize::from(turn) % TURNS) else { return 0 };
        *counter = counter.wrapping_add(1);
        u16::try_from(*counter % u32::from(count.max(1))).unwrap_or_default()
    }

    /// Any of `count`.
    #[inline]
    fn by_chance(&mut self, count: u16) -> u16 {
        u16::try_from(self.generator.below(u32::from(count))).unwrap_or_default()
    }
}

/// Which of its choices an RRset is answered with: so many from one on, the first again after the last.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    /// The RRset's table.
    table: Table<'a>,
    /// The first.
    first: u16,
    /// How many.
    count: u16,
}

impl<'a> Window<'a> {
    /// All that an RRset with a selection may be answered with; nothing where it has none.
    pub(crate) fn all(rrset: RrsetView<'a>) -> Option<Self> {
        let table = if rrset.is_selected() { Table::of(rrset.records())? } else { return None };
        Some(table.len()).filter(|&count| count > 0).map(|count| Self { table, first: 0, count })
    }

    /// How many records these are.
    #[inline]
    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    /// The records as they are stored.
    #[inline]
    pub(crate) fn records(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let Self { table, first, count } = *self;
        (0..count).map_while(move |index| table.record(usize::from(first) + usize::from(index)))
    }

    /// Their rdata, names uncompressed.
    #[inline]
    pub(crate) fn rdatas(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.records().filter_map(|record| record.get(RECORD_HEAD_BYTES..))
    }
}

/// Chooses for one query.
pub(crate) struct Chooser<'a> {
    /// Who asks.
    client: Client,
    /// The worker's.
    turns: &'a mut Turns,
    /// The client's view, once it was looked up.
    view: Option<u16>,
    /// The type that is shown to nobody; 0, which no record has: all are shown.
    hidden: u16,
}

impl<'a> Chooser<'a> {
    /// Chooses for a client, to whom one type is not shown; 0: all are.
    #[inline]
    pub(crate) fn new(client: Client, turns: &'a mut Turns, hidden: u16) -> Self {
        Self { client, turns, view: None, hidden }
    }

    /// True where a type is not shown.
    #[inline]
    pub(crate) fn hides(&self, rtype: u16) -> bool {
        self.hidden == rtype
    }

    /// What an RRset is answered with; nothing where it has no selection.
    #[inline]
    pub(crate) fn choose<'b>(&mut self, rrset: RrsetView<'b>) -> Option<Window<'b>> {
        if rrset.is_selected() { self.choose_from(Table::of(rrset.records())?) } else { None }
    }

    /// The choice from a table.
    fn choose_from<'b>(&mut self, table: Table<'b>) -> Option<Window<'b>> {
        let choices = Some(table.len()).filter(|&choices| choices > 0)?;
        let (first, count) = match Mode::of(table.mode) {
            Mode::All => (0, choices),
            Mode::Rotate => (self.turns.next(table.turn, choices), choices),
            Mode::RoundRobin => (self.turns.next(table.turn, choices), 1),
            Mode::Weighted => (table.above(self.turns.generator.below(table.weights())), 1),
            Mode::SourceHash => (remainder(self.client, choices), 1),
            Mode::Random => (self.turns.by_chance(choices), 1),
            Mode::Sticky => (sticky(self.client, &table), 1),
        };
        let count = if table.answers_max == 0 { count } else { count.min(table.answers_max) };
        Some(Window { table, first, count })
    }

    /// What the client gets to see of an RRset's type at a node; nothing where it is withheld because all its records are down.
    #[inline]
    pub(crate) fn rrset<'b>(&mut self, snapshot: &Snapshot, node: NodeView<'b>, rtype: u16) -> Option<RrsetView<'b>> {
        self.glue(snapshot, node, rtype).filter(|rrset| !rrset.is_withheld())
    }

    /// The same of a name server's addresses in a referral, which are never withheld: nobody finds a zone without them.
    #[inline]
    pub(crate) fn glue<'b>(&mut self, snapshot: &Snapshot, node: NodeView<'b>, rtype: u16) -> Option<RrsetView<'b>> {
        if self.hides(rtype) {
            return None;
        }
        if node.has(VIEWS) { seen(node, self.view(snapshot), rtype) } else { node.rrset(rtype) }
    }

    /// The first RRset of a node that the client gets to see.
    pub(crate) fn first_rrset<'b>(&mut self, snapshot: &Snapshot, node: NodeView<'b>) -> Option<RrsetView<'b>> {
        node.rrsets().find_map(|rrset| self.rrset(snapshot, node, rrset.rtype()))
    }

    /// The client's view.
    fn view(&mut self, snapshot: &Snapshot) -> u16 {
        *self.view.get_or_insert_with(|| snapshot.views().of(self.client))
    }
}

/// The RRset of a type that a view shows at a node: its own, or that of the default view. RFC 2181 section 10.1 holds for
/// what a view shows: where it has a CNAME of its own, that is all; where it has anything else of its own, no CNAME of the
/// default view comes beside it.
pub(crate) fn seen(node: NodeView<'_>, view: u16, rtype: u16) -> Option<RrsetView<'_>> {
    let of = |view: u16| node.rrset_in(rtype, view);
    if view == VIEW_DEFAULT {
        return of(VIEW_DEFAULT);
    }
    if let Some(own) = of(view) {
        return Some(own);
    }
    let mut others = node.rrsets().filter(|rrset| rrset.view() == view);
    let hides_default = match rtype {
        types::CNAME => others.any(|rrset| !matches!(rrset.rtype(), types::RRSIG | types::NSEC)),
        _ => others.any(|rrset| rrset.rtype() == types::CNAME),
    };
    if hides_default { None } else { of(VIEW_DEFAULT) }
}

/// A client's address as a little-endian number, modulo the number of choices: how kdns chooses by source.
#[inline]
fn remainder(client: Client, choices: u16) -> u16 {
    let choices = choices.max(1);
    let index = match client {
        Client::Ipv4(octets) => u128::from(u32::from_le_bytes(octets) % u32::from(choices)),
        Client::Ipv6(octets) => u128::from_le_bytes(octets) % u128::from(choices),
    };
    u16::try_from(index).unwrap_or_default()
}

/// The choice that has a client.
fn sticky(client: Client, table: &Table<'_>) -> u16 {
    let client = client_hash(client);
    let mut best: Option<(u16, Draw)> = None;
    let mut before = 0;
    for (index, choice) in (0..).zip(table.choices()) {
        let draw = Draw::new(client, choice.hash, choice.cumulated.wrapping_sub(before));
        before = choice.cumulated;
        if best.is_none_or(|(_, best)| draw.beats(&best)) {
            best = Some((index, draw));
        }
    }
    best.map_or(0, |(index, _)| index)
}
