//! `[etcd]`: where records are read from that many servers share.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::etcd_tree::{self as tree, EtcdTree};
use super::problem::Problems;
use super::secret;
use super::validate::number;
use crate::etcd::Tree;
use crate::health::{AllDown, Status};

/// Where the copy on disk lies unless the file says otherwise.
const CACHE_FILE: &str = "/var/lib/ringdns/etcd.cache";

/// Where ContainerDNS has the status of addresses.
const STATUS_PATH: &str = "/containerdns/monitor/status";

/// Most endpoints: more than any cluster has members.
const ENDPOINTS_MAX: usize = 32;

/// Longest time for a connection or an answer, in seconds.
const TIMEOUT_SECONDS_MAX: i64 = 60;

/// Time for a connection or an answer in seconds, unless the file says otherwise.
const TIMEOUT_SECONDS: i64 = 3;

/// `[etcd]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Etcd {
    /// URLs of the members.
    pub endpoints: Option<Spanned<Vec<Spanned<String>>>>,
    /// The user.
    pub user: Option<Spanned<String>>,
    /// A file whose first line is the user's password.
    pub password_file: Option<Spanned<PathBuf>>,
    /// Certificates of who signs those of the members.
    pub ca_file: Option<Spanned<PathBuf>>,
    /// Our certificate.
    pub cert_file: Option<Spanned<PathBuf>>,
    /// The key of our certificate.
    pub key_file: Option<Spanned<PathBuf>>,
    /// Seconds for a connection or an answer.
    pub timeout_seconds: Option<Spanned<i64>>,
    /// The copy on disk.
    pub cache_file: Option<Spanned<PathBuf>>,
    /// What the keys with the status of addresses begin with; empty: they are not read.
    pub status_path: Option<Spanned<String>>,
    /// `up` or `down`: the status of addresses without a key.
    pub status_unknown: Option<Spanned<String>>,
}

/// The etcd source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdConfig {
    /// URLs of the members; at least one.
    pub endpoints: Vec<String>,
    /// User and password; none: we are our certificate, or nobody.
    pub user: Option<(String, Password)>,
    /// How connections are protected; none: not at all.
    pub tls: Option<EtcdTls>,
    /// Time for a connection or an answer.
    pub timeout: Duration,
    /// The copy on disk.
    pub cache_file: PathBuf,
    /// What is read, no zone twice; at least one tree, unless etcd is there for the store.
    pub trees: Vec<Tree>,
    /// What the keys with the status of addresses begin with, without a slash at the end; nothing: they are not read.
    pub status_path: Option<String>,
    /// The status of addresses without a key.
    pub status_unknown: Status,
}

/// How connections to etcd are protected. The files are read for each connection, so that they can be renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdTls {
    /// Certificates of who signs those of the members.
    pub ca_file: PathBuf,
    /// Our certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A password. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes a secret.
    pub(super) fn new(secret: &str) -> Self {
        Self(secret.to_owned())
    }

    /// The password, for who asks for it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Checks both tables; nothing where there are no endpoints. `is_stored`: the store is in that etcd too.
