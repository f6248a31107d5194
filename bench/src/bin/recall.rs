//! Names of others beside names of a zone, on NICs in memory: what a worker answers from its cache against what it answers from a
//! zone, and what is left of the latter beside a storm of questions for names that nobody has asked for yet.
//!
//! `recall`: as many names in the cache as in the zone, of the same length, one address each, asked in the same order; 1,000 and
//! 1,000,000 of them. Answers per second of the worker's CPU, medians of interleaved turns; every name's answer is checked before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringdns_bench::claim::{self, Bar, Claim};
use ringdns_bench::cpu::{Task, median, stay_on};
use ringdns_bench::round::RoundNic;
use ringdns_bench::{Outcome, zone};
use ringdns_dataplane::forward::{
    ForwardCounters, ForwardOptions, ForwardPath, ForwardPort, server_config as of_thread,
};
use ringdns_dataplane::idle::Idle;
use ringdns_dataplane::worker::{Worker, WorkerPort};
use ringdns_dataplane::workers::available_cores;
use ringdns_engine::cache::{CacheDesk, CacheKey, CachedAnswer, EntryBits};
use ringdns_engine::counters::Counters;
use ringdns_engine::frame::FrameBuffer;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_engine::name::WireName;
use ringdns_engine::publish::Publisher;
use ringdns_engine::recall::{AskOthers, Done, ForeignQuestion, Handover, KeptAnswer, RecallConfig, name_hash};
use ringdns_engine::rtype::{rcode, types};
use ringdns_engine::serve::{Server, ServerConfig};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::testing::{TestFrame, server_config};
use ringdns_engine::verdict::Verdict;

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Sizes of zone and cache.
const SIZES: [u64; 2] = [1_000, 1_000_000];
/// Distinct queries.
const QUERIES: usize = 262_144;
/// Misses a second of the storm.
const STORM_RATE: f64 = 100_000.0;
/// Turns of each kind.
const TURNS: usize = 5;
/// How long each turn is.
const TURN_TIME: Duration = Duration::from_secs(2);
/// Until a turn counts.
const SETTLE: Duration = Duration::from_millis(200);
/// Buffers of the worker.
const BUFFERS: usize = 4096;
/// Bytes of the cache: room for all names in the larger of its logs.
const CACHE_BYTES: usize = 256 << 20;
/// TTL of all answers: longer than this runs.
const TTL_SECONDS: u32 = 3600;
/// The part of the zone's rate that the cache's is to reach.
const CACHE_MIN: f64 = 0.8;
/// The part of the zone's rate that is to be left beside the storm.
const LEFT_MIN: f64 = 0.9;

/// A name of others, as long as the zone's.
fn owner(number: u64) -> String {
    format!("h{number:010}.cache.example.")
}

/// Numbers of the names that a cache holds: where a bucket of its index is full, one goes for another.
fn kept(desk: &CacheDesk, snapshot: &Snapshot, names: u64) -> Outcome<Vec<u64>> {
    let mut kept = Vec::new();
    for number in 0..names {
        let name: WireName = owner(number).parse().map_err(|_| "no name")?;
        let (name_hash, bits) = (name_hash(snapshot, &name), EntryBits::default());
        let key = CacheKey { name_hash, name: name.as_bytes(), qtype: types::A, bits };
        if desk.shelf().find(&key).is_some() {
            kept.push(number);
        }
    }
    // Nearly all of them: otherwise what is compared are caches of different sizes.
    if kept.len() as u64 * 20 < names * 19 { Err("the cache is too small".into()) } else { Ok(kept) }
}

