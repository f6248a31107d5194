//! What is done with frames that are not answered the plain way.

use core::net::IpAddr;

use super::ServerConfig;
use super::limited::{Asked, admit_local, limit};
use super::respond::{Reply, Responder, Unsent, message_room, refuse};
use crate::cookie::Client;
use crate::counters::Counters;
use crate::frame::{Datagram, Frame, FrameBuffer, Request, Station, local, turn};
use crate::limits::BURST_FRAMES_MAX;
use crate::options::source;
use crate::plain::{Maker, PlainQuery};
use crate::query::{Query, Refusal};
use crate::rate::Limiter;
use crate::recall::ForeignQuestion;
use crate::snapshot::{Candidate, Snapshot};
use crate::verdict::{Reason, Verdict};

/// Deals with all frames but those that are answered the plain way.
pub(super) struct Others {
    /// One for each frame of a burst.
    slots: Box<[Slot]>,
    /// Answers the queries among them.
    pub responder: Responder,
    /// Counts what each client has had.
    pub limiter: Option<Box<Limiter>>,
}

/// A frame between the stages.
struct Slot {
    /// What it is.
    stage: Stage,
    /// The query in it, where it is one.
    query: Query,
}

/// What stage one found.
#[derive(Clone, Copy)]
pub(super) enum Stage {
    /// Not taken.
    Decided(Verdict),
    /// A query.
    Query(Datagram),
    /// A message that is refused.
    Refused(Datagram, Refusal),
    /// A request of another protocol.
    Local(Request),
}

impl Others {
    /// For one worker on one port.
    pub(super) fn new(config: &ServerConfig) -> Self {
        let slot = || Slot { stage: Stage::Decided(Verdict::Drop(Reason::FrameShort)), query: Query::default() };
        Self {
            slots: (0..BURST_FRAMES_MAX).map(|_| slot()).collect(),
            responder: Responder::over_udp(
                config.udp_answer_bytes_max,
                config.hides_aaaa,
                &config.edns,
                &config.chaos,
                config.recall.as_ref(),
            ),
            limiter: config.rate_limit.as_ref().and_then(Limiter::new).map(Box::from),
        }
    }

    /// True where something is to be done for every query, plain ones included.
    pub(super) fn concern_all(&self) -> bool {
        self.limiter.is_some() || self.responder.concerns_all()
    }

    /// Stage one of the frame at `index` of its burst; returns the key of the name that is asked for.
    #[inline(never)]
    pub(super) fn take_apart<F: FrameBuffer>(
        &mut self,
        index: usize,
        station: &Station,
        frame: &F,
        snapshot: &Snapshot,
    ) -> Option<u64> {
        let slot = self.slots.get_mut(index)?;
        let limiter = self.limiter.as_deref_mut();
        slot.stage = take_apart(station, limiter, frame, &mut slot.query, self.responder.has_cookies());
        slot.key(snapshot)
    }

    /// Stage two: `passed_on` is what the plain way took for a plain query and did not answer.
    #[inline(never)]
    pub(super) fn answer<'a, F: FrameBuffer>(
        &mut self,
        index: usize,
        passed_on: Option<&PlainQuery>,
        mut candidate: Option<Candidate<'a>>,
        frame: &mut F,
        Maker { station, snapshot, .. }: Maker<'a>,
        counters: &Counters,
    ) -> Verdict {
        let Some(slot) = self.slots.get_mut(index) else { return Verdict::Drop(Reason::FrameShort) };
        if let Some(plain) = passed_on {
            slot.stage = take_apart(station, None, frame, &mut slot.query, self.responder.has_cookies());
            // Seldom: what was taken for a plain query was another one.
            if !plain.has_name_of(slot.query.name.bytes().len()) {
                candidate = slot.key(snapshot).and_then(|key| snapshot.candidate(key));
            }
        }
        let verdict = match slot.stage {
            Stage::Decided(verdict) => verdict,
            Stage::Query(datagram) => 'query: {
                let mut reply = self.responder.reply(&slot.query, snapshot, candidate, frame, datagram, counters);
                match reply.note_origin(counters) {
                    Ok(()) => {}
                    Err(Unsent::Forward) => break 'query Verdict::Forward,
                    Err(Unsent::Drop(reason)) => break 'query Verdict::Drop(reason),
                }
                if let Some(limiter) = self.limiter.as_deref_mut() {
                    let client = datagram.packet.client(frame.frame());
                    let asked = Asked { query: &slot.query, client, udp_max: self.responder.udp_answer_bytes_max() };
                    match limit(limiter, message_room(frame, datagram), &asked, reply, snapshot, counters) {
                        Ok(allowed) => reply = allowed,
                        Err(reason) => break 'query Verdict::Drop(reason),
                    }
                }
                counters.truncated.add(u64::from(reply.truncated));
                send(station, frame, datagram, reply, counters)
            }
            Stage::Refused(datagram, refusal) => {
                let client = datagram.packet.client(frame.frame());
                match refuse(self.limiter.as_deref_mut(), client, message_room(frame, datagram), refusal, counters) {
                    Ok(reply) => send(station, frame, datagram, reply, counters),
                    Err(reason) => Verdict::Drop(reason),
                }
            }
            Stage::Local(request) => reply_locally(station, frame, request, counters),
        };
        if let Verdict::Drop(reason) | Verdict::Punt(reason) = verdict {
            counters.count(reason);
        }
        verdict
    }
}

