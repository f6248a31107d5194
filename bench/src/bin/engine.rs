//! The engine alone: nanoseconds a query from frame to turned frame, without any I/O. Every answer's address is checked
//! in a first round.
//!
//! `engine [NAMES...]`: sizes of the zone, 1000 and 1000000 unless given. `engine --count NAMES QUERIES [KIND]` answers that
//! many queries and prints nothing: for counting instructions. The kinds are `plain`, `tagged`, `nxdomain`, `noise`, `edns`,
//! `cookie`, `known-cookie`, `recalled` (out of the cache, for names of others), `recalled-ipv6`, `recalled-chain` (an alias and
//! two addresses) and `recalled-none` (no such name), `beside` (of the zone, beside a cache), and `ruled`, `ruled-nxdomain`, `ruled-noise`, `pod` and `search` of a zone with rules.
//! `--count-limited` does so with rate limits that let all pass.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use ringdns_bench::report::{Figure, publish};
use ringdns_bench::zone;
use ringdns_engine::cache::{CacheDesk, CacheKey, EntryBits};
use ringdns_engine::cookie::{CookieConfig, CookieSecret};
use ringdns_engine::counters::Counters;
use ringdns_engine::frame::FrameBuffer;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_engine::name::WireName;
use ringdns_engine::rate::RateLimit;
use ringdns_engine::recall::{KeptAnswer, RecallConfig, name_hash};
use ringdns_engine::rtype::types;
use ringdns_engine::serve::Server;
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::Editor;
use ringdns_engine::testing::{query, server_config};
use ringdns_engine::verdict::{Reason, Verdict};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Distinct frames of a run.
const FRAMES: usize = 262_144;
/// Frames of a burst.
const BURST: usize = 32;
/// Distinct frames where instructions are counted.
const COUNTED_FRAMES: usize = 1024;
/// Bytes of the cache: all names stay in it.
const CACHE_BYTES: usize = 16 << 20;
/// The number of the COOKIE option.
const COOKIE: u16 = 10;
/// The cookie of the one client.
const CLIENT_COOKIE: [u8; 8] = *b"a client";
/// The VLAN of tagged frames.
const VLAN: u16 = 100;
/// Rounds over all frames; the median is reported.
const ROUNDS: usize = 7;

/// A receive buffer as a NIC has it.
#[derive(Clone)]
struct Buffer {
    /// Room of the buffer.
    room: [u8; 2048],
    /// Bytes of the frame.
    length: usize,
}

impl FrameBuffer for Buffer {
    fn frame(&self) -> &[u8] {
        &self.room[..self.length]
    }
    fn room(&mut self) -> &mut [u8] {
        &mut self.room
    }
    fn set_len(&mut self, len: usize) {
        self.length = len;
    }
}

/// A server with its ring of buffers.
struct Bench {
    /// The engine.
    server: Server,
    /// What is served.
    snapshot: Snapshot,
    /// What is counted.
    counters: Counters,
    /// Recycled receive buffers.
    ring: Vec<Buffer>,
    /// From when the time is told, where it is needed.
    start: Instant,
}

impl Bench {
    /// A bench for a zone.
    fn new(snapshot: Snapshot, rate_limit: Option<RateLimit>, vlan: Option<u16>, recall: Option<RecallConfig>) -> Self {
        let ring = vec![Buffer { room: [0; 2048], length: 0 }; 1024];
        let mut config = server_config();
        // As servers are by default.
        config.edns.cookies = Some(CookieConfig { secret: CookieSecret([7; 16]), other_secret: None, enforce: false });
        (config.rate_limit, config.vlan, config.recall) = (rate_limit, vlan, recall);
        Self { server: Server::new(&config), snapshot, counters: Counters::default(), ring, start: Instant::now() }
    }

