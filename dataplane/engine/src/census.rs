//! What queries and answers are like: families, types, sizes and times, in memory of a fixed size. Written by one worker, read
//! by anybody at any time. What dashboards made for other servers ask for; taken only where somebody reads it.
//!
//! A burst is looked at twice: before it is answered, because the answer goes over the query, and afterwards, when it is known
//! which frames were queries.

use core::time::Duration;

use crate::counters::Counter;
use crate::frame::{FrameBuffer, UDP_BYTES};
use crate::limits::{BURST_FRAMES_MAX, LABEL_BYTES_MAX};
use crate::query::HEADER_BYTES;
use crate::rtype::types;
use crate::tally::{datagram_of, is_nodata};
use crate::verdict::Verdict;

/// Types that are counted apart, and what all others are counted as.
pub const QTYPES: [&str; 20] = [
    "A", "AAAA", "CNAME", "DNSKEY", "DS", "MX", "NSEC3", "NSEC", "NS", "PTR", "RRSIG", "SOA", "SRV", "TXT", "HTTPS",
    "SVCB", "IXFR", "AXFR", "ANY", "other",
];

/// Upper bounds of the sizes in bytes: those of CoreDNS and of SkyDNS, so that either's buckets are sums of some of these.
pub const SIZE_BOUNDS: [u64; 34] = [
    0, 100, 200, 300, 400, 511, 512, 1023, 1024, 1500, 2047, 2048, 4095, 4096, 8192, 8291, 12_288, 16_000, 16_384,
    20_480, 24_576, 28_672, 32_000, 32_768, 36_864, 40_960, 45_056, 48_000, 49_152, 53_248, 57_344, 61_440, 64_000,
    65_536,
];

/// Upper bounds of the times in nanoseconds: those of CoreDNS and of SkyDNS.
pub const TIME_BOUNDS: [u64; 28] = [
    250_000,
    500_000,
    1_000_000,
    2_000_000,
    3_000_000,
    4_000_000,
    5_000_000,
    8_000_000,
    10_000_000,
    16_000_000,
    25_000_000,
    32_000_000,
    50_000_000,
    64_000_000,
    100_000_000,
    128_000_000,
    250_000_000,
    256_000_000,
    500_000_000,
    512_000_000,
    1_000_000_000,
    1_024_000_000,
    2_048_000_000,
    2_500_000_000,
    4_096_000_000,
    5_000_000_000,
    8_192_000_000,
    10_000_000_000,
];

/// The place among [`QTYPES`] of what is not counted apart.
const OTHER: u8 = 19;

const _: () = assert!(QTYPES.len() == OTHER as usize + 1);

/// Values by size.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    /// Upper bounds, the smallest first.
    bounds: &'static [u64; N],
    /// Values up to each bound and above the one before.
    counts: [Counter; N],
    /// Values above the last bound.
    beyond: Counter,
    /// The sum of all values.
    sum: Counter,
}

impl<const N: usize> Histogram<N> {
    /// No values.
    fn new(bounds: &'static [u64; N]) -> Self {
        Self {
            bounds,
            counts: core::array::from_fn(|_| Counter::default()),
            beyond: Counter::default(),
            sum: Counter::default(),
        }
    }

    /// Adds a value several times.
    #[inline]
    fn add(&self, value: u64, times: u64) {
        self.add_at(self.bounds.partition_point(|&bound| bound < value), value, times);
    }

    /// The same for who knows the place of the value's bucket.
    #[inline]
    fn add_at(&self, place: usize, value: u64, times: u64) {
        self.counts.get(place).unwrap_or(&self.beyond).add(times);
        self.sum.add(value.wrapping_mul(times));
    }

    /// Upper bounds and the values of each; those above the last bound come last, with the greatest number for a bound.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let counted = self.bounds.iter().copied().zip(self.counts.iter().map(Counter::get));
        counted.chain([(u64::MAX, self.beyond.get())])
    }

    /// The sum of all values.
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }
}

impl Histogram<{ SIZE_BOUNDS.len() }> {
    /// Adds the size of a message. Nearly all are short, and their buckets need not be searched for.
    #[inline]
    fn add_size(&self, bytes: usize) {
        match bytes {
            0..=HUNDREDS_BYTES => self.add_at(bytes.div_ceil(100), bytes as u64, 1),
            _ => self.add(bytes as u64, 1),
        }
    }
}

/// Sizes up to this one have a bucket for each hundred bytes.
const HUNDREDS_BYTES: usize = 400;

