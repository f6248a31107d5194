//! Configurations that are right and wrong.

mod corefile;
mod example;
mod ports;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use super::file::KEYS;
use super::*;

/// The least that works.
const PORT: &str = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n";

/// Reads text as if it stood in /etc/ringdns/ringdns.toml.
fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/etc/ringdns/ringdns.toml"), text)
}

/// The problems of text that follows a port, one line each, without the file's name; lines count from the text's first.
fn problems(text: &str) -> String {
    let text = format!("{text}\n{PORT}");
    parse(&text).unwrap_err().to_string().replace("/etc/ringdns/ringdns.toml:", "")
}

#[test]
fn a_port_is_enough() {
    let config = parse(PORT).unwrap();
    let dns = DnsConfig {
        udp_answer_bytes_max: 1232,
        nsid: vec![],
        version: vec![],
        identity: vec![],
        aaaa: AaaaMode::Answer,
        cookies: CookieMode::On,
        cookie_secrets: vec![],
    };
    assert_eq!(config.dns, dns);
    assert_eq!(config.workers, WorkersConfig { cores: vec![], idle: vec![Idle::Sleep] });
    assert_eq!(config.eal, EalConfig { hugepages: false, memory_mib: 256 });
    let addresses = vec!["192.0.2.53".parse().unwrap()];
    let port = PortConfig { device: "net_tap0".into(), addresses, dns_port: 53, vlan: None, mtu: None, kernel: None };
    assert_eq!(config.ports, [port]);
    assert_eq!(config.store.path, Path::new("/var/lib/ringdns/ringdns.redb"));
    assert!(config.zone_files.is_empty() && config.views.is_empty() && config.admin.token.is_none());
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:8053");
    assert_eq!(config.log, LogConfig { level: "info".into(), format: LogFormat::Text });
}

#[test]
fn paths_are_relative_to_the_file() {
    let text = format!("{PORT}[store]\npath = \"x.redb\"\n[[zone_file]]\nzone = \"Example.org\"\npath = \"zones/a\"\n");
    let config = parse(&text).unwrap();
    assert_eq!(config.store.path, Path::new("/etc/ringdns/x.redb"));
    assert_eq!(config.zone_files[0].path, Path::new("/etc/ringdns/zones/a"));
    assert_eq!(config.zone_files[0].zone.to_string(), "example.org.");
}

#[test]
fn each_mistake_is_named_with_place_key_and_remedy() {
    for (text, expected) in [
        (
            "[dns]\nudp_answer_bytes_max = 100",
            "2:24: dns.udp_answer_bytes_max: 100 is out of bounds; give a number from 512 to 4096 bytes",
        ),
        ("[dns]\nudp_answer_bytes_max = 5000", "2:24: dns.udp_answer_bytes_max: 5000"),
        ("[dns]\nudp_answer_bytes_max = \"x\"", "2:24: invalid type: string \"x\", expected i64"),
        ("[workers]\ncores = []", "2:9: workers.cores: no core is given; name one"),
        ("[workers]\ncores = [1, 2, 1]", "2:9: workers.cores: core 1 is given twice; each worker needs"),
        ("[workers]\ncores = [-1]", "2:9: workers.cores: -1 is no CPU id; lscpu"),
        ("[workers]\ncores = [1024]", "1024 is no CPU id"),
        ("[workers]\nidle = \"nap\"", "2:8: workers.idle: \"nap\" is no way to wait; write \"sleep\", \"pause\" or"),
        ("[eal]\nmemory_mib = 1", "2:14: eal.memory_mib: 1 is out of bounds; give a number from 64"),
        ("[store]\npath = \"\"", "2:8: store.path: the path is empty; name a file"),
        ("[store]\npath = \"/tmp\"", "2:8: store.path: a directory is given"),
        (
            "[[zone_file]]\nzone = \"a..b\"\npath = \"x\"",
            "2:8: zone_file[0].zone: \"a..b\" is no domain name: a label is empty",
        ),
        ("[[zone_file]]\nzone = \"a\"\npath = \"\"", "3:8: zone_file[0].path: the path is empty"),
        ("[[zone_file]]\nzone = \"a\"", "2:8: zone_file[0].path: nothing says what is in the zone; name its file"),
        (
            "[[zone_file]]\nzone = \"a\"\npath = \"b\"\ntext = \"\"",
            "4:8: zone_file[0].text: path and text are both given; keep one of the two",
        ),
        (
            "[[zone_file]]\nzone = \"a\"\npath = \"x\"\n[[zone_file]]\nzone = \"A.\"\npath = \"y\"",
            "5:8: zone_file[1].zone: zone A. is already that of zone_file[0]; keep one",
        ),
        (
            "[admin]\nlisten = \"0.0.0.0:8053\"",
            "2:10: admin.listen: 0.0.0.0:8053 can be reached from other machines, and no token is set; set admin.token_file",
        ),
        ("[admin]\nlisten = \"nowhere\"", "2:10: invalid socket address syntax"),
        ("[admin]\ntoken = \"\"", "2:9: admin.token: the token is empty; make one with: openssl"),
        ("[admin]\ntoken = \"a b\"", "blanks"),
        ("[admin]\ntoken = \"a\"\ntoken_file = \"b\"", "2:9: admin.token: token and token_file are both given"),
        (
            "[admin]\ntoken_file = \"/nonexistent/token\"",
            "2:14: admin.token_file: /nonexistent/token cannot be read: No such file",
        ),
        ("[log]\nlevel = \"loud=quiet\"", "2:9: log.level: \"loud=quiet\" is no level"),
        ("[log]\nformat = \"xml\"", "2:10: log.format: \"xml\" is no log format"),
        (
            "version = 2\nnew_key = 1",
            "1:11: version: version 2 of the configuration format is unknown; this RingDNS reads version 1",
        ),
        ("[dns]\nport = 53", "2:1: unknown field `port`, expected one of `udp_answer_bytes_max`"),
        ("[dsn]\n", "1:2: unknown field `dsn`"),
        ("[[port]]\ndevice = \"a\"\naddresses = [\"192.0.2.1\"]\naddress = 1", "4:1: unknown field `address`"),
        ("[dns", "1:5: "),
        ("= 1", "1:1: "),
    ] {
        assert_told(text, expected);
    }
}

