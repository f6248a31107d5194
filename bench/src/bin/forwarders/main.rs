//! Forwarders with a cache on a veth pair, one at a time: RingDNS, dnsmasq, Unbound and dnsdist, asked by dnsperf for names of
//! others, nineteen in twenty of which they have kept. All have the same upstream, Knot on the generator's core, and one core for
//! themselves, control plane included.
//!
//! Each turn is with a server that has just been started and was asked once for each name that is asked for often; the others
//! are asked for once in the whole turn. A sample's addresses are compared before it. Rounds go through all servers in turn; the
//! table has the medians.
//!
//! `forwarders [ROUNDS] [NAMES]`: 3 rounds and 10000 names that are asked for often unless given. Needs root (see
//! `scripts/bench-forwarders`).

mod server;

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use harness::link::addresses::SERVED4;
use harness::message::{Answer, Question};
use harness::{Namespace, Setup, turn, udp};
use ringdns_bench::claim::{self, Bar, Claim};
use ringdns_bench::cpu::{go_first, median};
use ringdns_bench::dnsperf::Dnsperf;
use ringdns_bench::report::{Figure, publish};
use ringdns_bench::{Outcome, zone};

use server::{Running, SERVERS, Upstream};

/// Seconds of a turn.
const SECONDS: u32 = 3;
/// Lines of the generator's file: more than any server answers in one turn, so that none is asked for twice that should not be.
const QUESTIONS: u64 = 3_000_000;
/// One in so many questions is for a name that is asked for once.
const ONCE_IN: u64 = 20;
/// Names of each kind whose addresses are compared.
const SAMPLE: usize = 250;
/// Questions on the way while servers are prepared.
const WINDOW: usize = 64;
/// The `A` type.
const A: u16 = 1;
/// The address of all names that are asked for once.
const ONCE_ADDRESS: [u8; 4] = [10, 250, 0, 1];

/// A name that is asked for once.
fn once(number: u64) -> String {
    format!("x{number:010}.once.{}", zone::APEX)
}

/// The upstream's zone: names that are asked for often, and one for all others.
fn zone_text(names: u64) -> String {
    let [a, b, c, d] = ONCE_ADDRESS;
    format!("{}*.once A {a}.{b}.{c}.{d}\n", zone::text(names))
}

/// Writes the generator's questions.
fn write_questions(path: &Path, names: u64) -> Outcome<()> {
    let mut numbers = zone::Numbers(7);
    let mut lines = String::new();
    for number in 0..QUESTIONS {
        let draw = numbers.draw();
        let name = if draw.is_multiple_of(ONCE_IN) { once(number) } else { zone::owner((draw >> 8) % names) };
        writeln!(lines, "{name} A")?;
    }
    Ok(fs::write(path, lines)?)
}

/// Asks for names as a stub resolver does and holds the answers to their addresses; panics where one is wrong.
fn check(names: &[(String, [u8; 4])]) {
    let query = |index: usize, id| {
        let mut wire = Question::new(&names[index].0, A).to_wire(id);
        wire[2] |= 1;
        wire
    };
    udp::ask_all(&udp::socket(SERVED4), names.len(), WINDOW, query, |index, answer| {
        let answer = Answer::parse(answer).expect("a message");
        let rdatas: Vec<&[u8]> = answer.answer.iter().map(|rr| rr.rdata.as_slice()).collect();
        assert_eq!(rdatas, [names[index].1], "{}", names[index].0);
    });
}

/// All names that are asked for often, or some of those that are asked for once but that no turn asks for.
fn often(names: u64) -> Vec<(String, [u8; 4])> {
    (0..names).map(|number| (zone::owner(number), zone::address(number))).collect()
}

/// Names that are asked for once, and by no turn.
fn sample() -> Vec<(String, [u8; 4])> {
    (QUESTIONS..).map(|number| (once(number), ONCE_ADDRESS)).take(SAMPLE).collect()
}

fn main() -> Outcome<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|number| number.parse()).collect::<Result<_, _>>()?;
    let argument = |index: usize, default: u64| numbers.get(index).copied().unwrap_or(default);
    let (rounds, names) = (argument(0, 3), argument(1, 10_000));
    let _first = go_first()?;
    let mut setup = Setup::new();
    let questions = setup.path("questions");
    write_questions(&questions, names)?;
    let dnsperf = Dnsperf::new(&questions, SECONDS);
    let mut rates: Vec<Vec<f64>> = SERVERS.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (server, rates) in SERVERS.iter().zip(&mut rates) {
            let _turn = turn();
            let (client, theirs) = (Namespace::new(), Namespace::new());
            let folder = setup.path(&format!("upstream-{round}-{}", server.name()));
            let upstream = Upstream::start(&theirs, folder, &zone_text(names));
            let running = Running::start(*server, &mut setup, &client, &upstream);
            let _entered = client.enter();
            check(&often(names));
            check(&sample());
            let asked_before = upstream.asked()?;
            let run = dnsperf.ask()?;
            if run.completed > QUESTIONS as f64 {
                return Err(format!(
                    "{:.0} answers: give the generator more than {QUESTIONS} questions",
                    run.completed
                )
                .into());
            }
            hold_to_ratio(run.completed, upstream.asked()? - asked_before)?;
            rates.push(run.rate);
            running.check_alive();
        }
    }
    report(&rates, rounds, names)
}

/// An error where the part that the upstream was asked for is not that which the generator asks for once.
fn hold_to_ratio(completed: f64, forwarded: f64) -> Outcome<()> {
    let part = forwarded * ONCE_IN as f64 / completed;
    // Queries that were under way at the end, and some that were sent again; and no prefetching on the quiet.
    if (0.9..1.2).contains(&part) {
        return Ok(());
    }
    Err(format!("{forwarded} of {completed} questions went on: not one in {ONCE_IN}").into())
}

/// Prints and records what was seen.
fn report(rates: &[Vec<f64>], rounds: u64, names: u64) -> Outcome<()> {
    let conditions = format!(
        "95 % hits among {names} names, 5 % new names, veth pair, one server core, generator and upstream on the other, medians of {rounds}"
    );
    let rates: Vec<f64> = rates.iter().map(|rates| median(rates.clone()) / 1e3).collect();
    let figure = |(server, &value): (&server::Program, &f64)| Figure {
        name: format!("{}, asked by dnsperf", server.name()),
        value,
        unit: "k answers/s",
        conditions: conditions.clone(),
    };
    publish("forwarders", &SERVERS.iter().zip(&rates).map(figure).collect::<Vec<_>>())?;
    let ours = SERVERS.iter().zip(&rates).find(|(server, _)| server.is_ours()).map(|(_, &rate)| rate);
    let ours = ours.ok_or("no server is ours")?;
    let claim = |(server, &theirs): (&server::Program, &f64)| Claim {
        name: format!("forwarded answers at 95 % hits, against {}", server.name()),
        ours,
        theirs: Some(theirs),
        bar: Bar::Ratio(1.0),
        unit: "k answers/s",
        conditions: conditions.clone(),
    };
    let claims: Vec<Claim> = SERVERS.iter().zip(&rates).filter(|(server, _)| !server.is_ours()).map(claim).collect();
    Ok(claim::record(&claims)?)
}

/// Where the upstream answers.
fn upstream_address() -> IpAddr {
    IpAddr::from([198, 51, 100, 11])
}
