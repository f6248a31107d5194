//! The same zone file and the same questions for RingDNS and for another authoritative server: the answers must be equal,
//! section by section.

#![expect(clippy::print_stdout, reason = "tests report to people")]

mod compare;
mod explained;
mod nasty;
mod questions;
mod reference;
mod zone;

use std::collections::BTreeMap;
use std::env;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::str::FromStr;

use harness::link::addresses::SERVED4;
use harness::message::{Answer, Question};
use harness::rng::Rng;
use harness::{Setup, turn, udp};

use compare::differences;
use explained::Pair;
use reference::{Program, Reference};

/// How many zones are made and asked about, unless `SEEDS` says otherwise.
const SEEDS: u64 = 4;

/// Questions for each zone, unless `QUESTIONS` says otherwise.
const QUESTIONS: usize = 4_000;

/// Questions that are under way at a time.
const WINDOW: usize = 32;

/// Most bytes of an answer, for both: what an Ethernet frame carries, whatever the client offers.
pub const UDP_ANSWER_BYTES_MAX: usize = 1_400;

/// Most differences shown, unless `SHOWN` says otherwise.
const SHOWN_MAX: usize = 20;

#[test]
fn answers_equal_those_of_nsd() {
    compare_with(Program::Nsd);
}

#[test]
fn answers_equal_those_of_knot() {
    compare_with(Program::Knot);
}

/// A number from the environment.
fn setting<T: FromStr>(name: &str, default: T) -> T {
    let Ok(text) = env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}"))
}

/// Asks both servers everything, zone after zone.
fn compare_with(program: Program) {
    let _turn = turn();
    // `FIRST_SEED` repeats one zone out of many, or goes on where an earlier run ended.
    let first = setting("FIRST_SEED", 1);
    for seed in first..first + setting("SEEDS", SEEDS) {
        compare_zone(program, seed, setting("QUESTIONS", QUESTIONS));
    }
}

/// Asks both servers about one zone.
fn compare_zone(program: Program, seed: u64, questions: usize) {
    let mut rng = Rng::new(seed);
    let zone = zone::generate(&mut rng);
    let questions = questions::generate(&zone, questions, &mut rng);
    let mut setup = Setup::new();
    setup.more = format!("[dns]\nudp_answer_bytes_max = {UDP_ANSWER_BYTES_MAX}\n");
    setup.write_zone(zone::APEX, &zone.text());
    nasty::others().iter().for_each(|(apex, text)| setup.write_zone(apex, text));
    let reference = Reference::start(program, &setup);
    let _server = setup.start();
    let our_answers = answers((SERVED4, 53).into(), &questions);
    let their_answers = answers(reference.address(), &questions);
    let mut unequal = Vec::new();
    let mut explained: BTreeMap<&str, usize> = BTreeMap::new();
    for ((question, wire), their_wire) in questions.iter().zip(&our_answers).zip(&their_answers) {
        let query = question.to_wire(0);
        assert_eq!(
            question_bytes(wire, &query),
            question_bytes(&query, &query),
            "the question comes back as it was sent"
        );
        let (ours, theirs) = (parse(question, wire), parse(question, their_wire));
        let differences = differences(&ours, &theirs);
        let pair = Pair {
            program,
            question,
            ours: (&ours, wire.len()),
            theirs: (&theirs, their_wire.len()),
            differences: &differences,
        };
        if differences.is_empty() {
            continue;
        }
        match explained::clause(&pair) {
            Some(clause) => *explained.entry(clause).or_default() += 1,
            None => {
                let parts = differences.join(", ");
                unequal.push(format!("{question}: {parts}\n ours\n{ours} {program:?}\n{theirs}"));
            }
        }
    }
    println!("seed {seed}: {} questions, explained differences from {program:?}: {explained:?}", questions.len());
    let shown = unequal.iter().take(setting("SHOWN", SHOWN_MAX)).cloned().collect::<Vec<_>>().join("\n");
    assert!(unequal.is_empty(), "seed {seed}: {} of {} answers differ:\n{shown}", unequal.len(), questions.len());
}

/// The answers of a server to all questions.
fn answers(server: SocketAddr, questions: &[Question]) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    socket.connect(server).expect("a route to the server");
    let mut answers = vec![Vec::new(); questions.len()];
    udp::ask_all(
        &socket,
        questions.len(),
        WINDOW,
        |index, id| questions[index].to_wire(id),
        |index, answer| answers[index] = answer.to_vec(),
    );
    answers
}

/// An answer taken apart.
fn parse(question: &Question, wire: &[u8]) -> Answer {
    Answer::parse(wire).unwrap_or_else(|error| panic!("{question}: {error}: {wire:02x?}"))
}

/// The question section, which has the same length in query and answer.
fn question_bytes<'a>(message: &'a [u8], query: &[u8]) -> Option<&'a [u8]> {
    let name_bytes = query[12..].iter().position(|&byte| byte == 0)? + 1;
    message.get(12..12 + name_bytes + 4)
}
