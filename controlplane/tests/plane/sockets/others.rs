//! Names of others: what is asked for which client, and how the answers come back while everybody else goes on.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use super::*;
use crate::common::config_text;
use ringdns_controlplane::sockets::Asking;
use ringdns_engine::cache::{CACHE_BYTES_MIN, CacheDesk};
use ringdns_engine::recall::{AskOthers, Done, ForeignQuestion, KeptAnswer, RecallConfig};

/// Hands every question to the test.
struct Double(Mutex<Sender<(ForeignQuestion, Done)>>);

impl AskOthers for Double {
    fn ask(&self, question: ForeignQuestion, done: Done) {
        // A test that has ended wants none.
        let _ = self.0.lock().unwrap().send((question, done));
    }
}

/// Answers out of a cache.
fn recall(desk: &CacheDesk) -> RecallConfig {
    RecallConfig {
        shelf: Arc::clone(desk.shelf()),
        authoritative: false,
        stale_ttl_seconds: None,
        clients: None,
        is_handover: false,
    }
}

/// A host that has the test asked for names of others, for so long at most.
fn host(more: &str, time_max: Duration) -> (Host, Receiver<(ForeignQuestion, Done)>) {
    let (sender, questions) = channel();
    let directory = tempfile::tempdir().unwrap();
    let desk = CacheDesk::new(CACHE_BYTES_MIN);
    let recall = recall(&desk);
    let asking = Asking { asker: Arc::new(Double(Mutex::new(sender))), time_max };
    let more = format!("[sockets]\nlisten = [\"127.0.0.1:0\", \"0.0.0.0:0\"]\n{more}");
    let text = config_text(directory.path(), &more);
    let server = Server::try_start_asking(directory.path(), &text, Vec::new(), Some((asking, recall))).unwrap();
    wait_until("the sources are synced", || server.plane().is_synced());
    assert_eq!(server.json("PUT", "/api/v1/zones/example.org", "").0, 201);
    let host = Host { address: server.plane().socket_addresses()[0], server, _directory: directory };
    host.put("www", "A", &["192.0.2.1"]);
    host.put("out", "CNAME", &["www.others.test."]);
    (host, questions)
}

/// An answer of one address.
fn address(last: u8) -> Option<Arc<KeptAnswer>> {
    let body = vec![0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 198, 51, 100, last];
    Some(Arc::new(KeptAnswer {
        counts: [1, 0],
        body,
        ttl_places: vec![6],
        pointer_places: vec![0],
        ..KeptAnswer::default()
    }))
}

/// The next question.
fn next(questions: &Receiver<(ForeignQuestion, Done)>) -> (ForeignQuestion, Done) {
    questions.recv_timeout(WAIT).unwrap()
}

/// The id, the response code and the last byte of an answer.
fn told(answer: &[u8]) -> (u16, u8, u8) {
    (u16::from_be_bytes([answer[0], answer[1]]), answer[3] & 15, *answer.last().unwrap())
}

#[test]
fn datagrams_wait_for_others_and_nobody_waits_for_them() {
    let (host, questions) = host("", WAIT);
    // The second socket stands for all addresses: the answer must come from the one that was asked.
    let wildcard = host.server.plane().socket_addresses()[1].port();
    for to in [host.address, SocketAddr::from(([127, 0, 0, 9], wildcard))] {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        let mut buffer = [0; 512];
        let asked = [("a.others.test.", 1), ("b.others.test.", 2)].map(|(qname, id)| {
            socket.send(&query_with_id(id, qname, types::A)).unwrap();
            next(&questions)
        });
        assert_eq!(asked[0].0.client, socket.local_addr().unwrap().ip());
        assert_eq!(asked[0].0.name, "a.others.test.".parse().unwrap());
        assert_eq!(told(&host.ask_udp(&query_with_id(3, "www.example.org.", types::A))), (3, 0, 1));
        for (last, (_, done)) in (1..).zip(asked) {
            done(address(last));
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(told(&buffer[..length]), (last.into(), 0, last));
        }
    }
    assert_eq!(host.metric("ringdns_forwarded_total{worker=\"udp\"}"), 4);
    assert_eq!(host.metric("ringdns_recalled_total{worker=\"udp\"}"), 0);
}

