//! Each rule alone.

use ringdns_engine::name::WireName;
use ringdns_engine::rtype::types::{A, AAAA, ANY, CNAME, MX, SOA, SRV, TXT};
use ringdns_engine::rules::{PodRule, Rules, Search};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{EditError, Editor, RrsetSpec};
use ringdns_engine::testing::query;

use super::common::{add_zone, name, text};
use super::{CLUSTER, check, check_rules, snapshot, ways::Ways};

const NXDOMAIN: &str = "NXDomain AA; SOA cluster.local.";
const NODATA: &str = "NoError AA; SOA cluster.local.";

/// Rules with Pods.
fn pods(rule: PodRule, deep_pods: bool) -> Rules {
    Rules { pods: Some(PodRule { ttl: 30, ..rule }), deep_pods, ..Rules::default() }
}

#[test]
fn without_rules_all_is_as_it_is_stored() {
    check_rules(
        &Rules::default(),
        &[
            ("web.one.svc.cluster.local.", A, "NoError AA; web.one.svc.cluster.local. 300 IN A 10.0.0.1"),
            ("1-2-3-4.one.pod.cluster.local.", A, NXDOMAIN),
            ("http.tcp.web.one.svc.cluster.local.", A, NXDOMAIN),
            ("_tcp.web.one.svc.cluster.local.", A, NODATA),
            ("one.svc.cluster.local.", A, NODATA),
            ("empty.svc.cluster.local.", A, NODATA),
            ("gone.one.svc.cluster.local.", SOA, NXDOMAIN),
            (
                "lost.one.svc.cluster.local.",
                A,
                "NXDomain AA; lost.one.svc.cluster.local. 300 IN CNAME gone.one.svc.cluster.local.; SOA cluster.local.",
            ),
        ],
    );
}

#[test]
fn names_exist_without_records_until_they_are_removed() {
    let (apex, owner) = (name(CLUSTER), name("empty.svc.cluster.local."));
    let mut ways = Ways::new(snapshot(&Rules::default()), false);
    let names = ways.host.snapshot.names();
    let mut editor = Editor::new(&ways.host.snapshot);
    assert!(editor.remove_name(&apex, &owner));
    assert!(!editor.remove_name(&apex, &owner), "it is gone");
    assert!(!editor.remove_name(&apex, &apex) && !editor.remove_name(&apex, &name("web.one.svc.cluster.local.")));
    ways.serve(editor.commit());
    assert_eq!(ways.host.snapshot.names(), names - 1);
    check(&mut ways, &[("empty.svc.cluster.local.", A, NXDOMAIN), ("one.svc.cluster.local.", A, NODATA)]);

    // A name that has something stays, and what was named stays when what it has goes.
    let mut editor = Editor::new(&ways.host.snapshot);
    assert!(editor.remove_name(&apex, &name("one.svc.cluster.local.")));
    let web = name("db.two.svc.cluster.local.");
    editor.add_name(&apex, &web).unwrap();
    editor.add_name(&apex, &web).unwrap();
    for owner in ["db.two.svc.cluster.local.", "a-0.db.two.svc.cluster.local.", "*.zone.db.two.svc.cluster.local."] {
        assert!(editor.remove_rrset(&apex, &name(owner), A));
    }
    assert_eq!(editor.add_name(&apex, &name("elsewhere.")), Err(EditError::OutOfZone));
    assert_eq!(editor.add_name(&name("elsewhere."), &name("elsewhere.")), Err(EditError::NoZone));
    ways.serve(editor.commit());
    check(
        &mut ways,
        &[
            ("one.svc.cluster.local.", A, NODATA),
            ("db.two.svc.cluster.local.", A, NODATA),
            ("a-0.db.two.svc.cluster.local.", A, NXDOMAIN),
        ],
    );
    let mut editor = Editor::new(&ways.host.snapshot);
    assert!(editor.remove_name(&apex, &web));
    ways.serve(editor.commit());
    check(&mut ways, &[("db.two.svc.cluster.local.", A, NXDOMAIN), ("two.svc.cluster.local.", A, NXDOMAIN)]);
}

