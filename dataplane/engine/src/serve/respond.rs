//! Stage two: the answer is written over the query.

use core::net::IpAddr;

use crate::answer::{self, Origin, Outcome, Scratch};
use crate::chaos::{Chaos, ChaosConfig};
use crate::cookie::Client;
use crate::counters::Counters;
use crate::direct::{self, Asked, DirectReply};
use crate::frame::{Datagram, FrameBuffer};
use crate::limits::{UDP_ANSWER_BYTES_LIMIT, UDP_ANSWER_BYTES_MIN};
use crate::locate;
use crate::name::WireName;
use crate::options::{EdnsConfig, Options, source};
use crate::query::{FLAG_AA, FLAG_CD, FLAG_RA, FLAG_RD, FLAG_TC, HEADER_BYTES, OPCODE_MASK, Query, Refusal};
use crate::rate::{self, Limiter, Response, Ruling};
use crate::recall::{ForeignQuestion, Recall, RecallConfig, Wanted, may_be_for_others, question_bits};
use crate::rtype::{CLASS_IN, rcode, types};
use crate::snapshot::{Candidate, Snapshot};
use crate::verdict::Reason;
use crate::writer::{self, EdnsReply, QNAME_OFFSET, UdpRoom, Writer};

/// What answers are made with.
pub(super) struct Responder {
    /// Most bytes of an answer over UDP; also what OPT records say that we take, over TCP too.
    udp_answer_bytes_max: usize,
    /// Whether answers go over a stream, and are as long as they need to be.
    is_stream: bool,
    /// The type that is shown to nobody, or 0.
    hidden: u16,
    /// Working memory of one answer.
    scratch: Scratch,
    /// The options of one answer.
    options: Options,
    /// The records of class CH.
    chaos: Chaos,
    /// Answers of others.
    recall: Option<Recall>,
    /// Whether the name that others were to be asked for last was that of an alias.
    foreign_by_alias: bool,
}

/// A message that was written over the query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    /// Its length in bytes.
    pub length: usize,
    /// Its response code, the extended bits included.
    pub rcode: u16,
    /// Whether it has the TC bit.
    pub truncated: bool,
    /// The UDP checksum, where it is known already.
    pub checksum: Option<[u8; 2]>,
    /// Where it comes from, or why there is none: the query is as it came then.
    pub origin: Origin,
}

impl Reply {
    /// False where there is none.
    #[inline(always)]
    pub(super) fn is_there(&self) -> bool {
        matches!(self.origin, Origin::Ours | Origin::Cache | Origin::Denied)
    }

    /// Counts it by its origin; gives what else is to be done, where it is none.
    pub(super) fn note_origin(&self, counters: &Counters) -> Result<(), Unsent> {
        match self.origin {
            Origin::Ours => {}
            Origin::Cache => counters.recalled.add(1),
            Origin::Denied => counters.clients_denied.add(1),
            Origin::Dropped => return Err(Unsent::Drop(Reason::ClientDenied)),
            Origin::Forwarder | Origin::ForwarderByAlias => {
                counters.forwarded.add(1);
                return Err(Unsent::Forward);
            }
        }
        Ok(())
    }
}

/// Why a query gets no reply now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unsent {
    /// It is for the forwarder.
    Forward,
    /// It gets none.
    Drop(Reason),
}

impl From<DirectReply> for Reply {
    #[inline]
    fn from(DirectReply { length, rcode, checksum }: DirectReply) -> Self {
        Self { length, rcode, truncated: false, checksum, origin: Origin::Ours }
    }
}

impl Responder {
    /// What answers datagrams.
    pub(super) fn over_udp(
        udp_answer_bytes_max: usize,
        hides_aaaa: bool,
        edns: &EdnsConfig,
        chaos: &ChaosConfig,
        recall: Option<&RecallConfig>,
    ) -> Self {
        Self {
            udp_answer_bytes_max: udp_answer_bytes_max.clamp(UDP_ANSWER_BYTES_MIN, UDP_ANSWER_BYTES_LIMIT),
            is_stream: false,
            hidden: if hides_aaaa { types::AAAA } else { 0 },
            scratch: Scratch::default(),
            options: Options::over_udp(edns),
            chaos: Chaos::new(chaos),
            recall: recall.map(Recall::new),
            foreign_by_alias: false,
        }
    }

    /// What answers messages of a stream.
    pub(super) fn over_tcp(
        udp_answer_bytes_max: usize,
        hides_aaaa: bool,
        edns: &EdnsConfig,
        chaos: &ChaosConfig,
        recall: Option<&RecallConfig>,
    ) -> Self {
        let udp = Self::over_udp(udp_answer_bytes_max, hides_aaaa, edns, chaos, recall);
        Self { is_stream: true, options: Options::over_tcp(edns), ..udp }
    }

