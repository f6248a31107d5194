//! The server beside a cluster: how it is set up, asked, and watched.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use harness::dig::{Answer, dig};
use harness::link::addresses::SERVED4;
use harness::udp::Asker;
use harness::{Server, Setup, wait_for};

use crate::cluster::{Cluster, PORT};

/// Longest until something is seen that takes a listing, the longest pause between two tries, or credentials that are read anew
/// once a minute.
pub const HEAL_TIME_MAX: Duration = Duration::from_secs(120);

/// Longest until a change of the cluster is answered.
pub const CHANGE_TIME_MAX: Duration = Duration::from_secs(20);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// The `A` type.
const A: u16 = 1;

/// A server of the cluster's zones, which shows a token.
pub fn setup(cluster: &Cluster, token: &Path) -> Setup {
    let mut setup = Setup::new();
    setup.more = format!(
        "[kubernetes]\nzones = [\"cluster.local\"]\nreverse_zones = [\"10.0.0.0/8\", \"fd00::/16\"]\npods = \"verified\"\n\
         endpoint = \"https://127.0.0.1:{PORT}\"\nca_file = \"{}\"\ntoken_file = \"{}\"\n\
         [kubernetes.external]\nzones = [\"example.net\"]\n",
        cluster.text("ca.crt"),
        token.display()
    );
    setup
}

/// What dig is answered in one line: the response code where it is not NOERROR, NODATA, or the records' types and data in order.
pub fn ask(owner: &str, rtype: &str) -> String {
    let Answer { rcode, answer, .. } = dig(SERVED4, owner, rtype);
    if rcode != "NOERROR" {
        return rcode;
    }
    // OWNER TTL IN TYPE DATA
    let of = |record: &String| record.splitn(4, ' ').nth(3).expect("a record").trim_start_matches("IN ").to_owned();
    let mut records: Vec<String> = answer.iter().map(of).collect();
    records.sort();
    if records.is_empty() { "NODATA".to_owned() } else { records.join(", ") }
}

/// Waits until a question is answered so.
pub fn until(owner: &str, rtype: &str, expected: &str, time_max: Duration) {
    let begun = Instant::now();
    loop {
        let answer = ask(owner, rtype);
        if answer == expected {
            return;
        }
        assert!(begun.elapsed() < time_max, "{owner} {rtype} should be {expected} and is {answer} after {time_max:?}");
        std::thread::sleep(PAUSE);
    }
}

/// Waits until a failure between the API server and the server was counted more often than before.
pub fn until_fault(server: &Server, reason: &str, before: u64) {
    wait_for(&format!("a failure {reason}"), HEAL_TIME_MAX, || (faults(server, reason) > before).then_some(()));
}

/// How often a failure between the API server and the server was counted.
pub fn faults(server: &Server, reason: &str) -> u64 {
    server.metrics().sum("ringdns_kubernetes_errors_total", &[&format!("reason=\"{reason}\"")])
}

/// Waits until changes of every kind come from the API server.
pub fn until_connected(server: &Server) {
    wait_for("all watches to be open", HEAL_TIME_MAX, || {
        (server.metrics().sum("ringdns_kubernetes_connected", &[]) == 1).then_some(())
    });
}

/// Asks for the addresses of a name over and over, on a thread of its own, until it is asked what it has seen.
pub struct Observer {
    /// True: it is enough.
    stop: Arc<AtomicBool>,
    /// What was answered last.
    last: Arc<Mutex<String>>,
    /// Gives what was seen.
    thread: JoinHandle<Seen>,
}

/// What was seen.
pub struct Seen {
    /// Answers as they came, but for those that are as the one before.
    pub answers: Vec<String>,
    /// Questions with an answer.
    pub answered: u64,
}

impl Observer {
    /// Begins.
    pub fn start(owner: &str) -> Observer {
        let (stop, last) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(String::new())));
        let (owner, stopped, shown) = (owner.to_owned(), Arc::clone(&stop), Arc::clone(&last));
        // In the namespace of the scenario, which it has from the thread that starts it.
        let thread = std::thread::spawn(move || {
            let mut asker = Asker::new(SERVED4);
            let mut answers: Vec<String> = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let Some(answer) = asker.ask(&owner, A) else { continue };
                let answer = addresses(&answer);
                if answers.last() != Some(&answer) {
                    shown.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&answer);
                    answers.push(answer);
                }
            }
            Seen { answers, answered: asker.asked - asker.lost }
        });
        Observer { stop, last, thread }
    }

    /// Waits until an answer is the last one.
    pub fn until(&self, expected: &str) {
        wait_for(&format!("the answer {expected}"), CHANGE_TIME_MAX, || {
            (*self.last.lock().unwrap_or_else(PoisonError::into_inner) == expected).then_some(())
        });
    }

    /// What was seen so far; it ends.
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.join().expect("it only asks");
        assert!(seen.answered > 0, "nothing was answered");
        seen
    }
}

/// The addresses of an answer in order, or what it is instead.
fn addresses(answer: &[u8]) -> String {
    /// Bytes of an answered address: a pointer to the name, type, class, TTL, length and the address.
    const RECORD_BYTES: usize = 16;
    let (rcode, is_cut) = (answer[3] & 0xf, answer[2] & 2 != 0);
    if rcode != 0 || is_cut {
        return format!("RCODE{rcode}{}", if is_cut { ", cut" } else { "" });
    }
    // It was asked without EDNS: addresses end an answer that has any.
    let count = usize::from(answer[7]);
    let records = answer[answer.len() - count * RECORD_BYTES..].chunks(RECORD_BYTES);
    let mut found: Vec<[u8; 4]> = records.filter_map(|record| record.last_chunk().copied()).collect();
    found.sort_unstable();
    let texts: Vec<String> = found.into_iter().map(|address| std::net::Ipv4Addr::from(address).to_string()).collect();
    if texts.is_empty() { "NODATA".to_owned() } else { texts.join(" ") }
}
