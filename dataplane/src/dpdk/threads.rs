//! What keeps the packet path's threads and the others out of each other's way: CPUs and signals.

use std::io;
use std::mem;
use std::ptr;

use crate::workers::available_cores;

/// Prepares this thread, and every thread that it starts from now on, to be none of the packet path's: they keep off the
/// workers' CPUs, and the drivers' signals pass them by.
///
/// To be called first thing in a process. Where nothing but the workers' CPUs is left, the CPUs stay as they are.
///
/// # Errors
/// Where the kernel refuses.
pub fn prepare_control_threads(worker_cores: &[usize]) -> io::Result<()> {
    // net_tap has the kernel send a real-time signal when frames wait, to any thread that takes it, and its handler does
    // not restart system calls.
    change_signals(libc::SIG_BLOCK)?;
    set_affinity(&housekeeping_cores(worker_cores))
}

/// Has this thread, a worker, take the drivers' signals. A thread that cannot goes on without.
pub(super) fn take_driver_signals() {
    let _ = change_signals(libc::SIG_UNBLOCK);
}

/// Blocks or unblocks all real-time signals for this thread.
fn change_signals(how: libc::c_int) -> io::Result<()> {
    let mut set = mem::MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: makes it the empty set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in libc::SIGRTMIN()..=libc::SIGRTMAX() {
        // SAFETY: the set was made above, and the signal exists.
        unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: the set was made above; the old one is not asked for.
    match unsafe { libc::pthread_sigmask(how, set.as_ptr(), ptr::null_mut()) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// The CPUs that this thread may use and no worker does; all that it may use where the workers have taken every one.
pub(super) fn housekeeping_cores(worker_cores: &[usize]) -> Vec<usize> {
    let available = available_cores();
    let others: Vec<usize> = available.iter().copied().filter(|core| !worker_cores.contains(core)).collect();
    if others.is_empty() { available } else { others }
}

/// Lets this thread run on the given CPUs only.
pub(super) fn set_affinity(cores: &[usize]) -> io::Result<()> {
    // SAFETY: a CPU set is an array of numbers; all zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for &core in cores.iter().filter(|&&core| core < libc::CPU_SETSIZE.unsigned_abs() as usize) {
        // SAFETY: the number is below the set's size.
        unsafe { libc::CPU_SET(core, &mut set) };
    }
    // SAFETY: 0 is the calling thread; the set is as large as is said.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
