//! Others' configuration files, as they are shipped, and what RingDNS's own reader makes of what comes out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ringdns_controlplane::config::file::KEYS;
use ringdns_controlplane::config::{Config, ConfigError, Problem};
use ringdns_ctl::Terminal;
use ringdns_ctl::import::{self, ImportError, Imported, Kind, Options};

/// A sample's path.
fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)
}

/// Options for some samples.
fn options(names: &[&str]) -> Options {
    Options { files: names.iter().map(|name| sample(name)).collect(), ..Options::default() }
}

/// The same with what a machine knows.
fn complete(names: &[&str], secrets: &Path) -> Options {
    Options {
        device: Some("0000:01:00.0".to_owned()),
        addresses: vec!["192.0.2.53".parse().unwrap()],
        secrets_dir: Some(secrets.to_path_buf()),
        ..options(names)
    }
}

/// What comes out of samples.
fn imported(names: &[&str]) -> Imported {
    import::import(&options(names)).unwrap()
}

/// A Corefile of the translation's own tests.
fn corefile(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corefile/tests/samples").join(format!("{name}.corefile"))
}

/// A configuration without the tables that this build's reader does not know.
fn known(toml: &str) -> String {
    let mut is_known = true;
    let mut lines = String::new();
    for line in toml.lines() {
        if let Some(header) = line.strip_prefix('[') {
            let table = header.trim_matches(['[', ']']).split('.').next().unwrap_or_default().to_owned() + ".";
            is_known = KEYS.iter().any(|key| key.starts_with(&table));
        }
        lines += if is_known { line } else { "" };
        lines += "\n";
    }
    lines
}

#[test]
fn corefiles_are_taken_over() {
    for name in ["default", "kubeadm-2025", "k3s", "nodelocal", "stub-domains"] {
        let Imported { toml, report, .. } =
            import::import(&Options { files: vec![corefile(name)], ..Options::default() }).unwrap();
        assert_eq!(problems(&known(&toml)), [], "{name}:\n{toml}");
        assert!(!report.contains("to do: "), "{name}: {report}");
        assert!(toml.contains("[forward]") && toml.contains("[policy]"), "{name}: {toml}");
        // What is to be filled in before a node's cache starts is no address.
        assert_eq!(report.contains("not supported: forward"), name == "nodelocal", "{report}");
    }
    let Imported { toml, .. } =
        import::import(&Options { files: vec![corefile("default")], ..Options::default() }).unwrap();
    assert!(toml.contains("# default.corefile:10: ttl\nttl = 30\n"), "{toml}");
    assert!(toml.contains("[cluster_http]") && toml.contains("lameduck_ms = 5000"), "{toml}");
}

#[test]
fn every_key_that_a_corefile_comes_to_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let text = fs::read_to_string(corefile("everything")).unwrap();
    fs::write(path("Corefile"), text.replace("/zones", path("zones").to_str().unwrap())).unwrap();
    fs::write(path("resolv.conf"), "search cluster.local corp.example\n").unwrap();
    fs::create_dir(path("zones")).unwrap();
    fs::create_dir(path("kube")).unwrap();
    fs::write(path("kube/config"), "").unwrap();
    fs::write(path("zones/db.example.com"), "").unwrap();
    let Imported { toml, .. } =
        import::import(&Options { files: vec![path("Corefile")], ..Options::default() }).unwrap();
    // Secrets and certificates are not there; all else is.
    let problems: Vec<Problem> =
        problems(&known(&toml)).into_iter().filter(|found| !found.key.contains("_file")).collect();
    assert_eq!(problems, [], "{toml}");
    for table in ["kubernetes.external", "kubernetes.search_path", "transfer", "etcd_tree", "zone_file", "dns"] {
        assert!(toml.contains(&format!("[{table}]")), "{table}: {toml}");
    }
}

