//! Corefiles as part of the configuration, and how they are looked at.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use ringdns_corefile::Why;

use super::super::*;

/// A zone file's directory, a Corefile and perhaps a file of RingDNS.
struct Files(tempfile::TempDir);

impl Files {
    /// A directory with a Corefile.
    fn new(corefile: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("Corefile", corefile);
        files
    }

    /// A path in it.
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    /// The Corefile alone.
    fn alone(&self) -> ConfigSource {
        ConfigSource { corefile: Some(self.path("Corefile")), ..ConfigSource::default() }
    }

    /// With a file of RingDNS that names it.
    fn with(&self, more: &str) -> ConfigSource {
        self.write("ringdns.toml", more);
        ConfigSource::file(&self.path("ringdns.toml"))
    }

    /// What is wrong, without the directory's name.
    fn problems(&self, source: &ConfigSource) -> String {
        let directory = format!("{}/", self.0.path().display());
        source.load().unwrap_err().to_string().replace(&directory, "")
    }
}

/// A Corefile whose keys are known without any source.
const COREFILE: &str = "example.org:1053 {\n    bind 127.0.0.1\n    nsid one\n    file zone\n}\n";

#[test]
fn a_corefile_is_a_configuration() {
    let files = Files::new(COREFILE);
    let config = files.alone().load().unwrap();
    assert_eq!(config.sockets.listen, ["127.0.0.1:1053".parse().unwrap()]);
    assert_eq!((config.dns.nsid.as_slice(), config.ports.len()), (&b"one"[..], 0));
    assert!(config.store.in_memory && config.corefile.unwrap().notes.is_empty());
    assert_eq!(config.zone_files[0].path, files.path("zone"));
    let source = ConfigSource { port: Some(5353), ..Files::new("a {\n bind 127.0.0.1\n}\n").alone() };
    assert_eq!(source.load().unwrap_err().to_string().matches("cannot be read").count(), 1, "its directory is gone");
    let files = Files::new("a {\n bind 127.0.0.1\n}\n");
    let source = ConfigSource { port: Some(5353), ..files.alone() };
    assert_eq!(source.load().unwrap().sockets.listen, ["127.0.0.1:5353".parse().unwrap()]);
}

#[test]
fn it_joins_a_file_whose_keys_count() {
    let files = Files::new(COREFILE);
    let source = files.with(
        "[[zone_file]]\nzone = \"a.\"\npath = \"a\"\n[corefile]\npath = \"Corefile\"\n[dns]\nnsid = \"two\"\nversion = \"v\"\n",
    );
    let config = source.load().unwrap();
    assert_eq!((config.dns.nsid.as_slice(), config.dns.version.as_slice()), (&b"two"[..], &b"v"[..]));
    let zones: Vec<String> = config.zone_files.iter().map(|file| file.zone.to_string()).collect();
    assert_eq!(zones, ["a.", "example.org."]);
    assert!(!config.store.in_memory);
    let notes = config.corefile.unwrap().notes;
    assert_eq!(notes.iter().map(|note| (note.why, note.place.line)).collect::<Vec<_>>(), [(Why::Differs, 3)]);
    let given = ConfigSource { corefile: Some(files.path("Corefile")), ..files.with("[dns]\nversion = \"w\"\n") };
    assert_eq!(given.load().unwrap().dns.version, b"w");
}

