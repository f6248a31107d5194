//! The configuration: a versioned file ([`mod@file`]) that becomes a validated value ([`Config`]).

mod access;
mod change;
mod cluster_http;
mod containerdns_api;
mod corefile;
mod dns;
mod etcd;
mod etcd_places;
mod etcd_tree;
pub mod file;
pub mod forward;
pub mod health;
mod kdns_api;
mod kernel;
mod keys;
pub mod kubernetes;
pub mod kubesync;
mod node_local;
mod port;
mod problem;
mod rate_limit;
mod secret;
mod shutdown;
mod sockets;
mod stats;
mod store;
mod transfer;
mod validate;
mod value;
mod view;
mod watch;
mod workers;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringdns_engine::cookie::CookieSecret;
use ringdns_engine::name::WireName;
use ringdns_engine::rate::{Network, RateLimit};

pub(crate) use access::Tokens;
pub use access::{AccessToken, Permission};
pub use change::Changes;
pub use cluster_http::{ClusterHttpConfig, ClusterPort, ClusterProbe};
pub use containerdns_api::{ContainerdnsApiConfig, Generation};
pub use corefile::{ConfigSource, CorefileConfig};
pub use etcd::{EtcdConfig, EtcdTls, Password};
pub use etcd_places::EtcdPlaces;
pub use forward::{ForwardConfig, PolicyConfig};
pub use health::{HealthConfig, RoleConfig};
pub use kdns_api::KdnsApiConfig;
pub use kubernetes::{
    Compatibility, EndpointLabels, EndpointPtrs, ExternalAddresses, KubernetesAccess, KubernetesConfig,
    KubernetesEndpoints, KubernetesExternal, KubernetesPods, KubernetesSearchPath,
};
pub use kubesync::{KubesyncConfig, KubesyncLayout, KubesyncRole};
pub use node_local::NodeLocalConfig;
pub use problem::{ConfigError, Problem};
pub use shutdown::ShutdownConfig;
pub use sockets::SocketsConfig;
pub use stats::{ContainerdnsStatsConfig, StatsConfig};
pub use store::StoreEtcdConfig;
pub use transfer::TransferConfig;
pub use watch::{ConfigWatch, Stale};

/// Everything that an operator decides, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that it was read from.
    pub path: PathBuf,
    /// Tells its text from others.
    pub fingerprint: u64,
    /// The Corefile that is part of it; none: there is none.
    pub corefile: Option<CorefileConfig>,
    /// Where kube-dns's ConfigMap is mounted; none: it is not looked at.
    pub kube_dns_directory: Option<PathBuf>,
    /// How queries are answered.
    pub dns: DnsConfig,
    /// How much each client may have, as if one worker counted it all; none: as much as it asks for.
    pub rate_limit: Option<RateLimit>,
    /// DNS over the kernel's own sockets.
    pub sockets: SocketsConfig,
    /// The packet threads.
    pub workers: WorkersConfig,
    /// DPDK's environment.
    pub eal: EalConfig,
    /// The ports that queries come in by; none: they come by the kernel's sockets alone.
    pub ports: Vec<PortConfig>,
    /// The embedded store.
    pub store: StoreConfig,
    /// Zone files to serve; no zone twice.
    pub zone_files: Vec<ZoneFileConfig>,
    /// The etcd source; none: there is none.
    pub etcd: Option<EtcdConfig>,
    /// Who is asked for names of others; none: nobody is.
    pub forward: Option<ForwardConfig>,
    /// What is decided about them before.
    pub policy: PolicyConfig,
    /// The cluster whose Services are answered; none: there is none.
    pub kubernetes: Option<KubernetesConfig>,
    /// What `ringdns kubesync` writes to etcd; none: it is not told.
    pub kubesync: Option<KubesyncConfig>,
    /// Who checks targets how, and who is told.
    pub health: HealthConfig,
    /// Which clients see which view; no name and no prefix twice.
    pub views: Vec<ViewConfig>,
    /// Who may have which zones as a whole.
    pub transfers: Vec<TransferConfig>,
    /// The admin API.
    pub admin: AdminConfig,
    /// The record interface of ContainerDNS; none: it is off.
    pub containerdns_api: Option<ContainerdnsApiConfig>,
    /// What is counted by name, and who is told.
    pub stats: StatsConfig,
    /// The record interface of kdns; none: it is off.
    pub kdns_api: Option<KdnsApiConfig>,
    /// The HTTP ports that what stands around a cluster's DNS expects.
    pub cluster_http: ClusterHttpConfig,
    /// DNS for the Pods of this node, at addresses that it gets; none: there are none.
    pub node_local: Option<NodeLocalConfig>,
    /// How the server ends.
    pub shutdown: ShutdownConfig,
    /// Logs.
    pub log: LogConfig,
}

