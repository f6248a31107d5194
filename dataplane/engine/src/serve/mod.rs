//! A burst's way through the engine: every frame comes in once, and leaves with a [`Verdict`].
//!
//! Stage one takes all frames apart, stage two answers them (`respond`, and `limited` where clients are limited). In between
//! the memory is asked for what the lookups will read, so that those of a burst overlap.

mod limited;
mod respond;

use core::net::IpAddr;

pub use crate::chaos::ChaosConfig;
use crate::counters::Counters;
use crate::frame::{Datagram, Frame, FrameBuffer, Request, Station, local, turn};
use crate::limits::BURST_FRAMES_MAX;
use crate::machine::Machine;
pub use crate::options::EdnsConfig;
use crate::plain::PlainQuery;
use crate::query::{Query, Refusal};
use crate::rate::{Limiter, RateLimit};
use crate::rtype::rcode;
use crate::snapshot::{Candidate, Snapshot, Spot};
use crate::verdict::{Reason, Verdict};
use limited::{Asked, admit_local, limit};
use respond::{Reply, Responder, refuse};

/// What a port serves.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The port's MAC address: frames to others are dropped, replies come from it.
    pub mac: [u8; 6],
    /// The addresses that queries are answered on.
    pub addresses: Vec<IpAddr>,
    /// The UDP port that queries are answered on.
    pub dns_port: u16,
    /// Most bytes of an answer over UDP, if the client takes as many: 512 to 4096.
    pub udp_answer_bytes_max: usize,
    /// True where no kernel does it: ARP, neighbour discovery and echo requests are answered here.
    pub answer_local: bool,
    /// The VLAN of the port's frames; nothing: frames without a tag.
    pub vlan: Option<u16>,
    /// The options of queries that are answered.
    pub edns: EdnsConfig,
    /// What is told of the server in class CH.
    pub chaos: ChaosConfig,
    /// What each client may have; nothing: as much as it asks for.
    pub rate_limit: Option<RateLimit>,
}

/// The engine of one worker on one port. Allocates in [`Server::new`] and never again.
pub struct Server {
    /// What the stages are compiled for.
    machine: Machine,
    /// What is taken for ours.
    station: Station,
    /// The plain queries of a burst, each in the place of its frame.
    plains: [PlainQuery; BURST_FRAMES_MAX],
    /// All else of a burst.
    slots: Box<[Slot]>,
    /// Answers the queries among them.
    responder: Responder,
    /// Counts what each client has had.
    limiter: Option<Box<Limiter>>,
    /// Whether plain queries go the plain way: not where something is to be done for every query.
    takes_plain: bool,
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
enum Stage {
    /// Not taken.
    Decided(Verdict),
    /// A query.
    Query(Datagram),
    /// A message that is refused.
    Refused(Datagram, Refusal),
    /// A request of another protocol.
    Local(Request),
}

impl Server {
    /// A server for one worker on one port.
    pub fn new(config: &ServerConfig) -> Self {
        let slot = || Slot { stage: Stage::Decided(Verdict::Drop(Reason::FrameShort)), query: Query::default() };
        let responder = Responder::new(config);
        let limiter = config.rate_limit.as_ref().and_then(Limiter::new).map(Box::from);
        Self {
            machine: Machine::here(),
            station: Station::new(config),
            slots: (0..BURST_FRAMES_MAX).map(|_| slot()).collect(),
            plains: core::array::from_fn(|_| PlainQuery::none()),
            takes_plain: config.vlan.is_none() && limiter.is_none() && !responder.concerns_all(),
            responder,
            limiter,
        }
    }

    /// True where the time must be told before every burst.
    #[inline]
    pub fn needs_time(&self) -> bool {
        self.limiter.is_some()
    }

    /// Tells the time, in milliseconds since any moment, for the bursts that follow. It never goes back.
    #[inline]
    pub fn set_time(&mut self, milliseconds: u64) {
        if let Some(limiter) = &mut self.limiter {
            limiter.set_time(milliseconds);
        }
    }

    /// True where cookies are answered: [`Server::set_now`] is to be called before every burst then.
    pub fn wants_now(&self) -> bool {
        self.responder.has_cookies()
    }

    /// Tells the time in seconds since 1970, by which cookies age.
    pub fn set_now(&mut self, seconds: u32) {
        self.responder.set_now(seconds);
    }

    /// Takes a burst of at most [`BURST_FRAMES_MAX`] frames through the engine: `verdicts[i]` is that of `frames[i]`. A
    /// frame to be sent as a reply has been turned round in place. Counts everything but what goes in and out.
    #[inline]
    pub fn serve_burst<F: FrameBuffer>(
        &mut self,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST_FRAMES_MAX],
        snapshot: &Snapshot,
        counters: &Counters,
    ) {
        let machine = self.machine;
        let mut spots = [None; BURST_FRAMES_MAX];
        machine.run(
            #[inline(always)]
            || self.take_all_apart(frames, snapshot, &mut spots),
        );
        let mut candidates = [None; BURST_FRAMES_MAX];
        machine.run(
            #[inline(always)]
            || look_ahead(&spots, &mut candidates, frames.len()),
        );
        machine.run(
            #[inline(always)]
            || self.answer_all(frames, verdicts, snapshot, &candidates, counters),
        );
    }