    /// Frames that ask for names that exist, with an option of the kind that is named.
    fn frames(&mut self, count: usize, names: u64, kind: &str) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        Ok(match kind {
            "recalled-ipv6" => zone::frames_of(count, names, true, |qname| query(qname, types::AAAA)),
            "plain" | "messages" | "ruled" | "beside" => zone::frames(count, names, true),
            kind if kind.starts_with("recalled") => zone::frames(count, names, true),
            "missed" => zone::frames_named(count, zone::foreign),
            "tagged" => zone::frames(count, names, true).iter().map(|frame| tagged(frame)).collect(),
            "nxdomain" | "ruled-nxdomain" => zone::frames(count, names, false),
            // What resolvers with a search path ask for that somebody else has.
            "noise" | "ruled-noise" => zone::frames_named(count, |number| {
                format!("www.x{:010}.com.ns.svc.{}", number % 1_000_000_000, zone::APEX)
            }),
            "pod" => zone::frames_named(count, |number| {
                let [a, b, c, ..] = number.to_be_bytes();
                format!("10-{a}-{b}-{c}.ns.pod.{}", zone::APEX)
            }),
            "search" => {
                zone::frames_named(count, |number| format!("{}ns.svc.{}", zone::owner(number % names), zone::APEX))
            }
            "edns" => zone::frames_with_options(count, names, &[]),
            "cookie" => zone::frames_with_options(count, names, &[(COOKIE, &CLIENT_COOKIE)]),
            "known-cookie" => {
                let mut cookies = Vec::new();
                let asking = zone::frames_with_options(1, names, &[(COOKIE, &CLIENT_COOKIE)]);
                // The answer ends in client and server cookie.
                self.round(&asking, true, |_, reply| cookies = reply[reply.len() - 24..].to_vec());
                zone::frames_with_options(count, names, &[(COOKIE, &cookies)])
            }
            other => return Err(format!("no kind of query is called {other}").into()),
        })
    }

    /// Receives and serves all frames, burst by burst; each reply goes to `check` with its frame's number.
    fn round(&mut self, frames: &[Vec<u8>], serve: bool, mut check: impl FnMut(usize, &[u8])) {
        let mut verdicts = [Verdict::Drop(Reason::FrameShort); BURST_FRAMES_MAX];
        for (index, burst) in frames.chunks(BURST).enumerate() {
            let start = index * BURST % self.ring.len();
            let buffers = &mut self.ring[start..start + burst.len()];
            for (buffer, frame) in buffers.iter_mut().zip(burst) {
                buffer.room[..frame.len()].copy_from_slice(frame);
                buffer.length = frame.len();
            }
            if serve {
                if self.server.needs_time() {
                    self.server.set_time(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX));
                }
                self.server.serve_burst(buffers, &mut verdicts, &self.snapshot, &self.counters);
            }
            for (offset, buffer) in buffers.iter().enumerate() {
                check(index * BURST + offset, buffer.frame());
            }
        }
    }

    /// The median nanoseconds a frame over some rounds.
    fn nanoseconds(&mut self, frames: &[Vec<u8>], serve: bool) -> f64 {
        let mut rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                self.round(frames, serve, |_, reply| {
                    black_box(reply.len());
                });
                start.elapsed().as_secs_f64() * 1e9 / frames.len() as f64
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        rounds[ROUNDS / 2]
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, names, queries, kind @ ..] = arguments.as_slice()
        && flag.starts_with("--count")
    {
        let (names, queries): (u64, usize) = (names.parse()?, queries.parse()?);
        let kind = kind.first().map_or("plain", String::as_str);
        let vlan = (kind == "tagged").then_some(VLAN);
        let mut snapshot = zone::snapshot(names)?;
        if matches!(kind, "ruled" | "ruled-nxdomain" | "ruled-noise" | "pod" | "search") {
            snapshot = zone::with_rules(&snapshot, kind == "search")?;
        }
        let mut recall = None;
        if matches!(kind, "beside" | "missed") {
            recall = Some(recalled(&snapshot, names, kind)?);
        }
        if kind.starts_with("recalled") {
            let mut none = Editor::new(&Snapshot::empty());
            none.set_complete(true);
            snapshot = none.commit();
            recall = Some(recalled(&snapshot, names, kind)?);
        }
        let mut bench = Bench::new(snapshot, (flag == "--count-limited").then(limits), vlan, recall);
        bench.counters = Counters::default().with_census(kind == "messages");
        let frames = bench.frames(COUNTED_FRAMES, names, kind)?;
        for _ in 0..queries / COUNTED_FRAMES {
            bench.round(&frames, true, |_, _| {});
        }
        if kind.starts_with("recalled") && bench.counters.recalled.get() < queries as u64 / COUNTED_FRAMES as u64 {
            return Err("the cache is not used".into());
        }
        if kind == "missed" && bench.counters.forwarded.get() < queries as u64 / COUNTED_FRAMES as u64 {
            return Err("nothing is for others".into());
        }
        return Ok(());
    }
    let sizes: Vec<u64> = arguments.iter().map(|size| size.parse()).collect::<Result<_, _>>()?;
    let sizes = if sizes.is_empty() { vec![1_000, 1_000_000] } else { sizes };
    let mut figures = Vec::new();
    for names in sizes {
        measure(names, &mut figures)?;
    }
    publish("engine", &figures)?;
    Ok(())
}

