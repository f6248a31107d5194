//! Ports and workers: which worker polls which queue, planned, opened, and told as a table.

use ringdns_controlplane::config::{Config, Idle as ConfiguredIdle, PortConfig};
use ringdns_dataplane::dpdk::{Device, DpdkError, Eal, Port, PortOptions, PortQueue, ProbedPort, kernel_spare_mbufs};
use ringdns_dataplane::idle::Idle;
use ringdns_dataplane::nic::Nic;
use ringdns_dataplane::numa::Topology;
use ringdns_dataplane::plan::{Place, Plan, is_remote};
use ringdns_dataplane::worker::WorkerPort;

use crate::answering::{Answering, Queue};
use crate::kernel::KernelInterfaces;

/// A worker that is to be started.
pub struct PlannedWorker {
    /// Its CPU.
    pub core: usize,
    /// What it does while nothing arrives.
    pub idle: Idle,
    /// Its queue pair of each port that it polls, and what answers there.
    pub lanes: Vec<WorkerPort<PortQueue>>,
}

impl PlannedWorker {
    /// How it spends its time while nothing arrives, for people.
    fn rest(&self) -> &'static str {
        let has_interrupts = self.lanes.iter().all(|lane| lane.nic.arrivals().is_some());
        match (self.idle, has_interrupts) {
            (Idle::Busy, _) => "busy",
            (Idle::Pause, _) => "pause",
            (Idle::Sleep, true) => "sleep (interrupts)",
            (Idle::Sleep, false) => "sleep (naps)",
        }
    }
}

/// All ports, set up, and the workers that have a queue.
#[derive(Default)]
pub struct OpenPorts {
    /// The ports, in the order of the configuration.
    pub ports: Vec<Port>,
    /// The workers, in the order of their cores.
    pub workers: Vec<PlannedWorker>,
}

/// Sets all ports up, each with as many queues as the plan has workers for.
pub fn open(
    eal: &Eal,
    config: &Config,
    devices: &[Device],
    cores: &[usize],
    answering: &mut Answering,
    interfaces: &mut KernelInterfaces,
) -> Result<OpenPorts, DpdkError> {
    let probed: Vec<ProbedPort> =
        devices.iter().map(|device| ProbedPort::new(eal, device)).collect::<Result<_, _>>()?;
    let topology = Topology::here();
    let nodes: Vec<Option<u32>> = cores.iter().map(|&core| topology.node_of(core)).collect();
    let places: Vec<Place> = probed.iter().map(ProbedPort::place).collect();
    let plan = Plan::new(&places, &nodes);
    let idle = |worker| match config.workers.idle_of(worker) {
        ConfiguredIdle::Busy => Idle::Busy,
        ConfiguredIdle::Pause => Idle::Pause,
        ConfiguredIdle::Sleep => Idle::Sleep,
    };
    let mut workers: Vec<PlannedWorker> = (cores.iter().enumerate())
        .map(|(worker, &core)| PlannedWorker { core, idle: idle(worker), lanes: Vec::new() })
        .collect();
    let mut ports = Vec::new();
    for ((index, probed), port_config) in probed.into_iter().enumerate().zip(&config.ports) {
        let planned = plan.workers_of(index);
        let interrupts = planned.iter().any(|&worker| idle(worker) == Idle::Sleep);
        let (port, queues) = probed.open(port_options(port_config, planned.len(), interrupts))?;
        let kernel = interfaces.open(eal, &port, port_config, queues.len())?;
        let answers = answering.add_port(config, port.mac(), port.udp_payload_bytes_max(), queues.len());
        let pairs = queues.into_iter().zip(kernel).zip(answers);
        for (((nic, kernel), Queue { server, successor, forward }), &worker) in pairs.zip(planned) {
            if let Some(worker) = workers.get_mut(worker) {
                worker.lanes.push(WorkerPort { nic, server, kernel, forward, successor: Some(successor) });
            }
        }
        ports.push(port);
    }
    tell(&ports, &workers, &plan, &nodes);
    workers.retain(|worker| !worker.lanes.is_empty());
    Ok(OpenPorts { ports, workers })
}

/// How a port is to be set up.
fn port_options(config: &PortConfig, queues: usize, interrupts: bool) -> PortOptions {
    let defaults = PortOptions::default();
    let mtu = config.mtu.unwrap_or(defaults.mtu);
    let spare_mbufs = config.kernel.as_ref().map_or(0, |_| kernel_spare_mbufs());
    PortOptions { queues: u16::try_from(queues).unwrap_or(u16::MAX), mtu, spare_mbufs, interrupts, ..defaults }
}

/// Tells the plan, and what is odd about it.
fn tell(ports: &[Port], workers: &[PlannedWorker], plan: &Plan, nodes: &[Option<u32>]) {
    for line in table(&rows(ports, workers, plan, nodes)) {
        tracing::info!("{line}");
    }
    for &worker in &plan.spare_workers() {
        let core = workers.get(worker).map_or(0, |worker| worker.core);
        tracing::warn!(
            core,
            "no queue is left for this core, so it gets no worker: name fewer cores in workers.cores, or give the ports more \
             queues (net_af_packet: qpairs=, a NIC: its driver's limit)"
        );
    }
    for (index, port) in ports.iter().enumerate() {
        let setup = port.setup();
        let has_remote = |&worker: &usize| is_remote(setup.numa_node, nodes.get(worker).copied().flatten());
        if let (Some(&worker), Some(numa_node)) =
            (plan.workers_of(index).iter().find(|w| has_remote(w)), setup.numa_node)
        {
            let core = workers.get(worker).map_or(0, |worker| worker.core);
            tracing::warn!(
                port = port.name(),
                numa_node,
                core,
                "the port's frames cross to another NUMA node: name cores of its own node in workers.cores (lscpu)"
            );
        }
        if setup.queues > 1 && setup.driver.starts_with("net_") && !setup.spread.is_there() {
            tracing::info!(port = port.name(), "the device does not spread flows by RSS; it may by ways of its own");
        }
    }
}

/// Titles of the table's columns.
const TITLES: [&str; 10] =
    ["port", "driver", "queue", "core", "node", "descriptors", "mtu", "offloads", "spread by", "idle"];

/// One row for each queue.
fn rows(ports: &[Port], workers: &[PlannedWorker], plan: &Plan, nodes: &[Option<u32>]) -> Vec<[String; 10]> {
    let node = |node: Option<u32>| node.map_or_else(|| "-".to_owned(), |node| node.to_string());
    let mut rows = vec![TITLES.map(str::to_owned)];
    for (index, port) in ports.iter().enumerate() {
        for (queue, &worker) in plan.workers_of(index).iter().enumerate() {
            let (setup, planned) = (port.setup(), workers.get(worker));
            rows.push([
                port.name().to_owned(),
                setup.driver.clone(),
                queue.to_string(),
                planned.map_or_else(String::new, |worker| worker.core.to_string()),
                format!("{}, port {}", node(nodes.get(worker).copied().flatten()), node(setup.numa_node)),
                format!("{} rx, {} tx", setup.rx_descriptors, setup.tx_descriptors),
                setup.mtu.to_string(),
                "none".to_owned(),
                setup.spread.to_string(),
                planned.map_or("", PlannedWorker::rest).to_owned(),
            ]);
        }
    }
    rows
}

/// Lines with columns of one width each.
fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let line = |row: &[String; N]| {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "long", "c"], ["longer", "b", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), ["a       long  c", "longer  b"]);
    }
}
