//! From messages to answers: what belongs is kept as others decode it, and nothing else; no bytes do any harm.

use hickory_proto::op::Message as Decoded;
use hickory_proto::rr::Record;
use proptest::prelude::*;
use ringdns_engine::cache::{CACHE_BYTES_MIN, CacheDesk, CacheKey, EntryBits};
use ringdns_engine::recall::{KeptAnswer, name_hash};
use ringdns_engine::snapshot::Snapshot;
use ringdns_forward::normalise::{Gather, Message, Outlook, Step, Terms, Untrue};

use crate::common::{A, Asked, decoded, message, name, soa};

/// By which rules nothing is changed.
const TERMS: Terms = Terms {
    now_seconds: 1000,
    bits: EntryBits::DNSSEC_OK,
    positive_ttl: (0, u32::MAX),
    negative_ttl: (0, u32::MAX),
    keeps_ttl: false,
    stale_seconds: 0,
    is_kept: true,
};

fn asked(qname: &str, qtype: u16) -> Asked {
    Asked { name: name(qname), qtype, dnssec_ok: false, checking_disabled: false, client_subnet: None }
}

/// What a message comes to for its own question.
fn gather(qname: &str, qtype: u16, dnssec: bool, bytes: &[u8]) -> Result<(Step, Gather), Untrue> {
    let message = Message::read(bytes)?;
    let mut gather = Gather::new(&name(qname), qtype, dnssec);
    let step = gather.take(&message, true, |_| false)?;
    Ok((step, gather))
}

/// The same as it is kept.
fn kept(qname: &str, qtype: u16, dnssec: bool, bytes: &[u8]) -> KeptAnswer {
    gather(qname, qtype, dnssec, bytes).unwrap().1.render(&TERMS).unwrap()
}

/// Owner in lower case, and the rest of a record.
fn texts(records: &[Record]) -> Vec<String> {
    let text = |record: &Record| {
        format!("{} {} {}", record.name.to_string().to_lowercase(), record.record_type(), record.data).to_lowercase()
    };
    records.iter().map(text).collect()
}

#[test]
fn records_that_do_not_belong_are_dropped() {
    let answers = "x.test. 9 IN A 203.0.113.1\nwww.test. 60 IN CNAME a.cdn.example.\nwww.test. 60 IN A 203.0.113.2
        a.cdn.example. 50 IN A 192.0.2.1\nb.cdn.example. 5 IN A 203.0.113.3\na.cdn.example. 50 IN TXT no";
    let bytes = message(&asked("www.test.", A), 0, answers, "cdn.example. 1 IN NS ns.cdn.example.");
    let (step, gathered) = gather("www.test.", A, false, &bytes).unwrap();
    assert_eq!((step, gathered.dropped()), (Step::Whole, 6), "an address of the question's name comes before an alias");
    let answers = answers.replace("www.test. 60 IN A 203.0.113.2\n", "");
    let bytes = message(&asked("www.test.", A), 0, &answers, "cdn.example. 1 IN NS ns.cdn.example.");
    let (step, gathered) = gather("WWW.test.", A, false, &bytes).unwrap();
    assert_eq!((step, gathered.dropped(), gathered.outlook()), (Step::Whole, 4, Outlook::Positive));
    let kept = gathered.render(&TERMS).unwrap();
    let decoded = decoded("www.test.", A, &kept);
    assert_eq!(texts(&decoded.answers), ["www.test. cname a.cdn.example.", "a.cdn.example. a 192.0.2.1"]);
    assert!(decoded.authorities.is_empty());
    assert_eq!((kept.ttl_seconds, kept.pointer_places.len(), kept.ttl_places.len()), (50, 1, 2));
}

