//! What is decided by hosts, names of special use, lists of names, and their files as they change.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use ringdns_controlplane::config::Config;
use ringdns_controlplane::config::forward::{BlockFile, BlockFormat};
use ringdns_engine::cache::EntryBits;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::{ForeignQuestion, KeptAnswer};
use ringdns_engine::rtype::types;

use super::action::Asked;
use super::block::Blocks;
use super::made::Making;
use super::tables::{Recipe, Tables};
use super::{ALL_LISTS, Policies, Policy, Ruling};
use crate::forwarder::Entry;
use crate::normalise::expand;

/// A configuration that forwards, with policies, in a directory.
fn config(directory: &Path, lines: &str) -> Config {
    let text = format!("[sockets]\nlisten = [\"127.0.0.1:1\"]\n{lines}");
    let forward = "\n[forward]\nupstreams = [\"192.0.2.1\"]\n";
    let text = if text.contains("[forward]") { text } else { text + forward };
    Config::parse(&directory.join("r.toml"), &text).unwrap()
}

/// A question.
fn question(name: &str, qtype: u16) -> ForeignQuestion {
    let name = name.parse::<WireName>().unwrap().to_lowercase();
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    ForeignQuestion { name, qtype, bits: EntryBits::default(), client, is_stream: false }
}

/// What is decided, as text: the response code, addresses or names, and whose SOA record says how long there is nothing.
fn told(policies: &Policies, name: &str, qtype: u16) -> String {
    said(policies.rule(&question(name, qtype)), name, qtype)
}

/// A ruling as text.
fn said(ruling: Ruling, name: &str, qtype: u16) -> String {
    let question = question(name, qtype);
    let (answer, arrow) = match ruling {
        Ruling::Answer(answer) => (answer, ""),
        Ruling::Follow(answer, apart) => (answer, if apart.is_some() { "~> " } else { "-> " }),
        Ruling::AskApart(apart) => return format!("AskApart {}", apart.lists),
        other => return format!("{other:?}"),
    };
    if answer.body.len() > 4096 {
        return format!("TC {}", answer.ttl_seconds);
    }
    // It is read as the forwarder reads it, so that every pointer and count is right.
    let message = expand(&question.name, qtype, &answer).unwrap();
    let mut words = vec![format!("{arrow}{}", answer.rcode)];
    for record in &message.answers {
        assert_eq!(record.owner, question.name);
        // What is for one client alone is not kept.
        assert!(answer.ttl_seconds == 0 || record.ttl == answer.ttl_seconds);
        let rdata = record.rdata();
        words.push(match record.rtype {
            types::A => IpAddr::from(<[u8; 4]>::try_from(rdata).unwrap()).to_string(),
            types::AAAA => IpAddr::from(<[u8; 16]>::try_from(rdata).unwrap()).to_string(),
            types::PTR | types::CNAME => WireName::from_wire(rdata).unwrap().to_string(),
            rtype => format!("TYPE{rtype}"),
        });
    }
    for record in &message.authorities {
        assert!(record.rtype == types::SOA && (answer.ttl_seconds == 0 || record.ttl == answer.ttl_seconds));
        assert!(record.owner.contains(&question.name));
        assert!(answer.bits.has(EntryBits::NEGATIVE));
        words.push(format!("({})", record.owner));
    }
    words.join(" ")
}

#[test]
fn names_of_special_use_are_answered_and_asked_of_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let policies = Policies::load(&config(directory.path(), "")).unwrap();
    let one = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.";
    for (name, qtype, expected) in [
        ("localhost.", types::A, "0 127.0.0.1"),
        ("LocalHost.", types::AAAA, "0 ::1"),
        ("a.b.localhost.", types::ANY, "0 127.0.0.1 ::1"),
        ("localhost.", types::TXT, "0 (localhost.)"),
        ("localhost.example.", types::A, "Ask"),
        ("test.", types::A, "0 (test.)"),
        ("www.test.", types::A, "3 (test.)"),
        ("a.invalid.", types::MX, "3 (invalid.)"),
        ("x.onion.", types::A, "3 (onion.)"),
        ("home.arpa.", types::SOA, "0 TYPE6"),
        ("_dns.resolver.arpa.", 64, "3 (resolver.arpa.)"),
        ("attest.", types::A, "Ask"),
        ("1.0.0.127.in-addr.arpa.", types::PTR, "0 localhost."),
        ("0.127.in-addr.arpa.", types::PTR, "0 (127.in-addr.arpa.)"),
        ("2.0.0.127.in-addr.arpa.", types::PTR, "3 (127.in-addr.arpa.)"),
        ("4.3.2.10.in-addr.arpa.", types::PTR, "3 (10.in-addr.arpa.)"),
        ("1.1.31.172.in-addr.arpa.", types::PTR, "3 (31.172.in-addr.arpa.)"),
        ("1.1.32.172.in-addr.arpa.", types::PTR, "Ask"),
        ("1.1.64.100.in-addr.arpa.", types::PTR, "3 (64.100.in-addr.arpa.)"),
        ("1.1.128.100.in-addr.arpa.", types::PTR, "Ask"),
        ("8.8.8.8.in-addr.arpa.", types::PTR, "Ask"),
        (one, types::PTR, "0 localhost."),
        ("1.d.f.ip6.arpa.", types::PTR, "3 (d.f.ip6.arpa.)"),
    ] {
        assert_eq!(told(&policies, name, qtype), expected, "{name} {qtype}");
    }
}

