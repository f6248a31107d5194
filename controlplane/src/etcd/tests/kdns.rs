//! The tree of kdns-agent: views, and how records are chosen from.

use super::*;

fn kdns() -> Tried {
    Tried::new(vec![tree(Layout::Kdns, &["example.com.", "168.192.in-addr.arpa."])])
}

#[test]
fn each_type_of_kdns_is_read() {
    let lines = kdns().serve(&[
        ("/kdns/com/example/chen/4af19cb2/", r#"{"type":"A","host":"192.168.2.2","ttl":60,"user":"u"}"#),
        ("/kdns/com/example/chen/six/", r#"{"type":"AAAA","host":"2001:db8::1"}"#),
        ("/kdns/com/example/alias/", r#"{"type":"CNAME","host":"chen.example.com."}"#),
        (
            "/kdns/com/example/_tcp/_sql/x/",
            r#"{"type":"SRV","host":"chen.example.com.","priority":20,"weight":500,"port":8800}"#,
        ),
        ("/kdns/arpa/in-addr/192/168/2/2/x/", r#"{"type":"PTR","host":"chen.example.com"}"#),
        ("/kdns/com/example/mail/m/", r#"{"type":"MX","host":"mx.example.net","mail":true}"#),
        ("/kdns/com/example/txt/t/", r#"{"type":"TXT","text":"hello"}"#),
        ("/kdns/com/example/*/x/", r#"{"type":"A","host":"192.168.2.9"}"#),
    ]);
    assert_eq!(
        lines,
        [
            "*.example.com. A 30 192.168.2.9",
            "2.2.168.192.in-addr.arpa. PTR 30 chen.example.com.",
            "_sql._tcp.example.com. SRV 30 20 500 8800 chen.example.com.",
            "alias.example.com. CNAME 30 chen.example.com.",
            "chen.example.com. A 60 192.168.2.2",
            "chen.example.com. AAAA 30 2001:db8::1",
            "example.com. MX 30 10 mx.example.net.",
            "example.com. TXT 30 \"hello\"",
        ]
    );
}

#[test]
fn the_ways_to_choose_are_those_of_the_numbers() {
    let served = |first: &str, second: &str| {
        let value = |host: u8, more: &str| format!(r#"{{"type":"A","host":"10.0.0.{host}"{more}}}"#);
        let (first, second) = (value(1, first), value(2, second));
        let keys = [("/kdns/com/example/a/1/", first.as_str()), ("/kdns/com/example/a/2/", &second)];
        kdns().serve(&keys).remove(0)
    };
    for (first, second, expected) in [
        ("", "", "Rotate"),
        (r#","maxAnswer":1"#, "", "Rotate max 1"),
        (r#","lbMode":0"#, r#","lbMode":1"#, "RoundRobin"),
        (r#","lbMode":2,"lbWeight":3"#, r#","lbMode":2"#, "Weighted 3 1"),
        (r#","lbMode":3"#, r#","lbMode":1"#, "SourceHash"),
        (r#","lbMode":1,"lbWeight":9"#, r#","lbMode":1"#, "RoundRobin"),
    ] {
        assert_eq!(served(first, second), format!("a.example.com. A 30 10.0.0.1 + 10.0.0.2 {expected}"), "{first}");
    }
    assert_eq!(
        kdns().serve(&[("/kdns/com/example/a/1/", r#"{"type":"A","host":"10.0.0.1","lbMode":2,"lbWeight":3}"#)]),
        ["a.example.com. A 30 10.0.0.1"],
        "one record leaves no choice"
    );
}

#[test]
fn views_have_their_own_rrsets() {
    let mut tried = kdns();
    let gz = r#"{"type":"A","host":"10.0.0.2","viewName":"gz","ttl":5}"#;
    tried.apply(&[
        ("/kdns/com/example/a/1/", r#"{"type":"A","host":"10.0.0.1","viewName":"no_info"}"#),
        ("/kdns/com/example/a/2/", gz),
        ("/kdns/com/example/a/3/", r#"{"type":"A","host":"10.0.0.3","viewName":"gz","lbMode":1}"#),
        // The alias of one view stands beside the addresses of another.
        ("/kdns/com/example/a/", r#"{"type":"CNAME","host":"b.example.com","viewName":"bj"}"#),
    ]);
    assert_eq!(
        tried.lines(),
        [
            "a.example.com. A 30 10.0.0.1",
            "a.example.com.@gz A 5 10.0.0.2 + 10.0.0.3 RoundRobin",
            "a.example.com.@bj CNAME 30 b.example.com.",
        ]
    );
    assert_eq!(tried.apply(&[("/kdns/com/example/a/3/", "")]), 1);
    assert_eq!(tried.apply(&[("/kdns/com/example/a/2/", "")]), 1, "the view's RRset goes");
    assert_eq!(tried.apply(&[("/kdns/com/example/a/1/", "")]), 1);
    assert_eq!(tried.lines(), ["a.example.com.@bj CNAME 30 b.example.com."]);
}

#[test]
fn clients_of_views_are_said_as_a_whole() {
    let mut tried = kdns();
    tried.apply(&[
        ("/kdns/dnsviews/gz", r#"{"viewName":"gz","cidrs":["192.168.0.0/24","2001:db8::/32"],"source":"x"}"#),
        ("/kdns/dnsviews/bj/2", r#"{"viewName":"bj","cidrs":"10.1.2.3"}"#),
    ]);
    assert_eq!(tried.clients, ["10.1.2.3/32 bj", "192.168.0.0/24 gz", "2001:db8::/32 gz"]);
    // Host bits are looked past, and one wrong network takes no other with it.
    tried.apply(&[("/kdns/dnsviews/gz", r#"{"viewName":"gz","cidrs":["192.168.1.7/16","10.0.0.0/33"]}"#)]);
    assert_eq!(tried.clients, ["10.1.2.3/32 bj", "192.168.0.0/16 gz"]);
    assert_eq!(tried.faults.len(), 1);
    assert!(tried.faults[0].starts_with("/kdns/dnsviews/gz: \"10.0.0.0/33\" of view gz"), "{:?}", tried.faults);
    assert_eq!(tried.model.malformed(), 1);
    tried.apply(&[("/kdns/dnsviews/bad", "{"), ("/kdns/dnsviews/name", r#"{"viewName":"a b","cidrs":[]}"#)]);
    assert_eq!((tried.faults.len(), tried.clients.len()), (2, 2), "{:?}", tried.faults);
    tried.apply(&[
        ("/kdns/dnsviews/gz", ""),
        ("/kdns/dnsviews/all", r#"{"viewName":"no_info","cidrs":["10.0.0.0/8"]}"#),
    ]);
    assert_eq!(tried.clients, ["10.0.0.0/8 default", "10.1.2.3/32 bj"]);
    tried.apply(&[("/kdns/dnsviews/bj/2", ""), ("/kdns/dnsviews/all", "")]);
    assert_eq!(tried.clients, [] as [String; 0]);
}

#[test]
fn what_kdns_has_no_meaning_for_is_named() {
    for (key, value, fault) in [
        ("a/1/", r#"{"type":"A","host":"10.0.0.1","lbMode":4}"#, "lbMode 4 is not known"),
        ("a/1/", r#"{"type":"A","host":"10.0.0.1","lbMode":-1}"#, "-1"),
        ("a/1/", r#"{"type":"A","host":"2001:db8::1"}"#, "no address for a record of type A"),
        ("a/1/", r#"{"type":"AAAA","host":"10.0.0.1"}"#, "no address for a record of type AAAA"),
        ("a/1/", r#"{"type":"A","host":"www.example."}"#, "no address for a record of type A"),
        ("a/1/", r#"{"type":"A","host":"10.0.0.1","viewName":"a b"}"#, "\"a b\" cannot be the name of a view"),
        ("a/", r#"{"type":"CNAME","host":"10.0.0.1"}"#, "the host of a record of type CNAME is a name"),
        ("dns/ns/n/", r#"{"type":"NS","host":"10.0.0.1","viewName":"gz"}"#, "the same in every view"),
        ("a/1/", r#"{"type":"LOC","host":"10.0.0.1"}"#, "type \"LOC\" is not known"),
    ] {
        let mut tried = kdns();
        let good = ("/kdns/com/example/a/good/", r#"{"type":"A","host":"10.0.0.9"}"#);
        tried.apply(&[(&format!("/kdns/com/example/{key}"), value), good]);
        assert!(tried.faults.len() == 1 && tried.faults[0].contains(fault), "{:?}", tried.faults);
        assert_eq!(tried.lines(), ["a.example.com. A 30 10.0.0.9"]);
    }
}