#[test]
fn what_a_corefile_has_that_is_not_supported_is_an_error_unless_it_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mine");
    fs::write(&path, ".:53 {\n    bind 127.0.0.1\n    rewrite name a b\n    bufsize 1400\n}\n").unwrap();
    let options = Options { files: vec![path], ..Options::default() };
    let Err(ImportError::Read(fault)) = import::import(&options) else { panic!("it was taken") };
    assert!(fault.contains("mine:3: rewrite: not supported") && fault.contains("--ignore rewrite"), "{fault}");
    for options in [
        Options { ignore_unsupported: true, ..options.clone() },
        Options { ignore: vec!["rewrite".to_owned()], ..options },
    ] {
        let Imported { toml, report, .. } = import::import(&options).unwrap();
        assert_eq!(problems(&toml), [], "{toml}");
        assert!(report.contains("mine:3: ignored, as asked: rewrite"), "{report}");
    }
}

#[test]
fn the_directory_of_a_config_map_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { files: vec![directory.path().to_path_buf()], ..Options::default() };
    assert!(matches!(import::import(&options), Err(ImportError::Read(fault)) if fault.contains("stubDomains")));
    fs::write(directory.path().join("stubDomains"), "{\"corp.example\": [\"192.0.2.1\"]}").unwrap();
    let Imported { toml, report, .. } = import::import(&options).unwrap();
    assert!(toml.contains("[kube_dns_config]\ndirectory = ") && !report.contains("not supported"), "{toml}{report}");
    let served = format!("{toml}\n[sockets]\nlisten = [\"127.0.0.1:1\"]\n");
    assert_eq!(problems(&served), [], "{toml}");
    fs::write(directory.path().join("upstreamNameservers"), "nonsense").unwrap();
    assert!(
        matches!(import::import(&options), Err(ImportError::Read(fault)) if fault.contains("upstreamNameservers:1"))
    );
}

/// What the reader has against a configuration.
fn problems(toml: &str) -> Vec<Problem> {
    match Config::parse(Path::new("/nonexistent/ringdns.toml"), toml) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Invalid(problems)) => problems,
        Err(error) => panic!("{error}"),
    }
}

/// Every sample that is taken over.
const SAMPLES: [&[&str]; 15] = [
    &["containerdns.conf"],
    &["containerdns-api.conf"],
    &["containerdns.conf", "containerdns-api.conf"],
    &["skydns.conf"],
    &["skydns.conf", "skydns-api.conf"],
    &["first/skydns.conf"],
    &["first/skydns-api.conf"],
    &["readme/containerdns.conf", "readme/containerdns-api.conf"],
    &["kdns.cfg"],
    &["readme/kdns.cfg"],
    &["kdns-agent.yaml"],
    &["first/kdns-agent.yaml"],
    &["kdns.cfg", "kdns-agent.yaml"],
    &["own/skydns.json"],
    // Two servers on one machine become one.
    &["containerdns.conf", "kdns.cfg"],
];

#[test]
fn every_shipped_file_gives_a_configuration_that_lacks_only_what_is_told() {
    for names in SAMPLES {
        let Imported { toml, report, .. } = imported(names);
        for problem in problems(&toml) {
            let (table, key) = problem.key.split_once('.').unwrap();
            let table = table.split('[').next().unwrap();
            let task =
                |line: &&str| line.starts_with("to do: ") && line.contains(&format!("[{table}]")) && line.contains(key);
            assert!(report.lines().any(|line| task(&line)), "{names:?}: nobody was told of {problem}\n{report}");
        }
        assert!(!report.contains("unknown key"), "{names:?}: {report}");
        let tasks: Vec<&str> = report.lines().filter(|line| line.starts_with("to do: ")).collect();
        for task in tasks.iter().filter(|task| task.contains("[[port]] device")) {
            assert!(problems(&toml).iter().any(|problem| problem.key == "port[0].device"), "{names:?}: {task}");
        }
    }
}

#[test]
fn with_what_the_machine_knows_the_result_is_whole() {
    for names in SAMPLES {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("ringdns.toml");
        let options = Options { out: Some(out.clone()), ..complete(names, &directory.path().join("secrets")) };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let code = import::run(&options, &mut Terminal { out: &mut stdout, err: &mut stderr });
        let report = String::from_utf8(stderr).unwrap();
        assert_eq!((code, stdout.len()), (0, 0), "{names:?}: {report}");
        let toml = fs::read_to_string(&out).unwrap();
        assert_eq!(problems(&toml), [], "{names:?}:\n{toml}");
        assert!(!report.contains("to do: "), "{names:?}: {report}");
    }
}