const _: () = assert!(matches!(SIZE_BOUNDS, [0, 100, 200, 300, 400, ..]));

/// What the messages of one worker are like. Allocates nothing.
#[derive(Debug)]
pub struct Census {
    /// Queries over IPv4 and over IPv6, by type.
    queries: [[Counter; QTYPES.len()]; 2],
    /// All of them.
    answered: Counter,
    /// Queries with the DO bit (RFC 3225).
    dnssec_ok: Counter,
    /// Answers without a record to names that exist (RFC 2308 section 2.2).
    nodata: Counter,
    /// Bytes of queries.
    pub request_bytes: Histogram<{ SIZE_BOUNDS.len() }>,
    /// Bytes of answers.
    pub response_bytes: Histogram<{ SIZE_BOUNDS.len() }>,
    /// Nanoseconds from the arrival of a query to the departure of its answer, as far as the worker sees them.
    pub nanoseconds: Histogram<{ TIME_BOUNDS.len() }>,
}

impl Default for Census {
    fn default() -> Self {
        Self {
            queries: core::array::from_fn(|_| core::array::from_fn(|_| Counter::default())),
            answered: Counter::default(),
            dnssec_ok: Counter::default(),
            nodata: Counter::default(),
            request_bytes: Histogram::new(&SIZE_BOUNDS),
            response_bytes: Histogram::new(&SIZE_BOUNDS),
            nanoseconds: Histogram::new(&TIME_BOUNDS),
        }
    }
}

/// What is known of a query before its answer is written over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Bytes of the message.
    bytes: u16,
    /// Its type, as a place among [`QTYPES`].
    qtype: u8,
    /// Whether it has the DO bit.
    dnssec_ok: bool,
    /// Whether it came by IPv6.
    is_ipv6: bool,
    /// Where the message stands in its frame; 0: there is none.
    message_at: u8,
}

impl Seen {
    /// Of something that is no query.
    const NOTHING: Self = Self { bytes: 0, qtype: OTHER, dnssec_ok: false, is_ipv6: false, message_at: 0 };

    /// Looks at a message that nobody has checked.
    #[inline]
    pub(crate) fn of(message: &[u8], is_ipv6: bool) -> Self {
        let bytes = u16::try_from(message.len()).unwrap_or(u16::MAX);
        let (qtype, dnssec_ok) = question(message).unwrap_or((OTHER, false));
        Self { bytes, qtype, dnssec_ok, is_ipv6, message_at: 0 }
    }
}

impl Census {
    /// Looks at the frames of a burst that is yet to be answered.
    #[inline(never)]
    pub(crate) fn look<F: FrameBuffer>(frames: &[F]) -> [Seen; BURST_FRAMES_MAX] {
        let mut all = [Seen::NOTHING; BURST_FRAMES_MAX];
        for (frame, seen) in frames.iter().zip(&mut all) {
            let frame = frame.frame();
            if let Some((is_ipv6, datagram)) = datagram_of(frame)
                && let Some((header, rest)) = datagram.split_first_chunk::<UDP_BYTES>()
            {
                // Short frames are filled up to the least that Ethernet sends: the datagram says where it ends.
                let &[_, _, _, _, l1, l2, _, _] = header;
                let length = usize::from(u16::from_be_bytes([l1, l2])).saturating_sub(UDP_BYTES);
                // Behind at most 18 bytes of Ethernet, 60 of IP and 8 of UDP.
                let message_at = u8::try_from(frame.len() - rest.len()).unwrap_or_default();
                *seen = Seen { message_at, ..Seen::of(rest.get(..length).unwrap_or_default(), is_ipv6) };
            }
        }
        all
    }

    /// Counts the replies of a burst. Only the owning worker may call it.
    #[inline(never)]
    pub(crate) fn count_burst<F: FrameBuffer>(&self, frames: &[F], verdicts: &[Verdict], seen: &[Seen]) {
        for ((frame, verdict), seen) in frames.iter().zip(verdicts).zip(seen) {
            if *verdict == Verdict::Reply
                && seen.message_at != 0
                && let Some(message) = frame.frame().get(usize::from(seen.message_at)..)
            {
                self.count(*seen, message);
            }
        }
    }

    /// Counts a query and its answer. Only the owning worker may call it.
    #[inline]
    pub(crate) fn count(&self, seen: Seen, answer: &[u8]) {
        let family = self.queries.get(usize::from(seen.is_ipv6));
        if let Some(counter) = family.and_then(|types| types.get(usize::from(seen.qtype))) {
            counter.add(1);
        }
        self.answered.add(1);
        self.dnssec_ok.add(u64::from(seen.dnssec_ok));
        self.nodata.add(u64::from(is_nodata(answer)));
        self.request_bytes.add_size(seen.bytes.into());
        self.response_bytes.add_size(answer.len());
    }

