//! Zones and questions of nasty shape.

use std::collections::BTreeSet;
use std::fmt;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::model::{A, AAAA, ANY, CNAME, DNAME, DS, MX, NS, Name, Rdata, SOA, SRV, TXT, lowered, wire_bytes};

/// A label of the largest length.
const LONG: &[u8] = &[b'l'; 63];

/// Few labels, so that names often meet: wildcards, letters of both cases, bytes that no text has.
const LABELS: &[&[u8]] =
    &[b"a", b"a", b"b", b"B", b"c", b"*", b"*", b"sub", b"Sub", b"\xff\0.", b"\x01a", b"a.sub", LONG];

/// The apexes that zones may have, in the order of writing: nested in each other, beside each other, and the root.
const APEXES: &[&[&[u8]]] = &[
    &[b"example"],
    &[b"sub", b"example"],
    &[b"A", b"sub", b"example"],
    &[b"a", b"b", b"sub", b"example"],
    &[b"*", b"example"],
    &[b"\xff\0.", b"example"],
    &[b"other"],
    &[LONG, b"other"],
    &[],
];

/// Types that are asked for.
const TYPES: &[u16] = &[A, A, A, AAAA, NS, CNAME, SOA, MX, TXT, SRV, DNAME, DS, DS, ANY, 65280];

/// A name in the order of writing, before it is known to which zone it belongs.
pub type Labels = Vec<Vec<u8>>;

/// An RRset to be put into a zone.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Chooses the zone.
    pub zone: Index,
    /// Labels of the owner below the apex.
    pub owner: Labels,
    /// The type.
    pub rtype: u16,
    /// The TTL.
    pub ttl: u32,
    /// How many records, where the type may have several.
    pub records: u8,
    /// What the records point to: a zone, and labels below its apex.
    pub targets: Vec<(Index, Labels)>,
}

/// Zones with their records, and what is asked.
#[derive(Clone)]
pub struct Plan {
    /// Apexes.
    pub apexes: Vec<Labels>,
    /// Records.
    pub rrsets: Vec<Planned>,
    /// The questions.
    pub questions: Vec<Asked>,
}

/// A question that is made from what the zones have.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Chooses among owners and targets.
    pub base: Index,
    /// Labels that are taken off on the left, as long as there are any.
    pub above: usize,
    /// Labels that are added on the left, as long as the name stays one.
    pub below: Labels,
    /// The type.
    pub qtype: u16,
    /// Which letters are written in upper case.
    pub case: u64,
    /// The UDP size of EDNS; without: no OPT record.
    pub edns_bytes: Option<u16>,
    /// Over IPv6.
    pub is_ipv6: bool,
}

/// Labels of a name.
fn labels(most: usize) -> impl Strategy<Value = Labels> {
    let short = prop::collection::vec(select(LABELS).prop_map(<[u8]>::to_vec), 0..most);
    // Names close to the longest: three labels of 63 bytes, and one that fills what is left, or a byte more or less.
    let long = (0..64usize, prop::collection::vec(select(LABELS).prop_map(<[u8]>::to_vec), 0..2)).prop_map(
        |(rest, mut left)| {
            left.push(vec![b'r'; rest.max(1)]);
            left.extend([LONG.to_vec(), LONG.to_vec(), LONG.to_vec()]);
            left
        },
    );
    prop_oneof![12 => short, 1 => long]
}

/// An RRset.
fn planned() -> impl Strategy<Value = Planned> {
    let rtype = prop_oneof![
        6 => Just(A),
        2 => Just(AAAA),
        4 => Just(NS),
        6 => Just(CNAME),
        4 => Just(DNAME),
        2 => Just(MX),
        2 => Just(TXT),
        1 => Just(SRV),
        1 => Just(DS),
        1 => Just(65280),
    ];
    let records = prop_oneof![6 => 1..4u8, 1 => 4..60u8];
    let targets = prop::collection::vec((any::<Index>(), labels(4)), 1..5);
    (any::<Index>(), labels(5), rtype, 0..100_000u32, records, targets)
        .prop_map(|(zone, owner, rtype, ttl, records, targets)| Planned { zone, owner, rtype, ttl, records, targets })
}

