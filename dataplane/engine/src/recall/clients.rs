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

/// How a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may ask.
    Permitted,
    /// It may not.
    Denied,
    /// It may ask, and each time somebody decides what it is told: what is kept for others is not for it.
    Judged,
}

/// The clients that may ask, and those that may not: the smallest network that a client is of decides.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientLists {
    /// Where runs of IPv4 addresses begin, in order, and how those of a run stand; the first begins at 0.
    ipv4: Box<[(u32, Standing)]>,
    /// The same of IPv6.
    ipv6: Box<[(u128, Standing)]>,
    /// What those are told that may not.
    denial: Denial,
}

impl Default for ClientLists {
    /// Everybody may ask.
    fn default() -> Self {
        let all = Standing::Permitted;
        Self { ipv4: Box::new([(0, all)]), ipv6: Box::new([(0, all)]), denial: Denial::default() }
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
        Self::with_judged(allow, deny, &[], denial)
    }

    /// The same, where clients of some networks are judged each time, if they may ask.
    pub fn with_judged(allow: &[Network], deny: &[Network], judge: &[Network], denial: Denial) -> Self {
        let others = allow.is_empty();
        let lists = allow.iter().map(|network| (network, true)).chain(deny.iter().map(|network| (network, false)));
        let [may_ipv4, may_ipv6] = families(lists).map(|spans| runs(spans, others));
        let judged = judge.iter().map(|network| (network, true));
        let [judged_ipv4, judged_ipv6] = families(judged).map(|spans| runs(spans, false));
        let narrow = |(at, standing): (u128, Standing)| u32::try_from(at).ok().map(|at| (at, standing));
        let ipv4 = standings(&may_ipv4, &judged_ipv4).into_iter().filter_map(narrow).collect();
        Self { ipv4, ipv6: standings(&may_ipv6, &judged_ipv6).into(), denial }
    }

    /// True where everybody may ask.
    pub fn is_open(&self) -> bool {
        matches!((&*self.ipv4, &*self.ipv6), ([(_, Standing::Permitted)], [(_, Standing::Permitted)]))
    }

    /// What those are told that may not ask.
    #[inline]
    pub fn denial(&self) -> Denial {
        self.denial
    }

    /// Whether a client may ask, and is told what everybody is told.
    #[inline]
    pub fn permits(&self, client: IpAddr) -> bool {
        self.standing(client) == Standing::Permitted
    }

    /// The same of a client by IPv4.
    #[inline]
    pub fn permits_ipv4(&self, client: [u8; 4]) -> bool {
        self.standing_ipv4(client) == Standing::Permitted
    }

    /// How a client stands.
    #[inline]
    pub fn standing(&self, client: IpAddr) -> Standing {
        match client {
            IpAddr::V4(client) => self.standing_ipv4(client.octets()),
            IpAddr::V6(client) => match client.to_ipv4_mapped() {
                Some(client) => self.standing_ipv4(client.octets()),
                None => decide(&self.ipv6, u128::from(client)),
            },
        }
    }

    /// How a client by IPv4 stands.
    #[inline]
    pub fn standing_ipv4(&self, client: [u8; 4]) -> Standing {
        decide(&self.ipv4, u32::from_be_bytes(client))
    }
}

/// What is said of the run that an address is in.
#[inline]
fn decide<T: Copy + Ord>(runs: &[(T, Standing)], address: T) -> Standing {
    let after = runs.partition_point(|(first, _)| *first <= address);
    runs.get(after.wrapping_sub(1)).map_or(Standing::Denied, |(_, standing)| *standing)
}

/// Networks of IPv4 and IPv6: (first, last, whether they are).
fn families<'a>(networks: impl Iterator<Item = (&'a Network, bool)>) -> [Vec<(u128, u128, bool)>; 2] {
    let mut families = [Vec::new(), Vec::new()];
    let [ipv4, ipv6] = &mut families;
    for (network, is) in networks {
        match network.span() {
            (IpAddr::V4(first), IpAddr::V4(last)) => ipv4.push((u32::from(first).into(), u32::from(last).into(), is)),
            (first, last) => ipv6.push((bits(first), bits(last), is)),
        }
    }
    families
}

/// Runs of who may ask, and of who is judged, as one.
fn standings(may: &[(u128, bool)], judged: &[(u128, bool)]) -> Vec<(u128, Standing)> {
    let mut borders: Vec<u128> = may.iter().chain(judged).map(|(first, _)| *first).collect();
    borders.sort_unstable();
    let of = |runs: &[(u128, bool)], at: u128| {
        let after = runs.partition_point(|(first, _)| *first <= at);
        runs.get(after.wrapping_sub(1)).is_some_and(|(_, is)| *is)
    };
    let mut standings: Vec<(u128, Standing)> = Vec::new();
    for at in borders {
        let standing = match (of(may, at), of(judged, at)) {
            (false, _) => Standing::Denied,
            (true, false) => Standing::Permitted,
            (true, true) => Standing::Judged,
        };
        if standings.last().is_none_or(|(_, before)| *before != standing) {
            standings.push((at, standing));
        }
    }
    standings
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
    fn those_who_are_judged_may_ask_and_are_told_what_is_theirs() {
        let [allow, deny, judge] =
            [&["10.0.0.0/8", "2001:db8::/32"][..], &["10.1.0.0/16"], &["10.0.0.0/15", "2001:db8:1::/48"]];
        let lists = ClientLists::with_judged(&networks(allow), &networks(deny), &networks(judge), Denial::Drop);
        for (client, standing) in [
            ("10.0.255.255", Standing::Judged),
            ("10.1.0.0", Standing::Denied),
            ("10.2.0.0", Standing::Permitted),
            ("11.0.0.0", Standing::Denied),
            ("::ffff:10.0.0.1", Standing::Judged),
            ("2001:db8:1::1", Standing::Judged),
            ("2001:db8:2::", Standing::Permitted),
        ] {
            let client = client.parse().unwrap();
            assert_eq!((lists.standing(client), lists.permits(client)), (standing, standing == Standing::Permitted));
        }
        let all = ClientLists::with_judged(&[], &[], &networks(&["0.0.0.0/0"]), Denial::Refuse);
        assert!(!all.is_open() && !all.permits_ipv4([9; 4]) && all.permits("2001:db8::".parse().unwrap()));
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
