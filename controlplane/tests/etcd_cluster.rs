//! A cluster of three members under load, one after the other of which all that can happen to it does happen: what is served at
//! the end is what etcd has, and no name that nobody touched was ever missing.
//!
//! `RINGDNS_ETCD_KEYS` names are in etcd (100,000 unless given), `RINGDNS_ETCD_RATE` changes a second come (1,000).

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "what a test cannot set up ends it")]

mod common;
#[path = "common/etcd.rs"]
mod real;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::Server;
use etcd_client::{Client, Txn, TxnOp};
use real::{Etcd, Member, Way};
use ringdns_engine::name::WireName;
use ringdns_engine::publish::{Publisher, Reader};
use ringdns_engine::snapshot::Snapshot;
use serde_json::{Value, json};

/// The zone.
const ZONE: &str = "c.local.";

/// Longest time for anything: the listing of all keys by a build that is not optimised, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(100);

/// Of this many names one is never touched.
const UNTOUCHED: u64 = 10;

/// Changes of one transaction.
const AT_ONCE: u64 = 20;

/// A number of the environment, or another.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// The key of an address record, and its value.
fn address(number: u64, host: u64) -> (String, String) {
    let host = Ipv4Addr::from(0x0a00_0000 | u32::try_from(host & 0xff_ffff).unwrap());
    (format!("/containerdns/local/c/n{number}/x/"), json!({"type": "A", "host": host, "ttl": 30}).to_string())
}

/// Waits for something; tells how long it took.
fn wait(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    start.elapsed()
}

/// What the source says of itself.
fn seen(server: &Server) -> Value {
    server.get("/api/v1/status").1["etcd"].clone()
}

/// Changes names all the time, at a rate.
struct Writer {
    stop: Arc<AtomicBool>,
    changes: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Writes to a cluster until it is told to stop; the names are those below `keys` that may be touched, and as many more.
    fn start(endpoints: Vec<String>, keys: u64, rate: u64) -> Self {
        let (stop, changes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ends, counted) = (Arc::clone(&stop), Arc::clone(&changes));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut clients: Vec<Option<Client>> = endpoints.iter().map(|_| None).collect();
            let (start, mut turn, mut done) = (Instant::now(), 0, 0);
            while !ends.load(Ordering::Relaxed) {
                let writes = Self::writes(done, keys);
                // A write whose answer is lost is made again: it says the same.
                while !ends.load(Ordering::Relaxed) {
                    let place = turn % endpoints.len();
                    if runtime.block_on(Self::write(&mut clients[place], &endpoints[place], &writes)).is_some() {
                        break;
                    }
                    clients[place] = None;
                    turn += 1;
                }
                done += AT_ONCE;
                counted.store(done, Ordering::Relaxed);
                let due = Duration::from_micros(done * 1_000_000 / rate);
                std::thread::sleep(due.saturating_sub(start.elapsed()));
            }
        });
        Self { stop, changes, thread }
    }

    /// The next changes: of twenty one deletes.
    fn writes(done: u64, keys: u64) -> Vec<TxnOp> {
        let write = |change: u64| {
            let number = (change.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % (keys + keys / 10);
            let number = if number.is_multiple_of(UNTOUCHED) { number + 1 } else { number };
            let (key, value) = address(number, change);
            (number, if change % 20 == 7 { TxnOp::delete(key, None) } else { TxnOp::put(key, value, None) })
        };
        // A transaction may name a key once.
        let writes: BTreeMap<u64, TxnOp> = (done..done + AT_ONCE).map(write).collect();
        writes.into_values().collect()
    }

    /// One try at one member.
    async fn write(client: &mut Option<Client>, endpoint: &str, writes: &[TxnOp]) -> Option<()> {
        let work = async {
            if client.is_none() {
                *client = Client::connect([endpoint], None).await.ok();
            }
            let mut kv = client.as_ref()?.kv_client();
            kv.txn(Txn::new().and_then(writes.to_vec())).await.ok()
        };
        tokio::time::timeout(Duration::from_secs(1), work).await.ok().flatten().map(drop)
    }

    /// Ends it; gives the number of changes.
    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.changes.load(Ordering::Relaxed)
    }
}

/// Looks at names that nobody touches in what the workers see, all the time.
struct Prober {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, u64, Reader)>,
}

impl Prober {
    fn start(server: &mut Server, keys: u64) -> Self {
        let other = Publisher::new(Snapshot::empty());
        let mut reader = std::mem::replace(&mut server.reader, other.reader());
        let apex: WireName = ZONE.parse().unwrap();
        let owners: Vec<(WireName, [u8; 4])> = (0..keys)
            .step_by(usize::try_from(UNTOUCHED).unwrap())
            .map(|number| (format!("n{number}.{ZONE}").parse().unwrap(), Ipv4Addr::from(0x0a00_0001).octets()))
            .collect();
        let stop = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut looks, mut missing) = (0u64, 0u64);
            while !ends.load(Ordering::Relaxed) {
                for look in 0..10u64 {
                    let snapshot = reader.pin();
                    let place = (looks + look).wrapping_mul(7919) % owners.len() as u64;
                    let (owner, host) = &owners[usize::try_from(place).unwrap()];
                    let rrset = snapshot.node(&apex, owner).and_then(|node| node.rrset(1));
                    missing += u64::from(rrset.is_none_or(|rrset| rrset.rdatas().next() != Some(&host[..])));
                }
                looks += 10;
                std::thread::sleep(Duration::from_micros(500));
            }
            (looks, missing, reader)
        });
        Self { stop, thread }
    }

    /// Never once was a name missing or other than it was. Gives back what the workers see.
    fn check(self) -> Reader {
        self.stop.store(true, Ordering::Relaxed);
        let (looks, missing, reader) = self.thread.join().unwrap();
        println!("{looks} looks at names that nobody touched");
        assert!(looks > 1000, "{looks} looks are too few to say anything");
        assert_eq!(missing, 0, "of {looks} looks");
        reader
    }
}

