//! Making the words of an entry, and the answer out of them again.

use super::desk::{CachedAnswer, InsertError};
use super::entry::{ADDRESS_AT, ADDRESSES_MAX, CacheKey, EntryHead, HEAD_WORDS, LINE_WORDS, Run, address_bytes};
use super::log::{Log, WORD_BYTES};
use super::put::{POINTER_BYTES, Records, TTL_BYTES, Ttls, copy, last_word, lower_half, put_addresses, run_sum};
use crate::frame::checksum::Sum;
use crate::limits::NAME_BYTES_MAX;
use crate::recall::KeptAnswer;
use crate::rtype::{CLASS_IN, rcode};

/// Where the TTL of an address's record stands.
const ADDRESS_TTL_AT: u16 = 6;

/// A pointer to the question's name (RFC 1035 section 4.1.4).
const QNAME_POINTER: [u8; POINTER_BYTES] = [0xc0, 12];

/// Makes the words of an entry in the place of what `words` holds.
pub(super) fn compose(words: &mut Vec<u64>, key: &CacheKey<'_>, answer: &CachedAnswer<'_>) -> Result<(), InsertError> {
    check(key, answer)?;
    let [answers, authorities] = answer.counts;
    let mut head = EntryHead {
        name_bytes: u8::try_from(key.name.len()).map_err(|_| InsertError::Malformed)?,
        bits: answer.bits.for_question(key.bits),
        qtype: key.qtype,
        rcode: answer.rcode,
        has_addresses: has_addresses_alone(key.qtype, answer),
        hash: lower_half(key.hash()),
        fetched_seconds: answer.fetched_seconds,
        ttl_seconds: answer.ttl_seconds,
        stale_seconds: answer.stale_seconds,
        answers,
        authorities,
        body_bytes: u16::try_from(answer.body.len()).map_err(|_| InsertError::TooLarge)?,
        ..EntryHead::default()
    };
    words.clear();
    words.extend([0; HEAD_WORDS]);
    append_bytes(words, key.name);
    words.resize(HEAD_WORDS + head.name_words(), 0);
    if let Some(bytes) = address_bytes(key.qtype).filter(|_| head.has_addresses) {
        let addresses = answer.body.chunks(ADDRESS_AT + bytes).filter_map(|record| record.get(ADDRESS_AT..));
        append_bytes(words, &addresses.flatten().copied().collect::<Vec<u8>>());
    } else {
        append_records(words, &mut head, answer)?;
    }
    words.resize(words.len().next_multiple_of(LINE_WORDS), 0);
    head.words = u16::try_from(words.len()).map_err(|_| InsertError::TooLarge)?;
    for (word, value) in words.iter_mut().zip(head.to_words()) {
        *word = value;
    }
    Ok(())
}

/// Refuses what has no name, or TTLs or pointers that stand outside of the records.
fn check(key: &CacheKey<'_>, answer: &CachedAnswer<'_>) -> Result<(), InsertError> {
    let are_inside =
        |places: &[u16], bytes| places.iter().all(|&place| usize::from(place) + bytes <= answer.body.len());
    let is_right = (1..=NAME_BYTES_MAX).contains(&key.name.len())
        && are_inside(answer.ttl_places, TTL_BYTES)
        && are_inside(answer.pointer_places, POINTER_BYTES);
    if is_right { Ok(()) } else { Err(InsertError::Malformed) }
}

/// True for an answer that is the addresses asked for and nothing else, all with the TTL for which it may be answered.
fn has_addresses_alone(qtype: u16, answer: &CachedAnswer<'_>) -> bool {
    let Some(bytes) = address_bytes(qtype) else { return false };
    let (size, [answers, authorities]) = (ADDRESS_AT + bytes, answer.counts.map(usize::from));
    let length = u16::try_from(bytes).unwrap_or_default().to_be_bytes();
    let (rtype, class, ttl) = (qtype.to_be_bytes(), CLASS_IN.to_be_bytes(), answer.ttl_seconds.to_be_bytes());
    let head = [&QNAME_POINTER[..], &rtype, &class, &ttl, &length].concat();
    answer.rcode == rcode::NOERROR
        && authorities == 0
        && (1..=ADDRESSES_MAX).contains(&answers)
        && answer.body.len() == answers * size
        && answer.body.chunks(size).all(|record| record.starts_with(&head))
        && answer.ttl_places.iter().map(|&place| usize::from(place)).eq(ttl_places(answers, size))
}

/// Where the TTLs of so many addresses' records stand that are so long each.
fn ttl_places(count: usize, size: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| index * size + usize::from(ADDRESS_TTL_AT))
}

