//! What `[forward]` and `[[forward.zone]]` have in common: who is asked for the names of a zone, and how.

use std::ops::Range;

use ringdns_engine::name::WireName;
use toml::Spanned;

use super::named::{Given, given};
use super::policy::readable;
use super::read::Surroundings;
use super::spec::{Asking, List};
use super::upstream::REMEDY;
use super::words::{MODES, POLICIES, milliseconds, rcodes};
use super::{ForwardMode, ForwardPolicy, ForwardZone, KeepConfig, resolv_conf};
use crate::config::problem::Problems;
use crate::config::validate::number;
use crate::config::value::word;

/// One try's time by default, in milliseconds: within the deadline there is room for a second one, and a resolver that asks far
/// away needs a second now and then.
const TRY_MS: u64 = 2000;

/// Bounds of one try's time, in milliseconds: a longer one has no end within the time that clients wait.
const TRY_MS_BOUNDS: std::ops::RangeInclusive<i64> = 10..=30_000;

/// Failures in a row after which an upstream is down, by default, as in CoreDNS.
const FAILURES_MAX: u32 = 2;

/// Most upstreams of a zone: more than anybody keeps.
const UPSTREAMS_MAX: usize = 64;

/// Between two probes by default, in milliseconds, as in CoreDNS.
const PROBE_INTERVAL_MS: u64 = 500;

/// What is asked where nothing is said: nobody, and how it is done.
pub(super) fn default_zone(keep: KeepConfig) -> ForwardZone {
    ForwardZone {
        zone: WireName::root(),
        except: Vec::new(),
        mode: ForwardMode::default(),
        upstreams: Vec::new(),
        named: Vec::new(),
        resolv_conf: None,
        policy: ForwardPolicy::default(),
        tcp_only: false,
        try_time: std::time::Duration::from_millis(TRY_MS),
        failures_max: FAILURES_MAX,
        fail_fast: false,
        probe_interval: std::time::Duration::from_millis(PROBE_INTERVAL_MS),
        next_rcodes: Vec::new(),
        trusts_ad: false,
        keep,
    }
}

/// Checks a table; what it does not say about how is as in `before`. `prefix` is what its keys begin with, `span` its place.
pub(super) fn forward_zone(
    zone: WireName,
    spec: &Asking<'_>,
    before: &ForwardZone,
    (prefix, span): (&str, Range<usize>),
    around: &Surroundings<'_>,
    problems: &mut Problems<'_>,
) -> ForwardZone {
    let key = |name: &str| format!("{prefix}.{name}");
    let mode = word(spec.mode.as_ref(), &key("mode"), MODES, before.mode, problems);
    let policy = word(spec.policy.as_ref(), &key("policy"), POLICIES, before.policy, problems);
    let signers = spec.ca_file.as_ref().map(|file| readable(file, &key("ca_file"), around.base, problems));
    let signers = signers.or_else(|| around.signers.clone());
    let (mut upstreams, mut named) = (Vec::new(), Vec::new());
    for upstream in self::upstreams(spec.upstreams, &key("upstreams"), around, problems) {
        match upstream {
            Given::At(upstream) => upstreams.push(upstream.signed_by(signers.as_ref())),
            Given::Named(upstream) => named.push(upstream.placed(upstreams.len(), signers.as_ref())),
        }
    }
    let resolv_conf = spec.resolv_conf.as_ref().map(|given| {
        let path = resolv_conf::path(given.get_ref(), around.base);
        if let Err(error) = resolv_conf::servers(&path, around.own) {
            problems.add(Some(given.span()), key("resolv_conf"), error.to_string(), error.remedy());
        }
        path
    });
    let is_asked = mode != ForwardMode::Disable && spec.upstreams.is_none() && resolv_conf.is_none();
    if is_asked && prefix != "forward" {
        let remedy = "name upstreams or resolv_conf; mode = \"disable\" says that nobody is";
        problems.add(Some(span), key("upstreams"), format!("nobody is named who is asked for {zone}"), remedy);
    }
    let (try_before, probe_before) = (before.try_time.as_millis(), before.probe_interval.as_millis());
    let mut count = |given: &Option<_>, name: &str, bounds, unit: &str, default: i64| {
        number(given.as_ref(), &key(name), bounds, unit, default, problems)
    };
    let default = |ms: u128| i64::try_from(ms).unwrap_or_default();
    let try_time = milliseconds(count(spec.try_ms, "try_ms", TRY_MS_BOUNDS, " ms", default(try_before)));
    let probe = count(spec.probe_interval_ms, "probe_interval_ms", 50..=60_000, " ms", default(probe_before));
    let failures = count(spec.failures_max, "failures_max", 0..=1000, "", before.failures_max.into());
    ForwardZone {
        except: except(&zone, spec.except, &key("except"), problems),
        zone,
        mode,
        upstreams,
        named,
        resolv_conf,
        policy,
        tcp_only: spec.tcp_only.unwrap_or(before.tcp_only),
        try_time,
        failures_max: u32::try_from(failures).unwrap_or_default(),
        fail_fast: spec.fail_fast.unwrap_or(before.fail_fast),
        probe_interval: milliseconds(probe),
        next_rcodes: rcodes(spec.next_rcodes, &key("next_rcodes"), &before.next_rcodes, problems),
        trusts_ad: spec.trusts_ad.unwrap_or(before.trusts_ad),
        keep: before.keep.clone(),
    }
}

