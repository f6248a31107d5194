//! What is planned for what etcd has, without an etcd.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ringdns_controlplane::config::health::{KeyGeneration, SchedulerConfig};
use serde_json::{Value, json};

use super::board::{Board, Stored, Update};
use super::fence::Write;
use super::places::Places;
use super::places::tests::config;
use super::plan::{self, Aim};
use crate::clock;
use crate::keys::tests::shipped as keys;

/// Where the packages keep their keys.
const ROOT: &str = "/containerdns/monitor";

/// An etcd in memory, and a board that follows it.
struct Scene {
    /// What etcd has, with revision, revision of creation and lease.
    etcd: BTreeMap<String, Stored>,
    /// Its revision.
    revision: i64,
    /// The board.
    board: Board,
    /// What keys are about.
    places: Arc<Places>,
    /// What is aimed at.
    aim: Aim,
    /// The time.
    now: Instant,
}

impl Scene {
    /// Nothing yet.
    fn new(replicas: usize, quorum: usize) -> Self {
        let config = SchedulerConfig { replicas, quorum, ..config() };
        let places = Arc::new(Places::new(&keys(KeyGeneration::Current), &config));
        let board = Board::new(Arc::clone(&places), config.agent_downtime);
        let aim = Aim { replicas, quorum, now: SystemTime::now() };
        Self { etcd: BTreeMap::new(), revision: 0, board, places, aim, now: Instant::now() }
    }

    /// Writes or deletes a key, and tells the board.
    fn set(&mut self, key: &str, value: Option<Vec<u8>>, lease: i64) {
        self.revision += 1;
        let revision = self.revision;
        let created = self.etcd.get(key).map_or(revision, |stored| stored.created);
        let stored = value.map(|value| Stored { value, revision, created, lease });
        match &stored {
            Some(stored) => drop(self.etcd.insert(key.to_owned(), stored.clone())),
            None => drop(self.etcd.remove(key)),
        }
        self.board.take(Update { key: key.to_owned(), revision, stored }, self.now, true);
    }

    /// Writes a key below the root.
    fn put(&mut self, key: &str, value: &Value) {
        self.set(&format!("{ROOT}/{key}"), Some(value.to_string().into_bytes()), 0);
    }

    /// Deletes a key below the root.
    fn delete(&mut self, key: &str) {
        self.set(&format!("{ROOT}/{key}"), None, 0);
    }

    /// Lets agents with leases of their own come.
    fn agents(&mut self, names: &[&str]) {
        for (name, lease) in names.iter().zip(7..) {
            self.set(&format!("{ROOT}/agent/{name}"), Some(b"{}".to_vec()), lease);
        }
    }

    /// What an agent with a lease sees.
    fn sees(&mut self, target: &str, agent: &str, status: &str) {
        let lease = self.etcd[&format!("{ROOT}/agent/{agent}")].lease;
        let value = json!({ "status": status }).to_string().into_bytes();
        self.set(&format!("{ROOT}/observation/{target}/{agent}"), Some(value), lease);
    }

    /// What is due, carried out as etcd would.
    fn work(&mut self) -> Vec<Write> {
        self.board.refresh(self.now);
        let mut all = Vec::new();
        while let Some(target) = self.board.next() {
            let writes = plan::writes(&self.board, &self.places, &target, &self.aim);
            for write in &writes {
                let known = self.etcd.get(&write.key).map_or(0, |stored| stored.revision);
                assert_eq!(write.known, known, "{write:?}");
                self.set(&write.key, write.value.clone(), write.lease);
            }
            all.extend(writes);
        }
        all
    }

    /// A value below the root.
    fn value(&self, key: &str) -> Option<Value> {
        let stored = self.etcd.get(&format!("{ROOT}/{key}"))?;
        serde_json::from_slice(&stored.value).ok()
    }
}

