//! Rate limits by client prefix: responses (RRL, as BIND, NSD and Knot have it), and all packets (as ContainerDNS has it).
//!
//! [`bucket`](Limit) says what a limit is, [`table`](Table) holds the accounts, `class` tells which account a response
//! belongs to. This file decides. Every worker counts by itself; nothing is shared, and no clock is read here.
//!
//! - Packets are counted right after a frame was found to be for us, before the message in it is looked at.
//! - Responses are counted once they are known, by client prefix and kind of response. Over the limit, every `slip`-th is
//!   sent empty with the TC bit, by which a real client comes back over TCP, and the rest are dropped.
//! - Exempt networks are looked up only for what would be refused: the list costs those that keep to the limit nothing.

mod bucket;
mod class;
mod network;
mod table;

use core::num::NonZeroU32;

pub use bucket::Limit;
pub(crate) use class::{Class, Response};
pub(crate) use network::Client;
use network::mask;
pub use network::{Network, NetworkError};
pub use table::{Charge, SET_ACCOUNTS, TABLE_ENTRIES_MAX, Table};

use crate::frame::Packet;
use crate::hash::{Seed, fold};

/// Nanoseconds of a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// Default length of an IPv4 prefix that is one client: as BIND, NSD and Knot have it.
pub const IPV4_PREFIX_DEFAULT: u8 = 24;

/// Default length of an IPv6 prefix that is one client: what a site gets (RFC 6177), as BIND and Knot have it.
pub const IPV6_PREFIX_DEFAULT: u8 = 56;

/// Default number of accounts: 1 MiB, for each worker of each port.
pub const TABLE_ENTRIES_DEFAULT: usize = 65_536;

/// Most exempt networks: they are gone through one by one for every packet that would be refused.
pub const EXEMPT_MAX: usize = 64;

/// Default for [`RateLimit::slip`], as BIND and NSD have it.
pub const SLIP_DEFAULT: u32 = 2;

/// Default for [`RateLimit::window_seconds`], as BIND has it.
pub const WINDOW_SECONDS_DEFAULT: u32 = 15;

/// The limits of a port. 0 as a rate: no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Responses a second to one client prefix, of one kind: to one name, referrals to one zone, NODATA, errors.
    pub responses_per_second: u32,
    /// NXDOMAIN responses a second to one client prefix.
    pub nxdomains_per_second: u32,
    /// Packets a second from one client prefix: DNS queries and echo requests.
    pub packets_per_second: u32,
    /// Seconds for which a prefix that was over a response limit pays for it at most; 0: what is refused costs nothing.
    pub window_seconds: u32,
    /// Every how many-th limited response is sent empty with the TC bit; 0: none, 1: all. Errors are never sent so.
    pub slip: u32,
    /// Whether answers and referrals are counted by name. False: one account for all names.
    pub by_name: bool,
    /// Leading bits of an IPv4 address that make one client.
    pub ipv4_prefix: u8,
    /// Leading bits of an IPv6 address that make one client.
    pub ipv6_prefix: u8,
    /// Clients that are not limited.
    pub exempt: Vec<Network>,
    /// Accounts held, rounded up to a power of two; 16 bytes each.
    pub table_entries: usize,
    /// Workers of the port, between which the NIC spreads each client's packets: each takes its part of every rate.
    pub workers: NonZeroU32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            responses_per_second: 0,
            nxdomains_per_second: 0,
            packets_per_second: 0,
            window_seconds: WINDOW_SECONDS_DEFAULT,
            slip: SLIP_DEFAULT,
            by_name: true,
            ipv4_prefix: IPV4_PREFIX_DEFAULT,
            ipv6_prefix: IPV6_PREFIX_DEFAULT,
            exempt: Vec::default(),
            table_entries: TABLE_ENTRIES_DEFAULT,
            workers: NonZeroU32::MIN,
        }
    }
}

/// What is to be done with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// It is sent.
    Send,
    /// It is sent empty with the TC bit.
    Slip,
    /// It is dropped.
    Drop,
}

