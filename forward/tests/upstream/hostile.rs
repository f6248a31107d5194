//! Upstreams that are odd or mean, by IPv6 as by IPv4, over each transport: whatever they do ends in the right answer or in a failure,
//! in time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use ringdns_controlplane::config::forward::UpstreamConfig;
use ringdns_forward::upstream::{Failure, Switches, Upstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::asking::{SHORT, TRY, address, address_in, ask, bad, quiet, tcp_only, until, with};
use crate::certificates::{Authority, acceptor};
use crate::double::{Act, Double, only};
use crate::reply::{Asked, FORGED, HONEST, Reply, framed};

/// Loopback by IPv6 and IPv4.
const LOOPBACKS: [IpAddr; 2] = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];

/// A double by IPv6, over UDP and TCP.
async fn by_ipv6(manner: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> Double {
    Double::at(LOOPBACKS[0], true, None, manner).await
}

/// The upstream of a double over TLS.
fn tls(address: SocketAddr, name: Option<&str>) -> Upstream {
    let (name, authority) = (name.map(str::to_owned), Authority::file());
    with(&UpstreamConfig::Tls { address, name, ca_file: Some(authority.path()) }, quiet())
}

/// The upstream of a double over HTTPS.
fn https(address: SocketAddr, name: &str) -> Upstream {
    let (name, path, authority) = (name.to_owned(), "/dns-query".to_owned(), Authority::file());
    with(&UpstreamConfig::Https { address, name, path, ca_file: Some(authority.path()) }, quiet())
}

/// A server that does something with each connection, and counts them not.
async fn raw<F>(ip: IpAddr, act: impl Fn(TcpStream, usize) -> F + Send + 'static) -> (SocketAddr, JoinSet<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut running = JoinSet::new();
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            stream.set_nodelay(true).unwrap();
            running.spawn(act(stream, number));
        }
    });
    (address, tasks)
}

#[tokio::test]
async fn by_ipv6_packets_are_checked_as_by_ipv4() {
    let double = by_ipv6(|asked| {
        let forged = || asked.reply().with(&[FORGED]);
        vec![
            Act::FromElsewhere(forged().bytes()),
            Reply { id: !asked.id(), ..forged() }.into(),
            Reply { question: b"\x05other\0\0\x01\0\x01".to_vec(), ..forged() }.into(),
            asked.reply().into(),
        ]
    })
    .await;
    let upstream = with(&UpstreamConfig::Plain(double.address), quiet());
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!((bad(&upstream, "id"), bad(&upstream, "question")), (1, 1));
    let askers: Vec<u16> = {
        for _ in 0..10 {
            assert_eq!(address(&upstream).await, HONEST);
        }
        double.askers().iter().map(SocketAddr::port).collect()
    };
    let ports: std::collections::HashSet<&u16> = askers.iter().collect();
    assert!(ports.len() > 8, "a port for each question: {askers:?}");
}

#[tokio::test]
async fn by_ipv6_what_is_cut_off_is_asked_for_over_tcp() {
    let double = by_ipv6(|asked| only(if asked.over_tcp { asked.reply() } else { asked.reply().truncated() })).await;
    let upstream = with(&UpstreamConfig::Plain(double.address), quiet());
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!(double.connections().0, 1);
}

#[tokio::test]
async fn by_ipv6_nobody_is_told_from_somebody_slow() {
    let gone = tokio::net::UdpSocket::bind((LOOPBACKS[0], 0)).await.unwrap().local_addr().unwrap();
    assert_eq!(ask(&with(&UpstreamConfig::Plain(gone), quiet()), "some.name.", TRY).await, Err(Failure::Unreachable));
    let slow = by_ipv6(|_| Vec::new()).await;
    let upstream = with(&UpstreamConfig::Plain(slow.address), quiet());
    assert_eq!(ask(&upstream, "some.name.", SHORT).await, Err(Failure::Timeout));
}

#[tokio::test]
async fn certificates_are_checked_by_ipv6_and_one_that_signed_itself_is_not_good() {
    for ip in LOOPBACKS {
        for (certificate, is_good) in
            [("good", true), ("elsewhere", false), ("expired", false), ("untrusted", false), ("own", false)]
        {
            let double =
                Double::at(ip, true, Some(acceptor(certificate, &[b"dot", b"h2"])), |asked| only(asked.reply()));
            let double = double.await;
            for name in [None, Some("dns.example")] {
                let answer = ask(&tls(double.address, name), "some.name.", TRY).await;
                let expected = if is_good { Ok(HONEST) } else { Err(Failure::Certificate) };
                assert_eq!(answer.map(|message| address_in(&message)), expected, "{ip} {certificate} {name:?}");
            }
            if !is_good {
                let answer = ask(&https(double.address, "dns.example"), "some.name.", TRY).await;
                assert_eq!(answer, Err(Failure::Certificate), "{ip} {certificate}");
                assert!(double.asked().is_empty(), "{ip} {certificate}: nothing is asked");
            }
        }
        let wrong_name = Double::at(ip, true, Some(acceptor("good", &[b"dot"])), |asked| only(asked.reply())).await;
        let answer = ask(&tls(wrong_name.address, Some("other.example")), "some.name.", TRY).await;
        assert_eq!(answer, Err(Failure::Certificate), "{ip}");
    }
}

