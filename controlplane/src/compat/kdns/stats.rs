//! Statistics as kdns shows them, from what the workers, the sockets and the ports count for everybody. Setting them back to
//! zero is remembering what they were: nobody but their owners writes those counters.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringdns_engine::counters::Counters;
use ringdns_engine::verdict::{Fate, Reason};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::foreign::Waits;
use crate::ports::PortGauges;
use crate::sockets::{Monitor, Waited};
use crate::state::State;

/// Reasons that are about a length.
const LENGTH_REASONS: [Reason; 4] = [Reason::FrameShort, Reason::IpLength, Reason::UdpLength, Reason::DnsShort];

/// The members that are counted, in the order in which [`of_worker`] gives them.
const COUNTED: [&str; 17] = [
    "pkts_rcv",
    "dns_pkts_rcv",
    "dns_pkts_snd",
    "pkt_dropped",
    "pkts_2kni",
    "pkts_icmp",
    "pkt_len_err",
    "dns_lens_rcv",
    "dns_lens_snd",
    "tcp_pkts_rcv",
    "tcp_pkts_snd",
    "tcp_fwd_rcv",
    "tcp_fwd_snd",
    "tcp_fwd_lost",
    "udp_fwd_rcv",
    "udp_fwd_snd",
    "udp_fwd_lost",
];

/// Members about what RingDNS does not measure; they are 0, as the original's are when idle.
const IDLE: [&str; 7] =
    ["metrics-maxtime", "metrics-mintime", "metrics-sumtime", "metrics1", "metrics2", "metrics3", "metrics4"];

/// The members of a port, in the order in which [`Statistics::port_counts`] gives them.
const OF_PORT: [&str; 8] = ["ipackets", "opackets", "ibytes", "obytes", "imissed", "ierrors", "oerrors", "rx_nombuf"];

/// The members of a queue, in the order in which [`of_queue`] gives them.
const OF_QUEUE: [&str; 5] = ["q_ipackets", "q_opackets", "q_ibytes", "q_obytes", "q_errors"];

/// Numbers of [`COUNTED`].
type Counts = [u64; COUNTED.len()];

/// DNS queries that came, and answers that went.
fn of_messages(counters: &Counters) -> [u64; 2] {
    let answered = counters.queries_ipv4.get() + counters.queries_ipv6.get();
    [answered + counters.reason(Reason::RateLimited), answered]
}

/// Queries for names of others that came, and those of them that were answered from the cache: in the original both go the way of
/// queries that are forwarded.
fn of_others(counters: &Counters) -> [u64; 2] {
    let recalled = counters.recalled.get();
    [recalled + counters.forwarded.get(), recalled]
}

/// What one worker has counted. What became of queries that it handed over is not its to know.
fn of_worker(counters: &Counters) -> Counts {
    let [received, sent] = of_messages(counters);
    let [others, others_sent] = of_others(counters);
    let of_reason = |reason: &Reason| counters.reason(*reason);
    [
        counters.rx_frames.get(),
        received,
        sent,
        Reason::ALL.iter().filter(|reason| reason.fate() == Fate::Drop).map(of_reason).sum(),
        counters.kernel_frames.get(),
        counters.echo_replies.get(),
        LENGTH_REASONS.iter().map(of_reason).sum(),
        counters.rx_bytes.get(),
        counters.tx_bytes.get(),
        0,
        0,
        0,
        0,
        0,
        others,
        others_sent,
        counters.reason(Reason::ForwardFull),
    ]
}

/// What the queries of ports came to that have waited for others.
fn of_waits(waits: &dyn Waits) -> Counts {
    let [_, sent] = of_messages(waits.served());
    [0, sent, sent, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, sent, waits.lost()]
}

/// What the sockets have counted.
fn of_sockets(sockets: &Monitor) -> Counts {
    let [(_, udp), (_, tcp)] = sockets.counters();
    let ([udp_received, udp_sent], [tcp_received, tcp_sent]) = (of_messages(udp), of_messages(tcp));
    let forwarded = |counters: &Counters, waited: &Waited| {
        let [received, recalled] = of_others(counters);
        [received, recalled + waited.answered.get(), waited.lost.get()]
    };
    let [tcp_others, tcp_others_sent, tcp_lost] = forwarded(tcp, &sockets.tcp_waited);
    let [udp_others, udp_others_sent, udp_lost] = forwarded(udp, &sockets.udp_waited);
    let others = [tcp_others, tcp_others_sent, tcp_lost, udp_others, udp_others_sent, udp_lost];
    let mut counts = [0, udp_received, udp_sent, 0, 0, 0, 0, 0, 0, tcp_received, tcp_sent, 0, 0, 0, 0, 0, 0];
    counts.iter_mut().rev().zip(others.iter().rev()).for_each(|(count, others)| *count = *others);
    counts
}

