//! The steps of a set-up: shown as a shell would take them, taken, and taken back where a later one fails.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::SetupError;
use crate::root::Root;

/// What changes a machine. Tests have one that behaves like a kernel.
pub trait System {
    /// Writes to a file that is there, as the kernel's are.
    fn write(&mut self, path: &Path, text: &str) -> io::Result<()>;

    /// Makes a file, with its folders, or replaces it.
    fn create(&mut self, path: &Path, text: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, path: &Path) -> io::Result<()>;

    /// Gives a file to a user.
    fn give(&mut self, path: &Path, user: u32) -> io::Result<()>;

    /// Sets a file's mode.
    fn set_mode(&mut self, path: &Path, mode: u32) -> io::Result<()>;

    /// Runs a program to its end and returns what it wrote.
    fn run(&mut self, program: &str, arguments: &[&str]) -> io::Result<String>;
}

/// This machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisMachine;

impl System for ThisMachine {
    fn write(&mut self, path: &Path, text: &str) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
    }

    fn create(&mut self, path: &Path, text: &str) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn give(&mut self, path: &Path, user: u32) -> io::Result<()> {
        chown(path, Some(user), None)
    }

    fn set_mode(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        fs::set_permissions(path, Permissions::from_mode(mode))
    }

    fn run(&mut self, program: &str, arguments: &[&str]) -> io::Result<String> {
        let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
        }
    }
}

/// Something that can be done, and undone by another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Writes to a file that is there.
    Write {
        /// The file, without the leading slash.
        path: String,
        /// The text.
        text: String,
    },
    /// Makes a file or replaces it.
    Create {
        /// The file.
        path: String,
        /// The text.
        text: String,
    },
    /// Removes a file.
    Remove {
        /// The file.
        path: String,
    },
    /// Gives a file to a user.
    Give {
        /// The file.
        path: String,
        /// The user's number.
        user: u32,
    },
    /// Sets a file's mode.
    SetMode {
        /// The file.
        path: String,
        /// The mode.
        mode: u32,
    },
    /// Runs a program: its name and arguments.
    Run(Vec<String>),
}

impl Step {
    /// A program with its arguments.
    pub fn run(words: &[&str]) -> Self {
        Self::Run(words.iter().map(|&word| word.to_owned()).collect())
    }

    /// Writing to a file that is there.
    pub fn write(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Write { path: path.into(), text: text.into() }
    }

    /// The step as a shell would take it.
    pub fn shown(&self) -> String {
        match self {
            Self::Write { path, text } => format!("echo {} > /{path}", text.trim_end()),
            Self::Create { path, text } => {
                let lines: Vec<&str> = text.lines().collect();
                format!("printf '%s\\n' '{}' > /{path}", lines.join("' '"))
            }
            Self::Remove { path } => format!("rm /{path}"),
            Self::Give { path, user } => format!("chown {user} /{path}"),
            Self::SetMode { path, mode } => format!("chmod {mode:o} /{path}"),
            Self::Run(words) => words.join(" "),
        }
    }
}

/// One set-up.
pub struct Session<'a> {
    /// What is read.
    root: Root,
    /// What is changed.
    system: &'a mut dyn System,
    /// Whether steps are only shown.
    dry_run: bool,
    /// What there is to tell, in order.
    lines: Vec<String>,
    /// How to take back what was done, in order.
    undo: Vec<Step>,
}

impl<'a> Session<'a> {
    /// A session that has not done anything.
    pub fn new(root: Root, system: &'a mut dyn System, dry_run: bool) -> Self {
        Self { root, system, dry_run, lines: Vec::new(), undo: Vec::new() }
    }

    /// What is read.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Whether steps are only shown.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Does all of something or nothing: where it fails, its steps are taken back.
    ///
    /// # Errors
    /// That of the work.
    pub fn whole<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, SetupError>) -> Result<T, SetupError> {
        self.undo.clear();
        let outcome = work(self);
        if outcome.is_err() {
            self.take_back();
        }
        outcome
    }

    /// Takes a step; `undo` takes it back, where that is needed.
    ///
    /// # Errors
    /// Where the machine refuses it.
    pub fn take(&mut self, step: &Step, undo: Option<Step>) -> Result<String, SetupError> {
        self.tell(step.shown());
        if self.dry_run {
            return Ok(String::new());
        }
        let said = self.carry_out(step).map_err(|error| SetupError::Step { step: step.shown(), error })?;
        self.undo.extend(undo);
        Ok(said)
    }

    /// Adds a line to what there is to tell.
    pub fn tell(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// What there is to tell.
    pub fn into_lines(self) -> Vec<String> {
        self.lines
    }

    /// Runs a program that only reads, in a dry run too; empty where it fails.
    pub fn ask(&mut self, program: &str, arguments: &[&str]) -> String {
        self.system.run(program, arguments).unwrap_or_default()
    }

    /// Takes the steps back, the last one first.
    fn take_back(&mut self) {
        for step in std::mem::take(&mut self.undo).into_iter().rev() {
            let outcome = self.carry_out(&step);
            let line = match outcome {
                Ok(_) => format!("taken back: {}", step.shown()),
                Err(error) => format!("could not be taken back: {} ({error})", step.shown()),
            };
            self.tell(line);
        }
    }

    /// Does what a step says.
    fn carry_out(&mut self, step: &Step) -> io::Result<String> {
        let done = match step {
            Step::Write { path, text } => self.system.write(&self.root.path(path), text),
            Step::Create { path, text } => self.system.create(&self.root.path(path), text),
            Step::Remove { path } => self.system.remove(&self.root.path(path)),
            Step::Give { path, user } => self.system.give(&self.root.path(path), *user),
            Step::SetMode { path, mode } => self.system.set_mode(&self.root.path(path), *mode),
            Step::Run(words) => {
                let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                return self.system.run(program, &arguments);
            }
        };
        done.map(|()| String::new())
    }
}
