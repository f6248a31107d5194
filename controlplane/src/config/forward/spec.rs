//! The tables as written.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use crate::config::file::Words;

/// A list whose entries have places of their own.
pub(super) type List = Option<Spanned<Vec<Spanned<String>>>>;

/// `[forward]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Forward {
    /// Who is asked for all names.
    pub upstreams: List,
    /// A file in the form of resolv.conf, or `system`.
    pub resolv_conf: Option<Spanned<PathBuf>>,
    /// Zones that are not asked for.
    pub except: List,
    /// Certificates of those who sign that of upstreams.
    pub ca_file: Option<Spanned<PathBuf>>,
    /// `cache`, `direct` or `disable`.
    pub mode: Option<Spanned<String>>,
    /// `fastest`, `sequential`, `round-robin` or `random`.
    pub policy: Option<Spanned<String>>,
    /// True: TCP only.
    pub tcp_only: Option<bool>,
    /// Milliseconds of one try.
    pub try_ms: Option<Spanned<i64>>,
    /// Failures in a row after which an upstream is down.
    pub failures_max: Option<Spanned<i64>>,
    /// True: SERVFAIL where all are down.
    pub fail_fast: Option<bool>,
    /// Milliseconds between two probes.
    pub probe_interval_ms: Option<Spanned<i64>>,
    /// Response codes for which the next upstream is asked.
    pub next_rcodes: List,
    /// True: AD is believed.
    pub trusts_ad: Option<bool>,
    /// Milliseconds from query to answer.
    pub deadline_ms: Option<Spanned<i64>>,
    /// Milliseconds before a second upstream is asked.
    pub hedge_after_ms: Option<Spanned<i64>>,
    /// Questions under way.
    pub questions_max: Option<Spanned<i64>>,
    /// Questions under way of one client.
    pub questions_per_client_max: Option<Spanned<i64>>,
    /// Questions of one client in a second.
    pub questions_per_client_per_second: Option<Spanned<i64>>,
    /// `refused`, `servfail` or `drop`.
    pub overload: Option<Spanned<String>>,
    /// `off`, or two prefix lengths.
    pub client_subnet: Option<Spanned<ClientSubnet>>,
    /// Labels that a name must have.
    pub labels_min: Option<Spanned<i64>>,
    /// More addresses at which this server is asked.
    pub own_addresses: Option<Spanned<Vec<Spanned<IpAddr>>>>,
    /// Who is asked for some zones.
    pub zone: Vec<Spanned<Zone>>,
}

/// `[[forward.zone]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// The zone.
    pub zone: Spanned<String>,
    /// Who is asked.
    pub upstreams: List,
    /// A file in the form of resolv.conf, or `system`.
    pub resolv_conf: Option<Spanned<PathBuf>>,
    /// Zones below it that are not asked for.
    pub except: List,
    /// As in `[forward]`.
    pub ca_file: Option<Spanned<PathBuf>>,
    /// As in `[forward]`.
    pub mode: Option<Spanned<String>>,
    /// As in `[forward]`.
    pub policy: Option<Spanned<String>>,
    /// As in `[forward]`.
    pub tcp_only: Option<bool>,
    /// As in `[forward]`.
    pub try_ms: Option<Spanned<i64>>,
    /// As in `[forward]`.
    pub failures_max: Option<Spanned<i64>>,
    /// As in `[forward]`.
    pub fail_fast: Option<bool>,
    /// As in `[forward]`.
    pub probe_interval_ms: Option<Spanned<i64>>,
    /// As in `[forward]`.
    pub next_rcodes: List,
    /// As in `[forward]`.
    pub trusts_ad: Option<bool>,
    /// What is kept of its answers.
    pub cache: Option<Spanned<Keep>>,
}

/// The keys that `[forward]` and `[[forward.zone]]` have in common.
pub(super) struct Asking<'a> {
    /// See [`Zone`].
    pub(super) upstreams: &'a List,
    /// See [`Zone`].
    pub(super) resolv_conf: &'a Option<Spanned<PathBuf>>,
    /// See [`Zone`].
    pub(super) except: &'a List,
    /// See [`Zone`].
    pub(super) ca_file: &'a Option<Spanned<PathBuf>>,
    /// See [`Zone`].
    pub(super) mode: &'a Option<Spanned<String>>,
    /// See [`Zone`].
    pub(super) policy: &'a Option<Spanned<String>>,
    /// See [`Zone`].
    pub(super) tcp_only: Option<bool>,
    /// See [`Zone`].
    pub(super) try_ms: &'a Option<Spanned<i64>>,
    /// See [`Zone`].
    pub(super) failures_max: &'a Option<Spanned<i64>>,
    /// See [`Zone`].
    pub(super) fail_fast: Option<bool>,
    /// See [`Zone`].
    pub(super) probe_interval_ms: &'a Option<Spanned<i64>>,
    /// See [`Zone`].
    pub(super) next_rcodes: &'a List,
    /// See [`Zone`].
    pub(super) trusts_ad: Option<bool>,
}

/// Makes the common view of a table.
macro_rules! asking {
    ($table:expr) => {
        Asking {
            upstreams: &$table.upstreams,
            resolv_conf: &$table.resolv_conf,
            except: &$table.except,
            ca_file: &$table.ca_file,
            mode: &$table.mode,
            policy: &$table.policy,
            tcp_only: $table.tcp_only,
            try_ms: &$table.try_ms,
            failures_max: &$table.failures_max,
            fail_fast: $table.fail_fast,
            probe_interval_ms: &$table.probe_interval_ms,
            next_rcodes: &$table.next_rcodes,
            trusts_ad: $table.trusts_ad,
        }
    };
}

