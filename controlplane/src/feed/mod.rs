//! The feed: what has changed on the wire, for whoever watches. The cycle tells it after each publication, from the difference
//! of the two snapshots ([`diff`]), so an event is never of something that is not served.
//!
//! The last changes are kept in a ring of bounded size. Readers go through it at their own speed and are never waited for: who
//! falls behind its end is told to list anew. So is everybody after a publication that changed more than the ring has room for.

pub(crate) mod diff;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringdns_engine::name::WireName;
use ringdns_engine::snapshot::edit::RrsetSpec;
use tokio::sync::watch;

use crate::state::now_ms;

/// Events that are kept.
pub(crate) const EVENTS_MAX: usize = 16_384;

/// Memory of the events that are kept, in bytes: large RRsets leave room for fewer.
const EVENTS_BYTES_MAX: usize = 32 << 20;

/// Events that a reader takes at once: the cycle may wait for the ring meanwhile.
const BATCH_EVENTS_MAX: usize = 256;

/// Memory of an event beside its rdata, roughly.
const EVENT_BYTES: usize = 256;

/// Something that has changed on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Generation of the snapshot that has the change.
    pub(crate) generation: u64,
    /// True for the last event of its generation: whoever has it has all of them.
    pub(crate) is_last: bool,
    /// The zone.
    pub(crate) apex: WireName,
    /// What has changed.
    pub(crate) what: What,
}

/// What has changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The zone was made.
    ZoneMade,
    /// The zone was removed, with everything in it.
    ZoneRemoved,
    /// An RRset was made, replaced or removed.
    Rrset {
        /// The owner.
        owner: WireName,
        /// The type.
        rtype: u16,
        /// The number of the view.
        view: u16,
        /// What is served now; nothing: it is there no longer.
        now: Option<Box<RrsetSpec>>,
    },
}

impl Event {
    /// Memory that it takes, roughly.
    fn bytes(&self) -> usize {
        let rdata = match &self.what {
            What::Rrset { now: Some(rrset), .. } => rrset.rdatas.iter().map(|rdata| rdata.len() + 24).sum(),
            _ => 0,
        };
        EVENT_BYTES + rdata
    }
}

/// The last changes.
#[derive(Debug, Default)]
struct Ring {
    /// The events, the oldest first.
    events: VecDeque<Arc<Event>>,
    /// Memory of them.
    bytes: usize,
    /// Number of the first event in `events`.
    first: u64,
    /// Of generations up to this one, not all events are there.
    floor: u64,
    /// The generation that was published last.
    newest: u64,
    /// True once nobody is to watch any more.
    is_closed: bool,
}

impl Ring {
    /// Number of the event that comes next.
    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// Forgets everything: each reader has to list anew.
    fn reset(&mut self, generation: u64) {
        // Beyond the end, so that also who had everything falls behind.
        self.first = self.end() + 1;
        self.events.clear();
        self.bytes = 0;
        self.floor = generation;
    }

    /// Forgets the oldest events until the others are within bounds.
    fn trim(&mut self) {
        while self.events.len() > EVENTS_MAX || self.bytes > EVENTS_BYTES_MAX {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= oldest.bytes();
            self.first += 1;
            self.floor = oldest.generation;
        }
    }
}

/// Where a reader is.
#[derive(Debug)]
pub(crate) struct Reader {
    /// Number of the event that it reads next.
    next: u64,
    /// Wakes it.
    news: watch::Receiver<()>,
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// What has changed since.
    Events(Vec<Arc<Event>>),
    /// It cannot be told what has changed; from here on, after this generation, it can.
    Reset(u64),
    /// Nothing has changed.
    Nothing,
    /// Nothing will be told any more.
    Closed,
}

/// The feed.
#[derive(Debug)]
pub(crate) struct Feed {
    /// The last changes.
    ring: Mutex<Ring>,
    /// Wakes readers.
    news: watch::Sender<()>,
    /// Tells this run of the program from others, whose generations mean other things.
    run: u64,
}

impl Default for Feed {
    fn default() -> Self {
        Self { ring: Mutex::default(), news: watch::Sender::new(()), run: now_ms() }
    }
}

impl Feed {
    /// The ring.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a publication has changed; nothing: more than can be told. Called by the cycle alone.
    pub(crate) fn note(&self, generation: u64, events: Option<Vec<Event>>) {
        let is_news = events.as_ref().is_none_or(|events| !events.is_empty());
        let mut ring = self.ring();
        ring.newest = generation;
        match events {
            None => ring.reset(generation),
            Some(events) => {
                for event in events {
                    ring.bytes += event.bytes();
                    ring.events.push_back(Arc::new(event));
                }
                ring.trim();
            }
        }
        drop(ring);
        if is_news {
            self.news.send_replace(());
        }
    }

    /// Ends all reading.
    pub(crate) fn close(&self) {
        self.ring().is_closed = true;
        self.news.send_replace(());
    }

    /// What tells where a reader is that has everything up to a generation.
    pub(crate) fn mark(&self, generation: u64) -> String {
        format!("{generation}-{:x}", self.run)
    }