#[test]
fn rules_are_given_back_and_go_with_their_zone() {
    let apex = name(CLUSTER);
    let search = Search { host_suffixes: vec![name("corp.example.")], cname: true };
    let rules = Rules { search: Some(search), fallthrough: true, ..Rules::default() };
    let served = snapshot(&rules);
    assert_eq!(served.rules(&apex), Some(rules.clone()));
    assert_eq!(served.rules(&name("example.net.")), Some(Rules::default()));
    assert_eq!(served.rules(&name("elsewhere.")), None);
    let mut editor = Editor::new(&served);
    let suffixes = vec![WireName::root(); 17];
    let too_many = Rules { search: Some(Search { host_suffixes: suffixes, cname: false }), ..Rules::default() };
    assert_eq!(editor.set_rules(&apex, &too_many), Err(EditError::TooLarge));
    assert_eq!(editor.set_rules(&name("elsewhere."), &rules), Err(EditError::NoZone));
    let rrsets = editor.remove_zone(&apex);
    assert_eq!(rrsets, served.rrsets() - 6, "rules are no RRsets");
    add_zone(&mut editor, CLUSTER, super::RECORDS);
    assert_eq!(editor.commit().rules(&apex), Some(Rules::default()), "a zone that is added has none");
    let mut editor = Editor::new(&served);
    assert_eq!(editor.rrsets(&apex, &apex).len(), 2, "rules are no RRsets");
    editor.set_rules(&apex, &Rules::default()).unwrap();
    let without = editor.commit();
    assert_eq!(without.rules(&apex), Some(Rules::default()));
    check(&mut Ways::new(without, false), &[("gone.cluster.local.", A, NXDOMAIN)]);
}

#[test]
fn empty_non_terminals_end_at_a_depth() {
    check_rules(
        &Rules { empty_depth_max: Some(2), ..Rules::default() },
        &[
            ("svc.cluster.local.", A, NODATA),
            ("two.svc.cluster.local.", A, NODATA),
            ("_tcp.web.one.svc.cluster.local.", A, NXDOMAIN),
            ("zone.db.two.svc.cluster.local.", AAAA, NXDOMAIN),
            ("web.one.svc.cluster.local.", AAAA, NODATA),
            ("x.zone.db.two.svc.cluster.local.", TXT, NODATA),
        ],
    );
    check_rules(
        &Rules { empty_depth_max: Some(0), ..Rules::default() },
        &[
            ("cluster.local.", A, NODATA),
            ("svc.cluster.local.", A, NXDOMAIN),
            ("two.svc.cluster.local.", A, NXDOMAIN),
            // It was added as a name.
            ("empty.svc.cluster.local.", A, NODATA),
        ],
    );
}

#[test]
fn a_soa_question_below_the_apex_is_nodata() {
    check_rules(
        &Rules { soa_below_apex: true, ..Rules::default() },
        &[
            ("gone.one.svc.cluster.local.", SOA, NODATA),
            ("web.one.svc.cluster.local.", SOA, NODATA),
            ("inner.one.svc.cluster.local.", SOA, NODATA),
            ("gone.one.svc.cluster.local.", TXT, NXDOMAIN),
            (
                "cluster.local.",
                SOA,
                "NoError AA; cluster.local. 300 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5",
            ),
        ],
    );
}

#[test]
fn pods_are_answered_with_the_address_in_their_names() {
    check_rules(
        &pods(PodRule::default(), false),
        &[
            (
                "10-240-0-1.one.pod.cluster.local.",
                A,
                "NoError AA; 10-240-0-1.one.pod.cluster.local. 30 IN A 10.240.0.1",
            ),
            (
                "10-240-0-1.one.pod.cluster.local.",
                ANY,
                "NoError AA; 10-240-0-1.one.pod.cluster.local. 30 IN A 10.240.0.1",
            ),
            ("10-240-0-1.ONE.pod.cluster.local.", AAAA, NODATA),
            ("10-240-0-1.one.pod.cluster.local.", TXT, NODATA),
            (
                "2001-db8--1.empty.pod.cluster.local.",
                AAAA,
                "NoError AA; 2001-db8--1.empty.pod.cluster.local. 30 IN AAAA 2001:db8::1",
            ),
            ("2001-db8--1.empty.pod.cluster.local.", A, NODATA),
            ("blah.one.pod.cluster.local.", A, NXDOMAIN),
            ("blah.one.pod.cluster.local.", 13, NXDOMAIN),
            ("10-240-0-1.nobody.pod.cluster.local.", A, NXDOMAIN),
            ("10-240-0-1.pod.cluster.local.", A, NXDOMAIN),
            ("10-240-0-1.one.svc.cluster.local.", A, NXDOMAIN),
            ("x.10-240-0-1.one.pod.cluster.local.", A, NXDOMAIN),
            ("one.pod.cluster.local.", A, NODATA),
            ("pod.cluster.local.", A, NODATA),
            ("10-9-8-7.one.pod.cluster.local.", A, "NoError AA; 10-9-8-7.one.pod.cluster.local. 300 IN A 10.9.8.7"),
        ],
    );
    check_rules(
        &pods(PodRule { bad_pod_nodata: true, any_namespace: true, ..PodRule::default() }, false),
        &[
            ("blah.one.pod.cluster.local.", A, NODATA),
            (
                "10-0-0-1.nobody.pod.cluster.local.",
                A,
                "NoError AA; 10-0-0-1.nobody.pod.cluster.local. 30 IN A 10.0.0.1",
            ),
            ("blah.nobody.pod.cluster.local.", A, NODATA),
            ("nobody.pod.cluster.local.", A, NXDOMAIN),
        ],
    );
}

