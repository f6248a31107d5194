//! Health checking: what is right and what is wrong.

use super::super::{Config, Password};
use super::*;

/// The least that a role needs.
const ETCD: &str = "[etcd]\nendpoints = [\"http://127.0.0.1:2379\"]\n";

/// A role's configuration.
fn parse(lines: &str) -> Result<RoleConfig, String> {
    RoleConfig::parse(Path::new("/etc/ringdns/ringdns.toml"), lines).map_err(|error| error.to_string())
}

/// The configuration of a server with these lines.
fn server(lines: &str) -> Config {
    let port = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n";
    Config::parse(Path::new("/etc/ringdns/ringdns.toml"), &format!("{port}{lines}")).unwrap()
}

#[test]
fn a_role_needs_etcd_and_nothing_else() {
    let config = parse(ETCD).unwrap();
    let scanner = &config.health.scanner;
    assert_eq!((scanner.enabled, scanner.all_jobs, scanner.check, scanner.checks_max), (false, false, true, 2000));
    assert_eq!((scanner.interval.as_secs(), scanner.timeout.as_secs(), scanner.rise, scanner.fall), (5, 2, 2, 2));
    assert_eq!((scanner.listen.to_string(), &scanner.ports[..]), ("127.0.0.1:8054".to_owned(), &[80][..]));
    assert!(!scanner.name.is_empty() && config.health.scheduler.name == scanner.name);
    let scheduler = &config.health.scheduler;
    assert_eq!((scheduler.addresses, scheduler.domains, scheduler.replicas, scheduler.quorum), (true, true, 1, 1));
    assert_eq!(config.health.keys.status_path, "/containerdns/monitor/status");
    assert_eq!(config.health.alert, None);
    assert!(config.etcd.trees.is_empty());
    assert!(parse("").unwrap_err().contains("etcd.endpoints: states and jobs are kept in etcd, and none is given"));
    assert!(parse("[dsn]\n").unwrap_err().contains("unknown field `dsn`"));
}

#[test]
fn a_file_for_roles_alone_is_known_by_what_it_has_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.toml");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        RoleConfig::load_alone(&path).map(|config| config.map_err(|error| error.to_string()))
    };
    assert_eq!(load(ETCD).unwrap().unwrap().etcd.endpoints.len(), 1);
    assert!(load(&format!("{ETCD}[scanner]\nrise = 0\n")).unwrap().unwrap_err().contains("scanner.rise: 0 is out"));
    let port = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n";
    for text in ["", "x", port, &format!("{port}{ETCD}")] {
        assert!(load(text).is_none(), "{text}");
    }
}

#[test]
fn the_first_probe_that_is_for_a_target_counts() {
    let lines = "[[probe]]\ntargets = [\"10.0.0.0/8\", \"2001:db8::1\", \"Example.org.\"]\nkind = \"http\"\n\
                 [[probe]]\ntargets = [\".\", \"::/0\"]\nkind = \"icmp\"\n";
    let probes = parse(&format!("{ETCD}{lines}")).unwrap().health.scanner.probes;
    let first = |target: &str| probes.iter().position(|probe| probe.is_for(target));
    for target in ["10.1.2.3", "2001:db8::1", "example.org", "www.EXAMPLE.org."] {
        assert_eq!(first(target), Some(0), "{target}");
    }
    for target in ["2001:db8::2", "badexample.org", "org"] {
        assert_eq!(first(target), Some(1), "{target}");
    }
    assert_eq!(first("192.0.2.1"), None);
    let http = ProbeKind::Http { path: "/".to_owned(), host: None, statuses: vec![], tls: None };
    assert_eq!((&probes[0].kind, &probes[0].ports), (&http, &None));
}

#[test]
fn protected_probes_check_certificates_unless_they_are_told_not_to() {
    let probe = |more: &str| {
        let lines = format!("{ETCD}[[probe]]\ntargets = [\".\"]\nkind = \"https\"\n{more}");
        match parse(&lines).unwrap().health.scanner.probes[0].kind.clone() {
            ProbeKind::Http { tls: Some(tls), .. } => tls.verify,
            other => panic!("{other:?}"),
        }
    };
    assert!(probe("") && probe("verify = true") && !probe("verify = false"));
}

#[test]
fn alerts_have_the_body_of_the_original_unless_there_is_a_template() {
    let alert = parse(&format!("{ETCD}[alert]\nurl = \"https://a.example/send\"\n")).unwrap().health.alert.unwrap();
    assert_eq!(alert.template["sys_idx"], "{{sys_idx}}");
    assert_eq!((alert.silent.as_secs(), alert.tries, alert.authorization), (3600, 5, None::<Password>));
}

#[test]
fn a_scanner_in_the_server_needs_to_know_what_it_checks() {
    let with = |scanner: &str, more: &str| {
        let port = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n";
        let text = format!("{port}[scanner]\nenabled = true\n{scanner}\n{more}");
        Config::parse(Path::new("/r.toml"), &text).map_err(|error| error.to_string())
    };
    let etcd = format!("{ETCD}[[etcd_tree]]\nlayout = \"skydns\"\nzones = [\"a.\"]\n");
    let scanner = with("targets = [\"192.0.2.1\", \"2001:db8::1\"]\nzones = [\".\"]", "").unwrap().health.scanner;
    assert_eq!((scanner.targets.len(), scanner.zones), (2, vec![".".parse().unwrap()]));
    with("", "[containerdns_api]\nlisten = \"127.0.0.1:9001\"\ntoken = \"123456789\"\n").unwrap();
    assert!(with("", &etcd).unwrap().health.scanner.enabled);
    for (scanner, more, expected) in [
        ("", "", "scanner.enabled: nothing says what is to be checked; give scanner.targets"),
        ("zones = [\"a.\"]", etcd.as_str(), "scanner.zones: where endpoints are given, what is checked stands in etcd"),
        ("targets = [\"a\"]", "", "scanner.targets: \"a\" is no address; write"),
        ("zones = []", "", "scanner.zones: the list is empty"),
    ] {
        let problems = with(scanner, more).unwrap_err();
        assert!(problems.contains(expected), "{expected} in {problems}");
    }
}

