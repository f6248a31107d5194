//! `[kdns_api]`: the record interface of kdns.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ringdns_engine::name::WireName;
use serde::Deserialize;
use toml::Spanned;

use super::Token;
use super::change::Changes;
use super::health;
use super::problem::Problems;
use super::secret;
use super::validate::token;
use crate::tls::{self, TlsFiles};

/// Where the interface listens unless the file says otherwise: the port of the original, on loopback only.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5500);

/// Longest name of this server in numbers of clients, in bytes: as long as that of a machine.
const HOST_BYTES_MAX: usize = 255;

/// `[kdns_api]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KdnsApi {
    /// Zones that can be written.
    pub zones: Option<Spanned<Vec<Spanned<String>>>>,
    /// Address and TCP port.
    pub listen: Option<Spanned<SocketAddr>>,
    /// Our certificate.
    pub cert_file: Option<Spanned<PathBuf>>,
    /// The key of our certificate.
    pub key_file: Option<Spanned<PathBuf>>,
    /// Certificates of who signs those of clients.
    pub client_ca_file: Option<Spanned<PathBuf>>,
    /// A file whose first line is the token that requests need.
    pub token_file: Option<Spanned<PathBuf>>,
    /// The token itself.
    pub token: Option<Spanned<String>>,
    /// True: whoever reaches the address may write.
    pub open: Option<bool>,
    /// What this server is called in numbers of clients.
    pub metrics_host: Option<Spanned<String>>,
}

/// The record interface of kdns.
#[derive(Clone, Debug)]
pub struct KdnsApiConfig {
    /// Address and TCP port.
    pub listen: SocketAddr,
    /// Zones that can be written, in lower case; at least one, none twice.
    pub zones: Vec<WireName>,
    /// How connections are protected; none: not at all.
    pub tls: Option<TlsFiles>,
    /// What every request needs; none: nothing.
    pub token: Option<Token>,
    /// What this server is called in numbers of clients.
    pub metrics_host: String,
}

impl KdnsApiConfig {
    /// The zones can change; the interface is not opened anew.
    pub(super) fn take(running: Option<&mut Self>, new: Option<&Self>, changes: &mut Changes) {
        let listen = [running.as_deref(), new].map(|config| config.map(|config| config.listen));
        changes.restart("kdns_api.listen", &listen[0], &listen[1]);
        let (Some(running), Some(new)) = (running, new) else { return };
        changes.live("kdns_api.zones", &mut running.zones, &new.zones);
        changes.restart("kdns_api.cert_file", &running.tls, &new.tls);
        changes.restart("kdns_api.metrics_host", &running.metrics_host, &new.metrics_host);
        let same_token = match (&running.token, &new.token) {
            (Some(running), Some(new)) => running.is_same(new),
            (None, None) => true,
            _ => false,
        };
        changes.restart("kdns_api.token", &true, &same_token);
    }
}

/// Checks the table; nothing where no zones are given.
pub(super) fn kdns_api(spec: &KdnsApi, base: &Path, problems: &mut Problems<'_>) -> Option<KdnsApiConfig> {
    let token = token(["kdns_api.token", "kdns_api.token_file"], &spec.token, &spec.token_file, base, problems);
    let tls = tls(spec, base, problems);
    let Some(list) = &spec.zones else {
        if let Some(listen) = &spec.listen {
            let remedy = "set kdns_api.zones, such as [\"example.com.\"], or remove the table";
            problems.add(Some(listen.span()), "kdns_api.listen", "no zone is named that could be written", remedy);
        }
        return None;
    };
    let zones = zones(list, problems);
    let listen = spec.listen.as_ref().map_or(LISTEN_DEFAULT, |listen| *listen.get_ref());
    let has_token = spec.token.is_some() || spec.token_file.is_some();
    let is_guarded = has_token || spec.client_ca_file.is_some() || spec.open == Some(true);
    if !listen.ip().is_loopback() && !is_guarded {
        problems.add(
            spec.listen.as_ref().map(Spanned::span),
            "kdns_api.listen",
            format!("{listen} can be reached from other machines, and whoever reaches it may write"),
            "set kdns_api.token_file or kdns_api.client_ca_file, or open = true if that is meant",
        );
    }
    Some(KdnsApiConfig { listen, zones, tls, token, metrics_host: metrics_host(spec, problems) })
}

/// What this server is called in numbers of clients; the machine's name where the file does not say it.
fn metrics_host(spec: &KdnsApi, problems: &mut Problems<'_>) -> String {
    const KEY: &str = "kdns_api.metrics_host";
    let Some(given) = &spec.metrics_host else { return health::name(None, KEY, problems) };
    let text = given.get_ref();
    if text.is_empty() || text.len() > HOST_BYTES_MAX || text.chars().any(char::is_control) {
        let message = format!("\"{text}\" is no name for a server");
        problems.add(Some(given.span()), KEY, message, format!("write 1 to {HOST_BYTES_MAX} characters"));
    }
    text.clone()
}

/// Checks the zones.
fn zones(list: &Spanned<Vec<Spanned<String>>>, problems: &mut Problems<'_>) -> Vec<WireName> {
    const KEY: &str = "kdns_api.zones";
    const FORM: &str = "write a name such as \"example.com.\" or \"168.192.in-addr.arpa.\"";
    if list.get_ref().is_empty() {
        problems.add(Some(list.span()), KEY, "no zone is given", "name one or more, or remove the table");
    }
    let mut zones: Vec<WireName> = Vec::new();
    for entry in list.get_ref() {
        let fault = match entry.get_ref().parse::<WireName>().map(|name| name.to_lowercase()) {
            Ok(name) if name.label_count() == 0 => ("the root is no zone of yours".to_owned(), FORM),
            Ok(name) if zones.contains(&name) => (format!("{name} is named before"), "name each zone once"),
            Ok(name) => {
                zones.push(name);
                continue;
            }
            Err(error) => (format!("\"{}\" is no domain name: {error}", entry.get_ref()), FORM),
        };
        problems.add(Some(entry.span()), KEY, fault.0, fault.1);
    }
    zones
}