#[test]
fn mistakes_are_told_with_the_line_of_their_own_file() {
    let files = Files::new(COREFILE);
    // In a key that the Corefile gives, in one of the file, and in the Corefile itself.
    files.write("Corefile", &COREFILE.replace("one", &"n".repeat(99)));
    let problems = files.problems(&files.with("[corefile]\npath = \"Corefile\"\n\n[eal]\nmemory_mib = 1\n"));
    assert!(problems.contains("Corefile:3:1: dns.nsid"), "{problems}");
    assert!(problems.contains("ringdns.toml:5:14: eal.memory_mib"), "{problems}");
    files.write("Corefile", &format!("{COREFILE}. {{\n    rewrite name a b\n    acl\n}}\n"));
    let problems = files.problems(&files.alone());
    assert!(problems.contains("Corefile:7:1: rewrite: not supported"), "{problems}");
    assert!(problems.contains("Corefile:8:1: acl") && problems.contains("corefile.ignore = [\"acl\"]"), "{problems}");
    let source = files.with("[corefile]\npath = \"Corefile\"\nignore = [\"acl\", \"rewrite\"]\n");
    assert_eq!(source.load().unwrap().corefile.unwrap().notes.len(), 2);
    let source = files.with("[corefile]\npath = \"Corefile\"\nignore_unsupported = true\n");
    assert_eq!(source.load().unwrap().corefile.unwrap().notes.len(), 2);
    let problems =
        files.problems(&files.with("[corefile]\nignore = [\"acl\"]\n[sockets]\nlisten = [\"127.0.0.1:1\"]\n"));
    assert!(problems.contains("ringdns.toml:2:10: corefile.ignore: no Corefile is named"), "{problems}");
    let problems = files.problems(&files.with("corefile = 7\n"));
    assert!(problems.contains("ringdns.toml:1:12"), "{problems}");
    let problems = files.problems(&files.with("[corefile]\npath = \"nowhere\"\n"));
    assert!(problems.contains("nowhere:1:1: the Corefile cannot be read"), "{problems}");
}

#[test]
fn a_change_is_seen_once_it_stays_and_each_version_once() {
    let files = Files::new("import live/*.override\n");
    // As a ConfigMap is mounted: links into a directory that is swapped by a link.
    files.write("..1/a.override", COREFILE);
    files.write("..2/a.override", &COREFILE.replace("nsid one", "nsid two"));
    files.write("..3/a.override", "{\n");
    let swap = |version: &str| {
        let _ = fs::remove_file(files.path("..data"));
        symlink(version, files.path("..data")).unwrap();
    };
    swap("..1");
    fs::create_dir(files.path("live")).unwrap();
    symlink("../..data/a.override", files.path("live/a.override")).unwrap();
    files.write("zone", "x");
    let source = files.alone();
    let mut config = source.load().unwrap();
    let mut watch = ConfigWatch::new(&config);
    let start = Instant::now();
    let mut seconds = 0;
    let mut look = |config: &Config| {
        seconds += 2;
        watch.look(config, start + Duration::from_secs(seconds))
    };
    let mut twice = |config: &Config| (look(config), look(config));
    let (nothing, changed) = ((Stale::Nothing, Stale::Nothing), (Stale::Nothing, Stale::Corefile));
    assert_eq!(twice(&config), nothing, "nothing has changed");
    swap("..2");
    assert_eq!(twice(&config), changed, "first it may be about to change again");
    let changes = config.take(&source.load().unwrap());
    assert_eq!(changes.live, ["corefile", "dns.nsid"]);
    assert_eq!(twice(&config), nothing, "what was read is known");
    swap("..3");
    assert_eq!(twice(&config), changed);
    assert!(source.load().is_err());
    assert_eq!(twice(&config), nothing, "a version that was refused is not tried again");
    swap("..2");
    assert_eq!(twice(&config), changed, "the good one is back");
    files.write("zone", "longer");
    assert_eq!(twice(&config), (Stale::Nothing, Stale::ZoneFiles));
    fs::remove_file(files.path("Corefile")).unwrap();
    assert_eq!(twice(&config), changed, "it is gone");
}

