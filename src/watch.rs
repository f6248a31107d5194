//! Looks after the ports while they are served: link and the devices' own counters, for the log and the metrics.

use std::sync::Arc;

use ringdns_controlplane::ports::PortGauges;
use ringdns_dataplane::dpdk::{Link, Port};

/// The ports, and what was last seen of each.
pub struct PortWatch(Vec<Watched>);

/// One port.
struct Watched {
    /// The port.
    port: Port,
    /// Its link when it was last looked at; none before that.
    link: Option<Link>,
    /// What is shown of it.
    gauges: Arc<PortGauges>,
}

impl PortWatch {
    /// Watches ports from now on.
    pub fn new(ports: Vec<Port>) -> Self {
        let watched = |port: Port| Watched { link: None, gauges: Arc::new(PortGauges::new(port.name())), port };
        let mut watch = Self(ports.into_iter().map(watched).collect());
        watch.look();
        watch
    }

    /// What is shown of the ports.
    pub fn gauges(&self) -> Vec<Arc<PortGauges>> {
        self.0.iter().map(|watched| Arc::clone(&watched.gauges)).collect()
    }

    /// Looks at every port; to be called at intervals. A link that went up or down is told once.
    pub fn look(&mut self) {
        for watched in &mut self.0 {
            // A driver that does not tell leaves what was known last.
            if let Ok(link) = watched.port.link() {
                watched.see(link);
            }
            if let Ok(statistics) = watched.port.statistics() {
                let gauges = &watched.gauges;
                gauges.rx_missed.set(statistics.rx_missed);
                gauges.rx_errors.set(statistics.rx_errors);
                gauges.rx_without_buffer.set(statistics.rx_without_mbuf);
                gauges.tx_errors.set(statistics.tx_errors);
            }
        }
    }
}

impl Watched {
    /// Notes how the link is now.
    fn see(&mut self, link: Link) {
        let port = self.port.name();
        // DPDK's number for a speed that is not known.
        let speed_mbps = if link.speed_mbps == u32::MAX { 0 } else { link.speed_mbps };
        match (self.link, link) {
            (Some(before), now) if before.up == now.up => {}
            (None, Link { up: true, .. }) => {}
            (_, Link { up: true, .. }) => tracing::info!(port, speed_mbps, "link is up"),
            (_, Link { up: false, .. }) => tracing::warn!(port, "link is down: no query comes in by this port"),
        }
        self.link = Some(link);
        self.gauges.link_up.set(u64::from(link.up));
        self.gauges.speed_mbps.set(u64::from(speed_mbps));
    }
}
