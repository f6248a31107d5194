//! What the outer tests share: network namespaces, the server as a process, and its clients.
//!
//! A scenario reads: make a [`Namespace`], start a [`Server`] in it, ask with [`dig`] or [`udp`], look at [`metrics`].
//! Everything that is made here goes when its value is dropped, and with the test process at the latest.

#![expect(clippy::print_stderr, reason = "tests report to people")]

pub mod dig;
pub mod double;
pub mod frames;
pub mod http;
pub mod link;
pub mod message;
pub mod metrics;
pub mod namespace;
pub mod others;
pub mod process;
pub mod rng;
pub mod server;
pub mod tcp;
pub mod udp;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use http::Response;
pub use namespace::Namespace;
pub use server::{Server, Setup};

/// Held by the scenario that runs: the workers poll, and two of them would starve each other on a small machine.
static TURN: Mutex<()> = Mutex::new(());

/// A scenario's turn, in a namespace of its own.
pub struct Turn {
    /// Dropped first: back to the former namespace.
    _entered: namespace::Entered,
    /// Dropped last: the next scenario's turn.
    _turn: MutexGuard<'static, ()>,
}

/// Waits for this scenario's turn and moves its thread into a new namespace.
pub fn turn() -> Turn {
    // A scenario that failed poisons the lock; the next one starts afresh all the same.
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    Turn { _entered: Namespace::new().enter(), _turn: turn }
}

/// Waits until the condition gives a value; panics with the description when the time is over.
pub fn wait_for<T>(what: &str, time_max: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < time_max, "waited {time_max:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