#[test]
fn labels_to_the_left_of_a_pod_are_ignored() {
    let deep = "NoError AA; x.y.10-0-0-1.one.pod.cluster.local. 30 IN A 10.0.0.1";
    let stored = "NoError AA; x.10-9-8-7.one.pod.cluster.local. 300 IN A 10.9.8.7";
    check_rules(
        &pods(PodRule::default(), true),
        &[
            ("x.y.10-0-0-1.one.pod.cluster.local.", A, deep),
            ("x.y.z.10-0-0-1.one.pod.cluster.local.", A, NXDOMAIN),
            ("x.blah.one.pod.cluster.local.", A, NXDOMAIN),
            ("x.10-9-8-7.one.pod.cluster.local.", A, stored),
        ],
    );
    check_rules(
        &Rules { deep_pods: true, ..Rules::default() },
        &[
            ("x.10-9-8-7.one.pod.cluster.local.", A, stored),
            ("x.10-9-8-7.one.pod.cluster.local.", AAAA, NODATA),
            ("x.10-9-8-6.one.pod.cluster.local.", A, NXDOMAIN),
            ("10-9-8-6.one.pod.cluster.local.", A, NXDOMAIN),
        ],
    );
}

#[test]
fn ports_need_no_underscores() {
    let found = |name: &str| format!("NoError AA; {name} 300 IN SRV 0 100 80 web.one.svc.cluster.local.");
    let rules = Rules { bare_ports: true, ..Rules::default() };
    for ports in ["http.tcp", "_http.tcp", "http._tcp", "_http._tcp"] {
        let qname = format!("{ports}.web.one.svc.cluster.local.");
        check_rules(&rules, &[(&qname, SRV, &found(&qname)), (&qname, TXT, NODATA)]);
    }
    check_rules(
        &rules,
        &[
            ("http.udp.web.one.svc.cluster.local.", SRV, NXDOMAIN),
            ("http.web.one.svc.cluster.local.", SRV, NXDOMAIN),
            ("__http.tcp.web.one.svc.cluster.local.", SRV, NXDOMAIN),
            ("x.tcp.svc.cluster.local.", SRV, NXDOMAIN),
        ],
    );
    // An underscore more than a label can have.
    let long = format!("{}.tcp.web.one.svc.cluster.local.", "p".repeat(63));
    check_rules(&rules, &[(&long, SRV, NXDOMAIN)]);
}

#[test]
fn what_falls_through_is_not_served_here() {
    let rules = Rules { fallthrough: true, ..Rules::default() };
    check_rules(
        &rules,
        &[
            ("gone.cluster.local.", A, "Refused"),
            ("x.gone.one.svc.cluster.local.", A, "Refused"),
            ("web.one.svc.cluster.local.", TXT, NODATA),
            ("empty.svc.cluster.local.", TXT, NODATA),
        ],
    );
    let mut editor = Editor::new(&snapshot(&rules));
    add_zone(
        &mut editor,
        "local.",
        "@ SOA ns host 1 2 3 4 5\nextra.cluster A 192.0.2.9\nweb.one.svc.cluster A 192.0.2.8\n",
    );
    let mut ways = Ways::new(editor.commit(), false);
    let cases = [
        ("extra.cluster.local.", A, "NoError AA; extra.cluster.local. 300 IN A 192.0.2.9"),
        ("web.one.svc.cluster.local.", A, "NoError AA; web.one.svc.cluster.local. 300 IN A 10.0.0.1"),
        ("gone.cluster.local.", A, "NXDomain AA; SOA local."),
        ("gone.local.", A, "NXDomain AA; SOA local."),
    ];
    check(&mut ways, &cases);

    // A chain that comes to such a name ends as at any name that is not served.
    let mut editor = Editor::new(&snapshot(&rules));
    editor.remove_zone(&name("example.net."));
    let chased = "NoError AA; lost.one.svc.cluster.local. 300 IN CNAME gone.one.svc.cluster.local.";
    check(&mut Ways::new(editor.commit(), false), &[("lost.one.svc.cluster.local.", A, chased)]);
}