#[test]
fn each_mistake_of_a_limit_is_named() {
    for (text, expected) in [
        (
            "[rate_limit]\nresponses_per_second = -1",
            "2:24: rate_limit.responses_per_second: -1 is out of bounds; give a number from 0 to 1000000 a second; 0 is",
        ),
        ("[rate_limit]\nnxdomains_per_second = 1000001", "2:24: rate_limit.nxdomains_per_second: 1000001 is out"),
        ("[rate_limit]\npackets_per_second = 100000001", "give a number from 0 to 100000000 a second"),
        ("[rate_limit]\nwindow_seconds = 3601", "give a number from 0 to 3600 seconds"),
        ("[rate_limit]\nslip = 11", "2:8: rate_limit.slip: 11 is out of bounds; give a number from 0 to 10"),
        ("[rate_limit]\nipv4_prefix = 33", "give a number from 1 to 32 bits"),
        ("[rate_limit]\nipv6_prefix = 0", "give a number from 1 to 128 bits"),
        ("[rate_limit]\ntable_entries = 3", "give a number from 4 to 16777216"),
        (
            "[rate_limit]\nexempt = [\"192.0.2.1/24\"]",
            "2:11: rate_limit.exempt: \"192.0.2.1/24\" is no network: bits beyond the prefix are set; the network is \
             192.0.2.0/24; write \"192.0.2.0/24\"",
        ),
        ("[rate_limit]\nexempt = [\"localhost\"]", "\"localhost\" is no network: no IPv4 or IPv6 address; write an"),
        ("[rate_limit]\nexempt = [\"::1\", \"::1/128\"]", "2:18: rate_limit.exempt: ::1/128 is given twice"),
    ] {
        assert_told(text, expected);
    }
}

#[test]
fn each_mistake_of_an_interface_is_named() {
    for (text, expected) in [
        (
            "[containerdns_api]\nlisten = \"127.0.0.1:1\"",
            "2:10: containerdns_api.listen: no token is set; set containerdns_api.token_file",
        ),
        (
            "[containerdns_api]\nlisten = \"127.0.0.1:1\"\ntoken_file = \"/nonexistent/token\"",
            "3:14: containerdns_api.token_file: /nonexistent/token cannot be read: No such file",
        ),
        ("[containerdns_api]\ndomains = []", "2:11: containerdns_api.domains: no suffix is given"),
        ("[containerdns_api]\ndomains = [\"a.\", \"A\"]", "2:18: containerdns_api.domains: a. is named before"),
        ("[containerdns_api]\ndomains = [\".\"]", "2:12: containerdns_api.domains: the root is no suffix"),
        ("[containerdns_api]\ndomains = [\"a..b\"]", "2:12: containerdns_api.domains: \"a..b\" is no domain name"),
        (
            "[containerdns_api]\ngeneration = \"new\"",
            "containerdns_api.generation: \"new\" is none of its words; write",
        ),
        ("[containerdns_api]\nanswers = \"one\"", "write \"all\", \"random-one\" or \"hone-one\""),
        ("[containerdns_api]\nttl = -1", "2:7: containerdns_api.ttl: -1 is out of bounds"),
    ] {
        assert_told(text, expected);
    }
    let off = parse(&format!("{PORT}[containerdns_api]\ntoken = \"t\"")).unwrap();
    assert!(off.containerdns_api.is_none(), "off unless it is told where to listen");
}

