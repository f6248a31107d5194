//! The configuration file as written: the raw, versioned spec. Nothing is checked here but syntax, types and key names;
//! [`Config`](super::Config) is what comes out of it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

pub use super::keys::KEYS;

/// The version that a file without `version` has.
const VERSION: u32 = 1;

/// A file of any version that this program reads.
#[derive(Debug)]
pub enum Spec {
    /// The first version.
    V1(Box<V1>),
}

/// Why text is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// No TOML, an unknown key, or a value of the wrong type.
    #[error("{0}")]
    Toml(Box<toml::de::Error>),
    /// Written for another version of RingDNS.
    #[error("version {found} of the configuration format is unknown; this RingDNS reads version {VERSION}")]
    Version {
        /// What the file says.
        found: u32,
        /// Where it says so, in bytes.
        span: std::ops::Range<usize>,
    },
}

impl From<toml::de::Error> for SpecError {
    fn from(error: toml::de::Error) -> Self {
        SpecError::Toml(Box::new(error))
    }
}

/// Looks at the version alone, so that a newer file is refused for that and not for its first new key.
#[derive(Deserialize)]
struct Versioned {
    /// The format's version.
    version: Option<Spanned<u32>>,
}

impl Spec {
    /// Reads text.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        Self::check_version(text)?;
        Ok(Spec::V1(Box::new(toml::from_str(text)?)))
    }

    /// Looks at the version alone.
    pub(super) fn check_version(text: &str) -> Result<(), SpecError> {
        let versioned: Versioned = toml::from_str(text)?;
        match versioned.version {
            Some(version) if *version.get_ref() != VERSION => {
                Err(SpecError::Version { found: *version.get_ref(), span: version.span() })
            }
            _ => Ok(()),
        }
    }

    /// Reads what was parsed, its version being right.
    pub(super) fn of_table(table: Spanned<toml::de::DeTable<'_>>) -> Result<Self, SpecError> {
        Ok(Spec::V1(Box::new(V1::deserialize(toml::de::Deserializer::from(table))?)))
    }
}

/// Version 1 of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct V1 {
    /// The format's version: 1.
    pub version: Option<u32>,
    /// A Corefile that is part of the configuration.
    pub corefile: super::corefile::Corefile,
    /// The ConfigMap of kube-dns.
    pub kube_dns_config: super::corefile::KubeDnsConfig,
    /// How queries are answered.
    pub dns: Dns,
    /// How much each client may have.
    pub rate_limit: RateLimit,
    /// DNS over the kernel's own sockets.
    pub sockets: super::sockets::Sockets,
    /// The packet threads.
    pub workers: Workers,
    /// DPDK's environment.
    pub eal: Eal,
    /// The ports that queries come in by.
    pub port: Vec<Spanned<Port>>,
    /// The embedded store.
    pub store: Store,
    /// Zone files to serve.
    pub zone_file: Vec<Spanned<ZoneFile>>,
    /// Who is asked for names of others.
    pub forward: Option<Spanned<super::forward::spec::Forward>>,
    /// What is kept of the answers.
    pub cache: Option<Spanned<super::forward::spec::Cache>>,
    /// What is decided about such names before anybody is asked.
    pub policy: Option<Spanned<super::forward::spec::Policy>>,
    /// The etcd source.
    pub etcd: super::etcd::Etcd,
    /// What is read from etcd.
    pub etcd_tree: Vec<Spanned<super::etcd_tree::EtcdTree>>,
    /// The cluster whose Services are answered.
    pub kubernetes: Option<Spanned<super::kubernetes::spec::Kubernetes>>,
    /// What of the cluster is written to etcd.
    pub kubesync: Option<Spanned<super::kubesync::Kubesync>>,
    /// Where in etcd health is kept.
    pub health: super::health::spec::Health,
    /// Who checks.
    pub scanner: super::health::spec::Scanner,
    /// How targets are probed.
    pub probe: Vec<Spanned<super::health::spec::Probe>>,
    /// Who says who checks what.
    pub scheduler: super::health::spec::Scheduler,
    /// Who is told.
    pub alert: super::health::spec::Alert,
    /// Which clients see which view.
    pub view: Vec<Spanned<View>>,
    /// Who may have whole zones.
    pub transfer: Vec<Spanned<super::transfer::Transfer>>,
    /// The admin API.
    pub admin: Admin,
    /// Its tokens for some zones.
    pub admin_token: Vec<Spanned<super::access::AdminToken>>,
    /// The record interface of ContainerDNS.
    pub containerdns_api: super::containerdns_api::ContainerdnsApi,
    /// What is counted by name.
    pub stats: super::stats::Stats,
    /// The statistics interface of ContainerDNS.
    pub containerdns_stats: super::stats::ContainerdnsStats,
    /// The record interface of kdns.
    pub kdns_api: super::kdns_api::KdnsApi,
    /// The HTTP ports that what stands around a cluster's DNS expects.
    pub cluster_http: super::cluster_http::ClusterHttp,
    /// DNS for the Pods of one node.
    pub node_local: Option<Spanned<super::node_local::NodeLocal>>,
    /// How the server ends.
    pub shutdown: super::shutdown::Shutdown,
    /// Logs.
    pub log: Log,
}

