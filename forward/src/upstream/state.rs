//! What people and metrics are told of an upstream.

use std::net::SocketAddr;
use std::time::Duration;

use ringdns_controlplane::config::forward::UpstreamConfig;

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
    /// Those of them that had no answer.
    pub probes_failed: u64,
    /// Questions for which a connection was there already.
    pub connections_reused: u64,
    /// Connections that were begun for one.
    pub connections_begun: u64,
}

/// An upstream as it is written in the configuration, ports left out where they are the usual ones.
pub(super) fn written(config: &UpstreamConfig) -> String {
    match config {
        UpstreamConfig::Plain(address) => host_and_port(*address, 53),
        UpstreamConfig::Tls { address, name, .. } => {
            let name = name.as_deref().map(|name| format!("#{name}")).unwrap_or_default();
            format!("tls://{}{name}", host_and_port(*address, 853))
        }
        UpstreamConfig::Https { address, name, path, .. } => {
            format!("https://{name}{path}#{}", host_and_port(*address, 443))
        }
    }
}

/// An address, with its port where that is not the usual one.
fn host_and_port(address: SocketAddr, usual_port: u16) -> String {
    if address.port() == usual_port { address.ip().to_string() } else { address.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_shown_as_they_are_written() {
        let plain = |text: &str| written(&UpstreamConfig::Plain(text.parse().unwrap()));
        assert_eq!(plain("192.0.2.1:53"), "192.0.2.1");
        assert_eq!(plain("[2001:db8::1]:5353"), "[2001:db8::1]:5353");
        let (address, ca_file) = ("192.0.2.1:853".parse().unwrap(), None);
        let tls = UpstreamConfig::Tls { address, name: Some("dns.example".to_owned()), ca_file: ca_file.clone() };
        assert_eq!(written(&tls), "tls://192.0.2.1#dns.example");
        let (name, path) = ("dns.example".to_owned(), "/dns-query".to_owned());
        let https = UpstreamConfig::Https { address, name, path, ca_file };
        assert_eq!(written(&https), "https://dns.example/dns-query#192.0.2.1:853");
    }
}