#[test]
fn what_is_answered_where_all_are_down_is_said_for_all_or_for_a_tree() {
    let tree = |words: &str, zone: &str| format!("[[etcd_tree]]\nlayout = \"skydns\"\nzones = [\"{zone}\"]\n{words}\n");
    let trees = tree("", "a.") + &tree("all_down = \"all\"", "b.");
    let config = server(&format!("[health]\nall_down = \"none\"\n{ETCD}{trees}"));
    let of_trees: Vec<AllDown> = config.etcd.unwrap().trees.iter().map(|tree| tree.all_down).collect();
    assert_eq!((config.health.all_down, of_trees), (AllDown::None, vec![AllDown::None, AllDown::All]));
    assert_eq!(server("").health.all_down, AllDown::All);
    let problems = parse(&format!("{ETCD}[health]\nall_down = \"some\"\n")).unwrap_err();
    assert!(problems.contains("health.all_down: \"some\" is none of its words; write one of"), "{problems}");
}

#[test]
fn changes_need_a_restart() {
    let mut running = server("");
    let new = server("[health]\nstatus_path = \"/a\"\n[scanner]\nrise = 1\n[scheduler]\nlease_seconds = 5\n");
    assert_eq!(running.take(&new).restart, ["health", "scanner", "scheduler"]);
}

#[test]
fn each_mistake_is_named() {
    let probe = |more: &str| format!("[[probe]]\ntargets = [\"10.0.0.0/8\"]\n{more}\n");
    for (lines, expected) in [
        ("[health]\ngeneration = \"v3\"\n".to_owned(), "health.generation: \"v3\" is no generation; write"),
        ("[health]\nstatus_path = \"a\"\n".to_owned(), "health.status_path: \"a\" is no path of keys"),
        (
            "[health]\njob_path = \"/containerdns/monitor/status/jobs/\"\n".to_owned(),
            "health.job_path: it lies in health.status_path",
        ),
        ("[scanner]\njobs = \"some\"\n".to_owned(), "scanner.jobs: \"some\" says not whose jobs; write"),
        ("[scanner]\ninterval_ms = 5\n".to_owned(), "scanner.interval_ms: 5 is out of bounds; give a number from 100"),
        ("[scanner]\nrise = 0\n".to_owned(), "scanner.rise: 0 is out of bounds"),
        ("[scanner]\nname = \"a/b\"\n".to_owned(), "scanner.name: \"a/b\" is no name of an agent"),
        ("[scanner]\nports = [0]\n".to_owned(), "scanner.ports: these are no ports"),
        ("[scheduler]\nreplicas = 3\nquorum = 4\n".to_owned(), "scheduler.quorum: 4 is out of bounds"),
        ("[scheduler]\nresources = [\"ip\"]\n".to_owned(), "scheduler.resources: \"ip\" is no resource"),
        ("[scheduler]\nresources = []\n".to_owned(), "scheduler.resources: there is nothing to schedule"),
        (probe("kind = \"udp\""), "probe[0].kind: \"udp\" is no kind of probe; write"),
        (probe("kind = \"icmp\"\nports = [1]"), "probe[0].ports: a probe of kind \"icmp\" does not know it"),
        (probe("kind = \"http\"\nverify = false"), "probe[0].verify: a probe of kind \"http\" does not know it"),
        (probe("kind = \"http\"\npath = \"x\""), "probe[0].path: \"x\" is no path"),
        (probe("kind = \"http\"\nstatuses = [99]"), "probe[0].statuses: a number is out of bounds"),
        (probe("kind = \"https\"\nca_file = \"/nonexistent\""), "probe[0].ca_file: /nonexistent cannot be read"),
        (probe("kind = \"dns\"\nquery_type = \"ZZZ\""), "probe[0].query_type: \"ZZZ\" is no type of records"),
        (probe("kind = \"dns\"\nquery = \"a..b\""), "probe[0].query: \"a..b\" is no domain name"),
        (probe("kind = \"dns\"\nrcodes = []"), "probe[0].rcodes: a number is out of bounds, or none is given"),
        ("[[probe]]\ntargets = []\nkind = \"tcp\"\n".to_owned(), "probe[0].targets: it is for no target"),
        ("[[probe]]\ntargets = [\"10.0.0.1/8\"]\nkind = \"tcp\"\n".to_owned(), "\"10.0.0.1/8\" is no network"),
        ("[alert]\nurl = \"ftp://a\"\n".to_owned(), "alert.url: \"ftp://a\" is no URL to post to"),
        ("[alert]\nurl = \"http://u:p@a/\"\n".to_owned(), "secrets go into authorization_file"),
        ("[alert]\nurl = \"http://a\"\ntemplate_file = \"/nonexistent\"\n".to_owned(), "alert.template_file: /nonexi"),
        ("[alert]\nurl = \"http://a\"\ntries = 0\n".to_owned(), "alert.tries: 0 is out of bounds"),
    ] {
        let problems = parse(&format!("{ETCD}{lines}")).unwrap_err();
        assert!(problems.contains(expected), "{expected} in {problems}");
    }
}
