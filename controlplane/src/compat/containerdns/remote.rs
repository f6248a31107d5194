//! Records in etcd, beside original servers, scanners and whoever else works on the same tree.
//!
//! Reads are etcd's own (linearizable) and not those of a mirror: what another program has just written counts, what is
//! answered OK is read by the next request whichever server it goes to, and nothing has to be kept in step for an interface that
//! people and scripts use. Answers to DNS queries do not come this way: the etcd source serves them, also while etcd is away.
//!
//! A write reads the names that it is about, decides as it would on the store, and is one transaction on the condition that none of
//! them has changed; where one has, it is decided again. The table of monitored addresses belongs to the same transaction,
//! but each of its keys has a condition of its own: health checkers write there all the time, which is no reason to decide on the
//! records again. A key that was missed so is written right after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Compare, CompareOp, Txn, TxnOp};
use tokio::sync::Mutex;

use super::monitor::Monitored;
use super::record::{Record, label_of};
use super::tree::{Branches, Plan, span};
use super::write::Order;
use super::{Asker, Site, read};
use crate::config::{EtcdConfig, EtcdPlaces};
use crate::etcd::kv::{Commit, Entry, Kv, KvError, Span};
use crate::etcd::reach::Served;
use crate::store::WriteError;

/// Tries to write before others have it: each that fails is another's that went well.
const TRIES_MAX: usize = 64;

/// Orders for the same name wait for each other here instead of failing in etcd; names share these places.
const QUEUES: usize = 32;

/// Keys whose going is conditional on their being there. Of more than that, what another has removed meanwhile is removed.
const REMOVALS_CHECKED_MAX: usize = 30;

/// Why nothing came of a request.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is refused, in the interface's words.
    Refused(String),
    /// etcd.
    Etcd(KvError),
    /// Others were faster each time.
    Busy,
}

impl Trouble {
    /// The words of the reply: a refusal's own, or what is told of failures and why. What etcd itself refuses is told as the
    /// original tells it, without a reason.
    pub(super) fn words(self, failure: &str) -> String {
        let reason = match self {
            Self::Refused(words) => return words,
            Self::Etcd(error) => {
                tracing::warn!("a request to the ContainerDNS interface was not carried out: {error}");
                match error {
                    KvError::Refused(_) => return failure.to_owned(),
                    error => error.to_string(),
                }
            }
            Self::Busy => "others write the same name all the time; try again".to_owned(),
        };
        format!("{} {}", failure.trim_end(), reason.replace(['\r', '\n'], " "))
    }
}

impl From<KvError> for Trouble {
    fn from(error: KvError) -> Self {
        Self::Etcd(error)
    }
}

impl From<WriteError> for Trouble {
    fn from(error: WriteError) -> Self {
        // What was read is at hand: nothing but a refusal can come of it.
        Self::Refused(error.to_string())
    }
}

/// Records in etcd.
#[derive(Debug)]
pub(crate) struct Remote {
    /// Where in etcd.
    places: EtcdPlaces,
    /// Who asks it.
    kv: Kv,
    /// Who tells when what was written is served.
    served: Served,
    /// How long to wait for that.
    timeout: Duration,
    /// One place for the names of each hash.
    queues: Vec<Mutex<()>>,
}

impl Remote {
    /// Of an etcd, where what the source serves of it can be waited for.
    pub(crate) fn new(config: &EtcdConfig, places: EtcdPlaces, served: Served) -> Self {
        let queues = (0..QUEUES).map(|_| Mutex::new(())).collect();
        Self { places, kv: Kv::new(Arc::new(config.clone())), served, timeout: config.timeout, queues }
    }

    /// Everything below every suffix.
    pub(super) async fn all(&self, site: &Site, rtype: &str, asker: &Asker) -> Result<String, Trouble> {
        let names = site.suffixes.iter().filter_map(|apex| Some((apex, read::branch(apex, rtype)?)));
        let spans: Vec<Span> = names.filter_map(|(apex, name)| span(&self.places, apex, &name)).collect();
        let read = self.kv.read(&spans).await?;
        let branches = Branches::new(&self.places, 0, read.spans.into_iter().flatten());
        Ok(read::all(site, &branches, rtype, asker)?)
    }

    /// A name and everything below it.
    pub(super) async fn one(
        &self,
        (apex, name): (&ringdns_engine::name::WireName, &ringdns_engine::name::WireName),
        rtype: &str,
        asker: &Asker,
    ) -> Result<String, Trouble> {
        let spans: Vec<Span> =
            read::branch(name, rtype).and_then(|name| span(&self.places, apex, &name)).into_iter().collect();
        let read = self.kv.read(&spans).await?;
        let branches = Branches::new(&self.places, 0, read.spans.into_iter().flatten());
        Ok(read::one(&branches, apex, name, rtype, asker)?)
    }

