//! How what was counted is shown, by names of our own; [`coredns`] has those of CoreDNS.

use std::fmt::{self, Error};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use ringdns_controlplane::metrics::rows::{Labels, counter, gauge};

use crate::coredns;
use crate::counts::Count;
use crate::flight::Core;
use crate::normalise::Untrue;
use crate::pick::Member;
use crate::upstream::UpstreamState;

/// A gauge of an upstream: name, help, value.
type Gauge = (&'static str, &'static str, fn(&UpstreamState) -> Option<f64>);

/// A counter of an upstream.
type Plain = (&'static str, &'static str, fn(&UpstreamState) -> u64);

/// Counters of an upstream by reason.
type ByReason = (&'static str, &'static str, fn(&UpstreamState) -> &[(&'static str, u64)]);

/// The forwarder's metrics.
pub(crate) struct ForwarderMetrics(pub(crate) Arc<Core>);

impl fmt::Debug for ForwarderMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwarderMetrics").finish_non_exhaustive()
    }
}

/// An upstream as metrics have it.
pub(crate) struct Row {
    /// The zone that it is asked for, and its name.
    pub(crate) labels: Labels,
    /// How it is.
    pub(crate) state: UpstreamState,
    /// The upstream.
    pub(crate) member: Arc<Member>,
}

impl Collector for ForwarderMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        for (name, help, count) in self.0.counts.plain() {
            counter(&mut encoder, &format!("ringdns_forward_{name}"), help, [(Labels::new(), count.get())])?;
        }
        self.bounds(&mut encoder)?;
        self.cache(&mut encoder)?;
        self.upstreams(&mut encoder)?;
        coredns::encode(&self.0, &self.rows(), &mut encoder)
    }
}

impl ForwarderMetrics {
    /// What is under way, and what was refused for it.
    fn bounds(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let counts = &self.0.counts;
        let [flights, waiters, clients] = self.0.flights.counts();
        for (name, help, value) in [
            ("ringdns_forward_under_way", "Questions that upstreams are being asked.", flights),
            ("ringdns_forward_waiting", "Queries that wait for them.", waiters),
            ("ringdns_forward_clients", "Clients that wait for them.", clients),
            (
                "ringdns_forward_rechecks",
                "Questions left alone for a while: they failed, and have stale answers.",
                self.0.rechecks.len(),
            ),
            (
                "ringdns_forward_entries_apart",
                "Answers kept beside the cache because they are not for everybody: of subnets, or by the policy.",
                self.0.keeper.beside(),
            ),
        ] {
            gauge(encoder, name, help, [(Labels::new(), value as f64)])?;
        }
        let row = |bound: &str, count: &Count| (vec![("bound", bound.to_owned())], count.get());
        let rows = [
            row("questions", &counts.refused_questions),
            row("client", &counts.refused_clients),
            row("rate", &counts.refused_rates),
        ];
        counter(encoder, "ringdns_forward_refused", "Questions that were one too many, by the bound.", rows)?;
        let rows = Untrue::ALL.map(|why| (vec![("reason", why.label().to_owned())], counts.untrue(why).get()));
        counter(encoder, "ringdns_forward_untrue", "Messages of upstreams that were not used, by reason.", rows)
    }

    /// The cache.
    fn cache(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let counts = self.0.keeper.desk().counts();
        let help = "Entries of the cache of names of others.";
        gauge(encoder, "ringdns_cache_entries", help, [(Labels::new(), counts.entries as f64)])?;
        let help = "Entries of the cache that say that there is nothing, or that no answer could be had.";
        gauge(encoder, "ringdns_cache_denials", help, [(Labels::new(), counts.denials as f64)])?;
        for (name, help, value) in [
            ("ringdns_cache_inserted", "Entries put into the cache.", counts.inserted),
            ("ringdns_cache_replaced", "Entries put into the cache in place of an older one.", counts.replaced),
            ("ringdns_cache_evicted", "Entries that made room though they could still be answered.", counts.evicted),
            ("ringdns_cache_removed", "Entries removed by hand, or because a zone came.", counts.removed),
        ] {
            counter(encoder, name, help, [(Labels::new(), value)])?;
        }
        Ok(())
    }

