//! A query of ours over UDP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::{Message, MessageType, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::net::UdpSocket;

use super::ProbeError;

/// Largest answer that is taken: we offer no more than the 512 bytes of RFC 1035, section 4.2.1.
const ANSWER_BYTES_MAX: usize = 4096;

/// Asks once; right response codes are well.
pub(super) async fn ask(address: SocketAddr, name: &str, query_type: u16, rcodes: &[u16]) -> Result<(), ProbeError> {
    let wrong = |reason: String| ProbeError::Dns { address, reason };
    let name = Name::from_ascii(name).map_err(|error| wrong(error.to_string()))?;
    let question = Query::query(name, RecordType::from(query_type));
    let mut query = Message::query();
    query.metadata.recursion_desired = false;
    query.add_query(question.clone());
    let query_bytes = query.to_vec().map_err(|error| wrong(error.to_string()))?;

    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let failed = |error| ProbeError::connect(address, error);
    let socket = UdpSocket::bind((any, 0)).await.map_err(failed)?;
    // From here on the kernel takes answers of this address and port alone.
    socket.connect(address).await.map_err(failed)?;
    socket.send(&query_bytes).await.map_err(failed)?;
    let mut bytes = vec![0; ANSWER_BYTES_MAX];
    loop {
        let length = socket.recv(&mut bytes).await.map_err(failed)?;
        let answer = match Message::from_vec(&bytes[..length]) {
            Ok(answer) => answer,
            Err(error) => return Err(wrong(format!("the answer is no DNS message: {error}"))),
        };
        // RFC 5452, section 9.1: what does not match the query is not its answer; the right one may follow.
        let is_ours = answer.metadata.id == query.metadata.id
            && answer.metadata.message_type == MessageType::Response
            && (answer.queries.is_empty() || answer.queries == [question.clone()]);
        if is_ours {
            let rcode = u16::from(answer.metadata.response_code);
            return if rcodes.contains(&rcode) { Ok(()) } else { Err(ProbeError::Rcode { address, rcode }) };
        }
    }
}
