//! From a change to its answer, by way of etcd and by way of the embedded store, of records and of the health of their addresses, and
//! how long many keys of etcd take to be served.
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
use member::{MEMBERS, Member, put, put_state};
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

/// A request: method, path and body.
type Request = (String, String, String);

/// A change, and what is answered once it has come through.
struct Change {
    /// What brings it about.
    request: Request,
    /// The name that is asked for.
    owner: String,
    /// The addresses that are answered then, in order.
    answer: Vec<[u8; 4]>,
}

/// A change by its number; those that come one after the other differ.
type Way = fn(u64) -> Change;

fn main() -> Outcome<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|number| number.parse()).collect::<Result<_, _>>()?;
    let argument = |index: usize, default: u64| numbers.get(index).copied().unwrap_or(default);
    let (names, changes) = (argument(0, 100_000).max(CHANGING), argument(1, 1_000));
    let _first = go_first()?;
    let _turn = turn();
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
         status_path = \"/containerdns/monitor/status\"\n\
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

/// A new address of a name of the embedded store.
fn by_store(change: u64) -> Change {
    let (number, [a, b, c, d]) = (change % CHANGING, host(change));
    let body = format!(r#"{{"ttl":60,"records":["{a}.{b}.{c}.{d}"]}}"#);
    let request = ("PUT".to_owned(), rrset_path(STORED, &owner(number), "A"), body);
    Change { request, owner: format!("{}.{STORED}", owner(number)), answer: vec![[a, b, c, d]] }
}

/// A new address of a name of etcd.
fn by_etcd(change: u64) -> Change {
    let (number, host) = (change % CHANGING, host(change));
    let request = write(put(number, host));
    Change { request, owner: format!("{}.{SHARED}", owner(number)), answer: vec![host] }
}

/// One of two members of a name of etcd falls, and comes back with the next change.
fn by_state(change: u64) -> Change {
    turn_member(change, SHARED)
}

/// The same of a name of the embedded store.
fn by_state_of_store(change: u64) -> Change {
    turn_member(change, STORED)
}

/// A member of a name of a zone falls with odd numbers and comes back with even ones.
fn turn_member(change: u64, zone: &str) -> Change {
    let (number, falls) = (change.div_ceil(2) % MEMBERS, change % 2 == 1);
    let [first, second] = members(number);
    let answer = if falls { vec![second] } else { vec![first, second] };
    let request = write(put_state(first, if falls { "DOWN" } else { "UP" }));
    Change { request, owner: format!("pool{number}.{zone}"), answer }
}

/// A write to etcd.
fn write(body: String) -> Request {
    ("POST".to_owned(), "/v3/kv/put".to_owned(), body)
}

/// An address of its own for each change.
fn host(change: u64) -> [u8; 4] {
    let [.., a, b, c] = change.to_be_bytes();
    [10, a, b, c]
}

/// The addresses of a name that has members.
fn members(number: u64) -> [[u8; 4]; 2] {
    let [.., a, b] = number.to_be_bytes();
    [[10, 201, a, b], [10, 202, a, b]]
}

/// Changes by each way.
fn latencies(server: &Server, member: &Member, names: u64, changes: u64) -> Outcome<Vec<Figure>> {
    // As the server's own control threads do, from which the worker's core is kept free.
    stay_on(CLIENT_CORE)?;
    server.put_zone(STORED);
    let mut figures = Vec::new();
    for number in 0..CHANGING {
        server.put_rrset(STORED, &owner(number), "A", 60, &["10.0.0.0"]);
    }
    for number in 0..MEMBERS {
        let addresses = members(number).map(|address| std::net::Ipv4Addr::from(address).to_string());
        server.put_rrset(STORED, &format!("pool{number}"), "A", 60, &addresses.each_ref().map(String::as_str));
    }
    for (name, connection, way) in [
        ("embedded store, PUT to answer", server.connect(), by_store as Way),
        ("etcd, put to answer", member.connect()?, by_etcd),
        ("member of etcd's name, state to answer", member.connect()?, by_state),
        ("member of the store's name, state to answer", member.connect()?, by_state_of_store),
    ] {
        let (mut times, lost) = one_by_one(connection, way, changes)?;
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

/// Makes one change after the other and asks for each name until the new answer comes: the milliseconds that each took, and the
/// questions without an answer.
fn one_by_one(mut connection: Connection, way: Way, changes: u64) -> Outcome<(Vec<f64>, u64)> {
    let (orders, ordered) = mpsc::channel::<Request>();
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
        let Change { request, owner, answer } = way(change);
        orders.send(request)?;
        let start = starts.recv().map_err(|_| "the writer has failed")?;
        loop {
            let seen = addresses(&mut asker, &owner)?;
            if seen.as_ref() == Some(&answer) {
                break;
            }
            if start.elapsed() > CHANGE_TIME_MAX {
                drop(orders);
                // What the writer was told says more, where it was told anything.
                writer.join().map_err(|_| "the writer has panicked")??;
                return Err(format!("change {change} is not answered after {CHANGE_TIME_MAX:?}, {seen:?} is").into());
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

/// The addresses in the answer to a question, in order; nothing where none came.
fn addresses(asker: &mut Asker, owner: &str) -> Outcome<Option<Vec<[u8; 4]>>> {
    /// Bytes of an answered address: a pointer to the name, type, class, TTL, length and the address.
    const RECORD_BYTES: usize = 16;
    let Some(answer) = asker.ask(owner, A) else { return Ok(None) };
    let wrong = || format!("{owner}: a wrong answer: {answer:02x?}");
    // NOERROR, and addresses end the message: it was asked without EDNS.
    let Some(&[0, count]) = answer.get(6..8).filter(|_| answer.get(3).is_some_and(|flags| flags & 0xf == 0)) else {
        return Err(wrong().into());
    };
    let start = answer.len().checked_sub(usize::from(count) * RECORD_BYTES).ok_or_else(wrong)?;
    let records = answer.get(start..).unwrap_or_default().chunks(RECORD_BYTES);
    let mut found: Vec<[u8; 4]> = records.filter_map(|record| record.last_chunk().copied()).collect();
    found.sort_unstable();
    Ok(Some(found))
}
