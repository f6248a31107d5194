//! `[rate_limit]`: a flood is cut off, real clients are sent to TCP, and the metrics tell.

use std::time::Duration;

use harness::link::addresses::SERVED4;
use harness::message::Answer;
use harness::{Setup, turn, udp, wait_for};

use crate::malformed::{COUNT_TIME_MAX, question};
use crate::zone_text;

/// Longest wait for the last of many answers.
const SILENCE: Duration = Duration::from_millis(500);

/// Queries sent at once.
const QUERIES: u16 = 100;

#[test]
fn one_line_limits_responses() {
    let _turn = turn();
    let mut setup = Setup::new();
    setup.write_zone("example.org.", &zone_text("example.org.", 1, "www IN A 203.0.113.1\n"));
    setup.more = "[rate_limit]\nresponses_per_second = 20\n".to_owned();
    let server = setup.start();
    let socket = udp::socket(SERVED4);
    let asked = question();
    for id in 1..QUERIES {
        socket.send(&asked.to_wire(id)).expect("a sent datagram");
    }
    let (mut whole, mut truncated) = (0, 0);
    let mut answer = udp::exchange(&socket, &asked.to_wire(QUERIES), SILENCE);
    while let Some(bytes) = answer {
        let records = Answer::parse(&bytes).expect("a message").answer.len();
        let is_truncated = bytes[2] & 2 != 0;
        assert_eq!(records, usize::from(!is_truncated));
        (whole, truncated) = (whole + usize::from(!is_truncated), truncated + usize::from(is_truncated));
        answer = udp::receive(&socket);
    }
    // Those of the first second, and every other one of the rest. A machine that halts for a moment lets more through.
    assert!((20..=30).contains(&whole), "{whole} answers, {truncated} truncated");
    assert!((35..=40).contains(&truncated), "{whole} answers, {truncated} truncated");
    let metrics = wait_for("all queries to be counted", COUNT_TIME_MAX, || {
        let metrics = server.metrics();
        let answered = metrics.answers("NOERROR") + metrics.reason("rate_limited");
        (answered >= u64::from(QUERIES)).then_some(metrics)
    });
    let dropped = usize::from(QUERIES) - whole - truncated;
    assert_eq!(metrics.reason("rate_limited"), dropped as u64);
    assert_eq!(metrics.sum("ringdns_slipped_total", &[]), truncated as u64);
}
