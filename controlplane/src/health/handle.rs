//! The seam for checks that run in this process: what they find goes to the cycle, and what there is to check comes from records.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ringdns_engine::name::WireName;
use tokio::sync::mpsc;

use super::{Said, owners};
use crate::compat::containerdns;
use crate::model::Change;
use crate::source::{Batch, Closed, Event};
use crate::state::State;
use crate::store::StoreHandle;

/// The number of what is no source of records.
const ORIGIN: u8 = u8::MAX;

/// Tells the control plane how addresses are, and which there are. It keeps nothing alive.
#[derive(Clone, Debug)]
pub struct Handle {
    /// The cycle's queue.
    events: mpsc::WeakSender<Event>,
    /// What is served.
    state: Arc<State>,
    /// What else records say of addresses.
    store: StoreHandle,
}

/// Addresses of records that are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// They.
    pub addresses: BTreeSet<IpAddr>,
    /// Addresses beyond the bound, which were left out.
    pub left_out: usize,
}

impl Handle {
    /// A handle to a running control plane.
    pub(crate) fn new(events: mpsc::WeakSender<Event>, state: Arc<State>, store: StoreHandle) -> Self {
        Self { events, state, store }
    }

    /// Says how addresses are, or that nothing is known of them any more; waits while the cycle is behind.
    pub async fn tell(&self, said: Vec<(IpAddr, Option<Said>)>) -> Result<(), Closed> {
        let events = self.events.upgrade().ok_or(Closed)?;
        let batch = Batch { origin: ORIGIN, changes: vec![Change::SetMembers(said)], done: None };
        events.send(Event::Batch(batch)).await.map_err(|_| Closed)
    }

    /// The generation of what is served: where it is the same, so are records.
    pub fn generation(&self) -> u64 {
        self.state.snapshot().generation()
    }

    /// The addresses of all A and AAAA records in some zones and below them, the smallest ones of more than `max`. Goes through
    /// everything that is served: for a thread that may block.
    pub fn records(&self, zones: &[WireName], max: usize) -> Records {
        let snapshot = self.state.snapshot();
        let mut addresses = BTreeSet::new();
        for node in snapshot.all_nodes() {
            let rrsets = node.rrsets().map(|rrset| (rrset, rrset.rtype()));
            let found =
                rrsets.flat_map(|(rrset, rtype)| rrset.rdatas().filter_map(move |rdata| owners::address(rtype, rdata)));
            let mut found = found.peekable();
            if found.peek().is_some() && zones.iter().any(|zone| zone.contains(&node.owner())) {
                addresses.extend(found);
            }
        }
        let left_out = addresses.len().saturating_sub(max);
        let addresses = if left_out > 0 { addresses.into_iter().take(max).collect() } else { addresses };
        Records { addresses, left_out }
    }

    /// The addresses that the record interface of ContainerDNS has put down in the store to be looked after, each with its ports;
    /// none where the store cannot be read.
    pub async fn monitored(&self) -> Vec<(IpAddr, Vec<String>)> {
        self.store.read(containerdns::monitored).await.unwrap_or_default()
    }
}
