//! The labels of endpoints.

use std::borrow::Cow;
use std::net::IpAddr;

use super::names::is_label;
use super::pack::Endpoint;
use crate::options::EndpointLabel;

/// The label of an endpoint: its host name, else what the mode makes of it.
pub(super) fn label<'a>(endpoint: &Endpoint<'a>, mode: EndpointLabel) -> Cow<'a, str> {
    if is_label(endpoint.hostname) {
        return Cow::Borrowed(endpoint.hostname);
    }
    match mode {
        // What has a dot in it would be two labels, by which no endpoint is asked for.
        EndpointLabel::PodName if is_label(endpoint.pod) => Cow::Borrowed(endpoint.pod),
        _ => Cow::Owned(of_address(endpoint.address, mode)),
    }
}

/// The label of an address.
pub(super) fn of_address(address: IpAddr, mode: EndpointLabel) -> String {
    match mode {
        EndpointLabel::DashedAddress | EndpointLabel::PodName => dashed(address),
        EndpointLabel::KubeDnsHash => {
            // How Go prints the record: host, port, priority, weight, text, mail, TTL, targetstrip, group, key.
            let hash = fnv(&format!("&{{{address} 0 10 10  false 30 0  }}"));
            // The bytes of that text are digits and letters, so each has two digits itself.
            let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
            format!("{hash:x}").bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
        }
        EndpointLabel::Kube2skyHash => {
            let json = format!(r#"{{"host":"{address}","priority":10,"weight":10,"ttl":30,"targetstrip":0}}"#);
            format!("{:x}", fnv(&json))
        }
    }
}

/// An address with dashes for its dots and colons. One that ends in a colon gets a digit behind it: no label of a host ends
/// in a hyphen.
pub(crate) fn dashed(address: IpAddr) -> String {
    let mut label = address.to_string().replace(['.', ':'], "-");
    if label.ends_with('-') {
        label.push('0');
    }
    label
}

/// FNV-1a of 32 bits.
pub(crate) fn fnv(text: &str) -> u32 {
    /// What an empty text gives.
    const BASIS: u32 = 0x811c_9dc5;
    /// What each step multiplies by.
    const PRIME: u32 = 0x0100_0193;
    text.bytes().fold(BASIS, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(PRIME))
}
