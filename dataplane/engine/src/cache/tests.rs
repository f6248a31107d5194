mod forms;

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use super::*;
use crate::hash::Seed;

/// Something to put in and find again.
struct Sample {
    seed: Seed,
    name: Vec<u8>,
    body: Vec<u8>,
}

impl Sample {
    /// The sample with a number, whose records say it.
    fn new(seed: &Seed, number: u64, body_bytes: usize) -> Self {
        let mut name = vec![16];
        name.extend(format!("{number:016x}").bytes());
        name.extend(b"\x07example\0");
        // A TTL stands at the second byte, so that odd places are tried.
        let body = number.to_be_bytes().into_iter().cycle().take(body_bytes).enumerate();
        let body = body.map(|(at, byte)| if (1..5).contains(&at) { [0, 0, 1, 44][at - 1] } else { byte }).collect();
        Self { seed: seed.clone(), name, body }
    }

    fn key(&self) -> CacheKey<'_> {
        let mut padded = self.name.clone();
        padded.resize(272, 0);
        let name_hash = self.seed.name(&padded, self.name.len());
        CacheKey { name_hash, name: &self.name, qtype: 1, bits: EntryBits::default() }
    }

    fn answer(&self, fetched_seconds: u32) -> CachedAnswer<'_> {
        CachedAnswer {
            bits: EntryBits::default(),
            rcode: 0,
            counts: [1, 0],
            body: &self.body,
            ttl_places: &[1],
            pointer_places: &[],
            fetched_seconds,
            ttl_seconds: 300,
            stale_seconds: 0,
        }
    }

    fn put(&self, desk: &mut CacheDesk, now: u32) {
        desk.insert(&self.key(), &self.answer(now)).unwrap();
    }

    /// True where it is found as it was put in.
    fn is_in(&self, shelf: &CacheShelf) -> bool {
        let Some(found) = shelf.find(&self.key()) else { return false };
        found.touch();
        let mut body = vec![0; found.head.body_bytes.into()];
        found.put(&mut body, Ttls::Aged(0)).is_some_and(|_| {
            assert_eq!(body, self.body);
            true
        })
    }
}

#[test]
fn an_answer_is_found_by_its_whole_key_and_ages() {
    let seed = Seed::random();
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    let sample = Sample::new(&seed, 7, 33);
    sample.put(&mut desk, 1000);
    let shelf = desk.shelf();
    assert!(sample.is_in(shelf));
    assert!(shelf.find(&CacheKey { qtype: 28, ..sample.key() }).is_none());
    assert!(shelf.find(&CacheKey { bits: EntryBits::DNSSEC_OK, ..sample.key() }).is_none());
    let found = shelf.find(&CacheKey { bits: EntryBits::AUTHENTIC, ..sample.key() }).unwrap();
    assert_eq!((found.head.is_fresh(1299), found.head.is_fresh(1300), found.head.is_fresh(900)), (true, false, true));
    let mut body = vec![0; 33];
    for (ttls, expected) in [(Ttls::Aged(250), 50u32), (Ttls::Aged(1000), 0), (Ttls::Fixed(30), 30)] {
        let sum = found.put(&mut body, ttls).unwrap();
        assert_eq!(body[1..5], expected.to_be_bytes());
        let right = crate::frame::checksum::Sum::default().add(&body).fold();
        assert_eq!(sum % u16::MAX, right % u16::MAX, "the sum follows the TTLs");
    }
    assert!(found.put(&mut [0; 32], Ttls::Aged(0)).is_none(), "no room");
    assert!(found.claim_refresh() && !found.claim_refresh());
    assert!(desk.remove(&sample.key()) && !desk.remove(&sample.key()));
    assert!(!sample.is_in(desk.shelf()));
}

