//! SkyDNS itself: the JSON object that it keeps in etcd, and the variables that it is started with.

use super::Options;
use super::common::{EtcdKeys, Lack, etcd, lack, port, switch, zones};
use super::draft::{Draft, Value};
use super::others;
use super::settings::{Setting, Settings};

/// The tree of records.
const TREE: &str = "[[etcd_tree]]";

/// TTL in seconds of messages without one.
const TTL_SECONDS: i64 = 3600;

/// Longest TTL (RFC 2181 section 8).
const TTL_SECONDS_MAX: i64 = 0x7fff_ffff;

/// Why there is no cache to size.
const NO_CACHE: &str = "what is served is held in memory, and [cache] size_mib is the memory for answers of others";

/// Labels that a name must have to be asked for.
const LABELS_MIN: i64 = 2;

/// Keys that nothing takes the place of.
const LACKS: &[Lack] = &[
    (
        "",
        "read_timeout",
        "[forward]",
        "[forward] try_ms is the time of one upstream, 2 seconds as in SkyDNS unless it is told otherwise",
    ),
    ("", "scache", "[cache]", "answers are not signed, so no signatures are kept"),
    ("", "rcache", "[cache]", NO_CACHE),
    ("", "dnssec", TREE, "answers are not signed; clients that check signatures must not expect them for these zones"),
    (
        "",
        "hostmaster",
        TREE,
        "SOA records of zones from etcd name hostmaster of the zone; a zone of the store has its own",
    ),
    ("", "min_ttl", TREE, "negative answers hold for 60 seconds, as with SkyDNS unless it is told otherwise"),
    ("", "priority", TREE, "a message without priority has 10, as in SkyDNS unless it is told otherwise"),
    ("", "systemd", "[sockets]", "sockets are not taken from systemd; name the addresses in [sockets] listen"),
    ("", "SKYDNS_SYSTEMD", "[sockets]", "sockets are not taken from systemd; name the addresses in [sockets] listen"),
    ("", "PROMETHEUS_PORT", "[admin]", "metrics are at /metrics of [admin] listen, under names of RingDNS's own"),
    ("", "PROMETHEUS_PATH", "[admin]", "as PROMETHEUS_PORT"),
    ("", "PROMETHEUS_NAMESPACE", "[admin]", "as PROMETHEUS_PORT"),
    ("", "PROMETHEUS_SUBSYSTEM", "[admin]", "as PROMETHEUS_PORT"),
];

/// Reads either.
pub(super) fn import(settings: &mut Settings, options: &Options, draft: &mut Draft) {
    let listen = settings.take_any(&[""], &["dns_addr", "SKYDNS_ADDR"]);
    port(draft, options, listen.as_ref(), "127.0.0.1:53");
    members(settings, draft);
    let key = "skydns";
    draft.set_in(TREE, key, "layout", Value::text("skydns"), None);
    if let Some(prefix) = settings.take(&[""], "SKYDNS_PATH_PREFIX").filter(|setting| !setting.value.is_empty()) {
        let path = format!("/{}", prefix.value.trim_matches('/'));
        draft.set_in(TREE, key, "prefix", Value::text(path), Some(&prefix));
    }
    let domain = settings.take_any(&[""], &["domain", "SKYDNS_DOMAIN"]).filter(|setting| !setting.value.is_empty());
    let zones = match &domain {
        Some(setting) => zones(draft, TREE, setting, &[',']),
        None => vec!["skydns.local.".to_owned()],
    };
    draft.set_in(TREE, key, "zones", Value::Texts(zones), domain.as_ref());
    draft.set_in(TREE, key, "generation", Value::text("skydns"), None);
    let words = "questions with the labels \"*\" and \"any\" are answered once wildcard_names_max says how many names that may \
                 take; conf/example.toml tells how to reckon it";
    draft.comment(TREE, key, words);
    ttl(settings.take(&[""], "ttl").as_ref(), draft);
    if let Some(local) = settings.take(&[""], "local").filter(|setting| !setting.value.is_empty()) {
        draft.set_in(TREE, key, "local", Value::text(local.value.clone()), Some(&local));
    }
    order(settings.take(&[""], "round_robin").as_ref(), draft);
    forwarding(settings, draft);
    lack(settings, draft, LACKS);
}

