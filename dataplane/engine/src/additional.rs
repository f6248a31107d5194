//! The additional section: addresses of the names that NS, MX and SRV records mention.

use crate::answer::Mention;
use crate::locate::locate;
use crate::query::QueryName;
use crate::rtype::{self, types};
use crate::select::Chooser;
use crate::snapshot::{CUT, DNAME, NodeView, RrsetView, Snapshot};
use crate::writer::{Full, Owner, Section, Writer, split_name};

/// Most RRsets added; more would not fit an answer over UDP.
const ADDED_RRSETS_MAX: usize = 64;

/// Adds the addresses of the names that an RRset mentions, as far as they fit. An error says that glue is missing which
/// the client cannot do without: RFC 9471 section 3.1 wants TC then.
pub(crate) fn add(
    snapshot: &Snapshot,
    mention: Mention<'_>,
    name: &mut QueryName,
    writer: &mut Writer<'_>,
    chooser: &mut Chooser<'_>,
) -> Result<(), Full> {
    let Some(layout) = rtype::rdata_names(mention.rrset.rtype()).filter(|layout| layout.wants_addresses) else {
        return Ok(());
    };
    let added = Added { rrsets: [None; ADDED_RRSETS_MAX], count: 0 };
    let mut adder = Adder { snapshot, mention, writer, chooser, added };
    let targets = || {
        let names = mention.rdatas().filter_map(|rdata| rdata.get(layout.prefix_bytes..).and_then(split_name));
        names.map(|(target, _)| target)
    };
    let Some(cut) = mention.cut else {
        // What an answer lacks here, the client asks for.
        targets().for_each(|target| adder.add(target, name).unwrap_or_default());
        return Ok(());
    };
    // RFC 9471 section 3.2: the glue of servers elsewhere is left out without TC where it does not fit "after adding glue for
    // all in-domain name servers"; so it does not take their room.
    let mut complete = Ok(());
    for target in targets().filter(|target| is_within(target, cut)) {
        complete = complete.and(adder.add(target, name));
    }
    for target in targets().filter(|target| !is_within(target, cut)) {
        adder.add(target, name).unwrap_or_default();
    }
    complete
}

/// Adds addresses, name after name.
struct Adder<'a, 'b, 'c, 'd> {
    /// What is served.
    snapshot: &'a Snapshot,
    /// What mentions the names.
    mention: Mention<'a>,
    /// The answer.
    writer: &'b mut Writer<'c>,
    /// Chooses what the client gets.
    chooser: &'b mut Chooser<'d>,
    /// What there is already.
    added: Added<'a>,
}

impl Adder<'_, '_, '_, '_> {
    /// Adds the addresses of one name; an error says that some did not fit. `name` is working memory.
    fn add(&mut self, target: &[u8], name: &mut QueryName) -> Result<(), Full> {
        if name.take(target).is_err() {
            return Ok(());
        }
        let Some(node) = addresses(self.snapshot, self.mention, name) else {
            return Ok(());
        };
        let mut complete = Ok(());
        for rtype in [types::A, types::AAAA] {
            let rrset = match self.mention.cut {
                Some(_) => self.chooser.glue(self.snapshot, node, rtype),
                None => self.chooser.rrset(self.snapshot, node, rtype),
            };
            let Some(rrset) = rrset else { continue };
            if self.added.insert(rrset) {
                let chosen = self.chooser.choose(rrset);
                let owner = Owner::Name(target);
                complete = complete.and(self.writer.put_rrset(Section::Additional, owner, rrset, chosen, None));
            }
        }
        complete
    }
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
    locate(snapshot, name, apex_depth)
}

/// True where a name is at or below another, both in wire form; case aside.
fn is_within(mut name: &[u8], ancestor: &[u8]) -> bool {
    while name.len() > ancestor.len() {
        let [length, rest @ ..] = name else { return false };
        let Some((_, parent)) = rest.split_at_checked(usize::from(*length)) else { return false };
        name = parent;
    }
    name.eq_ignore_ascii_case(ancestor)
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
