//! The environment abstraction layer: DPDK's memory, plugins and housekeeping threads.

use std::env;
use std::ffi::CString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::{self, JoinHandle};

use ringdns_ffi as ffi;

use super::device::Device;
use super::error::{DpdkError, LogCapture, describe_errno};
use super::threads::{housekeeping_cores, set_affinity};

/// What the EAL is started with.
#[derive(Clone, Debug)]
pub struct EalOptions {
    /// Whether packet buffers lie in hugepages, which must be reserved then.
    pub hugepages: bool,
    /// Memory for packet buffers and queues.
    pub memory_mib: u32,
    /// The workers' CPUs, which the EAL's own threads keep off.
    pub worker_cores: Vec<usize>,
}

/// The running EAL. Clones share it; it is cleaned up when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Eal(Arc<EalThread>);

/// The thread that started the EAL and will clean it up.
///
/// rte_eal_init makes its caller the main lcore: it sets that thread's CPUs and keeps a thread-local identity in it. So it
/// gets a thread of its own, which sleeps. Our workers are no lcores of the EAL, which would want to start and own them:
/// they are threads that register themselves ([`super::PortQueue`] does it when it is attached).
#[derive(Debug)]
struct EalThread {
    /// Ends the thread's sleep when it is dropped.
    alive: Option<mpsc::Sender<()>>,
    /// Joined at the end.
    thread: Option<JoinHandle<()>>,
    /// Set where a buffer is still out (`pool-outlives-mbufs`): the memory must stay.
    keep_memory: Arc<AtomicBool>,
}

/// Whether rte_eal_init was ever called: it works once in a process, even if it failed.
static STARTED: AtomicBool = AtomicBool::new(false);

/// What the EAL logged while it started: the start succeeds where a NIC could not be had.
static START_LOG: OnceLock<String> = OnceLock::new();

/// Names the folder that the EAL makes below /run/dpdk or its like. It stays empty, so processes may share it and none needs its own:
/// with `--no-shconf` or `--in-memory` the EAL writes no files.
const FILE_PREFIX: &str = "ringdns";

impl Eal {
    /// Starts the EAL. Only the PCI devices among `devices` are probed; without any, the PCI bus is left alone.
    ///
    /// Virtual devices are made when their port is opened, not here, although the EAL could: so that an error is told
    /// apart by device, and the port's number is that of the device just made.
    ///
    /// # Errors
    /// Where it was started before, where memory is missing, or where DPDK refuses.
    pub fn start(options: &EalOptions, devices: &[Device]) -> Result<Self, DpdkError> {
        check_memory(options)?;
        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(DpdkError::AlreadyStarted);
        }
        let housekeeping = housekeeping_cores(&options.worker_cores);
        let arguments = arguments(options, devices, &housekeeping);
        let keep_memory = Arc::new(AtomicBool::new(false));
        let (alive, ended) = mpsc::channel();
        let (started, result) = mpsc::channel();
        let keep = Arc::clone(&keep_memory);
        let thread = thread::Builder::new().name("ringdns-eal".to_owned()).spawn(move || {
            let outcome = initialise(&arguments, &housekeeping);
            let failed = outcome.is_err();
            if started.send(outcome).is_err() || failed {
                return;
            }
            // Nobody ever sends: this returns when the last `Eal` is gone.
            let _: Result<(), mpsc::RecvError> = ended.recv();
            clean_up(&keep);
        })?;
        let eal = Self(Arc::new(EalThread { alive: Some(alive), thread: Some(thread), keep_memory }));
        match result.recv() {
            Ok(Ok(())) => Ok(eal),
            Ok(Err(error)) => Err(error),
            Err(mpsc::RecvError) => Err(DpdkError::Eal("its thread ended".to_owned())),
        }
    }

    /// DPDK's release, such as "DPDK 22.11.11".
    pub fn version() -> String {
        // SAFETY: returns a static string with its end mark.
        let version = unsafe { ffi::rte_version() };
        // SAFETY: see above.
        let version = unsafe { std::ffi::CStr::from_ptr(version) };
        version.to_string_lossy().into_owned()
    }

    /// Leaves the EAL's memory to the end of the process.
    pub(super) fn keep_memory(&self) {
        self.0.keep_memory.store(true, Ordering::SeqCst);
    }
}

impl Drop for EalThread {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            // It cannot panic; and a drop is no place to say so.
            let _ = thread.join();
        }
    }
}

/// What the EAL logged while it started; empty where it logged nothing.
pub(super) fn start_log() -> &'static str {
    START_LOG.get().map_or("", String::as_str)
}