/// The zone's names as others have answered for them.
fn recalled(snapshot: &Snapshot, names: u64, kind: &str) -> Result<RecallConfig, Box<dyn Error>> {
    let mut desk = CacheDesk::new(CACHE_BYTES);
    for number in 0..names {
        let name: WireName = zone::owner(number).parse()?;
        let answer = kept(kind, zone::address(number));
        let qtype = if kind == "recalled-ipv6" { types::AAAA } else { types::A };
        let name_hash = name_hash(snapshot, &name);
        let key = CacheKey { name_hash, name: name.as_bytes(), qtype, bits: EntryBits::default() };
        desk.insert(&key, &answer.as_cached()).map_err(|error| format!("{name} is not kept: {error:?}"))?;
    }
    let shelf = Arc::clone(desk.shelf());
    Ok(RecallConfig { shelf, authoritative: false, stale_ttl_seconds: None, clients: None, is_handover: false })
}

/// What others have answered, by the kind of query.
fn kept(kind: &str, address: [u8; 4]) -> KeptAnswer {
    /// A TTL of 300 seconds.
    const TTL: [u8; 4] = [0, 0, 1, 44];
    let record = |owner: &[u8], rtype: u16, rdata: &[u8]| {
        let length = u16::try_from(rdata.len()).unwrap_or_default();
        [owner, &rtype.to_be_bytes(), &[0, 1], &TTL, &length.to_be_bytes(), rdata].concat()
    };
    let (qname, target) = ([0xc0, 12], *b"\x04edge\x03cdn\x04test\0");
    let (rcode, counts, records) = match kind {
        "recalled-ipv6" => {
            (0, [1, 0], vec![record(&qname, types::AAAA, &[[0x20, 1, 0xd, 0xb8], [0; 4], [0; 4], address].concat())])
        }
        "recalled-chain" => {
            let last = record(&target, types::A, &address);
            (0, [3, 0], vec![record(&qname, types::CNAME, &target), last.clone(), last])
        }
        "recalled-none" => {
            let soa = [&b"\x02ns\x04test\0\x04host\x04test\0"[..], &[0; 20]].concat();
            (3, [0, 1], vec![record(b"\x04test\0", types::SOA, &soa)])
        }
        _ => (0, [1, 0], vec![record(&qname, types::A, &address)]),
    };
    let (mut body, mut ttl_places) = (Vec::new(), Vec::new());
    for record in records {
        let at = record.windows(TTL.len()).position(|bytes| bytes == TTL).unwrap_or_default();
        ttl_places.push(u16::try_from(body.len() + at).unwrap_or_default());
        body.extend(record);
    }
    KeptAnswer { rcode, counts, body, ttl_places, ttl_seconds: 300, ..KeptAnswer::default() }
}

