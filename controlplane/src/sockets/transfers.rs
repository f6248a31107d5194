//! Zone transfers over TCP: who may have which, how many at once, and what became of them.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringdns_engine::name::WireName;
use ringdns_engine::rtype::rcode;
use ringdns_engine::serve::{MessageServer, TransferStart};
use ringdns_engine::snapshot::{RrsetView, Snapshot};
use ringdns_engine::transfer::{Shape, Transfer};
use ringdns_engine::verdict::Reason;
use tokio::sync::watch;

use super::stats::{Monitor, Transferred};
use crate::config::TransferConfig;
use crate::state::State;

/// Most transfers at once: each keeps a snapshot alive, and takes its turns between the queries of all others.
const TRANSFERS_MAX: usize = 16;

/// Most transfers of one address at once, so that one client that reads slowly leaves the others some.
const TRANSFERS_PER_CLIENT_MAX: usize = 4;

/// The sources that have no clusters.
const OTHER_SOURCES: [&str; 3] = ["store", "zone_files", "etcd"];

/// The name below the apex that a cluster's zone has, and its zones of addresses and of external names do not.
const CLUSTER_LABEL: &[u8] = b"dns-version";

/// Lets transfers begin.
pub(super) struct Gate {
    /// Who may have which zones.
    allowed: watch::Receiver<Arc<[TransferConfig]>>,
    /// The clients of the transfers that are under way.
    clients: Rc<RefCell<Vec<IpAddr>>>,
    /// What is counted.
    monitor: Arc<Monitor>,
}

/// What a question for a transfer came to.
pub(super) enum Answer {
    /// It is answered as any other.
    Ordinary,
    /// One message of so many bytes.
    Message(usize),
    /// A transfer.
    Sending(Box<Sending>),
}

/// A transfer that is under way; one that is dropped before its end is counted as broken.
pub(super) struct Sending {
    /// The messages.
    pub(super) transfer: Transfer,
    /// Who they go to.
    client: IpAddr,
    /// The clients of all transfers.
    clients: Rc<RefCell<Vec<IpAddr>>>,
    /// What is counted.
    monitor: Arc<Monitor>,
    /// What became of it.
    outcome: Transferred,
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sending")
            .field("zone", &self.transfer.zone())
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Sending {
    /// Notes that all was sent.
    pub(super) fn note_complete(&mut self) {
        self.outcome = Transferred::Complete;
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut clients = self.clients.borrow_mut();
        if let Some(place) = clients.iter().position(|client| *client == self.client) {
            clients.swap_remove(place);
        }
        self.monitor.transferring.store(clients.len() as u64, Ordering::Relaxed);
        self.monitor.note_transferred(self.outcome);
        tracing::debug!(zone = %self.transfer.zone(), client = %self.client, outcome = ?self.outcome, "a zone transfer has ended");
    }
}

/// A question for a transfer.
pub(super) struct Asked<'a> {
    /// The zone.
    pub(super) zone: &'a WireName,
    /// Who asks.
    pub(super) client: SocketAddr,
    /// Bytes of the question's message.
    pub(super) length: usize,
}

impl Gate {
    /// Lets those begin that are allowed, now and whenever that changes.
    pub(super) fn new(allowed: watch::Receiver<Arc<[TransferConfig]>>, monitor: Arc<Monitor>) -> Self {
        Self { allowed, clients: Rc::default(), monitor }
    }

    /// Answers a question for a transfer, which stands at the beginning of a buffer.
    pub(super) fn answer(
        &self,
        asked: &Asked<'_>,
        buffer: &mut [u8],
        server: &mut MessageServer,
        snapshot: &Arc<Snapshot>,
        state: &State,
    ) -> Result<Answer, Reason> {
        let Asked { zone, client, length } = *asked;
        let ip = client.ip().to_canonical();
        if !self.allowed.borrow().iter().any(|table| table.allows(zone, ip)) {
            // RFC 5936 section 5: by default nobody. The engine refuses, and tells what is malformed.
            self.monitor.note_transferred(Transferred::Refused);
            return Ok(Answer::Ordinary);
        }
        let (running, of_client) = {
            let clients = self.clients.borrow();
            (clients.len(), clients.iter().filter(|other| **other == ip).count())
        };
        let has_room = running < TRANSFERS_MAX && of_client < TRANSFERS_PER_CLIENT_MAX;
        let shape = has_room.then_some(|soa: RrsetView<'_>| shape(zone, soa.origin(), snapshot, state));
        let start = server.begin_transfer(client, buffer, length, snapshot, shape, &self.monitor.tcp)?;
        Ok(match start {
            TransferStart::Other => Answer::Ordinary,
            TransferStart::Answer(bytes, rcode) => {
                self.monitor.note_transferred(match rcode {
                    rcode::NOERROR => Transferred::Current,
                    rcode::NOTAUTH => Transferred::NotServed,
                    rcode::SERVFAIL if !has_room => Transferred::Busy,
                    rcode::SERVFAIL => Transferred::Unready,
                    _ => Transferred::Malformed,
                });
                Answer::Message(bytes)
            }
            TransferStart::Begun(transfer) => {
                self.clients.borrow_mut().push(ip);
                self.monitor.transferring.store(running as u64 + 1, Ordering::Relaxed);
                tracing::debug!(%zone, client = %ip, generation = transfer.generation(), "a zone transfer begins");
                let (clients, monitor) = (Rc::clone(&self.clients), Arc::clone(&self.monitor));
                let outcome = Transferred::Broken;
                Answer::Sending(Box::new(Sending { transfer: *transfer, client: ip, clients, monitor, outcome }))
            }
        })
    }
}

/// How a zone is sent.
fn shape(zone: &WireName, origin: u8, snapshot: &Snapshot, state: &State) -> Shape {
    let source = state.sources.get(usize::from(origin)).map(|source| source.name);
    let is_guest = source.is_some_and(|source| !OTHER_SOURCES.contains(&source));
    let version = zone.child(CLUSTER_LABEL).ok().filter(|_| is_guest);
    let is_cluster = version.is_some_and(|version| snapshot.node(zone, &version).is_some());
    if is_cluster { Shape::Cluster } else { Shape::Zone }
}
