//! All that is decided by names, as it is at one time.

use std::path::PathBuf;
use std::sync::Arc;

use ringdns_controlplane::config::{AaaaMode, Config, PolicyConfig};
use ringdns_engine::name::WireName;
use ringdns_engine::recall::ForeignQuestion;
use ringdns_engine::rtype::types;

use super::Ruling;
use super::block::{BlockError, Blocks, FileReport};
use super::hosts::Hosts;
use super::local::LocalNames;
use super::made::Making;

/// How long it is told that there are no AAAA records, in seconds.
const NO_AAAA_TTL_SECONDS: u32 = 60;

/// What the tables are made of, but for what is in files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recipe {
    /// The policies.
    policy: PolicyConfig,
    /// Zones that others are asked for by name.
    asked: Vec<WireName>,
    /// No name has AAAA records.
    without_aaaa: bool,
}

impl Recipe {
    /// What a configuration says.
    pub(super) fn new(config: &Config) -> Self {
        let zones = config.forward.iter().flat_map(|forward| &forward.zones);
        let asked = zones.map(|zone| zone.zone.to_lowercase()).filter(|zone| *zone != WireName::root());
        Self {
            policy: config.policy.clone(),
            asked: asked.collect(),
            without_aaaa: config.dns.aaaa == AaaaMode::Nodata,
        }
    }

    /// The files that it needs.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let blocks = self.policy.block_files.iter().map(|file| file.path.clone());
        blocks.chain(self.policy.hosts_files.iter().cloned()).collect()
    }
}

/// The tables.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Names and addresses.
    hosts: Hosts,
    /// Names of special use.
    local: LocalNames,
    /// Names that are not asked for.
    blocks: Blocks,
    /// No name has AAAA records.
    without_aaaa: bool,
}

impl Tables {
    /// Makes them, and tells what was found in files.
    pub(super) fn make(recipe: &Recipe) -> Result<(Self, Vec<FileReport>), BlockError> {
        let policy = &recipe.policy;
        let (blocks, mut reports) = Blocks::read(&policy.block_files)?;
        let mut hosts = Hosts::new(policy.hosts_ttl);
        policy.hosts.iter().for_each(|entry| hosts.add_entry(entry));
        for path in &policy.hosts_files {
            let before = hosts.len();
            let (faults, first) =
                hosts.read(path).map_err(|error| BlockError::Unreadable { path: path.clone(), error })?;
            let (names, first_fault) = (hosts.len() - before, first.unwrap_or_default());
            reports.push(FileReport { path: path.clone(), names, faults, first_fault, unsupported: 0 });
        }
        let asked = recipe.asked.iter().map(|zone| zone.as_bytes().to_vec()).collect();
        let local = LocalNames::new(policy.local_names, policy.local_reverse, asked);
        Ok((Self { hosts, local, blocks, without_aaaa: recipe.without_aaaa }, reports))
    }

    /// What becomes of a question.
    pub(super) fn rule(&self, question: &ForeignQuestion) -> Ruling {
        let (name, qtype) = (question.name.as_bytes(), question.qtype);
        let no_aaaa = || Ruling::Answer(Arc::new(Making::new(NO_AAAA_TTL_SECONDS).nothing(true, 0)));
        let is_without = self.without_aaaa && qtype == types::AAAA;
        let own = self.hosts.answer(name, qtype).or_else(|| self.local.answer(name, qtype));
        if let Some(answer) = own {
            return if is_without && answer.counts[0] > 0 { no_aaaa() } else { Ruling::Answer(Arc::new(answer)) };
        }
        match self.blocks.rule(name, qtype) {
            Some(Ruling::Answer(answer)) if is_without && answer.counts[0] > 0 => no_aaaa(),
            Some(Ruling::Ask) | None if is_without => no_aaaa(),
            Some(ruling) => ruling,
            None => Ruling::Ask,
        }
    }

    /// True where something else than asking may become of questions for a name.
    pub(super) fn is_about(&self, name: &[u8]) -> bool {
        self.hosts.has(name) || self.local.has(name) || self.blocks.has(name)
    }

    /// True where AAAA records are answered otherwise by others.
    pub(super) fn differs_for_aaaa(&self, other: &Self) -> bool {
        self.without_aaaa != other.without_aaaa
    }

    /// Names that are not asked for, and names of hosts.
    pub(super) fn sizes(&self) -> [usize; 2] {
        [self.blocks.len(), self.hosts.len()]
    }
}
