//! Zone files: read ([`reader`]), checked as a whole ([`zone`]), and told to the cycle ([`source`]).

pub mod annotation;
mod listing;
pub mod reader;
pub mod source;
pub mod write;
pub mod zone;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use ringdns_engine::name::WireName;

use crate::config::ZoneFileConfig;

pub use listing::list;
pub use zone::Zone;

/// Problems of one zone that are kept; the rest is counted. A file of another format would have one a line.
const PROBLEMS_KEPT_MAX: usize = 20;

/// One thing that is wrong in a zone file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, which may be an included one.
    pub file: PathBuf,
    /// The line, counted from 1; 0 where it is the file as a whole.
    pub line: usize,
    /// The record's owner and type, or what else stands there; may be empty.
    pub record: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.record.is_empty() {
            write!(f, ": {}", self.record)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Problems, the first of them by name and the rest by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// The first ones.
    pub first: Vec<Problem>,
    /// How many more there are.
    pub more: usize,
}

impl Problems {
    /// Notes one.
    fn add(&mut self, problem: Problem) {
        if self.first.len() < PROBLEMS_KEPT_MAX {
            self.first.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.first.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            write!(f, "{newline}{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

/// Why a zone was not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("zone {zone} is not loaded: {problems}")]
pub struct ZoneError {
    /// The zone.
    pub zone: WireName,
    /// What is wrong.
    pub problems: Problems,
}

/// Reads and checks a zone of the configuration: its file, or its text.
pub fn load_configured(file: &ZoneFileConfig) -> Result<Zone, ZoneError> {
    let Some(text) = &file.text else { return load(&file.zone, &file.path) };
    let mut zone = zone::Builder::new(file.zone.clone(), file.path.clone());
    reader::read_alone(text.as_bytes(), &file.path, &file.zone, &mut zone);
    zone.finish()
}

/// Reads and checks one zone. Works through the whole file even where it is wrong, to name all that is.
pub fn load(apex: &WireName, path: &Path) -> Result<Zone, ZoneError> {
    let mut zone = zone::Builder::new(apex.clone(), path.to_path_buf());
    reader::read_file(path, apex, &mut zone);
    zone.finish()
}
