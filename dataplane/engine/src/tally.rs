//! Queries by name, in memory of a fixed size. Written by one worker, read by anybody at any time.
//!
//! ```text
//! key --upper half--> set: head | head | head | head       head: key, queries, first and last time
//!                     names: 256 bytes for each head, in a table beside them
//! ```
//!
//! A new name takes a free place of its set, or that of the name with the fewest queries, which is forgotten. So names that
//! are asked for often stay whatever else is asked for: a flood of names that are asked for once fights for the same few
//! places.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::counters::Counter;
use crate::frame::{FrameBuffer, UDP_BYTES};
use crate::hash::Seed;
use crate::limits::{LABEL_BYTES_MAX, NAME_BYTES_MAX};
use crate::name::WireName;
use crate::verdict::Verdict;

/// Places of a set.
const SET_PLACES: usize = 4;

/// Most names of a tally: 1.1 GiB.
pub const TALLY_NAMES_MAX: usize = 1 << 22;

/// Bytes of a DNS header.
const HEADER_BYTES: usize = crate::query::HEADER_BYTES;

/// Room of a name.
const ROOM_BYTES: usize = (NAME_BYTES_MAX + 1).next_multiple_of(8);

/// A name in lower case, zeros behind it.
type Room = [u8; ROOM_BYTES];

/// What is known of a name, but the name.
#[derive(Debug, Default)]
struct Head {
    /// The hash of the name; 0: there is none, or it is being written.
    key: AtomicU64,
    /// Queries since it took its place.
    queries: AtomicU64,
    /// The first, in seconds since 1970.
    first_seconds: AtomicU32,
    /// The last, in seconds since 1970.
    last_seconds: AtomicU32,
}

/// Heads that one key may stand in.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Set([Head; SET_PLACES]);

/// The name of a head.
#[derive(Debug)]
struct Name([AtomicU64; ROOM_BYTES / 8]);

/// How often a name was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameCount {
    /// The name, in lower case.
    pub name: WireName,
    /// Queries since it was noted.
    pub queries: u64,
    /// The first of them, in seconds since 1970.
    pub first_seconds: u32,
    /// The last of them, in seconds since 1970.
    pub last_seconds: u32,
}

/// Counts the queries of one worker by name. Allocates in [`NameTally::new`] and never again.
#[derive(Debug)]
pub struct NameTally {
    /// Makes keys that outsiders cannot compute.
    seed: Seed,
    /// A power of two.
    sets: Box<[Set]>,
    /// One for each head.
    names: Box<[Name]>,
    /// Answers without a record to names that exist (RFC 2308 section 2.2).
    pub nodata: Counter,
}

impl NameTally {
    /// A tally of at least so many names, in the next power of two, 288 bytes each; at most [`TALLY_NAMES_MAX`].
    pub fn new(names: usize) -> Self {
        let places = names.clamp(SET_PLACES, TALLY_NAMES_MAX).next_power_of_two();
        Self {
            seed: Seed::random(),
            sets: (0..places / SET_PLACES).map(|_| Set::default()).collect(),
            names: (0..places).map(|_| Name([const { AtomicU64::new(0) }; ROOM_BYTES / 8])).collect(),
            nodata: Counter::default(),
        }
    }

    /// Counts the questions of a burst's replies. Only the owning worker may call it.
    #[inline(never)]
    pub(crate) fn count_burst<F: FrameBuffer>(&self, frames: &[F], verdicts: &[Verdict], now_seconds: u32) {
        for (frame, verdict) in frames.iter().zip(verdicts) {
            if *verdict == Verdict::Reply
                && let Some((_, datagram)) = datagram_of(frame.frame())
                && let Some((_, message)) = datagram.split_at_checked(UDP_BYTES)
            {
                self.count(message, now_seconds);
            }
        }
    }