#[test]
fn a_cname_that_leads_to_nothing_is_left_out() {
    let chased = "NoError AA; inner.one.svc.cluster.local. 300 IN CNAME web.one.svc.cluster.local.; \
                  web.one.svc.cluster.local. 300 IN A 10.0.0.1";
    check_rules(
        &Rules { no_dangling_cname: true, ..Rules::default() },
        &[
            ("inner.one.svc.cluster.local.", A, chased),
            ("inner.one.svc.cluster.local.", AAAA, NODATA),
            ("lost.one.svc.cluster.local.", A, NODATA),
            ("twice.one.svc.cluster.local.", A, NODATA),
            ("round.one.svc.cluster.local.", A, NODATA),
            (
                "lost.one.svc.cluster.local.",
                CNAME,
                "NoError AA; lost.one.svc.cluster.local. 300 IN CNAME gone.one.svc.cluster.local.",
            ),
            (
                "outer.one.svc.cluster.local.",
                A,
                "NoError AA; outer.one.svc.cluster.local. 300 IN CNAME www.elsewhere.net.",
            ),
            (
                "static.one.svc.cluster.local.",
                A,
                "NXDomain AA; static.one.svc.cluster.local. 300 IN CNAME gone.example.net.; SOA example.net.",
            ),
        ],
    );
}

#[test]
fn a_cname_is_for_addresses() {
    let found = "NoError AA; outer.one.svc.cluster.local. 300 IN CNAME www.elsewhere.net.";
    check_rules(
        &Rules { cname_for_addresses_only: true, ..Rules::default() },
        &[
            ("outer.one.svc.cluster.local.", A, found),
            ("outer.one.svc.cluster.local.", AAAA, found),
            ("outer.one.svc.cluster.local.", CNAME, found),
            ("outer.one.svc.cluster.local.", ANY, found),
            ("outer.one.svc.cluster.local.", TXT, NODATA),
            ("outer.one.svc.cluster.local.", MX, NODATA),
            ("outer.one.svc.cluster.local.", SRV, NODATA),
        ],
    );
}

/// Rules with a search path.
fn searching(cname: bool) -> Rules {
    let search = Search { host_suffixes: vec![name("unserved.example."), name("net.")], cname };
    Rules { search: Some(search), pods: Some(PodRule { ttl: 7, ..PodRule::default() }), ..Rules::default() }
}

