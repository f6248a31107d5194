//! ContainerDNS's tree.

use super::*;

#[test]
fn containerdns_addresses_lose_the_record_s_own_label_and_aliases_do_not() {
    let lines = Tried::containerdns().serve(&[
        ("/containerdns/local/c/cctv2/4af19cb2/", r#"{"host":"192.168.10.1","type":"A","ttl":30,"user":"u1"}"#),
        ("/containerdns/local/c/cctv2/49f19b1f/", r#"{"host":"192.168.10.2","type":"A","ttl":20}"#),
        ("/containerdns/local/c/cctv2/six/", r#"{"host":"2001:db8::1","type":"A"}"#),
        ("/containerdns/local/c/tv1/", r#"{"host":"cctv2.c.local.","type":"CNAME","ttl":30,"user":"u1"}"#),
        ("/containerdns/local/c/tv2/x/", r#"{"host":"CCTV2.c.local","type":"a","ttl":9}"#),
        ("/containerdns/other/www/x", r#"{"host":"192.0.2.1","type":"A","ttl":0}"#),
        ("/containerdns/monitor/status/192.168.10.1", r#"{"status":"UP"}"#),
        ("/containerdns/local/d/www/x/", "no JSON, and no zone of ours"),
    ]);
    assert_eq!(
        lines,
        [
            "cctv2.c.local. A 20 192.168.10.2 + 192.168.10.1",
            "cctv2.c.local. AAAA 10 2001:db8::1",
            "tv1.c.local. CNAME 30 cctv2.c.local.",
            "tv2.c.local. CNAME 9 CCTV2.c.local.",
            "www.other. A 0 192.0.2.1",
        ]
    );
}

#[test]
fn containerdns_services_have_shares_of_a_hundred_and_the_addresses_of_their_targets() {
    let mut tried = Tried::containerdns();
    let pod = "/containerdns/local/c/svc/default/db/pod-0/";
    let service = "/containerdns/local/c/svc/default/db/_tcp/_sql/pod-0/";
    let srv = r#"{"type":"SRV","source":"svc","host":"pod-0.db.default.svc.c.local.","ttl":30,"port":3306,"priority":10,"weight":10}"#;
    tried.apply(&[(pod, r#"{"type":"A","source":"pod","host":"10.1.2.3","ttl":30}"#)]);
    assert_eq!(tried.lines(), ["db.default.svc.c.local. A 30 10.1.2.3"], "not by its own label without a service");
    tried.apply(&[(service, srv)]);
    assert_eq!(
        tried.lines(),
        [
            "_sql._tcp.db.default.svc.c.local. SRV 30 10 100 3306 pod-0.db.default.svc.c.local.",
            "db.default.svc.c.local. A 30 10.1.2.3",
            "pod-0.db.default.svc.c.local. A 30 10.1.2.3",
        ]
    );
    assert_eq!(tried.apply(&[(service, "")]), 2, "the target's addresses go with the service");
    let lines = Tried::containerdns().serve(&[
        ("/containerdns/local/c/s/a/", r#"{"type":"SRV","host":"10.0.0.1","port":1,"weight":1}"#),
        ("/containerdns/local/c/s/b/", r#"{"type":"SRV","host":"b.example.","port":2,"weight":2}"#),
        ("/containerdns/local/c/s/c/", r#"{"type":"SRV","host":"c.example.","port":3,"priority":20}"#),
    ]);
    assert_eq!(lines[0], "a.s.c.local. A 10 10.0.0.1");
    assert_eq!(lines[1], "s.c.local. SRV 10 10 33 1 a.s.c.local. + 10 66 2 b.example. + 20 100 3 c.example.");
}

#[test]
fn containerdns_zones_have_their_own_records_below_names_of_their_own() {
    let lines = Tried::containerdns().serve(&[
        ("/containerdns/local/c/dns/ns/n1/", r#"{"host":"10.0.0.2","type":"NS","ttl":30}"#),
        ("/containerdns/local/c/dns/ns/dns/dns-ip/x/", r#"{"host":"10.0.0.3","type":"A"}"#),
        ("/containerdns/local/c/mail/m1/", r#"{"host":"mx.c.local","type":"MX","mail":true,"priority":5}"#),
        ("/containerdns/local/c/mail/m2/", r#"{"host":"10.0.0.4","type":"MX","mail":true}"#),
        ("/containerdns/local/c/txt/t1/", r#"{"type":"TXT","text":"v=spf1 -all"}"#),
        ("/containerdns/local/c/www/t1/", r#"{"type":"TXT","text":"hello"}"#),
    ]);
    assert_eq!(
        lines,
        [
            "c.local. A 10 10.0.0.3",
            "c.local. NS 30 n1.c.local.",
            "c.local. MX 10 5 mx.c.local. + 10 m2.mail.c.local.",
            "c.local. TXT 10 \"v=spf1 -all\"",
            "dns-ip.dns.ns.dns.c.local. A 10 10.0.0.3",
            "m2.mail.c.local. A 10 10.0.0.4",
            "n1.c.local. A 30 10.0.0.2",
            "www.c.local. TXT 10 \"hello\"",
        ]
    );
}

#[test]
fn the_label_left_of_the_zone_is_left_out_where_that_is_wanted() {
    let trees = vec![Tree { skip_domain: true, ..tree(Layout::ContainerDns, &["c.local."]) }];
    let lines = Tried::new(trees).serve(&[
        ("/containerdns/local/c/svc/default/nginx/x/", r#"{"type":"A","host":"10.0.0.1"}"#),
        ("/containerdns/local/c/a/x/", r#"{"type":"A","host":"10.0.0.2"}"#),
    ]);
    assert_eq!(lines, ["a.c.local. A 10 10.0.0.2", "nginx.default.c.local. A 10 10.0.0.1"]);
}