    /// What is known of one monitored address, or of all of them.
    pub(super) async fn monitored(&self, address: &str) -> Result<Option<String>, KvError> {
        let prefix = &self.places.monitor_prefix;
        let wanted =
            if address.is_empty() { Span::below(prefix.as_str()) } else { Span::key(format!("{prefix}{address}")) };
        let entries = self.kv.read(&[wanted]).await?.spans.into_iter().flatten();
        let of =
            |entry: &Entry| entry.key.get(prefix.len()..).map(|address| String::from_utf8_lossy(address).into_owned());
        let mut found: BTreeMap<String, Monitored> =
            entries.filter_map(|entry| Some((of(&entry)?, Monitored::parse(&entry.value)))).collect();
        if address.is_empty() {
            return Ok(Some(read::json(&found)));
        }
        Ok(found.remove(address).map(|monitored| read::json(&monitored)))
    }

    /// Carries out an order; comes back when it is in etcd and served, or after a time when it is in etcd.
    pub(super) async fn write(&self, order: &Order) -> Result<(), Trouble> {
        let hash = usize::from_str_radix(&label_of(&order.name.to_string()), 16).unwrap_or_default();
        let _turn = match self.queues.get(hash % QUEUES) {
            Some(queue) => Some(queue.lock().await),
            None => None,
        };
        let places = order.places();
        let spans: Vec<Span> = places.iter().filter_map(|(apex, name)| span(&self.places, apex, name)).collect();
        for _ in 0..TRIES_MAX {
            let read = self.kv.read(&spans).await?;
            let entries = read.spans.into_iter().flatten();
            let mut branches = Branches::new(&self.places, order.site.fresh.ttl_seconds, entries);
            order.carry_out(&mut branches)?;
            let plan = branches.plan;
            if plan.puts.is_empty() && plan.deletes.is_empty() {
                return Ok(());
            }
            let mut operations: Vec<TxnOp> = plan.deletes.keys().map(|key| TxnOp::delete(key.clone(), None)).collect();
            operations.extend(plan.puts.iter().map(|(key, value)| TxnOp::put(key.clone(), value.clone(), None)));
            operations.extend(self.monitor(order, &plan).await?);
            let revision = match self.kv.commit(&conditions(&spans, read.revision, &plan), operations).await? {
                Commit::Done { revision, whole } => {
                    if !whole {
                        self.follow(order, &plan).await;
                    }
                    revision
                }
                Commit::Conflict { is_doubtful: true } => match self.find(&plan).await? {
                    Some(revision) => revision,
                    None => continue,
                },
                Commit::Conflict { .. } => continue,
            };
            self.wait(&plan, revision).await;
            return Ok(());
        }
        Err(Trouble::Busy)
    }

    /// The revision at which a plan was carried out; nothing where it was not.
    async fn find(&self, plan: &Plan) -> Result<Option<i64>, KvError> {
        let spans: Vec<Span> = plan.puts.keys().chain(plan.deletes.keys()).cloned().map(Span::key).collect();
        let read = self.kv.read(&spans).await?;
        let found: BTreeMap<&[u8], &Entry> =
            read.spans.iter().flatten().map(|entry| (entry.key.as_slice(), entry)).collect();
        let is_put =
            |(key, value): (&Vec<u8>, &Vec<u8>)| found.get(key.as_slice()).is_some_and(|entry| entry.value == *value);
        let is_gone = |key: &Vec<u8>| !found.contains_key(key.as_slice());
        let is_done = plan.puts.iter().all(is_put) && plan.deletes.keys().all(is_gone);
        let revision = found.values().map(|entry| entry.modified).max();
        Ok(is_done.then_some(revision.unwrap_or(read.revision)))
    }

    /// Waits until what was written is served. It stays written, and is served later, where that takes too long.
    async fn wait(&self, plan: &Plan, revision: i64) {
        let keys: Vec<Vec<u8>> = plan.puts.keys().chain(plan.deletes.keys()).cloned().collect();
        if !self.served.wait(&keys, revision, self.timeout).await {
            tracing::warn!(revision, "a record was written to etcd, and does not come back from it yet");
        }
    }

    /// What brings the table of monitored addresses up to date: each address on a condition of its own.
    async fn monitor(&self, order: &Order, plan: &Plan) -> Result<Vec<TxnOp>, KvError> {
        let mut steps: BTreeMap<String, Vec<Step<'_>>> = BTreeMap::new();
        for (name, before, after) in &plan.followed {
            let of = |records: &[Record]| -> BTreeMap<String, Option<u16>> {
                let addresses = records.iter().filter(|record| record.kind.is_address());
                addresses.map(|record| (record.host.clone(), Some(record.port).filter(|&port| port != 0))).collect()
            };
            let (before, after) = (of(before), of(after));
            for address in before.keys().filter(|address| !after.contains_key(*address)) {
                steps.entry(address.clone()).or_default().push(Step::Leave(name));
            }
            for (address, port) in after {
                steps.entry(address).or_default().push(Step::Join(name, port));
            }
        }
        let key = |address: &String| format!("{}{address}", self.places.monitor_prefix).into_bytes();
        let spans: Vec<Span> = steps.keys().map(|address| Span::key(key(address))).collect();
        let known = self.kv.read(&spans).await?.spans;
        let known: Vec<Option<Entry>> = known.into_iter().map(|entries| entries.into_iter().next()).collect();
        let is_lost = |entry: &Entry| Monitored::parse(&entry.value).domains.is_empty();
        let lost = steps.keys().zip(&known).filter(|(_, entry)| entry.as_ref().is_some_and(is_lost));
        let lost = lost.map(|(address, _)| address.clone()).collect();
        let lost = self.restore(order, lost).await?;
        let mut operations = Vec::new();
        for ((address, steps), entry) in steps.iter().zip(&known) {
            let mut monitored = entry.as_ref().map(|entry| Monitored::parse(&entry.value));
            if let (Some(monitored), Some(names)) = (&mut monitored, lost.get(address)) {
                monitored.domains.clone_from(names);
            }
            let modified = entry.as_ref().map_or(0, |entry| entry.modified);
            let Some(change) = next(monitored, steps) else { continue };
            let write = match change {
                Some(monitored) => TxnOp::put(key(address), read::json(&monitored), None),
                None => TxnOp::delete(key(address), None),
            };
            let condition = Compare::mod_revision(key(address), CompareOp::Equal, modified);
            operations.push(TxnOp::txn(Txn::new().when([condition]).and_then([write])));
        }
        Ok(operations)
    }

