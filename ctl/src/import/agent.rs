//! `kdns-agent.yaml`: what carried records from etcd to kdns. RingDNS reads etcd itself.

use super::Options;
use super::common::{EtcdKeys, Lack, etcd, lack, log, port, zones};
use super::draft::{Draft, Value};
use super::settings::Settings;

/// The tree of records.
const TREE: &str = "[[etcd_tree]]";

/// Seconds for an answer of etcd.
const TIMEOUT_SECONDS: std::ops::RangeInclusive<i64> = 1..=60;

/// Keys that nothing takes the place of.
const LACKS: &[Lack] = &[
    ("", "addr", "[admin]", "the original serves nothing there; /health, /ready and /metrics are at [admin] listen"),
    ("", "kdns-timeout", TREE, "nobody is called: RingDNS reads etcd itself, and the agent is not needed any more"),
    (
        "",
        "sync-period",
        TREE,
        "nothing is synchronised at intervals: a watch that is lost is followed by a whole reading",
    ),
];

/// Reads the file.
pub(super) fn import(settings: &mut Settings, options: &Options, draft: &mut Draft) {
    port(draft, options, None, "0.0.0.0:53");
    let keys =
        EtcdKeys { sections: &[""], servers: "etcd-servers", files: ["etcd-certfile", "etcd-keyfile", "etcd-cafile"] };
    etcd(settings, draft, &keys);
    if let Some(timeout) = settings.take(&[""], "etcd-timeout") {
        match timeout.value.parse::<i64>() {
            Ok(seconds) => {
                let seconds = seconds.clamp(*TIMEOUT_SECONDS.start(), *TIMEOUT_SECONDS.end());
                draft.set("[etcd]", "timeout_seconds", Value::Number(seconds), Some(&timeout));
            }
            Err(_) => draft.remark("[etcd]", &timeout, "no number of seconds; the default was left"),
        }
    }
    draft.set_in(TREE, "kdns", "layout", Value::text("kdns"), None);
    let prefix = settings.take(&[""], "path-prefix").filter(|setting| !setting.value.is_empty());
    if let Some(setting) = prefix {
        let path = format!("/{}", setting.value.trim_matches('/'));
        draft.set_in(TREE, "kdns", "prefix", Value::text(path), Some(&setting));
    }
    match settings.take(&[""], "dns-domains") {
        Some(setting) => {
            let zones = zones(draft, TREE, &setting, &['%']);
            draft.set_in(TREE, "kdns", "zones", Value::Texts(zones), Some(&setting));
        }
        None => {
            draft.set_in(TREE, "kdns", "zones", Value::Texts(Vec::new()), None);
            draft.leave(format!("{TREE} zones: the zones that are served: the file names none"));
        }
    }
    for number in 0.. {
        let section = format!("kdns-servers[{number}]");
        if !settings.has_section(&section) {
            break;
        }
        for key in ["kdns-url", "kdns-status-url", "dns-certfile", "dns-keyfile", "dns-cafile"] {
            if let Some(setting) = settings.take(&[&section], key).filter(|setting| !setting.value.is_empty()) {
                let reason = "nobody is called; each RingDNS that shall have the records reads them from etcd";
                draft.lacks(TREE, &setting, reason);
            }
        }
    }
    lack(settings, draft, LACKS);
    log(settings, draft, "");
}