    /// Stage one of all frames. Asks the memory for where their names are looked up.
    #[inline(always)]
    fn take_all_apart<'a, F: FrameBuffer>(
        &mut self,
        frames: &mut [F],
        snapshot: &'a Snapshot,
        spots: &mut [Option<Spot<'a>>; BURST_FRAMES_MAX],
    ) {
        let plains = self.plains.iter_mut().zip(&mut self.slots);
        for ((frame, (plain, slot)), spot) in frames.iter_mut().zip(plains).zip(spots) {
            let key = if self.takes_plain && take_plain(plain, &self.station, frame, snapshot).is_some() {
                Some(plain.key)
            } else {
                let limiter = self.limiter.as_deref_mut();
                slot.stage = take_apart(&self.station, limiter, frame, &mut slot.query, self.responder.has_cookies());
                slot.key(snapshot)
            };
            *spot = key.and_then(|key| snapshot.spot(key));
        }
    }

    /// Stage two of all frames.
    #[inline(always)]
    fn answer_all<'a, F: FrameBuffer>(
        &mut self,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST_FRAMES_MAX],
        snapshot: &'a Snapshot,
        candidates: &[Option<Candidate<'a>>; BURST_FRAMES_MAX],
        counters: &Counters,
    ) {
        let udp_max = self.responder.udp_answer_bytes_max();
        let mut plain_replies = 0;
        for (index, ((frame, verdict), candidate)) in frames.iter_mut().zip(verdicts).zip(candidates).enumerate() {
            if let Some(candidate) = candidate
                && let Some(plain) = self.plains.get(index)
                && let Some(length) = plain.answer(&self.station, snapshot, *candidate, frame.room(), udp_max)
            {
                frame.set_len(length);
                plain_replies += 1;
                *verdict = Verdict::Reply;
            } else {
                *verdict = self.answer_other(index, *candidate, frame, snapshot, counters);
            }
        }
        counters.queries_ipv4.add(plain_replies);
        counters.answered(rcode::NOERROR, plain_replies);
    }

    /// Stage two of everything else.
    // Not inlined: the plain way would not get registers enough.
    #[inline(never)]
    fn answer_other<'a, F: FrameBuffer>(
        &mut self,
        index: usize,
        mut candidate: Option<Candidate<'a>>,
        frame: &mut F,
        snapshot: &'a Snapshot,
        counters: &Counters,
    ) -> Verdict {
        let Some(slot) = self.slots.get_mut(index) else { return Verdict::Drop(Reason::FrameShort) };
        if let Some(plain) = self.plains.get(index).filter(|plain| plain.is_some()) {
            slot.stage = take_apart(&self.station, None, frame, &mut slot.query, self.responder.has_cookies());
            // Seldom: what was taken for a plain query was another one.
            if !plain.has_name_of(slot.query.name.bytes().len()) {
                candidate = slot.key(snapshot).and_then(|key| snapshot.spot(key)?.candidate());
            }
        }
        let verdict = match slot.stage {
            Stage::Decided(verdict) => verdict,
            Stage::Query(datagram) => 'query: {
                let mut reply = self.responder.reply(&slot.query, snapshot, candidate, frame, datagram, counters);
                if let Some(limiter) = self.limiter.as_deref_mut() {
                    let asked = Asked { query: &slot.query, datagram, udp_max: self.responder.udp_answer_bytes_max() };
                    match limit(limiter, frame, &asked, reply, snapshot, counters) {
                        Ok(allowed) => reply = allowed,
                        Err(reason) => break 'query Verdict::Drop(reason),
                    }
                }
                counters.truncated.add(u64::from(reply.truncated));
                send(&self.station, frame, datagram, reply, counters)
            }
            Stage::Refused(datagram, refusal) => {
                match refuse(self.limiter.as_deref_mut(), frame, datagram, refusal, counters) {
                    Ok(reply) => send(&self.station, frame, datagram, reply, counters),
                    Err(reason) => Verdict::Drop(reason),
                }
            }
            Stage::Local(request) => reply_locally(&self.station, frame, request, counters),
        };
        if let Verdict::Drop(reason) | Verdict::Punt(reason) = verdict {
            counters.count(reason);
        }
        verdict
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

/// Between the stages: finds out where the nodes of the names probably are, and asks the memory for them.
#[inline(always)]
fn look_ahead<'a>(
    spots: &[Option<Spot<'a>>; BURST_FRAMES_MAX],
    candidates: &mut [Option<Candidate<'a>>; BURST_FRAMES_MAX],
    frames: usize,
) {
    for (spot, candidate) in spots.get(..frames).unwrap_or_default().iter().zip(candidates) {
        *candidate = spot.and_then(Spot::candidate);
    }
}

/// Stage one of a plain query.
#[inline(always)]
fn take_plain<F: FrameBuffer>(
    plain: &mut PlainQuery,
    station: &Station,
    frame: &mut F,
    snapshot: &Snapshot,
) -> Option<()> {
    if !frame.is_whole() {
        plain.clear();
        return None;
    }
    let length = frame.frame().len();
    plain.take(station, frame.room(), length, snapshot.seed())
}

/// Stage one of everything else: finds out what a frame is, and takes the query in it apart.
#[inline(never)]
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
        && !limiter.admits_packet(bytes, datagram.packet)
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
