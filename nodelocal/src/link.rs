//! The interface that has the addresses. It is a TUN device that nobody else has open: the kernel takes it away, with its addresses,
//! when the process that opened it is gone, however it went.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::SockProtocol;

use crate::netlink::{Attributes, Message, NLM_F_CREATE, Netlink, attribute, number};

/// Message type: a link that is changed (linux/rtnetlink.h).
const RTM_NEWLINK: u16 = 16;
/// Message type: an address that is added.
const RTM_NEWADDR: u16 = 20;
/// Message type: addresses are asked for.
const RTM_GETADDR: u16 = 22;
/// Attribute: the address at the other end, which is our own here (linux/if_addr.h).
const IFA_ADDRESS: u16 = 1;
/// Attribute: our own address.
const IFA_LOCAL: u16 = 2;
/// Flag: nobody is asked whether the address is another's; there is nobody on this link.
const IFA_F_NODAD: u8 = 0x02;
/// Scope: this host alone, so that nothing else of it takes the address for its own packets.
const RT_SCOPE_HOST: u8 = 254;
/// Attribute: what a family says of the link.
const IFLA_AF_SPEC: u16 = 26;
/// Attribute: how IPv6 makes an address of its own (linux/if_link.h).
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
/// It makes none.
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
/// Flag: the link is up.
const IFF_UP: u32 = 1;
/// The number of IPv4 (linux/socket.h).
const AF_INET: u8 = 2;
/// The number of IPv6.
const AF_INET6: u8 = 10;
/// Bytes of what stands in front of an address's attributes.
const ADDRESS_HEAD_BYTES: usize = 8;

/// Makes a TUN device of that name, which goes when what is given is closed.
pub type OpenDevice = fn(&str) -> io::Result<OwnedFd>;

/// The interface.
#[derive(Debug)]
pub(crate) struct Link {
    /// Holds it.
    _device: OwnedFd,
    /// Its name.
    name: String,
    /// Its number.
    index: u32,
    /// Changes it.
    netlink: Netlink,
}

impl Link {
    /// Makes it, without addresses.
    pub(crate) fn make(name: &str, open: OpenDevice) -> io::Result<Self> {
        let device = open(name)?;
        let index = if_nametoindex(name)?;
        Ok(Self { _device: device, name: name.to_owned(), index, netlink: Netlink::open(SockProtocol::NetlinkRoute)? })
    }

    /// False where somebody has taken it away.
    pub(crate) fn is_there(&self) -> bool {
        if_nametoindex(self.name.as_str()) == Ok(self.index)
    }

    /// Those of the addresses that it does not have, and those that another interface has.
    pub(crate) fn look(&mut self, wanted: &[IpAddr]) -> io::Result<(Vec<IpAddr>, Vec<IpAddr>)> {
        let message =
            Message { kind: RTM_GETADDR, flags: 0, head: vec![0; ADDRESS_HEAD_BYTES], attributes: Attributes::new() };
        let found: Vec<(u32, IpAddr)> = self.netlink.list(&message)?.iter().filter_map(|bytes| found(bytes)).collect();
        let missing = wanted.iter().filter(|&&address| !found.contains(&(self.index, address)));
        let elsewhere = |address: &IpAddr| found.iter().any(|&(index, found)| index != self.index && found == *address);
        Ok((missing.copied().collect(), wanted.iter().copied().filter(elsewhere).collect()))
    }

    /// Gives it an address.
    pub(crate) fn add(&mut self, address: IpAddr) -> io::Result<()> {
        if address.is_ipv6() {
            // IPv6 has no addresses on a link that is down. For IPv4 it stays down: who looks for the node's own addresses by
            // interfaces that are up does not find it.
            self.bring_up()?;
        }
        match self.netlink.ask(&new_address(self.index, address)) {
            Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => Ok(()),
            outcome => outcome,
        }
    }

    /// Brings it up, without an address that IPv6 would make.
    fn bring_up(&mut self) -> io::Result<()> {
        let mode = Attributes::new().bytes(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
        let family = Attributes::new().nested(AF_INET6.into(), &mode);
        let none = self.link(0, Attributes::new().nested(IFLA_AF_SPEC, &family));
        // Where the kernel has no such mode the address does no harm.
        let _ = self.netlink.ask(&none);
        let up = self.link(IFF_UP, Attributes::new());
        self.netlink.ask(&up)
    }

    /// A message that sets flags and attributes.
    fn link(&self, flags: u32, attributes: Attributes) -> Message {
        // Of any family and type.
        let head = [[0; 4], self.index.to_ne_bytes(), flags.to_ne_bytes(), flags.to_ne_bytes()].concat();
        Message { kind: RTM_NEWLINK, flags: 0, head, attributes }
    }
}

/// A message that adds an address to an interface.
fn new_address(index: u32, address: IpAddr) -> Message {
    let (family, bits, flags, scope, octets) = match address {
        IpAddr::V4(address) => (AF_INET, 32, 0, RT_SCOPE_HOST, address.octets().to_vec()),
        IpAddr::V6(address) => (AF_INET6, 128, IFA_F_NODAD, 0, address.octets().to_vec()),
    };
    let head = [[family, bits, flags, scope], index.to_ne_bytes()].concat();
    let attributes = Attributes::new().bytes(IFA_LOCAL, &octets).bytes(IFA_ADDRESS, &octets);
    Message { kind: RTM_NEWADDR, flags: NLM_F_CREATE, head, attributes }
}

/// Interface and address of one that the kernel lists.
fn found(bytes: &[u8]) -> Option<(u32, IpAddr)> {
    let (index, attributes) = (number(bytes, 4)?, bytes.get(ADDRESS_HEAD_BYTES..)?);
    let octets = attribute(attributes, IFA_LOCAL).or_else(|| attribute(attributes, IFA_ADDRESS))?;
    let ipv4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let address = ipv4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()?;
    Some((index, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_lists_addresses_as_they_are_read() {
        let device = std::fs::File::open("/dev/null").unwrap().into();
        let netlink = Netlink::open(SockProtocol::NetlinkRoute).unwrap();
        let index = if_nametoindex("lo").unwrap();
        let mut lo = Link { _device: device, name: "lo".to_owned(), index, netlink };
        let other: IpAddr = "203.0.113.77".parse().unwrap();
        // Where the loopback is not up it has no address, and nothing can be seen of it.
        let (missing, elsewhere) = lo.look(&[IpAddr::from([127, 0, 0, 1]), other]).unwrap();
        assert!(missing.contains(&other) && elsewhere.is_empty(), "{missing:?} {elsewhere:?}");
        assert!(lo.is_there());
        lo.index += 1_000_000;
        assert!(!lo.is_there());
    }

    #[test]
    fn addresses_are_written_as_the_kernel_reads_them() {
        for text in ["169.254.20.10", "fd00::a"] {
            let address = text.parse().unwrap();
            let message = new_address(7, address);
            let bytes = [message.head.clone(), message.attributes.clone().into_bytes()].concat();
            assert_eq!(found(&bytes), Some((7, address)));
        }
        assert_eq!(found(&[0; 7]), None);
    }
}
