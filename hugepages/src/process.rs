//! What a process may do: user, capabilities, limits.

use std::os::unix::fs::MetadataExt as _;

use crate::root::Root;

/// A capability: its bit (linux/capability.h) and its name.
pub type Capability = (u32, &'static str);

/// Configure interfaces and make TAP devices.
pub const NET_ADMIN: Capability = (12, "CAP_NET_ADMIN");
/// Use packet sockets.
pub const NET_RAW: Capability = (13, "CAP_NET_RAW");
/// Lock memory beyond the limit.
pub const IPC_LOCK: Capability = (14, "CAP_IPC_LOCK");
/// Listen on ports below 1024.
pub const NET_BIND_SERVICE: Capability = (10, "CAP_NET_BIND_SERVICE");
/// Drive devices that no IOMMU guards.
pub const SYS_RAWIO: Capability = (17, "CAP_SYS_RAWIO");
/// Raise its own limits.
pub const SYS_RESOURCE: Capability = (24, "CAP_SYS_RESOURCE");
/// Read and write any file.
pub const DAC_OVERRIDE: Capability = (1, "CAP_DAC_OVERRIDE");

/// This process, as /proc tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Effective user.
    pub user: u32,
    /// Effective group and supplementary ones.
    pub groups: Vec<u32>,
    /// Bits of the effective capabilities.
    pub capabilities: u64,
    /// Bytes of memory that it may lock; none: any amount.
    pub lock_bytes_max: Option<u64>,
    /// Files that it may open, as far as it may raise its own limit; none: any number.
    pub files_max: Option<u64>,
}

impl Process {
    /// Reads this process.
    pub fn read(root: &Root) -> Self {
        let status = root.text("proc/self/status").unwrap_or_default();
        let limits = root.text("proc/self/limits").unwrap_or_default();
        let numbers = |label: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(label));
            line.into_iter().flat_map(str::split_whitespace).filter_map(|word| word.parse().ok()).collect()
        };
        // Real, effective, saved and file system id, in this order.
        let effective = |label: &str| numbers(label).get(1).copied().unwrap_or(u32::MAX);
        let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let mut groups = numbers("Groups:");
        groups.push(effective("Gid:"));
        Self {
            user: effective("Uid:"),
            groups,
            capabilities: capabilities.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or_default(),
            lock_bytes_max: limit(&limits, "Max locked memory", SOFT),
            // The server raises this one by itself as far as it may.
            files_max: limit(&limits, "Max open files", HARD),
        }
    }

    /// Whether it has a capability.
    pub fn has(&self, (bit, _): Capability) -> bool {
        self.capabilities & (1 << bit) != 0
    }

    /// Whether it may read and write a file, by owner, group and mode; none where there is no such file.
    pub fn may_use(&self, root: &Root, path: &str) -> Option<bool> {
        /// Permission to read and to write.
        const READ_WRITE: u32 = 0o6;
        let metadata = root.path(path).metadata().ok()?;
        let shift = if metadata.uid() == self.user {
            6
        } else if self.groups.contains(&metadata.gid()) {
            3
        } else {
            0
        };
        Some(self.has(DAC_OVERRIDE) || metadata.mode() >> shift & READ_WRITE == READ_WRITE)
    }
}

/// The column of what holds, in a line of /proc/self/limits.
const SOFT: usize = 0;

/// The column of what a process may raise that to.
const HARD: usize = 1;

/// A limit of a line of /proc/self/limits; none: unlimited.
fn limit(limits: &str, label: &str, column: usize) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeMachine;

    #[test]
    fn status_and_limits_are_read() {
        let machine = FakeMachine::new("process");
        let status = "Name:\tx\nUid:\t0\t999\t0\t0\nGid:\t0\t998\t0\t0\nGroups:\t4 24 \nCapEff:\t0000000000001000\n";
        machine.file("proc/self/status", status);
        let limits = "Limit   Soft Limit  Hard Limit  Units\nMax open files   1024   4096  files\nMax locked memory  unlimited  unlimited  bytes\n";
        machine.file("proc/self/limits", limits);
        let process = Process::read(&machine.root());
        assert_eq!((process.user, process.groups.as_slice()), (999, [4, 24, 998].as_slice()));
        assert!(process.has(NET_ADMIN) && !process.has(NET_RAW));
        assert_eq!((process.files_max, process.lock_bytes_max), (Some(4096), None));
        assert_eq!(process.may_use(&machine.root(), "dev/none"), None);
    }

    #[test]
    fn files_are_used_by_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let machine = FakeMachine::new("modes");
        machine.file("dev/vfio/3", "");
        let path = machine.root().path("dev/vfio/3");
        let owner = path.metadata().unwrap().uid();
        for (mode, user, may) in [(0o600, owner, true), (0o600, owner + 1, false), (0o666, owner + 1, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let process = Process { user, ..Process::default() };
            assert_eq!(process.may_use(&machine.root(), "dev/vfio/3"), Some(may), "{mode:o} {user}");
        }
    }
}
