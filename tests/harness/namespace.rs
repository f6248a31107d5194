//! Network namespaces without names: they go with the last process or file that holds them, so that not even a test that is
//! killed leaves one behind (`ip netns add` would).

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::sched::{CloneFlags, setns, unshare};

use crate::process::run;

/// Where a thread's own network namespace shows.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace.
pub struct Namespace {
    /// Holds it.
    handle: File,
}

/// The thread is back in its former namespace when this is dropped.
pub struct Entered {
    /// The former namespace.
    former: File,
}

impl Namespace {
    /// Makes an empty one with its loopback up.
    pub fn new() -> Namespace {
        let former = File::open(OWN).expect("/proc");
        unshare(CloneFlags::CLONE_NEWNET).expect("a new network namespace: the outer tests run as root");
        let namespace = Namespace { handle: File::open(OWN).expect("/proc") };
        run("ip", &["link", "set", "lo", "up"]);
        setns(&former, CloneFlags::CLONE_NEWNET).expect("the former namespace");
        namespace
    }

    /// Moves this thread in: its new sockets and child processes belong to the namespace.
    pub fn enter(&self) -> Entered {
        let former = File::open(OWN).expect("/proc");
        setns(&self.handle, CloneFlags::CLONE_NEWNET).expect("the namespace");
        Entered { former }
    }

    /// A path that `ip link set .. netns` takes for a name.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.handle.as_raw_fd())
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        setns(&self.former, CloneFlags::CLONE_NEWNET).expect("the former namespace");
    }
}
