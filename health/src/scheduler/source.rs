//! Reads etcd: lists paths by pages of one revision, and watches them.

use std::time::Duration;

use etcd_client::{Client, Event, EventType, GetOptions, KeyValue, WatchOptions, WatchStream};
use ringdns_controlplane::etcd::{MESSAGE_BYTES_MAX, PAGE_KEYS, SessionError, within};

use super::board::{Stored, Update};

/// Where a listing is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The cluster.
    pub cluster: u64,
    /// Its revision.
    pub revision: i64,
}

impl Moment {
    /// Of an answer.
    pub fn of(header: Option<&etcd_client::ResponseHeader>) -> Self {
        header.map_or(Self::default(), |header| Self { cluster: header.cluster_id(), revision: header.revision() })
    }
}

/// The first key behind all that begin with a path, whose last byte is a slash.
fn end(path: &str) -> Vec<u8> {
    let mut end = path.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// Lists all that is below paths, of one revision.
pub async fn list(
    client: &Client,
    paths: &[String],
    timeout: Duration,
    mut take: impl FnMut(Update),
) -> Result<Moment, SessionError> {
    let mut at: Option<Moment> = None;
    for path in paths {
        let mut from = path.as_bytes().to_vec();
        loop {
            let options = GetOptions::new().with_range(end(path)).with_limit(PAGE_KEYS);
            let options = options.with_revision(at.map_or(0, |at| at.revision));
            let mut kv = client.kv_client().max_decoding_message_size(MESSAGE_BYTES_MAX);
            let answer = within(timeout, kv.get(from.as_slice(), Some(options))).await?;
            at.get_or_insert(Moment::of(answer.header()));
            answer.kvs().iter().filter_map(|pair| update(pair, true)).for_each(&mut take);
            let Some(last) = answer.kvs().last().filter(|_| answer.more()) else { break };
            from = last.key().to_vec();
            from.push(0);
        }
    }
    Ok(at.unwrap_or_default())
}

/// Watches paths, each from its own revision on; the watch of a path has its place, counted from 1, for a number.
pub async fn watch(
    client: &Client,
    paths: &[String],
    next: &[i64],
    timeout: Duration,
) -> Result<WatchStream, SessionError> {
    let mut watcher = client.watch_client().max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut wanted = (1i64..).zip(paths.iter().zip(next)).map(|(number, (path, &revision))| {
        let options = WatchOptions::new().with_range(end(path)).with_start_revision(revision);
        (path.as_str(), Some(options.with_watch_id(number).with_progress_notify()))
    });
    let (path, options) = wanted.next().ok_or(SessionError::Closed)?;
    let mut stream = within(timeout, watcher.watch(path, options)).await?;
    for (path, options) in wanted {
        within(timeout, stream.watch(path, options)).await?;
    }
    Ok(stream)
}

/// What an event says; nothing where its key is no text, and none of ours.
pub fn of_event(event: &Event) -> Option<Update> {
    update(event.kv()?, event.event_type() == EventType::Put)
}

/// What a key has.
fn update(pair: &KeyValue, is_there: bool) -> Option<Update> {
    let (revision, created, lease) = (pair.mod_revision(), pair.create_revision(), pair.lease());
    let stored = is_there.then(|| Stored { value: pair.value().to_vec(), revision, created, lease });
    Some(Update { key: pair.key_str().ok()?.to_owned(), revision, stored })
}
