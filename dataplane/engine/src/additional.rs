//! The additional section: addresses of the names that NS, MX and SRV records mention.

use crate::answer::{self, Mention};
use crate::query::QueryName;
use crate::rtype::{self, types};
use crate::snapshot::{CUT, DNAME, NodeView, RrsetView, Snapshot};
use crate::writer::{Full, Owner, Section, Writer, split_name};

/// Most RRsets added; more would not fit an answer over UDP.
const ADDED_RRSETS_MAX: usize = 64;

/// Adds the addresses of the names that an RRset mentions, as far as they fit. An error says that glue is missing which
/// the client cannot do without: RFC 9471 section 2.2 wants TC then.
pub(crate) fn add(
    snapshot: &Snapshot,
    mention: Mention<'_>,
    name: &mut QueryName,
    writer: &mut Writer<'_>,
) -> Result<(), Full> {
    let Some(layout) = rtype::rdata_names(mention.rrset.rtype()).filter(|layout| layout.wants_addresses) else {
        return Ok(());
    };
    let mut added = Added { rrsets: [None; ADDED_RRSETS_MAX], count: 0 };
    let mut complete = Ok(());
    for rdata in mention.rrset.rdatas() {
        let Some((target, _)) = rdata.get(layout.prefix_bytes..).and_then(split_name) else {
            continue;
        };
        if name.take(target, snapshot.seed()).is_err() {
            continue;
        }
        let Some(node) = addresses(snapshot, mention, name) else {
            continue;
        };
        for rtype in [types::A, types::AAAA] {
            let Some(rrset) = node.rrset(rtype) else { continue };
            if !added.insert(rrset) {
                continue;
            }
            let written = writer.put_rrset(Section::Additional, Owner::Name(target), rrset, None);
            if written.is_err() && mention.cut.is_some_and(|cut| is_within(name, cut)) {
                complete = Err(Full);
            }
        }
    }
    complete
}

/// The node that has the addresses of a name, where it is of the same zone.
fn addresses<'a>(snapshot: &'a Snapshot, mention: Mention<'a>, name: &QueryName) -> Option<NodeView<'a>> {
    let apex_depth = mention.zone.depth;
    if name.depth() < usize::from(apex_depth) || name.suffix(usize::from(apex_depth)) != mention.zone.apex.name() {
        return None;
    }
    for depth in snapshot.turns(usize::from(apex_depth), name.depth()) {
        let Some(node) = snapshot.find(name, depth, apex_depth) else {
            break;
        };
        // Below a zone cut a name has glue at most, and no wildcard stands for it.
        if node.has(CUT) {
            return snapshot.find(name, name.depth(), apex_depth);
        }
        // RFC 6672 section 2.4: what stands below a DNAME record is not part of the zone.
        if node.has(DNAME) && depth < name.depth() {
            return None;
        }
    }
    answer::locate(snapshot, name, apex_depth)
}

/// True where a name is at or below another.
fn is_within(name: &QueryName, ancestor: &[u8]) -> bool {
    (0..=name.depth()).any(|depth| name.suffix(depth) == ancestor)
}

/// The RRsets added so far: none is added twice.
struct Added<'a> {
    /// Their records, which tell RRsets apart by where they lie.
    rrsets: [Option<&'a [u8]>; ADDED_RRSETS_MAX],
    /// How many there are.
    count: usize,
}

impl<'a> Added<'a> {
    /// Takes note of an RRset; false where it is there already, or where there are enough.
    fn insert(&mut self, rrset: RrsetView<'a>) -> bool {
        let records = rrset.records();
        if self.rrsets.iter().take(self.count).flatten().any(|&present| core::ptr::eq(present, records)) {
            return false;
        }
        match self.rrsets.get_mut(self.count) {
            Some(slot) => {
                *slot = Some(records);
                self.count += 1;
                true
            }
            None => false,
        }
    }
}
