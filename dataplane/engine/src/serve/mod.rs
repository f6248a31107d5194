//! A burst's way through the engine: every frame comes in once, and leaves with a [`Verdict`].
//!
//! Stage one takes all frames apart, stage two answers them: plain queries by `crate::plain`, all else by `others`. In between
//! the memory is asked for what the lookups will read, so that those of a burst overlap.
//!
//! Messages that the kernel's sockets received are answered one by one, by the same code behind the frames: [`MessageServer`].

mod limited;
mod message;
mod others;
mod recalled;
mod respond;
mod transfer;
mod unknown;

use core::net::IpAddr;

use crate::census::Census;
pub use crate::chaos::ChaosConfig;
use crate::counters::Counters;
use crate::frame::plain::PLAIN_START_TAGGED;
use crate::frame::{FrameBuffer, Station, turn};
use crate::limits::BURST_FRAMES_MAX;
use crate::machine::Machine;
pub use crate::options::EdnsConfig;
use crate::plain::{Ahead, Maker, PlainQuery};
use crate::rate::RateLimit;
use crate::recall::{ForeignQuestion, RecallConfig};
use crate::rtype::rcode;
use crate::snapshot::{Candidate, Lead, Snapshot, Spot};
use crate::verdict::Verdict;
pub use message::{MessageConfig, MessageServer, Transport, Unanswered};
use others::Others;
pub use transfer::TransferStart;

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
    /// True where AAAA records are shown to nobody: as if no name had any.
    pub hides_aaaa: bool,
    /// What is told of the server in class CH.
    pub chaos: ChaosConfig,
    /// What each client may have; nothing: as much as it asks for.
    pub rate_limit: Option<RateLimit>,
    /// How names of others are answered; nothing: they are refused.
    pub recall: Option<RecallConfig>,
}

/// The engine of one worker on one port. Allocates in [`Server::new`] and never again.
pub struct Server {
    /// What the stages are compiled for.
    machine: Machine,
    /// What is taken for ours.
    station: Station,
    /// Whether plain queries go the plain way: not where something is to be done for every query.
    takes_plain: bool,
    /// The plain queries of a burst, each in the place of its frame.
    plains: [PlainQuery; BURST_FRAMES_MAX],
    /// Those of them that the cache may answer, one after the other.
    aheads: [Ahead; BURST_FRAMES_MAX],
    /// Deals with everything else.
    others: Others,
    /// Whether a query of the last burst was found to be for the forwarder without being taken apart.
    forwarded_whole: bool,
    /// The time in seconds since 1970, as it was told last.
    now_seconds: u32,
}

impl Server {
    /// A server for one worker on one port.
    pub fn new(config: &ServerConfig) -> Self {
        let others = Others::new(config);
        Self {
            machine: Machine::here(),
            station: Station::new(config),
            takes_plain: !others.concern_all(),
            plains: core::array::from_fn(|_| PlainQuery::none()),
            aheads: [Ahead::none(); BURST_FRAMES_MAX],
            others,
            forwarded_whole: false,
            now_seconds: 0,
        }
    }

    /// True where the time must be told before every burst.
    #[inline]
    pub fn needs_time(&self) -> bool {
        self.others.limiter.is_some()
    }

    /// Tells the time, in milliseconds since any moment, for the bursts that follow. It never goes back.
    #[inline]
    pub fn set_time(&mut self, milliseconds: u64) {
        if let Some(limiter) = &mut self.others.limiter {
            limiter.set_time(milliseconds);
        }
    }

    /// True where cookies or names of others are answered: [`Server::set_now`] is to be called before every burst then, and
    /// where the counters count queries by name.
    pub fn wants_now(&self) -> bool {
        self.others.responder.wants_now()
    }

    /// Tells the time in seconds since 1970, by which cookies age and queries are noted by name.
    pub fn set_now(&mut self, seconds: u32) {
        self.now_seconds = seconds;
        self.others.responder.set_now(seconds);
    }

