//! Answers by RFC 1034 section 4.3.2, section by section.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

mod common;

use common::{Host, name, snapshot, text};
use hickory_proto::op::Message;
use ringdns_engine::rtype::types;
use ringdns_engine::snapshot::edit::{Editor, RrsetSpec};
use ringdns_engine::testing::query;

/// One question and its whole answer, records as zone-file text.
struct Case {
    /// Name and type asked for.
    question: (&'static str, u16),
    /// Response code, and AA where it is set.
    status: &'static str,
    /// Answer section.
    answer: &'static [&'static str],
    /// Authority section.
    authority: &'static [&'static str],
    /// Additional section.
    additional: &'static [&'static str],
}

/// A zone with one of everything.
const EXAMPLE: &str = "
@           SOA   ns1 hostmaster 7 3600 900 604800 60
@           NS    ns1
@           NS    ns2.elsewhere.net.
@           MX    10 mail
@           MX    20 mail.elsewhere.net.
@           TXT   \"v=spf1 -all\" \"second\"
@           CAA   0 issue \"ca.example.net\"
ns1         A     192.0.2.1
ns1         AAAA  2001:db8::1
mail        A     192.0.2.2
www     600 CNAME web
web         A     192.0.2.3
web         A     192.0.2.4
out         CNAME www.elsewhere.net.
dead        CNAME missing
loop        CNAME pool
pool        CNAME loop
_sip._udp   SRV   1 2 5060 web
1.2.0       PTR   web
*.wild      A     192.0.2.9
*.wild      TXT   \"wild\"
deep.a.b.wild A   192.0.2.10
*.alias     CNAME web
sub         NS    ns.sub
sub         NS    ns1
ns.sub      A     192.0.2.20
d           DNAME target
x.target    A     192.0.2.30
toself      CNAME sub
";

const SOA: &str = "example. 60 IN SOA ns1.example. hostmaster.example. 7 3600 900 604800 60";

fn check(host: &mut Host, case: &Case) {
    let (qname, qtype) = case.question;
    let reply: Message = host.ask(&query(qname, qtype));
    let header = &reply.metadata;
    let status = format!("{:?}{}", header.response_code, if header.authoritative { " AA" } else { "" });
    let label = format!("{qname} TYPE{qtype}");
    assert_eq!(status, case.status, "{label}");
    let sorted = |lines: &[&str]| {
        let mut lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        lines.sort();
        lines
    };
    assert_eq!(text(&reply.answers), sorted(case.answer), "{label}: answer");
    assert_eq!(text(&reply.authorities), sorted(case.authority), "{label}: authority");
    assert_eq!(text(&reply.additionals), sorted(case.additional), "{label}: additional");
}

fn check_all(cases: &[Case]) {
    let mut host = Host::new(snapshot(&[("example.", EXAMPLE)]));
    for case in cases {
        check(&mut host, case);
    }
}

