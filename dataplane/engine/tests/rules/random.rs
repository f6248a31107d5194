//! Rules, records and questions by chance, compared with the reference. `RULES_WORLDS` says how many sets of zones are tried.

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::op::Message;
use ringdns_engine::rtype::types::{A, AAAA, ANY, CNAME, NS, SOA, TXT};
use ringdns_engine::rules::{PodRule, Rules, Search};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::Editor;

use super::common::{add_zone, name, text as lines};
use super::reference::{Expected, Name, World, Zone, labels, mnemonic, text};
use super::ways::Ways;

/// Questions to one set of zones.
const QUESTIONS: u32 = 60;

/// Labels of names: few, so that they meet.
const LABELS: [&str; 16] = [
    "a",
    "b",
    "one",
    "two",
    "svc",
    "pod",
    "tcp",
    "_tcp",
    "http",
    "_http",
    "1-2-3-4",
    "fd--1",
    "1-2-3-400",
    "example",
    "net",
    "*",
];

/// Zones that may be served beside the cluster's.
const OTHERS: [&str; 5] = ["example.net.", "local.", "net.", "a.one.svc.cluster.local.", "pod.cluster.local."];

/// A generator of numbers, the same for each seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// Some labels.
    fn labels(&mut self, most: usize) -> Name {
        (0..self.below(most + 1)).map(|_| self.of(&LABELS).to_owned()).collect()
    }

    /// A name of a zone: often where a cluster has its services and Pods.
    fn owner(&mut self, apex: &[String]) -> Name {
        let branch = self.of(&["", "one.svc", "two.svc", "one.pod", "a.one.svc", "tcp.a.one.svc", "_tcp.a.one.svc"]);
        [self.labels(2), labels(branch), apex.to_vec()].concat()
    }
}

/// Rules, each of them or not.
fn rules(dice: &mut Dice) -> Rules {
    let pods = PodRule { ttl: 7, bad_pod_nodata: dice.one_in(4), any_namespace: dice.one_in(4) };
    let hosts = ["net.", "unserved.example.", "one.svc.cluster.local.", "."];
    let host_suffixes = (0..dice.below(3)).map(|_| name(dice.of(&hosts))).collect();
    let search = Search { host_suffixes, cname: dice.one_in(2) };
    Rules {
        empty_depth_max: if dice.one_in(2) { u8::try_from(dice.below(4)).ok() } else { None },
        soa_below_apex: dice.one_in(2),
        pods: dice.one_in(2).then_some(pods),
        deep_pods: dice.one_in(2),
        bare_ports: dice.one_in(2),
        fallthrough: dice.one_in(4),
        no_dangling_cname: dice.one_in(2),
        cname_for_addresses_only: dice.one_in(2),
        whole_names: dice.one_in(2),
        zone_case: dice.one_in(2),
        search: dice.one_in(2).then_some(search),
        ..Rules::default()
    }
}

/// A zone by chance.
fn zone(dice: &mut Dice, apex: &str) -> Zone {
    let apex = labels(apex);
    let mut records: BTreeMap<Name, BTreeMap<u16, Vec<String>>> = BTreeMap::new();
    for _ in 0..dice.below(14) {
        let owner = dice.owner(&apex);
        let rtype = *dice.of(&[&A, &A, &AAAA, &TXT, &CNAME, &CNAME, &NS]);
        // Aliases and cuts stand alone, and seldom.
        let is_taken = records.get(&owner).is_some_and(|others| {
            others.contains_key(&CNAME)
                || others.contains_key(&NS)
                || matches!(rtype, CNAME | NS)
                || others.contains_key(&rtype)
        });
        if is_taken || owner == apex || (rtype == NS && !dice.one_in(3)) {
            continue;
        }
        let rdata = match rtype {
            A => format!("192.0.2.{}", dice.below(200)),
            AAAA => format!("2001:db8::{:x}", 1 + dice.below(0xffff)),
            TXT => "text".to_owned(),
            _ => text(&target(dice)),
        };
        records.entry(owner).or_default().insert(rtype, vec![rdata]);
    }
    let names: BTreeSet<Name> = (0..dice.below(4)).map(|_| dice.owner(&apex)).collect();
    // Names out of the zone take more bytes where the answer is ready.
    let soa = format!("ns.{0} host.{0} 1 2 3 4 5", text(&apex));
    records.entry(apex.clone()).or_default().insert(SOA, vec![soa]);
    Zone { rules: if dice.one_in(3) { Rules::default() } else { rules(dice) }, apex, records, names }
}