impl Others {
    /// Takes apart the query at `index`, which was found to be for the forwarder by its own name.
    pub(super) fn take_foreign<F: FrameBuffer>(&mut self, index: usize, station: &Station, frame: &F) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.stage = take_apart(station, None, frame, &mut slot.query, self.responder.has_cookies());
        self.responder.foreign_by_itself();
    }

    /// What others are to be asked for the frame at `index`, which was the last of its burst to be for the forwarder.
    pub(super) fn foreign_question(&self, index: usize, frame: &[u8]) -> Option<ForeignQuestion> {
        let slot = self.slots.get(index)?;
        let Stage::Query(datagram) = slot.stage else { return None };
        let client = match source(frame, datagram.packet)? {
            Client::Ipv4(client) => IpAddr::from(client),
            Client::Ipv6(client) => IpAddr::from(client),
        };
        self.responder.foreign_question(&slot.query, client)
    }
}

impl Slot {
    /// The key of the name asked for.
    #[inline]
    fn key(&self, snapshot: &Snapshot) -> Option<u64> {
        let name = &self.query.name;
        matches!(self.stage, Stage::Query(_)).then(|| name.key(name.depth(), snapshot.seed()))
    }
}

/// Finds out what a frame is, and takes the query in it apart.
#[inline]
fn take_apart<F: FrameBuffer>(
    station: &Station,
    limiter: Option<&mut Limiter>,
    frame: &F,
    query: &mut Query,
    has_cookies: bool,
) -> Stage {
    if !frame.is_whole() {
        return Stage::Decided(Verdict::Drop(Reason::FrameScattered));
    }
    let bytes = frame.frame();
    let datagram = match station.classify_plain(bytes) {
        Some(datagram) => datagram,
        None => match station.classify(bytes) {
            Ok(Frame::Dns(datagram)) => datagram,
            Ok(Frame::Local(request)) => return admit_local(limiter, bytes, request),
            Err(verdict) => return Stage::Decided(verdict),
        },
    };
    if let Some(limiter) = limiter
        && !limiter.admits(datagram.packet.client(bytes))
    {
        return Stage::Decided(Verdict::Drop(Reason::PacketLimited));
    }
    let message = bytes.get(datagram.message()..datagram.end).unwrap_or_default();
    match query.parse(message) {
        Ok(()) => Stage::Query(datagram),
        Err(Refusal::CookieAlone) if has_cookies => Stage::Query(datagram),
        Err(refusal) => Stage::Refused(datagram, refusal),
    }
}

/// Turns the frame of a reply round and counts it.
#[inline]
fn send<F: FrameBuffer>(
    station: &Station,
    frame: &mut F,
    datagram: Datagram,
    reply: Reply,
    counters: &Counters,
) -> Verdict {
    let end = datagram.message() + reply.length;
    turn::datagram(frame.room(), station.mac, datagram, end, reply.checksum);
    frame.set_len(end);
    let family = if datagram.packet.is_ipv6 { &counters.queries_ipv6 } else { &counters.queries_ipv4 };
    family.add(1);
    counters.answered(reply.rcode, 1);
    Verdict::Reply
}

/// Answers a request of another protocol.
fn reply_locally<F: FrameBuffer>(station: &Station, frame: &mut F, request: Request, counters: &Counters) -> Verdict {
    let length = frame.frame().len();
    let room = frame.room();
    let (length, counter) = match request {
        Request::Arp { start } => (local::arp(room, station.mac, start).map(|()| length), &counters.arp_replies),
        Request::Neighbour(packet) => (local::neighbour(room, station.mac, packet), &counters.neighbour_replies),
        Request::Echo(packet) => (local::echo(room, station.mac, packet), &counters.echo_replies),
    };
    let Some(length) = length else {
        return Verdict::Drop(Reason::ReplyRoom);
    };
    frame.set_len(length);
    counter.add(1);
    Verdict::Reply
}
