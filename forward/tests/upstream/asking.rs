//! Asking an upstream, and what comes of it.

use std::net::SocketAddr;
use std::time::Duration;

use ringdns_controlplane::config::forward::UpstreamConfig;
use ringdns_engine::name::WireName;
use ringdns_forward::upstream::{Ask, Failure, Means, Switches, Upstream};
use tokio::runtime::Handle;

/// A try's time where the answer comes at once; long, because the machine may be busy.
pub const TRY: Duration = Duration::from_secs(5);

/// A try's time where nothing comes.
pub const SHORT: Duration = Duration::from_millis(300);

/// Nothing but the questions of the test is asked.
pub fn quiet() -> Switches {
    Switches {
        zone: WireName::root(),
        tcp_only: false,
        wants_ad: false,
        failures_max: 0,
        probe_interval: Duration::from_millis(20),
        idle_after: Duration::from_secs(60),
        loops_after: None,
    }
}

/// An upstream over UDP and TCP.
pub fn plain(address: SocketAddr) -> Upstream {
    with(&UpstreamConfig::Plain(address), quiet())
}

/// An upstream over TCP.
pub fn tcp_only(address: SocketAddr) -> Upstream {
    with(&UpstreamConfig::Plain(address), Switches { tcp_only: true, ..quiet() })
}

/// An upstream.
pub fn with(config: &UpstreamConfig, switches: Switches) -> Upstream {
    Upstream::start(config, switches, &Means::new(Handle::current(), 512)).unwrap()
}

/// Asks for a name's address.
pub async fn ask(upstream: &Upstream, name: &str, try_time: Duration) -> Result<Vec<u8>, Failure> {
    let name: WireName = name.parse().unwrap();
    let ask = Ask { name: &name, qtype: 1, dnssec_ok: false, checking_disabled: false, client_subnet: None };
    upstream.ask(&ask, try_time).await
}

/// The address that is answered for a name with nothing special about it.
pub async fn address(upstream: &Upstream) -> [u8; 4] {
    address_in(&ask(upstream, "www.some-name.example.", TRY).await.unwrap())
}

/// The first address in an answer, as another program's code reads it.
pub fn address_in(message: &[u8]) -> [u8; 4] {
    use hickory_proto::op::Message;
    use hickory_proto::rr::RData;

    let message = Message::from_vec(message).unwrap();
    match message.answers.first().map(|record| &record.data) {
        Some(RData::A(address)) => address.0.octets(),
        other => panic!("no address but {other:?}"),
    }
}

/// One of the counters of bad packets.
pub fn bad(upstream: &Upstream, label: &str) -> u64 {
    find(&upstream.state().bad_packets, label)
}

/// One of the counters of turns to TCP.
pub fn turns(upstream: &Upstream, label: &str) -> u64 {
    find(&upstream.state().over_tcp, label)
}

/// A counter by its label.
fn find(counters: &[(&'static str, u64)], label: &str) -> u64 {
    counters.iter().find(|(each, _)| *each == label).unwrap_or_else(|| panic!("no counter {label}")).1
}

/// Waits until something is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not in five seconds: {what}");
}
