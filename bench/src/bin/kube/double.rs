//! The API server with a large cluster in it, as a process: `kubernetes/examples/api_double.rs`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ringdns_bench::Outcome;

/// It; ended when dropped.
pub struct Double {
    /// Where it listens.
    pub url: String,
    /// The process.
    child: Child,
    /// Takes orders.
    orders: ChildStdin,
    /// Answers them.
    answers: BufReader<ChildStdout>,
}

impl Double {
    /// Starts one; returns when it listens with everything in it.
    pub fn start(services: u64, endpoints: u64) -> Outcome<Double> {
        let program = program()?;
        // It dies with this thread, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(&program).args([services.to_string(), endpoints.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a process without pipes".into());
        };
        let mut double = Double { url: String::new(), child, orders, answers: BufReader::new(answers) };
        double.url = double.answer()?;
        Ok(double)
    }

    /// Gives an order; returns when it is carried out.
    pub fn order(&mut self, order: &str) -> Outcome<String> {
        writeln!(self.orders, "{order}")?;
        self.answer()
    }

    /// The next line.
    fn answer(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("the API server has ended".into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, beside the one that runs.
fn program() -> Outcome<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().unwrap_or(Path::new(".")).join("examples/api_double");
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("there is no {}: run scripts/bench-device kube", path.display()).into())
    }
}