#[test]
fn a_zone_of_their_own_has_them_asked_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let zone = |zone: &str| format!("[[forward.zone]]\nzone = \"{zone}\"\nupstreams = [\"192.0.2.2\"]\n");
    let zones = ["10.in-addr.arpa", "5.168.192.in-addr.arpa", "test", "arpa"].map(zone).concat();
    let lines = format!("[forward]\nupstreams = [\"192.0.2.1\"]\n{zones}");
    let policies = Policies::load(&config(directory.path(), &lines)).unwrap();
    for (name, expected) in [
        ("1.2.3.10.in-addr.arpa.", "Ask"),
        ("1.5.168.192.in-addr.arpa.", "Ask"),
        ("1.6.168.192.in-addr.arpa.", "3 (168.192.in-addr.arpa.)"),
        ("a.test.", "Ask"),
        ("a.invalid.", "3 (invalid.)"),
        // A zone above says nothing of them.
        ("1.0.16.172.in-addr.arpa.", "3 (16.172.in-addr.arpa.)"),
    ] {
        assert_eq!(told(&policies, name, types::PTR), expected, "{name}");
    }
    let lines = "[policy]\nlocal_names = false\nlocal_reverse = false\n";
    policies.reload(&config(directory.path(), lines)).unwrap();
    assert_eq!(told(&policies, "localhost.", types::A), "Ask");
    assert_eq!(told(&policies, "1.0.0.127.in-addr.arpa.", types::PTR), "Ask");
}

#[test]
fn hosts_are_answered_both_ways_and_whole() {
    let directory = tempfile::tempdir().unwrap();
    let file = "# all of it\n192.0.2.20\tFile.lan file # x\n192.0.2.21 file.lan\n2001:db8::20 six.lan\nfe80::1%lo0 link\n\
                0.0.0.0 nowhere.lan\nnonsense\n192.0.2.22 bad..name good.lan\n";
    fs::write(directory.path().join("hosts"), file).unwrap();
    let lines = "[policy]\nhosts_files = [\"hosts\"]\nhosts = [\"192.0.2.10 Printer.lan printer\", \"127.0.0.9 localhost\"]\n\
                 hosts_ttl_seconds = 7\n";
    let policies = Policies::load(&config(directory.path(), lines)).unwrap();
    for (name, qtype, expected) in [
        ("printer.lan.", types::A, "0 192.0.2.10"),
        ("printer.", types::AAAA, "0 (printer.)"),
        ("a.printer.lan.", types::A, "Ask"),
        ("file.lan.", types::A, "0 192.0.2.20 192.0.2.21"),
        ("six.lan.", types::AAAA, "0 2001:db8::20"),
        ("nowhere.lan.", types::A, "0 0.0.0.0"),
        ("good.lan.", types::A, "0 192.0.2.22"),
        ("link.", types::A, "Ask"),
        ("10.2.0.192.in-addr.arpa.", types::PTR, "0 printer.lan."),
        ("21.2.0.192.in-addr.arpa.", types::PTR, "0 file.lan."),
        ("21.2.0.192.in-addr.arpa.", types::TXT, "0 (21.2.0.192.in-addr.arpa.)"),
        ("99.2.0.192.in-addr.arpa.", types::PTR, "3 (2.0.192.in-addr.arpa.)"),
        ("0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", types::PTR, "0 six.lan."),
        // What somebody has said counts for more than what everybody knows.
        ("localhost.", types::A, "0 127.0.0.9"),
    ] {
        assert_eq!(told(&policies, name, qtype), expected, "{name} {qtype}");
    }
    policies.reload(&config(directory.path(), &format!("{lines}[dns]\naaaa = \"nodata\"\n"))).unwrap();
    assert_eq!(told(&policies, "six.lan.", types::AAAA), "0 (six.lan.)");
    assert_eq!(told(&policies, "localhost.", types::ANY), "0 127.0.0.9");
    assert_eq!(told(&policies, "www.example.", types::AAAA), "0 (www.example.)");
    assert_eq!(told(&policies, "www.example.", types::A), "Ask");
    assert_eq!(told(&policies, "a.invalid.", types::AAAA), "3 (invalid.)");
}

