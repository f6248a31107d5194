//! Corefiles as they are in use, what they come to, and what is wrong with others.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use ringdns_corefile::{Fault, Machine, Options, Translation, World, translate};

/// A machine that is made up.
#[derive(Debug, Default)]
struct Made {
    /// Its files.
    files: BTreeMap<PathBuf, String>,
}

impl Made {
    /// A machine with some files.
    fn with(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| (path.into(), (*text).to_owned())).collect() }
    }

    /// A machine with a Corefile, and what Corefiles of the tests name.
    fn of(corefile: &str) -> Self {
        Self::with(&[
            ("/etc/coredns/Corefile", corefile),
            ("/etc/coredns/resolv.conf", "search svc.cluster.local cluster.local corp.example\nnameserver 192.0.2.1\n"),
            ("/etc/resolv.conf", "nameserver 192.0.2.1\nsearch host.example.\n"),
            ("/etc/coredns/NodeHosts", "10.0.0.5 node-1 node-1.example # the first\nfd00::5 node-1\nnonsense\n"),
            ("/etc/coredns/custom/a.server", "stub.example {\n  forward . 192.0.2.7\n}\n"),
            ("/etc/coredns/custom/b.override", "bufsize 1400\n"),
            ("/etc/coredns/custom/c.txt", "}"),
            ("/zones/db.example.com", ""),
            ("/zones/db.sub.example.com", ""),
            ("/zones/db.example.org", ""),
            ("/zones/README", ""),
        ])
    }
}

impl World for Made {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.files.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let in_it = self.files.keys().filter(|path| path.parent() == Some(directory));
        let names: Vec<_> = in_it.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
        if names.is_empty() { Err(io::Error::from(io::ErrorKind::NotFound)) } else { Ok(names) }
    }

    fn variable(&self, name: &str) -> Option<String> {
        [("DOMAIN", "cluster.test"), ("ETCD_PASSWORD", "secret"), ("PORT", "5353")]
            .iter()
            .find_map(|(known, value)| (*known == name).then(|| (*value).to_owned()))
    }

    fn host_name(&self) -> Option<String> {
        Some("node-1".to_owned())
    }

    fn interface(&self, name: &str) -> Vec<IpAddr> {
        let addresses: &[&str] = if name == "lo" { &["127.0.0.1", "::1", "127.0.0.9"] } else { &[] };
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn has_ipv6(&self) -> bool {
        true
    }
}

/// What a Corefile comes to.
fn translated(corefile: &str, options: &Options) -> Result<Translation, Vec<Fault>> {
    translate(Path::new("/etc/coredns/Corefile"), &Made::of(corefile), options)
}

