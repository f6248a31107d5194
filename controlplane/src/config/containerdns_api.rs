//! `[containerdns_api]`: the record interface of ContainerDNS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ringdns_engine::name::WireName;
use ringdns_engine::select::Mode;
use serde::Deserialize;
use toml::Spanned;

use super::change::Changes;
use super::etcd_places::{EtcdPlaces, places};
use super::problem::Problems;
use super::validate::{number, token};
use super::{EtcdConfig, Token};
use crate::model::TTL_SECONDS_MAX;

/// Suffix where the file names none: that of the original.
const DOMAIN_DEFAULT: &str = "containerdns.local.";

/// TTL in seconds of new records: that of the original.
const TTL_SECONDS_DEFAULT: i64 = 30;

/// `[containerdns_api]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContainerdnsApi {
    /// Address and TCP port.
    pub listen: Option<Spanned<SocketAddr>>,
    /// A file whose first line is the token that requests need.
    pub token_file: Option<Spanned<PathBuf>>,
    /// The token itself.
    pub token: Option<Spanned<String>>,
    /// Suffixes that can be written.
    pub domains: Option<Spanned<Vec<Spanned<String>>>>,
    /// `both`, `current` or `documented`.
    pub generation: Option<Spanned<String>>,
    /// TTL in seconds of new records.
    pub ttl: Option<Spanned<i64>>,
    /// `all`, `random-one` or `hone-one`.
    pub answers: Option<Spanned<String>>,
    /// `embedded` or `etcd`.
    pub store: Option<Spanned<String>>,
}

/// Which requests are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// With a user and without.
    Both,
    /// With a user only.
    Current,
    /// As if nobody named a user.
    Documented,
}

impl Generation {
    /// True where requests may name a user.
    pub(crate) fn has_current(self) -> bool {
        self != Self::Documented
    }

    /// True where requests need not name a user.
    pub(crate) fn has_documented(self) -> bool {
        self != Self::Current
    }
}

/// The record interface of ContainerDNS.
#[derive(Clone, Debug)]
pub struct ContainerdnsApiConfig {
    /// Address and TCP port.
    pub listen: SocketAddr,
    /// What every request needs.
    pub token: Token,
    /// Suffixes that can be written, in lower case; at least one, none twice.
    pub domains: Vec<WireName>,
    /// Which requests are taken.
    pub generation: Generation,
    /// TTL in seconds of new records.
    pub ttl_seconds: u32,
    /// How addresses are chosen from.
    pub answers: Mode,
    /// Where in etcd records are kept; none: in the store.
    pub etcd: Option<EtcdPlaces>,
}

impl ContainerdnsApiConfig {
    /// Notes what differs in a newer one: the interface is not opened anew.
    pub(super) fn compare(running: Option<&Self>, new: Option<&Self>, changes: &mut Changes) {
        let listen = [running, new].map(|config| config.map(|config| config.listen));
        changes.restart("containerdns_api.listen", &listen[0], &listen[1]);
        let (Some(running), Some(new)) = (running, new) else { return };
        changes.restart("containerdns_api.token", &true, &running.token.is_same(&new.token));
        changes.restart("containerdns_api.domains", &running.domains, &new.domains);
        changes.restart("containerdns_api.generation", &running.generation, &new.generation);
        changes.restart("containerdns_api.ttl", &running.ttl_seconds, &new.ttl_seconds);
        changes.restart("containerdns_api.answers", &running.answers, &new.answers);
        changes.restart("containerdns_api.store", &running.etcd, &new.etcd);
    }
}

/// Checks the table; nothing where no address is given.
pub(super) fn containerdns_api(
    spec: &ContainerdnsApi,
    etcd: Option<&EtcdConfig>,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Option<ContainerdnsApiConfig> {
    let token =
        token(["containerdns_api.token", "containerdns_api.token_file"], &spec.token, &spec.token_file, base, problems);
    let domains = domains(spec.domains.as_ref(), problems);
    let bounds = 0..=i64::from(TTL_SECONDS_MAX);
    let ttl = number(spec.ttl.as_ref(), "containerdns_api.ttl", bounds, " seconds", TTL_SECONDS_DEFAULT, problems);
    let generations =
        [("both", Generation::Both), ("current", Generation::Current), ("documented", Generation::Documented)];
    let generation = word(spec.generation.as_ref(), "containerdns_api.generation", generations, problems);
    // The original's names for them: one address by turns, and the same address for the same client.
    let modes = [("all", Mode::All), ("random-one", Mode::RoundRobin), ("hone-one", Mode::Sticky)];
    let answers = word(spec.answers.as_ref(), "containerdns_api.answers", modes, problems);
    let etcd = places(spec, &domains, etcd, problems);
    let listen = spec.listen.as_ref()?;
    if spec.token.is_none() && spec.token_file.is_none() {
        let remedy = "set containerdns_api.token_file; every request needs the token";
        problems.add(Some(listen.span()), "containerdns_api.listen", "no token is set", remedy);
    }
    let ttl_seconds = u32::try_from(ttl).unwrap_or(TTL_SECONDS_MAX);
    let (listen, token) = (*listen.get_ref(), token?);
    Some(ContainerdnsApiConfig { listen, token, domains, generation, ttl_seconds, answers, etcd })
}

/// The value of a word; the first where none is given.
fn word<T: Copy>(
    given: Option<&Spanned<String>>,
    key: &str,
    [first, second, third]: [(&str, T); 3],
    problems: &mut Problems<'_>,
) -> T {
    let Some(given) = given else { return first.1 };
    let found = [first, second, third].into_iter().find(|(word, _)| word == given.get_ref());
    if let Some((_, value)) = found {
        return value;
    }
    let remedy = format!("write \"{}\", \"{}\" or \"{}\"", first.0, second.0, third.0);
    problems.add(Some(given.span()), key, format!("\"{}\" is none of its words", given.get_ref()), remedy);
    first.1
}

/// Checks the suffixes.
fn domains(list: Option<&Spanned<Vec<Spanned<String>>>>, problems: &mut Problems<'_>) -> Vec<WireName> {
    const KEY: &str = "containerdns_api.domains";
    let Some(list) = list else { return DOMAIN_DEFAULT.parse().into_iter().collect() };
    if list.get_ref().is_empty() {
        problems.add(Some(list.span()), KEY, "no suffix is given", "name one or more, or remove the key");
    }
    let mut domains: Vec<WireName> = Vec::new();
    for entry in list.get_ref() {
        match entry.get_ref().parse::<WireName>().map(|name| name.to_lowercase()) {
            Ok(name) if name.label_count() == 0 => {
                problems.add(
                    Some(entry.span()),
                    KEY,
                    "the root is no suffix of yours",
                    "write a name such as \"example.org.\"",
                );
            }
            Ok(name) if domains.contains(&name) => {
                problems.add(Some(entry.span()), KEY, format!("{name} is named before"), "name each suffix once");
            }
            Ok(name) => domains.push(name),
            Err(error) => {
                let message = format!("\"{}\" is no domain name: {error}", entry.get_ref());
                problems.add(Some(entry.span()), KEY, message, "write a name such as \"example.org.\"");
            }
        }
    }
    domains
}
