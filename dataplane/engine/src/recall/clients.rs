//! Which clients may ask for names of others.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::rate::Network;

/// Networks of clients that nobody reaches from elsewhere (RFC 6890: not globally reachable): whom a server serves that was told of
/// nobody. Who answers all of the Internet is used to flood others.
pub const LOCAL_NETWORKS: &[(IpAddr, u8)] = &[
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 0, 0, 0)), 24),
    (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 0)), 24),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(198, 18, 0, 0)), 15),
    (IpAddr::V4(Ipv4Addr::new(198, 51, 100, 0)), 24),
    (IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0)), 24),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0)), 32),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// What a client is told that may not ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Denial {
    /// REFUSED.
    #[default]
    Refuse,
    /// Nothing.
    Drop,
}

/// The clients that may ask, and those that may not: the smallest network that a client is of decides.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientLists {
    /// Where runs of IPv4 addresses begin, in order, and whether those of a run may ask; the first begins at 0.
    ipv4: Box<[(u32, bool)]>,
    /// The same of IPv6.
    ipv6: Box<[(u128, bool)]>,
    /// What those are told that may not.
    denial: Denial,
}

impl Default for ClientLists {
    /// Everybody may ask.
    fn default() -> Self {
        Self { ipv4: Box::new([(0, true)]), ipv6: Box::new([(0, true)]), denial: Denial::default() }
    }
}

impl fmt::Debug for ClientLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.ipv4.len().saturating_add(self.ipv6.len());
        f.debug_struct("ClientLists").field("runs", &runs).field("denial", &self.denial).finish()
    }
}

impl ClientLists {
    /// Lists of networks. Without any that is allowed, all are but those that are denied. Where one network is in both lists, it
    /// is denied.
    pub fn new(allow: &[Network], deny: &[Network], denial: Denial) -> Self {
        let mut networks: Vec<(Network, bool)> = Vec::new();
        networks.extend(allow.iter().map(|network| (*network, true)));
        networks.extend(deny.iter().map(|network| (*network, false)));
        let others = allow.is_empty();
        let [mut ipv4, mut ipv6] = [Vec::new(), Vec::new()];
        for &(network, may) in &networks {
            match network.span() {
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    ipv4.push((u32::from(first).into(), u32::from(last).into(), may));
                }
                (first, last) => ipv6.push((bits(first), bits(last), may)),
            }
        }
        let narrow = |(at, may): (u128, bool)| u32::try_from(at).ok().map(|at| (at, may));
        let ipv4 = runs(ipv4, others).into_iter().filter_map(narrow).collect();
        Self { ipv4, ipv6: runs(ipv6, others).into(), denial }
    }

    /// True where everybody may ask.
    pub fn is_open(&self) -> bool {
        matches!((&*self.ipv4, &*self.ipv6), ([(_, true)], [(_, true)]))
    }

    /// What those are told that may not ask.
    #[inline]
    pub fn denial(&self) -> Denial {
        self.denial
    }

    /// Whether a client may ask.
    #[inline]
    pub fn permits(&self, client: IpAddr) -> bool {
        match client {
            IpAddr::V4(client) => self.permits_ipv4(client.octets()),
            IpAddr::V6(client) => match client.to_ipv4_mapped() {
                Some(client) => self.permits_ipv4(client.octets()),
                None => self.permits_ipv6(client.octets()),
            },
        }
    }

    /// Whether a client by IPv4 may ask.
    #[inline]
    pub fn permits_ipv4(&self, client: [u8; 4]) -> bool {
        decide(&self.ipv4, u32::from_be_bytes(client))
    }

    /// Whether a client by IPv6 may ask.
    #[inline]
    pub fn permits_ipv6(&self, client: [u8; 16]) -> bool {
        decide(&self.ipv6, u128::from_be_bytes(client))
    }
}

/// What is said of the run that an address is in.
#[inline]
fn decide<T: Copy + Ord>(runs: &[(T, bool)], address: T) -> bool {
    let after = runs.partition_point(|(first, _)| *first <= address);
    runs.get(after.wrapping_sub(1)).is_some_and(|(_, may)| *may)
}