#[test]
fn a_name_has_so_many_addresses_and_the_rest_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let address = |number: u32| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number));
    // More than counts of two bytes have room for, and some of them again.
    let lines: Vec<_> = (0..70_000).chain([0, 255]).map(address).collect();
    let hosts: String = lines.iter().map(|address| format!("{address} many.lan\n")).collect();
    fs::write(directory.path().join("hosts"), format!("{hosts}192.0.2.1 other.lan\n")).unwrap();
    let zone: String = lines.iter().map(|address| format!("many.example 9 A {address}\n")).collect();
    fs::write(directory.path().join("zone"), format!("{zone}other.example 9 A 192.0.2.1\n")).unwrap();
    let lines = "[policy]\nhosts_files = [\"hosts\"]\nblock_files = [{ path = \"zone\", format = \"rpz\" }]\n";
    let (tables, reports) = Tables::make(&Recipe::new(&config(directory.path(), lines))).unwrap();
    for (name, report) in [("many.example.", &reports[0]), ("many.lan.", &reports[1])] {
        assert_eq!((report.names, report.faults, report.first_faults.len()), (2, 70_000 - 256, 10), "{name}");
        assert_eq!(report.first_faults[0].0, 257, "{name}");
        let Ruling::Answer(answer) = tables.rule(&question(name, types::A)) else { panic!("{name} has no answer") };
        let message = expand(&name.parse().unwrap(), types::A, &answer).unwrap();
        let found = message.answers.iter().map(|record| record.rdata().to_vec());
        let first = (0..256).map(|number| (0x0a00_0000u32 + number).to_be_bytes().to_vec());
        assert!(found.eq(first), "{name}");
    }
    assert!(reports[1].first_faults[0].1.contains("has 256 addresses already"), "{reports:?}");
    for name in ["other.lan.", "other.example."] {
        assert_eq!(said(tables.rule(&question(name, types::A)), name, types::A), "0 192.0.2.1");
    }
    let made = (0..6000).fold(Making::new(1), |making, number| making.address(address(number))).done();
    assert_eq!((made.counts[0], made.body.len()), (4095, 4095 * 16), "no more than a message has room for");
}

/// A response policy zone.
const ZONE: &str = "$ORIGIN rpz.example.\n$TTL 300\n@ SOA localhost. root 1 3600 600 86400 60\n NS localhost.\n\
    gone.example CNAME .\n*.gone.example CNAME .\nempty.example CNAME *.\npass.wild.example CNAME rpz-passthru.\n\
    *.wild.example CNAME .\nquiet.example CNAME rpz-drop.\ndata.example A 192.0.2.66\ndata.example AAAA 2001:db8::66\n\
    data.example A 192.0.2.67\nold.example CNAME old.example.\nto.example 30 CNAME Walled.Garden.example.\n\
    ns.example.rpz-nsdname CNAME .\n24.0.2.0.192.rpz-nsip CNAME .\nmail.example MX 10 a.example\nbad.example CNAME\n\
    *.under.example CNAME *.garden.example.\ntcp.example CNAME rpz-tcp-only.\ndata.example 20 TXT \"x y\"\n\
    *.local.example TXT wild\ngone.example A 192.0.2.1\nns.sub.example NS a.\nodd.example CNAME rpz-what.\n\
    data.example A 192.0.2.66\nsigned.example RRSIG A 8 2 300 20300101000000 20200101000000 1 example. AAAA\n";

