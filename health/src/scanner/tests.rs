//! The board: who is ours, when a target turns, what is written.

use std::time::SystemTime;

use ringdns_controlplane::config::health::KeyGeneration;
use ringdns_controlplane::config::{EtcdConfig, RoleConfig};

use super::board::{Board, Outcome, Target};
use crate::follow::{Change, News};
use crate::keys::tests::keys;
use crate::keys::{Keys, Resource};
use crate::link::{Entry, Listing};
use crate::values::Health;

/// The keys that the tests use.
fn current() -> Keys {
    keys(KeyGeneration::Current)
}

/// A board whose scanner has a name and more lines of configuration.
fn board(lines: &str) -> Board {
    let text = format!("[etcd]\nendpoints = [\"http://127.0.0.1:1\"]\n[scanner]\nname = \"a\"\n{lines}\n");
    let config = RoleConfig::parse(std::path::Path::new("/ringdns.toml"), &text).unwrap();
    let _: &EtcdConfig = &config.etcd;
    Board::new(current(), config.health.scanner)
}

/// An address.
fn address(name: &str) -> Target {
    Target { resource: Resource::Address, name: name.to_owned() }
}

/// A key with a value, written by a revision.
fn entry(key: String, value: &str, revision: i64) -> Entry {
    Entry { key, value: value.as_bytes().to_vec(), revision, created: revision, lease: 0 }
}

/// News of one key.
fn put(key: String, value: &str, revision: i64) -> News {
    News::Changed(vec![Change::Put(entry(key, value, revision))])
}

/// A job of agents.
fn job(agents: &str) -> String {
    let first = agents.split(',').next().unwrap_or_default();
    let all: Vec<&str> = agents.split(',').collect();
    serde_json::json!({ "agent_name": first, "agents": all, "status": "" }).to_string()
}