/// The certificates: read here, so that whatever is wrong with them is told with the rest.
fn tls(spec: &KdnsApi, base: &Path, problems: &mut Problems<'_>) -> Option<TlsFiles> {
    let (cert, key) = match (&spec.cert_file, &spec.key_file) {
        (Some(cert), Some(key)) => (cert, key),
        (Some(file), None) | (None, Some(file)) => {
            let message = "of cert_file and key_file one is given";
            problems.add(Some(file.span()), "kdns_api.cert_file", message, "give both or none");
            return None;
        }
        (None, None) => {
            if let Some(file) = &spec.client_ca_file {
                let message = "clients show certificates over TLS only";
                let remedy = "give cert_file and key_file too";
                problems.add(Some(file.span()), "kdns_api.client_ca_file", message, remedy);
            }
            return None;
        }
    };
    let files = TlsFiles {
        cert: base.join(cert.get_ref()),
        key: base.join(key.get_ref()),
        client_ca: spec.client_ca_file.as_ref().map(|file| base.join(file.get_ref())),
    };
    secret::read(&files.key, key.span(), "kdns_api.key_file", "openssl genpkey -algorithm ED25519", problems)?;
    if let Err(error) = tls::load(&files) {
        let remedy = "give certificate and key in PEM form, the certificate's chain behind it";
        problems.add(Some(cert.span()), "kdns_api.cert_file", error.to_string(), remedy);
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    /// A configuration with these lines in the table.
    fn parse(lines: &str) -> Result<Config, String> {
        let port = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n";
        Config::parse(Path::new("/etc/ringdns/ringdns.toml"), &format!("{port}[kdns_api]\n{lines}"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_off_without_zones_and_on_loopback_with_them() {
        assert!(parse("").unwrap().kdns_api.is_none());
        let kdns = parse("zones = [\"TST.local\", \"168.192.in-addr.arpa.\"]").unwrap().kdns_api.unwrap();
        assert_eq!((kdns.listen, kdns.tls, kdns.token.is_some()), (LISTEN_DEFAULT, None, false));
        assert!(!kdns.metrics_host.is_empty(), "the machine's name");
        let named = parse("zones = [\"a.\"]\nmetrics_host = \"dns 1 ^^\"").unwrap().kdns_api.unwrap();
        assert_eq!(named.metrics_host, "dns 1 ^^");
        assert_eq!(kdns.zones, ["tst.local.", "168.192.in-addr.arpa."].map(|zone| zone.parse().unwrap()));
        let open = parse("zones = [\"a.\"]\nlisten = \"192.0.2.1:5500\"\nopen = true").unwrap().kdns_api.unwrap();
        assert_eq!(open.listen, "192.0.2.1:5500".parse().unwrap());
        assert!(parse("zones = [\"a.\"]\nlisten = \"192.0.2.1:5500\"\ntoken = \"t\"").is_ok());
    }

    #[test]
    fn each_mistake_is_named() {
        for (lines, expected) in [
            ("zones = []", "kdns_api.zones: no zone is given"),
            ("zones = [\"a.\", \"A\"]", "kdns_api.zones: a. is named before"),
            ("zones = [\".\"]", "kdns_api.zones: the root is no zone of yours"),
            ("zones = [\"a..b\"]", "kdns_api.zones: \"a..b\" is no domain name"),
            ("listen = \"127.0.0.1:1\"", "kdns_api.listen: no zone is named that could be written; set kdns_api.zones"),
            ("zones = [\"a.\"]\nlisten = \"0.0.0.0:5500\"", "kdns_api.listen: 0.0.0.0:5500 can be reached from other"),
            ("zones = [\"a.\"]\ncert_file = \"c\"", "of cert_file and key_file one is given; give both or none"),
            ("zones = [\"a.\"]\nclient_ca_file = \"c\"", "clients show certificates over TLS only"),
            (
                "zones = [\"a.\"]\ncert_file = \"c\"\nkey_file = \"k\"",
                "kdns_api.key_file: /etc/ringdns/k cannot be read",
            ),
            ("zones = [\"a.\"]\ntoken = \"\"", "kdns_api.token: the token is empty"),
            (
                "zones = [\"a.\"]\nmetrics_host = \"\"",
                "kdns_api.metrics_host: \"\" is no name for a server; write 1 to",
            ),
        ] {
            let problems = parse(lines).unwrap_err();
            assert!(problems.contains(expected), "{expected} in {problems}");
        }
    }

    #[test]
    fn zones_can_change_and_all_else_needs_a_restart() {
        let mut running = parse("zones = [\"a.\"]").unwrap();
        let new = parse("zones = [\"b.\"]\ntoken = \"t\"\nlisten = \"127.0.0.1:1\"").unwrap();
        let changes = running.take(&new);
        assert_eq!((&changes.live[..], changes.restart.len()), (&["kdns_api.zones".to_owned()][..], 2));
        assert_eq!(changes.restart, ["kdns_api.listen", "kdns_api.token"]);
        assert_eq!(running.kdns_api.as_ref().unwrap().zones, new.kdns_api.as_ref().unwrap().zones);
        assert_eq!(running.take(&parse("").unwrap()).restart, ["kdns_api.listen"]);
    }
}
