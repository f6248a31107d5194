//! What upstreams say, on its way into the cache.

use ringdns_engine::cache::{CACHE_BYTES_MIN, CacheDesk, CacheKey, EntryBits};
use ringdns_engine::name::WireName;
use ringdns_engine::recall::{KeptAnswer, name_hash};
use ringdns_engine::snapshot::Snapshot;
use ringdns_forward::normalise::{Gather, Message, Terms, expand};
use ringdns_forward::upstream::testing::{ID, Rules, aged, is_answer, question};

/// Where the question's name stands in a message.
const QNAME_AT: usize = 12;

/// Any bytes as what an upstream says. The first byte says by which rules it is taken, and whether id and question are made right
/// before: nothing else would come far. What is taken is written, read again and kept.
pub fn reply(input: &[u8]) {
    let Some((&mode, rest)) = input.split_first() else { return };
    let is = |bit: u8| mode & bit != 0;
    let name: WireName = "www.some.example.".parse().unwrap();
    let message = match rest.split_at_checked(10) {
        Some((header, records)) if is(8) => [&ID.to_be_bytes(), header, &question(&name), records].concat(),
        _ => rest.to_vec(),
    };
    let rules = Rules { over_udp: is(1), case_matters: is(2), needs_cookie: is(4) };
    let is_taken = is_answer(&name, &message, rules);
    let older = aged(&message, u32::from(mode) << 4);
    assert_eq!(older.len(), message.len());
    assert_eq!(is_answer(&name, &older, rules), is_taken, "an age changes TTLs and nothing else");
    let Ok(message) = Message::read(&message) else { return };
    let bits = EntryBits::DNSSEC_OK.when(is(16));
    let terms = Terms {
        now_seconds: 1000,
        bits,
        positive_ttl: if is(32) { (5, 300) } else { (0, u32::MAX) },
        negative_ttl: if is(64) { (0, 0) } else { (0, u32::MAX) },
        keeps_ttl: is(128),
        stale_seconds: 60,
        is_kept: true,
    };
    if let Some(kept) = gathered(&message, &terms) {
        check(&message, &kept, &terms);
    }
}

/// What is kept of a message; nothing where it is not believed, or is too large.
fn gathered(message: &Message, terms: &Terms) -> Option<KeptAnswer> {
    let mut gather = Gather::new(&message.qname, message.qtype, terms.bits.has(EntryBits::DNSSEC_OK));
    // Of names of one label others are asked.
    gather.take(message, true, |name| name.label_count() == 1).ok()?;
    gather.render(terms).ok()
}

/// Checks what is kept of a message: it is read as it was written, and taken by the cache.
fn check(message: &Message, kept: &KeptAnswer, terms: &Terms) {
    let (qname, qtype) = (&message.qname, message.qtype);
    let again = expand(qname, qtype, kept).unwrap();
    assert_eq!([again.answers.len(), again.authorities.len()], kept.counts.map(usize::from), "every record is read");
    let ttls = again.answers.iter().chain(&again.authorities).map(|record| record.ttl);
    assert!(kept.ttl_seconds == 0 || ttls.clone().all(|ttl| ttl >= kept.ttl_seconds), "it is kept too long");
    if !terms.keeps_ttl {
        let places = kept.ttl_places.iter().map(|place| {
            let bytes = kept.body[usize::from(*place)..].first_chunk().unwrap();
            u32::from_be_bytes(*bytes)
        });
        assert!(places.eq(ttls), "a TTL stands elsewhere");
    }
    for place in &kept.pointer_places {
        let pointer = kept.body[usize::from(*place)..].first_chunk().map(|bytes| u16::from_be_bytes(*bytes)).unwrap();
        let to = usize::from(pointer & 0x3fff);
        assert!(pointer >= 0xc000 && (QNAME_AT..QNAME_AT + qname.as_bytes().len()).contains(&to), "{pointer:x}");
    }
    if !kept.bits.has(EntryBits::TRUNCATED) {
        assert_eq!(gathered(&again, terms).as_ref(), Some(kept), "what is kept says what was said");
    }
    put(qname, qtype, kept);
}

/// Puts it into a cache, where there is room for it.
fn put(qname: &WireName, qtype: u16, kept: &KeptAnswer) {
    thread_local! {
        /// Made once: its memory takes longer than an answer.
        static DESK: std::cell::RefCell<CacheDesk> = std::cell::RefCell::new(CacheDesk::new(CACHE_BYTES_MIN));
    }
    let snapshot = Snapshot::empty();
    let key = CacheKey { name_hash: name_hash(&snapshot, qname), name: qname.as_bytes(), qtype, bits: kept.bits };
    DESK.with_borrow_mut(|desk| {
        if desk.insert(&key, &kept.as_cached()).is_ok() {
            assert_eq!(desk.shelf().read(&key).as_ref(), Some(kept));
        }
    });
}
