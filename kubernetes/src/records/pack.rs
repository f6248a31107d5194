//! Objects as they are kept: a few bytes in one piece. An endpoint without names takes five bytes, or seventeen of IPv6.
//!
//! What is read here was written here: bytes that are missing read as zeros and empty texts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::object::{self, Ingress, Protocol, ServiceKind};

/// An object as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed(Arc<[u8]>);

/// What of an endpoint is kept beside its address and host name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// The name of its Pod.
    pub(super) pod: bool,
    /// Its topology zone.
    pub(super) zone: bool,
}

/// A port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Port<'a> {
    /// Its name; empty: none.
    pub(super) name: &'a str,
    /// Its transport.
    pub(super) protocol: Protocol,
    /// Its number.
    pub(super) number: u16,
}

/// A Service, or a ServiceImport as one.
#[derive(Clone, Debug)]
pub(super) struct Service<'a> {
    /// What kind it is.
    pub(super) kind: ServiceKind,
    /// Its own addresses.
    pub(super) addresses: Vec<IpAddr>,
    /// Its addresses outside the cluster: `spec.externalIPs` and those of load balancers.
    pub(super) outer: Vec<IpAddr>,
    /// The first so many of them are from `spec.externalIPs`.
    pub(super) external_ips: usize,
    /// The first name of a load balancer; empty: none.
    pub(super) outer_name: &'a str,
    /// What it is an alias of.
    pub(super) external_name: &'a str,
    /// Its ports.
    pub(super) ports: Vec<Port<'a>>,
    /// Whether endpoints count that are not ready.
    pub(super) publish_not_ready: bool,
    /// Whether the cluster makes its endpoints.
    pub(super) has_selector: bool,
}

/// One address of an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint<'a> {
    /// The address.
    pub(super) address: IpAddr,
    /// Its host name; empty: none.
    pub(super) hostname: &'a str,
    /// Its Pod's name; empty: none, or not wanted.
    pub(super) pod: &'a str,
    /// Its topology zone; empty: none, or not wanted.
    pub(super) zone: &'a str,
    /// Whether it is ready.
    pub(super) ready: bool,
}

/// A slice's head.
#[derive(Clone, Debug)]
pub(super) struct Slice<'a> {
    /// The cluster that it is from; empty: this one.
    pub(super) cluster: &'a str,
    /// The ports of its endpoints.
    pub(super) ports: Vec<Port<'a>>,
    /// The endpoints.
    pub(super) endpoints: Endpoints<'a>,
}

/// The endpoint is ready.
const READY: u8 = 1;
/// Its address is one of IPv6.
const IPV6: u8 = 2;
/// A host name follows.
const HOSTNAME: u8 = 4;
/// The name of its Pod follows.
const POD: u8 = 8;
/// Its topology zone follows.
const ZONE: u8 = 16;

/// Endpoints count that are not ready.
const PUBLISH_NOT_READY: u8 = 4;
/// The cluster makes the endpoints.
const HAS_SELECTOR: u8 = 8;

impl Packed {
    /// Bytes that it takes, with the count of those that share it.
    pub(super) fn bytes(&self) -> usize {
        self.0.len() + 2 * size_of::<usize>()
    }

    /// Packs a Service.
    pub(super) fn service(service: &object::Service) -> Self {
        let mut writer = Writer::default();
        let kind = match service.kind {
            ServiceKind::ClusterIp => 0,
            ServiceKind::Headless => 1,
            ServiceKind::ExternalName => 2,
        };
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(service.publish_not_ready, PUBLISH_NOT_READY) | flag(service.has_selector, HAS_SELECTOR);
        writer.byte(kind | flags);
        writer.addresses(service.cluster_ips.iter().copied());
        writer.addresses(service.external_ips.iter().copied());
        let ingress = |ingress: &Ingress| if let Ingress::Address(address) = ingress { Some(*address) } else { None };
        writer.addresses(service.ingress.iter().filter_map(ingress));
        let mut names = service.ingress.iter().filter_map(|ingress| match ingress {
            Ingress::Name(name) => Some(name),
            Ingress::Address(_) => None,
        });
        writer.text(names.next().map_or("", |name| name));
        writer.text(&service.external_name);
        writer.ports(&service.ports);
        writer.finish()
    }

    /// Packs a ServiceImport as the Service that it stands for.
    pub(super) fn import(import: &object::ServiceImport) -> Self {
        let mut writer = Writer::default();
        writer.byte(u8::from(import.headless));
        writer.addresses(import.ips.iter().copied());
        writer.addresses(std::iter::empty());
        writer.addresses(std::iter::empty());
        writer.text("");
        writer.text("");
        writer.ports(&import.ports);
        writer.finish()
    }

    /// Packs a slice.
    pub(super) fn slice(slice: &object::Slice, wanted: Wanted) -> Self {
        let mut writer = Writer::default();
        writer.text(&slice.cluster);
        writer.ports(&slice.ports);
        for endpoint in &slice.endpoints {
            let pod = if wanted.pod && endpoint.hostname.is_empty() { &*endpoint.pod } else { "" };
            let zone = if wanted.zone { &*endpoint.zone } else { "" };
            for &address in &endpoint.addresses {
                writer.endpoint(&Endpoint { address, hostname: &endpoint.hostname, pod, zone, ready: endpoint.ready });
            }
        }
        writer.finish()
    }

