//! The forms that entries are stored in, which nobody sees who reads them.

use super::*;

/// The records of some addresses of a type, all with a TTL.
fn address_records(qtype: u16, ttl: u32, count: u8) -> Vec<u8> {
    let bytes = if qtype == 1 { 4u16 } else { 16 };
    let record = |number: u8| {
        let mut record = vec![0xc0, 12];
        record.extend(qtype.to_be_bytes());
        record.extend([0, 1]);
        record.extend(ttl.to_be_bytes());
        record.extend(bytes.to_be_bytes());
        record.extend((0..bytes).map(|at| number.wrapping_mul(31).wrapping_add(u8::try_from(at).unwrap())));
        record
    };
    (0..count).flat_map(record).collect()
}

/// Addresses alone are stored otherwise than all else, and nobody sees it.
#[test]
fn addresses_are_the_records_that_they_were() {
    let (seed, mut desk) = (Seed::random(), CacheDesk::new(CACHE_BYTES_MIN));
    for (qtype, count) in [1u16, 28].into_iter().flat_map(|qtype| [1u8, 2, 3, 8, 100].map(|count| (qtype, count))) {
        let mut sample = Sample::new(&seed, 7, 0);
        sample.body = address_records(qtype, 300, count);
        let size = sample.body.len() / usize::from(count);
        let places = |at: usize| (0..count.into()).map(move |index: usize| u16::try_from(index * size + at).unwrap());
        let (ttl_places, pointer_places): (Vec<u16>, Vec<u16>) = (places(6).collect(), places(0).collect());
        let key = CacheKey { qtype, ..sample.key() };
        let answer = CachedAnswer {
            counts: [count.into(), 0],
            ttl_places: &ttl_places,
            pointer_places: &pointer_places,
            stale_seconds: 9,
            ..sample.answer(1000)
        };
        desk.insert(&key, &answer).unwrap();
        let found = desk.shelf().find(&key).unwrap();
        assert!(found.head.has_addresses && found.spot.is_long == (qtype == 28 || count > 2), "{qtype} {count}");
        let mut body = vec![0; sample.body.len()];
        for (ttls, expected) in [(Ttls::Aged(0), 300), (Ttls::Aged(299), 1), (Ttls::Fixed(0x0102_0304), 0x0102_0304)] {
            let sum = found.put(&mut body, ttls).unwrap();
            assert_eq!(body, address_records(qtype, expected, count));
            assert_eq!(sum % u16::MAX, crate::frame::checksum::Sum::default().add(&body).fold() % u16::MAX);
        }
        found.put_behind(&mut body, Ttls::Fixed(300), |offset| Some(0x140 + offset)).unwrap();
        assert!(
            body.chunks(size)
                .zip(sample.body.chunks(size))
                .all(|(one, other)| { one.starts_with(&[0xc1, 0x40]) && one[2..] == other[2..] })
        );
        let kept = desk.shelf().read(&key).unwrap();
        assert_eq!((&kept.body, &kept.ttl_places, &kept.pointer_places), (&sample.body, &ttl_places, &pointer_places));
        assert_eq!((kept.counts, kept.ttl_seconds, kept.stale_seconds), ([count.into(), 0], 300, 9));
    }
}

/// What is not addresses alone, or has another TTL than that for which it may be answered, is stored as it is.
#[test]
fn what_looks_like_addresses_stays_what_it_is() {
    let (seed, mut desk) = (Seed::random(), CacheDesk::new(CACHE_BYTES_MIN));
    let mut sample = Sample::new(&seed, 7, 0);
    sample.body = address_records(1, 300, 2);
    let right = CachedAnswer { counts: [2, 0], ttl_places: &[6, 22], pointer_places: &[0, 16], ..sample.answer(1000) };
    let mut class = sample.body.clone();
    class[5] = 3;
    let mut ttl = sample.body.clone();
    ttl[25] = 45;
    let others = [
        CachedAnswer { ttl_seconds: 299, ..right },
        CachedAnswer { rcode: 3, ..right },
        CachedAnswer { counts: [1, 1], ..right },
        CachedAnswer { ttl_places: &[6], ..right },
        CachedAnswer { body: &class, ..right },
        CachedAnswer { body: &ttl, ..right },
        CachedAnswer { body: &sample.body[..31], ttl_places: &[6], ..right },
    ];
    for other in others {
        desk.insert(&sample.key(), &other).unwrap();
        assert!(!desk.shelf().find(&sample.key()).unwrap().head.has_addresses);
        let kept = desk.shelf().read(&sample.key()).unwrap();
        let read = kept.as_cached();
        assert_eq!(
            (read.body, read.ttl_places, read.counts, read.rcode),
            (other.body, other.ttl_places, other.counts, other.rcode)
        );
    }
}

/// TTLs at even distances are kept together; all of them age, and count in the checksum.
#[test]
fn ttls_of_all_places_age() {
    let (seed, mut desk) = (Seed::random(), CacheDesk::new(CACHE_BYTES_MIN));
    let mut sample = Sample::new(&seed, 7, 0);
    // Five at one distance, one at an odd one, one of another TTL, 300 at distances that leave and come back.
    let far = (0..300u16).map(|index| 100 + 8 * index + u16::from(index % 7 == 0) * 2);
    let places: Vec<u16> = [2, 18, 34, 50, 66, 75, 83].into_iter().chain(far).collect();
    sample.body = (0..2600).map(|at| u8::try_from(at % 251).unwrap()).collect();
    for &place in &places {
        let ttl: u32 = if place == 83 { 400 } else { 300 };
        sample.body[usize::from(place)..usize::from(place) + 4].copy_from_slice(&ttl.to_be_bytes());
    }
    desk.insert(&sample.key(), &CachedAnswer { ttl_places: &places, ..sample.answer(1000) }).unwrap();
    let found = desk.shelf().find(&sample.key()).unwrap();
    assert!(found.head.runs < 100, "{}", found.head.runs);
    let mut body = vec![0; sample.body.len()];
    let sum = found.put(&mut body, Ttls::Aged(7)).unwrap();
    let mut expected = sample.body.clone();
    for &place in &places {
        let ttl: u32 = if place == 83 { 393 } else { 293 };
        expected[usize::from(place)..usize::from(place) + 4].copy_from_slice(&ttl.to_be_bytes());
    }
    assert_eq!(body, expected);
    assert_eq!(sum % u16::MAX, crate::frame::checksum::Sum::default().add(&body).fold() % u16::MAX);
    assert_eq!(desk.shelf().read(&sample.key()).unwrap().ttl_places, places);
}
