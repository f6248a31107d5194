//! A UDP socket with a port that nobody can guess (RFC 5452 section 9.2).
//!
//! The kernel's own choice is among 28,000 ports, and how evenly depends on its version. Here it is among 52,000.

use std::fs;
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

use super::random;

/// Below are the ports of services, above all there is.
const PORTS: RangeInclusive<u16> = 10_240..=65_535;

/// Kubernetes' node ports: what answers on them may be caught by rules of its proxy on the way back (IPVS).
const NODE_PORTS: RangeInclusive<u16> = 30_000..=32_767;

/// Ports that are tried before the kernel's choice is taken: one in use each time is improbable below 50,000 open sockets.
const TRIES: usize = 8;

/// Where the machine's owner has written which ports are kept for services.
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Ports that are not taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Ports {
    /// The owner's, in ranges.
    reserved: Vec<RangeInclusive<u16>>,
}

impl Ports {
    /// Reads what the machine's owner keeps for services. Where that cannot be read nothing is.
    pub(super) fn of_this_machine() -> Self {
        Self { reserved: fs::read_to_string(RESERVED).map(|text| ranges(&text)).unwrap_or_default() }
    }

    /// A socket that gets what `upstream` sends, and nothing else once it is connected.
    pub(super) fn open(&self, upstream: SocketAddr) -> Result<UdpSocket, Error> {
        let local = |port| match upstream {
            SocketAddr::V4(_) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
            SocketAddr::V6(_) => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
        };
        let mut bound = None;
        for port in self.candidates().map_err(Error::other)? {
            match UdpSocket::bind(local(port)) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
                Ok(socket) => {
                    bound = Some(socket);
                    break;
                }
            }
        }
        let socket = bound.map_or_else(|| UdpSocket::bind(local(0)), Ok)?;
        socket.connect(upstream)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Ports by chance.
    fn candidates(&self) -> Result<impl Iterator<Item = u16> + use<'_>, random::NoRandom> {
        // One in five falls out of the range or into what is not taken: four times as many as are wanted are enough.
        let numbers: [u8; 2 * 4 * TRIES] = random::bytes()?;
        let ports = numbers.as_chunks::<2>().0.to_vec().into_iter().map(u16::from_be_bytes);
        Ok(ports.filter(|port| self.may_take(*port)).take(TRIES))
    }

    /// True for a port that may be taken.
    fn may_take(&self, port: u16) -> bool {
        PORTS.contains(&port) && !NODE_PORTS.contains(&port) && !self.reserved.iter().any(|range| range.contains(&port))
    }
}

/// Reads `8080,9000-9010`; what is not of that form is passed over.
fn ranges(text: &str) -> Vec<RangeInclusive<u16>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.trim().split(',').filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn reserved_ports_are_read_and_left_alone() {
        let ports = Ports { reserved: ranges("8080,40000-50000,x,\n") };
        assert_eq!(ports.reserved, [8080..=8080, 40_000..=50_000]);
        for _ in 0..200 {
            for port in ports.candidates().unwrap() {
                assert!(
                    (10_240..30_000).contains(&port) || (32_768..40_000).contains(&port) || port > 50_000,
                    "{port}"
                );
            }
        }
    }

    #[test]
    fn ports_are_all_over_the_range_and_never_in_turn() {
        let upstream = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let ports = Ports::default();
        let mut steps = HashSet::new();
        let mut seen = HashSet::new();
        let mut last = 0;
        for _ in 0..400 {
            let port = ports.open(upstream).unwrap().local_addr().unwrap().port();
            steps.insert(port.wrapping_sub(last));
            seen.insert(port / 4096);
            last = port;
        }
        assert!(steps.len() > 380, "{} steps", steps.len());
        assert!(seen.len() >= 12, "{} of 13 parts of the range", seen.len());
    }
}