#[test]
fn each_mistake_about_what_is_answered_beside_the_zones_is_named() {
    for (text, expected) in [
        ("[dns]\nnsid = \"\"", "2:8: dns.nsid: 0 bytes are given; give 1 to 64 bytes, or leave the key out"),
        ("[dns]\nnsid = \"0xabc\"", "2:8: dns.nsid: what follows 0x is not hexadecimal; write pairs"),
        ("[dns]\nnsid = \"0x\"", "dns.nsid: 0 bytes are given"),
        ("[dns]\nversion = \"\"", "2:11: dns.version: 0 bytes are given; give 1 to 255 bytes"),
        ("[dns]\nidentity = \"\"", "2:12: dns.identity: 0 bytes are given; give 1 to 255 bytes"),
        ("[dns]\naaaa = \"no\"", "2:8: dns.aaaa: \"no\" is no way to answer questions for AAAA; write \"answer\""),
        (
            "[dns]\ncookies = \"yes\"",
            "2:11: dns.cookies: \"yes\" is no way to deal with cookies; write \"off\", \"on\"",
        ),
        ("[dns]\ncookie_secrets = []", "2:18: dns.cookie_secrets: no secret is given; make each with: openssl"),
        ("[dns]\ncookie_secrets = [\"ab\"]", "2:18: dns.cookie_secrets: secret 1 is not 32 hexadecimal digits; make"),
        (
            "[dns]\ncookie_secrets = [\"a\"]\ncookie_secrets_file = \"b\"",
            "2:18: dns.cookie_secrets: cookie_secrets and cookie_secrets_file are both given; keep cookie_secrets_file",
        ),
        (
            "[dns]\ncookie_secrets_file = \"/nonexistent/secrets\"",
            "2:23: dns.cookie_secrets_file: /nonexistent/secrets cannot be read: No such file",
        ),
    ] {
        assert_told(text, expected);
    }
}

/// Fails unless the problems of a text hold some words.
fn assert_told(text: &str, expected: &str) {
    let found = problems(text);
    assert!(found.contains(expected), "{text:?}\n  found    {found}\n  expected {expected}");
}

#[test]
fn one_line_turns_rate_limits_on() {
    assert_eq!(parse(PORT).unwrap().rate_limit, None);
    let limits = |keys: &str| parse(&format!("[rate_limit]\n{keys}\n{PORT}")).unwrap().rate_limit;
    for off in ["", "slip = 1", "responses_per_second = 0"] {
        assert_eq!(limits(off), None, "{off}");
    }
    let default = RateLimit::default();
    let on = RateLimit { responses_per_second: 20, nxdomains_per_second: 20, ..default.clone() };
    assert_eq!(limits("responses_per_second = 20"), Some(on.clone()));
    let packets = RateLimit { packets_per_second: 1000, ..default.clone() };
    assert_eq!(limits("packets_per_second = 1000"), Some(packets));
    let nxdomains = RateLimit { nxdomains_per_second: 5, ..on };
    assert_eq!(limits("responses_per_second = 20\nnxdomains_per_second = 5"), Some(nxdomains));
    let every = RateLimit {
        responses_per_second: 10,
        nxdomains_per_second: 0,
        packets_per_second: 100,
        window_seconds: 0,
        slip: 0,
        by_name: false,
        ipv4_prefix: 32,
        ipv6_prefix: 64,
        exempt: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        table_entries: 1024,
        ..default
    };
    let keys = "responses_per_second = 10\nnxdomains_per_second = 0\npackets_per_second = 100\nwindow_seconds = 0\n\
                slip = 0\nby_name = false\nipv4_prefix = 32\nipv6_prefix = 64\ntable_entries = 1024\n\
                exempt = [\"192.0.2.0/24\", \"2001:db8::1\"]";
    assert_eq!(limits(keys), Some(every));
    let many: Vec<String> = (0..65).map(|network| format!("\"10.{network}.0.0/16\"")).collect();
    let found = problems(&format!("[rate_limit]\nexempt = [{}]", many.join(",")));
    assert!(found.contains("65 networks are given; name at most 64"), "{found}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let found = problems("[dns]\nudp_answer_bytes_max = 1\n[workers]\nidle = \"nap\"\n[log]\nformat = \"xml\"");
    assert_eq!(found.lines().count(), 3, "{found}");
}

