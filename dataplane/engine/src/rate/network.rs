//! Networks of clients, as `192.0.2.0/24` or `2001:db8::/32`.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;

/// Leading bits that an IPv4 address has as an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// A client's address: IPv4 ones in the low bits, as IPv4-mapped addresses have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    /// The address.
    pub address: u128,
    /// Whether it came by IPv6.
    pub is_ipv6: bool,
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::ipv4(address.octets()),
            IpAddr::V6(address) => Self::ipv6(address.octets()),
        }
    }
}

impl Client {
    /// A client by IPv4.
    #[inline]
    pub(super) fn ipv4(octets: [u8; 4]) -> Self {
        Self { address: 0xffff << 32 | u128::from(u32::from_be_bytes(octets)), is_ipv6: false }
    }

    /// A client by IPv6.
    #[inline]
    pub(super) fn ipv6(octets: [u8; 16]) -> Self {
        Self { address: u128::from_be_bytes(octets), is_ipv6: true }
    }
}

/// The mask that keeps a prefix of an address in a [`Client`].
pub(super) fn mask(is_ipv6: bool, prefix: u8) -> u128 {
    let bits = if is_ipv6 { prefix } else { prefix.saturating_add(MAPPED_BITS) };
    u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0)
}

/// A network: an address and the number of its leading bits that count; the others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// The lowest address.
    first: Client,
    /// Leading bits that count, of 32 or 128.
    prefix: u8,
}

/// Why text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// No IPv4 or IPv6 address stands before the slash.
    Address,
    /// The prefix length is no number up to 32, or up to 128 with IPv6.
    Prefix,
    /// Bits beyond the prefix are set; with them cleared it is this.
    HostBits(Network),
}

impl Network {
    /// A network; `address` may be any of it. None where the prefix is longer than an address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let client = Client::from(address);
        let fits = prefix <= if client.is_ipv6 { 128 } else { 32 };
        let first = Client { address: client.address & mask(client.is_ipv6, prefix), ..client };
        fits.then_some(Self { first, prefix })
    }

    /// The lowest and the highest address.
    pub(crate) fn clients(&self) -> (crate::cookie::Client, crate::cookie::Client) {
        let Client { address: first, is_ipv6 } = self.first;
        let last = first | !mask(is_ipv6, self.prefix);
        if is_ipv6 {
            let of = |address: u128| crate::cookie::Client::Ipv6(address.to_be_bytes());
            return (of(first), of(last));
        }
        // IPv4 addresses are the last four bytes.
        let of = |address: u128| {
            crate::cookie::Client::Ipv4(address.to_be_bytes().last_chunk().copied().unwrap_or_default())
        };
        (of(first), of(last))
    }

    /// The lowest and the highest address as addresses.
    pub fn span(&self) -> (IpAddr, IpAddr) {
        let Client { address: first, is_ipv6 } = self.first;
        let last = first | !mask(is_ipv6, self.prefix);
        let of = |address: u128| match Ipv6Addr::from_bits(address) {
            address if is_ipv6 => IpAddr::V6(address),
            address => IpAddr::V6(address).to_canonical(),
        };
        (of(first), of(last))
    }

    /// Leading bits that count.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// True for an address of the network; an IPv4 address is one whether it is mapped into IPv6 or not.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.holds(Client::from(address.to_canonical()))
    }

    /// True for the clients of the network.
    pub(super) fn holds(&self, client: Client) -> bool {
        let masked = client.address & mask(client.is_ipv6, self.prefix);
        self.first == Client { address: masked, ..client }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `address/prefix`, or an address alone.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let prefix = match prefix {
            None if address.is_ipv6() => 128,
            None => 32,
            Some(digits) if digits.starts_with('+') => return Err(NetworkError::Prefix),
            Some(digits) => digits.parse().map_err(|_| NetworkError::Prefix)?,
        };
        let network = Self::new(address, prefix).ok_or(NetworkError::Prefix)?;
        if network.first == Client::from(address) { Ok(network) } else { Err(NetworkError::HostBits(network)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from_bits(self.first.address);
        match address.to_ipv4_mapped() {
            Some(address) if !self.first.is_ipv6 => write!(f, "{address}/{}", self.prefix),
            _ => write!(f, "{address}/{}", self.prefix),
        }
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("no IPv4 or IPv6 address"),
            Self::Prefix => f.write_str("the prefix length is no number up to 32, or up to 128 with IPv6"),
            Self::HostBits(network) => write!(f, "bits beyond the prefix are set; the network is {network}"),
        }
    }
}

impl core::error::Error for NetworkError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Client {
        Client::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", ["192.0.2.0", "192.0.2.255"], ["192.0.1.255", "192.0.3.0"]),
            ("192.0.2.128/25", ["192.0.2.128", "192.0.2.255"], ["192.0.2.127", "192.0.3.128"]),
            ("198.51.100.7", ["198.51.100.7", "198.51.100.7"], ["198.51.100.6", "::ffff:198.51.100.7"]),
            ("0.0.0.0/0", ["0.0.0.1", "255.255.255.255"], ["::", "::ffff:192.0.2.1"]),
            ("::/0", ["::1", "ffff::"], ["0.0.0.0", "192.0.2.1"]),
            ("2001:db8::/32", ["2001:db8::1", "2001:db8:ffff::"], ["2001:db7::", "2001:db9::"]),
            ("2001:db8::1", ["2001:db8::1", "2001:db8::1"], ["2001:db8::", "2001:db8::2"]),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(inside.iter().all(|address| parsed.holds(client(address))), "{network}");
            assert!(!outside.iter().any(|address| parsed.holds(client(address))), "{network}");
        }
    }

    #[test]
    fn text_goes_in_and_out() {
        for text in ["192.0.2.0/24", "192.0.2.1/32", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:db8::1/128"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_network_is_told() {
        for (text, error) in [
            ("", NetworkError::Address),
            ("localhost/8", NetworkError::Address),
            ("192.0.2/24", NetworkError::Address),
            ("192.0.2.0/33", NetworkError::Prefix),
            ("2001:db8::/129", NetworkError::Prefix),
            ("192.0.2.0/", NetworkError::Prefix),
            ("192.0.2.0/+24", NetworkError::Prefix),
            ("192.0.2.0/-1", NetworkError::Prefix),
            ("192.0.2.1/24", NetworkError::HostBits("192.0.2.0/24".parse().unwrap())),
        ] {
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
    }
}