#[test]
fn denials_are_those_of_a_zone_that_the_name_is_in() {
    for (rcode, authorities, expected) in [
        (3, soa("test.", 60, 30), Outlook::Negative),
        (0, soa("www.test.", 60, 30), Outlook::Negative),
        (3, soa("a.www.test.", 60, 30), Outlook::Unproven),
        (3, soa("est.", 60, 30), Outlook::Unproven),
        (0, soa("other.", 60, 30), Outlook::Unproven),
        (3, String::new(), Outlook::Unproven),
    ] {
        let bytes = message(&asked("www.test.", A), rcode, "", &authorities);
        let (_, gathered) = gather("www.test.", A, false, &bytes).unwrap();
        assert_eq!(gathered.outlook(), expected, "{authorities}");
        let kept = gathered.render(&TERMS).unwrap();
        let is_proven = expected == Outlook::Negative;
        assert_eq!((kept.rcode, kept.ttl_seconds), (rcode, if is_proven { 30 } else { 0 }));
        assert_eq!(kept.counts, [0, u16::from(is_proven)]);
    }
    let referral = message(&asked("www.test.", A), 0, "", "test. 60 IN NS ns.test.");
    assert_eq!(gather("www.test.", A, false, &referral).unwrap_err(), Untrue::Referral);
    let lie = message(&asked("www.test.", A), 3, "www.test. 60 IN A 192.0.2.1", "");
    assert_eq!(gather("www.test.", A, false, &lie).unwrap_err(), Untrue::Malformed);
}

#[test]
fn signatures_and_denials_are_for_those_who_want_them() {
    // Signatures and NSEC records as bytes: owner, type, rdata.
    let rrsig = |covers: u8, labels: u8| [&[0, covers, 13, labels][..], &[0; 14], b"\x04test\0", b"signature"].concat();
    let raw = |owner: &str, rtype: u16, rdata: &[u8]| {
        let (rtype, length) = (rtype.to_be_bytes(), u16::try_from(rdata.len()).unwrap().to_be_bytes());
        [name(owner).as_bytes(), &rtype, &[0, 1, 0, 0, 0, 60], &length, rdata].concat()
    };
    let question = [name("a.test.").as_bytes(), &[0, 1, 0, 1]].concat();
    let compose = |rcode: u8, answers: &[Vec<u8>], authorities: &[Vec<u8>]| {
        let counts = [1, answers.len(), authorities.len(), 0].map(|count| u16::try_from(count).unwrap().to_be_bytes());
        let header = [&[0, 7, 0x81, 0xa0 | rcode][..], counts.as_flattened()].concat();
        [header, question.clone(), answers.concat(), authorities.concat()].concat()
    };
    let address = raw("a.test.", 1, &[192, 0, 2, 1]);
    let nsec = raw("*.test.", 47, b"\x01b\x04test\0\0\x01\x40");
    let bytes = compose(
        0,
        &[address.clone(), raw("a.test.", 46, &rrsig(1, 1)), raw("a.test.", 46, &rrsig(28, 1))],
        &[nsec.clone(), raw("*.test.", 46, &rrsig(47, 2)), raw("x.other.", 47, b"\x01b\x04test\0\0\x01\x40")],
    );
    let plain = kept("a.test.", A, false, &bytes);
    assert_eq!((plain.counts, plain.bits.has(EntryBits::AUTHENTIC)), ([1, 0], true));
    assert_eq!(kept("a.test.", A, true, &bytes).counts, [2, 2], "RFC 4035 section 5.3.4: no closer name exists");
    let straight = compose(0, &[address, raw("a.test.", 46, &rrsig(1, 2))], std::slice::from_ref(&nsec));
    assert_eq!(kept("a.test.", A, true, &straight).counts, [2, 0]);
    let soa = raw("test.", 6, &[&[0, 0][..], &[0; 16], &[0, 0, 0, 30]].concat());
    let denial = compose(3, &[], &[nsec, soa, raw("test.", 46, &rrsig(6, 1)), raw("*.test.", 46, &rrsig(47, 2))]);
    assert_eq!(kept("a.test.", A, false, &denial).counts, [0, 1]);
    let signed = kept("a.test.", A, true, &denial);
    assert_eq!(signed.counts, [0, 4]);
    let ttls: Vec<u8> = signed.ttl_places.iter().map(|place| signed.body[usize::from(*place) + 3]).collect();
    assert_eq!(ttls[..2], [30, 30], "RFC 4034 section 3: a signature's TTL is that of what it covers");
}

