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
//! 1. [`lane`]: the worker's end. 2. [`path`]: the other end, and the thread. 3. `waiting`: who waits for what. 4. `ring`: what
//! lies between the ends.

pub mod lane;
mod parcel;
pub mod path;
mod ring;
mod waiting;

use std::sync::{Arc, OnceLock};

pub use lane::ForwardLane;
pub use path::{ForwardCounters, ForwardOptions, ForwardPath, ForwardPort, server_config};

use crate::limits::{FORWARD_DOWN_FRAMES, FORWARD_UP_BYTES, FORWARD_UP_FRAMES};
use crate::sleep::Waker;
use parcel::ANSWER_FRAME_BYTES;
use ring::{Giver, Taker, ring};

/// Who wakes whom between a worker's queue pair and the thread.
#[derive(Debug, Default)]
struct Bells {
    /// Wakes the worker, once there is one, where answers find it asleep.
    worker: OnceLock<Waker>,
    /// Wakes the thread, once there is one, where queries find it asleep.
    thread: OnceLock<Waker>,
}

/// What lies between a worker's queue pair and the thread, as the thread sees it.
#[derive(Debug)]
struct Rings {
    /// Queries, from the worker.
    up: Taker,
    /// Answers, to the worker.
    down: Giver,
    /// Who wakes whom.
    bells: Arc<Bells>,
}

/// Both ends of what lies in between. Allocates nothing once made.
fn rings() -> (ForwardLane, Rings) {
    let bells = Arc::default();
    let (to_thread, up) = ring::<FORWARD_UP_FRAMES>(FORWARD_UP_BYTES);
    let (down, from_thread) = ring::<FORWARD_DOWN_FRAMES>(ANSWER_FRAME_BYTES);
    (ForwardLane::new(to_thread, from_thread, Arc::clone(&bells)), Rings { up, down, bells })
}
