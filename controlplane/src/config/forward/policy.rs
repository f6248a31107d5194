//! `[policy]`: what is decided about names of others before anybody is asked.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringdns_engine::name::WireName;
use ringdns_engine::rate::Network;
use ringdns_engine::recall::{ClientLists, Denial, LOCAL_NETWORKS};
use toml::Spanned;

use super::spec::{self, List};
use crate::config::file::Words;
use crate::config::problem::Problems;
use crate::config::validate::number;
use crate::config::value::{network, word};

/// Most networks of a list.
const NETWORKS_MAX: usize = 65_536;

/// Most files of names that are not asked for.
const BLOCK_FILES_MAX: usize = 64;

/// The TTL in seconds of what hosts files say, by default: they change now and then.
const HOSTS_TTL_SECONDS: i64 = 60;

/// Most addresses that are answered for a name that is not asked for.
const ANSWER_ADDRESSES_MAX: usize = 8;

/// Most addresses of a name of hosts, and most records of a name of a list: they are one answer.
pub const NAME_RECORDS_MAX: usize = 256;

/// What is decided about names of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyConfig {
    /// Networks whose clients may ask; the smallest network that a client is of decides.
    pub allow: Vec<Network>,
    /// Networks whose clients may not.
    pub deny: Vec<Network>,
    /// What those are told.
    pub denial: Denial,
    /// Names that are not asked for; the first file that has a name decides.
    pub block_files: Vec<BlockFile>,
    /// Files in the form of /etc/hosts.
    pub hosts_files: Vec<PathBuf>,
    /// The same as given.
    pub hosts: Vec<HostsEntry>,
    /// The TTL in seconds of what they say.
    pub hosts_ttl: u32,
    /// Names of special use, such as localhost, are answered here.
    pub local_names: bool,
    /// So are the reverse zones of private addresses (RFC 6303).
    pub local_reverse: bool,
}

/// A file of names that are not asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockFile {
    /// It.
    pub path: PathBuf,
    /// Its form.
    pub format: BlockFormat,
    /// What is answered; nothing: what the file says, or NXDOMAIN where it cannot.
    pub answer: Option<BlockAnswer>,
}

/// The form of such a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockFormat {
    /// As /etc/hosts: the names, whatever their address.
    Hosts,
    /// A name a line, which is for all names below it too.
    Domains,
    /// A response policy zone.
    Rpz,
}

/// What is answered for a name that is not asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockAnswer {
    /// There is no such name.
    Nxdomain,
    /// It has nothing of that type.
    Nodata,
    /// REFUSED.
    Refused,
    /// Nothing.
    Drop,
    /// These addresses.
    Addresses(Arc<[IpAddr]>),
}

/// A line of a hosts file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsEntry {
    /// The address.
    pub address: IpAddr,
    /// Its names, the first of which is that of the address.
    pub names: Vec<WireName>,
}

impl PolicyConfig {
    /// Who may ask, as workers look it up. Where nobody is named, networks that are not reached from the Internet may.
    pub fn clients(&self) -> ClientLists {
        self.clients_judged(&[])
    }

    /// The same, where clients of some networks are told what is theirs alone.
    pub fn clients_judged(&self, judged: &[Network]) -> ClientLists {
        ClientLists::with_judged(&self.allow, &self.deny, judged, self.denial)
    }
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            allow: local_networks(),
            deny: Vec::new(),
            denial: Denial::default(),
            block_files: Vec::new(),
            hosts_files: Vec::new(),
            hosts: Vec::new(),
            hosts_ttl: u32::try_from(HOSTS_TTL_SECONDS).unwrap_or_default(),
            local_names: true,
            local_reverse: true,
        }
    }
}

/// Networks that are not reached from the Internet.
fn local_networks() -> Vec<Network> {
    LOCAL_NETWORKS.iter().filter_map(|&(address, prefix)| Network::new(address, prefix)).collect()
}

impl HostsEntry {
    /// Reads a line; nothing where it is empty, or only a comment. The error is what is wrong.
    pub fn parse(line: &str) -> Result<Option<Self>, String> {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(address) = words.next() else { return Ok(None) };
        let address = address.parse().map_err(|_| format!("\"{address}\" is no address"))?;
        let name = |word: &str| {
            let name = word.parse::<WireName>().map_err(|error| format!("\"{word}\" is no name: {error}"))?;
            Ok(name.to_lowercase())
        };
        let names = words.map(name).collect::<Result<Vec<_>, String>>()?;
        if names.is_empty() { Err("no name follows the address".to_owned()) } else { Ok(Some(Self { address, names })) }
    }
}

/// Checks the table.
pub(in crate::config) fn policy(
    spec: Option<Spanned<spec::Policy>>,
    is_forwarding: bool,
    base: &Path,
    problems: &mut Problems<'_>,
) -> PolicyConfig {
    let Some(spanned) = spec else { return PolicyConfig::default() };
    if !is_forwarding {
        let message = "it is about names of others, which are not asked for";
        problems.add(Some(spanned.span()), "policy", message, "add [forward], or remove the table");
    }
    let spec = spanned.into_inner();
    let denials = [("refused", Denial::Refuse), ("drop", Denial::Drop)];
    let ttl = number(
        spec.hosts_ttl_seconds.as_ref(),
        "policy.hosts_ttl_seconds",
        0..=86_400,
        " seconds",
        HOSTS_TTL_SECONDS,
        problems,
    );
    PolicyConfig {
        allow: match &spec.allow {
            Some(_) => networks(&spec.allow, "policy.allow", problems),
            None => local_networks(),
        },
        deny: networks(&spec.deny, "policy.deny", problems),
        denial: word(spec.deny_answer.as_ref(), "policy.deny_answer", &denials, Denial::default(), problems),
        block_files: block_files(&spec.block_files, base, problems),
        hosts_files: spec
            .hosts_files
            .iter()
            .flatten()
            .map(|file| readable(file, "policy.hosts_files", base, problems))
            .collect(),
        hosts: hosts(&spec.hosts, problems),
        hosts_ttl: u32::try_from(ttl).unwrap_or_default(),
        local_names: spec.local_names.unwrap_or(true),
        local_reverse: spec.local_reverse.unwrap_or(true),
    }
}