    /// Counts so many answers that took as long. Only the owning worker may call it.
    #[inline]
    pub fn note_time(&self, took: Duration, answers: u64) {
        let nanoseconds = took.as_secs().saturating_mul(1_000_000_000).saturating_add(took.subsec_nanos().into());
        self.nanoseconds.add(nanoseconds, answers);
    }

    /// Queries that were answered.
    #[inline]
    pub fn answered(&self) -> u64 {
        self.answered.get()
    }

    /// Queries with the DO bit.
    pub fn dnssec_ok(&self) -> u64 {
        self.dnssec_ok.get()
    }

    /// Answers without a record to names that exist.
    pub fn nodata(&self) -> u64 {
        self.nodata.get()
    }

    /// Queries over a family by type, in the order of [`QTYPES`].
    pub fn queries(&self, is_ipv6: bool) -> impl Iterator<Item = (&'static str, u64)> {
        let counters = self.queries.get(usize::from(is_ipv6)).into_iter().flatten();
        QTYPES.into_iter().zip(counters.map(Counter::get))
    }
}

/// Type and DO bit of a query; nothing unless there is exactly one question. What is asked mostly is read from its end; where
/// something follows it that does not belong there, it is refused, whatever its type.
#[inline]
fn question(message: &[u8]) -> Option<(u8, bool)> {
    let (header, rest) = message.split_first_chunk::<HEADER_BYTES>()?;
    match (header.last_chunk::<8>()?, rest) {
        ([0, 1, 0, 0, 0, 0, 0, 0], [.., t1, t2, _, _]) => Some((place(u16::from_be_bytes([*t1, *t2])), false)),
        // RFC 6891 section 6.1.2: the OPT record, without options.
        ([0, 1, 0, 0, 0, 0, 0, 1], [.., t1, t2, _, _, 0, 0, 41, _, _, _, _, flags, _, 0, 0]) => {
            Some((place(u16::from_be_bytes([*t1, *t2])), flags & 0x80 != 0))
        }
        ([0, 1, ..], rest) => question_walked(rest),
        _ => None,
    }
}

/// The same for messages of any shape, from their question on.
#[inline(never)]
fn question_walked(mut rest: &[u8]) -> Option<(u8, bool)> {
    loop {
        let (&label, after) = rest.split_first()?;
        rest = after.get(usize::from(label)..).filter(|_| usize::from(label) <= LABEL_BYTES_MAX)?;
        if label == 0 {
            break;
        }
    }
    let (&[t1, t2, ..], rest) = rest.split_first_chunk::<4>()?;
    // An OPT record (RFC 6891 section 6.1.2) comes first mostly: nothing but a signature stands beside it.
    let dnssec_ok = matches!(rest, [0, 0, 41, _, _, _, _, flags, ..] if flags & 0x80 != 0);
    Some((place(u16::from_be_bytes([t1, t2])), dnssec_ok))
}

