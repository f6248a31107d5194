//! Lists of zones; reverse zones can be given as networks.

use std::net::IpAddr;

use ringdns_engine::name::WireName;
use toml::Spanned;

use crate::config::problem::Problems;

/// Bits of an IPv4 reverse zone's label.
const OCTET_BITS: u32 = 8;

/// Bits of an IPv6 reverse zone's label.
const NIBBLE_BITS: u32 = 4;

/// Zones by their names, no zone twice.
pub(super) fn zones(
    list: Option<&Spanned<Vec<Spanned<String>>>>,
    key: &str,
    problems: &mut Problems<'_>,
) -> Vec<WireName> {
    let mut zones = Vec::new();
    for entry in list.into_iter().flat_map(Spanned::get_ref) {
        match entry.get_ref().parse::<WireName>() {
            Ok(zone) if zones.contains(&zone.to_lowercase()) => {
                problems.add(Some(entry.span()), key, format!("zone {zone} is named twice"), "name it once");
            }
            Ok(zone) => zones.push(zone.to_lowercase()),
            Err(error) => {
                let message = format!("\"{}\" is no domain name: {error}", entry.get_ref());
                problems.add(Some(entry.span()), key, message, "write a name such as \"cluster.local.\"");
            }
        }
    }
    zones
}

/// Reverse zones, each by its name or as a network, which is as many zones as it takes.
pub(super) fn reverse_zones(
    list: Option<&Spanned<Vec<Spanned<String>>>>,
    key: &str,
    problems: &mut Problems<'_>,
) -> Vec<WireName> {
    let mut zones: Vec<WireName> = Vec::new();
    for entry in list.into_iter().flat_map(Spanned::get_ref) {
        let text = entry.get_ref();
        let found: Option<Vec<WireName>> = match text.split_once('/') {
            Some((address, prefix)) => network(address, prefix),
            None => {
                text.parse::<WireName>().ok().map(|zone| zone.to_lowercase()).filter(is_reverse).map(|zone| vec![zone])
            }
        };
        let Some(found) = found else {
            let message = format!("\"{text}\" is no reverse zone and no network");
            let remedy =
                "write \"in-addr.arpa.\", \"ip6.arpa.\", a zone below them, or a network such as \"10.96.0.0/12\"";
            problems.add(Some(entry.span()), key, message, remedy);
            continue;
        };
        for zone in found {
            if !zones.contains(&zone) {
                zones.push(zone);
            }
        }
    }
    zones
}

/// True for names in the trees of addresses.
fn is_reverse(zone: &WireName) -> bool {
    let text = zone.to_string();
    ["in-addr.arpa.", "ip6.arpa."]
        .iter()
        .any(|top| text.strip_suffix(top).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// The zones of a network. One whose prefix ends within a label is several zones (RFC 1034 knows whole labels only).
fn network(address: &str, prefix: &str) -> Option<Vec<WireName>> {
    let (address, prefix): (IpAddr, u32) = (address.parse().ok()?, prefix.parse().ok()?);
    let (bits, label_bits, value, top) = match address {
        IpAddr::V4(address) => (32, OCTET_BITS, u128::from(u32::from(address)) << 96, "in-addr.arpa."),
        IpAddr::V6(address) => (128, NIBBLE_BITS, u128::from(address), "ip6.arpa."),
    };
    let rest = value.checked_shl(prefix).unwrap_or(0);
    if prefix > bits || rest != 0 {
        return None;
    }
    let labels = prefix.div_ceil(label_bits);
    let zone = |extra: u128| {
        let value = if labels == 0 { 0 } else { value | extra << (128 - labels * label_bits) };
        let mut text = String::new();
        for label in (1..=labels).rev() {
            let number = value >> (128 - label * label_bits) & ((1 << label_bits) - 1);
            text += &if label_bits == OCTET_BITS { format!("{number}.") } else { format!("{number:x}.") };
        }
        (text + top).parse().ok()
    };
    (0..1 << (labels * label_bits - prefix)).map(zone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_as_many_zones_as_it_takes() {
        for (address, prefix, expected) in [
            ("10.0.0.0", "8", &["10.in-addr.arpa."][..]),
            ("0.0.0.0", "0", &["in-addr.arpa."]),
            ("::", "0", &["ip6.arpa."]),
            ("10.96.0.0", "15", &["96.10.in-addr.arpa.", "97.10.in-addr.arpa."]),
            ("192.0.2.1", "32", &["1.2.0.192.in-addr.arpa."]),
            ("fd00::", "8", &["d.f.ip6.arpa."]),
            ("2001:db8::", "31", &["8.b.d.0.1.0.0.2.ip6.arpa.", "9.b.d.0.1.0.0.2.ip6.arpa."]),
        ] {
            let found: Vec<String> = network(address, prefix).unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{address}/{prefix}");
        }
        assert_eq!(network("10.96.0.0", "12").unwrap().len(), 16);
        for (address, prefix) in [("10.0.0.1", "8"), ("10.0.0.0", "33"), ("::1", "64"), ("a", "8"), ("10.0.0.0", "x")] {
            assert_eq!(network(address, prefix), None, "{address}/{prefix}");
        }
    }
}
