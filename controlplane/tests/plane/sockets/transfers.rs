//! Zone transfers over TCP: to whom, in what order with other queries, and what becomes of clients that do not take them.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use ringdns_controlplane::config::Config;

use super::*;

/// Whoever comes by loopback may have every zone.
const TO_LOOPBACK: &str = "[[transfer]]\nzones = [\"*\"]\nto = [\"127.0.0.0/8\"]\n";

/// A question for the whole zone.
fn axfr() -> Vec<u8> {
    query_with_id(7, "example.org.", 252)
}

/// A host with a zone of more than a MiB.
fn large(more: &str) -> Host {
    let host = Host::new(more);
    let texts: Vec<String> = (0..250).map(|number| format!("\"{number:03}{}\"", "t".repeat(150))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for number in 0..30 {
        host.put(&format!("l{number}"), "TXT", &texts);
    }
    host
}

/// A connection whose client has hardly a buffer.
fn narrow(host: &Host) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&host.address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream
}

/// The types of the answer records of messages up to that with the second SOA record, and the bytes of all.
fn receive_zone(stream: &mut TcpStream) -> (Vec<u16>, Vec<u8>) {
    let (mut rtypes, mut all) = (Vec::new(), Vec::new());
    while rtypes.iter().filter(|&&rtype| rtype == types::SOA).count() < 2 {
        let message = receive(stream).unwrap();
        assert_eq!((&message[..2], message[3] & 0xf, message[2] & 4), (&[0, 7][..], 0, 4));
        // The question is `example.org`: 17 bytes behind the header.
        let (mut at, mut left) = (29, u16::from_be_bytes([message[6], message[7]]));
        while left > 0 {
            while message[at] != 0 && message[at] < 0xc0 {
                at += usize::from(message[at]) + 1;
            }
            at += if message[at] == 0 { 1 } else { 2 };
            rtypes.push(u16::from_be_bytes([message[at], message[at + 1]]));
            at += 10 + usize::from(u16::from_be_bytes([message[at + 8], message[at + 9]]));
            left -= 1;
        }
        all.extend(message);
    }
    assert_eq!((rtypes.first(), rtypes.last()), (Some(&types::SOA), Some(&types::SOA)));
    (rtypes, all)
}

/// What became of questions for transfers.
fn outcome(host: &Host, outcome: &str) -> u64 {
    host.metric(&format!("ringdns_transfers_total{{outcome=\"{outcome}\"}}"))
}

#[test]
fn who_may_have_a_zone_is_said_and_may_change() {
    let table = |zones: &str, to: &str| format!("[[transfer]]\nzones = [\"{zones}\"]\nto = [\"{to}\"]\n");
    let host = Host::new(&table("example.org", "10.0.0.0/8"));
    let mut stream = host.connect();
    let rcode = |stream: &mut TcpStream| ask(stream, &axfr()).unwrap()[3] & 0xf;
    assert_eq!(rcode(&mut stream), 5, "another network");
    let path = host._directory.path().join("ringdns.toml");
    let listen = "[sockets]\nlisten = [\"127.0.0.1:0\"]\n";
    let config = |more: &str| {
        let text = crate::common::config_text(host._directory.path(), &format!("{listen}{more}"));
        Config::parse(&path, &text).unwrap()
    };
    let mut running = config(&table("example.org", "10.0.0.0/8"));
    let mut reconfigure = |more: &str, live: &[&str]| {
        let new = config(more);
        let changes = running.take(&new);
        assert_eq!(
            (&changes.live[..], changes.restart.len()),
            (&live.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>()[..], 0)
        );
        host.server.plane().reconfigure(&running, &changes).blocking_recv().unwrap();
    };
    reconfigure(&table("example.net", "*"), &["transfer"]);
    assert_eq!(rcode(&mut stream), 5, "another zone");
    reconfigure(TO_LOOPBACK, &["transfer"]);
    stream.write_all(&framed(&axfr())).unwrap();
    let (rtypes, _) = receive_zone(&mut stream);
    assert_eq!(rtypes.iter().filter(|&&rtype| rtype == types::TXT).count(), 100);
    let mut elsewhere = axfr();
    elsewhere[16] = b'E';
    elsewhere[13] = b'x';
    assert_eq!(ask(&mut stream, &elsewhere).unwrap()[3] & 0xf, 9, "a zone that is not here");
    assert_eq!(host.ask_udp(&axfr())[3] & 0xf, 5, "never over UDP");
    reconfigure("", &["transfer"]);
    assert_eq!(rcode(&mut stream), 5);
    assert_eq!(["complete", "refused", "not_served"].map(|name| outcome(&host, name)), [1, 3, 1]);
    assert_eq!(host.metric("ringdns_responses_total{worker=\"tcp\",rcode=\"NOTAUTH\"}"), 1);
}

