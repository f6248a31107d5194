//! RingDNS beside Knot (sockets and XDP), NSD and BIND: one at a time, on one core and one end of the same kind of veth
//! pair, each with the same zone, asked by dnsperf and by kxdpgun from the other core. Counted is what was answered, and
//! every answer's response code is looked at; a sample's addresses are compared before each turn.
//!
//! kxdpgun sends at a fixed rate, and too high a one drowns a server: in the first round each is offered several rates, in
//! later ones the two that it did best at. Rounds go through all servers in turn; the table has the medians.
//!
//! `peers [ROUNDS] [NAMES]`: 3 rounds and 100000 names unless given. Needs root (see `scripts/bench-peers`).

mod generator;
mod server;

use std::collections::BTreeMap;
use std::fs;

use harness::{Namespace, Setup, turn};
use ringdns_bench::claim::{self, Bar, Claim};
use ringdns_bench::cpu::{go_first, median};
use ringdns_bench::dnsperf::Dnsperf;
use ringdns_bench::report::{Figure, publish};
use ringdns_bench::{Outcome, zone};

use generator::Kxdpgun;
use server::{Running, SERVERS};

/// The core of the servers; the generators have the other one.
const SERVER_CORE: usize = 1;
/// Seconds of one run of dnsperf.
const SECONDS: u32 = 2;
/// Queries in the generators' file.
const QUESTIONS: u64 = 100_000;
/// Queries a second that kxdpgun offers.
const OFFERED: [u64; 6] = [100_000, 150_000, 200_000, 300_000, 400_000, 600_000];

/// What was seen of one server, in answered queries a second.
#[derive(Default)]
struct Seen {
    /// By dnsperf, a figure each round.
    dnsperf: Vec<f64>,
    /// By kxdpgun, by the rate that it offered.
    kxdpgun: BTreeMap<u64, Vec<f64>>,
}

impl Seen {
    /// The rates of kxdpgun, that at which most was answered first.
    fn offers(&self) -> Vec<u64> {
        let mut offers: Vec<(u64, f64)> =
            self.kxdpgun.iter().map(|(&offered, answered)| (offered, median(answered.clone()))).collect();
        offers.sort_by(|a, b| b.1.total_cmp(&a.1));
        offers.into_iter().map(|(offered, _)| offered).collect()
    }

    /// The rate of kxdpgun at which most was answered.
    fn best_offer(&self) -> Option<u64> {
        self.offers().first().copied()
    }

    /// The medians by dnsperf and by kxdpgun.
    fn medians(&self) -> [f64; 2] {
        let offer = self.best_offer().and_then(|offered| self.kxdpgun.get(&offered));
        [median(self.dnsperf.clone()), median(offer.cloned().unwrap_or_default())]
    }
}

fn main() -> Outcome<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|number| number.parse()).collect::<Result<_, _>>()?;
    let argument = |index: usize, default: u64| numbers.get(index).copied().unwrap_or(default);
    let (rounds, names) = (argument(0, 3), argument(1, 100_000));
    let _first = go_first()?;
    let mut setup = Setup::new();
    setup.write_zone(zone::APEX, &zone::text(names));
    let questions = setup.path("questions");
    let mut numbers = zone::Numbers(7);
    let lines: String = (0..QUESTIONS).map(|_| format!("{} A\n", zone::owner(numbers.draw() % names))).collect();
    fs::write(&questions, lines)?;
    let (dnsperf, kxdpgun) = (Dnsperf::new(&questions, SECONDS), Kxdpgun::new(&questions)?);

    let mut seen: Vec<Seen> = SERVERS.iter().map(|_| Seen::default()).collect();
    for _ in 0..rounds {
        for (server, seen) in SERVERS.iter().zip(&mut seen) {
            let _turn = turn();
            let client = Namespace::new();
            let running = Running::start(*server, &mut setup, &client);
            let _entered = client.enter();
            server::check_sample(names);
            seen.dnsperf.push(dnsperf.ask()?.rate);
            let best = seen.offers();
            for offered in if best.is_empty() { OFFERED.to_vec() } else { best.into_iter().take(2).collect() } {
                seen.kxdpgun.entry(offered).or_default().push(kxdpgun.ask(offered)?);
            }
            running.check_alive();
        }
    }
    report(&seen, rounds, names)
}

/// Prints and records what was seen.
fn report(seen: &[Seen], rounds: u64, names: u64) -> Outcome<()> {
    let conditions = format!("{names} names, hits, veth pair, one server core, one client core, medians of {rounds}");
    let mut figures = Vec::new();
    for (server, seen) in SERVERS.iter().zip(seen) {
        for (generator, value) in ["dnsperf", "kxdpgun"].iter().zip(seen.medians()) {
            let offered = match (*generator, seen.best_offer()) {
                ("kxdpgun", Some(offered)) => format!(", best of several offers: {offered}/s"),
                _ => String::new(),
            };
            figures.push(Figure {
                name: format!("{}, asked by {generator}", server.name()),
                value: value / 1e3,
                unit: "k answers/s",
                conditions: format!("{conditions}{offered}"),
            });
        }
    }
    publish("peers", &figures)?;
    let mut claims = Vec::new();
    for (index, generator) in ["dnsperf", "kxdpgun"].iter().enumerate() {
        let rate = |seen: &Seen| seen.medians()[index];
        let all = || SERVERS.iter().zip(seen);
        // RingDNS has two ways onto a veth; an operator takes the faster one, and so does the claim.
        let best = all().filter(|(server, _)| server.is_ours()).max_by(|a, b| rate(a.1).total_cmp(&rate(b.1)));
        let (ours, ours_seen) = best.ok_or("no server is ours")?;
        for (theirs, theirs_seen) in all().filter(|(server, _)| !server.is_ours()) {
            claims.push(Claim {
                name: format!("answered queries by {generator}, against {}", theirs.name()),
                ours: rate(ours_seen) / 1e3,
                theirs: Some(rate(theirs_seen) / 1e3),
                bar: Bar::Ratio(1.0),
                unit: "k answers/s",
                conditions: format!("{}, {conditions}", ours.name()),
            });
        }
    }
    Ok(claim::record(&claims)?)
}
