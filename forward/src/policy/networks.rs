//! Networks with something to be done about each: of clients, and of addresses in answers.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringdns_engine::name::WireName;
use ringdns_engine::rate::Network;

use super::names::Full;

/// Most networks of a kind: some 60 bytes each.
const NETWORKS_MAX: usize = 1_000_000;

/// A network: its lowest address as a number, its leading bits, and whether it is of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Prefix {
    /// It is of IPv4.
    is_ipv4: bool,
    /// Leading bits that count.
    bits: u8,
    /// The lowest address.
    first: u128,
}

/// What is said of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NetworkHit {
    /// The file that says it.
    pub(super) file: u8,
    /// What is done.
    pub(super) action: u32,
    /// Leading bits of the network.
    pub(super) bits: u8,
}

/// The networks.
#[derive(Debug, Default)]
pub(super) struct Networks {
    /// The first file that has each, and what is done.
    entries: HashMap<Prefix, (u8, u32)>,
    /// Numbers of leading bits that there are, of IPv4 and of IPv6, most first.
    lengths: [Vec<u8>; 2],
}

impl Prefix {
    /// That of an address; nothing where it has fewer bits.
    pub(super) fn of(address: IpAddr, bits: u8) -> Option<Self> {
        let (is_ipv4, all, width) = match address {
            IpAddr::V4(address) => (true, u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (false, address.to_bits(), 128),
        };
        let rest = u32::from(u8::checked_sub(width, bits)?);
        let first = all.checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0);
        Some(Self { is_ipv4, bits, first })
    }

    /// The one that the labels of a trigger say, in order: leading bits, then the parts of the address, the last first, `zz` for
    /// as many zeros as are missing. The error is what is wrong.
    pub(super) fn of_trigger<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Result<Self, &'static str> {
        let texts: Option<Vec<&str>> = labels.map(|label| std::str::from_utf8(label).ok()).collect();
        let texts = texts.ok_or("the trigger is no network")?;
        let (bits, parts) = texts.split_first().ok_or("the trigger has no network")?;
        let bits: u8 = bits.parse().map_err(|_| "the trigger does not begin with a number of leading bits")?;
        let address = address(parts).ok_or("the trigger has no address; write 24.0.2.0.192, or 32.zz.db8.2001")?;
        let prefix = Self::of(address, bits).ok_or("the trigger has more leading bits than an address")?;
        let is_whole =
            prefix == Self { bits, ..Self::of(address, if address.is_ipv4() { 32 } else { 128 }).unwrap_or(prefix) };
        if is_whole { Ok(prefix) } else { Err("the trigger's address has bits set behind the leading ones") }
    }

    /// As a network.
    fn network(self) -> Option<Network> {
        let address = if self.is_ipv4 {
            IpAddr::from(Ipv4Addr::from(u32::try_from(self.first).ok()?))
        } else {
            IpAddr::from(Ipv6Addr::from(self.first))
        };
        Network::new(address, self.bits)
    }
}

/// The address that the parts of a trigger are.
fn address(parts: &[&str]) -> Option<IpAddr> {
    let parts: Vec<&str> = parts.iter().rev().map(|part| if *part == "zz" { "" } else { part }).collect();
    if parts.len() == 4 && !parts.contains(&"") {
        return parts.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::from);
    }
    // Where the zeros are at an end there is a colon more.
    let ends = [parts.first(), parts.last()].map(|end| if end == Some(&"") { ":" } else { "" });
    format!("{}{}{}", ends[0], parts.join(":"), ends[1]).parse::<Ipv6Addr>().ok().map(IpAddr::from)
}

impl Networks {
    /// Adds one; what is done about it already, where the file has it.
    pub(super) fn add(&mut self, prefix: Prefix, file: u8, action: u32) -> Result<Option<u32>, Full> {
        match self.entries.get(&prefix) {
            Some((known, action)) if *known == file => return Ok(Some(*action)),
            // An earlier file decides.
            Some(_) => return Ok(None),
            None if self.entries.len() >= NETWORKS_MAX => return Err(Full),
            None => {}
        }
        self.entries.insert(prefix, (file, action));
        let lengths = &mut self.lengths[usize::from(!prefix.is_ipv4)];
        if let Err(place) = lengths.binary_search_by(|bits| prefix.bits.cmp(bits)) {
            lengths.insert(place, prefix.bits);
        }
        Ok(None)
    }

