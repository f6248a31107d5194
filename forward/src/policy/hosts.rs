//! Names and addresses as in /etc/hosts.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use ringdns_controlplane::config::forward::{HostsEntry, NAME_RECORDS_MAX};
use ringdns_engine::recall::KeptAnswer;
use ringdns_engine::rtype::types;

use super::action::Asked;
use super::block::FileReport;
use super::lines::{Name, each};
use super::made::Making;

/// Most names and addresses of all files: who has more has a zone.
const ENTRIES_MAX: usize = 1_000_000;

/// Why a line, or a part of it, is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NoEntry {
    /// It says nothing.
    #[error("it has no address, or no name behind it")]
    Unread,
    /// Its name has too many addresses.
    #[error("a name of it has {NAME_RECORDS_MAX} addresses already; serve it from a zone")]
    Addresses,
    /// There are too many of all.
    #[error("there are {ENTRIES_MAX} names or addresses already; name fewer files")]
    Full,
}

/// Names with their addresses, and addresses with their names.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// By name, in lower case.
    names: HashMap<Box<[u8]>, Vec<IpAddr>>,
    /// By the name of the reverse tree: the first name of each address.
    reverse: HashMap<Box<[u8]>, Box<[u8]>>,
    /// TTL in seconds.
    ttl: u32,
}

impl Hosts {
    /// None yet.
    pub(super) fn new(ttl: u32) -> Self {
        Self { ttl, ..Self::default() }
    }

    /// Names.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Adds an entry that was checked.
    pub(super) fn add_entry(&mut self, entry: &HostsEntry) {
        for name in &entry.names {
            let added = self.add(entry.address, name.as_bytes());
            debug_assert_eq!(added, Ok(()), "how many addresses a name has was checked too");
        }
    }

    /// Adds those of a file; tells what was found, and which lines are none. What is over a bound is none.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<FileReport> {
        let before = self.len();
        let mut report = FileReport { path: path.to_owned(), ..FileReport::default() };
        each(path, |number, line| {
            if let Err(why) = line.ok_or(NoEntry::Unread).and_then(|line| self.read_line(line)) {
                report.fault(number, || why.to_string());
            }
        })?;
        report.names = self.len() - before;
        Ok(report)
    }

    /// Adds the entry of a line, as far as it is one; a comment is none, and no mistake.
    fn read_line(&mut self, line: &[u8]) -> Result<(), NoEntry> {
        let Some((address, names)) = split(line) else { return Ok(()) };
        let Ok(address) = address.parse::<IpAddr>() else {
            // fe80::1%lo0: an address of a link is nobody's answer.
            return if address.contains('%') { Ok(()) } else { Err(NoEntry::Unread) };
        };
        let mut all = Ok(());
        for name in names {
            let is_full = self.names.len().max(self.reverse.len()) >= ENTRIES_MAX;
            let added = match Name::read(name) {
                None => Err(NoEntry::Unread),
                Some(_) if is_full => Err(NoEntry::Full),
                Some(name) => self.add(address, name.wire()),
            };
            all = all.and(added);
        }
        all
    }

    /// Adds a name of an address.
    fn add(&mut self, address: IpAddr, name: &[u8]) -> Result<(), NoEntry> {
        let addresses = self.names.entry(name.into()).or_default();
        if !addresses.contains(&address) {
            if addresses.len() >= NAME_RECORDS_MAX {
                return Err(NoEntry::Addresses);
            }
            addresses.push(address);
        }
        // An address for everything that is to lead nowhere has no name.
        if !address.is_unspecified() {
            self.reverse.entry(reverse(address).into()).or_insert_with(|| name.into());
        }
        Ok(())
    }

    /// True where a name is answered here.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.names.contains_key(name) || self.reverse.contains_key(name)
    }

    /// The answer for a name. Of a name that is here all is here: without an address of a family it has none.
    pub(super) fn answer(&self, asked: Asked<'_>) -> Option<KeptAnswer> {
        let nothing = || Making::new(self.ttl).nothing(true, 0);
        if let Some(target) = self.reverse.get(asked.name) {
            let is_wanted = asked.wants(types::PTR);
            return Some(if is_wanted { Making::new(self.ttl).pointer(target).done() } else { nothing() });
        }
        let addresses = self.names.get(asked.name)?;
        let answer = addresses
            .iter()
            .filter(|address| asked.wants_address(**address))
            .fold(Making::new(self.ttl), |making, address| making.address(*address))
            .done();
        Some(if answer.counts[0] == 0 { nothing() } else { answer })
    }
}

/// The address and the names of a line; nothing where it is empty, or only a comment.
pub(super) fn split(line: &[u8]) -> Option<(&str, impl Iterator<Item = &[u8]>)> {
    let text = line.split(|byte| *byte == b'#').next().unwrap_or_default();
    let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    // What is no text is no address.
    let address = std::str::from_utf8(words.next()?).unwrap_or("?");
    Some((address, words))
}

/// The name of an address in the reverse tree (RFC 1035 section 3.5, RFC 3596 section 2.5), in wire form.
fn reverse(address: IpAddr) -> Vec<u8> {
    let mut name = Vec::with_capacity(74);
    let mut label = |text: &str| {
        name.push(u8::try_from(text.len()).unwrap_or_default());
        name.extend_from_slice(text.as_bytes());
    };
    match address {
        IpAddr::V4(address) => {
            address.octets().iter().rev().for_each(|octet| label(&octet.to_string()));
            label("in-addr");
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.for_each(|nibble| label(&format!("{nibble:x}")));
            label("ip6");
        }
    }
    label("arpa");
    name.push(0);
    name
}
