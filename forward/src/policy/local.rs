//! Names of special use: what they are is known, or nobody, and nobody is asked for them.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringdns_engine::name::WireName;
use ringdns_engine::recall::KeptAnswer;
use ringdns_engine::rtype::types;

use super::action::Asked;
use super::lines::suffixes;
use super::made::Making;

/// How long that holds, in seconds: 3 hours (RFC 6303 section 3).
const TTL_SECONDS: u32 = 10_800;

/// RFC 6761 section 6.3: this machine.
const LOOPBACK: &str = "localhost.";

/// Names that nobody has.
const ABSENT: &[&str] = &[
    // RFC 6761 sections 6.2 and 6.4.
    "test.",
    "invalid.",
    // RFC 7686 section 2: caches do not ask for them.
    "onion.",
    // RFC 8375 section 4: of a home, and ours is none.
    "home.arpa.",
    // RFC 9462 section 8.1: it is about the resolver that is asked.
    "resolver.arpa.",
];

/// Reverse zones of addresses that everybody has, or nobody (RFC 6303 section 4), but for those below, which there are several of.
const REVERSE: &[&str] = &[
    "10.in-addr.arpa.",
    "168.192.in-addr.arpa.",
    "0.in-addr.arpa.",
    "127.in-addr.arpa.",
    "254.169.in-addr.arpa.",
    "2.0.192.in-addr.arpa.",
    "100.51.198.in-addr.arpa.",
    "113.0.203.in-addr.arpa.",
    "255.255.255.255.in-addr.arpa.",
    "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
    "d.f.ip6.arpa.",
    "8.e.f.ip6.arpa.",
    "9.e.f.ip6.arpa.",
    "a.e.f.ip6.arpa.",
    "b.e.f.ip6.arpa.",
    "8.b.d.0.1.0.0.2.ip6.arpa.",
];

/// Names of loopback addresses.
const LOOPBACK_REVERSE: [&str; 2] =
    ["1.0.0.127.in-addr.arpa.", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa."];

/// What a zone of such names is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    /// This machine.
    Loopback,
    /// Nobody's, but for the names of loopback addresses.
    Absent,
}

/// The names that are answered.
#[derive(Debug, Default)]
pub(super) struct LocalNames {
    /// Zones of them, in lower case.
    zones: HashMap<Vec<u8>, Special>,
    /// Zones that others are asked for by name.
    asked: HashSet<Vec<u8>>,
    /// The names of loopback addresses.
    loopback: Vec<Vec<u8>>,
    /// What these point to.
    localhost: Vec<u8>,
}

/// The bytes of a name that is written here.
fn wire(text: &str) -> Vec<u8> {
    text.parse::<WireName>().map(|name| name.as_bytes().to_vec()).unwrap_or_default()
}

impl LocalNames {
    /// Those of special use, and reverse zones; not those zones that others are asked for by name.
    pub(super) fn new(has_names: bool, has_reverse: bool, asked: HashSet<Vec<u8>>) -> Self {
        let mut zones = HashMap::new();
        if has_names {
            zones.insert(wire(LOOPBACK), Special::Loopback);
            zones.extend(ABSENT.iter().map(|zone| (wire(zone), Special::Absent)));
        }
        if has_reverse {
            zones.extend(REVERSE.iter().map(|zone| (wire(zone), Special::Absent)));
            // 172.16.0.0/12, and what carriers have (RFC 7793).
            let of =
                |numbers: std::ops::Range<u8>, of: &'static str| numbers.map(move |number| format!("{number}.{of}"));
            let several = of(16..32, "172.in-addr.arpa.").chain(of(64..128, "100.in-addr.arpa."));
            zones.extend(several.map(|zone| (wire(&zone), Special::Absent)));
        }
        Self { zones, asked, loopback: LOOPBACK_REVERSE.map(wire).to_vec(), localhost: wire(LOOPBACK) }
    }

    /// The zone of special use that a name is in, by the byte where it begins.
    fn zone_of(&self, name: &[u8]) -> Option<(usize, Special)> {
        for (at, suffix) in suffixes(name) {
            // A zone that others are asked for, be it the very one or one below.
            if self.asked.contains(suffix) && suffix.len() > 1 {
                return None;
            }
            if let Some(special) = self.zones.get(suffix) {
                return Some((at, *special));
            }
        }
        None
    }

    /// True where a name is answered here.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.zone_of(name).is_some()
    }

    /// The answer for a name.
    pub(super) fn answer(&self, asked: Asked<'_>) -> Option<KeptAnswer> {
        let name = asked.name;
        let (zone_at, special) = self.zone_of(name)?;
        let making = Making::new(TTL_SECONDS);
        if zone_at == 0 && asked.qtype == types::SOA {
            return Some(making.start_of_authority(0).done());
        }
        if special == Special::Loopback {
            let addresses: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            let wanted = addresses.into_iter().filter(|address| asked.wants_address(*address));
            let answer = wanted.fold(making, Making::address).done();
            let is_empty = answer.counts[0] == 0;
            return Some(if is_empty { Making::new(TTL_SECONDS).nothing(true, zone_at) } else { answer });
        }
        if asked.wants(types::PTR) && self.loopback.iter().any(|loopback| loopback == name) {
            return Some(making.pointer(&self.localhost).done());
        }
        // RFC 8020: what has names below it exists.
        let exists = zone_at == 0 || self.loopback.iter().any(|loopback| loopback.ends_with(name));
        Some(making.nothing(exists, zone_at))
    }
}
