//! How upstreams are written.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ringdns_engine::name::WireName;

use super::UpstreamConfig;

/// Where DNS listens (RFC 1035 section 4.2).
pub(super) const PLAIN_PORT: u16 = 53;

/// Where DNS over TLS listens (RFC 7858 section 3.1).
pub(super) const TLS_PORT: u16 = 853;

/// Where HTTPS listens.
pub(super) const HTTPS_PORT: u16 = 443;

/// The path of a URL that has none: the one that everybody uses (RFC 8484 section 4.1 leaves it open).
const PATH: &str = "/dns-query";

/// What is to be written.
pub(super) const REMEDY: &str = "write \"192.0.2.1\", \"192.0.2.1:5353\", \"[2001:db8::1]:53\", \"tls://192.0.2.1#NAME\" or \
                                 \"https://NAME/PATH#192.0.2.1\"; a name in place of an address is looked up";

impl UpstreamConfig {
    /// The same, whose certificate somebody has signed whom a file names; nothing: whom the machine trusts.
    pub(super) fn signed_by(mut self, signers: Option<&PathBuf>) -> Self {
        if let Self::Tls { ca_file, .. } | Self::Https { ca_file, .. } = &mut self {
            *ca_file = signers.cloned();
        }
        self
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Plain(address) | Self::Tls { address, .. } | Self::Https { address, .. } => *address,
        }
    }
}

impl FromStr for UpstreamConfig {
    type Err = String;

    /// Reads an upstream; the error says what is wrong.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("https://") {
            return https(rest);
        }
        if let Some(rest) = text.strip_prefix("tls://") {
            let (address, name) = rest.split_once('#').map_or((rest, None), |(address, name)| (address, Some(name)));
            let address = socket_address(address, TLS_PORT).ok_or_else(|| format!("\"{address}\" is no address"))?;
            let name = name.map(host).transpose()?;
            return Ok(Self::Tls { address, name, ca_file: None });
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!("upstreams are not asked by \"{scheme}\""));
        }
        let address = socket_address(text, PLAIN_PORT).ok_or_else(|| format!("\"{text}\" is no address"))?;
        Ok(Self::Plain(address))
    }
}

/// `NAME[:PORT][/PATH]#ADDRESS`
fn https(rest: &str) -> Result<UpstreamConfig, String> {
    let Some((url, address)) = rest.split_once('#') else {
        return Err("behind the URL stands no \"#\" with the address of its host, which is no name".to_owned());
    };
    let (authority, path) = self::url(url);
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().map_err(|_| format!("\"{port}\" is no port"))?),
        None => (authority, HTTPS_PORT),
    };
    let address =
        address.parse::<IpAddr>().map_err(|_| format!("\"{address}\" behind \"#\" is no address without a port"))?;
    let path = self::path(path)?;
    let address = usable(SocketAddr::new(address, port))?;
    Ok(UpstreamConfig::Https { address, name: host(name)?, path, ca_file: None })
}

/// The host of a URL, with its port, and the path.
pub(super) fn url(url: &str) -> (&str, &str) {
    url.find('/').map_or((url, PATH), |at| url.split_at(at))
}

/// The path of a URL.
pub(super) fn path(path: &str) -> Result<String, String> {
    if path.bytes().any(|byte| !byte.is_ascii_graphic() || b"?{}".contains(&byte)) {
        return Err(format!("\"{path}\" is no path"));
    }
    Ok(path.to_owned())
}

/// The name of a host, as certificates have it.
pub(super) fn host(text: &str) -> Result<String, String> {
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_host) || text.parse::<WireName>().is_err() {
        return Err(format!("\"{text}\" is no name of a host"));
    }
    Ok(text.trim_end_matches('.').to_ascii_lowercase())
}

/// An address with a port, or without one.
pub(super) fn socket_address(text: &str, port: u16) -> Option<SocketAddr> {
    let alone =
        || text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse::<IpAddr>().ok();
    let address = text.parse().ok().or_else(|| Some(SocketAddr::new(alone()?, port)))?;
    usable(address).ok()
}

/// An address that can be asked.
fn usable(address: SocketAddr) -> Result<SocketAddr, String> {
    let ip = address.ip();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    if ip.is_unspecified() || ip.is_multicast() || is_broadcast || address.port() == 0 {
        return Err(format!("{address} is no address that could be asked"));
    }
    Ok(address)
}
