//! Which CPUs a thread may run on.

use std::io;
use std::mem;

use crate::workers::available_cores;

/// Moves this thread, and every thread that it starts from now on, off the workers' CPUs.
///
/// To be called before the control plane starts its threads. Where nothing but the workers' CPUs is left, nothing changes.
///
/// # Errors
/// Where the kernel refuses.
pub fn keep_off_cores(worker_cores: &[usize]) -> io::Result<()> {
    let others = housekeeping_cores(worker_cores);
    set_affinity(&others)
}

/// The CPUs that this thread may use and no worker does; all that it may use where the workers have taken every one.
pub(super) fn housekeeping_cores(worker_cores: &[usize]) -> Vec<usize> {
    let available = available_cores();
    let others: Vec<usize> = available
        .iter()
        .copied()
        .filter(|core| !worker_cores.contains(core))
        .collect();
    if others.is_empty() { available } else { others }
}

/// Lets this thread run on the given CPUs only.
pub(super) fn set_affinity(cores: &[usize]) -> io::Result<()> {
    // SAFETY: a CPU set is an array of numbers; all zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for &core in cores
        .iter()
        .filter(|&&core| core < libc::CPU_SETSIZE.unsigned_abs() as usize)
    {
        // SAFETY: the number is below the set's size.
        unsafe { libc::CPU_SET(core, &mut set) };
    }
    // SAFETY: 0 is the calling thread; the set is as large as is said.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
