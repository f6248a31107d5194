//! The same zone file and the same questions for RingDNS and for another authoritative server: the answers must be equal,
//! section by section.

#![expect(clippy::print_stdout, reason = "tests report to people")]

mod compare;
mod explained;
mod questions;
mod reference;
mod zone;

use std::collections::BTreeMap;

use harness::link::addresses::SERVED4;
use harness::message::{Answer, Question};
use harness::rng::Rng;
use harness::{Setup, turn, udp};

use compare::differences;
use explained::Pair;
use reference::{Program, Reference};

/// What the zone and the questions are made from; change it to look elsewhere.
const SEEDS: [u64; 4] = [1, 2, 3, 4];

/// Questions for each zone.
const QUESTIONS: usize = 4_000;

/// Most bytes of an answer, for both: what an Ethernet frame carries, whatever the client offers.
pub const UDP_ANSWER_BYTES_MAX: usize = 1_400;

/// Most differences shown.
const SHOWN_MAX: usize = 20;

#[test]
fn answers_equal_those_of_nsd() {
    compare_with(Program::Nsd);
}

#[test]
fn answers_equal_those_of_knot() {
    compare_with(Program::Knot);
}

/// Asks both servers everything.
fn compare_with(program: Program) {
    let _turn = turn();
    for seed in SEEDS {
        let mut rng = Rng::new(seed);
        let zone = zone::generate(&mut rng);
        let questions = questions::generate(&zone, QUESTIONS, &mut rng);
        let mut setup = Setup::new();
        setup.more = format!("[dns]\nudp_answer_bytes_max = {UDP_ANSWER_BYTES_MAX}\n");
        setup.write_zone(zone::APEX, &zone.text());
        let reference = Reference::start(program, &setup);
        let _server = setup.start();
        let mut unequal = Vec::new();
        let mut explained: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, question) in questions.iter().enumerate() {
            let query = question.to_wire(u16::try_from(index).expect("few questions"));
            let wire = udp::ask((SERVED4, 53).into(), &query);
            assert_eq!(
                question_bytes(&wire, &query),
                question_bytes(&query, &query),
                "the question comes back as it was sent"
            );
            let their_wire = udp::ask(reference.address(), &query);
            let (ours, theirs) = (parse(question, &wire), parse(question, &their_wire));
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
        let shown = unequal.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join("\n");
        assert!(unequal.is_empty(), "seed {seed}: {} of {} answers differ:\n{shown}", unequal.len(), questions.len());
    }
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