    /// A reader of all that comes after a mark, or after a bare generation of this run; from now on where neither is given.
    /// Also the generation from which on it reads, and whether something before that is missing. Nothing where the text is no mark.
    pub(crate) fn reader(&self, mark: Option<&str>) -> Option<(Reader, u64, bool)> {
        let (from, is_of_this_run) = match mark {
            None => (None, true),
            Some(text) => {
                let (generation, run) = text.split_once('-').unwrap_or((text, ""));
                let run = if run.is_empty() { Some(self.run) } else { u64::from_str_radix(run, 16).ok() };
                (Some(generation.parse::<u64>().ok()?), run? == self.run)
            }
        };
        let news = self.news.subscribe();
        let ring = self.ring();
        let generation = from.unwrap_or(ring.newest);
        if !is_of_this_run || generation < ring.floor || generation > ring.newest {
            return Some((Reader { next: ring.end(), news }, ring.newest, true));
        }
        let known = ring.events.partition_point(|event| event.generation <= generation);
        Some((Reader { next: ring.first + known as u64, news }, generation, false))
    }

    /// What comes next for a reader.
    pub(crate) fn next(&self, reader: &mut Reader) -> Found {
        let ring = self.ring();
        if ring.is_closed {
            return Found::Closed;
        }
        let Some(skip) = reader.next.checked_sub(ring.first) else {
            reader.next = ring.end();
            return Found::Reset(ring.newest);
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let events: Vec<Arc<Event>> = ring.events.iter().skip(skip).take(BATCH_EVENTS_MAX).cloned().collect();
        reader.next += events.len() as u64;
        if events.is_empty() { Found::Nothing } else { Found::Events(events) }
    }
}

impl Reader {
    /// Comes back when there may be something to read.
    pub(crate) async fn news(&mut self) {
        // The sender lives as long as the feed, which whoever reads holds.
        let _ = self.news.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event of a generation, the only one.
    fn event(generation: u64) -> Event {
        let apex = "example.".parse().unwrap();
        Event { generation, is_last: true, apex, what: What::ZoneMade }
    }

    /// The generations that a reader finds until nothing comes; 0 stands for a reset.
    fn read(feed: &Feed, reader: &mut Reader) -> Vec<u64> {
        let mut found = Vec::new();
        loop {
            match feed.next(reader) {
                Found::Events(events) => found.extend(events.iter().map(|event| event.generation)),
                Found::Reset(_) => found.push(0),
                Found::Nothing | Found::Closed => return found,
            }
        }
    }

    #[test]
    fn readers_begin_where_they_say_and_find_each_event_once() {
        let feed = Feed::default();
        feed.note(4, None);
        let (mut early, generation, is_missing) = feed.reader(None).unwrap();
        assert_eq!((generation, is_missing), (4, false));
        for generation in 5..8 {
            feed.note(generation, Some(vec![event(generation)]));
        }
        feed.note(8, Some(Vec::new()));
        assert_eq!(read(&feed, &mut early), [5, 6, 7]);
        assert!(read(&feed, &mut early).is_empty());
        for (from, found, missing) in
            [("4", &[5, 6, 7][..], false), ("6", &[7], false), ("8", &[], false), ("3", &[], true), ("9", &[], true)]
        {
            let (mut reader, _, is_missing) = feed.reader(Some(from)).unwrap();
            assert_eq!((&read(&feed, &mut reader)[..], is_missing), (found, missing), "{from}");
        }
        let (mut reader, ..) = feed.reader(Some(&feed.mark(6))).unwrap();
        assert_eq!(read(&feed, &mut reader), [7]);
        assert!(feed.reader(Some("6-1")).unwrap().2, "a mark of another run");
        for text in ["", "x", "-1", "6-x", "6-"] {
            assert_eq!(feed.reader(Some(text)).is_none(), text != "6-", "{text}");
        }
        feed.close();
        assert_eq!(feed.next(&mut early), Found::Closed);
    }

    #[test]
    fn who_falls_behind_lists_anew_and_goes_on() {
        let feed = Feed::default();
        feed.note(0, None);
        let (mut slow, ..) = feed.reader(None).unwrap();
        let last = EVENTS_MAX as u64 + 2;
        for generation in 1..=last {
            feed.note(generation, Some(vec![event(generation)]));
        }
        assert_eq!(feed.next(&mut slow), Found::Reset(last));
        assert!(feed.reader(Some("1")).unwrap().2 && !feed.reader(Some("2")).unwrap().2);
        feed.note(last + 1, Some(vec![event(last + 1)]));
        assert_eq!(read(&feed, &mut slow), [last + 1]);
        feed.note(last + 2, None);
        assert_eq!(read(&feed, &mut slow), [0], "more has changed than can be told");
        assert_eq!(feed.ring().events.len(), 0);
    }

    #[test]
    fn large_events_leave_room_for_fewer() {
        let feed = Feed::default();
        for generation in 1..=1024 {
            let rrset = RrsetSpec { rdatas: vec![vec![0; 65_000]], ..RrsetSpec::default() };
            let owner = "example.".parse().unwrap();
            let what = What::Rrset { owner, rtype: 16, view: 0, now: Some(Box::new(rrset)) };
            feed.note(generation, Some(vec![Event { what, ..event(generation) }]));
        }
        let ring = feed.ring();
        assert!(ring.bytes <= EVENTS_BYTES_MAX && ring.events.len() > 400, "{} events", ring.events.len());
        assert_eq!(ring.bytes, ring.events.iter().map(|event| event.bytes()).sum::<usize>());
    }
}