#[test]
fn lists_are_read_in_three_forms_and_the_first_decides() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("zone", ZONE);
    write("hosts", "0.0.0.0 ads.example localhost 0.0.0.0\n127.0.0.1 local\n::1 trackers.example\nx y\n");
    write("domains", "# list\nTree.example\n*.below.example ! x\n.dot.example.\ngone.example\n||x^\nads.example\n");
    let lines = "[policy]\nblock_files = [{ path = \"zone\", format = \"rpz\" },\n\
                 { path = \"hosts\", format = \"hosts\", answer = [\"0.0.0.0\", \"::\"] },\n\
                 { path = \"domains\", format = \"domains\", answer = \"refused\" }]\n";
    let policies = Policies::load(&config(directory.path(), lines)).unwrap();
    for (name, qtype, expected) in [
        ("gone.example.", types::A, "3 (gone.example.)"),
        ("a.b.gone.example.", types::A, "3 (gone.example.)"),
        ("empty.example.", types::A, "0 (empty.example.)"),
        ("a.empty.example.", types::A, "Ask"),
        ("wild.example.", types::A, "Ask"),
        ("x.wild.example.", types::A, "3 (wild.example.)"),
        ("pass.wild.example.", types::A, "Ask"),
        ("quiet.example.", types::A, "Drop"),
        ("data.example.", types::A, "0 192.0.2.66 192.0.2.67"),
        ("data.example.", types::AAAA, "0 2001:db8::66"),
        ("data.example.", types::MX, "0 (data.example.)"),
        ("data.example.", types::TXT, "0 TYPE16"),
        ("old.example.", types::A, "Ask"),
        ("to.example.", types::A, "-> 0 walled.garden.example."),
        ("to.example.", types::CNAME, "0 walled.garden.example."),
        ("to.example.", types::ANY, "0 walled.garden.example."),
        ("a.b.under.example.", types::A, "-> 0 a.b.under.example.garden.example."),
        ("under.example.", types::A, "Ask"),
        ("tcp.example.", types::A, "TC 0"),
        ("any.local.example.", types::TXT, "0 TYPE16"),
        ("any.local.example.", types::A, "0 (local.example.)"),
        ("mail.example.", types::A, "0 (mail.example.)"),
        ("mail.example.", types::MX, "0 TYPE15"),
        ("odd.example.", types::A, "Ask"),
        ("signed.example.", types::A, "Ask"),
        ("ads.example.", types::A, "0 0.0.0.0"),
        ("a.ads.example.", types::A, "Refuse"),
        ("trackers.example.", types::AAAA, "0 ::"),
        ("local.", types::A, "Ask"),
        ("tree.example.", types::A, "Refuse"),
        ("a.b.tree.example.", types::A, "Refuse"),
        ("below.example.", types::A, "Ask"),
        ("a.below.example.", types::A, "Refuse"),
        ("dot.example.", types::A, "Refuse"),
        ("example.", types::A, "Ask"),
        ("localhost.", types::A, "0 127.0.0.1"),
    ] {
        assert_eq!(told(&policies, name, qtype), expected, "{name} {qtype}");
    }
    let by_tcp = |name| {
        let question = ForeignQuestion { is_stream: true, ..question(name, types::A) };
        said(policies.rule(&question), name, types::A)
    };
    assert_eq!([by_tcp("tcp.example."), by_tcp("data.example.")], ["AskApart 0", "0 192.0.2.66 192.0.2.67"]);
    let nxdomain = lines.replace("format = \"rpz\"", "format = \"rpz\", answer = \"nodata\"");
    policies.reload(&config(directory.path(), &nxdomain)).unwrap();
    for name in ["to.example.", "quiet.example.", "tcp.example.", "data.example."] {
        assert_eq!(told(&policies, name, types::A), format!("0 ({name})"));
    }
    assert_eq!(told(&policies, "pass.wild.example.", types::A), "Ask");
}