/// How queries are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    /// Largest answer over UDP in bytes.
    pub udp_answer_bytes_max: usize,
    /// What NSID is answered with; empty: nothing.
    pub nsid: Vec<u8>,
    /// Text of `version.bind` and `version.server`; empty: they are refused.
    pub version: Vec<u8>,
    /// Text of `id.server` and `hostname.bind`; empty: they are refused.
    pub identity: Vec<u8>,
    /// How questions for AAAA are answered.
    pub aaaa: AaaaMode,
    /// What cookies are for.
    pub cookies: CookieMode,
    /// Secrets of cookies: the one that they are made with, and another whose cookies are taken; empty: a random one.
    pub cookie_secrets: Vec<CookieSecret>,
}

/// How questions for AAAA are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AaaaMode {
    /// As all others.
    #[default]
    Answer,
    /// As if no name had such records.
    Nodata,
}

/// What DNS cookies are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CookieMode {
    /// Nothing: they are ignored.
    Off,
    /// Clients that send one get one back.
    #[default]
    On,
    /// Clients without a valid one get no answer, but are told how to come by one.
    Enforce,
}

/// The packet threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkersConfig {
    /// CPU ids, one worker each, none twice; empty: the last online core.
    pub cores: Vec<usize>,
    /// What a worker does while no frames come: one for all of them, or one for each.
    pub idle: Vec<Idle>,
}

impl WorkersConfig {
    /// What a worker does while no frames come, by its place among the cores.
    pub fn idle_of(&self, worker: usize) -> Idle {
        self.idle.get(worker).or(self.idle.last()).copied().unwrap_or_default()
    }
}

/// What a worker does while no frames come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// Polls for ever.
    Busy,
    /// Polls for ever, with pauses in between.
    Pause,
    /// Sleeps after idle polls.
    #[default]
    Sleep,
}

/// DPDK's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EalConfig {
    /// Packet buffers in hugepages.
    pub hugepages: bool,
    /// Memory for packet buffers in MiB.
    pub memory_mib: u32,
}

/// A port that queries come in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// DPDK device arguments of a virtual device, or a PCI address.
    pub device: String,
    /// Served addresses; at least one, none twice.
    pub addresses: Vec<IpAddr>,
    /// UDP port of the service.
    pub dns_port: u16,
    /// VLAN id of the port's frames; none: untagged.
    pub vlan: Option<u16>,
    /// Largest IP packet in bytes; none: the device's own.
    pub mtu: Option<u16>,
    /// The way of everything else to the kernel; none: it is dropped.
    pub kernel: Option<KernelConfig>,
}

/// The interface that a port has in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelConfig {
    /// What makes it.
    pub kind: KernelKind,
    /// Its name.
    pub interface: String,
}

/// What makes an interface of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelKind {
    /// vhost-net where this process can have it, else TAP.
    Auto,
    /// virtio-user over vhost-net.
    Vhost,
    /// A TAP device.
    Tap,
}

/// The embedded store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The store's file; in memory it is not made.
    pub path: PathBuf,
    /// True: what is written is gone when the process ends.
    pub in_memory: bool,
    /// Of which etcd the file is a replica; none: it stands by itself.
    pub etcd: Option<StoreEtcdConfig>,
}

/// A zone file to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneFileConfig {
    /// The zone's name.
    pub zone: WireName,
    /// The zone file; that of the configuration where the zone's text stands in it.
    pub path: PathBuf,
    /// The zone's text; none: it is read from the file.
    pub text: Option<Arc<str>>,
}

/// A view and its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewConfig {
    /// Its name.
    pub name: String,
    /// The networks of its clients; a client is in the view of the smallest network that it is of.
    pub prefixes: Vec<Network>,
}

/// The admin API.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Address and TCP port of the API.
    pub listen: SocketAddr,
    /// What permits everything; none: there is none.
    pub token: Option<Token>,
    /// Tokens for some zones. Without any token every write is refused.
    pub tokens: Vec<AccessToken>,
    /// Reads of zones and records need a token too.
    pub read_needs_token: bool,
}

/// The secret of the admin API. Never shown.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Takes a secret that was checked.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// True for the same secret; takes as long for any guess of the same length.
    pub fn matches(&self, guess: &[u8]) -> bool {
        use subtle::ConstantTimeEq as _;
        self.0.as_bytes().ct_eq(guess).into()
    }

    /// True where another is the same secret.
    fn is_same(&self, other: &Self) -> bool {
        self.matches(other.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A level, or a filter by target in the notation of `tracing_subscriber::EnvFilter`.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads and checks a file; reports every problem of it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        ConfigSource::file(path).load()
    }

    /// Checks text as if it had been read from `path`, which relative paths in it are relative to. A Corefile that it names is
    /// read.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        corefile::parse(path, text, &ConfigSource::default())
    }
}
