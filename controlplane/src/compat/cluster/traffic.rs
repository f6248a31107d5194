//! What all workers and sockets count, summed up as other servers show it.

use std::array;
use std::net::SocketAddr;
use std::sync::Arc;

use ringdns_engine::census::{Census, Histogram, QTYPES};
use ringdns_engine::counters::Counters;

use crate::api::Context;

/// The counters of one address and protocol.
#[derive(Debug)]
pub(super) struct Flow<'a> {
    /// The address as CoreDNS writes it.
    pub(super) server: String,
    /// `udp` or `tcp`.
    pub(super) proto: &'static str,
    /// Who counts.
    counters: Vec<&'a Counters>,
}

/// Buckets that sum up those of several histograms.
pub(super) type Buckets = Vec<(f64, u64)>;

impl<'a> Flow<'a> {
    /// All flows: that of the ports, if there are any, and those of the sockets. None twice.
    pub(super) fn all(context: &'a Context, dns_port: Option<u16>) -> Vec<Self> {
        let mut flows: Vec<Self> = Vec::new();
        let mut add = |port: u16, proto, counters: &'a Counters| {
            let server = format!("dns://:{port}");
            match flows.iter_mut().find(|flow| (flow.server == server) && flow.proto == proto) {
                Some(flow) => flow.counters.push(counters),
                None => flows.push(Self { server, proto, counters: vec![counters] }),
            }
        };
        // Those whose clients have waited for others are answered by another thread, by way of the same ports.
        for counters in context.stats.workers().iter().map(Arc::as_ref).chain(context.stats.waited()) {
            add(dns_port.unwrap_or(53), "udp", counters);
        }
        if let Some(monitor) = &context.sockets {
            let port = monitor.addresses.first().map_or(53, SocketAddr::port);
            monitor.counters().into_iter().for_each(|(proto, counters)| add(port, proto, counters));
        }
        flows
    }

    /// What messages are like, of each that counts it.
    pub(super) fn censuses(&self) -> impl Iterator<Item = &'a Census> {
        self.counters.iter().filter_map(|counters| counters.census())
    }

    /// Queries over a family by type.
    pub(super) fn queries(&self, is_ipv6: bool) -> [(&'static str, u64); QTYPES.len()] {
        let mut sums = array::from_fn(|place| (QTYPES[place], 0));
        for census in self.censuses() {
            sums.iter_mut().zip(census.queries(is_ipv6)).for_each(|(sum, (_, count))| sum.1 += count);
        }
        sums
    }

    /// Answers by response code.
    pub(super) fn rcodes(&self) -> Vec<(u16, u64)> {
        let mut sums: Vec<(u16, u64)> = Vec::new();
        for counters in &self.counters {
            for (place, (code, count)) in counters.rcodes().enumerate() {
                match sums.get_mut(place) {
                    Some(sum) => sum.1 += count,
                    None => sums.push((code, count)),
                }
            }
        }
        sums
    }

    /// Queries for names of others: those answered from the cache, and those that went to the forwarder.
    pub(super) fn of_others(&self) -> (u64, u64) {
        let sum = |value: fn(&Counters) -> u64| self.counters.iter().map(|counters| value(counters)).sum();
        (sum(|counters| counters.recalled.get()), sum(|counters| counters.forwarded.get()))
    }

    /// Answers with the TC bit.
    pub(super) fn truncated(&self) -> u64 {
        self.counters.iter().map(|counters| counters.truncated.get()).sum()
    }
}

/// Histograms of one kind in buckets of other bounds, each of which is one of theirs; and their sum. `unit` is how many of theirs
/// make one of the bounds.
#[allow(clippy::cast_precision_loss, reason = "bounds are small, and a sum may lose its last digits")]
pub(super) fn summed<'a, const N: usize>(
    histograms: impl Iterator<Item = &'a Histogram<N>>,
    bounds: impl IntoIterator<Item = f64>,
    unit: f64,
) -> (Buckets, f64) {
    let mut buckets: Buckets = bounds.into_iter().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
    let mut sum = 0.0;
    for histogram in histograms {
        for (fine, count) in histogram.buckets() {
            let fine = fine as f64 / unit;
            // Some 10^-9 of a second, or of a byte, is lost in the division.
            let bucket = buckets.iter_mut().find(|(bound, _)| fine <= bound * (1.0 + 1e-9));
            if let Some((_, sum)) = bucket {
                *sum += count;
            }
        }
        sum += histogram.sum() as f64 / unit;
    }
    (buckets, sum)
}
