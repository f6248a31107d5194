//! A zone as a whole: records gathered into RRsets, and the rules that no single record can be checked for.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringdns_engine::name::WireName;
use ringdns_engine::select::{Member, Mode, Selection};

use super::annotation::{Annotation, OfRrset};
use super::reader::{Record, Take};
use super::{Problem, Problems, ZoneError};
use crate::model::{Rrset, TTL_SECONDS_MAX, exclude_each_other};
use crate::text::rtype;

/// A zone that can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The zone's name.
    pub apex: WireName,
    /// Its RRsets, in the order of the file.
    pub rrsets: Vec<Rrset>,
    /// The line of the first record of each, in its file.
    pub lines: Vec<usize>,
    /// Records that the file has.
    pub records: u64,
    /// What is odd in the file and does not keep it from being served.
    pub warnings: Problems,
}

/// Where the first record of an RRset stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Index of the file.
    file: u32,
    /// Line in it.
    line: usize,
}

/// Gathers records.
#[derive(Debug)]
pub struct Builder {
    /// The zone's name.
    apex: WireName,
    /// The zone file, for problems of the zone as a whole.
    path: PathBuf,
    /// RRsets so far.
    rrsets: Vec<Rrset>,
    /// Where each of them starts.
    places: Vec<Place>,
    /// Index of an RRset by owner, type and view.
    index: HashMap<(WireName, u16, Option<Arc<str>>), usize>,
    /// Files that records stand in.
    files: Vec<PathBuf>,
    /// Records so far.
    records: u64,
    /// What is wrong.
    problems: Problems,
    /// What is odd.
    warnings: Problems,
}

impl Take for Builder {
    fn record(&mut self, record: Record, file: &Path, line: usize) {
        self.records += 1;
        let fault = if !self.apex.contains(&record.owner) {
            Some(format!("the owner is not in zone {}", self.apex))
        } else if record.ttl > TTL_SECONDS_MAX {
            Some(format!("the TTL {} is above {TTL_SECONDS_MAX} (RFC 2181 section 8)", record.ttl))
        } else {
            None
        };
        match fault {
            Some(message) => self.problems.add(problem(file, line, &record.owner, record.rtype, message)),
            None => self.gather(record, file, line),
        }
    }

    fn problem(&mut self, problem: Problem) {
        self.problems.add(problem);
    }
}

/// Notes how the records of an RRset are chosen from and what its last one is as a member. False where something else was said
/// of the RRset before.
fn select(rrset: &mut Rrset, words: &OfRrset, member: Member) -> bool {
    let says_nothing = member == Member::default() && words.mode.is_none() && words.answers_max.is_none();
    if rrset.selection.is_none() && says_nothing {
        return true;
    }
    let before = rrset.rdatas.len().saturating_sub(1);
    let Selection { mode, answers_max, members } = &mut **rrset.selection.get_or_insert_default();
    members.resize(before, Member::default());
    members.push(member);
    let is_other_mode = words.mode.is_some_and(|said| said != *mode && *mode != Mode::default());
    let is_other_max = words.answers_max.is_some_and(|said| said != *answers_max && *answers_max != 0);
    *mode = words.mode.unwrap_or(*mode);
    *answers_max = words.answers_max.unwrap_or(*answers_max);
    !is_other_mode && !is_other_max
}

/// A problem of one record or RRset.
fn problem(file: &Path, line: usize, owner: &WireName, rtype: u16, message: String) -> Problem {
    Problem { file: file.to_path_buf(), line, record: format!("{owner} {}", rtype::show(rtype)), message }
}

impl Builder {
    /// A zone without records.
    pub fn new(apex: WireName, path: PathBuf) -> Self {
        Self {
            apex,
            path,
            rrsets: Vec::new(),
            places: Vec::new(),
            index: HashMap::new(),
            files: Vec::new(),
            records: 0,
            problems: Problems::default(),
            warnings: Problems::default(),
        }
    }

