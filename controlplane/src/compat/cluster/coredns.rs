//! `/metrics` by the names and labels of CoreDNS, for its dashboards and alerts. What RingDNS has no equal of is missing.
//!
//! The label `zone` is the zone where one is served, and `.` where there are several: counting by zone would cost every packet.
//! `plugin` is `ringdns`, whichever source an answer comes from. A query takes as long as its burst does.

use std::collections::BTreeMap;

use ringdns_engine::census::{Census, Histogram};

use super::Cluster;
use super::exposition::{Exposition, Labels};
use super::traffic::{Flow, summed};
use crate::config::ClusterPort;
use crate::metrics::rcode_name;
use crate::process;

/// Upper bounds of the sizes in bytes.
const SIZES: [f64; 14] =
    [0., 100., 200., 300., 400., 511., 1023., 2047., 4095., 8291., 16_000., 32_000., 48_000., 64_000.];

/// The first upper bound of the times in seconds; each further one is twice the one before.
const FIRST_SECONDS: f64 = 0.000_25;

/// Upper bounds of the times.
const TIMES: i32 = 16;

/// Nanoseconds of a second.
pub(super) const NANOSECONDS: f64 = 1e9;

/// Labels that all metrics of queries have.
const VIEW: (&str, &str) = ("view", "");

/// Writes all of them.
pub(super) fn encode(cluster: &Cluster, text: &mut Exposition) {
    let flows = Flow::all(&cluster.context, cluster.dns_port);
    let zone = cluster.zone();
    build(cluster, text);
    requests(text, &flows, &zone);
    responses(text, &flows, &zone);
    sizes(text, &flows, &zone);
    durations(text, &flows, &zone);
    health(cluster, text);
    reloads(cluster, text);
    before_1_7(text, &flows, &zone);
    cache(text, &flows);
    plugins(cluster, text, &flows, &zone);
}

/// Flows by server: what is not told apart by protocol.
fn by_server<'a, 'b>(flows: &'b [Flow<'a>]) -> BTreeMap<&'b str, Vec<&'b Flow<'a>>> {
    let mut servers: BTreeMap<&str, Vec<&Flow<'a>>> = BTreeMap::new();
    flows.iter().for_each(|flow| servers.entry(&flow.server).or_default().push(flow));
    servers
}

/// What the program is, and threads that have ended.
fn build(cluster: &Cluster, text: &mut Exposition) {
    let (build, context) = (&cluster.context.build, &cluster.context);
    text.family("coredns_build_info", "gauge", "What RingDNS, which stands in for CoreDNS, was built from.");
    text.row(&[("version", &build.version), ("revision", &build.commit), ("goversion", "")], 1);
    let ended = context.sockets.as_ref().map_or(0, |monitor| monitor.ended.load(std::sync::atomic::Ordering::Relaxed));
    let panics = if context.state.is_ending() { 0 } else { ended };
    for name in ["coredns_panics_total", "coredns_panic_count_total"] {
        text.family(name, "counter", "Threads of the DNS sockets that have ended before their time.");
        text.row(&[], panics);
    }
}

