//! Upstreams that are silent, slow, gone, or there one moment and gone the next, and what they cost those who ask for other names.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use harness::double::{Asked, Double, Manner, Reply};
use harness::link::addresses::SERVED4;
use harness::udp::Asker;
use harness::{Namespace, turn, wait_for};
use hickory_proto::op::ResponseCode;

use super::lying::honest;
use super::{A, CLIENT_TIME, TIME_MAX, TRY, Told, ask_all, forward_zone, leads_to, others, setup, there, truth};

/// Last part of the address of one that is there at once. So are those below.
const HONEST: u8 = 15;
/// Never says anything.
const SILENT: u8 = 16;
/// Is slow.
const SLOW: u8 = 17;
/// Is slower than one try may take.
const TOO_SLOW: u8 = 18;
/// Is silent every other half second.
const FLAPPING: u8 = 19;
/// Nobody listens there.
const NOBODY: u8 = 20;
/// No machine has it.
const NOWHERE: u8 = 21;
/// Those that some machine has.
const THERE: [u8; 6] = [HONEST, SILENT, SLOW, TOO_SLOW, FLAPPING, NOBODY];

/// Where the server's port answers.
const DEVICE: SocketAddr = SocketAddr::new(SERVED4, 53);

/// Starts one that tells the truth after some time, while it is not silent.
fn start(
    theirs: &Namespace,
    last: u8,
    after: Duration,
    is_silent: impl Fn() -> bool + Send + Sync + 'static,
) -> Double {
    let manner: Manner =
        Arc::new(move |asked: &Asked| if is_silent() { Vec::new() } else { vec![Reply::late(after, honest(asked))] });
    Double::start(theirs, there(last), manner)
}

/// All of them.
fn start_all(theirs: &Namespace) -> Vec<Double> {
    let begun = Instant::now();
    vec![
        start(theirs, HONEST, Duration::ZERO, || false),
        start(theirs, SILENT, Duration::ZERO, || true),
        start(theirs, SLOW, TRY / 2, || false),
        start(theirs, TOO_SLOW, TRY * 3, || false),
        start(theirs, FLAPPING, Duration::ZERO, move || begun.elapsed().as_millis() / 500 % 2 == 1),
    ]
}

/// A zone's name for an upstream that is asked alone, or first.
fn zone(last: u8, way: &str) -> String {
    format!("n{last}.{way}.example.")
}

/// Tables for each: asked alone, and with the honest one behind it.
fn tables() -> String {
    let table = |last: u8| {
        let alone = forward_zone(&zone(last, "alone"), &[there(last)]);
        alone + &forward_zone(&zone(last, "first"), &[there(last), there(HONEST)])
    };
    [SILENT, SLOW, TOO_SLOW, FLAPPING, NOBODY, NOWHERE].map(table).concat()
}

/// Panics unless a name has its true address.
fn assert_truth(name: &str, told: Option<&Told>) {
    let addresses = told.map(Told::addresses);
    assert_eq!(addresses, Some(vec![truth(name)]), "{name}: {told:?}");
}

/// Panics unless a question has failed, in time.
fn assert_failed(name: &str, told: Option<&Told>) {
    let rcode = told.map(|told| told.answer.rcode);
    assert_eq!(rcode, Some(ResponseCode::ServFail), "{name}: within {CLIENT_TIME:?}: {told:?}");
}

