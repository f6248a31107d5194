//! What the workers answer with, made from the configuration: at the start, and again when that has changed.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::num::NonZeroU32;

use ringdns_controlplane::config::{AaaaMode, Config, CookieMode, NodeLocalConfig};
use ringdns_controlplane::sockets::SocketOptions;
use ringdns_dataplane::exchange;
use ringdns_dataplane::forward::ForwardLane;
use ringdns_engine::cookie::{CookieConfig, CookieSecret};
use ringdns_engine::rate::RateLimit;
use ringdns_engine::recall::RecallConfig;
use ringdns_engine::serve::{ChaosConfig, EdnsConfig, MessageConfig, Server, ServerConfig};

use crate::forward::Forwarding;

/// What is known of a port once it is open.
pub struct OpenPort {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Most bytes of a UDP payload that it sends in one frame.
    pub udp_payload_bytes_max: usize,
    /// Where the workers of its queues take a new server from.
    successors: Vec<exchange::Sender<Server>>,
    /// Where the forwarder's thread takes a new server from; none: there is no forwarder.
    forward: Option<exchange::Sender<Server>>,
}

/// What a worker needs of one of its ports.
pub struct Queue {
    /// Answers there.
    pub server: Server,
    /// Where the server comes from that will take its place.
    pub successor: exchange::Receiver<Server>,
    /// The way to the forwarder.
    pub forward: Option<ForwardLane>,
}

/// Makes servers for workers.
pub struct Answering {
    /// Cookies are made with this where the configuration has no secret: they outlive a reload.
    random_secret: CookieSecret,
    /// The ports in the order of the configuration.
    ports: Vec<OpenPort>,
    /// Who is asked for names of others.
    pub forwarding: Option<Forwarding>,
}

impl Answering {
    /// Knows no port yet.
    pub fn new(forwarding: Option<Forwarding>) -> io::Result<Self> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self { random_secret: CookieSecret(bytes), ports: Vec::new(), forwarding })
    }

    /// Adds the next port of the configuration, which `queues` workers serve. Gives what each of them needs.
    pub fn add_port(
        &mut self,
        config: &Config,
        mac: [u8; 6],
        udp_payload_bytes_max: usize,
        queues: usize,
    ) -> Vec<Queue> {
        let (successors, receivers): (Vec<_>, Vec<_>) = (0..queues).map(|_| exchange::exchange()).unzip();
        self.ports.push(OpenPort { mac, udp_payload_bytes_max, successors, forward: None });
        let Some(server) = self.server_config(config, self.ports.len() - 1) else { return Vec::new() };
        let mut lanes = Vec::new();
        if let (Some(forwarding), Some(port)) = (&mut self.forwarding, self.ports.last_mut()) {
            let (ends, successor) = forwarding.add_port(&server, queues);
            port.forward = Some(successor);
            lanes = ends;
        }
        let mut lanes = lanes.into_iter();
        let queue = |successor| Queue { server: Server::new(&server), successor, forward: lanes.next() };
        receivers.into_iter().map(queue).collect()
    }

    /// Gives all workers new servers; they take them before their next burst.
    pub fn renew(&self, config: &Config) {
        for (index, port) in self.ports.iter().enumerate() {
            let Some(server) = self.server_config(config, index) else { return };
            for successor in &port.successors {
                successor.send(Server::new(&server));
            }
            if let (Some(forwarding), Some(successor)) = (&self.forwarding, &port.forward) {
                successor.send(forwarding.waited_server(&server));
            }
        }
    }

    /// Frees what the workers have given back.
    pub fn settle(&self) {
        for successor in self.ports.iter().flat_map(|port| port.successors.iter().chain(&port.forward)) {
            successor.settle();
        }
    }

    /// What a port serves.
    pub fn server_config(&self, config: &Config, index: usize) -> Option<ServerConfig> {
        let (port, open) = (config.ports.get(index)?, self.ports.get(index)?);
        // The NIC spreads every client's packets over all workers.
        let workers = u32::try_from(open.successors.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        Some(ServerConfig {
            mac: open.mac,
            addresses: port.addresses.clone(),
            dns_port: port.dns_port,
            // A longer one would not leave the port in one frame.
            udp_answer_bytes_max: config.dns.udp_answer_bytes_max.min(open.udp_payload_bytes_max),
            answer_local: port.kernel.is_none(),
            vlan: port.vlan,
            hides_aaaa: config.dns.aaaa == AaaaMode::Nodata,
            edns: self.edns_config(config),
            chaos: chaos_config(config),
            rate_limit: config.rate_limit.clone().map(|limit| RateLimit { workers, ..limit }),
            recall: self.recall(config),
        })
    }

    /// Where the kernel's sockets answer, and with what: at the configured addresses, and at those of ports with a kernel path,
    /// by which DNS over TCP comes, and of the node.
    pub fn sockets(&self, config: &Config) -> SocketOptions {
        let mut listen = config.sockets.listen.clone();
        let of_ports = config
            .ports
            .iter()
            .filter(|port| port.kernel.is_some())
            .flat_map(|port| port.addresses.iter().map(|&address| SocketAddr::new(address, port.dns_port)));
        let of_node = config.node_local.iter().flat_map(NodeLocalConfig::listen);
        for address in of_ports.chain(of_node) {
            let is_covered = |by: &SocketAddr| {
                let is_wildcard = by.ip().is_unspecified() && by.is_ipv4() == address.is_ipv4();
                by.port() == address.port() && (is_wildcard || by.ip() == address.ip())
            };
            if !listen.iter().any(is_covered) {
                listen.push(address);
            }
        }
        let others = self.forwarding.as_ref().map(Forwarding::asking);
        SocketOptions { listen, answers: self.message_config(config), names: config.stats.names, others }
    }

    /// What is answered on the kernel's sockets.
    pub fn message_config(&self, config: &Config) -> MessageConfig {
        MessageConfig {
            udp_answer_bytes_max: config.dns.udp_answer_bytes_max,
            hides_aaaa: config.dns.aaaa == AaaaMode::Nodata,
            edns: self.edns_config(config),
            chaos: chaos_config(config),
            rate_limit: config.rate_limit.clone(),
            recall: self.recall(config),
        }
    }

    /// How names of others are answered; nothing: they are refused.
    fn recall(&self, config: &Config) -> Option<RecallConfig> {
        self.forwarding.as_ref().map(|forwarding| forwarding.recall(config))
    }

    /// What all ports answer to options. Without a configured secret, cookies are made with one of this process.
    pub fn edns_config(&self, config: &Config) -> EdnsConfig {
        let mut secrets = config.dns.cookie_secrets.iter().copied();
        let cookies = match config.dns.cookies {
            CookieMode::Off => None,
            mode => {
                let secret = secrets.next().unwrap_or(self.random_secret);
                Some(CookieConfig { secret, other_secret: secrets.next(), enforce: mode == CookieMode::Enforce })
            }
        };
        EdnsConfig { nsid: config.dns.nsid.clone(), cookies }
    }
}

/// What all ports tell of the server.
pub fn chaos_config(config: &Config) -> ChaosConfig {
    ChaosConfig { version: config.dns.version.clone(), identity: config.dns.identity.clone() }
}
