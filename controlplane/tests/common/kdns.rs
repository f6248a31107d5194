//! A control plane with the record interface of kdns, and what asks it.
#![allow(dead_code, reason = "each test binary uses some of it")]
#![allow(clippy::unwrap_used, reason = "what a test cannot set up ends it")]

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use ringdns_engine::counters::Counters;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_engine::testing::{TestFrame, UdpFrame, query, reply_message, server_config};
use ringdns_engine::verdict::{Reason, Verdict};
use serde_json::{Value, json};

use crate::common::{Client, Server, wait_until};

/// The interface with three zones, one within another, and a reverse one.
pub const TABLE: &str = "[kdns_api]\nlisten = \"127.0.0.1:0\"\n\
     zones = [\"Example.com\", \"sub.example.com.\", \"tst.local\", \"168.192.in-addr.arpa.\"]\n";

/// A running interface.
pub struct Host {
    /// The control plane.
    pub server: Server,
    /// Speaks to the interface.
    pub client: Client,
    /// The store.
    pub directory: tempfile::TempDir,
    /// One worker's engine: turns are counted there.
    engine: ringdns_engine::serve::Server,
}

impl Host {
    /// An interface with more tables behind its own.
    pub fn new(more: &str) -> Self {
        Self::open(tempfile::tempdir().unwrap(), more)
    }

    /// An interface over a store that may be there already.
    pub fn open(directory: tempfile::TempDir, more: &str) -> Self {
        std::fs::write(directory.path().join("tst.zone"), "@ 60 SOA ns m 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n")
            .unwrap();
        let server = Server::start(directory.path(), &format!("{TABLE}{more}"));
        let client = Client { address: server.plane().kdns_address().unwrap() };
        wait_until("the zones are made", || server.get("/api/v1/zones/sub.example.com").0 == 200);
        Self { server, client, directory, engine: ringdns_engine::serve::Server::new(&server_config()) }
    }

    /// Ends it and begins anew over the same store.
    pub fn restart(self) -> Self {
        let Self { server, directory, .. } = self;
        server.stop();
        Self::open(directory, "")
    }

    /// The body of a reply of status 200. Clients of the original send JSON as curl does: as a form.
    pub fn ok(&self, method: &str, path: &str, body: &str) -> String {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let reply = self.client.request(method, path, &form, body);
        assert_eq!(reply.status, 200, "{method} {path}: {reply:?}");
        reply.body
    }

    /// The hosts of all records of a name, as it was written.
    pub fn hosts(&self, name: &str) -> Vec<String> {
        let shown: Vec<Value> = serde_json::from_str(&self.ok("GET", &format!("/kdns/perdomain/{name}"), "")).unwrap();
        shown.iter().map(|record| record["host"].as_str().unwrap().to_owned()).collect()
    }

    /// How many records and networks the metrics say were refused.
    pub fn refused(&self) -> u64 {
        let metrics = self.server.request("GET", "/metrics", &[], "").body;
        let rows = metrics.lines().filter(|line| line.starts_with("ringdns_kdns_refused_total{"));
        rows.map(|row| row.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// The reply that a client gets.
    fn reply(&mut self, client: &str, qname: &str, qtype: u16) -> Message {
        let path = UdpFrame { addresses: (client.parse().unwrap(), "192.0.2.53".parse().unwrap()), ..UdpFrame::ipv4() };
        let mut frames = [TestFrame::new(&path.build(&query(qname, qtype)))];
        let mut verdicts = [Verdict::Drop(Reason::TxRefused); BURST_FRAMES_MAX];
        self.engine.serve_burst(&mut frames, &mut verdicts, self.server.reader.pin(), &Counters::default());
        let reply = ringdns_engine::frame::FrameBuffer::frame(&frames[0]).to_vec();
        Message::from_vec(reply_message(&reply, &path)).unwrap()
    }

    /// The rdata of the answers that a client gets.
    pub fn answers(&mut self, client: &str, qname: &str, rtype: &str) -> Vec<String> {
        let rtype: RecordType = rtype.parse().unwrap();
        let message = self.reply(client, qname, rtype.into());
        message.answers.iter().map(|record| record.data.to_string()).collect()
    }

    /// The rdata of each of several answers to A queries.
    pub fn many(&mut self, qname: &str, count: usize) -> Vec<Vec<String>> {
        (0..count).map(|_| self.answers("203.0.113.9", qname, "A")).collect()
    }

    /// The response code for the A records of a name.
    pub fn rcode(&mut self, qname: &str) -> u16 {
        self.reply("203.0.113.9", qname, 1).metadata.response_code.into()
    }
}

/// A record.
pub fn record(rtype: &str, zone: &str, domain: &str, host: &str) -> Value {
    json!({"type": rtype, "zoneName": zone, "domainName": domain, "host": host})
}

/// An A record of a label in example.com.
pub fn a_record(label: &str, host: &str) -> Value {
    let label = label.trim_end_matches('.');
    record("A", "example.com", &format!("{label}.example.com"), host)
}
