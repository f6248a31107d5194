//! What can go wrong between us and DPDK. Every message ends with what to do about it.

use std::ffi::CStr;
use std::fmt;

use ringdns_ffi as ffi;

/// Why the EAL or a port could not be set up.
#[derive(Debug)]
pub enum DpdkError {
    /// The EAL can be started once in the life of a process.
    AlreadyStarted,
    /// There are fewer free hugepages than memory is wanted.
    Hugepages {
        /// MiB that the configuration asks for.
        wanted_mib: u32,
        /// MiB that are free.
        free_mib: u64,
        /// The command that reserves them.
        remedy: String,
    },
    /// The machine has not that much memory to give.
    Memory {
        /// MiB that the configuration asks for.
        wanted_mib: u32,
        /// MiB that are available.
        available_mib: u64,
    },
    /// A thread, a file of /proc, or the like.
    System(std::io::Error),
    /// The EAL did not start; the reason is its own.
    Eal(String),
    /// Something is wrong with one device.
    Device {
        /// Its name or, where those may be wrong, its arguments.
        device: String,
        /// What it is.
        problem: DeviceProblem,
    },
}

/// What can be wrong with a device.
#[derive(Debug)]
pub enum DeviceProblem {
    /// The arguments are neither those of a virtual device nor a PCI address.
    Syntax,
    /// The driver would ignore an argument of this name.
    UnknownArgument {
        /// The name.
        name: String,
        /// Those that it knows.
        known: &'static [&'static str],
    },
    /// The driver needs this capability, which the process lacks.
    Capability(&'static str),
    /// /dev/net/tun is not there.
    NoTun,
    /// /dev/vhost-net is not there.
    NoVhost,
    /// The TAP interface of that name is there already.
    InterfaceTaken(String),
    /// No driver of that name is installed.
    NoDriver {
        /// The package that brings it.
        package: String,
        /// What DPDK said.
        reason: String,
    },
    /// There is a driver, but it did not take the device; the reason is DPDK's.
    Probe(String),
    /// No driver took the PCI device.
    NotBound,
    /// The device has fewer queues than there are workers.
    Queues {
        /// One for each worker.
        wanted: u16,
        /// What the device has.
        most: u16,
    },
    /// The device does not carry frames of that size.
    Mtu {
        /// What the configuration asks for.
        wanted: u16,
        /// The least that the device and RingDNS allow.
        least: u16,
        /// The most.
        most: u16,
    },
    /// The buffers do not fit the EAL's memory.
    Pool {
        /// MiB that the buffers of one queue take.
        needed_mib: u64,
        /// What DPDK said.
        reason: String,
    },
    /// A call failed.
    Call {
        /// Its name.
        call: &'static str,
        /// What DPDK said.
        reason: String,
    },
}

impl DpdkError {
    /// An error of one device.
    pub(super) fn device(device: &str, problem: DeviceProblem) -> Self {
        Self::Device { device: device.to_owned(), problem }
    }

    /// Adds what DPDK logged to the reason of a failed call.
    pub(super) fn with_log(mut self, log: &str) -> Self {
        use DeviceProblem::{Call, Pool};
        if let Self::Device { problem: Call { reason, .. } | Pool { reason, .. }, .. } = &mut self
            && !log.is_empty()
        {
            *reason = format!("{reason}: {log}");
        }
        self
    }
}

impl fmt::Display for DpdkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyStarted => f.write_str("DPDK was started before in this process; start a new process"),
            Self::Hugepages { wanted_mib, free_mib, remedy } => write!(
                f,
                "{wanted_mib} MiB of hugepages are wanted and {free_mib} MiB are free; run `{remedy}`, or set [eal] \
                 hugepages = false"
            ),
            Self::Memory { wanted_mib, available_mib } => write!(
                f,
                "{wanted_mib} MiB of memory are wanted and {available_mib} MiB are available; lower [eal] memory_mib"
            ),
            Self::System(error) => write!(f, "DPDK cannot be prepared ({error}); see that /proc is mounted"),
            Self::Eal(reason) => write!(f, "DPDK did not start ({reason}); see [eal] in the configuration"),
            Self::Device { device, problem } => write!(f, "device {device}: {problem}"),
        }
    }
}

