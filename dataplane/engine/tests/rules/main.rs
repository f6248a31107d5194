//! Rules of zones: each alone, all by chance against a reference, and the same bytes on every way.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

#[path = "../common/mod.rs"]
mod common;
mod random;
mod reference;
mod single;
mod ways;

use common::{add_zone, name};
use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use ringdns_engine::rules::Rules;
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::Editor;
use ways::Ways;

/// The apex of the cluster's zone.
const CLUSTER: &str = "cluster.local.";

/// What a cluster's zone has: services of two namespaces, one of them headless, aliases, and a namespace without anything.
const RECORDS: &str = "
@                       SOA   ns.dns hostmaster 1 7200 1800 86400 5
@                       NS    ns.dns
ns.dns                  A     10.0.0.10
web.one.svc             A     10.0.0.1
_http._tcp.web.one.svc  SRV   0 100 80 web.one.svc
_http._tcp.web.one.svc  A     10.0.0.1
both.one.svc            A     10.0.0.2
both.one.svc            AAAA  2001:db8::2
db.two.svc              A     10.1.0.1
a-0.db.two.svc          A     10.1.0.1
inner.one.svc           CNAME web.one.svc
lost.one.svc            CNAME gone.one.svc
twice.one.svc           CNAME lost.one.svc
round.one.svc           CNAME round.one.svc
outer.one.svc           CNAME www.elsewhere.net.
static.one.svc          CNAME gone.example.net.
*.zone.db.two.svc       A     10.1.0.7
10-9-8-7.one.pod        A     10.9.8.7
";

/// A zone beside it. There is no zone cut anywhere: names below its depth would not be answered by the shorter ways.
const STATIC: &str = "
@     SOA   ns hostmaster 9 9 9 9 9
@     NS    ns
ns    A     192.0.2.1
foo   A     192.0.2.2
foo   AAAA  2001:db8::f
al    CNAME foo
";

/// What is served where the cluster's zone has rules.
fn snapshot(rules: &Rules) -> Snapshot {
    let mut editor = Editor::new(&Snapshot::empty());
    add_zone(&mut editor, CLUSTER, RECORDS);
    add_zone(&mut editor, "example.net.", STATIC);
    for namespace in ["one.svc", "empty.svc", "one.pod", "empty.pod"] {
        editor.add_name(&name(CLUSTER), &name(&format!("{namespace}.{CLUSTER}"))).unwrap();
    }
    editor.set_rules(&name(CLUSTER), rules).unwrap();
    editor.set_complete(true);
    editor.commit()
}

/// An answer in few lines: response code and AA, then each record of the answer and the owner of the SOA record of the
/// authority section.
fn told(reply: &Message) -> String {
    let header = &reply.metadata;
    let mut lines = vec![format!("{:?}{}", header.response_code, if header.authoritative { " AA" } else { "" })];
    lines.extend(reply.answers.iter().map(ToString::to_string));
    let soa = |record: &&Record| u16::from(record.record_type()) == 6;
    lines.extend(reply.authorities.iter().filter(soa).map(|record| format!("SOA {}", record.name)));
    lines.join("; ")
}

/// Asks by all ways and compares what is told with what is expected.
fn check(ways: &mut Ways, cases: &[(&str, u16, &str)]) {
    for &(qname, qtype, expected) in cases {
        let reply = ways.ask(qname, qtype);
        assert_eq!(told(&reply), expected, "{qname} TYPE{qtype}");
    }
}

/// The same for a cluster's zone with rules.
fn check_rules(rules: &Rules, cases: &[(&str, u16, &str)]) {
    check(&mut Ways::new(snapshot(rules), false), cases);
}