#[test]
fn jobs_are_made_given_away_and_deleted() {
    let mut scene = Scene::new(1, 1);
    scene.put("status/10.0.0.1", &json!({ "status": "UP", "cluster": "c" }));
    assert_eq!(scene.work().len(), 1);
    let init = json!({ "agent_name": "", "init_data": 1, "status": "" });
    assert_eq!(scene.value("job/ipaddress/10.0.0.1"), Some(init));
    scene.agents(&["a"]);
    assert_eq!(scene.work().len(), 1);
    let job = scene.value("job/ipaddress/10.0.0.1").unwrap();
    assert_eq!((&job["agent_name"], &job["status"], job.get("init_data")), (&"a".into(), &"".into(), None));
    assert_eq!(job["update_time"].as_str().map(str::len), Some(19));
    assert_eq!((scene.work().len(), scene.board.loads().get("a")), (0, Some(&1)));
    scene.delete("status/10.0.0.1");
    assert_eq!(scene.work().len(), 1);
    assert!(scene.value("job/ipaddress/10.0.0.1").is_none());
    assert!(scene.board.targets().is_empty() && scene.board.loads().is_empty());
}

#[test]
fn a_job_keeps_what_others_wrote_and_one_that_cannot_be_read_is_made_anew() {
    let mut scene = Scene::new(1, 1);
    scene.agents(&["a"]);
    scene.put("status/10.0.0.1", &json!({}));
    scene.put("job/ipaddress/10.0.0.1", &json!({ "agent_name": "gone", "status": "x", "note": [1] }));
    scene.put("status/10.0.0.2", &json!({}));
    scene.put("job/ipaddress/10.0.0.2", &json!("no object"));
    assert_eq!(scene.work().len(), 2);
    let job = scene.value("job/ipaddress/10.0.0.1").unwrap();
    assert_eq!((&job["agent_name"], &job["status"], &job["note"]), (&"a".into(), &"x".into(), &json!([1])));
    assert_eq!(scene.value("job/ipaddress/10.0.0.2").unwrap()["agent_name"], "a");
}

#[test]
fn without_agents_jobs_stay_as_they_are() {
    let mut scene = Scene::new(1, 1);
    scene.agents(&["a"]);
    scene.put("status/10.0.0.1", &json!({}));
    scene.work();
    scene.delete("agent/a");
    assert!(scene.work().is_empty());
    assert_eq!(scene.value("job/ipaddress/10.0.0.1").unwrap()["agent_name"], "a");
}

#[test]
fn a_name_has_a_job_as_long_as_one_of_its_records() {
    let mut scene = Scene::new(1, 1);
    scene.agents(&["a"]);
    let record = |scene: &mut Scene, key: &str, rtype: &str| {
        let value = json!({ "type": rtype, "host": "10.0.0.1" }).to_string().into_bytes();
        scene.set(&format!("/containerdns/local/{key}"), Some(value), 0);
    };
    record(&mut scene, "www/1/", "A");
    record(&mut scene, "www/2/", "A");
    record(&mut scene, "alias/", "CNAME");
    scene.work();
    let job = scene.value("job/domain/www.local").unwrap();
    assert_eq!((&job["agent_name"], &job["status"]), (&"a".into(), &"DOWN".into()));
    assert!(scene.value("job/domain/alias.local").is_some());
    scene.set("/containerdns/local/www/1/", None, 0);
    assert!(scene.work().is_empty());
    // What was an alias is an address now, whose key has a label of its own.
    record(&mut scene, "alias/", "A");
    scene.set("/containerdns/local/www/2/", None, 0);
    scene.work();
    assert_eq!(scene.value("job/domain/www.local"), None);
    assert_eq!(scene.value("job/domain/alias.local"), None);
    assert!(scene.value("job/domain/local").is_some());
}

