//! The status of addresses, and how a tree's addresses are chosen from.

use super::*;
use crate::health::Rule;

/// The key of an address record of www, and its value.
fn www(host: u8) -> (String, String) {
    (format!("/containerdns/local/c/www/{host}/"), format!(r#"{{"type":"A","host":"10.0.0.{host}"}}"#))
}

/// Sets the status of an address; gives the number of changes of records.
fn status(tried: &mut Tried, host: u8, status: &str) -> usize {
    let value = if status.is_empty() { String::new() } else { format!(r#"{{"status":"{status}","ports":["80"]}}"#) };
    tried.apply(&[(&format!("/containerdns/monitor/status/10.0.0.{host}"), &value)])
}

#[test]
fn the_status_of_an_address_is_handed_on_and_changes_no_record() {
    let mut tried = Tried::containerdns();
    let (key, value) = www(2);
    tried.apply(&[(&key, &value)]);
    let lines = tried.lines();
    for (word, said) in [("UP", "10.0.0.2 UP"), ("DOWN", "10.0.0.2 DOWN"), ("", "10.0.0.2 unknown")] {
        assert_eq!((status(&mut tried, 2, word), tried.members.as_slice()), (0, &[said.to_owned()][..]));
    }
    let value = r#"{"status":"DOWN","since":"2026-11-22T08:00:00Z","error":"refused","by":"node-107","ports":["80"]}"#;
    tried.apply(&[("/containerdns/monitor/status/fd00::1", value)]);
    assert_eq!(tried.members, ["fd00::1 DOWN 2026-11-22T08:00:00Z node-107 refused"]);
    status(&mut tried, 2, "DOWN");
    status(&mut tried, 2, "DOWN");
    assert!(tried.members.is_empty(), "nothing new is said");
    assert_eq!(tried.lines(), lines);
}

#[test]
fn a_key_and_the_status_of_its_address_can_come_at_once() {
    let (key, value) = www(1);
    let down = ("/containerdns/monitor/status/10.0.0.1", r#"{"status":"DOWN"}"#);
    let mut tried = Tried::containerdns();
    assert_eq!(tried.apply(&[(&key, &value), down]), 1);
    assert_eq!(tried.members, ["10.0.0.1 DOWN"]);
}

#[test]
fn a_status_that_says_nothing_is_named_and_unknown() {
    let mut tried = Tried::containerdns();
    status(&mut tried, 1, "DOWN");
    status(&mut tried, 1, "SLEEPY");
    assert_eq!(tried.members, ["10.0.0.1 unknown"], "it is up again for all that is known");
    assert!(tried.faults[0].ends_with("status \"SLEEPY\" is neither UP nor DOWN"), "{:?}", tried.faults);
    tried.apply(&[("/containerdns/monitor/status/www", r#"{"status":"UP"}"#)]);
    assert!(tried.faults[0].ends_with("the key names no address"), "{:?}", tried.faults);
    assert_eq!(tried.model.malformed(), 2);
}

#[test]
fn each_tree_says_what_health_means_to_it() {
    let mut blind = tree(Layout::SkyDns, &["s.local."]);
    blind.all_down = AllDown::None;
    let trees: Arc<[Tree]> = vec![tree(Layout::ContainerDns, &["c.local."]), blind].into();
    let rules = |path: Option<&[u8]>, unknown| {
        let changes = Model::new(Arc::clone(&trees), path.map(Vec::from), unknown).zones(0);
        let rule = |change| match change {
            Change::SetHealth { apex, rule } => Some((apex.to_string(), rule)),
            _ => None,
        };
        changes.into_iter().filter_map(rule).collect::<Vec<_>>()
    };
    let down = Status::Down;
    let first = Rule { obeyed: true, unknown: down, all_down: AllDown::All };
    let second = Rule { obeyed: false, unknown: down, all_down: AllDown::None };
    assert_eq!(rules(Some(b"/s"), down), [("c.local.".to_owned(), first), ("s.local.".to_owned(), second)]);
    assert_eq!(rules(None, down)[0].1, Rule::default(), "who hears nothing doubts nobody");
}

#[test]
fn a_tree_says_how_its_addresses_are_chosen_from() {
    let trees = vec![Tree { answers: Mode::Sticky, ..tree(Layout::ContainerDns, &["c.local."]) }];
    let mut tried = Tried::new(trees);
    let (key, value) = www(1);
    let (other, other_value) = www(2);
    tried.apply(&[
        (&key, &value),
        (&other, &other_value),
        ("/containerdns/local/c/one/x/", r#"{"type":"A","host":"10.0.0.3"}"#),
        ("/containerdns/local/c/srv/1/", r#"{"type":"SRV","host":"a.c.local","port":1}"#),
        ("/containerdns/local/c/srv/2/", r#"{"type":"SRV","host":"b.c.local","port":1}"#),
    ]);
    assert_eq!(
        tried.lines(),
        [
            "one.c.local. A 10 10.0.0.3",
            "srv.c.local. SRV 10 10 50 1 a.c.local. + 10 50 1 b.c.local.",
            "www.c.local. A 10 10.0.0.1 + 10.0.0.2 Sticky",
        ]
    );
}
