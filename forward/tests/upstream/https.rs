//! Over HTTPS (RFC 8484).

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ringdns_controlplane::config::forward::UpstreamConfig;
use ringdns_forward::upstream::{Failure, Upstream};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::asking::{TRY, address, ask, quiet, until, with};
use crate::certificates::{Authority, acceptor};
use crate::reply::{Asked, HONEST};

/// The type of messages.
const MESSAGE: &str = "application/dns-message";

/// What was asked for.
type Requests = Arc<Mutex<Vec<(String, Asked)>>>;

/// A server.
struct Server {
    /// Where.
    address: SocketAddr,
    /// Requests: what was asked for, and the message.
    requests: Requests,
    /// Connections begun and ended.
    connections: Arc<Mutex<(usize, usize)>>,
    /// What keeps it going.
    _tasks: JoinSet<()>,
}

/// How it answers a request.
type Manner = fn(&Asked) -> (u16, &'static str, Vec<u8>);

/// As it should be.
fn honest(asked: &Asked) -> (u16, &'static str, Vec<u8>) {
    (200, MESSAGE, asked.reply().bytes())
}

/// Starts a server whose connections each last for so many requests.
async fn start(certificate: &str, protocol: &[u8], per_connection: usize, manner: Manner) -> Server {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = acceptor(certificate, &[protocol]);
    let (requests, connections): (Requests, Arc<Mutex<(usize, usize)>>) = Default::default();
    let (kept_requests, kept_connections) = (Arc::clone(&requests), Arc::clone(&connections));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut running = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let (tls, requests, connections) = (tls.clone(), Arc::clone(&requests), Arc::clone(&connections));
            running.spawn(async move {
                let Ok(stream) = tls.accept(stream).await else { return };
                connections.lock().unwrap().0 += 1;
                serve(TokioIo::new(stream), requests, per_connection, manner).await;
                connections.lock().unwrap().1 += 1;
            });
        }
    });
    Server { address, requests: kept_requests, connections: kept_connections, _tasks: tasks }
}

/// Answers the requests of a connection.
async fn serve<S>(stream: TokioIo<S>, requests: Requests, per_connection: usize, manner: Manner)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let answered = Arc::new(Mutex::new(0));
    let finished = Arc::new(tokio::sync::Notify::new());
    let ended = Arc::clone(&finished);
    let service = service_fn(move |request: Request<Incoming>| {
        let (answered, finished, requests) = (Arc::clone(&answered), Arc::clone(&ended), Arc::clone(&requests));
        async move {
            assert_eq!(request.method(), Method::GET);
            assert_eq!(request.headers()["accept"], MESSAGE);
            let uri = request.uri().to_string();
            let (uri, message) = uri.split_once("dns=").unwrap();
            let (uri, message) = (uri.to_owned(), BASE64URL_NOPAD.decode(message.as_bytes()).unwrap());
            assert!(request.into_body().collect().await.unwrap().to_bytes().is_empty());
            let asked = Asked { over_tcp: true, on_connection: 0, message };
            let (status, kind, body) = manner(&asked);
            let is_silent = asked.name().starts_with(b"\x06silent");
            let more = match asked.name() {
                [4, b'a', b'g', b'e', b'd', ..] => Some(("age", "45".to_owned())),
                [3, b'c', b'u', b't', ..] => Some(("content-length", "500".to_owned())),
                [4, b'w', b'i', b'd', b'e', ..] => Some(("x-wide", "x".repeat(64 << 10))),
                _ => None,
            };
            requests.lock().unwrap().push((uri, asked));
            if is_silent {
                std::future::pending::<()>().await;
            }
            *answered.lock().unwrap() += 1;
            if *answered.lock().unwrap() >= per_connection {
                finished.notify_one();
            }
            let mut response = Response::builder().status(status).header("content-type", kind);
            if let Some((header, value)) = more {
                response = response.header(header, value);
            }
            Ok::<_, Infallible>(response.body(Full::new(Bytes::from(body))).unwrap())
        }
    });
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service);
    tokio::pin!(connection);
    tokio::select! {
        _ = &mut connection => {}
        () = finished.notified() => {
            // The last answer goes out, and then the connection is cut.
            drop(tokio::time::timeout(Duration::from_millis(50), &mut connection).await);
        }
    }
}

/// The upstream at a server.
fn upstream(server: &Server, name: &str, path: &str) -> Upstream {
    let (name, path) = (name.to_owned(), path.to_owned());
    let authority = Authority::file();
    let ca_file = Some(authority.path());
    with(&UpstreamConfig::Https { address: server.address, name, path, ca_file }, quiet())
}

