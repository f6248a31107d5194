//! Metrics in the OpenMetrics text form, which Prometheus scrapes. Nothing is kept here: every value is read from its
//! owner when it is asked for.

pub mod rows;

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use ringdns_engine::counters::Counters;
use ringdns_engine::verdict::{Fate, Reason};

pub(crate) use self::rows::{Labels, counter, gauge};
use crate::BuildInfo;
use crate::ports::PortGauges;
use crate::process::{self, Figure};
use crate::reload::Settings;
use crate::sockets::{Monitor, is_of_messages};
use crate::state::{PUBLISH_SECONDS_BUCKETS, State, now_ms};

/// Type of the body.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that can be scraped.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// The one collector, registered, and those of guests.
    registry: Registry,
    /// Who shows more than that.
    state: Arc<State>,
}

impl Metrics {
    /// Metrics of a process that starts now.
    pub(crate) fn new(
        counters: Vec<Arc<Counters>>,
        sockets: Option<Arc<Monitor>>,
        state: Arc<State>,
        settings: Arc<Settings>,
        build: BuildInfo,
        guests: Vec<Box<dyn Collector>>,
    ) -> Self {
        let mut registry = Registry::default();
        let start_seconds = now_ms() as f64 / 1000.0;
        let reader = Reader { counters, sockets, state: Arc::clone(&state), settings, build, start_seconds };
        registry.register_collector(Box::new(reader));
        for guest in guests {
            registry.register_collector(guest);
        }
        Self { registry, state }
    }

    /// The text.
    pub(crate) fn encode(&self) -> String {
        let mut body = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode_registry(&mut body, &self.registry);
        if let Some(shown) = self.state.shown.get() {
            let _ = text::encode_registry(&mut body, shown);
        }
        let _ = text::encode_eof(&mut body);
        body
    }
}

/// Reads values from their owners.
#[derive(Debug)]
struct Reader {
    /// What the workers count.
    counters: Vec<Arc<Counters>>,
    /// What the sockets show.
    sockets: Option<Arc<Monitor>>,
    /// What the cycle and the sources show.
    state: Arc<State>,
    /// What reading the configuration again came to.
    settings: Arc<Settings>,
    /// What this program is.
    build: BuildInfo,
    /// When the process started, in seconds since 1970.
    start_seconds: f64,
}

/// The name of a response code (IANA, DNS RCODEs).
pub fn rcode_name(rcode: u16) -> String {
    let name = match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        11 => "DSOTYPENI",
        16 => "BADVERS",
        23 => "BADCOOKIE",
        other => return format!("RCODE{other}"),
    };
    name.to_owned()
}

/// A number as metrics have it; beyond 2^53 the last digits are lost, which no value here reaches.
fn float(value: u64) -> f64 {
    value as f64
}

impl Collector for Reader {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        self.workers(&mut encoder)?;
        self.reasons(&mut encoder)?;
        self.ports(&mut encoder)?;
        if let Some(sockets) = &self.sockets {
            sockets.encode(&mut encoder)?;
        }
        self.snapshot(&mut encoder)?;
        self.publications(&mut encoder)?;
        self.sources(&mut encoder)?;
        self.state.members.encode(&mut encoder)?;
        if let Some(etcd) = self.state.etcd.get() {
            etcd.encode(&mut encoder)?;
        }
        if let Some(replica) = self.state.replica.get() {
            replica.encode(&mut encoder)?;
        }
        if let Some(kdns) = self.state.kdns.get() {
            kdns.encode(&mut encoder)?;
        }
        if let Some(node_local) = self.state.node_local.get() {
            node_local.encode(&mut encoder)?;
        }
        self.configuration(&mut encoder)?;
        self.process(&mut encoder)
    }
}

impl Reader {
    /// Number and counters of each worker; those of sockets have the transport's name for a number.
    fn each(&self) -> impl Iterator<Item = (String, &Counters)> {
        let workers =
            self.counters.iter().enumerate().map(|(worker, counters)| (worker.to_string(), counters.as_ref()));
        let sockets = self.sockets.iter().flat_map(|sockets| sockets.counters());
        workers.chain(sockets.map(|(transport, counters)| (transport.to_owned(), counters)))
    }