#[test]
fn every_key_of_every_sample_is_named() {
    for names in SAMPLES {
        let Imported { toml, report, .. } = imported(names);
        for name in names {
            let text = fs::read_to_string(sample(name)).unwrap();
            let file = Path::new(name).file_name().unwrap().to_str().unwrap();
            for (index, line) in text.lines().enumerate() {
                let content = line.trim();
                let Some((key, value)) = content.split_once([':', '=']) else { continue };
                let value = value.trim().trim_matches(['"', ',']);
                // Nothing is said of what is empty or off, nor of places that are the default.
                let is_default =
                    ["", "false", "NO", "no", "YES"].contains(&value) || key.starts_with("ip-monitor-path");
                if content.starts_with(['#', ';', '[']) || is_default {
                    continue;
                }
                let place = format!("{file}:{}: ", index + 1);
                let is_there = toml.contains(&place) || report.contains(&place);
                let as_value = toml.contains(value) || value.contains('%') || key.trim() == "log-level";
                assert!(is_there || as_value, "{name}: {place}{content} is nowhere in\n{toml}\n{report}");
            }
        }
    }
}

#[test]
fn the_server_of_containerdns_is_taken_over() {
    let Imported { toml, report, .. } = imported(&["containerdns.conf"]);
    for expected in [
        "[[port]]\n# FILL IN: the NIC",
        "addresses = []\n",
        "# containerdns.conf:16: Etcd.etcd-servers\nendpoints = [\"http://127.0.0.1:2379\"]\n",
        "layout = \"containerdns\"\n# containerdns.conf:2: Dns.dns-domains\nzones = [\"containerdns.local.\"]\n",
        "[containerdns_stats]\n# containerdns.conf:27: Stats.statsServer\nlisten = \"127.0.0.1:9600\"\n",
        "token_file = \"/etc/ringdns/containerdns-stats-token\"\n",
        "answers = \"rotate\"\n",
        "# containerdns.conf:12: Log.log-level\nlevel = \"info\"\n",
        "resolv_conf = \"system\"\n",
        "policy = \"sequential\"\nlabels_min = 2\n",
        "# containerdns.conf:7: Dns.cacheSize\nsize_mib = 214\n",
    ] {
        assert!(toml.contains(expected), "{expected} in\n{toml}");
    }
    assert!(report.contains("containerdns.conf: no server is named: the original asks those of /etc/resolv.conf"));
    assert!(
        report.contains("to do: [containerdns_stats] token_file: put the value of Stats.statsServerAuthToken (line 28")
    );
}

#[test]
fn secrets_go_to_files_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let names: &[&str] = &["containerdns.conf", "containerdns-api.conf", "own/skydns.env"];
    let Imported { toml, report, .. } = imported(names);
    for secret in ["@containerdns.com", "abcdef123456789", "correct-horse"] {
        assert!(!toml.contains(secret) && !report.contains(secret), "{secret} in\n{toml}\n{report}");
    }
    let secrets = directory.path().join("secrets");
    let options = complete(names, &secrets);
    let run = || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = import::run(&options, &mut Terminal { out: &mut out, err: &mut err });
        (code, String::from_utf8(err).unwrap())
    };
    assert_eq!(run().0, 0);
    let files = [
        ("containerdns-stats-token", "@containerdns.com\n"),
        ("containerdns-token", "abcdef123456789\n"),
        ("etcd.password", "correct-horse\n"),
    ];
    for (name, text) in files {
        let path = secrets.join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(run().0, 0, "the same again");
    fs::write(secrets.join("etcd.password"), "another\n").unwrap();
    let (code, report) = run();
    assert!(code == 1 && report.contains("etcd.password is there already and says something else"), "{report}");
}

#[test]
fn the_record_interface_keeps_its_records_in_etcd() {
    let Imported { toml, report, .. } = imported(&["containerdns-api.conf"]);
    for expected in [
        "# containerdns-api.conf:22: DNSApi.api-address\nlisten = \"0.0.0.0:9001\"\n",
        "store = \"etcd\"\ndomains = [\"containerdns.local.\", \"hades.local.\"]\n",
        "level = \"debug\"\n",
        "# containerdns-api.conf:16: Kube2DNS.kube-enable = YES: no counterpart: RingDNS does not watch Kubernetes",
    ] {
        assert!(toml.contains(expected), "{expected} in\n{toml}");
    }
    assert!(report.contains("containerdns-api.conf:2: General.host = 192.168.172.130: no counterpart"), "{report}");
    let first = imported(&["first/skydns-api.conf"]).toml;
    assert!(
        first.contains("prefix = \"/skydns\"\n") && first.contains("status_path = \"/skydns/monitor/status\"\n"),
        "{first}"
    );
}

