//! Zone files that are right and wrong.

use std::fmt::Write as _;

use super::*;
use crate::text::{rdata, rtype};

/// SOA and NS, as every zone needs them.
const APEX: &str = "$TTL 1h\n@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\n";

/// Reads a zone's text as example.org.
fn read(text: &str) -> Result<Zone, ZoneError> {
    let apex: WireName = "example.org.".parse().unwrap();
    let mut builder = zone::Builder::new(apex.clone(), PathBuf::from("z"));
    reader::read_text(text.as_bytes(), Path::new("z"), &apex, &mut builder);
    builder.finish()
}

/// The records of a zone, one line each, in the order of the file.
fn lines(zone: &Zone) -> Vec<String> {
    (zone.rrsets.iter())
        .flat_map(|rrset| {
            rrset.rdatas.iter().map(|rdata| {
                let (rtype, rdata) = (rtype::show(rrset.rtype), rdata::show(rrset.rtype, rdata));
                format!("{} {} {rtype} {rdata}", rrset.owner, rrset.ttl)
            })
        })
        .collect()
}

/// The records that follow the apex of a text.
fn after_apex(text: &str) -> Vec<String> {
    let zone = read(&format!("{APEX}{text}")).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    lines(&zone).split_off(2)
}

#[test]
fn the_example_of_rfc_1035() {
    let text = r#"
@   IN  SOA     VENERA      Action\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        NS      VENERA
        MX      10      VENERA
        MX      20      VAXA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32
"#;
    let zone = read(text).unwrap();
    assert_eq!(
        lines(&zone),
        [
            "example.org. 60 SOA VENERA.example.org. Action\\.domains.example.org. 20 7200 600 3600000 60",
            "example.org. 60 NS A.ISI.EDU.",
            "example.org. 60 NS VENERA.example.org.",
            "example.org. 60 MX 10 VENERA.example.org.",
            "example.org. 60 MX 20 VAXA.example.org.",
            "A.example.org. 60 A 26.3.0.103",
            "VENERA.example.org. 60 A 10.1.0.52",
            "VENERA.example.org. 60 A 128.9.0.32",
        ]
    );
    assert_eq!(zone.records, 8);
}

#[test]
fn ttl_class_and_type_come_in_many_orders() {
    for (text, line) in [
        ("a A 192.0.2.1", "a.example.org. 3600 A 192.0.2.1"),
        ("a 5 A 192.0.2.1", "a.example.org. 5 A 192.0.2.1"),
        ("a IN A 192.0.2.1", "a.example.org. 3600 A 192.0.2.1"),
        ("a 5 IN A 192.0.2.1", "a.example.org. 5 A 192.0.2.1"),
        ("a in 5 a 192.0.2.1", "a.example.org. 5 A 192.0.2.1"),
        ("a CLASS1 1h30m TYPE1 \\# 4 c0000201", "a.example.org. 5400 A 192.0.2.1"),
        ("a 0 A 192.0.2.1", "a.example.org. 0 A 192.0.2.1"),
        ("a TYPE65280 \\# 2 ( ab\n cd )", "a.example.org. 3600 TYPE65280 \\# 2 abcd"),
        ("in IN A 192.0.2.1", "in.example.org. 3600 A 192.0.2.1"),
        ("a.example.org. A 192.0.2.1", "a.example.org. 3600 A 192.0.2.1"),
        ("* A 192.0.2.1", "*.example.org. 3600 A 192.0.2.1"),
        ("a\\.b\\032c A 192.0.2.1", "a\\.b\\032c.example.org. 3600 A 192.0.2.1"),
        ("\\$ORIGIN A 192.0.2.1", "\\$ORIGIN.example.org. 3600 A 192.0.2.1"),
        ("a TXT ( \"b;c\" ; comment\n \"\" d )", "a.example.org. 3600 TXT \"b;c\" \"\" \"d\""),
        ("a MX 10 @", "a.example.org. 3600 MX 10 example.org."),
        ("a CAA 0 issue \"ca.example.net\"", "a.example.org. 3600 CAA 0 issue \"ca.example.net\""),
        ("_a._tcp SRV 0 0 443 a", "_a._tcp.example.org. 3600 SRV 0 0 443 a.example.org."),
        ("a HTTPS 1 . alpn=\"h2,h3\" ( port=443 )", "a.example.org. 3600 HTTPS 1 . alpn=h2,h3 port=443"),
        ("sub DNAME example.net.", "sub.example.org. 3600 DNAME example.net."),
    ] {
        assert_eq!(after_apex(text), [line], "{text}");
    }
}

