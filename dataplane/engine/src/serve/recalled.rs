//! The stages of plain queries for names of others, which the cache may answer.

use super::{Server, plain_room, send_plain};
use crate::counters::Counters;
use crate::frame::FrameBuffer;
use crate::limits::BURST_FRAMES_MAX;
use crate::plain::Maker;
use crate::rtype::rcode;
use crate::snapshot::{Candidate, Snapshot};
use crate::verdict::Verdict;

impl Server {
    /// Between the stages, for names that no zone has: asks the memory for where the cache would have them. That is so large that it
    /// takes as long as some of the burst's answers from zones, which are made meanwhile. Returns which frames the cache may
    /// answer, a bit for each.
    #[inline(always)]
    pub(super) fn look_among_others<F: FrameBuffer, const START: usize, const HIDES_AAAA: bool>(
        &mut self,
        frames: &mut [F],
        snapshot: &Snapshot,
        candidates: &[Option<Candidate<'_>>; BURST_FRAMES_MAX],
    ) -> u64 {
        // While zones are loading the general way knows which names may yet come.
        let Some(recall) = self.others.responder.recall().filter(|_| snapshot.is_complete()) else { return 0 };
        let mut for_cache = 0u64;
        let mut aheads = self.aheads.iter_mut();
        for (((plain, candidate), frame), index) in self.plains.iter().zip(candidates).zip(frames).zip(0..) {
            if candidate.is_none()
                && plain.is_some()
                && let Some(sought) = plain.sought::<HIDES_AAAA>(recall, plain_room::<F, START>(frame))
                && let Some(ahead) = aheads.next()
            {
                ahead.begin(sought, index);
                for_cache |= 1 << index;
            }
        }
        for_cache
    }

    /// Stage two of those that the cache may answer, by their bits. A short loop first, as [`look_ahead`](super::look_ahead): it
    /// finds out where the cache probably has them.
    #[inline(always)]
    pub(super) fn answer_for_cache<F: FrameBuffer, const START: usize, const HIDES_AAAA: bool>(
        &mut self,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST_FRAMES_MAX],
        snapshot: &Snapshot,
        for_cache: u64,
        counters: &Counters,
    ) {
        let (machine, count) = (self.machine, for_cache.count_ones() as usize);
        let may_answer = machine.run(
            #[inline(always)]
            || self.look_for_entries(count),
        );
        // Beside answers from zones there are mostly none or one of these, and the stages of the cache cost what they do.
        let answered =
            if may_answer { self.recall_all::<F, START>(frames, verdicts, snapshot, count, counters) } else { 0 };
        if answered != for_cache {
            let seen = (count, answered);
            machine.run(
                #[inline(always)]
                || self.answer_unknown::<F, START, HIDES_AAAA>(frames, verdicts, snapshot, seen, counters),
            );
        }
    }

    /// Finds out in a short loop, as [`look_ahead`](super::look_ahead) does, where the cache has the first `count` that it may
    /// answer. False where it has none of them.
    #[inline(always)]
    fn look_for_entries(&mut self, count: usize) -> bool {
        let Some(recall) = self.others.responder.recall() else { return false };
        let mut may_answer = false;
        for ahead in self.aheads.get_mut(..count).unwrap_or_default() {
            may_answer |= ahead.look(recall);
        }
        may_answer
    }

    /// Stage two of the first `count` that the cache may have. Returns which frames are answered, a bit for each.
    // Stages of their own: zones need the registers, and so do answers of one address.
    #[inline(always)]
    fn recall_all<F: FrameBuffer, const START: usize>(
        &self,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST_FRAMES_MAX],
        snapshot: &Snapshot,
        count: usize,
        counters: &Counters,
    ) -> u64 {
        let mut answered = self.machine.run(
            #[inline(always)]
            || self.recall_addresses::<F, START, false>(frames, verdicts, snapshot, count),
        );
        let is_done = |answered: u64| answered.count_ones() as usize == count;
        if !is_done(answered) {
            answered |= self.machine.run(
                #[inline(always)]
                || self.recall_addresses::<F, START, true>(frames, verdicts, snapshot, count),
            );
        }
        counters.answered(rcode::NOERROR, u64::from(answered.count_ones()));
        if !is_done(answered) {
            let seen = (count, answered);
            answered = self.machine.run(
                #[inline(always)]
                || self.recall_others::<F, START>(frames, verdicts, snapshot, seen, counters),
            );
        }
        counters.queries_ipv4.add(u64::from(answered.count_ones()));
        if self.others.responder.recall().is_some_and(|recall| !recall.is_handover()) {
            counters.recalled.add(u64::from(answered.count_ones()));
        }
        answered
    }

    /// The same for those that have one address of a sort, which are NOERROR.
    #[inline(always)]
    fn recall_addresses<F: FrameBuffer, const START: usize, const IPV6: bool>(
        &self,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST_FRAMES_MAX],
        snapshot: &Snapshot,
        count: usize,
    ) -> u64 {
        let Some(recall) = self.others.responder.recall() else { return 0 };
        let maker = self.maker(snapshot);
        let mut answered = 0;
        for ahead in self.aheads.get(..count).unwrap_or_default() {
            let index = ahead.index();
            if let Some(frame) = frames.get_mut(index)
                && let Some(plain) = self.plains.get(index)
                && let Some(length) =
                    plain.recall_address::<START, IPV6>(maker, recall, ahead, plain_room::<F, START>(frame))
                && let Some(verdict) = verdicts.get_mut(index)
            {
                send_plain::<F, START>(&self.station, frame, length);
                *verdict = Verdict::Reply;
                answered |= 1 << index;
            }
        }
        answered
    }

    /// The same for those of any sort.
    #[inline(always)]
    fn recall_others<F: FrameBuffer, const START: usize>(
        &self,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST_FRAMES_MAX],
        snapshot: &Snapshot,
        (count, mut answered): (usize, u64),
        counters: &Counters,
    ) -> u64 {
        let Some(recall) = self.others.responder.recall() else { return answered };
        let maker = self.maker(snapshot);
        for ahead in self.aheads.get(..count).unwrap_or_default() {
            let index = ahead.index();
            if answered >> index & 1 == 0
                && let Some(frame) = frames.get_mut(index)
                && let Some(plain) = self.plains.get(index)
                && let Some((length, rcode)) =
                    plain.recall::<START>(maker, recall, ahead, plain_room::<F, START>(frame))
                && let Some(verdict) = verdicts.get_mut(index)
            {
                send_plain::<F, START>(&self.station, frame, length);
                *verdict = Verdict::Reply;
                answered |= 1 << index;
                counters.answered(rcode, 1);
            }
        }
        answered
    }

    /// What replies are made with.
    #[inline(always)]
    fn maker<'a>(&'a self, snapshot: &'a Snapshot) -> Maker<'a> {
        let udp_answer_bytes_max = self.others.responder.udp_answer_bytes_max();
        Maker { station: &self.station, snapshot, udp_answer_bytes_max }
    }
}