#[test]
fn an_agent_without_a_lease_is_live_while_it_is_heard() {
    let mut scene = Scene::new(1, 1);
    scene.put("status/10.0.0.1", &json!({}));
    // Its clock is a day behind: what counts is that it has said something just now.
    scene.put("agent/old", &json!({ "agent_name": "old", "last_report": "2006-01-02 15:04:05" }));
    scene.work();
    assert_eq!(scene.value("job/ipaddress/10.0.0.1").unwrap()["agent_name"], "old");
    scene.now += Duration::from_secs(74);
    assert!(!scene.board.refresh(scene.now));
    scene.now += Duration::from_secs(2);
    assert!(scene.board.refresh(scene.now) && scene.board.live().is_empty());
}

#[test]
fn what_was_there_before_is_live_by_the_time_in_its_key() {
    let mut scene = Scene::new(1, 1);
    let report = |age: u64| {
        let time = clock::text(SystemTime::now() - Duration::from_secs(age));
        json!({ "last_report": time }).to_string().into_bytes()
    };
    let stored = |value, lease| Some(Stored { value, revision: 1, created: 1, lease });
    let values =
        [("young", report(10), 0), ("old", report(90), 0), ("odd", b"{}".to_vec(), 0), ("leased", b"{}".to_vec(), 5)];
    for (name, value, lease) in values {
        let update = Update { key: format!("{ROOT}/agent/{name}"), revision: 1, stored: stored(value, lease) };
        scene.board.take(update, scene.now, false);
    }
    scene.board.refresh(scene.now);
    assert_eq!(scene.board.live().names().map(|name| &**name).collect::<Vec<_>>(), ["leased", "young"]);
    scene.board.refresh(scene.now + Duration::from_secs(66));
    assert_eq!(scene.board.live().names().map(|name| &**name).collect::<Vec<_>>(), ["leased"]);
}

#[test]
fn a_new_listing_keeps_since_when_things_are_as_they_are() {
    let mut scene = Scene::new(1, 1);
    scene.put("agent/old", &json!({}));
    scene.put("job/ip_lock", &json!("x"));
    let later = scene.now + Duration::from_secs(50);
    let mut board = Board::new(Arc::clone(&scene.places), Duration::from_secs(75));
    for (key, stored) in &scene.etcd {
        let update = Update { key: key.clone(), revision: stored.revision, stored: Some(stored.clone()) };
        board.take(update, later, false);
    }
    board.complete(&scene.board, scene.revision, later);
    let lock = format!("{ROOT}/job/ip_lock");
    assert_eq!((board.lock(&lock).unwrap().since, board.lock_revision(&lock)), (scene.now, scene.revision));
    assert!(board.live().has("old"));
    board.refresh(scene.now + Duration::from_secs(76));
    assert!(!board.live().has("old"));
}

#[test]
fn old_news_of_our_own_writes_changes_nothing() {
    let mut scene = Scene::new(1, 1);
    scene.put("status/10.0.0.1", &json!({}));
    let key = format!("{ROOT}/job/ipaddress/10.0.0.1");
    let put = |revision, created| Stored { value: b"{}".to_vec(), revision, created, lease: 0 };
    scene.board.wrote(&key, 5, Some(b"{}"), 0);
    scene.board.wrote(&key, 7, None, 0);
    scene.board.take(Update { key: key.clone(), revision: 5, stored: Some(put(5, 5)) }, scene.now, true);
    assert!(scene.board.targets().values().all(|entry| entry.job().is_none()));
    scene.board.take(Update { key: key.clone(), revision: 8, stored: Some(put(8, 8)) }, scene.now, true);
    assert_eq!(scene.board.targets().values().next().unwrap().job(), Some(&put(8, 8)));
}

