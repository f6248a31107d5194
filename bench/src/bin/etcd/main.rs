//! From a change to its answer, by way of etcd and by way of the embedded store, and how long many keys of etcd take to be served.
//!
//! The built server has one worker that never sleeps and a TAP device; one member of etcd, which writes to its disk as it does
//! anywhere, has the names. A record is changed while its name is asked for over and over; the time runs from the
//! request's first byte to the first new answer that came off the device, so it holds what etcd or the store takes to
//! have the change on disk. `etcd [NAMES] [CHANGES]`: 100000 names, 1000 changes each unless given. Needs root.

mod member;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use harness::http::Connection;
use harness::link::addresses::SERVED4;
use harness::server::rrset_path;
use harness::udp::Asker;
use harness::{Server, Setup, turn};
use member::{Member, put};
use ringdns_bench::Outcome;
use ringdns_bench::cpu::{go_first, stay_on};
use ringdns_bench::report::{Figure, publish};

/// The zone of the store.
const STORED: &str = "store.example.";
/// The zone of etcd.
const SHARED: &str = "etcd.example.";
/// The core of the worker.
const WORKER_CORE: usize = 1;
/// The core of all else.
const CLIENT_CORE: usize = 0;
/// Names that change.
const CHANGING: u64 = 1_000;
/// Changes that are not counted: connections open, caches fill.
const WARM_UP: u64 = 50;
/// Longest from a change to its answer before the bench gives up.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(10);
/// The `A` type.
const A: u16 = 1;

/// A way to change a name: method, path and body of the request that gives it an address.
type Way = fn(u64, [u8; 4]) -> (String, String, String);

fn main() -> Outcome<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|number| number.parse()).collect::<Result<_, _>>()?;
    let argument = |index: usize, default: u64| numbers.get(index).copied().unwrap_or(default);
    let (names, changes) = (argument(0, 100_000).max(CHANGING), argument(1, 1_000));
    let _first = go_first()?;
    let _turn = turn();
    stay_on(CLIENT_CORE)?;
    let mut figures = Vec::new();
    let member = Member::start()?;
    for (layout, name) in [("skydns", "SkyDNS"), ("containerdns", "ContainerDNS")] {
        member.fill(layout, names)?;
        let (setup, server, loaded) = start(&member, layout)?;
        figures.push(Figure {
            name: format!("start with the tree of {name}"),
            value: loaded.as_secs_f64(),
            unit: "s",
            conditions: format!("{names} keys, from the process's start to readiness"),
        });
        if layout == "containerdns" {
            figures.extend(latencies(&server, &member, names, changes)?);
        }
        drop((server, setup));
    }
    Ok(publish("etcd", &figures)?)
}

/// Starts the server; tells how long it took to be ready.
fn start(member: &Member, layout: &str) -> Outcome<(Setup, Server, Duration)> {
    let mut setup = Setup::new();
    setup.workers = format!("cores = [{WORKER_CORE}]\nidle = \"busy\"");
    setup.more = format!(
        "[etcd]\nendpoints = [\"http://{}\"]\ncache_file = \"etcd.cache\"\n\
         [[etcd_tree]]\nlayout = \"{layout}\"\nzones = [\"{SHARED}\"]\n",
        member.address
    );
    let start = Instant::now();
    let server = setup.start();
    Ok((setup, server, start.elapsed()))
}

/// The owner of a name that changes, below its zone.
fn owner(number: u64) -> String {
    format!("n{number}")
}

/// Changes by either way.
fn latencies(server: &Server, member: &Member, names: u64, changes: u64) -> Outcome<Vec<Figure>> {
    server.put_zone(STORED);
    let mut figures = Vec::new();
    let by_store: Way = |number, [_, a, b, c]| {
        let body = format!(r#"{{"ttl":60,"records":["10.{a}.{b}.{c}"]}}"#);
        ("PUT".to_owned(), rrset_path(STORED, &owner(number), "A"), body)
    };
    let by_etcd: Way = |number, host| ("POST".to_owned(), "/v3/kv/put".to_owned(), put(number, host));
    for number in 0..CHANGING {
        server.put_rrset(STORED, &owner(number), "A", 60, &["10.0.0.0"]);
    }
    for (name, zone, connection, way) in [
        ("embedded store, PUT to answer", STORED, server.connect(), by_store),
        ("etcd, put to answer", SHARED, member.connect()?, by_etcd),
    ] {
        let (mut times, lost) = one_by_one(connection, zone, way, changes)?;
        times.sort_by(f64::total_cmp);
        for (part, share) in [("p50", 50), ("p99", 99), ("largest", 100)] {
            let place = (times.len() * share).div_ceil(100).saturating_sub(1);
            figures.push(Figure {
                name: format!("{name}, {part}"),
                value: times.get(place).copied().unwrap_or(f64::NAN),
                unit: "ms",
                conditions: format!(
                    "{changes} changes one after the other, {names} names in etcd, {lost} questions lost"
                ),
            });
        }
    }
    Ok(figures)
}

/// Changes one name after the other and asks for each until the new answer comes: the milliseconds that each took, and the
/// questions without an answer.
fn one_by_one(mut connection: Connection, zone: &str, way: Way, changes: u64) -> Outcome<(Vec<f64>, u64)> {
    let (orders, ordered) = mpsc::channel::<(String, String, String)>();
    let (sent, starts) = mpsc::channel::<Instant>();
    // The writer waits for its answers on a thread of its own: the first new answer may come before.
    let writer = thread::spawn(move || -> std::io::Result<()> {
        for (method, path, body) in ordered {
            let start = Instant::now();
            connection.send(&method, &path, &body)?;
            // Nobody listens where the bench has failed.
            let _ = sent.send(start);
            let response = connection.answer()?;
            if response.status != 200 {
                return Err(std::io::Error::other(format!("{response:?}")));
            }
        }
        Ok(())
    });
    let mut asker = Asker::new(SERVED4);
    let mut milliseconds = Vec::new();
    for change in 1..=changes + WARM_UP {
        let number = change % CHANGING;
        let [.., a, b, c] = change.to_be_bytes();
        orders.send(way(number, [10, a, b, c]))?;
        let start = starts.recv().map_err(|_| "the writer has failed")?;
        while address(&mut asker, &format!("{}.{zone}", owner(number)))? != Some([10, a, b, c]) {
            if start.elapsed() > CHANGE_TIME_MAX {
                return Err(format!("change {change} is not answered after {CHANGE_TIME_MAX:?}").into());
            }
        }
        if change > WARM_UP {
            milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    drop(orders);
    writer.join().map_err(|_| "the writer has panicked")??;
    Ok((milliseconds, asker.lost))
}

/// The address in the answer to a question; nothing where none came.
fn address(asker: &mut Asker, owner: &str) -> Outcome<Option<[u8; 4]>> {
    let Some(answer) = asker.ask(owner, A) else { return Ok(None) };
    // NOERROR and one answer, whose address ends the message: it was asked without EDNS.
    if answer.get(3).is_none_or(|flags| flags & 0xf != 0) || answer.get(6..8) != Some(&[0, 1]) {
        return Err(format!("{owner}: a wrong answer: {answer:02x?}").into());
    }
    Ok(answer.last_chunk().copied())
}
