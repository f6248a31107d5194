//! `containerdns.conf` and `skydns.conf`: the server of ContainerDNS, of both generations.

use super::Options;
use super::common::{EtcdKeys, etcd, listen, log, port, prefix, switch, zones};
use super::draft::{Draft, Value};
use super::others;
use super::settings::{Setting, Settings};

/// The tree of records.
const TREE: &str = "[[etcd_tree]]";

/// Where RingDNS looks for the status of addresses by itself.
const STATUS_PATH: &str = "/containerdns/monitor/status";

/// How long answers of others are kept, in seconds, whatever their TTL.
const KEPT_SECONDS: i64 = 60;

/// Reads the file.
pub(super) fn import(settings: &mut Settings, options: &Options, draft: &mut Draft) {
    let prefix = prefix(draft, settings);
    port(draft, options, settings.take(&["Dns"], "dns-addr").as_ref(), "127.0.0.1:53");
    let served = tree(settings, draft, prefix);
    forwarding(settings, draft, &served);
    let keys = EtcdKeys {
        sections: &["Etcd"],
        servers: "etcd-servers",
        files: ["etcd-certfile", "etcd-keyfile", "etcd-cafile"],
    };
    etcd(settings, draft, &keys);
    status_path(settings.take(&["Dns"], "ip-monitor-path").as_ref(), draft);
    let words =
        "an address without a status counts as up, in the original as down; status_unknown = \"down\" brings that back";
    draft.comment("[etcd]", "", words);
    stats(settings, draft);
    log(settings, draft, "Log");
}

/// What is read from etcd; gives the zones.
fn tree(settings: &mut Settings, draft: &mut Draft, prefix: &str) -> Vec<String> {
    draft.set_in(TREE, prefix, "layout", Value::text("containerdns"), None);
    if prefix != "/containerdns" {
        draft.set_in(TREE, prefix, "prefix", Value::text(prefix), None);
    }
    let domains = settings.take_any(&["Dns"], &["dns-domains", "dns-domain"]);
    let names = match &domains {
        Some(setting) => zones(draft, TREE, setting, &['%']),
        None => vec!["containerdns.local.".to_owned()],
    };
    draft.set_in(TREE, prefix, "zones", Value::Texts(names.clone()), domains.as_ref());
    let skip = settings.take(&["Dns"], "skipDomain");
    if switch(skip.as_ref(), TREE, draft) {
        draft.set_in(TREE, prefix, "skip_domain", Value::Boolean(true), skip.as_ref());
    }
    let (random, hone) = (settings.take(&["Fun"], "random-one"), settings.take(&["Fun"], "hone-one"));
    let chosen = (switch(random.as_ref(), TREE, draft), switch(hone.as_ref(), TREE, draft));
    let (word, from) = match chosen {
        (true, false) => ("random-one", random),
        (false, true) => ("hone-one", hone),
        // The original shuffles.
        (false, false) => ("rotate", None),
        (true, true) => {
            if let Some(setting) = hone {
                draft.remark(
                    TREE,
                    &setting,
                    "with random-one beside it the original does not start; neither was taken",
                );
            }
            return names;
        }
    };
    draft.set_in(TREE, prefix, "answers", Value::text(word), from.as_ref());
    names
}

/// Who is asked for names of others, and what is kept.
fn forwarding(settings: &mut Settings, draft: &mut Draft, served: &[String]) {
    let upstreams = settings.take_any(&["Dns"], &["ex-nameservers", "nameservers"]);
    others::default(draft, upstreams.as_ref().filter(|setting| !setting.value.is_empty()));
    // With one label the original answers SERVFAIL.
    draft.set(others::FORWARD, "labels_min", Value::Number(2), None);
    let branches = settings.take_any(&["Dns"], &["inDomainServers", "subDomainServers"]);
    if let Some(setting) = branches.filter(|setting| !setting.value.is_empty()) {
        // The first generation separates items by "#", the second one by "%".
        others::suffixes(draft, &setting, &['%', '#'], served);
    }
    others::kept_seconds(draft, KEPT_SECONDS, None);
    if let Some(entries) = settings.take(&["Dns"], "cacheSize") {
        others::entries(draft, &entries);
    }
}

/// Where the status of addresses is kept.
pub(super) fn status_path(setting: Option<&Setting>, draft: &mut Draft) {
    let Some(setting) = setting else { return };
    let path = setting.value.trim_end_matches('/');
    if path != STATUS_PATH && !path.is_empty() {
        draft.set("[etcd]", "status_path", Value::text(path), Some(setting));
    }
}

/// The statistics interface.
fn stats(settings: &mut Settings, draft: &mut Draft) {
    const TABLE: &str = "[containerdns_stats]";
    let token = settings.take(&["Stats"], "statsServerAuthToken").map(Setting::secret);
    let address = settings.take(&["Stats"], "statsServer").filter(|setting| !setting.value.is_empty());
    let token = token.filter(|setting| !setting.value.is_empty());
    match (address, token) {
        (Some(address), Some(token)) => {
            listen(draft, TABLE, &address);
            draft.secret(TABLE, "token_file", "containerdns-stats-token", &token);
        }
        (Some(address), None) => {
            draft.remark(TABLE, &address, "not taken: the original lets everybody in, and RingDNS asks for a token");
        }
        (None, Some(token)) => draft.remark(TABLE, &token, "not taken: no statsServer is given"),
        (None, None) => {}
    }
}
