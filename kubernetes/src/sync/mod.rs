//! A cluster's records written through to etcd, for servers outside of the cluster: what kube2sky and containerdns-kubeapi did.
//!
//! ```text
//! API server --> watches --> objects --> layout --> wanted --+
//!                                                           look --> transactions, bound to the leader's lock --> etcd
//!               etcd --> watches --> records, ledger, states +                                                    |
//!                 ^-----------------------------------------------------------------------------------------------+
//! ```
//!
//! A unit is what is written in one transaction: the records of a Service or of a Pod, the state of an address. Whenever something
//! has happened to one, in the cluster or in etcd, `look` compares what is to be with what is there, and what differs is written: new
//! values and deleted ones together, so that nobody ever sees a Service without addresses. Nothing is written before everything is
//! known, so what was deleted while nobody looked is found out by the ledger, and what could not be listed deletes nothing.
//!
//! Each write is on the condition that its keys are as they were seen, and that the lock of who leads is still the one that was
//! taken. What was written is believed once the watch brings it.

mod board;
mod layout;
mod ledger;
mod look;
mod queue;
mod runner;
mod state;
mod status;
mod unit;

#[cfg(test)]
mod tests;

pub use runner::{ClusterWriter, StartError};
pub use state::SyncState;
