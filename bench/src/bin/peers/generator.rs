//! kxdpgun as a load generator. Gives answered queries a second, and an error where an answer is not NOERROR.

use std::path::{Path, PathBuf};

use harness::link::addresses::SERVED4;
use harness::process::finish;
use ringdns_bench::Outcome;
use ringdns_bench::dnsperf::{TIME_MAX, number_after, on_client_core};

use super::server::script;

/// Seconds of one run.
const SECONDS: &str = "2";

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
