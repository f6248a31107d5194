//! What people and metrics are told of an upstream.

use std::time::Duration;

/// An upstream's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamState {
    /// As it is written in the configuration.
    pub name: String,
    /// It is used.
    pub is_up: bool,
    /// It leads back to this server.
    pub is_loop: bool,
    /// Failures since the last answer.
    pub failures_in_row: u32,
    /// How long it takes to answer, by and large.
    pub latency: Option<Duration>,
    /// The time in which it gives 95 of 100 answers.
    pub p95: Option<Duration>,
    /// Connections (TCP, TLS, HTTPS) that are open.
    pub connections: usize,
    /// The name's case is varied in questions (0x20); off where the upstream does not give it back.
    pub varies_case: bool,
    /// It has cookies (RFC 7873).
    pub has_cookies: bool,
    /// It has EDNS.
    pub has_edns: bool,
    /// Exchanges that were begun.
    pub asked: u64,
    /// Those of them that had an answer.
    pub answered: u64,
    /// Those that had none, by [`Failure::label`](super::Failure::label).
    pub failures: Vec<(&'static str, u64)>,
    /// Packets and messages that were not believed, by reason.
    pub bad_packets: Vec<(&'static str, u64)>,
    /// Questions asked again over TCP, by reason.
    pub over_tcp: Vec<(&'static str, u64)>,
    /// Probes sent while it was down.
    pub probes: u64,
}