impl Forward {
    /// What it has in common with the other table.
    pub(super) fn asking(&self) -> Asking<'_> {
        asking!(self)
    }
}

impl Zone {
    /// What it has in common with the other table.
    pub(super) fn asking(&self) -> Asking<'_> {
        asking!(self)
    }
}

/// Whether and how much of the client's address upstreams are told.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected \"off\" or two prefix lengths such as [24, 56]")]
pub enum ClientSubnet {
    /// `off`
    Word(String),
    /// Bits of IPv4 and IPv6.
    Bits([i64; 2]),
}

/// `[cache]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Its size in MiB.
    pub size_mib: Option<Spanned<i64>>,
    /// Seconds for which failures are kept.
    pub failure_ttl_seconds: Option<Spanned<i64>>,
    /// True: AA is set.
    pub authoritative: Option<bool>,
    /// Where it is over a restart.
    pub file: Option<Spanned<PathBuf>>,
    /// Seconds between two times that it is written.
    pub file_interval_seconds: Option<Spanned<i64>>,
    /// Shortest TTL of answers with records.
    pub positive_ttl_min: Option<Spanned<i64>>,
    /// Longest TTL of answers with records.
    pub positive_ttl_max: Option<Spanned<i64>>,
    /// Shortest TTL of answers without.
    pub negative_ttl_min: Option<Spanned<i64>>,
    /// Longest TTL of answers without.
    pub negative_ttl_max: Option<Spanned<i64>>,
    /// True: TTLs are shown as they were fetched.
    pub keeps_ttl: Option<bool>,
    /// Seconds for which stale answers are given.
    pub stale_seconds: Option<Spanned<i64>>,
    /// Their TTL.
    pub stale_ttl_seconds: Option<Spanned<i64>>,
    /// `after-failure` or `at-once`.
    pub stale: Option<Spanned<String>>,
    /// Milliseconds after which a stale answer is given while upstreams are asked.
    pub stale_after_ms: Option<Spanned<i64>>,
    /// True: a stale positive answer beats a fresh negative one.
    pub stale_prefers_positive: Option<bool>,
    /// Milliseconds after a failure in which upstreams are not asked again.
    pub stale_recheck_ms: Option<Spanned<i64>>,
    /// Uses after which an answer is fetched again before its time is over.
    pub prefetch_uses: Option<Spanned<i64>>,
    /// The part of its time that must be left, in percent.
    pub prefetch_percent: Option<Spanned<i64>>,
}

/// `cache` of `[[forward.zone]]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// As in `[cache]`.
    pub positive_ttl_min: Option<Spanned<i64>>,
    /// As in `[cache]`.
    pub positive_ttl_max: Option<Spanned<i64>>,
    /// As in `[cache]`.
    pub negative_ttl_min: Option<Spanned<i64>>,
    /// As in `[cache]`.
    pub negative_ttl_max: Option<Spanned<i64>>,
    /// As in `[cache]`.
    pub keeps_ttl: Option<bool>,
    /// As in `[cache]`.
    pub stale_seconds: Option<Spanned<i64>>,
    /// As in `[cache]`.
    pub stale_ttl_seconds: Option<Spanned<i64>>,
    /// As in `[cache]`.
    pub stale: Option<Spanned<String>>,
    /// As in `[cache]`.
    pub stale_after_ms: Option<Spanned<i64>>,
    /// As in `[cache]`.
    pub stale_prefers_positive: Option<bool>,
    /// As in `[cache]`.
    pub stale_recheck_ms: Option<Spanned<i64>>,
    /// As in `[cache]`.
    pub prefetch_uses: Option<Spanned<i64>>,
    /// As in `[cache]`.
    pub prefetch_percent: Option<Spanned<i64>>,
}

impl Cache {
    /// What a zone can say too.
    pub(super) fn keep(&mut self) -> Keep {
        Keep {
            positive_ttl_min: self.positive_ttl_min.take(),
            positive_ttl_max: self.positive_ttl_max.take(),
            negative_ttl_min: self.negative_ttl_min.take(),
            negative_ttl_max: self.negative_ttl_max.take(),
            keeps_ttl: self.keeps_ttl,
            stale_seconds: self.stale_seconds.take(),
            stale_ttl_seconds: self.stale_ttl_seconds.take(),
            stale: self.stale.take(),
            stale_after_ms: self.stale_after_ms.take(),
            stale_prefers_positive: self.stale_prefers_positive,
            stale_recheck_ms: self.stale_recheck_ms.take(),
            prefetch_uses: self.prefetch_uses.take(),
            prefetch_percent: self.prefetch_percent.take(),
        }
    }
}

/// `[policy]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Networks that may ask.
    pub allow: List,
    /// Networks that may not.
    pub deny: List,
    /// `refused` or `drop`.
    pub deny_answer: Option<Spanned<String>>,
    /// Lists of names that are not asked for.
    pub block_files: Vec<Spanned<Block>>,
    /// Files in the form of /etc/hosts.
    pub hosts_files: Option<Vec<Spanned<PathBuf>>>,
    /// Lines of such a file.
    pub hosts: List,
    /// TTL of what they say.
    pub hosts_ttl_seconds: Option<Spanned<i64>>,
    /// True: names of special use are answered here.
    pub local_names: Option<bool>,
    /// True: reverse zones of private addresses are answered here.
    pub local_reverse: Option<bool>,
}

/// An entry of `policy.block_files`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The file.
    pub path: Spanned<PathBuf>,
    /// `hosts`, `domains` or `rpz`.
    pub format: Spanned<String>,
    /// What is answered: a word, or addresses.
    pub answer: Option<Spanned<Words>>,
}
