//! All ways that a query can be answered: they give the same bytes.

use hickory_proto::op::Message;
use ringdns_engine::counters::Counters;
use ringdns_engine::serve::{MessageConfig, MessageServer, ServerConfig, Transport};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::testing::{query, query_edns, server_config};

use super::common::Host;

/// Room for a message: more than any answer here.
const BUFFER_BYTES: usize = 4096;

/// One snapshot behind frames, datagrams and streams.
pub struct Ways {
    /// Frames: plain ones over IPv4, others over IPv6.
    pub host: Host,
    /// Messages of datagrams, which all go the general way.
    udp: MessageServer,
    /// Messages of streams.
    tcp: MessageServer,
}

impl Ways {
    /// Serves a snapshot, with AAAA records hidden or shown.
    pub fn new(snapshot: Snapshot, hides_aaaa: bool) -> Self {
        let ServerConfig { udp_answer_bytes_max, edns, chaos, rate_limit, .. } = server_config();
        let config = MessageConfig { udp_answer_bytes_max, hides_aaaa, edns, chaos, rate_limit, recall: None };
        Self {
            host: Host::with(snapshot, |config| config.hides_aaaa = hides_aaaa),
            udp: MessageServer::new(&config, Transport::Udp),
            tcp: MessageServer::new(&config, Transport::Tcp),
        }
    }

    /// Serves another snapshot.
    pub fn serve(&mut self, snapshot: Snapshot) {
        self.host.snapshot = snapshot;
    }

    /// Asks by every way, with EDNS and without; gives the answer, which must be the same for all.
    pub fn ask(&mut self, qname: &str, qtype: u16) -> Message {
        let plain = query(qname, qtype);
        let _ = self.ask_bytes(&query_edns(qname, qtype, 1232, false));
        Message::from_vec(&self.ask_bytes(&plain)).unwrap_or_else(|error| panic!("{qname} TYPE{qtype}: {error}"))
    }

    /// Sends a message by every way.
    pub fn ask_bytes(&mut self, message: &[u8]) -> Vec<u8> {
        let framed = self.host.ask_bytes(message).unwrap();
        let Self { host, udp, tcp } = self;
        let [datagram, stream] = [udp, tcp].map(|server| {
            let mut buffer = vec![0xee; BUFFER_BYTES];
            buffer[..message.len()].copy_from_slice(message);
            let client = "192.0.2.1:40000".parse().unwrap();
            let length =
                server.answer(client, &mut buffer, message.len(), &host.snapshot, &Counters::default()).unwrap();
            buffer[..length].to_vec()
        });
        assert_eq!(framed, datagram, "frames and datagrams: {message:02x?}");
        if framed[2] & 2 == 0 {
            assert_eq!(framed, stream, "frames and streams: {message:02x?}");
        }
        framed
    }
}
