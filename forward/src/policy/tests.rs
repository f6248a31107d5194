//! What is decided by hosts, names of special use, lists of names, and their files as they change.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use ringdns_controlplane::config::Config;
use ringdns_engine::cache::EntryBits;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::ForeignQuestion;
use ringdns_engine::rtype::types;

use super::{Policies, Policy, Ruling};
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
    ForeignQuestion { name, qtype, bits: EntryBits::default(), client: IpAddr::V4(Ipv4Addr::LOCALHOST) }
}

/// What is decided, as text: the response code, addresses or names, and whose SOA record says how long there is nothing.
fn told(policies: &Policies, name: &str, qtype: u16) -> String {
    let question = question(name, qtype);
    let answer = match policies.rule(&question) {
        Ruling::Answer(answer) => answer,
        other => return format!("{other:?}"),
    };
    // It is read as the forwarder reads it, so that every pointer and count is right.
    let message = expand(&question.name, qtype, &answer).unwrap();
    let mut words = vec![answer.rcode.to_string()];
    for record in &message.answers {
        assert_eq!((&record.owner, record.ttl), (&question.name, answer.ttl_seconds));
        let rdata = record.rdata();
        words.push(match record.rtype {
            types::A => IpAddr::from(<[u8; 4]>::try_from(rdata).unwrap()).to_string(),
            types::AAAA => IpAddr::from(<[u8; 16]>::try_from(rdata).unwrap()).to_string(),
            types::PTR => WireName::from_wire(rdata).unwrap().to_string(),
            rtype => format!("TYPE{rtype}"),
        });
    }
    for record in &message.authorities {
        assert_eq!((record.rtype, record.ttl), (types::SOA, answer.ttl_seconds));
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
    assert_eq!(told(&policies, "www.example.", types::AAAA), "0 (www.example.)");
    assert_eq!(told(&policies, "www.example.", types::A), "Ask");
    assert_eq!(told(&policies, "a.invalid.", types::AAAA), "3 (invalid.)");
}

/// A response policy zone.
const ZONE: &str = "$ORIGIN rpz.example.\n$TTL 300\n@ SOA localhost. root 1 3600 600 86400 60\n NS localhost.\n\
    gone.example CNAME .\n*.gone.example CNAME .\nempty.example CNAME *.\npass.wild.example CNAME rpz-passthru.\n\
    *.wild.example CNAME .\nquiet.example CNAME rpz-drop.\ndata.example A 192.0.2.66\ndata.example AAAA 2001:db8::66\n\
    data.example A 192.0.2.67\nold.example CNAME old.example.\nto.example CNAME walled.garden.example.\n\
    24.0.2.0.192.rpz-ip CNAME .\nns.example.rpz-nsdname CNAME .\nmail.example MX 10 a.example.\nbad.example CNAME\n";

#[test]
fn lists_are_read_in_three_forms_and_the_first_decides() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("zone", ZONE);
    write("hosts", "0.0.0.0 ads.example localhost 0.0.0.0\n127.0.0.1 local\n::1 trackers.example\nx y\n");
    write(
        "domains",
        "# list\nTree.example\n*.below.example ! x\n.dot.example.\ngone.example\n||x^\nads.example\nmail.example\n",
    );
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
        ("old.example.", types::A, "Ask"),
        ("to.example.", types::A, "Ask"),
        // Of the same name in a later file nothing is known where the one before does not know what to do with it.
        ("mail.example.", types::A, "Refuse"),
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
    let nxdomain = lines.replace("format = \"rpz\"", "format = \"rpz\", answer = \"nodata\"");
    policies.reload(&config(directory.path(), &nxdomain)).unwrap();
    assert_eq!(told(&policies, "to.example.", types::A), "0 (to.example.)");
    assert_eq!(told(&policies, "quiet.example.", types::A), "0 (quiet.example.)");
    assert_eq!(told(&policies, "pass.wild.example.", types::A), "Ask");
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
        let goes = |name: &&&str| goes(name.parse::<WireName>().unwrap().as_bytes(), types::A);
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
