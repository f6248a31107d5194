//! `[sockets]`: DNS over TCP, and over UDP for the host itself.

use std::fs;
use std::io::{BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use harness::dig::{dig, dig_with};
use harness::link::addresses::SERVED4;
use harness::message::{Answer, Question};
use harness::process::{finish, resident_bytes, run};
use harness::tcp::{ask, connect_from, framed, raise_open_files, receive};
use harness::{Namespace, Server, Setup, turn, wait_for};

use crate::zone_text;

/// Where the server listens: every namespace has a loopback of its own.
const LOOPBACK: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53);

/// Connections that do nothing, where this machine lets a process have as many files open.
const IDLE_CONNECTIONS: u64 = 20_000;

/// Open files that are left to all else in the server and in the tests.
const FILES_RESERVED: u64 = 1_500;

/// Addresses that connections come from.
const SOURCES: u8 = 8;

/// Clients that have sent half a query, and clients that ask and never read.
const SLOW_CLIENTS: u64 = 200;

/// Most memory that an idle connection takes in the server: several times what it was found to be.
const CONNECTION_BYTES_MAX: u64 = 4 << 10;

/// Queries of the pipelining client.
const PIPELINED: u16 = 20_000;

/// Longest for anything that is to come: nothing here is about speed.
const TIME_MAX: Duration = Duration::from_secs(60);

/// A setup with sockets on the loopback, and keys of theirs.
fn setup(keys: &str) -> Setup {
    let mut setup = Setup::new();
    let texts = (0..100).map(|number| format!("large IN TXT \"{number:03}{}\"\n", "t".repeat(150)));
    let lines = "www IN A 203.0.113.1\n".to_owned() + &texts.collect::<String>();
    setup.write_zone("tcp.example.", &zone_text("tcp.example.", 1, &lines));
    setup.more = format!("[sockets]\nlisten = [\"127.0.0.1:53\", \"[::1]:53\", \"192.0.2.53:53\"]\n{keys}\n");
    setup
}

/// A query for the small RRset.
fn small(id: u16) -> Vec<u8> {
    Question::new("www.tcp.example.", 1).to_wire(id)
}

/// A query for the large one.
fn large(id: u16) -> Vec<u8> {
    Question::new("large.tcp.example.", 16).to_wire(id)
}

/// How many connections ended for a cause.
fn closed(server: &Server, cause: &str) -> u64 {
    server.metrics().sum("ringdns_tcp_closed_total", &[&format!("cause=\"{cause}\"")])
}

#[test]
fn tcp_and_udp_on_the_host_give_what_the_port_gives() {
    let _turn = turn();
    let setup = setup("");
    let server = setup.start();
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        for options in [&["+tcp"][..], &["+notcp"]] {
            let answer = dig_with(address, "www.tcp.example", "A", options);
            assert_eq!(answer.answer, dig(SERVED4, "www.tcp.example", "A").answer, "{address} {options:?}");
            assert_eq!(dig_with(address, "gone.tcp.example", "A", options).rcode, "NXDOMAIN");
        }
        let short = dig_with(address, "large.tcp.example", "TXT", &["+ignore"]);
        assert!(short.flags.contains("tc") && short.answer.is_empty(), "{short:?}");
        // By itself dig comes again over TCP.
        let whole = dig(address, "large.tcp.example", "TXT");
        assert!(!whole.flags.contains("tc"), "{}", whole.flags);
        assert_eq!(whole.answer.len(), 100);
    }
    server.put_zone("rest.example.");
    for last in 1..=20 {
        let address = format!("203.0.113.{last}");
        server.put_rrset("rest.example.", "www", "A", 60, &[&address]);
        for options in [&["+tcp"][..], &["+notcp"]] {
            let answer = dig_with(Ipv4Addr::LOCALHOST.into(), "www.rest.example", "A", options).answer;
            assert_eq!(answer, [format!("www.rest.example. 60 IN A {address}")]);
        }
    }
    let metrics = server.metrics();
    assert!(metrics.sum("ringdns_queries_total", &["worker=\"tcp\""]) >= 24);
    assert!(metrics.sum("ringdns_queries_total", &["worker=\"udp\""]) >= 24);
}

/// Asks all that it has to in one go, and checks that the answers come in the same order.
fn pipeline() {
    let stream = connect_from(Ipv4Addr::LOCALHOST, LOOPBACK);
    let mut writer = stream.try_clone().expect("a second handle");
    let writing = thread::spawn(move || {
        let queries: Vec<u8> = (0..PIPELINED).flat_map(|id| framed(&small(id))).collect();
        writer.write_all(&queries).expect("a server that reads");
    });
    let mut reader = BufReader::new(stream);
    for id in 0..PIPELINED {
        let answer = receive(&mut reader).expect("an answer");
        assert_eq!(answer[..2], id.to_be_bytes());
    }
    writing.join().expect("a writer");
}

