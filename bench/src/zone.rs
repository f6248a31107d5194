//! Zones of any size with names that differ early and late, and the frames that ask for them.

use std::time::{Duration, Instant};

use ringdns_engine::name::WireName;
use ringdns_engine::rtype::types;
use ringdns_engine::rules::{PodRule, Rules, Search};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{EditError, Editor, RrsetSpec};
use ringdns_engine::testing::{UdpFrame, query, query_options};

/// The zone of all benches.
pub const APEX: &str = "bench.example.";

/// Names of one commit while a zone is built: what is in editing takes more memory than it does when it is stored.
const COMMIT_NAMES: u64 = 1_000_000;

/// Names that are made before they are put; commits come between such batches.
const BATCH_NAMES: usize = 10_000;

/// A name of the zone: 25 bytes of text without the last dot.
pub fn owner(number: u64) -> String {
    format!("h{number:010}.{APEX}")
}

/// A name of others that nobody has asked for yet.
pub fn foreign(number: u64) -> String {
    format!("x{:010}.storm.example.", number % 10_000_000_000)
}

/// The address of a name.
pub fn address(number: u64) -> [u8; 4] {
    let [.., a, b, c] = number.to_be_bytes();
    [10, a, b, c]
}

/// The text of a zone file with `names` names of one A record each.
pub fn text(names: u64) -> String {
    let mut text = format!("$ORIGIN {APEX}\n$TTL 300\n@ 3600 IN SOA ns ns 1 3600 900 604800 60\n@ 3600 IN NS ns\n");
    // An address outside of those of the names.
    text.push_str("ns IN A 10.255.255.255\n");
    for number in 0..names {
        let [a, b, c, d] = address(number);
        text.push_str(&format!("h{number:010} A {a}.{b}.{c}.{d}\n"));
    }
    text
}

/// A snapshot with `names` names of one A record each.
///
/// # Errors
/// None for the names made here.
pub fn snapshot(names: u64) -> Result<Snapshot, EditError> {
    timed_snapshot(names).map(|(snapshot, _)| snapshot)
}

/// The same, and the time that it took from names and rdata in wire form to the snapshot: what there is to put is made
/// beforehand, some names at a time.
///
/// # Errors
/// None for the names made here.
pub fn timed_snapshot(names: u64) -> Result<(Snapshot, Duration), EditError> {
    let apex: WireName = APEX.parse().map_err(|_| EditError::NoZone)?;
    let mut editor = Editor::new(&Snapshot::empty());
    editor.add_zone(&apex);
    let soa = b"\x02ns\x05bench\x07example\0\x02ns\x05bench\x07example\0\0\0\0\x01\0\0\x0e\x10\0\0\x03\x84\0\x09\x3a\x80\0\0\0\x3c";
    let soa = RrsetSpec { rtype: types::SOA, ttl: 3600, rdatas: vec![soa.to_vec()], ..RrsetSpec::default() };
    editor.put_rrset(&apex, &apex, &soa)?;
    let mut time = Duration::ZERO;
    for first in (0..names).step_by(BATCH_NAMES) {
        let numbers = first..names.min(first + BATCH_NAMES as u64);
        let batch: Vec<(WireName, RrsetSpec)> = numbers.clone().map(entry).collect::<Result<_, _>>()?;
        let start = Instant::now();
        for (owner, rrset) in &batch {
            editor.put_rrset(&apex, owner, rrset)?;
        }
        if numbers.end.is_multiple_of(COMMIT_NAMES) {
            editor = Editor::new(&editor.commit());
        }
        time += start.elapsed();
    }
    let start = Instant::now();
    editor.set_complete(true);
    let snapshot = editor.commit();
    Ok((snapshot, time + start.elapsed()))
}

/// A name of the zone and what it has.
fn entry(number: u64) -> Result<(WireName, RrsetSpec), EditError> {
    let owner = owner(number).parse().map_err(|_| EditError::OutOfZone)?;
    let rdatas = vec![address(number).to_vec()];
    Ok((owner, RrsetSpec { rtype: types::A, ttl: 300, rdatas, ..RrsetSpec::default() }))
}

/// A generator of well-spread numbers (SplitMix64), the same in every run.
#[derive(Clone, Debug)]
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Frames that ask for random names of a zone: those that exist, or names below the apex that do not.
pub fn frames(count: usize, names: u64, hits: bool) -> Vec<Vec<u8>> {
    frames_of(count, names, hits, |qname| query(qname, types::A))
}

/// Frames that ask for random names that exist, with options in an OPT record: their numbers and data.
pub fn frames_with_options(count: usize, names: u64, options: &[(u16, &[u8])]) -> Vec<Vec<u8>> {
    frames_of(count, names, true, |qname| query_options(qname, types::A, 1232, options))
}

/// Frames that ask for names that are made of random numbers.
pub fn frames_named(count: usize, qname: impl Fn(u64) -> String) -> Vec<Vec<u8>> {
    let (mut numbers, path) = (Numbers(7), UdpFrame::ipv4());
    (0..count).map(|_| path.build(&query(&qname(numbers.draw()), types::A))).collect()
}

/// The same zone with the rules that a cluster's has, and a namespace `ns`; with a search path or without.
///
/// # Errors
/// None for the zones made here.
pub fn with_rules(snapshot: &Snapshot, searches: bool) -> Result<Snapshot, EditError> {
    let apex: WireName = APEX.parse().map_err(|_| EditError::NoZone)?;
    let mut editor = Editor::new(snapshot);
    for branch in ["svc", "pod"] {
        editor.add_name(&apex, &format!("ns.{branch}.{APEX}").parse().map_err(|_| EditError::OutOfZone)?)?;
    }
    let rules = Rules {
        empty_depth_max: Some(2),
        soa_below_apex: true,
        pods: Some(PodRule { ttl: 5, ..PodRule::default() }),
        deep_pods: true,
        bare_ports: true,
        no_dangling_cname: true,
        cname_for_addresses_only: true,
        whole_names: true,
        zone_case: true,
        search: searches.then(Search::default),
        ..Rules::default()
    };
    editor.set_rules(&apex, &rules)?;
    Ok(editor.commit())
}

/// Frames with the message for each name.
pub fn frames_of(count: usize, names: u64, hits: bool, message: impl Fn(&str) -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut numbers = Numbers(7);
    let path = UdpFrame::ipv4();
    (0..count)
        .map(|_| {
            let number = numbers.draw();
            let qname = if hits { owner(number % names) } else { format!("x{:010}.{APEX}", number % 1_000_000_000) };
            path.build(&message(&qname))
        })
        .collect()
}