/// Who is asked for names of others.
fn forwarding(settings: &mut Settings, draft: &mut Draft) {
    const TABLE: &str = others::FORWARD;
    let upstreams = settings.take_any(&[""], &["nameservers", "SKYDNS_NAMESERVERS"]);
    others::default(draft, upstreams.as_ref().filter(|setting| !setting.value.is_empty()));
    let rotates = settings.take(&[""], "ns_rotate");
    if rotates.as_ref().is_none_or(|setting| switch(Some(setting), TABLE, draft)) {
        draft.replace(TABLE, "policy", Value::text("round-robin"), rotates.as_ref());
    }
    let labels = settings.take_any(&[""], &["ndot", "SKYDNS_NDOTS"]);
    let number = labels.as_ref().and_then(|setting| setting.value.parse::<i64>().ok());
    let number = number.filter(|number| (1..=127).contains(number)).unwrap_or(LABELS_MIN);
    draft.set(TABLE, "labels_min", Value::Number(number), labels.as_ref());
    if let Some(no) = settings.take(&[""], "no_rec")
        && switch(Some(&no), TABLE, draft)
    {
        draft.set(TABLE, "mode", Value::text("disable"), Some(&no));
    }
    if let Some(setting) = settings.take(&[""], "rcache_ttl") {
        match setting.value.parse::<i64>().ok().filter(|seconds| (1..=TTL_SECONDS).contains(seconds)) {
            Some(seconds) => others::kept_seconds(draft, seconds, Some(&setting)),
            None => {
                draft.remark("[cache]", &setting, "no number of seconds up to an hour; what owners say is the default");
            }
        }
    }
    let words = "stub zones, which SkyDNS reads below dns/stub in etcd with its option -stubzones, are read with stub_zones = true";
    draft.comment(TREE, "", words);
}

/// The members of etcd, and who may read them. The object in etcd does not name them.
fn members(settings: &mut Settings, draft: &mut Draft) {
    if settings.value("ETCD_MACHINES").is_none() && draft.has("[etcd]", "endpoints") {
        return;
    }
    if settings.value("ETCD_MACHINES").is_none() {
        draft.comment("[etcd]", "", "the file does not name the members of etcd; this is SkyDNS's own default");
        let endpoints = Value::Texts(vec!["http://127.0.0.1:2379".to_owned()]);
        draft.set("[etcd]", "endpoints", endpoints, None);
    } else {
        let files = ["ETCD_TLSPEM", "ETCD_TLSKEY", "ETCD_CACERT"];
        etcd(settings, draft, &EtcdKeys { sections: &[""], servers: "ETCD_MACHINES", files });
    }
    let user = settings.take(&[""], "ETCD_USERNAME").filter(|setting| !setting.value.is_empty());
    let password =
        settings.take(&[""], "ETCD_PASSWORD").map(Setting::secret).filter(|setting| !setting.value.is_empty());
    match (user, password) {
        (Some(user), Some(password)) => {
            draft.set("[etcd]", "user", Value::text(user.value.clone()), Some(&user));
            draft.secret("[etcd]", "password_file", "etcd.password", &password);
        }
        (None, None) => {}
        (user, password) => {
            for setting in user.iter().chain(&password) {
                draft.remark("[etcd]", setting, "not taken: user and password are needed together");
            }
        }
    }
}

/// The TTL of messages without one.
fn ttl(setting: Option<&Setting>, draft: &mut Draft) {
    let seconds = setting.and_then(|setting| setting.value.parse::<i64>().ok());
    let seconds = seconds.unwrap_or(TTL_SECONDS).clamp(0, TTL_SECONDS_MAX);
    draft.set_in(TREE, "skydns", "ttl_seconds", Value::Number(seconds), setting);
}

/// The order of addresses, which SkyDNS shuffles unless it is told otherwise.
fn order(setting: Option<&Setting>, draft: &mut Draft) {
    let shuffles = setting.is_none_or(|setting| switch(Some(setting), TREE, draft));
    if shuffles {
        draft.set_in(TREE, "skydns", "answers", Value::text("rotate"), setting);
    }
}
