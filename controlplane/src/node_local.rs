//! What a node's own DNS shows in the metrics.

use std::fmt::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use prometheus_client::encoding::DescriptorEncoder;

use crate::metrics::{counter, gauge};

/// What failed of a node's own DNS. The words are those of NodeLocal DNSCache, so that its alerts go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// The interface, or an address of it, could not be made.
    InterfaceAdd,
    /// It could not be looked at.
    InterfaceCheck,
    /// The rules could not be set. They are nftables' here.
    Rules,
}

impl SetupError {
    /// All of them.
    const ALL: [(Self, &str); 3] =
        [(Self::InterfaceAdd, "interface_add"), (Self::InterfaceCheck, "interface_check"), (Self::Rules, "iptables")];
}

/// How a node's own DNS does.
#[derive(Debug, Default)]
pub struct NodeLocalGauges {
    /// What failed, in the order of [`SetupError::ALL`].
    errors: [AtomicU64; SetupError::ALL.len()],
    /// Whether Pods' packets come here.
    redirects: AtomicBool,
}

impl NodeLocalGauges {
    /// Counts a failure.
    pub fn count(&self, error: SetupError) {
        for (counter, _) in self.errors.iter().zip(SetupError::ALL).filter(|(_, (kind, _))| *kind == error) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often something has failed.
    pub fn count_of(&self, error: SetupError) -> u64 {
        let counters = self.errors.iter().zip(SetupError::ALL).filter(|(_, (kind, _))| *kind == error);
        counters.map(|(counter, _)| counter.load(Ordering::Relaxed)).sum()
    }

    /// Notes whether Pods' packets come here.
    pub fn set_redirects(&self, redirects: bool) {
        self.redirects.store(redirects, Ordering::Relaxed);
    }

    /// Writes the metrics.
    pub(crate) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let rows = SetupError::ALL.iter().zip(&self.errors);
        let rows =
            rows.map(|((_, word), count)| (vec![("errortype", (*word).to_owned())], count.load(Ordering::Relaxed)));
        let help = "Failures to set up what brings the Pods of this node here, by what failed.";
        counter(encoder, "coredns_nodecache_setup_errors", help, rows)?;
        let redirects = f64::from(u8::from(self.redirects.load(Ordering::Relaxed)));
        let help = "1 while packets of this node for the addresses of node_local come here.";
        gauge(encoder, "ringdns_node_local_redirects", help, [(Vec::new(), redirects)])
    }
}
