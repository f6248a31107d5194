//! Unbound, Knot and dnsmasq as upstreams.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use harness::dig::{Answer, dig_with};
use harness::link::addresses::SERVED4;
use harness::others::{Other, Program};
use harness::udp::Asker;
use harness::{Namespace, Server, Setup, turn, wait_for};
use hickory_proto::op::ResponseCode;

use super::{A, CLIENT_TIME, OUR_ADDRESS, SOCKETS, TIME_MAX, ask, forward_zone, others, setup, there, there6};

/// The zone that Unbound has, which is asked for whatever no other one is.
const UNBOUND: &str = "unbound.example.";
/// The zone that Knot has.
const KNOT: &str = "knot.example.";
/// The names that dnsmasq has, below Knot's.
const DNSMASQ: &str = "branch.knot.example.";
/// TTL of most records.
const TTL: u32 = 600;
/// Strings of a record that is too large for UDP, and bytes of each.
const BIG: (usize, usize) = (20, 200);

/// Records of a zone: addresses, an alias, no other address, a large one, one for a moment.
fn zone_lines(zone: &str, address: SocketAddr) -> String {
    let strings = vec![format!("\"{}\"", "x".repeat(BIG.1)); BIG.0].join(" ");
    let ip = address.ip();
    let rtype = if ip.is_ipv4() { "A" } else { "AAAA" };
    format!(
        "$ORIGIN {zone}\n$TTL {TTL}\n@ SOA ns hostmaster 1 7200 1800 1209600 300\n@ NS ns\nns {rtype} {ip}\n\
         www A 203.0.113.10\nalias CNAME www\nbig TXT {strings}\n*.wild A 203.0.113.13\nxbranch A 203.0.113.14\n\
         moment 1 A 203.0.113.12\n"
    )
}

/// The three of them.
struct Three {
    /// Where they are.
    theirs: Namespace,
    /// Unbound, Knot and dnsmasq.
    servers: [Other; 3],
}

impl Three {
    /// Starts them; their files are in the setup's folder.
    fn start(setup: &Setup) -> Three {
        let theirs = others(&[11, 12, 13]);
        let start = |program, address: SocketAddr, zone: &str, lines: &str| {
            Other::start(program, (&theirs, address.ip()), setup.path(zone), zone, lines)
        };
        let servers = [
            start(Program::Unbound, there(11), UNBOUND, &zone_lines(UNBOUND, there(11))),
            start(Program::Knot, there6(12), KNOT, &zone_lines(KNOT, there6(12))),
            start(
                Program::Dnsmasq,
                there(13),
                DNSMASQ,
                "host-record=www.branch.knot.example,203.0.113.20,600\n\
                 cname=alias.branch.knot.example,www.branch.knot.example,600\n",
            ),
        ];
        Three { theirs, servers }
    }

    /// Keys and tables that send to each its zone; Knot over IPv6.
    fn config(more: &str) -> String {
        let default = there(11);
        let zones = [forward_zone(KNOT, &[there6(12)]), forward_zone(DNSMASQ, &[there(13)])].concat();
        format!("upstreams = [\"{default}\"]\n{zones}{more}")
    }
}

/// What is asked in both ways, with what is expected: name, type, RCODE, answer section.
fn expected() -> Vec<(String, &'static str, &'static str, Vec<String>)> {
    let mut expected = Vec::new();
    for (zone, address) in [(UNBOUND, "203.0.113.10"), (KNOT, "203.0.113.10"), (DNSMASQ, "203.0.113.20")] {
        let www = format!("www.{zone} {TTL} IN A {address}");
        let alias = format!("alias.{zone} {TTL} IN CNAME www.{zone}");
        expected.push((format!("www.{zone}"), "A", "NOERROR", vec![www.clone()]));
        expected.push((format!("alias.{zone}"), "A", "NOERROR", vec![alias, www]));
        expected.push((format!("www.{zone}"), "MX", "NOERROR", vec![]));
        expected.push((format!("nobody.{zone}"), "A", "NXDOMAIN", vec![]));
    }
    for zone in [UNBOUND, KNOT] {
        expected.push((
            format!("any.wild.{zone}"),
            "A",
            "NOERROR",
            vec![format!("any.wild.{zone} {TTL} IN A 203.0.113.13")],
        ));
    }
    // Not below dnsmasq's names: labels decide, not letters.
    expected.push((format!("xbranch.{KNOT}"), "A", "NOERROR", vec![format!("xbranch.{KNOT} {TTL} IN A 203.0.113.14")]));
    expected
}

