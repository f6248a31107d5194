//! One listing, and the watches after it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use kube::api::WatchEvent;
use tokio::sync::mpsc;

use super::fault::Fault;
use super::follow::{Tempo, Told};
use super::item::{EndpointsItem, ImportItem, Item, Metadata, NamespaceItem, Parts, PodItem, ServiceItem, SliceItem};
use super::link::{Events, Link};
use super::names::Names;
use super::plan::{Scope, What};
use crate::object::{Event, Key};
use crate::state::ClusterState;

/// Events of a watch that are handed on together where they have come together.
const CHUNK_EVENTS: usize = 256;

/// Times that a page of a listing is asked for before the listing begins anew: the server may have forgotten where it was.
const PAGE_TRIES_MAX: u32 = 5;

/// A watch that ends sooner was cut off: it is not opened again at once.
const SHORT: Duration = Duration::from_secs(1);

/// An object that was told.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Its parts.
    parts: Parts,
    /// The listing that named it last.
    listing: u64,
}

/// Why following stops for a moment.
enum End {
    /// Nobody listens.
    Closed,
    /// Everything has to be listed.
    Again,
    /// The server has no such things.
    Absent(Fault),
}

/// What to do about an event.
enum Step {
    /// Nothing more.
    Taken,
    /// The watch goes on from where it was, in another request.
    Resume,
    /// Everything has to be listed.
    List,
}

/// Follows a scope.
#[derive(Debug)]
pub(super) struct Follower {
    /// Its place in the plan.
    place: usize,
    /// What is followed.
    scope: Scope,
    /// Makes requests.
    link: Arc<Link>,
    /// Names that are in memory once.
    names: Arc<Names>,
    /// What others see.
    state: Arc<ClusterState>,
    /// Who is told.
    told: mpsc::Sender<Told>,
    /// How long what may take.
    tempo: Tempo,
    /// What was told and is not gone.
    known: HashMap<Key, Known>,
    /// Listings that were begun.
    listing: u64,
    /// The version up to which everything was told.
    version: String,
    /// True where the server may have been put back to an earlier state since it was asked last.
    is_doubtful: bool,
    /// The next pause.
    pause: Duration,
}

impl Follower {
    /// Knows nothing yet.
    pub(super) fn new(
        place: usize,
        scope: Scope,
        link: Arc<Link>,
        names: Arc<Names>,
        state: Arc<ClusterState>,
        told: mpsc::Sender<Told>,
        tempo: Tempo,
    ) -> Self {
        let pause = tempo.pause_first;
        let (known, listing, version, is_doubtful) = (HashMap::new(), 0, String::new(), false);
        Self { place, scope, link, names, state, told, tempo, known, listing, version, is_doubtful, pause }
    }