/// Appends whole records, and completes the head.
fn append_records(words: &mut Vec<u64>, head: &mut EntryHead, answer: &CachedAnswer<'_>) -> Result<(), InsertError> {
    let runs = runs(answer).ok_or(InsertError::Malformed)?;
    head.runs = u16::try_from(runs.len()).map_err(|_| InsertError::TooLarge)?;
    head.pointers = u16::try_from(answer.pointer_places.len()).map_err(|_| InsertError::TooLarge)?;
    let sum = runs.iter().fold(Sum::default().add(answer.body), |sum, run| {
        // What they add is taken away again.
        sum.subtract_sum(run_sum(*run, run.ttl), run.place.into())
    });
    head.body_sum = sum.fold();
    words.extend(head.to_counts());
    words.extend(runs.iter().map(|run| run.to_word()));
    append_bytes(words, answer.body);
    let pointers: Vec<u8> = answer.pointer_places.iter().flat_map(|place| place.to_le_bytes()).collect();
    append_bytes(words, &pointers);
    Ok(())
}

/// The TTLs of an answer, those together that can be.
fn runs(answer: &CachedAnswer<'_>) -> Option<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    for &place in answer.ttl_places {
        let ttl = u32::from_be_bytes(*answer.body.get(usize::from(place)..)?.first_chunk()?);
        let goes_on = runs.last_mut().filter(|run| run.ttl == ttl && run.count < u8::MAX).and_then(|run| {
            let last = usize::from(run.place) + usize::from(run.stride) * (usize::from(run.count) - 1);
            let stride = u8::try_from(usize::from(place).checked_sub(last)?).ok().filter(|stride| stride % 2 == 0)?;
            (stride != 0 && (run.count == 1 || run.stride == stride)).then_some((run, stride))
        });
        match goes_on {
            Some((run, stride)) => (run.stride, run.count) = (stride, run.count + 1),
            None => runs.push(Run { place, stride: 0, count: 1, ttl }),
        }
    }
    Some(runs)
}

/// The parts of an entry: working memory that is reused.
#[derive(Default)]
pub(super) struct Parts {
    /// The name.
    pub(super) name: Vec<u8>,
    /// Where TTLs stand in the records.
    ttl_places: Vec<u16>,
    /// Where pointers stand in them.
    pointer_places: Vec<u16>,
    /// The records.
    body: Vec<u8>,
}

impl Parts {
    /// Reads the entry at a place. What is torn may come to anything.
    pub(super) fn read(&mut self, log: &Log, place: u64, head: &EntryHead) {
        let words = log.words(place, usize::from(head.words));
        let (_, words) = words.split_at_checked(HEAD_WORDS).unwrap_or_default();
        let (name, words) = words.split_at_checked(head.name_words()).unwrap_or_default();
        fill(&mut self.name, head.name_bytes.into(), |to| copy(name, to));
        self.ttl_places.clear();
        self.pointer_places.clear();
        if let Some(bytes) = address_bytes(head.qtype).filter(|_| head.has_addresses) {
            fill(&mut self.body, head.body_bytes.into(), |to| {
                let _ = put_addresses(words, head, Ttls::Aged(0), to);
            });
            let places = ttl_places(head.answers.into(), ADDRESS_AT + bytes);
            self.ttl_places.extend(places.filter_map(|place| u16::try_from(place).ok()));
            self.pointer_places.extend(self.ttl_places.iter().filter_map(|place| place.checked_sub(ADDRESS_TTL_AT)));
            return;
        }
        let Some(records) = Records::of(words, head) else { return };
        fill(&mut self.body, head.body_bytes.into(), |to| records.copy(to));
        let places = records.runs().flat_map(Run::places);
        self.ttl_places.extend(places.filter_map(|place| u16::try_from(place).ok()));
        self.pointer_places.extend(records.pointers().filter_map(|place| u16::try_from(place).ok()));
    }

    /// What was read.
    pub(super) fn answer(&self, head: &EntryHead) -> CachedAnswer<'_> {
        CachedAnswer {
            bits: head.bits,
            rcode: head.rcode,
            counts: [head.answers, head.authorities],
            body: &self.body,
            ttl_places: &self.ttl_places,
            pointer_places: &self.pointer_places,
            fetched_seconds: head.fetched_seconds,
            ttl_seconds: head.ttl_seconds,
            stale_seconds: head.stale_seconds,
        }
    }

    /// The same as an answer of its own.
    pub(super) fn kept(&self, head: &EntryHead) -> KeptAnswer {
        let answer = self.answer(head);
        KeptAnswer {
            bits: answer.bits,
            rcode: answer.rcode,
            counts: answer.counts,
            body: answer.body.to_vec(),
            ttl_places: answer.ttl_places.to_vec(),
            pointer_places: answer.pointer_places.to_vec(),
            fetched_seconds: answer.fetched_seconds,
            ttl_seconds: answer.ttl_seconds,
            stale_seconds: answer.stale_seconds,
        }
    }
}

/// Makes `bytes` so many bytes that `put` puts in.
fn fill(bytes: &mut Vec<u8>, count: usize, put: impl FnOnce(&mut [u8])) {
    bytes.clear();
    bytes.resize(count, 0);
    put(bytes);
}

/// Appends bytes, zeros behind them up to a whole word.
fn append_bytes(words: &mut Vec<u64>, bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<WORD_BYTES>();
    words.extend(whole.iter().map(|chunk| u64::from_le_bytes(*chunk)));
    if !rest.is_empty() {
        words.push(last_word(rest));
    }
}
