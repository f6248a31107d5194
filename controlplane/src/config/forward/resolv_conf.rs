//! Files in the form of resolv.conf, as far as they name servers.

use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::own::is_own;

/// The file of the machine.
const SYSTEM: &str = "/etc/resolv.conf";

/// The file in which systemd names the servers that its stub asks.
const BEHIND_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// The addresses of systemd's stub.
const STUBS: [&str; 2] = ["127.0.0.53", "127.0.0.54"];

/// The word for the machine's own file.
const SYSTEM_WORD: &str = "system";

/// Most bytes that are read of a file.
const FILE_BYTES_MAX: u64 = 1 << 16;

/// Most servers that are taken of a file.
const SERVERS_MAX: usize = 15;

/// The port of its servers.
const PORT: u16 = 53;

/// Why a file says nobody who could be asked.
#[derive(Debug, thiserror::Error)]
pub enum ResolvConfError {
    /// It cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It names nobody.
    #[error("{} has no line \"nameserver ADDRESS\"", .0.display())]
    Empty(PathBuf),
    /// It names this machine's loopback only.
    #[error("{} names {address} only, which is this machine itself: a loop, or somebody who may ask us", path.display())]
    Loopback {
        /// The file.
        path: PathBuf,
        /// The first such address.
        address: IpAddr,
    },
    /// It names this server only.
    #[error("{} names {address} only, where RingDNS itself answers: it would ask itself", path.display())]
    Own {
        /// The file.
        path: PathBuf,
        /// The first such address.
        address: IpAddr,
    },
}

impl ResolvConfError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "name a file that RingDNS may read, or name the servers in upstreams",
            Self::Empty(_) => "add one, or name the servers in upstreams",
            Self::Loopback { .. } => {
                "name the servers that are to be asked in upstreams (also one on this machine, if it is another program), or \
                 the file in which that program names them"
            }
            Self::Own { .. } => "name the servers that are to be asked in upstreams, or another file",
        }
    }
}

/// The file that a key names.
pub(super) fn path(given: &Path, base: &Path) -> PathBuf {
    if given == Path::new(SYSTEM_WORD) { PathBuf::from(SYSTEM) } else { base.join(given) }
}

/// The servers that a file names now and that can be asked, `own` being where this server answers. Of a file that names systemd's
/// stub only, those behind the stub.
///
/// The stub is passed by: it may have been told to ask us, and it answers some names by itself.
pub fn servers(path: &Path, own: &[SocketAddr]) -> Result<Vec<SocketAddr>, ResolvConfError> {
    servers_of(path, Path::new(BEHIND_STUB), own)
}

/// The same with the file behind the stub.
fn servers_of(path: &Path, behind_stub: &Path, own: &[SocketAddr]) -> Result<Vec<SocketAddr>, ResolvConfError> {
    let named = named(path)?;
    let is_stub = |address: &SocketAddr| STUBS.contains(&address.ip().to_string().as_str());
    if !named.is_empty() && named.iter().all(is_stub) && path != behind_stub {
        return servers_of(behind_stub, behind_stub, own);
    }
    let good = |address: &&SocketAddr| !is_loop(address) && !is_own(own, **address);
    let good: Vec<SocketAddr> = named.iter().filter(good).copied().collect();
    let path = path.to_path_buf();
    match (named.first(), good.is_empty()) {
        (_, false) => Ok(good),
        (None, true) => Err(ResolvConfError::Empty(path)),
        (Some(first), true) if is_loop(first) => Err(ResolvConfError::Loopback { path, address: first.ip() }),
        (Some(first), true) => Err(ResolvConfError::Own { path, address: first.ip() }),
    }
}

/// True for addresses of this machine that everybody has.
fn is_loop(address: &SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    ip.is_loopback() || ip.is_unspecified()
}

/// The servers that a file names, none twice.
fn named(path: &Path) -> Result<Vec<SocketAddr>, ResolvConfError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| ResolvConfError::Unreadable { path: path.to_path_buf(), error })?;
    let mut servers: Vec<SocketAddr> = Vec::new();
    for line in String::from_utf8_lossy(&bytes).lines() {
        // resolv.conf(5): the keyword begins the line; what follows the address is passed over.
        let mut words = line.split_ascii_whitespace();
        let (Some("nameserver"), Some(address)) = (words.next(), words.next()) else { continue };
        // An address of a link, with its interface, is none that could be asked from here.
        let Ok(address) = address.parse::<IpAddr>() else { continue };
        let address = SocketAddr::new(address, PORT);
        if !servers.contains(&address) && servers.len() < SERVERS_MAX {
            servers.push(address);
        }
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_be_asked_is_taken_and_systemds_stub_passed_by() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let behind = file("behind", "# by systemd\nnameserver 192.0.2.7\nsearch a.example\n");
        let own = ["192.0.2.53:53".parse().unwrap(), "192.0.2.9:5353".parse().unwrap()];
        let of = |text: &str| {
            let found = servers_of(&file("resolv.conf", text), &behind, &own);
            let shown =
                |servers: Vec<SocketAddr>| servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            found.map(shown).map_err(|error| format!("{error}; {}", error.remedy()))
        };
        for (text, expected) in [
            (
                "nameserver 192.0.2.1\n  nameserver\t2001:db8::1 x\nnameserver 192.0.2.1\n",
                "192.0.2.1:53 [2001:db8::1]:53",
            ),
            ("nameserver 127.0.0.53\noptions edns0 trust-ad\n", "192.0.2.7:53"),
            ("nameserver 127.0.0.53\nnameserver 192.0.2.1\n", "192.0.2.1:53"),
            ("nameserver 192.0.2.53\nnameserver 192.0.2.9\nnameserver fe80::1%eth0\n", "192.0.2.9:53"),
        ] {
            assert_eq!(of(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("nameserver 127.0.0.1\n", "names 127.0.0.1 only, which is this machine itself"),
            ("nameserver ::1\n", "name the servers that are to be asked in upstreams"),
            ("nameserver 0.0.0.0\n", "names 0.0.0.0 only, which is this machine itself"),
            ("nameserver 192.0.2.53\n", "where RingDNS itself answers"),
            ("search a\n#nameserver 192.0.2.1\nnameservers 192.0.2.1\n", "has no line \"nameserver ADDRESS\"; add one"),
        ] {
            let found = of(text).unwrap_err();
            assert!(found.contains(expected), "{text}: {found}");
        }
        file("behind", "nameserver 127.0.0.53\n");
        assert!(of("nameserver 127.0.0.53\n").unwrap_err().contains("behind names 127.0.0.53 only"));
        std::fs::remove_file(&behind).unwrap();
        assert!(of("nameserver 127.0.0.53\n").unwrap_err().contains("cannot be read"));
        let path = path(Path::new("system"), Path::new("/etc/ringdns"));
        assert_eq!(path, Path::new("/etc/resolv.conf"));
    }
}