    /// The Service.
    pub(super) fn read_service(&self) -> Service<'_> {
        let mut reader = Reader(&self.0);
        let flags = reader.byte();
        let kind = match flags & 3 {
            0 => ServiceKind::ClusterIp,
            1 => ServiceKind::Headless,
            _ => ServiceKind::ExternalName,
        };
        let addresses = reader.addresses();
        let mut outer = reader.addresses();
        let external_ips = outer.len();
        outer.extend(reader.addresses());
        Service {
            kind,
            addresses,
            outer,
            external_ips,
            outer_name: reader.text(),
            external_name: reader.text(),
            ports: reader.ports(),
            publish_not_ready: flags & PUBLISH_NOT_READY != 0,
            has_selector: flags & HAS_SELECTOR != 0,
        }
    }

    /// The slice.
    pub(super) fn read_slice(&self) -> Slice<'_> {
        let mut reader = Reader(&self.0);
        Slice { cluster: reader.text(), ports: reader.ports(), endpoints: Endpoints(reader) }
    }
}

/// The endpoints of a slice, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoints<'a>(Reader<'a>);

impl<'a> Iterator for Endpoints<'a> {
    type Item = Endpoint<'a>;

    fn next(&mut self) -> Option<Endpoint<'a>> {
        let reader = &mut self.0;
        if reader.0.is_empty() {
            return None;
        }
        let flags = reader.byte();
        let address = reader.address(flags & IPV6 != 0);
        let mut text = |flag: u8| if flags & flag != 0 { reader.text() } else { "" };
        Some(Endpoint {
            address,
            hostname: text(HOSTNAME),
            pod: text(POD),
            zone: text(ZONE),
            ready: flags & READY != 0,
        })
    }
}

/// Packs.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    /// One byte.
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Two bytes.
    fn number(&mut self, number: u16) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    /// A text of at most 255 bytes, in lower case: all are parts of names, and comparisons see no other (RFC 4343). A longer one
    /// is no name, and left out.
    fn text(&mut self, text: &str) {
        let text = if text.len() <= usize::from(u8::MAX) { text } else { "" };
        self.0.extend(u8::try_from(text.len()));
        self.0.extend(text.bytes().map(|byte| byte.to_ascii_lowercase()));
    }

    /// An address, whose family is said elsewhere.
    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.0.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => self.0.extend_from_slice(&address.octets()),
        }
    }

    /// Up to 255 addresses.
    fn addresses(&mut self, addresses: impl Iterator<Item = IpAddr>) {
        let addresses: Vec<IpAddr> = addresses.take(usize::from(u8::MAX)).collect();
        self.0.extend(u8::try_from(addresses.len()));
        for address in addresses {
            self.byte(if address.is_ipv6() { IPV6 } else { 0 });
            self.address(address);
        }
    }

    /// Ports.
    fn ports(&mut self, ports: &[object::Port]) {
        let count = u16::try_from(ports.len()).unwrap_or(u16::MAX);
        self.number(count);
        for port in ports.iter().take(usize::from(count)) {
            self.byte(match port.protocol {
                Protocol::Tcp => 0,
                Protocol::Udp => 1,
                Protocol::Sctp => 2,
            });
            self.number(port.number);
            self.text(&port.name);
        }
    }

    /// An endpoint.
    fn endpoint(&mut self, endpoint: &Endpoint<'_>) {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let texts = [(endpoint.hostname, HOSTNAME), (endpoint.pod, POD), (endpoint.zone, ZONE)];
        let flags = flag(endpoint.ready, READY) | flag(endpoint.address.is_ipv6(), IPV6);
        self.byte(texts.iter().fold(flags, |flags, (text, bit)| flags | flag(!text.is_empty(), *bit)));
        self.address(endpoint.address);
        for (text, _) in texts.iter().filter(|(text, _)| !text.is_empty()) {
            self.text(text);
        }
    }

    /// The whole.
    fn finish(self) -> Packed {
        Packed(self.0.into())
    }
}

/// Takes apart.
#[derive(Clone, Copy, Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// So many bytes; zeros where there are fewer.
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let (array, rest) = self.0.split_first_chunk().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *array
    }

    /// One byte.
    fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// Two bytes.
    fn number(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// A text.
    fn text(&mut self) -> &'a str {
        let length = usize::from(self.byte());
        let (text, rest) = self.0.split_at_checked(length).unwrap_or_default();
        self.0 = rest;
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// An address.
    fn address(&mut self, is_ipv6: bool) -> IpAddr {
        if is_ipv6 { Ipv6Addr::from(self.array()).into() } else { Ipv4Addr::from(self.array::<4>()).into() }
    }

    /// Addresses.
    fn addresses(&mut self) -> Vec<IpAddr> {
        let count = self.byte();
        let mut addresses = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let is_ipv6 = self.byte() & IPV6 != 0;
            addresses.push(self.address(is_ipv6));
        }
        addresses
    }

    /// Ports.
    fn ports(&mut self) -> Vec<Port<'a>> {
        let count = self.number();
        let mut ports = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let protocol = match self.byte() {
                0 => Protocol::Tcp,
                1 => Protocol::Udp,
                _ => Protocol::Sctp,
            };
            ports.push(Port { protocol, number: self.number(), name: self.text() });
        }
        ports
    }
}
