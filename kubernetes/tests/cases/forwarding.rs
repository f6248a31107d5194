//! A cluster's server and the names that are not the cluster's: who is asked, what is kept, and what nobody is asked for, by the
//! configurations that clusters have.

use std::path::Path;
use std::time::{Duration, Instant};

use ringdns_controlplane::config::Config;
use ringdns_engine::cache::EntryBits;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::ForeignQuestion;
use ringdns_engine::rtype::rcode;
use ringdns_kubernetes::object::Object;
use ringdns_kubernetes::options::Options;
use serde_json::Value;

use crate::bed::{Bed, configuration};
use crate::message::Reply;
use crate::objects::{a_namespace, a_service, an_alias};
use crate::samples::{CASES, coredns, name};
use crate::upstream::{Known, Upstream};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What an upstream knows of names: an address each.
fn addresses(names: &[(&str, u32, [u8; 4])]) -> Known {
    let known = Known { otherwise: 3, denial_ttl: Some(60), ..Known::default() };
    names.iter().fold(known, |known, (owner, ttl, address)| known.address(&name(owner), *ttl, *address))
}

/// An upstream that knows addresses.
fn upstream(names: &[(&str, u32, [u8; 4])]) -> Upstream {
    let upstream = Upstream::start();
    upstream.says(addresses(names));
    upstream
}

/// A cluster with a Service and names for names outside of it.
fn cluster() -> Vec<Object> {
    vec![
        a_namespace("default"),
        Object::Service(a_service("default/web", &["10.0.0.1"], &[])),
        Object::Service(an_alias("default/alias", "www.example.com")),
        Object::Service(an_alias("default/gone", "gone.example.com")),
    ]
}

/// Owner, TTL and rdata of the answer.
fn shown(reply: &Reply) -> Vec<(String, u32, String)> {
    reply.sections[0].iter().map(|one| (one.name.clone(), one.ttl, one.rdata.clone())).collect()
}

/// The ConfigMap of kube-dns as it is mounted.
fn config_map(directory: &Path, data: &[(&str, String)]) -> String {
    let map = directory.join("kube-dns");
    std::fs::create_dir_all(&map).unwrap();
    data.iter().for_each(|(key, value)| std::fs::write(map.join(key), value).unwrap());
    format!("[kube_dns_config]\ndirectory = \"{}\"\n", map.display())
}

#[test]
fn stub_domains_and_upstreams_of_the_config_map_are_asked_for_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let all = upstream(&[("www.example.com.", 60, [192, 0, 2, 1]), ("notacme.local.", 60, [192, 0, 2, 2])]);
    let acme = upstream(&[("acme.local.", 60, [192, 0, 2, 3]), ("a.b.acme.local.", 60, [192, 0, 2, 4])]);
    let inner = upstream(&[("x.b.acme.local.", 60, [192, 0, 2, 5])]);
    let tables = config_map(
        directory.path(),
        &[
            (
                "stubDomains",
                format!("{{\"acme.local\": [\"{}\"], \"b.acme.local\": [\"{}\"]}}", acme.address, inner.address),
            ),
            ("upstreamNameservers", format!("[\"{}\"]", all.address)),
        ],
    );
    let mut bed = Bed::start_with(directory.path(), &tables);
    bed.serve(&coredns(), cluster());
    for (qname, said) in [
        ("www.example.com.", "192.0.2.1"),
        ("acme.local.", "192.0.2.3"),
        ("ACME.Local.", "192.0.2.3"),
        // Labels count, not letters; and the longest domain.
        ("notacme.local.", "192.0.2.2"),
        ("x.b.acme.local.", "192.0.2.5"),
        ("a.b.acme.local.", "NXDOMAIN"),
        ("web.default.svc.cluster.local.", "10.0.0.1"),
        ("none.default.svc.cluster.local.", "NXDOMAIN"),
        ("alias.default.svc.cluster.local.", "192.0.2.1, www.example.com."),
    ] {
        assert_eq!(bed.says(qname, "A"), said, "{qname}");
    }
    for cluster in ["web.default.svc.cluster.local.", "none.default.svc.cluster.local."] {
        assert_eq!([&all, &acme, &inner].map(|one| one.asked(cluster)), [0; 3], "{cluster}");
    }
    assert_eq!((acme.asked("acme.local."), acme.asked("a.b.acme.local."), inner.asked("a.b.acme.local.")), (1, 0, 1));
}

