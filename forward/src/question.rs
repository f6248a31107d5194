//! Questions as the forwarder tells them apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ringdns_engine::cache::{CacheKey, EntryBits};
use ringdns_engine::name::WireName;
use ringdns_engine::recall::{ForeignQuestion, name_hash};
use ringdns_engine::snapshot::Snapshot;

use crate::policy::{ALL_LISTS, Apart};

/// Bits of an IPv4 client's prefix: an address is a host, or those behind one.
const CLIENT_BITS_IPV4: u8 = 32;
/// Bits of an IPv6 client's prefix: a host has a /64 (RFC 7084), and any address in it.
const CLIENT_BITS_IPV6: u8 = 64;

/// What makes questions one: for each of them upstreams are asked once at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The name, in lower case.
    pub(crate) name: Arc<WireName>,
    /// The type.
    pub(crate) qtype: u16,
    /// DO (RFC 3225).
    pub(crate) dnssec_ok: bool,
    /// CD (RFC 4035 section 3.2.2).
    pub(crate) checking_disabled: bool,
    /// Whose answer it is, where it is not everybody's.
    pub(crate) whose: Whose,
}

/// Whose answer an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Whose {
    /// That of clients with a view: the chain leads into a zone of ours.
    pub(crate) view: Option<u16>,
    /// That of clients in a subnet, which upstreams are told (RFC 7871).
    pub(crate) subnet: Option<(IpAddr, u8)>,
    /// That of those whom an entry of the policy lets pass.
    pub(crate) apart: Option<Apart>,
}

impl Key {
    /// The key of a question.
    pub(crate) fn new(question: &ForeignQuestion, client_subnet: Option<(u8, u8)>) -> Self {
        let subnet = client_subnet.map(|bits| prefix(question.client, bits)).filter(|(_, bits)| *bits > 0);
        Self {
            name: Arc::new(question.name.to_lowercase()),
            qtype: question.qtype,
            dnssec_ok: question.bits.has(EntryBits::DNSSEC_OK),
            checking_disabled: question.bits.has(EntryBits::CHECKING_DISABLED),
            whose: Whose { subnet, ..Whose::default() },
        }
    }

    /// DO and CD as entries have them.
    pub(crate) fn bits(&self) -> EntryBits {
        let disabled = EntryBits::CHECKING_DISABLED.when(self.checking_disabled);
        EntryBits::DNSSEC_OK.when(self.dnssec_ok).and(disabled)
    }

    /// What its answer is kept under.
    pub(crate) fn in_cache(&self, snapshot: &Snapshot) -> CacheKey<'_> {
        CacheKey {
            name_hash: name_hash(snapshot, &self.name),
            name: self.name.as_bytes(),
            qtype: self.qtype,
            bits: self.bits(),
        }
    }

    /// The same question, asked by somebody.
    pub(crate) fn asked_by(&self, client: IpAddr, name: &WireName) -> ForeignQuestion {
        ForeignQuestion { name: name.clone(), qtype: self.qtype, bits: self.bits(), client, is_stream: false }
    }

    /// How many lists of the policy have a say in its answer.
    pub(crate) fn lists(&self) -> u8 {
        self.whose.apart.map_or(ALL_LISTS, |apart| apart.lists)
    }

    /// The same of those whom an entry of the policy lets pass, if there is one.
    pub(crate) fn of(&self, apart: Option<Apart>) -> Self {
        Self { whose: Whose { apart, ..self.whose }, ..self.clone() }
    }
}

/// The prefix whose questions are counted together.
pub(crate) fn client_prefix(client: IpAddr) -> IpAddr {
    prefix(client, (CLIENT_BITS_IPV4, CLIENT_BITS_IPV6)).0
}

/// The prefix of an address, by bits of IPv4 and IPv6.
fn prefix(address: IpAddr, (bits_ipv4, bits_ipv6): (u8, u8)) -> (IpAddr, u8) {
    match address {
        IpAddr::V4(address) => {
            let bits = bits_ipv4.min(32);
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            (Ipv4Addr::from_bits(address.to_bits() & mask).into(), bits)
        }
        IpAddr::V6(address) => {
            let bits = bits_ipv6.min(128);
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            (Ipv6Addr::from_bits(address.to_bits() & mask).into(), bits)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_apart_by_their_prefixes() {
        for (address, bits, expected) in [
            ("192.0.2.77", (24, 56), "192.0.2.0"),
            ("192.0.2.77", (32, 56), "192.0.2.77"),
            ("192.0.2.77", (0, 56), "0.0.0.0"),
            ("2001:db8:1:2ff::5", (24, 56), "2001:db8:1:200::"),
            ("2001:db8:1:2ff::5", (24, 0), "::"),
            ("2001:db8:1:2ff::5", (24, 128), "2001:db8:1:2ff::5"),
        ] {
            assert_eq!(prefix(address.parse().unwrap(), bits).0, expected.parse::<IpAddr>().unwrap(), "{address}");
        }
        assert_eq!(client_prefix("2001:db8::1:2:3:4".parse().unwrap()), "2001:db8::".parse::<IpAddr>().unwrap());
    }
}
