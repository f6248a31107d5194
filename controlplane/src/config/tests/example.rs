//! The shipped example: every key stands in it, and what it shows is true.

use super::*;

/// The shipped example.
const EXAMPLE: &str = include_str!("../../../../conf/example.toml");

#[test]
fn the_example_is_taken_and_shows_the_defaults() {
    let example = parse(EXAMPLE).unwrap();
    let default = parse(PORT).unwrap();
    assert_eq!(example.dns, default.dns);
    assert_eq!(example.workers.idle, default.workers.idle);
    assert_eq!(example.rate_limit, None);
    assert_eq!(example.sockets, default.sockets);
    assert_eq!(example.eal, default.eal);
    assert_eq!(example.store, default.store);
    assert_eq!(example.admin.listen, default.admin.listen);
    assert_eq!(example.log, default.log);
    assert_eq!((example.ports[0].dns_port, example.ports[0].vlan, example.ports[0].mtu), (53, None, None));
}

#[test]
fn the_example_with_everything_switched_on_is_taken() {
    let switched_on: String = (EXAMPLE.lines())
        .filter(|line| !line.contains("_file = ") || line.starts_with("cache_file"))
        // For another layout, or one of two.
        .filter(|line| {
            !["generation =", "local =", "text =", "service_addresses =", "states ="]
                .iter()
                .any(|key| line.starts_with(&format!("# {key}")))
        })
        // A Corefile must be there.
        .filter(|line| !line.contains("/etc/coredns/") && !line.starts_with("# ignore = "))
        // A token's file must be there.
        .filter(|line| {
            let is_of_cache = *line == "# file = \"/var/lib/ringdns/cache\"";
            is_of_cache
                || !["[[admin_token]]", "file =", "zones = [\"example.org.\"]", "permissions =", "name = \"deploy"]
                    .iter()
                    .any(|key| line.starts_with(&format!("# {key}")))
        })
        // One of two ways to the same thing.
        .filter(|line| {
            !["kubeconfig =", "context =", "namespace_labels =", "resolv_conf =", "block_files ="]
                .iter()
                .any(|key| line.starts_with(&format!("# {key}")))
        })
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if (key.starts_with('[') && key.ends_with(']')) || key.contains(" = ") => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let switched_on = switched_on.replace("user = \"ringdns\"\n", "");
    let switched_on = switched_on.replace("backend = \"embedded\"", "backend = \"etcd\"");
    let switched_on = switched_on.replace("\nstore = \"embedded\"", "\nstore = \"etcd\"");
    let error = parse(&switched_on).unwrap_err().to_string();
    assert!(error.contains("secret 1 is not"), "the shown secret is none: {error}");
    let switched_on = switched_on.replace("[\"change me\"]", "[\"000102030405060708090a0b0c0d0e0f\"]");
    let config = parse(&switched_on.replace("change me", "changed")).unwrap();
    assert_eq!((config.dns.cookie_secrets.len(), &config.dns.version[..]), (1, &b"RingDNS"[..]));
    assert_eq!((config.ports[0].vlan, config.ports[0].mtu), (Some(100), Some(1500)));
    let kernel = KernelConfig { kind: KernelKind::Tap, interface: "ring0".into() };
    assert_eq!(config.ports[0].kernel, Some(kernel));
    assert_eq!((config.zone_files.len(), config.views.len()), (1, 1));
    assert!(config.admin.token.is_some());
    let interface = config.containerdns_api.unwrap();
    assert_eq!((interface.ttl_seconds, interface.generation), (30, Generation::Both));
    assert_eq!(interface.domains, ["containerdns.local.".parse().unwrap()]);
    assert_eq!(interface.etcd.unwrap().monitor_prefix, "/containerdns/monitor/status/");
    assert_eq!(config.store.etcd.map(|etcd| (etcd.prefix, etcd.import)), Some(("/ringdns".to_owned(), false)));
    let kdns = config.kdns_api.unwrap();
    assert_eq!((kdns.zones.len(), kdns.tls, kdns.token.is_some()), (2, None, true));
    let cluster = config.kubernetes.unwrap();
    let external = cluster.external.as_ref().map(|external| (external.zones.len(), external.reverse_zones.len()));
    assert_eq!((cluster.zones.len(), cluster.reverse_zones.len(), external), (2, 17, Some((1, 1))));
    let etcd = config.etcd.unwrap();
    assert_eq!((etcd.endpoints.len(), etcd.trees[0].ttl_seconds, etcd.trees[0].skip_domain), (1, 10, false));
    let limits = RateLimit {
        responses_per_second: 20,
        nxdomains_per_second: 20,
        packets_per_second: 100_000,
        ..RateLimit::default()
    };
    assert_eq!(config.rate_limit, Some(limits), "every other key of [rate_limit] shows its default");
}

#[test]
fn the_example_shows_every_key() {
    let mut shown = BTreeSet::new();
    let mut table = String::new();
    for line in EXAMPLE.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with('[') {
            table = format!("{}.", line.trim_matches(['[', ']']));
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        {
            shown.insert(format!("{table}{key}"));
        }
    }
    let keys: BTreeSet<String> = KEYS.iter().map(|key| (*key).to_owned()).collect();
    assert_eq!(shown, keys);
}

#[test]
fn the_list_of_keys_is_that_of_the_spec() {
    // serde names every key of a table when it meets an unknown one.
    for table in [
        "",
        "[dns]",
        "[rate_limit]",
        "[sockets]",
        "[workers]",
        "[eal]",
        "[[port]]",
        "[store]",
        "[[zone_file]]",
        "[etcd]",
        "[[etcd_tree]]",
        "[health]",
        "[scanner]",
        "[[probe]]",
        "[scheduler]",
        "[alert]",
        "[forward]",
        "[[forward.zone]]",
        "[[forward.zone]]\nzone = \"a\"\n[forward.zone.cache]",
        "[cache]",
        "[policy]",
        "[kubernetes]",
        "[kubernetes.external]",
        "[kubernetes.search_path]",
        "[[view]]",
        "[admin]",
        "[[admin_token]]",
        "[stats]",
        "[kdns_api]",
        "[cluster_http]",
        "[[cluster_http.probe]]",
        "[shutdown]",
        "[log]",
    ] {
        let error = file::Spec::parse(&format!("{table}\nnonsense = 1\n")).unwrap_err().to_string();
        let expected: BTreeSet<&str> = error.split("expected").nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        let name = table.rsplit('\n').next().unwrap().trim_matches(['[', ']']);
        let listed: BTreeSet<&str> = if name.is_empty() {
            KEYS.iter().map(|key| key.split('.').next().unwrap()).collect()
        } else {
            let below = KEYS.iter().filter_map(|key| key.strip_prefix(name)?.strip_prefix('.'));
            below.filter_map(|key| key.split('.').next()).collect()
        };
        assert_eq!(listed, expected, "{table}");
    }
}