#[test]
fn silence_ends_in_the_next_upstream_s_answer_or_in_servfail_while_zones_are_served() {
    let _turn = turn();
    let theirs = others(&THERE);
    let _doubles = start_all(&theirs);
    let setup = setup(&tables());
    let server = setup.start();
    let name = |last: u8, way: &str, round: usize| format!("www{round}.{}", zone(last, way));
    for round in 0..3 {
        let first = [SILENT, SLOW, TOO_SLOW, FLAPPING, NOBODY, NOWHERE].map(|last| name(last, "first", round));
        let dead = [SILENT, NOBODY, NOWHERE].map(|last| name(last, "alone", round));
        let slow = [name(SLOW, "alone", round)];
        let names = [&first[..], &dead, &slow].concat();
        let told = thread::scope(|scope| {
            let asking = scope.spawn(|| ask_all(DEVICE, &names));
            let mut asker = Asker::new(SERVED4);
            while !asking.is_finished() {
                assert!(asker.ask("www.ours.example.", A).is_some(), "a zone's answer was lost");
            }
            asking.join().expect("answers")
        });
        for (index, (name, told)) in names.iter().zip(&told).enumerate() {
            let is_dead = (first.len()..first.len() + dead.len()).contains(&index);
            if is_dead { assert_failed(name, told.as_ref()) } else { assert_truth(name, told.as_ref()) }
        }
    }
    drop(server);
}

#[test]
fn an_upstream_that_comes_and_goes_is_used_while_it_is_there() {
    let _turn = turn();
    let theirs = others(&THERE);
    let _doubles = start_all(&theirs);
    let mut setup = setup(&tables());
    setup.more.push_str("[cache]\nfailure_ttl_seconds = 1\n");
    let server = setup.start();
    let (begun, mut right, mut round) = (Instant::now(), 0, 0);
    while begun.elapsed() < Duration::from_secs(4) {
        round += 1;
        let names = ["alone", "first"].map(|way| format!("www{round}.{}", zone(FLAPPING, way)));
        let told = ask_all(DEVICE, &names);
        match told[0].as_ref() {
            Some(told) if told.answer.rcode == ResponseCode::NoError => {
                assert_truth(&names[0], Some(told));
                right += 1;
            }
            told => assert_failed(&names[0], told),
        }
        assert_truth(&names[1], told[1].as_ref());
        thread::sleep(Duration::from_millis(20));
    }
    assert!(right > 0 && right <= round, "{right} of {round} answers of one that is there half of the time");
    drop(server);
}

#[test]
fn however_many_ask_one_asks_and_who_is_one_too_many_is_told_so() {
    // Four for each question that may be under way may wait.
    const CLIENTS: usize = 60;
    const QUESTIONS_MAX: usize = 20;
    let _turn = turn();
    let theirs = others(&THERE);
    let doubles = start_all(&theirs);
    let setup = setup(&format!("questions_max = {QUESTIONS_MAX}\n{}", tables()));
    let server = setup.start();
    // The first answer of a fresh upstream may be probed for; that is over before anything is counted.
    let slow = zone(SLOW, "alone");
    wait_for("the slow one to be known", TIME_MAX, || {
        leads_to(&format!("known.{slow}"), &[truth(&format!("known.{slow}"))])
    });
    let same = vec![format!("same.{slow}"); CLIENTS];
    for told in ask_all(DEVICE, &same) {
        assert_truth(&same[0], told.as_ref());
    }
    assert_eq!(doubles[2].asked_for("same."), 1, "all others waited for the same answer");
    let fresh: Vec<String> = (0..CLIENTS).map(|index| format!("fresh{index}.{}", zone(SILENT, "alone"))).collect();
    let told = ask_all(DEVICE, &fresh);
    let count = |rcode| told.iter().flatten().filter(|told| told.answer.rcode == rcode).count();
    let (refused, failed) = (count(ResponseCode::Refused), count(ResponseCode::ServFail));
    assert_eq!(refused + failed, CLIENTS, "{told:?}");
    assert!((1..=CLIENTS / 2).contains(&failed), "{failed} questions went out, {QUESTIONS_MAX} at once");
    let soonest =
        told.iter().flatten().filter(|told| told.answer.rcode == ResponseCode::Refused).map(|told| told.after).min();
    assert!(soonest < Some(TRY), "who is one too many need not wait to hear it: {soonest:?}");
    drop(server);
}
