//! The source's part of `/metrics`: under CoreDNS's names where it has the same thing, so that its dashboards show it.

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use ringdns_controlplane::metrics::rows::{Labels, counter, gauge, histogram};

use crate::object::Kind;
use crate::state::{ClusterState, KINDS, ScopeState, kind_name};

/// Reads the values when they are asked for.
#[derive(Debug)]
pub(crate) struct Reader(pub(crate) Arc<ClusterState>);

impl Collector for Reader {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        self.flags(&mut encoder)?;
        self.kinds(&mut encoder)?;
        self.counts(&mut encoder)?;
        self.requests(&mut encoder)?;
        let help = "Seconds from a change of endpoints in the cluster to its publication, by kind of Service.";
        let rows = self.0.programming().map(|(kind, found)| (vec![("service_kind", kind.to_owned())], found));
        histogram(&mut encoder, "coredns_kubernetes_dns_programming_duration_seconds", help, rows)
    }
}

impl Reader {
    /// What holds or does not.
    fn flags(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let flag = |flag: bool| [(Labels::new(), f64::from(u8::from(flag)))];
        let help = "1 while changes of every kind come from the API server.";
        gauge(encoder, "ringdns_kubernetes_connected", help, flag(self.0.is_connected()))?;
        let from_cache = self.0.from_cache.load(Ordering::Relaxed);
        let help = "1 while what is served was read from disk at start.";
        gauge(encoder, "ringdns_kubernetes_from_cache", help, flag(from_cache))
    }

    /// The kinds that are followed.
    fn each(&self) -> impl Iterator<Item = (Labels, Kind)> {
        let followed = KINDS.into_iter().filter(|&kind| self.0.scopes_of(kind).next().is_some());
        followed.map(|kind| (vec![("kind", kind_name(kind).to_owned())], kind))
    }

    /// Gauges by kind.
    fn kinds(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let objects = self
            .each()
            .map(|(labels, kind)| (labels, self.0.scopes_of(kind).map(ScopeState::objects).sum::<u64>() as f64));
        gauge(encoder, "ringdns_kubernetes_objects", "Objects of the cluster that are known.", objects)?;
        let bytes = self.each().map(|(labels, kind)| (labels, self.0.bytes(kind) as f64));
        gauge(encoder, "ringdns_kubernetes_bytes", "Bytes that they take.", bytes)?;
        let versions = self
            .each()
            .filter_map(|(labels, kind)| Some((labels, self.0.scopes_of(kind).map(ScopeState::version).max()? as f64)));
        gauge(encoder, "ringdns_kubernetes_resource_version", "Version of the cluster that is served.", versions)?;
        let ages = self.each().filter_map(|(labels, kind)| Some((labels, self.0.age_seconds(kind)?)));
        let help = "Seconds since an event or a bookmark came, or a listing.";
        gauge(encoder, "ringdns_kubernetes_age_seconds", help, ages)
    }

    /// Counters.
    fn counts(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let lists = self.each().map(|(labels, kind)| (labels, self.0.scopes_of(kind).map(ScopeState::lists).sum()));
        counter(encoder, "ringdns_kubernetes_lists", "Listings of all objects that were begun.", lists)?;
        let faults = self
            .0
            .faults()
            .into_iter()
            .map(|((kind, reason), count)| (vec![("kind", kind.to_owned()), ("reason", reason.to_owned())], count));
        counter(
            encoder,
            "ringdns_kubernetes_errors",
            "Failures between the API server and this one, by reason.",
            faults,
        )?;
        let writes = self.0.cache_writes.load(Ordering::Relaxed);
        counter(
            encoder,
            "ringdns_kubernetes_cache_writes",
            "Times that the copy on disk was written.",
            [(Labels::new(), writes)],
        )
    }

    /// Requests, as client-go counts them.
    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let rows = self.0.requests().into_iter().map(|((code, method, host), count)| {
            (vec![("code", code), ("method", method.to_owned()), ("host", host)], count)
        });
        counter(encoder, "coredns_kubernetes_rest_client_requests", "Requests to the API server.", rows)?;
        let rows = |zeroed: bool| {
            self.0.durations().into_iter().map(move |(host, found)| {
                let labels = vec![("verb", "GET".to_owned()), ("host", host)];
                (labels, if zeroed { found.zeroed() } else { found })
            })
        };
        let help = "Seconds that listings took, each page by itself.";
        histogram(encoder, "coredns_kubernetes_rest_client_request_duration_seconds", help, rows(false))?;
        // There is no limiter: a request is never held back but by the pauses after failures, in which there is none.
        let help = "Seconds that requests were held back for: none are.";
        histogram(encoder, "coredns_kubernetes_rest_client_rate_limiter_duration_seconds", help, rows(true))
    }
}