    /// Takes a burst of at most [`BURST_FRAMES_MAX`] frames through the engine: `verdicts[i]` is that of `frames[i]`. A
    /// frame to be sent as a reply has been turned round in place. Counts everything but what goes in and out.
    // Not inlined: `make instructions` counts what is done here.
    #[inline(never)]
    pub fn serve_burst<F: FrameBuffer>(
        &mut self,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST_FRAMES_MAX],
        snapshot: &Snapshot,
        counters: &Counters,
    ) {
        let census = counters.census().map(|census| (census, Census::look(frames)));
        if self.others.responder.recall().is_some() {
            self.serve_at::<F, true>(frames, verdicts, snapshot, counters);
        } else {
            self.serve_at::<F, false>(frames, verdicts, snapshot, counters);
        }
        if let Some((census, seen)) = census {
            census.count_burst(frames, verdicts, &seen);
        }
    }

    /// What others are to be asked for a frame that was alone in its burst, and got [`Verdict::Forward`].
    pub fn foreign_question<F: FrameBuffer>(&mut self, frame: &F) -> Option<ForeignQuestion> {
        if self.forwarded_whole {
            self.others.take_foreign(0, &self.station, frame);
        }
        self.others.foreign_question(0, frame.frame())
    }

    /// The same for a port that answers for others or does not.
    #[inline(always)]
    fn serve_at<F: FrameBuffer, const HAS_OTHERS: bool>(
        &mut self,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST_FRAMES_MAX],
        snapshot: &Snapshot,
        counters: &Counters,
    ) {
        const TAGGED: usize = PLAIN_START_TAGGED;
        match (self.station.plain_start(), self.others.responder.hides_aaaa()) {
            (0, false) => self.serve::<F, 0, false, HAS_OTHERS>(frames, verdicts, snapshot, counters),
            (0, true) => self.serve::<F, 0, true, HAS_OTHERS>(frames, verdicts, snapshot, counters),
            (_, false) => self.serve::<F, TAGGED, false, HAS_OTHERS>(frames, verdicts, snapshot, counters),
            (_, true) => self.serve::<F, TAGGED, true, HAS_OTHERS>(frames, verdicts, snapshot, counters),
        }
    }

    /// The same for a port whose plain frames are looked at from a place on, and that hides AAAA records or not. Compiled for
    /// each: 50 instructions a query that are saved where the place is known.
    #[inline(always)]
    fn serve<F: FrameBuffer, const START: usize, const HIDES_AAAA: bool, const HAS_OTHERS: bool>(
        &mut self,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST_FRAMES_MAX],
        snapshot: &Snapshot,
        counters: &Counters,
    ) {
        let machine = self.machine;
        let mut leads = [None; BURST_FRAMES_MAX];
        machine.run(
            #[inline(always)]
            || self.take_all_apart::<F, START>(frames, snapshot, &mut leads),
        );
        let mut candidates = [None; BURST_FRAMES_MAX];
        machine.run(
            #[inline(always)]
            || look_ahead(leads.get(..frames.len()).unwrap_or_default(), &mut candidates),
        );
        let mut for_cache = 0;
        if HAS_OTHERS {
            for_cache = machine.run(
                #[inline(always)]
                || self.look_among_others::<F, START, HIDES_AAAA>(frames, snapshot, &candidates),
            );
        }
        let seen = Seen { candidates: &candidates, for_cache };
        machine.run(
            #[inline(always)]
            || self.answer_all::<F, START, HIDES_AAAA, HAS_OTHERS>(frames, verdicts, snapshot, seen, counters),
        );
        if HAS_OTHERS {
            self.forwarded_whole = false;
            if for_cache != 0 {
                self.answer_for_cache::<F, START, HIDES_AAAA>(frames, verdicts, snapshot, for_cache, counters);
            }
        }
        if let Some(names) = counters.names() {
            names.count_burst(frames, verdicts, self.now_seconds);
        }
    }

    /// Stage one of all frames. Asks the memory for where their names are looked up.
    #[inline(always)]
    fn take_all_apart<'a, F: FrameBuffer, const START: usize>(
        &mut self,
        frames: &mut [F],
        snapshot: &'a Snapshot,
        leads: &mut [Option<Lead<'a>>; BURST_FRAMES_MAX],
    ) {
        for (index, ((frame, plain), lead)) in frames.iter_mut().zip(&mut self.plains).zip(leads).enumerate() {
            let key = if self.takes_plain && take_plain::<F, START>(plain, &self.station, frame, snapshot).is_some() {
                Some(plain.key)
            } else {
                self.others.take_apart(index, &self.station, frame, snapshot)
            };
            *lead = key.and_then(|key| snapshot.lead(key));
        }
    }

    /// Stage two of all frames.
    #[inline(always)]
    fn answer_all<'a, F: FrameBuffer, const START: usize, const HIDES_AAAA: bool, const HAS_OTHERS: bool>(
        &mut self,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST_FRAMES_MAX],
        snapshot: &'a Snapshot,
        seen: Seen<'_, 'a>,
        counters: &Counters,
    ) {
        let udp_answer_bytes_max = self.others.responder.udp_answer_bytes_max();
        let maker = Maker { station: &self.station, snapshot, udp_answer_bytes_max };
        let (mut plain_replies, mut encloser) = (0, None);
        let plains = self.plains.iter().zip(seen.candidates);
        for (index, ((frame, verdict), (plain, candidate))) in frames.iter_mut().zip(verdicts).zip(plains).enumerate() {
            if let Some(candidate) = candidate
                && let Some(length) =
                    plain.answer::<START, HIDES_AAAA, HAS_OTHERS>(maker, *candidate, plain_room::<F, START>(frame))
            {
                send_plain::<F, START>(&self.station, frame, length);
                plain_replies += 1;
                *verdict = Verdict::Reply;
            } else if HAS_OTHERS && seen.for_cache >> index & 1 != 0 {
                // What the cache may answer is in no zone, and comes when the memory has brought it.
            } else if plain.is_some()
                && let Some((length, rcode)) = plain.deny::<START, HIDES_AAAA, HAS_OTHERS>(
                    maker,
                    *candidate,
                    plain_room::<F, START>(frame),
                    &mut encloser,
                )
            {
                send_plain::<F, START>(&self.station, frame, length);
                counters.queries_ipv4.add(1);
                counters.answered(rcode, 1);
                *verdict = Verdict::Reply;
            } else {
                let passed_on = Some(plain).filter(|plain| plain.is_some());
                *verdict = self.others.answer(index, passed_on, *candidate, frame, maker, counters);
            }
        }
        counters.queries_ipv4.add(plain_replies);
        counters.answered(rcode::NOERROR, plain_replies);
    }
}

