//! The way to the forwarder: queries for names of others, of which the cache knows nothing, leave the worker, and their
//! answers come back to it.
//!
//! ```text
//!            workers             one thread, on the others' cores
//! wire -> rx -> forwards -> [ up ]   -> who waits for what -> whoever asks others
//! wire <- tx <------------- [ down ] <- served once more   <- what came of it
//! ```
//!
//! A worker does no more for such a query than to copy its frame into a bounded ring: its own buffer is free at once, however
//! long others take. What finds no room is counted and dropped: the client asks again, and zones and the cache are answered as
//! fast as ever. The thread keeps the query, has others asked, and serves the query once more when there is an answer, by the
//! code that serves all queries. On the way down a worker sends some frames a poll, after the replies of that poll.
//!
//! 1. [`lane`]: the worker's end. 2. [`path`]: the other end, and the thread. 3. `waiting`: who waits for what.

pub mod lane;
mod parcel;
pub mod path;
mod waiting;

use std::sync::{Arc, OnceLock};

use crossbeam_queue::ArrayQueue;

pub use lane::ForwardLane;
pub use path::{ForwardCounters, ForwardOptions, ForwardPath, ForwardPort, server_config};

use crate::limits::{FORWARD_DOWN_FRAMES, FORWARD_UP_BYTES, FORWARD_UP_FRAMES};
use crate::sleep::Waker;
use parcel::{ANSWER_FRAME_BYTES, Parcel};

/// What lies between a worker's queue pair and the thread. Allocates nothing once made: parcels go round.
#[derive(Debug)]
struct Rings {
    /// Queries, to the thread.
    up: Filled,
    /// Answers, to the worker.
    down: Filled,
    /// Wakes the worker, once there is one, where answers find it asleep.
    worker: OnceLock<Waker>,
    /// Wakes the thread, once there is one, where queries find it asleep.
    thread: OnceLock<Waker>,
}

impl Rings {
    /// Empty rings.
    fn new() -> Arc<Self> {
        Arc::new(Self {
            up: Filled::new(FORWARD_UP_FRAMES, FORWARD_UP_BYTES),
            down: Filled::new(FORWARD_DOWN_FRAMES, ANSWER_FRAME_BYTES),
            worker: OnceLock::new(),
            thread: OnceLock::new(),
        })
    }
}

/// A ring of frames, and the parcels that hold none.
#[derive(Debug)]
struct Filled {
    /// With a frame.
    frames: ArrayQueue<Parcel>,
    /// Without.
    spare: ArrayQueue<Parcel>,
}

impl Filled {
    /// So many parcels of so many bytes.
    fn new(parcels: usize, bytes: usize) -> Self {
        let spare = ArrayQueue::new(parcels);
        for _ in 0..parcels {
            // There are exactly as many places as parcels.
            let _ = spare.push(Parcel::new(bytes));
        }
        Self { frames: ArrayQueue::new(parcels), spare }
    }

    /// Copies a frame into the ring; false where there is no room, or the frame is too long.
    #[inline]
    fn put(&self, frame: &[u8]) -> bool {
        let Some(mut parcel) = self.spare.pop() else { return false };
        let is_whole = parcel.fill(frame);
        let ring = if is_whole { &self.frames } else { &self.spare };
        // There is a place for every parcel in either.
        let _ = ring.push(parcel);
        is_whole
    }

    /// Takes the next frame, as long as `look` needs it.
    #[inline]
    fn take<T>(&self, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let parcel = self.frames.pop()?;
        let seen = look(parcel.bytes());
        let _ = self.spare.push(parcel);
        Some(seen)
    }
}
