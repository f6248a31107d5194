//! Every bound of the engine, with its unit in its name and the reason beside it.

/// Frames taken from a port at once. Two cache lines of mbuf pointers a fetch, and what testpmd's fastest settings use.
pub const BURST_FRAMES_MAX: usize = 64;

/// Longest name on the wire, root label included (RFC 1035 section 2.3.4).
pub const NAME_BYTES_MAX: usize = 255;

/// Longest label (RFC 1035 section 2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

/// Most labels that a name can have without the root label: 127 labels of one byte and a length, and the root.
pub const LABELS_MAX: usize = 127;

/// Smallest answer that every client must accept over UDP (RFC 1035 section 4.2.1).
pub const UDP_ANSWER_BYTES_MIN: usize = 512;

/// Default bound of an answer over UDP: passes every common path unfragmented (DNS flag day 2020; RFC 9715 section 3.1).
pub const UDP_ANSWER_BYTES_DEFAULT: usize = 1232;

/// Largest answer over UDP that can be configured; what is left of a 4 KiB buffer after the headers is no matter of ours,
/// the frame's room is checked apart.
pub const UDP_ANSWER_BYTES_LIMIT: usize = 4096;

/// Longest message over TCP, whose length is told in two bytes (RFC 1035 section 4.2.2).
pub const STREAM_MESSAGE_BYTES_MAX: usize = 65_535;

/// Most bytes of the name that the server gives itself in NSID: it goes into every answer that is asked for it.
pub const NSID_BYTES_MAX: usize = 64;

/// Most bytes of a text that the server tells of itself: one character string (RFC 1035 section 3.3).
pub const CHAOS_TEXT_BYTES_MAX: usize = 255;

/// CNAME and DNAME steps followed for one query. Longer chains are cut: the client gets what was found so far.
pub const CHAIN_STEPS_MAX: usize = 16;

/// Host suffixes of a search path: each is one more name to look for. Resolvers took six of all kinds for decades.
pub const SEARCH_HOST_SUFFIXES_MAX: usize = 16;

/// Addresses that one server answers for.
pub const SERVED_ADDRESSES_MAX: usize = 64;

/// Most record data bytes of one RRset: what fits a DNS message over TCP beside header and question.
pub const RRSET_BYTES_MAX: usize = 65_000;

/// Most records of one RRset: the smallest record takes twelve bytes with a compressed owner.
pub const RRSET_RECORDS_MAX: usize = RRSET_BYTES_MAX / 12;

const _: () = assert!(BURST_FRAMES_MAX.is_power_of_two());
const _: () = assert!(LABELS_MAX * 2 < NAME_BYTES_MAX);
const _: () =
    assert!(UDP_ANSWER_BYTES_MIN <= UDP_ANSWER_BYTES_DEFAULT && UDP_ANSWER_BYTES_DEFAULT <= UDP_ANSWER_BYTES_LIMIT);