#[test]
fn denials_are_counted_as_long_as_they_are_held() {
    let seed = Seed::random();
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    let samples: Vec<Sample> = (0..6).map(|number| Sample::new(&seed, number, 33)).collect();
    let put = |desk: &mut CacheDesk, number: usize, bits| {
        let sample = &samples[number];
        desk.insert(&sample.key(), &CachedAnswer { bits, ..sample.answer(1000) }).unwrap();
        (desk.counts().entries, desk.counts().denials)
    };
    assert_eq!(put(&mut desk, 0, EntryBits::default()), (1, 0));
    assert_eq!(put(&mut desk, 1, EntryBits::NEGATIVE), (2, 1));
    assert_eq!(put(&mut desk, 2, EntryBits::FAILURE), (3, 2));
    assert_eq!(put(&mut desk, 0, EntryBits::NEGATIVE), (3, 3), "in place of an answer");
    assert_eq!(put(&mut desk, 1, EntryBits::default()), (3, 2), "and the other way round");
    assert!(desk.remove(&samples[2].key()));
    desk.retain(|name, _, _| name != samples[0].name);
    assert_eq!((desk.counts().entries, desk.counts().denials, desk.counts().removed), (1, 0, 2));
    // Whatever makes room: what is counted is what a walk finds.
    for number in 0..30_000 {
        let sample = Sample::new(&seed, 100 + number, 33);
        let bits = EntryBits::NEGATIVE.when(number % 3 == 0);
        desk.insert(&sample.key(), &CachedAnswer { bits, ..sample.answer(1000) }).unwrap();
    }
    let (mut entries, mut denials) = (0, 0);
    desk.retain(|_, head, _| {
        entries += 1;
        denials += u64::from(head.bits.is_denial());
        true
    });
    let counts = desk.counts();
    assert_eq!((counts.entries, counts.denials), (entries, denials));
    assert!(0 < counts.evicted_denials && counts.evicted_denials < counts.evicted, "{counts:?}");
}

#[test]
fn records_can_stand_behind_another_name() {
    let seed = Seed::random();
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    let mut sample = Sample::new(&seed, 7, 0);
    // Pointer to the whole name, to its second label, and a TTL in between.
    sample.body = b"\xc0\x0c\0\x05\0\x01\0\0\x01\x2c\0\x06\x03www\xc0\x1d".to_vec();
    let answer = CachedAnswer { ttl_places: &[6], pointer_places: &[0, 16], ..sample.answer(1000) };
    desk.insert(&sample.key(), &answer).unwrap();
    let found = desk.shelf().find(&sample.key()).unwrap();
    let mut body = vec![0; sample.body.len()];
    let behind = |start: usize| move |offset: usize| Some(start + offset);
    found.put_behind(&mut body, Ttls::Fixed(30), behind(0x140)).unwrap();
    assert_eq!(body, b"\xc1\x40\0\x05\0\x01\0\0\0\x1e\0\x06\x03www\xc1\x51");
    assert!(found.put_behind(&mut body, Ttls::Fixed(30), behind(0x3ff0)).is_none(), "a pointer cannot lead so far");
    assert!(found.put_behind(&mut body, Ttls::Fixed(30), |_| None).is_none(), "a name that stands nowhere");
}

#[test]
fn a_newer_answer_takes_the_place_of_the_older() {
    let seed = Seed::random();
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    let mut sample = Sample::new(&seed, 7, 33);
    sample.put(&mut desk, 1000);
    assert!(desk.shelf().find(&sample.key()).unwrap().claim_refresh());
    sample.body = Sample::new(&seed, 8, 60).body;
    sample.put(&mut desk, 1001);
    assert!(sample.is_in(desk.shelf()));
    assert!(desk.shelf().find(&sample.key()).unwrap().claim_refresh(), "it may be refreshed again");
    assert_eq!(desk.counts(), CacheCounts { entries: 1, inserted: 2, replaced: 1, ..CacheCounts::default() });
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let seed = Seed::random();
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    let large = Sample::new(&seed, 1, 65_000);
    assert_eq!(desk.insert(&large.key(), &large.answer(1)), Err(InsertError::TooLarge));
    let sample = Sample::new(&seed, 1, 20);
    let outside = CachedAnswer { ttl_places: &[17], ..sample.answer(1) };
    assert_eq!(desk.insert(&sample.key(), &outside), Err(InsertError::Malformed));
    let outside = CachedAnswer { pointer_places: &[19], ..sample.answer(1) };
    assert_eq!(desk.insert(&sample.key(), &outside), Err(InsertError::Malformed));
    assert_eq!(desk.insert(&CacheKey { name: &[], ..sample.key() }, &sample.answer(1)), Err(InsertError::Malformed));
    assert_eq!(desk.counts(), CacheCounts::default());
}

