//! Where output goes: standard output and standard error, or what a test holds in their place.

use std::io::{self, Write};

/// The two streams of a program.
pub struct Terminal<'a> {
    /// What was asked for.
    pub out: &'a mut dyn Write,
    /// What is said about it.
    pub err: &'a mut dyn Write,
}

impl std::fmt::Debug for Terminal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Terminal")
    }
}

impl Terminal<'_> {
    /// Prints what was asked for, as it is. Fails where nobody reads it any more.
    pub(crate) fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// Prints a line about it. Where nobody reads that, there is nobody to tell.
    pub(crate) fn note(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}");
    }
}

/// Runs a program on this process's own streams; gives its exit code.
pub(crate) fn with_process<T>(program: impl FnOnce(&mut Terminal<'_>) -> T) -> T {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let mut terminal = Terminal { out: &mut out, err: &mut err };
    let result = program(&mut terminal);
    let _ = terminal.out.flush();
    result
}