/// The place of a type among [`QTYPES`].
#[inline]
fn place(qtype: u16) -> u8 {
    match qtype {
        types::A => 0,
        types::AAAA => 1,
        types::CNAME => 2,
        48 => 3,
        types::DS => 4,
        types::MX => 5,
        50 => 6,
        types::NSEC => 7,
        types::NS => 8,
        types::PTR => 9,
        types::RRSIG => 10,
        types::SOA => 11,
        types::SRV => 12,
        types::TXT => 13,
        65 => 14,
        64 => 15,
        types::IXFR => 16,
        types::AXFR => 17,
        types::ANY => 18,
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;
    use crate::serve::Server;
    use crate::snapshot::Snapshot;
    use crate::testing::{TestFrame, UdpFrame, query, query_edns, server_config};
    use crate::verdict::Reason;

    #[test]
    fn bounds_rise() {
        assert!(SIZE_BOUNDS.is_sorted() && TIME_BOUNDS.is_sorted());
    }

    #[test]
    fn every_type_has_a_place_of_its_own() {
        let numbers = [1, 28, 5, 48, 43, 15, 50, 47, 2, 12, 46, 6, 33, 16, 65, 64, 251, 252, 255];
        for (qtype, expected) in numbers.into_iter().zip(0..) {
            assert_eq!(place(qtype), expected);
        }
        assert_eq!((place(257), place(0), QTYPES[usize::from(place(99))]), (OTHER, OTHER, "other"));
    }

    #[test]
    fn values_stand_in_the_first_bucket_that_is_large_enough() {
        let census = Census::default();
        for bytes in [0, 1, 100, 101, 511, 512, 65_536, 65_537] {
            census.response_bytes.add(bytes, 1);
        }
        let filled: Vec<(u64, u64)> = census.response_bytes.buckets().filter(|&(_, count)| count > 0).collect();
        assert_eq!(filled, [(0, 1), (100, 2), (200, 1), (511, 1), (512, 1), (65_536, 1), (u64::MAX, 1)]);
        assert_eq!(census.response_bytes.sum(), 1 + 100 + 101 + 511 + 512 + 65_536 + 65_537);
        census.note_time(Duration::from_millis(3), 64);
        assert_eq!(census.nanoseconds.buckets().find(|&(_, count)| count > 0), Some((3_000_000, 64)));
        assert_eq!(census.nanoseconds.sum(), 64 * 3_000_000);
    }

    #[test]
    fn what_is_no_query_is_of_another_type() {
        let pointer = b"\0\0\0\0\0\x01\0\0\0\0\0\x02\xc0\x0c\0\x01\0\x01";
        for message in [&b""[..], b"\0\0\0\0\0\x01\0\0\0\0\0\0", b"\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\x01\0\x01", pointer] {
            assert_eq!((Seen::of(message, false).qtype, Seen::of(message, false).dnssec_ok), (OTHER, false));
        }
    }

    #[test]
    fn every_shape_of_query_is_read_alike() {
        let plain = query("a.b.", types::AAAA);
        let with_opt = query_edns("a.b.", types::AAAA, 1232, true);
        // With an option, and with a record behind the OPT record.
        let mut with_option = with_opt.clone();
        *with_option.last_mut().unwrap() = 4;
        with_option.extend_from_slice(&[0, 10, 0, 0]);
        let mut with_more = with_opt.clone();
        with_more[11] = 2;
        with_more.extend_from_slice(&[0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0]);
        let read = |message: &[u8]| (Seen::of(message, false).qtype, Seen::of(message, false).dnssec_ok);
        assert_eq!(read(&plain), (1, false));
        for message in [with_opt, with_option, with_more] {
            assert_eq!(read(&message), (1, true), "{message:?}");
        }
    }

    #[test]
    fn sizes_stand_where_a_search_would_put_them() {
        for bytes in [0, 1, 99, 100, 101, 400, 401, 511, 512, 513, 4096, 65_535] {
            let (census, searched) = (Census::default(), Census::default());
            census.request_bytes.add_size(bytes);
            searched.request_bytes.add(bytes as u64, 1);
            assert!(census.request_bytes.buckets().eq(searched.request_bytes.buckets()), "{bytes}");
        }
    }

    #[test]
    fn a_burst_is_counted_as_it_was_asked() {
        let counters = Counters::default().with_census(true);
        let (v4, v6) = (UdpFrame::ipv4(), UdpFrame::ipv6());
        let messages = [query(".", types::A), query_edns("a.b.", types::AAAA, 1232, true), query("c.", 99)];
        let mut frames = vec![
            TestFrame::new(&v4.build(&messages[0])),
            TestFrame::new(&v4.build(&messages[1])),
            TestFrame::new(&v6.build(&messages[2])),
            TestFrame::new(b"no frame"),
        ];
        // As a NIC gives it: filled up with zeros.
        let padded = [frames[0].frame(), &[0; 3]].concat();
        frames[0] = TestFrame::new(&padded);
        let mut verdicts = [Verdict::Drop(Reason::FrameShort); BURST_FRAMES_MAX];
        Server::new(&server_config()).serve_burst(&mut frames, &mut verdicts, &Snapshot::empty(), &counters);
        let census = counters.census().unwrap();
        let counted = |is_ipv6| census.queries(is_ipv6).filter(|&(_, count)| count > 0).collect::<Vec<_>>();
        assert_eq!((counted(false), counted(true)), (vec![("A", 1), ("AAAA", 1)], vec![("other", 1)]));
        assert_eq!((census.answered(), census.dnssec_ok(), census.nodata()), (3, 1, 0));
        let bytes = |frames: &[Vec<u8>]| frames.iter().map(|message| message.len() as u64).sum::<u64>();
        assert_eq!(census.request_bytes.sum(), bytes(&messages));
        assert_eq!(census.response_bytes.sum(), bytes(&messages), "they are refused: the question comes back");
    }
}