/// The limits of one worker on one port.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// The accounts.
    table: Table,
    /// From which keys grow: nobody outside can make two clients meet in one account.
    seed: u64,
    /// Nanoseconds since some moment, as it was last told.
    now: u64,
    /// Bits of an address that make one client, over IPv4 and IPv6.
    masks: [u128; 2],
    /// All packets.
    packets: Option<Limit>,
    /// Responses other than NXDOMAIN.
    responses: Option<Limit>,
    /// NXDOMAIN.
    nxdomains: Option<Limit>,
    /// See [`RateLimit::slip`].
    slip: u32,
    /// See [`RateLimit::by_name`].
    by_name: bool,
    /// Clients that are not limited.
    exempt: Box<[Network]>,
}

impl Limiter {
    /// The limits of one worker; None where nothing is limited.
    pub(crate) fn new(config: &RateLimit) -> Option<Self> {
        let rate = |per_second| NonZeroU32::new(per_second);
        let response = |per_second| {
            let per_second = rate(per_second)?;
            Some(Limit::new(per_second, per_second, config.workers).with_window(config.window_seconds))
        };
        // ContainerDNS: half a second's worth on top of the rate.
        let packets = rate(config.packets_per_second).map(|per_second| {
            let burst = per_second.saturating_add(per_second.get() / 2);
            Limit::new(per_second, burst, config.workers)
        });
        let (responses, nxdomains) = (response(config.responses_per_second), response(config.nxdomains_per_second));
        packets.or(responses).or(nxdomains)?;
        Some(Self {
            table: Table::new(config.table_entries),
            seed: Seed::random().number(),
            now: 0,
            masks: [mask(false, config.ipv4_prefix), mask(true, config.ipv6_prefix)],
            packets,
            responses,
            nxdomains,
            slip: config.slip,
            by_name: config.by_name,
            exempt: config.exempt.iter().copied().collect(),
        })
    }

    /// Tells the time, in milliseconds since any fixed moment.
    #[inline]
    pub(crate) fn set_time(&mut self, milliseconds: u64) {
        self.now = milliseconds.saturating_mul(MILLISECOND);
    }

    /// Counts a packet of a client that is for us, or a query over a stream; false where it sends too many.
    #[inline]
    pub(crate) fn admits(&mut self, client: Client) -> bool {
        let Some(limit) = self.packets else {
            return true;
        };
        let key = self.key(client, 0, 0);
        self.table.charge(key, &limit, self.now) == Charge::Within || self.is_exempt(client)
    }

    /// Counts a response to a client, and rules on it.
    #[inline]
    pub(crate) fn rule(&mut self, client: Client, response: Response) -> Ruling {
        let limit = if response.class == Class::NxDomain { self.nxdomains } else { self.responses };
        let Some(limit) = limit else {
            return Ruling::Send;
        };
        let name = if self.by_name { response.name } else { 0 };
        let key = self.key(client, response.class as u64, name);
        match self.table.charge(key, &limit, self.now) {
            Charge::Over(refused) if !self.is_exempt(client) => {
                // BIND does not send errors with the TC bit either: TCP would bring the same error.
                let slips = self.slip != 0 && response.class != Class::Error && refused.is_multiple_of(self.slip);
                if slips { Ruling::Slip } else { Ruling::Drop }
            }
            _ => Ruling::Send,
        }
    }

    /// The key of the account for events of one kind, 0 being packets, and one name, 0 being all.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "both halves of the address are taken")]
    fn key(&self, client: Client, kind: u64, name: u64) -> u64 {
        let [ipv4_mask, ipv6_mask] = self.masks;
        let prefix = client.address & if client.is_ipv6 { ipv6_mask } else { ipv4_mask };
        let kind = kind << 1 | u64::from(client.is_ipv6);
        let upper = fold(self.seed ^ (prefix >> 64) as u64);
        fold(fold(upper ^ prefix as u64) ^ name.wrapping_add(kind))
    }

    /// True for clients that are not limited.
    #[cold]
    fn is_exempt(&self, client: Client) -> bool {
        self.exempt.iter().any(|network| network.holds(client))
    }
}

impl Packet {
    /// Who sent it. The frame is still as it came.
    #[inline]
    pub(crate) fn client(&self, frame: &[u8]) -> Client {
        let header = frame.get(self.ip..).unwrap_or_default();
        // Both headers are there in full: they were checked when the packet was found.
        if self.is_ipv6 {
            Client::ipv6(header.get(8..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default())
        } else {
            Client::ipv4(header.get(12..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default())
        }
    }
}
