//! The record interface of ContainerDNS: requests and replies of both generations byte for byte, and what is served after
//! them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use crate::interface::{BASE, Host};
use serde_json::{Value, json};

/// The same requests and the same replies wherever records are kept: each function is a test with the store and with etcd.
macro_rules! wherever_records_are_kept {
    ($($name:ident)*) => {
        mod in_the_store {
            $(#[test]
            fn $name() {
                super::$name(&mut super::Host::new(""));
            })*
        }
        mod in_etcd {
            $(#[test]
            fn $name() {
                super::$name(&mut super::Host::in_etcd());
            })*
        }
    };
}

wherever_records_are_kept! {
    addresses_are_made_shown_moved_and_removed
    addresses_are_refused_in_the_words_of_the_original
    services_have_hosts_and_ports
    aliases_are_made_moved_and_removed
    name_servers_mail_servers_and_texts_are_of_the_suffix
    users_keep_their_records_to_themselves
    the_documented_generation_writes_bare_labels
    monitored_addresses_follow_the_records
    many_writers_at_once_lose_nothing
}

/// Has somebody else have `taken.containerdns.local`, so that no alias can be moved there.
fn take(host: &Host, user: &str) {
    if host.is_in_etcd() {
        let alias = r#"{"type":"CNAME","alias":"taken.containerdns.local"}"#;
        assert_eq!(host.user(user, "POST", "/x.containerdns.local", alias), "OK\n");
    } else {
        let path = "/api/v1/zones/containerdns.local/rrsets/taken/TXT";
        assert_eq!(host.server.json("PUT", path, r#"{"ttl":60,"records":["\"x\""]}"#).0, 201);
    }
}

fn addresses_are_made_shown_moved_and_removed(host: &mut Host) {
    let two = r#"{"type":"A","ips":["192.168.10.1","192.168.10.2"]}"#;
    assert_eq!(host.u1("POST", "/cctv2.containerdns.local", two), "OK\n");
    let shown = "{\"cctv2.containerdns.local.\":{\"type\":\"A\",\"ips\":[\"192.168.10.1\",\"192.168.10.2\"],\"user\":\"u1\"}}\n";
    for path in ["", "/", "/cctv2.containerdns.local", "/CCTV2.containerdns.local.", "/containerdns.local?type=A"] {
        assert_eq!(host.u1("GET", path, ""), shown, "{path}");
    }
    assert_eq!(host.served("cctv2", "A"), ["192.168.10.1", "192.168.10.2"]);
    let (answers, [a, b, c, d]) = host.query("cctv2.containerdns.local.");
    assert_eq!((answers, a, b, c), (2, 192, 168, 10), "on the wire when it is answered");
    assert!(d == 1 || d == 2, "the order is that of the keys where records are kept in etcd");

    // More addresses of an own name; IPv6, which the original puts off.
    let more = r#"{"type":"a","ips":["192.168.10.3","2001:db8::1"]}"#;
    assert_eq!(host.u1("POST", "/cctv2.containerdns.local", more), "OK\n");
    assert_eq!(host.served("cctv2", "A").len(), 3);
    assert_eq!(host.served("cctv2", "AAAA"), ["2001:db8::1"]);

    let update = r#"{"type":"A","update":{"192.168.10.2":"192.168.10.9"}}"#;
    assert_eq!(host.u1("PUT", "/cctv2.containerdns.local", update), "OK\n");
    assert_eq!(host.u1("PUT", "/cctv2.containerdns.local", update), "del or set key err\n", "it is gone");
    assert_eq!(host.served("cctv2", "A"), ["192.168.10.1", "192.168.10.3", "192.168.10.9"]);

    let some = r#"{"type":"A","ips":["192.168.10.1","2001:db8::1"]}"#;
    assert_eq!(host.u1("DELETE", "/cctv2.containerdns.local", some), "OK\n");
    assert_eq!(host.u1("DELETE", "/cctv2.containerdns.local", some), "ERR, delete domain name error\n");
    assert_eq!(host.served("cctv2", "A"), ["192.168.10.3", "192.168.10.9"]);
    assert_eq!(host.u1("DELETE", "/cctv2.containerdns.local", ""), "OK\n");
    assert_eq!(host.u1("DELETE", "/cctv2.containerdns.local", ""), "key not found\n");
    assert_eq!(host.u1("GET", "", ""), "{}\n");
    assert_eq!(host.query("cctv2.containerdns.local.").0, 0);
}

fn addresses_are_refused_in_the_words_of_the_original(host: &mut Host) {
    let post = |body: &str| host.u1("POST", "/a.containerdns.local", body);
    assert_eq!(post(r#"{"type":"A","ips":["192.0.2.1"]}"#), "OK\n");
    let a = "/a.containerdns.local";
    host.refuses(&[
        ("POST", "/a.elsewhere.org", r#"{"type":"A","ips":["192.0.2.2"]}"#, "ERR, the api not support this domain  "),
        (
            "POST",
            "/xcontainerdns.local",
            r#"{"type":"A","ips":["192.0.2.2"]}"#,
            "ERR, the api not support this domain  ",
        ),
        ("POST", "/a..containerdns.local", "{}", "ERR, the api not support this domain  "),
        ("POST", a, "", "ERR,type not support "),
        ("POST", a, "{\"type\":", "ERR,type not support "),
        ("POST", a, r#"{"type":5}"#, "ERR,type not support "),
        ("POST", a, r#"{"type":"HINFO"}"#, "ERR, no type offered "),
        ("POST", a, r#"{"type":"A"}"#, "ERR, no domain ips "),
        ("POST", a, r#"{"type":"A","ips":["192.0.2.2","x"]}"#, "ERR, it is not  IP addr "),
        ("POST", a, r#"{"type":"A","ips":["192.0.2.2","192.0.2.1"]}"#, "ERR, set domain name error "),
        ("POST", a, r#"{"type":"A","ips":["192.0.2.2","192.0.2.2"]}"#, "ERR, set domain name error "),
        (
            "POST",
            "/x.default.svc.containerdns.local",
            r#"{"type":"A","ips":["192.0.2.2"]}"#,
            "ERR, can not ops k8s svc ",
        ),
        ("DELETE", "/x.default.svc.containerdns.local", "", "ERR, can not ops k8s svc "),
        ("PUT", a, "{}", "ERR,type not support "),
        ("PUT", a, r#"{"type":"A"}"#, "ERR, no body update "),
        (
            "PUT",
            a,
            r#"{"type":"A","update":{"192.0.2.1":"192.0.2.2","192.0.2.3":"192.0.2.4"}}"#,
            "ERR, put just support  one update one time",
        ),
        ("PUT", a, r#"{"type":"A","update":{"192.0.2.1":"x"}}"#, "ERR, it is not  IP addr "),
        ("PUT", a, r#"{"type":"SRV","update":{"192.0.2.1":"192.0.2.2"}}"#, "ERR, no type offered "),
        (
            "PUT",
            "/b.containerdns.local",
            r#"{"type":"A","update":{"192.0.2.1":"192.0.2.2"}}"#,
            "ERR, no find  domain name ",
        ),
        ("DELETE", "/b.containerdns.local", r#"{"type":"A","ips":["192.0.2.1"]}"#, "ERR, no find  domain name "),
        ("DELETE", a, r#"{"type":"A","ips":["192.0.2.1","x"]}"#, "ERR, it is not  IP addr "),
        ("DELETE", a, r#"{"type":"HINFO"}"#, "ERR, no type offered "),
        ("GET", "/b.containerdns.local", "", "ERR, no find  domain name "),
        ("GET", "/containerdns.local", "", "ERR, type input "),
        ("GET", "/elsewhere.org", "", "ERR, the api not support this domain  "),
    ]);
    assert_eq!(host.served("a", "A"), ["192.0.2.1"], "a refusal leaves nothing behind");
    assert_eq!(host.monitored().as_object().unwrap().len(), 1);
    let long = format!("/{}.containerdns.local", "x".repeat(64));
    assert_eq!(host.u1("GET", &long, ""), "ERR, the api not support this domain  \n");
    let mine = r#"{"type":"A","ips":["192.0.2.5"]}"#;
    assert_eq!(host.u1("POST", "/mysvc.containerdns.local", mine), "OK\n", "a name that merely ends in svc");
}

fn services_have_hosts_and_ports(host: &mut Host) {
    let path = "/_http._tcp.web.example.org";
    assert_eq!(host.u1("POST", path, r#"{"type":"SRV","ips":["192.168.10.1"],"ports":[80]}"#), "OK\n");
    assert_eq!(
        host.u1("GET", path, ""),
        "{\"_http._tcp.web.example.org.\":{\"type\":\"SRV\",\"ips\":[\"192.168.10.1\"],\"ports\":[80],\"user\":\"u1\"}}\n"
    );
    let rrset = |owner: &str, rtype: &str| {
        let path = format!("/api/v1/zones/example.org/rrsets/{owner}/{rtype}");
        let mut records = host.server.get(&path).1["records"].clone();
        if let Some(records) = records.as_array_mut() {
            records.sort_by_key(Value::to_string);
        }
        records
    };
    let name = "_http._tcp.web.example.org.";
    assert_eq!(rrset(name, "SRV"), json!([format!("10 100 80 4af19cb2.{name}")]));
    assert_eq!(rrset(&format!("4af19cb2.{name}"), "A"), json!(["192.168.10.1"]));
    assert_eq!(host.u1("POST", path, r#"{"type":"SRV","ips":["192.168.10.2"],"ports":[81]}"#), "OK\n");
    assert_eq!(
        rrset(name, "SRV"),
        json!([format!("10 50 80 4af19cb2.{name}"), format!("10 50 81 49f19b1f.{name}")]),
        "each has its part of the weight"
    );
    host.refuses(&[
        ("POST", path, r#"{"type":"SRV","ips":["192.0.2.1"]}"#, "ERR, no domain ports "),
        ("POST", path, r#"{"type":"SRV","ips":["192.0.2.1"],"ports":[1,2]}"#, "ERR, ips and ports not match "),
        ("POST", path, r#"{"type":"SRV","ips":["192.0.2.1"],"ports":[65536]}"#, "ERR, set domain name error "),
        ("POST", path, r#"{"type":"SRV","ports":[1]}"#, "ERR, no domain ips "),
    ]);
    assert_eq!(host.u1("DELETE", path, r#"{"type":"SRV","ips":["192.168.10.1"]}"#), "OK\n");
    assert_eq!(rrset(name, "SRV"), json!([format!("10 100 81 49f19b1f.{name}")]));
    assert_eq!(rrset(&format!("4af19cb2.{name}"), "A"), Value::Null);
    assert_eq!(host.u1("DELETE", path, r#"{"type":"SRV"}"#), "OK\n");
    assert_eq!(host.u1("GET", "", ""), "{}\n");
}

fn aliases_are_made_moved_and_removed(host: &mut Host) {
    let target = "/cctv2.containerdns.local";
    let tv1 = r#"{"type":"CNAME","alias":"TV1.containerdns.local"}"#;
    assert_eq!(host.u1("POST", target, r#"{"type":"A","ips":["192.168.10.1"]}"#), "OK\n");
    assert_eq!(host.u1("POST", target, tv1), "OK\n");
    let shown = "{\"tv1.containerdns.local.\":{\"alias-domain\":\"cctv2.containerdns.local.\",\"type\":\"CNAME\",\"user\":\"u1\"}}\n";
    assert_eq!(host.u1("GET", "/tv1.containerdns.local", ""), shown);
    assert_eq!(host.served("tv1", "CNAME"), ["cctv2.containerdns.local."]);
    assert_eq!(host.query("tv1.containerdns.local."), (2, [192, 168, 10, 1]));
    let exists = "ERR, set domain name error  domain exists cctv2.containerdns.local.";
    host.refuses(&[
        ("POST", target, tv1, exists),
        ("POST", target, r#"{"type":"CNAME","alias":"cctv2.containerdns.local"}"#, exists),
        (
            "POST",
            target,
            r#"{"type":"CNAME","alias":"tv1.elsewhere.org"}"#,
            "alias ERR, the api not support this domain   ",
        ),
        ("POST", target, r#"{"type":"CNAME"}"#, "alias ERR, the api not support this domain   "),
        ("POST", "/tv1.containerdns.local", r#"{"type":"A","ips":["192.0.2.1"]}"#, "ERR, set domain name error "),
        (
            "PUT",
            target,
            r#"{"type":"CNAME","update":{"tv1.containerdns.local":"x.org"}}"#,
            "alias ERR, the api not support this domain  ",
        ),
        (
            "PUT",
            target,
            r#"{"type":"CNAME","update":{"tv9.containerdns.local":"tv2.containerdns.local"}}"#,
            "ERR, not find   alias name tv9.containerdns.local",
        ),
        (
            "PUT",
            "/b.containerdns.local",
            r#"{"type":"CNAME","update":{"tv1.containerdns.local":"tv2.containerdns.local"}}"#,
            "ERR, alias name and domain not match tv1.containerdns.local",
        ),
        (
            "PUT",
            target,
            r#"{"type":"CNAME","update":{"tv1.containerdns.local":"cctv2.containerdns.local"}}"#,
            "del or set key err",
        ),
    ]);
    // Also where another interface has put something else at the alias: nothing is half done.
    take(host, "u1");
    let taken = r#"{"type":"CNAME","update":{"tv1.containerdns.local":"taken.containerdns.local"}}"#;
    assert_eq!(host.u1("PUT", target, taken), "del or set key err\n");
    assert_eq!(
        host.u1("POST", target, r#"{"type":"CNAME","alias":"taken.containerdns.local"}"#),
        format!("{exists}\n")
    );
    assert_eq!(host.u1("GET", "/tv1.containerdns.local", ""), shown);
    assert_eq!(host.served("tv1", "CNAME").len(), 1);

    let update = r#"{"type":"CNAME","update":{"tv1.containerdns.local":"tv2.containerdns.local"}}"#;
    assert_eq!(host.u1("PUT", target, update), "OK\n");
    assert_eq!((host.served("tv1", "CNAME").len(), host.served("tv2", "CNAME").len()), (0, 1));
    assert_eq!(host.u1("DELETE", "/tv2.containerdns.local", r#"{"type":"CNAME"}"#), "OK\n");
    assert_eq!(host.u1("DELETE", "/tv2.containerdns.local", r#"{"type":"CNAME"}"#), "ERR, no find  domain name \n");
    assert!(host.served("tv2", "CNAME").is_empty());
}

fn name_servers_mail_servers_and_texts_are_of_the_suffix(host: &mut Host) {
    for (domain, body) in [
        ("/n1.containerdns.local", r#"{"type":"NS","nsHost":"10.0.0.2"}"#),
        ("/m1.containerdns.local", r#"{"type":"MX","mailHost":"mx.example.org","mailPriority":5}"#),
        ("/m2.containerdns.local", r#"{"type":"MX","mailHost":"10.0.0.3"}"#),
        ("/t1.containerdns.local", r#"{"type":"TXT","text":"v=spf1 <-all>"}"#),
        ("/t2.containerdns.local", r#"{"type":"TXT","text":"v=spf1 <-all>"}"#),
        ("/dns-ip.dns.containerdns.local", r#"{"type":"NS","nsHost":"10.0.0.9"}"#),
    ] {
        assert_eq!(host.u1("POST", domain, body), "OK\n", "{body}");
        let exists = format!("ERR, set domain name error  domain exists {}.\n", &domain[1..]);
        assert_eq!(host.u1("POST", domain, body), exists);
    }
    assert_eq!(host.served("@", "NS"), ["dns-ip.dns.containerdns.local.", "n1.containerdns.local."]);
    assert_eq!(host.served("n1", "A"), ["10.0.0.2"]);
    // The tree calls a mail server that has an address by its whole key, and the suffix's own address has a key of its own.
    let (mail, own) = if host.is_in_etcd() { ("m2.mail", vec![]) } else { ("m2", vec!["10.0.0.9"]) };
    assert_eq!(host.served("@", "A"), own);
    assert_eq!(host.served("@", "MX"), [&format!("10 {mail}.containerdns.local."), "5 mx.example.org."]);
    assert_eq!(host.served(mail, "A"), ["10.0.0.3"]);
    assert_eq!(host.served("@", "TXT"), ["\"v=spf1 <-all>\""]);
    let mx = "{\"m1.mail.containerdns.local.\":{\"type\":\"MX\",\"mailHost\":\"mx.example.org\",\"mailPriority\":5,\"user\":\"u1\"},\
              \"m2.mail.containerdns.local.\":{\"type\":\"MX\",\"mailHost\":\"10.0.0.3\",\"user\":\"u1\"}}\n";
    assert_eq!(host.u1("GET", "/containerdns.local?type=MX", ""), mx);
    assert_eq!(host.u1("GET", "", r#"{"type":"mx"}"#), mx);
    let txt = host.u1("GET", "/containerdns.local?type=txt", "");
    assert!(
        txt.starts_with("{\"t1.txt.containerdns.local.\":{\"type\":\"TXT\",\"text\":\"v=spf1 \\u003c-all\\u003e\""),
        "{txt}"
    );
    let ns = host.u1("GET", "/containerdns.local?type=NS", "");
    assert!(
        ns.contains("\"n1.ns.dns.containerdns.local.\":{\"type\":\"NS\",\"nsHost\":\"10.0.0.2\",\"user\":\"u1\"}"),
        "{ns}"
    );
    let all: Value = serde_json::from_str(&host.u1("GET", "", "")).unwrap();
    assert_eq!(all.as_object().unwrap().len(), 6);
    host.refuses(&[
        ("POST", "/containerdns.local", r#"{"type":"NS","nsHost":"10.0.0.2"}"#, "ERR, no domain name input "),
        ("POST", "/n2.containerdns.local", r#"{"type":"NS"}"#, "ERR, set domain name error "),
        (
            "POST",
            "/m3.containerdns.local",
            r#"{"type":"MX","mailHost":"a","mailPriority":-1}"#,
            "ERR, set domain name error ",
        ),
        ("POST", "/t3.containerdns.local", r#"{"type":"TXT"}"#, "ERR, set domain name error "),
        ("DELETE", "/t3.containerdns.local", r#"{"type":"TXT"}"#, "ERR, no find  domain name "),
        ("GET", "/n1.containerdns.local?type=NS", "", "ERR, no find  domain name "),
    ]);

    assert_eq!(host.u1("DELETE", "/t1.containerdns.local", r#"{"type":"TXT"}"#), "OK\n");
    assert_eq!(host.served("@", "TXT").len(), 1, "another label has the same text");
    for (domain, body) in [
        ("/t2", r#"{"type":"TXT"}"#),
        ("/m1", r#"{"type":"MX"}"#),
        ("/m2", r#"{"type":"MX"}"#),
        ("/n1", r#"{"type":"NS"}"#),
        ("/dns-ip.dns", r#"{"type":"NS"}"#),
    ] {
        assert_eq!(host.u1("DELETE", &format!("{domain}.containerdns.local"), body), "OK\n", "{domain}");
    }
    assert_eq!(host.u1("GET", "", ""), "{}\n");
    let kept: &[&str] = if host.is_in_etcd() { &[] } else { &["ns1.containerdns.local."] };
    assert_eq!(host.served("@", "NS"), kept, "a zone of the store keeps a name server");
    for (owner, rtype) in [("@", "TXT"), ("@", "MX"), ("@", "A"), ("m2", "A"), ("n1", "A")] {
        assert!(host.served(owner, rtype).is_empty(), "{owner} {rtype}");
    }
}

fn users_keep_their_records_to_themselves(host: &mut Host) {
    let body = r#"{"type":"A","ips":["192.0.2.1"]}"#;
    assert_eq!(host.u1("POST", "/a.containerdns.local", body), "OK\n");
    let u2 = |method: &str, body: &str| host.user("u2", method, "/a.containerdns.local", body);
    assert_eq!(u2("GET", ""), "ERR, no find  domain name \n");
    assert_eq!(u2("POST", r#"{"type":"A","ips":["192.0.2.2"]}"#), "ERR, user name not match  \n");
    assert_eq!(u2("POST", r#"{"type":"CNAME","alias":"b.example.org"}"#), "ERR, user name not match  \n");
    assert_eq!(u2("PUT", r#"{"type":"A","update":{"192.0.2.1":"192.0.2.2"}}"#), "ERR, user name not match  \n");
    assert_eq!(u2("DELETE", body), "ERR, user name not match  \n");
    assert_eq!(u2("DELETE", ""), "ERR, no find  domain name \n");
    assert_eq!(host.u1("POST", "/a.containerdns.local", r#"{"type":"CNAME","alias":"tv1.example.org"}"#), "OK\n");
    let moved = r#"{"type":"CNAME","update":{"tv1.example.org":"tv2.example.org"}}"#;
    assert_eq!(u2("PUT", moved), "ERR, not find   alias name tv1.example.org\n");
    let alias = r#"{"type":"CNAME","alias":"tv1.example.org"}"#;
    assert_eq!(host.user("u2", "POST", "/b.example.org", alias), "ERR, user name not match  \n", "another's alias");
    let cname = r#"{"type":"CNAME"}"#;
    assert_eq!(host.user("u2", "DELETE", "/tv1.example.org", cname), "ERR, user name not match  \n");
    assert_eq!(host.user("u2", "GET", "", ""), "{}\n");
    assert!(host.user("k8sSvc", "GET", "/a.containerdns.local", "").contains("\"user\":\"u1\""), "it sees all");
    assert_eq!(host.user("k8sSvc", "DELETE", "/a.containerdns.local", ""), "ERR, user name not match  \n");
    assert_eq!(host.served("a", "A"), ["192.0.2.1"]);
}

#[test]
fn nothing_is_told_without_the_token() {
    let host = Host::new("generation = \"current\"\n");
    let path = format!("{BASE}/a.containerdns.local");
    for (method, query, words) in [
        ("GET", "", "No User info\n"),
        ("GET", "?token=123456789", "No User info\n"),
        ("POST", "?user=&token=123456789", "No User info\n"),
        ("POST", "?user=u1", "No authorized\n"),
        ("DELETE", "?user=u1&token=12345678", "No authorized\n"),
        ("PUT", "?user=u1&token=1234567890", "No authorized\n"),
    ] {
        let body = r#"{"type":"A","ips":["192.0.2.1"]}"#;
        assert_eq!(host.ask(method, &format!("{path}{query}"), body), words, "{method} {query}");
        assert_eq!(host.ask(method, &format!("/elsewhere{query}"), ""), words, "whatever the path is");
    }
    assert_eq!(host.u1("GET", "", ""), "{}\n");
    let query = "?user=u1&token=123456789";
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/containerdns", 404),
        ("GET", "/containerdns/apix", 404),
        ("GET", "/containerdns/api/a/b", 404),
        ("HEAD", "/containerdns/api/a.containerdns.local", 405),
        ("PATCH", "/containerdns/api/a.containerdns.local", 405),
        ("POST", "/containerdns/api", 405),
    ] {
        assert_eq!(host.client.request(method, &format!("{path}{query}"), &[], "").status, status, "{method} {path}");
    }
    let large = host.client.request("POST", &format!("{path}{query}"), &[], &" ".repeat((1 << 20) + 1));
    assert_eq!(large.status, 413);
    let documented = Host::new("generation = \"documented\"\n");
    assert_eq!(documented.ask("GET", &format!("{BASE}?user=u1"), ""), "No authorized\n");
    assert_eq!(documented.u1("POST", "/a", r#"{"type":"A","ips":["192.0.2.1"]}"#), "OK\n", "a user is as good as none");
}

fn the_documented_generation_writes_bare_labels(host: &mut Host) {
    let two = r#"{"type":"A","ips":["192.168.10.1","192.168.10.2"]}"#;
    assert_eq!(host.bare("POST", "/cctv2", two), "OK\n");
    assert_eq!(
        host.bare("GET", "/cctv2", ""),
        "{\"cctv2.containerdns.local\":{\"type\":\"A\",\"ips\":[\"192.168.10.1\",\"192.168.10.2\"]}}\n"
    );
    assert_eq!(host.bare("POST", "/cctv2", two), "ERR, set domain name error  domain exists \n");
    assert_eq!(host.bare("POST", "/a.b", two), "ERR,  domain name cant not contain dot \n");
    assert_eq!(host.bare("POST", "/cctv2", r#"{"type":"CNAME","alias":"tv1"}"#), "OK\n");
    assert_eq!(
        host.bare("POST", "/cctv2", r#"{"type":"CNAME","alias":"tv1"}"#),
        "ERR, set domain name error  alias exists \n"
    );
    assert_eq!(host.served("tv1", "CNAME"), ["cctv2.containerdns.local."]);
    assert_eq!(host.bare("PUT", "/cctv2", r#"{"type":"CNAME","update":{"tv1":"tv2"}}"#), "OK\n");
    for (update, words) in [
        (r#"{"192.168.10.1":"192.168.10.3"}"#, "OK\n"),
        (r#"{"192.168.10.1":"192.168.10.4"}"#, "ERR, no find  domain ip 192.168.10.1\n"),
        (r#"{"192.168.10.3":"192.168.10.2"}"#, "ERR, set domain name error  domain exists 192.168.10.2\n"),
    ] {
        assert_eq!(host.bare("PUT", "/cctv2", &format!("{{\"type\":\"A\",\"update\":{update}}}")), words, "{update}");
    }
    // The token is what this generation goes by; users of the current one see only what is theirs.
    assert_eq!(host.u1("GET", "", ""), "{}\n");
    assert_eq!(host.u1("POST", "/own.containerdns.local", two), "OK\n");
    assert_eq!(host.bare("DELETE", "/own", ""), "OK\n");
    assert_eq!(host.bare("DELETE", "/cctv2", ""), "OK\n");
    assert_eq!(host.bare("DELETE", "/tv2", r#"{"type":"CNAME"}"#), "OK\n");
    assert_eq!(host.bare("GET", "", ""), "{}\n");
}

fn monitored_addresses_follow_the_records(host: &mut Host) {
    let body = r#"{"type":"A","ips":["10.3.9.10","10.3.9.1"]}"#;
    for name in ["a", "aa"] {
        assert_eq!(host.u1("POST", &format!("/{name}.containerdns.local"), body), "OK\n");
    }
    let both = json!(["a.containerdns.local.", "aa.containerdns.local."]);
    let entry = json!({"status": "UP", "domains": both});
    assert_eq!(host.monitored(), json!({"10.3.9.1": entry, "10.3.9.10": entry}));
    let update = r#"{"type":"A","update":{"10.3.9.10":"10.3.9.2"}}"#;
    assert_eq!(host.u1("PUT", "/a.containerdns.local", update), "OK\n");
    let path = "/containerdns/monitor/status/10.3.9.10?token=123456789";
    assert_eq!(host.ask("GET", path, ""), "{\"status\":\"UP\",\"domains\":[\"aa.containerdns.local.\"]}\n");
    for name in ["a", "aa"] {
        assert_eq!(host.u1("DELETE", &format!("/{name}.containerdns.local"), ""), "OK\n");
    }
    assert_eq!(host.monitored(), json!({}));
    assert_eq!(host.ask("GET", path, ""), "key not found\n");
}

#[test]
fn what_others_change_counts_and_restarts_keep_everything() {
    let host = Host::new("");
    let body = r#"{"type":"A","ips":["192.0.2.1","192.0.2.2"]}"#;
    assert_eq!(host.u1("POST", "/a.containerdns.local", body), "OK\n");
    // The native interface takes one address away and adds another.
    let path = "/api/v1/zones/containerdns.local/rrsets/a/A";
    let native = r#"{"ttl":30,"records":["192.0.2.2","192.0.2.7"]}"#;
    assert_eq!(host.server.json("PUT", path, native).0, 200);
    let shown = "{\"a.containerdns.local.\":{\"type\":\"A\",\"ips\":[\"192.0.2.2\"],\"user\":\"u1\"}}\n";
    assert_eq!(host.u1("GET", "/a.containerdns.local", ""), shown);
    let Host { server, directory, .. } = host;
    server.stop();
    let host = Host::open(directory, "");
    assert_eq!(host.u1("GET", "/a.containerdns.local", ""), shown, "after a restart");
    assert_eq!(host.u1("POST", "/a.containerdns.local", r#"{"type":"A","ips":["192.0.2.1"]}"#), "OK\n");
    assert_eq!(host.served("a", "A"), ["192.0.2.1", "192.0.2.2", "192.0.2.7"]);
    assert_eq!(host.u1("DELETE", "/a.containerdns.local", ""), "OK\n");
    assert_eq!(host.served("a", "A"), ["192.0.2.7"], "what is another's stays");
    host.server.stop();
}

fn many_writers_at_once_lose_nothing(host: &mut Host) {
    // What it moves to is taken by another interface, so that it fails when half of it is written.
    let alias = r#"{"type":"CNAME","alias":"tv1.containerdns.local"}"#;
    assert_eq!(host.u1("POST", "/target.containerdns.local", alias), "OK\n");
    take(host, "u9");
    let half = r#"{"type":"CNAME","update":{"tv1.containerdns.local":"taken.containerdns.local"}}"#;
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let host = &*host;
            scope.spawn(move || {
                for number in 0..10 {
                    // One name for all of them, and one for each.
                    let body = format!("{{\"type\":\"A\",\"ips\":[\"10.0.{writer}.{number}\"]}}");
                    assert_eq!(host.u1("POST", "/all.containerdns.local", &body), "OK\n");
                    assert_eq!(host.u1("POST", &format!("/w{writer}-{number}.containerdns.local"), &body), "OK\n");
                    assert_eq!(host.u1("PUT", "/target.containerdns.local", half), "del or set key err\n");
                }
            });
        }
    });
    assert_eq!(host.served("all", "A").len(), 40);
    let all: Value = serde_json::from_str(&host.u1("GET", "", "")).unwrap();
    assert_eq!(all.as_object().unwrap().len(), 42);
    assert_eq!(host.served("tv1", "CNAME"), ["target.containerdns.local."]);
    assert_eq!(host.monitored().as_object().unwrap().len(), 40);
}

#[test]
fn one_answer_is_chosen_where_the_configuration_says_so() {
    let mut host = Host::new("answers = \"random-one\"\nttl = 77\n");
    assert_eq!(host.u1("POST", "/a.containerdns.local", r#"{"type":"A","ips":["192.0.2.1","192.0.2.2"]}"#), "OK\n");
    let (_, rrset) = host.server.get("/api/v1/zones/containerdns.local/rrsets/a/A");
    assert_eq!((&rrset["ttl"], &rrset["selection"]["mode"]), (&json!(77), &json!("round_robin")), "{rrset}");
    assert_eq!(host.query("a.containerdns.local.").0, 1);
    assert_eq!(host.u1("POST", "/a.containerdns.local", r#"{"type":"A","ips":["192.0.2.3"]}"#), "OK\n");
    assert_eq!(host.u1("DELETE", "/a.containerdns.local", r#"{"type":"A","ips":["192.0.2.1"]}"#), "OK\n");
    assert_eq!(host.served("a", "A"), ["192.0.2.2", "192.0.2.3"]);
}