#[test]
fn what_never_comes_is_servfail_and_what_is_not_to_be_given_is_not() {
    let (host, questions) = host("", Duration::from_millis(300));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(host.address).unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    let mut stream = host.connect();
    socket.send(&query_with_id(1, "silent.test.", types::A)).unwrap();
    next(&questions).1(None);
    socket.send(&query_with_id(2, "never.test.", types::A)).unwrap();
    let kept = next(&questions);
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!((told(&buffer[..length]).0, told(&buffer[..length]).1), (2, 2));
    kept.1(address(1));
    let answer = ask(&mut stream, &query_with_id(4, "never.test.", types::A)).unwrap();
    assert_eq!((told(&answer).0, told(&answer).1), (4, 2));
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(socket.recv(&mut buffer).is_err(), "it came too late");
}

#[test]
fn before_all_sources_are_read_others_are_asked_for_what_no_source_has() {
    let directory = tempfile::tempdir().unwrap();
    // Nobody writes to it: the zone's records do not come.
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (sender, questions) = channel();
    let desk = CacheDesk::new(CACHE_BYTES_MIN);
    let asking = Asking { asker: Arc::new(Double(Mutex::new(sender))), time_max: WAIT };
    let more = "[sockets]\nlisten = [\"127.0.0.1:0\"]\n[[zone_file]]\nzone = \"slow.test\"\npath = \"pipe\"\n";
    let text = config_text(directory.path(), more);
    let mut server =
        Server::try_start_asking(directory.path(), &text, Vec::new(), Some((asking, recall(&desk)))).unwrap();
    wait_until("the zones are known", || server.reader.pin().knows_zones());
    assert!(!server.reader.pin().is_complete());
    let host = Host { address: server.plane().socket_addresses()[0], server, _directory: directory };
    assert_eq!(told(&host.ask_udp(&query_with_id(1, "www.slow.test.", types::A))).1, 2, "it may yet come");
    let mut stream = host.connect();
    stream.write_all(&framed(&query_with_id(2, "www.others.test.", types::A))).unwrap();
    let (question, done) = next(&questions);
    assert_eq!(question.name, "www.others.test.".parse().unwrap());
    done(address(3));
    assert_eq!(told(&receive(&mut stream).unwrap()), (2, 0, 3));
    // Lets the reader go.
    std::fs::write(&pipe, "").unwrap();
    wait_until("all is read", || host.server.plane().is_synced());
}

#[test]
fn who_is_asked_for_a_suffix_is_asked_for_it_within_a_zone_too() {
    let forward = "[forward]\nupstreams = [\"192.0.2.9\"]\n[[forward.zone]]\nzone = \"sub.example.org\"\n\
                   upstreams = [\"192.0.2.10\"]\n";
    let (host, questions) = host(forward, WAIT);
    host.put("a.sub", "A", &["192.0.2.1"]);
    let mut stream = host.connect();
    stream.write_all(&framed(&query_with_id(1, "a.sub.example.org.", types::A))).unwrap();
    let (question, done) = next(&questions);
    assert_eq!(question.name, "a.sub.example.org.".parse().unwrap());
    done(address(3));
    assert_eq!(told(&receive(&mut stream).unwrap()), (1, 0, 3));
    assert_eq!(told(&host.ask_udp(&query_with_id(2, "a.other.example.org.", types::A))).1, 3);
    assert_eq!(host.server.get("/api/v1/zones").1["zones"].as_array().unwrap().len(), 1, "it is no zone of ours");
    // Where it becomes one, that answers.
    assert_eq!(host.server.json("PUT", "/api/v1/zones/sub.example.org", "").0, 201);
    assert_eq!(told(&host.ask_udp(&query_with_id(3, "a.sub.example.org.", types::A))).1, 3);
    assert_eq!(host.server.json("DELETE", "/api/v1/zones/sub.example.org", "").0, 204);
    stream.write_all(&framed(&query_with_id(4, "a.sub.example.org.", types::A))).unwrap();
    next(&questions).1(address(5));
    assert_eq!(told(&receive(&mut stream).unwrap()), (4, 0, 5));
}