#[test]
fn directives_hold_until_the_next() {
    let text = "$ORIGIN a\nx A 192.0.2.1\n$TTL 7\n$ORIGIN b\ny 5 A 192.0.2.2\nz A 192.0.2.3\n$ORIGIN example.org.\nx A 192.0.2.4\n";
    assert_eq!(
        after_apex(text),
        [
            "x.a.example.org. 3600 A 192.0.2.1",
            "y.b.a.example.org. 5 A 192.0.2.2",
            "z.b.a.example.org. 7 A 192.0.2.3",
            "x.example.org. 7 A 192.0.2.4",
        ]
    );
}

#[test]
fn the_ttl_of_the_record_before_holds_where_no_default_is_given() {
    let zone = read("@ 300 SOA a b 1 2 3 4 5\n NS ns\na 60 A 192.0.2.1\nb A 192.0.2.2\n").unwrap();
    let ttls: Vec<u32> = zone.rrsets.iter().map(|rrset| rrset.ttl).collect();
    assert_eq!(ttls, [300, 300, 60, 60]);
}

#[test]
fn records_of_an_rrset_need_not_follow_each_other() {
    let text = "a A 192.0.2.1\nb A 192.0.2.9\nA A 192.0.2.2\nc A 192.0.2.9\na A 192.0.2.1\n";
    let zone = read(&format!("{APEX}{text}")).unwrap();
    assert_eq!(zone.rrsets.len(), 5);
    assert_eq!(zone.rrsets[2].rdatas.len(), 2, "the repeated record counts once");
    assert_eq!(zone.records, 7);
}

#[test]
fn differing_ttls_are_warned_of_and_the_smallest_is_served() {
    let zone = read(&format!("{APEX}a 30 A 192.0.2.1\na 20 A 192.0.2.2\na 40 A 192.0.2.3\n")).unwrap();
    assert_eq!(zone.rrsets[2].ttl, 20);
    let warning = zone.warnings.first[0].to_string();
    assert!(warning.starts_with("z:5: a.example.org. A: the TTL differs"), "{warning}");
    assert_eq!(zone.warnings.first.len(), 2);
}

