//! Zones as Corefiles write them: names, networks that stand for reverse zones, schemes and ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest name in presentation form without escapes (RFC 1035 section 3.1).
const NAME_BYTES_MAX: usize = 254;

/// Longest label (RFC 1035 section 3.1).
const LABEL_BYTES_MAX: usize = 63;

/// How a server block's clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// UDP and TCP.
    Dns,
    /// DNS over TLS, HTTPS, QUIC or gRPC.
    Other(&'static str),
}

/// The schemes with their ports.
const SCHEMES: [(&str, Scheme, u16); 6] = [
    ("dns://", Scheme::Dns, 53),
    ("tls://", Scheme::Other("tls"), 853),
    ("quic://", Scheme::Other("quic"), 853),
    ("grpc://", Scheme::Other("grpc"), 443),
    ("https://", Scheme::Other("https"), 443),
    ("https3://", Scheme::Other("https3"), 443),
];

/// What a server block is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// How its clients speak.
    pub scheme: Scheme,
    /// Its zones: more than one for some networks.
    pub zones: Vec<String>,
    /// Its port.
    pub port: u16,
}

/// Reads what a server block is for: `[SCHEME://]ZONE[:PORT]`. `port` is that of plain DNS without a port.
pub fn key(text: &str, port: u16) -> Result<Key, String> {
    let known = SCHEMES.iter().find_map(|(prefix, scheme, port)| Some((text.strip_prefix(prefix)?, *scheme, *port)));
    let (rest, scheme, default) = known.unwrap_or((text, Scheme::Dns, 53));
    let default = if scheme == Scheme::Dns { port } else { default };
    if let Some((scheme, _)) = rest.split_once("://") {
        return Err(format!("{scheme}:// is no way to ask for names"));
    }
    let (zone, given) = split_port(rest)?;
    // As CoreDNS reads ":53".
    let zones = zones(if zone.is_empty() { "." } else { zone })?;
    Ok(Key { scheme, zones, port: given.unwrap_or(default) })
}

/// Zone and port. A network of IPv6 has colons too, but a prefix length behind them.
fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    let Some((zone, port)) = text.rsplit_once(':') else { return Ok((text, None)) };
    if port.is_empty() {
        return Err(format!("\"{text}\" has no port behind the colon"));
    }
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok((text, None));
    }
    let number = port.parse::<u16>().ok().filter(|&number| number != 0);
    number.map(|number| (zone, Some(number))).ok_or_else(|| format!("{port} is no port"))
}

