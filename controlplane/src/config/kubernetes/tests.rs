//! The Kubernetes source's tables: what is right and what is wrong.

use super::super::Config;
use super::*;

/// The configuration of a server with these lines.
fn parse(lines: &str) -> Result<Config, String> {
    let port = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n";
    Config::parse(Path::new("/etc/ringdns/ringdns.toml"), &format!("{port}{lines}")).map_err(|error| error.to_string())
}

/// A cluster with these lines.
fn cluster(lines: &str) -> KubernetesConfig {
    parse(&format!("[kubernetes]\nzones = [\"Cluster.local\"]\n{lines}")).unwrap().kubernetes.unwrap()
}

#[test]
fn a_cluster_needs_a_zone_and_nothing_else() {
    assert_eq!(parse("").unwrap().kubernetes, None);
    let config = cluster("");
    assert_eq!(config.zones, ["cluster.local.".parse().unwrap()]);
    assert_eq!((&config.access, config.startup_timeout), (&KubernetesAccess::InCluster, Duration::from_secs(5)));
    assert_eq!((config.ttl, config.negative_ttl, config.srv_priority, config.endpoints), (5, None, 0, true));
    assert_eq!((config.pods, config.resource), (KubernetesPods::Disabled, KubernetesEndpoints::Auto));
    assert_eq!((config.external, config.search_path, config.cache_file), (None, None, None));
}

#[test]
fn a_preset_holds_where_no_key_says_otherwise() {
    let config = cluster("compatibility = \"kube-dns\"\nttl = 7\nquery_wildcards = false\n");
    assert_eq!((config.ttl, config.srv_priority, config.query_wildcards), (7, 10, false));
    assert_eq!((config.pods, config.endpoint_labels), (KubernetesPods::Insecure, EndpointLabels::KubeDns));
    assert_eq!((config.endpoint_ptr, config.external_addresses), (EndpointPtrs::Named, ExternalAddresses::Address));
    let config = cluster("compatibility = \"kube2sky\"\n");
    assert_eq!((config.legacy_names, config.query_wildcards, config.ttl), (true, true, 30));
    assert_eq!((config.endpoint_labels, config.endpoint_ptr), (EndpointLabels::Kube2sky, EndpointPtrs::None));
    let config = cluster("compatibility = \"containerdns\"\nsrv_priority = 0\n");
    assert_eq!((config.external_ip_records, config.legacy_names, config.srv_priority), (true, false, 0));
}

#[test]
fn the_api_server_is_reached_in_one_of_three_ways() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f");
    std::fs::write(&file, "x").unwrap();
    let path = file.display();
    assert_eq!(
        cluster(&format!("kubeconfig = \"{path}\"\ncontext = \"c\"\n")).access,
        KubernetesAccess::Kubeconfig { path: file.clone(), context: Some("c".to_owned()) }
    );
    let files = "certificate_file key_file ca_file token_file".split(' ').map(|key| format!("{key} = \"{path}\"\n"));
    assert_eq!(
        cluster(&format!("endpoint = \"https://a:6443\"\n{}", files.collect::<String>())).access,
        KubernetesAccess::Endpoint {
            url: "https://a:6443".to_owned(),
            identity: Some((file.clone(), file.clone())),
            ca_file: Some(file.clone()),
            token_file: Some(file),
        }
    );
}

#[test]
fn tables_below_it_are_read() {
    let external = "[kubernetes.external]\nzones = [\"example.org\"]\nreverse_zones = [\"203.0.112.0/23\"]\n";
    let path = "[kubernetes.search_path]\nenabled = true\nhost_suffixes = [\"corp.example\"]\n";
    let config = cluster(&format!("reverse_zones = [\"in-addr.arpa\", \"fd00::/8\"]\n{external}{path}"));
    assert_eq!(config.reverse_zones.len(), 2);
    let external = config.external.unwrap();
    assert_eq!((external.apex.as_str(), external.ttl, external.reverse_zones.len()), ("dns", 5, 2));
    let suffix = "corp.example.".parse().unwrap();
    assert_eq!(config.search_path, Some(KubernetesSearchPath { host_suffixes: vec![suffix], cname: false }));
    assert_eq!(cluster("[kubernetes.search_path]\ncname = true\n").search_path, None, "it has to be switched on");
}