pub(super) fn etcd(
    spec: &Etcd,
    trees: &[Spanned<EtcdTree>],
    is_stored: bool,
    all_down: AllDown,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Option<EtcdConfig> {
    let Some(list) = &spec.endpoints else {
        if let Some(tree) = trees.first() {
            let remedy = "give endpoints in [etcd], or remove the tree";
            problems.add(
                Some(tree.span()),
                "etcd_tree",
                "a tree of keys is given, and no etcd to read it from",
                remedy,
            );
        }
        return None;
    };
    let has_states = spec.status_path.as_ref().is_some_and(|path| !path.get_ref().is_empty());
    if trees.is_empty() && !is_stored && !has_states {
        let remedy = "add a table [[etcd_tree]] with layout and zones, or status_path";
        problems.add(Some(list.span()), "etcd.endpoints", "nothing says what is to be read", remedy);
    }
    let trees = tree::trees(trees, all_down, problems);
    let status_path = status_path(spec.status_path.as_ref(), &trees, problems);
    let config = connection(spec, base, problems)?;
    Some(EtcdConfig { status_path, trees, ..config })
}

/// Checks `[etcd]`; nothing where there are no endpoints, and no tree yet.
pub(super) fn connection(spec: &Etcd, base: &Path, problems: &mut Problems<'_>) -> Option<EtcdConfig> {
    let list = spec.endpoints.as_ref()?;
    let timeout = spec.timeout_seconds.as_ref();
    let bounds = 1..=TIMEOUT_SECONDS_MAX;
    let seconds = number(timeout, "etcd.timeout_seconds", bounds, " seconds", TIMEOUT_SECONDS, problems);
    Some(EtcdConfig {
        endpoints: endpoints(list, spec.ca_file.is_some(), problems),
        user: user(spec, base, problems),
        tls: tls(spec, base, problems),
        timeout: Duration::from_secs(seconds.unsigned_abs()),
        cache_file: base.join(spec.cache_file.as_ref().map_or(Path::new(CACHE_FILE), |path| path.get_ref())),
        status_path: None,
        status_unknown: tree::one_of(
            spec.status_unknown.as_ref(),
            "etcd.status_unknown",
            &[("up", Status::Up), ("down", Status::Down)],
            problems,
        ),
        trees: Vec::new(),
    })
}

/// The members.
fn endpoints(list: &Spanned<Vec<Spanned<String>>>, has_ca: bool, problems: &mut Problems<'_>) -> Vec<String> {
    const KEY: &str = "etcd.endpoints";
    let count = list.get_ref().len();
    if count == 0 || count > ENDPOINTS_MAX {
        let remedy = format!("give 1 to {ENDPOINTS_MAX} URLs, such as \"http://127.0.0.1:2379\"");
        problems.add(Some(list.span()), KEY, format!("{count} endpoints are given"), remedy);
    }
    for endpoint in list.get_ref() {
        let text = endpoint.get_ref();
        let scheme = text.split_once("://").filter(|(_, rest)| !rest.is_empty() && !rest.contains([' ', '/']));
        let wrong = match scheme.map(|(scheme, _)| scheme) {
            Some("http") if has_ca => Some(("is not protected, and ca_file is given", "write https://")),
            Some("https") if !has_ca => Some(("is protected, and nothing says by whom", "give ca_file")),
            Some("http" | "https") => None,
            _ => Some(("is no URL of an etcd member", "write \"http://HOST:PORT\" or \"https://HOST:PORT\"")),
        };
        if let Some((fault, remedy)) = wrong {
            problems.add(Some(endpoint.span()), KEY, format!("\"{text}\" {fault}"), remedy);
        }
    }
    list.get_ref().iter().map(|endpoint| endpoint.get_ref().clone()).collect()
}

/// User and password.
fn user(spec: &Etcd, base: &Path, problems: &mut Problems<'_>) -> Option<(String, Password)> {
    const KEY: &str = "etcd.password_file";
    match (&spec.user, &spec.password_file) {
        (Some(user), Some(path)) => {
            let text = secret::read(&base.join(path.get_ref()), path.span(), KEY, "cat", problems)?;
            let password = text.lines().next().unwrap_or_default().to_owned();
            if password.is_empty() {
                problems.add(Some(path.span()), KEY, "the password is empty", "write it into the file's first line");
            }
            Some((user.get_ref().clone(), Password(password)))
        }
        (Some(user), None) => {
            problems.add(Some(user.span()), "etcd.user", "a user is given, and no password_file", "give both or none");
            None
        }
        (None, Some(path)) => {
            problems.add(Some(path.span()), KEY, "a password is given, and no user", "give both or none");
            None
        }
        (None, None) => None,
    }
}

/// Certificates.
fn tls(spec: &Etcd, base: &Path, problems: &mut Problems<'_>) -> Option<EtcdTls> {
    for (key, file) in [("ca_file", &spec.ca_file), ("cert_file", &spec.cert_file), ("key_file", &spec.key_file)] {
        let Some(file) = file else { continue };
        let path = base.join(file.get_ref());
        if let Err(error) = std::fs::File::open(&path) {
            let message = format!("{} cannot be read: {error}", path.display());
            problems.add(Some(file.span()), format!("etcd.{key}"), message, "give a file in PEM form");
        }
    }
    let identity = match (&spec.cert_file, &spec.key_file) {
        (Some(cert), Some(key)) => Some((base.join(cert.get_ref()), base.join(key.get_ref()))),
        (Some(file), None) | (None, Some(file)) => {
            let message = "of cert_file and key_file one is given";
            problems.add(Some(file.span()), "etcd.cert_file", message, "give both or none");
            None
        }
        (None, None) => None,
    };
    match (&spec.ca_file, &spec.cert_file) {
        (Some(ca), _) => Some(EtcdTls { ca_file: base.join(ca.get_ref()), identity }),
        (None, Some(cert)) => {
            let message = "a certificate is given, and nothing says whom to show it to";
            problems.add(Some(cert.span()), "etcd.cert_file", message, "give ca_file too");
            None
        }
        (None, None) => None,
    }
}

/// Where the status of addresses stands: where ContainerDNS has it, unless the file says otherwise, if any tree looks at it.
fn status_path(path: Option<&Spanned<String>>, trees: &[Tree], problems: &mut Problems<'_>) -> Option<String> {
    match path {
        Some(path) if path.get_ref().is_empty() => None,
        Some(path) => Some(tree::prefix(Some(path), STATUS_PATH, "etcd.status_path", problems)),
        None => trees.iter().any(|tree| tree.health).then(|| STATUS_PATH.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use ringdns_engine::select::Mode;

    use super::super::Config;
    use super::*;
    use crate::etcd::Layout;

    /// A tree that is right.
    const TREE: &str =
        "[[etcd_tree]]\nlayout = \"skydns\"\nzones = [\"S.local\", \"10.in-addr.arpa.\"]\nprefix = \"/x/\"\n";

    /// A configuration with these lines.
    fn parse(lines: &str) -> Result<Config, String> {
        let port = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n";
        Config::parse(Path::new("/etc/ringdns/ringdns.toml"), &format!("{port}{lines}"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_read_without_endpoints() {
        assert_eq!(parse("[etcd]\ntimeout_seconds = 5\n").unwrap().etcd, None);
    }

    #[test]
    fn the_defaults_are_those_of_the_layout() {
        let etcd = parse(&format!("[etcd]\nendpoints = [\"http://[::1]:2379\"]\n{TREE}")).unwrap().etcd.unwrap();
        assert_eq!((etcd.timeout.as_secs(), etcd.cache_file.as_path()), (3, Path::new(CACHE_FILE)));
        let zones = ["s.local.", "10.in-addr.arpa."].map(|zone| zone.parse().unwrap()).to_vec();
        let tree = Tree {
            layout: Layout::SkyDns,
            prefix: "/x".to_owned(),
            zones,
            ttl_seconds: 300,
            skip_domain: false,
            answers: Mode::All,
            health: false,
            all_down: AllDown::All,
            wildcard_names_max: 0,
            generation: Default::default(),
            local: None,
            stub_zones: false,
        };
        assert_eq!(etcd.trees, [tree]);
        assert_eq!((etcd.status_path, etcd.status_unknown), (None, Status::Up));
    }

    #[test]
    fn the_status_of_addresses_is_read_where_it_is_looked_at() {
        let with = |etcd: &str, tree: &str| {
            let text =
                format!("[etcd]\nendpoints = [\"http://a:1\"]\n{etcd}\n[[etcd_tree]]\nzones = [\"c.local\"]\n{tree}");
            parse(&text).unwrap().etcd.unwrap()
        };
        let etcd = with("", "layout = \"containerdns\"\nanswers = \"hone-one\"");
        assert_eq!(etcd.status_path.as_deref(), Some("/containerdns/monitor/status"));
        assert_eq!((etcd.trees[0].answers, etcd.trees[0].health), (Mode::Sticky, true));
        assert_eq!(with("", "layout = \"containerdns\"\nhealth = false").status_path, None);
        assert_eq!(with("status_path = \"\"", "layout = \"containerdns\"").status_path, None);
        let etcd = with("status_path = \"/s/\"\nstatus_unknown = \"down\"", "layout = \"kdns\"\nhealth = true");
        assert_eq!((etcd.status_path.as_deref(), etcd.status_unknown), (Some("/s"), Status::Down));
        let etcd = with("", "layout = \"skydns\"\nwildcard_names_max = 500");
        assert_eq!(etcd.trees[0].wildcard_names_max, 500);
        let etcd = with("", "layout = \"skydns\"\ngeneration = \"skydns\"\nlocal = \"X.c.local\"");
        let tree = &etcd.trees[0];
        assert_eq!((tree.generation, tree.ttl_seconds), (crate::etcd::Generation::SkyDns, 3600));
        assert_eq!(tree.local, Some("x.c.local.".parse().unwrap()));
        assert_eq!(with("", "layout = \"skydns\"\nlocal = \"\"").trees[0].local, None);
        assert!(with("", "layout = \"skydns\"\nstub_zones = true\n[forward]").trees[0].stub_zones);
    }

    #[test]
    fn passwords_are_not_shown_and_changes_need_a_restart() {
        assert_eq!(format!("{:?}", Password("secret".to_owned())), "Password(..)");
        let mut running = parse("").unwrap();
        let new = parse(&format!("[etcd]\nendpoints = [\"http://a:1\"]\n{TREE}")).unwrap();
        assert_eq!(running.take(&new).restart, ["etcd"]);
        assert_eq!(running.etcd, None);
    }

    #[test]
    fn each_mistake_is_named() {
        let endpoints = "[etcd]\nendpoints = [\"http://a:1\"]\n";
        for (lines, expected) in [
            (
                format!("{endpoints}{TREE}stub_zones = true"),
                "10:14: etcd_tree.stub_zones: nobody is asked for stub zones, since names of others are not asked for; add [forward]",
            ),
            (
                format!("{endpoints}{}stub_zones = true\n[forward]", TREE.replace("skydns", "kdns")),
                "etcd_tree[0].stub_zones: the layout kdns has no such thing",
            ),
            (TREE.to_owned(), "etcd_tree: a tree of keys is given, and no etcd to read it from"),
            (endpoints.to_owned(), "etcd.endpoints: nothing says what is to be read"),
            (format!("[etcd]\nendpoints = []\n{TREE}"), "0 endpoints are given"),
            (format!("[etcd]\nendpoints = [\"a:1\"]\n{TREE}"), "\"a:1\" is no URL of an etcd member"),
            (format!("[etcd]\nendpoints = [\"https://a:1\"]\n{TREE}"), "nothing says by whom; give ca_file"),
            (format!("{endpoints}ca_file = \"/nonexistent\"\n{TREE}"), "is not protected, and ca_file is given"),
            (format!("{endpoints}ca_file = \"/nonexistent\"\n{TREE}"), "etcd.ca_file: /nonexistent cannot be read"),
            (format!("{endpoints}key_file = \"k\"\n{TREE}"), "of cert_file and key_file one is given"),
            (format!("{endpoints}user = \"u\"\n{TREE}"), "etcd.user: a user is given, and no password_file"),
            (format!("{endpoints}password_file = \"p\"\n{TREE}"), "a password is given, and no user"),
            (format!("{endpoints}timeout_seconds = 0\n{TREE}"), "etcd.timeout_seconds: 0 is out of bounds"),
            (format!("{endpoints}{}", TREE.replace("skydns", "bind")), "etcd_tree[0].layout: \"bind\" is no layout"),
            (
                format!("{endpoints}{TREE}skip_domain = true"),
                "etcd_tree[0].skip_domain: the layout skydns has no such thing",
            ),
            (format!("{endpoints}{TREE}answers = \"one\""), "etcd_tree[0].answers: \"one\" is none of its words"),
            (
                format!("{endpoints}{TREE}wildcard_names_max = -1"),
                "etcd_tree[0].wildcard_names_max: -1 is out of bounds",
            ),
            (
                format!("{endpoints}{TREE}generation = \"bind\""),
                "etcd_tree[0].generation: \"bind\" is none of its words; write one of \"coredns\", \"skydns\"",
            ),
            (
                format!("{endpoints}{}generation = \"skydns\"", TREE.replace("skydns", "kdns")),
                "etcd_tree[0].generation: the layout kdns has no such thing",
            ),
            (format!("{endpoints}{TREE}local = \"a.example.\""), "\"a.example.\" is no name below one of the zones"),
            (format!("{endpoints}{TREE}local = \"s.local.\""), "\"s.local.\" is no name below one of the zones"),
            (format!("{endpoints}status_unknown = \"no\"\n{TREE}"), "etcd.status_unknown: \"no\" is none of its words"),
            (format!("{endpoints}status_path = \"s\"\n{TREE}"), "etcd.status_path: \"s\" is no prefix of keys"),
            (
                format!("{endpoints}{}answers = \"all\"\nwildcard_names_max = 1", TREE.replace("skydns", "kdns")),
                "etcd_tree[0].answers: the layout kdns has no such thing",
            ),
            (format!("{endpoints}{TREE}{TREE}"), "etcd_tree[1].zones: zone S.local. is already that of etcd_tree[0]"),
            (format!("{endpoints}{}", TREE.replace("/x/", "x")), "etcd_tree[0].prefix: \"x\" is no prefix of keys"),
            (format!("{endpoints}{}", TREE.replace("S.local", "a..b")), "\"a..b\" is no domain name"),
            (format!("{endpoints}[[etcd_tree]]\nlayout = \"skydns\"\nzones = []\n"), "no zone is given"),
        ] {
            let problems = parse(&lines).unwrap_err();
            assert!(problems.contains(expected), "{expected} in {problems}");
        }
    }
}
