//! From the raw spec to the checked value. Every check adds a problem and goes on, so that one run reports them all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use ringdns_engine::limits::SERVED_ADDRESSES_MAX;
use ringdns_engine::name::WireName;
use toml::Spanned;

use super::dns::dns;
use super::file::{self, Spec, SpecError};
use super::kernel::kernel;
use super::problem::Problems;
use super::rate_limit::rate_limit;
use super::view::views;
use super::{
    AdminConfig, Config, ConfigError, EalConfig, Idle, LogConfig, LogFormat, PortConfig, StoreConfig, Token,
    WorkersConfig, ZoneFileConfig, secret,
};

/// Where the store lies unless the file says otherwise.
const STORE_PATH: &str = "/var/lib/ringdns/ringdns.redb";

/// Where the admin API listens unless the file says otherwise.
const ADMIN_LISTEN: std::net::SocketAddr = std::net::SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8053);

/// CPU ids that the kernel's affinity calls take without a set of their own size (CPU_SETSIZE).
const CORES_MAX: i64 = 1024;

/// Least memory for packet buffers: a pool for one port and worker.
const MEMORY_MIB_MIN: i64 = 64;

/// Most memory for packet buffers: a slip of the pen beyond it.
const MEMORY_MIB_MAX: i64 = 65_536;

/// Smallest MTU: the IPv4 datagram that every host must take (RFC 791).
const MTU_BYTES_MIN: i64 = 576;

/// Smallest MTU of a link that carries IPv6 (RFC 8200 section 5).
const MTU_BYTES_MIN_IPV6: i64 = 1280;

/// Largest MTU: customary jumbo frames.
const MTU_BYTES_MAX: i64 = 9000;

/// Longest token in bytes: it travels in one header line.
const TOKEN_BYTES_MAX: usize = 1024;

/// Reads and checks text.
pub(super) fn validate(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let mut problems = Problems::new(path, text);
    match Spec::parse(text) {
        Ok(Spec::V1(spec)) => {
            let base = path.parent().unwrap_or(Path::new(""));
            let config = checked(path, base, *spec, &mut problems);
            problems.finish(config)
        }
        Err(error) => {
            add_spec_error(&mut problems, &error);
            Err(problems.into_error())
        }
    }
}