/// Asks over the device, or over a socket.
fn dig(over_socket: bool, name: &str, rtype: &str, options: &[&str]) -> Answer {
    let port = SOCKETS.port().to_string();
    let (server, mut all) = if over_socket { (SOCKETS.ip(), vec!["-p", &port]) } else { (SERVED4, vec![]) };
    all.extend(options);
    dig_with(server, name, rtype, &all)
}

/// The first number among a record's fields, which is its TTL, and the record without it.
fn without_ttl(record: &str) -> (u32, String) {
    let mut fields: Vec<&str> = record.split(' ').collect();
    let ttl = fields.remove(1).parse().unwrap_or_else(|error| panic!("{record}: {error}"));
    (ttl, fields.join(" "))
}

/// Holds an answer to what is expected, its TTLs no more than those and no less than what time has taken off.
fn assert_is(answer: &Answer, name: &str, rcode: &str, records: &[String], age: std::ops::RangeInclusive<u32>) {
    assert_eq!(answer.rcode, rcode, "{name}: {answer:?}");
    assert_eq!(answer.flags, "qr rd ra", "{name}: not ours, so no AA: {answer:?}");
    let shown: Vec<(u32, String)> = answer.answer.iter().map(|record| without_ttl(record)).collect();
    let wanted: Vec<(u32, String)> = records.iter().map(|record| without_ttl(record)).collect();
    assert_eq!(shown.len(), wanted.len(), "{name}: {answer:?}");
    for ((ttl, record), (wanted_ttl, wanted)) in shown.iter().zip(&wanted) {
        assert_eq!(record, wanted, "{name}");
        assert!(age.contains(&(wanted_ttl - ttl)), "{name}: TTL {ttl} of {wanted_ttl}, expected to be {age:?} s old");
    }
}

/// Asks everything both ways; every second answer comes from the cache already.
fn assert_all(ages: std::ops::RangeInclusive<u32>) {
    for (name, rtype, rcode, records) in expected() {
        for over_socket in [false, true] {
            assert_is(&dig(over_socket, &name, rtype, &[]), &name, rcode, &records, ages.clone());
        }
    }
}

#[test]
fn names_of_others_come_from_their_servers_and_then_from_the_cache() {
    /// Until the answers are seen to have aged.
    const AGE: Duration = Duration::from_millis(2100);
    let _turn = turn();
    let setup = setup(&Three::config(""));
    let mut three = Three::start(&setup);
    let server = setup.start();
    let begun = Instant::now();
    assert_all(0..=5);
    assert_negative_answers_have_their_soa();
    assert_large_answers();
    thread::sleep(AGE);
    three.servers.iter_mut().for_each(Other::kill);
    // What dnsmasq denies it denies without an SOA record, so it is not kept (RFC 2308 section 5).
    let kept =
        |(name, _, _, records): &(String, &str, &str, Vec<String>)| !name.ends_with(DNSMASQ) || !records.is_empty();
    for (name, rtype, rcode, records) in expected().into_iter().filter(kept) {
        for over_socket in [false, true] {
            let most = u32::try_from(begun.elapsed().as_secs() + 1).expect("a short test");
            assert_is(&dig(over_socket, &name, rtype, &[]), &name, rcode, &records, 2..=most);
        }
    }
    assert_zone_answers(&server);
}

/// RFC 2308 section 3: the SOA record comes along, so that clients know for how long to believe it.
fn assert_negative_answers_have_their_soa() {
    for zone in [UNBOUND, KNOT] {
        for (name, rtype) in [(format!("nobody.{zone}"), "A"), (format!("www.{zone}"), "MX")] {
            let answer = dig(false, &name, rtype, &[]);
            let soa = answer.authority.first().unwrap_or_else(|| panic!("{name}: {answer:?}"));
            assert!(soa.starts_with(zone) && soa.contains(" IN SOA "), "{name}: {soa}");
            assert!(without_ttl(soa).0 <= 300, "no longer than its MINIMUM: {soa}");
        }
    }
}