#[tokio::test]
async fn handshakes_that_are_cut_or_never_end_are_failures_in_time() {
    // Closed at once; closed in the middle of a record of TLS; silent; never an end of a record.
    let manners: [(&[u8], bool); 4] =
        [(b"", true), (b"\x16\x03\x03\x40\0\x02\0", true), (b"", false), (b"\x16\x03\x03", false)];
    for (said, closes) in manners {
        for ip in LOOPBACKS {
            let (address, _tasks) = raw(ip, move |mut stream, _| async move {
                let mut hello = [0; 16];
                drop(stream.read(&mut hello).await);
                drop(stream.write_all(said).await);
                if !closes {
                    std::future::pending::<()>().await;
                }
            })
            .await;
            for upstream in [tls(address, None), https(address, "dns.example")] {
                let begun = Instant::now();
                let failure = ask(&upstream, "some.name.", SHORT).await.unwrap_err();
                assert!(matches!(failure, Failure::Tls | Failure::Timeout | Failure::Closed), "{said:?}: {failure:?}");
                assert!(begun.elapsed() < TRY, "{said:?}");
            }
        }
    }
}

#[tokio::test]
async fn messages_in_pieces_of_one_byte_are_answers_and_cut_ones_are_none() {
    for acceptor_of in [None, Some("good")] {
        let tls_acceptor = || acceptor_of.map(|certificate| acceptor(certificate, &[b"dot"]));
        let upstream = |address| if acceptor_of.is_some() { tls(address, None) } else { tcp_only(address) };
        let drops = Double::at(LOOPBACKS[0], true, tls_acceptor(), |asked| {
            let message = asked.reply().bytes();
            framed(&message, message.len()).iter().map(|byte| Act::Raw(vec![*byte])).collect()
        });
        let drops = drops.await;
        assert_eq!(address(&upstream(drops.address)).await, HONEST);
        for (last, failure) in [(Act::Close, Failure::Closed), (Act::Wait(1), Failure::Timeout)] {
            let half = Double::at(LOOPBACKS[0], true, tls_acceptor(), move |asked| {
                let message = asked.reply().bytes();
                vec![Act::Raw(framed(&message, message.len() / 2)), last.clone()]
            });
            let half = half.await;
            assert_eq!(ask(&upstream(half.address), "some.name.", SHORT).await, Err(failure));
        }
    }
}

#[tokio::test]
async fn lengths_at_their_bounds_are_read_and_no_more_is() {
    // As many records as a message can have.
    let most = |asked: &Asked| {
        let reply = asked.reply();
        let room = 65_535 - reply.with(&[]).bytes().len();
        asked.reply().with(&vec![HONEST; room / 16]).bytes()
    };
    let large = by_ipv6(move |asked| vec![Act::Send(most(asked))]).await;
    let answer = ask(&tcp_only(large.address), "some.name.", TRY).await.unwrap();
    assert!(answer.len() > 65_500, "{}", answer.len());
    // Lengths of nothing, of less than a header, of one more than there is; and one that is all that comes.
    for bytes in [vec![0, 0], vec![0, 5, 1, 2, 3, 4, 5], vec![0xff; 70_000], vec![0xff, 0xff]] {
        let double = by_ipv6(move |_| vec![Act::Raw(bytes.clone())]).await;
        let begun = Instant::now();
        let failure = ask(&tcp_only(double.address), "some.name.", SHORT).await.unwrap_err();
        assert!(matches!(failure, Failure::Timeout | Failure::Closed), "{failure:?}");
        assert!(begun.elapsed() < TRY);
    }
    // By UDP a packet has 1232 bytes at most: what is longer is not believed, and asked for over TCP.
    let wide =
        by_ipv6(|asked| if asked.over_tcp { only(asked.reply()) } else { only(asked.reply().with(&[FORGED; 90])) });
    let wide = wide.await;
    let upstream = with(&UpstreamConfig::Plain(wide.address), quiet());
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!(bad(&upstream, "oversize"), 1);
}

#[tokio::test]
async fn who_talks_without_end_is_not_listened_to() {
    let (address, _tasks) = raw(LOOPBACKS[0], |mut stream, _| async move {
        // Messages that answer nothing, as fast as they are taken.
        let message = framed(&[7; 40], 40).repeat(50);
        while stream.write_all(&message).await.is_ok() {}
    })
    .await;
    let upstream = tcp_only(address);
    let begun = Instant::now();
    assert_eq!(ask(&upstream, "some.name.", TRY).await, Err(Failure::Closed));
    assert!(begun.elapsed() < TRY, "it ends before the time does");
    until("nothing is kept of it", || upstream.state().connections == 0).await;
}

#[tokio::test]
async fn an_upstream_that_is_further_away_than_before_is_reached_again() {
    // The first handshake is fast; all others take longer than several times as long.
    let acceptor = acceptor("good", &[b"dot"]);
    let (address, _tasks) = raw(LOOPBACKS[0], move |stream, number| {
        let acceptor = acceptor.clone();
        async move {
            if number > 0 {
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut length = [0; 2];
            if stream.read_exact(&mut length).await.is_err() {
                return;
            }
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut message).await.unwrap();
            let message = Asked { over_tcp: true, on_connection: 1, message }.reply().bytes();
            drop(stream.write_all(&framed(&message, message.len())).await);
        }
    })
    .await;
    let authority = Authority::file();
    let config = UpstreamConfig::Tls { address, name: None, ca_file: Some(authority.path()) };
    let upstream = with(&config, Switches { idle_after: Duration::from_millis(100), ..quiet() });
    assert_eq!(address_in(&ask(&upstream, "some.name.", TRY).await.unwrap()), HONEST);
    until("the connection has gone", || upstream.state().connections == 0).await;
    drop(ask(&upstream, "some.name.", TRY).await);
    until("the connection has gone", || upstream.state().connections == 0).await;
    let again = ask(&upstream, "some.name.", TRY).await;
    assert_eq!(again.map(|message| address_in(&message)), Ok(HONEST), "what it took once does not count for ever");
}
