//! TUN devices: interfaces of the kernel that go with the process. Not DPDK's; they stand here because they take an ioctl.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// Where they are made.
const TUN_PATH: &str = "/dev/net/tun";

/// Without what would stand in front of each packet; an interface that is there already is not taken (linux/if_tun.h).
const FLAGS: libc::c_int = libc::IFF_TUN | libc::IFF_NO_PI | IFF_TUN_EXCL;

/// An interface that is there already is not taken.
const IFF_TUN_EXCL: libc::c_int = 0x8000;

/// Makes an interface of that name. The kernel takes it away, with its addresses, when the file is closed.
///
/// # Errors
/// Where /dev/net/tun or CAP_NET_ADMIN is missing, or there is an interface of that name.
pub fn open_tun(name: &str) -> io::Result<OwnedFd> {
    let mut ifr_name = [0; libc::IFNAMSIZ];
    // The last byte stays zero.
    if name.len() >= ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    let [low, high, ..] = FLAGS.to_le_bytes();
    let ifru_flags = libc::c_short::from_le_bytes([low, high]);
    let mut request = libc::ifreq { ifr_name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags } };
    let file = OpenOptions::new().read(true).write(true).open(TUN_PATH)?;
    // SAFETY: TUNSETIFF reads and writes one ifreq; the request lives, and ends in a zero, and the descriptor is open.
    let outcome = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(file.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_too_long_or_taken_are_refused() {
        assert_eq!(open_tun("sixteen-bytes-xx").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        // Without the privilege it is that which is missing; nothing is ever done to the loopback.
        assert!(open_tun("lo").is_err());
    }
}