/// A cache with so many names.
fn cache(snapshot: &Snapshot, names: u64) -> Outcome<CacheDesk> {
    let mut desk = CacheDesk::new(CACHE_BYTES);
    let fetched = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let fetched_seconds = u32::try_from(fetched)?;
    for number in 0..names {
        let name: WireName = owner(number).parse().map_err(|_| "no name")?;
        // A pointer to the question's name, type A, class IN, TTL, four bytes of address.
        let mut body = vec![0xc0, 12, 0, 1, 0, 1];
        body.extend(TTL_SECONDS.to_be_bytes());
        body.extend([0, 4]);
        body.extend(zone::address(number));
        let (name_hash, bits) = (name_hash(snapshot, &name), EntryBits::default());
        let key = CacheKey { name_hash, name: name.as_bytes(), qtype: types::A, bits };
        let answer = CachedAnswer {
            bits,
            rcode: 0,
            counts: [1, 0],
            body: &body,
            ttl_places: &[6],
            pointer_places: &[],
            fetched_seconds,
            ttl_seconds: TTL_SECONDS,
            stale_seconds: 0,
        };
        desk.insert(&key, &answer).map_err(|error| format!("{error:?}"))?;
        // Asked for once, so that it stays.
        desk.shelf().find(&key).ok_or("not kept")?.touch();
    }
    Ok(desk)
}

/// Has nobody asked: every question fails at once, as under a storm that upstreams do not answer in time.
struct Nobody;

impl AskOthers for Nobody {
    fn ask(&self, _question: ForeignQuestion, done: Done) {
        done(Some(Arc::new(KeptAnswer::empty(rcode::SERVFAIL))));
    }
}

/// What one turn came to, for each second of the worker's CPU.
struct Turn {
    /// Answers.
    answers: f64,
    /// Questions that were for others.
    misses: f64,
    /// The part of them that the forwarder's thread took.
    taken: f64,
}

/// What is asked of whom.
struct Scene {
    /// The zone.
    publisher: Publisher,
    /// How names of others are answered.
    recall: RecallConfig,
    /// The worker's core, and that of all else.
    cores: (usize, usize),
}

impl Scene {
    /// How the server of a worker is configured.
    fn config(&self) -> ServerConfig {
        ServerConfig { answer_local: false, recall: Some(self.recall.clone()), ..server_config() }
    }

    /// Holds the answer to every frame to the address that its name tells.
    fn check(&self, frames: &[Vec<u8>]) -> Outcome<()> {
        let (mut server, mut reader, counters) =
            (Server::new(&self.config()), self.publisher.reader(), Counters::default());
        server.set_now(u32::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?);
        for frame in frames {
            let (mut buffers, mut verdicts) = ([TestFrame::new(frame)], [Verdict::Forward; BURST_FRAMES_MAX]);
            server.serve_burst(&mut buffers, &mut verdicts, reader.pin(), &counters);
            let [reply] = &buffers;
            // Behind Ethernet, IP, UDP, the DNS header, a length and a letter.
            let digits = frame.get(42 + 12 + 2..42 + 12 + 12).and_then(|digits| str::from_utf8(digits).ok());
            let address = zone::address(digits.ok_or("no name of ours")?.parse()?);
            if verdicts[0] != Verdict::Reply || !reply.frame().ends_with(&address) {
                return Err(format!("{digits:?}: {:?}, {:02x?}", verdicts[0], reply.frame()).into());
            }
        }
        Ok(())
    }

    /// Runs a worker over frames on one core, and the forwarder's thread on the other.
    fn turn(&self, frames: &Arc<Vec<Vec<u8>>>) -> Outcome<Turn> {
        let (first, last) = self.cores;
        let (nic, _) = RoundNic::pair(frames, BUFFERS);
        let counters = Arc::new(Counters::default());
        let handover = Handover::default();
        let (port, mut lanes) = ForwardPort::new(Server::new(&of_thread(&self.config(), handover.shelf())), None, 1);
        let server = Server::new(&self.config());
        let ports = [WorkerPort { nic, server, kernel: None, forward: lanes.pop(), successor: None }];
        let mut worker = Worker::new(ports, self.publisher.reader(), Arc::clone(&counters), Idle::Busy);
        let taken = Arc::new(ForwardCounters::default());
        let options = ForwardOptions {
            handover,
            asker: Arc::new(Nobody),
            reader: self.publisher.reader(),
            counters: Arc::clone(&taken),
            time_max: TURN_TIME,
        };
        stay_on(first)?;
        let path = ForwardPath::start(vec![port], options)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new().name("recall-worker".to_owned()).spawn(move || {
            stay_on(last).map_err(|error| error.to_string())?;
            worker.run(&told);
            Ok::<_, String>(())
        })?;
        thread::sleep(SETTLE);
        let task = Task::find(std::process::id(), "recall-worker")?;
        let look = || -> Outcome<[f64; 4]> {
            let answers = counters.rcodes().find(|&(rcode, _)| rcode == rcode::NOERROR).map_or(0, |(_, count)| count);
            let [misses, taken] = [counters.forwarded.get(), taken.asked.get()];
            Ok([task.cpu_seconds()?, answers as f64, misses as f64, taken as f64])
        };
        let before = look()?;
        thread::sleep(TURN_TIME);
        let after = look()?;
        stop.store(true, Ordering::Relaxed);
        thread.join().map_err(|_| "the worker panicked")??;
        path.stop();
        let [seconds, answers, misses, taken] = std::array::from_fn(|index| after[index] - before[index]);
        Ok(Turn { answers: answers / seconds, misses: misses / seconds, taken: taken / misses.max(1.0) })
    }
}

