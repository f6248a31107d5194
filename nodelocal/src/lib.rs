//! DNS for the Pods of one node, at addresses that are the node's own: an interface that has them, and rules by which packets for
//! them reach it without being tracked or translated.
//!
//! Pods that ask the cluster IP of their DNS come here while the rules stand, and go on to the cluster's own DNS as soon as they do
//! not. So they must never stand longer than somebody answers. Interface and rules therefore belong to open files of this process,
//! and the kernel itself takes both away with it: after SIGKILL, out of memory, or a crash. Nothing has to be cleaned up, and no
//! second process watches the first.
//!
//! | what | belongs to | who takes it away |
//! |---|---|---|
//! | interface and addresses | an open TUN device | the kernel, when it is closed |
//! | rules | a netlink socket (`flags owner`) | the kernel, when it is closed |

mod link;
mod netlink;
mod rules;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use nix::errno::Errno;
use ringdns_controlplane::config::NodeLocalConfig;
use ringdns_controlplane::node_local::{NodeLocalGauges, SetupError};

use link::Link;
pub use link::OpenDevice;
use rules::Rules;

/// Why the node's own DNS was not set up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The interface.
    #[error("node_local.interface: {name} cannot be made: {error}; {}", interface_remedy(name, error))]
    Interface {
        /// Its name.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// An address.
    #[error("node_local.addresses: {address} cannot be added to {interface}: {error}; {}", address_remedy(*address))]
    Address {
        /// The address.
        address: IpAddr,
        /// The interface.
        interface: String,
        /// Why.
        error: io::Error,
    },
    /// The rules.
    #[error("node_local.redirect: the rules cannot be set: {error}; {}", rules_remedy(error))]
    Rules {
        /// Why.
        error: io::Error,
    },
}

/// What to do where the interface cannot be made.
fn interface_remedy(name: &str, error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EBUSY | Errno::EEXIST) => format!(
            "end the process that has an interface of that name, or remove what another program has left (ip link delete {name})"
        ),
        Some(Errno::EPERM | Errno::EACCES) => "give the process CAP_NET_ADMIN".to_owned(),
        _ => "load the module (modprobe tun), and let the process have /dev/net/tun".to_owned(),
    }
}

/// What to do where an address cannot be added.
fn address_remedy(address: IpAddr) -> &'static str {
    if address.is_ipv6() {
        "switch IPv6 on for new interfaces (sysctl net.ipv6.conf.default.disable_ipv6=0), or leave the address out"
    } else {
        "give the process CAP_NET_ADMIN"
    }
}

/// What to do where rules cannot be set.
fn rules_remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPERM | Errno::EACCES) => {
            "give the process CAP_NET_ADMIN, and end other servers that have the table ringdns_node_local"
        }
        _ => {
            "use Linux 5.12 or newer with nf_tables (modprobe nf_tables nft_ct), or set node_local.redirect = \"none\""
        }
    }
}

/// What brings the Pods of this node here. Rules and interface go when it is dropped.
#[derive(Debug)]
pub struct NodeLocal {
    /// The rules, while they stand.
    rules: Option<Rules>,
    /// The interface; nothing where it has vanished and could not be made again yet.
    link: Option<Link>,
    /// What is wanted.
    config: NodeLocalConfig,
    /// Makes the device.
    open: OpenDevice,
    /// What is shown.
    gauges: Arc<NodeLocalGauges>,
    /// When interface and rules are looked at next.
    next: Instant,
    /// False once the end has come: no rules are set any more.
    goes_on: bool,
}

impl NodeLocal {
    /// Makes the interface, and sees whether rules can be set; they are set by [`NodeLocal::look`].
    ///
    /// # Errors
    /// Where the kernel does not let us have what is configured.
    pub fn start(config: &NodeLocalConfig, open: OpenDevice) -> Result<Self, StartError> {
        let link = make_link(config, open)?;
        if config.redirect {
            // Rules of the same form for what no packet is sent to, and away at once: nobody answers yet.
            let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
            drop(Rules::set(&[nowhere], &[]).map_err(|error| StartError::Rules { error })?);
        }
        tracing::info!(interface = config.interface, addresses = ?config.addresses, "the node has addresses of its own for DNS");
        let next = Instant::now() + config.check;
        let (config, gauges) = (config.clone(), Arc::new(NodeLocalGauges::default()));
        Ok(Self { rules: None, link: Some(link), config, open, gauges, next, goes_on: true })
    }

    /// What is shown of it.
    pub fn gauges(&self) -> Arc<NodeLocalGauges> {
        Arc::clone(&self.gauges)
    }

