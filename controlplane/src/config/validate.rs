//! From the raw spec to the checked value. Every check adds a problem and goes on, so that one run reports them all.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringdns_engine::name::WireName;
use toml::Spanned;

use super::access::tokens;
use super::cluster_http::cluster_http;
use super::containerdns_api::containerdns_api;
use super::corefile::kube_dns_directory;
use super::dns::dns;
use super::etcd::etcd;
use super::file::{self, Spec, SpecError};
use super::forward::{self, forward, policy};
use super::health::{Tables, check_enabled, health};
use super::kdns_api::kdns_api;
use super::kubernetes::kubernetes;
use super::kubesync::kubesync;
use super::node_local::node_local;
use super::port::ports;
use super::problem::Problems;
use super::rate_limit::rate_limit;
use super::shutdown::shutdown;
use super::sockets::sockets;
use super::stats::stats;
use super::transfer::transfers;
use super::view::views;
use super::workers::workers;
use super::{
    AdminConfig, Config, ConfigError, CorefileConfig, EalConfig, LogConfig, LogFormat, NodeLocalConfig, Token,
    ZoneFileConfig, secret, store,
};

/// Where the admin API listens unless the file says otherwise.
const ADMIN_LISTEN: std::net::SocketAddr = std::net::SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8053);

/// Least memory for packet buffers: a pool for one port and worker.
const MEMORY_MIB_MIN: i64 = 64;

/// Most memory for packet buffers: a slip of the pen beyond it.
const MEMORY_MIB_MAX: i64 = 65_536;

/// Longest token in bytes: it travels in one header line.
const TOKEN_BYTES_MAX: usize = 1024;

/// Checks what was read from text.
pub(super) fn validate(
    path: &Path,
    text: &str,
    spec: Result<Spec, SpecError>,
    corefile: Option<CorefileConfig>,
) -> Result<Config, ConfigError> {
    let mut problems = Problems::new(path, text);
    match spec {
        Ok(Spec::V1(spec)) => {
            let base = path.parent().unwrap_or(Path::new(""));
            let config = checked((path, base), *spec, corefile.is_some(), &mut problems);
            problems.finish(Config { fingerprint: fingerprint(text), corefile, ..config })
        }
        Err(error) => {
            add_spec_error(&mut problems, &error);
            Err(problems.into_error())
        }
    }
}

/// A number that differs for other text: FNV-1a in 64 bits, the same on every machine.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Notes what the TOML reader has against the text.
pub(super) fn add_spec_error(problems: &mut Problems<'_>, error: &SpecError) {
    match error {
        SpecError::Toml(toml) => {
            let message = toml.message().trim().replace('\n', ", ");
            let remedy = if message.starts_with("unknown field") {
                "remove the key or correct its name; conf/example.toml shows every key"
            } else {
                "see conf/example.toml for the form"
            };
            problems.add(toml.span(), "", message, remedy);
        }
        SpecError::Version { span, .. } => {
            problems.add(Some(span.clone()), "version", error.to_string(), "write version = 1 or leave the key out");
        }
    }
}