/// Measures one size of zone.
fn measure(names: u64, figures: &mut Vec<Figure>) -> Result<(), Box<dyn Error>> {
    let (snapshot, build_time) = zone::timed_snapshot(names)?;
    let bytes = snapshot.memory_bytes() as f64;
    let hits = zone::frames(FRAMES, names, true);
    let misses = zone::frames(FRAMES, names, false);
    let mut limited = Bench::new(snapshot.clone(), Some(limits()), None, None);
    let mut bench = Bench::new(snapshot, None, None, None);
    let mut wrong = 0;
    bench.round(&hits, true, |index, reply| {
        wrong += usize::from(reply[42 + 7] != 1 || !reply.ends_with(&expected(&hits[index])));
    });
    bench.round(&misses, true, |_, reply| wrong += usize::from(reply[42 + 3] & 0xf != 3));
    let mut with_options = Vec::new();
    for (kind, answer_bytes) in [("edns", 16 + 11), ("cookie", 16 + 11 + 28), ("known-cookie", 16 + 11 + 28)] {
        let frames = bench.frames(FRAMES, names, kind)?;
        bench.round(&frames, true, |index, reply| {
            let question_end = hits[index].len();
            let address = &reply[question_end + 12..question_end + 16];
            wrong += usize::from(address != expected(&hits[index]) || reply.len() != question_end + answer_bytes);
        });
        with_options.push((kind, frames));
    }
    if bench.counters.cookies_valid.get() != FRAMES as u64 {
        return Err("known cookies are not taken".into());
    }
    if wrong > 0 {
        return Err(format!("{wrong} wrong answers").into());
    }
    let conditions = format!("{names} names, {FRAMES} frames, bursts of {BURST}");
    let mut add = |name: &str, value: f64, unit: &'static str| {
        figures.push(Figure { name: name.to_owned(), value, unit, conditions: conditions.clone() });
    };
    add("frame copy alone", bench.nanoseconds(&hits, false), "ns/frame");
    add("hit", bench.nanoseconds(&hits, true), "ns/query");
    for (kind, frames) in &with_options {
        add(&format!("hit, {kind}"), bench.nanoseconds(frames, true), "ns/query");
    }
    add("NXDOMAIN", bench.nanoseconds(&misses, true), "ns/query");
    bench.counters = Counters::with_names(NAMES_COUNTED);
    add("hit, names counted", bench.nanoseconds(&hits, true), "ns/query");
    if bench.counters.names().is_none_or(|tally| tally.names().map(|count| count.queries).sum::<u64>() == 0) {
        return Err("names are not counted".into());
    }
    bench.counters = Counters::default().with_census(true);
    add("hit, messages counted", bench.nanoseconds(&hits, true), "ns/query");
    add("hit, clients limited", limited.nanoseconds(&hits, true), "ns/query");
    add("NXDOMAIN, clients limited", limited.nanoseconds(&misses, true), "ns/query");
    if limited.counters.reason(Reason::RateLimited) + limited.counters.reason(Reason::PacketLimited) > 0 {
        return Err("the one client was limited: its rates are too low for this machine".into());
    }
    add("records compiled", (names as f64) / build_time.as_secs_f64(), "records/s");
    add("memory", bytes / names as f64, "bytes/name");
    Ok(())
}

/// Names that are counted, where they are: the default of servers that count them.
const NAMES_COUNTED: usize = 100_000;

/// A frame with the tag of [`VLAN`].
fn tagged(frame: &[u8]) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    [addresses, &[0x81, 0], &VLAN.to_be_bytes(), rest].concat()
}

/// Limits of both kinds that the one client of the bench does not reach.
fn limits() -> RateLimit {
    let most = 100_000_000;
    RateLimit {
        responses_per_second: most,
        nxdomains_per_second: most,
        packets_per_second: most,
        ..RateLimit::default()
    }
}

/// The address that a frame asks for, read from its name.
fn expected(frame: &[u8]) -> [u8; 4] {
    let digits = std::str::from_utf8(&frame[42 + 12 + 2..42 + 12 + 12]).unwrap_or("0");
    zone::address(digits.parse().unwrap_or(u64::MAX))
}
