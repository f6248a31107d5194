//! Echo requests (RFC 792, RFC 4443): a reply counts where target, id and sequence number are those of the request.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};

use super::ProbeError;
use super::error::is_exhaustion;
use crate::chance;

/// Type of an echo reply by IPv4 (RFC 792).
const ECHO_REPLY: u8 = 0;

/// Type of an echo reply by IPv6 (RFC 4443, section 4.2).
const ECHO_REPLY_V6: u8 = 129;

/// Type of what a router says of a target that it cannot or may not reach, by IPv4 (RFC 792).
const UNREACHABLE: u8 = 3;

/// The same by IPv6 (RFC 4443, section 3.1).
const UNREACHABLE_V6: u8 = 1;

/// What every request carries.
const PAYLOAD: &[u8] = b"ringdns-scanner\0";

/// One socket for each IP version, opened when it is first needed; raw or datagram, whichever this process may have.
pub(super) struct Pings {
    /// IPv4 and IPv6.
    clients: [Mutex<Option<Client>>; 2],
    /// Our id on raw sockets, which see everybody's replies.
    identifier: PingIdentifier,
    /// The next sequence number.
    sequence: AtomicU16,
}

impl Default for Pings {
    fn default() -> Self {
        let [low, high, ..] = chance::bits().to_le_bytes();
        let identifier = PingIdentifier(u16::from_le_bytes([low, high]));
        Self { clients: Default::default(), identifier, sequence: AtomicU16::new(0) }
    }
}

impl Pings {
    /// The socket for an address.
    fn client(&self, address: IpAddr) -> Result<Client, ProbeError> {
        let (slot, kind) = match address {
            IpAddr::V4(_) => (&self.clients[0], ICMP::V4),
            IpAddr::V6(_) => (&self.clients[1], ICMP::V6),
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = slot.as_ref() {
            return Ok(client.clone());
        }
        let config = Config::builder().kind(kind).build();
        // A failure is not kept: the permission may be given while we run.
        let client = Client::new(&config).map_err(|error| of_socket(address, &error))?;
        *slot = Some(client.clone());
        Ok(client)
    }

    /// Sends one request and waits for its reply.
    pub(super) async fn ping(&self, address: IpAddr, timeout: Duration) -> Result<(), ProbeError> {
        let client = self.client(address)?;
        let sequence = PingSequence(self.sequence.fetch_add(1, Ordering::Relaxed));
        let mut pinger = client.pinger(address, self.identifier).await;
        pinger.timeout(timeout);
        match pinger.ping(sequence, PAYLOAD).await {
            // Messages of other types come by the same way, such as that the target cannot be reached.
            Ok((packet, _)) => match kind_of(&packet) {
                (IpAddr::V4(_), ECHO_REPLY) | (IpAddr::V6(_), ECHO_REPLY_V6) => Ok(()),
                (IpAddr::V4(_), kind @ UNREACHABLE) | (IpAddr::V6(_), kind @ UNREACHABLE_V6) => Err(ProbeError::Ping {
                    address,
                    reason: format!("it cannot be reached (ICMP message of type {kind})"),
                }),
                (_, kind) => Err(ProbeError::Ping { address, reason: format!("ICMP message of type {kind}") }),
            },
            Err(SurgeError::IOError(error)) => Err(of_sending(address, &error)),
            Err(SurgeError::Timeout { .. }) => Err(ProbeError::Timeout { probe: "icmp", timeout }),
            Err(error) => Err(ProbeError::Ping { address, reason: error.to_string() }),
        }
    }
}

/// The IP version, by an address of it, and the type of a message.
fn kind_of(packet: &IcmpPacket) -> (IpAddr, u8) {
    match packet {
        IcmpPacket::V4(packet) => (packet.get_source().into(), packet.get_icmp_type().0),
        IcmpPacket::V6(packet) => (packet.get_source().into(), packet.get_icmpv6_type().0),
    }
}

/// What the system has against a socket.
fn of_socket(address: IpAddr, error: &io::Error) -> ProbeError {
    if error.kind() == io::ErrorKind::PermissionDenied {
        ProbeError::PingPermission(in_one_line(error))
    } else {
        of_sending(address, error)
    }
}

/// What the system has against a request: with a socket at hand, no permission says that a route or a filter of this machine forbids
/// the target, which is no more reachable from here than one behind a router that says the same.
fn of_sending(address: IpAddr, error: &io::Error) -> ProbeError {
    if is_exhaustion(error) {
        ProbeError::Exhausted(in_one_line(error))
    } else {
        ProbeError::Ping { address, reason: in_one_line(error).to_string() }
    }
}

/// The same error; the library's text goes on over lines.
fn in_one_line(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string().lines().next().unwrap_or_default().to_owned()),
    }
}
