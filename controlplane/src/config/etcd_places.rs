//! `containerdns_api.store = "etcd"`: where in etcd the record interface of ContainerDNS keeps records.

use ringdns_engine::name::WireName;
use toml::Spanned;

use super::EtcdConfig;
use super::containerdns_api::ContainerdnsApi;
use super::problem::Problems;
use crate::etcd::{Layout, Tree};

/// What the keys of monitored addresses begin with, below the prefix of the first suffix's tree.
const MONITOR: &str = "/monitor/status/";

/// Where records and monitored addresses are kept in etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdPlaces {
    /// The trees that have the suffixes.
    trees: Vec<Tree>,
    /// What the keys of monitored addresses begin with; a slash is the last of it.
    pub monitor_prefix: String,
}

impl EtcdPlaces {
    /// The tree that has a name.
    pub(crate) fn tree(&self, name: &WireName) -> Option<&Tree> {
        let of = |tree: &Tree| tree.zones.iter().filter(|zone| zone.contains(name)).map(WireName::label_count).max();
        self.trees.iter().filter(|tree| of(tree).is_some()).max_by_key(|tree| of(tree))
    }

    /// The name that a key stands for.
    pub(crate) fn name(&self, key: &[u8]) -> Option<WireName> {
        self.trees.iter().find_map(|tree| tree.name_of(key))
    }

    /// Of one tree.
    #[cfg(test)]
    pub(crate) fn of(prefix: &str, zones: &[&str]) -> Self {
        use ringdns_engine::select::Mode;

        let zones = zones.iter().map(|zone| zone.parse().unwrap()).collect();
        let tree = Tree {
            layout: Layout::ContainerDns,
            prefix: prefix.to_owned(),
            zones,
            ttl_seconds: 10,
            skip_domain: false,
            answers: Mode::All,
            health: false,
            all_down: crate::health::AllDown::All,
            wildcard_names_max: 0,
            generation: Default::default(),
            local: None,
            stub_zones: false,
        };
        Self { trees: vec![tree], monitor_prefix: format!("{prefix}{MONITOR}") }
    }
}

/// Checks the keys; nothing where records are kept in the store.
pub(super) fn places(
    spec: &ContainerdnsApi,
    domains: &[WireName],
    etcd: Option<&EtcdConfig>,
    problems: &mut Problems<'_>,
) -> Option<EtcdPlaces> {
    const KEY: &str = "containerdns_api.store";
    let word = spec.store.as_ref().map_or("embedded", |store| store.get_ref());
    let span = spec.store.as_ref().map(Spanned::span);
    match word {
        "etcd" => {}
        "embedded" => return None,
        other => {
            problems.add(span, KEY, format!("\"{other}\" is no store"), "write \"embedded\" or \"etcd\"");
            return None;
        }
    }
    let Some(etcd) = etcd else {
        problems.add(
            span,
            KEY,
            "records are to be kept in etcd, and nothing says where it is",
            "give endpoints in [etcd]",
        );
        return None;
    };
    if let Some(answers) = spec.answers.as_ref().filter(|answers| answers.get_ref() != "all") {
        let message = "the tree of ContainerDNS in etcd cannot say it of a record";
        let remedy = "remove the key, and set answers in [[etcd_tree]]";
        problems.add(Some(answers.span()), "containerdns_api.answers", message, remedy);
    }
    let is_ours = |tree: &&Tree| tree.layout == Layout::ContainerDns;
    let trees: Vec<Tree> = etcd.trees.iter().filter(is_ours).cloned().collect();
    let mut places = EtcdPlaces { trees, monitor_prefix: String::new() };
    for domain in domains.iter().filter(|domain| places.tree(domain).is_none()) {
        let remedy = format!("add {domain} to the zones of an [[etcd_tree]] with layout = \"containerdns\"");
        problems.add(span.clone(), KEY, format!("{domain} is not read from etcd, so it would not be served"), remedy);
    }
    let tree = domains.first().and_then(|domain| places.tree(domain));
    let default = tree.map(|tree| format!("{}{MONITOR}", tree.prefix)).unwrap_or_default();
    // Where the status of addresses is read it is written too.
    places.monitor_prefix = etcd.status_path.as_ref().map_or(default, |path| format!("{path}/"));
    Some(places)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    /// What is wrong with these lines of `[containerdns_api]` and others; where it is kept otherwise.
    fn parse(lines: &str, more: &str) -> Result<Option<EtcdPlaces>, String> {
        let port = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n";
        let api = format!("[containerdns_api]\nlisten = \"127.0.0.1:9001\"\ntoken = \"t\"\n{lines}\n");
        Config::parse(Path::new("/etc/ringdns/ringdns.toml"), &format!("{port}{api}{more}"))
            .map(|config| config.containerdns_api.unwrap().etcd)
            .map_err(|error| error.to_string())
    }

    /// An etcd with a tree.
    fn etcd(layout: &str, zone: &str, prefix: &str) -> String {
        format!(
            "[etcd]\nendpoints = [\"http://a:1\"]\n\
             [[etcd_tree]]\nlayout = \"{layout}\"\nzones = [\"{zone}\"]\nprefix = \"{prefix}\"\n"
        )
    }

    #[test]
    fn records_are_kept_where_the_tree_says() {
        assert_eq!(parse("", "").unwrap(), None);
        assert_eq!(parse("store = \"embedded\"", "").unwrap(), None);
        let legacy = etcd("containerdns", "local", "/skydns");
        let places = parse("store = \"etcd\"", &legacy).unwrap().unwrap();
        assert_eq!(places.monitor_prefix, "/containerdns/monitor/status/", "where it is read");
        let legacy = legacy.replace("[[", "status_path = \"\"\n[[") + "health = false\n";
        let legacy = parse("store = \"etcd\"", &legacy).unwrap().unwrap();
        assert_eq!(legacy.monitor_prefix, "/skydns/monitor/status/");
        let path = legacy.tree(&"containerdns.local.".parse().unwrap()).unwrap().path(&"a.local.".parse().unwrap());
        assert_eq!(path, b"/skydns/local/a");
        let more = etcd("containerdns", "containerdns.local", "/c").replace("[[", "status_path = \"/m\"\n[[");
        let other = parse("store = \"etcd\"", &more).unwrap().unwrap();
        assert_eq!(other.monitor_prefix, "/m/");
    }

    #[test]
    fn each_mistake_is_named() {
        let right = etcd("containerdns", "containerdns.local", "/containerdns");
        for (lines, more, expected) in [
            ("store = \"redis\"", "", "\"redis\" is no store; write \"embedded\" or \"etcd\""),
            ("store = \"etcd\"", "", "nothing says where it is; give endpoints in [etcd]"),
            ("store = \"etcd\"", &etcd("containerdns", "other", "/c"), "add containerdns.local. to the zones of an"),
            ("store = \"etcd\"", &etcd("skydns", "containerdns.local", "/c"), "is not read from etcd"),
            (
                "store = \"etcd\"\nanswers = \"hone-one\"",
                &right,
                "cannot say it of a record; remove the key, and set answers in",
            ),
        ] {
            let problems = parse(lines, more).unwrap_err();
            assert!(problems.contains(expected), "{expected} in {problems}");
        }
    }
}