/// Everything that can happen to a cluster and the way to it, one after the other.
fn disturb(etcd: &mut Etcd, ways: &[Way], server: &Server) {
    let pause = || std::thread::sleep(Duration::from_secs(2));
    pause();
    let leader = etcd.leader();
    etcd.members[leader].kill();
    pause();
    etcd.members[leader].start();
    wait("RingDNS is connected", || seen(server)["connected"] == json!(true));
    pause();
    ways.iter().for_each(|way| way.cut(true));
    wait("the cut is seen", || seen(server)["connected"] == json!(false));
    pause();
    etcd.compact();
    pause();
    ways.iter().for_each(|way| way.cut(false));
    let took = wait("RingDNS is connected again", || seen(server)["connected"] == json!(true));
    println!("connected {took:.1?} after the cut");
    pause();
}

/// Configuration of the source, with the copy on disk in a directory.
fn config(directory: &Path, ways: &[Way]) -> String {
    let endpoints: Vec<String> = ways.iter().map(|way| format!("http://127.0.0.1:{}", way.port)).collect();
    format!(
        "[etcd]\nendpoints = {endpoints:?}\ntimeout_seconds = 2\ncache_file = \"{}/etcd.cache\"\n\
         [[etcd_tree]]\nlayout = \"containerdns\"\nzones = [{ZONE:?}]\n",
        directory.display()
    )
}

/// The addresses that etcd has, by key.
fn there(etcd: &Etcd) -> BTreeMap<String, String> {
    let host = |text: &str| serde_json::from_str::<Value>(text).unwrap()["host"].as_str().unwrap().to_owned();
    etcd.all("/containerdns/").into_iter().map(|(key, value)| (key, host(&value))).collect()
}

/// The addresses that are served, by key.
fn served(reader: &mut Reader) -> BTreeMap<String, String> {
    let apex: WireName = ZONE.parse().unwrap();
    let pair = |node: ringdns_engine::snapshot::NodeView<'_>| {
        let host: [u8; 4] = node.rrset(1)?.rdatas().next()?.try_into().ok()?;
        let name = node.owner().to_string();
        let name = name.strip_suffix(&format!(".{ZONE}"))?;
        Some((format!("/containerdns/local/c/{name}/x/"), Ipv4Addr::from(host).to_string()))
    };
    reader.pin().nodes(&apex).filter_map(pair).collect()
}

#[test]
fn through_all_that_can_happen_what_is_served_is_what_etcd_has() {
    let (keys, rate) = (number("RINGDNS_ETCD_KEYS", 100_000), number("RINGDNS_ETCD_RATE", 1000));
    // Nothing here is about what the members' disks do.
    let mut etcd = Etcd::start_with(3, &|_| vec![("--unsafe-no-fsync", "true".to_owned())]);
    let start = Instant::now();
    etcd.put_all(&(0..keys).map(|number| address(number, 1)).collect::<Vec<_>>());
    println!("{keys} keys were written in {:.1?}", start.elapsed());
    let ways: Vec<Way> = etcd.members.iter().map(|member| Way::to(member.port)).collect();
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start_unsynced(directory.path(), &config(directory.path(), &ways));
    let took = wait("all keys are served", || server.plane().is_synced());
    println!("served {took:.1?} after the start");
    let prober = Prober::start(&mut server, keys);
    let endpoints = etcd.members.iter().map(Member::endpoint).collect();
    let (writer, start) = (Writer::start(endpoints, keys, rate), Instant::now());
    disturb(&mut etcd, &ways, &server);
    let changes = writer.end();
    println!("{changes} changes in {:.1?}", start.elapsed());
    assert!(changes > 1000, "{changes} changes are too few to say anything");

    let (last, value) = address(keys * 2, 7);
    etcd.put(&last, &value);
    let name = format!("/api/v1/zones/{ZONE}/rrsets/n{}.{ZONE}/A", keys * 2);
    let took = wait("the last change is served", || server.get(&name).0 == 200);
    println!("the last change was served after {took:.1?}");
    let mut reader = prober.check();
    // Where that was listed, what stands behind it in the listing may still be on its way.
    let mut differ = Vec::new();
    wait("what is served is what etcd has", || {
        let (there, served) = (there(&etcd), served(&mut reader));
        assert!(there.len() as u64 > keys / 2, "{} keys are there", there.len());
        let all = there.keys().chain(served.keys());
        let now: Vec<String> = all.filter(|key| there.get(*key) != served.get(*key)).take(5).cloned().collect();
        if now != differ {
            println!("{} names are served, {} are there; of those that differ: {now:?}", served.len(), there.len());
            differ.clone_from(&now);
        }
        now.is_empty()
    });
    let text = server.request("GET", "/metrics", &[], "").body;
    let lists = text.lines().find_map(|line| line.strip_prefix("ringdns_etcd_lists_total{} ")).unwrap();
    assert!(lists.parse::<f64>().unwrap() > 1.0, "the compaction had all keys listed again");
    server.stop();
}