#[test]
fn mistakes_are_named_with_file_line_and_record() {
    for (text, expected) in [
        ("a A 192.0.2.256", "z:4: a A 192.0.2.256: \"192.0.2.256\" is no IPv4 address"),
        ("\n\na ( A\n 192.0.2.256 )", "z:6: a A 192.0.2.256: "),
        ("a FOO x", "z:4: a FOO x: \"FOO\" is no record type; unknown types are written TYPE65280"),
        ("a IN", "z:4: a IN: the record ends before its type"),
        ("a CH A 192.0.2.1", "class CH is not served"),
        ("a CLASS3 A 192.0.2.1", "class CLASS3 is not served"),
        ("a \"A\" 192.0.2.1", "is no record type"),
        ("a..b A 192.0.2.1", "\"a..b\" is no domain name: a label is empty"),
        ("a.example.net. A 192.0.2.1", "z:4: a.example.net. A: the owner is not in zone example.org."),
        ("$ORIGIN example.net.\na A 192.0.2.1", "z:5: a.example.net. A: the owner is not in zone"),
        ("a 2147483648 A 192.0.2.1", "z:4: a.example.org. A: the TTL 2147483648 is above 2147483647"),
        ("a CNAME b\na A 192.0.2.1", "z:5: a.example.org. A: the owner has a CNAME record"),
        ("@ CNAME b", "example.org. SOA: the owner has a CNAME record"),
        ("a CNAME b\na CNAME c", "z:4: a.example.org. CNAME: an owner has one record of this type at most"),
        ("a SOA b. c. 1 2 3 4 5", "z:4: a.example.org. SOA: an SOA record stands at the zone's apex only"),
        ("@ SOA b. c. 1 2 3 4 5", "example.org. SOA: an owner has one record of this type"),
        ("a OPT \\# 0", "\"OPT\" is no record type"),
        ("a TYPE41 \\# 0", "cannot be stored"),
        ("a TYPE255 \\# 0", "cannot be stored"),
        ("a TXT \"x", "z:4: a TXT: a quoted string does not end on its line"),
        ("a ( A\n192.0.2.1", "z:4: a A 192.0.2.1: a parenthesis is opened here and never closed"),
        ("$GENERATE 1-9 a A 192.0.2.$", "\"$GENERATE\" is no directive; $ORIGIN, $TTL and $INCLUDE are"),
        ("$TTL soon", "z:4: $TTL soon: write it as: $TTL <seconds>"),
        ("$ORIGIN", "write it as: $ORIGIN <domain name>"),
        ("$INCLUDE", "write it as: $INCLUDE <file>"),
        ("$INCLUDE /dev/zero", "/dev/zero cannot be included: it is no regular file"),
        ("$INCLUDE /nonexistent/x", "z:4: $INCLUDE /nonexistent/x: /nonexistent/x cannot be included: No such file"),
    ] {
        let error = read(&format!("{APEX}{text}\n")).unwrap_err().to_string();
        assert!(error.starts_with("zone example.org. is not loaded: "), "{error}");
        assert!(error.contains(expected), "{text:?}\n  found    {error}\n  expected {expected}");
    }
    for (text, expected) in [
        ("", "z: zone example.org. has no SOA record; add it at the apex"),
        ("$TTL 1\n@ SOA a b 1 2 3 4 5\n", "z: zone example.org. has no NS records"),
        (" A 192.0.2.1", "z:1: A 192.0.2.1: the line starts with a blank, and no record before it names an owner"),
        ("a A 192.0.2.1", "z:1: a A 192.0.2.1: the record has no TTL and none is known yet; put $TTL at the top"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn every_mistake_is_named_up_to_a_bound() {
    let error = read(&format!("{APEX}a A x\nb A y\n")).unwrap_err();
    assert_eq!(error.problems.first.len(), 2);
    let many: String = (0..1000).fold(APEX.to_owned(), |mut text, host| {
        writeln!(text, "h{host} A x").unwrap();
        text
    });
    let error = read(&many).unwrap_err();
    assert_eq!((error.problems.first.len(), error.problems.more), (20, 980));
    assert!(error.to_string().ends_with("and 980 more"));
}

#[test]
fn an_rrset_larger_than_a_message_is_refused() {
    let mut text = APEX.to_owned();
    for record in 0..300 {
        writeln!(text, "a TXT \"{record:0>250}\"").unwrap();
    }
    assert!(read(&text).unwrap_err().to_string().contains("larger than a DNS message"));
}

#[test]
fn included_files_are_relative_to_their_includer_and_leave_its_origin_alone() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    std::fs::create_dir(directory.path().join("sub")).unwrap();
    write("zone", &format!("{APEX}x A 192.0.2.1\n$INCLUDE sub/one\n A 192.0.2.7\n$INCLUDE sub/one inner ; comment\n"));
    write("sub/one", "o A 192.0.2.2\n$ORIGIN deep\n$INCLUDE two\n");
    write("sub/two", "t A 192.0.2.3\n");
    let zone = load(&"example.org.".parse().unwrap(), &directory.path().join("zone")).unwrap();
    assert_eq!(
        lines(&zone)[2..],
        [
            "x.example.org. 3600 A 192.0.2.1",
            "x.example.org. 3600 A 192.0.2.7",
            "o.example.org. 3600 A 192.0.2.2",
            "t.deep.example.org. 3600 A 192.0.2.3",
            "o.inner.example.org. 3600 A 192.0.2.2",
            "t.deep.inner.example.org. 3600 A 192.0.2.3",
        ]
    );
}

#[test]
fn mistakes_in_included_files_name_the_included_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("zone"), format!("{APEX}$INCLUDE one\n$INCLUDE loop\n")).unwrap();
    std::fs::write(path("one"), "\na A x\n").unwrap();
    std::fs::write(path("loop"), "$INCLUDE zone\n").unwrap();
    let error = load(&"example.org.".parse().unwrap(), &path("zone")).unwrap_err().to_string();
    assert!(error.contains(&format!("{}:2: a A x: ", path("one").display())), "{error}");
    assert!(error.contains("the file includes itself"), "{error}");
    let error = load(&"example.org.".parse().unwrap(), &path("missing")).unwrap_err().to_string();
    assert!(error.contains("missing: cannot be read: No such file"), "{error}");
}

#[test]
fn includes_have_a_depth_bound() {
    let directory = tempfile::tempdir().unwrap();
    for depth in 0..40 {
        std::fs::write(directory.path().join(format!("f{depth}")), format!("$INCLUDE f{}\n", depth + 1)).unwrap();
    }
    let error = load(&"example.org.".parse().unwrap(), &directory.path().join("f0")).unwrap_err().to_string();
    assert!(error.contains("more than 16 deep"), "{error}");
}

#[test]
fn bytes_beyond_utf_8_are_bytes() {
    let apex: WireName = "example.org.".parse().unwrap();
    let mut builder = zone::Builder::new(apex.clone(), PathBuf::from("z"));
    let text = [APEX.as_bytes(), b"a TXT \"\xfc\"\n"].concat();
    reader::read_text(&text, Path::new("z"), &apex, &mut builder);
    assert_eq!(lines(&builder.finish().unwrap())[2], "a.example.org. 3600 TXT \"\\252\"");
}

#[test]
fn no_text_makes_the_reader_panic() {
    let seed = format!("{APEX}$ORIGIN a\nx ( TXT \"b\\\"c\" ; d\n ) \\# 4 c0000201\nh HTTPS 1 . alpn=\"h2\"\n");
    for length in 0..seed.len() {
        let _ = read(&seed[..length]);
        for byte in ["\0", "(", ")", "\"", "\\", ";", "\n", " ", "$", "@", "\u{fc}"] {
            let _ = read(&[&seed[..length], byte, &seed[length..]].concat());
        }
    }
}

