//! `[forward]` and its zones.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringdns_engine::name::WireName;
use toml::Spanned;

use super::cache::cache;
use super::keep::keep;
use super::own::own;
use super::words::{OVERLOADS, milliseconds};
use super::zone::{default_zone, forward_zone, name};
use super::{ForwardConfig, ForwardMode, ForwardZone, Overload, named, spec};
use crate::config::PortConfig;
use crate::config::problem::Problems;
use crate::config::validate::number;
use crate::config::value::word;

/// From query to answer by default, in milliseconds: resolvers' clients wait 5 seconds (resolv.conf(5)).
const DEADLINE_MS: i64 = 4000;

/// Before which no second upstream is asked, by default, in milliseconds: below it most answers of a resolver nearby are on their
/// way.
const HEDGE_AFTER_MS: i64 = 50;

/// Questions under way by default: at 100 ms each that is 100 000 a second, and some tens of MiB.
const QUESTIONS_MAX: i64 = 10_000;

/// Most questions under way that can be configured.
const QUESTIONS_MAX_MAX: i64 = 1_000_000;

/// Questions under way of one client by default: a busy resolver has some hundred.
const QUESTIONS_PER_CLIENT_MAX: i64 = 500;

/// What the tables are checked against.
pub(super) struct Surroundings<'a> {
    /// Where relative paths begin.
    pub(super) base: &'a Path,
    /// Where the server answers.
    pub(super) own: &'a [SocketAddr],
    /// Who signs certificates of upstreams, where a zone does not say otherwise.
    pub(super) signers: Option<PathBuf>,
}

/// The tables that say how names of others are asked for.
pub(in crate::config) struct Tables {
    /// `[forward]`
    pub(in crate::config) forward: Option<Spanned<spec::Forward>>,
    /// `[cache]`
    pub(in crate::config) cache: Option<Spanned<spec::Cache>>,
    /// Where it is said that more zones come from etcd.
    pub(in crate::config) stubs: Option<Range<usize>>,
    /// Some of it was made of another program's configuration.
    pub(in crate::config) is_translated: bool,
}

/// Checks the tables; nothing where there are none.
pub(in crate::config) fn forward(
    tables: Tables,
    base: &Path,
    (ports, listen): (&[PortConfig], &[SocketAddr]),
    problems: &mut Problems<'_>,
) -> Option<ForwardConfig> {
    let Some(spanned) = tables.forward else {
        if let Some(cache) = tables.cache {
            let message = "nothing is kept, since names of others are not asked for";
            problems.add(Some(cache.span()), "cache", message, "add [forward], or remove the table");
        }
        if let Some(stubs) = tables.stubs {
            let message = "nobody is asked for stub zones, since names of others are not asked for";
            problems.add(Some(stubs), "etcd_tree.stub_zones", message, "add [forward], or remove the key");
        }
        return None;
    };
    let (span, spec) = (spanned.span(), spanned.into_inner());
    let own = own(spec.own_addresses.as_ref(), ports, listen);
    let cache = cache(tables.cache.map(Spanned::into_inner).unwrap_or_default(), base, problems);
    let mut around = Surroundings { base, own: &own, signers: None };
    let before = default_zone(cache.keep.clone());
    let all = forward_zone(WireName::root(), &spec.asking(), &before, ("forward", span.clone()), &around, problems);
    around.signers = spec.ca_file.as_ref().map(|file| base.join(file.get_ref()));
    let mut zones = zones(&spec, &all, &around, problems);
    let is_disabled = all.mode == ForwardMode::Disable;
    let common =
        ForwardZone { upstreams: Vec::new(), named: Vec::new(), resolv_conf: None, except: Vec::new(), ..all.clone() };
    if spec.upstreams.is_some() || all.resolv_conf.is_some() || !all.except.is_empty() || is_disabled {
        zones.push(all);
    }
    // What is right for another program, which asks the machine's resolver, is no reason not to start: it is told while running.
    for zone in zones.iter().filter(|_| !tables.is_translated) {
        let Some(host) = named::unreachable(zone, &zones) else { continue };
        let message = format!(
            "an upstream of {} is given by its name, {host}, and nobody is given by address who could be asked for that: \
             it would be asked through itself",
            zone.zone
        );
        let remedy =
            format!("write \"#ADDRESS\" behind a URL, or name an upstream by its address in a zone that {host} is in");
        problems.add(Some(span.clone()), "forward", message, remedy);
    }
    if zones.is_empty() && tables.stubs.is_none() {
        let remedy = "set forward.upstreams or forward.resolv_conf, add [[forward.zone]], or remove the table";
        problems.add(Some(span), "forward", "nobody is named who is asked", remedy);
    }
    let mut count = |given: &Option<_>, key: &str, bounds, unit: &str, default| {
        number(given.as_ref(), &format!("forward.{key}"), bounds, unit, default, problems)
    };
    let deadline = count(&spec.deadline_ms, "deadline_ms", 100..=30_000, " ms", DEADLINE_MS);
    let hedge = count(&spec.hedge_after_ms, "hedge_after_ms", 0..=30_000, " ms", HEDGE_AFTER_MS);
    let questions = count(&spec.questions_max, "questions_max", 1..=QUESTIONS_MAX_MAX, "", QUESTIONS_MAX);
    let bounds = 1..=QUESTIONS_MAX_MAX;
    let per_client =
        count(&spec.questions_per_client_max, "questions_per_client_max", bounds, "", QUESTIONS_PER_CLIENT_MAX);
    let bounds = 0..=QUESTIONS_MAX_MAX;
    let per_second = count(&spec.questions_per_client_per_second, "questions_per_client_per_second", bounds, "", 0);
    let labels = count(&spec.labels_min, "labels_min", 0..=127, "", 0);
    Some(ForwardConfig {
        zones,
        common,
        deadline: milliseconds(deadline),
        questions_max: usize::try_from(questions).unwrap_or_default(),
        questions_per_client_max: usize::try_from(per_client).unwrap_or_default(),
        questions_per_client_per_second: u32::try_from(per_second).unwrap_or_default(),
        overload: word(spec.overload.as_ref(), "forward.overload", OVERLOADS, Overload::default(), problems),
        hedge_after_min: Some(milliseconds(hedge)).filter(|after| *after > Duration::ZERO),
        own,
        client_subnet: client_subnet(spec.client_subnet.as_ref(), problems),
        labels_min: u8::try_from(labels).unwrap_or_default(),
        cache,
    })
}