/// Checks table by table, those of a file and of where it is. `is_corefile`: there is a Corefile behind them.
fn checked((path, base): (&Path, &Path), spec: file::V1, is_corefile: bool, problems: &mut Problems<'_>) -> Config {
    let is_stored = store::is_in_etcd(&spec.store);
    let health = health(&Tables::of(&spec), base, problems);
    let etcd = etcd(&spec.etcd, &spec.etcd_tree, is_stored, health.all_down, base, problems);
    check_enabled(&spec, problems);
    let cluster_http = cluster_http(&spec.cluster_http, problems);
    let sockets = sockets(&spec.sockets, problems);
    let node_local = node_local(spec.node_local.as_ref(), sockets.udp, &cluster_http, problems);
    let ports = ports(&spec.port, !sockets.listen.is_empty() || node_local.is_some(), problems);
    let stubs = spec.etcd_tree.iter().find_map(|tree| tree.get_ref().stubs());
    let is_translated = is_corefile || spec.kube_dns_config.directory.is_some();
    let tables = forward::Tables { forward: spec.forward, cache: spec.cache, stubs, is_translated };
    let is_forwarding = tables.forward.is_some();
    // A question that came back by the node's own addresses would go round as by the others.
    let listen: Vec<SocketAddr> =
        sockets.listen.iter().copied().chain(node_local.iter().flat_map(NodeLocalConfig::listen)).collect();
    Config {
        path: path.to_path_buf(),
        fingerprint: 0,
        corefile: None,
        kube_dns_directory: kube_dns_directory(&spec.kube_dns_config, base, problems),
        dns: dns(&spec.dns, base, problems),
        rate_limit: rate_limit(&spec.rate_limit, problems),
        forward: forward(tables, base, (&ports, &listen), problems),
        policy: policy(spec.policy, is_forwarding, base, problems),
        ports,
        sockets,
        workers: workers(&spec.workers, problems),
        eal: eal(&spec.eal, problems),
        store: store::store(spec.store, etcd.is_some(), base, problems),
        zone_files: zone_files(&spec.zone_file, path, problems),
        containerdns_api: containerdns_api(&spec.containerdns_api, etcd.as_ref(), base, problems),
        kubesync: kubesync(spec.kubesync.as_ref(), &health.keys.status_path, etcd.is_some(), problems),
        etcd,
        kubernetes: kubernetes(spec.kubernetes.as_ref(), base, problems),
        health,
        views: views(&spec.view, problems),
        transfers: transfers(&spec.transfer, problems),
        admin: admin(spec.admin, &spec.admin_token, base, problems),
        stats: stats(&spec.stats, &spec.containerdns_stats, &cluster_http, base, problems),
        kdns_api: kdns_api(&spec.kdns_api, base, problems),
        cluster_http,
        node_local,
        shutdown: shutdown(&spec.shutdown, problems),
        log: log(spec.log, problems),
    }
}

/// A whole number within bounds, or the default with a problem noted.
pub(super) fn number(
    value: Option<&Spanned<i64>>,
    key: &str,
    bounds: RangeInclusive<i64>,
    unit: &str,
    default: i64,
    problems: &mut Problems<'_>,
) -> i64 {
    let Some(value) = value else { return default };
    let found = *value.get_ref();
    if bounds.contains(&found) {
        return found;
    }
    let remedy = format!("give a number from {} to {}{unit}", bounds.start(), bounds.end());
    problems.add(Some(value.span()), key, format!("{found} is out of bounds"), remedy);
    default
}