/// What an upstream cuts off over UDP is had over TCP, and cut off again for those who ask over UDP.
fn assert_large_answers() {
    for zone in [UNBOUND, KNOT] {
        let name = format!("big.{zone}");
        let whole = dig(true, &name, "TXT", &["+tcp"]);
        assert_eq!(whole.answer.len(), 1, "{whole:?}");
        assert_eq!(whole.answer[0].matches('x').count(), BIG.0 * BIG.1 + usize::from(zone.contains('x')), "{name}");
        let cut = dig(false, &name, "TXT", &["+ignore", "+bufsize=1232"]);
        assert_eq!((cut.flags.as_str(), cut.answer.len()), ("qr tc rd ra", 0), "{cut:?}");
    }
}

/// A name of our own zone is answered as ever.
fn assert_zone_answers(server: &Server) {
    for over_socket in [false, true] {
        let answer = dig(over_socket, "www.ours.example", "A", &[]);
        assert_eq!(answer.answer, ["www.ours.example. 300 IN A 203.0.113.1"]);
        assert_eq!(answer.flags, "qr aa rd ra", "recursion is to be had here: {answer:?}\n{}", server.log());
    }
}

#[test]
fn dead_servers_of_others_delay_nobody_else_and_are_asked_again_when_they_live() {
    let _turn = turn();
    let setup = setup(&Three::config("[cache]\nstale_seconds = 3600\nfailure_ttl_seconds = 1\n"));
    let mut three = Three::start(&setup);
    let server = setup.start();
    let moments = [UNBOUND, KNOT].map(|zone| format!("moment.{zone}"));
    moments.iter().for_each(|name| assert_eq!(ask(name).addresses(), [[203, 0, 113, 12]], "{name}"));
    thread::sleep(Duration::from_millis(1200));
    three.servers.iter_mut().for_each(Other::kill);
    for name in &moments {
        let told = ask(name);
        assert_eq!(told.addresses(), [[203, 0, 113, 12]], "{name} is stale and better than nothing");
        assert_eq!(told.answer.answer[0].ttl, 30, "RFC 8767 section 4: {told:?}");
    }
    // Names that nobody has asked for yet, beside a zone that knows nothing of it.
    let fresh = |round: usize| [UNBOUND, KNOT].map(|zone| format!("fresh{round}.wild.{zone}"));
    thread::scope(|scope| {
        let unhappy = scope.spawn(|| {
            fresh(0).map(|name| {
                let told = ask(&name);
                assert_eq!(told.answer.rcode, ResponseCode::ServFail, "{name}: {told:?}");
            })
        });
        let mut asker = Asker::new(SERVED4);
        while !unhappy.is_finished() {
            let begun = Instant::now();
            assert!(asker.ask("www.ours.example.", A).is_some(), "a zone's answer was lost");
            assert!(begun.elapsed() < CLIENT_TIME / 3, "a zone's answer waited for others");
        }
    });
    assert_zone_answers(&server);
    for other in &mut three.servers {
        other.resume(&three.theirs);
    }
    for zone in [UNBOUND, KNOT] {
        let mut round = 0;
        wait_for(&format!("{zone} to be answered again"), TIME_MAX, || {
            round += 1;
            let name = format!("back{round}.wild.{zone}");
            (ask(&name).addresses() == [[203, 0, 113, 13]]).then_some(())
        });
    }
}

#[test]
fn a_loop_through_another_resolver_ends() {
    let _turn = turn();
    let theirs = others(&[13]);
    let mut setup = setup(&format!("upstreams = [\"{}\"]\n", there(13)));
    setup.more = setup.more.replace(&format!("\"{SOCKETS}\""), &format!("\"{SOCKETS}\", \"{OUR_ADDRESS}:53\""));
    let back = format!("server={OUR_ADDRESS}\nall-servers\n");
    let dnsmasq =
        Other::start(Program::Dnsmasq, (&theirs, there(13).ip()), setup.path("dnsmasq"), "round.example.", &back);
    let server = setup.start();
    for name in ["a.loop.example.", "b.loop.example."] {
        let told = ask(name);
        assert!([ResponseCode::ServFail, ResponseCode::Refused].contains(&told.answer.rcode), "{name}: {told:?}");
    }
    assert_zone_answers(&server);
    drop(dnsmasq);
}

#[test]
fn the_server_is_no_upstream_of_its_own() {
    let _turn = turn();
    for upstream in [SOCKETS, SocketAddr::new(SERVED4, 53)] {
        let setup = setup(&format!("upstreams = [\"{upstream}\"]\n"));
        let ended = setup.run_to_end(TIME_MAX);
        assert!(!ended.status.success(), "{ended:?}");
        assert!(ended.stderr.contains(&upstream.ip().to_string()), "it is named: {ended:?}");
    }
}