#[test]
fn a_quorum_decides() {
    let mut scene = Scene::new(3, 2);
    scene.agents(&["a", "b", "c", "d"]);
    scene.put("status/10.0.0.1", &json!({ "status": "UP", "ports": ["80"] }));
    scene.work();
    let job = scene.value("job/ipaddress/10.0.0.1").unwrap();
    let agents: Vec<String> = serde_json::from_value(job["agents"].clone()).unwrap();
    assert_eq!((agents.len(), &job["agent_name"]), (3, &agents[0].clone().into()));
    let [first, second, third] = [0, 1, 2].map(|place| agents[place].as_str());
    let status = |scene: &mut Scene| {
        let count = scene.work().len();
        let value = scene.value("status/10.0.0.1").unwrap();
        assert_eq!(value["ports"], json!(["80"]));
        (value["status"].as_str().unwrap().to_owned(), count)
    };
    scene.sees("10.0.0.1", first, "DOWN");
    assert_eq!(status(&mut scene), ("UP".to_owned(), 0));
    let other = ["a", "b", "c", "d"].into_iter().find(|name| !agents.iter().any(|agent| agent == name)).unwrap();
    scene.sees("10.0.0.1", other, "DOWN");
    assert_eq!(
        status(&mut scene),
        ("UP".to_owned(), 1),
        "who does not check it has no say, and what it saw is removed"
    );
    assert_eq!(scene.value(&format!("observation/10.0.0.1/{other}")), None);
    scene.sees("10.0.0.1", second, "DOWN");
    assert_eq!(status(&mut scene), ("DOWN".to_owned(), 1));
    scene.sees("10.0.0.1", third, "UP");
    assert_eq!(status(&mut scene), ("DOWN".to_owned(), 0));
    // One of both is gone: nobody has said that it is up but one.
    scene.delete(&format!("agent/{first}"));
    scene.delete(&format!("observation/10.0.0.1/{first}"));
    assert_eq!(
        status(&mut scene),
        ("DOWN".to_owned(), 1),
        "the job was given to another, and nothing else was written"
    );
    scene.sees("10.0.0.1", other, "UP");
    assert_eq!(status(&mut scene), ("UP".to_owned(), 1));
}

#[test]
fn what_an_agent_saw_before_it_came_does_not_count() {
    let mut scene = Scene::new(2, 1);
    let down = json!({ "status": "DOWN" });
    scene.put("status/10.0.0.1", &json!({ "status": "UP" }));
    scene.put("observation/10.0.0.1/b", &down);
    scene.set(&format!("{ROOT}/observation/10.0.0.1/a"), Some(down.to_string().into_bytes()), 99);
    scene.agents(&["a", "b"]);
    scene.work();
    assert_eq!(scene.value("status/10.0.0.1").unwrap()["status"], "UP");
    scene.put("observation/10.0.0.1/b", &down);
    scene.work();
    assert_eq!(scene.value("status/10.0.0.1").unwrap()["status"], "DOWN");
    // The state is not written while none is there, and the observation without a lease is removed with its target.
    scene.delete("status/10.0.0.1");
    scene.work();
    assert_eq!(scene.value("observation/10.0.0.1/b"), None);
}

#[test]
fn a_name_falls_in_its_job() {
    let mut scene = Scene::new(2, 2);
    scene.agents(&["a", "b"]);
    scene.set("/containerdns/local/www/1/", Some(br#"{"type":"A","host":"10.0.0.1"}"#.to_vec()), 0);
    scene.work();
    for agent in ["a", "b"] {
        scene.sees("www.local", agent, "UP");
    }
    assert_eq!(scene.work().len(), 1);
    let job = scene.value("job/domain/www.local").unwrap();
    assert_eq!((&job["status"], job["agents"].as_array().map(Vec::len)), (&"UP".into(), Some(2)));
}

#[test]
fn the_last_agent_has_a_target_alone() {
    let mut scene = Scene::new(3, 2);
    scene.agents(&["a"]);
    scene.put("status/10.0.0.1", &json!({ "status": "UP" }));
    scene.work();
    let job = scene.value("job/ipaddress/10.0.0.1").unwrap();
    assert_eq!((&job["agent_name"], job.get("agents")), (&"a".into(), None));
    scene.sees("10.0.0.1", "a", "DOWN");
    assert!(scene.work().is_empty(), "who checks alone writes the state itself");
}
