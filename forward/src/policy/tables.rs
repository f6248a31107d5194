//! All that is decided by names, as it is at one time.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ringdns_controlplane::config::{AaaaMode, Config, PolicyConfig};
use ringdns_engine::name::WireName;
use ringdns_engine::rate::Network;
use ringdns_engine::recall::ForeignQuestion;
use ringdns_engine::rtype::types;

use super::Ruling;
use super::action::Asked;
use super::block::{BlockError, Blocks, FileReport};
use super::hosts::Hosts;
use super::local::LocalNames;
use super::made::Making;
use crate::forwarder::Entry;

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
    /// The clients that they name.
    judged: Arc<[Network]>,
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
            let report = hosts.read(path);
            reports.push(report.map_err(|error| BlockError::Unreadable { path: path.clone(), error })?);
        }
        let asked = recipe.asked.iter().map(|zone| zone.as_bytes().to_vec()).collect();
        let local = LocalNames::new(policy.local_names, policy.local_reverse, asked);
        let judged = blocks.clients().into();
        Ok((Self { hosts, local, blocks, judged, without_aaaa: recipe.without_aaaa }, reports))
    }

    /// What becomes of a question.
    pub(super) fn rule(&self, question: &ForeignQuestion) -> Ruling {
        let asked = self.asked(&question.name, question.qtype);
        self.own(asked).unwrap_or_else(|| {
            let ruling = self.blocks.rule(asked, question.client, question.is_stream);
            self.without_aaaa(asked, ruling.unwrap_or(Ruling::Ask))
        })
    }

    /// What becomes of a name that an alias leads to, where the first so many lists have a say.
    pub(super) fn rule_target(&self, name: &WireName, qtype: u16, lists: u8) -> Ruling {
        let asked = self.asked(name, qtype);
        self.own(asked).unwrap_or_else(|| {
            let ruling = self.blocks.rule_target(asked, lists);
            self.without_aaaa(asked, ruling.unwrap_or(Ruling::Ask))
        })
    }

    /// What becomes of an answer with addresses, where the first so many lists have a say.
    pub(super) fn rule_addresses(
        &self,
        name: &WireName,
        qtype: u16,
        lists: u8,
        found: &[(WireName, IpAddr)],
    ) -> Ruling {
        self.blocks.rule_addresses(self.asked(name, qtype), lists, found).unwrap_or(Ruling::Ask)
    }

    /// A question.
    fn asked<'a>(&self, name: &'a WireName, qtype: u16) -> Asked<'a> {
        Asked { name: name.as_bytes(), qtype, hides_aaaa: self.without_aaaa }
    }

    /// What is known here of a name.
    fn own(&self, asked: Asked<'_>) -> Option<Ruling> {
        let answer = self.hosts.answer(asked).or_else(|| self.local.answer(asked))?;
        Some(Ruling::Answer(Arc::new(answer)))
    }

    /// The ruling, but for a question that others need not be asked.
    fn without_aaaa(&self, asked: Asked<'_>, ruling: Ruling) -> Ruling {
        match ruling {
            Ruling::Ask | Ruling::AskApart(_) | Ruling::Follow(..)
                if self.without_aaaa && asked.qtype == types::AAAA =>
            {
                Ruling::Answer(Arc::new(Making::new(NO_AAAA_TTL_SECONDS).nothing(true, 0)))
            }
            ruling => ruling,
        }
    }

    /// True where something else than asking may become of questions for a name.
    pub(super) fn is_about(&self, name: &[u8]) -> bool {
        self.hosts.has(name) || self.local.has(name) || self.blocks.has(name)
    }

    /// True where an answer that was asked for and kept may be another: for its name, a name that an alias in it leads to, or an
    /// address in it.
    pub(super) fn touches(&self, entry: &Entry) -> bool {
        if self.is_about(entry.name.as_bytes()) {
            return true;
        }
        let Ok([answers, _]) = entry.records() else { return true };
        answers.iter().any(|record| match record.rtype {
            types::CNAME | types::DNAME => {
                record.target().is_some_and(|target| self.is_about(target.to_lowercase().as_bytes()))
            }
            _ => record.address().is_some_and(|address| self.blocks.has_address(address)),
        })
    }

    /// True where AAAA records are shown to nobody.
    pub(super) fn hides_aaaa(&self) -> bool {
        self.without_aaaa
    }

    /// The clients whose questions are judged each time.
    pub(super) fn judged(&self) -> &Arc<[Network]> {
        &self.judged
    }

    /// Names that are not asked for, and names of hosts.
    pub(super) fn sizes(&self) -> [usize; 2] {
        [self.blocks.len(), self.hosts.len()]
    }
}