/// `[[forward.zone]]`, each zone once.
fn zones(
    spec: &spec::Forward,
    all: &ForwardZone,
    around: &Surroundings<'_>,
    problems: &mut Problems<'_>,
) -> Vec<ForwardZone> {
    let mut zones: Vec<ForwardZone> = Vec::new();
    let has_root = spec.upstreams.is_some() || spec.resolv_conf.is_some();
    for (index, table) in spec.zone.iter().enumerate() {
        let (prefix, span, table) = (format!("forward.zone[{index}]"), table.span(), table.get_ref());
        let Some(zone) = name(&table.zone, &format!("{prefix}.zone"), problems) else { continue };
        if has_root && zone == WireName::root() {
            let message = "forward.upstreams or forward.resolv_conf says already who is asked for all names";
            problems.add(Some(table.zone.span()), format!("{prefix}.zone"), message, "keep one of the two");
        } else if let Some(before) = zones.iter().position(|known| known.zone == zone) {
            let message = format!("{zone} is already the zone of forward.zone[{before}]");
            problems.add(Some(table.zone.span()), format!("{prefix}.zone"), message, "join the two tables");
        }
        let mut made = forward_zone(zone, &table.asking(), all, (&prefix, span), around, problems);
        if let Some(cache) = &table.cache {
            made.keep = keep(cache.get_ref(), &format!("{prefix}.cache"), &all.keep, problems);
        }
        zones.push(made);
    }
    zones
}

/// `client_subnet`
fn client_subnet(given: Option<&Spanned<spec::ClientSubnet>>, problems: &mut Problems<'_>) -> Option<(u8, u8)> {
    let given = given?;
    let bits = match given.get_ref() {
        spec::ClientSubnet::Word(word) if word == "off" => return None,
        spec::ClientSubnet::Word(_) => None,
        spec::ClientSubnet::Bits([ipv4, ipv6]) => {
            let within = |bits: &i64, max: i64| u8::try_from(*bits).ok().filter(|_| (1..=max).contains(bits));
            within(ipv4, 32).zip(within(ipv6, 128))
        }
    };
    if bits.is_none() {
        // RFC 7871 section 11.1 has 24 and 56.
        let remedy = "write \"off\", or up to 32 bits of IPv4 and 128 of IPv6: [24, 56]";
        problems.add(Some(given.span()), "forward.client_subnet", "these are no two prefix lengths", remedy);
    }
    bits
}