#[test]
fn what_a_zone_says_that_is_not_done_is_told_by_its_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let more = "24.1.2.0.192.rpz-ip CNAME .\nx.rpz-client-ip CNAME .\n24.0.2.0.192.rpz-ip CNAME rpz-tcp-only.\n";
    fs::write(file.path(), format!("{ZONE}{more}")).unwrap();
    let block = BlockFile { path: file.path().to_owned(), format: BlockFormat::Rpz, answer: None };
    let (_, reports) = Blocks::read(&[block]).unwrap();
    let report = &reports[0];
    assert_eq!((report.names, report.faults, report.of_servers, report.unsupported), (13, 6, 2, 1), "{report:?}");
    let told: Vec<(usize, &str)> = report.first_faults.iter().map(|(line, why)| (*line, &**why)).collect();
    for (line, expected) in [
        (19, "bad.example"),
        (24, "gone.example. has records that do not go together"),
        (25, "NS, SOA and DNAME are no answers"),
        (26, "rpz-what. is nothing that is done"),
        (29, "bits set behind the leading ones (rpz-ip)"),
        (30, "number of leading bits (rpz-client-ip)"),
    ] {
        assert!(told.iter().any(|(at, why)| *at == line && why.contains(expected)), "{line} {expected}: {told:?}");
    }
    let long = "x".repeat(250);
    let many: String = (0..200).map(|number| format!("a. 9 TXT \"{number}{long}\"\n")).collect();
    fs::write(file.path(), many).unwrap();
    let block = BlockFile { path: file.path().to_owned(), format: BlockFormat::Rpz, answer: None };
    let (blocks, reports) = Blocks::read(&[block]).unwrap();
    assert!((60..100).contains(&reports[0].faults) && reports[0].first_faults.len() == 10, "{reports:?}");
    let asked = Asked { name: b"\x01a\0", qtype: types::TXT, hides_aaaa: false };
    let Some(Ruling::Answer(answer)) = blocks.rule_target(asked, ALL_LISTS) else { panic!("no answer") };
    assert_eq!(usize::from(answer.counts[0]), 200 - reports[0].faults);
    assert!(expand(&"a.".parse().unwrap(), types::TXT, &answer).is_ok());
}

#[test]
fn clients_and_addresses_trigger_too() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write(
        "first",
        "16.0.0.0.10.rpz-client-ip CNAME rpz-passthru.\n32.9.0.0.10.rpz-client-ip CNAME .\n\
        white.example CNAME rpz-passthru.\n32.1.2.0.192.rpz-ip CNAME rpz-passthru.\n",
    );
    write(
        "second",
        "8.0.0.0.11.rpz-client-ip CNAME rpz-tcp-only.\n8.0.0.0.12.rpz-client-ip A 192.0.2.5\n\
        32.1.0.0.13.rpz-client-ip CNAME jail.example.\n48.zz.1.db8.2001.rpz-client-ip CNAME rpz-drop.\n\
        24.0.2.0.192.rpz-ip CNAME .\n32.9.2.0.192.rpz-ip A 198.51.100.9\n64.zz.66.db8.2001.rpz-ip CNAME sink.example.\n\
        name.example CNAME .\n",
    );
    let lines = "$TTL 9\n";
    for name in ["first", "second"] {
        let text = fs::read_to_string(directory.path().join(name)).unwrap();
        write(name, &format!("{lines}{text}"));
    }
    let lines = "[policy]\nblock_files = [{ path = \"first\", format = \"rpz\" }, { path = \"second\", format = \"rpz\" }]\n\
                 hosts = [\"192.0.2.10 printer.lan\"]\n";
    let policies = Policies::load(&config(directory.path(), lines)).unwrap();
    let from = |client: &str, is_stream, name: &str| {
        let question = ForeignQuestion { client: client.parse().unwrap(), is_stream, ..question(name, types::A) };
        said(policies.rule(&question), name, types::A)
    };
    for (client, is_stream, name, expected) in [
        ("10.0.0.1", false, "a.example.", "AskApart 0"),
        ("10.0.0.1", false, "name.example.", "AskApart 0"),
        ("10.0.0.9", false, "a.example.", "3 (a.example.)"),
        ("10.0.0.9", false, "printer.lan.", "0 192.0.2.10"),
        ("11.9.9.9", false, "a.example.", "TC 0"),
        ("11.9.9.9", true, "a.example.", "AskApart 1"),
        ("11.9.9.9", true, "name.example.", "AskApart 1"),
        // A name in an earlier list comes before the client in a later one.
        ("11.9.9.9", false, "white.example.", "AskApart 1"),
        ("12.1.1.1", false, "a.example.", "0 192.0.2.5"),
        ("13.0.0.1", false, "a.example.", "~> 0 jail.example."),
        ("2001:db8:1::7", false, "a.example.", "Drop"),
        ("::ffff:12.1.1.1", false, "a.example.", "0 192.0.2.5"),
        ("14.0.0.1", false, "a.example.", "Ask"),
        ("14.0.0.1", false, "name.example.", "3 (name.example.)"),
    ] {
        assert_eq!(from(client, is_stream, name), expected, "{client} {name}");
    }
    let addresses = |name: &str, lists, found: &[&str]| {
        let owner = name.parse::<WireName>().unwrap();
        let found: Vec<_> = found.iter().map(|text| (owner.clone(), text.parse().unwrap())).collect();
        said(policies.rule_addresses(&question(name, types::A), lists, &found), name, types::A)
    };
    for (name, lists, found, expected) in [
        ("a.example.", ALL_LISTS, &["192.0.2.7"][..], "3 (a.example.)"),
        ("a.example.", ALL_LISTS, &["203.0.113.1", "192.0.2.9", "192.0.2.7"], "0 198.51.100.9"),
        ("a.example.", ALL_LISTS, &["192.0.2.1", "192.0.2.9"], "Ask"),
        ("a.example.", ALL_LISTS, &["2001:db8:66::1"], "-> 0 sink.example."),
        ("white.example.", ALL_LISTS, &["192.0.2.7"], "Ask"),
        ("a.example.", 1, &["192.0.2.7"], "Ask"),
        ("a.example.", ALL_LISTS, &[], "Ask"),
    ] {
        assert_eq!(addresses(name, lists, found), expected, "{name} {found:?}");
    }
    let judged: Vec<String> = policies.judged().iter().map(ToString::to_string).collect();
    assert_eq!(judged, ["10.0.0.0/16", "10.0.0.9/32", "11.0.0.0/8", "12.0.0.0/8", "13.0.0.1/32", "2001:db8:1::/48"]);
}