#[test]
fn the_search_path_is_walked_for_the_client() {
    let found = |owner: &str, rest: &str| format!("NoError AA; {owner} 300 IN {rest}");
    let cases = |pairs: &[(&str, u16, &str)]| {
        for &(qname, qtype, rest) in pairs {
            check_rules(&searching(false), &[(qname, qtype, &found(qname, rest))]);
        }
    };
    cases(&[
        ("web.one.svc.cluster.local.", A, "A 10.0.0.1"),
        ("db.two.one.svc.cluster.local.", A, "A 10.1.0.1"),
        ("db.two.svc.one.svc.cluster.local.", A, "A 10.1.0.1"),
        ("db.two.svc.cluster.local.one.svc.cluster.local.", A, "A 10.1.0.1"),
        ("foo.example.one.svc.cluster.local.", A, "A 192.0.2.2"),
        ("foo.example.net.empty.svc.cluster.local.", A, "A 192.0.2.2"),
        ("foo.example.net.empty.svc.cluster.local.", AAAA, "AAAA 2001:db8::f"),
        ("a-0.db.two.one.svc.cluster.local.", A, "A 10.1.0.1"),
        ("x.zone.db.two.one.svc.cluster.local.", A, "A 10.1.0.7"),
    ]);
    check_rules(
        &searching(false),
        &[
            ("db.two.one.svc.cluster.local.", AAAA, NODATA),
            ("foo.example.net.one.svc.cluster.local.", TXT, NODATA),
            // The first name that exists is taken, whatever it has.
            ("two.one.svc.cluster.local.", A, NODATA),
            (
                "1-2-3-4.one.pod.one.svc.cluster.local.",
                A,
                "NoError AA; 1-2-3-4.one.pod.one.svc.cluster.local. 7 IN A 1.2.3.4",
            ),
            ("1-2-3-4.one.pod.one.svc.cluster.local.", AAAA, NODATA),
            ("www.example.com.one.svc.cluster.local.", A, NXDOMAIN),
            ("db.two.nobody.svc.cluster.local.", A, NXDOMAIN),
            ("db.two.svc.svc.cluster.local.", A, NXDOMAIN),
            ("db.two.one.pod.cluster.local.", A, NXDOMAIN),
            ("db.two.cluster.local.", A, NXDOMAIN),
            (
                "al.example.net.one.svc.cluster.local.",
                A,
                "NoError AA; al.example.net.one.svc.cluster.local. 300 IN CNAME foo.example.net.; \
                 foo.example.net. 300 IN A 192.0.2.2",
            ),
        ],
    );
}

#[test]
fn the_search_path_passes_over_what_others_serve() {
    let rules = Rules { fallthrough: true, ..searching(false) };
    let mut editor = Editor::new(&snapshot(&rules));
    add_zone(
        &mut editor,
        "cut.test.",
        "@ SOA ns host 1 2 3 4 5\nsub NS ns.sub\nns.sub A 192.0.2.1\nd DNAME e\nx.e A 192.0.2.2\n",
    );
    add_zone(&mut editor, "local.", "@ SOA ns host 1 2 3 4 5\ndb.two.one.svc.cluster A 192.0.2.9\n");
    let mut ways = Ways::new(editor.commit(), false);
    let cases = [
        ("x.sub.cut.test.one.svc.cluster.local.", A, "NXDomain AA; SOA local."),
        ("ns.sub.cut.test.one.svc.cluster.local.", A, "NXDomain AA; SOA local."),
        ("x.d.cut.test.one.svc.cluster.local.", A, "NXDomain AA; SOA local."),
        (
            "x.e.cut.test.one.svc.cluster.local.",
            A,
            "NoError AA; x.e.cut.test.one.svc.cluster.local. 300 IN A 192.0.2.2",
        ),
        // The zone above has the very name that was asked for.
        ("db.two.one.svc.cluster.local.", A, "NoError AA; db.two.one.svc.cluster.local. 300 IN A 192.0.2.9"),
        ("db.two.empty.svc.cluster.local.", A, "NoError AA; db.two.empty.svc.cluster.local. 300 IN A 10.1.0.1"),
    ];
    check(&mut ways, &cases);
}

#[test]
fn the_search_path_may_be_told_by_a_cname() {
    check_rules(
        &searching(true),
        &[
            (
                "db.two.one.svc.cluster.local.",
                A,
                "NoError AA; db.two.one.svc.cluster.local. 300 IN CNAME db.two.svc.cluster.local.; \
                 db.two.svc.cluster.local. 300 IN A 10.1.0.1",
            ),
            ("db.two.one.svc.cluster.local.", AAAA, NODATA),
            (
                "foo.example.net.one.svc.cluster.local.",
                A,
                "NoError AA; foo.example.net.one.svc.cluster.local. 300 IN CNAME foo.example.net.; \
                 foo.example.net. 300 IN A 192.0.2.2",
            ),
            (
                "al.example.net.one.svc.cluster.local.",
                A,
                "NoError AA; al.example.net.one.svc.cluster.local. 300 IN CNAME al.example.net.; \
                 al.example.net. 300 IN CNAME foo.example.net.; foo.example.net. 300 IN A 192.0.2.2",
            ),
            (
                "1-2-3-4.one.pod.one.svc.cluster.local.",
                A,
                "NoError AA; 1-2-3-4.one.pod.one.svc.cluster.local. 7 IN CNAME 1-2-3-4.one.pod.cluster.local.; \
                 1-2-3-4.one.pod.cluster.local. 7 IN A 1.2.3.4",
            ),
        ],
    );
    // Suffixes that make the name too long are passed over.
    let label = "n".repeat(58);
    let host = format!("{label}.{label}.example.");
    let search = Search { host_suffixes: vec![name(&host)], cname: true };
    let long = format!("{label}.{label}.{label}.one.svc.cluster.local.");
    check_rules(&Rules { search: Some(search), ..Rules::default() }, &[(&long, A, NXDOMAIN)]);
}

