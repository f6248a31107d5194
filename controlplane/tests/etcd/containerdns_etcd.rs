//! The record interface of ContainerDNS on a real etcd: keys and values of the original byte for byte, beside others who write
//! the same tree.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::time::{Duration, Instant};

use crate::common::wait_until;
use crate::interface::{Host, etcd_tables};
use crate::real::Etcd;
use serde_json::{Value, json};

/// Body of a POST of addresses.
fn addresses(list: &[&str]) -> String {
    json!({"type": "A", "ips": list}).to_string()
}

/// Pairs as text.
fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A second server with an interface on the same etcd.
fn beside(etcd: &Etcd, prefix: &str) -> Host {
    let directory = tempfile::tempdir().unwrap();
    let endpoints: Vec<String> = etcd.members.iter().map(crate::real::Member::endpoint).collect();
    let tables = etcd_tables(directory.path(), &endpoints, prefix);
    Host::open(directory, &tables)
}

#[test]
fn keys_and_values_are_those_of_the_original() {
    let etcd = Etcd::start(1);
    for (prefix, monitor) in
        [("/containerdns", "/containerdns/monitor/status/"), ("/skydns", "/skydns/monitor/status/")]
    {
        let host = beside(&etcd, prefix);
        let post = |domain: &str, body: &str| assert_eq!(host.u1("POST", domain, body), "OK\n", "{body}");
        post("/cctv2.containerdns.local", &addresses(&["192.168.10.1", "192.168.10.2"]));
        post("/cctv2.containerdns.local", r#"{"type":"CNAME","alias":"tv1.containerdns.local"}"#);
        post("/_sql._tcp.db.example.org", r#"{"type":"SRV","ips":["192.168.10.1"],"ports":[3306]}"#);
        post("/n1.containerdns.local", r#"{"type":"NS","nsHost":"10.0.0.2"}"#);
        post("/m1.containerdns.local", r#"{"type":"MX","mailHost":"mx.containerdns.local","mailPriority":10}"#);
        post("/t1.containerdns.local", r#"{"type":"TXT","text":"v=spf1 <-all>"}"#);
        post("/six.containerdns.local", &addresses(&["2001:db8::1"]));
        let zone = format!("{prefix}/local/containerdns");
        let written = pairs(&[
            (&format!("{zone}/cctv2/49f19b1f/"), r#"{"host":"192.168.10.2","type":"A","ttl":30,"user":"u1"}"#),
            (&format!("{zone}/cctv2/4af19cb2/"), r#"{"host":"192.168.10.1","type":"A","ttl":30,"user":"u1"}"#),
            (&format!("{zone}/dns/ns/n1/"), r#"{"host":"10.0.0.2","type":"NS","ttl":30,"user":"u1"}"#),
            (
                &format!("{zone}/mail/m1/"),
                r#"{"host":"mx.containerdns.local","type":"MX","mail":true,"priority":10,"user":"u1"}"#,
            ),
            (
                &format!("{zone}/six/{:x}/", fnv("2001:db8::1")),
                r#"{"host":"2001:db8::1","type":"AAAA","ttl":30,"user":"u1"}"#,
            ),
            (&format!("{zone}/tv1/"), r#"{"host":"cctv2.containerdns.local.","type":"CNAME","ttl":30,"user":"u1"}"#),
            (&format!("{zone}/txt/t1/"), r#"{"type":"TXT","text":"v=spf1 \u003c-all\u003e","user":"u1"}"#),
        ]);
        assert_eq!(etcd.all(&format!("{zone}/")), written);
        let service =
            r#"{"host":"192.168.10.1","type":"SRV","ttl":30,"port":3306,"priority":10,"weight":10,"user":"u1"}"#;
        assert_eq!(
            etcd.all(&format!("{prefix}/org/example/")),
            pairs(&[(&format!("{prefix}/org/example/db/_tcp/_sql/4af19cb2/"), service)])
        );
        let status = pairs(&[
            (
                &format!("{monitor}192.168.10.1"),
                r#"{"status":"UP","ports":["3306"],"domains":["cctv2.containerdns.local.","_sql._tcp.db.example.org."]}"#,
            ),
            (&format!("{monitor}192.168.10.2"), r#"{"status":"UP","domains":["cctv2.containerdns.local."]}"#),
            (&format!("{monitor}2001:db8::1"), r#"{"status":"UP","domains":["six.containerdns.local."]}"#),
        ]);
        assert_eq!(etcd.all(monitor), status);

        let moved = r#"{"type":"A","update":{"192.168.10.2":"192.168.10.1"}}"#;
        assert_eq!(host.u1("PUT", "/cctv2.containerdns.local", moved), "del or set key err\n");
        for (domain, body) in [
            ("/cctv2.containerdns.local", ""),
            ("/tv1.containerdns.local", r#"{"type":"CNAME"}"#),
            ("/_sql._tcp.db.example.org", r#"{"type":"SRV","ips":["192.168.10.1"]}"#),
            ("/n1.containerdns.local", r#"{"type":"NS"}"#),
            ("/m1.containerdns.local", r#"{"type":"MX"}"#),
            ("/t1.containerdns.local", r#"{"type":"TXT"}"#),
            ("/six.containerdns.local", r#"{"type":"A"}"#),
        ] {
            assert_eq!(host.u1("DELETE", domain, body), "OK\n", "{domain}");
        }
        assert_eq!(etcd.all(&format!("{prefix}/")), [], "nothing is left behind");
    }
}

/// The hash that labels are made of.
fn fnv(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[test]
fn what_others_write_counts_and_stays_as_they_wrote_it() {
    let host = Host::in_etcd();
    let etcd = host.etcd.as_ref().unwrap();
    let theirs = r#"{"type":"A","source":"svc","host":"10.1.0.1","ttl":7,"priority":10,"weight":10,"cluster":"c"}"#;
    etcd.put("/containerdns/local/containerdns/web/98eef804/", theirs);
    etcd.put("/containerdns/local/containerdns/web/broken/", "{");
    let web = "/web.containerdns.local";
    assert_eq!(host.u1("GET", web, ""), "ERR, no find  domain name \n", "it is nobody's");
    assert_eq!(host.u1("POST", web, &addresses(&["10.1.0.2"])), "ERR, user name not match  \n");
    let shown = "{\"web.containerdns.local.\":{\"type\":\"A\",\"ips\":[\"10.1.0.1\"]}}\n";
    assert_eq!(host.user("k8sSvc", "GET", web, ""), shown);
    // The documented generation has the token alone, and goes by that.
    assert_eq!(host.bare("PUT", "/web", r#"{"type":"A","update":{"10.1.0.1":"10.1.0.3"}}"#), "OK\n");
    let kept = pairs(&[("/containerdns/local/containerdns/web/broken/", "{")]);
    assert_eq!(etcd.all("/containerdns/local/containerdns/web/b"), kept);

    // A scanner knows the status, and forgets the names.
    assert_eq!(host.u1("POST", "/a.containerdns.local", &addresses(&["10.2.0.1"])), "OK\n");
    assert_eq!(host.u1("POST", "/b.example.org", &addresses(&["10.2.0.1"])), "OK\n");
    etcd.put("/containerdns/monitor/status/10.2.0.1", r#"{"status":"DOWN","ports":["80"]}"#);
    assert_eq!(host.u1("DELETE", "/a.containerdns.local", ""), "OK\n");
    let restored = r#"{"status":"DOWN","ports":["80"],"domains":["b.example.org."]}"#;
    let status = |address: &str| etcd.all(&format!("/containerdns/monitor/status/{address}"));
    assert_eq!(status("10.2.0.1"), pairs(&[("/containerdns/monitor/status/10.2.0.1", restored)]));
    etcd.put("/containerdns/monitor/status/10.2.0.1", r#"{"status":"UP"}"#);
    assert_eq!(host.u1("DELETE", "/b.example.org", ""), "OK\n");
    assert_eq!(status("10.2.0.1"), []);
}

#[test]
fn many_addresses_are_one_transaction() {
    let host = Host::in_etcd();
    let etcd = host.etcd.as_ref().unwrap();
    // The original is refused from 129 on.
    let many: Vec<String> = (0..400).map(|number| format!("10.9.{}.{}", number / 200, number % 200)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(host.u1("POST", "/many.containerdns.local", &addresses(&many)), "OK\n");
    assert_eq!(host.served("many", "A").len(), 400, "served when it is answered");
    assert_eq!(etcd.all("/containerdns/local/containerdns/many/").len(), 400);
    assert_eq!(etcd.all("/containerdns/monitor/status/").len(), 400);
    assert_eq!(
        host.u1("POST", "/many.containerdns.local", &addresses(&["10.8.0.1", many[7]])),
        "ERR, set domain name error \n"
    );
    assert_eq!(host.u1("DELETE", "/many.containerdns.local", ""), "OK\n");
    assert_eq!(etcd.all("/containerdns/"), [], "all of it is gone");
    assert!(host.served("many", "A").is_empty());
}

#[test]
fn two_servers_write_the_same_names_and_nothing_is_lost() {
    let etcd = Etcd::start(1);
    let hosts = [beside(&etcd, "/containerdns"), beside(&etcd, "/containerdns")];
    let key = "/containerdns/monitor/status/10.7.7.7";
    std::thread::scope(|scope| {
        for (writer, host) in hosts.iter().enumerate() {
            scope.spawn(move || {
                for number in 0..20 {
                    let own = format!("10.6.{writer}.{number}");
                    assert_eq!(host.u1("POST", "/all.containerdns.local", &addresses(&[&own])), "OK\n");
                    let name = format!("/w{writer}-{number}.containerdns.local");
                    assert_eq!(host.u1("POST", &name, &addresses(&["10.7.7.7"])), "OK\n");
                }
            });
        }
    });
    let one: Value = serde_json::from_str(&etcd.all(key)[0].1).unwrap();
    assert_eq!(one["domains"].as_array().unwrap().len(), 40, "{one}");
    for host in &hosts {
        wait_until("both serve all", || host.served("all", "A").len() == 40);
        assert_eq!(host.monitored().as_object().unwrap().len(), 41);
    }
    // One alias, two who want it: one gets it.
    let alias = r#"{"type":"CNAME","alias":"one.example.org"}"#;
    let replies: Vec<String> = std::thread::scope(|scope| {
        let ask = |host| move || Host::u1(host, "POST", "/all.containerdns.local", alias);
        let threads: Vec<_> = hosts.iter().map(|host| scope.spawn(ask(host))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let exists = "ERR, set domain name error  domain exists all.containerdns.local.\n";
    assert!(replies.contains(&"OK\n".to_owned()) && replies.contains(&exists.to_owned()), "{replies:?}");
}

#[test]
fn etcd_away_is_told_and_nothing_is_half_written() {
    let mut host = Host::in_etcd();
    let a = "/a.containerdns.local";
    assert_eq!(host.u1("POST", a, &addresses(&["10.0.0.1"])), "OK\n");
    host.etcd.as_mut().unwrap().members[0].kill();
    let asked = Instant::now();
    for (method, body, start) in [
        ("POST", addresses(&["10.0.0.2"]), "ERR, set domain name error etcd "),
        ("DELETE", String::new(), "ERR, delete domain name error etcd "),
        ("GET", String::new(), "ERR, get domain name error etcd does not answer: "),
    ] {
        let reply = host.u1(method, a, &body);
        assert!(reply.starts_with(start) && reply.lines().count() == 1, "{reply}");
    }
    assert!(asked.elapsed() < Duration::from_secs(30), "the wait is bounded");
    assert_eq!(host.served("a", "A"), ["10.0.0.1"], "what was served is served");
    host.etcd.as_mut().unwrap().members[0].start();
    let shown = "{\"a.containerdns.local.\":{\"type\":\"A\",\"ips\":[\"10.0.0.1\"],\"user\":\"u1\"}}\n";
    wait_until("etcd is back", || host.u1("GET", a, "") == shown);
    assert_eq!(host.u1("POST", a, &addresses(&["10.0.0.2"])), "OK\n");
    wait_until("it is served", || host.served("a", "A").len() == 2);
}

#[test]
fn a_cluster_goes_on_without_its_leader() {
    let mut etcd = Etcd::start(3);
    let host = beside(&etcd, "/containerdns");
    let leader = etcd.leader();
    let mut acknowledged = Vec::new();
    for number in 0..40 {
        if number == 10 {
            etcd.members[leader].kill();
        }
        let address = format!("10.5.0.{number}");
        if host.u1("POST", "/a.containerdns.local", &addresses(&[&address])) == "OK\n" {
            acknowledged.push(address);
        }
    }
    assert!(acknowledged.len() >= 30, "{} of 40", acknowledged.len());
    let stored: String = etcd.all("/containerdns/local/").into_iter().map(|(_, value)| value).collect();
    assert!(
        acknowledged.iter().all(|address| stored.contains(&format!("\"{address}\""))),
        "what was answered OK is there"
    );
}

#[test]
fn users_of_etcd_write_as_far_as_they_may() {
    let mut etcd = Etcd::start(1);
    etcd.protect("/containerdns", "secret");
    for (user, reply) in [("root", "OK\n"), ("reader", "ERR, set domain name error \n")] {
        let directory = tempfile::tempdir().unwrap();
        let password = directory.path().join("password");
        std::fs::write(&password, "secret\n").unwrap();
        std::fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let tables = etcd_tables(directory.path(), &[etcd.members[0].endpoint()], "/containerdns");
        let signed = format!("[etcd]\nuser = \"{user}\"\npassword_file = \"{}\"\n", password.display());
        let host = Host::open(directory, &tables.replace("[etcd]\n", &signed));
        let path = format!("/{user}.containerdns.local");
        assert_eq!(host.u1("POST", &path, &addresses(&["10.0.0.1"])), reply, "{user}");
    }
    let written = etcd.all("/containerdns/local/");
    assert_eq!(written.len(), 1, "{written:?}");
}