    /// What is said of an address by the first so many files: the first of them decides that has a network of it, and in it the
    /// smallest.
    pub(super) fn find(&self, address: IpAddr, files: u8) -> Option<NetworkHit> {
        let address = address.to_canonical();
        let mut best: Option<NetworkHit> = None;
        for &bits in &self.lengths[usize::from(!address.is_ipv4())] {
            let entry = Prefix::of(address, bits).and_then(|prefix| self.entries.get(&prefix));
            if let Some(&(file, action)) = entry
                && file < files
                && best.is_none_or(|best| file < best.file)
            {
                best = Some(NetworkHit { file, action, bits });
            }
        }
        best
    }

    /// True where there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them.
    pub(super) fn networks(&self) -> Vec<Network> {
        let mut networks: Vec<Network> = self.entries.keys().filter_map(|prefix| prefix.network()).collect();
        networks.sort_by_key(Network::span);
        networks
    }
}

/// The labels of a name but for the last, which says what kind of trigger it is.
pub(super) fn before_last(name: &WireName) -> impl Iterator<Item = &[u8]> {
    name.labels().take(name.label_count().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The network of a trigger.
    fn trigger(text: &str) -> Result<String, &'static str> {
        let prefix = Prefix::of_trigger(text.split('.').map(str::as_bytes))?;
        Ok(prefix.network().unwrap().to_string())
    }

    #[test]
    fn triggers_are_networks() {
        for (text, network) in [
            ("24.0.2.0.192", "192.0.2.0/24"),
            ("32.1.2.0.192", "192.0.2.1/32"),
            ("0.0.0.0.0", "0.0.0.0/0"),
            ("128.1.zz.db8.2001", "2001:db8::1/128"),
            ("32.zz.db8.2001", "2001:db8::/32"),
            ("128.1.zz", "::1/128"),
            ("0.zz", "::/0"),
            ("128.8.7.6.5.4.3.2.1", "1:2:3:4:5:6:7:8/128"),
        ] {
            assert_eq!(trigger(text), Ok(network.to_owned()), "{text}");
        }
        for text in
            ["", "24", "33.1.2.0.192", "24.1.2.0.192", "x.0.2.0.192", "24.0.2.0.300", "129.1.zz", "8.zz.1.zz", "8.1.2"]
        {
            assert!(trigger(text).is_err(), "{text}: {:?}", trigger(text));
        }
    }

    #[test]
    fn the_first_file_decides_and_in_it_the_smallest_network() {
        let prefix = |text: &str, bits| Prefix::of(text.parse().unwrap(), bits).unwrap();
        let mut networks = Networks::default();
        assert!(networks.is_empty());
        for (address, bits, file, action) in [
            ("10.0.0.0", 8, 1, 1),
            ("10.1.0.0", 16, 1, 2),
            ("10.1.1.0", 24, 2, 3),
            ("::", 0, 0, 4),
            ("10.0.0.0", 8, 2, 5),
        ] {
            assert_eq!(networks.add(prefix(address, bits), file, action), Ok(None));
        }
        assert_eq!(networks.add(prefix("10.1.0.0", 16), 1, 9), Ok(Some(2)));
        let find = |text: &str, files| networks.find(text.parse().unwrap(), files).map(|hit| hit.action);
        assert_eq!([find("10.1.1.1", 9), find("10.2.0.0", 9), find("11.0.0.0", 9)], [Some(2), Some(1), None]);
        assert_eq!([find("::1", 9), find("::ffff:10.9.9.9", 9), find("10.9.9.9", 1)], [Some(4), Some(1), None]);
        let all: Vec<String> = networks.networks().iter().map(ToString::to_string).collect();
        assert_eq!(all, ["10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24", "::/0"]);
    }
}