/// Connections that have begun a query, and connections that ask for much and never read.
fn slow_clients() -> Vec<TcpStream> {
    let connect = |index: u64| {
        let mut stream = connect_from(Ipv4Addr::new(127, 0, 1, 1), LOOPBACK);
        if index.is_multiple_of(2) {
            stream.write_all(&framed(&small(1))[..20]).expect("a connection");
        } else {
            stream.set_nonblocking(true).expect("an option");
            // Its own buffer may fill: so much the better.
            let _ = stream.write(&framed(&large(1)).repeat(2_000));
        }
        stream
    };
    (0..SLOW_CLIENTS).map(connect).collect()
}

#[test]
fn thousands_of_idle_and_slow_connections_delay_nobody_in_bounded_memory() {
    let _turn = turn();
    let files = raise_open_files();
    assert!(files > 2 * FILES_RESERVED, "raise the limit of open files (ulimit -Hn): it is {files}");
    let connections = IDLE_CONNECTIONS.min(files - FILES_RESERVED);
    let setup = setup(
        "tcp_connections_max = 25000\ntcp_connections_per_client_max = 4000\ntcp_idle_seconds = 1800\n\
         tcp_message_seconds = 2\ntcp_write_seconds = 2",
    );
    let server = setup.start();
    let before = resident_bytes(server.id());
    let source = |index: u64| Ipv4Addr::new(127, 0, 0, u8::try_from(index % u64::from(SOURCES)).expect("few") + 10);
    let mut idle: Vec<TcpStream> = (0..connections).map(|index| connect_from(source(index), LOOPBACK)).collect();
    wait_for("all connections to be open", TIME_MAX, || {
        (server.metrics().sum("ringdns_tcp_connections", &[]) == connections).then_some(())
    });
    let each = resident_bytes(server.id()).saturating_sub(before) / connections;
    println!("{connections} idle connections of {files} open files: {each} bytes of memory each");
    assert!(each < CONNECTION_BYTES_MAX, "{each} bytes");

    if files < 25_512 {
        assert!(server.log().contains("LimitNOFILE=25512"), "the remedy is told");
    }

    let questions = setup.path("questions");
    fs::write(&questions, "www.tcp.example A\nmissing.tcp.example A\n".repeat(10_000)).expect("a writable folder");
    let slow = slow_clients();
    // In the same namespace: a thread starts in that of the one that made it.
    let pipelining = thread::spawn(pipeline);
    let start = Instant::now();
    let mut dnsperf = Command::new("dnsperf");
    dnsperf.args(["-m", "tcp", "-s", "127.0.0.1", "-c", "20", "-n", "5", "-t", "20", "-d"]).arg(&questions);
    let report = finish(&mut dnsperf, TIME_MAX).stdout;
    assert!(report.contains("Queries lost:         0 (0.00%)") && report.contains("100000 (100.00%)"), "{report}");
    pipelining.join().expect("all answers in order");
    let rate = report.lines().find(|line| line.contains("Queries per second")).unwrap_or_default();
    println!("beside them over TCP: {} pipelined, dnsperf {} in {:?}", PIPELINED, rate.trim(), start.elapsed());

    let half = SLOW_CLIENTS / 2;
    wait_for("slow clients to be closed", TIME_MAX, || {
        (closed(&server, "slow_query") == half && closed(&server, "slow_reader") == half).then_some(())
    });
    drop(slow);
    let after = resident_bytes(server.id());
    println!("memory before {} KiB, at the end {} KiB", before >> 10, after >> 10);
    assert!(after.saturating_sub(before) < connections * CONNECTION_BYTES_MAX, "{after} bytes after {before}");
    for stream in idle.iter_mut().step_by(100) {
        assert!(ask(stream, &small(7)).is_some(), "an idle connection is still good");
    }
}

#[test]
fn what_was_asked_over_tcp_is_answered_before_the_end() {
    let _turn = turn();
    let setup = setup("");
    let server = setup.start();
    let mut streams: Vec<TcpStream> = (0..50).map(|_| connect_from(Ipv4Addr::LOCALHOST, LOOPBACK)).collect();
    for stream in &mut streams {
        assert!(ask(stream, &small(1)).is_some());
    }
    for stream in &mut streams {
        let queries: Vec<u8> = (0..200).flat_map(|id| framed(&small(id))).collect();
        stream.write_all(&queries).expect("a connection");
    }
    assert!(server.stop().success());
    for stream in &mut streams {
        for id in 0..200u16 {
            let answer = receive(stream).expect("an answer");
            assert_eq!(answer[..2], id.to_be_bytes());
            assert_eq!(Answer::parse(&answer).expect("a message").answer.len(), 1);
        }
        assert_eq!(receive(stream), None);
    }
}