/// A board with one address of ours that is up, and its number.
fn with_one(lines: &str) -> (Board, Target, u64) {
    let mut board = board(lines);
    let target = address("10.0.0.1");
    board.take_statuses(put(current().status("10.0.0.1"), r#"{"status":"UP","ports":["81"],"cluster":"c"}"#, 5));
    let moves = board.take_jobs(put(current().job(Resource::Address, "10.0.0.1"), &job("a"), 6));
    let number = moves.came[0].1;
    (board, target, number)
}

/// The states that checks in a row lead to.
fn states(board: &mut Board, target: &Target, number: u64, outcomes: &str) -> Vec<Option<Health>> {
    let take = |outcome: char| {
        let outcome = match outcome {
            'u' => Outcome::Up,
            'd' => Outcome::Down("refused".to_owned()),
            _ => Outcome::Fault("no permission".to_owned()),
        };
        board.take_outcome(target, number, outcome, SystemTime::now());
        board.members()[target].health
    };
    outcomes.chars().map(take).collect()
}

#[test]
fn only_jobs_with_our_name_are_ours() {
    let mut board = board("");
    let key = |name: &str| current().job(Resource::Address, name);
    for (name, agents) in [("10.0.0.1", "a"), ("10.0.0.2", "b"), ("10.0.0.3", "b,a"), ("10.0.0.4", "")] {
        board.take_jobs(put(key(name), &job(agents), 2));
    }
    board.take_jobs(put(current().lock(Resource::Address), "node", 3));
    board.take_jobs(put(key("10.0.0.5"), "no json", 3));
    let ours: Vec<&str> = board.members().keys().map(|target| target.name.as_str()).collect();
    assert_eq!(ours, ["10.0.0.1", "10.0.0.3"]);
    assert!(board.tells(&address("10.0.0.1")) && !board.tells(&address("10.0.0.3")));
    let moves = board.take_jobs(put(key("10.0.0.1"), &job("b"), 4));
    assert_eq!(moves.went, [address("10.0.0.1")]);
    let gone = Change::Deleted { key: key("10.0.0.3"), revision: 5 };
    assert_eq!(board.take_jobs(News::Changed(vec![gone])).went, [address("10.0.0.3")]);
}

#[test]
fn a_listing_takes_away_what_is_not_in_it_unless_it_is_older() {
    let (mut board, target, _) = with_one("");
    let listing = |revision| News::Listed(Listing { entries: Vec::new(), revision });
    assert!(board.take_jobs(listing(5)).went.is_empty(), "the job was written after the listing");
    assert_eq!(board.take_jobs(listing(7)).went, [target]);
}

#[test]
fn without_a_scheduler_every_state_is_ours() {
    let mut board = board("jobs = \"all\"");
    let moves = board.take_statuses(put(current().status("10.0.0.9"), r#"{"status":"DOWN"}"#, 2));
    assert_eq!(moves.came.len(), 1);
    assert_eq!(board.members()[&address("10.0.0.9")].health, Some(Health::Down));
}

#[test]
fn it_takes_some_checks_in_a_row_to_turn() {
    use Health::{Down, Up};
    let (mut board, target, number) = with_one("rise = 3\nfall = 2");
    let found = states(&mut board, &target, number, "dududduudduuu");
    let expected = [Up, Up, Up, Up, Up, Down, Down, Down, Down, Down, Down, Down, Up].map(Some);
    assert_eq!(found, expected);
    assert_eq!(board.members()[&target].error.as_deref(), Some("refused"), "the last error stays");
}

#[test]
fn faults_of_our_own_change_nothing() {
    let (mut board, target, number) = with_one("fall = 1");
    assert_eq!(states(&mut board, &target, number, "xxx"), [Some(Health::Up); 3]);
    assert_eq!(board.members()[&target].error.as_deref(), Some("no permission"));
}

#[test]
fn a_state_that_nobody_knows_is_that_of_the_first_check() {
    let mut board = board("rise = 9");
    board.take_statuses(put(current().status("10.0.0.1"), r#"{"status":"x"}"#, 5));
    let moves = board.take_jobs(put(current().job(Resource::Address, "10.0.0.1"), &job("a"), 6));
    let target = address("10.0.0.1");
    assert_eq!(states(&mut board, &target, moves.came[0].1, "u"), [Some(Health::Up)]);
}

#[test]
fn checks_of_an_earlier_time_come_to_nothing() {
    let (mut board, target, number) = with_one("fall = 1");
    let key = current().job(Resource::Address, "10.0.0.1");
    board.take_jobs(put(key.clone(), &job("b"), 7));
    assert_eq!(board.take_outcome(&target, number, Outcome::Down(String::new()), SystemTime::now()), None);
    board.take_jobs(put(key, &job("a"), 8));
    assert_eq!(board.take_outcome(&target, number, Outcome::Down(String::new()), SystemTime::now()), None);
    assert_eq!(board.members()[&target].health, Some(Health::Up));
}

#[test]
fn a_write_depends_on_state_and_job_and_keeps_other_members() {
    let (mut board, target, number) = with_one("fall = 1");
    assert_eq!(board.due(&target, 1), None, "not looked at yet");
    states(&mut board, &target, number, "u");
    assert_eq!(board.due(&target, 1), None, "as it was");
    states(&mut board, &target, number, "d");
    let write = board.due(&target, 1).unwrap();
    let (status, job) = (current().status("10.0.0.1"), current().job(Resource::Address, "10.0.0.1"));
    assert_eq!((&write.key, &write.unless_changed), (&status, &vec![(status.clone(), 5), (job, 6)]));
    let mut value: serde_json::Value = serde_json::from_slice(&write.value).unwrap();
    assert!(value["since"].take().is_string());
    let found = serde_json::json!({ "status": "DOWN", "since": null, "error": "refused", "by": "a", "ports": ["81"], "cluster": "c" });
    assert_eq!(value, found);
    board.written(&target, &write, 9, 1);
    assert_eq!(board.due(&target, 1), None);
    // News of before the write is none.
    board.take_statuses(put(status.clone(), r#"{"status":"UP"}"#, 8));
    assert_eq!(board.due(&target, 1), None);
    // Somebody says otherwise later.
    board.take_statuses(put(status, r#"{"status":"UP"}"#, 10));
    assert!(board.due(&target, 1).is_some());
}

#[test]
fn names_have_their_state_in_the_job() {
    let mut board = board("rise = 1");
    let key = current().job(Resource::Domain, "a.example");
    let value = r#"{"agent_name":"a","status":"DOWN","mine":1}"#;
    let moves = board.take_jobs(put(key.clone(), value, 3));
    let target = Target { resource: Resource::Domain, name: "a.example".to_owned() };
    states(&mut board, &target, moves.came[0].1, "u");
    let write = board.due(&target, 1).unwrap();
    assert_eq!((&write.key, &write.unless_changed), (&key, &vec![(key.clone(), 3)]));
    let value: serde_json::Value = serde_json::from_slice(&write.value).unwrap();
    assert_eq!((&value["status"], &value["mine"], &value["agent_name"]), (&"UP".into(), &1.into(), &"a".into()));
    board.written(&target, &write, 4, 1);
    assert_eq!((board.due(&target, 1), board.members().len()), (None, 1));
}

#[test]
fn several_agents_write_what_each_sees_with_its_lease() {
    let (mut board, target, _) = with_one("fall = 1");
    let key = current().job(Resource::Address, "10.0.0.1");
    board.take_jobs(put(key.clone(), &job("b,a"), 7));
    let number = board.members()[&target].number;
    states(&mut board, &target, number, "d");
    let write = board.due(&target, 1).unwrap();
    assert_eq!((&write.key, write.is_leased), (&current().observation("10.0.0.1", "a"), true));
    assert_eq!(write.unless_changed, [(key, 7)]);
    let value: serde_json::Value = serde_json::from_slice(&write.value).unwrap();
    assert_eq!((&value["status"], &value["error"], &value["by"]), (&"DOWN".into(), &"refused".into(), &"a".into()));
    board.written(&target, &write, 8, 1);
    assert_eq!(board.due(&target, 1), None);
    assert!(board.due(&target, 2).is_some(), "it went away with the older lease");
    let news = put(current().status("10.0.0.1"), r#"{"status":"DOWN"}"#, 9);
    assert_eq!(board.take_statuses(news).decided, [(target, Health::Down)]);
}

#[test]
fn a_target_without_a_state_says_why_nothing_is_written() {
    let mut board = board("");
    let moves = board.take_jobs(put(current().job(Resource::Address, "10.0.0.7"), &job("a"), 6));
    let target = address("10.0.0.7");
    states(&mut board, &target, moves.came[0].1, "u");
    let fault = board.members()[&target].fault.clone().unwrap();
    assert!(fault.contains("/containerdns/monitor/status/10.0.0.7 is not there"), "{fault}");
    assert_eq!(board.due(&target, 1), None);
    board.take_statuses(put(current().status("10.0.0.7"), "[]", 7));
    assert!(board.members()[&target].fault.as_deref().is_some_and(|fault| fault.contains("no JSON object")));
    board.take_statuses(put(current().status("10.0.0.7"), "{}", 8));
    assert_eq!(board.members()[&target].fault, None);
    assert!(board.due(&target, 1).is_some());
}
