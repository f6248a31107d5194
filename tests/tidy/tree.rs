//! The text files of the repository, or a few made up by a rule's own test.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

/// Files that no rule reads.
const SKIPPED_FOLDERS: &[&str] = &["target", ".git"];

/// What breaks a rule, where, and what to do.
#[derive(Debug)]
pub struct Violation {
    /// File, relative to the repository.
    pub path: String,
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong, and the remedy.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Text files by path relative to the repository.
pub struct Tree {
    /// Path to text.
    files: BTreeMap<String, String>,
}

impl Tree {
    /// The repository that this test was built from.
    pub fn repository() -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent");
        let mut files = BTreeMap::new();
        read_folder(root, root, &mut files);
        assert!(files.contains_key("Cargo.toml"), "no repository at {}", root.display());
        Tree { files }
    }

    /// A made-up tree.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Tree {
        Tree { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    /// The text of one file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether a file, or a folder with files, stands at the path.
    pub fn holds(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        self.files.keys().any(|file| file == path || file.starts_with(&folder))
    }

    /// The files whose path ends so, with their text.
    pub fn ending(&self, suffix: &'static str) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter(move |(path, _)| path.ends_with(suffix)).map(|(path, text)| (&**path, &**text))
    }
}

/// Adds every text file below a folder.
fn read_folder(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !SKIPPED_FOLDERS.contains(&name.as_str()) {
                read_folder(root, &path, files);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let relative = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
            files.insert(relative, text);
        }
    }
}

/// Whether a path stands in one of the places of a list: folders end in a slash.
pub fn in_places(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| if place.ends_with('/') { path.starts_with(place) } else { path == *place })
}
