//! Names that are ours: they are never asked for, and what others say of them is not believed.

use std::net::{IpAddr, SocketAddr};

use ringdns_engine::counters::Counters;
use ringdns_engine::name::WireName;
use ringdns_engine::serve::{ChaosConfig, EdnsConfig, MessageConfig, MessageServer, Transport};
use ringdns_engine::snapshot::Snapshot;

use crate::normalise::{Message, Untrue};
use crate::question::Key;

/// Bytes that the longest message takes.
const MESSAGE_BYTES_MAX: usize = 65_535;
/// RD of a header's flags.
const FLAG_RD: u16 = 0x0100;
/// CD of a header's flags.
const FLAG_CD: u16 = 0x0010;
/// An OPT record with DO set, for the largest answers (RFC 6891 section 6.1.2).
const OPT_DNSSEC_OK: [u8; 11] = [0, 0, 41, 0xff, 0xff, 0, 0, 0x80, 0, 0, 0];

/// True where a zone of ours answers for a name. One that leaves names to others that it does not have is not asked about those.
pub(crate) fn is_served(snapshot: &Snapshot, name: &WireName) -> bool {
    let mut apex = Some(name.clone());
    while let Some(zone) = apex {
        let answers = |rules: ringdns_engine::rules::Rules| !rules.fallthrough || snapshot.node(&zone, name).is_some();
        if snapshot.rules(&zone).is_some_and(answers) {
            return true;
        }
        apex = zone.parent();
    }
    false
}

/// What our zones say to a client that asks for a name: where an alias of others leads to one of ours.
pub(crate) fn answer(snapshot: &Snapshot, key: &Key, name: &WireName, client: IpAddr) -> Result<Message, Untrue> {
    let flags = FLAG_RD | if key.checking_disabled { FLAG_CD } else { 0 };
    let additional = if key.dnssec_ok { &OPT_DNSSEC_OK[..] } else { &[] };
    let counts = [1, 0, 0, u16::from(key.dnssec_ok)].map(u16::to_be_bytes).concat();
    let question = [key.qtype.to_be_bytes(), [0, 1]].concat();
    let mut message = [&[0, 0], &flags.to_be_bytes()[..], &counts, name.as_bytes(), &question, additional].concat();
    let length = message.len();
    message.resize(MESSAGE_BYTES_MAX, 0);
    let config = MessageConfig {
        udp_answer_bytes_max: ringdns_engine::limits::UDP_ANSWER_BYTES_DEFAULT,
        edns: EdnsConfig::default(),
        hides_aaaa: false,
        chaos: ChaosConfig::default(),
        rate_limit: None,
        recall: None,
    };
    let mut server = MessageServer::new(&config, Transport::Tcp);
    // It is no query of a client: nobody counts it.
    let counters = Counters::default();
    let from = SocketAddr::new(client, 0);
    let length = server.answer(from, &mut message, length, snapshot, &counters).map_err(|_| Untrue::Malformed)?;
    Message::read(message.get(..length).unwrap_or_default())
}