#[test]
fn a_flood_of_names_pushes_out_none_that_is_in_use() {
    let seed = Seed::random();
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    let hot: Vec<Sample> =
        (0..if cfg!(miri) { 50 } else { 1000 }).map(|number| Sample::new(&seed, number, 48)).collect();
    for sample in &hot {
        sample.put(&mut desk, 1000);
        assert!(sample.is_in(desk.shelf()), "asked for as soon as it is there");
    }
    let mut asked = 0;
    for number in 0..if cfg!(miri) { 1_000u64 } else { 100_000 } {
        Sample::new(&seed, 1_000_000 + number, 40).put(&mut desk, 1001);
        if number % 4 == 0 {
            asked += 1;
            assert!(hot[asked * 7 % hot.len()].is_in(desk.shelf()), "hot name after {number} of the flood");
        }
    }
    assert!(hot.iter().all(|sample| sample.is_in(desk.shelf())));
}

#[test]
fn what_came_back_soon_stays() {
    let seed = Seed::random();
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    let back = Sample::new(&seed, 1, 48);
    back.put(&mut desk, 1000);
    let mut number = 100;
    while desk.shelf().find(&back.key()).is_some() {
        number += 1;
        Sample::new(&seed, number, 48).put(&mut desk, 1000);
    }
    back.put(&mut desk, 1001);
    for more in 0..2 * number {
        Sample::new(&seed, 1_000_000 + more, 48).put(&mut desk, 1001);
    }
    assert!(back.is_in(desk.shelf()), "it went to the large log");
}

#[test]
fn every_entry_is_seen_and_can_be_removed() {
    let seed = Seed::random();
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    let lengths = (20..70).cycle();
    let samples: Vec<Sample> = (0..if cfg!(miri) { 60 } else { 3000 })
        .zip(lengths)
        .map(|(number, length)| Sample::new(&seed, number, length))
        .collect();
    samples.iter().for_each(|sample| sample.put(&mut desk, 1000));
    let held = samples.iter().filter(|sample| sample.is_in(desk.shelf())).count();
    let mut seen = 0;
    desk.retain(|name, head, answer| {
        seen += 1;
        let sample = samples.iter().find(|sample| sample.name == name).unwrap();
        assert_eq!((answer.body, answer.ttl_places, head.qtype), (&*sample.body, [1u16].as_slice(), 1));
        name[16] != b'0'
    });
    assert_eq!((seen, seen as u64), (held, desk.counts().entries + desk.counts().removed));
    for sample in &samples {
        assert!(sample.name[16] != b'0' || !sample.is_in(desk.shelf()));
    }
}

/// A model of a map beside it: whatever is found is what was put in last, however often the rings went round.
#[test]
fn what_is_found_is_what_was_put_in_last() {
    let seed = Seed::random();
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    let mut state = 1u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut last = std::collections::HashMap::new();
    for turn in 0..if cfg!(miri) { 1_500u64 } else { 80_000 } {
        let number = random(20_000);
        if random(3) == 0 {
            let mut sample = Sample::new(&seed, number, 6 + usize::try_from(random(300)).unwrap());
            sample.body.extend(turn.to_be_bytes());
            sample.put(&mut desk, 1000);
            assert!(sample.is_in(desk.shelf()));
            last.insert(number, sample);
        } else if let Some(sample) = last.get(&number) {
            // Asserts the records where it is there.
            sample.is_in(desk.shelf());
        }
    }
    let counts = desk.counts();
    let mut seen = 0;
    desk.retain(|_, _, _| {
        seen += 1;
        true
    });
    assert_eq!(seen, counts.entries);
    assert!(cfg!(miri) || (counts.evicted > 0 && counts.entries > 1000), "{counts:?}");
}

