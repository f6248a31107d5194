//! `[[transfer]]`: who may have whole zones.

use std::net::IpAddr;

use ringdns_engine::name::WireName;
use ringdns_engine::rate::{Network, NetworkError};
use serde::Deserialize;
use toml::Spanned;

use super::problem::Problems;

/// Stands for every zone, and for every address.
const ALL: &str = "*";

/// `[[transfer]]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Zones, or `*`.
    pub zones: Spanned<Vec<Spanned<String>>>,
    /// Addresses and networks, or `*`.
    pub to: Spanned<Vec<Spanned<String>>>,
}

/// Who may have which zones as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferConfig {
    /// The zones, in lower case; nothing: every zone.
    pub zones: Option<Vec<WireName>>,
    /// The networks; nothing: everybody.
    pub to: Option<Vec<Network>>,
}

impl TransferConfig {
    /// True where a client may have a zone, whose name is in lower case.
    pub(crate) fn allows(&self, zone: &WireName, client: IpAddr) -> bool {
        self.zones.as_ref().is_none_or(|zones| zones.contains(zone))
            && self.to.as_ref().is_none_or(|networks| networks.iter().any(|network| network.contains(client)))
    }
}

/// Checks the tables.
pub(super) fn transfers(specs: &[Spanned<Transfer>], problems: &mut Problems<'_>) -> Vec<TransferConfig> {
    let check = |(index, spec): (usize, &Spanned<Transfer>)| {
        let key = |key: &str| format!("transfer[{index}].{key}");
        let Transfer { zones, to } = spec.get_ref();
        let zones = list(zones, &key("zones"), "name one zone or more, or \"*\" for all", problems, |text| {
            let zone = text.parse::<WireName>().map(|zone| zone.to_lowercase());
            let remedy = || "write a name such as \"example.org.\", or \"*\"".to_owned();
            zone.map_err(|error| (format!("\"{text}\" is no domain name: {error}"), remedy()))
        });
        let to = list(to, &key("to"), "name one network or more, or \"*\" for everybody", problems, network);
        TransferConfig { zones, to }
    };
    specs.iter().enumerate().map(check).collect()
}

/// Reads an address or a network; else what is wrong, and the remedy.
fn network(text: &str) -> Result<Network, (String, String)> {
    text.parse().map_err(|error| {
        let remedy = match error {
            NetworkError::HostBits(network) => format!("write \"{network}\""),
            _ => "write an address, a network such as \"192.0.2.0/24\" or \"2001:db8::/32\", or \"*\"".to_owned(),
        };
        (format!("\"{text}\" is no network: {error}"), remedy)
    })
}

/// Reads a list that is not empty; nothing where it has `*`.
fn list<T>(
    list: &Spanned<Vec<Spanned<String>>>,
    key: &str,
    needed: &str,
    problems: &mut Problems<'_>,
    read: impl Fn(&str) -> Result<T, (String, String)>,
) -> Option<Vec<T>> {
    if list.get_ref().is_empty() {
        problems.add(Some(list.span()), key, "the list is empty", needed);
    }
    let (mut values, mut is_all) = (Vec::new(), false);
    for entry in list.get_ref() {
        if entry.get_ref() == ALL {
            is_all = true;
            continue;
        }
        match read(entry.get_ref()) {
            Ok(value) => values.push(value),
            Err((message, remedy)) => problems.add(Some(entry.span()), key, message, remedy),
        }
    }
    (!is_all).then_some(values)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::TransferConfig;
    use crate::config::Config;

    /// The tables of a configuration that has them behind a port.
    fn parse(text: &str) -> Result<Vec<TransferConfig>, String> {
        let text = format!("{text}\n[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n");
        Config::parse(Path::new("c.toml"), &text).map(|config| config.transfers).map_err(|error| error.to_string())
    }

    /// The places of the tables that allow a client a zone.
    fn allowing(tables: &[TransferConfig], zone: &str, client: &str) -> Vec<usize> {
        let (zone, client) = (zone.parse().unwrap(), client.parse().unwrap());
        (0..tables.len()).filter(|&index| tables[index].allows(&zone, client)).collect()
    }

    #[test]
    fn zones_and_clients_are_both_looked_at() {
        assert!(parse("").unwrap().is_empty(), "nobody, unless it is said");
        let tables = parse(
            "[[transfer]]\nzones = [\"Example.org\"]\nto = [\"192.0.2.0/24\", \"2001:db8::1\"]\n\
             [[transfer]]\nzones = [\"*\"]\nto = [\"10.0.0.1\"]\n[[transfer]]\nzones = [\"a.\"]\nto = [\"*\", \"10.0.0.0/8\"]",
        )
        .unwrap();
        for (zone, client, places) in [
            ("example.org.", "192.0.2.7", &[0][..]),
            ("example.org.", "2001:db8::1", &[0]),
            ("example.org.", "2001:db8::2", &[]),
            ("sub.example.org.", "192.0.2.7", &[]),
            ("anything.", "10.0.0.1", &[1]),
            ("a.", "10.0.0.1", &[1, 2]),
            ("a.", "::1", &[2]),
        ] {
            assert_eq!(allowing(&tables, zone, client), places, "{zone} {client}");
        }
    }

    #[test]
    fn mistakes_are_named_with_place_and_remedy() {
        for (zones, to, expected) in [
            (
                "[]",
                "[\"*\"]",
                "c.toml:2:9: transfer[0].zones: the list is empty; name one zone or more, or \"*\" for all",
            ),
            ("[\"*\"]", "[]", "c.toml:3:6: transfer[0].to: the list is empty; name one network or more"),
            ("[\"a..b\"]", "[\"*\"]", "transfer[0].zones: \"a..b\" is no domain name"),
            ("[\"*\"]", "[\"10.0.0.1/8\"]", "the network is 10.0.0.0/8; write \"10.0.0.0/8\""),
            (
                "[\"*\"]",
                "[\"ns2\"]",
                "\"ns2\" is no network: no IPv4 or IPv6 address; write an address, a network such as",
            ),
            ("\"*\"", "[\"*\"]", "invalid type"),
        ] {
            let found = parse(&format!("[[transfer]]\nzones = {zones}\nto = {to}")).unwrap_err();
            assert!(found.contains(expected), "{zones} {to}: {found}");
        }
        assert!(parse("[[transfer]]\nzones = [\"*\"]").unwrap_err().contains("missing field `to`"));
    }
}
