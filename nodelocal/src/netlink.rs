//! Messages to the kernel and what it says of them (netlink(7)), in the byte order of the machine.

use std::io;
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

/// Flag: a request.
const NLM_F_REQUEST: u16 = 0x1;
/// Flag: what became of it is to be said.
const NLM_F_ACK: u16 = 0x4;
/// Flag: all there are, not one.
const NLM_F_DUMP: u16 = 0x300;
/// Flag: what is not there is made.
pub(crate) const NLM_F_CREATE: u16 = 0x400;
/// Flag: at the end.
pub(crate) const NLM_F_APPEND: u16 = 0x800;
/// Message type: what became of a request; an error number of zero says well.
const NLMSG_ERROR: u16 = 2;
/// Message type: the end of all there are.
const NLMSG_DONE: u16 = 3;
/// An attribute is made of attributes.
const NLA_F_NESTED: u16 = 0x8000;
/// Bytes of a message's header.
const HEADER_BYTES: usize = 16;
/// The kernel sends at most so many bytes at once.
const RECEIVE_BYTES: usize = 32 << 10;
/// Longest wait for the kernel in seconds: it answers at once, or not at all.
const WAIT_SECONDS: i64 = 5;

/// Attributes, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub(crate) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds text, with the zero that ends it.
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Adds a number in the byte order of networks, as nf_tables has them.
    pub(crate) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// All of them.
    #[cfg(test)]
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Adds one that is made of others.
    pub(crate) fn nested(self, kind: u16, value: &Self) -> Self {
        self.bytes(kind | NLA_F_NESTED, &value.0)
    }
}

/// A message before it has a sequence number.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// What it asks for.
    pub(crate) kind: u16,
    /// How.
    pub(crate) flags: u16,
    /// What stands in front of the attributes.
    pub(crate) head: Vec<u8>,
    /// The attributes.
    pub(crate) attributes: Attributes,
}

impl Message {
    /// Its bytes.
    fn encode(&self, flags: u16, sequence: u32) -> Vec<u8> {
        let Self { kind, head, attributes, .. } = self;
        let length = u32::try_from(HEADER_BYTES + head.len() + attributes.0.len()).unwrap_or(u32::MAX);
        let flags = self.flags | flags | NLM_F_REQUEST;
        let mut bytes = Vec::new();
        bytes.extend(length.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        // To the kernel.
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(head);
        bytes.extend(&attributes.0);
        bytes
    }
}

/// A message of the kernel.
#[derive(Debug)]
struct Reply {
    /// What it is.
    kind: u16,
    /// To which of ours it belongs.
    sequence: u32,
    /// What follows the header.
    payload: Vec<u8>,
}

/// A socket to one part of the kernel.
#[derive(Debug)]
pub(crate) struct Netlink {
    /// The socket.
    socket: OwnedFd,
    /// Sequence number of the last message.
    sequence: u32,
}

impl Netlink {
    /// Opens one.
    pub(crate) fn open(part: SockProtocol) -> io::Result<Self> {
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, part)?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(WAIT_SECONDS, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Has one thing done.
    pub(crate) fn ask(&mut self, message: &Message) -> io::Result<()> {
        self.ask_all(std::slice::from_ref(message), 0)
    }

    /// Has several things done by one message to the kernel; it says of the one at `last` what became of it, and of every other
    /// that fails.
    pub(crate) fn ask_all(&mut self, messages: &[Message], last: usize) -> io::Result<()> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        let mut awaited = first;
        for (index, message) in messages.iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            let is_last = index == last;
            bytes.extend(message.encode(if is_last { NLM_F_ACK } else { 0 }, self.sequence));
            awaited = if is_last { self.sequence } else { awaited };
        }
        self.send(&bytes)?;
        loop {
            for reply in self.receive()? {
                if is_done(&reply, &(first..=self.sequence), awaited)? {
                    return Ok(());
                }
            }
        }
    }

    /// All there are of something: the kernel's messages without their headers.
    pub(crate) fn list(&mut self, message: &Message) -> io::Result<Vec<Vec<u8>>> {
        self.sequence = self.sequence.wrapping_add(1);
        self.send(&message.encode(NLM_F_DUMP, self.sequence))?;
        let mut found = Vec::new();
        loop {
            for reply in self.receive()?.into_iter().filter(|reply| reply.sequence == self.sequence) {
                match reply.kind {
                    NLMSG_DONE => return Ok(found),
                    NLMSG_ERROR => return outcome(&reply.payload).map(|()| found),
                    _ => found.push(reply.payload),
                }
            }
        }
    }