/// What was found out of a burst between the stages.
#[derive(Clone, Copy)]
struct Seen<'s, 'a> {
    /// Where zones probably have the names.
    candidates: &'s [Option<Candidate<'a>>; BURST_FRAMES_MAX],
    /// Which frames the cache may answer, a bit for each.
    for_cache: u64,
}

/// Between the stages: finds out where the nodes of the names probably are, and asks the memory for them. The loops are short,
/// so that the core has many lookups in its window: also where it must walk through page tables first.
#[inline(always)]
fn look_ahead<'a>(leads: &[Option<Lead<'a>>], candidates: &mut [Option<Candidate<'a>>; BURST_FRAMES_MAX]) {
    let mut spots = [None; BURST_FRAMES_MAX];
    for (lead, spot) in leads.iter().zip(&mut spots) {
        *spot = lead.and_then(Lead::spot);
    }
    for (spot, candidate) in spots.get(..leads.len()).unwrap_or_default().iter().zip(candidates) {
        *candidate = spot.and_then(Spot::candidate);
    }
}

/// Stage one of a plain query.
#[inline(always)]
fn take_plain<F: FrameBuffer, const START: usize>(
    plain: &mut PlainQuery,
    station: &Station,
    frame: &mut F,
    snapshot: &Snapshot,
) -> Option<()> {
    if !frame.is_whole() {
        plain.clear();
        return None;
    }
    let length = frame.frame().len().saturating_sub(START);
    plain.take::<START>(station, frame.room(), length, snapshot.seed())
}