    /// Counts the question of a response, if it has one that is whole. Only the owning worker may call it.
    pub(crate) fn count(&self, message: &[u8], now_seconds: u32) {
        let Some((room, length)) = question(message) else { return };
        self.nodata.add(u64::from(is_nodata(message)));
        // 0 stands for no name; that one in 2^64 shares its place with 1 is nothing.
        let key = self.seed.name(&room, length).max(1);
        let Some((index, set)) = self.set(key) else { return };
        let mut place = 0;
        let mut fewest = u64::MAX;
        for (index, head) in set.0.iter().enumerate() {
            if head.key.load(Ordering::Relaxed) == key {
                // There is one writer, and readers may see either value.
                head.queries.store(head.queries.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
                head.last_seconds.store(now_seconds, Ordering::Relaxed);
                return;
            }
            let queries = head.queries.load(Ordering::Relaxed);
            if queries < fewest {
                (place, fewest) = (index, queries);
            }
        }
        if let (Some(head), Some(name)) = (set.0.get(place), self.names.get(index * SET_PLACES + place)) {
            write(head, name, key, room.get(..length.next_multiple_of(8)).unwrap_or_default(), now_seconds);
        }
    }

    /// The set that a key may stand in, and its number.
    #[allow(clippy::cast_possible_truncation, reason = "as many bits of the key as there are sets")]
    fn set(&self, key: u64) -> Option<(usize, &Set)> {
        let index = (key >> 32) as usize & (self.sets.len() - 1);
        Some((index, self.sets.get(index)?))
    }

    /// All names that are noted now, in no order.
    pub fn names(&self) -> impl Iterator<Item = NameCount> {
        let heads = self.sets.iter().flat_map(|set| &set.0);
        heads.zip(&self.names).filter_map(|(head, name)| read(head, name))
    }

    /// What is known of one name.
    pub fn get(&self, name: &WireName) -> Option<NameCount> {
        let (mut room, bytes) = ([0; ROOM_BYTES], name.as_bytes());
        room.get_mut(..bytes.len())?.copy_from_slice(bytes);
        room.make_ascii_lowercase();
        let key = self.seed.name(&room, bytes.len()).max(1);
        let (index, set) = self.set(key)?;
        let names = self.names.get(index * SET_PLACES..)?;
        let (head, name) = set.0.iter().zip(names).find(|(head, _)| head.key.load(Ordering::Relaxed) == key)?;
        read(head, name)
    }
}

/// Has a place taken by a new name, in whole words. What stands behind it stays: a name tells where it ends.
fn write(head: &Head, name: &Name, key: u64, room: &[u8], now_seconds: u32) {
    // Who reads the name between the two stores of the key sees that the key is another before or after.
    head.key.store(0, Ordering::Relaxed);
    fence(Ordering::Release);
    let (words, _) = room.as_chunks::<8>();
    for (to, word) in name.0.iter().zip(words) {
        to.store(u64::from_le_bytes(*word), Ordering::Relaxed);
    }
    head.queries.store(1, Ordering::Relaxed);
    head.first_seconds.store(now_seconds, Ordering::Relaxed);
    head.last_seconds.store(now_seconds, Ordering::Relaxed);
    head.key.store(key, Ordering::Release);
}

/// What a place has; nothing where it is free, or taken by another name right now.
fn read(head: &Head, name: &Name) -> Option<NameCount> {
    let key = head.key.load(Ordering::Acquire);
    if key == 0 {
        return None;
    }
    let mut room: Room = [0; ROOM_BYTES];
    for (word, from) in room.as_chunks_mut::<8>().0.iter_mut().zip(&name.0) {
        *word = from.load(Ordering::Relaxed).to_le_bytes();
    }
    let queries = head.queries.load(Ordering::Relaxed);
    let first_seconds = head.first_seconds.load(Ordering::Relaxed);
    let last_seconds = head.last_seconds.load(Ordering::Relaxed);
    fence(Ordering::Acquire);
    let is_same = head.key.load(Ordering::Relaxed) == key;
    let (name, _) = WireName::split_wire(&room).ok().filter(|_| is_same)?;
    Some(NameCount { name, queries, first_seconds, last_seconds })
}

/// The UDP datagram of a frame, and whether it came by IPv6; nothing where it carries something else. Extension headers are not
/// looked for: packets with some are not answered.
#[inline]
pub(crate) fn datagram_of(frame: &[u8]) -> Option<(bool, &[u8])> {
    let (ethertype, packet) = match frame.split_at_checked(12)?.1.split_first_chunk()? {
        ([0x81, 0x00], tagged) => tagged.split_at_checked(2)?.1.split_first_chunk()?,
        untagged => untagged,
    };
    match ethertype {
        // IPv4: length of the header, protocol.
        [0x08, 0x00] if packet.get(9) == Some(&17) => {
            Some((false, packet.get(usize::from(packet.first()? & 0x0f) * 4..)?))
        }
        // IPv6: next header.
        [0x86, 0xdd] if packet.get(6) == Some(&17) => Some((true, packet.get(40..)?)),
        _ => None,
    }
}

/// True for a response that says that the name exists and has nothing of the type.
pub(crate) fn is_nodata(message: &[u8]) -> bool {
    // NOERROR, an empty answer section, AA and no TC: a referral has no AA bit.
    matches!(message, [_, _, f1, f2, _, _, 0, 0, ..] if f1 & 0b110 == 0b100 && f2 & 0xf == 0)
}

/// The question's name in lower case, and its length; nothing unless there is exactly one question.
fn question(message: &[u8]) -> Option<(Room, usize)> {
    let (header, rest) = message.split_at_checked(HEADER_BYTES)?;
    if header.get(4..6)? != [0, 1] {
        return None;
    }
    let mut length = 1;
    loop {
        match usize::from(*rest.get(length - 1)?) {
            0 => break,
            label if label <= LABEL_BYTES_MAX => length += label + 1,
            _ => return None,
        }
        if length > NAME_BYTES_MAX {
            return None;
        }
    }
    let mut room = [0; ROOM_BYTES];
    room.get_mut(..length)?.copy_from_slice(rest.get(..length)?);
    // The lengths of labels are below the letters.
    room.make_ascii_lowercase();
    Some((room, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtype::types;
    use crate::testing::{TestFrame, UdpFrame, query};

    fn name(text: &str) -> WireName {
        text.parse().unwrap()
    }

    /// The DNS message of a frame.
    fn message_of(frame: &[u8]) -> Option<&[u8]> {
        Some(datagram_of(frame)?.1.split_at_checked(UDP_BYTES)?.1)
    }

    #[test]
    fn names_are_counted_whatever_their_case() {
        let tally = NameTally::new(64);
        for (text, now) in [("WWW.example.", 100), ("www.Example.", 105), ("a.", 107), (".", 108)] {
            tally.count(&query(text, types::A), now);
        }
        let count =
            |name, queries, first_seconds, last_seconds| NameCount { name, queries, first_seconds, last_seconds };
        assert_eq!(tally.get(&name("www.EXAMPLE.")), Some(count(name("www.example."), 2, 100, 105)));
        assert_eq!(tally.get(&name("b.")), None);
        let mut all: Vec<NameCount> = tally.names().collect();
        all.sort_by_key(|count| count.first_seconds);
        let expected =
            [count(name("www.example."), 2, 100, 105), count(name("a."), 1, 107, 107), count(name("."), 1, 108, 108)];
        assert_eq!(all, expected);
    }

    #[test]
    fn messages_without_a_whole_question_are_not_counted() {
        let tally = NameTally::new(4);
        let whole = query("www.example.", types::A);
        for length in 0..whole.len() - 4 {
            tally.count(&whole[..length], 1);
        }
        let mut two = whole.clone();
        two[5] = 2;
        let mut pointer = whole;
        pointer[HEADER_BYTES] = 0xc0;
        tally.count(&two, 1);
        tally.count(&pointer, 1);
        tally.count(&[&[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], [1u8; 300].as_slice()].concat(), 1);
        assert_eq!(tally.names().count(), 0);
    }

    #[test]
    fn answers_without_a_record_are_counted() {
        let tally = NameTally::new(4);
        let mut message = query("www.example.", types::A);
        // An answer; a referral, without AA; NXDOMAIN; a truncated answer; and with a record.
        for (flags, answers, nodata) in
            [([0x85, 0], 0, 1), ([0x81, 0], 0, 1), ([0x85, 3], 0, 1), ([0x87, 0], 0, 1), ([0x85, 0], 1, 1)]
        {
            message[2..4].copy_from_slice(&flags);
            message[7] = answers;
            tally.count(&message, 1);
            assert_eq!(tally.nodata.get(), nodata, "{flags:x?}");
        }
    }

    #[test]
    fn messages_are_found_in_frames() {
        let message = query("www.example.", types::A);
        for path in [UdpFrame::ipv4(), UdpFrame::ipv6()] {
            let frame = path.build(&message);
            assert_eq!(message_of(&frame), Some(message.as_slice()));
            let tagged = [&frame[..12], &[0x81, 0x00, 0x00, 0x07], &frame[12..]].concat();
            assert_eq!(message_of(&tagged), Some(message.as_slice()));
            for length in 0..frame.len() - message.len() {
                assert_eq!(message_of(&frame[..length]).unwrap_or_default(), b"", "{length} bytes");
            }
            let tally = NameTally::new(4);
            let frames = [TestFrame::new(&frame), TestFrame::new(&tagged)];
            let verdicts = [Verdict::Reply, Verdict::Drop(crate::verdict::Reason::FrameShort)];
            tally.count_burst(&frames, &verdicts, 3);
            assert_eq!(tally.names().map(|count| count.queries).collect::<Vec<_>>(), [1]);
        }
    }

    #[test]
    fn names_that_are_asked_for_often_stay_in_a_flood_of_others() {
        let tally = NameTally::new(64);
        let often: Vec<String> = (0..16).map(|number| format!("often{number}.")).collect();
        for text in often.iter().cycle().take(1600) {
            tally.count(&query(text, types::A), 1);
        }
        let noted = often.iter().filter(|text| tally.get(&name(text)).is_some()).count();
        for number in 0..2000 {
            tally.count(&query(&format!("once{number}."), types::A), 2);
        }
        let stayed = often.iter().filter(|text| tally.get(&name(text)).is_some_and(|count| count.queries == 100));
        // A set whose four names are all asked for often loses one of them.
        assert!(stayed.count() + 4 >= noted, "{noted} were noted");
        assert!(tally.names().count() <= 64);
    }

    #[test]
    #[cfg_attr(miri, ignore = "threads that race for long")]
    fn a_reader_never_sees_a_name_with_the_count_of_another_key() {
        let tally = NameTally::new(4);
        let long = "x".repeat(60);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for number in 0..100_000 {
                    tally.count(&query(&format!("{number}.{long}.{number}."), types::A), 1);
                }
            });
            while !writer.is_finished() {
                for count in tally.names() {
                    let text = count.name.to_string();
                    let (first, rest) = text.split_once('.').unwrap();
                    assert_eq!(rest, format!("{long}.{first}."));
                }
            }
        });
    }
}