#[test]
fn answers_over_tcp_come_as_they_are_known() {
    let (host, questions) = host("", WAIT);
    let mut stream = host.connect();
    let messages: Vec<u8> =
        [(1, "a.others.test."), (2, "www.example.org."), (3, "b.others.test."), (4, "out.example.org.")]
            .iter()
            .flat_map(|&(id, qname)| framed(&query_with_id(id, qname, types::A)))
            .collect();
    stream.write_all(&messages).unwrap();
    assert_eq!(told(&receive(&mut stream).unwrap()), (2, 0, 1));
    let [first, second, alias] = [(); 3].map(|()| next(&questions));
    assert_eq!(alias.0.name, "www.others.test.".parse().unwrap(), "what the alias leads to");
    assert_eq!(told(&ask(&mut host.connect(), &query_with_id(9, "www.example.org.", types::A)).unwrap()), (9, 0, 1));
    for (id, (_, done)) in [(3, second), (4, alias), (1, first)] {
        done(address(id));
        let answer = receive(&mut stream).unwrap();
        assert_eq!(told(&answer), (id.into(), 0, id));
        assert_eq!(answer[7], if id == 4 { 2 } else { 1 }, "the alias and the address");
    }
    // Who has closed its side gets its answer before the connection ends.
    stream.write_all(&framed(&query_with_id(7, "c.others.test.", types::A))).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let (_, done) = next(&questions);
    std::thread::sleep(Duration::from_millis(50));
    done(address(7));
    assert_eq!(told(&receive(&mut stream).unwrap()), (7, 0, 7));
    assert_eq!(receive(&mut stream), None);
    wait_until("it is counted", || host.closed("client") == 2);
}

#[test]
fn who_waits_is_not_idle_and_asks_only_so_much_at_once() {
    let (host, questions) = host("tcp_idle_seconds = 1", WAIT);
    let mut stream = host.connect();
    let asked = 100u16;
    let messages: Vec<u8> = (0..asked).flat_map(|id| framed(&query_with_id(id, "a.others.test.", types::A))).collect();
    stream.write_all(&messages).unwrap();
    let mut waiting: Vec<(ForeignQuestion, Done)> = (0..64).map(|_| next(&questions)).collect();
    assert!(questions.recv_timeout(Duration::from_millis(1500)).is_err(), "the rest waits in the connection");
    let mut answered = 0;
    while let Some((_, done)) = waiting.pop() {
        done(address(5));
        assert_eq!(
            (
                told(&receive(&mut stream).unwrap()).1,
                {
                    answered += 1;
                    answered
                } <= asked
            ),
            (0, true)
        );
        if answered + u16::try_from(waiting.len()).unwrap() < asked {
            waiting.push(next(&questions));
        }
    }
    assert_eq!(answered, asked);
    assert_eq!(receive(&mut stream), None);
    assert_eq!(host.closed("idle"), 1);
}

#[test]
fn the_end_waits_for_who_has_asked() {
    let (host, questions) = host("", WAIT);
    let mut stream = host.connect();
    stream.write_all(&framed(&query_with_id(1, "a.others.test.", types::A))).unwrap();
    let (_, done) = next(&questions);
    let ended = std::thread::spawn(move || drop(host));
    std::thread::sleep(Duration::from_millis(100));
    done(address(8));
    assert_eq!(told(&receive(&mut stream).unwrap()), (1, 0, 8));
    assert_eq!(receive(&mut stream), None);
    ended.join().unwrap();
}