impl fmt::Display for DeviceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str(
                "neither a virtual device such as \"net_tap0,iface=ringdns0\" nor a PCI address such as \
                 \"0000:01:00.0\"; correct [[port]] device",
            ),
            Self::UnknownArgument { name, known } => {
                write!(f, "it has no argument {name:?}; use {} in [[port]] device", known.join(", "))
            }
            Self::Capability(capability) => write!(
                f,
                "{capability} is missing; run as root, or give it to the process (systemd: AmbientCapabilities={capability})"
            ),
            Self::NoTun => f.write_str("/dev/net/tun is missing; run `modprobe tun`, or pass it into the container"),
            Self::NoVhost => {
                f.write_str("/dev/vhost-net is missing; run `modprobe vhost_net`, or set [[port]] kernel = \"tap\"")
            }
            Self::InterfaceTaken(interface) => write!(
                f,
                "the interface {interface} exists already; end the process that has it (`ip -d link show {interface}`), or \
                 choose another name in [[port]] device"
            ),
            Self::NoDriver { package, reason } => {
                write!(f, "its driver is missing ({reason}); run `apt-get install --no-install-recommends {package}`")
            }
            Self::Probe(reason) => {
                write!(f, "the driver did not take it ({reason}); correct the arguments in [[port]] device")
            }
            Self::NotBound => {
                let reason = super::eal::start_log();
                let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                write!(f, "no DPDK driver took it{reason}; see what `ringdns doctor --config FILE` says as this user")
            }
            Self::Queues { wanted, most } => write!(
                f,
                "{most} queue pairs are too few for {wanted} workers; name at most {most} CPUs in [workers] cores, or \
                 give the device more queues"
            ),
            Self::Mtu { wanted, least, most } => {
                write!(f, "it cannot have an MTU of {wanted}; set [[port]] mtu between {least} and {most}")
            }
            Self::Pool { needed_mib, reason } => write!(
                f,
                "{needed_mib} MiB of packet buffers for one queue did not fit ({reason}); raise [eal] memory_mib by that much"
            ),
            Self::Call { call, reason } => {
                write!(f, "{call} failed ({reason}); correct the arguments in [[port]] device")
            }
        }
    }
}

impl std::error::Error for DpdkError {}

impl From<std::io::Error> for DpdkError {
    fn from(error: std::io::Error) -> Self {
        Self::System(error)
    }
}

/// The text of a negative error number, as most of DPDK's functions return it.
pub(super) fn describe(negative_errno: i32) -> String {
    // SAFETY: takes any number; returns a string with its end mark, in a buffer of this thread or static.
    let text = unsafe { ffi::rte_strerror(negative_errno.saturating_neg()) };
    // SAFETY: see above; copied before anything can overwrite it.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}

/// The text of rte_errno, which functions that return pointers or -1 leave behind.
pub(super) fn describe_errno() -> String {
    // SAFETY: reads a thread-local variable.
    let errno = unsafe { ffi::ringdns_errno() };
    describe(errno.saturating_neg())
}

/// Collects DPDK's log from its making to [`LogCapture::end`], so that an error can quote it.
pub(super) struct LogCapture(());

impl LogCapture {
    /// Starts collecting.
    pub(super) fn start() -> Self {
        // SAFETY: guarded by a lock of its own; may be called at any time.
        unsafe { ffi::ringdns_log_capture() };
        Self(())
    }

    /// The last lines in one line, without what precedes the message; empty where nothing was logged.
    pub(super) fn end(self) -> String {
        let mut text = [0u8; 4096];
        // SAFETY: the buffer is as long as is said.
        let len = unsafe { ffi::ringdns_log_take(text.as_mut_ptr().cast(), text.len()) };
        let text = String::from_utf8_lossy(text.get(..len).unwrap_or_default());
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.get(lines.len().saturating_sub(LOG_LINES_MAX)..).unwrap_or_default().join("; ")
    }

    /// The reason of a failure: what was logged, or the error number's text.
    pub(super) fn reason(self, errno_text: &str) -> String {
        let log = self.end();
        if log.is_empty() { errno_text.to_owned() } else { format!("{errno_text}: {log}") }
    }
}

/// Log lines that an error quotes: the first of a cascade is what matters, and it is rarely more than three away.
const LOG_LINES_MAX: usize = 4;
