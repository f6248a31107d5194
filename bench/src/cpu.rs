//! What threads do per second of CPU time that they had: far steadier on a shared machine than per second of the clock.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::Outcome;

/// Time for caches and clocks to settle before a turn counts.
const SETTLE: Duration = Duration::from_millis(500);

/// A thread of a process, to be measured.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its folder in /proc.
    folder: PathBuf,
}

impl Task {
    /// Finds a thread by its name.
    ///
    /// # Errors
    /// Where the process has none of that name.
    pub fn find(process: u32, name: &str) -> Outcome<Self> {
        for entry in fs::read_dir(format!("/proc/{process}/task"))? {
            let folder = entry?.path();
            if fs::read_to_string(folder.join("comm"))?.trim() == name {
                return Ok(Self { folder });
            }
        }
        Err(format!("process {process} has no thread {name}").into())
    }

    /// Its number.
    pub fn id(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Seconds that it has run on a CPU.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn cpu_seconds(&self) -> Outcome<f64> {
        let text = fs::read_to_string(self.folder.join("schedstat"))?;
        Ok(text.split(' ').next().unwrap_or_default().parse::<f64>()? / 1e9)
    }
}

/// Niceness of what is measured by the clock.
const NICENESS: &str = "-15";

/// Where the kernel schedules by session (sched_autogroup), niceness counts within one only; this is the session's own.
const SESSION: &str = "/proc/self/autogroup";

/// Holds the session's priority; what it was before comes back when this is dropped.
#[derive(Debug)]
pub struct First {
    /// The session's niceness before; none where there are no such groups.
    session_before: Option<String>,
}

/// Has this thread, the threads and processes that it starts from now on, and its session go before others of the machine:
/// what those took of the cores would count against whoever is being measured.
///
/// # Errors
/// Where that is not allowed: it takes root.
pub fn go_first() -> Outcome<First> {
    let done = Command::new("renice").args(["-n", NICENESS, "-p"]).arg(own_id()?).stdout(Stdio::null()).status()?;
    if !done.success() {
        return Err("renice is not allowed: run this as root".into());
    }
    // As "/autogroup-7 nice 0".
    let session = fs::read_to_string(SESSION).unwrap_or_default();
    let session_before = session.split(" nice ").nth(1).map(|niceness| niceness.trim().to_owned());
    if session_before.is_some() {
        fs::write(SESSION, NICENESS)?;
    }
    Ok(First { session_before })
}

/// Keeps this thread, and the threads and processes that it starts from now on, on one core.
///
/// # Errors
/// Where there is no such core.
pub fn stay_on(core: usize) -> Outcome<()> {
    let mut command = Command::new("taskset");
    let done = command.args(["-p", "-c", &core.to_string()]).arg(own_id()?).stdout(Stdio::null()).status()?;
    if done.success() { Ok(()) } else { Err(format!("taskset cannot use core {core}").into()) }
}

/// The kernel's number of this thread.
fn own_id() -> Outcome<OsString> {
    Ok(fs::read_link("/proc/thread-self")?.file_name().ok_or("no thread id")?.to_owned())
}

impl Drop for First {
    fn drop(&mut self) {
        if let Some(before) = &self.session_before {
            // Where it fails the terminal's session stays preferred; nothing that a bench could mend.
            let _ = fs::write(SESSION, before);
        }
    }
}

/// Seconds that all threads of a process have run on CPUs, those that have ended included.
///
/// # Errors
/// Where it has ended.
pub fn process_cpu_seconds(process: u32) -> Outcome<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the name, which may hold anything: state is field 3, user and system time are 14 and 15, in hundredths.
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default().parse::<f64>();
    Ok((field(14)? + field(15)?) / 100.0)
}

/// What counters grew by per CPU-second of the threads that they belong to, summed up over the threads.
///
/// # Errors
/// Where a thread has ended or a counter cannot be read.
pub fn per_cpu_second<C: FnMut() -> Outcome<u64>>(time: Duration, pairs: &mut [(Task, C)]) -> Outcome<f64> {
    thread::sleep(SETTLE);
    let look = |pairs: &mut [(Task, C)]| -> Outcome<Vec<(u64, f64)>> {
        pairs.iter_mut().map(|(task, count)| Ok((count()?, task.cpu_seconds()?))).collect()
    };
    let before = look(pairs)?;
    thread::sleep(time);
    let after = look(pairs)?;
    let rates = before.iter().zip(&after).map(|(before, after)| (after.0 - before.0) as f64 / (after.1 - before.1));
    Ok(rates.sum())
}

/// The median of some figures; not a number where there are none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Lines that strace writes about a thread within a time: its system calls. Nothing where there is no strace.
pub fn system_calls(task: &Task, time: Duration, file: &Path) -> Outcome<Option<u64>> {
    let seconds = format!("{}s", time.as_secs_f64());
    let ran = Command::new("timeout")
        .args(["--signal=INT", "--kill-after=10", &seconds, "strace", "-qq", "-p", &task.id(), "-o"])
        .arg(file)
        .status()?;
    // 127: timeout found no strace; 124: it ended it, as it should.
    match ran.code() {
        Some(124) => {
            let text = fs::read_to_string(file)?;
            fs::remove_file(file)?;
            Ok(Some(text.lines().count() as u64))
        }
        Some(127) => Ok(None),
        code => Err(format!("strace ended with {code:?}").into()),
    }
}
