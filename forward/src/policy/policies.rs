//! The policies of a configuration: made anew when it changes, or a file of theirs.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use ringdns_controlplane::config::Config;
use ringdns_engine::name::WireName;
use ringdns_engine::rate::Network;
use ringdns_engine::recall::ForeignQuestion;
use ringdns_engine::rtype::types;
use tokio::runtime::Handle;

use super::block::{BlockError, FileReport};
use super::tables::{Recipe, Tables};
use super::{Policy, Ruling};
use crate::forwarder::Entry;

/// How often files are looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// Is told which entries of the cache hold no longer: those for which the function says so.
pub type Flush = Arc<dyn Fn(&dyn Fn(&Entry) -> bool) + Send + Sync>;

/// Decides by names: hosts, names of special use, lists of names that are not asked for, and AAAA records that nobody is to have.
/// What clients may ask at all is decided before, where queries come in.
pub struct Policies {
    /// What is decided now.
    tables: RwLock<Arc<Tables>>,
    /// What it was made of.
    made: Mutex<Made>,
    /// Who has entries that were made by what was decided before.
    flush: Mutex<Option<Flush>>,
}

/// What tables were made of.
struct Made {
    /// The configuration.
    recipe: Recipe,
    /// Its files as they were.
    files: Vec<Look>,
    /// Its files as they were looked at last.
    seen: Vec<Look>,
}

/// What is seen of a file without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    /// Device and file.
    identity: (u64, u64),
    /// When it was changed, in seconds and nanoseconds.
    changed: (i64, i64),
    /// Its length.
    bytes: u64,
}

/// Looks at a file; one that is not there looks like nothing.
fn look(path: &Path) -> Look {
    std::fs::metadata(path).map_or_else(
        |_| Look::default(),
        |found| Look {
            identity: (found.dev(), found.ino()),
            changed: (found.mtime(), found.mtime_nsec()),
            bytes: found.len(),
        },
    )
}

