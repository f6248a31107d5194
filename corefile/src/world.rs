//! What a Corefile may ask of the machine that it is read on: files, variables, addresses.

use std::cell::RefCell;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::Path;

/// Most bytes of a file that is read: Corefiles have some hundred, and one from a ConfigMap at most 1 MiB.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// The machine.
pub trait World {
    /// The text of a file; one longer than [`FILE_BYTES_MAX`] is an error.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// The names in a directory, sorted, without those of sub-directories.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;

    /// The machine's name.
    fn host_name(&self) -> Option<String>;

    /// The addresses of an interface; none where there is no such interface.
    fn interface(&self, name: &str) -> Vec<IpAddr>;

    /// Whether there is IPv6.
    fn has_ipv6(&self) -> bool;
}

/// A machine that remembers what it was asked and said: the outcome of a translation depends on nothing else.
pub struct Recorder<'a> {
    /// The machine.
    world: &'a dyn World,
    /// What it was asked and said.
    seen: RefCell<DefaultHasher>,
}

impl<'a> Recorder<'a> {
    /// Nothing was asked yet.
    pub fn new(world: &'a dyn World) -> Self {
        Self { world, seen: RefCell::default() }
    }

    /// A hash of all that was asked and said.
    pub fn digest(&self) -> u64 {
        self.seen.borrow().finish()
    }

    /// Remembers a question and its answer.
    fn note<Q: Hash + ?Sized, A: Hash>(&self, question: &Q, answer: A) -> A {
        let mut seen = self.seen.borrow_mut();
        question.hash(&mut *seen);
        answer.hash(&mut *seen);
        answer
    }

    /// The same where the answer may be an error.
    fn note_result<A: Hash>(&self, question: &Path, answer: io::Result<A>) -> io::Result<A> {
        match answer {
            Ok(answer) => Ok(self.note(question, answer)),
            Err(error) => {
                self.note(question, error.to_string());
                Err(error)
            }
        }
    }
}

impl World for Recorder<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.note_result(path, self.world.read(path))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.note_result(directory, self.world.list(directory))
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.note(name, self.world.variable(name))
    }

    fn host_name(&self) -> Option<String> {
        self.note("", self.world.host_name())
    }

    fn interface(&self, name: &str) -> Vec<IpAddr> {
        self.note(name, self.world.interface(name))
    }

    fn has_ipv6(&self) -> bool {
        self.note("", self.world.has_ipv6())
    }
}

/// This machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl World for Machine {
    fn read(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB"));
        }
        Ok(text)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            // NOTE: by the target of a link: the files of a mounted ConfigMap are links into a directory that is swapped.
            if fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file()) {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn host_name(&self) -> Option<String> {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    }

    fn interface(&self, name: &str) -> Vec<IpAddr> {
        let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
        let mut addresses = Vec::new();
        for address in interfaces.filter(|interface| interface.interface_name == name).filter_map(|found| found.address)
        {
            let ipv4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            let ipv6 = address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
            addresses.extend(ipv4.or(ipv6));
        }
        addresses
    }

    fn has_ipv6(&self) -> bool {
        Path::new("/proc/net/if_inet6").exists()
    }
}
