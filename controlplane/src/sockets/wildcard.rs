//! Datagrams of a socket that stands for every address of the machine: an answer must come from the address that was asked,
//! which the kernel tells beside each datagram, and is told beside each answer (ip(7), ipv6(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;

use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// The address that a datagram was sent to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    /// One of IPv4.
    Ipv4(in_pktinfo),
    /// One of IPv6.
    Ipv6(in6_pktinfo),
    /// That of the socket.
    Bound,
}

/// Has the kernel tell to which address each datagram was sent.
pub(super) fn tell(socket: &std::net::UdpSocket, address: SocketAddr) -> io::Result<()> {
    if !address.ip().is_unspecified() {
        return Ok(());
    }
    match address {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

/// Takes a datagram: its length, its sender, and whom it was sent to.
pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr, Asked)> {
    let mut control = cmsg_space!(in_pktinfo, in6_pktinfo);
    socket.try_io(Interest::READABLE, || {
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::empty();
        let received = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
        let ipv4 = |address: &SockaddrStorage| address.as_sockaddr_in().map(|&address| SocketAddr::V4(address.into()));
        let ipv6 = |address: &SockaddrStorage| address.as_sockaddr_in6().map(|&address| SocketAddr::V6(address.into()));
        let client = received.address.as_ref().and_then(|address| ipv4(address).or_else(|| ipv6(address)));
        let client = client.ok_or_else(|| io::Error::other("a datagram has no sender"))?;
        let asked = received.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Asked::Ipv4(info)),
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(Asked::Ipv6(info)),
            _ => None,
        });
        Ok((received.bytes, client, asked.unwrap_or(Asked::Bound)))
    })
}

/// Sends an answer from the address that was asked. Which interface it leaves by is the routes' choice, except for addresses of a
/// link.
pub(super) fn send(socket: &UdpSocket, answer: &[u8], client: SocketAddr, asked: Asked) -> io::Result<usize> {
    let parts = [IoSlice::new(answer)];
    let to = SockaddrStorage::from(client);
    let is_of_link = matches!(client, SocketAddr::V6(client) if client.ip().is_unicast_link_local());
    socket.try_io(Interest::WRITABLE, || {
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
        let sent = match asked {
            Asked::Ipv4(info) => {
                let info = in_pktinfo { ipi_ifindex: 0, ..info };
                sendmsg(fd, &parts, &[ControlMessage::Ipv4PacketInfo(&info)], flags, Some(&to))
            }
            Asked::Ipv6(info) => {
                let info = in6_pktinfo { ipi6_ifindex: if is_of_link { info.ipi6_ifindex } else { 0 }, ..info };
                sendmsg(fd, &parts, &[ControlMessage::Ipv6PacketInfo(&info)], flags, Some(&to))
            }
            Asked::Bound => sendmsg(fd, &parts, &[], flags, Some(&to)),
        };
        Ok(sent?)
    })
}