#[test]
fn changes_need_a_restart() {
    let mut running = parse("").unwrap();
    let new = parse("[kubernetes]\nzones = [\"a\"]\n").unwrap();
    assert_eq!(running.take(&new).restart, ["kubernetes"]);
    assert_eq!(running.kubernetes, None);
}

#[test]
fn each_mistake_is_named() {
    for (lines, expected) in [
        ("ttl = 5", "kubernetes.zones: nothing says which zones are the cluster's; write [\"cluster.local.\"]"),
        ("zones = [\"a..b\"]", "kubernetes.zones: \"a..b\" is no domain name"),
        ("zones = [\"a\", \"A.\"]", "kubernetes.zones: zone A. is named twice"),
        ("zones = [\"a\"]\nnonsense = 1", "unknown field `nonsense`"),
        (
            "zones = [\"a\"]\nreverse_zones = [\"a\"]",
            "kubernetes.reverse_zones: \"a\" is no reverse zone and no network",
        ),
        ("zones = [\"a\"]\nreverse_zones = [\"10.0.0.1/8\"]", "\"10.0.0.1/8\" is no reverse zone and no network"),
        ("zones = [\"a\"]\nmulticluster_zones = [\"b\"]", "zone b. is not among kubernetes.zones; name it there too"),
        ("zones = [\"a\"]\ncontext = \"c\"", "kubernetes.context: a context is given, and no kubeconfig"),
        ("zones = [\"a\"]\nca_file = \"c\"", "kubernetes.ca_file: it is given, and no endpoint to use it with"),
        ("zones = [\"a\"]\nkubeconfig = \"/nonexistent\"", "kubernetes.kubeconfig: /nonexistent cannot be read"),
        ("zones = [\"a\"]\nkubeconfig = \"k\"\nendpoint = \"https://a\"", "kubeconfig and endpoint are both given"),
        ("zones = [\"a\"]\nendpoint = \"a:6443\"", "kubernetes.endpoint: \"a:6443\" is no URL of an API server"),
        ("zones = [\"a\"]\nendpoint = \"https://u@a\"", "\"https://u@a\" is no URL of an API server"),
        ("zones = [\"a\"]\nendpoint = \"http://a\"\ntoken_file = \"t\"", "the connection is not protected"),
        (
            "zones = [\"a\"]\nendpoint = \"https://a\"\nkey_file = \"k\"",
            "of certificate_file and key_file one is given",
        ),
        ("zones = [\"a\"]\nnamespaces = []", "kubernetes.namespaces: no namespace is named"),
        ("zones = [\"a\"]\nnamespaces = [\"A\"]", "kubernetes.namespaces: \"A\" is no name of a namespace"),
        ("zones = [\"a\"]\nnamespaces = [\"a\"]\nnamespace_labels = \"a\"", "both given; keep one of the two"),
        ("zones = [\"a\"]\nlabels = \"a&b\"", "kubernetes.labels: \"a&b\" is no selector of labels"),
        ("zones = [\"a\"]\nttl = 3601", "kubernetes.ttl: 3601 is out of bounds"),
        ("zones = [\"a\"]\nstartup_timeout_ms = 60001", "kubernetes.startup_timeout_ms: 60001 is out of bounds"),
        (
            "zones = [\"a\"]\npods = \"some\"",
            "kubernetes.pods: \"some\" is none of its words; write one of \"disabled\"",
        ),
        ("zones = [\"a\"]\ncompatibility = \"bind\"", "kubernetes.compatibility: \"bind\" is none of its words"),
        ("zones = [\"a\"]\nresource = \"slices\"", "kubernetes.resource: \"slices\" is none of its words"),
        ("zones = [\"a\"]\nzonal = true\nendpoints = false", "kubernetes.zonal: it is decided by endpoints"),
        ("zones = [\"a\"]\nown_addresses = [\"127.0.0.1\"]", "127.0.0.1 is no address that a Service could have"),
        ("zones = [\"a\"]\n[kubernetes.external]\n", "kubernetes.external.zones: no zone is named"),
        ("zones = [\"a\"]\n[kubernetes.external]\nzones = [\"b\"]\napex = \"a.b\"", "\"a.b\" is no label"),
        ("zones = [\"a\"]\n[kubernetes.search_path]\nhost_suffixes = [\"..\"]", "kubernetes.search_path.host_suffixes"),
    ] {
        let problems = parse(&format!("[kubernetes]\n{lines}\n")).unwrap_err();
        assert!(problems.contains(expected), "{expected} in {problems}");
    }
}
