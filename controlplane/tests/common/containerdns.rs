//! The record interface of ContainerDNS over the store or over a real etcd, and its clients.
#![allow(dead_code, reason = "each test binary uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use ringdns_engine::counters::Counters;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_engine::testing::{TestFrame, UdpFrame, query, reply_message, server_config};
use ringdns_engine::verdict::{Reason, Verdict};
use serde_json::Value;

use crate::common::{Client, Server};
use crate::real::Etcd;

/// The interface with two suffixes.
pub const TABLE: &str = "[containerdns_api]\nlisten = \"127.0.0.1:0\"\ntoken = \"123456789\"\n\
                     domains = [\"containerdns.local.\", \"Example.org\"]\n";

/// The base of the paths.
pub const BASE: &str = "/containerdns/api";

/// A running interface.
pub struct Host {
    /// The control plane.
    pub server: Server,
    /// Speaks to the interface.
    pub client: Client,
    /// The store.
    pub directory: tempfile::TempDir,
    /// Where records are kept, if not in the store.
    pub etcd: Option<Etcd>,
}

/// The tables of an etcd at endpoints, and of the tree of both suffixes; the interface keeps its records there.
pub fn etcd_tables(directory: &std::path::Path, endpoints: &[String], prefix: &str) -> String {
    format!(
        "store = \"etcd\"\n[etcd]\nendpoints = {endpoints:?}\ntimeout_seconds = 3\n\
         cache_file = \"{}/etcd.cache\"\nstatus_path = \"{prefix}/monitor/status\"\n\
         [[etcd_tree]]\nlayout = \"containerdns\"\nprefix = \"{prefix}\"\n\
         zones = [\"containerdns.local\", \"example.org\"]\n",
        directory.display()
    )
}

impl Host {
    /// An interface with more keys in its table.
    pub fn new(more: &str) -> Self {
        Self::open(tempfile::tempdir().unwrap(), more)
    }

    /// An interface over a store that may be there already.
    pub fn open(directory: tempfile::TempDir, more: &str) -> Self {
        let server = Server::start(directory.path(), &format!("{TABLE}{more}"));
        let client = Client { address: server.plane().containerdns_address().unwrap() };
        Self { server, client, directory, etcd: None }
    }

    /// An interface that keeps its records in an etcd of one member.
    pub fn in_etcd() -> Self {
        let etcd = Etcd::start(1);
        let directory = tempfile::tempdir().unwrap();
        let tables = etcd_tables(directory.path(), &[etcd.members[0].endpoint()], "/containerdns");
        Self { etcd: Some(etcd), ..Self::open(directory, &tables) }
    }

    /// True where records are kept in etcd.
    pub fn is_in_etcd(&self) -> bool {
        self.etcd.is_some()
    }

    /// Status 200 and text as all replies have them; gives the body.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> String {
        // Clients of the original send JSON as curl does: as a form.
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let reply = self.client.request(method, path, &form, body);
        assert_eq!(reply.status, 200, "{method} {path}: {reply:?}");
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
        reply.body
    }

    /// A request of a user, in the current generation.
    pub fn user(&self, user: &str, method: &str, domain: &str, body: &str) -> String {
        let sign = if domain.contains('?') { '&' } else { '?' };
        self.ask(method, &format!("{BASE}{domain}{sign}user={user}&token=123456789"), body)
    }

    /// A request of u1.
    pub fn u1(&self, method: &str, domain: &str, body: &str) -> String {
        self.user("u1", method, domain, body)
    }

    /// A request of the documented generation, to another base.
    pub fn bare(&self, method: &str, domain: &str, body: &str) -> String {
        self.ask(method, &format!("/skydns/api{domain}?token=123456789"), body)
    }

    /// The served records of a type in the first suffix, sorted; none where there are none.
    pub fn served(&self, owner: &str, rtype: &str) -> Vec<String> {
        let path = format!("/api/v1/zones/containerdns.local/rrsets/{owner}/{rtype}");
        let (_, rrset) = self.server.get(&path);
        let records = rrset["records"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut records: Vec<String> = records.iter().map(|record| record.as_str().unwrap().to_owned()).collect();
        records.sort();
        records
    }

    /// The monitored addresses.
    pub fn monitored(&self) -> Value {
        serde_json::from_str(&self.ask("GET", "/containerdns/monitor/status?token=123456789", "")).unwrap()
    }

    /// Says that requests are refused with these words.
    pub fn refuses(&self, cases: &[(&str, &str, &str, &str)]) {
        for (method, domain, body, words) in cases {
            assert_eq!(self.u1(method, domain, body), format!("{words}\n"), "{method} {domain} {body}");
        }
    }

    /// Number of answers, and the last bytes of the message, for the A records of a name.
    pub fn query(&mut self, qname: &str) -> (u16, [u8; 4]) {
        let path = UdpFrame::ipv4();
        let mut frames = [TestFrame::new(&path.build(&query(qname, 1)))];
        let mut verdicts = [Verdict::Drop(Reason::TxRefused); BURST_FRAMES_MAX];
        let mut engine = ringdns_engine::serve::Server::new(&server_config());
        engine.serve_burst(&mut frames, &mut verdicts, self.server.reader.pin(), &Counters::default());
        let message = reply_message(ringdns_engine::frame::FrameBuffer::frame(&frames[0]), &path).to_vec();
        (u16::from_be_bytes([message[6], message[7]]), *message.last_chunk().unwrap())
    }
}