#[test]
fn before_all_is_loaded_what_is_missing_is_servfail() {
    let rules = Rules { whole_names: true, ..searching(false) };
    let incomplete = |rules: &Rules| {
        let mut editor = Editor::new(&snapshot(rules));
        editor.set_complete(false);
        Ways::new(editor.commit(), false)
    };
    let servfail = "ServFail; SOA cluster.local.";
    let cases = [
        ("web.one.svc.cluster.local.", A, "NoError AA; web.one.svc.cluster.local. 300 IN A 10.0.0.1"),
        ("web.one.svc.cluster.local.", AAAA, NODATA),
        ("gone.one.svc.cluster.local.", A, servfail),
        // What is found later may come first on the search path.
        ("db.two.one.svc.cluster.local.", A, servfail),
        ("1-2-3-4.one.pod.cluster.local.", A, "NoError AA; 1-2-3-4.one.pod.cluster.local. 7 IN A 1.2.3.4"),
        ("foo.example.net.", TXT, "ServFail; SOA example.net."),
    ];
    check(&mut incomplete(&rules), &cases);
    check(&mut incomplete(&searching(false)), &[("web.one.svc.cluster.local.", AAAA, servfail)]);
    let falling = Rules { fallthrough: true, ..rules };
    check(&mut incomplete(&falling), &[("gone.one.svc.cluster.local.", A, "ServFail")]);
    let mut editor = Editor::new(&incomplete(&falling).host.snapshot);
    add_zone(&mut editor, "local.", "@ SOA ns host 1 2 3 4 5\nextra.cluster A 192.0.2.9\n");
    let found = "NoError AA; extra.cluster.local. 300 IN A 192.0.2.9";
    check(&mut Ways::new(editor.commit(), false), &[("extra.cluster.local.", A, found)]);
}

#[test]
fn aaaa_records_are_hidden_everywhere() {
    for rules in [Rules::default(), Rules { no_dangling_cname: true, ..searching(false) }] {
        let mut editor = Editor::new(&snapshot(&rules));
        let more = "@ SOA ns host 1 2 3 4 5\n@ MX 1 mail\nmail A 192.0.2.1\nmail AAAA 2001:db8::1\nsix AAAA 2001:db8::6\n\
                    cut NS ns.cut\nns.cut A 192.0.2.7\nns.cut AAAA 2001:db8::7\n*.w AAAA 2001:db8::8\nal CNAME six\n";
        add_zone(&mut editor, "more.", more);
        let mut ways = Ways::new(editor.commit(), true);
        let nodata = "NoError AA; SOA more.";
        check(
            &mut ways,
            &[
                ("both.one.svc.cluster.local.", A, "NoError AA; both.one.svc.cluster.local. 300 IN A 10.0.0.2"),
                ("both.one.svc.cluster.local.", AAAA, NODATA),
                ("foo.example.net.", AAAA, "NoError AA; SOA example.net."),
                ("gone.example.net.", AAAA, "NXDomain AA; SOA example.net."),
                ("six.more.", AAAA, nodata),
                ("six.more.", ANY, nodata),
                ("x.w.more.", AAAA, nodata),
                ("mail.more.", ANY, "NoError AA; mail.more. 300 IN A 192.0.2.1"),
                ("al.more.", AAAA, "NoError AA; al.more. 300 IN CNAME six.more.; SOA more."),
            ],
        );
        for (qname, qtype) in [("more.", MX), ("x.cut.more.", A)] {
            let added = text(&ways.ask(qname, qtype).additionals);
            assert!(added.len() == 1 && added[0].contains(" A "), "{added:?}");
        }
    }
    let mut ways = Ways::new(snapshot(&pods(PodRule::default(), false)), true);
    let cases =
        [("2001-db8--1.one.pod.cluster.local.", AAAA, NODATA), ("2001-db8--1.one.pod.cluster.local.", ANY, NODATA)];
    check(&mut ways, &cases);
}

