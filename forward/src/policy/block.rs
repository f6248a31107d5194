//! Lists of names that are not asked for.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use ringdns_controlplane::config::forward::{BlockAnswer, BlockFile, BlockFormat};
use ringdns_engine::rtype::types;

use super::Ruling;
use super::hosts::split;
use super::lines::{Name, each};
use super::made::Making;
use super::names::{Full, Hit, Names, Scope};
use super::rpz;

/// How long such an answer holds, in seconds: a name that is taken off a list is there a minute later.
const TTL_SECONDS: u32 = 60;

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

/// What is done about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Others are asked all the same.
    Pass,
    /// There is no such name.
    Nxdomain,
    /// It has nothing.
    Nodata,
    /// REFUSED.
    Refused,
    /// Nothing is answered.
    Drop,
    /// These are its addresses.
    Addresses(Vec<IpAddr>),
}

impl From<&BlockAnswer> for Action {
    fn from(answer: &BlockAnswer) -> Self {
        match answer {
            BlockAnswer::Nxdomain => Self::Nxdomain,
            BlockAnswer::Nodata => Self::Nodata,
            BlockAnswer::Refused => Self::Refused,
            BlockAnswer::Drop => Self::Drop,
            BlockAnswer::Addresses(addresses) => Self::Addresses(addresses.to_vec()),
        }
    }
}

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
    /// Names that were taken.
    pub names: usize,
    /// Lines that say nothing that is known.
    pub faults: usize,
    /// The first of them, counted from 1; 0: there is none.
    pub first_fault: usize,
    /// Entries of a response policy zone that are not supported: triggers by address or name server, and other rewriting.
    pub unsupported: usize,
}

impl FileReport {
    /// Notes a line that says nothing.
    pub(super) fn fault(&mut self, line: usize) {
        if self.faults == 0 {
            self.first_fault = line;
        }
        self.faults += 1;
    }
}

/// The lists.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Their names.
    names: Names,
    /// What is done.
    actions: Vec<Action>,
}

impl Blocks {
    /// Reads lists; the first one that has a name decides.
    pub(super) fn read(files: &[BlockFile]) -> Result<(Self, Vec<FileReport>), BlockError> {
        let mut blocks = Self::default();
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
            if report.names == 0 && report.faults > 0 {
                let FileReport { path, faults, first_fault: line, .. } = report;
                return Err(BlockError::Nothing { path, faults, line });
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

    /// What is done about a name, and the byte where the entry's name begins in it.
    fn find(&self, name: &[u8]) -> Option<(&Action, usize)> {
        let Hit { action, at, .. } = self.names.find(name)?;
        Some((self.actions.get(usize::try_from(action).ok()?)?, at))
    }

    /// True where something is done about a name.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.names.find(name).is_some()
    }

    /// The ruling about a question; nothing where no list has the name.
    pub(super) fn rule(&self, name: &[u8], qtype: u16) -> Option<Ruling> {
        let (action, at) = self.find(name)?;
        let answer = |answer| Some(Ruling::Answer(std::sync::Arc::new(answer)));
        match action {
            Action::Pass => Some(Ruling::Ask),
            Action::Nxdomain => answer(Making::new(TTL_SECONDS).nothing(false, at)),
            Action::Nodata => answer(Making::new(TTL_SECONDS).nothing(true, at)),
            Action::Refused => Some(Ruling::Refuse),
            Action::Drop => Some(Ruling::Drop),
            Action::Addresses(addresses) => {
                let is_asked = |address: &&IpAddr| {
                    qtype == types::ANY || qtype == if address.is_ipv4() { types::A } else { types::AAAA }
                };
                let wanted = addresses.iter().filter(is_asked);
                let made = wanted.fold(Making::new(TTL_SECONDS), |making, address| making.address(*address)).done();
                answer(if made.counts[0] == 0 { Making::new(TTL_SECONDS).nothing(true, at) } else { made })
            }
        }
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
                        self.report.fault(number);
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

    /// Adds a name; gives what is done about it already where the file has it.
    pub(super) fn add(&mut self, name: &[u8], scope: Scope, action: u32) -> Option<u32> {
        match self.blocks.names.add(name, self.file, scope, action) {
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

    /// Adds an address to a name, or begins with it.
    pub(super) fn add_address(&mut self, name: &[u8], scope: Scope, address: IpAddr) {
        // It is of this name alone, and so none of those that are looked for.
        self.blocks.actions.push(Action::Addresses(vec![address]));
        let number = u32::try_from(self.blocks.actions.len() - 1).unwrap_or(u32::MAX);
        let Some(known) = self.add(name, scope, number) else { return };
        self.blocks.actions.pop();
        let known = usize::try_from(known).ok().and_then(|known| self.blocks.actions.get_mut(known));
        if let Some(Action::Addresses(addresses)) = known
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
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
                    self.add(name.wire(), Scope::Name, action);
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
            self.add(name.wire(), scope, action);
        }
        name.is_some()
    }
}
