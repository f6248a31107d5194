//! Child processes with a bound on their time.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longest that a helper such as `ip` may take.
const HELPER_TIME_MAX: Duration = Duration::from_secs(20);

/// What a finished process left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Runs a helper that must succeed and returns what it wrote.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let finished = finish(Command::new(program).args(arguments), HELPER_TIME_MAX);
    assert!(finished.status.success(), "{program} {}: {}", arguments.join(" "), finished.stderr);
    finished.stdout
}

/// Runs a command to its end; kills it and panics when the time is over.
pub fn finish(command: &mut Command, time_max: Duration) -> Finished {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let status = wait(&mut child, time_max);
    if status.is_none() {
        child.kill().expect("a running child");
        child.wait().expect("a killed child");
    }
    let (stdout, stderr) = (stdout.join().expect("a reader"), stderr.join().expect("a reader"));
    let status = status.unwrap_or_else(|| panic!("{command:?} ran longer than {time_max:?}: {stdout}{stderr}"));
    Finished { status, stdout, stderr }
}

/// Waits for a child; None when the time is over.
pub fn wait(child: &mut Child, time_max: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return Some(status);
        }
        if start.elapsed() > time_max {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal to a child that has not been waited for.
pub fn signal(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).expect("a process id");
    kill(Pid::from_raw(id), signal).expect("a running child");
}

/// Memory of a process that is in RAM, in bytes.
pub fn resident_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident set");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
    kib << 10
}

/// Ends a child by SIGTERM, and by SIGKILL where that does not end it within the time; nothing where it has ended already.
/// Gives whether it ended by itself or by SIGTERM.
pub fn terminate(child: &mut Child, time_max: Duration) -> bool {
    if matches!(child.try_wait(), Ok(None)) {
        signal(child, Signal::SIGTERM);
    }
    if wait(child, time_max).is_some() {
        return true;
    }
    // It may end at this very moment; then there is nothing left to kill.
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Reads a stream to its end on a thread of its own, so that a full pipe does not hold the child up.
fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut bytes).expect("a readable pipe");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