    /// The upstreams.
    fn upstreams(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let rows = self.rows();
        let gauges: [Gauge; 5] = [
            ("up", "1 while the upstream is used.", |state| Some(f64::from(u8::from(state.is_up)))),
            ("loop", "1 while the upstream leads back to this server.", |state| {
                Some(f64::from(u8::from(state.is_loop)))
            }),
            ("latency_seconds", "How long the upstream takes by and large.", |state| {
                state.latency.map(|time| time.as_secs_f64())
            }),
            ("p95_seconds", "The time in which the upstream gives 95 of 100 answers.", |state| {
                state.p95.map(|time| time.as_secs_f64())
            }),
            ("connections", "Open connections to the upstream.", |state| Some(state.connections as f64)),
        ];
        for (name, help, value) in gauges {
            let rows = rows.iter().filter_map(|row| Some((row.labels.clone(), value(&row.state)?)));
            gauge(encoder, &format!("ringdns_upstream_{name}"), help, rows)?;
        }
        let counters: [Plain; 6] = [
            ("asked", "Exchanges begun with the upstream.", |state| state.asked),
            ("answered", "Exchanges with an answer.", |state| state.answered),
            ("probes", "Probes of the upstream while it failed.", |state| state.probes),
            ("probes_failed", "Such probes without an answer.", |state| state.probes_failed),
            ("connections_reused", "Questions for which there was a connection.", |state| state.connections_reused),
            ("connections_begun", "Connections begun for a question.", |state| state.connections_begun),
        ];
        for (name, help, value) in counters {
            let rows = rows.iter().map(|row| (row.labels.clone(), value(&row.state)));
            counter(encoder, &format!("ringdns_upstream_{name}"), help, rows)?;
        }
        let by_reason: [ByReason; 3] = [
            ("failures", "Exchanges without an answer, by reason.", |state| &state.failures),
            ("bad_packets", "Packets and messages that were not believed, by reason.", |state| &state.bad_packets),
            ("over_tcp", "Questions asked again over TCP, by reason.", |state| &state.over_tcp),
        ];
        for (name, help, values) in by_reason {
            let each = rows.iter().flat_map(|row| {
                let with = |reason: &str| [&row.labels[..], &[("reason", reason.to_owned())]].concat();
                values(&row.state).iter().map(move |(reason, count)| (with(reason), *count))
            });
            counter(encoder, &format!("ringdns_upstream_{name}"), help, each)?;
        }
        times(encoder, "ringdns_upstream_seconds", &rows, |row| row.labels.clone())
    }

    /// The upstreams of all zones.
    fn rows(&self) -> Vec<Row> {
        let settings = self.0.settings.get();
        let of_zone = |zone: &Arc<crate::zones::Zone>| {
            let name = zone.config.zone.to_string();
            let row = |member: &Arc<Member>| {
                let state = member.exchange.state();
                let labels = vec![("zone", name.clone()), ("upstream", state.name.clone())];
                Row { labels, state, member: Arc::clone(member) }
            };
            zone.pool.members().iter().map(row).collect::<Vec<_>>()
        };
        settings.table.zones().into_iter().flat_map(of_zone).collect()
    }
}

/// Writes how long exchanges took, with the labels that a row is to have.
pub(crate) fn times(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    rows: &[Row],
    labels: impl Fn(&Row) -> Labels,
) -> Result<(), Error> {
    let help = "Seconds that exchanges with the upstream took, by response code.";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for row in rows {
        for (rcode, seconds, buckets) in row.member.times.rows() {
            let count = buckets.iter().map(|(_, count)| count).sum();
            let labels = [&labels(row)[..], &[("rcode", rcode)]].concat();
            metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)?;
        }
    }
    Ok(())
}