    /// Sends bytes to the kernel.
    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let sent = sendto(self.socket.as_raw_fd(), bytes, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Waits for messages of the kernel.
    fn receive(&self) -> io::Result<Vec<Reply>> {
        let mut buffer = vec![0; RECEIVE_BYTES];
        let length = loop {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel does not answer"));
                }
                other => break other?,
            }
        };
        Ok(replies(buffer.get(..length).unwrap_or_default()))
    }
}

/// Takes what the kernel sent apart.
fn replies(mut bytes: &[u8]) -> Vec<Reply> {
    let mut replies = Vec::new();
    while let Some(length) = number(bytes, 0).and_then(|length| usize::try_from(length).ok()) {
        let (Some(kind), Some(sequence), Some(payload)) =
            (small(bytes, 4), number(bytes, 8), bytes.get(HEADER_BYTES..length))
        else {
            break;
        };
        replies.push(Reply { kind, sequence, payload: payload.to_vec() });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    replies
}

/// Whether the kernel has said that all went well; what belongs to an earlier request is passed over.
fn is_done(reply: &Reply, ours: &RangeInclusive<u32>, awaited: u32) -> io::Result<bool> {
    if reply.kind != NLMSG_ERROR || !ours.contains(&reply.sequence) {
        return Ok(false);
    }
    outcome(&reply.payload)?;
    Ok(reply.sequence == awaited)
}

/// What became of a request.
fn outcome(payload: &[u8]) -> io::Result<()> {
    let negative_errno = payload.first_chunk::<4>().map(|bytes| i32::from_ne_bytes(*bytes));
    match negative_errno {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(errno.saturating_neg())),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is cut short")),
    }
}

/// A number of 32 bits.
pub(crate) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// A number of 16 bits.
fn small(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk::<2>().map(|bytes| u16::from_ne_bytes(*bytes))
}

/// The value of the first attribute of a kind.
pub(crate) fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let (Some(length), Some(kind)) = (small(bytes, 0), small(bytes, 2)) {
        let length = usize::from(length);
        let value = bytes.get(4..length)?;
        if kind & !NLA_F_NESTED == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of the kernel.
    fn reply(kind: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let head = payload.to_vec();
        Message { kind, flags: 0, head, attributes: Attributes::new() }.encode(0, sequence)
    }

    #[test]
    fn attributes_are_padded_and_found_again() {
        let inner = Attributes::new().number(1, 7);
        let attributes = Attributes::new().text(3, "abcd").nested(4, &inner).bytes(5, &[9]);
        assert_eq!(attributes.0.len(), 12 + 12 + 8);
        assert_eq!(attribute(&attributes.0, 3), Some(&b"abcd\0"[..]));
        assert_eq!(attribute(attribute(&attributes.0, 4).unwrap(), 1), Some(&[0, 0, 0, 7][..]));
        assert_eq!((attribute(&attributes.0, 5), attribute(&attributes.0, 6)), (Some(&[9][..]), None));
        assert_eq!(attribute(&[200, 0, 1, 0], 1), None, "longer than what there is");
    }

    #[test]
    fn only_what_belongs_to_the_request_counts() {
        let bytes = [reply(NLMSG_ERROR, 1, &(-1i32).to_ne_bytes()), reply(NLMSG_ERROR, 3, &[0; 4])].concat();
        let replies = replies(&bytes);
        assert_eq!(replies.len(), 2);
        assert!(!is_done(&replies[0], &(2..=3), 3).unwrap(), "the failure of an earlier one");
        assert!(is_done(&replies[1], &(2..=3), 3).unwrap());
        assert!(!is_done(&replies[1], &(2..=4), 4).unwrap(), "not the last");
        assert_eq!(is_done(&replies[0], &(1..=3), 3).unwrap_err().raw_os_error(), Some(1), "any failure is one");
    }

    #[test]
    fn what_is_cut_short_is_no_message() {
        let whole = reply(NLMSG_ERROR, 1, &[0; 4]);
        assert!((0..whole.len()).all(|length| replies(&whole[..length]).is_empty()));
        assert!(outcome(&[0; 3]).is_err());
    }
}