/// What an alias leads to.
fn target(dice: &mut Dice) -> Name {
    let apex = dice.of(&["cluster.local.", "cluster.local.", "example.net.", "unserved.example."]);
    dice.owner(&labels(apex))
}

/// Zones by chance.
fn world(dice: &mut Dice) -> World {
    let mut zones = vec![zone(dice, "cluster.local.")];
    for other in OTHERS {
        if dice.one_in(3) {
            zones.push(zone(dice, other));
        }
    }
    World { zones, complete: !dice.one_in(5), hides_aaaa: dice.one_in(4) }
}

/// What the engine serves of it.
fn snapshot(world: &World) -> Snapshot {
    let mut editor = Editor::new(&Snapshot::empty());
    for zone in &world.zones {
        let apex = text(&zone.apex);
        let mut records = String::new();
        for (owner, rrsets) in &zone.records {
            for (rtype, rdatas) in rrsets {
                rdatas.iter().for_each(|rdata| records += &format!("{} {} {rdata}\n", text(owner), mnemonic(*rtype)));
            }
        }
        add_zone(&mut editor, &apex, &records);
        for owner in &zone.names {
            editor.add_name(&name(&apex), &name(&text(owner))).unwrap();
        }
        editor.set_rules(&name(&apex), &zone.rules).unwrap();
    }
    editor.set_complete(world.complete);
    editor.commit()
}

/// What an answer says.
fn told(reply: &Message) -> Expected {
    let codes = ["NoError", "NXDomain", "ServFail", "Refused"];
    let rcode = format!("{:?}", reply.metadata.response_code);
    let soa = reply.authorities.iter().find(|record| u16::from(record.record_type()) == SOA);
    let mut answer: Vec<String> = lines(&reply.answers).iter().map(|line| line.to_lowercase()).collect();
    answer.sort();
    Expected {
        rcode: codes.into_iter().find(|code| *code == rcode).unwrap_or("another"),
        aa: reply.metadata.authoritative,
        answer,
        soa: soa.map(|record| record.name.to_string().to_lowercase()),
    }
}

#[test]
fn every_answer_is_the_references() {
    let worlds: u64 = std::env::var("RULES_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    for seed in 0..if cfg!(miri) { 1 } else { worlds } {
        let mut dice = Dice(seed);
        let world = world(&mut dice);
        let mut ways = Ways::new(snapshot(&world), world.hides_aaaa);
        for number in 0..QUESTIONS {
            let base = target(&mut dice);
            let stored: Vec<&Name> = world.zones.iter().flat_map(|zone| zone.records.keys()).collect();
            let base = if dice.one_in(2) { base } else { dice.of(&stored).clone() };
            let searched = if dice.one_in(3) { labels("one.svc.cluster.local.") } else { Vec::new() };
            let qname = [dice.labels(2), base, searched].concat();
            let qtype = *dice.of(&[&A, &A, &AAAA, &AAAA, &TXT, &CNAME, &SOA, &ANY, &13]);
            let written = if dice.one_in(4) { text(&qname).to_uppercase() } else { text(&qname) };
            let mut expected = world.answer(&qname, qtype);
            expected.answer = expected.answer.iter().map(|line| line.to_lowercase()).collect();
            expected.answer.sort();
            let found = told(&ways.ask(&written, qtype));
            assert_eq!(found, expected, "world {seed}, question {number}: {written} TYPE{qtype}");
        }
    }
}
