//! The kernel's settings of an interface that a port has there.

use std::io;
use std::os::fd::AsRawFd as _;

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket};

/// Message type: a link that is changed (linux/rtnetlink.h).
const RTM_NEWLINK: u16 = 16;
/// Message type: how it went; an error number of zero says well (linux/netlink.h).
const NLMSG_ERROR: u16 = 2;
/// Flags: a request that is to be acknowledged.
const NLM_F_REQUEST_ACK: u16 = 0x1 | 0x4;
/// Attribute: whether the link has a carrier, one byte (linux/if_link.h).
const IFLA_CARRIER: u16 = 33;
/// Bytes of the message: its header, the link's fields, one attribute with padding.
const MESSAGE_BYTES: usize = 16 + 16 + 8;

/// Tells the kernel whether the interface has a carrier, so that its routes and whoever watches the link follow the cable of
/// the port. Needs CAP_NET_ADMIN, as making the interface does.
///
/// # Errors
/// Where there is no such interface, or the kernel refuses.
pub fn set_carrier(interface: &str, up: bool) -> io::Result<()> {
    let index = if_nametoindex(interface)?;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    sendto(socket.as_raw_fd(), &message(index, up), &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut reply = [0; 128];
    let length = recv(socket.as_raw_fd(), &mut reply, MsgFlags::empty())?;
    outcome(reply.get(..length).unwrap_or_default())
}

/// The request, in the byte order of the machine.
fn message(index: u32, up: bool) -> [u8; MESSAGE_BYTES] {
    let mut message = [0; MESSAGE_BYTES];
    let mut put = |at: usize, bytes: &[u8]| message[at..at + bytes.len()].copy_from_slice(bytes);
    let length = u32::try_from(MESSAGE_BYTES).unwrap_or_default();
    put(0, &length.to_ne_bytes());
    put(4, &RTM_NEWLINK.to_ne_bytes());
    put(6, &NLM_F_REQUEST_ACK.to_ne_bytes());
    // The link's fields: of any family and type, its index; no flag changes.
    put(20, &index.to_ne_bytes());
    put(32, &5u16.to_ne_bytes());
    put(34, &IFLA_CARRIER.to_ne_bytes());
    put(36, &[u8::from(up)]);
    message
}

/// What the kernel says of a request.
fn outcome(reply: &[u8]) -> io::Result<()> {
    let number = |at: usize| reply.get(at..).and_then(<[u8]>::first_chunk::<4>).map(|bytes| i32::from_ne_bytes(*bytes));
    let kind = reply.get(4..).and_then(<[u8]>::first_chunk::<2>).map(|bytes| u16::from_ne_bytes(*bytes));
    match (kind, number(16)) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(negative_errno)) => Err(io::Error::from_raw_os_error(negative_errno.saturating_neg())),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is no acknowledgement")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_understands_the_request() {
        // Every namespace has a loopback interface, whose carrier cannot be set: refused, and not for its form.
        let error = set_carrier("lo", true).unwrap_err();
        assert!([libc_errno::EPERM, libc_errno::EOPNOTSUPP].contains(&error.raw_os_error().unwrap()), "{error}");
        assert_eq!(set_carrier("no-such-if", true).unwrap_err().raw_os_error(), Some(libc_errno::ENODEV));
    }

    /// Error numbers of Linux.
    mod libc_errno {
        pub const EPERM: i32 = 1;
        pub const ENODEV: i32 = 19;
        pub const EOPNOTSUPP: i32 = 95;
    }

    #[test]
    fn other_answers_are_no_acknowledgement() {
        assert!(outcome(b"").is_err());
        assert!(outcome(&message(1, true)).is_err());
    }
}
