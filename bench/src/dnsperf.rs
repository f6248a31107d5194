//! dnsperf as a load generator: it keeps so many queries on the way, and so goes as fast as it is answered.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::link::addresses::SERVED4;
use harness::process::finish;

use crate::Outcome;

/// The core of the generators.
pub const CLIENT_CORE: usize = 0;
/// Longest that a run may take with its start and its last answers.
pub const TIME_MAX: Duration = Duration::from_secs(60);

/// A generator's command on the generators' core.
pub fn on_client_core(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &CLIENT_CORE.to_string()]).arg(program);
    command
}

/// The number right after a text.
///
/// # Errors
/// Where there is none.
pub fn number_after(report: &str, title: &str) -> Outcome<f64> {
    let rest = report.split(title).nth(1).ok_or_else(|| format!("no \"{title}\" in: {report}"))?;
    let digits: String =
        rest.trim_start().chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    Ok(digits.parse().map_err(|_| format!("no number after \"{title}\" in: {report}"))?)
}

/// A file of questions, and for how long they are asked.
#[derive(Clone, Debug)]
pub struct Dnsperf {
    /// Its file of questions.
    questions: PathBuf,
    /// Seconds of one run.
    seconds: u32,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// Queries that were answered.
    pub completed: f64,
    /// The same for each second.
    pub rate: f64,
}

impl Dnsperf {
    /// With a file of questions, for some seconds.
    pub fn new(questions: &Path, seconds: u32) -> Self {
        Self { questions: questions.to_path_buf(), seconds }
    }

    /// Asks.
    ///
    /// # Errors
    /// Where it fails, or where an answer is not NOERROR.
    pub fn ask(&self) -> Outcome<Run> {
        let mut command = on_client_core(Path::new("dnsperf"));
        let seconds = self.seconds.to_string();
        command.args(["-s", &SERVED4.to_string(), "-l", &seconds, "-c", "4", "-q", "400", "-t", "1", "-d"]);
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
        Ok(Run { completed, rate: number_after(report, "Queries per second:")? })
    }
}