/// The RRsets behind the apex, each as `owner type view mode max weights`.
fn chosen(text: &str) -> Vec<String> {
    let zone = read(&format!("{APEX}{text}")).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    (zone.rrsets[2..].iter())
        .map(|rrset| {
            let how = rrset.selection.as_ref().map(|selection| {
                let weights: Vec<String> = (selection.members.iter())
                    .map(|member| format!("{}{}", member.weight, if member.up { "" } else { "!" }))
                    .collect();
                format!(" {:?} {} {}", selection.mode, selection.answers_max, weights.join(","))
            });
            let view = rrset.view.as_deref().unwrap_or("-");
            format!("{} {} {view}{}", rrset.owner, rrset.rdatas.len(), how.unwrap_or_default())
        })
        .collect()
}

#[test]
fn annotations_are_of_their_record_or_of_the_rrset_that_follows() {
    for (text, expected) in [
        ("a A 192.0.2.1 ;@ max=2\n", &["a.example.org. 1 - All 2 "][..]),
        ("a A 192.0.2.1\na A 192.0.2.2 ;@ down\n  A 192.0.2.3\n", &["a.example.org. 3 - All 0 1,1!,1"]),
        (
            ";@ select=sticky\na A 192.0.2.1\na A 192.0.2.2\nb A 192.0.2.1\n",
            &["a.example.org. 2 - Sticky 0 ", "b.example.org. 1 -"],
        ),
        (
            ";@ view=v\na A 192.0.2.1\n\n; more\na A 192.0.2.2\na TXT x\na A 192.0.2.3\n",
            &["a.example.org. 2 v", "a.example.org. 1 -", "a.example.org. 1 -"],
        ),
        (
            ";@ view=v\na A 192.0.2.1\n;@ view=w\na A 192.0.2.2\n;@ view=default\na A 192.0.2.3\n",
            &["a.example.org. 1 v", "a.example.org. 1 w", "a.example.org. 1 -"],
        ),
        (
            ";@ view=v max=1\na A 192.0.2.1 ;@ view=w\na A 192.0.2.2\n",
            &["a.example.org. 1 w All 1 ", "a.example.org. 1 v All 1 "],
        ),
        ("a ( A ;@ weight=7\n 192.0.2.1 )\n", &["a.example.org. 1 - All 0 7"]),
        (";@ IN A 192.0.2.9\na A 192.0.2.1\n", &["a.example.org. 1 -"]),
        ("$ORIGIN x.example.org.\n;@ view=v\n$TTL 5\na A 192.0.2.1\n", &["a.x.example.org. 1 v"]),
        ("a CNAME b ;@ view=v\na A 192.0.2.1\n", &["a.example.org. 1 v", "a.example.org. 1 -"]),
    ] {
        assert_eq!(chosen(text), expected, "{text}");
    }
    for (text, line, words) in [
        ("a A 192.0.2.1 ;@ weight=x\n", 4, "a number from 0 to 65535"),
        (";@ nothing=1\na A 192.0.2.1\n", 4, "is no annotation"),
        ("a A 192.0.2.1\n;@ down\na A 192.0.2.2\n", 5, "at the end of a record's line"),
        ("a A 192.0.2.1 ;@ select=random\na A 192.0.2.2 ;@ select=sticky\n", 5, "another one than"),
        ("a A 192.0.2.1\n;@ view=v\n", 5, "no record follows"),
        ("a NS b ;@ view=v\n", 4, "the same in every view"),
        ("a CNAME b ;@ view=v\na A 192.0.2.1 ;@ view=v\n", 5, "the owner has a CNAME record"),
    ] {
        let error = read(&format!("{APEX}{text}")).unwrap_err();
        let problem = &error.problems.first[0];
        assert_eq!(problem.line, line, "{text}: {problem}");
        assert!(problem.message.contains(words), "{text}: {problem}");
    }
}

#[test]
fn what_is_written_is_read_as_what_it_was() {
    let text = "$TTL 1h\n;@ select=weighted view=v\n\\$a\\.b A 192.0.2.1 ;@ weight=0\n A 192.0.2.2 ;@ down\n*.x 1 TXT \"a;@b\" \\000\n";
    let zone = read(&format!("{APEX}{text}")).unwrap();
    let mut written = String::new();
    for rrset in &zone.rrsets {
        let (selection, view) = (rrset.selection.as_deref(), rrset.view.as_deref());
        let lines = write::Lines { owner: &rrset.owner, rtype: rrset.rtype, ttl: rrset.ttl, selection, view };
        write::rrset(&mut written, &lines, rrset.rdatas.iter().map(Vec::as_slice));
    }
    assert_eq!(read(&written).unwrap().rrsets, zone.rrsets, "{written}");
}