    /// What the workers count by name and by response code.
    fn workers(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let queries = self.each().flat_map(|(worker, counters)| {
            let row =
                move |family: &str, value| (vec![("worker", worker.clone()), ("family", family.to_owned())], value);
            [row("ipv4", counters.queries_ipv4.get()), row("ipv6", counters.queries_ipv6.get())]
        });
        counter(encoder, "ringdns_queries", "DNS queries that were answered.", queries)?;
        let responses = self.each().flat_map(|(worker, counters)| {
            let row = move |(rcode, value)| (vec![("worker", worker.clone()), ("rcode", rcode_name(rcode))], value);
            counters.rcodes().map(row)
        });
        counter(encoder, "ringdns_responses", "Answers by response code.", responses)?;
        let names = Counters::default();
        for (index, (name, help, _)) in names.plain().enumerate() {
            if name.starts_with("queries_") {
                continue;
            }
            let rows = self
                .each()
                .filter(|(worker, _)| is_of_messages(name) || worker.bytes().all(|byte| byte.is_ascii_digit()))
                .filter_map(|(worker, counters)| Some((vec![("worker", worker)], counters.plain().nth(index)?.2)));
            counter(encoder, &format!("ringdns_{name}"), help, rows)?;
        }
        Ok(())
    }

    /// Frames by reason.
    fn reasons(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        for (fate, name, help) in [
            (Fate::Drop, "ringdns_drops", "Frames dropped, by reason."),
            (Fate::Punt, "ringdns_punts", "Frames that are for the kernel, by reason."),
            (Fate::Formerr, "ringdns_formerr", "Queries answered with FORMERR, by reason."),
        ] {
            let rows = self.each().flat_map(|(worker, counters)| {
                let reasons = Reason::ALL.iter().filter(move |reason| reason.fate() == fate);
                reasons.map(move |&reason| {
                    (vec![("worker", worker.clone()), ("reason", reason.name().to_owned())], counters.reason(reason))
                })
            });
            counter(encoder, name, help, rows)?;
        }
        Ok(())
    }

    /// The ports.
    fn ports(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let ports = self.state.ports();
        let label = |port: &PortGauges| vec![("port", port.name.clone())];
        let figures = PortGauges::default();
        for (index, (name, help, _)) in figures.link().into_iter().enumerate() {
            let rows = ports.iter().map(|port| (label(port), float(port.link()[index].2)));
            gauge(encoder, &format!("ringdns_port_{name}"), help, rows)?;
        }
        for (index, (name, help, _)) in figures.counts().into_iter().enumerate() {
            let rows = ports.iter().map(|port| (label(port), port.counts()[index].2));
            counter(encoder, &format!("ringdns_port_{name}"), help, rows)?;
        }
        Ok(())
    }

    /// The served snapshot.
    fn snapshot(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let served = self.state.served();
        let snapshot = &served.snapshot;
        for (name, help, value) in [
            ("ringdns_snapshot_generation", "Commits before the served snapshot.", snapshot.generation()),
            ("ringdns_snapshot_zones", "Zones that are served.", served.zones.len() as u64),
            ("ringdns_snapshot_names", "Names that are served, empty non-terminals included.", snapshot.names()),
            ("ringdns_snapshot_rrsets", "RRsets that are served.", snapshot.rrsets()),
            ("ringdns_snapshot_memory_bytes", "Bytes that the served snapshot takes.", snapshot.memory_bytes()),
            ("ringdns_snapshot_complete", "1 once every source was read.", u64::from(snapshot.is_complete())),
            (
                "ringdns_shadowed_rrsets",
                "RRsets that another source outranks.",
                self.state.losers.load(Ordering::Relaxed),
            ),
        ] {
            gauge(encoder, name, help, [(Labels::new(), float(value))])?;
        }
        Ok(())
    }