/// The zones that a name or a network stands for, in lower case and with a dot at their end. A port behind it does not count.
pub fn zones(text: &str) -> Result<Vec<String>, String> {
    let (text, _) = split_port(text)?;
    if let Some((address, length)) = text.split_once('/') {
        let address = address.parse::<IpAddr>().ok();
        let length = length.parse::<u8>().ok();
        return match (address, length) {
            (Some(IpAddr::V4(address)), Some(length)) if length <= 32 => Ok(reverse_ipv4(address, length)),
            (Some(IpAddr::V6(address)), Some(length)) if length <= 128 => Ok(reverse_ipv6(address, length)),
            _ => Err(format!("\"{text}\" is no network")),
        };
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if text == "." {
        return Ok(vec![".".to_owned()]);
    }
    let is_label = |label: &str| {
        !label.is_empty() && label.len() <= LABEL_BYTES_MAX && label.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if name.len() < NAME_BYTES_MAX && name.split('.').all(is_label) && !name.contains(['"', '\\', '{', '}']) {
        Ok(vec![format!("{name}.")])
    } else {
        Err(format!("\"{text}\" is no domain name"))
    }
}

/// True for a reverse zone.
pub fn is_reverse(zone: &str) -> bool {
    [".in-addr.arpa.", ".ip6.arpa."].iter().any(|end| zone.ends_with(end) || zone == &end[1..])
}

/// True where a zone is another, or lies in it.
pub fn is_within(zone: &str, other: &str) -> bool {
    other == "." || zone == other || zone.strip_suffix(other).is_some_and(|rest| rest.ends_with('.'))
}

/// The zones that lie both in one of these and in one of those.
pub fn common(these: &[String], those: &[String]) -> Vec<String> {
    let mut zones: Vec<String> = Vec::new();
    for (this, that) in these.iter().flat_map(|this| those.iter().map(move |that| (this, that))) {
        let inner = if is_within(this, that) { Some(this) } else { Some(that).filter(|that| is_within(that, this)) };
        if let Some(inner) = inner.filter(|inner| !zones.contains(inner)) {
            zones.push(inner.clone());
        }
    }
    zones
}

/// The reverse zones of a network: its length rounded up to whole octets.
fn reverse_ipv4(address: Ipv4Addr, length: u8) -> Vec<String> {
    let octets = usize::from(length.div_ceil(8));
    let first = u32::from(address) & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
    let unit_bits = 32 - 8 * u32::try_from(octets).unwrap_or_default();
    let count = 1_u64 << (32 - u32::from(length) - unit_bits);
    (0..count)
        .map(|index| {
            let network = u64::from(first) + (index << unit_bits);
            let bytes = u32::try_from(network).unwrap_or(u32::MAX).to_be_bytes();
            let labels: String = bytes.iter().take(octets).rev().map(|byte| format!("{byte}.")).collect();
            labels + "in-addr.arpa."
        })
        .collect()
}

/// The same for IPv6, in whole hexadecimal digits.
fn reverse_ipv6(address: Ipv6Addr, length: u8) -> Vec<String> {
    let digits = usize::from(length.div_ceil(4));
    let first = u128::from(address) & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    let unit_bits = 128 - 4 * u32::try_from(digits).unwrap_or_default();
    let count = 1_u128 << (128 - u32::from(length) - unit_bits);
    (0..count)
        .map(|index| {
            // A whole network of one unit is all there is where no digit is fixed.
            let network = first | index.checked_shl(unit_bits).unwrap_or(0);
            let hex = format!("{network:032x}");
            let labels: String =
                hex.chars().take(digits).collect::<Vec<_>>().iter().rev().map(|digit| format!("{digit}.")).collect();
            labels + "ip6.arpa."
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_schemes_zones_and_ports() {
        for (text, zones, port) in [
            (".", vec!["."], 53),
            (".:53", vec!["."], 53),
            (":1053", vec!["."], 1053),
            ("Example.ORG", vec!["example.org."], 53),
            ("dns://example.org.:54", vec!["example.org."], 54),
            ("tls://example.org", vec!["example.org."], 853),
            ("10.0.0.0/24:55", vec!["0.0.10.in-addr.arpa."], 55),
            ("10.0.0.0/23", vec!["0.0.10.in-addr.arpa.", "1.0.10.in-addr.arpa."], 53),
            ("10.1.2.3/8", vec!["10.in-addr.arpa."], 53),
            ("10.1.2.3/32", vec!["3.2.1.10.in-addr.arpa."], 53),
            ("0.0.0.0/0", vec!["in-addr.arpa."], 53),
            ("2001:db8::/32", vec!["8.b.d.0.1.0.0.2.ip6.arpa."], 53),
            ("2001:db8::/31", vec!["8.b.d.0.1.0.0.2.ip6.arpa.", "9.b.d.0.1.0.0.2.ip6.arpa."], 53),
            ("::/0", vec!["ip6.arpa."], 53),
        ] {
            let key = key(text, 53).unwrap_or_else(|fault| panic!("{text}: {fault}"));
            assert_eq!((key.zones, key.port), (zones.iter().map(|zone| (*zone).to_owned()).collect(), port), "{text}");
        }
        assert_eq!(zones("10.0.0.0/17").map(|zones| zones.len()), Ok(128));
        for text in ["a..b", "example.org:", "example.org:99999", "ftp://a", "10.0.0.0/33", "a/b", &"a".repeat(64)] {
            assert!(key(text, 53).is_err(), "{text}");
        }
    }

    #[test]
    fn zones_lie_in_zones() {
        assert!(is_within("a.b.", "b.") && is_within("b.", "b.") && is_within("b.", "."));
        assert!(!is_within("ab.", "b.") && !is_within(".", "b."));
        let list = |zones: &[&str]| zones.iter().map(|zone| (*zone).to_owned()).collect::<Vec<_>>();
        assert_eq!(common(&list(&["a.b.", "c."]), &list(&[".", "x.c."])), list(&["a.b.", "c.", "x.c."]));
        assert!(is_reverse("in-addr.arpa.") && is_reverse("10.in-addr.arpa.") && !is_reverse("xin-addr.arpa."));
    }
}
