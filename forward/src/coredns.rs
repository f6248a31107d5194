//! What dashboards and alerts of CoreDNS show of its plugins cache and forward, by the names of its versions since 1.11, those before,
//! and those before 1.7. Hits are the workers' to count.
//!
//! CoreDNS does not have the label `zone` of upstreams: without it an upstream of two zones would be two rows of the same labels.

use std::fmt::Error;

use prometheus_client::encoding::DescriptorEncoder;
use ringdns_controlplane::config::forward::UpstreamConfig;
use ringdns_controlplane::metrics::rows::{Labels, counter, gauge};

use crate::flight::Core;
use crate::metrics::{Row, times};
use crate::normalise::Untrue;

/// The server's name in CoreDNS's labels.
const SERVER: &str = "dns://:53";

/// Writes all of them.
pub(crate) fn encode(core: &Core, rows: &[Row], encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    cache(core, encoder)?;
    forward(core, encoder)?;
    upstreams(rows, encoder)?;
    upstreams_before(rows, encoder)
}

/// The cache. Denials are what says that there is nothing, or that no answer could be had, as CoreDNS keeps them apart.
fn cache(core: &Core, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let (counts, held) = (&core.counts, core.keeper.desk().counts());
    let server = || vec![("server", SERVER.to_owned()), ("zones", ".".to_owned()), ("view", String::new())];
    let by_type = |labels: Labels, all: u64, denials: u64| {
        let row = |kind: &str, count| ([&labels[..], &[("type", kind.to_owned())]].concat(), count);
        [row("success", all - denials), row("denial", denials)]
    };
    let entries = |labels| by_type(labels, held.entries, held.denials).map(|(labels, count)| (labels, count as f64));
    gauge(encoder, "coredns_cache_entries", "Entries of the cache.", entries(server()))?;
    let before_1_7 = vec![("server", SERVER.to_owned())];
    gauge(encoder, "coredns_cache_size", "Entries of the cache.", entries(before_1_7))?;
    let evicted = by_type(server(), held.evicted, held.evicted_denials);
    counter(encoder, "coredns_cache_evictions", "Entries that made room.", evicted)?;
    for (name, help, count) in [
        ("misses", "Questions that the cache had no answer to.", &counts.questions),
        ("prefetch", "Questions asked again before their answer's time was over.", &counts.refreshes),
        ("served_stale", "Stale answers that the forwarder gave.", &counts.stale),
        ("drops", "Answers to other questions.", counts.untrue(Untrue::OtherQuestion)),
    ] {
        counter(encoder, &format!("coredns_cache_{name}"), help, [(server(), count.get())])?;
    }
    Ok(())
}

/// What is of no upstream.
fn forward(core: &Core, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let counts = &core.counts;
    let refused = [&counts.refused_questions, &counts.refused_clients, &counts.refused_rates];
    for (name, help, count) in [
        (
            "max_concurrent_rejects",
            "Questions that were one too many.",
            refused.iter().map(|count| count.get()).sum::<u64>(),
        ),
        (
            "healthcheck_broken",
            "Times that all upstreams of a zone were down when it was asked.",
            counts.all_down.get(),
        ),
    ] {
        counter(encoder, &format!("coredns_forward_{name}"), help, [(Labels::new(), count)])?;
    }
    Ok(())
}

/// The labels of an upstream, and the zone that it is asked for.
fn to(row: &Row) -> Labels {
    let zone = row.labels.iter().filter(|(label, _)| *label == "zone").cloned();
    [("to", row.state.name.clone())].into_iter().chain(zone).collect()
}

/// The same, and the name that CoreDNS has for who asks.
fn of_proxy(row: &Row) -> Labels {
    [("proxy_name", "forward".to_owned())].into_iter().chain(to(row)).collect()
}

/// Labels, and the transport of an upstream's connections.
fn with_proto(labels: Labels, row: &Row) -> Labels {
    let proto = match row.member.config {
        UpstreamConfig::Plain(_) => "tcp",
        UpstreamConfig::Tls { .. } => "tcp-tls",
        UpstreamConfig::Https { .. } => "https",
    };
    labels.into_iter().chain([("proto", proto.to_owned())]).collect()
}

/// Upstreams since version 1.11. Over UDP each question has a socket of its own: of those nothing is kept, and nothing said.
fn upstreams(rows: &[Row], encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    times(encoder, "coredns_proxy_request_duration_seconds", rows, of_proxy)?;
    let failed = rows.iter().map(|row| (of_proxy(row), row.state.probes_failed));
    counter(encoder, "coredns_proxy_healthcheck_failures", "Probes without an answer.", failed)?;
    let hits = rows.iter().map(|row| (with_proto(of_proxy(row), row), row.state.connections_reused));
    counter(encoder, "coredns_proxy_conn_cache_hits", "Questions for which there was a connection.", hits)?;
    let misses = rows.iter().map(|row| (with_proto(of_proxy(row), row), row.state.connections_begun));
    counter(encoder, "coredns_proxy_conn_cache_misses", "Connections begun for a question.", misses)
}

/// Upstreams before version 1.11, and before 1.7.
fn upstreams_before(rows: &[Row], encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    times(encoder, "coredns_forward_request_duration_seconds", rows, to)?;
    for name in ["requests", "request_count"] {
        let asked = rows.iter().map(|row| (to(row), row.state.asked));
        counter(encoder, &format!("coredns_forward_{name}"), "Exchanges begun with the upstream.", asked)?;
    }
    for name in ["responses", "response_rcode_count"] {
        let answers = rows.iter().flat_map(|row| {
            let counted = row.member.times.rows().map(|(rcode, _, buckets)| {
                let count = buckets.iter().map(|(_, count)| count).sum();
                ([&to(row)[..], &[("rcode", rcode)]].concat(), count)
            });
            counted.collect::<Vec<_>>()
        });
        let help = "Answers of the upstream by response code.";
        counter(encoder, &format!("coredns_forward_{name}"), help, answers)?;
    }
    for name in ["healthcheck_failures", "healthcheck_failure_count"] {
        let failed = rows.iter().map(|row| (to(row), row.state.probes_failed));
        counter(encoder, &format!("coredns_forward_{name}"), "Probes without an answer.", failed)?;
    }
    let hits = rows.iter().map(|row| (with_proto(to(row), row), row.state.connections_reused));
    counter(encoder, "coredns_forward_conn_cache_hits", "Questions for which there was a connection.", hits)?;
    let misses = rows.iter().map(|row| (with_proto(to(row), row), row.state.connections_begun));
    counter(encoder, "coredns_forward_conn_cache_misses", "Connections begun for a question.", misses)
}