#[test]
fn a_config_map_is_taken_or_refused_as_kube_dns_does() {
    let cases: Value = serde_json::from_str(CASES).unwrap();
    let rows = cases["vectors"]["kubedns_configmap"]["rows"].as_array().unwrap();
    for row in rows {
        let directory = tempfile::tempdir().unwrap();
        let data: Vec<(&str, String)> = row["data"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str().unwrap().to_owned()))
            .collect();
        let tables = config_map(directory.path(), &data);
        let text = format!("[sockets]\nlisten = [\"127.0.0.1:1\"]\n{tables}");
        let taken = Config::parse(&directory.path().join("ringdns.toml"), &text);
        assert_eq!(taken.is_ok(), row["valid"] == true, "{row}: {:?}", taken.err());
    }
    assert!(rows.len() > 10);
}

#[test]
fn names_that_are_excepted_are_refused_and_short_ones_fail() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = upstream(&[("www.example.com.", 60, [192, 0, 2, 1]), ("x.lab.example.com.", 60, [192, 0, 2, 2])]);
    let tables =
        format!("[forward]\nupstreams = [\"{}\"]\nexcept = [\"lab.example.com.\"]\nlabels_min = 2\n", upstream.address);
    let mut bed = Bed::start_with(directory.path(), &tables);
    bed.serve(&coredns(), cluster());
    for (qname, said) in [
        ("www.example.com.", "192.0.2.1"),
        ("x.lab.example.com.", "REFUSED"),
        ("lab.example.com.", "REFUSED"),
        ("collab.example.com.", "NXDOMAIN"),
        ("www.", "SERVFAIL"),
    ] {
        assert_eq!(bed.says(qname, "A"), said, "{qname}");
    }
    assert_eq!(["x.lab.example.com.", "lab.example.com.", "www."].map(|name| upstream.asked(name)), [0; 3]);
}

#[test]
fn addresses_that_are_not_the_clusters_are_looked_up_where_the_zone_falls_through() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = Upstream::start();
    let mut known = addresses(&[]);
    let target = name("host.example.com.").as_bytes().to_vec();
    known.records.insert((name("9.113.0.203.in-addr.arpa."), 12), vec![(60, target)]);
    upstream.says(known);
    let tables = format!("[forward]\nupstreams = [\"{}\"]\n[policy]\nlocal_reverse = false\n", upstream.address);
    let mut bed = Bed::start_with(directory.path(), &tables);
    let reverse = vec![name("in-addr.arpa."), name("ip6.arpa.")];
    let options = Options { reverse_zones: reverse.clone(), fallthrough: reverse, ..coredns() };
    bed.serve(&options, cluster());
    assert_eq!(bed.says("1.0.0.10.in-addr.arpa.", "PTR"), "web.default.svc.cluster.local.");
    assert_eq!(bed.says("9.113.0.203.in-addr.arpa.", "PTR"), "host.example.com.");
    assert_eq!(bed.says("8.113.0.203.in-addr.arpa.", "PTR"), "NXDOMAIN");
    assert_eq!(bed.says("none.default.svc.cluster.local.", "A"), "NXDOMAIN");
    assert_eq!(upstream.asked("1.0.0.10.in-addr.arpa."), 0);
    assert_eq!((upstream.asked("9.113.0.203.in-addr.arpa."), upstream.asked("8.113.0.203.in-addr.arpa.")), (1, 1));
    assert_eq!(upstream.asked("none.default.svc.cluster.local."), 0, "that zone does not fall through");
    // Whoever comes to be served is not asked for any more, and what was kept of it is gone.
    bed.serve(&Options { reverse_zones: vec![name("in-addr.arpa.")], ..coredns() }, cluster());
    assert_eq!(bed.says("9.113.0.203.in-addr.arpa.", "PTR"), "NXDOMAIN");
}