#[test]
fn a_file_is_read_again_once_it_stays_and_what_it_touches_is_flushed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("list");
    fs::write(&path, "old.example\nboth.example\n").unwrap();
    let lines = "[policy]\nblock_files = [{ path = \"list\", format = \"domains\" }]\n";
    let policies = Policies::load(&config(directory.path(), lines)).unwrap();
    let flushed: Arc<Mutex<Vec<String>>> = Arc::default();
    let names = ["old.example", "both.example", "a.new.example", "other.example"];
    let told_to = Arc::clone(&flushed);
    policies.on_change(Arc::new(move |goes| {
        let entry =
            |name: &str| Entry { name: name.parse().unwrap(), qtype: types::A, answer: KeptAnswer::empty(0), uses: 0 };
        let goes = |name: &&&str| goes(&entry(name));
        told_to.lock().unwrap().extend(names.iter().filter(goes).map(|name| (*name).to_owned()));
    }));
    assert!(!policies.look() && !policies.look(), "nothing has changed");
    fs::write(&path, "new.example\nboth.example\nthird.example\n").unwrap();
    assert!(!policies.look(), "it may be about to change again");
    assert!(policies.look() && !policies.look());
    assert_eq!(*flushed.lock().unwrap(), ["old.example", "both.example", "a.new.example"]);
    assert_eq!((told(&policies, "old.example.", types::A), policies.sizes()), ("Ask".to_owned(), [3, 0]));
    fs::write(&path, "<html>not a list</html>\n").unwrap();
    assert!(!policies.look() && !policies.look(), "a page in place of a list");
    assert_eq!(told(&policies, "a.new.example.", types::A), "3 (new.example.)");
    fs::remove_file(&path).unwrap();
    assert!(!policies.look() && !policies.look(), "it is gone");
    assert_eq!(told(&policies, "a.new.example.", types::A), "3 (new.example.)");
    fs::write(&path, "").unwrap();
    assert!(!policies.look() && policies.look(), "an empty list is a list");
    assert_eq!(told(&policies, "a.new.example.", types::A), "Ask");
    let missing = lines.replace("\"list\"", "\"hosts\"");
    fs::write(directory.path().join("hosts"), "").unwrap();
    let missing = config(directory.path(), &missing);
    fs::remove_file(directory.path().join("hosts")).unwrap();
    assert!(policies.reload(&missing).unwrap_err().to_string().contains("hosts cannot be read"));
    assert_eq!(flushed.lock().unwrap().len(), 3 + 2, "of the names that are asked about, two were on the list before");
}

#[test]
fn policies_that_are_watched_go_when_nobody_has_them() {
    let directory = tempfile::tempdir().unwrap();
    let policies = Policies::load(&config(directory.path(), "")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    policies.watch(runtime.handle());
    let weak = Arc::downgrade(&policies);
    drop(policies);
    assert!(weak.upgrade().is_none(), "the watch has none of its own");
}
