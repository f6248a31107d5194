//! What is counted, and how it is shown: by names of our own, and by those of CoreDNS for its dashboards and alerts.

use std::fmt::{self, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::flight::Core;
use crate::normalise::Untrue;
use crate::pick::Member;
use crate::upstream::UpstreamState;

/// The first upper bound of the times in seconds; each further one is twice the one before.
const FIRST_SECONDS: f64 = 0.000_25;

/// Upper bounds of the times, those of CoreDNS; what takes longer is beyond them.
const BOUNDS: usize = 16;

/// Response codes that are told apart; the others are one.
const RCODES: usize = 6;

/// Nanoseconds of a second.
const NANOSECONDS: f64 = 1e9;

/// A count.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Adds to it.
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// What it came to.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Questions that came.
    pub(crate) questions: Count,
    /// Those that the policy answered.
    pub(crate) ruled: Count,
    /// Those for which nobody is asked.
    pub(crate) unasked: Count,
    /// Those that were answered from the cache after all.
    pub(crate) known: Count,
    /// Those that waited for one that was under way.
    pub(crate) merged: Count,
    /// Questions that upstreams were asked, refreshes among them.
    pub(crate) asked: Count,
    /// Questions asked again before anybody had to wait.
    pub(crate) refreshes: Count,
    /// Questions refused: too many.
    pub(crate) refused_questions: Count,
    /// Questions refused: too many of one client.
    pub(crate) refused_clients: Count,
    /// Questions without an answer.
    pub(crate) failures: Count,
    /// Stale answers that were given here.
    pub(crate) stale: Count,
    /// Second upstreams that were asked beside a slow first.
    pub(crate) hedges: Count,
    /// Those that answered first.
    pub(crate) hedges_won: Count,
    /// Answers that were not kept.
    pub(crate) not_kept: Count,
    /// Records that did not belong to the answer they came in.
    pub(crate) dropped_records: Count,
    /// Entries removed because a zone of ours has their names.
    pub(crate) swept: Count,
    /// Messages that were not used, by reason.
    untrue: [Count; Untrue::ALL.len()],
}

impl Counts {
    /// The count of a reason.
    pub(crate) fn untrue(&self, why: Untrue) -> &Count {
        let [malformed, other_question, truncated, referral, looped] = &self.untrue;
        match why {
            Untrue::Malformed => malformed,
            Untrue::OtherQuestion => other_question,
            Untrue::Truncated => truncated,
            Untrue::Referral => referral,
            Untrue::Loop => looped,
        }
    }

    /// Name, help and count of each that has no labels.
    fn plain(&self) -> [(&'static str, &'static str, &Count); 14] {
        [
            ("questions", "Questions about names of others that the cache had no answer to.", &self.questions),
            ("ruled", "Questions that the policy answered, refused or dropped.", &self.ruled),
            ("unasked", "Questions for which nobody is asked.", &self.unasked),
            ("known", "Questions whose answer had come meanwhile, or was given stale at once.", &self.known),
            ("merged", "Questions that waited for the same one under way.", &self.merged),
            ("asked", "Questions that upstreams were asked, refreshes among them.", &self.asked),
            (
                "refreshes",
                "Questions asked again before their answer's time was over, or while it was given stale.",
                &self.refreshes,
            ),
            ("failures", "Questions to which there was no answer.", &self.failures),
            ("stale", "Stale answers given by the forwarder; those of workers are not among them.", &self.stale),
            ("hedges", "Times that a second upstream was asked because the first was slow.", &self.hedges),
            ("hedges_won", "Times that the second was faster then.", &self.hedges_won),
            ("not_kept", "Answers that were not kept: TTL 0, unproven, or of a zone of ours.", &self.not_kept),
            ("dropped_records", "Records that did not belong to the answer they came in.", &self.dropped_records),
            ("swept_entries", "Entries removed because a zone that is served here came.", &self.swept),
        ]
    }
}

/// How long exchanges with an upstream took, by response code.
#[derive(Debug, Default)]
pub(crate) struct ExchangeTimes([Times; RCODES + 1]);

/// A histogram.
#[derive(Debug, Default)]
struct Times {
    /// Numbers by upper bound.
    buckets: [AtomicU64; BOUNDS + 1],
    /// Their sum.
    nanoseconds: AtomicU64,
}

