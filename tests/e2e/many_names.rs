//! A hundred thousand names, each asked once, in random order.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use harness::link::addresses::{SERVED4, SERVED6};
use harness::message::{Answer, Question};
use harness::rng::Rng;
use harness::{Setup, turn, udp};

use crate::zone_text;

/// Names in the zone beside its apex and name server.
const NAMES: usize = 100_000;

/// Questions on the way at once: far fewer than what the TAP device queues, so that none is lost.
const WINDOW: usize = 64;

/// Longest that loading the zone may take.
const LOAD_TIME_MAX: Duration = Duration::from_secs(60);

/// A name of the zone: some stand deeper, some have long labels.
fn owner(index: usize) -> String {
    match index % 10 {
        0 => format!("n{index}.floor{}.many.example.", index % 97),
        1 => format!("a-rather-long-label-for-number-{index}.many.example."),
        _ => format!("n{index}.many.example."),
    }
}

/// Even indices have an A record, odd ones AAAA; the address tells the index.
fn is_ipv4(index: usize) -> bool {
    index.is_multiple_of(2)
}

/// The address of a name, as rdata. 198.18.0.0/15 is for benchmarks (RFC 2544), 2001:db8::/32 for documentation.
fn rdata(index: usize) -> Vec<u8> {
    let number = u32::try_from(index).expect("a small index");
    if is_ipv4(index) {
        Ipv4Addr::from_bits((198 << 24 | 18 << 16) + number).octets().to_vec()
    } else {
        Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(number)).octets().to_vec()
    }
}

/// The zone file.
fn zone() -> String {
    let mut lines = String::new();
    for index in 0..NAMES {
        let rdata = rdata(index);
        let (rtype, address) = match <[u8; 4]>::try_from(rdata.as_slice()) {
            Ok(octets) => ("A", Ipv4Addr::from(octets).to_string()),
            Err(_) => ("AAAA", Ipv6Addr::from(<[u8; 16]>::try_from(rdata).expect("sixteen bytes")).to_string()),
        };
        writeln!(lines, "{} IN {rtype} {address}", owner(index)).expect("a string takes it");
    }
    zone_text("many.example.", 1, &lines)
}

#[test]
fn a_hundred_thousand_names_are_each_answered_with_their_own_address() {
    let _turn = turn();
    let mut setup = Setup::new();
    setup.write_zone("many.example.", &zone());
    let start = Instant::now();
    let server = setup.start();
    assert!(start.elapsed() < LOAD_TIME_MAX, "loading took {:?}", start.elapsed());
    let before = server.metrics();
    let mut order: Vec<usize> = (0..NAMES).collect();
    Rng::new(1).shuffle(&mut order);
    let (over_ipv4, over_ipv6) = order.split_at(NAMES / 2);
    for (address, indices) in [(SERVED4, over_ipv4), (SERVED6, over_ipv6)] {
        let question = |index: usize| Question::new(&owner(index), if is_ipv4(index) { 1 } else { 28 });
        let query = |place: usize, id| question(indices[place]).to_wire(id);
        let run = udp::ask_all(&udp::socket(address), indices.len(), WINDOW, query, |place, answer| {
            let index = indices[place];
            let answer = Answer::parse(answer).expect("a message");
            assert_eq!(answer.answer.len(), 1, "{}\n{answer}", owner(index));
            let record = &answer.answer[0];
            assert_eq!((&record.owner, &record.rdata), (&owner(index), &rdata(index)), "{}\n{answer}", owner(index));
            assert!(answer.authoritative && !answer.truncated, "{answer}");
        });
        println!("{} names asked at {address} in {:?}, {} of them more than once", indices.len(), run.time, run.resent);
        assert!(run.resent < indices.len() / 100, "{} questions were lost on the way", run.resent);
    }
    assert!(server.metrics().answers("NOERROR") - before.answers("NOERROR") >= NAMES as u64);
}
