//! What becomes of a frame: one [`Verdict`] each, and one [`Reason`] for every frame that is not simply answered.

/// What the worker does with a frame after the engine has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The frame was turned round in place; it goes out of the port that it came in by.
    Reply,
    /// Not DNS over UDP for a served address: to the kernel path, or counted under the reason where there is none.
    Punt(Reason),
    /// A query for a name of others, as it came: to the forwarder.
    Forward,
    /// Goes nowhere; the buffer returns to its pool.
    Drop(Reason),
}

/// What a [`Reason`] leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The frame is dropped.
    Drop,
    /// The frame is for the kernel.
    Punt,
    /// The query is answered with FORMERR.
    Formerr,
}

/// One line a reason: variant, fate, metric label, explanation. Enum, names and counters all come from this list.
macro_rules! reasons {
    ($($variant:ident, $fate:ident, $name:literal, $help:literal;)*) => {
        /// Why a frame was not simply answered. Counted per worker, never logged.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $help] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of its counter.
            pub const ALL: &[Reason] = &[$(Reason::$variant,)*];

            /// The label that metrics show.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)* }
            }

            /// One sentence for people.
            pub const fn help(self) -> &'static str {
                match self { $(Reason::$variant => $help,)* }
            }

            /// What this reason leads to.
            pub const fn fate(self) -> Fate {
                match self { $(Reason::$variant => Fate::$fate,)* }
            }
        }
    };
}

reasons! {
    // Ethernet
    FrameShort, Drop, "frame_short", "The frame ends inside its Ethernet, VLAN, ARP, IP or UDP header.";
    FrameScattered, Drop, "frame_scattered", "The frame spans several buffers, which this port was not set up for.";
    OtherStation, Drop, "other_station", "The frame is not addressed to the port's MAC address, or comes from a group address.";
    OtherVlan, Punt, "other_vlan", "The VLAN tag is not the port's, or there are several tags.";
    OtherEthertype, Punt, "other_ethertype", "The ethertype is none of IPv4, IPv6 and ARP.";
    OtherArp, Punt, "other_arp", "An ARP packet that asks for no served address.";
    // IP
    Ipv4Header, Drop, "ipv4_header", "Wrong IPv4 version or header length.";
    Ipv4Checksum, Drop, "ipv4_checksum", "Wrong IPv4 header checksum.";
    Ipv6Header, Drop, "ipv6_header", "Wrong IPv6 version.";
    IpLength, Drop, "ip_length", "The IP length says more than the frame holds, or less than its headers.";
    Ipv4Options, Punt, "ipv4_options", "The IPv4 header carries options.";
    Ipv6Extension, Punt, "ipv6_extension", "An IPv6 extension header comes before the payload.";
    Fragment, Punt, "fragment", "A fragment of an IP packet.";
    OtherAddress, Punt, "other_address", "The destination address is not served here.";
    OtherProtocol, Punt, "other_protocol", "Neither UDP nor an echo or neighbour request for a served address.";
    SourceAddress, Drop, "source_address", "The source address is unspecified, loopback, multicast or broadcast: no answer could reach it.";
    // ICMP, neighbour discovery
    IcmpChecksum, Drop, "icmp_checksum", "Wrong ICMP or ICMPv6 checksum.";
    IcmpMalformed, Drop, "icmp_malformed", "An echo or neighbour request that breaks its format's rules.";
    // UDP
    UdpLength, Drop, "udp_length", "The UDP length is below that of its header, or above what the IP packet holds.";
    UdpChecksum, Drop, "udp_checksum", "Wrong UDP checksum, or none over IPv6.";
    SourcePort, Drop, "source_port", "The source port is 0, or that of a service that would answer back for ever.";
    OtherPort, Punt, "other_port", "UDP to a port that is not served.";
    // DNS messages that get no answer
    DnsShort, Drop, "dns_short", "The UDP payload is shorter than a DNS header.";
    DnsResponse, Drop, "dns_response", "A DNS response: answering it could start a loop.";
    // DNS messages that are answered with FORMERR
    QuestionCount, Formerr, "question_count", "The question count is not one.";
    SectionCounts, Formerr, "section_counts", "A query with answer or authority records.";
    NameTruncated, Formerr, "name_truncated", "The question ends inside its name.";
    NameCompressed, Formerr, "name_compressed", "The question's name holds a compression pointer or an unknown label type.";
    NameTooLong, Formerr, "name_too_long", "The question's name is longer than 255 bytes.";
    QuestionTruncated, Formerr, "question_truncated", "The question ends before its type and class.";
    AdditionalMalformed, Formerr, "additional_malformed", "A record of the additional section is cut off or malformed.";
    OptMalformed, Formerr, "opt_malformed", "The OPT record is malformed, not owned by the root, or there are several.";
    TrailingBytes, Formerr, "trailing_bytes", "Bytes follow the last record that the header counts.";
    CookieMalformed, Formerr, "cookie_malformed", "The COOKIE option has a length that no cookie has.";
    // Rate limits
    PacketLimited, Drop, "packet_limited", "The client's network sends more packets a second than the configuration allows.";
    RateLimited, Drop, "rate_limited", "The client's network was sent as many responses of this kind as the configuration allows.";
    // Names of others
    ClientDenied, Drop, "client_denied", "A query for a name of others from a client that may not ask for any, and gets no answer.";
    ForwardFull, Drop, "forward_full", "The query was for the forwarder, which does not take them fast enough, or is longer than it takes.";
    // Ways out
    ReplyRoom, Drop, "reply_room", "The frame's buffer has no room for any reply.";
    KernelFull, Drop, "kernel_full", "The frame was for the kernel, which does not take them fast enough.";
    TxRefused, Drop, "tx_refused", "The transmit queue stayed full.";
}

const _: () = assert!(Reason::ALL.len() <= u8::MAX as usize);