/// `[dns]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Largest answer over UDP in bytes.
    pub udp_answer_bytes_max: Option<Spanned<i64>>,
    /// What NSID is answered with: text, or hexadecimal digits after `0x`.
    pub nsid: Option<Spanned<String>>,
    /// Text of `version.bind` and `version.server`.
    pub version: Option<Spanned<String>>,
    /// Text of `id.server` and `hostname.bind`.
    pub identity: Option<Spanned<String>>,
    /// `answer` or `nodata`.
    pub aaaa: Option<Spanned<String>>,
    /// `off`, `on` or `enforce`.
    pub cookies: Option<Spanned<String>>,
    /// Secrets of cookies, each 32 hexadecimal digits.
    pub cookie_secrets: Option<Spanned<Vec<String>>>,
    /// A file with such secrets, one a line.
    pub cookie_secrets_file: Option<Spanned<PathBuf>>,
}

/// `[rate_limit]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    /// Responses of one kind to one client prefix, a second.
    pub responses_per_second: Option<Spanned<i64>>,
    /// NXDOMAIN responses to one client prefix, a second.
    pub nxdomains_per_second: Option<Spanned<i64>>,
    /// Packets from one client prefix, a second.
    pub packets_per_second: Option<Spanned<i64>>,
    /// Seconds for which a prefix pays at most for having been over a response limit.
    pub window_seconds: Option<Spanned<i64>>,
    /// Every how many-th limited answer is sent empty with the TC bit.
    pub slip: Option<Spanned<i64>>,
    /// True: answers are counted by name.
    pub by_name: Option<bool>,
    /// Leading bits of an IPv4 address that make one client.
    pub ipv4_prefix: Option<Spanned<i64>>,
    /// Leading bits of an IPv6 address that make one client.
    pub ipv6_prefix: Option<Spanned<i64>>,
    /// Networks that are not limited.
    pub exempt: Option<Spanned<Vec<Spanned<String>>>>,
    /// Accounts held by each worker of a port.
    pub table_entries: Option<Spanned<i64>>,
}

/// `[workers]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workers {
    /// CPU ids, one worker each.
    pub cores: Option<Spanned<Vec<i64>>>,
    /// What a worker does while no frames come: for all workers, or for each.
    pub idle: Option<Spanned<Words>>,
}

/// One word, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a word or a list of words")]
pub enum Words {
    /// For everything.
    One(String),
    /// One for each.
    Each(Vec<String>),
}

/// `[eal]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Eal {
    /// True: packet buffers in hugepages.
    pub hugepages: Option<bool>,
    /// Memory for packet buffers in MiB.
    pub memory_mib: Option<Spanned<i64>>,
}

/// `[[port]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// DPDK device arguments, or a PCI address.
    pub device: Spanned<String>,
    /// Served addresses.
    pub addresses: Spanned<Vec<Spanned<IpAddr>>>,
    /// UDP port.
    pub dns_port: Option<Spanned<i64>>,
    /// VLAN id of the port's frames.
    pub vlan: Option<Spanned<i64>>,
    /// Largest IP packet in bytes.
    pub mtu: Option<Spanned<i64>>,
    /// `auto`, `vhost`, `tap` or `off`.
    pub kernel: Option<Spanned<String>>,
    /// Name of the port's interface in the kernel.
    pub kernel_interface: Option<Spanned<String>>,
}

/// `[store]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// The store's file.
    pub path: Option<Spanned<PathBuf>>,
    /// `embedded`, `memory` or `etcd`.
    pub backend: Option<Spanned<String>>,
    /// What the store's keys in etcd begin with.
    pub etcd_prefix: Option<Spanned<String>>,
    /// True: an etcd that has nothing there is filled from the file.
    pub etcd_import: Option<Spanned<bool>>,
}

/// `[[zone_file]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneFile {
    /// The zone's name.
    pub zone: Spanned<String>,
    /// The zone file.
    pub path: Option<Spanned<PathBuf>>,
    /// Its text, in place of a file.
    pub text: Option<Spanned<String>>,
}

/// `[[view]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// The view's name.
    pub name: Spanned<String>,
    /// Networks of its clients.
    pub prefixes: Spanned<Vec<Spanned<String>>>,
}

/// `[admin]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address and TCP port of the API.
    pub listen: Option<Spanned<SocketAddr>>,
    /// A file whose first line is the token that writes need.
    pub token_file: Option<Spanned<PathBuf>>,
    /// The token itself.
    pub token: Option<Spanned<String>>,
    /// True: reads of zones and records need a token too.
    pub read_needs_token: Option<Spanned<bool>>,
}

/// `[log]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// A level, or a filter by target.
    pub level: Option<Spanned<String>>,
    /// `text` or `json`.
    pub format: Option<Spanned<String>>,
}
