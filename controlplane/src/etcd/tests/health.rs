//! The status of addresses, and how a tree's addresses are chosen from.

use super::*;

/// The key of an address record of www, and its value.
fn www(host: u8) -> (String, String) {
    (format!("/containerdns/local/c/www/{host}/"), format!(r#"{{"type":"A","host":"10.0.0.{host}"}}"#))
}

/// Sets the status of an address; gives the number of changes.
fn status(tried: &mut Tried, host: u8, status: &str) -> usize {
    let value = if status.is_empty() { String::new() } else { format!(r#"{{"status":"{status}","ports":["80"]}}"#) };
    tried.apply(&[(&format!("/containerdns/monitor/status/10.0.0.{host}"), &value)])
}

#[test]
fn what_is_down_is_left_out_of_the_owners_that_have_it() {
    let mut tried = Tried::containerdns();
    for host in 1..=3 {
        let (key, value) = www(host);
        tried.apply(&[(&key, &value)]);
    }
    let lone = ("/containerdns/local/c/lone/x/", r#"{"type":"A","host":"10.0.0.2"}"#);
    tried.apply(&[lone, ("/containerdns/local/c/other/x/", r#"{"type":"A","host":"10.0.0.9"}"#)]);
    let before = tried.lines();
    assert_eq!(status(&mut tried, 2, "UP"), 0, "it was taken to be");
    assert_eq!(status(&mut tried, 2, "DOWN"), 2, "the two that have it");
    let lines = tried.lines();
    assert_eq!(lines[0], "lone.c.local. A 10 10.0.0.2 All 1-");
    assert_eq!(lines[1], "other.c.local. A 10 10.0.0.9");
    assert_eq!(lines[2], "www.c.local. A 10 10.0.0.1 + 10.0.0.2 + 10.0.0.3 All 1 1- 1");
    assert_eq!(status(&mut tried, 2, "DOWN"), 0);
    assert_eq!(status(&mut tried, 8, "DOWN"), 0, "nobody has it");
    assert_eq!(tried.apply(&[("/containerdns/local/c/late/x/", r#"{"type":"A","host":"10.0.0.8"}"#)]), 1);
    assert!(tried.lines().contains(&"late.c.local. A 10 10.0.0.8 All 1-".to_owned()));
    tried.apply(&[("/containerdns/local/c/late/x/", "")]);
    assert_eq!(status(&mut tried, 8, "UP"), 0, "nobody has it any more");
    assert_eq!(status(&mut tried, 2, ""), 2, "of what nobody says anything, nobody says that it is down");
    assert_eq!(tried.lines(), before);
}

#[test]
fn a_key_and_the_status_of_its_address_can_come_at_once() {
    let (key, value) = www(1);
    let (other, other_value) = www(2);
    let down = ("/containerdns/monitor/status/10.0.0.1", r#"{"status":"DOWN"}"#);
    let lines = Tried::containerdns().serve(&[(&key, &value), (&other, &other_value), down]);
    assert_eq!(lines, ["www.c.local. A 10 10.0.0.1 + 10.0.0.2 All 1- 1"]);
}

#[test]
fn a_status_that_says_nothing_is_named_and_unknown() {
    let mut tried = Tried::containerdns();
    let (key, value) = www(1);
    tried.apply(&[(&key, &value)]);
    assert_eq!(status(&mut tried, 1, "DOWN"), 1);
    assert_eq!(status(&mut tried, 1, "SLEEPY"), 1, "it is up again for all that is known");
    assert!(tried.faults[0].ends_with("status \"SLEEPY\" is neither UP nor DOWN"), "{:?}", tried.faults);
    tried.apply(&[("/containerdns/monitor/status/www", r#"{"status":"UP"}"#)]);
    assert!(tried.faults[0].ends_with("the key names no address"), "{:?}", tried.faults);
    assert_eq!(tried.model.malformed(), 2);
}

#[test]
fn where_it_is_wanted_unknown_addresses_are_down_and_other_trees_do_not_look() {
    let trees: Arc<[Tree]> =
        vec![tree(Layout::ContainerDns, &["c.local."]), tree(Layout::SkyDns, &["s.local."])].into();
    let health = Arc::new(crate::health::Table::new(crate::health::Status::Down));
    let mut tried = Tried::new(Vec::new());
    tried.model = Model::new(trees, Some(b"/containerdns/monitor/status".to_vec()), health);
    let (key, value) = www(1);
    let (other, other_value) = www(2);
    tried.apply(&[(&key, &value), (&other, &other_value), ("/skydns/local/s/x", r#"{"host":"10.0.0.1"}"#)]);
    status(&mut tried, 1, "UP");
    let lines = tried.lines();
    assert_eq!(lines[0], "s.local. A 300 10.0.0.1");
    assert_eq!(lines[2], "www.c.local. A 10 10.0.0.1 + 10.0.0.2 All 1 1-");
    assert_eq!(lines[3], "x.s.local. A 300 10.0.0.1");
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
    status(&mut tried, 2, "DOWN");
    assert_eq!(
        tried.lines(),
        [
            "one.c.local. A 10 10.0.0.3",
            "srv.c.local. SRV 10 10 50 1 a.c.local. + 10 50 1 b.c.local.",
            "www.c.local. A 10 10.0.0.1 + 10.0.0.2 Sticky 1 1-",
        ]
    );
}
