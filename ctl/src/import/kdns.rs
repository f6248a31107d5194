//! `kdns.cfg`.

use std::net::IpAddr;

use super::Options;
use super::common::{Lack, NO_LOG_FILE, addresses, lack, switch, zones};
use super::draft::{Draft, Value};
use super::others;
use super::settings::{Setting, Settings};

/// The port.
const PORT: &str = "[[port]]";

/// The record interface.
const TABLE: &str = "[kdns_api]";

/// Longest name of an interface of the kernel.
const INTERFACE_NAME_MAX: usize = 15;

/// Least and most memory for packet buffers in MiB.
const MEMORY_MIB: std::ops::RangeInclusive<i64> = 64..=65_536;

/// Least and most accounts of clients.
const CLIENTS: std::ops::RangeInclusive<i64> = 4..=16_777_216;

/// Who is asked where the file does not say it.
const UPSTREAMS: [&str; 2] = ["8.8.8.8:53", "114.114.114.114:53"];

/// How long answers of others are kept, in seconds, whatever their TTL.
const KEPT_SECONDS: i64 = 60;

/// How long they are given after that when upstreams do not answer.
const STALE_SECONDS: i64 = 600;

/// Longest time of one upstream in seconds.
const TIMEOUT_SECONDS_MAX: i64 = 30;

/// Most questions of a client in a second that can be configured.
const PER_SECOND_MAX: i64 = 1_000_000;

/// Why queues and buffers have no keys.
const SIZED: &str = "queues and buffers are sized from what the NIC has and from the number of workers";

/// Keys that nothing takes the place of.
const LACKS: &[Lack] = &[
    ("EAL", "mem-channels", "[eal]", "DPDK finds out by itself"),
    ("EAL", "hugefile-prefix", "[eal]", "each process has a prefix of its own"),
    ("EAL", "log-level", "[eal]", "DPDK's messages come with the log; [log] level says how much of it"),
    ("NETDEV", "mode", PORT, "queries are always spread over the queues by their addresses (RSS), where the NIC can"),
    ("NETDEV", "mbuf-num", PORT, SIZED),
    ("NETDEV", "kni-mbuf-num", PORT, SIZED),
    ("NETDEV", "rxqueue-len", PORT, SIZED),
    ("NETDEV", "txqueue-len", PORT, SIZED),
    ("NETDEV", "rxqueue-num", PORT, "a queue for each worker, as far as the NIC has them"),
    ("NETDEV", "txqueue-num", PORT, "a queue for each worker, as far as the NIC has them"),
    (
        "NETDEV",
        "kni-ipv4",
        PORT,
        "the original never reads it; give the kernel's interface its address with ip address add",
    ),
    ("COMMON", "log-file", "[log]", NO_LOG_FILE),
    (
        "COMMON",
        "fwd-thread-num",
        "[forward]",
        "others are asked beside the workers, by as many threads as there are cores",
    ),
    ("COMMON", "fwd-mbuf-num", "[forward]", "questions_max bounds what is under way"),
];

/// Reads the file.
pub(super) fn import(settings: &mut Settings, options: &Options, draft: &mut Draft) {
    workers(settings, draft);
    port(settings, options, draft);
    forwarding(settings, draft);
    rate_limit(settings, draft);
    interface(settings, draft);
    lack(settings, draft, LACKS);
}

/// A number, which may have a multiplier.
fn number(setting: &Setting) -> Option<i64> {
    let text = setting.value.trim();
    let (digits, shift) = match text.char_indices().next_back()? {
        (place, 'k' | 'K') => (&text[..place], 10),
        (place, 'm' | 'M') => (&text[..place], 20),
        (place, 'g' | 'G') => (&text[..place], 30),
        (place, 't' | 'T') => (&text[..place], 40),
        _ => (text, 0),
    };
    digits.parse::<i64>().ok()?.checked_shl(shift).filter(|number| *number >= 0)
}

/// Cores and memory.
fn workers(settings: &mut Settings, draft: &mut Draft) {
    if let Some(setting) = settings.take(&["EAL"], "cores") {
        match cores(&setting.value) {
            Some(cores) if cores.len() > 1 => {
                draft.set("[workers]", "cores", Value::Numbers(cores[1..].to_vec()), Some(&setting));
                let words = format!(
                    "core {} had the original's master, which serves nothing; it is left to the kernel",
                    cores[0]
                );
                draft.comment("[workers]", "", &words);
            }
            _ => {
                draft.remark(
                    "[workers]",
                    &setting,
                    "no list of two or more cores; without the key the last core works",
                );
            }
        }
    }
    draft.set("[eal]", "hugepages", Value::Boolean(true), None);
    if let Some(setting) = settings.take(&["EAL"], "memory") {
        let sum = setting.items(&[',']).iter().try_fold(0i64, |sum, item| sum.checked_add(item.parse().ok()?));
        match sum {
            Some(sum) if sum > 0 => {
                let mib = sum.clamp(*MEMORY_MIB.start(), *MEMORY_MIB.end());
                draft.set("[eal]", "memory_mib", Value::Number(mib), Some(&setting));
            }
            _ => draft.remark("[eal]", &setting, "no list of sizes; the default was left"),
        }
    }
}