#[test]
fn kdns_is_taken_over() {
    let Imported { toml, .. } = imported(&["readme/kdns.cfg"]);
    for expected in [
        "cores = [3, 5, 7, 9]\n",
        "hugepages = true\n# kdns.cfg:3: EAL.memory\nmemory_mib = 2048\n",
        "addresses = [\"10.17.9.100\"]\n",
        "kernel = \"auto\"\n# kdns.cfg:7: NETDEV.name-prefix\nkernel_interface = \"kdns\"\n",
        "packets_per_second = 1000\n",
        "ipv4_prefix = 32\nipv6_prefix = 128\n# kdns.cfg:31: COMMON.client-num\ntable_entries = 10240\n",
        "zones = [\"tst.local.\", \"example.com.\", \"168.192.in-addr.arpa.\"]\n",
        "listen = \"127.0.0.1:5500\"\n",
        "# kdns.cfg:25: COMMON.fwd-mode\nmode = \"cache\"\n",
        "# kdns.cfg:30: COMMON.fwd-per-second\nquestions_per_client_per_second = 10\n",
        "# kdns.cfg:35: COMMON.cert-pem-file = /etc/kdns/server1.pem: not taken: ssl-enable is off\n",
    ] {
        assert!(toml.contains(expected), "{expected} in\n{toml}");
    }
    let agent = imported(&["kdns-agent.yaml"]).toml;
    assert!(
        agent.contains(
            "layout = \"kdns\"\n# kdns-agent.yaml:19: dns-domains\nzones = [\"test.local.\", \"tt.local.\"]\n"
        ),
        "{agent}"
    );
}

#[test]
fn skydns_itself_is_taken_over() {
    let Imported { toml, .. } = imported(&["own/skydns.json"]);
    for expected in [
        "addresses = [\"10.0.0.2\"]\n",
        "layout = \"skydns\"\n# skydns.json:3: domain\nzones = [\"cluster.local.\"]\ngeneration = \"skydns\"\n",
        "ttl_seconds = 600\n",
        "# questions with the labels \"*\" and \"any\" are answered once",
        "upstreams = [\"8.8.8.8:53\", \"8.8.4.4:53\"]\n",
        "policy = \"round-robin\"\n",
        "# skydns.json:9: ndot\nlabels_min = 2\n",
    ] {
        assert!(toml.contains(expected), "{expected} in\n{toml}");
    }
    let Imported { toml, report, .. } = imported(&["own/skydns.env"]);
    for expected in [
        "endpoints = [\"https://10.0.0.1:4001\", \"https://10.0.0.3:4001\"]\n",
        "cert_file = \"/etc/skydns/client.pem\"\n",
        "user = \"skydns\"\n# skydns.env:6: ETCD_PASSWORD\npassword_file = \"/etc/ringdns/etcd.password\"\n",
        "prefix = \"/skydns\"\n",
        "ttl_seconds = 3600\n",
    ] {
        assert!(toml.contains(expected), "{expected} in\n{toml}");
    }
    assert!(report.contains("to do: [etcd] ca_file"), "{report}");
    let Imported { toml, report, .. } = imported(&["own/skydns.env", "own/skydns.json"]);
    for key in ["device = ", "endpoints = ", "ttl_seconds = "] {
        assert_eq!(toml.matches(key).count(), 1, "{key} in\n{toml}");
    }
    assert!(report.contains("skydns.json:2: dns_addr = 10.0.0.2:53: not taken"), "{report}");
}

#[test]
fn unknown_keys_are_named_with_their_lines_and_their_values_are_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("containerdns.conf");
    fs::write(&path, "[Dns]\ndns-domains = a.\ncachesise = 5\n[Extra]\npassword = hidden\n").unwrap();
    let Imported { toml, report, .. } = import::import(&Options { files: vec![path], ..Options::default() }).unwrap();
    assert!(report.contains("containerdns.conf:3: Dns.cachesise = (not shown): unknown key"), "{report}");
    assert!(report.contains("containerdns.conf:5: Extra.password = (not shown): unknown key"), "{report}");
    assert!(toml.contains("# containerdns.conf:3: Dns.cachesise") && !toml.contains("hidden"), "{toml}");
}

