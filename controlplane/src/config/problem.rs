//! What is wrong with a configuration: every problem at once, each with its place and its remedy.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {error}; give the path of a configuration file, such as conf/example.toml", path.display())]
    Unreadable {
        /// The configuration file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file was read, and some of it is wrong.
    #[error("{}", Lines(.0))]
    Invalid(Vec<Problem>),
}

/// Shows one problem a line.
struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The configuration file.
    pub file: PathBuf,
    /// Line and column, both counted from 1.
    pub place: Option<(usize, usize)>,
    /// The key, such as `port[0].vlan`; empty where the text is no TOML.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// Collects problems of one file while it is checked.
#[derive(Debug)]
pub(super) struct Problems<'a> {
    /// The configuration file.
    file: &'a Path,
    /// Its text, for lines and columns.
    text: &'a str,
    /// What was found so far.
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    /// Starts without problems.
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text, found: Vec::new() }
    }

    /// Notes a problem.
    pub(super) fn add(
        &mut self,
        span: Option<Range<usize>>,
        key: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let place = span.map(|span| line_and_column(self.text, span.start));
        self.found.push(Problem {
            file: self.file.to_path_buf(),
            place,
            key: key.into(),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// True where a problem of a key was noted.
    pub(super) fn has(&self, key: &str) -> bool {
        self.found.iter().any(|problem| problem.key == key)
    }

    /// The value, unless there are problems.
    pub(super) fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        if self.found.is_empty() { Ok(value) } else { Err(self.into_error()) }
    }

    /// What was found, as an error.
    pub(super) fn into_error(self) -> ConfigError {
        ConfigError::Invalid(self.found)
    }
}

/// Line and column of a byte, both counted from 1, the column in characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}
