//! Scanners that check, under schedulers, while both are killed.
#![allow(clippy::unwrap_used, reason = "what a test cannot set up ends it")]

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::common::Web;
use crate::scene::{ROOT, Scene, wait_until};

/// Targets.
const TARGETS: usize = 2000;

/// Takes connections at every address of this machine until it is dropped.
struct Members {
    /// True until then.
    goes_on: Arc<AtomicBool>,
    /// Takes them.
    thread: Option<JoinHandle<()>>,
}

impl Members {
    /// Comes up.
    fn start(listener: TcpListener) -> Self {
        let goes_on = Arc::new(AtomicBool::new(true));
        let wanted = Arc::clone(&goes_on);
        listener.set_nonblocking(true).unwrap();
        let thread = std::thread::spawn(move || {
            while wanted.load(Ordering::Relaxed) {
                if listener.accept().is_err() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        Self { goes_on, thread: Some(thread) }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.goes_on.store(false, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// An address of this machine.
fn target(number: usize) -> String {
    format!("127.9.{}.{}", number / 250, number % 250 + 1)
}

/// Makes states of addresses of this machine.
fn put_targets(scene: &Scene, count: usize) {
    let state = |number: usize| (format!("{ROOT}/status/{}", target(number)), r#"{"cluster":"c1"}"#.to_owned());
    scene.etcd.put_all(&(0..count).map(state).collect::<Vec<_>>());
}

/// Waits until every state is this one, and nothing else of them has changed.
#[track_caller]
fn wait_for_all(scene: &Scene, count: usize, word: &str) {
    wait_until(&format!("every target is {word}"), || {
        let states = scene.read("status");
        states.len() == count && states.values().all(|(state, _)| state["status"] == word && state["cluster"] == "c1")
    });
}

#[test]
fn every_target_is_checked_again_after_scanners_and_leaders_are_killed() {
    let scene = Scene::start();
    put_targets(&scene, TARGETS);
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let members = Members::start(listener);
    let mut scanners = ["a", "b", "c"].map(|name| scene.scanner(name, port)).into_iter().collect::<Vec<_>>();
    let mut schedulers = ["s1", "s2"].map(|name| scene.process(name)).into_iter().collect::<Vec<_>>();
    wait_for_all(&scene, TARGETS, "UP");

    // Nothing changes, so nothing is written.
    let revision = scene.revision();
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(scene.revision(), revision, "something was written");

    // Every target falls; a third of them is seen only by those who have taken it over.
    let leader = scene.leader().unwrap();
    schedulers.retain(|scheduler| scheduler.name != leader);
    drop((scanners.remove(0), members));
    wait_for_all(&scene, TARGETS, "DOWN");

    // The last scanner sees them all come back.
    drop(scanners.remove(0));
    let _members = Members::start(TcpListener::bind(("0.0.0.0", port)).unwrap());
    wait_for_all(&scene, TARGETS, "UP");
    assert!(scene.assignments().values().all(|agent| *agent == scanners[0].name));
}

#[test]
fn several_scanners_agree_on_each_target() {
    const FEW: usize = 50;
    let scene = Scene::start();
    put_targets(&scene, FEW);
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let members = Members::start(listener);
    let mut scanners = ["a", "b", "c"].map(|name| scene.scanner(name, port)).into_iter().collect::<Vec<_>>();
    let _scheduler = scene.thread("s1", scene.etcd.members[0].port, "replicas = 3\nquorum = 2");
    wait_for_all(&scene, FEW, "UP");
    drop(members);
    wait_for_all(&scene, FEW, "DOWN");
    assert!(scene.read("job/ipaddress").values().all(|(job, _)| job["agents"].as_array().map(Vec::len) == Some(3)));

    // Two are left, and then one, which has nobody to agree with.
    drop(scanners.remove(0));
    let members = Members::start(TcpListener::bind(("0.0.0.0", port)).unwrap());
    wait_for_all(&scene, FEW, "UP");
    drop((scanners.remove(0), members));
    wait_for_all(&scene, FEW, "DOWN");
}

/// What was told of targets: the subjects of all alerts, in order.
fn told(receiver: &Web) -> Vec<String> {
    let mut subjects: Vec<String> =
        receiver.bodies().iter().map(|(_, body)| body["subject"].as_str().unwrap().to_owned()).collect();
    subjects.sort();
    subjects
}

#[test]
fn a_quorum_decides_and_one_of_it_tells() {
    const FEW: usize = 20;
    let scene = Scene::start();
    put_targets(&scene, FEW);
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let members = Members::start(listener);
    let receiver = Web::answering(|_| 200);
    let alert = format!("[alert]\nurl = \"http://{}/send\"\nroom = \"r\"\n", receiver.address);
    // One of the three looks where nobody listens.
    let closed = crate::common::real::free_port();
    let ports = [("a", port), ("b", port), ("c", closed)];
    // Nobody dies here, and on a busy machine nobody shall be taken for dead: another would tell again.
    let _scanners = ports.map(|(name, port)| scene.lasting_scanner(name, port, 60, &alert));
    let _scheduler = scene.thread("s1", scene.etcd.members[0].port, "replicas = 3\nquorum = 2");
    wait_for_all(&scene, FEW, "UP");
    wait_until("one agent finds every target down", || {
        let seen = scene.read("observation");
        let of = |agent: &str, word: &str| {
            let its = seen.iter().filter(|(key, _)| key.ends_with(&format!("/{agent}")));
            its.filter(|(_, (value, _))| value["status"] == word).count() == FEW
        };
        of("a", "UP") && of("b", "UP") && of("c", "DOWN")
    });
    assert!(scene.read("status").values().all(|(state, _)| state["status"] == "UP"), "one of three has no say");
    assert!(told(&receiver).is_empty(), "and tells nobody");

    drop(members);
    wait_for_all(&scene, FEW, "DOWN");
    let subjects = |words: &str| {
        let subject = |number: usize| format!("[r] {words}", words = words.replace("TARGET", &target(number)));
        let mut subjects: Vec<String> = (0..FEW).map(subject).collect();
        subjects.sort();
        subjects
    };
    let mut expected = subjects("Warning: TARGET status is down");
    wait_until("each target is told to be down", || told(&receiver).len() >= FEW);
    assert_eq!(told(&receiver), expected, "once and by one agent");
    for (state, _) in scene.read("status").into_values() {
        let (by, error) = (state["by"].as_str().unwrap(), state["error"].as_str().unwrap());
        assert!(by.split(',').count() >= 2 && !error.is_empty(), "{state}");
    }

    let _members = Members::start(TcpListener::bind(("0.0.0.0", port)).unwrap());
    wait_for_all(&scene, FEW, "UP");
    expected.extend(subjects("Recovered: TARGET status is up"));
    expected.sort();
    wait_until("each target is told to be back", || told(&receiver).len() >= 2 * FEW);
    assert_eq!(told(&receiver), expected);
}