#[test]
fn dig_takes_the_zone_and_what_is_asked_meanwhile_is_answered_in_order() {
    let host = large(TO_LOOPBACK);
    let port = host.address.port().to_string();
    let dig = |arguments: &[&str]| {
        let output =
            Command::new("dig").args(["@127.0.0.1", "-p", &port, "+time=20", "+tries=1"]).args(arguments).output();
        String::from_utf8(output.expect("dig of bind9-dnsutils").stdout).unwrap()
    };
    let text = dig(&["AXFR", "example.org"]);
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(|c: char| c.is_alphanumeric())).collect();
    assert_eq!(lines.iter().filter(|line| line.contains("\tTXT\t")).count(), 100 + 30 * 250, "{text:.300}");
    assert_eq!(lines.first(), lines.last());
    let serial = lines[0].split_whitespace().nth(6).unwrap();
    let text = dig(&[&format!("IXFR={serial}"), "example.org"]);
    assert_eq!(text.lines().filter(|line| line.contains("\tSOA\t")).count(), 1, "{text:.300}");
    let text = dig(&["IXFR=1", "example.org"]);
    assert_eq!(text.lines().filter(|line| line.contains("\tTXT\t")).count(), 100 + 30 * 250, "{text:.300}");
    assert_eq!(["complete", "current"].map(|name| outcome(&host, name)), [2, 1]);

    let mut stream = host.connect();
    let www = |id: u16| framed(&query_with_id(id, "www.example.org.", types::A));
    let half = framed(&axfr());
    let all = [www(1), framed(&axfr()), www(2), www(3), framed(&axfr()), www(4), half[..9].to_vec()].concat();
    stream.write_all(&all).unwrap();
    assert_eq!(receive(&mut stream).unwrap()[..2], [0, 1]);
    let (first, _) = receive_zone(&mut stream);
    assert_eq!([receive(&mut stream).unwrap()[1], receive(&mut stream).unwrap()[1]], [2, 3]);
    assert_eq!(receive_zone(&mut stream).0, first);
    assert_eq!(receive(&mut stream).unwrap()[1], 4);
    stream.write_all(&half[9..]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive_zone(&mut stream).0, first);
    assert_eq!(receive(&mut stream), None);
    wait_until("nothing is held", || host.metric("ringdns_tcp_held_bytes{}") == 0);
}

#[test]
fn a_client_that_stops_reading_or_goes_is_given_up_and_others_are_served_meanwhile() {
    let host = large(&format!("tcp_write_seconds = 1\n{TO_LOOPBACK}"));
    let mut other = host.connect();
    let mut stream = narrow(&host);
    stream.write_all(&framed(&axfr())).unwrap();
    let start = Instant::now();
    while host.closed("slow_reader") == 0 {
        assert!(ask(&mut other, &query("www.example.org.", types::A)).is_some(), "others are not kept waiting");
        assert!(start.elapsed() < WAIT, "it is still open");
    }
    assert_eq!((outcome(&host, "broken"), host.metric("ringdns_transfers_running{}")), (1, 0));
    let mut stream = narrow(&host);
    stream.write_all(&framed(&axfr())).unwrap();
    assert!(receive(&mut stream).is_some());
    assert_eq!(host.metric("ringdns_transfers_running{}"), 1);
    drop(stream);
    wait_until("it is counted", || outcome(&host, "broken") == 2);
    assert_eq!(outcome(&host, "complete"), 0);
}

#[test]
fn only_so_many_are_under_way_and_the_end_of_the_server_does_not_wait_for_them() {
    let host = large(TO_LOOPBACK);
    let mut streams: Vec<TcpStream> = (0..4).map(|_| narrow(&host)).collect();
    for stream in &mut streams {
        stream.write_all(&framed(&axfr())).unwrap();
        assert!(receive(stream).is_some());
    }
    assert_eq!(ask(&mut host.connect(), &axfr()).unwrap()[3] & 0xf, 2, "busy");
    assert_eq!((outcome(&host, "busy"), host.metric("ringdns_transfers_running{}")), (1, 4));
    streams.pop();
    wait_until("there is room", || host.metric("ringdns_transfers_running{}") == 3);
    let mut stream = host.connect();
    stream.write_all(&framed(&axfr())).unwrap();
    receive_zone(&mut stream);
    let start = Instant::now();
    host.server.stop();
    assert!(start.elapsed() < WAIT);
    let mut rest = Vec::new();
    let _ = streams[0].read_to_end(&mut rest);
    assert!(rest.len() < 1 << 20, "it was cut: {} bytes", rest.len());
}

#[test]
fn a_transfer_sends_what_was_served_when_it_began() {
    let host = large(TO_LOOPBACK);
    let mut stream = narrow(&host);
    stream.write_all(&framed(&axfr())).unwrap();
    wait_until("it has begun", || host.metric("ringdns_transfers_running{}") == 1);
    for number in 0..30 {
        host.put(&format!("l{number}"), "TXT", &["\"new\""]);
    }
    let (rtypes, bytes) = receive_zone(&mut stream);
    assert_eq!(rtypes.iter().filter(|&&rtype| rtype == types::TXT).count(), 100 + 30 * 250);
    assert!(!bytes.windows(4).any(|bytes| bytes == b"\x03new"));
    stream.write_all(&framed(&axfr())).unwrap();
    let (rtypes, bytes) = receive_zone(&mut stream);
    assert_eq!(rtypes.iter().filter(|&&rtype| rtype == types::TXT).count(), 130);
    assert!(bytes.windows(4).any(|bytes| bytes == b"\x03new"));
}

