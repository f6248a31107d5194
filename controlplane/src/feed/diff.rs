//! What a publication has changed on the wire: owners and zones that were touched are looked up in the snapshots before and
//! after it. What a source said counts for nothing here: another one's records may be served in the place of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringdns_engine::name::WireName;
use ringdns_engine::snapshot::edit::RrsetSpec;
use ringdns_engine::snapshot::{NodeView, RrsetView, Snapshot};

use super::{EVENTS_MAX, Event, What};
use crate::model::Change;

/// Zones and the numbers of the sources that have them.
type Zones = Arc<BTreeMap<WireName, Vec<u8>>>;

/// What a publication may have changed.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Zones and owners in them.
    owners: BTreeSet<(WireName, WireName)>,
    /// Zones that were made or removed, perhaps.
    zones: BTreeSet<WireName>,
    /// Zones with everything in them.
    whole: BTreeSet<WireName>,
    /// True where it is more than can be told.
    is_too_much: bool,
}

impl Touched {
    /// Notes what a change may change.
    pub(crate) fn note(&mut self, change: &Change) {
        match change {
            // How names are answered, not what is at them.
            Change::SetViews(_)
            | Change::SetAsterisks { .. }
            | Change::SetRules { .. }
            | Change::AddName { .. }
            | Change::RemoveName { .. }
            | Change::SetMembers(_)
            | Change::SetHealth { .. } => {}
            Change::AddZone(apex) => drop(self.zones.insert(apex.clone())),
            Change::RemoveZone(apex) => self.note_whole(apex),
            Change::ReplaceZone { apex, rrsets } => {
                self.is_too_much |= rrsets.len() > EVENTS_MAX;
                self.note_whole(apex);
            }
            Change::Put { apex, rrset } => self.note_owner(apex, &rrset.owner),
            Change::Remove { apex, owner, .. } => self.note_owner(apex, owner),
        }
    }

    /// Notes that everything in a zone may be changed.
    fn note_whole(&mut self, apex: &WireName) {
        self.zones.insert(apex.clone());
        self.whole.insert(apex.clone());
    }

    /// Notes an owner.
    fn note_owner(&mut self, apex: &WireName, owner: &WireName) {
        if self.is_too_much {
            return;
        }
        self.owners.insert((apex.clone(), owner.clone()));
        self.is_too_much = self.owners.len() > EVENTS_MAX;
    }

    /// What has changed between two moments, each a snapshot and its zones; nothing where that is more than can be told.
    pub(crate) fn events(
        mut self,
        generation: u64,
        (before, zones_before): (&Snapshot, &Zones),
        (after, zones_after): (&Snapshot, &Zones),
    ) -> Option<Vec<Event>> {
        if self.is_too_much {
            return None;
        }
        let mut events = Vec::new();
        for apex in std::mem::take(&mut self.zones) {
            let what = match (zones_before.contains_key(&apex), zones_after.contains_key(&apex)) {
                (false, true) => What::ZoneMade,
                (true, false) => What::ZoneRemoved,
                _ => continue,
            };
            events.push(Event { generation, is_last: false, apex, what });
        }
        for apex in std::mem::take(&mut self.whole) {
            if zones_after.contains_key(&apex) {
                let owners = before.nodes(&apex).chain(after.nodes(&apex)).map(|node| node.owner());
                owners.for_each(|owner| self.note_owner(&apex, &owner));
            }
        }
        if self.is_too_much {
            return None;
        }
        // What was in a zone that is gone went with it.
        for (apex, owner) in self.owners.iter().filter(|(apex, _)| zones_after.contains_key(apex)) {
            let nodes = (before.node(apex, owner), after.node(apex, owner));
            for what in changes(owner, nodes.0.as_ref(), nodes.1.as_ref()) {
                events.push(Event { generation, is_last: false, apex: apex.clone(), what });
            }
        }
        if let Some(last) = events.last_mut() {
            last.is_last = true;
        }
        Some(events).filter(|events| events.len() <= EVENTS_MAX)
    }
}

/// What has changed at an owner.
fn changes(owner: &WireName, before: Option<&NodeView<'_>>, after: Option<&NodeView<'_>>) -> Vec<What> {
    let find = |node: Option<&NodeView<'_>>, rrset: &RrsetView<'_>| {
        node.is_some_and(|node| node.rrset_in(rrset.rtype(), rrset.view()).is_some())
    };
    let what = |rrset: &RrsetView<'_>, now| What::Rrset {
        owner: owner.clone(),
        rtype: rrset.rtype(),
        view: rrset.view(),
        now,
    };
    let mut found = Vec::new();
    for gone in before.into_iter().flat_map(NodeView::rrsets).filter(|rrset| !find(after, rrset)) {
        found.push(what(&gone, None));
    }
    for now in after.into_iter().flat_map(NodeView::rrsets) {
        let former = before.and_then(|node| node.rrset_in(now.rtype(), now.view()));
        if former.is_none_or(|former| !is_same(&former, &now)) {
            found.push(what(&now, Some(Box::new(spec(&now)))));
        }
    }
    found
}

/// True where an RRset is as it was.
fn is_same(former: &RrsetView<'_>, now: &RrsetView<'_>) -> bool {
    former.ttl() == now.ttl()
        && former.origin() == now.origin()
        && former.rdatas().eq(now.rdatas())
        && former.selection() == now.selection()
}

/// An RRset of its own memory.
fn spec(rrset: &RrsetView<'_>) -> RrsetSpec {
    RrsetSpec {
        rtype: rrset.rtype(),
        ttl: rrset.ttl(),
        origin: rrset.origin(),
        rdatas: rrset.rdatas().map(<[u8]>::to_vec).collect(),
        view: rrset.view(),
        selection: rrset.selection().map(Box::new),
    }
}