/// Queries.
fn requests(text: &mut Exposition, flows: &[Flow<'_>], zone: &str) {
    text.family("coredns_dns_requests_total", "counter", "DNS queries that were answered.");
    for flow in flows {
        for (family, is_ipv6) in [("1", false), ("2", true)] {
            for (qtype, count) in flow.queries(is_ipv6).into_iter().filter(|&(_, count)| count > 0) {
                let labels = [
                    ("server", &*flow.server),
                    ("zone", zone),
                    VIEW,
                    ("proto", flow.proto),
                    ("family", family),
                    ("type", qtype),
                ];
                text.row(&labels, count);
            }
        }
    }
    text.family("coredns_dns_do_requests_total", "counter", "DNS queries with the DO bit.");
    for (server, flows) in by_server(flows) {
        let count: u64 = flows.iter().flat_map(|flow| flow.censuses()).map(Census::dnssec_ok).sum();
        text.row(&[("server", server), ("zone", zone), VIEW], count);
    }
}

/// Answers by response code.
fn responses(text: &mut Exposition, flows: &[Flow<'_>], zone: &str) {
    text.family("coredns_dns_responses_total", "counter", "DNS answers by response code.");
    for (server, rcode, count) in rcodes(flows) {
        let labels = [("server", server), ("zone", zone), VIEW, ("rcode", &*rcode), ("plugin", "ringdns")];
        text.row(&labels, count);
    }
}

/// Answers by server and response code; those that never were are left out.
fn rcodes<'b>(flows: &'b [Flow<'_>]) -> Vec<(&'b str, String, u64)> {
    let mut sums: BTreeMap<(&str, u16), u64> = BTreeMap::new();
    for flow in flows {
        for (code, count) in flow.rcodes() {
            *sums.entry((&flow.server, code)).or_default() += count;
        }
    }
    let given = sums.into_iter().filter(|&(_, count)| count > 0);
    given.map(|((server, code), count)| (server, rcode_name(code), count)).collect()
}

/// Sizes of queries and answers.
fn sizes(text: &mut Exposition, flows: &[Flow<'_>], zone: &str) {
    type Of = fn(&Census) -> &Histogram<{ ringdns_engine::census::SIZE_BOUNDS.len() }>;
    let kinds: [(&str, &str, Of); 2] = [
        ("coredns_dns_request_size_bytes", "Bytes of DNS queries.", |census| &census.request_bytes),
        ("coredns_dns_response_size_bytes", "Bytes of DNS answers.", |census| &census.response_bytes),
    ];
    for (name, help, of) in kinds {
        text.family(name, "histogram", help);
        for flow in flows {
            let (buckets, sum) = summed(flow.censuses().map(of), SIZES, 1.0);
            let labels = [("server", &*flow.server), ("zone", zone), VIEW, ("proto", flow.proto)];
            text.histogram(&labels, buckets, sum);
        }
    }
}

/// Times of answers.
fn durations(text: &mut Exposition, flows: &[Flow<'_>], zone: &str) {
    let help = "Seconds from the arrival of a DNS query to the departure of its answer.";
    text.family("coredns_dns_request_duration_seconds", "histogram", help);
    for (server, flows) in by_server(flows) {
        let histograms = flows.iter().flat_map(|flow| flow.censuses()).map(|census| &census.nanoseconds);
        let bounds = (0..TIMES).map(|power| FIRST_SECONDS * 2f64.powi(power));
        let (buckets, sum) = summed(histograms, bounds, NANOSECONDS);
        text.histogram(&[("server", server), ("zone", zone), VIEW], buckets, sum);
    }
}

/// The server's questions to itself.
fn health(cluster: &Cluster, text: &mut Exposition) {
    if cluster.address(ClusterPort::Health).is_none() {
        return;
    }
    let (values, buckets) = cluster.health.read();
    let help = "Seconds that the server's own requests for /health took.";
    text.family("coredns_health_request_duration_seconds", "histogram", help);
    text.histogram(&[], buckets, values.sum);
    text.family("coredns_health_request_failures_total", "counter", "Such requests that were not answered.");
    text.row(&[], values.failures);
}

/// The configuration.
fn reloads(cluster: &Cluster, text: &mut Exposition) {
    let last = cluster.context.settings.last();
    text.family("coredns_reload_failed_total", "counter", "Times that the configuration was read again and refused.");
    text.row(&[], last.refused);
    text.family("coredns_reload_version_info", "gauge", "A hash of the configuration that holds.");
    text.row(&[("hash", "fnv1a"), ("value", &format!("{:016x}", last.fingerprint))], 1);
}

/// The names of CoreDNS before its version 1.7.
fn before_1_7(text: &mut Exposition, flows: &[Flow<'_>], zone: &str) {
    text.family("coredns_dns_request_count_total", "counter", "DNS queries that were answered, by family.");
    for flow in flows {
        for (family, is_ipv6) in [("1", false), ("2", true)] {
            let count: u64 = flow.queries(is_ipv6).iter().map(|(_, count)| count).sum();
            let labels = [("server", &*flow.server), ("zone", zone), ("proto", flow.proto), ("family", family)];
            text.row(&labels, count);
        }
    }
    text.family("coredns_dns_request_type_count_total", "counter", "DNS queries that were answered, by type.");
    for (server, flows) in by_server(flows) {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (qtype, count) in flows.iter().flat_map(|flow| [flow.queries(false), flow.queries(true)]).flatten() {
            *sums.entry(qtype).or_default() += count;
        }
        for (qtype, count) in sums.into_iter().filter(|&(_, count)| count > 0) {
            text.row(&[("server", server), ("zone", zone), ("type", qtype)], count);
        }
    }
    text.family("coredns_dns_request_do_count_total", "counter", "DNS queries with the DO bit.");
    for (server, flows) in by_server(flows) {
        let count: u64 = flows.iter().flat_map(|flow| flow.censuses()).map(Census::dnssec_ok).sum();
        text.row(&[("server", server), ("zone", zone)], count);
    }
    text.family("coredns_dns_response_rcode_count_total", "counter", "DNS answers by response code.");
    for (server, rcode, count) in rcodes(flows) {
        text.row(&[("server", server), ("zone", zone), ("rcode", &rcode)], count);
    }
}

/// What is on, by the names of the plugins that do the same.
fn plugins(cluster: &Cluster, text: &mut Exposition, flows: &[Flow<'_>], zone: &str) {
    let has_source = |name: &str| cluster.context.state.sources.iter().any(|source| source.name == name);
    let has_files = !cluster.context.state.zone_files().is_empty();
    let has_others = cluster.context.state.foreign.get().is_some();
    let named = [
        ("prometheus", true),
        ("reload", true),
        ("health", cluster.address(ClusterPort::Health).is_some()),
        ("ready", cluster.address(ClusterPort::Ready).is_some()),
        ("kubernetes", has_source("kubernetes")),
        ("etcd", has_source("etcd")),
        ("file", has_files),
        ("cache", has_others),
        ("forward", has_others),
    ];
    text.family("coredns_plugin_enabled", "gauge", "1 for what is on, by the names of CoreDNS's plugins.");
    for server in by_server(flows).keys() {
        for (name, _) in named.iter().filter(|(_, is_on)| *is_on) {
            text.row(&[("server", *server), ("zone", zone), VIEW, ("name", *name)], 1);
        }
    }
}

/// What the cache of names of others was good for; what it holds, the forwarder shows. Nothing where nobody has asked for such.
fn cache(text: &mut Exposition, flows: &[Flow<'_>]) {
    let of_server = |flows: Vec<&Flow<'_>>| {
        flows.iter().map(|flow| flow.of_others()).fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1))
    };
    let servers: Vec<(&str, (u64, u64))> =
        by_server(flows).into_iter().map(|(server, flows)| (server, of_server(flows))).collect();
    if servers.iter().all(|(_, counts)| *counts == (0, 0)) {
        return;
    }
    text.family("coredns_cache_hits_total", "counter", "Queries for names of others answered from the cache.");
    for (server, (hits, _)) in &servers {
        // Denials are not told apart: that would cost every packet.
        text.row(&[("server", *server), ("type", "success"), ("zones", "."), VIEW], hits);
    }
    text.family("coredns_cache_requests_total", "counter", "Queries for names of others.");
    for (server, (hits, misses)) in &servers {
        text.row(&[("server", *server), ("zones", "."), VIEW], hits + misses);
    }
}

/// What the process takes, by the names of Prometheus's libraries.
pub(super) fn process(text: &mut Exposition) {
    const NO_LABELS: Labels<'_> = &[];
    for figure in process::figures() {
        let (suffix, kind) = if figure.is_counter { ("_total", "counter") } else { ("", "gauge") };
        text.family(&format!("{}{suffix}", figure.name), kind, figure.help);
        text.row(NO_LABELS, figure.value);
    }
}