/// Networks of clients.
fn networks(list: &List, key: &str, problems: &mut Problems<'_>) -> Vec<Network> {
    let Some(list) = list else { return Vec::new() };
    if list.get_ref().is_empty() && key == "policy.allow" {
        let remedy = "name those who may ask, or remove the key: then private networks may";
        problems.add(Some(list.span()), key, "nobody may ask", remedy);
    }
    if list.get_ref().len() > NETWORKS_MAX {
        let message = format!("{} networks are given", list.get_ref().len());
        problems.add(Some(list.span()), key, message, format!("keep to {NETWORKS_MAX}"));
    }
    list.get_ref().iter().filter_map(|entry| network(entry, key, problems)).collect()
}

/// Files of names that are not asked for.
fn block_files(specs: &[Spanned<spec::Block>], base: &Path, problems: &mut Problems<'_>) -> Vec<BlockFile> {
    if let Some(first) = specs.get(BLOCK_FILES_MAX) {
        let message = format!("{} files are given", specs.len());
        problems.add(Some(first.span()), "policy.block_files", message, format!("keep to {BLOCK_FILES_MAX}"));
    }
    let mut files = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let (prefix, spec) = (format!("policy.block_files[{index}]"), spec.get_ref());
        let formats = [("hosts", BlockFormat::Hosts), ("domains", BlockFormat::Domains), ("rpz", BlockFormat::Rpz)];
        files.push(BlockFile {
            path: readable(&spec.path, &format!("{prefix}.path"), base, problems),
            format: word(Some(&spec.format), &format!("{prefix}.format"), &formats, BlockFormat::Domains, problems),
            answer: spec.answer.as_ref().and_then(|answer| block_answer(answer, &format!("{prefix}.answer"), problems)),
        });
    }
    files
}

/// What is answered for the names of a file.
fn block_answer(given: &Spanned<Words>, key: &str, problems: &mut Problems<'_>) -> Option<BlockAnswer> {
    let words: &[String] = match given.get_ref() {
        Words::One(word) => match word.as_str() {
            "nxdomain" => return Some(BlockAnswer::Nxdomain),
            "nodata" => return Some(BlockAnswer::Nodata),
            "refused" => return Some(BlockAnswer::Refused),
            "drop" => return Some(BlockAnswer::Drop),
            _ => std::slice::from_ref(word),
        },
        Words::Each(words) => words,
    };
    let addresses: Result<Vec<IpAddr>, _> = words.iter().map(|word| word.parse()).collect();
    match addresses {
        Ok(addresses) if (1..=ANSWER_ADDRESSES_MAX).contains(&addresses.len()) => {
            Some(BlockAnswer::Addresses(addresses.into()))
        }
        _ => {
            let remedy = format!(
                "write \"nxdomain\", \"nodata\", \"refused\", \"drop\", or up to {ANSWER_ADDRESSES_MAX} addresses: [\"0.0.0.0\", \"::\"]"
            );
            let message = format!("\"{}\" is no answer", words.join(" "));
            problems.add(Some(given.span()), key, message, remedy);
            None
        }
    }
}

/// Lines of a hosts file.
fn hosts(list: &List, problems: &mut Problems<'_>) -> Vec<HostsEntry> {
    let (mut entries, mut addresses) = (Vec::<HostsEntry>::new(), HashMap::<WireName, HashSet<IpAddr>>::new());
    for entry in list.iter().flat_map(Spanned::get_ref) {
        match HostsEntry::parse(entry.get_ref()) {
            Ok(found) => {
                for (name, address) in found.iter().flat_map(|of| of.names.iter().map(|name| (name, of.address))) {
                    let addresses = addresses.entry(name.clone()).or_default();
                    if addresses.insert(address) && addresses.len() == NAME_RECORDS_MAX + 1 {
                        let message = format!("{name} has more than {NAME_RECORDS_MAX} addresses");
                        problems.add(Some(entry.span()), "policy.hosts", message, "make it a name of a zone of yours");
                    }
                }
                entries.extend(found);
            }
            Err(error) => {
                let message = format!("\"{}\" is no entry: {error}", entry.get_ref());
                problems.add(Some(entry.span()), "policy.hosts", message, "write \"192.0.2.1 a.example b.example\"");
            }
        }
    }
    entries
}

/// A file relative to the configuration's, which must be there.
pub(super) fn readable(file: &Spanned<PathBuf>, key: &str, base: &Path, problems: &mut Problems<'_>) -> PathBuf {
    let path = base.join(file.get_ref());
    let error = match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_dir() => Some("it is a directory".to_owned()),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    };
    if let Some(error) = error {
        let message = format!("{} cannot be read: {error}", path.display());
        problems.add(Some(file.span()), key, message, "name a file that RingDNS may read, or remove the entry");
    }
    path
}
