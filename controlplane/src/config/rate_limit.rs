//! `[rate_limit]`: how much each client may have.

use ringdns_engine::rate::{EXEMPT_MAX, Network, RateLimit, SET_ACCOUNTS, TABLE_ENTRIES_MAX};
use toml::Spanned;

use super::file;
use super::problem::Problems;
use super::validate::number;
use super::value::network;

/// Highest rate of responses a second: as much as no client asks for.
const RESPONSES_PER_SECOND_MAX: i64 = 1_000_000;

/// Highest rate of packets a second: more than a port receives.
const PACKETS_PER_SECOND_MAX: i64 = 100_000_000;

/// Longest window in seconds, as BIND has it.
const WINDOW_SECONDS_MAX: i64 = 3600;

/// Largest slip, as BIND has it: with fewer empty answers a client in a flooded network waits too long.
const SLIP_MAX: i64 = 10;

/// Checks the table; None where nothing is limited.
pub(super) fn rate_limit(spec: &file::RateLimit, problems: &mut Problems<'_>) -> Option<RateLimit> {
    let default = RateLimit::default();
    let mut rate = |value: Option<&Spanned<i64>>, key: &str, most: i64, default: u32| {
        let unit = " a second; 0 is no limit";
        natural(number(value, &format!("rate_limit.{key}"), 0..=most, unit, i64::from(default), problems))
    };
    let most = RESPONSES_PER_SECOND_MAX;
    let responses_per_second = rate(spec.responses_per_second.as_ref(), "responses_per_second", most, 0);
    let nxdomains = spec.nxdomains_per_second.as_ref();
    let nxdomains_per_second = rate(nxdomains, "nxdomains_per_second", most, responses_per_second);
    let packets = spec.packets_per_second.as_ref();
    let packets_per_second = rate(packets, "packets_per_second", PACKETS_PER_SECOND_MAX, 0);

    let mut number = |value: Option<&Spanned<i64>>, key: &str, bounds, unit: &str, default: i64| {
        natural(number(value, &format!("rate_limit.{key}"), bounds, unit, default, problems))
    };
    let window = i64::from(default.window_seconds);
    let window_seconds =
        number(spec.window_seconds.as_ref(), "window_seconds", 0..=WINDOW_SECONDS_MAX, " seconds", window);
    let slip = number(spec.slip.as_ref(), "slip", 0..=SLIP_MAX, "", i64::from(default.slip));
    let ipv4_prefix = number(spec.ipv4_prefix.as_ref(), "ipv4_prefix", 1..=32, " bits", default.ipv4_prefix.into());
    let ipv6_prefix = number(spec.ipv6_prefix.as_ref(), "ipv6_prefix", 1..=128, " bits", default.ipv6_prefix.into());
    let bounds = SET_ACCOUNTS as i64..=TABLE_ENTRIES_MAX as i64;
    let entries = i64::try_from(default.table_entries).unwrap_or(i64::MAX);
    let table_entries = number(spec.table_entries.as_ref(), "table_entries", bounds, "", entries);
    let limit = RateLimit {
        responses_per_second,
        nxdomains_per_second,
        packets_per_second,
        window_seconds,
        slip,
        by_name: spec.by_name.unwrap_or(default.by_name),
        ipv4_prefix: u8::try_from(ipv4_prefix).unwrap_or(u8::MAX),
        ipv6_prefix: u8::try_from(ipv6_prefix).unwrap_or(u8::MAX),
        exempt: exempt(spec.exempt.as_ref(), problems),
        table_entries: usize::try_from(table_entries).unwrap_or(usize::MAX),
        ..default
    };
    let is_on = [responses_per_second, nxdomains_per_second, packets_per_second].iter().any(|&rate| rate > 0);
    is_on.then_some(limit)
}

/// A number that its bounds keep positive and within 32 bits.
fn natural(value: i64) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

/// Checks the networks that are not limited.
fn exempt(list: Option<&Spanned<Vec<Spanned<String>>>>, problems: &mut Problems<'_>) -> Vec<Network> {
    const KEY: &str = "rate_limit.exempt";
    let Some(list) = list else {
        return Vec::new();
    };
    if list.get_ref().len() > EXEMPT_MAX {
        let message = format!("{} networks are given", list.get_ref().len());
        problems.add(Some(list.span()), KEY, message, format!("name at most {EXEMPT_MAX}, joined to larger ones"));
    }
    let mut networks = Vec::new();
    for entry in list.get_ref() {
        match network(entry, KEY, problems) {
            Some(network) if networks.contains(&network) => {
                problems.add(Some(entry.span()), KEY, format!("{network} is given twice"), "name each network once");
            }
            found => networks.extend(found),
        }
    }
    networks
}