/// The cores of a list such as `1,3-5`, lowest first.
fn cores(text: &str) -> Option<Vec<i64>> {
    let mut cores = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (i64, i64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first < 0 || last - first > 1024 {
            return None;
        }
        cores.extend(first..=last);
    }
    cores.sort_unstable();
    cores.dedup();
    Some(cores)
}

/// The port.
fn port(settings: &mut Settings, options: &Options, draft: &mut Draft) {
    match &options.device {
        Some(device) => draft.set(PORT, "device", Value::text(device.clone()), None),
        None => draft.fill_in(
            PORT,
            "device",
            Value::text(""),
            "the PCI address of the NIC, such as \"0000:01:00.0\" (ringdns doctor lists them): the original takes the only one \
             that is bound to DPDK; importing with --device DEVICE writes it here",
        ),
    }
    let vip = settings.take(&["NETDEV"], "kni-vip");
    let found: Vec<IpAddr> = vip.iter().filter_map(|setting| setting.value.parse().ok()).collect();
    if let (Some(setting), true) = (&vip, found.is_empty()) {
        draft.remark(PORT, setting, "no IP address");
    }
    addresses(draft, options, &found, vip.as_ref().filter(|_| !found.is_empty()));
    let name = settings.take(&["NETDEV"], "name-prefix");
    let shown = name.as_ref().map_or("kdns", |setting| setting.value.as_str()).to_owned();
    if shown.is_empty() || shown.len() > INTERFACE_NAME_MAX {
        let Some(setting) = name else { return };
        draft.remark(PORT, &setting, "no name for an interface of the kernel: 1 to 15 characters");
        return;
    }
    draft.set(PORT, "kernel", Value::text("auto"), None);
    draft.set(PORT, "kernel_interface", Value::text(shown), name.as_ref());
}

/// Queries for other zones.
fn forwarding(settings: &mut Settings, draft: &mut Draft) {
    const TABLE: &str = others::FORWARD;
    let mode = settings.take(&["COMMON"], "fwd-mode");
    let (default, suffixes) = (settings.take(&["COMMON"], "fwd-def-addrs"), settings.take(&["COMMON"], "fwd-addrs"));
    let timeout = settings.take(&["COMMON"], "fwd-timeout");
    let rate = settings.take(&["COMMON"], "fwd-per-second");
    let word = mode.as_ref().map_or("cache".to_owned(), |mode| mode.value.to_ascii_lowercase());
    if word == "disable" {
        for setting in mode.iter().chain(&default).chain(&suffixes).chain(&timeout).chain(&rate) {
            draft.remark(
                "[dns]",
                setting,
                "nothing is forwarded; RingDNS answers REFUSED where the original is silent",
            );
        }
        return;
    }
    match &default {
        Some(setting) => others::default(draft, Some(setting)),
        None => {
            let (key, value) = ("fwd-def-addrs".to_owned(), UPSTREAMS.join(","));
            let setting = Setting { section: "COMMON".to_owned(), key, value, line: 0, is_secret: false };
            draft.comment(TABLE, "", "no server is named: these are the original's own");
            others::default(draft, Some(&setting));
        }
    }
    match (word.as_str(), &mode) {
        (_, None) => {}
        (word @ ("cache" | "direct"), from) => draft.set(TABLE, "mode", Value::text(word), from.as_ref()),
        (_, Some(mode)) => draft.remark(TABLE, mode, "no mode of the original; \"cache\" is the default"),
    }
    if let Some(setting) = &timeout {
        match number(setting).filter(|seconds| (1..=TIMEOUT_SECONDS_MAX).contains(seconds)) {
            Some(seconds) => draft.set(TABLE, "try_ms", Value::Number(seconds * 1000), Some(setting)),
            None => draft.remark(TABLE, setting, "no number of seconds from 1 to 30; 2 is the default"),
        }
    }
    if let Some(setting) = &rate {
        per_client(setting, settings.value("client-num"), draft);
    }
    if let Some(setting) = suffixes.filter(|setting| !setting.value.is_empty()) {
        others::suffixes(draft, &setting, &['%'], &[]);
    }
    others::kept_seconds(draft, KEPT_SECONDS, None);
    others::stale_seconds(draft, STALE_SECONDS, KEPT_SECONDS);
}