/// A question.
fn asked() -> impl Strategy<Value = Asked> {
    let edns = prop::option::of(select(vec![0, 512, 700, 1232, 4096, 65535]));
    let parts = (any::<Index>(), 0..3usize, labels(3), select(TYPES), any::<u64>(), edns, any::<bool>());
    parts.prop_map(|(base, above, below, qtype, case, edns_bytes, is_ipv6)| Asked {
        base,
        // Half of the names are asked as they are, or with labels on the left alone.
        above: above.saturating_sub(1),
        below: if case % 2 == 0 { Labels::new() } else { below },
        qtype,
        case: case.rotate_left(17) & case,
        edns_bytes,
        is_ipv6,
    })
}

/// Everything.
pub fn plan() -> impl Strategy<Value = Plan> {
    let apexes = prop::sample::subsequence(APEXES, 1..=APEXES.len());
    let rrsets = prop::collection::vec(planned(), 1..60);
    let questions = prop::collection::vec(asked(), 64);
    (apexes, rrsets, questions).prop_map(|(apexes, rrsets, questions)| Plan {
        apexes: apexes.into_iter().map(|apex| apex.iter().map(|label| label.to_vec()).collect()).collect(),
        rrsets,
        questions,
    })
}

impl fmt::Debug for Plan {
    /// The failure itself shows the zones, in fewer lines.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { apexes, rrsets, questions } = self;
        write!(formatter, "{} zones, {} RRsets, {} questions", apexes.len(), rrsets.len(), questions.len())
    }
}

impl Plan {
    /// The labels of a name below an apex; nothing where it is too long.
    pub fn name(&self, zone: Index, below: &Labels) -> Option<Labels> {
        let mut name = below.clone();
        name.extend_from_slice(&self.apexes[zone.index(self.apexes.len())]);
        (wire_bytes(&name) <= 255).then_some(name)
    }

    /// The records of an RRset; none where a target is too long.
    pub fn rdatas(&self, planned: &Planned) -> Option<BTreeSet<Rdata>> {
        let targets: Vec<Name> = planned
            .targets
            .iter()
            .map(|(zone, below)| self.name(*zone, below).map(|name| lowered(&name)))
            .collect::<Option<_>>()?;
        let numbers = 0..planned.records;
        let rdatas = match planned.rtype {
            A => numbers.map(|last| Rdata::opaque(&[198, 51, 100, last])).collect(),
            AAAA => numbers
                .map(|last| Rdata::opaque(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]))
                .collect(),
            TXT => numbers.map(|text| Rdata::opaque(&[3, b't', b'x', text])).collect(),
            DS => [Rdata::opaque(&[0, 1, 8, 2, planned.records])].into(),
            65280 => numbers.map(|byte| Rdata::opaque(&[0xc0, 0x0c, byte])).collect(),
            CNAME | DNAME => targets.into_iter().take(1).map(|name| Rdata::target(&[], name)).collect(),
            NS => targets.into_iter().map(|name| Rdata::target(&[], name)).collect(),
            MX => targets.into_iter().map(|name| Rdata::target(&[0, 10], name)).collect(),
            _ => targets.into_iter().map(|name| Rdata::target(&[0, 1, 0, 2, 0, 53], name)).collect(),
        };
        Some(rdatas)
    }
}

/// The SOA record of a zone.
pub fn soa(apex: &Name, minimum: u32) -> Rdata {
    let mut host = apex.clone();
    host.push(b"h".to_vec());
    let numbers: Vec<u8> = [1, 2, 3, 4, minimum].iter().flat_map(|number: &u32| number.to_be_bytes()).collect();
    Rdata { prefix: Vec::new(), names: vec![apex.clone(), host], suffix: numbers }
}