#[test]
fn aliases_of_services_say_what_others_say_of_their_target() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = upstream(&[("www.example.com.", 3600, [192, 0, 2, 1])]);
    let tables = format!("[forward]\nupstreams = [\"{}\"]\n[cache]\nfailure_ttl_seconds = 1\n", upstream.address);
    let mut bed = Bed::start_with(directory.path(), &tables);
    bed.serve(&coredns(), cluster());
    for _ in 0..2 {
        let reply = bed.ask("alias.default.svc.cluster.local.", "A");
        let [alias, address] = &shown(&reply)[..] else { panic!("{reply:?}") };
        assert_eq!((&*alias.0, alias.1, &*alias.2), ("alias.default.svc.cluster.local.", 5, "www.example.com."));
        assert_eq!((&*address.0, &*address.2), ("www.example.com.", "192.0.2.1"));
        assert!(reply.authoritative && reply.rcode == "NOERROR" && (3590..=3600).contains(&address.1), "{reply:?}");
    }
    assert_eq!(upstream.asked("www.example.com."), 1, "the second was known");
    assert_eq!(bed.says("alias.default.svc.cluster.local.", "CNAME"), "www.example.com.");
    // RFC 2308 section 2.2.2: there is the alias, and no such type behind it.
    let reply = bed.ask("alias.default.svc.cluster.local.", "AAAA");
    assert_eq!((reply.rcode, shown(&reply).len()), ("NOERROR", 1));
    // RFC 6604 section 3: the response code is of the last name.
    let reply = bed.ask("gone.default.svc.cluster.local.", "A");
    assert_eq!((reply.rcode, shown(&reply).len()), ("NXDOMAIN", 1));
    upstream.says(Known { otherwise: 2, ..Known::default() });
    bed.others.as_ref().unwrap().forwarder.flush(None, None);
    assert_eq!(bed.says("alias.default.svc.cluster.local.", "A"), "SERVFAIL");
}

#[test]
fn a_corefile_says_how_long_answers_are_kept_and_that_they_have_aa() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = upstream(&[
        ("long.example.com.", 3600, [192, 0, 2, 1]),
        ("short.example.com.", 1, [192, 0, 2, 2]),
        ("kept.example.com.", 20, [192, 0, 2, 3]),
    ]);
    let corefile = format!(
        ".:1053 {{\n bind 127.0.0.1\n forward . {} {{\n  max_concurrent 1000\n }}\n cache 30\n loop\n}}\n",
        upstream.address
    );
    std::fs::write(directory.path().join("Corefile"), corefile).unwrap();
    let mut bed = Bed::start_with(directory.path(), "[corefile]\npath = \"Corefile\"\n");
    bed.serve(&coredns(), cluster());
    for (qname, ttls) in [("long", 28..=30), ("short", 4..=5), ("kept", 18..=20)] {
        let qname = format!("{qname}.example.com.");
        for _ in 0..2 {
            let reply = bed.ask(&qname, "A");
            assert!(reply.authoritative && ttls.contains(&shown(&reply)[0].1), "{qname}: {reply:?}");
        }
        assert_eq!(upstream.asked(&qname), 1, "{qname}");
    }
    let reply = bed.ask("none.example.com.", "A");
    let [_, authority, _] = &reply.sections;
    assert!(reply.rcode == "NXDOMAIN" && authority[0].rtype == "SOA" && authority[0].ttl <= 30, "{reply:?}");
    assert_eq!(bed.says("none.example.com.", "A"), "NXDOMAIN");
    assert_eq!(upstream.asked("none.example.com."), 1, "denials are kept too");
}