/// A buffer from where plain frames are looked at.
#[inline(always)]
fn plain_room<F: FrameBuffer, const START: usize>(frame: &mut F) -> &mut [u8] {
    if START == 0 { frame.room() } else { frame.room().get_mut(START..).unwrap_or_default() }
}

/// Sends a plain reply of so many bytes from there on.
#[inline(always)]
fn send_plain<F: FrameBuffer, const START: usize>(station: &Station, frame: &mut F, length: usize) {
    if START != 0 {
        turn::ethernet(frame.room(), station.mac);
    }
    frame.set_len(START + length);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::WireName;
    use crate::rtype::types;
    use crate::snapshot::edit::{Editor, RrsetSpec};
    use crate::testing::{TestFrame, UdpFrame, query, query_edns, server_config};
    use crate::verdict::Reason;

    /// A zone with names of all lengths that go the plain way, and some that do not.
    fn snapshot() -> Snapshot {
        let apex: WireName = "z.".parse().unwrap();
        let mut editor = Editor::new(&Snapshot::empty());
        editor.add_zone(&apex);
        let soa = b"\x01a\0\x01b\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05".to_vec();
        let put = |editor: &mut Editor, owner: &WireName, rtype, rdata: Vec<u8>| {
            let spec = RrsetSpec { rtype, ttl: 60, rdatas: vec![rdata], ..RrsetSpec::default() };
            editor.put_rrset(&apex, owner, &spec).unwrap();
        };
        put(&mut editor, &apex, types::SOA, soa);
        for length in 1..=63u8 {
            put(&mut editor, &owner(length).parse().unwrap(), types::A, vec![192, 0, 2, length]);
        }
        editor.set_complete(true);
        editor.commit()
    }

    /// The owner whose first label has so many bytes.
    fn owner(length: u8) -> String {
        format!("{}.z.", "n".repeat(usize::from(length)))
    }

    /// The replies of a server that takes its stages as they are compiled for a machine.
    fn replies(machine: Machine, snapshot: &Snapshot) -> Vec<Vec<u8>> {
        let mut server = Server::new(&server_config());
        server.machine = machine;
        let (path, counters) = (UdpFrame::ipv4(), Counters::default());
        let mut replies = Vec::new();
        for length in 1..=63 {
            let (hit, miss) = (owner(length).to_uppercase(), format!("x{}", owner(length.min(62))));
            let messages = [
                query(&hit, types::A),
                query_edns(&hit, types::A, 1232, true),
                query(&hit, 28),
                query(&miss, types::A),
            ];
            let mut frames = messages.map(|message| TestFrame::new(&path.build(&message)));
            let mut verdicts = [Verdict::Drop(Reason::FrameShort); BURST_FRAMES_MAX];
            server.serve_burst(&mut frames, &mut verdicts, snapshot, &counters);
            assert!(verdicts.iter().take(frames.len()).all(|verdict| *verdict == Verdict::Reply));
            let [answered, ..] = &frames;
            assert!(answered.frame().ends_with(&[192, 0, 2, length]), "{hit}");
            replies.extend(frames.iter().map(|frame| frame.frame().to_vec()));
        }
        replies
    }

    #[test]
    fn every_machine_gives_the_same_bytes() {
        let snapshot = snapshot();
        assert_eq!(replies(Machine::any(), &snapshot), replies(Machine::here(), &snapshot));
    }
}