/// A number that its bounds keep within 16 bits.
pub(super) fn small(value: i64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// `[eal]`
fn eal(spec: &file::Eal, problems: &mut Problems<'_>) -> EalConfig {
    let bounds = MEMORY_MIB_MIN..=MEMORY_MIB_MAX;
    let memory = number(spec.memory_mib.as_ref(), "eal.memory_mib", bounds, " MiB", 256, problems);
    EalConfig { hugepages: spec.hugepages.unwrap_or(false), memory_mib: u32::try_from(memory).unwrap_or(u32::MAX) }
}

/// `[[zone_file]]`
fn zone_files(specs: &[Spanned<file::ZoneFile>], file: &Path, problems: &mut Problems<'_>) -> Vec<ZoneFileConfig> {
    let base = file.parent().unwrap_or(Path::new(""));
    let mut zones: Vec<ZoneFileConfig> = Vec::new();
    let mut seen: HashMap<WireName, usize> = HashMap::new();
    for (index, spec) in specs.iter().enumerate() {
        let key = format!("zone_file[{index}].zone");
        let spec = spec.get_ref();
        let span: Option<Range<usize>> = Some(spec.zone.span());
        let (path, text) = content(index, spec, file, problems);
        match spec.zone.get_ref().parse::<WireName>() {
            Err(error) => {
                let message = format!("\"{}\" is no domain name: {error}", spec.zone.get_ref());
                problems.add(span, key, message, "write a name such as \"example.org.\"");
            }
            Ok(zone) => {
                if let Some(before) = seen.insert(zone.clone(), index) {
                    let message = format!("zone {zone} is already that of zone_file[{before}]");
                    problems.add(span, key, message, "keep one of the two, or join them by $INCLUDE");
                }
                zones.push(ZoneFileConfig { zone: zone.to_lowercase(), path: base.join(path), text });
            }
        }
    }
    zones
}

/// Where the content of a zone is: a file, or text of the configuration's own file.
fn content(
    index: usize,
    spec: &file::ZoneFile,
    file: &Path,
    problems: &mut Problems<'_>,
) -> (PathBuf, Option<Arc<str>>) {
    let key = |name: &str| format!("zone_file[{index}].{name}");
    match (&spec.path, &spec.text) {
        (Some(path), None) if path.get_ref().as_os_str().is_empty() => {
            problems.add(Some(path.span()), key("path"), "the path is empty", "name the zone file");
        }
        (Some(path), None) => return (path.get_ref().clone(), None),
        (None, Some(text)) => {
            let name = file.file_name().map(PathBuf::from).unwrap_or_default();
            return (name, Some(text.get_ref().as_str().into()));
        }
        (Some(_), Some(text)) => {
            problems.add(Some(text.span()), key("text"), "path and text are both given", "keep one of the two");
        }
        (None, None) => {
            problems.add(Some(spec.zone.span()), key("path"), "nothing says what is in the zone", "name its file");
        }
    }
    (PathBuf::new(), None)
}

/// `[admin]`
fn admin(
    spec: file::Admin,
    token_specs: &[Spanned<super::access::AdminToken>],
    base: &Path,
    problems: &mut Problems<'_>,
) -> AdminConfig {
    let keys = ["admin.token", "admin.token_file"];
    let token = token(keys, &spec.token, &spec.token_file, base, problems);
    let tokens = tokens(token_specs, base, problems);
    let has_token = spec.token.is_some() || spec.token_file.is_some() || !token_specs.is_empty();
    let read_needs_token = spec.read_needs_token.as_ref().is_some_and(|needs| *needs.get_ref());
    if let Some(needs) = spec.read_needs_token.filter(|needs| *needs.get_ref() && !has_token) {
        let remedy = "set admin.token_file, or remove the key";
        problems.add(Some(needs.span()), "admin.read_needs_token", "no token is set", remedy);
    }
    let listen = spec.listen.unwrap_or_else(|| Spanned::new(0..0, ADMIN_LISTEN));
    if !listen.get_ref().ip().is_loopback() && !has_token {
        problems.add(
            Some(listen.span()),
            "admin.listen",
            format!("{} can be reached from other machines, and no token is set", listen.get_ref()),
            "set admin.token_file, or listen on 127.0.0.1 or [::1]",
        );
    }
    AdminConfig { listen: listen.into_inner(), token, tokens, read_needs_token }
}

/// A token that is given itself or by a file that only its owner and group may read; `keys` are those of the two.
pub(super) fn token(
    [key, file_key]: [&str; 2],
    token: &Option<Spanned<String>>,
    file: &Option<Spanned<PathBuf>>,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Option<Token> {
    match (token, file) {
        (Some(token), Some(_)) => {
            let remedy = "keep token_file and remove token";
            problems.add(Some(token.span()), key, "token and token_file are both given", remedy);
            None
        }
        (Some(token), None) => checked_token(token.get_ref(), token.span(), key, problems),
        (None, Some(path)) => {
            let (path, span) = (base.join(path.get_ref()), path.span());
            let text = secret::read(&path, span.clone(), file_key, "openssl rand -hex 32", problems)?;
            checked_token(text.lines().next().unwrap_or("").trim(), span, file_key, problems)
        }
        (None, None) => None,
    }
}

/// Checks that a token can stand in a header.
fn checked_token(text: &str, span: Range<usize>, key: &str, problems: &mut Problems<'_>) -> Option<Token> {
    let fault = if text.is_empty() {
        "the token is empty"
    } else if text.len() > TOKEN_BYTES_MAX {
        "the token is longer than 1024 bytes"
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        "the token has blanks or characters beyond ASCII in it"
    } else {
        return Some(Token::new(text));
    };
    problems.add(Some(span), key, fault, "make one with: openssl rand -hex 32");
    None
}

/// `[log]`
pub(super) fn log(spec: file::Log, problems: &mut Problems<'_>) -> LogConfig {
    let level = spec.level.unwrap_or_else(|| Spanned::new(0..0, "info".to_owned()));
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(level.get_ref()) {
        let message = format!("\"{}\" is no level and no filter: {error}", level.get_ref());
        let remedy = "write error, warn, info, debug or trace, or a filter such as \"info,ringdns_controlplane=debug\"";
        problems.add(Some(level.span()), "log.level", message, remedy);
    }
    let format = match spec.format {
        None => LogFormat::Text,
        Some(word) => match word.get_ref().as_str() {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            other => {
                let message = format!("\"{other}\" is no log format");
                problems.add(Some(word.span()), "log.format", message, "write \"text\" or \"json\"");
                LogFormat::Text
            }
        },
    };
    LogConfig { level: level.into_inner(), format }
}
