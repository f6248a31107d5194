//! What people are shown of the cache and the upstreams, and what they can do to the cache: the admin API asks for it.

use std::fmt;
use std::sync::Arc;

use ringdns_controlplane::foreign::{Asked, CacheEntry, CachedRecord, ForeignCache, ForeignTotals, Upstream};
use ringdns_controlplane::suffixes::StubZones;
use ringdns_engine::cache::EntryBits;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::RecallConfig;

use crate::bootstrap::Hosts;
use crate::forwarder::{Entry, Forwarder, ZoneUpstream};
use crate::normalise::Record;
use crate::pick::Member;
use crate::upstream::UpstreamState;
use crate::zones::Zone;

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder").finish_non_exhaustive()
    }
}

impl ForeignCache for Forwarder {
    fn entries(&self, below: Option<&WireName>, skipped: usize, count: usize) -> Vec<CacheEntry> {
        let now_seconds = self.now_seconds();
        let entries = Self::entries(self, below, skipped, count);
        entries.into_iter().map(|entry| shown(entry, now_seconds)).collect()
    }

    fn flush(&self, below: Option<&WireName>, qtype: Option<u16>) -> usize {
        Self::flush(self, below, qtype)
    }

    fn upstreams(&self) -> Vec<Upstream> {
        Self::upstreams(self).into_iter().map(upstream).collect()
    }

    fn set_stub_zones(&self, zones: &StubZones) {
        Self::set_stub_zones(self, zones);
    }

    fn forget(&self, name: &WireName) -> usize {
        let wanted = name.to_lowercase();
        self.flush_where(&|entry| entry.name == wanted)
    }

    fn totals(&self) -> ForeignTotals {
        let core = self.core();
        ForeignTotals { entries: core.keeper.desk().counts().entries, forwarded: core.counts.forwarded() }
    }

    fn recall(&self) -> Option<RecallConfig> {
        Some(RecallConfig {
            shelf: self.shelf(),
            authoritative: self.core().settings.get().config.cache.authoritative,
            stale_ttl_seconds: self.stale_ttl(),
            clients: None,
            is_handover: false,
        })
    }

    fn ttl_seconds_max(&self) -> u32 {
        self.core().settings.get().config.cache.keep.positive_ttl.1
    }

    fn set_ttl_seconds_max(&self, seconds: u32) {
        let mut config = self.core().settings.get().given.clone();
        let zones = config.zones.iter_mut().chain([&mut config.common]).map(|zone| &mut zone.keep);
        let keeps = zones.chain([&mut config.cache.keep]);
        for keep in keeps {
            bound(&mut keep.positive_ttl, seconds);
            bound(&mut keep.negative_ttl, seconds.min(NEGATIVE_SECONDS_MAX));
        }
        if let Err(error) = self.reload(&config) {
            tracing::error!("answers are kept for as long as before: {error}");
        }
    }

    fn count_askers(&self) {
        self.core().askers.turn_on(self.now_seconds());
    }

    fn askers(&self) -> Asked {
        self.core().askers.shown()
    }
}

/// Longest time in seconds for which it is kept that there is nothing (RFC 2308 section 5: one to three hours).
const NEGATIVE_SECONDS_MAX: u32 = 10_800;

/// Sets the longest of two TTLs; what is not kept at all is not kept because of it.
fn bound((shortest, longest): &mut (u32, u32), seconds: u32) {
    if *longest > 0 {
        (*shortest, *longest) = ((*shortest).min(seconds), seconds);
    }
}

/// An entry. The TTLs of its records are as a client would get them now.
fn shown(entry: Entry, now_seconds: u32) -> CacheEntry {
    // What was kept was read before; an entry that could not be is shown without records all the same.
    let [records, authority] = entry.records().unwrap_or_default();
    let seconds_left = entry.seconds_left(now_seconds);
    let age = now_seconds.saturating_sub(entry.answer.fetched_seconds);
    let aged = |records: Vec<Record>| {
        let aged = |record: Record| CachedRecord {
            ttl: record.ttl.saturating_sub(age),
            rtype: record.rtype,
            rdata: record.rdata().to_vec(),
            owner: record.owner,
        };
        records.into_iter().map(aged).collect()
    };
    CacheEntry {
        qtype: entry.qtype,
        dnssec_ok: entry.answer.bits.has(EntryBits::DNSSEC_OK),
        checking_disabled: entry.answer.bits.has(EntryBits::CHECKING_DISABLED),
        rcode: entry.answer.rcode,
        ends_seconds: seconds_left + i64::from(now_seconds),
        seconds_left,
        stale_seconds: entry.answer.stale_seconds,
        uses: entry.uses,
        records: aged(records),
        authority: aged(authority),
        name: entry.name,
    }
}

/// The upstreams of a zone, and behind them those whose addresses are not known.
pub(crate) fn upstreams_of(zone: &Zone, hosts: &Hosts) -> Vec<ZoneUpstream> {
    let name = &zone.config.zone;
    let member = |member: &Arc<Member>| ZoneUpstream {
        zone: name.clone(),
        config: member.config.clone(),
        host: member.host.as_ref().map(|host| (host.clone(), hosts.error(host))),
        state: member.exchange.state(),
    };
    let mut shown: Vec<ZoneUpstream> = zone.pool.members().iter().map(member).collect();
    for named in &zone.config.named {
        // Where it has an address that is not used, that is one of ours, or given by itself.
        let addresses = hosts.addresses(&named.host);
        let is_shown = |ip| shown.iter().any(|upstream| upstream.config == named.at(ip));
        if addresses.iter().any(|ip| is_shown(*ip)) {
            continue;
        }
        let own = addresses.first().map(|ip| format!("{ip} is where RingDNS itself answers: it would ask itself"));
        shown.push(ZoneUpstream {
            zone: name.clone(),
            config: named.nowhere().clone(),
            host: Some((named.host.clone(), own.or_else(|| hosts.error(&named.host)))),
            state: UpstreamState { name: named.to_string(), ..UpstreamState::default() },
        });
    }
    shown
}

/// An upstream.
fn upstream(ZoneUpstream { zone, config, host, state }: ZoneUpstream) -> Upstream {
    Upstream {
        zone,
        name: state.name,
        config,
        host,
        is_up: state.is_up,
        is_loop: state.is_loop,
        latency: state.latency,
        p95: state.p95,
        connections: state.connections,
        asked: state.asked,
        answered: state.answered,
        failures_in_row: state.failures_in_row,
        failures: state.failures,
    }
}