impl ExchangeTimes {
    /// Notes an exchange.
    pub(crate) fn note(&self, rcode: u16, took: Duration) {
        let Some(times) = self.0.get(usize::from(rcode).min(RCODES)) else { return };
        let bucket = bounds().position(|bound| took.as_secs_f64() <= bound).unwrap_or(BOUNDS);
        if let Some(bucket) = times.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        times.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Response code, sum in seconds, and numbers by upper bound of those that there are.
    fn rows(&self) -> impl Iterator<Item = (String, f64, Vec<(f64, u64)>)> {
        let named = (0u16..).zip(&self.0);
        named.filter_map(|(rcode, times)| {
            let counts = times.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
            let buckets: Vec<(f64, u64)> = bounds().chain([f64::INFINITY]).zip(counts).collect();
            let seconds = times.nanoseconds.load(Ordering::Relaxed) as f64 / NANOSECONDS;
            let name = match rcode {
                0 => "NOERROR",
                1 => "FORMERR",
                2 => "SERVFAIL",
                3 => "NXDOMAIN",
                4 => "NOTIMP",
                5 => "REFUSED",
                _ => "other",
            };
            buckets.iter().any(|(_, count)| *count > 0).then(|| (name.to_owned(), seconds, buckets))
        })
    }
}

/// The finite upper bounds in seconds.
fn bounds() -> impl Iterator<Item = f64> {
    (0..BOUNDS).scan(FIRST_SECONDS, |next, _| {
        let bound = *next;
        *next *= 2.0;
        Some(bound)
    })
}

/// The forwarder's metrics.
pub(crate) struct ForwarderMetrics(pub(crate) Arc<Core>);

impl fmt::Debug for ForwarderMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwarderMetrics").finish_non_exhaustive()
    }
}

/// Labels of a row.
type Labels = Vec<(&'static str, String)>;

/// Writes counters of one name.
fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    rows: impl IntoIterator<Item = (Labels, u64)>,
) -> Result<(), Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in rows {
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
    }
    Ok(())
}

/// Writes gauges of one name.
fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    rows: impl IntoIterator<Item = (Labels, f64)>,
) -> Result<(), Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in rows {
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

/// An upstream as metrics have it.
struct Row {
    /// The zone that it is asked for, and its name.
    labels: Labels,
    /// How it is.
    state: UpstreamState,
    /// The upstream.
    member: Arc<Member>,
}

impl Collector for ForwarderMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        for (name, help, count) in self.0.counts.plain() {
            counter(&mut encoder, (&format!("ringdns_forward_{name}"), help), [(Labels::new(), count.get())])?;
        }
        self.bounds(&mut encoder)?;
        self.cache(&mut encoder)?;
        self.upstreams(&mut encoder)
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
        ] {
            gauge(encoder, (name, help), [(Labels::new(), value as f64)])?;
        }
        let row = |bound: &str, count: &Count| (vec![("bound", bound.to_owned())], count.get());
        let rows = [row("questions", &counts.refused_questions), row("client", &counts.refused_clients)];
        counter(encoder, ("ringdns_forward_refused", "Questions that were one too many, by the bound."), rows)?;
        let rows = Untrue::ALL.map(|why| (vec![("reason", why.label().to_owned())], counts.untrue(why).get()));
        counter(encoder, ("ringdns_forward_untrue", "Messages of upstreams that were not used, by reason."), rows)
    }

    /// The cache.
    fn cache(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let counts = self.0.keeper.desk().counts();
        let help = "Entries of the cache of names of others.";
        gauge(encoder, ("ringdns_cache_entries", help), [(Labels::new(), counts.entries as f64)])?;
        for (name, help, value) in [
            ("ringdns_cache_inserted", "Entries put into the cache.", counts.inserted),
            ("ringdns_cache_replaced", "Entries put into the cache in place of an older one.", counts.replaced),
            ("ringdns_cache_evicted", "Entries that made room though they could still be answered.", counts.evicted),
            ("ringdns_cache_removed", "Entries removed by hand, or because a zone came.", counts.removed),
        ] {
            counter(encoder, (name, help), [(Labels::new(), value)])?;
        }
        Ok(())
    }

    /// The upstreams.
    fn upstreams(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let rows = self.rows();
        let flag = |value: bool| f64::from(u8::from(value));
        type Gauge = (&'static str, &'static str, fn(&UpstreamState) -> Option<f64>);
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let _ = (flag, seconds);
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
            gauge(encoder, (&format!("ringdns_upstream_{name}"), help), rows)?;
        }
        type Plain = (&'static str, &'static str, fn(&UpstreamState) -> u64);
        let counters: [Plain; 3] = [
            ("asked", "Exchanges begun with the upstream.", |state| state.asked),
            ("answered", "Exchanges with an answer.", |state| state.answered),
            ("probes", "Probes of the upstream while it was down.", |state| state.probes),
        ];
        for (name, help, value) in counters {
            let rows = rows.iter().map(|row| (row.labels.clone(), value(&row.state)));
            counter(encoder, (&format!("ringdns_upstream_{name}"), help), rows)?;
        }
        type ByReason = (&'static str, &'static str, fn(&UpstreamState) -> &[(&'static str, u64)]);
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
            counter(encoder, (&format!("ringdns_upstream_{name}"), help), each)?;
        }
        times(encoder, "ringdns_upstream_seconds", &rows)
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

/// Writes how long exchanges took.
fn times(encoder: &mut DescriptorEncoder<'_>, name: &str, rows: &[Row]) -> Result<(), Error> {
    let help = "Seconds that exchanges with the upstream took, by response code.";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for row in rows {
        for (rcode, seconds, buckets) in row.member.times.rows() {
            let count = buckets.iter().map(|(_, count)| count).sum();
            let labels = [&row.labels[..], &[("rcode", rcode)]].concat();
            metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)?;
        }
    }
    Ok(())
}