#[test]
fn names_of_the_zone_end_in_the_letters_of_the_question() {
    let mut ways = Ways::new(snapshot(&Rules { zone_case: true, ..Rules::default() }), false);
    let reply = ways.ask("_HtTp._TcP.wEb.OnE.SvC.cLuStEr.LoCaL.", SRV);
    assert_eq!(
        [text(&reply.answers), text(&reply.additionals)].concat(),
        [
            "_HtTp._TcP.wEb.OnE.SvC.cLuStEr.LoCaL. 300 IN SRV 0 100 80 web.one.svc.cLuStEr.LoCaL.",
            "web.one.svc.cLuStEr.LoCaL. 300 IN A 10.0.0.1",
        ]
    );
    for (qname, owner) in [
        (
            "NS.dns.ClUsTeR.lOcAl.",
            "ClUsTeR.lOcAl. 5 IN SOA ns.dns.ClUsTeR.lOcAl. hostmaster.ClUsTeR.lOcAl. 1 7200 1800 86400 5",
        ),
        (
            "Gone.one.svc.cluster.local.",
            "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5",
        ),
    ] {
        assert_eq!(text(&ways.ask(qname, TXT).authorities), [owner], "{qname}");
    }
    let reply = ways.ask("InNeR.oNe.sVc.CluSter.local.", A);
    assert_eq!(
        text(&reply.answers),
        [
            "InNeR.oNe.sVc.CluSter.local. 300 IN CNAME web.one.svc.CluSter.local.",
            "web.one.svc.CluSter.local. 300 IN A 10.0.0.1",
        ]
    );
    let reply = ways.ask("Cluster.LOCAL.", SOA);
    assert_eq!(
        text(&reply.answers),
        ["Cluster.LOCAL. 300 IN SOA ns.dns.Cluster.LOCAL. hostmaster.Cluster.LOCAL. 1 7200 1800 86400 5"]
    );
}

#[test]
fn an_answer_that_does_not_fit_is_truncated_and_keeps_its_aliases() {
    let mut editor = Editor::new(&snapshot(&Rules { no_dangling_cname: true, ..searching(true) }));
    let many: String = (0..100).map(|number| format!("many A 192.0.2.{number}\n")).collect();
    add_zone(&mut editor, "big.", &format!("@ SOA ns host 1 2 3 4 5\n{many}"));
    let mut ways = Ways::new(editor.commit(), false);
    let reply = ways.ask_bytes(&query("many.big.one.svc.cluster.local.", A));
    assert_eq!((reply[2] & 2, reply[7]), (2, 1), "TC, and the CNAME");
}

/// A snapshot without anything is no matter of rules.
#[test]
fn nothing_is_served_from_nothing() {
    let mut ways = Ways::new(Snapshot::empty(), true);
    check(&mut ways, &[("gone.", AAAA, "ServFail")]);
}

#[test]
fn any_is_refused_and_an_alias_stands_beside_others_where_the_zone_says_so() {
    let text = RrsetSpec { rtype: TXT, ttl: 60, rdatas: vec![b"\x04note".to_vec()], ..RrsetSpec::default() };
    let (apex, owner) = (name(CLUSTER), name("inner.one.svc.cluster.local."));
    let mut without = Editor::new(&snapshot(&Rules::default()));
    assert_eq!(without.put_rrset(&apex, &owner, &text), Err(EditError::CnameAndOther));
    let rules = Rules { refuse_any: true, aliases_beside: true, cname_for_addresses_only: true, ..Rules::default() };
    let mut editor = Editor::new(&snapshot(&rules));
    editor.put_rrset(&apex, &owner, &text).unwrap();
    let alias = "NoError AA; inner.one.svc.cluster.local. 300 IN CNAME web.one.svc.cluster.local.; \
                 web.one.svc.cluster.local. 300 IN A 10.0.0.1";
    check(
        &mut Ways::new(editor.commit(), false),
        &[
            ("inner.one.svc.cluster.local.", A, alias),
            ("inner.one.svc.cluster.local.", TXT, "NoError AA; inner.one.svc.cluster.local. 60 IN TXT note"),
            ("inner.one.svc.cluster.local.", MX, "NoError AA; SOA cluster.local."),
            ("inner.one.svc.cluster.local.", ANY, "Refused"),
            ("missing.cluster.local.", ANY, "Refused"),
            ("foo.example.net.", ANY, "NoError AA; foo.example.net. 300 IN A 192.0.2.2"),
        ],
    );
}
