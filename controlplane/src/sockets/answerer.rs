//! The engine of a thread, told the time, and made anew when what it answers with has changed.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ringdns_engine::cache::CacheShelf;
use ringdns_engine::rate::RateLimit;
use ringdns_engine::serve::{MessageConfig, MessageServer, Transport};
use tokio::sync::watch;

/// Answers the messages of a thread.
pub(super) struct Answerer {
    /// What with.
    answers: watch::Receiver<MessageConfig>,
    /// How messages come.
    transport: Transport,
    /// The engine.
    server: MessageServer,
    /// The same for messages that have waited for others, and the shelf where their answers are.
    waited: Option<(MessageServer, Arc<CacheShelf>)>,
    /// Where its time starts.
    start: Instant,
    /// For how long idle connections are kept, in tenths of a second.
    keepalive: u16,
}

impl Answerer {
    /// Answers by a configuration, and by those that follow it.
    pub(super) fn new(
        mut answers: watch::Receiver<MessageConfig>,
        transport: Transport,
        shelf: Option<&Arc<CacheShelf>>,
    ) -> Self {
        let config = answers.borrow_and_update().clone();
        let server = MessageServer::new(&config, transport);
        let waited = shelf.map(|shelf| (MessageServer::new(&of_waited(&config, shelf), transport), Arc::clone(shelf)));
        Self { answers, transport, server, waited, start: Instant::now(), keepalive: 0 }
    }

    /// Tells for how long idle connections are kept, in tenths of a second.
    pub(super) fn set_keepalive(&mut self, deciseconds: u16) {
        self.keepalive = deciseconds;
        self.server.set_keepalive(deciseconds);
        if let Some((waited, _)) = &mut self.waited {
            waited.set_keepalive(deciseconds);
        }
    }

    /// The engine, as the configuration is and at the time that it is now.
    pub(super) fn server(&mut self) -> &mut MessageServer {
        self.renew();
        self.server.set_time(milliseconds_since(self.start), seconds_now());
        &mut self.server
    }

    /// The engine for messages that have waited for others, if there is one, and the time that it was told.
    pub(super) fn waited(&mut self) -> Option<(&mut MessageServer, u32)> {
        self.renew();
        let (waited, _) = self.waited.as_mut()?;
        let seconds = seconds_now();
        waited.set_time(milliseconds_since(self.start), seconds);
        Some((waited, seconds))
    }

    /// Makes the engines anew where the configuration has changed.
    fn renew(&mut self) {
        // An error says that nothing will change any more.
        if !self.answers.has_changed().unwrap_or(false) {
            return;
        }
        let config = self.answers.borrow_and_update().clone();
        self.server = MessageServer::new(&config, self.transport);
        if let Some((waited, shelf)) = &mut self.waited {
            *waited = MessageServer::new(&of_waited(&config, shelf), self.transport);
        }
        self.set_keepalive(self.keepalive);
    }
}

/// What messages are answered with that have waited for others: what these said. The messages themselves were counted when they
/// came.
fn of_waited(config: &MessageConfig, shelf: &Arc<CacheShelf>) -> MessageConfig {
    let limit = |limit: &RateLimit| RateLimit { packets_per_second: 0, ..limit.clone() };
    MessageConfig {
        rate_limit: config.rate_limit.as_ref().map(limit),
        recall: config.recall.as_ref().map(|recall| recall.on_shelf(shelf)),
        ..config.clone()
    }
}

/// Whole milliseconds that have passed.
fn milliseconds_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970, in the 32 bits that cookies reckon in (RFC 9018 section 4.3).
fn seconds_now() -> u32 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or_default()
}