/// Readers that run beside the writer find whole answers or none.
#[test]
fn readers_never_see_a_torn_answer() {
    let seed = Seed::random();
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    let ended = AtomicBool::new(false);
    let turns = if cfg!(miri) { 300u64 } else { 40_000 };
    std::thread::scope(|scope| {
        let shelf = Arc::clone(desk.shelf());
        let (seed_read, ended_read) = (seed.clone(), &ended);
        let reader = scope.spawn(move || {
            let mut found = 0u64;
            let mut number = 0;
            while !ended_read.load(Ordering::Relaxed) {
                number = (number + 1) % 4000;
                // Asserts that the records are those of the name.
                found += u64::from(Sample::new(&seed_read, number, 200).is_in(&shelf));
            }
            found
        });
        for turn in 0..turns {
            Sample::new(&seed, turn % 4000, 200).put(&mut desk, 1000);
        }
        ended.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0 || cfg!(miri));
    });
}

#[test]
fn a_walk_shows_what_it_is_asked_for() {
    let seed = Seed::random();
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    let samples: Vec<Sample> = (0..200).map(|number| Sample::new(&seed, number, 40)).collect();
    for (number, sample) in (0..).zip(&samples) {
        sample.put(&mut desk, 1000 + number);
        (0..number % 3).for_each(|_| assert!(sample.is_in(desk.shelf())));
    }
    // Replaced, so that it stands there twice.
    samples[7].put(&mut desk, 1500);
    let mut uses = Vec::new();
    let mut place = Some(ScanPlace::default());
    while let Some(from) = place {
        place = desk.scan(
            from,
            9,
            |head| head.fetched_seconds >= 1100,
            |seen| {
                let at = samples.iter().position(|sample| sample.name == seen.name).unwrap();
                uses.push((at, usize::from(seen.uses), seen.head.fetched_seconds));
            },
        );
    }
    uses.sort_unstable();
    let mut expected: Vec<_> = (100..200).map(|at| (at, at % 3, 1000 + u32::try_from(at).unwrap())).collect();
    expected.insert(0, (7, 1, 1500));
    assert_eq!(uses, expected);
    for (before, after) in [(0, 0), (1, 0), (2, 1), (9, 1)] {
        let sample = Sample::new(&seed, 1000 + before, 40);
        sample.put(&mut desk, 1000);
        (0..before).for_each(|_| assert!(sample.is_in(desk.shelf())));
        desk.forget_uses(&sample.key());
        assert_eq!(desk.shelf().find(&sample.key()).unwrap().uses(), after);
    }
}

#[test]
fn an_entry_is_read_as_it_was_put_in() {
    let seed = Seed::random();
    let mut desk = CacheDesk::new(CACHE_BYTES_MIN);
    let sample = Sample::new(&seed, 7, 33);
    let answer = CachedAnswer { pointer_places: &[8, 20], stale_seconds: 9, rcode: 3, ..sample.answer(1000) };
    desk.insert(&sample.key(), &answer).unwrap();
    let kept = desk.shelf().read(&sample.key()).unwrap();
    let read = kept.as_cached();
    assert_eq!(
        (read.body, read.ttl_places, read.pointer_places),
        (answer.body, answer.ttl_places, answer.pointer_places)
    );
    assert_eq!((read.counts, read.rcode, read.bits), (answer.counts, answer.rcode, answer.bits));
    assert_eq!((read.fetched_seconds, read.ttl_seconds, read.stale_seconds), (1000, 300, 9));
    assert!(desk.shelf().read(&CacheKey { qtype: 2, ..sample.key() }).is_none());
}
