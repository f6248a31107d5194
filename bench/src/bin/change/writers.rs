//! Many connections that change records for some seconds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::Server;
use harness::http::Connection;
use harness::rng::Rng;
use harness::server::rrset_path;
use ringdns_bench::Outcome;

use super::{ZONE, quantile};

/// Connections, all of which have a change on the way all the time.
pub const CONNECTIONS: usize = 128;
/// Threads that serve them: while one waits for a commit, the other sends.
const THREADS: usize = 2;
/// Names that change, one record each.
pub const NAMES: usize = 100_000;

/// What the writers did.
pub struct Written {
    /// Changes that were answered.
    pub changes: u64,
    /// Changes a second.
    pub per_second: f64,
    /// Median wait for an answer.
    pub median_ms: f64,
    /// 99 of 100 waited no longer.
    pub p99_ms: f64,
}

/// Changes random records for some time.
pub fn sustained(server: &Server, time: Duration) -> Outcome<Written> {
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let waits = thread::scope(|scope| -> Outcome<Vec<f64>> {
        let write = |index: u64| {
            let connections = (0..CONNECTIONS / THREADS).map(|_| server.connect()).collect();
            let stop = &stop;
            scope.spawn(move || write_until(stop, connections, index))
        };
        let threads: Vec<_> = (0..THREADS as u64).map(write).collect();
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let mut waits = Vec::new();
        for thread in threads {
            waits.extend(thread.join().map_err(|_| "a writer has panicked")??);
        }
        Ok(waits)
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let mut waits = waits;
    Ok(Written {
        changes: waits.len() as u64,
        per_second: waits.len() as f64 / seconds,
        median_ms: quantile(&mut waits, 0.5),
        p99_ms: quantile(&mut waits, 0.99),
    })
}

/// Sends a change on every connection, then waits for all the answers, and so on; gives the waits in milliseconds.
fn write_until(stop: &AtomicBool, mut connections: Vec<Connection>, seed: u64) -> std::io::Result<Vec<f64>> {
    let mut rng = Rng::new(seed);
    let mut waits = Vec::new();
    let mut starts = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        starts.clear();
        for connection in &mut connections {
            let path = rrset_path(ZONE, &format!("n{}", rng.below(NAMES)), "A");
            let [a, b, c, ..] = rng.next_u64().to_be_bytes();
            starts.push(Instant::now());
            connection.send("PUT", &path, &format!(r#"{{"ttl":60,"records":["10.{a}.{b}.{c}"]}}"#))?;
        }
        for (connection, start) in connections.iter_mut().zip(&starts) {
            let response = connection.answer()?;
            if ![200, 201].contains(&response.status) {
                return Err(std::io::Error::other(format!("{response:?}")));
            }
            waits.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(waits)
}