#[test]
fn what_cannot_be_said_is_not_taken() {
    let good = message(&asked("www.test.", A), 0, "www.test. 60 IN A 192.0.2.1", "");
    assert!(Message::read(&good).is_ok());
    for length in 0..good.len() {
        assert!(Message::read(&good[..length]).is_err(), "{length} bytes");
    }
    let mut looped = good.clone();
    let owner = 12 + 10 + 4;
    looped[owner..owner + 2].copy_from_slice(&[0xc0, u8::try_from(owner).unwrap()]);
    assert_eq!(Message::read(&looped), Err(Untrue::Malformed), "a pointer to itself");
    let other = gather("other.test.", A, false, &good).unwrap_err();
    assert_eq!(other, Untrue::OtherQuestion);
}

#[test]
fn what_says_that_it_is_truncated_is_read_as_far_as_it_goes_and_not_kept() {
    let lines = "www.test. 60 IN CNAME a.test.\na.test. 60 IN A 192.0.2.1\na.test. 60 IN A 192.0.2.2";
    let mut whole = message(&asked("www.test.", A), 0, lines, "");
    (whole[2], whole[3]) = (whole[2] | 2, whole[3] | 0x20);
    let counts = [0, 16].map(|cut| {
        let kept = kept("www.test.", A, false, &whole[..whole.len() - cut]);
        assert!(kept.bits.has(EntryBits::TRUNCATED) && !kept.bits.has(EntryBits::AUTHENTIC));
        assert_eq!(kept.ttl_seconds, 0);
        kept.counts
    });
    assert_eq!(counts, [[3, 0], [2, 0]], "with the last record, and with a part of it");
}

#[test]
fn dname_records_stand_for_aliases() {
    let question = [name("a.b.old.test.").as_bytes(), &[0, 1, 0, 1]].concat();
    let rdata = name("new.example.");
    let length = u8::try_from(rdata.as_bytes().len()).unwrap();
    let dname = [name("old.test.").as_bytes(), &[0, 39, 0, 1, 0, 0, 0, 60, 0, length], rdata.as_bytes()].concat();
    let address = [name("a.b.new.example.").as_bytes(), &[0, 1, 0, 1, 0, 0, 0, 50, 0, 4, 192, 0, 2, 1]].concat();
    let header = [0, 7, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0];
    let bytes = [&header[..], &question, &dname, &address].concat();
    let kept = kept("a.b.old.test.", A, false, &bytes);
    assert_eq!((kept.counts, kept.ttl_seconds), ([3, 0], 50));
    let decoded = decoded("a.b.old.test.", A, &kept);
    assert_eq!(texts(&decoded.answers)[1..], ["a.b.old.test. cname a.b.new.example.", "a.b.new.example. a 192.0.2.1"]);
}

#[test]
fn answers_that_are_too_large_are_none() {
    let question = [name("www.test.").as_bytes(), &[0, 16, 0, 1]].concat();
    let record = |number: u16| {
        let text = [&[102][..], &number.to_be_bytes(), &[b'x'; 100]].concat();
        [&[0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 103][..], &text].concat()
    };
    let records: Vec<u8> = (0..560).flat_map(record).collect();
    let bytes = [&[0, 7, 0x81, 0x80, 0, 1, 2, 48, 0, 0, 0, 0][..], &question, &records].concat();
    assert!(bytes.len() > 64_000);
    let (_, gathered) = gather("www.test.", 16, false, &bytes).unwrap();
    assert!(gathered.render(&TERMS).is_err());
}

/// Lines of records that have to do with each other.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let owner =
        prop_oneof![Just("www.test."), Just("a.test."), Just("b.example."), Just("test."), Just("c.b.example.")];
    let rdata = prop_oneof![
        (0u8..4).prop_map(|last| format!("A 192.0.2.{last}")),
        Just("AAAA 2001:db8::1".to_owned()),
        Just("CNAME a.test.".to_owned()),
        Just("CNAME b.example.".to_owned()),
        Just("MX 10 mail.www.test.".to_owned()),
        Just("SRV 1 2 3 a.test.".to_owned()),
        Just("NS ns.test.".to_owned()),
        Just("SOA ns.test. x.test. 1 2 3 4 5".to_owned()),
        Just("TXT \"some text\"".to_owned()),
    ];
    let line = (owner, 0u32..1000, rdata).prop_map(|(owner, ttl, rdata)| format!("{owner} {ttl} IN {rdata}"));
    prop::collection::vec(line, 0..12)
}