    /// Brings packets here as long as somebody answers, and mends what others have changed; to be called at intervals.
    pub fn look(&mut self, is_answering: bool, now: Instant) {
        if !self.goes_on {
            return;
        }
        let is_due = self.next <= now;
        if is_due {
            self.next = now + self.config.check;
            self.mend_link();
            self.check_rules();
        }
        match (&self.rules, is_answering) {
            // What has failed is tried again when it is due, not at once: it would fill the log.
            (None, true) if self.config.redirect && (is_due || !self.has_failed()) => self.redirect(),
            (Some(_), false) => {
                tracing::error!(
                    "DNS is not answered here: Pods of this node are left to the cluster's DNS until it is"
                );
                self.take_rules_away();
            }
            _ => {}
        }
    }

    /// Leaves packets to the cluster's own DNS from now on. The addresses stay until this is dropped: what has arrived is answered.
    pub fn withdraw(&mut self) {
        self.goes_on = false;
        if self.rules.is_some() {
            self.take_rules_away();
            tracing::info!("Pods of this node are left to the cluster's DNS");
        }
    }

    /// Whether the last try to set rules has failed.
    fn has_failed(&self) -> bool {
        self.gauges.count_of(SetupError::Rules) > 0
    }

    /// Sets the rules.
    fn redirect(&mut self) {
        match set_rules(&self.config) {
            Ok(rules) => {
                self.rules = Some(rules);
                self.gauges.set_redirects(true);
                let addresses = &self.config.addresses;
                tracing::info!(?addresses, "packets of this node for these addresses come here, untracked");
            }
            Err(error) => self.complain(SetupError::Rules, &StartError::Rules { error }),
        }
    }

    /// Takes the rules away.
    fn take_rules_away(&mut self) {
        self.rules = None;
        self.gauges.set_redirects(false);
    }

    /// Sees whether the rules stand.
    fn check_rules(&mut self) {
        let Some(rules) = &mut self.rules else { return };
        if let Err(error) = rules.are_there() {
            self.complain(SetupError::Rules, &StartError::Rules { error });
            self.take_rules_away();
        }
    }

    /// Makes interface and addresses again where somebody has taken them away.
    fn mend_link(&mut self) {
        let interface = &self.config.interface;
        if !self.link.as_ref().is_some_and(Link::is_there) {
            tracing::warn!(interface, "the interface is gone, and is made again");
            // Closed first: the name is free then.
            self.link = None;
            match make_link(&self.config, self.open) {
                Ok(link) => self.link = Some(link),
                Err(error) => return self.complain(SetupError::InterfaceAdd, &error),
            }
        }
        let Some(link) = &mut self.link else { return };
        match link.look(&self.config.addresses) {
            Ok((missing, _)) if missing.is_empty() => {}
            Ok((missing, _)) => {
                tracing::warn!(interface, ?missing, "addresses are gone, and are added again");
                if let Err(error) = add_all(link, &missing, interface) {
                    self.complain(SetupError::InterfaceAdd, &error);
                }
            }
            Err(error) => {
                let error = StartError::Interface { name: interface.clone(), error };
                self.complain(SetupError::InterfaceCheck, &error);
            }
        }
    }

    /// Tells and counts what failed.
    fn complain(&self, what: SetupError, error: &StartError) {
        self.gauges.count(what);
        tracing::warn!("{error}; it is tried again in {:?}", self.config.check);
    }
}

/// Makes the interface with its addresses.
fn make_link(config: &NodeLocalConfig, open: OpenDevice) -> Result<Link, StartError> {
    let name = &config.interface;
    let failed = |error| StartError::Interface { name: name.clone(), error };
    let mut link = Link::make(name, open).map_err(failed)?;
    add_all(&mut link, &config.addresses, name)?;
    let (_, elsewhere) = link.look(&config.addresses).map_err(failed)?;
    for address in elsewhere {
        tracing::warn!(
            %address,
            "another interface has this address too: where kube-proxy works by IPVS, leave the cluster IP out of node_local.addresses \
             and give Pods the link-local address (kubelet --cluster-dns)"
        );
    }
    Ok(link)
}

/// Adds addresses.
fn add_all(link: &mut Link, addresses: &[IpAddr], interface: &str) -> Result<(), StartError> {
    addresses.iter().try_for_each(|&address| {
        link.add(address).map_err(|error| StartError::Address { address, interface: interface.to_owned(), error })
    })
}

/// Sets the rules.
fn set_rules(config: &NodeLocalConfig) -> io::Result<Rules> {
    let listen: Vec<SocketAddr> = config.listen().collect();
    Rules::set(&listen, &config.http)
}