#[test]
fn what_cannot_be_taken_over_is_refused_with_its_reason() {
    let refused = |options: &Options| match import::import(options) {
        Err(ImportError::Read(fault)) => fault,
        other => panic!("{other:?}"),
    };
    assert!(refused(&options(&["scanner.conf"])).contains("dns-scanner, which looks after addresses"));
    assert!(refused(&options(&["README.md"])).contains("name it with --kind"));
    assert!(refused(&options(&["nowhere"])).contains("cannot be read"));
    let wrong = Options { kind: Some(Kind::SkydnsJson), ..options(&["kdns.cfg"]) };
    assert!(refused(&wrong).contains("kdns.cfg: expected"));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(import::run(&options(&["nowhere"]), &mut Terminal { out: &mut out, err: &mut err }), 2);
}

#[test]
fn who_is_asked_for_names_of_others_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let imported = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        let options = Options { files: vec![path], ..complete(&[], directory.path()) };
        let Imported { toml, report, .. } = import::import(&options).unwrap();
        assert_eq!(problems(&toml), [], "{toml}");
        (toml, report)
    };
    let (toml, report) = imported(
        "containerdns.conf",
        "[Dns]\ndns-domains = a.local\nex-nameservers = 192.0.2.1:5353,ns.example\n\
         inDomainServers = Hades.local@192.0.2.2,192.0.2.3:54%tmp.a.local@192.0.2.4:53%none@%x\ncacheSize = 100000\n\
         [Etcd]\netcd-servers = http://127.0.0.1:2379\n",
    );
    for expected in [
        "upstreams = [\"192.0.2.1:5353\"]\n",
        "zone = \"hades.local.\"\n",
        "zone = \"tmp.a.local.\"\n",
        "upstreams = [\"192.0.2.2:53\", \"192.0.2.3:54\"]\n",
        "positive_ttl_max = 60\n",
    ] {
        assert!(toml.contains(expected), "{expected} in\n{toml}");
    }
    for expected in [
        "\"ns.example\" is no address, and was left out",
        "\"x\" has no \"@\"",
        "size_mib is memory",
        "[policy] allow says who else",
    ] {
        assert!(report.contains(expected), "{expected} in\n{report}");
    }
    let base = fs::read_to_string(sample("kdns.cfg")).unwrap();
    let lines = "fwd-mode = Direct\nfwd-timeout = 3\nfwd-addrs = a.example.@192.0.2.8%b.example@192.0.2.9:5300\n";
    let (toml, _) = imported("kdns.cfg", &base.replace("[COMMON]\n", &format!("[COMMON]\n{lines}")));
    for expected in [
        "mode = \"direct\"\n",
        "try_ms = 3000\n",
        "upstreams = [\"114.114.114.114:53\", \"8.8.8.8:53\"]\n",
        "zone = \"a.example.\"\n",
        "upstreams = [\"192.0.2.9:5300\"]\n",
        "stale_seconds = 600\n",
    ] {
        assert!(toml.contains(expected), "{expected} in\n{toml}");
    }
    let limits = "[COMMON]\nmetrics-host = dns 1\nfwd-per-second = 1k\n";
    let (toml, report) = imported("kdns.cfg", &base.replace("[COMMON]\n", limits));
    assert!(
        toml.contains("questions_per_client_per_second = 1024\n") && toml.contains("metrics_host = \"dns 1\"\n"),
        "{toml}"
    );
    assert!(report.contains("REFUSED unless overload is \"drop\""), "{report}");
    let (toml, _) = imported("kdns.cfg", &base.replace("[COMMON]\n", &format!("{limits}client-num = 0\n")));
    assert!(!toml.contains("questions_per_client_per_second ="), "without clients nothing is limited: {toml}");
    let (toml, report) = imported("kdns.cfg", &base.replace("[COMMON]\n", "[COMMON]\nfwd-mode = disable\n"));
    assert!(!toml.contains("[forward]") && report.contains("RingDNS answers REFUSED where the original is silent"));
}
