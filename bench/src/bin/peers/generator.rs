//! The two load generators. Each gives answered queries a second, and an error where an answer is not NOERROR.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::link::addresses::SERVED4;
use harness::process::finish;
use ringdns_bench::Outcome;

use super::CLIENT_CORE;
use super::server::script;

/// Seconds of one run.
const SECONDS: &str = "2";
/// Longest that a run may take with its start and its last answers.
const TIME_MAX: Duration = Duration::from_secs(60);

/// A generator's command on the generators' core.
fn on_client_core(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &CLIENT_CORE.to_string()]).arg(program);
    command
}

/// The number right after a text.
fn number_after(report: &str, title: &str) -> Outcome<f64> {
    let rest = report.split(title).nth(1).ok_or_else(|| format!("no \"{title}\" in: {report}"))?;
    let digits: String =
        rest.trim_start().chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    Ok(digits.parse().map_err(|_| format!("no number after \"{title}\" in: {report}"))?)
}

/// dnsperf: keeps so many queries on the way, and so goes as fast as it is answered.
pub struct Dnsperf {
    /// Its file of questions.
    questions: PathBuf,
}

impl Dnsperf {
    /// With a file of questions.
    pub fn new(questions: &Path) -> Self {
        Self { questions: questions.to_path_buf() }
    }

    /// Asks for some seconds.
    pub fn ask(&self) -> Outcome<f64> {
        let mut command = on_client_core(Path::new("dnsperf"));
        command.args(["-s", &SERVED4.to_string(), "-l", SECONDS, "-c", "4", "-q", "400", "-t", "1", "-d"]);
        let finished = finish(command.arg(&self.questions), TIME_MAX);
        if !finished.status.success() {
            return Err(format!("dnsperf: {}", finished.stderr).into());
        }
        let report = &finished.stdout;
        let completed = number_after(report, "Queries completed:")?;
        let right = number_after(report, "NOERROR")?;
        if completed == 0.0 || right != completed {
            return Err(format!("not all answers are NOERROR: {report}").into());
        }
        number_after(report, "Queries per second:")
    }
}

/// kxdpgun: sends at a rate by XDP, whatever comes back.
pub struct Kxdpgun {
    /// Its file of questions.
    questions: PathBuf,
    /// The program's own file: it must not run below a shell, which would not pass signals on.
    program: PathBuf,
}

impl Kxdpgun {
    /// With a file of questions.
    pub fn new(questions: &Path) -> Outcome<Self> {
        Ok(Self { questions: questions.to_path_buf(), program: script()? })
    }

    /// Offers so many queries a second for some seconds.
    pub fn ask(&self, offered: u64) -> Outcome<f64> {
        let mut command = on_client_core(&self.program);
        command.args(["kxdpgun", "-t", SECONDS, "-Q", &offered.to_string(), "-b", "32", "-F", "0s0", "-i"]);
        let finished = finish(command.arg(&self.questions).arg(SERVED4.to_string()), TIME_MAX);
        if !finished.status.success() {
            return Err(format!("kxdpgun: {}{}", finished.stdout, finished.stderr).into());
        }
        let report = format!("{}{}", finished.stdout, finished.stderr);
        let replies = number_after(&report, "total replies:")?;
        let right = number_after(&report, "responded NOERROR:")?;
        if replies == 0.0 || right != replies {
            return Err(format!("not all answers are NOERROR: {report}").into());
        }
        let seconds = number_after(&report, "duration:").map(|seconds| if seconds > 0.0 { seconds } else { 1.0 })?;
        Ok(replies / seconds)
    }
}