#[test]
fn a_stale_answer_is_given_where_others_are_silent_and_a_new_one_as_soon_as_they_speak() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = upstream(&[("www.example.com.", 1, [192, 0, 2, 1])]);
    let tables = format!(
        "[forward]\nupstreams = [\"{}\"]\ndeadline_ms = 600\ntry_ms = 200\nfailures_max = 0\n\
         [cache]\nstale_seconds = 60\nstale_ttl_seconds = 7\nstale_after_ms = 100\nstale_recheck_ms = 1000\n\
         failure_ttl_seconds = 1\nprefetch_uses = 0\n",
        upstream.address
    );
    let mut bed = Bed::start_with(directory.path(), &tables);
    bed.serve(&coredns(), cluster());
    assert_eq!(shown(&bed.ask("www.example.com.", "A"))[0].2, "192.0.2.1");
    upstream.says(Known { is_silent: true, ..addresses(&[]) });
    let until = Instant::now() + PATIENCE;
    let stale = loop {
        let reply = bed.ask("www.example.com.", "A");
        if shown(&reply)[0].1 == 7 {
            break reply;
        }
        assert!(Instant::now() < until, "it never becomes stale: {reply:?}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!((stale.rcode, &*shown(&stale)[0].2), ("NOERROR", "192.0.2.1"));
    upstream.says(addresses(&[("www.example.com.", 60, [192, 0, 2, 9])]));
    loop {
        let answers = shown(&bed.ask("www.example.com.", "A"));
        if answers[0].2 == "192.0.2.9" {
            break;
        }
        assert!(answers[0].2 == "192.0.2.1" && Instant::now() < until, "{answers:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_answer_that_others_have_no_room_for_is_told_as_such_and_asked_for_again() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = upstream(&[]);
    let known = addresses(&[("www.example.com.", 60, [192, 0, 2, 1])]);
    upstream.says(Known { truncates: true, ..known.clone() });
    let tables = format!("[forward]\nupstreams = [\"{}\"]\n", upstream.address);
    let mut bed = Bed::start_with(directory.path(), &tables);
    bed.serve(&coredns(), cluster());
    for (asked, qname) in [(2, "www.example.com."), (4, "alias.default.svc.cluster.local.")] {
        let reply = bed.ask(qname, "A");
        assert!(reply.truncated && reply.rcode == "NOERROR", "{reply:?}");
        assert_eq!(shown(&reply).last().unwrap().2, "192.0.2.1");
        // By UDP, and by TCP; nothing of it was kept.
        assert_eq!(upstream.asked("www.example.com."), asked, "{qname}");
    }
    upstream.says(known);
    let reply = bed.ask("www.example.com.", "A");
    assert!(!reply.truncated && shown(&reply).len() == 1, "{reply:?}");
}

#[test]
fn a_stub_zone_whose_only_server_is_gone_fails() {
    let directory = tempfile::tempdir().unwrap();
    // Nobody listens there: it was bound and is free again.
    let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tables =
        format!("[forward]\ndeadline_ms = 1000\n[[forward.zone]]\nzone = \"example.org.\"\nupstreams = [\"{gone}\"]\n");
    let mut bed = Bed::start_with(directory.path(), &tables);
    bed.serve(&coredns(), cluster());
    assert_eq!(bed.says("www.example.org.", "A"), "SERVFAIL");
    assert_eq!(bed.says("www.example.net.", "A"), "REFUSED", "nobody is asked for that");
    assert_eq!(bed.says("web.default.svc.cluster.local.", "A"), "10.0.0.1");
}

#[test]
fn another_configuration_asks_others_and_forgets_what_the_first_said() {
    let directory = tempfile::tempdir().unwrap();
    let first = upstream(&[("www.example.com.", 60, [192, 0, 2, 1]), ("x.corp.", 60, [192, 0, 2, 3])]);
    let second = upstream(&[("www.example.com.", 60, [192, 0, 2, 2])]);
    let tables = |all: &Upstream| {
        let (all, corp) = (all.address, first.address);
        format!("[forward]\nupstreams = [\"{all}\"]\n[[forward.zone]]\nzone = \"corp.\"\nupstreams = [\"{corp}\"]\n")
    };
    let mut bed = Bed::start_with(directory.path(), &tables(&first));
    bed.serve(&coredns(), cluster());
    assert_eq!((bed.says("www.example.com.", "A"), bed.says("x.corp.", "A")), ("192.0.2.1".into(), "192.0.2.3".into()));
    bed.others.as_ref().unwrap().reload(&configuration(directory.path(), &tables(&second)));
    assert_eq!((bed.says("www.example.com.", "A"), bed.says("x.corp.", "A")), ("192.0.2.2".into(), "192.0.2.3".into()));
    assert_eq!(first.asked("x.corp."), 1, "what is asked as before stays");
}

#[test]
fn who_asks_too_much_at_once_is_refused_and_the_cluster_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = upstream(&[]);
    upstream.says(Known { is_silent: true, ..addresses(&[]) });
    let tables = format!("[forward]\nupstreams = [\"{}\"]\nquestions_max = 3\ndeadline_ms = 500\n", upstream.address);
    let mut bed = Bed::start_with(directory.path(), &tables);
    bed.serve(&coredns(), cluster());
    let asking = bed.others.as_ref().unwrap();
    let (told, answers) = std::sync::mpsc::channel();
    for number in 0..5 {
        let qname: WireName = format!("n{number}.example.com.").parse().unwrap();
        let question = ForeignQuestion {
            name: qname,
            qtype: 1,
            bits: EntryBits::default(),
            client: [192, 0, 2, 1].into(),
            is_stream: false,
        };
        let told = told.clone();
        let done = Box::new(move |answer: Option<std::sync::Arc<ringdns_engine::recall::KeptAnswer>>| {
            let _ = told.send(answer.map(|answer| answer.rcode));
        });
        ringdns_engine::recall::AskOthers::ask(&asking.forwarder, question, done);
    }
    let mut rcodes: Vec<u16> = (0..5).map(|_| answers.recv_timeout(PATIENCE).unwrap().unwrap()).collect();
    rcodes.sort_unstable();
    assert_eq!(rcodes, [rcode::SERVFAIL, rcode::SERVFAIL, rcode::SERVFAIL, rcode::REFUSED, rcode::REFUSED]);
    assert_eq!(bed.says("web.default.svc.cluster.local.", "A"), "10.0.0.1");
}
