//! The server's questions to itself: whether it answers DNS, for `/healthz`, and how fast its own HTTP is, for CoreDNS's metrics.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringdns_engine::counters::Counters;
use ringdns_engine::limits::UDP_ANSWER_BYTES_LIMIT;
use ringdns_engine::name::WireName;
use ringdns_engine::rtype::types;
use ringdns_engine::serve::{ChaosConfig, EdnsConfig, MessageConfig, MessageServer, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::ask::{self, Answer, Way, ask};
use super::observed::Observed;
use crate::api::{Context, ready};

/// The response code of a server that cannot say.
const SERVFAIL: u8 = 2;

/// How often the server asks for its own `/health`.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// Longest that its answer may take.
const HEALTH_TIME_MAX: Duration = Duration::from_secs(3);

/// Upper bounds of those times in seconds: the first, the factor, and how many.
pub(super) const HEALTH_BOUNDS_SECONDS: (f64, f64, usize) = (0.000_25, 10.0, 5);

/// Asks a question of the DNS that is served; says why it was not answered.
pub(super) async fn answers_dns(context: &Arc<Context>, is_udp: bool) -> Result<(), String> {
    if !ready::all_poll(context) {
        return Err("a worker does not poll its ports".to_owned());
    }
    // What every server of a zone has; without zones the question is refused, which is an answer too.
    let name = context.state.served().zones.keys().next().cloned().unwrap_or_else(WireName::root);
    let is_synced = context.state.is_synced();
    let sockets = context.sockets.as_ref().map(|monitor| monitor.addresses.clone()).unwrap_or_default();
    if sockets.is_empty() {
        let answer = in_process(context, &name).ok_or_else(|| "the engine does not answer".to_owned())?;
        return usable(answer, is_synced);
    }
    let way = if is_udp { Way::Udp } else { Way::Tcp };
    let mut asked = JoinSet::new();
    for address in sockets {
        let name = name.clone();
        asked.spawn(async move { ask(way, reachable(address), &name, types::SOA).await });
    }
    // One that answers is enough: an address need not be on this host.
    let mut error = String::new();
    while let Some(answered) = asked.join_next().await {
        match answered {
            Ok(Ok(answer)) => match usable(answer, is_synced) {
                Ok(()) => return Ok(()),
                Err(why) => error = why,
            },
            Ok(Err(why)) => error = why.to_string(),
            Err(_) => {}
        }
    }
    Err(error)
}

/// Whether an answer says that DNS is well. Once all has been read, a zone whose file is broken is no matter of the whole server.
fn usable(answer: Answer, is_synced: bool) -> Result<(), String> {
    match answer.rcode {
        SERVFAIL if !is_synced => Err("DNS is answered with SERVFAIL: not everything has been read yet".to_owned()),
        _ => Ok(()),
    }
}

/// The answer to the question without a socket: there is none, and ports are not asked from inside.
fn in_process(context: &Context, name: &WireName) -> Option<Answer> {
    let query = ask::query(name, types::SOA);
    let mut message = query.clone();
    message.resize(query.len() + UDP_ANSWER_BYTES_LIMIT, 0);
    let config = MessageConfig {
        udp_answer_bytes_max: UDP_ANSWER_BYTES_LIMIT,
        edns: EdnsConfig::default(),
        chaos: ChaosConfig::default(),
        rate_limit: None,
        recall: None,
        hides_aaaa: false,
    };
    // Not among the counters of queries: nobody asked.
    let (mut server, counters) = (MessageServer::new(&config, Transport::Tcp), Counters::default());
    let client = SocketAddr::from((Ipv4Addr::LOCALHOST, 4053));
    let snapshot = context.state.snapshot();
    let length = server.answer(client, &mut message, query.len(), &snapshot, &counters).ok()?;
    ask::answer(&query, message.get(..length)?)
}

/// Asks for `/health` at an address of ours at intervals, and notes how long it takes; does not end.
pub(super) async fn ask_for_health(address: SocketAddr, observed: &Observed) {
    let mut due = tokio::time::interval(HEALTH_INTERVAL);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let begun = Instant::now();
        let got = tokio::time::timeout(HEALTH_TIME_MAX, get_health(address)).await;
        observed.note(begun.elapsed().as_secs_f64());
        if !matches!(got, Ok(Ok(()))) {
            observed.note_failure();
            tracing::warn!(%address, "the server's own /health did not answer within {HEALTH_TIME_MAX:?}: it is overloaded");
        }
    }
}

/// One request.
async fn get_health(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(reachable(address)).await?;
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let is_ok = text.split(' ').nth(1) == Some("200");
    if is_ok { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "no status 200")) }
}

/// An address that a wildcard one can be reached by.
fn reachable(address: SocketAddr) -> SocketAddr {
    let port = address.port();
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, port).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, port).into(),
        address => address,
    }
}