/// The queries with one for a name that is not kept after each `each` of them.
fn stormy(queries: &[Vec<u8>], each: usize) -> Vec<Vec<u8>> {
    let chunks = queries.chunks(each.max(1));
    let misses = zone::frames_named(chunks.len(), zone::foreign);
    // All are copies, made in order: as the others a miss lies behind the frame that came before it, where the memory expects it.
    chunks.zip(&misses).flat_map(|(queries, miss)| queries.iter().chain([miss]).cloned()).collect()
}

fn main() -> Outcome<()> {
    // Asked for once: a turn leaves this thread on one of them.
    let cores = match available_cores()[..] {
        [first, .., last] => (first, last),
        _ => return Err("this bench takes two cores: one for the worker, one for all else".into()),
    };
    let mut claims = Vec::new();
    for names in SIZES {
        let snapshot = zone::snapshot(names)?;
        let desk = cache(&snapshot, names)?;
        let recall = RecallConfig {
            shelf: Arc::clone(desk.shelf()),
            authoritative: false,
            stale_ttl_seconds: None,
            clients: None,
            is_handover: false,
        };
        let kept = kept(&desk, &snapshot, names)?;
        claims.extend(measure(&Scene { publisher: Publisher::new(snapshot), recall, cores }, names, &kept)?);
    }
    Ok(claim::record(&claims)?)
}

/// Measures one size; `kept` are the numbers of the names in the cache.
fn measure(scene: &Scene, names: u64, kept: &[u64]) -> Outcome<[Claim; 2]> {
    let hits = Arc::new(zone::frames(QUERIES, names, true));
    let places = kept.len() as u64;
    let kept_name = |number: u64| kept.get(usize::try_from(number % places).unwrap_or_default()).copied();
    let recalled = zone::frames_named(QUERIES, |number| owner(kept_name(number).unwrap_or_default()));
    let recalled = Arc::new(recalled);
    scene.check(&hits)?;
    scene.check(&recalled)?;
    let rate = scene.turn(&hits)?.answers;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
    let storm = Arc::new(stormy(&hits, (rate / STORM_RATE).round() as usize));
    let (mut zone_rates, mut cache_rates) = (vec![], vec![]);
    let (mut left, mut misses, mut taken) = (vec![], vec![], vec![]);
    for _ in 0..TURNS {
        zone_rates.push(scene.turn(&hits)?.answers);
        cache_rates.push(scene.turn(&recalled)?.answers);
        let turn = scene.turn(&storm)?;
        left.push(turn.answers);
        misses.push(turn.misses);
        taken.push(turn.taken);
    }
    let conditions = format!("{names} names, NICs in memory, per second of the worker's CPU, medians of {TURNS} turns");
    let zone_rate = median(zone_rates);
    let claim = |name: &str, ours: f64, bar: f64, conditions: String| Claim {
        name: format!("{name}, {names} names"),
        ours,
        theirs: Some(zone_rate),
        bar: Bar::Ratio(bar),
        unit: "answers/s",
        conditions,
    };
    Ok([
        claim("cache hits against zone hits", median(cache_rates), CACHE_MIN, conditions.clone()),
        claim(
            "zone answers beside 100 k misses/s",
            median(left),
            LEFT_MIN,
            format!(
                "{conditions}; the storm was {:.0}/s, the forwarder's thread took {:.0} % of it",
                median(misses),
                median(taken) * 100.0
            ),
        ),
    ])
}