    /// Most bytes of an answer over UDP.
    pub(super) fn udp_answer_bytes_max(&self) -> usize {
        self.udp_answer_bytes_max
    }

    /// True where AAAA records are shown to nobody.
    pub(super) fn hides_aaaa(&self) -> bool {
        self.hidden != 0
    }

    /// True where cookies are answered.
    #[inline]
    pub(super) fn has_cookies(&self) -> bool {
        self.options.has_cookies()
    }

    /// True where the time in seconds has to be told.
    pub(super) fn wants_now(&self) -> bool {
        self.has_cookies() || self.recall.is_some()
    }

    /// Answers of others, where they are given.
    #[inline(always)]
    pub(super) fn recall(&self) -> Option<&Recall> {
        self.recall.as_ref()
    }

    /// True where something is to be done for every query, whatever it asks for.
    pub(super) fn concerns_all(&self) -> bool {
        self.options.concerns_all()
    }

    /// Tells the time in seconds since 1970.
    pub(super) fn set_now(&mut self, seconds: u32) {
        self.options.set_now(seconds);
        if let Some(recall) = &mut self.recall {
            recall.set_now(seconds);
        }
    }

    /// Tells for how long idle connections are kept; see [`Options::set_keepalive`].
    pub(super) fn set_keepalive(&mut self, deciseconds: u16) {
        self.options.set_keepalive(deciseconds);
    }

    /// The options that go back with the answer to a query, and what that is where it comes of them.
    pub(super) fn judge(&mut self, query: &Query, client: Client, counters: &Counters) -> (&[u8], Option<Outcome>) {
        if !self.options.concern(query) {
            return (&[], None);
        }
        let instead = self.options.judge(query, Some(client), counters);
        (self.options.bytes(), instead)
    }

    /// Writes the answer over a query that did not come in a frame of ours. The long way gives what the others would.
    pub(super) fn reply_to_message(
        &mut self,
        query: &Query,
        client: Client,
        message: &mut [u8],
        snapshot: &Snapshot,
        counters: &Counters,
    ) -> Reply {
        let (mut instead, mut options_bytes) = (None, 0);
        if self.options.concern(query) {
            instead = self.options.judge(query, Some(client), counters);
            options_bytes = self.options.bytes().len();
        }
        let room = UdpRoom { answer_bytes_max: self.udp_answer_bytes_max, options_bytes };
        let limit = if self.is_stream {
            writer::stream_limit(query, options_bytes, message.len())
        } else {
            writer::udp_limit(query, room, message.len()).0
        };
        let reply = self.respond(query, instead, Some(client), message, limit, snapshot);
        if options_bytes == 0 || !reply.is_there() {
            return reply;
        }
        self.options.append(message, reply.length).map_or(reply, |length| Reply { length, ..reply })
    }

    /// Stage two: writes the answer over the query.
    #[inline]
    pub(super) fn reply<F: FrameBuffer>(
        &mut self,
        query: &Query,
        snapshot: &Snapshot,
        candidate: Option<Candidate<'_>>,
        frame: &mut F,
        datagram: Datagram,
        counters: &Counters,
    ) -> Reply {
        let mut room = UdpRoom { answer_bytes_max: self.udp_answer_bytes_max, options_bytes: 0 };
        let mut instead = None;
        if self.options.concern(query) {
            instead = self.options.judge(query, source(frame.frame(), datagram.packet), counters);
            room.options_bytes = self.options.bytes().len();
        }
        let direct = match instead {
            Some(_) => None,
            None => {
                let asked = Asked { query, snapshot, hidden: self.hidden, flags: self.flags() };
                direct::answer(asked, candidate, frame.room(), datagram, room)
            }
        };
        let reply = match direct {
            Some(reply) => reply.into(),
            None => {
                let client = source(frame.frame(), datagram.packet);
                let message = message_room(frame, datagram);
                let (limit, _) = writer::udp_limit(query, room, message.len());
                self.respond(query, instead, client, message, limit, snapshot)
            }
        };
        if room.options_bytes == 0 || !reply.is_there() {
            return reply;
        }
        match self.options.append(message_room(frame, datagram), reply.length) {
            None => reply,
            Some(length) => Reply { length, checksum: None, ..reply },
        }
    }

