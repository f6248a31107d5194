//! What others have said of some names, as a cache has it.

use std::sync::Arc;

use ringdns_engine::cache::{CACHE_BYTES_MIN, CacheDesk, CacheKey, CachedAnswer, EntryBits};
use ringdns_engine::name::WireName;
use ringdns_engine::recall::{RecallConfig, name_hash};
use ringdns_engine::snapshot::Snapshot;

/// Names of others, and of a zone that leaves names to them.
const NAMES: [&str; 6] = ["www.test.", "a.b.test.", "test.", "ns.x.arpa.", "deep.ring.example.", "."];

/// A pointer to the question's name.
const QNAME: [u8; 2] = [0xc0, 12];

/// What is answered for names of others beside a snapshot: an alias and an address, many addresses, nothing, a failure.
pub fn recall(snapshot: &Snapshot) -> RecallConfig {
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    for name in NAMES {
        let name: WireName = name.parse().unwrap();
        for qtype in [1, 16, 28, 255] {
            for bits in [EntryBits::default(), EntryBits::DNSSEC_OK] {
                let key = CacheKey { name_hash: name_hash(snapshot, &name), name: name.as_bytes(), qtype, bits };
                put(&mut desk, &key);
            }
        }
    }
    let shelf = Arc::clone(desk.shelf());
    RecallConfig { shelf, authoritative: false, stale_ttl_seconds: None, clients: None, is_handover: false }
}

/// Puts in an answer whose shape goes by the type.
fn put(desk: &mut CacheDesk, key: &CacheKey<'_>) {
    let (mut body, mut ttl_places, mut pointer_places) = (Vec::new(), Vec::new(), Vec::new());
    let mut record = |rtype: u8, rdata: &[u8]| {
        pointer_places.push(u16::try_from(body.len()).unwrap());
        body.extend_from_slice(&[&QNAME[..], &[0, rtype, 0, 1]].concat());
        ttl_places.push(u16::try_from(body.len()).unwrap());
        body.extend_from_slice(&[&[0, 0, 1, 0][..], &[0, u8::try_from(rdata.len()).unwrap()], rdata].concat());
    };
    let (rcode, counts) = match key.qtype {
        1 => {
            record(5, b"\x04edge\0");
            (0, [1, 0])
        }
        16 => {
            (0..60).for_each(|number| record(16, &[3, number, 0, 255]));
            (0, [60, 0])
        }
        28 => {
            record(6, &[&[0, 0][..], &[0; 20]].concat());
            (3, [0, 1])
        }
        _ => (2, [0, 0]),
    };
    let answer = CachedAnswer {
        bits: key.bits,
        rcode,
        counts,
        body: &body,
        ttl_places: &ttl_places,
        pointer_places: &pointer_places,
        fetched_seconds: 0,
        ttl_seconds: u32::MAX,
        stale_seconds: 0,
    };
    desk.insert(key, &answer).unwrap();
}
