//! `containerdns-api.conf` and `skydns-api.conf`: the record interface and the watcher of Kubernetes, of both generations.

use super::Options;
use super::common::{EtcdKeys, Lack, etcd, lack, listen, log, port, prefix, switch, zones};
use super::containerdns::status_path;
use super::draft::{Draft, Value};
use super::settings::{Setting, Settings};

/// The record interface.
const TABLE: &str = "[containerdns_api]";

/// The tree of records.
const TREE: &str = "[[etcd_tree]]";

/// Sections of the watcher.
const KUBE: &[&str] = &["Kube2DNS", "Kube2Skydns"];

/// Sections of the interface.
const API: &[&str] = &["DNSApi", "SkydnsApi"];

/// Why Kubernetes is not watched.
const NO_KUBERNETES: &str = "RingDNS does not watch Kubernetes itself; keep the original running beside it with api-enable = NO: \
                             what it writes to etcd is served";

/// Keys that nothing takes the place of.
const LACKS: &[Lack] = &[
    (
        "General",
        "host",
        TABLE,
        "nothing registers itself in etcd (apiHost); /ready and /metrics of [admin] tell who is there",
    ),
    (
        "General",
        "sync-time",
        "[etcd]",
        "nothing is synchronised at intervals: a watch that is lost is followed by a whole reading",
    ),
    ("General", "cluster-name", TABLE, "records of this interface carry no cluster; nothing is filtered by it"),
];

/// Reads the file.
pub(super) fn import(settings: &mut Settings, options: &Options, draft: &mut Draft) {
    let prefix = prefix(draft, settings);
    port(draft, options, None, "0.0.0.0:53");
    let keys = EtcdKeys {
        sections: &["General"],
        servers: "etcd-server",
        files: ["etcd-certfile", "etcd-keyfile", "etcd-cafile"],
    };
    etcd(settings, draft, &keys);
    let kube = kubernetes(settings, draft);
    let enable = settings.take(API, "api-enable");
    let is_on = switch(enable.as_ref(), TABLE, draft);
    let mut names = names(settings, draft, kube.as_ref());
    if names.is_empty() {
        let default = if prefix == "/skydns" { "skydns.local." } else { "containerdns.local." };
        draft.comment(TREE, prefix, &format!("the file names no suffix; {default} is the original's own default"));
        names.push(default.to_owned());
    }
    draft.set_in(TREE, prefix, "layout", Value::text("containerdns"), None);
    if prefix != "/containerdns" {
        draft.set_in(TREE, prefix, "prefix", Value::text(prefix), None);
    }
    draft.set_in(TREE, prefix, "zones", Value::Texts(names.clone()), None);
    if is_on {
        interface(settings, draft, names);
    } else {
        for key in ["api-address", "containerdns-auth", "skydns-auth"] {
            if let Some(setting) = settings.take(API, key) {
                let setting = if key == "api-address" { setting } else { setting.secret() };
                draft.remark(TABLE, &setting, "not taken: api-enable is off, and so is the interface without listen");
            }
        }
    }
    status_path(settings.take(&["General"], "ip-monitor-path").as_ref(), draft);
    lack(settings, draft, LACKS);
    log(settings, draft, "General");
}

/// The suffixes: that of bare labels first, then those that the interface may write, then that of Kubernetes.
fn names(settings: &mut Settings, draft: &mut Draft, kube: Option<&Setting>) -> Vec<String> {
    let own = [settings.take(&["General"], "domain"), settings.take(API, "api-domains")];
    let mut names: Vec<String> = Vec::new();
    for setting in own.iter().flatten().chain(kube) {
        for name in zones(draft, TREE, setting, &['%']) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// The watcher; gives the suffix of its names where it is on.
fn kubernetes(settings: &mut Settings, draft: &mut Draft) -> Option<Setting> {
    let enable = settings.take(KUBE, "kube-enable");
    let is_on = switch(enable.as_ref(), TREE, draft);
    let domain = settings.take(KUBE, "kube-domain");
    if let Some(setting) = enable.as_ref().filter(|_| is_on) {
        draft.lacks(TREE, setting, NO_KUBERNETES);
    }
    for key in ["kube-config-file", "svc-ip-source", "pod-enable"] {
        let Some(setting) = settings.take(KUBE, key) else { continue };
        let reason = if is_on { "as kube-enable" } else { "kube-enable is off" };
        draft.lacks(TREE, &setting, reason);
    }
    domain.filter(|_| is_on)
}

/// The record interface.
fn interface(settings: &mut Settings, draft: &mut Draft, names: Vec<String>) {
    if let Some(address) = settings.take(API, "api-address") {
        listen(draft, TABLE, &address);
    } else {
        let words = "where the interface listens: the file does not say it";
        draft.fill_in(TABLE, "listen", Value::text("127.0.0.1:9001"), words);
    }
    let token = API.iter().find_map(|section| settings.take_any(&[section], &["containerdns-auth", "skydns-auth"]));
    match token.map(Setting::secret).filter(|setting| !setting.value.is_empty()) {
        Some(token) => draft.secret(TABLE, "token_file", "containerdns-token", &token),
        None => {
            let words = "a file with the token that every request needs: the file names none";
            draft.fill_in(TABLE, "token_file", Value::text("/etc/ringdns/containerdns-token"), words);
        }
    }
    // The original's records stay where they are, and its scanners and schedulers go on beside RingDNS.
    draft.set(TABLE, "store", Value::text("etcd"), None);
    draft.set(TABLE, "domains", Value::Texts(names), None);
}