    /// The long way. `instead` is what the answer is where it does not come from the zones; records end before `limit`.
    #[inline]
    fn respond(
        &mut self,
        query: &Query,
        instead: Option<Outcome>,
        client: Option<Client>,
        message: &mut [u8],
        limit: usize,
        snapshot: &Snapshot,
    ) -> Reply {
        let edns = query.edns.map(|edns| EdnsReply::to(edns, self.udp_answer_bytes_max));
        let is_for_others = self.keep_for_others(query, message, snapshot);
        let mut writer = Writer::new(message, query, limit);
        let outcome = match (instead, query.edns) {
            (Some(outcome), _) => outcome,
            // RFC 6891 section 6.1.3: a version that is not known is answered with BADVERS, and nothing else.
            (None, Some(edns)) if edns.version != 0 => Outcome::new(rcode::BADVERS, 0),
            _ if query.qclass != CLASS_IN => self.chaos.answer(query, &mut writer),
            _ => {
                // The address is there: it was checked when the packet was found.
                let client = client.unwrap_or(Client::Ipv4([0; 4]));
                let others = self.recall.as_ref().filter(|_| is_for_others);
                match others.filter(|_| locate::zone_of(snapshot, &query.name, query.qtype).is_none()) {
                    Some(recall) => {
                        let (name, name_at) = (&query.name, QNAME_OFFSET);
                        let wanted = Wanted { query, client, hidden: self.hidden, name, name_at };
                        recall.answer(wanted, snapshot, &mut writer)
                    }
                    None => {
                        let scratch = &mut self.scratch;
                        answer::answer(query, client, self.hidden, snapshot, scratch, &mut writer, others)
                    }
                }
            }
        };
        let Outcome { rcode, flags, origin } = outcome;
        let mut reply = Reply { length: 0, rcode, truncated: flags & FLAG_TC != 0, checksum: None, origin };
        if reply.is_there() {
            let offered = if origin == Origin::Denied { 0 } else { self.flags() & FLAG_RA };
            // RFC 1035 section 4.1.1: RD is copied; RFC 4035 section 3.1.6: CD is copied.
            let flags = flags | offered | (query.flags & (FLAG_RD | FLAG_CD));
            reply.length = writer.finish(flags, rcode, edns);
        } else if let Some(recall) = &self.recall {
            recall.restore_tail(query, message);
            self.foreign_by_alias = origin == Origin::ForwarderByAlias;
        }
        reply
    }

    /// True where the answer to a query may depend on names of others. What the query has behind its question is kept then.
    #[inline]
    fn keep_for_others(&mut self, query: &Query, message: &[u8], snapshot: &Snapshot) -> bool {
        self.recall
            .as_mut()
            .is_some_and(|recall| may_be_for_others(query, snapshot) && recall.keep_tail(query, message))
    }

    /// What the answers from zones have set in their headers: RA tells what the server can do, whatever the answer comes from
    /// (RFC 1035 section 4.1.1).
    #[inline(always)]
    fn flags(&self) -> u16 {
        if self.recall.is_some() { FLAG_AA | FLAG_RA } else { FLAG_AA }
    }

    /// Notes that the name that others are to be asked for is the query's own.
    pub(super) fn foreign_by_itself(&mut self) {
        self.foreign_by_alias = false;
    }

    /// What others are to be asked for the sake of a query, which was the last that they were to be asked for.
    pub(super) fn foreign_question(&self, query: &Query, client: IpAddr) -> Option<ForeignQuestion> {
        let name = if self.foreign_by_alias { &self.scratch.name } else { &query.name };
        Some(ForeignQuestion {
            name: WireName::from_wire(name.bytes()).ok()?,
            qtype: query.qtype,
            bits: question_bits(query.flags, query.edns.is_some_and(|edns| edns.dnssec_ok)),
            client,
            is_stream: self.is_stream,
        })
    }
}

/// Writes a bare header with a response code over a message that is not answered from the zones.
pub(super) fn refuse(
    limiter: Option<&mut Limiter>,
    client: rate::Client,
    message: &mut [u8],
    refusal: Refusal,
    counters: &Counters,
) -> Result<Reply, Reason> {
    if let Some(limiter) = limiter
        && !matches!(refusal, Refusal::Drop(_))
        && limiter.rule(client, Response::ERROR) != Ruling::Send
    {
        return Err(Reason::RateLimited);
    }
    let rcode = match refusal {
        Refusal::Drop(reason) => return Err(reason),
        Refusal::Formerr(reason) => {
            counters.count(reason);
            rcode::FORMERR
        }
        Refusal::CookieAlone => {
            counters.count(Reason::QuestionCount);
            rcode::FORMERR
        }
        Refusal::Notimp => rcode::NOTIMP,
    };
    let flags = message.get(2..4).and_then(<[u8]>::first_chunk).map_or(0, |flags| u16::from_be_bytes(*flags));
    let length = writer::refuse(message, flags & (OPCODE_MASK | FLAG_RD | FLAG_CD), rcode);
    debug_assert_eq!(length, HEADER_BYTES);
    Ok(Reply { length, rcode, truncated: false, checksum: None, origin: Origin::Ours })
}

/// The buffer from the start of the DNS message on.
#[inline]
pub(super) fn message_room<F: FrameBuffer>(frame: &mut F, datagram: Datagram) -> &mut [u8] {
    frame.room().get_mut(datagram.message()..).unwrap_or_default()
}
