//! A flood of what is not DNS does not take DNS away.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::frames::{PacketSocket, Way};
use harness::link::addresses::SERVED4;
use harness::link::mac_address;
use harness::turn;

use super::{CLIENT, House, RING, house};

/// Frames a second of the flood.
const FLOOD_RATE: u32 = 100_000;
/// Frames that are sent between two looks at the clock.
const FLOOD_FRAMES: u32 = 100;
/// Seconds of each load.
const SECONDS: u32 = 4;
/// Queries a second that are offered: what is answered is compared, not how fast it could be.
const RATE: u32 = 10_000;

/// Sends datagrams to a port that nobody serves until it is told to stop; gives the number.
fn flood(house: &House, stop: &AtomicBool) -> u64 {
    let destination_mac = mac_address(RING);
    let _entered = house.client.enter();
    let socket = PacketSocket::open(CLIENT);
    let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66));
    let way = Way {
        source_mac: [2, 0, 0, 0, 0, 0x66],
        destination_mac,
        source,
        destination: SERVED4,
        source_port: 4000,
        destination_port: 9,
    };
    let frame = way.frame(&[0; 64]);
    let (start, mut sent) = (Instant::now(), 0u64);
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..FLOOD_FRAMES {
            socket.send(&frame);
        }
        sent += u64::from(FLOOD_FRAMES);
        let due = Duration::from_secs_f64(sent as f64 / f64::from(FLOOD_RATE));
        thread::sleep(due.saturating_sub(start.elapsed()));
    }
    sent
}

#[test]
fn a_flood_that_is_not_dns_leaves_dns_its_rate() {
    let _turn = turn();
    let house = house();
    let (alone, lost_alone) = house.dnsperf(SECONDS, RATE).figures();
    let stop = AtomicBool::new(false);
    let before = house.server.metrics();
    let ((beside, lost_beside), frames) = thread::scope(|scope| {
        let load = house.dnsperf(SECONDS, RATE);
        let flood = scope.spawn(|| flood(&house, &stop));
        let figures = load.figures();
        stop.store(true, Ordering::Relaxed);
        (figures, flood.join().expect("a flood"))
    });
    let after = house.server.metrics();
    let punted = after.reason("other_port") - before.reason("other_port");
    println!(
        "alone {alone} answered, {lost_alone} lost; beside {frames} flood frames {beside} answered, {lost_beside} lost"
    );
    // The rest found the receive queue full while the worker was not on its core.
    assert!(punted * 2 >= frames, "{punted} of {frames} frames reached the worker");
    assert!(beside * 10 >= alone * 9, "{beside} answers beside the flood, {alone} without it");
    assert!(lost_beside * 50 <= beside, "{lost_beside} of {beside} queries were lost beside the flood");
}
