//! Tables that are right and wrong.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::Config;

/// What every one of them stands behind.
const HEAD: &str = "[[port]]\ndevice = \"net_null0\"\naddresses = [\"192.0.2.53\"]\ndns_port = 5353\n\
                    [sockets]\nlisten = [\"127.0.0.1:53\"]\n";

/// The configuration with these lines.
fn parse(lines: &str) -> Result<Config, String> {
    Config::parse(Path::new("/nonexistent/r.toml"), &format!("{HEAD}{lines}\n")).map_err(|error| error.to_string())
}

/// Who is asked where [forward] has these lines.
fn forward(lines: &str) -> ForwardConfig {
    parse(&format!("[forward]\n{lines}")).unwrap().forward.unwrap()
}

#[test]
fn one_upstream_is_enough_and_nothing_is_asked_without_the_table() {
    let config = parse("").unwrap();
    assert_eq!((config.forward, config.policy), (None, PolicyConfig::default()));
    let found = forward("upstreams = [\"192.0.2.1\"]");
    let zone = ForwardZone {
        zone: WireName::root(),
        except: vec![],
        mode: ForwardMode::Cache,
        upstreams: vec![UpstreamConfig::Plain("192.0.2.1:53".parse().unwrap())],
        named: vec![],
        resolv_conf: None,
        policy: ForwardPolicy::Fastest,
        tcp_only: false,
        try_time: Duration::from_secs(2),
        failures_max: 2,
        fail_fast: false,
        probe_interval: Duration::from_millis(500),
        next_rcodes: vec![],
        trusts_ad: false,
        keep: KeepConfig::default(),
    };
    assert_eq!(found.zones, [zone]);
    assert_eq!((found.deadline, found.hedge_after_min), (Duration::from_secs(4), Some(Duration::from_millis(50))));
    assert_eq!((found.questions_max, found.questions_per_client_max, found.overload), (10_000, 500, Overload::Refused));
    assert_eq!((found.client_subnet, found.labels_min), (None, 0));
    let own: Vec<String> = found.own.iter().map(ToString::to_string).collect();
    assert_eq!(own, ["192.0.2.53:5353", "127.0.0.1:53"]);
    let cache = CacheConfig {
        bytes: 64 << 20,
        keep: KeepConfig::default(),
        failure_ttl: Duration::from_secs(5),
        authoritative: false,
        file: None,
        file_interval: Duration::from_secs(300),
    };
    assert_eq!(found.cache, cache);
    let stale = &found.cache.keep.stale;
    assert_eq!((stale.seconds, stale.ttl_seconds, stale.recheck), (0, 30, Duration::from_secs(30)));
    assert_eq!(stale.when, StaleWhen::After(Duration::from_millis(1800)));
}

#[test]
fn upstreams_are_read_in_every_form() {
    let list = "[\"192.0.2.1:5353\", \"2001:db8::1\", \"[2001:db8::1]:54\", \"tls://192.0.2.1#Dns.Example.\", \
                \"tls://[2001:db8::2]\", \"https://dns.example/q/a#192.0.2.1\", \"https://dns.example:8443#2001:db8::3\"]";
    let found = forward(&format!("upstreams = {list}"));
    let tls = |address: &str, name: Option<&str>| UpstreamConfig::Tls {
        address: address.parse().unwrap(),
        name: name.map(str::to_owned),
        ca_file: None,
    };
    let https = |address: &str, path: &str| UpstreamConfig::Https {
        address: address.parse().unwrap(),
        name: "dns.example".to_owned(),
        path: path.to_owned(),
        ca_file: None,
    };
    let expected = [
        UpstreamConfig::Plain("192.0.2.1:5353".parse().unwrap()),
        UpstreamConfig::Plain("[2001:db8::1]:53".parse().unwrap()),
        UpstreamConfig::Plain("[2001:db8::1]:54".parse().unwrap()),
        tls("192.0.2.1:853", Some("dns.example")),
        tls("[2001:db8::2]:853", None),
        https("192.0.2.1:443", "/q/a"),
        https("[2001:db8::3]:8443", "/dns-query"),
    ];
    assert_eq!(found.zones[0].upstreams, expected);
    let found = forward(
        "upstreams = [\"tls://192.0.2.1\"]\nca_file = \"/etc/hosts\"\n[[forward.zone]]\nzone = \"a\"\n\
         upstreams = [\"tls://192.0.2.2\", \"192.0.2.3\"]",
    );
    let signers = |upstream: &UpstreamConfig| match upstream {
        UpstreamConfig::Tls { ca_file, .. } => ca_file.clone(),
        _ => None,
    };
    let signers: Vec<_> = found.zones.iter().flat_map(|zone| &zone.upstreams).map(signers).collect();
    let hosts = Some(PathBuf::from("/etc/hosts"));
    assert_eq!(signers, [hosts.clone(), None, hosts]);
}

