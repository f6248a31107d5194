//! DNS by way of the kernel: TCP, and queries in fragments. The port's addresses are listened on without being named.

use harness::dig::{dig, dig_with};
use harness::link::addresses::{SERVED4, SERVED6};
use harness::message::{Answer, Question};
use harness::{turn, udp};

use super::{TIME_MAX, house};

/// Bytes of padding by which a query fits no frame.
const PADDING_BYTES: u16 = 3_000;

/// Seconds that DNS is under load.
const LOAD_SECONDS: u32 = 4;
/// Queries a second. No claim about speed.
const LOAD_RATE: u32 = 5_000;

/// A query with a padding option (RFC 7830).
fn padded(owner: &str) -> Vec<u8> {
    let mut query = Question { edns_bytes: Some(1232), ..Question::new(owner, 1) }.to_wire(7);
    // Length of the OPT record's data, the option's number and length.
    query.truncate(query.len() - 2);
    for number in [PADDING_BYTES + 4, 12, PADDING_BYTES] {
        query.extend(number.to_be_bytes());
    }
    query.resize(query.len() + usize::from(PADDING_BYTES), 0);
    query
}

#[test]
fn dns_over_tcp_and_fragmented_queries_are_answered_beside_a_loaded_port() {
    let _turn = turn();
    let house = house();
    let load = house.dnsperf(LOAD_SECONDS, LOAD_RATE);
    {
        let _entered = house.client.enter();
        for address in [SERVED4, SERVED6] {
            let expected = dig(address, "name7.load.example", "A").answer;
            assert_eq!(expected.len(), 1);
            for _ in 0..20 {
                assert_eq!(dig_with(address, "name7.load.example", "A", &["+tcp"]).answer, expected);
            }
            let socket = udp::socket(address);
            let query = padded("name7.load.example.");
            let answer = (0..5).find_map(|_| udp::exchange(&socket, &query, TIME_MAX / 10)).expect("an answer");
            assert_eq!(Answer::parse(&answer).expect("a message").answer.len(), 1);
        }
    }
    let (completed, lost) = load.figures();
    assert!(completed > 0 && lost * 1000 <= completed, "{lost} of {completed} queries were lost");
    let metrics = house.server.metrics();
    assert!(metrics.sum("ringdns_queries_total", &["worker=\"tcp\"", "family=\"ipv4\""]) >= 20);
    assert!(metrics.sum("ringdns_queries_total", &["worker=\"tcp\"", "family=\"ipv6\""]) >= 20);
    assert!((2..=10).contains(&metrics.sum("ringdns_queries_total", &["worker=\"udp\""])), "the padded ones alone");
}