/// Another server that takes the zone; killed when dropped.
struct Secondary(Child);

impl Secondary {
    /// Starts one of `scripts/reference-server` with a configuration.
    fn start(program: &str, arguments: &[&str], directory: &std::path::Path, config: &str) -> Self {
        let file = directory.join("config");
        std::fs::write(&file, config).unwrap();
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/reference-server");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(script).arg(program).args(arguments).arg(file);
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Secondary {
    fn drop(&mut self) {
        // NSD's children end with it where it can tell them.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free for TCP and UDP at the moment.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// NSD with its files in a directory, as a secondary of the zone.
fn nsd(directory: &str, port: u16, primary: u16) -> String {
    format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  database: \"\"\n  \
         zonesdir: \"{directory}\"\n  pidfile: \"{directory}/pid\"\n  xfrdfile: \"{directory}/xfrd\"\n  \
         zonelistfile: \"{directory}/zones\"\n  xfrdir: \"{directory}\"\n  rrl-ratelimit: 0\n  xfrd-reload-timeout: 0\n\
         remote-control:\n  control-enable: no\nzone:\n  name: example.org\n  zonefile: \"z\"\n  \
         request-xfr: AXFR 127.0.0.1@{primary} NOKEY\n  allow-notify: 127.0.0.1 NOKEY\n"
    )
}

/// Knot likewise.
fn knot(directory: &str, port: u16, primary: u16) -> String {
    format!(
        "server:\n  listen: 127.0.0.1@{port}\n  rundir: \"{directory}\"\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
         database:\n  storage: \"{directory}\"\nremote:\n  - id: primary\n    address: 127.0.0.1@{primary}\nzone:\n  \
         - domain: example.org\n    storage: \"{directory}\"\n    master: primary\n    semantic-checks: off\n"
    )
}

#[test]
fn secondaries_take_the_zone_and_give_the_same_answers() {
    let host = large(TO_LOOPBACK);
    for (owner, rtype, records) in [
        ("sub", "NS", &["ns.sub.example.org.", "ns.elsewhere."][..]),
        ("ns.sub", "A", &["192.0.2.3"]),
        ("*.wild", "A", &["192.0.2.4"]),
        ("a.deep.ent", "AAAA", &["2001:db8::1"]),
        ("alias", "CNAME", &["www.example.org."]),
        ("_sip._tcp", "SRV", &["1 2 3 www.example.org.", "4 5 6 x.wild.example.org."]),
        ("tree", "DNAME", &["wild.example.org."]),
        ("mx", "MX", &["10 www.example.org."]),
        ("UPPER", "TXT", &["\"Case\""]),
    ] {
        host.put(owner, rtype, records);
    }
    let primary = host.address.port();
    let ports = [free_port(), free_port()];
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [nsd_in, knot_in] = directories.each_ref().map(|directory| directory.path().display().to_string());
    let nsd = nsd(&nsd_in, ports[0], primary);
    let knot = knot(&knot_in, ports[1], primary);
    let _nsd = Secondary::start("nsd", &["-d", "-c"], directories[0].path(), &nsd);
    let _knot = Secondary::start("knotd", &["-c"], directories[1].path(), &knot);
    let answer = |port: u16, question: &[&str]| {
        let mut dig = Command::new("dig");
        dig.args([
            "@127.0.0.1",
            "-p",
            &port.to_string(),
            "+norecurse",
            "+tries=1",
            "+time=2",
            "+noall",
            "+answer",
            "+authority",
            "+comments",
        ]);
        let text = String::from_utf8(dig.args(question).output().unwrap().stdout).unwrap();
        let has_record = |line: &&str| !line.starts_with(';') && !line.is_empty() && !line.contains("\tNS\t");
        let mut lines: Vec<String> = text.lines().filter(has_record).map(str::to_lowercase).collect();
        lines.extend(text.lines().find_map(|line| line.split("status: ").nth(1)?.split(',').next().map(str::to_owned)));
        lines.sort();
        lines
    };
    for port in ports {
        wait_until("a secondary serves the zone", || answer(port, &["example.org", "SOA"]).len() == 2);
        for question in [
            ["example.org", "SOA"],
            ["www.example.org", "A"],
            ["www.example.org", "AAAA"],
            ["x.y.wild.example.org", "A"],
            ["ent.example.org", "A"],
            ["a.deep.ent.example.org", "AAAA"],
            ["alias.example.org", "A"],
            ["_sip._tcp.example.org", "SRV"],
            ["x.tree.example.org", "A"],
            ["mx.example.org", "MX"],
            ["upper.example.org", "TXT"],
            ["missing.example.org", "A"],
            ["l29.example.org", "TXT"],
            ["a.sub.example.org", "A"],
        ] {
            assert_eq!(answer(port, &question), answer(primary, &question), "{question:?}");
        }
    }
    assert!(outcome(&host, "complete") >= 2);
}
