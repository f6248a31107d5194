//! What SkyDNS and CoreDNS's etcd plugin answer, question by question: `tests/cases/skydns.json`, sampled from their own tests.
//! Each case is asked of the engine, over what the model makes of the case's keys.

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, Record};
use ringdns_engine::counters::Counters;
use ringdns_engine::serve::{ChaosConfig, EdnsConfig, MessageConfig, MessageServer, Transport};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::testing::{query, query_edns};
use serde::Deserialize;
use serde_json::Value;

use super::super::layout::{Generation, Layout, Tree};
use super::super::model::Model;
use super::tree;
use crate::merge::{Merge, Transaction};
use crate::text::rtype;

/// The cases and the keys that several of them share.
const CASES: &str = include_str!("../../../tests/cases/skydns.json");

/// Cases that are not answered so, and why. Each must fail: what is answered one day leaves the list.
const DIFFERENT: &[(&str, &str)] = &[
    ("skydns.server/038", "the authors of another program are not told"),
    ("skydns.server/039", "as skydns.server/038"),
    ("skydns.server/054", "additional records are those of the target itself, and not of an alias that it has"),
    ("skydns.behaviour/003", "names of other zones are refused: nothing is forwarded"),
    ("skydns.behaviour/006", "as skydns.behaviour/003: there are no stub zones"),
    ("skydns.behaviour/008", "the version is that of the configuration, and not SkyDNS's"),
];

/// The file.
#[derive(Deserialize)]
struct File {
    /// Keys and values by the name of the fixture.
    fixtures: std::collections::HashMap<String, Vec<(String, Value)>>,
    /// The cases.
    cases: Vec<Case>,
}

/// A question and its answer.
#[derive(Deserialize)]
struct Case {
    id: String,
    qname: String,
    qtype: String,
    #[serde(default)]
    qclass: Option<String>,
    rcode: String,
    answer: Vec<Expected>,
    ns: Vec<Expected>,
    extra: Vec<Expected>,
    setup: Setup,
}

/// What a case is asked of.
#[derive(Deserialize)]
struct Setup {
    fixtures: Vec<String>,
    etcd: Vec<Key>,
    #[serde(default)]
    zones: Vec<String>,
    #[serde(default)]
    domain: Option<String>,
    #[serde(default)]
    local: Option<String>,
}

/// A key of a case's own.
#[derive(Deserialize)]
struct Key {
    key: String,
    value: Value,
}

/// A record: owner, TTL if it matters, type, rdata with `*` for what does not.
type Expected = (String, Option<u32>, String, String);

/// A record that was answered.
type Found = (String, u32, String, String);

impl Case {
    /// The tree that the original would read.
    fn tree(&self) -> Tree {
        let zones: Vec<&str> = match &self.setup.domain {
            Some(domain) => vec![domain, "in-addr.arpa."],
            None => self.setup.zones.iter().map(String::as_str).collect(),
        };
        let is_of_skydns = self.setup.domain.is_some();
        Tree {
            generation: if is_of_skydns { Generation::SkyDns } else { Generation::CoreDns },
            ttl_seconds: if is_of_skydns { 3600 } else { 300 },
            local: self.setup.local.as_ref().map(|local| local.parse().unwrap()),
            wildcard_names_max: 10_000,
            ..tree(Layout::SkyDns, &zones)
        }
    }

    /// What is served of the case's keys.
    fn snapshot(&self, file: &File) -> Snapshot {
        let mut model = Model::new(vec![self.tree()].into(), None, Default::default());
        let shared = self.setup.fixtures.iter().flat_map(|name| &file.fixtures[name.strip_prefix("etcd/").unwrap()]);
        let own = self.setup.etcd.iter().map(|Key { key, value }| (key, value));
        let updates = shared.map(|(key, value)| (key, value)).chain(own);
        let updates = updates.map(|(key, value)| (key.clone().into_bytes(), Some(value.to_string().into_bytes())));
        let mut changes = model.zones(1);
        changes.extend(model.apply(updates.collect(), 2).changes);
        let (mut merge, mut refusals) = (Merge::default(), Vec::new());
        let mut transaction = Transaction::new(&Snapshot::empty());
        for change in changes {
            merge.apply(0, change, &mut transaction, &mut refusals);
        }
        assert!(refusals.is_empty(), "{}: {refusals:?}", self.id);
        transaction.set_complete(true, true);
        transaction.commit()
    }

