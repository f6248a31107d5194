//! A real upstream on the loopback interface.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ringdns_controlplane::config::forward::UpstreamConfig;
use ringdns_engine::cache::EntryBits;
use ringdns_engine::recall::{AskOthers, ForeignQuestion};
use ringdns_engine::snapshot::Snapshot;
use ringdns_forward::Forwarder;
use ringdns_forward::policy::AskAll;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::common::{A, config, name, shown, zone};

/// Answers each query with an address, in the letters that it came in.
async fn serve(socket: UdpSocket) {
    let mut buffer = [0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let query = &buffer[..length];
        let question = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
        let header = [&query[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]].concat();
        let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 9];
        let answer = [&header, &query[12..question], &record].concat();
        socket.send_to(&answer, from).await.unwrap();
    }
}

#[tokio::test]
async fn a_question_goes_to_the_network_and_its_answer_into_the_cache() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let upstream = socket.local_addr().unwrap();
    let server = tokio::spawn(serve(socket));
    let mut zone = zone(".", &[]);
    zone.upstreams = vec![UpstreamConfig::Plain(SocketAddr::new(IpAddr::from([127, 0, 0, 1]), upstream.port()))];
    let snapshot = Arc::new(Snapshot::empty());
    let snapshots = Arc::new(move || Arc::clone(&snapshot));
    let handle = tokio::runtime::Handle::current();
    let forwarder = Forwarder::start(&config(vec![zone]), handle, snapshots, Arc::new(AskAll)).unwrap();
    for _ in 0..2 {
        let (done, answer) = oneshot::channel();
        let client = IpAddr::from([192, 0, 2, 1]);
        let question =
            ForeignQuestion { name: name("www.test."), qtype: A, bits: EntryBits::default(), client, is_stream: false };
        forwarder.ask(question, Box::new(move |answer| drop(done.send(answer))));
        let answer = timeout(Duration::from_secs(10), answer).await.unwrap().unwrap().unwrap();
        assert!(shown("www.test.", A, &answer).ends_with(" A 192.0.2.9"));
    }
    assert_eq!(forwarder.entries(None, 0, 10).len(), 1);
    let [upstream] = &forwarder.upstreams()[..] else { panic!("one upstream") };
    assert!(upstream.state.is_up && upstream.state.answered >= 1);
    server.abort();
}