#[test]
fn upstreams_by_name_have_places_among_the_others() {
    let found = forward(
        "upstreams = [\"NS.Example.\", \"192.0.2.1\", \"tls://dns.example\", \"tls://a.example:8853#dns.example\", \
         \"https://dns.example/q\", \"ns.example:5353\"]\nca_file = \"/etc/hosts\"\n\
         [[forward.zone]]\nzone = \"corp.example\"\nupstreams = [\"ns.corp.example\"]",
    );
    let [corp, all] = &found.zones[..] else { panic!("{:?}", found.zones) };
    let shown = |named: &NamedUpstream| (named.place, named.host.to_string(), named.at("192.0.2.7".parse().unwrap()));
    let plain = |text: &str| UpstreamConfig::Plain(text.parse().unwrap());
    let ca_file = Some(PathBuf::from("/etc/hosts"));
    let name = "dns.example".to_owned();
    let tls = |port: u16| UpstreamConfig::Tls {
        address: SocketAddr::new("192.0.2.7".parse().unwrap(), port),
        name: Some(name.clone()),
        ca_file: ca_file.clone(),
    };
    let https = UpstreamConfig::Https {
        address: "192.0.2.7:443".parse().unwrap(),
        name: name.clone(),
        path: "/q".to_owned(),
        ca_file: ca_file.clone(),
    };
    let expected = [
        (0, "ns.example.", plain("192.0.2.7:53")),
        (1, "dns.example.", tls(853)),
        (1, "a.example.", tls(8853)),
        (1, "dns.example.", https),
        (1, "ns.example.", plain("192.0.2.7:5353")),
    ];
    let expected = expected.map(|(place, host, upstream)| (place, host.to_owned(), upstream));
    assert_eq!(all.named.iter().map(shown).collect::<Vec<_>>(), expected);
    assert_eq!((corp.named.len(), corp.upstreams.len(), all.upstreams.len()), (1, 0, 1));
    assert_eq!((found.common.named.len(), found.common.upstreams.len()), (0, 0));
}