/// Notes what the TOML reader has against the text.
fn add_spec_error(problems: &mut Problems<'_>, error: &SpecError) {
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

/// Checks table by table.
fn checked(path: &Path, base: &Path, spec: file::V1, problems: &mut Problems<'_>) -> Config {
    Config {
        path: path.to_path_buf(),
        dns: dns(&spec.dns, base, problems),
        rate_limit: rate_limit(&spec.rate_limit, problems),
        workers: workers(&spec.workers, problems),
        eal: eal(&spec.eal, problems),
        ports: ports(&spec.port, problems),
        store: store(spec.store, base, problems),
        zone_files: zone_files(&spec.zone_file, base, problems),
        views: views(&spec.view, problems),
        admin: admin(spec.admin, base, problems),
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

/// `[workers]`
fn workers(spec: &file::Workers, problems: &mut Problems<'_>) -> WorkersConfig {
    let mut cores = Vec::new();
    if let Some(list) = &spec.cores {
        if list.get_ref().is_empty() {
            problems.add(
                Some(list.span()),
                "workers.cores",
                "no core is given",
                "name one CPU id or more, or leave the key out for the last online core",
            );
        }
        for &core in list.get_ref() {
            match usize::try_from(core).ok().filter(|_| core < CORES_MAX) {
                None => problems.add(
                    Some(list.span()),
                    "workers.cores",
                    format!("{core} is no CPU id"),
                    "lscpu --extended lists the CPU ids of this machine",
                ),
                Some(core) if cores.contains(&core) => problems.add(
                    Some(list.span()),
                    "workers.cores",
                    format!("core {core} is given twice"),
                    "each worker needs a core of its own; name each once",
                ),
                Some(core) => cores.push(core),
            }
        }
    }
    let idle = match &spec.idle {
        None => Idle::Sleep,
        Some(word) => match word.get_ref().as_str() {
            "sleep" => Idle::Sleep,
            "busy" => Idle::Busy,
            other => {
                let message = format!("\"{other}\" is no way to wait");
                problems.add(Some(word.span()), "workers.idle", message, "write \"sleep\" or \"busy\"");
                Idle::Sleep
            }
        },
    };
    WorkersConfig { cores, idle }
}

/// `[eal]`
fn eal(spec: &file::Eal, problems: &mut Problems<'_>) -> EalConfig {
    let bounds = MEMORY_MIB_MIN..=MEMORY_MIB_MAX;
    let memory = number(spec.memory_mib.as_ref(), "eal.memory_mib", bounds, " MiB", 256, problems);
    EalConfig { hugepages: spec.hugepages.unwrap_or(false), memory_mib: u32::try_from(memory).unwrap_or(u32::MAX) }
}

/// `[[port]]`
fn ports(specs: &[Spanned<file::Port>], problems: &mut Problems<'_>) -> Vec<PortConfig> {
    if specs.is_empty() {
        problems.add(
            None,
            "port",
            "no port is configured, so no query could come in",
            "add a [[port]] with device and addresses; conf/example.toml shows one",
        );
    }
    let mut devices = HashMap::new();
    let mut interfaces = HashMap::new();
    let mut kernel_interfaces = HashMap::new();
    (specs.iter().enumerate())
        .map(|(index, spec)| {
            let spec = spec.get_ref();
            device(index, spec, &mut devices, &mut interfaces, problems);
            let kernel = kernel(index, spec, &mut kernel_interfaces, problems);
            PortConfig { kernel, ..port(index, spec, problems) }
        })
        .collect()
}

/// Checks a port's device against those before it.
fn device<'a>(
    index: usize,
    spec: &'a file::Port,
    devices: &mut HashMap<&'a str, usize>,
    interfaces: &mut HashMap<&'a str, usize>,
    problems: &mut Problems<'_>,
) {
    let key = format!("port[{index}].device");
    let span = Some(spec.device.span());
    let text = spec.device.get_ref().as_str();
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let remedy = "write DPDK device arguments such as \"net_tap0,iface=ringdns0\", or a PCI address such as \"0000:01:00.0\"";
        problems.add(span, key, "the device is empty or has blanks in it", remedy);
        return;
    }
    let mut parts = text.split(',');
    let name = parts.next().unwrap_or(text);
    if let Some(before) = devices.insert(name, index) {
        let message = format!("device {name} is already that of port[{before}]");
        problems.add(
            span.clone(),
            key.as_str(),
            message,
            "give each port a device of its own, such as net_tap0 and net_tap1",
        );
    }
    for interface in parts.filter_map(|part| part.strip_prefix("iface=")) {
        if let Some(before) = interfaces.insert(interface, index) {
            let message = format!("interface {interface} is already that of port[{before}]");
            problems.add(span.clone(), key.as_str(), message, "give each port an interface of its own");
        }
    }
}

/// Checks the rest of a port.
fn port(index: usize, spec: &file::Port, problems: &mut Problems<'_>) -> PortConfig {
    let key = |name: &str| format!("port[{index}].{name}");
    let addresses = addresses(&key("addresses"), &spec.addresses, problems);
    let dns_port = number(spec.dns_port.as_ref(), &key("dns_port"), 1..=65_535, "", 53, problems);
    let vlan = (spec.vlan.as_ref())
        .map(|_| small(number(spec.vlan.as_ref(), &key("vlan"), 1..=4094, " (IEEE 802.1Q)", 1, problems)));
    let ipv6 = addresses.iter().any(IpAddr::is_ipv6);
    let mtu_min = if ipv6 { MTU_BYTES_MIN_IPV6 } else { MTU_BYTES_MIN };
    let mtu = (spec.mtu.as_ref())
        .map(|_| small(number(spec.mtu.as_ref(), &key("mtu"), mtu_min..=MTU_BYTES_MAX, " bytes", 1500, problems)));
    PortConfig { device: spec.device.get_ref().clone(), addresses, dns_port: small(dns_port), vlan, mtu, kernel: None }
}

/// Checks served addresses.
fn addresses(key: &str, list: &Spanned<Vec<Spanned<IpAddr>>>, problems: &mut Problems<'_>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    if list.get_ref().is_empty() {
        problems.add(Some(list.span()), key, "no address is given", "name the IPv4 or IPv6 addresses to answer for");
    }
    if list.get_ref().len() > SERVED_ADDRESSES_MAX {
        let message = format!("{} addresses are given", list.get_ref().len());
        let remedy = format!("a port serves at most {SERVED_ADDRESSES_MAX}");
        problems.add(Some(list.span()), key, message, remedy);
    }
    for entry in list.get_ref() {
        let address = *entry.get_ref();
        if let Some(fault) = fault_of_address(address) {
            let message = format!("{address} {fault}");
            problems.add(Some(entry.span()), key, message, "give a unicast address that clients can reach");
        } else if addresses.contains(&address) {
            problems.add(Some(entry.span()), key, format!("{address} is given twice"), "name each address once");
        } else {
            addresses.push(address);
        }
    }
    addresses
}

