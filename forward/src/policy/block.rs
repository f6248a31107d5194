//! Lists of names that are not asked for.

use std::cmp::Reverse;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use ringdns_controlplane::config::forward::{BlockFile, BlockFormat};
use ringdns_engine::name::WireName;
use ringdns_engine::rate::Network;

use super::action::{Action, Asked, too_long_for_udp, unkept};
use super::hosts::split;
use super::lines::{Name, each};
use super::names::{Full, Hit, Names, Scope};
use super::networks::{Networks, Prefix};
use super::{ALL_LISTS, Apart, Ruling, rpz};

/// Lines with something wrong that are told of each file, beside how many there are.
const FAULTS_TOLD_MAX: usize = 10;

/// Names in hosts files that are this machine's own, and not to be kept from anybody.
const OWN_NAMES: &[&[u8]] = &[
    b"localhost",
    b"localhost.localdomain",
    b"local",
    b"broadcasthost",
    b"ip6-localhost",
    b"ip6-loopback",
    b"ip6-localnet",
    b"ip6-mcastprefix",
    b"ip6-allnodes",
    b"ip6-allrouters",
    b"ip6-allhosts",
];

/// Why a list is not taken.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There are too many names.
    #[error("{} has more names than can be held; name fewer or smaller lists", .0.display())]
    Full(PathBuf),
    /// Nothing of a file is a name.
    #[error("{} has no name in it, and {faults} lines that are none, line {line} first; is its format the one that is configured?", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// Lines that are none.
        faults: usize,
        /// The first of them.
        line: usize,
    },
}

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Names and networks that were taken.
    pub names: usize,
    /// Lines that say nothing that is known.
    pub faults: usize,
    /// The first of them: the line, counted from 1, and what is wrong with it.
    pub first_faults: Vec<(usize, String)>,
    /// Entries of a response policy zone that are triggered by name servers (rpz-nsdname, rpz-nsip): whoever asks upstreams does not
    /// learn of these.
    pub of_servers: usize,
    /// Entries of a response policy zone that have addresses in answers asked for by TCP.
    pub unsupported: usize,
}

impl FileReport {
    /// Notes a line that says nothing.
    pub(super) fn fault(&mut self, line: usize, why: impl FnOnce() -> String) {
        self.faults += 1;
        if self.first_faults.len() < FAULTS_TOLD_MAX {
            self.first_faults.push((line, why()));
        }
    }
}

/// What an entry of a list is about.
#[derive(Clone, Copy)]
pub(super) enum Trigger<'a> {
    /// Questions for a name.
    Name(&'a [u8], Scope),
    /// Questions of clients.
    Client(Prefix),
    /// Answers with an address.
    Address(Prefix),
}

/// The lists.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Their names.
    names: Names,
    /// Their networks of clients.
    clients: Networks,
    /// Their networks of addresses in answers.
    addresses: Networks,
    /// What is done.
    actions: Vec<Action>,
    /// Tells what is of these lists from what is of those before.
    generation: u32,
}

/// How often lists were read.
static GENERATIONS: AtomicU32 = AtomicU32::new(1);