#[test]
fn zones_have_what_the_table_above_says_and_their_own() {
    let found = parse(
        "[forward]\nupstreams = [\"192.0.2.1\"]\nexcept = [\"b.example\"]\npolicy = \"random\"\ntry_ms = 700\n\
         next_rcodes = [\"servfail\", \"REFUSED\"]\nclient_subnet = [24, 56]\nhedge_after_ms = 0\noverload = \"drop\"\n\
         own_addresses = [\"10.96.0.10\"]\n\
         [cache]\npositive_ttl_max = 60\nstale_seconds = 600\nstale = \"at-once\"\n\
         [[forward.zone]]\nzone = \"A.Example\"\nupstreams = [\"127.0.0.1:5354\"]\ntry_ms = 100\nnext_rcodes = []\n\
         [forward.zone.cache]\nnegative_ttl_max = 0\nstale = \"after-failure\"\nprefetch_uses = 0\n\
         [[forward.zone]]\nzone = \"c.example\"\nmode = \"disable\"",
    );
    let found = found.unwrap().forward.unwrap();
    let [a, c, all] = &found.zones[..] else { panic!("{:?}", found.zones) };
    assert_eq!(
        (a.zone.to_string(), a.policy, a.try_time),
        ("a.example.".to_owned(), ForwardPolicy::Random, Duration::from_millis(100))
    );
    assert_eq!((&a.next_rcodes[..], &all.next_rcodes[..]), (&[][..], &[2, 5][..]));
    assert_eq!((a.except.len(), all.except[0].to_string()), (0, "b.example.".to_owned()));
    assert_eq!((a.keep.positive_ttl, a.keep.negative_ttl, a.keep.prefetch_uses), ((0, 60), (0, 0), 0));
    assert_eq!((a.keep.stale.seconds, a.keep.stale.when), (600, StaleWhen::After(Duration::from_millis(1800))));
    assert_eq!((all.keep.stale.when, all.keep.negative_ttl), (StaleWhen::AtOnce, (0, 1800)));
    assert_eq!((c.mode, &c.upstreams[..], &c.keep), (ForwardMode::Disable, &[][..], &all.keep));
    assert_eq!((found.client_subnet, found.hedge_after_min, found.overload), (Some((24, 56)), None, Overload::Drop));
    assert!(found.is_own("10.96.0.10:53".parse().unwrap()) && found.is_own("10.96.0.10:5353".parse().unwrap()));
    let wildcard = "[sockets]\nlisten = [\"0.0.0.0:5300\"]\n[forward]\nupstreams = [\"127.0.0.1:5301\"]";
    let wildcard = Config::parse(Path::new("/nonexistent/r.toml"), wildcard).unwrap().forward.unwrap();
    assert!(wildcard.is_own("127.0.0.1:5300".parse().unwrap()));
}

#[test]
fn shortest_and_longest_give_way_to_what_is_said() {
    let keep = |lines: &str| {
        parse(&format!("[forward]\nupstreams = [\"192.0.2.1\"]\n[cache]\n{lines}")).unwrap().forward.unwrap().cache.keep
    };
    assert_eq!(keep("positive_ttl_min = 7200").positive_ttl, (7200, 7200));
    assert_eq!(keep("positive_ttl_min = 5\nnegative_ttl_max = 0").negative_ttl, (0, 0));
}

#[test]
fn policies_are_read() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["blocked", "names"] {
        std::fs::write(directory.path().join(name), "").unwrap();
    }
    let lines = "[forward]\nupstreams = [\"192.0.2.1\"]\n[policy]\nallow = [\"10.0.0.0/8\"]\ndeny = [\"10.6.0.0/16\"]\n\
                 deny_answer = \"drop\"\nhosts_files = [\"names\"]\nhosts = [\"192.0.2.9 A.lan b # c\"]\nlocal_reverse = false\n\
                 block_files = [{ path = \"blocked\", format = \"rpz\" }, { path = \"names\", format = \"hosts\", answer = [\"0.0.0.0\", \"::\"] },\n\
                 { path = \"names\", format = \"domains\", answer = \"drop\" }]";
    let config = Config::parse(&directory.path().join("r.toml"), &format!("{HEAD}{lines}")).unwrap();
    let policy = config.policy;
    let clients = policy.clients();
    let may = |client: &str| clients.permits(client.parse().unwrap());
    assert!(may("10.1.2.3") && !may("10.6.0.1") && !may("192.168.0.1"));
    assert_eq!(clients.denial(), ringdns_engine::recall::Denial::Drop);
    let files: Vec<_> = policy.block_files.iter().map(|file| (file.format, file.answer.clone())).collect();
    let addresses = BlockAnswer::Addresses(["0.0.0.0".parse().unwrap(), "::".parse().unwrap()].into());
    let expected = [
        (BlockFormat::Rpz, None),
        (BlockFormat::Hosts, Some(addresses)),
        (BlockFormat::Domains, Some(BlockAnswer::Drop)),
    ];
    assert_eq!(files, expected);
    assert_eq!(policy.block_files[0].path, directory.path().join("blocked"));
    assert_eq!(policy.hosts_files, [directory.path().join("names")]);
    let names: Vec<String> = policy.hosts[0].names.iter().map(ToString::to_string).collect();
    assert_eq!(
        (policy.hosts[0].address.to_string(), names),
        ("192.0.2.9".to_owned(), vec!["a.lan.".to_owned(), "b.".to_owned()])
    );
    assert_eq!((policy.local_names, policy.local_reverse, policy.hosts_ttl), (true, false, 60));
    let clients = PolicyConfig::default().clients();
    assert!(clients.permits("192.168.0.1".parse().unwrap()) && !clients.permits("8.8.8.8".parse().unwrap()));
}

