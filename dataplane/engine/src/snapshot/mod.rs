//! The snapshot: everything that is served, immutable, under one root.
//!
//! ```text
//! root ── 256 rows ── 256 shards each ── nodes
//! ```
//!
//! Rows and shards are shared between generations: a change copies the root's row table, one row and one shard for each
//! node that it touches, whatever the size of the zones. A node is found by the key of its name and its zone, see
//! `engine::hash`; the same name may be in several zones that are nested in each other, as a different node in each.
//! Every name between an apex and an owner is a node (an empty non-terminal, if it has no RRset), so that the closest
//! encloser can be found by bisection.

mod depths;
mod draft;
pub mod edit;
mod leaves;
mod negative;
mod node;
mod open;
mod overlay;
mod rdata;
mod scan;
mod selection;
mod shard;
mod steps;

use core::net::IpAddr;
use std::sync::Arc;

pub(crate) use depths::{DepthSet, Depths};
pub(crate) use negative::Negative;
pub(crate) use node::{APEX, CUT, DNAME, NAMED, PlainNode, RECORD_HEAD_BYTES, RULED, VIEWS, WILDCARD_CHILD, rdatas_of};
pub use node::{NodeView, RrsetView};
pub(crate) use scan::{NodePlace, Scan, Scanned};

use crate::cookie::Client;
use crate::hash::Seed;
use crate::machine::BLOCK_BYTES;
use crate::name::WireName;
use crate::query::QueryName;
use crate::rules::Rules;
use crate::select::ViewTable;
use shard::{Shard, ShardView};
pub(crate) use steps::{Candidate, Lead, Spot};

/// Shards in a row, and rows in a root.
const FAN_OUT: usize = 256;

/// A row of shards; empty shards take no memory.
#[derive(Clone, Debug)]
struct Row([Option<Shard>; FAN_OUT]);

impl Row {
    /// A row without shards.
    fn empty() -> Self {
        Self([const { None }; FAN_OUT])
    }

    /// A shard.
    #[inline(always)]
    fn get(&self, column: u8) -> Option<ShardView<'_>> {
        Some(self.0.get(usize::from(column))?.as_ref()?.view())
    }

    /// Puts a shard in the place of another.
    fn set(&mut self, column: u8, shard: Option<Shard>) {
        if let Some(slot) = self.0.get_mut(usize::from(column)) {
            *slot = shard;
        }
    }

    /// Bytes of a shard.
    fn memory_bytes(&self, column: u8) -> u64 {
        self.0.get(usize::from(column)).and_then(Option::as_ref).map_or(0, Shard::memory_bytes)
    }
}

/// Totals over all zones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    /// Nodes, empty non-terminals included.
    names: u64,
    /// RRsets.
    rrsets: u64,
    /// Bytes of the shards.
    shard_bytes: u64,
}

/// Everything that is served at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// From which all hashes grow.
    seed: Seed,
    /// Number of commits before this one.
    generation: u64,
    /// False until every source has said all it knows.
    complete: bool,
    /// True once every source has said which zones it has, whatever it knows of them yet.
    zones_known: bool,
    /// The rows of shards.
    rows: Box<[Arc<Row>; FAN_OUT]>,
    /// At which depths there are apexes.
    apexes: DepthSet,
    /// At which depths there are zone cuts.
    cuts: DepthSet,
    /// At which depths there are DNAME records.
    dnames: DepthSet,
    /// At which depths there are apexes with SOA records.
    soas: DepthSet,
    /// At which depths there are apexes that lie within another zone.
    nested: DepthSet,
    /// True where nothing turns any search: no zone cut, DNAME, zone within a zone or zone without SOA record anywhere.
    straight: bool,
    /// Totals over all zones.
    totals: Totals,
    /// The apexes in canonical order.
    zones: Arc<Vec<WireName>>,
    /// The apexes of zones in which the label `*` is one like any other.
    asterisks: Arc<Vec<WireName>>,
    /// Which client sees which view.
    views: Arc<ViewTable>,
}

impl Snapshot {
    /// Nothing yet: every query is answered with SERVFAIL, because the data are still to come.
    pub fn empty() -> Self {
        let row = Arc::new(Row::empty());
        Self {
            seed: Seed::random(),
            generation: 0,
            complete: false,
            zones_known: false,
            rows: Box::new(core::array::from_fn(|_| Arc::clone(&row))),
            apexes: DepthSet::default(),
            cuts: DepthSet::default(),
            dnames: DepthSet::default(),
            soas: DepthSet::default(),
            nested: DepthSet::default(),
            straight: true,
            totals: Totals::default(),
            zones: Arc::new(Vec::new()),
            asterisks: Arc::default(),
            views: Arc::default(),
        }
    }