/// A translation for people: keys without their comments, then who is asked, then what there is to say.
fn shown(translation: &Translation) -> String {
    let rendered = translation.document.render();
    let keys = rendered.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut text: String = keys.map(|line| format!("{line}\n")).collect();
    for rule in &translation.forwarding.rules {
        let _ = writeln!(
            text,
            "forward {} to {:?}, {:?}, {:?}, at most {}, down after {}, except {:?}",
            rule.zones.join(" "),
            rule.upstreams,
            rule.policy,
            rule.transport,
            rule.concurrent_max,
            rule.fails_max,
            rule.except
        );
    }
    for rule in &translation.forwarding.caches {
        let _ = writeln!(
            text,
            "cache {} success {:?} denial {:?} not {:?} not {:?}",
            rule.zones.join(" "),
            rule.success,
            rule.denial,
            rule.no_success,
            rule.no_denial
        );
    }
    for note in &translation.notes {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// The samples that are served, with what is to be ignored.
const SAMPLES: [(&str, &[&str]); 6] = [
    ("default", &[]),
    ("kubeadm-2025", &[]),
    ("k3s", &[]),
    ("nodelocal", &[]),
    ("stub-domains", &[]),
    ("everything", &[]),
];

#[test]
fn corefiles_in_use_come_to_what_is_written_beside_them() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    for (name, ignore) in SAMPLES {
        let corefile = std::fs::read_to_string(samples.join(format!("{name}.corefile"))).unwrap();
        let options = Options { ignore: ignore.iter().map(|name| (*name).to_owned()).collect(), ..Options::default() };
        let found = shown(&translated(&corefile, &options).unwrap_or_else(|faults| panic!("{name}: {faults:#?}")));
        let path = samples.join(format!("{name}.expected"));
        if std::env::var_os("RINGDNS_WRITE_EXPECTED").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap();
        assert_eq!(found, expected, "{name}: look at the difference; RINGDNS_WRITE_EXPECTED=1 writes the file anew");
    }
}

/// What keeps a Corefile from being served, one line each.
fn faults(corefile: &str) -> Vec<String> {
    match translated(corefile, &Options::default()) {
        Ok(made) => panic!("{corefile} is served: {}", shown(&made)),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (corefile, line, words) in [
        ("", 1, "no server block"),
        (".:53 {\n errors\n", 1, "not closed"),
        (".:53 {\n errors\n}\n}\n", 4, "a zone is expected"),
        (".:53 {\n {\n }\n}\n", 2, "belongs to nothing"),
        ("a..b {\n}\n", 1, "no domain name"),
        ("ftp://a {\n}\n", 1, "ftp://"),
        ("a:99999 {\n}\n", 1, "no port"),
        ("a,\n", 1, "nothing follows"),
        ("{$EMPTY} {\n}\n", 1, "has no zone"),
        ("a {\n}\nb a {\n}\n", 3, "already that of /etc/coredns/Corefile:1"),
        ("10.0.0.0/23 {\n}\n1.0.10.in-addr.arpa {\n}\n", 3, "already that of"),
        ("tls://a {\n}\n", 1, "tls: not supported"),
        (".:53 {\n import nothing\n}\n", 2, "no snippet"),
        (".:53 {\n import\n}\n", 2, "import of nothing"),
        (".:53 {\n import a b\n}\n", 2, "takes one name"),
        (".:53 {\n import */Corefile\n}\n", 2, "is not understood"),
        ("(a) {\n import a\n}\n. {\n import a\n}\n", 2, "import themselves"),
        ("import Corefile\n", 1, "import themselves"),
        ("(a) {\n}\n(a) {\n}\n", 3, "there already"),
        (".:53 {\n rewrit name a b\n}\n", 2, "no plugin of CoreDNS has this name"),
        (".:53 {\n log\n rewrite name a b\n}\n", 3, "rewrite: not supported"),
        (". {\n kubernetes in-addr.arpa\n}\n", 2, "reverse zones"),
        ("a {\n kubernetes {\n  pods maybe\n }\n}\n", 3, "pods \"maybe\""),
        ("a {\n kubernetes {\n  ttl 3601\n }\n}\n", 3, "from 0 to 3600"),
        ("a {\n kubernetes {\n  tls a\n }\n}\n", 3, "three files"),
        ("a {\n kubernetes {\n  surprise\n }\n}\n", 3, "unknown option \"surprise\""),
        (
            "a {\n kubernetes\n}\nb {\n kubernetes {\n  ttl 5\n }\n}\n",
            5,
            "differ from those at /etc/coredns/Corefile:2",
        ),
        (". {\n health :80:80\n}\n", 2, "no address to listen on"),
        (". {\n health {\n  lameduck 5\n }\n}\n", 3, "no duration"),
        (". {\n bind nowhere0\n}\n", 2, "no interface"),
        (". {\n bufsize 100\n}\n", 2, "from 512 to 4096"),
        (". {\n forward .\n}\n", 2, "no upstream"),
        (". {\n forward . 1.2.3.4 {\n  policy best\n }\n}\n", 3, "no such policy"),
        (". {\n cache {\n  success many\n }\n}\n", 3, "no number"),
        (". {\n loadbalance weighted weights\n}\n", 2, "the policy weighted"),
        ("a {\n auto {\n  directory /nowhere\n }\n}\n", 3, "cannot be listed"),
        ("a {\n auto {\n  directory /zones (a|b) {1}\n }\n}\n", 3, "the pattern (a|b)"),
        ("a {\n transfer {\n  to everybody\n }\n}\n", 3, "no address"),
        ("a {\n autopath missing.conf\n}\n", 2, "cannot be read"),
    ] {
        let found = faults(corefile);
        let place = format!("/etc/coredns/Corefile:{line}: ");
        assert!(found.iter().any(|fault| fault.starts_with(&place) && fault.contains(words)), "{corefile}: {found:#?}");
        assert!(found.iter().all(|fault| fault.contains("; ")), "each has its remedy: {found:#?}");
    }
}

#[test]
fn every_fault_is_told_at_once_and_one_of_an_import_with_its_file() {
    let found = faults(".:53 {\n rewrite a\n template b\n bufsize x\n}\n");
    assert_eq!(found.len(), 3, "{found:#?}");
    let world = Made::with(&[("/c/Corefile", "import d/*"), ("/c/d/1", ". {\n"), ("/c/d/2", "}\nb {\n  acl\n}")]);
    let found = translate(Path::new("/c/Corefile"), &world, &Options::default()).unwrap_err();
    assert_eq!((found[0].place.to_string(), found[0].plugin.as_deref()), ("/c/d/2:3".to_owned(), Some("acl")));
    let large = format!("#{}", "x".repeat(1 << 20));
    let world = Made::with(&[("/c/Corefile", &"import large\n".repeat(20)), ("/c/large", &large)]);
    let found = translate(Path::new("/c/Corefile"), &world, &Options::default()).unwrap_err();
    assert!(found[0].message.contains("more than 16 MiB"), "{}", found[0]);
}

#[test]
fn what_is_not_supported_can_be_ignored_by_name_or_altogether() {
    let corefile = ".:53 {\n rewrite a\n mine {\n  deep {\n   x\n  }\n }\n}\ntls://a {\n}\n";
    let notes = |options: &Options| {
        translated(corefile, options).map(|made| made.notes.iter().map(ToString::to_string).collect())
    };
    let found: Vec<String> = notes(&Options { ignore_unsupported: true, ..Options::default() }).unwrap();
    assert!(found.len() == 3 && found.iter().all(|note| note.contains("ignored, as asked")), "{found:#?}");
    let ignore = |names: &[&str]| Options {
        ignore: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Options::default()
    };
    assert_eq!(
        notes(&ignore(&["rewrite", "mine"])).map(|_: Vec<String>| ()).unwrap_err().len(),
        1,
        "the scheme is left"
    );
    // A mistake is one whatever is ignored, unless its plugin is.
    let options = Options { ignore_unsupported: true, ..Options::default() };
    assert_eq!(translated(". {\n bufsize x\n}", &options).unwrap_err().len(), 1);
    assert!(translated(". {\n bufsize x\n}", &ignore(&["bufsize"])).is_ok());
}

#[test]
fn variables_imports_and_blocks_without_braces_are_read() {
    let made =
        translated("{$DOMAIN}:{%PORT%}\nkubernetes {\n ttl 7\n}\nnsid {$NOTHING}a{b}\n", &Options::default()).unwrap();
    let text = shown(&made);
    for line in
        ["zones = [\"cluster.test.\"]", "listen = [\"0.0.0.0:5353\", \"[::]:5353\"]", "ttl = 7", "nsid = \"a{b}\""]
    {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    let made =
        translated("(x) {\n bind {$DOMAIN}lo\n}\n. {\n import custom/?.override\n}\n", &Options::default()).unwrap();
    assert!(shown(&made).contains("udp_answer_bytes_max = 1400"));
    assert_eq!(made.files, [Path::new("/etc/coredns/Corefile"), Path::new("/etc/coredns/custom/b.override")]);
}

#[test]
fn names_of_hosts_files_are_zones_of_their_own() {
    let corefile = "example.org {\n hosts {\n  192.0.2.1 a.example.org b.example.com *.x\n  ttl 9\n  no_reverse\n  fallthrough\n }\n local\n}\n";
    let made = translated(corefile, &Options::default()).unwrap();
    let text = shown(&made);
    let zones: Vec<&str> = text.lines().filter(|line| line.starts_with("zone = ")).collect();
    let localhost = [&format!("1.{}ip6.arpa.", "0.".repeat(31)), "1.0.0.127.in-addr.arpa.", "localhost."];
    let expected: Vec<String> =
        ["a.example.org."].iter().chain(&localhost).map(|zone| format!("zone = \"{zone}\"")).collect();
    assert_eq!(zones, expected, "{text}");
    assert!(
        text.contains("text = \"$TTL 9\\n@ SOA @ hostmaster 1 7200 1800 86400 30\\n@ NS @\\n@ A 192.0.2.1\\n\""),
        "{text}"
    );
    assert!(text.contains("@ A 127.0.0.1\\n@ AAAA ::1\\n") && text.contains("@ PTR localhost."), "{text}");
    assert!(text.contains("/etc/hosts cannot be read"), "{text}");
    let many: String = (0..2001).map(|number| format!("  192.0.2.1 n{number}\n")).collect();
    assert!(faults(&format!(". {{\n hosts {{\n{many} }}\n}}\n"))[0].contains("2002 names and addresses"));
}

#[test]
fn switches_of_the_cluster_are_keys() {
    let text = shown(
        &translated(
            "a {\n kubernetes {\n  noendpoints\n  endpoint https://192.0.2.1\n  tls a b c\n }\n}\n",
            &Options::default(),
        )
        .unwrap(),
    );
    for line in ["endpoints = false", "endpoint = \"https://192.0.2.1\"", "ca_file = \"/etc/coredns/c\""] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn this_machine_is_read() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("d")).unwrap();
    std::os::unix::fs::symlink("/nonexistent", directory.path().join("dead")).unwrap();
    std::fs::write(directory.path().join("a"), "x").unwrap();
    std::os::unix::fs::symlink("a", directory.path().join("b")).unwrap();
    assert_eq!(Machine.list(directory.path()).unwrap(), ["a", "b"]);
    assert_eq!(Machine.read(&directory.path().join("b")).unwrap(), "x");
    std::fs::write(directory.path().join("a"), vec![b'x'; (1 << 20) + 1]).unwrap();
    assert!(Machine.read(&directory.path().join("a")).is_err());
    assert!(Machine.interface("lo").iter().all(IpAddr::is_loopback) && Machine.interface("nowhere0").is_empty());
    assert!(Machine.host_name().is_some_and(|name| !name.contains('\n')));
}

/// Words that Corefiles are made of, and some that they are not.
fn word() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "{",
        "}",
        "{",
        "}",
        "\n",
        "\n",
        "\n",
        "import",
        "Corefile",
        "x",
        "(x)",
        ".:53",
        "a.example",
        "10.0.0.0/9",
        "kubernetes",
        "pods",
        "insecure",
        "forward",
        ".",
        "/etc/resolv.conf",
        "cache",
        "disable",
        "success",
        "hosts",
        "bind",
        "lo",
        "{$DOMAIN}",
        "{$",
        "{%",
        "%}",
        "\"",
        "\"{\"",
        "#",
        ",",
        "health",
        "lameduck",
        "5s",
        "etcd",
        "file",
        "auto",
        "directory",
        "/zones",
        "transfer",
        "to",
        "*",
        "view",
        "autopath",
        "@kubernetes",
        "custom/*.server",
        "ttl",
        "-1",
        "é",
        "\\",
        "::/1",
    ];
    prop_oneof![8 => prop::sample::select(KNOWN).prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_to_its_end(words in prop::collection::vec(word(), 0..60), ignore in any::<bool>()) {
        let corefile = words.join(" ");
        let options = Options { ignore_unsupported: ignore, ..Options::default() };
        match translated(&corefile, &options) {
            Ok(made) => {
                let rendered = made.document.render();
                prop_assert_eq!(rendered.text.lines().count(), rendered.places.len());
            }
            Err(faults) => prop_assert!(!faults.is_empty() && faults.iter().all(|fault| fault.place.line > 0)),
        }
    }
}
