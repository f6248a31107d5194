//! Messages that came by the kernel's sockets: bytes in, bytes out, by the code that answers frames.
//!
//! Over UDP the answer is byte for byte what the same query gets in a frame (`tests/messages.rs` compares). Over TCP it is as
//! long as it needs to be; cookies are given and not asked for, and only the number of queries is limited, since the client's
//! address is known to be its own.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU32;

use super::limited::{Asked, limit};
use super::respond::{Reply, Responder, Unsent, refuse};
use super::{ChaosConfig, EdnsConfig};
use crate::census::Seen;
use crate::cookie::Client;
use crate::counters::Counters;
use crate::frame::SOURCE_PORTS_REFUSED;
use crate::query::{Query, Refusal};
use crate::rate::{self, Limiter, RateLimit};
use crate::recall::{ForeignQuestion, RecallConfig};
use crate::snapshot::Snapshot;
use crate::verdict::Reason;

/// What messages are answered with: the parts of a [`ServerConfig`](super::ServerConfig) that are not about frames.
#[derive(Clone, Debug)]
pub struct MessageConfig {
    /// Most bytes of an answer over UDP, if the client takes as many: 512 to 4096.
    pub udp_answer_bytes_max: usize,
    /// The options of queries that are answered.
    pub edns: EdnsConfig,
    /// True where AAAA records are shown to nobody.
    pub hides_aaaa: bool,
    /// What is told of the server in class CH.
    pub chaos: ChaosConfig,
    /// What each client may have; nothing: as much as it asks for.
    pub rate_limit: Option<RateLimit>,
    /// How names of others are answered; nothing: they are refused.
    pub recall: Option<RecallConfig>,
}

/// Why a message got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Its name is one of others: the forwarder is to ask them. The message is as it came.
    Foreign,
    /// None is given, for a reason that has been counted.
    Dropped(Reason),
}

/// How messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One to a datagram.
    Udp,
    /// One after the other, each behind its length.
    Tcp,
}

/// Answers the messages of one thread, one at a time. Allocates in [`MessageServer::new`] and never again.
pub struct MessageServer {
    /// How messages come.
    transport: Transport,
    /// The query at hand.
    pub(super) query: Query,
    /// Answers it.
    pub(super) responder: Responder,
    /// Counts what each client has had.
    pub(super) limiter: Option<Box<Limiter>>,
    /// The time in seconds since 1970, as it was told last.
    now_seconds: u32,
}

impl MessageServer {
    /// Answers messages of one transport.
    pub fn new(config: &MessageConfig, transport: Transport) -> Self {
        let MessageConfig { udp_answer_bytes_max, hides_aaaa, edns, chaos, rate_limit, recall } = config;
        let make = match transport {
            Transport::Udp => Responder::over_udp,
            Transport::Tcp => Responder::over_tcp,
        };
        let limiter = rate_limit.as_ref().and_then(|limit| Limiter::new(&of_transport(limit, transport)));
        Self {
            transport,
            query: Query::default(),
            responder: make(*udp_answer_bytes_max, *hides_aaaa, edns, chaos, recall.as_ref()),
            limiter: limiter.map(Box::from),
            now_seconds: 0,
        }
    }

    /// Tells the time before messages are answered: in milliseconds since any moment, never going back, by which rates are
    /// measured; and in seconds since 1970, by which cookies age.
    pub fn set_time(&mut self, milliseconds: u64, seconds: u32) {
        if let Some(limiter) = &mut self.limiter {
            limiter.set_time(milliseconds);
        }
        self.responder.set_now(seconds);
        self.now_seconds = seconds;
    }

    /// Tells for how long an idle connection is kept, in tenths of a second: clients that ask are told (RFC 7828).
    pub fn set_keepalive(&mut self, deciseconds: u16) {
        self.responder.set_keepalive(deciseconds);
    }

