//! The interfaces of the kernel that ports have: made, watched, ended.

use std::sync::Arc;

use ringdns_controlplane::config::{KernelKind, PortConfig};
use ringdns_controlplane::ports::PortGauges;
use ringdns_dataplane::dpdk::{DpdkError, Eal, KernelDevice, Mbuf, Port, PortQueue, open_kernel_interface};
use ringdns_dataplane::kernel::interface::set_carrier;
use ringdns_dataplane::kernel::{KernelCounters, KernelLane, KernelPath, KernelPort};

/// Ways to the kernel, one for each queue pair of a port; none where the port has no kernel path.
pub type KernelLanes = Vec<Option<KernelLane<Mbuf>>>;

/// The interfaces of all ports.
#[derive(Default)]
pub struct KernelInterfaces {
    /// What the kernel path's thread will serve.
    ports: Vec<KernelPort<PortQueue>>,
    /// What the kernel knows of each port's link.
    links: Vec<Carrier>,
}

/// The link of a port, as its interface in the kernel has it.
struct Carrier {
    /// The port.
    port: Port,
    /// The interface; it goes when this is dropped.
    _interface: Port,
    /// Its name.
    name: String,
    /// What the kernel was told.
    up: bool,
    /// What passed.
    counters: Arc<KernelCounters>,
}

impl KernelInterfaces {
    /// Makes the interface of a port, if it is to have one, and gives the workers' ends.
    pub fn open(
        &mut self,
        eal: &Eal,
        port: &Port,
        config: &PortConfig,
        queues: usize,
    ) -> Result<KernelLanes, DpdkError> {
        let Some(kernel) = &config.kernel else {
            return Ok((0..queues).map(|_| None).collect());
        };
        let (name, number) = (kernel.interface.clone(), self.links.len());
        let (preferred, otherwise) = match kernel.kind {
            KernelKind::Vhost => (None, KernelDevice::Vhost),
            KernelKind::Tap => (None, KernelDevice::Tap),
            KernelKind::Auto => (KernelDevice::has_vhost().then_some(KernelDevice::Vhost), KernelDevice::Tap),
        };
        let open =
            |device| open_kernel_interface(eal, port, number, &name, device, queues).map(|opened| (device, opened));
        let first = preferred.map(open).transpose().unwrap_or_else(|error| {
            tracing::warn!(interface = name, "vhost cannot be had, a TAP device takes its place: {error}");
            None
        });
        let (device, (interface, queue)) = first.map_or_else(|| open(otherwise), Ok)?;
        tracing::info!(port = port.name(), interface = name, device = device.name(), "kernel path is open");
        if interface.mtu() < port.mtu() {
            tracing::warn!(
                interface = name,
                mtu = interface.mtu(),
                port_mtu = port.mtu(),
                "larger frames do not reach the kernel by a TAP device: set kernel = \"vhost\", or the port's mtu"
            );
        }
        let (kernel_port, lanes) = KernelPort::new(queue, queues);
        let counters = Arc::clone(kernel_port.counters());
        self.ports.push(kernel_port);
        self.links.push(Carrier { port: port.clone(), _interface: interface, name, up: true, counters });
        Ok(lanes.into_iter().map(Some).collect())
    }

    /// Starts the thread that serves the interfaces; none where there are none.
    pub fn start(&mut self) -> std::io::Result<Option<KernelPath<PortQueue>>> {
        let ports = std::mem::take(&mut self.ports);
        if ports.is_empty() { Ok(None) } else { KernelPath::start(ports).map(Some) }
    }

    /// Shows what passed between each port and its interface; to be called at intervals.
    pub fn show(&self, ports: &[Arc<PortGauges>]) {
        for carrier in &self.links {
            let Some(gauges) = ports.iter().find(|gauges| gauges.name == carrier.port.name()) else { continue };
            let counters = &carrier.counters;
            gauges.kernel_rx_frames.set(counters.to_kernel_frames.get());
            gauges.kernel_rx_refused.set(counters.to_kernel_refused.get());
            gauges.kernel_tx_frames.set(counters.from_kernel_frames.get());
            gauges.kernel_tx_refused.set(counters.from_kernel_refused.get());
        }
    }

    /// Tells the kernel where a link has changed; to be called at intervals.
    pub fn look(&mut self) {
        for carrier in &mut self.links {
            // A driver that does not tell has a link that is up.
            let up = carrier.port.link().map_or(true, |link| link.up);
            if up == carrier.up {
                continue;
            }
            carrier.up = up;
            match set_carrier(&carrier.name, up) {
                Ok(()) => tracing::info!(interface = carrier.name, up, "the kernel was told of the port's link"),
                Err(error) => tracing::warn!(
                    interface = carrier.name,
                    up,
                    "the kernel cannot be told of the port's link: {error}; give the process CAP_NET_ADMIN"
                ),
            }
        }
    }
}