/// An address as a number.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// Makes runs of networks, which are within each other or apart: (first, last, whether they may ask).
fn runs(mut networks: Vec<(u128, u128, bool)>, others: bool) -> Vec<(u128, bool)> {
    // Outer before inner ones; of the same network the denial comes last, and so decides.
    networks.sort_by_key(|&(first, last, may)| (first, core::cmp::Reverse(last), !may));
    let mut runs: Vec<(u128, bool)> = vec![(0, others)];
    let mut open: Vec<(u128, bool)> = Vec::new();
    let mut begin = |at: u128, may: bool| {
        // A run that begins where another does takes its place.
        if runs.last().is_some_and(|(first, _)| *first == at) {
            runs.pop();
        }
        if runs.last().is_none_or(|(_, before)| *before != may) {
            runs.push((at, may));
        }
    };
    for (first, last, may) in networks {
        while let Some((end, _)) = open.pop_if(|(end, _)| *end < first) {
            let outer = open.last().map_or(others, |(_, may)| *may);
            begin(end.saturating_add(1), outer);
        }
        begin(first, may);
        open.push((last, may));
    }
    while let Some((end, _)) = open.pop() {
        let outer = open.last().map_or(others, |(_, may)| *may);
        // Behind the last address there is none.
        if let Some(next) = end.checked_add(1) {
            begin(next, outer);
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Networks of text.
    fn networks(list: &[&str]) -> Vec<Network> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_smallest_network_decides_and_a_denial_beats_the_same_network() {
        let allow = networks(&["10.0.0.0/8", "10.1.2.0/24", "2001:db8::/32", "255.255.255.255", "192.0.2.0/24"]);
        let deny = networks(&["10.1.0.0/16", "2001:db8:1::/48", "192.0.2.0/24"]);
        let lists = ClientLists::new(&allow, &deny, Denial::Drop);
        for (client, may) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.0.255.255", true),
            ("10.1.0.0", false),
            ("10.1.2.3", true),
            ("10.1.3.0", false),
            ("10.2.0.0", true),
            ("11.0.0.0", false),
            ("192.0.2.7", false),
            ("255.255.255.254", false),
            ("255.255.255.255", true),
            ("::ffff:10.0.0.1", true),
            ("::ffff:10.1.0.1", false),
            ("2001:db8::1", true),
            ("2001:db8:1::1", false),
            ("2001:db8:2::", true),
            ("2001:db9::", false),
        ] {
            assert_eq!(lists.permits(client.parse().unwrap()), may, "{client}");
        }
        assert_eq!((lists.denial(), lists.is_open()), (Denial::Drop, false));
    }

    #[test]
    fn without_lists_everybody_may_ask_and_with_denials_alone_the_rest() {
        let open = ClientLists::default();
        assert!(open.is_open() && open.permits("203.0.113.9".parse().unwrap()) && open.permits("::1".parse().unwrap()));
        assert_eq!(ClientLists::new(&[], &[], Denial::Refuse), open);
        assert_eq!(ClientLists::new(&networks(&["0.0.0.0/0", "::/0"]), &[], Denial::Refuse), open);
        let most = ClientLists::new(&[], &networks(&["203.0.113.0/24", "::/0"]), Denial::Refuse);
        assert!(!most.is_open() && most.permits("203.0.112.255".parse().unwrap()));
        assert!(!most.permits("203.0.113.0".parse().unwrap()) && !most.permits("::1".parse().unwrap()));
    }

    #[test]
    fn the_local_networks_are_networks_and_the_internet_is_none_of_them() {
        let local: Vec<Network> =
            LOCAL_NETWORKS.iter().map(|&(address, prefix)| Network::new(address, prefix).unwrap()).collect();
        let lists = ClientLists::new(&local, &[], Denial::Refuse);
        for (client, may) in [
            ("10.9.8.7", true),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("198.19.255.255", true),
            ("8.8.8.8", false),
            ("2001:4860:4860::8888", false),
            ("fd00::1", true),
            ("fe80::1", true),
            ("::1", true),
            ("::2", false),
        ] {
            assert_eq!(lists.permits(client.parse().unwrap()), may, "{client}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        #[cfg_attr(miri, ignore = "choosing random cases alone takes miri minutes")]
        fn equals_looking_at_every_network(
            // Few bits at both ends, so that networks hit and end where others begin.
            networks in proptest::collection::vec((0..32u32, 0..=32u8, any::<bool>(), any::<bool>()), 0..12),
            clients in proptest::collection::vec((0..32u32, 0..32u32, any::<bool>()), 1..40),
        ) {
            let address = |high: u32, low: u32, six: bool| {
                let value = high << 27 | low;
                if six { IpAddr::V6(Ipv6Addr::from(u128::from(value) << 96)) } else { IpAddr::V4(value.into()) }
            };
            let networks: Vec<(Network, bool)> = networks
                .iter()
                .map(|&(high, prefix, may, six)| (Network::new(address(high, 0, six), prefix).unwrap(), may))
                .collect();
            let of = |which: bool| -> Vec<Network> {
                networks.iter().filter(|(_, may)| *may == which).map(|(network, _)| *network).collect()
            };
            let lists = ClientLists::new(&of(true), &of(false), Denial::Refuse);
            for (high, low, six) in clients {
                let client = address(high, low, six);
                let nearest = networks.iter().filter(|(network, _)| network.contains(client));
                let nearest = nearest.max_by_key(|(network, may)| (network.prefix(), !may));
                let expected = nearest.map_or(of(true).is_empty(), |(_, may)| *may);
                prop_assert_eq!(lists.permits(client), expected, "{}", client);
            }
        }
    }
}