/// Who is asked: names, and addresses that are not ours, none twice.
fn upstreams(list: &List, key: &str, around: &Surroundings<'_>, problems: &mut Problems<'_>) -> Vec<Given> {
    let Some(list) = list else { return Vec::new() };
    let count = list.get_ref().len();
    if count == 0 || count > UPSTREAMS_MAX {
        let remedy = format!("name from 1 to {UPSTREAMS_MAX}, or remove the key");
        problems.add(Some(list.span()), key, format!("{count} upstreams are given"), remedy);
    }
    let mut upstreams = Vec::new();
    for entry in list.get_ref() {
        let text = entry.get_ref();
        match given(text) {
            Err(error) => {
                problems.add(Some(entry.span()), key, format!("\"{text}\" is no upstream: {error}"), REMEDY);
            }
            Ok(Given::At(upstream)) if super::own::is_own(around.own, upstream.address()) => {
                let message = format!("{} is where RingDNS itself answers: it would ask itself", upstream.address());
                problems.add(Some(entry.span()), key, message, "name another server, or another port");
            }
            Ok(upstream) if upstreams.contains(&upstream) => {
                problems.add(Some(entry.span()), key, format!("\"{text}\" is given twice"), "name each upstream once");
            }
            Ok(upstream) => upstreams.push(upstream),
        }
    }
    upstreams
}

/// Zones that are not asked for; outside of the zone they would say nothing.
fn except(zone: &WireName, list: &List, key: &str, problems: &mut Problems<'_>) -> Vec<WireName> {
    let mut zones = Vec::new();
    for entry in list.iter().flat_map(Spanned::get_ref) {
        let Some(found) = name(entry, key, problems) else { continue };
        if !zone.contains(&found) {
            let message = format!("{found} is not below {zone}");
            problems.add(Some(entry.span()), key, message, "name zones below it, or remove the entry");
        }
        if !zones.contains(&found) {
            zones.push(found);
        }
    }
    zones
}

/// A zone's name in lower case.
pub(super) fn name(entry: &Spanned<String>, key: &str, problems: &mut Problems<'_>) -> Option<WireName> {
    match entry.get_ref().parse::<WireName>() {
        Ok(zone) => Some(zone.to_lowercase()),
        Err(error) => {
            let message = format!("\"{}\" is no domain name: {error}", entry.get_ref());
            problems.add(Some(entry.span()), key, message, "write a name such as \"example.org.\"");
            None
        }
    }
}