/// Checks what the EAL would report by an error number, or by being killed later.
fn check_memory(options: &EalOptions) -> Result<(), DpdkError> {
    let machine = ringdns_hugepages::probe()?;
    let wanted_mib = options.memory_mib;
    let wanted_bytes = u64::from(wanted_mib) << 20;
    if options.hugepages {
        if let Some(remedy) = machine.remedy(wanted_bytes) {
            return Err(DpdkError::Hugepages { wanted_mib, free_mib: machine.free_bytes() >> 20, remedy });
        }
    } else if machine.available_bytes < wanted_bytes {
        return Err(DpdkError::Memory { wanted_mib, available_mib: machine.available_bytes >> 20 });
    }
    Ok(())
}

/// The EAL's command line.
fn arguments(options: &EalOptions, devices: &[Device], housekeeping: &[usize]) -> Vec<String> {
    let cpus: Vec<String> = housekeeping.iter().map(ToString::to_string).collect();
    let mut arguments = vec![
        "ringdns".to_owned(),
        // No socket that answers questions about us: the admin API does.
        "--no-telemetry".to_owned(),
        "--log-level=warning".to_owned(),
        format!("--file-prefix={FILE_PREFIX}"),
        // One lcore, the EAL's thread, on any of the CPUs that are left. Its interrupt thread goes there too.
        format!("--lcores=0@({})", cpus.join(",")),
        "-m".to_owned(),
        options.memory_mib.to_string(),
    ];
    if options.hugepages {
        // Needs no hugetlbfs mount and leaves no files.
        arguments.push("--in-memory".to_owned());
    } else {
        arguments.push("--no-huge".to_owned());
        // No files that only a secondary process would read; `--in-memory` says so by itself.
        arguments.push("--no-shconf".to_owned());
    }
    let mut pci = devices.iter().filter(|device| device.is_pci()).peekable();
    if pci.peek().is_none() {
        arguments.push("--no-pci".to_owned());
    }
    for device in pci {
        arguments.push("-a".to_owned());
        arguments.push(device.arguments().to_owned());
    }
    arguments
}

/// Starts the EAL with this thread as its main lcore.
fn initialise(arguments: &[String], housekeeping: &[usize]) -> Result<(), DpdkError> {
    // The EAL's threads may run where this one may, less its lcores; where that is nowhere, on the main lcore's CPUs.
    // Without this they would take the workers' CPUs, which it does not know.
    set_affinity(housekeeping)?;
    let arguments: Vec<CString> = arguments
        .iter()
        .map(|argument| CString::new(argument.as_str()))
        .collect::<Result<_, _>>()
        .map_err(|_| DpdkError::Eal("an argument holds a zero byte".to_owned()))?;
    let count = i32::try_from(arguments.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // As C's main gets them. The EAL keeps pointers to them, so they are never freed: once in a process.
    let mut pointers: Vec<*mut std::ffi::c_char> = arguments.into_iter().map(CString::into_raw).collect();
    pointers.push(ptr::null_mut());
    let pointers = pointers.leak();
    // SAFETY: before the EAL starts, no other thread of it can log.
    if unsafe { ffi::ringdns_log_install() } != 0 {
        return Err(DpdkError::Eal("its log cannot be redirected".to_owned()));
    }
    let log = LogCapture::start();
    // SAFETY: `count` strings that live for ever, and a null behind them; called once in a process (`STARTED`).
    let ret = unsafe { ffi::rte_eal_init(count, pointers.as_mut_ptr()) };
    if ret < 0 {
        return Err(DpdkError::Eal(log.reason(&describe_errno())));
    }
    // Warnings of a start that succeeded are not worth a line; but where a NIC then is missing, they tell why.
    let _ = START_LOG.set(log.end());
    Ok(())
}

/// Ends the EAL, on the thread that started it.
fn clean_up(keep_memory: &AtomicBool) {
    if !keep_memory.load(Ordering::SeqCst) {
        let log = LogCapture::start();
        // SAFETY: `eal-running`: the last `Eal` is gone, and with it every port, pool and buffer.
        unsafe { ffi::rte_eal_cleanup() };
        log.end();
    }
    // The EAL leaves its folder behind, which is empty, somewhere among these.
    let chosen = ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"].map(|name| env::var_os(name).map(PathBuf::from));
    let usual = ["/var/run", "/tmp"].map(|folder| Some(PathBuf::from(folder)));
    for folder in chosen.into_iter().chain(usual).flatten() {
        let folder = folder.join("dpdk");
        // Where they hold anything, or are somebody else's, they stay.
        let _ = fs::remove_dir(folder.join(FILE_PREFIX));
        let _ = fs::remove_dir(folder);
    }
}