/// What one worker has counted of its queue.
fn of_queue(counters: &Counters) -> [u64; OF_QUEUE.len()] {
    [
        counters.rx_frames.get(),
        counters.tx_frames.get(),
        counters.rx_bytes.get(),
        counters.tx_bytes.get(),
        counters.reason(Reason::TxRefused),
    ]
}

/// The sum of some counts, one by one.
fn sum<const N: usize>(counts: impl IntoIterator<Item = [u64; N]>) -> [u64; N] {
    counts.into_iter().fold([0; N], |mut sum, counts| {
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        sum
    })
}

/// Counts, less what they were when they were last set to zero.
fn since<const N: usize>(mut counts: [u64; N], before: Option<&[u64; N]>) -> [u64; N] {
    for (count, before) in counts.iter_mut().zip(before.into_iter().flatten()) {
        *count = count.saturating_sub(*before);
    }
    counts
}

/// An object whose members stay in their order: ids first, which are whole numbers, then counts, which are reals.
#[derive(Debug)]
pub(super) struct Shown {
    /// Whole numbers.
    ids: Vec<(&'static str, u64)>,
    /// Counts.
    counts: Vec<(&'static str, u64)>,
}

impl Shown {
    /// An object of ids.
    fn new(ids: &[(&'static str, u64)]) -> Self {
        Self { ids: ids.to_vec(), counts: Vec::new() }
    }

    /// Adds counts.
    fn with(mut self, names: &[&'static str], counts: &[u64]) -> Self {
        self.counts.extend(names.iter().copied().zip(counts.iter().copied()));
        self
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.ids.len() + self.counts.len()))?;
        for (name, id) in &self.ids {
            object.serialize_entry(name, id)?;
        }
        for (name, count) in &self.counts {
            // Beyond 2^53 the last digits are lost, as in the original.
            object.serialize_entry(name, &(*count as f64))?;
        }
        object.end()
    }
}

/// What the counts were when they were last set to zero.
#[derive(Debug, Default)]
struct Before {
    /// Of each worker.
    workers: Vec<Counts>,
    /// Of the sockets.
    sockets: Option<Counts>,
    /// Of the queries of ports that have waited for others.
    waits: Option<Counts>,
    /// Of the port.
    port: Option<[u64; OF_PORT.len()]>,
    /// Of each queue.
    queues: Vec<[u64; OF_QUEUE.len()]>,
}

/// The statistics.
#[derive(Debug)]
pub(super) struct Statistics {
    /// What the workers count.
    counters: Vec<Arc<Counters>>,
    /// The CPU of each worker, as far as the configuration says it.
    cores: Vec<usize>,
    /// What the sockets count.
    sockets: Option<Arc<Monitor>>,
    /// Where the ports and the snapshot are.
    state: Arc<State>,
    /// What is subtracted.
    before: Mutex<Before>,
}

impl Statistics {
    /// Of these counters.
    pub(super) fn new(
        counters: Vec<Arc<Counters>>,
        cores: Vec<usize>,
        sockets: Option<Arc<Monitor>>,
        state: Arc<State>,
    ) -> Self {
        Self { counters, cores, sockets, state, before: Mutex::default() }
    }

    /// What is subtracted.
    fn before(&self) -> MutexGuard<'_, Before> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The CPU of a worker; its place among the workers where the configuration does not say it.
    fn core(&self, worker: usize) -> u64 {
        self.cores.get(worker).copied().unwrap_or(worker) as u64
    }

    /// What each worker has counted since it was set to zero.
    fn workers(&self) -> Vec<Counts> {
        let before = self.before();
        let each = self.counters.iter().enumerate();
        each.map(|(worker, counters)| since(of_worker(counters), before.workers.get(worker))).collect()
    }

    /// Everything together.
    pub(super) fn all(&self) -> Shown {
        let workers = self.workers();
        let sockets = self.sockets.as_deref().map(|sockets| since(of_sockets(sockets), self.before().sockets.as_ref()));
        let waits = self.waits().map(|counts| since(counts, self.before().waits.as_ref()));
        let names = self.state.snapshot().names();
        let counts = sum(workers.into_iter().chain(sockets).chain(waits));
        Shown::new(&[("domain_num", names)]).with(&COUNTED, &counts).with(&IDLE, &[0; IDLE.len()])
    }

    /// What the queries of ports came to that have waited for others; nothing where there is no forwarder.
    fn waits(&self) -> Option<Counts> {
        self.state.waits.get().map(|waits| of_waits(&**waits))
    }

    /// By worker.
    pub(super) fn each(&self) -> Vec<Shown> {
        let workers = self.workers().into_iter().enumerate();
        let show = |(worker, counts): (usize, Counts)| {
            let shown = Shown::new(&[("slave_lcore", self.core(worker))]);
            shown.with(&COUNTED, &counts).with(&IDLE, &[0; IDLE.len()])
        };
        workers.map(show).collect()
    }

    /// Sets what [`Statistics::all`] and [`Statistics::each`] show to zero.
    pub(super) fn reset(&self) {
        let mut before = self.before();
        before.workers = self.counters.iter().map(|counters| of_worker(counters)).collect();
        before.sockets = self.sockets.as_deref().map(of_sockets);
        before.waits = self.waits();
    }

    /// What the port has counted: the original has one port, so it is all of them together.
    fn port_counts(&self) -> [u64; OF_PORT.len()] {
        let [packets_in, packets_out, bytes_in, bytes_out, _] = sum(self.counters.iter().map(|found| of_queue(found)));
        let gauges = |port: &Arc<PortGauges>| {
            [port.rx_missed.get(), port.rx_errors.get(), port.tx_errors.get(), port.rx_without_buffer.get()]
        };
        let [missed, errors_in, errors_out, without_buffer] = sum(self.state.ports().iter().map(gauges));
        [packets_in, packets_out, bytes_in, bytes_out, missed, errors_in, errors_out, without_buffer]
    }

    /// The port and its queues.
    pub(super) fn port(&self) -> Vec<Shown> {
        let before = self.before();
        let port = Shown::new(&[("port", 0)]).with(&OF_PORT, &since(self.port_counts(), before.port.as_ref()));
        let queue = |(worker, counters): (usize, &Arc<Counters>)| {
            let queue = worker as u64;
            let ids = [("slave_lcore", self.core(worker)), ("rx_queue", queue), ("tx_queue", queue)];
            Shown::new(&ids).with(&OF_QUEUE, &since(of_queue(counters), before.queues.get(worker)))
        };
        [port].into_iter().chain(self.counters.iter().enumerate().map(queue)).collect()
    }

    /// Sets what [`Statistics::port`] shows to zero.
    pub(super) fn reset_port(&self) {
        let mut before = self.before();
        before.port = Some(self.port_counts());
        before.queues = self.counters.iter().map(|counters| of_queue(counters)).collect();
    }
}

#[cfg(test)]
mod tests {
    use ringdns_engine::snapshot::Snapshot;

    use super::*;
    use crate::views::Views;

    #[test]
    fn counts_are_shown_from_where_they_were_set_to_zero() {
        let counters: Vec<Arc<Counters>> = (0..2).map(|_| Arc::default()).collect();
        let state = State::new(Arc::new(Snapshot::empty()), &["store"], Arc::new(Views::new([])), Vec::new());
        let port = Arc::new(PortGauges::new("p"));
        state.show_ports(vec![Arc::clone(&port)]);
        let statistics = Statistics::new(counters.clone(), vec![3], None, Arc::new(state));
        for (amount, counters) in (1..).zip(&counters) {
            counters.rx_frames.add(10 * amount);
            counters.queries_ipv4.add(amount);
            counters.count_many(Reason::UdpLength, 2 * amount);
            counters.count(Reason::OtherAddress);
            counters.count(Reason::RateLimited);
        }
        port.rx_missed.set(7);
        let text = |shown: &Shown| serde_json::to_string(shown).unwrap();
        let all = text(&statistics.all());
        let head = r#"{"domain_num":0,"pkts_rcv":30.0,"dns_pkts_rcv":5.0,"dns_pkts_snd":3.0,"pkt_dropped":8.0,"pkts_2kni":0.0,"pkts_icmp":0.0,"pkt_len_err":6.0,"dns_lens_rcv":0.0,"#;
        assert!(all.starts_with(head) && all.ends_with(r#""metrics3":0.0,"metrics4":0.0}"#), "{all}");
        let each = statistics.each();
        assert!(text(&each[0]).starts_with(r#"{"slave_lcore":3,"pkts_rcv":10.0,"#), "the CPU that is known");
        assert!(text(&each[1]).starts_with(r#"{"slave_lcore":1,"pkts_rcv":20.0,"#));
        let port_text = r#"{"port":0,"ipackets":30.0,"opackets":0.0,"ibytes":0.0,"obytes":0.0,"imissed":7.0,"ierrors":0.0,"oerrors":0.0,"rx_nombuf":0.0}"#;
        assert_eq!(text(&statistics.port()[0]), port_text);

        statistics.reset();
        counters[1].rx_frames.add(5);
        assert!(text(&statistics.all()).starts_with(r#"{"domain_num":0,"pkts_rcv":5.0,"dns_pkts_rcv":0.0,"#));
        assert!(text(&statistics.each()[1]).starts_with(r#"{"slave_lcore":1,"pkts_rcv":5.0,"#));
        assert!(text(&statistics.port()[0]).contains("\"ipackets\":35.0"), "the port has a zero of its own");
        statistics.reset_port();
        counters[0].rx_frames.add(1);
        assert!(text(&statistics.port()[0]).contains("\"ipackets\":1.0"));
        let queue = r#"{"slave_lcore":3,"rx_queue":0,"tx_queue":0,"q_ipackets":1.0,"q_opackets":0.0,"q_ibytes":0.0,"q_obytes":0.0,"q_errors":0.0}"#;
        assert_eq!(text(&statistics.port()[1]), queue);
        assert_eq!(counters[1].rx_frames.get(), 25, "what the workers count stays");
    }
}