/// The names that a chain of aliases comes by in some records.
fn chain(records: &[Record]) -> Vec<String> {
    let mut names = vec!["www.test.".to_owned()];
    let aliases = |name: &str| {
        let alias = records.iter().find(|record| record.name.to_string() == name && record.record_type() == 5.into());
        alias.map(|record| record.data.to_string())
    };
    while let Some(next) = aliases(&names[names.len() - 1]).filter(|next| !names.contains(next)) {
        names.push(next);
    }
    names
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever comes: it is refused or kept, and what is kept can be written, read and given.
    #[test]
    fn no_bytes_do_harm(
        lines in lines(),
        qtype in prop_oneof![Just(1u16), Just(5), Just(15), Just(255), Just(33)],
        rcode in 0u16..6,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (answers, authorities) = lines.split_at(lines.len() / 2);
        let mut bytes = message(&asked("www.test.", qtype), rcode, &answers.join("\n"), &authorities.join("\n"));
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok((_, gathered)) = gather("www.test.", qtype, true, &bytes) {
            check_kept(qtype, &gathered.render(&TERMS).unwrap());
        }
    }

    /// Others read in what is kept what they read in the message, but for what does not belong to the chain.
    #[test]
    fn what_is_kept_is_what_was_said(lines in lines()) {
        let bytes = message(&asked("www.test.", A), 0, &lines.join("\n"), "");
        let said = Decoded::from_vec(&bytes).unwrap();
        let Ok((_, gathered)) = gather("www.test.", A, false, &bytes) else { return Ok(()) };
        let kept = gathered.render(&TERMS).unwrap();
        check_kept(A, &kept);
        let kept = texts(&decoded("www.test.", A, &kept).answers);
        let said_texts = texts(&said.answers);
        prop_assert!(kept.iter().all(|record| said_texts.contains(record)), "{kept:?} of {said_texts:?}");
        // From the other side: the addresses at the chain's end, where it has any, are all there.
        let names = chain(&said.answers);
        let of = |name: &String| said.answers.iter().filter(|r| r.name.to_string() == *name && r.record_type() == 1.into()).cloned().collect::<Vec<_>>();
        if let Some(end) = names.iter().map(of).find(|addresses| !addresses.is_empty()) {
            prop_assert!(texts(&end).iter().all(|address| kept.contains(address)), "{kept:?} of {said_texts:?}");
        }
    }
}

/// Whatever is kept is taken by the cache, has its places where TTLs and pointers are, and is read by others.
fn check_kept(qtype: u16, kept: &KeptAnswer) {
    let message = decoded("www.test.", qtype, kept);
    assert_eq!([message.answers.len(), message.authorities.len()], kept.counts.map(usize::from));
    let ttls: Vec<u32> = message.answers.iter().chain(&message.authorities).map(|record| record.ttl).collect();
    let places = kept.ttl_places.iter().map(|place| {
        let bytes = &kept.body[usize::from(*place)..][..4];
        u32::from_be_bytes(bytes.try_into().unwrap())
    });
    assert_eq!(places.collect::<Vec<_>>(), ttls);
    assert!(kept.ttl_seconds == 0 || ttls.iter().all(|ttl| *ttl >= kept.ttl_seconds));
    for place in &kept.pointer_places {
        let pointer = u16::from_be_bytes(kept.body[usize::from(*place)..][..2].try_into().unwrap());
        assert!([0xc000 | 12, 0xc000 | 16].contains(&pointer), "to www.test. or test.: {pointer:x}");
    }
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    let (snapshot, qname) = (Snapshot::empty(), name("www.test."));
    let key = CacheKey { name_hash: name_hash(&snapshot, &qname), name: qname.as_bytes(), qtype, bits: kept.bits };
    desk.insert(&key, &kept.as_cached()).unwrap();
    assert_eq!(desk.shelf().read(&key).unwrap(), *kept);
}