impl Blocks {
    /// Reads lists; the first one that has a name decides.
    pub(super) fn read(files: &[BlockFile]) -> Result<(Self, Vec<FileReport>), BlockError> {
        let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed);
        let mut blocks = Self { generation, ..Self::default() };
        let mut reports = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let mut adding = Adding {
                blocks: &mut blocks,
                // There are 64 at most.
                file: u8::try_from(number).unwrap_or(u8::MAX),
                is_full: false,
                report: FileReport { path: file.path.clone(), ..FileReport::default() },
            };
            adding.read(file).map_err(|error| BlockError::Unreadable { path: file.path.clone(), error })?;
            let Adding { is_full, report, .. } = adding;
            if is_full {
                return Err(BlockError::Full(report.path));
            }
            if let ([(line, _), ..], 0) = (&*report.first_faults, report.names) {
                return Err(BlockError::Nothing { line: *line, faults: report.faults, path: report.path });
            }
            reports.push(report);
        }
        blocks.names.shrink();
        Ok((blocks, reports))
    }

    /// Names.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// True where something is done about a name.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.names.find(name, ALL_LISTS).is_some()
    }

    /// True where something is done about answers with an address.
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.find(address, ALL_LISTS).is_some()
    }

    /// The clients whose questions something is done about, whatever they are.
    pub(super) fn clients(&self) -> Vec<Network> {
        self.clients.networks()
    }

    /// Something to be done, by its number.
    fn action(&self, number: u32) -> &Action {
        usize::try_from(number).ok().and_then(|number| self.actions.get(number)).unwrap_or(&Action::Pass)
    }

    /// Who asks by what an entry lets pass that is not for everybody.
    fn apart(&self, is_name: bool, action: u32, lists: u8) -> Apart {
        let entry = u64::from(self.generation) << 33 | u64::from(is_name) << 32 | u64::from(action);
        Apart { entry, lists }
    }

    /// The ruling about a client's question; nothing where no list has anything to say of it. In a list what is said of the client
    /// counts for more than what is said of the name.
    pub(super) fn rule(&self, asked: Asked<'_>, client: IpAddr, is_stream: bool) -> Option<Ruling> {
        let of_client = if self.clients.is_empty() { None } else { self.clients.find(client, ALL_LISTS) };
        let of_name = self.names.find(asked.name, ALL_LISTS);
        let by_name = of_name.filter(|name| of_client.is_none_or(|client| name.file < client.file));
        let its_own = of_client.map(|client| self.apart(false, client.action, client.file));
        if let Some(Hit { file, action, at }) = by_name {
            return Some(match self.action(action) {
                Action::TcpOnly if !is_stream => too_long_for_udp(),
                Action::TcpOnly => Ruling::AskApart(self.apart(true, action, file)),
                action => action.ruling(asked, at).unwrap_or(its_own.map_or(Ruling::Ask, Ruling::AskApart)),
            });
        }
        let (of_client, its_own) = of_client.zip(its_own)?;
        let ruling = match self.action(of_client.action) {
            Action::TcpOnly if !is_stream => Some(too_long_for_udp()),
            action => action.ruling(asked, 0),
        };
        Some(match ruling {
            None => Ruling::AskApart(its_own),
            // What is made for one client is not for others.
            Some(Ruling::Answer(answer)) => Ruling::Answer(unkept(&answer)),
            Some(Ruling::Follow(answer, _)) => Ruling::Follow(answer, Some(its_own)),
            Some(ruling) => ruling,
        })
    }

    /// The ruling of the first so many lists about a name that an alias leads to.
    pub(super) fn rule_target(&self, asked: Asked<'_>, lists: u8) -> Option<Ruling> {
        let Hit { action, at, .. } = self.names.find(asked.name, lists)?;
        // Who waits came by whatever way; that its client is where it says does not matter for what others say.
        Some(self.action(action).ruling(asked, at).unwrap_or(Ruling::Ask))
    }

    /// The ruling of the first so many lists about an answer with addresses, each with its owner in lower case. Where a name is let
    /// pass its addresses are not looked at by that list, nor by those behind it.
    pub(super) fn rule_addresses(&self, asked: Asked<'_>, lists: u8, found: &[(WireName, IpAddr)]) -> Option<Ruling> {
        if self.addresses.is_empty() {
            return None;
        }
        let names = found.iter().map(|(owner, _)| owner.as_bytes()).chain([asked.name]);
        let lists = names.filter_map(|name| self.names.find(name, lists)).map(|hit| hit.file).fold(lists, u8::min);
        let hits = found.iter().filter_map(|(_, address)| self.addresses.find(*address, lists));
        let hit = hits.min_by_key(|hit| (hit.file, Reverse(hit.bits)))?;
        self.action(hit.action).ruling(asked, 0)
    }
}

/// Names of a file being added.
pub(super) struct Adding<'a> {
    /// To these.
    blocks: &'a mut Blocks,
    /// The number of the file.
    file: u8,
    /// There was no more room.
    is_full: bool,
    /// What was found.
    pub(super) report: FileReport,
}