#[test]
fn clients_that_vanish_are_forgotten() {
    let _turn = turn();
    let mut setup = setup("tcp_idle_seconds = 3\ntcp_write_seconds = 3");
    // An address that comes after the start.
    setup.more = setup.more.replace("192.0.2.53:53", "198.51.100.1:53");
    let server = setup.start();
    let far = Namespace::new();
    run("ip", &["link", "add", "near", "type", "veth", "peer", "name", "far", "netns", &far.path()]);
    run("ip", &["address", "add", "198.51.100.1/24", "dev", "near"]);
    run("ip", &["link", "set", "near", "up"]);
    let mut streams: Vec<TcpStream> = {
        let _entered = far.enter();
        run("ip", &["address", "add", "198.51.100.2/24", "dev", "far"]);
        run("ip", &["link", "set", "far", "up"]);
        let [server, client] = [1, 2].map(|last| Ipv4Addr::new(198, 51, 100, last));
        assert_eq!(dig_with(server.into(), "www.tcp.example", "A", &["+tcp"]).answer.len(), 1);
        (0..90).map(|_| connect_from(client, SocketAddrV4::new(server, 53))).collect()
    };
    for (index, stream) in streams.iter_mut().enumerate() {
        assert!(ask(stream, &small(1)).is_some());
        // Some leave half a query behind, some an answer that nobody takes.
        match index % 3 {
            0 => stream.write_all(&framed(&small(1))[..9]).expect("a connection"),
            1 => stream.write_all(&framed(&large(1)).repeat(100)).expect("a connection"),
            _ => {}
        }
    }
    run("ip", &["link", "delete", "near"]);
    assert_eq!(dig_with(Ipv4Addr::LOCALHOST.into(), "www.tcp.example", "A", &["+tcp"]).answer.len(), 1);
    wait_for("the connections to be forgotten", TIME_MAX, || {
        (server.metrics().sum("ringdns_tcp_connections", &[]) == 0).then_some(())
    });
}

#[test]
fn without_open_files_old_connections_make_room_for_new_ones() {
    let _turn = turn();
    let setup = setup("");
    let server = setup.start();
    let process = server.id();
    let open = fs::read_dir(format!("/proc/{process}/fd")).expect("a running process").count();
    run("prlimit", &["--pid", &process.to_string(), &format!("--nofile={}:", open + 30)]);
    let mut streams: Vec<TcpStream> = Vec::new();
    for id in 0..90 {
        let mut stream = connect_from(Ipv4Addr::LOCALHOST, LOOPBACK);
        assert!(ask(&mut stream, &small(id)).is_some(), "connection {id}");
        streams.push(stream);
    }
    let metrics = server.metrics();
    assert!(metrics.sum("ringdns_tcp_refused_total", &["cause=\"accept\""]) >= 1);
    assert!(closed(&server, "evicted") >= 1);
    assert_eq!(dig(SERVED4, "www.tcp.example", "A").rcode, "NOERROR");
}

#[test]
fn a_reload_holds_for_the_next_message_of_an_open_connection() {
    let _turn = turn();
    let mut setup = setup("[dns]\nversion = \"one\"");
    let server = setup.start();
    let version = |options: &[&str]| {
        let options = [&["-c", "CH"][..], options].concat();
        dig_with(Ipv4Addr::LOCALHOST.into(), "version.bind", "TXT", &options).answer
    };
    let mut stream = connect_from(Ipv4Addr::LOCALHOST, LOOPBACK);
    let mut question = Question::new("version.bind.", 16).to_wire(1);
    let class = question.len() - 1;
    question[class] = 3;
    assert!(ask(&mut stream, &question).expect("an answer").ends_with(b"\x03one"));
    setup.more = setup.more.replace("one", "another").replace("[sockets]\n", "[sockets]\ntcp_idle_seconds = 99\n");
    setup.write_config();
    let report = server.send("POST", "/api/v1/reload", None);
    assert_eq!(report.status, 200, "{report:?}");
    assert!(report.body.contains("dns.version") && report.body.contains("sockets.tcp_idle_seconds"), "{report:?}");
    assert!(ask(&mut stream, &question).expect("an answer").ends_with(b"\x07another"));
    for options in [&["+tcp"][..], &["+notcp"]] {
        assert_eq!(version(options), ["version.bind. 0 CH TXT \"another\""]);
    }
}

#[test]
fn a_port_in_use_is_refused_with_the_remedy() {
    let _turn = turn();
    let _listener = std::net::TcpListener::bind(LOOPBACK).expect("a free port in a new namespace");
    let finished = setup("").run_to_end(TIME_MAX);
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(!finished.status.success() && said.contains("127.0.0.1:53") && said.contains("ss -lntup"), "{said}");
}