    /// Follows until nobody listens any more.
    pub(super) async fn run(mut self) {
        loop {
            let end = match self.scope.what {
                What::Namespaces => self.session::<NamespaceItem>(false).await,
                What::Services => self.session::<ServiceItem>(false).await,
                What::Slices => self.session::<SliceItem>(false).await,
                What::Endpoints => self.session::<EndpointsItem>(false).await,
                What::Pods => self.session::<PodItem>(false).await,
                What::Imports => self.session::<ImportItem>(false).await,
                What::Either => match self.session::<SliceItem>(false).await {
                    End::Absent(_) => self.session::<EndpointsItem>(true).await,
                    end => end,
                },
            };
            match end {
                End::Closed => return,
                End::Again => {}
                End::Absent(fault) => {
                    if self.absent(fault).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// The server has no such things. That is as well as none of them where they are an extension; else something is wrong.
    async fn absent(&mut self, fault: Fault) -> Result<(), End> {
        self.note(&fault, resource(self.scope.what));
        if self.scope.what != What::Imports {
            self.rest().await;
            return Ok(());
        }
        self.listing += 1;
        self.end_listing::<ImportItem>(String::new()).await?;
        tokio::time::sleep(self.tempo.absent).await;
        Ok(())
    }

    /// A listing and watches, until everything has to be listed again. As a stop-gap it ends when slices are served.
    async fn session<T: Item>(&mut self, is_stop_gap: bool) -> End {
        if let Err(end) = self.list::<T>().await {
            return end;
        }
        loop {
            match self.watch::<T>().await {
                Ok(Step::List) => return End::Again,
                Ok(_) => {}
                Err(end) => return end,
            }
            if is_stop_gap && self.link.page::<SliceItem>(&self.scope, Some(1), None).await.is_ok() {
                return End::Again;
            }
        }
    }

    /// Lists everything, however often it fails; ends early only where there is no such thing.
    async fn list<T: Item>(&mut self) -> Result<(), End> {
        let (mut from, mut tries, mut limit): (Option<String>, u32, _) = (None, 0, Some(self.tempo.page_objects));
        let mut was_forgotten = false;
        self.listing += 1;
        self.state.note_list(self.place);
        loop {
            let page = match self.link.page::<T>(&self.scope, limit, from.as_deref()).await {
                Ok(page) => page,
                Err(fault) if fault.code() == Some(404) => return Err(End::Absent(fault)),
                Err(fault) => {
                    self.note(&fault, T::PLURAL);
                    tries += 1;
                    if from.is_some() && (fault.needs_listing() || tries > PAGE_TRIES_MAX) {
                        // The version of the listing was forgotten before its last page. Where that happens again, the listing is
                        // slower than the server forgets: it comes in one page then.
                        limit = limit.filter(|_| !std::mem::replace(&mut was_forgotten, true));
                        (from, tries) = (None, 0);
                        self.listing += 1;
                    }
                    self.rest().await;
                    continue;
                }
            };
            tries = 0;
            let mut events = Vec::new();
            for item in page.items.unwrap_or_default() {
                self.put(item, &mut events);
            }
            self.tell(events).await?;
            self.state.note_contact(self.place, "");
            match page.metadata.next.filter(|next| !next.is_empty()) {
                Some(next) => from = Some(next),
                None => return self.end_listing::<T>(page.metadata.resource_version).await,
            }
        }
    }

    /// What the listing did not name is gone; the watch goes on from its version.
    async fn end_listing<T: Item>(&mut self, version: String) -> Result<(), End> {
        let mut events = Vec::new();
        let listing = self.listing;
        self.known.retain(|key, known| {
            let is_there = known.listing == listing;
            if !is_there {
                events.extend(known.parts.keys(key).into_iter().map(|key| Event::Gone(T::KIND, key)));
            }
            is_there
        });
        // Much may have been gone at once.
        self.known.shrink_to(2 * self.known.len());
        self.tell(events).await?;
        self.version = version;
        self.is_doubtful = false;
        self.state.note_listed(self.place, &self.version, self.known.len());
        self.told.send(Told::Listed(self.place)).await.map_err(|_| End::Closed)
    }

    /// One watch.
    async fn watch<T: Item>(&mut self) -> Result<Step, End> {
        if self.is_doubtful
            && let Some(step) = self.compare::<T>().await
        {
            return Ok(step);
        }
        let quarter = u64::from(self.tempo.watch_seconds / 4).max(1);
        let seconds = self.tempo.watch_seconds + u32::try_from(chance() % quarter).unwrap_or_default();
        let events = match self.link.watch::<T>(&self.scope, &self.version, seconds).await {
            Ok(events) => events,
            Err(fault) => return Ok(self.failed(&fault, T::PLURAL).await),
        };
        self.state.note_watching(self.place);
        let opened = Instant::now();
        let step = self.take::<T>(events).await?;
        // The server ends a watch when its time is over. One that ends before that was cut off.
        if opened.elapsed() + SHORT < Duration::from_secs(seconds.into()) {
            self.is_doubtful = true;
        }
        if opened.elapsed() < SHORT {
            self.rest().await;
        }
        Ok(step)
    }

    /// Sees whether the server is still where it was, or further. A version that is less than ours is that of an etcd that was put
    /// back: a watch of our version would bring nothing until the server has come that far again.
    async fn compare<T: Item>(&mut self) -> Option<Step> {
        let found = match self.link.page::<T>(&self.scope, Some(1), None).await {
            Ok(page) => page.metadata.resource_version,
            Err(fault) => return Some(self.failed(&fault, T::PLURAL).await),
        };
        self.is_doubtful = false;
        let (Ok(found), Ok(known)) = (found.parse::<u64>(), self.version.parse::<u64>()) else { return None };
        if found >= known {
            return None;
        }
        self.note(&Fault::Backwards { found, known }, T::PLURAL);
        Some(Step::List)
    }

    /// Takes what a watch brings, until it ends.
    async fn take<T: Item>(&mut self, events: Events<T>) -> Result<Step, End> {
        let mut chunks = events.ready_chunks(CHUNK_EVENTS);
        loop {
            let chunk = tokio::select! {
                chunk = tokio::time::timeout(self.tempo.silence, chunks.next()) => chunk,
                () = self.told.closed() => return Err(End::Closed),
            };
            let chunk = match chunk {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(Step::Resume),
                Err(_) => {
                    self.note(&Fault::Silent(self.tempo.silence), T::PLURAL);
                    return Ok(Step::Resume);
                }
            };
            let (mut told, mut next, mut fault) = (Vec::new(), Step::Taken, None);
            for event in chunk {
                match event {
                    Ok(WatchEvent::Error(status)) => fault = Some(Fault::status(&status)),
                    Ok(event) => next = self.event(event, &mut told),
                    Err(error) => fault = Some(error),
                }
                if fault.is_some() || !matches!(next, Step::Taken) {
                    break;
                }
            }
            // What came before the fault holds.
            self.tell(told).await?;
            self.state.note_contact(self.place, &self.version);
            self.state.note_objects(self.place, self.known.len());
            if let Some(fault) = fault {
                return Ok(self.failed(&fault, T::PLURAL).await);
            }
            if !matches!(next, Step::Taken) {
                self.rest().await;
                return Ok(next);
            }
            self.pause = self.tempo.pause_first;
        }
    }

    /// Takes an event. Versions only rise in a watch, so one that does not was told before, or is of an etcd that was put back: the
    /// object may be another by now, and is listed.
    fn event<T: Item>(&mut self, event: WatchEvent<T>, told: &mut Vec<Event>) -> Step {
        let (item, is_there) = match event {
            WatchEvent::Added(item) | WatchEvent::Modified(item) => (item, true),
            WatchEvent::Deleted(item) => (item, false),
            WatchEvent::Bookmark(bookmark) => {
                let version = bookmark.metadata.resource_version;
                if is_before(&version, &self.version) {
                    return Step::List;
                }
                self.version = version;
                return Step::Taken;
            }
            WatchEvent::Error(_) => return Step::Resume,
        };
        let version = &item.metadata().version;
        let is_same = *version == self.version;
        if version.is_empty() || is_before(version, &self.version) || (is_same && !is_there) {
            return Step::List;
        }
        self.version.clone_from(version);
        if is_there {
            self.put(item, told);
        } else {
            let Metadata { namespace, name, .. } = item.metadata();
            let key = self.names.key(namespace, name);
            if let Some(known) = self.known.remove(&key) {
                told.extend(known.parts.keys(&key).into_iter().map(|key| Event::Gone(T::KIND, key)));
            }
        }
        Step::Taken
    }

    /// An object as it is now.
    fn put<T: Item>(&mut self, item: T, told: &mut Vec<Event>) {
        let Metadata { namespace, name, .. } = item.metadata();
        let key = self.names.key(namespace, name);
        let (parts, objects) = item.objects(&key, &self.names);
        let known = Known { parts, listing: self.listing };
        let before = if parts == Parts::None { self.known.remove(&key) } else { self.known.insert(key.clone(), known) };
        if let Some(before) = before.filter(|before| before.parts != parts) {
            let now = parts.keys(&key);
            let gone = before.parts.keys(&key).into_iter().filter(|part| !now.contains(part));
            told.extend(gone.map(|part| Event::Gone(T::KIND, part)));
        }
        told.extend(objects.into_iter().map(Event::Put));
    }

    /// Notes what went wrong with a watch, pauses, and says how to go on.
    async fn failed(&mut self, fault: &Fault, resource: &str) -> Step {
        self.note(fault, resource);
        self.is_doubtful = true;
        self.rest().await;
        if fault.needs_listing() { Step::List } else { Step::Resume }
    }

    /// Tells events.
    async fn tell(&self, events: Vec<Event>) -> Result<(), End> {
        if events.is_empty() {
            return Ok(());
        }
        self.told.send(Told::Events(events)).await.map_err(|_| End::Closed)
    }

    /// Notes what went wrong.
    fn note(&self, fault: &Fault, resource: &str) {
        self.state.note_fault(self.place, fault, resource);
    }

    /// Pauses, each time longer. Half of it is by chance: many servers do not come back at the same moment.
    async fn rest(&mut self) {
        let half = self.pause / 2;
        self.pause = (self.pause * 2).min(self.tempo.pause_max);
        tokio::time::sleep(half + half.mul_f64(chance() as f64 / u64::MAX as f64)).await;
    }
}

/// True for a version before another. They are numbers of etcd wherever it is; where they are not, nothing is known of their order.
fn is_before(version: &str, other: &str) -> bool {
    match (version.parse::<u64>(), other.parse::<u64>()) {
        (Ok(version), Ok(other)) => version < other,
        _ => false,
    }
}

/// What is followed, as permissions name it.
fn resource(what: What) -> &'static str {
    match what {
        What::Namespaces => NamespaceItem::PLURAL,
        What::Services => ServiceItem::PLURAL,
        What::Either | What::Slices => SliceItem::PLURAL,
        What::Endpoints => EndpointsItem::PLURAL,
        What::Pods => PodItem::PLURAL,
        What::Imports => ImportItem::PLURAL,
    }
}

/// A number by chance, without a generator: std seeds its hashers so.
fn chance() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}
