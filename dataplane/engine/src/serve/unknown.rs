//! Plain queries for names that no zone has and of which the cache knows nothing: names below a zone that do not exist, and
//! those that others are to be asked for.

use super::{Server, plain_room, send_plain};
use crate::counters::Counters;
use crate::frame::FrameBuffer;
use crate::limits::BURST_FRAMES_MAX;
use crate::plain::Maker;
use crate::snapshot::Snapshot;
use crate::verdict::Verdict;

impl Server {
    /// Stage two of those of the first `count` that the cache might have had, and which are not answered.
    #[inline(always)]
    pub(super) fn answer_unknown<F: FrameBuffer, const START: usize, const HIDES_AAAA: bool>(
        &mut self,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST_FRAMES_MAX],
        snapshot: &Snapshot,
        (count, answered): (usize, u64),
        counters: &Counters,
    ) {
        let udp_answer_bytes_max = self.others.responder.udp_answer_bytes_max();
        let maker = Maker { station: &self.station, snapshot, udp_answer_bytes_max };
        let (mut forwarded, mut encloser) = (0, None);
        for ahead in self.aheads.iter().take(count) {
            let index = ahead.index();
            let (Some(plain), Some(frame), Some(verdict)) =
                (self.plains.get(index), frames.get_mut(index), verdicts.get_mut(index))
            else {
                return;
            };
            if answered >> index & 1 != 0 {
                continue;
            }
            let room = plain_room::<F, START>(frame);
            *verdict = if let Some((length, rcode)) =
                plain.deny::<START, HIDES_AAAA, true>(maker, None, room, &mut encloser)
            {
                send_plain::<F, START>(&self.station, frame, length);
                counters.queries_ipv4.add(1);
                counters.answered(rcode, 1);
                Verdict::Reply
            } else if let Some(recall) = self.others.responder.recall()
                && plain.is_for_forwarder(snapshot, recall, ahead, room)
            {
                forwarded += 1;
                Verdict::Forward
            } else {
                self.others.answer(index, Some(plain), None, frame, maker, counters)
            };
        }
        counters.forwarded.add(forwarded);
        self.forwarded_whole = forwarded != 0;
    }
}
