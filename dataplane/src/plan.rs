//! Which worker polls which queue of which port. Numbers only, so that every machine can be planned for on any other.
//!
//! A worker has at most one queue pair of a port, and a port one for each worker as far as it goes. Where a port has fewer,
//! those workers get them that have the fewest queues so far, and among these the ones on the port's NUMA node.
//!
//! ```
//! use ringdns_dataplane::plan::{Place, Plan};
//!
//! // A port with queues for everybody, and one with a single queue.
//! let ports = [Place { queues: 16, numa_node: None }, Place { queues: 1, numa_node: Some(0) }];
//! let plan = Plan::new(&ports, &[Some(1), Some(0)]);
//! assert_eq!(plan.workers_of(0), [0, 1]);
//! assert_eq!(plan.workers_of(1), [1]);
//! ```

use crate::limits::WORKERS_MAX;

/// A port, as far as planning goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Queue pairs that its device has.
    pub queues: usize,
    /// The NUMA node that it is attached to, where that is known.
    pub numa_node: Option<u32>,
}

/// The queues of all ports, handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// For each port, the worker of each of its queues, in the queues' order.
    ports: Vec<Vec<usize>>,
    /// Number of workers that were there to be planned for.
    workers: usize,
}

impl Plan {
    /// Hands out the queues of ports to workers, which are given by the NUMA node of their CPU, where that is known.
    pub fn new(ports: &[Place], worker_nodes: &[Option<u32>]) -> Self {
        let mut queues = vec![0usize; worker_nodes.len()];
        let ports = ports.iter().map(|port| hand_out(*port, worker_nodes, &mut queues)).collect();
        Self { ports, workers: worker_nodes.len() }
    }

    /// The workers of a port's queues, in the queues' order: as many as it is to have queues.
    pub fn workers_of(&self, port: usize) -> &[usize] {
        self.ports.get(port).map_or(&[], Vec::as_slice)
    }

    /// Queues that a worker has over all ports.
    pub fn queues_of(&self, worker: usize) -> usize {
        self.ports.iter().flatten().filter(|&&of| of == worker).count()
    }

    /// The workers that have a queue, in their order.
    pub fn busy_workers(&self) -> Vec<usize> {
        (0..self.workers).filter(|&worker| self.queues_of(worker) != 0).collect()
    }

    /// The workers that no queue is left for, in their order: no use in starting them.
    pub fn spare_workers(&self) -> Vec<usize> {
        (0..self.workers).filter(|&worker| self.queues_of(worker) == 0).collect()
    }
}

/// The workers of one port's queues; `queues` counts what each worker has.
fn hand_out(port: Place, worker_nodes: &[Option<u32>], queues: &mut [usize]) -> Vec<usize> {
    let mut workers: Vec<usize> = (0..queues.len()).collect();
    let is_remote = |worker: usize| is_remote(port.numa_node, worker_nodes.get(worker).copied().flatten());
    workers.sort_by_key(|&worker| (queues.get(worker).copied(), is_remote(worker), worker));
    workers.truncate(port.queues.min(WORKERS_MAX));
    workers.sort_unstable();
    for &worker in &workers {
        if let Some(count) = queues.get_mut(worker) {
            *count += 1;
        }
    }
    workers
}

/// True where a worker's frames cross from one NUMA node to another. A node that is not known is taken for the same.
pub fn is_remote(port: Option<u32>, worker: Option<u32>) -> bool {
    matches!((port, worker), (Some(port), Some(worker)) if port != worker)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A port on no node in particular.
    fn anywhere(queues: usize) -> Place {
        Place { queues, numa_node: None }
    }

    #[test]
    fn a_port_with_enough_queues_has_one_for_each_worker() {
        let plan = Plan::new(&[anywhere(16), anywhere(3)], &[None; 3]);
        assert_eq!((plan.workers_of(0), plan.workers_of(1)), (&[0, 1, 2][..], &[0, 1, 2][..]));
        assert_eq!((plan.busy_workers(), plan.spare_workers()), (vec![0, 1, 2], vec![]));
        assert_eq!(plan.workers_of(2), [0usize; 0]);
    }

    #[test]
    fn ports_with_one_queue_are_spread_over_the_workers() {
        let plan = Plan::new(&[anywhere(1), anywhere(1), anywhere(1), anywhere(2)], &[None; 2]);
        assert_eq!([0, 1, 2, 3].map(|port| plan.workers_of(port)), [&[0][..], &[1], &[0], &[0, 1]]);
    }

    #[test]
    fn workers_without_a_queue_are_named() {
        let plan = Plan::new(&[anywhere(1)], &[None; 3]);
        assert_eq!((plan.busy_workers(), plan.spare_workers()), (vec![0], vec![1, 2]));
    }

    #[test]
    fn workers_on_the_port_s_node_come_first_but_nobody_goes_short_for_it() {
        let nodes = [Some(0), Some(0), Some(1), Some(1)];
        let on = |node| Place { queues: 1, numa_node: Some(node) };
        let plan = Plan::new(&[on(1), on(1), on(1), on(0)], &nodes);
        // The third port finds both workers of its node taken.
        assert_eq!([0, 1, 2, 3].map(|port| plan.workers_of(port)), [&[2][..], &[3], &[0], &[1]]);
        assert!(is_remote(Some(1), Some(0)) && !is_remote(None, Some(0)) && !is_remote(Some(1), None));
    }

    #[test]
    fn no_worker_has_two_queues_more_than_another_whatever_the_machine() {
        for workers in 1..=9 {
            for seed in 0..200usize {
                let mut state = seed * 7919 + workers;
                let mut draw = |bound: usize| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 33) % bound
                };
                let node = |draw: usize| u32::try_from(draw).ok().filter(|&node| node < 2);
                let nodes: Vec<Option<u32>> = (0..workers).map(|_| node(draw(3))).collect();
                let ports: Vec<Place> =
                    (0..1 + draw(6)).map(|_| Place { queues: 1 + draw(12), numa_node: node(draw(3)) }).collect();
                let plan = Plan::new(&ports, &nodes);
                let counts: Vec<usize> = (0..workers).map(|worker| plan.queues_of(worker)).collect();
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                assert!(most - least <= 1, "{ports:?} {nodes:?}: {counts:?}");
                for (index, port) in ports.iter().enumerate() {
                    let of = plan.workers_of(index);
                    assert_eq!(of.len(), port.queues.min(workers));
                    assert!(of.windows(2).all(|pair| pair[0] < pair[1]), "a worker twice: {of:?}");
                }
            }
        }
    }
}
