//! What the sockets count: connections as they come and go, and why. What becomes of queries is counted by the engine.

use std::fmt::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::DescriptorEncoder;
use ringdns_engine::counters::{Counter, Counters};

use crate::metrics::{Labels, counter, gauge};

/// One line a cause: variant, metric label, explanation. Enum, names and counters all come from this list.
macro_rules! causes {
    ($(#[doc = $doc:literal] $name:ident { $($variant:ident, $label:literal, $help:literal;)* })*) => {
        $(
            #[doc = $doc]
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub(crate) enum $name {
                $(#[doc = $help] $variant,)*
            }

            impl $name {
                /// The label of each, in the order of its counter.
                pub(crate) const LABELS: &[&str] = &[$($label,)*];
            }
        )*
    };
}

causes! {
    /// Why a connection was not kept.
    Refused {
        ClientLimit, "client_limit", "Its client has as many as one may have.";
        Accept, "accept", "The kernel could not hand it over; mostly because too many files are open.";
    }
    /// Why a connection ended.
    Closed {
        Client, "client", "The client closed it.";
        Reset, "reset", "It broke.";
        Idle, "idle", "No query came for too long.";
        Evicted, "evicted", "Its place was needed, and its last query was the longest ago.";
        SlowQuery, "slow_query", "A query that had begun did not become whole in time.";
        SlowReader, "slow_reader", "Answers were not taken in time.";
        TooLong, "too_long", "A length that no query has: TLS and HTTP look like that.";
        TooShort, "too_short", "A length below that of a DNS header.";
        NoQuery, "no_query", "A DNS response came.";
        RateLimited, "rate_limited", "More queries a second than the configuration allows.";
        Memory, "memory", "All connections together held too much that waits.";
        Ended, "ended", "The server ended.";
    }
    /// What became of a question for a zone transfer over TCP.
    Transferred {
        Complete, "complete", "The whole zone was handed to the kernel.";
        Current, "current", "The client has the zone's serial already: the SOA record was sent.";
        Refused, "refused", "The configuration does not allow the client the zone.";
        NotServed, "not_served", "The zone is not served here.";
        Unready, "unready", "The zone is not whole yet, or has no SOA record.";
        Busy, "busy", "As many transfers were under way as may be.";
        Malformed, "malformed", "An IXFR question without the serial that the client has, or a malformed cookie.";
        Broken, "broken", "The connection ended before the whole zone was sent.";
    }
}

/// The counters of the engine that messages have a part in; the others are about frames.
const OF_MESSAGES: [&str; 8] = [
    "recalled",
    "forwarded",
    "clients_denied",
    "truncated",
    "cookies_absent",
    "cookies_valid",
    "cookies_invalid",
    "slipped",
];

/// True where a counter of the engine by this name is about messages, and not about frames.
pub(crate) fn is_of_messages(name: &str) -> bool {
    OF_MESSAGES.contains(&name)
}

/// What became of queries that have waited for others; written by one thread.
#[derive(Debug, Default)]
pub(crate) struct Waited {
    /// Those that were answered.
    pub(crate) answered: Counter,
    /// Those that were to get no answer.
    pub(crate) lost: Counter,
}

/// What both threads show.
#[derive(Debug)]
pub(crate) struct Monitor {
    /// Where the sockets listen.
    pub(crate) addresses: Vec<SocketAddr>,
    /// What becomes of queries over UDP; written by its thread alone.
    pub(super) udp: Arc<Counters>,
    /// What becomes of queries over TCP; written by its thread alone.
    pub(super) tcp: Arc<Counters>,
    /// What became of those queries over UDP that have waited for others.
    pub(crate) udp_waited: Waited,
    /// The same over TCP.
    pub(crate) tcp_waited: Waited,
    /// Connections that are open.
    pub(crate) open: AtomicU64,
    /// Most connections that are kept.
    pub(crate) connections_max: u64,
    /// Threads that have ended; before the end of the server there should be none.
    pub(crate) ended: AtomicU64,
    /// Bytes of queries that have begun and of answers that wait for their clients.
    pub(super) held_bytes: AtomicU64,
    /// Connections that were accepted.
    pub(super) accepted: AtomicU64,
    /// Connections that were not kept, by cause.
    refused: [AtomicU64; Refused::LABELS.len()],
    /// Connections that ended, by cause.
    closed: [AtomicU64; Closed::LABELS.len()],
    /// Answers that the kernel did not take for a UDP socket.
    pub(super) udp_unsent: AtomicU64,
    /// Zone transfers that are under way.
    pub(super) transferring: AtomicU64,
    /// What became of questions for zone transfers.
    transferred: [AtomicU64; Transferred::LABELS.len()],
}

impl Monitor {
    /// Nothing has come yet. So many names are counted at least; 0: none. `messages`: also what messages are like.
    pub(super) fn new(addresses: Vec<SocketAddr>, connections_max: usize, names: usize, messages: bool) -> Self {
        Self {
            addresses,
            udp: Arc::new(Counters::with_names(names).with_census(messages)),
            tcp: Arc::new(Counters::with_names(names).with_census(messages)),
            udp_waited: Waited::default(),
            tcp_waited: Waited::default(),
            open: AtomicU64::new(0),
            connections_max: connections_max as u64,
            ended: AtomicU64::new(0),
            held_bytes: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: Default::default(),
            closed: Default::default(),
            udp_unsent: AtomicU64::new(0),
            transferring: AtomicU64::new(0),
            transferred: Default::default(),
        }
    }

    /// Counts a connection that was not kept.
    pub(super) fn note_refused(&self, cause: Refused) {
        if let Some(counter) = self.refused.get(cause as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a connection that ended.
    pub(super) fn note_closed(&self, cause: Closed) {
        if let Some(counter) = self.closed.get(cause as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts what became of a question for a zone transfer.
    pub(super) fn note_transferred(&self, outcome: Transferred) {
        if let Some(counter) = self.transferred.get(outcome as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counters of queries, each with the name that stands in the place of a worker's number.
    pub(crate) fn counters(&self) -> [(&'static str, &Counters); 2] {
        [("udp", &self.udp), ("tcp", &self.tcp)]
    }

    /// Writes what is counted here.
    pub(crate) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        for (name, help, value) in [
            ("ringdns_tcp_connections", "DNS connections over TCP that are open.", self.open.load(Ordering::Relaxed)),
            ("ringdns_tcp_connections_max", "Most connections that are kept.", self.connections_max),
            (
                "ringdns_tcp_held_bytes",
                "Bytes of queries that have begun and of answers that wait for their clients.",
                self.held_bytes.load(Ordering::Relaxed),
            ),
            (
                "ringdns_transfers_running",
                "Zone transfers that are under way.",
                self.transferring.load(Ordering::Relaxed),
            ),
        ] {
            #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
            gauge(encoder, name, help, [(Labels::new(), value as f64)])?;
        }
        for (name, help, value) in [
            ("ringdns_tcp_accepted", "DNS connections over TCP that were accepted.", &self.accepted),
            ("ringdns_udp_unsent", "Answers that the kernel did not take for a UDP socket.", &self.udp_unsent),
        ] {
            counter(encoder, name, help, [(Labels::new(), value.load(Ordering::Relaxed))])?;
        }
        for (name, help, of) in [
            (
                "answered",
                "Queries over sockets that others were asked for, and that were answered.",
                (|waited| &waited.answered) as Of,
            ),
            ("lost", "Queries over sockets that others were asked for, and that were to get no answer.", |waited| {
                &waited.lost
            }),
        ] {
            let row = |transport: &str, waited| (vec![("transport", transport.to_owned())], of(waited).get());
            let rows = [row("udp", &self.udp_waited), row("tcp", &self.tcp_waited)];
            counter(encoder, &format!("ringdns_forward_socket_{name}"), help, rows)?;
        }
        let help = "DNS connections over TCP that were not kept, by cause.";
        counter(encoder, "ringdns_tcp_refused", help, rows("cause", Refused::LABELS, &self.refused))?;
        let help = "Questions for zone transfers over TCP, by what became of them.";
        counter(encoder, "ringdns_transfers", help, rows("outcome", Transferred::LABELS, &self.transferred))?;
        let help = "DNS connections over TCP that ended, by cause.";
        counter(encoder, "ringdns_tcp_closed", help, rows("cause", Closed::LABELS, &self.closed))
    }
}

/// One of the numbers of queries that have waited.
type Of = fn(&Waited) -> &Counter;

/// A row for each cause.
fn rows<'a>(
    name: &'static str,
    labels: &'a [&str],
    values: &'a [AtomicU64],
) -> impl Iterator<Item = (Labels, u64)> + use<'a> {
    let row =
        move |(label, value): (&&str, &AtomicU64)| (vec![(name, (*label).to_owned())], value.load(Ordering::Relaxed));
    labels.iter().zip(values).map(row)
}
