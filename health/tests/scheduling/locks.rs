//! Who leads, and that nobody else writes.
#![allow(clippy::unwrap_used, reason = "what a test cannot set up ends it")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use etcd_client::Client;
use ringdns_health::scheduler::fence::{Fence, Outcome, Write};

use crate::scene::{Agent, ROOT, Scene, address, wait_until};

/// Longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A write of a key that is not there.
fn write(key: &str) -> Write {
    Write { key: key.to_owned(), known: 0, value: Some(b"1".to_vec()), lease: 0 }
}

#[test]
fn nothing_is_written_without_the_locks() {
    let scene = Scene::start();
    let endpoint = scene.etcd.members[0].endpoint();
    let locks = ["ip_lock", "domain_lock"].map(|name| format!("{ROOT}/job/{name}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::connect([endpoint], None).await.unwrap();
        let take =
            async |name: &str| Fence::take(&client, &locks, name, Duration::from_secs(2), TIMEOUT).await.unwrap();
        let first = take("first").await.unwrap();
        assert_eq!(take("second").await, None);
        let outcome = first.write(&client, &[write("/x/1"), write("/x/2")], TIMEOUT).await.unwrap();
        assert!(matches!(outcome, Outcome::Written(_)));
        // One that is there already: not one is written.
        let outcome = first.write(&client, &[write("/x/3"), write("/x/1")], TIMEOUT).await.unwrap();
        assert_eq!(outcome, Outcome::Conflict);

        // Nobody keeps its lease; before and after another leads it can write no more.
        let is_held = async || !client.kv_client().get(locks[0].as_str(), None).await.unwrap().kvs().is_empty();
        for _ in 0..200 {
            if !is_held().await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(first.write(&client, &[write("/x/3")], TIMEOUT).await.unwrap(), Outcome::Fenced);
        let second = take("second").await.unwrap();
        let before = client.kv_client().get("/x/3", None).await.unwrap().header().unwrap().revision();
        assert_eq!(first.write(&client, &[write("/x/3")], TIMEOUT).await.unwrap(), Outcome::Fenced);
        // One of its locks would not be enough either.
        client.kv_client().delete(locks[1].as_str(), None).await.unwrap();
        assert_eq!(second.write(&client, &[write("/x/3")], TIMEOUT).await.unwrap(), Outcome::Fenced);
        let found = client.kv_client().get("/x/3", None).await.unwrap();
        assert_eq!((found.kvs().len(), found.header().unwrap().revision()), (0, before + 1));
    });
}

#[test]
fn a_leader_that_was_stopped_changes_nothing_when_it_wakes_up() {
    let scene = Scene::start();
    scene.put_targets(200);
    let [first, second] = ["a", "b"].map(|name| Agent::start(&scene, name));
    let schedulers = ["s1", "s2"].map(|name| scene.process(name));
    scene.wait_assigned(200, &[&first, &second]);
    let leader = scene.leader().unwrap();
    let (stopped, other) = if schedulers[0].name == leader { (0, 1) } else { (1, 0) };

    schedulers[stopped].signal("-STOP");
    drop(second);
    scene.etcd.put(&format!("{ROOT}/status/10.9.9.9"), "{}");
    scene.wait_assigned(201, &[&first]);
    assert_eq!(scene.leader().unwrap(), schedulers[other].name);

    // What it had begun, and what it believes to have to do, comes to nothing.
    let (jobs, revision) = (scene.read("job"), scene.revision());
    schedulers[stopped].signal("-CONT");
    // Longer than it would take to write what is due.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((scene.read("job"), scene.revision()), (jobs, revision));

    // It is well, and leads once the other one is gone.
    schedulers[other].signal("-KILL");
    wait_until("it leads again", || scene.leader().is_some_and(|name| name == leader));
    scene.etcd.put(&format!("{ROOT}/status/10.9.9.8"), "{}");
    scene.wait_assigned(202, &[&first]);
}

#[test]
fn a_write_that_was_held_up_on_its_way_is_refused() {
    let scene = Scene::start();
    let agent = Agent::start(&scene, "a");
    scene.put_targets(1);
    let way = HeldWay::to(scene.etcd.members[0].port);
    // It waits for its answer as long as we like; its lease does not.
    let late = scene.patient_thread("late", way.port);
    scene.wait_assigned(1, &[&agent]);
    way.hold();
    let key = format!("{ROOT}/status/10.9.9.9");
    scene.etcd.put(&key, "{}");
    wait_until("the write is on its way", || way.holds(b"job/ipaddress/10.9.9.9"));
    // Without the fence it would be carried out: nobody writes that job in between.
    scene.etcd.delete(&key);
    let other = scene.thread("other", scene.etcd.members[0].port, "");
    wait_until("another one leads", || other.state.leads());
    scene.put_targets(2);
    scene.wait_assigned(2, &[&agent]);
    let (jobs, revision) = (scene.read("job"), scene.revision());
    way.release();
    wait_until("it was refused", || late.state.fenced() > 0);
    wait_until("it follows", || late.state.is_connected() && !late.state.leads());
    assert_eq!((scene.read("job"), scene.revision()), (jobs, revision));
}

#[test]
fn a_lock_of_the_original_is_respected_until_it_is_left_behind() {
    let scene = Scene::start();
    scene.put_targets(1);
    let (agent, lock) = (Agent::start(&scene, "a"), format!("{ROOT}/job/ip_lock"));
    scene.etcd.put(&lock, "node-1");
    let scheduler = scene.thread("s1", scene.etcd.members[0].port, "force_lock_seconds = 3");
    wait_until("it knows who holds the lock", || scheduler.state.json()["leader"] == "node-1");
    // Whoever holds it is alive as long as the lock is made anew.
    for turn in 0..5 {
        std::thread::sleep(Duration::from_secs(1));
        assert!(!scheduler.state.leads() && scene.assignments().is_empty());
        scene.etcd.put(&lock, &format!("node-{turn}"));
    }
    wait_until("it is broken", || scheduler.state.leads());
    scene.wait_assigned(1, &[&agent]);
    assert_eq!(scene.leader().unwrap(), "s1");

    // The original takes the lock by force; we follow, and lead again when it has done its work.
    scene.etcd.delete(&lock);
    scene.etcd.put(&lock, "node-9");
    wait_until("it follows", || !scheduler.state.leads() && scheduler.state.json()["leader"] == "node-9");
    scene.etcd.put(&format!("{ROOT}/status/{}", address(1)), "{}");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(scene.assignments().len(), 1);
    scene.etcd.delete(&lock);
    wait_until("it leads again", || scheduler.state.leads());
    scene.wait_assigned(2, &[&agent]);

    // It gives its locks back when it ends.
    drop(scheduler);
    assert_eq!(scene.leader(), None);
}

/// A way to a port on which what goes there can be held.
struct HeldWay {
    /// Where it begins.
    port: u16,
    /// What is held, while something is to be held.
    held: Held,
}

/// What is held.
type Held = Arc<Mutex<Option<Vec<u8>>>>;

impl HeldWay {
    /// Opens a way.
    fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Self { port: listener.local_addr().unwrap().port(), held: Held::default() };
        let held = Arc::clone(&way.held);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(("127.0.0.1", target))) else { continue };
                let back = (far.try_clone().unwrap(), near.try_clone().unwrap());
                let held = Arc::clone(&held);
                std::thread::spawn(move || pass(near, far, &held));
                std::thread::spawn(move || pass(back.0, back.1, &Held::default()));
            }
        });
        way
    }

    /// Holds what goes there from now on.
    fn hold(&self) {
        *self.held.lock().unwrap() = Some(Vec::new());
    }

    /// True where these bytes are held.
    fn holds(&self, bytes: &[u8]) -> bool {
        let held = self.held.lock().unwrap();
        held.as_ref().is_some_and(|held| held.windows(bytes.len()).any(|window| window == bytes))
    }

    /// Lets everything go its way.
    fn release(&self) {
        *self.held.lock().unwrap() = None;
    }
}

/// Passes bytes on, unless they are held.
fn pass(mut from: TcpStream, mut to: TcpStream, held: &Held) {
    // So that it is seen soon that nothing is held any more.
    from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let (mut bytes, mut waiting) = ([0; 16 << 10], Vec::new());
    loop {
        match from.read(&mut bytes) {
            Ok(length @ 1..) => {
                waiting.extend_from_slice(&bytes[..length]);
                if let Some(seen) = held.lock().unwrap().as_mut() {
                    seen.extend_from_slice(&bytes[..length]);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Ok(0) | Err(_) => break,
        }
        if held.lock().unwrap().is_none() && to.write_all(&std::mem::take(&mut waiting)).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