/// Why no answer could come from an address.
fn fault_of_address(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_unspecified() => Some("is the unspecified address"),
        _ if address.is_multicast() => Some("is a multicast address"),
        _ if address.is_loopback() => Some("is a loopback address, which no frame carries"),
        IpAddr::V4(ipv4) if ipv4.is_broadcast() => Some("is the broadcast address"),
        IpAddr::V4(ipv4) if ipv4.octets()[0] == 0 => Some("lies in 0.0.0.0/8, which no host may use"),
        IpAddr::V6(ipv6) if ipv6.to_ipv4_mapped().is_some() => Some("is an IPv4-mapped address; write it as IPv4"),
        _ => None,
    }
}

/// `[store]`
fn store(spec: file::Store, base: &Path, problems: &mut Problems<'_>) -> StoreConfig {
    let path = spec.path.unwrap_or_else(|| Spanned::new(0..0, PathBuf::from(STORE_PATH)));
    if path.get_ref().as_os_str().is_empty() {
        problems.add(Some(path.span()), "store.path", "the path is empty", "name a file on a local disk");
    } else if base.join(path.get_ref()).is_dir() {
        problems.add(
            Some(path.span()),
            "store.path",
            "a directory is given",
            "name a file in it, such as ringdns.redb",
        );
    }
    StoreConfig { path: base.join(path.get_ref()) }
}

/// `[[zone_file]]`
fn zone_files(specs: &[Spanned<file::ZoneFile>], base: &Path, problems: &mut Problems<'_>) -> Vec<ZoneFileConfig> {
    let mut zones: Vec<ZoneFileConfig> = Vec::new();
    let mut seen: HashMap<WireName, usize> = HashMap::new();
    for (index, spec) in specs.iter().enumerate() {
        let key = format!("zone_file[{index}].zone");
        let spec = spec.get_ref();
        let span: Option<Range<usize>> = Some(spec.zone.span());
        if spec.path.get_ref().as_os_str().is_empty() {
            let key = format!("zone_file[{index}].path");
            problems.add(Some(spec.path.span()), key, "the path is empty", "name the zone file");
        }
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
                zones.push(ZoneFileConfig { zone: zone.to_lowercase(), path: base.join(spec.path.get_ref()) });
            }
        }
    }
    zones
}

/// `[admin]`
fn admin(spec: file::Admin, base: &Path, problems: &mut Problems<'_>) -> AdminConfig {
    let token = match (&spec.token, &spec.token_file) {
        (Some(token), Some(_)) => {
            let remedy = "keep token_file and remove token";
            problems.add(Some(token.span()), "admin.token", "token and token_file are both given", remedy);
            None
        }
        (Some(token), None) => checked_token(token.get_ref(), token.span(), "admin.token", problems),
        (None, Some(path)) => token_of_file(&base.join(path.get_ref()), path.span(), problems),
        (None, None) => None,
    };
    let listen = spec.listen.unwrap_or_else(|| Spanned::new(0..0, ADMIN_LISTEN));
    if !listen.get_ref().ip().is_loopback() && spec.token.is_none() && spec.token_file.is_none() {
        problems.add(
            Some(listen.span()),
            "admin.listen",
            format!("{} can be reached from other machines, and no token is set", listen.get_ref()),
            "set admin.token_file, or listen on 127.0.0.1 or [::1]",
        );
    }
    AdminConfig { listen: listen.into_inner(), token }
}

/// Reads the token of a file that only its owner and group may read.
fn token_of_file(path: &Path, span: Range<usize>, problems: &mut Problems<'_>) -> Option<Token> {
    const KEY: &str = "admin.token_file";
    let text = secret::read(path, span.clone(), KEY, "openssl rand -hex 32", problems)?;
    checked_token(text.lines().next().unwrap_or("").trim(), span, KEY, problems)
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
fn log(spec: file::Log, problems: &mut Problems<'_>) -> LogConfig {
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