impl Adding<'_> {
    /// Adds those of a file.
    fn read(&mut self, file: &BlockFile) -> io::Result<()> {
        let answer = file.answer.as_ref().map(Action::from);
        match file.format {
            BlockFormat::Rpz => {
                // It is opened first, so that what cannot be read is told as with the others.
                std::fs::File::open(&file.path)?;
                rpz::read(&file.path, answer, self);
                Ok(())
            }
            format => {
                let action = self.action(answer.unwrap_or(Action::Nxdomain));
                let read_line = match format {
                    BlockFormat::Hosts => Self::hosts_line,
                    _ => Self::domains_line,
                };
                each(&file.path, |number, line| {
                    if !line.is_some_and(|line| read_line(self, line, action)) {
                        self.report.fault(number, || "no name is read from it".to_owned());
                    }
                })
            }
        }
    }

    /// The number of something to be done.
    pub(super) fn action(&mut self, action: Action) -> u32 {
        let known = self.blocks.actions.iter().take(16).position(|known| *known == action);
        let number = known.unwrap_or_else(|| {
            self.blocks.actions.push(action);
            self.blocks.actions.len() - 1
        });
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// Adds what an entry is about; gives what is done about it already where the file has it.
    pub(super) fn add(&mut self, trigger: Trigger<'_>, action: u32) -> Option<u32> {
        let (blocks, file) = (&mut *self.blocks, self.file);
        let added = match trigger {
            Trigger::Name(name, scope) => blocks.names.add(name, file, scope, action),
            Trigger::Client(prefix) => blocks.clients.add(prefix, file, action),
            Trigger::Address(prefix) => blocks.addresses.add(prefix, file, action),
        };
        match added {
            Ok(None) => {
                self.report.names += 1;
                None
            }
            Ok(known) => known,
            Err(Full) => {
                self.is_full = true;
                None
            }
        }
    }

    /// Adds an entry of which there may be several, which make one; false where they do not go together.
    pub(super) fn join(&mut self, trigger: Trigger<'_>, action: Action) -> bool {
        if action.is_too_long() {
            return false;
        }
        // Records are of this name alone, and so none of those that are looked for.
        let number = match &action {
            Action::Data(_) => {
                self.blocks.actions.push(action.clone());
                u32::try_from(self.blocks.actions.len() - 1).unwrap_or(u32::MAX)
            }
            _ => self.action(action.clone()),
        };
        let Some(known) = self.add(trigger, number) else { return true };
        if matches!(action, Action::Data(_)) {
            self.blocks.actions.pop();
        }
        let known = usize::try_from(known).ok().and_then(|known| self.blocks.actions.get_mut(known));
        known.is_some_and(|known| known.join(action))
    }

    /// Adds the names of a line of a hosts file; false where it is none.
    fn hosts_line(&mut self, line: &[u8], action: u32) -> bool {
        let Some((address, names)) = split(line) else { return true };
        if address.parse::<IpAddr>().is_err() {
            return address.contains('%');
        }
        let mut is_right = true;
        for text in names.filter(|name| !OWN_NAMES.contains(name)) {
            // Some lists begin with "0.0.0.0 0.0.0.0".
            let is_address = std::str::from_utf8(text).is_ok_and(|text| text.parse::<IpAddr>().is_ok());
            match Name::read(text) {
                _ if is_address => {}
                Some(name) => {
                    self.add(Trigger::Name(name.wire(), Scope::Name), action);
                }
                None => is_right = false,
            }
        }
        is_right
    }

    /// Adds the name of a line that has but one, with those below it; false where it is none.
    fn domains_line(&mut self, line: &[u8], action: u32) -> bool {
        let text = line.split(|byte| matches!(byte, b'#' | b'!')).next().unwrap_or_default().trim_ascii();
        if text.is_empty() {
            return true;
        }
        let (text, scope) = match (text.strip_prefix(b"*."), text.strip_prefix(b".")) {
            (Some(text), _) => (text, Scope::Below),
            (None, text_below) => (text_below.unwrap_or(text), Scope::Tree),
        };
        let name = Name::read(text);
        if let Some(name) = &name {
            self.add(Trigger::Name(name.wire(), scope), action);
        }
        name.is_some()
    }
}