#[test]
fn mistakes_are_named_with_place_and_remedy() {
    let zone = |lines: &str| format!("upstreams = [\"192.0.2.1\"]\n[[forward.zone]]\n{lines}");
    for (lines, expected) in [
        (String::new(), "r.toml:7:1: forward: nobody is named who is asked; set forward.upstreams or"),
        ("upstreams = []".into(), "r.toml:8:13: forward.upstreams: 0 upstreams are given; name from 1 to 64"),
        ("upstreams = [\"192.0.2.300\"]".into(), "8:14: forward.upstreams: \"192.0.2.300\" is no upstream: \"192.0.2.300\" is no address; write \"192.0.2.1\","),
        ("upstreams = [\"dns.example\"]".into(), "7:1: forward: an upstream of . is given by its name, dns.example., and nobody is given by address who could be asked for that"),
        ("upstreams = [\"192.0.2.1\", \"dns.example:no\"]".into(), "\"no\" is no port"),
        ("upstreams = [\"192.0.2.1\", \"a.example\", \"A.example.:53\"]".into(), "\"A.example.:53\" is given twice"),
        (zone("zone = \"a\"\nupstreams = [\"ns.a\"]\n[[forward.zone]]\nzone = \"ns.a\"\nmode = \"disable\"").replace("upstreams = [\"192.0.2.1\"]\n", ""), "an upstream of a. is given by its name, ns.a."),
        ("upstreams = [\"quic://192.0.2.1\"]".into(), "upstreams are not asked by \"quic\""),
        ("upstreams = [\"https://192.0.2.1/q\"]".into(), "behind the URL stands no \"#\" with the address of its host"),
        ("upstreams = [\"192.0.2.1\", \"https://dns.example/{?dns}\"]".into(), "\"/{?dns}\" is no path"),
        ("upstreams = [\"https://dns.example/{?dns}#192.0.2.1\"]".into(), "\"/{?dns}\" is no path"),
        ("upstreams = [\"https://a b#192.0.2.1\"]".into(), "\"a b\" is no name of a host"),
        ("upstreams = [\"tls://192.0.2.1#\"]".into(), "\"\" is no name of a host"),
        ("upstreams = [\"0.0.0.0\"]".into(), "\"0.0.0.0\" is no address"),
        ("upstreams = [\"192.0.2.1\", \"192.0.2.1:53\"]".into(), "8:27: forward.upstreams: \"192.0.2.1:53\" is given twice"),
        ("upstreams = [\"127.0.0.1\"]".into(), "127.0.0.1:53 is where RingDNS itself answers: it would ask itself; name another server, or another port"),
        ("upstreams = [\"192.0.2.53:5353\"]".into(), "192.0.2.53:5353 is where RingDNS itself answers"),
        ("upstreams = [\"10.0.0.1\"]\nown_addresses = [\"10.0.0.1\"]".into(), "10.0.0.1:53 is where RingDNS itself answers"),
        ("upstreams = [\"tls://192.0.2.1\"]\nca_file = \"gone\"".into(), "9:11: forward.ca_file: /nonexistent/gone cannot"),
        ("resolv_conf = \"gone\"".into(), "8:15: forward.resolv_conf: /nonexistent/gone cannot be read"),
        ("upstreams = [\"192.0.2.1\"]\nmode = \"on\"".into(), "9:8: forward.mode: \"on\" is none of its words; write one of \"cache\", \"direct\", \"disable\""),
        ("upstreams = [\"192.0.2.1\"]\nnext_rcodes = [\"noerror\"]".into(), "forward.next_rcodes: \"noerror\" is no response code that could be"),
        ("upstreams = [\"192.0.2.1\"]\ntry_ms = 1".into(), "forward.try_ms: 1 is out of bounds; give a number from 10 to 30000 ms"),
        ("upstreams = [\"192.0.2.1\"]\ndeadline_ms = 1".into(), "forward.deadline_ms: 1 is out of bounds"),
        ("upstreams = [\"192.0.2.1\"]\nclient_subnet = [24, 129]".into(), "forward.client_subnet: these are no two prefix lengths; write \"off\""),
        ("upstreams = [\"192.0.2.1\"]\nclient_subnet = 24".into(), "expected \"off\" or two prefix lengths"),
        ("upstreams = [\"192.0.2.1\"]\nttl = 1".into(), "unknown field `ttl`"),
        (zone("upstreams = [\"192.0.2.1\"]"), "missing field `zone`"),
        (zone("zone = \"a\""), "9:1: forward.zone[0].upstreams: nobody is named who is asked for a.; name upstreams"),
        (zone("zone = \"..\"\nupstreams = [\"192.0.2.1\"]"), "forward.zone[0].zone: \"..\" is no domain name"),
        (zone("zone = \".\"\nupstreams = [\"192.0.2.1\"]"), "forward.zone[0].zone: forward.upstreams or"),
        (zone("zone = \"a\"\nmode = \"disable\"\n[[forward.zone]]\nzone = \"A.\"\nmode = \"disable\""), "forward.zone[1].zone: a. is already the zone of forward.zone[0]"),
        (zone("zone = \"a\"\nexcept = [\"b\"]\nupstreams = [\"192.0.2.1\"]"), "forward.zone[0].except: b. is not below a."),
        (zone("zone = \"a\"\nupstreams = [\"192.0.2.1\"]\ncache = { size_mib = 1 }"), "unknown field `size_mib`"),
        (zone("zone = \"a\"\nupstreams = [\"192.0.2.1\"]\ncache = { stale = \"no\" }"), "forward.zone[0].cache.stale: \"no\" is none of its words"),
        ("upstreams = [\"192.0.2.1\"]\n[cache]\nsize_mib = 0".into(), "cache.size_mib: 0 is out of bounds"),
        ("upstreams = [\"192.0.2.1\"]\n[cache]\nfile = \"/\"".into(), "cache.file: a directory is given"),
        ("upstreams = [\"192.0.2.1\"]\n[cache]\nfile = \"c\"\nfile_interval_seconds = 86401".into(), "cache.file_interval_seconds: 86401 is out of bounds; give a number from 0 to 86400 seconds"),
        ("upstreams = [\"192.0.2.1\"]\n[cache]\nfile_interval_seconds = 1".into(), "cache.file_interval_seconds: there is no file to be written; add file"),
        ("upstreams = [\"192.0.2.1\"]\n[cache]\npositive_ttl_min = 9\npositive_ttl_max = 8".into(), "cache.positive_ttl_min: 9 is more than cache.positive_ttl_max, which is 8"),
        ("upstreams = [\"192.0.2.1\"]\n[cache]\nprefetch_uses = 4".into(), "cache.prefetch_uses: 4 is out of bounds; give a number from 0 to 3"),
        ("upstreams = [\"192.0.2.1\"]\n[policy]\nallow = []".into(), "policy.allow: nobody may ask; name those who may"),
        ("upstreams = [\"192.0.2.1\"]\n[policy]\ndeny = [\"10.0.0.1/8\"]".into(), "policy.deny: \"10.0.0.1/8\" is no network: bits beyond the prefix are set; the network is 10.0.0.0/8"),
        ("upstreams = [\"192.0.2.1\"]\n[policy]\nhosts = [\"a.lan 192.0.2.1\"]".into(), "policy.hosts: \"a.lan 192.0.2.1\" is no entry: \"a.lan\" is no address"),
        ("upstreams = [\"192.0.2.1\"]\n[policy]\nhosts = [\"192.0.2.1\"]".into(), "no name follows the address"),
        (format!("upstreams = [\"192.0.2.1\"]\n[policy]\nhosts = [{}]", many_addresses(257)), "policy.hosts: a.lan. has more than 256 addresses"),
        ("upstreams = [\"192.0.2.1\"]\n[policy]\nhosts_files = [\"gone\"]".into(), "policy.hosts_files: /nonexistent/gone cannot be read"),
        ("upstreams = [\"192.0.2.1\"]\n[policy]\nblock_files = [{ path = \"/etc/hosts\", format = \"adblock\", answer = \"no\" }]".into(), "policy.block_files[0].format: \"adblock\" is none of its words"),
        ("upstreams = [\"192.0.2.1\"]\n[policy]\nblock_files = [{ path = \"/\", format = \"rpz\", answer = \"no\" }]".into(), "policy.block_files[0].answer: \"no\" is no answer; write \"nxdomain\""),
        ("upstreams = [\"192.0.2.1\"]\n[policy]\nblock_files = [{ path = \"/\", format = \"rpz\" }]".into(), "policy.block_files[0].path: / cannot be read: it is a directory"),
    ] {
        let found = parse(&format!("[forward]\n{lines}")).unwrap_err();
        assert!(found.contains(expected), "{lines}:\n{found}");
    }
    for (lines, expected) in [
        (
            "[cache]\nsize_mib = 1",
            "7:1: cache: nothing is kept, since names of others are not asked for; add [forward]",
        ),
        (
            "[policy]\nlocal_names = true",
            "7:1: policy: it is about names of others, which are not asked for; add [forward]",
        ),
    ] {
        let found = parse(lines).unwrap_err();
        assert!(found.contains(expected), "{lines}:\n{found}");
    }
}

