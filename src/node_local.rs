//! The node's own DNS, where the configuration has it: set up before the sockets, redirected to while they answer.

use std::time::Instant;

use ringdns_controlplane::ControlPlane;
use ringdns_controlplane::config::Config;
use ringdns_dataplane::dpdk::open_tun;
use ringdns_nodelocal::{NodeLocal, StartError};

/// Addresses and rules of the node; nothing where there are none. They go when this is dropped.
pub struct OnNode(Option<NodeLocal>);

impl OnNode {
    /// Makes the interface.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        config.node_local.as_ref().map(|node_local| NodeLocal::start(node_local, open_tun)).transpose().map(Self)
    }

    /// Has the metrics show it.
    pub fn show(&self, control: &ControlPlane) {
        if let Some(node_local) = &self.0 {
            control.show_node_local(node_local.gauges());
        }
    }

    /// Brings packets here while they are answered, and mends what others have changed; to be called at intervals.
    pub fn look(&mut self, control: &ControlPlane) {
        if let Some(node_local) = &mut self.0 {
            node_local.look(control.is_answering(), Instant::now());
        }
    }

    /// Leaves packets to the cluster's own DNS, before the sockets close. What has arrived is answered.
    pub fn withdraw(&mut self) {
        if let Some(node_local) = &mut self.0 {
            node_local.withdraw();
        }
    }
}
