//! Upstreams by the name of their host, whose addresses are asked of other upstreams: of those given by address, and never of
//! itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use ringdns_engine::name::WireName;

use super::upstream::{self, HTTPS_PORT, PLAIN_PORT, TLS_PORT};
use super::{ForwardMode, ForwardZone, UpstreamConfig};

/// An upstream whose addresses have to be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedUpstream {
    /// How many upstreams of the zone with an address stand before it.
    pub place: usize,
    /// The name of its host, in lower case.
    pub host: WireName,
    /// The upstream, at an address that stands for none.
    nowhere: UpstreamConfig,
}

/// An upstream as it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// By its address.
    At(UpstreamConfig),
    /// By its name.
    Named(NamedUpstream),
}

impl NamedUpstream {
    /// The upstream at an address.
    pub fn at(&self, ip: IpAddr) -> UpstreamConfig {
        let mut upstream = self.nowhere.clone();
        let (UpstreamConfig::Plain(address)
        | UpstreamConfig::Tls { address, .. }
        | UpstreamConfig::Https { address, .. }) = &mut upstream;
        address.set_ip(ip);
        upstream
    }

    /// The upstream without an address: one at which nobody can be asked.
    pub fn nowhere(&self) -> &UpstreamConfig {
        &self.nowhere
    }

    /// The same behind so many upstreams with an address, its certificate signed by whom a file names.
    pub(super) fn placed(self, place: usize, signers: Option<&std::path::PathBuf>) -> Self {
        Self { place, nowhere: self.nowhere.signed_by(signers), ..self }
    }
}

impl FromStr for NamedUpstream {
    type Err = String;

    /// Reads an upstream by name, as the first of its zone; the error says what is wrong.
    fn from_str(text: &str) -> Result<Self, String> {
        named(text)?.ok_or_else(|| format!("\"{text}\" names no host"))
    }
}

impl fmt::Display for NamedUpstream {
    /// As it is written in the configuration, the port left out where it is the usual one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.to_string();
        let host = host.trim_end_matches('.');
        let port = |usual: u16| {
            let port = self.nowhere.address().port();
            if port == usual { String::new() } else { format!(":{port}") }
        };
        match &self.nowhere {
            UpstreamConfig::Plain(_) => write!(f, "{host}{}", port(PLAIN_PORT)),
            UpstreamConfig::Tls { name, .. } => {
                write!(f, "tls://{host}{}", port(TLS_PORT))?;
                let other = name.as_deref().filter(|name| *name != host);
                other.map_or(Ok(()), |name| write!(f, "#{name}"))
            }
            UpstreamConfig::Https { path, .. } => write!(f, "https://{host}{}{path}", port(HTTPS_PORT)),
        }
    }
}

/// The address that stands for none.
fn nowhere(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)
}

/// Reads an upstream; the error says what is wrong.
pub(super) fn given(text: &str) -> Result<Given, String> {
    match named(text)? {
        Some(named) => Ok(Given::Named(named)),
        None => text.parse().map(Given::At),
    }
}

/// Reads an upstream by name; nothing for one that is given otherwise.
fn named(text: &str) -> Result<Option<NamedUpstream>, String> {
    let made = |host: &str, nowhere| {
        let host = host.parse::<WireName>().map_err(|error| format!("\"{host}\" is no name of a host: {error}"))?;
        Ok(Some(NamedUpstream { place: 0, host: host.to_lowercase(), nowhere }))
    };
    if let Some(rest) = text.strip_prefix("https://") {
        if rest.contains('#') {
            return Ok(None);
        }
        let (authority, path) = upstream::url(rest);
        let Some((host, port)) = host_and_port(authority, HTTPS_PORT)? else { return Ok(None) };
        let (name, path) = (upstream::host(host)?, upstream::path(path)?);
        return made(host, UpstreamConfig::Https { address: nowhere(port), name, path, ca_file: None });
    }
    if let Some(rest) = text.strip_prefix("tls://") {
        let (place, name) = rest.split_once('#').map_or((rest, None), |(place, name)| (place, Some(name)));
        let Some((host, port)) = host_and_port(place, TLS_PORT)? else { return Ok(None) };
        let name = Some(upstream::host(name.unwrap_or(host))?);
        return made(host, UpstreamConfig::Tls { address: nowhere(port), name, ca_file: None });
    }
    if text.contains("://") {
        return Ok(None);
    }
    match host_and_port(text, PLAIN_PORT)? {
        Some((host, port)) => made(host, UpstreamConfig::Plain(nowhere(port))),
        None => Ok(None),
    }
}

/// A name with a port or without; nothing for what is none, which an address is, whether it is right or not.
fn host_and_port(text: &str, default: u16) -> Result<Option<(&str, u16)>, String> {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    // RFC 1123 section 2.1: a name that ends in a number would be taken for an address.
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    if is_number || upstream::host(host).is_err() {
        return Ok(None);
    }
    let wrong = |port: &str| format!("\"{port}\" is no port");
    match port {
        None => Ok(Some((host, default))),
        Some(port) => match port.parse() {
            Ok(number) if number > 0 => Ok(Some((host, number))),
            _ => Err(wrong(port)),
        },
    }
}

impl ForwardZone {
    /// True where somebody is given by address who can be asked for a name of the zone.
    fn asks_by_address(&self) -> bool {
        self.mode != ForwardMode::Disable && (!self.upstreams.is_empty() || self.resolv_conf.is_some())
    }
}

/// The first upstream of a zone whose address nobody can be asked for: all who would be asked are given by name themselves.
pub(super) fn unreachable<'a>(zone: &'a ForwardZone, zones: &[ForwardZone]) -> Option<&'a WireName> {
    let is_asked = |host: &WireName| {
        let is_for =
            |other: &&ForwardZone| other.zone.contains(host) && !other.except.iter().any(|not| not.contains(host));
        zones.iter().filter(is_for).any(ForwardZone::asks_by_address)
    };
    zone.named.iter().map(|named| &named.host).find(|host| !is_asked(host))
}
