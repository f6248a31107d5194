//! Names made of labels, of addresses turned round, and of what objects say.

use std::net::IpAddr;

use ringdns_engine::name::WireName;

/// Longest label in bytes (RFC 1035 section 2.3.4).
pub(super) const LABEL_BYTES_MAX: usize = 63;

/// A name with labels put in front of it, the leftmost first; nothing where that is no name.
pub(super) fn under<L: AsRef<[u8]>>(labels: &[L], base: &WireName) -> Option<WireName> {
    let length: usize = labels.iter().map(|label| label.as_ref().len() + 1).sum();
    let mut wire = Vec::with_capacity(length + base.as_bytes().len());
    for label in labels {
        let label = label.as_ref();
        if label.is_empty() || label.len() > LABEL_BYTES_MAX {
            return None;
        }
        wire.extend(u8::try_from(label.len()));
        wire.extend_from_slice(label);
    }
    wire.extend_from_slice(base.as_bytes());
    WireName::from_wire(&wire).ok()
}

/// The name of an address in the tree of PTR records (RFC 1035 section 3.5, RFC 3596 section 2.5).
pub(super) fn reverse(address: IpAddr) -> WireName {
    let text = match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            let mut text: String = nibbles.map(|nibble| format!("{nibble:x}.")).collect();
            text.push_str("ip6.arpa.");
            text
        }
    };
    text.parse().unwrap_or_else(|_| WireName::root())
}

/// A name as an object says it, in lower case; nothing where it is none.
pub(super) fn read(text: &str) -> Option<WireName> {
    // A backslash begins an escape in presentation form, and no name of a host has one.
    let name: WireName = text.parse().ok().filter(|_| !text.contains('\\'))?;
    Some(name.to_lowercase())
}

/// True for text that is one label of a host: letters, digits and hyphens (RFC 1123 section 2.1). What is no label would be
/// several, or none.
pub(super) fn is_label(text: &str) -> bool {
    let fits = !text.is_empty() && text.len() <= LABEL_BYTES_MAX;
    fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
