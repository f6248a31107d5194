//! Sockets on the configured addresses, and the open files that their connections need.

use std::fmt;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use super::{SocketsError, wildcard};

/// Connections that the kernel accepts ahead of us; it bounds this by net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Bytes that the kernel holds for a client that does not read; it takes twice as many for its own needs. A bound of our own,
/// because the kernel's grows to megabytes for each connection, and its sum is one of the whole host.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// Bytes that the kernel takes from a client ahead of us: some hundred queries.
const RECEIVE_BUFFER_BYTES: usize = 16 << 10;

/// Open files that are left to the rest of the process: ports, store, zone files, the admin API's clients.
const FILES_RESERVED: u64 = 512;

/// Fewest connections that are kept, however low the limit of open files is.
const CONNECTIONS_MIN: u64 = 64;

/// A transport as messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Tcp { "TCP" } else { "UDP" })
    }
}

/// Listens for connections. Clients that do not take what is sent to them within `write` are given up by the kernel, also after
/// we have closed: those that have vanished would be tried again for minutes.
pub(super) fn tcp(address: SocketAddr, write: Duration) -> Result<TcpListener, SocketsError> {
    let listen = || {
        let socket = socket(address, Type::STREAM, Protocol::TCP)?;
        // Connections of a server that has just ended must not keep its successor from the address.
        socket.set_reuse_address(true)?;
        // Those below hold for the accepted connections as well. Answers are written as a whole: nothing is gained by waiting.
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_user_timeout(Some(write))?;
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from(socket))
    };
    listen().map_err(|error| SocketsError::Listen { address, protocol: Protocols::Tcp, error })
}

/// Listens for datagrams. The address is not shared: another process could take its datagrams away.
pub(super) fn udp(address: SocketAddr) -> Result<UdpSocket, SocketsError> {
    let listen = || {
        let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        // Before the first datagram can be read.
        wildcard::tell(&socket, address)?;
        Ok(socket)
    };
    listen().map_err(|error| SocketsError::Listen { address, protocol: Protocols::Udp, error })
}

/// A socket whose address may come to this host later, and that leaves IPv4 to others where it is one of IPv6.
fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    } else {
        socket.set_freebind_v4(true)?;
    }
    Ok(socket)
}

/// Raises the limit of open files to what so many connections need; gives how many of them there can be.
pub(super) fn connections_for(wanted: usize) -> usize {
    let needed = wanted as u64 + FILES_RESERVED;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return wanted };
    let limit = soft.max(needed.min(hard));
    // A process may do that for itself up to the hard limit; beyond it only with CAP_SYS_RESOURCE.
    let raised = needed <= soft
        || (needed > hard && setrlimit(Resource::RLIMIT_NOFILE, needed, needed).is_ok())
        || (needed <= hard && setrlimit(Resource::RLIMIT_NOFILE, limit, hard).is_ok());
    if raised {
        return wanted;
    }
    let limit = if setrlimit(Resource::RLIMIT_NOFILE, limit, hard).is_ok() { limit } else { soft };
    let kept = limit.saturating_sub(FILES_RESERVED).max(CONNECTIONS_MIN);
    tracing::warn!(
        wanted,
        kept,
        limit,
        "sockets.tcp_connections_max needs {needed} open files, and the limit is {limit}: {kept} connections are kept; raise the \
         limit (LimitNOFILE={needed} in the systemd unit, ulimit -Hn {needed} in a shell), or set tcp_connections_max lower"
    );
    usize::try_from(kept).unwrap_or(wanted).min(wanted)
}
