//! What the tests of the engine share: zones from text, questions in frames, answers as text.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

pub mod select;

use std::str::FromStr;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, Record};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};
use hickory_proto::serialize::txt::Parser;
use ringdns_engine::cookie::{CookieConfig, CookieSecret};
use ringdns_engine::counters::Counters;
use ringdns_engine::frame::FrameBuffer;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_engine::name::WireName;
use ringdns_engine::serve::{Server, ServerConfig};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{Editor, RrsetSpec};
use ringdns_engine::testing::{TestFrame, UdpFrame, reply_message, server_config};
use ringdns_engine::verdict::{Reason, Verdict};

/// A name from text.
pub fn name(text: &str) -> WireName {
    text.parse().unwrap()
}

/// A snapshot of zones, each an origin and its records as zone-file text.
pub fn snapshot(zones: &[(&str, &str)]) -> Snapshot {
    let mut editor = Editor::new(&Snapshot::empty());
    for (origin, text) in zones {
        add_zone(&mut editor, origin, text);
    }
    editor.set_complete(true);
    editor.commit()
}

/// Adds a zone from zone-file text.
pub fn add_zone(editor: &mut Editor, origin: &str, text: &str) {
    // hickory-proto cannot read DNAME records: they are taken out, owner and target relative to the origin.
    let (dnames, others): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.contains(" DNAME "));
    let text = format!("$TTL 300\n{}\n", others.join("\n"));
    let (_, rrsets) = Parser::new(text, None, Some(Name::from_str(origin).unwrap())).parse().unwrap();
    editor.add_zone(&name(origin));
    for line in dnames {
        let (owner, target) = line.split_once(" DNAME ").unwrap();
        let absolute = |text: &str| name(&format!("{}.{origin}", text.trim()));
        let rdatas = vec![absolute(target).as_bytes().to_vec()];
        let rrset = RrsetSpec { rtype: 39, ttl: 300, rdatas, ..RrsetSpec::default() };
        editor.put_rrset(&name(origin), &absolute(owner), &rrset).unwrap();
    }
    for rrset in rrsets.values() {
        let owner = name(&rrset.name().to_string());
        editor.put_rrset(&name(origin), &owner, &spec(rrset.records_without_rrsigs())).unwrap();
    }
}

/// The records of one RRset as the editor takes them.
fn spec<'a>(records: impl Iterator<Item = &'a Record>) -> RrsetSpec {
    let mut spec = RrsetSpec::default();
    for record in records {
        spec.rtype = record.record_type().into();
        spec.ttl = record.ttl;
        let mut bytes = Vec::new();
        let mut encoder = BinEncoder::new(&mut bytes);
        encoder.set_name_encoding(hickory_proto::serialize::binary::NameEncoding::Uncompressed);
        record.data.emit(&mut encoder).unwrap();
        spec.rdatas.push(bytes);
    }
    spec
}

/// Cookies with a secret.
pub fn cookies(enforce: bool) -> CookieConfig {
    CookieConfig { secret: CookieSecret([0x5a; 16]), other_secret: None, enforce }
}

/// A server with what it serves and counts.
pub struct Host {
    /// The engine.
    pub server: Server,
    /// What is served.
    pub snapshot: Snapshot,
    /// What was counted.
    pub counters: Counters,
}

impl Host {
    /// A host for a snapshot.
    pub fn new(snapshot: Snapshot) -> Self {
        Self::with(snapshot, |_| {})
    }

    /// A host for a snapshot whose port is set up otherwise.
    pub fn with(snapshot: Snapshot, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = server_config();
        change(&mut config);
        Self { server: Server::new(&config), snapshot, counters: Counters::default() }
    }

    /// Takes one frame through the engine; gives the verdict and the frame afterwards.
    pub fn frame(&mut self, frame: &[u8]) -> (Verdict, Vec<u8>) {
        let mut frames = [TestFrame::new(frame)];
        let mut verdicts = [Verdict::Drop(Reason::TxRefused); BURST_FRAMES_MAX];
        self.server.serve_burst(&mut frames, &mut verdicts, &self.snapshot, &self.counters);
        (verdicts[0], frames[0].frame().to_vec())
    }

    /// Sends a message over IPv4 and over IPv6; gives the bytes of the answer, which must be the same, or the reason
    /// for which there is none.
    pub fn ask_bytes(&mut self, message: &[u8]) -> Result<Vec<u8>, Reason> {
        let mut answers = [UdpFrame::ipv4(), UdpFrame::ipv6()].map(|path| {
            let (verdict, reply) = self.frame(&path.build(message));
            match verdict {
                Verdict::Reply => Ok(reply_message(&reply, &path).to_vec()),
                Verdict::Drop(reason) | Verdict::Punt(reason) => Err(reason),
                Verdict::Forward => panic!("the query is for the forwarder"),
            }
        });
        assert_eq!(answers[0], answers[1], "IPv4 and IPv6 are answered alike");
        std::mem::replace(&mut answers[0], Err(Reason::FrameShort))
    }

    /// Sends a message and decodes the answer.
    pub fn ask(&mut self, message: &[u8]) -> Message {
        let bytes = self.ask_bytes(message).unwrap();
        Message::from_vec(&bytes).unwrap_or_else(|error| panic!("{error}: {bytes:02x?}"))
    }
}

/// The records of a section as sorted text.
pub fn text(records: &[Record]) -> Vec<String> {
    let mut lines: Vec<String> = records.iter().map(ToString::to_string).collect();
    lines.sort();
    lines
}