#[tokio::test]
async fn questions_share_one_connection() {
    let server = start("good", b"h2", usize::MAX, honest).await;
    let upstream = upstream(&server, "dns.example", "/queries{?dns}");
    let answers = join_all((0..50).map(|_| ask(&upstream, "some.name.", TRY))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!(*server.connections.lock().unwrap(), (1, 0));
    assert_eq!(upstream.state().connections, 1);
    for (uri, asked) in server.requests.lock().unwrap().iter() {
        assert_eq!(*uri, format!("https://dns.example:{}/queries?", server.address.port()));
        assert_eq!((asked.id(), asked.message.len() % 128), (0, 0));
    }
    drop(upstream);
    until("the connection is closed", || server.connections.lock().unwrap().1 == 1).await;
}

#[tokio::test]
async fn a_connection_that_has_gone_is_replaced() {
    let server = start("good", b"h2", 1, honest).await;
    let upstream = upstream(&server, "dns.example", "/dns-query");
    for round in 1..=3 {
        assert_eq!(address(&upstream).await, HONEST);
        until("the connection is cut", || server.connections.lock().unwrap().1 == round).await;
    }
    assert_eq!(upstream.state().failures_in_row, 0);
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_not_used_again() {
    let server = start("good", b"h2", usize::MAX, honest).await;
    let upstream = upstream(&server, "dns.example", "/dns-query?for=us");
    assert_eq!(ask(&upstream, "silent.", Duration::from_millis(600)).await, Err(Failure::Timeout));
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!(server.connections.lock().unwrap().0, 2);
    assert!(server.requests.lock().unwrap().iter().all(|(uri, _)| uri.ends_with("/dns-query?for=us&")));
    // Who is slow while others are answered is no reason.
    drop(join_all([ask(&upstream, "silent.", Duration::from_millis(600)), ask(&upstream, "some.name.", TRY)]).await);
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!(server.connections.lock().unwrap().0, 2);
}

#[tokio::test]
async fn only_a_message_with_200_is_an_answer() {
    let manners: [(Manner, Failure); 5] = [
        (|asked| (500, MESSAGE, asked.reply().bytes()), Failure::Http),
        (|asked| (200, "text/html", asked.reply().bytes()), Failure::Http),
        (|_| (200, MESSAGE, vec![0; 70_000]), Failure::Http),
        (|asked| (200, MESSAGE, asked.reply().bytes()[..20].to_vec()), Failure::Malformed),
        (|asked| (302, MESSAGE, asked.reply().bytes()), Failure::Http),
    ];
    for (manner, failure) in manners {
        let server = start("good", b"h2", usize::MAX, manner).await;
        assert_eq!(ask(&upstream(&server, "dns.example", "/"), "some.name.", TRY).await, Err(failure));
    }
}

#[tokio::test]
async fn certificates_and_the_protocol_are_checked() {
    for certificate in ["elsewhere", "expired", "untrusted"] {
        let server = start(certificate, b"h2", usize::MAX, honest).await;
        let failure = ask(&upstream(&server, "dns.example", "/"), "some.name.", TRY).await;
        assert_eq!(failure, Err(Failure::Certificate), "{certificate}");
    }
    let server = start("good", b"http/1.1", usize::MAX, honest).await;
    let failure = ask(&upstream(&server, "dns.example", "/"), "some.name.", TRY).await.unwrap_err();
    assert!(matches!(failure, Failure::Tls | Failure::Http), "{failure:?}");
    let server = start("good", b"h2", usize::MAX, honest).await;
    assert_eq!(address(&upstream(&server, "127.0.0.1", "/")).await, HONEST);
}

#[tokio::test]
async fn what_was_in_a_cache_of_http_is_as_old_as_that_says() {
    let server = start("good", b"h2", usize::MAX, honest).await;
    let upstream = upstream(&server, "dns.example", "/dns-query");
    for (name, ttl) in [("new.name.example.", 60), ("aged.name.example.", 15)] {
        let message = ask(&upstream, name, TRY).await.unwrap();
        let message = hickory_proto::op::Message::from_vec(&message).unwrap();
        assert_eq!(message.answers[0].ttl, ttl, "{name}");
    }
}

#[tokio::test]
async fn a_body_that_is_cut_or_headers_without_end_are_no_answer_and_the_next_question_has_one() {
    let server = start("good", b"h2", usize::MAX, honest).await;
    let upstream = upstream(&server, "dns.example", "/dns-query");
    for name in ["cut.name.example.", "wide.name.example."] {
        let failure = ask(&upstream, name, TRY).await.unwrap_err();
        assert!(matches!(failure, Failure::Http | Failure::Closed), "{name}: {failure:?}");
        assert_eq!(address(&upstream).await, HONEST, "after {name}");
    }
}