    /// Answers the message in the first `length` bytes of a buffer, and writes the answer over it; gives the answer's
    /// length. Without an answer: why. The buffer should have room for the longest answer behind the
    /// message: what does not fit is left out.
    pub fn answer(
        &mut self,
        client: SocketAddr,
        buffer: &mut [u8],
        length: usize,
        snapshot: &Snapshot,
        counters: &Counters,
    ) -> Result<usize, Unanswered> {
        let client_ip = client.ip().to_canonical();
        let message = buffer.get(..length).unwrap_or_default();
        let census = counters.census().map(|census| (census, Seen::of(message, client_ip.is_ipv6())));
        let replied = self.reply(SocketAddr::new(client_ip, client.port()), buffer, length, snapshot, counters);
        match replied {
            Ok(reply) => {
                reply.note_origin(counters).map_err(|unsent| match unsent {
                    Unsent::Forward => Unanswered::Foreign,
                    Unsent::Drop(reason) => {
                        counters.count(reason);
                        Unanswered::Dropped(reason)
                    }
                })?;
                let family = if client_ip.is_ipv6() { &counters.queries_ipv6 } else { &counters.queries_ipv4 };
                family.add(1);
                counters.answered(reply.rcode, 1);
                counters.truncated.add(u64::from(reply.truncated));
                if let (Some(names), Some(message)) = (counters.names(), buffer.get(..reply.length)) {
                    names.count(message, self.now_seconds);
                }
                if let (Some((census, seen)), Some(message)) = (census, buffer.get(..reply.length)) {
                    census.count(seen, message);
                }
                Ok(reply.length)
            }
            Err(reason) => {
                counters.count(reason);
                Err(Unanswered::Dropped(reason))
            }
        }
    }

    /// What others are to be asked for the message of a client that was last said to be [`Unanswered::Foreign`].
    pub fn foreign_question(&self, client: SocketAddr) -> Option<ForeignQuestion> {
        self.responder.foreign_question(&self.query, client.ip().to_canonical())
    }

    /// Writes the answer over the message.
    fn reply(
        &mut self,
        from: SocketAddr,
        buffer: &mut [u8],
        length: usize,
        snapshot: &Snapshot,
        counters: &Counters,
    ) -> Result<Reply, Reason> {
        if self.transport == Transport::Udp && SOURCE_PORTS_REFUSED.contains(&from.port()) {
            return Err(Reason::SourcePort);
        }
        let client = rate::Client::from(from.ip());
        if let Some(limiter) = &mut self.limiter
            && !limiter.admits(client)
        {
            return Err(Reason::PacketLimited);
        }
        match self.query.parse(buffer.get(..length).unwrap_or_default()) {
            Ok(()) => {}
            Err(Refusal::CookieAlone) if self.responder.has_cookies() => {}
            Err(refusal) => return refuse(self.limiter.as_deref_mut(), client, buffer, refusal, counters),
        }
        let query = &self.query;
        let reply = self.responder.reply_to_message(query, address(from.ip()), buffer, snapshot, counters);
        let (Transport::Udp, Some(limiter)) = (self.transport, self.limiter.as_deref_mut()) else { return Ok(reply) };
        if !reply.is_there() {
            return Ok(reply);
        }
        let asked = Asked { query, client, udp_max: self.responder.udp_answer_bytes_max() };
        limit(limiter, buffer, &asked, reply, snapshot, counters)
    }
}

/// What of the limits holds over a transport, counted by one thread. Responses over TCP are not limited: slipped answers send
/// real clients there, and nobody else's address is flooded by way of a connection.
fn of_transport(limit: &RateLimit, transport: Transport) -> RateLimit {
    let mut limit = RateLimit { workers: NonZeroU32::MIN, ..limit.clone() };
    if transport == Transport::Tcp {
        (limit.responses_per_second, limit.nxdomains_per_second) = (0, 0);
    }
    limit
}

/// An address as cookies and choices take it in.
pub(super) fn address(ip: IpAddr) -> Client {
    match ip {
        IpAddr::V4(ip) => Client::Ipv4(ip.octets()),
        IpAddr::V6(ip) => Client::Ipv6(ip.octets()),
    }
}