    /// The names of addresses whose entries have lost theirs: the original's scanner writes a status without them.
    async fn restore(&self, order: &Order, lost: BTreeSet<String>) -> Result<BTreeMap<String, Vec<String>>, KvError> {
        if lost.is_empty() {
            return Ok(BTreeMap::new());
        }
        let spans: Vec<Span> = order.site.suffixes.iter().filter_map(|apex| span(&self.places, apex, apex)).collect();
        let read = self.kv.read(&spans).await?;
        let branches = Branches::new(&self.places, 0, read.spans.into_iter().flatten());
        Ok(lost.into_iter().map(|address| (address.clone(), branches.names_of(&address))).collect())
    }

    /// Brings entries up to date whose conditions were missed.
    async fn follow(&self, order: &Order, plan: &Plan) {
        for _ in 0..TRIES_MAX {
            let outcome = match self.monitor(order, plan).await {
                Ok(operations) if operations.is_empty() => return,
                Ok(operations) => self.kv.commit(&[], operations).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(Commit::Done { whole: true, .. }) => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!("monitored addresses do not follow a record: {error}");
                    return;
                }
            }
        }
        tracing::warn!("monitored addresses do not follow a record: others write the same keys all the time");
    }
}

/// What happens to a monitored address.
#[derive(Debug)]
enum Step<'n> {
    /// A name has it no longer.
    Leave(&'n str),
    /// A name has it, for a service on this port.
    Join(&'n str, Option<u16>),
}

/// What becomes of an entry: nothing where it stays as it is, and no entry where it goes.
fn next(known: Option<Monitored>, steps: &[Step<'_>]) -> Option<Option<Monitored>> {
    let before = known.clone();
    let mut monitored = known;
    for step in steps {
        match step {
            Step::Leave(name) => {
                monitored = monitored.and_then(|mut monitored| {
                    monitored.domains.retain(|domain| domain != name);
                    (!monitored.domains.is_empty()).then_some(monitored)
                });
            }
            Step::Join(name, port) => {
                let more = Monitored::with(monitored.clone(), name, *port);
                monitored = more.or(monitored);
            }
        }
    }
    (monitored != before).then_some(monitored)
}

/// What must hold for a plan: nobody has made or changed a key since, and what goes is still there.
fn conditions(spans: &[Span], revision: i64, plan: &Plan) -> Vec<Compare> {
    let mut conditions: Vec<Compare> = spans.iter().map(|span| span.unchanged_since(revision)).collect();
    let same = |(key, &modified): (&Vec<u8>, &i64)| Compare::mod_revision(key.clone(), CompareOp::Equal, modified);
    if plan.deletes.len() <= REMOVALS_CHECKED_MAX {
        conditions.extend(plan.deletes.iter().map(same));
    }
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(monitored: &Monitored) -> String {
        read::json(monitored)
    }

    #[test]
    fn entries_follow_names_and_keep_what_others_wrote() {
        let made = next(None, &[Step::Join("a.", None)]).unwrap().unwrap();
        assert_eq!(text(&made), r#"{"status":"UP","domains":["a."]}"#);
        let theirs = Monitored::parse(br#"{"cluster":"c1","status":"DOWN","ports":["80"],"domains":["aa."]}"#);
        let more = next(Some(theirs), &[Step::Join("a.", Some(81))]).unwrap().unwrap();
        assert_eq!(text(&more), r#"{"status":"DOWN","ports":["80","81"],"domains":["aa.","a."],"cluster":"c1"}"#);
        assert_eq!(next(Some(more.clone()), &[Step::Join("a.", Some(81))]), None, "it stays as it is");
        let less = next(Some(more), &[Step::Leave("aa.")]).unwrap();
        assert_eq!(next(less, &[Step::Leave("a.")]), Some(None), "nobody has it any more");
        assert_eq!(next(None, &[Step::Leave("a.")]), None);
    }
}
