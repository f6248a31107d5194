//! Follows everything below a path: a listing, then each change; a listing again where a watch is lost.

use etcd_client::{EventType, WatchStream};
use ringdns_controlplane::etcd::SessionError;
use tokio::sync::mpsc;

use crate::backoff::Backoff;
use crate::link::{Entry, Link, Listing};

/// What is new below a path.
#[derive(Debug)]
pub enum News {
    /// Everything that is there: what is not in it is gone.
    Listed(Listing),
    /// Some keys have changed, in this order.
    Changed(Vec<Change>),
}

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was written.
    Put(Entry),
    /// It was deleted.
    Deleted {
        /// The key.
        key: String,
        /// The revision that deleted it.
        revision: i64,
    },
}

/// Tells news until nobody listens. While etcd is away nothing is told, so what was said before stays true as far as
/// anybody knows.
pub async fn follow(link: Link, path: String, news: mpsc::Sender<News>) {
    let mut backoff = Backoff::default();
    while !news.is_closed() {
        let Err(error) = follow_once(&link, &path, &news, &mut backoff).await else { return };
        let pause = backoff.pause();
        tracing::warn!(path, "etcd: {error}; next try in {} ms", pause.as_millis());
        tokio::time::sleep(pause).await;
    }
}

/// One listing and one watch; ends well where nobody listens.
async fn follow_once(
    link: &Link,
    path: &str,
    news: &mpsc::Sender<News>,
    backoff: &mut Backoff,
) -> Result<(), SessionError> {
    let listing = link.list(path).await?;
    let mut watch = link.watch(path, listing.revision + 1).await?;
    if news.send(News::Listed(listing)).await.is_err() {
        return Ok(());
    }
    backoff.reset();
    loop {
        let changes = tokio::select! {
            changes = changes(&mut watch) => changes?,
            () = news.closed() => return Ok(()),
        };
        if !changes.is_empty() && news.send(News::Changed(changes)).await.is_err() {
            return Ok(());
        }
    }
}

/// The next changes of a watch.
async fn changes(watch: &mut WatchStream) -> Result<Vec<Change>, SessionError> {
    let answer = watch.message().await?.ok_or(SessionError::Closed)?;
    if answer.canceled() {
        return Err(SessionError::Canceled(answer.cancel_reason().to_owned()));
    }
    let mut changes = Vec::with_capacity(answer.events().len());
    for event in answer.events() {
        let Some(pair) = event.kv() else { continue };
        changes.push(match event.event_type() {
            EventType::Put => Change::Put(pair.clone().into()),
            EventType::Delete => {
                Change::Deleted { key: String::from_utf8_lossy(pair.key()).into_owned(), revision: pair.mod_revision() }
            }
        });
    }
    Ok(changes)
}