/// A positive answer.
const fn positive(question: (&'static str, u16), answer: &'static [&'static str]) -> Case {
    Case { question, status: "NoError AA", answer, authority: &[], additional: &[] }
}

/// A negative answer.
const fn negative(question: (&'static str, u16), status: &'static str) -> Case {
    Case { question, status, answer: &[], authority: &[SOA], additional: &[] }
}

#[test]
fn data_of_every_kind() {
    check_all(&[
        positive(("ns1.example.", types::A), &["ns1.example. 300 IN A 192.0.2.1"]),
        positive(("ns1.example.", types::AAAA), &["ns1.example. 300 IN AAAA 2001:db8::1"]),
        positive(("web.example.", types::A), &["web.example. 300 IN A 192.0.2.3", "web.example. 300 IN A 192.0.2.4"]),
        positive(
            ("example.", types::SOA),
            &["example. 300 IN SOA ns1.example. hostmaster.example. 7 3600 900 604800 60"],
        ),
        positive(("example.", 16), &["example. 300 IN TXT v=spf1 -allsecond"]),
        positive(("example.", 257), &["example. 300 IN CAA 0 issue \"ca.example.net\""]),
        positive(("1.2.0.example.", types::PTR), &["1.2.0.example. 300 IN PTR web.example."]),
        positive(("www.example.", types::CNAME), &["www.example. 600 IN CNAME web.example."]),
    ]);
}

#[test]
fn addresses_of_mentioned_names_are_added() {
    check_all(&[
        Case {
            question: ("example.", types::NS),
            status: "NoError AA",
            answer: &["example. 300 IN NS ns1.example.", "example. 300 IN NS ns2.elsewhere.net."],
            authority: &[],
            additional: &["ns1.example. 300 IN A 192.0.2.1", "ns1.example. 300 IN AAAA 2001:db8::1"],
        },
        Case {
            question: ("example.", types::MX),
            status: "NoError AA",
            answer: &["example. 300 IN MX 10 mail.example.", "example. 300 IN MX 20 mail.elsewhere.net."],
            authority: &[],
            additional: &["mail.example. 300 IN A 192.0.2.2"],
        },
        Case {
            question: ("_sip._udp.example.", types::SRV),
            status: "NoError AA",
            answer: &["_sip._udp.example. 300 IN SRV 1 2 5060 web.example."],
            authority: &[],
            additional: &["web.example. 300 IN A 192.0.2.3", "web.example. 300 IN A 192.0.2.4"],
        },
    ]);
}

#[test]
fn aliases_are_chased() {
    const WWW: &str = "www.example. 600 IN CNAME web.example.";
    check_all(&[
        positive(
            ("www.example.", types::A),
            &[WWW, "web.example. 300 IN A 192.0.2.3", "web.example. 300 IN A 192.0.2.4"],
        ),
        positive(("out.example.", types::A), &["out.example. 300 IN CNAME www.elsewhere.net."]),
        Case {
            question: ("www.example.", types::AAAA),
            status: "NoError AA",
            answer: &[WWW],
            authority: &[SOA],
            additional: &[],
        },
        // RFC 6604 section 3: the response code is that of the last name.
        Case {
            question: ("dead.example.", types::A),
            status: "NXDomain AA",
            answer: &["dead.example. 300 IN CNAME missing.example."],
            authority: &[SOA],
            additional: &[],
        },
    ]);
}

#[test]
fn a_loop_of_aliases_ends() {
    let mut host = Host::new(snapshot(&[("example.", EXAMPLE)]));
    let reply = host.ask(&query("loop.example.", types::A));
    assert_eq!(
        text(&reply.answers),
        ["loop.example. 300 IN CNAME pool.example.", "pool.example. 300 IN CNAME loop.example."]
    );
}

#[test]
fn no_record_is_repeated_on_the_way_round() {
    let zone =
        "@ SOA a b 1 2 3 4 5\n@ NS a\none DNAME two\ntwo DNAME one\ngrows DNAME grows.grows\n*.wild CNAME a.wild\n";
    let mut host = Host::new(snapshot(&[("example.", zone)]));
    // RFC 2181 section 5: of records that are equal in all but TTL there is one.
    for (question, records) in [("x.one.example.", 4), ("x.two.example.", 4), ("any.wild.example.", 2)] {
        let reply = host.ask(&query(question, types::A));
        assert_eq!(reply.answers.len(), records, "{question}: {:?}", text(&reply.answers));
    }
    let answers = text(&host.ask(&query("x.grows.example.", types::A)).answers);
    let dnames = answers.iter().filter(|record| record.contains(" DNAME ")).count();
    assert_eq!(dnames, 1, "{answers:?}");
    let answers = text(&host.ask(&query("one.one.example.", types::DNAME)).answers);
    assert_eq!(answers.len(), 4, "the record that was asked for led the way: {answers:?}");
}

#[test]
fn glue_that_is_needed_comes_before_glue_that_is_not() {
    let many: String = (0..27).map(|last| format!("large A 198.51.100.{last}\n")).collect();
    let zone = format!("@ SOA a b 1 2 3 4 5\n@ NS a\nsub NS large\nsub NS ns.sub\n{many}ns.sub A 192.0.2.1\n");
    let mut host = Host::new(snapshot(&[("example.", &zone)]));
    let reply = host.ask(&query("www.sub.example.", types::A));
    assert!(!reply.metadata.truncation, "RFC 9471 section 3.2: sibling glue may be left out");
    assert_eq!(text(&reply.additionals), ["ns.sub.example. 300 IN A 192.0.2.1"]);
}

#[test]
fn addresses_below_a_dname_are_not_added() {
    let zone = "@ SOA a b 1 2 3 4 5\n@ NS a\n@ MX 1 hidden.tree\ntree DNAME elsewhere\nhidden.tree A 192.0.2.1\n";
    let mut host = Host::new(snapshot(&[("example.", zone)]));
    let reply = host.ask(&query("example.", types::MX));
    assert_eq!((reply.answers.len(), reply.additionals.len()), (1, 0));
}

#[test]
fn names_that_do_not_exist_and_types_that_do_not() {
    check_all(&[
        negative(("missing.example.", types::A), "NXDomain AA"),
        negative(("a.b.c.d.missing.example.", types::A), "NXDomain AA"),
        negative(("below.ns1.example.", types::A), "NXDomain AA"),
        negative(("web.example.", types::AAAA), "NoError AA"),
        // Empty non-terminals exist (RFC 8020, RFC 4592 section 2.2.2).
        negative(("_udp.example.", types::A), "NoError AA"),
        negative(("2.0.example.", types::PTR), "NoError AA"),
        negative(("target.example.", types::A), "NoError AA"),
        negative(("3.2.0.example.", types::PTR), "NXDomain AA"),
    ]);
}

#[test]
fn wildcards_stand_for_names_below_their_closest_encloser() {
    check_all(&[
        positive(("x.wild.example.", types::A), &["x.wild.example. 300 IN A 192.0.2.9"]),
        positive(("y.x.wild.example.", types::A), &["y.x.wild.example. 300 IN A 192.0.2.9"]),
        positive(("*.wild.example.", types::A), &["*.wild.example. 300 IN A 192.0.2.9"]),
        positive(("X.wild.example.", 16), &["X.wild.example. 300 IN TXT wild"]),
        negative(("x.wild.example.", types::AAAA), "NoError AA"),
        // RFC 4592 section 2.2.1: an existing name below, even an empty non-terminal, is a closer encloser.
        negative(("b.wild.example.", types::A), "NoError AA"),
        negative(("x.b.wild.example.", types::A), "NXDomain AA"),
        negative(("wild.example.", types::A), "NoError AA"),
        positive(
            ("any.alias.example.", types::A),
            &[
                "any.alias.example. 300 IN CNAME web.example.",
                "web.example. 300 IN A 192.0.2.3",
                "web.example. 300 IN A 192.0.2.4",
            ],
        ),
    ]);
}

#[test]
fn zone_cuts_refer_with_glue() {
    const NS: &[&str] = &["sub.example. 300 IN NS ns.sub.example.", "sub.example. 300 IN NS ns1.example."];
    const GLUE: &[&str] = &[
        "ns.sub.example. 300 IN A 192.0.2.20",
        "ns1.example. 300 IN A 192.0.2.1",
        "ns1.example. 300 IN AAAA 2001:db8::1",
    ];
    let referral = |question| Case { question, status: "NoError", answer: &[], authority: NS, additional: GLUE };
    check_all(&[
        referral(("sub.example.", types::A)),
        referral(("sub.example.", types::NS)),
        referral(("www.sub.example.", types::A)),
        referral(("ns.sub.example.", types::A)),
        referral(("a.b.c.sub.example.", types::AAAA)),
        negative(("sub.example.", types::DS), "NoError AA"),
        Case {
            question: ("toself.example.", types::A),
            status: "NoError AA",
            answer: &["toself.example. 300 IN CNAME sub.example."],
            authority: NS,
            additional: GLUE,
        },
    ]);
}

#[test]
fn dname_makes_aliases_of_the_names_below() {
    // hickory-proto does not know DNAME and shows its rdata in base64: target.example. in wire form.
    const DNAME: &str = "d.example. 300 IN DNAME BnRhcmdldAdleGFtcGxlAA==";
    check_all(&[
        positive(
            ("x.d.example.", types::A),
            &[DNAME, "x.d.example. 300 IN CNAME x.target.example.", "x.target.example. 300 IN A 192.0.2.30"],
        ),
        Case {
            question: ("y.d.example.", types::A),
            status: "NXDomain AA",
            answer: &[DNAME, "y.d.example. 300 IN CNAME y.target.example."],
            authority: &[SOA],
            additional: &[],
        },
        positive(("x.d.example.", types::CNAME), &[DNAME, "x.d.example. 300 IN CNAME x.target.example."]),
        positive(("d.example.", types::DNAME), &[DNAME]),
        negative(("d.example.", types::A), "NoError AA"),
    ]);
}

#[test]
fn a_dname_whose_target_makes_too_long_a_name_is_yxdomain() {
    let label = "l".repeat(63);
    let zone = format!("@ SOA a b 1 2 3 4 5\n@ NS a\nd DNAME {label}.{label}.{label}\n");
    let mut host = Host::new(snapshot(&[("example.", &zone)]));
    let reply = host.ask(&query(&format!("{}.d.example.", "m".repeat(60)), types::A));
    assert_eq!(format!("{:?}", reply.metadata.response_code), "YXDomain");
    assert!(reply.metadata.authoritative, "it is the zone that says so");
    assert_eq!(reply.answers.len(), 1, "the DNAME record explains it");
}

#[test]
fn what_is_not_served_is_refused() {
    check_all(&[
        Case { question: ("com.", types::A), status: "Refused", answer: &[], authority: &[], additional: &[] },
        Case { question: (".", types::NS), status: "Refused", answer: &[], authority: &[], additional: &[] },
        Case { question: ("notexample.", types::A), status: "Refused", answer: &[], authority: &[], additional: &[] },
        Case { question: ("example.", types::AXFR), status: "Refused", answer: &[], authority: &[], additional: &[] },
        Case { question: ("example.", types::MAILB), status: "NotImp", answer: &[], authority: &[], additional: &[] },
        Case { question: ("example.", types::OPT), status: "FormErr", answer: &[], authority: &[], additional: &[] },
    ]);
    let mut host = Host::new(snapshot(&[("example.", EXAMPLE)]));
    let mut chaos = query("web.example.", types::A);
    let class = chaos.len() - 1;
    for other in [3, 4, 254, 255] {
        chaos[class] = other;
        let reply = host.ask_bytes(&chaos).unwrap();
        assert_eq!(reply[3] & 0xf, 5, "class {other}");
        assert_eq!(reply[12..], chaos[12..], "the question comes back");
    }
}

#[test]
fn any_is_answered_with_one_rrset() {
    let mut host = Host::new(snapshot(&[("example.", EXAMPLE)]));
    let reply = host.ask(&query("ns1.example.", types::ANY));
    assert_eq!(text(&reply.answers), ["ns1.example. 300 IN A 192.0.2.1"]);
    let reply = host.ask(&query("www.example.", types::ANY));
    assert_eq!(text(&reply.answers), ["www.example. 600 IN CNAME web.example."]);
}

#[test]
fn unknown_types_are_opaque() {
    use ringdns_engine::snapshot::edit::{Editor, RrsetSpec};
    let mut editor = Editor::new(&snapshot(&[("example.", EXAMPLE)]));
    let rdata = b"\xc0\x0c\x00\x01 not a pointer".to_vec();
    let rrset = RrsetSpec { rtype: 65280, ttl: 5, rdatas: vec![rdata.clone()], ..RrsetSpec::default() };
    editor.put_rrset(&common::name("example."), &common::name("opaque.example."), &rrset).unwrap();
    let mut host = Host::new(editor.commit());
    let reply = host.ask_bytes(&query("opaque.example.", 65280)).unwrap();
    assert!(reply.ends_with(&rdata));
    assert_eq!(reply[6..8], [0, 1]);
}

#[test]
fn nested_zones_answer_for_themselves() {
    let child = "@ SOA ns hostmaster 1 2 3 4 30\n@ NS ns\nns A 192.0.2.77\n";
    let mut host = Host::new(snapshot(&[("example.", EXAMPLE), ("sub.example.", child)]));
    let cases = [
        positive(("ns.sub.example.", types::A), &["ns.sub.example. 300 IN A 192.0.2.77"]),
        Case {
            question: ("missing.sub.example.", types::A),
            status: "NXDomain AA",
            answer: &[],
            authority: &["sub.example. 30 IN SOA ns.sub.example. hostmaster.sub.example. 1 2 3 4 30"],
            additional: &[],
        },
        // The DS record of a child is the parent's (RFC 4035 section 3.1.4.1).
        negative(("sub.example.", types::DS), "NoError AA"),
        Case {
            question: ("toself.example.", types::A),
            status: "NoError AA",
            answer: &["toself.example. 300 IN CNAME sub.example."],
            authority: &["sub.example. 30 IN SOA ns.sub.example. hostmaster.sub.example. 1 2 3 4 30"],
            additional: &[],
        },
    ];
    for case in &cases {
        check(&mut host, case);
    }
}

#[test]
fn the_root_can_be_served() {
    let mut host = Host::new(snapshot(&[(".", "@ SOA a. b. 1 2 3 4 5\n@ NS a.\na. A 192.0.2.1\ncom. NS a.com.\n")]));
    let reply = host.ask(&query("nothing.", types::A));
    assert_eq!(text(&reply.authorities), [". 5 IN SOA a. b. 1 2 3 4 5"]);
    let reply = host.ask(&query("example.com.", types::A));
    assert_eq!(text(&reply.authorities), ["com. 300 IN NS a.com."]);
    assert_eq!(text(&host.ask(&query(".", types::NS)).answers), [". 300 IN NS a."]);
}

#[test]
fn before_all_is_known_missing_names_are_servfail() {
    use ringdns_engine::snapshot::edit::Editor;
    let mut editor = Editor::new(&snapshot(&[("example.", EXAMPLE)]));
    editor.set_complete(false);
    let mut host = Host::new(editor.commit());
    for (qname, status) in [
        ("missing.example.", "ServFail"),
        ("web.example.", "NoError"),
        ("other.", "ServFail"),
        ("dead.example.", "ServFail"),
        ("out.example.", "ServFail"),
    ] {
        let reply = host.ask(&query(qname, types::A));
        assert_eq!(format!("{:?}", reply.metadata.response_code), status, "{qname}");
    }
    let mut empty = Host::new(ringdns_engine::snapshot::Snapshot::empty());
    assert_eq!(empty.ask_bytes(&query("a.", types::A)).unwrap()[3] & 0xf, 2);
}

#[test]
fn a_zone_without_soa_is_servfail() {
    use ringdns_engine::snapshot::edit::Editor;
    let mut editor = Editor::new(&snapshot(&[]));
    editor.add_zone(&common::name("bare."));
    let mut host = Host::new(editor.commit());
    assert_eq!(host.ask_bytes(&query("bare.", types::A)).unwrap()[3] & 0xf, 2);
}

#[test]
fn the_question_comes_back_byte_for_byte() {
    let mut host = Host::new(snapshot(&[("example.", EXAMPLE)]));
    for qname in ["WeB.eXaMpLe.", "mIsSiNg.ExAmPlE.", "X.d.EXAMPLE.", "SUB.example."] {
        let message = query(qname, types::A);
        let reply = host.ask_bytes(&message).unwrap();
        assert_eq!(reply[..2], message[..2], "id");
        assert_eq!(reply[12..message.len()], message[12..], "{qname}");
    }
}

#[test]
fn asterisks_can_be_labels_like_any_other() {
    let mut editor = Editor::new(&snapshot(&[("s.", "@ SOA ns1 hostmaster 7 3600 900 604800 60")]));
    let apex = name("s.");
    let address =
        |last: u8| RrsetSpec { rtype: types::A, ttl: 300, rdatas: vec![vec![192, 0, 2, last]], ..RrsetSpec::default() };
    editor.set_asterisks(&apex, true);
    for (owner, last) in [("a.b.s.", 1), ("*.b.s.", 1), ("a.*.s.", 1), ("*.s.", 1)] {
        editor.put_rrset(&apex, &name(owner), &address(last)).unwrap();
    }
    let mut host = Host::new(editor.commit());
    let mut status = |qname: &str| host.ask(&query(qname, types::A)).metadata.response_code.to_string();
    for there in ["*.b.s.", "a.*.s.", "*.s.", "a.b.s."] {
        assert_eq!(status(there), "No Error", "{there}");
    }
    for missing in ["c.b.s.", "c.s.", "b.a.*.s.", "x.a.b.s."] {
        assert_eq!(status(missing), "Non-Existent Domain", "{missing}: not what RFC 4592 would make of *.s.");
    }
}
