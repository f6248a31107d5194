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
pub mod edit;
mod negative;
mod node;
mod overlay;
mod rdata;
mod selection;
mod shard;
mod steps;

use std::sync::Arc;

pub(crate) use depths::{DepthSet, Depths};
pub(crate) use negative::Negative;
pub(crate) use node::{CUT, DNAME, RECORD_HEAD_BYTES, VIEWS, WILDCARD_CHILD, rdatas_of};
pub use node::{NodeView, RrsetView};

use crate::hash::Seed;
use crate::name::WireName;
use crate::prefetch::prefetch;
use crate::query::QueryName;
use crate::select::ViewTable;
use shard::{Shard, ShardView};
pub(crate) use steps::{Candidate, ShardSpot, Spot};

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
    #[inline]
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
    /// Totals over all zones.
    totals: Totals,
    /// The apexes in canonical order.
    zones: Arc<Vec<WireName>>,
    /// Which client sees which view.
    views: Arc<ViewTable>,
}

impl Snapshot {
    /// Nothing yet: every query is answered with SERVFAIL, because the data are still to come.
    pub fn empty() -> Self {
        Self::with_seed(Seed::random())
    }

    /// An empty snapshot whose hashes grow from a given seed.
    pub(crate) fn with_seed(seed: Seed) -> Self {
        let row = Arc::new(Row::empty());
        Self {
            seed,
            generation: 0,
            complete: false,
            rows: Box::new(core::array::from_fn(|_| Arc::clone(&row))),
            apexes: DepthSet::default(),
            cuts: DepthSet::default(),
            dnames: DepthSet::default(),
            soas: DepthSet::default(),
            totals: Totals::default(),
            zones: Arc::new(Vec::new()),
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

    /// The apexes in canonical order.
    pub fn zones(&self) -> Vec<WireName> {
        self.zones.to_vec()
    }

    /// The node of a name in a zone.
    pub fn node(&self, apex: &WireName, owner: &WireName) -> Option<NodeView<'_>> {
        if !apex.contains(owner) {
            return None;
        }
        let mut name = QueryName::default();
        name.take(owner.as_bytes(), self.seed).ok()?;
        self.find(&name, name.depth(), u8::try_from(apex.label_count()).ok()?)
    }

    /// All nodes of a zone, in no order. Goes through everything that is served.
    pub fn nodes(&self, apex: &WireName) -> impl Iterator<Item = NodeView<'_>> {
        let apex = apex.to_lowercase();
        let depth = u8::try_from(apex.label_count()).unwrap_or(u8::MAX);
        self.shards().flat_map(ShardView::entries).filter_map(move |(_, node, _)| {
            (node.apex_depth() == depth && apex.contains(&node.owner())).then_some(node)
        })
    }

    /// Which client sees which view.
    #[inline]
    pub(crate) fn views(&self) -> &ViewTable {
        &self.views
    }

    /// The seed that keys must grow from.
    #[inline]
    pub(crate) fn seed(&self) -> Seed {
        self.seed
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

    /// Where a name is to be looked for, if the deepest zone that it can be in is its zone. Asks the memory for the entry
    /// of its row.
    #[inline]
    pub(crate) fn spot(&self, name: &QueryName) -> Option<Spot<'_>> {
        let depth = name.depth();
        let apex_depth = u8::try_from(self.apexes.deepest(depth)?).ok()?;
        let key = name.key(depth, apex_depth);
        let (row, column) = shard::place(key);
        let row = self.rows.get(usize::from(row))?;
        prefetch(row.0.get(usize::from(column))?);
        Some(Spot { row, key, apex_depth })
    }

    /// The node of a candidate, where it is the name's and nothing above it turns the search.
    #[inline]
    pub(crate) fn confirm<'a>(&self, candidate: Candidate<'a>, name: &QueryName) -> Option<NodeView<'a>> {
        let Candidate { bytes, apex_depth } = candidate;
        let (node, _) = NodeView::decode(bytes)?;
        (node.is(name.bytes(), apex_depth) && self.is_straight(apex_depth, name.depth())).then_some(node)
    }

    /// The apex of the deepest zone that a name can be in, where that zone is there and nothing between apex and name
    /// turns the search.
    #[inline]
    pub(crate) fn zone_without_turns(&self, name: &QueryName) -> Option<NodeView<'_>> {
        let apex_depth = u8::try_from(self.apexes.deepest(name.depth())?).ok()?;
        if !self.is_straight(apex_depth, name.depth()) {
            return None;
        }
        self.find(name, usize::from(apex_depth), apex_depth)
    }

    /// True where no zone cut and no DNAME can be between an apex and a name of these depths, and every zone has its SOA
    /// record: a zone without is answered with SERVFAIL, and the long way finds out which one it is.
    #[inline]
    fn is_straight(&self, apex_depth: u8, depth: usize) -> bool {
        let above = usize::from(apex_depth);
        !self.cuts.has_between(above + 1, depth)
            && !self.dnames.has_between(above, depth)
            && self.soas.total() == self.apexes.total()
    }

    /// The node of a name's suffix in the zone whose apex has `apex_depth` labels.
    #[inline]
    pub(crate) fn find(&self, name: &QueryName, depth: usize, apex_depth: u8) -> Option<NodeView<'_>> {
        self.find_key(name.key(depth, apex_depth), name.suffix(depth), apex_depth)
    }

    /// The wildcard right below a name's suffix, in the zone whose apex has `apex_depth` labels.
    #[inline]
    pub(crate) fn find_wildcard(&self, name: &QueryName, depth: usize, apex_depth: u8) -> Option<NodeView<'_>> {
        let encloser = name.suffix(depth);
        let mut wildcard = [0; crate::limits::NAME_BYTES_MAX];
        let (asterisk, rest) = wildcard.split_first_chunk_mut::<2>()?;
        *asterisk = *b"\x01*";
        rest.get_mut(..encloser.len())?.copy_from_slice(encloser);
        self.find_key(name.wildcard_key(depth, apex_depth), wildcard.get(..encloser.len() + 2)?, apex_depth)
    }

    /// The node of a key and name.
    #[inline]
    fn find_key(&self, key: u64, name: &[u8], apex_depth: u8) -> Option<NodeView<'_>> {
        self.shard(shard::place(key))?.find(key, name, apex_depth)
    }

    /// The shard at a place.
    #[inline]
    fn shard(&self, (row, column): (u8, u8)) -> Option<ShardView<'_>> {
        self.rows.get(usize::from(row))?.get(column)
    }

    /// All shards that hold something.
    fn shards(&self) -> impl Iterator<Item = ShardView<'_>> {
        self.rows.iter().flat_map(|row| (0..=u8::MAX).filter_map(|column| row.get(column)))
    }
}