    /// Puts a record into its RRset.
    fn gather(&mut self, record: Record, file: &Path, line: usize) {
        let Record { owner, rtype, ttl, rdata, annotation } = record;
        let member = annotation.as_deref().map(Annotation::member).unwrap_or_default();
        let words = annotation.map(|annotation| annotation.rrset).unwrap_or_default();
        let view = words.view.clone().flatten();
        // Records of an RRset mostly follow each other.
        let last = self.rrsets.last().filter(|last| last.rtype == rtype && last.owner == owner && last.view == view);
        let found = match last {
            Some(_) => Some(self.rrsets.len() - 1),
            None => self.index.get(&(owner.clone(), rtype, view.clone())).copied(),
        };
        let Some(index) = found else {
            self.index.insert((owner.clone(), rtype, view.clone()), self.rrsets.len());
            let mut rrset = Rrset { view, ..Rrset::new(owner, rtype, ttl, vec![rdata]) };
            select(&mut rrset, &words, member);
            self.rrsets.push(rrset);
            let file = self.file(file);
            self.places.push(Place { file, line });
            return;
        };
        let Some(rrset) = self.rrsets.get_mut(index) else { return };
        if rrset.ttl != ttl {
            // RFC 2181 section 5.2: "the TTLs of all RRs in an RRSet must be the same".
            let smallest = rrset.ttl.min(ttl);
            let message = format!("the TTL differs from that of the RRset's first record; {smallest} is served");
            self.warnings.add(problem(file, line, &owner, rtype, message));
            rrset.ttl = smallest;
        }
        rrset.rdatas.push(rdata);
        if !select(rrset, &words, member) {
            let message = "select or max is another one than for the RRset's records before".to_owned();
            self.problems.add(problem(file, line, &owner, rtype, message));
        }
    }

    /// Index of a file.
    fn file(&mut self, file: &Path) -> u32 {
        let index = match self.files.iter().rposition(|known| known == file) {
            Some(index) => index,
            None => {
                self.files.push(file.to_path_buf());
                self.files.len() - 1
            }
        };
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// Checks the zone as a whole.
    pub fn finish(mut self) -> Result<Zone, ZoneError> {
        self.check_rrsets();
        self.check_aliases();
        self.check_apex();
        self.end()
    }

    /// Checks what may be a part of a zone, which has its SOA and NS records already.
    pub fn finish_part(mut self) -> Result<Zone, ZoneError> {
        self.check_rrsets();
        self.check_aliases();
        self.end()
    }

    /// The zone, unless something is wrong with it.
    fn end(self) -> Result<Zone, ZoneError> {
        let Self { apex, rrsets, places, records, problems, warnings, .. } = self;
        if problems.is_empty() {
            let lines = places.into_iter().map(|place| place.line).collect();
            Ok(Zone { apex, rrsets, lines, records, warnings })
        } else {
            Err(ZoneError { zone: apex, problems })
        }
    }

    /// Checks each RRset for itself.
    fn check_rrsets(&mut self) {
        let mut faults = Vec::new();
        for (index, rrset) in self.rrsets.iter_mut().enumerate() {
            if let Err(error) = rrset.normalise(&self.apex) {
                faults.push((index, error.to_string()));
            }
        }
        for (index, message) in faults {
            self.add(index, message);
        }
    }

    /// Checks that nothing stands beside a CNAME.
    fn check_aliases(&mut self) {
        let place = |rrset: &Rrset| (rrset.owner.clone(), rrset.view.clone());
        let aliases: HashSet<(WireName, Option<Arc<str>>)> =
            self.rrsets.iter().filter(|rrset| rrset.rtype == rtype::CNAME).map(place).collect();
        if aliases.is_empty() {
            return;
        }
        let beside: Vec<usize> = (self.rrsets.iter().enumerate())
            .filter(|(_, rrset)| exclude_each_other(rtype::CNAME, rrset.rtype) && aliases.contains(&place(rrset)))
            .map(|(index, _)| index)
            .collect();
        for index in beside {
            let message = "the owner has a CNAME record, beside which no other can stand (RFC 2181 section 10.1)";
            self.add(index, message.to_owned());
        }
    }

    /// Checks that the zone has its SOA and NS records.
    fn check_apex(&mut self) {
        for (rtype, what) in [(rtype::SOA, "SOA record"), (rtype::NS, "NS records")] {
            if !self.index.contains_key(&(self.apex.clone(), rtype, None)) {
                let message = format!("zone {} has no {what}; add it at the apex ({})", self.apex, self.apex);
                let file = self.path.clone();
                self.problems.add(Problem { file, line: 0, record: String::new(), message });
            }
        }
    }

    /// Notes a problem of an RRset.
    fn add(&mut self, index: usize, message: String) {
        let (Some(rrset), Some(place)) = (self.rrsets.get(index), self.places.get(index)) else { return };
        let file = self.files.get(place.file as usize).unwrap_or(&self.path);
        self.problems.add(problem(file, place.line, &rrset.owner, rrset.rtype, message));
    }
}