/// How many questions of one client are forwarded in a second. `clients`: how many of them the original knows at once.
fn per_client(setting: &Setting, clients: Option<&str>, draft: &mut Draft) {
    const TABLE: &str = others::FORWARD;
    match number(setting) {
        Some(limit) if limit > 0 && clients.map(str::trim) != Some("0") => {
            let limit = limit.min(PER_SECOND_MAX);
            draft.set(TABLE, "questions_per_client_per_second", Value::Number(limit), Some(setting));
            let words = "the original counts on each worker apart, also what its cache answers, and drops what is too much; here that is \
                         REFUSED unless overload is \"drop\"";
            draft.comment(TABLE, "", words);
        }
        Some(_) => draft.remark(TABLE, setting, "nothing is limited, as in the original"),
        None => draft.remark(TABLE, setting, "no number; nothing is limited"),
    }
}

/// Packets of one client.
fn rate_limit(settings: &mut Settings, draft: &mut Draft) {
    const TABLE: &str = "[rate_limit]";
    let clients = settings.take(&["COMMON"], "client-num");
    let rate = settings.take(&["COMMON"], "all-per-second");
    let off = clients.as_ref().and_then(number) == Some(0);
    let limit = rate.as_ref().and_then(number).filter(|limit| *limit > 0 && !off);
    let Some(limit) = limit else {
        for setting in rate.iter().chain(&clients) {
            draft.remark(TABLE, setting, "nothing is limited, as in the original");
        }
        return;
    };
    draft.set(TABLE, "packets_per_second", Value::Number(limit), rate.as_ref());
    draft.comment(TABLE, "", "the original counts by address, RingDNS by network unless all leading bits count");
    draft.set(TABLE, "ipv4_prefix", Value::Number(32), None);
    draft.set(TABLE, "ipv6_prefix", Value::Number(128), None);
    if let Some(setting) = &clients {
        match number(setting) {
            Some(number) => {
                let number = number.clamp(*CLIENTS.start(), *CLIENTS.end());
                draft.set(TABLE, "table_entries", Value::Number(number), Some(setting));
            }
            None => draft.remark(TABLE, setting, "no number; the default was left"),
        }
    }
}

/// The record interface.
fn interface(settings: &mut Settings, draft: &mut Draft) {
    match settings.take(&["COMMON"], "zones") {
        Some(setting) => {
            let zones = zones(draft, TABLE, &setting, &[',']);
            draft.set(TABLE, "zones", Value::Texts(zones), Some(&setting));
        }
        None => {
            draft.fill_in(TABLE, "zones", Value::Texts(Vec::new()), "the zones that are served: the file names none");
        }
    }
    let port = settings.take(&["COMMON"], "web-port");
    let number = port.as_ref().and_then(number).and_then(|port| u16::try_from(port).ok()).unwrap_or(5500);
    draft.comment(
        TABLE,
        "",
        "the original listens on all addresses and lets everybody write; RingDNS listens on loopback until listen names another \
         address, and token_file, client_ca_file or open = true says who may",
    );
    draft.set(TABLE, "listen", Value::text(format!("127.0.0.1:{number}")), port.as_ref());
    if let Some(setting) = settings.take(&["COMMON"], "metrics-host").filter(|setting| !setting.value.is_empty()) {
        draft.set(TABLE, "metrics_host", Value::text(setting.value.clone()), Some(&setting));
    }
    let tls = settings.take(&["COMMON"], "ssl-enable");
    let is_on = switch(tls.as_ref(), TABLE, draft);
    for (key, name) in [("cert_file", "cert-pem-file"), ("key_file", "key-pem-file")] {
        let Some(setting) = settings.take(&["COMMON"], name) else { continue };
        if is_on {
            draft.set(TABLE, key, Value::text(setting.value.clone()), Some(&setting));
        } else {
            draft.remark(TABLE, &setting, "not taken: ssl-enable is off");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_sorted_and_ranges_are_opened() {
        assert_eq!(cores("9, 1,3-5,4"), Some(vec![1, 3, 4, 5, 9]));
        for wrong in ["", "a", "1-", "-1", "1-99999"] {
            assert_eq!(cores(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_may_have_multipliers() {
        let of = |value: &str| {
            let mut settings = Settings::default();
            settings.add("s", "k", value, 1);
            number(&settings.take(&["s"], "k").unwrap())
        };
        assert_eq!(
            ["10240", "16K", "1m", "2g", "x", "-1", ""].map(of),
            [Some(10_240), Some(16_384), Some(1 << 20), Some(1 << 31), None, None, None]
        );
    }
}