    /// How long publications took.
    fn publications(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let times = self.state.publish_times();
        let buckets: Vec<(f64, u64)> = PUBLISH_SECONDS_BUCKETS.into_iter().zip(times.buckets).collect();
        let help = "Seconds from a change's turn to its publication.";
        let mut metric = encoder.encode_descriptor("ringdns_publish_seconds", help, None, MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(times.sum_seconds, times.count, &buckets, None)?;
        let help = "Seconds that the last publication took.";
        gauge(encoder, "ringdns_publish_last_seconds", help, [(Labels::new(), times.last_seconds)])?;
        let refused = self.state.refusals.load(Ordering::Relaxed);
        let help = "Changes that could not be served.";
        counter(encoder, "ringdns_refused_changes", help, [(Labels::new(), refused)])
    }

    /// The sources.
    fn sources(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let each = || self.state.sources.iter().map(|source| (vec![("source", source.name.to_owned())], source));
        let synced = each().map(|(labels, source)| (labels, f64::from(u8::from(source.is_synced()))));
        gauge(encoder, "ringdns_source_synced", "1 once the source was read.", synced)?;
        let ages = each().filter_map(|(labels, source)| Some((labels, source.age_seconds()?)));
        gauge(encoder, "ringdns_source_age_seconds", "Seconds since the source's last change.", ages)?;
        let batches = each().map(|(labels, source)| (labels, source.batches()));
        counter(encoder, "ringdns_source_batches", "Batches of changes that the source gave.", batches)?;
        let files = self.state.zone_files();
        let labels = |zone: &ringdns_engine::name::WireName| vec![("zone", zone.to_string())];
        let loaded = files.iter().map(|file| (labels(&file.zone), f64::from(u8::from(file.error.is_none()))));
        gauge(encoder, "ringdns_zone_file_ok", "0 where the zone file as read last was not taken.", loaded)?;
        let records = files.iter().map(|file| (labels(&file.zone), float(file.records.unwrap_or(0))));
        gauge(encoder, "ringdns_zone_file_records", "Records of the zone file as it is served.", records)?;
        let commits = self.state.store_commits.load(Ordering::Relaxed);
        counter(encoder, "ringdns_store_commits", "Durable commits of the store.", [(Labels::new(), commits)])?;
        let writes = self.state.store_writes.load(Ordering::Relaxed);
        counter(encoder, "ringdns_store_writes", "Writes that those commits held.", [(Labels::new(), writes)])
    }

    /// The configuration.
    fn configuration(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let last = self.settings.last();
        let ok = [(Labels::new(), f64::from(u8::from(last.error.is_none())))];
        gauge(encoder, "ringdns_config_ok", "0 where the configuration as read last was refused.", ok)?;
        let row = |outcome: &str, value| (vec![("outcome", outcome.to_owned())], value);
        let rows = [row("taken", last.taken), row("refused", last.refused)];
        counter(encoder, "ringdns_config_reloads", "Times that the configuration was read again.", rows)?;
        let restart = [(Labels::new(), last.restart.len() as f64)];
        gauge(encoder, "ringdns_config_needs_restart", "Keys whose new values hold after a restart only.", restart)
    }

    /// The process.
    fn process(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut metric =
            encoder.encode_descriptor("ringdns_build", "What this program was built from.", None, MetricType::Info)?;
        let labels: Labels = vec![
            ("version", self.build.version.clone()),
            ("commit", self.build.commit.clone()),
            ("dpdk", self.build.dpdk.clone()),
        ];
        metric.encode_info(&labels)?;
        for Figure { name, help, is_counter, value } in process::figures() {
            let kind = if is_counter { MetricType::Counter } else { MetricType::Gauge };
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            match kind {
                MetricType::Counter => metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
                _ => metric.encode_gauge(&value)?,
            }
        }
        let help = "Start time of the process in seconds since 1970.";
        gauge(encoder, "process_start_time_seconds", help, [(Labels::new(), self.start_seconds)])
    }
}