    /// Number of commits before this snapshot.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Number of nodes, empty non-terminals included.
    pub fn names(&self) -> u64 {
        self.totals.names
    }

    /// Number of RRsets.
    pub fn rrsets(&self) -> u64 {
        self.totals.rrsets
    }

    /// Bytes of tables and records, shared ones included.
    pub fn memory_bytes(&self) -> u64 {
        self.totals.shard_bytes + (size_of::<Self>() + FAN_OUT * size_of::<Row>()) as u64
    }

    /// False while sources are still loading: a name that is missing may yet come.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// True where a name that is in no zone is one of others: no source has a zone that is not here yet.
    #[inline]
    pub fn knows_zones(&self) -> bool {
        self.complete || self.zones_known
    }

    /// The apexes in canonical order.
    pub fn zones(&self) -> Vec<WireName> {
        self.zones.to_vec()
    }

    /// The same, shared: as long as no zone comes or goes it is the same list.
    pub fn shared_zones(&self) -> &Arc<Vec<WireName>> {
        &self.zones
    }

    /// The node of a name in a zone.
    pub fn node(&self, apex: &WireName, owner: &WireName) -> Option<NodeView<'_>> {
        if !apex.contains(owner) {
            return None;
        }
        let mut name = QueryName::default();
        name.take(owner.as_bytes()).ok()?;
        self.find(&name, name.depth(), u8::try_from(apex.label_count()).ok()?)
    }

    /// The rules of a zone; nothing where it is not there.
    pub fn rules(&self, apex: &WireName) -> Option<Rules> {
        Some(self.node(apex, apex)?.rules().map(Rules::decode).unwrap_or_default())
    }

    /// All nodes of a zone, in no order. Goes through everything that is served.
    pub fn nodes(&self, apex: &WireName) -> impl Iterator<Item = NodeView<'_>> {
        let apex = apex.to_lowercase();
        let depth = u8::try_from(apex.label_count()).unwrap_or(u8::MAX);
        self.shards().flat_map(ShardView::entries).filter_map(move |(_, node, _)| {
            (node.apex_depth() == depth && apex.contains(&node.owner())).then_some(node)
        })
    }

    /// All nodes of all zones, in no order.
    pub fn all_nodes(&self) -> impl Iterator<Item = NodeView<'_>> {
        self.shards().flat_map(ShardView::entries).map(|(_, node, _)| node)
    }

    /// The number of the view that a client sees.
    pub fn view_of(&self, client: IpAddr) -> u16 {
        self.views.of(match client {
            IpAddr::V4(address) => Client::Ipv4(address.octets()),
            IpAddr::V6(address) => Client::Ipv6(address.octets()),
        })
    }

    /// Which client sees which view.
    #[inline]
    pub(crate) fn views(&self) -> &ViewTable {
        &self.views
    }

    /// The seed that keys must grow from.
    #[inline]
    pub(crate) fn seed(&self) -> &Seed {
        &self.seed
    }

    /// At which depths there are apexes.
    #[inline]
    pub(crate) fn apexes(&self) -> &DepthSet {
        &self.apexes
    }

    /// The depths of a zone's names, above and at a name, where a zone cut or a DNAME may turn the search.
    #[inline]
    pub(crate) fn turns(&self, apex_depth: usize, depth: usize) -> Depths {
        self.cuts.between(apex_depth + 1, depth).or(self.dnames.between(apex_depth, depth))
    }

    /// The first step of the lookup of a key: asks the memory for its shard's place in the row.
    #[inline(always)]
    pub(crate) fn lead(&self, key: u64) -> Option<Lead<'_>> {
        let (row, column) = shard::place(key);
        Some(Lead::new(self.rows.get(usize::from(row))?.0.get(usize::from(column))?, key))
    }

    /// Where the node of a key probably is, without waiting for others: for lookups that come alone.
    #[inline(always)]
    pub(crate) fn candidate(&self, key: u64) -> Option<Candidate<'_>> {
        self.lead(key)?.spot()?.candidate()
    }

    /// The node of a candidate, where it is the name's and nothing above it turns the search.
    #[inline]
    pub(crate) fn confirm<'a>(&self, candidate: Candidate<'a>, name: &QueryName) -> Option<NodeView<'a>> {
        let node = NodeView::decode(candidate.bytes)?;
        (node.is(name.bytes(), node.apex_depth()) && self.leads_straight_to(node.apex_depth(), node.depth()))
            .then_some(node)
    }

    /// The apex of a name's zone, where that is there and nothing between apex and name turns the search.
    #[inline]
    pub(crate) fn zone_without_turns(&self, name: &QueryName) -> Option<NodeView<'_>> {
        let depths = self.apexes.between(0, name.depth()).rev();
        let apex = depths.filter_map(|depth| self.find(name, depth, u8::try_from(depth).ok()?)).next()?;
        self.is_straight(apex.apex_depth(), name.depth()).then_some(apex)
    }

    /// True where a node of these depths is of the zone that answers for its name, and nothing above it turns the search.
    #[inline(always)]
    pub(crate) fn leads_straight_to(&self, apex_depth: u8, depth: u8) -> bool {
        self.straight
            || (self.is_straight(apex_depth, usize::from(depth))
                && !self.nested.has_between(usize::from(apex_depth) + 1, usize::from(depth)))
    }

    /// True where no zone cut and no DNAME can be between an apex and a name of these depths, and every zone has its SOA
    /// record: a zone without is answered with SERVFAIL, and the long way finds out which one it is.
    #[inline]
    fn is_straight(&self, apex_depth: u8, depth: usize) -> bool {
        let above = usize::from(apex_depth);
        self.straight
            || (!self.cuts.has_between(above + 1, depth)
                && !self.dnames.has_between(above, depth)
                && self.soas.total() == self.apexes.total())
    }

    /// Brings up to date what follows from the zones and depths.
    fn settle(&mut self, zones_changed: bool) {
        if zones_changed {
            // In canonical order what lies within a zone follows it at once.
            let mut outer: Option<&WireName> = None;
            self.nested = DepthSet::default();
            for zone in self.zones.iter() {
                match outer {
                    Some(outer) if outer.contains(zone) => self.nested.add(zone.label_count()),
                    _ => outer = Some(zone),
                }
            }
        }
        let turns = self.cuts.total() + self.dnames.total() + self.nested.total();
        self.straight = turns == 0 && self.soas.total() == self.apexes.total();
    }

    /// The node of a name's suffix in the zone whose apex has `apex_depth` labels.
    #[inline]
    pub(crate) fn find(&self, name: &QueryName, depth: usize, apex_depth: u8) -> Option<NodeView<'_>> {
        self.find_key(name.key(depth, &self.seed), name.suffix(depth), apex_depth)
    }

    /// The wildcard right below a name's suffix, in the zone whose apex has `apex_depth` labels.
    #[inline]
    pub(crate) fn find_wildcard(&self, name: &QueryName, depth: usize, apex_depth: u8) -> Option<NodeView<'_>> {
        let encloser = name.suffix(depth);
        let mut wildcard = [0; crate::limits::NAME_BYTES_MAX + BLOCK_BYTES];
        let (asterisk, rest) = wildcard.split_first_chunk_mut::<2>()?;
        *asterisk = *b"\x01*";
        rest.get_mut(..encloser.len())?.copy_from_slice(encloser);
        self.find_made(&wildcard, encloser.len() + 2, apex_depth)
    }

    /// The node of the name of `length` bytes that starts `padded`, in lower case, in the zone whose apex has `apex_depth`
    /// labels. Whatever stands behind it does not count, but must be there up to the end of the last block.
    pub(crate) fn find_made(&self, padded: &[u8], length: usize, apex_depth: u8) -> Option<NodeView<'_>> {
        self.find_key(self.seed.name(padded, length), padded.get(..length)?, apex_depth)
    }

    /// The node of a key and name.
    #[inline]
    fn find_key(&self, key: u64, name: &[u8], apex_depth: u8) -> Option<NodeView<'_>> {
        self.shard(shard::place(key))?.find(key, name, apex_depth)
    }

    /// The shard at a place.
    #[inline(always)]
    fn shard(&self, (row, column): (u8, u8)) -> Option<ShardView<'_>> {
        self.rows.get(usize::from(row))?.get(column)
    }

    /// All shards that hold something.
    fn shards(&self) -> impl Iterator<Item = ShardView<'_>> {
        self.rows.iter().flat_map(|row| (0..=u8::MAX).filter_map(|column| row.get(column)))
    }
}