#[test]
fn what_can_change_does() {
    let base = "[forward]\nupstreams = [\"192.0.2.1\"]\n";
    for (lines, live, restart) in [
        ("", &[][..], &["forward"][..]),
        ("[forward]\nupstreams = [\"192.0.2.2\"]\n", &["forward.zone"], &[]),
        ("[forward]\nupstreams = [\"192.0.2.1\"]\nhedge_after_ms = 90\n", &["forward"], &[]),
        // A deadline that is raised would be over for clients before it is for who asks.
        ("[forward]\nupstreams = [\"192.0.2.1\"]\ndeadline_ms = 900\n", &[], &["forward.deadline_ms"]),
        (
            "[forward]\nupstreams = [\"192.0.2.1\"]\n[cache]\nsize_mib = 2\nauthoritative = true\nfile = \"c\"\nfile_interval_seconds = 5\nfailure_ttl_seconds = 9\n",
            &["cache.authoritative", "cache.failure_ttl_seconds", "cache.file_interval_seconds"],
            &["cache.size_mib", "cache.file"],
        ),
        (
            "[forward]\nupstreams = [\"192.0.2.1\"]\n[cache]\nstale_seconds = 2\n[policy]\nlocal_names = false\n",
            // Each zone has what [cache] says.
            &["cache", "forward.zone", "policy"],
            &[],
        ),
    ] {
        let (mut running, new) = (parse(base).unwrap(), parse(lines).unwrap());
        let changes = running.take(&new);
        assert_eq!((&changes.live[..], &changes.restart[..]), (&owned(live)[..], &owned(restart)[..]), "{lines}");
        let again = running.take(&new);
        assert_eq!((again.live.len(), again.restart), (0, changes.restart), "what was taken is taken: {lines}");
    }
}

/// Lines of a hosts file that give a name so many addresses, one of them twice.
fn many_addresses(count: u32) -> String {
    let address = |number| format!("\"{} a.lan\"", std::net::Ipv4Addr::from(0x0a00_0000 + number));
    (0..count).chain([0]).map(address).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_name_has_as_many_addresses_as_an_answer_has_room_for() {
    let lines = format!("[forward]\nupstreams = [\"192.0.2.1\"]\n[policy]\nhosts = [{}]\n", many_addresses(256));
    assert_eq!(parse(&lines).unwrap().policy.hosts.len(), 257);
}

/// Owned strings of a list.
fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}
