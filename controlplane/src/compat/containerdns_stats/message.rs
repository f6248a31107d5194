//! A response as JSON, in the members of the DNS library behind the original.

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, Record};
use ringdns_engine::counters::Counters;
use ringdns_engine::limits::UDP_ANSWER_BYTES_LIMIT;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::RecallConfig;
use ringdns_engine::serve::{ChaosConfig, EdnsConfig, MessageConfig, MessageServer, Transport};
use ringdns_engine::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::state::now_ms;
use crate::text::rdata;

/// Who is said to have asked: selections and views take it in.
const CLIENT: ([u8; 4], u16) = ([127, 0, 0, 1], 4053);

/// The answer to a question for the IPv4 addresses of a name, that of others as `recall` has it. Nothing where there is none.
pub(super) fn show(name: &WireName, snapshot: &Snapshot, recall: Option<RecallConfig>) -> Option<String> {
    let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(name.as_bytes());
    message.extend_from_slice(&[0, 1, 0, 1]);
    let length = message.len();
    message.resize(length + UDP_ANSWER_BYTES_LIMIT, 0);
    let config = MessageConfig {
        udp_answer_bytes_max: UDP_ANSWER_BYTES_LIMIT,
        hides_aaaa: false,
        edns: EdnsConfig::default(),
        chaos: ChaosConfig::default(),
        rate_limit: None,
        recall,
    };
    // Not among the counters of queries: nobody asked.
    let mut server = MessageServer::new(&config, Transport::Tcp);
    server.set_time(0, u32::try_from(now_ms() / 1000).unwrap_or(u32::MAX));
    let length = server.answer(CLIENT.into(), &mut message, length, snapshot, &Counters::default()).ok()?;
    shown(message.get(..length)?)
}

/// A message as JSON.
fn shown(bytes: &[u8]) -> Option<String> {
    let message = Message::from_vec(bytes).ok()?;
    let header = [
        ("Id", json!(message.metadata.id)),
        ("Response", json!(true)),
        ("Opcode", json!(0)),
        ("Authoritative", json!(message.metadata.authoritative)),
        ("Truncated", json!(message.metadata.truncation)),
        ("RecursionDesired", json!(message.metadata.recursion_desired)),
        ("RecursionAvailable", json!(message.metadata.recursion_available)),
        ("Zero", json!(false)),
        ("AuthenticatedData", json!(message.metadata.authentic_data)),
        ("CheckingDisabled", json!(message.metadata.checking_disabled)),
        ("Rcode", json!(u16::from(message.metadata.response_code))),
    ];
    let questions = message.queries.iter().map(|query| {
        let name = Value::from(query.name().to_ascii());
        let (rtype, class) = (u16::from(query.query_type()), u16::from(query.query_class()));
        format!("{{\"Name\":{name},\"Qtype\":{rtype},\"Qclass\":{class}}}")
    });
    let sections = [
        ("Question", list(&questions.collect::<Vec<_>>())),
        ("Answer", records(&message.answers)),
        ("Ns", records(&message.authorities)),
        ("Extra", records(&message.additionals)),
    ];
    let header = header.into_iter().map(|(name, value)| format!("\"{name}\":{value}"));
    let sections = sections.into_iter().map(|(name, list)| format!("\"{name}\":{list}"));
    Some(format!("{{{}}}", header.chain(sections).collect::<Vec<_>>().join(",")))
}

/// A list; an empty one is null in the original.
fn list(members: &[String]) -> String {
    if members.is_empty() { "null".to_owned() } else { format!("[{}]", members.join(",")) }
}

/// A section.
fn records(records: &[Record]) -> String {
    list(&records.iter().map(record).collect::<Vec<_>>())
}

/// A record.
fn record(record: &Record) -> String {
    let rtype = u16::from(record.record_type());
    let bytes = wire(&record.data);
    let data = match &record.data {
        RData::A(address) => format!("\"A\":\"{address}\""),
        RData::AAAA(address) => format!("\"AAAA\":\"{address}\""),
        RData::CNAME(name) => format!("\"Target\":{}", Value::from(name.to_ascii())),
        RData::NS(name) => format!("\"Ns\":{}", Value::from(name.to_ascii())),
        RData::SOA(soa) => format!(
            "\"Ns\":{},\"Mbox\":{},\"Serial\":{},\"Refresh\":{},\"Retry\":{},\"Expire\":{},\"Minttl\":{}",
            Value::from(soa.mname.to_ascii()),
            Value::from(soa.rname.to_ascii()),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        _ => format!("\"Rdata\":{}", Value::from(rdata::show(rtype, &bytes))),
    };
    format!(
        "{{\"Hdr\":{{\"Name\":{},\"Rrtype\":{rtype},\"Class\":{},\"Ttl\":{},\"Rdlength\":{}}},{data}}}",
        Value::from(record.name.to_ascii()),
        u16::from(record.dns_class),
        record.ttl,
        bytes.len()
    )
}

/// Rdata in wire form, uncompressed; empty where it has none.
fn wire(data: &RData) -> Vec<u8> {
    use hickory_proto::serialize::binary::{BinEncodable as _, BinEncoder};
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    // Into memory; what was read can be written.
    let _ = data.emit(&mut encoder);
    bytes
}
