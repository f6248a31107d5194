//! The engine of a thread, told the time, and made anew when what it answers with has changed.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

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
    /// Where its time starts.
    start: Instant,
    /// For how long idle connections are kept, in tenths of a second.
    keepalive: u16,
}

impl Answerer {
    /// Answers by a configuration, and by those that follow it.
    pub(super) fn new(mut answers: watch::Receiver<MessageConfig>, transport: Transport) -> Self {
        let server = MessageServer::new(&answers.borrow_and_update(), transport);
        Self { answers, transport, server, start: Instant::now(), keepalive: 0 }
    }

    /// Tells for how long idle connections are kept, in tenths of a second.
    pub(super) fn set_keepalive(&mut self, deciseconds: u16) {
        self.keepalive = deciseconds;
        self.server.set_keepalive(deciseconds);
    }

    /// The engine, as the configuration is and at the time that it is now.
    pub(super) fn server(&mut self) -> &mut MessageServer {
        // An error says that nothing will change any more.
        if self.answers.has_changed().unwrap_or(false) {
            self.server = MessageServer::new(&self.answers.borrow_and_update(), self.transport);
            self.server.set_keepalive(self.keepalive);
        }
        self.server.set_time(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX), seconds_now());
        &mut self.server
    }
}

/// Seconds since 1970, in the 32 bits that cookies reckon in (RFC 9018 section 4.3).
fn seconds_now() -> u32 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or_default()
}
