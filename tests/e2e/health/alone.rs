//! One machine without etcd: the server checks the addresses of its own records.

use super::*;
use harness::dig::dig_with;

use crate::zone_text;

/// A zone of the store, a zone of a file, and a name in each that has members.
const ZONES: [&str; 2] = ["store.example.", "file.example."];

/// Checks that are quick, of all addresses in both zones, and no answer where all are down.
const TABLES: &str = "[health]\nall_down = \"none\"\n[sockets]\nlisten = [\"127.0.0.1:53\"]\n\
                      [scanner]\nenabled = true\nname = \"here\"\ninterval_ms = 200\nretries = 0\nports = [8080]\n\
                      targets = [\"127.0.0.14\"]\nzones = [\"store.example.\", \"www.file.example.\"]\n";

/// Answers by a name of either zone.
fn wait_until_both_answer(members: &[&str]) -> Duration {
    let times = ZONES.map(|zone| wait_until_answered_of(&format!("www.{zone}"), members));
    times.into_iter().max().unwrap_or_default()
}

#[test]
fn a_server_without_etcd_checks_the_members_of_its_own_records() {
    let _turn = turn();
    let mut setup = Setup::new();
    run("ip", &["link", "set", "lo", "up"]);
    setup.more = TABLES.to_owned();
    let lines: String = MEMBERS.iter().map(|member| format!("www A {member}\n")).collect();
    setup.write_zone(ZONES[1], &zone_text(ZONES[1], 1, &lines));
    let server = setup.start();
    server.put_zone(ZONES[0]);
    server.put_rrset(ZONES[0], "www", "A", 60, &MEMBERS);
    let first = Listener::open(MEMBERS[0]);
    let second = Listener::open(MEMBERS[1]);
    wait_until_both_answer(&MEMBERS[..2]);
    drop(second);
    let mut table = vec![("closed: not answered any more", wait_until_both_answer(&MEMBERS[..1]))];
    let second = Listener::open(MEMBERS[1]);
    table.push(("open again: answered again", wait_until_both_answer(&MEMBERS[..2])));
    drop((first, second));
    table.push(("all closed: none is answered", wait_until_both_answer(&[])));
    for (what, time) in table {
        println!("{what}: {} ms, checked every 200 ms without etcd, fall and rise at the second", time.as_millis());
    }

    // The port and both sockets say the same: there is no address, and for how long that may be kept.
    let loopback = std::net::Ipv4Addr::LOCALHOST.into();
    for zone in ZONES {
        let name = format!("www.{zone}");
        for answer in [
            dig(SERVED4, &name, "A"),
            dig_with(loopback, &name, "A", &["+notcp"]),
            dig_with(loopback, &name, "A", &["+tcp"]),
        ] {
            assert_eq!(
                (answer.rcode.as_str(), answer.answer.len(), answer.authority.len()),
                ("NOERROR", 0, 1),
                "{answer:?}"
            );
            assert!(answer.authority[0].contains(" SOA "), "{answer:?}");
        }
    }
    let program = binary().display().to_string();
    let members = run(&program, &["ctl", "--output", "json", "members", &format!("www.{}", ZONES[0])]);
    for member in MEMBERS {
        assert!(members.contains(&format!("\"target\": \"{member}\"")), "{members}");
    }
    assert!(members.contains("Connection refused") && members.contains("\"by\": \"here\""), "{members}");
    let table = run(&program, &["ctl", "members", "--state", "down"]);
    assert_eq!(table.lines().count(), 1 + MEMBERS.len() + 1, "the target of the configuration is another: {table}");

    // Who is checked no more is unknown, and answered.
    server.put_rrset(ZONES[0], "www", "A", 60, &["127.0.0.15", MEMBERS[2]]);
    let third = Listener::open(MEMBERS[2]);
    wait_until_answered_of(&format!("www.{}", ZONES[0]), &MEMBERS[2..]);
    drop(third);
}