/// Has what is behind a lock: nobody leaves it half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Policies {
    /// Those of a configuration; its files are read now.
    pub fn load(config: &Config) -> Result<Arc<Self>, BlockError> {
        let recipe = Recipe::new(config);
        let files: Vec<Look> = recipe.files().iter().map(|path| look(path)).collect();
        let tables = make(&recipe)?;
        let made = Made { recipe, seen: files.clone(), files };
        Ok(Arc::new(Self { tables: RwLock::new(Arc::new(tables)), made: Mutex::new(made), flush: Mutex::default() }))
    }

    /// Says who is told of entries that hold no longer.
    pub fn on_change(&self, flush: Flush) {
        *lock(&self.flush) = Some(flush);
    }

    /// Takes another configuration, and reads its files; where that is not possible all stays as it was. It takes as long as
    /// reading takes.
    pub fn reload(&self, config: &Config) -> Result<(), BlockError> {
        let recipe = Recipe::new(config);
        let mut made = lock(&self.made);
        if made.recipe == recipe {
            return Ok(());
        }
        let files: Vec<Look> = recipe.files().iter().map(|path| look(path)).collect();
        self.take(make(&recipe)?);
        *made = Made { recipe, seen: files.clone(), files };
        Ok(())
    }

    /// Looks at the files now and then, for as long as somebody has the policies, and reads them again when they have changed.
    pub fn watch(self: &Arc<Self>, runtime: &Handle) {
        let policies = Arc::downgrade(self);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                let policies = Weak::clone(&policies);
                // Reading a long list takes a second: not on a thread that others wait for.
                let looked = tokio::task::spawn_blocking(move || policies.upgrade().map(|policies| policies.look()));
                if !matches!(looked.await, Ok(Some(_))) {
                    return;
                }
            }
        });
    }

    /// Looks at the files, and reads them again where they have changed and stayed so from one look to the next, so that one that
    /// is being written is not read by half. True where they were taken. What cannot be read leaves all as it was, and is told
    /// once.
    pub fn look(&self) -> bool {
        let mut made = lock(&self.made);
        let found: Vec<Look> = made.recipe.files().iter().map(|path| look(path)).collect();
        let is_still = std::mem::replace(&mut made.seen, found.clone()) == found;
        if !is_still || made.files == found {
            return false;
        }
        made.files = found;
        match make(&made.recipe) {
            Ok(tables) => {
                self.take(tables);
                true
            }
            Err(error) => {
                tracing::error!("the policies stay as they were: {error}");
                false
            }
        }
    }

    /// Names that are not asked for, and names of hosts.
    pub fn sizes(&self) -> [usize; 2] {
        self.tables().sizes()
    }

    /// The tables as they are now.
    fn tables(&self) -> Arc<Tables> {
        Arc::clone(&self.tables.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Networks of clients whose questions are judged each time: what is kept for others is not for them.
    pub fn judged(&self) -> Arc<[Network]> {
        Arc::clone(self.tables().judged())
    }

    /// Decides by other tables from now on, and has entries removed that one of both has something to say of: of their names, of
    /// those that aliases in them lead to, or of addresses in them.
    ///
    /// NOTE: an answer that was made by the tables before may be kept after this: whoever keeps it looks whether entries were
    /// removed since the question came.
    fn take(&self, tables: Tables) {
        let tables = Arc::new(tables);
        let new = Arc::clone(&tables);
        let old = std::mem::replace(&mut *self.tables.write().unwrap_or_else(PoisonError::into_inner), tables);
        let flush = lock(&self.flush).clone();
        if let Some(flush) = flush {
            let is_aaaa = old.hides_aaaa() != new.hides_aaaa();
            flush(&|entry| {
                let may_have = matches!(entry.qtype, types::AAAA | types::ANY);
                is_aaaa && may_have || old.touches(entry) || new.touches(entry)
            });
        }
    }
}

impl Policy for Policies {
    fn rule(&self, question: &ForeignQuestion) -> Ruling {
        self.tables().rule(question)
    }

    fn rule_target(&self, question: &ForeignQuestion, lists: u8) -> Ruling {
        self.tables().rule_target(&question.name, question.qtype, lists)
    }

    fn rule_addresses(&self, question: &ForeignQuestion, lists: u8, found: &[(WireName, IpAddr)]) -> Ruling {
        self.tables().rule_addresses(&question.name, question.qtype, lists, found)
    }

    fn hides_aaaa(&self) -> bool {
        self.tables().hides_aaaa()
    }

    fn touches(&self, entry: &Entry) -> bool {
        self.tables().touches(entry)
    }
}

/// Makes tables, and tells what was found.
fn make(recipe: &Recipe) -> Result<Tables, BlockError> {
    let (tables, reports) = Tables::make(recipe)?;
    reports.iter().for_each(tell);
    Ok(tables)
}

/// Tells what was found in a file.
fn tell(report: &FileReport) {
    let FileReport { path, names, faults, first_faults, of_servers, unsupported } = report;
    let path = path.display();
    tracing::info!(file = %path, names, "names were read for the policy");
    for (line, why) in first_faults {
        tracing::warn!("{path}:{line}: the line is passed over: {why}");
    }
    let more = faults.saturating_sub(first_faults.len());
    if more > 0 {
        tracing::warn!(file = %path, more, "more lines were passed over");
    }
    if *of_servers > 0 {
        let words = "entries triggered by name servers (rpz-nsdname, rpz-nsip) were passed over: who asks upstreams does not learn \
                     which servers these have asked";
        tracing::warn!(file = %path, entries = of_servers, "{words}");
    }
    if *unsupported > 0 {
        let words = "entries with rpz-tcp-only for addresses in answers (rpz-ip) were passed over: use it with names or clients";
        tracing::warn!(file = %path, entries = unsupported, "{words}");
    }
}