#[test]
fn token_files_are_for_owner_and_group_only() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    let text = format!("{PORT}[admin]\nlisten = \"0.0.0.0:1\"\ntoken_file = \"token\"\n");
    let load = |contents: &str, mode: u32| {
        std::fs::write(&token, contents).unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode)).unwrap();
        Config::parse(&directory.path().join("c.toml"), &text).map_err(|error| error.to_string())
    };
    let config = load("s3cret\n", 0o640).unwrap();
    let secret = config.admin.token.unwrap();
    assert!(
        secret.matches(b"s3cret") && !secret.matches(b"s3creT") && !secret.matches(b"") && !secret.matches(b"s3cret2")
    );
    assert_eq!(format!("{secret:?}"), "Token(..)", "a token is never shown");
    for mode in [0o644, 0o602, 0o601] {
        let error = load("s3cret\n", mode).unwrap_err();
        assert!(error.contains("every user of this machine") && error.contains("chmod 0600"), "{mode:o}: {error}");
    }
    assert!(load("\n", 0o600).unwrap_err().contains("the token is empty"));
}

#[test]
fn what_the_server_tells_of_itself_is_text_or_bytes() {
    let dns = |keys: &str| parse(&format!("{PORT}[dns]\n{keys}\n")).map(|config| config.dns);
    let config =
        dns("nsid = \"ns1\"\nversion = \"RingDNS\"\nidentity = \"fra\"\naaaa = \"nodata\"\ncookies = \"off\"").unwrap();
    assert_eq!(
        (&config.nsid[..], &config.version[..], &config.identity[..]),
        (&b"ns1"[..], &b"RingDNS"[..], &b"fra"[..])
    );
    assert_eq!((config.cookies, config.aaaa), (CookieMode::Off, AaaaMode::Nodata));
    assert_eq!(dns("nsid = \"0x00fFa1\"").unwrap().nsid, [0, 0xff, 0xa1]);
    assert_eq!(dns("cookies = \"enforce\"").unwrap().cookies, CookieMode::Enforce);
    for (key, bytes_max) in [("nsid", 64), ("version", 255), ("identity", 255)] {
        assert!(dns(&format!("{key} = \"{}\"", "x".repeat(bytes_max))).is_ok(), "{key}");
        let error = dns(&format!("{key} = \"{}\"", "x".repeat(bytes_max + 1))).unwrap_err().to_string();
        assert!(error.contains(&format!("{} bytes are given", bytes_max + 1)), "{error}");
    }
}

#[test]
fn cookie_secrets_are_one_or_two_and_never_shown() {
    let (first, second) = ("000102030405060708090a0b0c0d0e0f", "F0E0D0C0B0A090807060504030201000");
    let secrets = |list: &[&str]| {
        let list: Vec<String> = list.iter().map(|secret| format!("\"{secret}\"")).collect();
        let text = format!("{PORT}[dns]\ncookie_secrets = [{}]\n", list.join(","));
        parse(&text).map(|config| config.dns.cookie_secrets).map_err(|error| error.to_string())
    };
    let both = secrets(&[first, second]).unwrap();
    assert_eq!((both.len(), both[0].0[15], both[1].0[0]), (2, 15, 0xf0));
    assert_eq!(format!("{both:?}"), "[CookieSecret(..), CookieSecret(..)]");
    assert!(secrets(&[first, first]).unwrap_err().contains("secret 2 is given twice"));
    let third = "11111111111111111111111111111111";
    let error = secrets(&[first, second, third]).unwrap_err();
    assert!(error.contains("too many secrets are given; keep at most 2"), "{error}");
    let error = secrets(&[first, "s3cret"]).unwrap_err();
    assert!(error.contains("secret 2 is not 32") && !error.contains("s3cret") && !error.contains(first), "{error}");
}

#[test]
fn files_of_cookie_secrets_are_for_owner_and_group_only() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{PORT}[dns]\ncookie_secrets_file = \"secrets\"\n");
    let load = |contents: &str, mode: u32| {
        let secrets = directory.path().join("secrets");
        std::fs::write(&secrets, contents).unwrap();
        std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(mode)).unwrap();
        let config = Config::parse(&directory.path().join("c.toml"), &text).map_err(|error| error.to_string());
        config.map(|config| config.dns.cookie_secrets.len())
    };
    let two = "000102030405060708090a0b0c0d0e0f\n\n f0e0d0c0b0a090807060504030201000 \n";
    assert_eq!(load(two, 0o640), Ok(2));
    assert!(load(two, 0o644).unwrap_err().contains("dns.cookie_secrets_file: every user of this machine"));
    assert!(load("\n", 0o600).unwrap_err().contains("no secret is given"));
    assert!(load("change me\n", 0o600).unwrap_err().contains("secret 1 is not 32"));
}

#[test]
fn a_missing_file_says_what_to_give() {
    let error = Config::load(Path::new("/nonexistent/ringdns.toml")).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/ringdns.toml: cannot be read: No such file"), "{error}");
}