    /// The answer.
    fn ask(&self, snapshot: &Snapshot) -> Message {
        let config = MessageConfig {
            udp_answer_bytes_max: 4096,
            edns: EdnsConfig::default(),
            chaos: ChaosConfig { version: b"0.1".to_vec(), ..ChaosConfig::default() },
            hides_aaaa: false,
            rate_limit: None,
            recall: None,
        };
        let number = rtype::parse(&self.qtype).unwrap();
        let mut message = match self.qclass.as_deref() {
            Some("CH") => query(&self.qname, number),
            _ => query_edns(&self.qname, number, 4096, false),
        };
        if self.qclass.is_some() {
            *message.last_mut().unwrap() = 3;
        }
        let (length, client) = (message.len(), "192.0.2.1:4000".parse().unwrap());
        message.resize(4096, 0);
        let mut server = MessageServer::new(&config, Transport::Udp);
        let bytes = server.answer(client, &mut message, length, snapshot, &Counters::default()).unwrap();
        Message::from_vec(&message[..bytes]).unwrap()
    }

    /// What differs from the case.
    fn differences(&self, answer: &Message) -> Vec<String> {
        let rcode = format!("{:?}", answer.metadata.response_code).to_uppercase();

        let mut differences = Vec::new();
        if rcode != self.rcode {
            differences.push(format!("{rcode} instead of {}", self.rcode));
        }
        let owner_and_ttl = self.setup.domain.is_none();
        for (section, expected, found, exact) in [
            ("answer", &self.answer, &answer.answers, true),
            ("authority", &self.ns, &answer.authorities, true),
            // Of SkyDNS's additional records only number and rdata are compared.
            ("additional", &self.extra, &answer.additionals, owner_and_ttl),
        ] {
            let mut found: Vec<Found> = found.iter().map(shown).collect();
            for expected in expected {
                match found.iter().position(|found| matches(expected, found, exact)) {
                    Some(place) => drop(found.swap_remove(place)),
                    None => differences.push(format!("{section} lacks {expected:?}")),
                }
            }
            differences.extend(found.iter().map(|found| format!("{section} has {found:?}")));
        }
        differences
    }
}

/// A record as text.
fn shown(record: &Record) -> Found {
    let rdata = match &record.data {
        RData::TXT(text) => {
            let strings = text.txt_data.iter().map(|string| format!("\"{}\"", String::from_utf8_lossy(string)));
            strings.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    (record.name.to_string(), record.ttl, record.record_type().to_string(), rdata)
}

/// True for a record that is what is expected.
fn matches((owner, ttl, rtype, rdata): &Expected, found: &Found, exact: bool) -> bool {
    // Of an SOA record the times are compared where the case names them, the serial never.
    let mut words = rdata.split(' ').zip(found.3.split(' '));
    let same_rdata = rdata.split(' ').count() == found.3.split(' ').count()
        && words.all(|(expected, found)| expected == "*" || expected == found);
    let same_place = *owner == found.0 && ttl.is_none_or(|ttl| ttl == found.1);
    *rtype == found.2 && same_rdata && (same_place || !exact)
}

#[test]
fn skydns_and_coredns_are_answered_for() {
    let file: File = serde_json::from_str(CASES).unwrap();
    assert_eq!(file.cases.len(), 60);
    let mut wrong = Vec::new();
    for case in &file.cases {
        let differences = case.differences(&case.ask(&case.snapshot(&file)));
        match DIFFERENT.iter().find(|(id, _)| *id == case.id) {
            None if !differences.is_empty() => {
                wrong.push(format!("{} {} {}: {differences:#?}", case.id, case.qname, case.qtype));
            }
            Some((id, reason)) if differences.is_empty() => {
                wrong.push(format!("{id} is answered, though \"{reason}\""));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(DIFFERENT.iter().all(|(id, _)| file.cases.iter().any(|case| case.id == *id)));
}
