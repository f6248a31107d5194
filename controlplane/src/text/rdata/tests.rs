//! Rdata in presentation form, as zone files and the API have it.

use super::*;
use crate::text::rtype;

/// Reads rdata with origin example.org.
fn read(rtype: &str, text: &str) -> Result<Vec<u8>, String> {
    let origin: WireName = "example.org.".parse().unwrap();
    parse_line(rtype::parse(rtype).unwrap(), text, Origin::Relative(&origin)).map_err(|error| error.to_string())
}

#[test]
fn text_becomes_wire_form_and_comes_back() {
    for (rtype, text, shown, wire) in [
        ("A", "192.0.2.1", "192.0.2.1", &b"\xc0\x00\x02\x01"[..]),
        ("AAAA", "2001:DB8::1", "2001:db8::1", b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"),
        ("NS", "ns", "ns.example.org.", b"\x02ns\x07example\x03org\0"),
        ("CNAME", "Foo_Bar.", "Foo_Bar.", b"\x07Foo_Bar\0"),
        ("PTR", "@", "example.org.", b"\x07example\x03org\0"),
        ("DNAME", "\\097\\.b.", "a\\.b.", b"\x03a.b\0"),
        ("MX", "10 mail", "10 mail.example.org.", b"\0\x0a\x04mail\x07example\x03org\0"),
        ("MX", "0 .", "0 .", b"\0\0\0"),
        ("SRV", "1 2 443 a.", "1 2 443 a.", b"\0\x01\0\x02\x01\xbb\x01a\0"),
        ("SOA", "a. b. 4294967295 1h 2m 1w 0", "a. b. 4294967295 3600 120 604800 0",
            b"\x01a\0\x01b\0\xff\xff\xff\xff\0\0\x0e\x10\0\0\0\x78\0\x09\x3a\x80\0\0\0\0"),
        ("TXT", "a \"b c\" \"\"", "\"a\" \"b c\" \"\"", b"\x01a\x03b c\0"),
        ("TXT", r#""q\"\\\;\200\065""#, r#""q\"\\;\200A""#, b"\x06q\"\\;\xc8A"),
        ("CAA", "0 issue \"ca.example.net; account=1\"", "0 issue \"ca.example.net; account=1\"", b"\0\x05issueca.example.net; account=1"),
        ("CAA", "128 tbs Unknown", "128 tbs \"Unknown\"", b"\x80\x03tbsUnknown"),
        ("CAA", "0 issue \";\"", "0 issue \";\"", b"\0\x05issue;"),
        ("NAPTR", "100 50 \"s\" \"http+I2R\" \"!^.*$!x!\" .", "100 50 \"s\" \"http+I2R\" \"!^.*$!x!\" .", b"\0\x64\0\x32\x01s\x08http+I2R\x08!^.*$!x!\0"),
        ("TLSA", "3 1 1 ( AB cd )", "3 1 1 abcd", b"\x03\x01\x01\xab\xcd"),
        ("SSHFP", "4 2 abcd", "4 2 abcd", b"\x04\x02\xab\xcd"),
        ("DS", "60485 5 1 2BB1 83AF", "60485 5 1 2bb183af", b"\xec\x45\x05\x01\x2b\xb1\x83\xaf"),
        ("DNSKEY", "256 3 13 AQID BA==", "256 3 13 AQIDBA==", b"\x01\0\x03\x0d\x01\x02\x03\x04"),
        ("URI", "10 1 \"https://example.org/\"", "10 1 \"https://example.org/\"", b"\0\x0a\0\x01https://example.org/"),
        ("HINFO", "PC \"Plan 9\"", "\"PC\" \"Plan 9\"", b"\x02PC\x06Plan 9"),
        ("TYPE65280", "\\# 3 01 0203", "\\# 3 010203", b"\x01\x02\x03"),
        ("TYPE65280", "\\# 0", "\\# 0", b""),
        ("A", "\\# 4 C0000201", "192.0.2.1", b"\xc0\x00\x02\x01"),
        ("TYPE1", "192.0.2.1", "192.0.2.1", b"\xc0\x00\x02\x01"),
        ("HTTPS", "0 svc", "0 svc.example.org.", b"\0\0\x03svc\x07example\x03org\0"),
        ("HTTPS", "1 . alpn=h2,h3 port=8443", "1 . alpn=h2,h3 port=8443", b"\0\x01\0\0\x01\0\x06\x02h2\x02h3\0\x03\0\x02\x20\xfb"),
        ("HTTPS", "1 . mandatory=alpn,ipv4hint alpn=h2 no-default-alpn ipv4hint=192.0.2.1 ech=AQID key667=hello",
            "1 . mandatory=alpn,ipv4hint alpn=h2 no-default-alpn ipv4hint=192.0.2.1 ech=AQID key667=\"hello\"",
            b"\0\x01\0\0\0\0\x04\0\x01\0\x04\0\x01\0\x03\x02h2\0\x02\0\0\0\x04\0\x04\xc0\0\x02\x01\0\x05\0\x03\x01\x02\x03\x02\x9b\0\x05hello"),
        ("SVCB", "1 a_b. port=53 alpn=\"dot\"", "1 a_b. alpn=dot port=53", b"\0\x01\x03a_b\0\0\x01\0\x04\x03dot\0\x03\0\x02\0\x35"),
        ("SVCB", r#"1 a. key667="hello\210 qoo" key8"#, r#"1 a. key8 key667="hello\210 qoo""#, b"\0\x01\x01a\0\0\x08\0\0\x02\x9b\0\x0ahello\xd2 qoo"),
        ("SVCB", "16 a. ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1", "16 a. ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1",
            b"\0\x10\x01a\0\0\x04\0\x08\xc0\0\x02\x01\xc0\0\x02\x02\0\x06\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"),
    ] {
        assert_eq!(read(rtype, text).as_deref(), Ok(wire), "{rtype} {text}");
        let number = rtype::parse(rtype).unwrap();
        let back = show(number, wire);
        if !shown.is_empty() {
            assert_eq!(back, shown, "{rtype} {text}");
        }
        assert_eq!(read(rtype, &back).as_deref(), Ok(wire), "{rtype} {back} reads back");
        assert!(is_well_formed(number, wire));
    }
}

#[test]
fn what_is_no_rdata_is_refused_by_field() {
    for (rtype, text, expected) in [
        ("A", "", "a field is missing: IPv4 address"),
        ("A", "192.0.2.256", "\"192.0.2.256\" is no IPv4 address"),
        ("A", "192.0.2.1 192.0.2.2", "\"192.0.2.2\" follows the last field"),
        ("AAAA", "192.0.2.1", "is no IPv6 address"),
        ("MX", "mail", "\"mail\" is no number from 0 to 65535"),
        ("MX", "65536 mail", "\"65536\" is no number"),
        ("MX", "+1 mail", "\"+1\" is no number"),
        ("MX", "10", "a field is missing: domain name"),
        ("NS", "a..b", "a label is empty"),
        ("NS", "bücher.", "beyond ASCII"),
        ("SOA", "a. b. 1 2 3 4", "a field is missing: time in seconds"),
        ("SOA", "a. b. 4294967296 2 3 4 5", "is no number from 0 to 4294967295"),
        ("TXT", "", "a field is missing: string"),
        ("TXT", "\"\\256\"", "is no string of at most 255 bytes"),
        ("TXT", "\"open", "does not end on its line"),
        ("CAA", "0 is-sue x", "\"is-sue\" is no tag"),
        ("CAA", "256 issue x", "is no number from 0 to 255"),
        ("TLSA", "3 1 1", "a field is missing: even number of hexadecimal digits"),
        ("TLSA", "3 1 1 abc", "\"abc\" is no even number"),
        ("DNSKEY", "256 3 13 ***", "is no base64"),
        ("TYPE65280", "abc", "generic form"),
        ("TYPE65280", "\\# 2 01", "the length after \\# is 2, and 1 bytes follow"),
        ("TYPE65280", "\\# x 01", "is no length"),
        ("TYPE65280", "\\#", "a field is missing: length"),
        ("A", "\\# 3 010203", "these bytes are no rdata of this type"),
        ("CNAME", "\\# 2 C00C", "these bytes are no rdata of this type"),
        ("HTTPS", "1", "a field is missing: priority and target"),
        ("HTTPS", "1 . nonsense=1", "bad formatted key (nonsense)"),
        ("HTTPS", "1 . port=1 port=2", "a service parameter is given twice"),
        ("HTTPS", "\\# 11 0001 00 0003 0002 0035 0001", "these bytes are no rdata"),
        ("A", "192.0.2.1\n192.0.2.2", "one record takes one line"),
    ] {
        let error = read(rtype, text).unwrap_err();
        assert!(error.contains(expected), "{rtype} {text}: {error}");
    }
    let long = format!("\"{}\"", "x".repeat(256));
    assert!(read("TXT", &long).unwrap_err().contains("255"));
    assert_eq!(read("TXT", &format!("\"{}\"", "x".repeat(255))).unwrap().len(), 256);
}

#[test]
fn bytes_that_do_not_fit_their_type_are_shown_in_generic_form() {
    assert_eq!(show(1, b"\x01\x02\x03"), "\\# 3 010203");
    assert_eq!(show(16, b"\x05ab"), "\\# 3 056162");
    assert_eq!(show(65, b"\0\x01"), "\\# 2 0001");
    assert_eq!(show(1, b""), "\\# 0");
}

#[test]
fn whatever_is_shown_reads_back() {
    // Rdata of every format made of bytes from a small generator; those that fit must survive being shown and read.
    let mut state = 1u32;
    let mut byte = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let mut fitting = 0;
    for round in 0..40_000 {
        let format = &FORMATS[round % FORMATS.len()];
        let length = usize::from(byte()) % 24;
        let mut rdata: Vec<u8> = (0..length).map(|_| if byte() < 128 { byte() % 6 } else { byte() }).collect();
        if matches!(format.fields.last(), Some(Name)) {
            rdata.push(0);
        }
        let text = show(format.rtype, &rdata);
        if text.starts_with("\\#") {
            continue;
        }
        fitting += 1;
        assert_eq!(parse_line(format.rtype, &text, Origin::None), Ok(rdata), "{} {text}", format.mnemonic);
    }
    assert!(fitting > 5_000, "{fitting} fitted");
}
