//! Reads of a machine's /proc, /sys and /dev below any folder.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder that stands for `/`. Paths are given without their leading slash.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// This machine.
    pub fn machine() -> Self {
        Self::at("/")
    }

    /// A made-up machine.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Where a file of the machine lies.
    pub fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// A path as the machine itself would write it.
    pub fn shown(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.0).unwrap_or(path);
        format!("/{}", inside.display().to_string().trim_start_matches('/'))
    }

    /// Whether there is a file, a folder or a link.
    pub fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// A file's text without blanks around it; none where it cannot be read.
    pub fn text(&self, path: &str) -> Option<String> {
        Some(fs::read_to_string(self.path(path)).ok()?.trim().to_owned())
    }

    /// The decimal number that a file holds.
    pub fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// The hexadecimal number, with or without `0x`, that a file holds.
    pub fn hex(&self, path: &str) -> Option<u64> {
        let text = self.text(path)?;
        u64::from_str_radix(text.strip_prefix("0x").unwrap_or(&text), 16).ok()
    }

    /// The last part of what a link points to.
    pub fn link_name(&self, path: &str) -> Option<String> {
        let target = fs::read_link(self.path(path)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// The names in a folder, sorted; none where it cannot be read.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }
}