#[test]
fn the_config_map_of_kube_dns_is_read_again_after_ten_seconds() {
    let files = Files::new("");
    let config =
        files.with("[kube_dns_config]\ndirectory = \"cm\"\n[sockets]\nlisten = [\"127.0.0.1:1\"]\n").load().unwrap();
    assert_eq!(config.kube_dns_directory, Some(files.path("cm")));
    let mut watch = ConfigWatch::new(&config);
    let start = Instant::now();
    let mut changes = 0;
    let mut rules = |seconds| {
        let stale = watch.look_at_kube_dns(config.kube_dns_directory.as_deref(), start + Duration::from_secs(seconds));
        let rules = watch.kube_dns().forwarding.rules.len();
        changes += usize::from(stale == Stale::Corefile);
        rules
    };

    assert_eq!(rules(0), 0, "there is no such directory yet");
    files.write("cm/stubDomains", "{\"a.example\": [\"192.0.2.1\"]}");
    assert_eq!((rules(9), rules(10)), (0, 1));
    files.write("cm/upstreamNameservers", "[\"192.0.2.1\"");
    assert_eq!(rules(20), 1, "the version before stays");
    files.write("cm/upstreamNameservers", "[\"192.0.2.1\"]");
    assert_eq!(rules(30), 2);
    fs::remove_dir_all(files.path("cm")).unwrap();
    assert_eq!(rules(40), 0);
    assert_eq!(changes, 3);
}

/// Who is asked for what: the zone, how, and the upstreams.
fn asked(config: &Config) -> Vec<String> {
    let zones = config.forward.iter().flat_map(|forward| &forward.zones);
    let mut shown: Vec<String> = zones
        .map(|zone| {
            let upstreams: Vec<String> = zone.upstreams.iter().map(|upstream| upstream.address().to_string()).collect();
            format!("{} {:?} {}", zone.zone, zone.mode, upstreams.join(" "))
        })
        .collect();
    shown.sort();
    shown
}

#[test]
fn who_is_asked_comes_from_a_corefile_and_a_config_map_and_the_file_counts() {
    let corefile = ".:1053 {\n bind 127.0.0.1\n forward . 192.0.2.1 {\n  max_concurrent 7\n }\n cache 30\n}\n\
                    a.example:1053 {\n bind 127.0.0.1\n forward . 192.0.2.2:5353\n}\n";
    let files = Files::new(corefile);
    let config = files.alone().load().unwrap();
    assert_eq!(asked(&config), [". Cache 192.0.2.1:53", "a.example. Direct 192.0.2.2:5353"]);
    let forward = config.forward.unwrap();
    assert_eq!(
        (forward.questions_max, forward.cache.keep.positive_ttl, forward.cache.authoritative),
        (7, (5, 30), true)
    );
    let clients = config.policy.clients();
    assert!(clients.is_open() && !config.policy.local_names && !config.policy.local_reverse);

    files.write("cm/stubDomains", "{\"b.example\": [\"192.0.2.3\"]}");
    files.write("cm/upstreamNameservers", "[\"192.0.2.4\"]");
    let both = "[corefile]\npath = \"Corefile\"\n[kube_dns_config]\ndirectory = \"cm\"\n";
    let config = files.with(both).load().unwrap();
    // What the Corefile says of all names counts.
    let expected = [". Cache 192.0.2.1:53", "a.example. Direct 192.0.2.2:5353", "b.example. Cache 192.0.2.3:53"];
    assert_eq!(asked(&config), expected);
    let own = "[forward]\nupstreams = [\"192.0.2.9\"]\n[policy]\nallow = [\"10.0.0.0/8\"]\n";
    let config = files.with(&format!("{both}{own}")).load().unwrap();
    assert_eq!(asked(&config)[0], ". Cache 192.0.2.9:53");
    assert!(!config.policy.clients().is_open());
    assert!(config.corefile.unwrap().notes.iter().any(|note| note.why == Why::Differs && note.place.line == 3));

    let alone = "[sockets]\nlisten = [\"127.0.0.1:1\"]\n[kube_dns_config]\ndirectory = \"cm\"\n";
    let config = files.with(alone).load().unwrap();
    assert_eq!(asked(&config), [". Cache 192.0.2.4:53", "b.example. Cache 192.0.2.3:53"]);
    files.write("cm/stubDomains", "{\"b.example\": [\"127.0.0.1:1\"]}");
    let problems = files.problems(&files.with(alone));
    assert!(
        problems.contains("cm/stubDomains:1:1: forward.zone[0].upstreams: 127.0.0.1:1 is where RingDNS"),
        "{problems}"
    );
    files.write("cm/stubDomains", "{");
    assert!(files.problems(&files.with(alone)).contains("cm/stubDomains:1:1: it is no JSON"));
}
