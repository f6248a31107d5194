//! File lengths, and what is left unfinished.

use crate::lists::{FILE_LINES_MAX, TEST_FILE_LINES_MAX};
use crate::source::{is_test_file, is_word};
use crate::tree::{Tree, Violation};

/// Files with more lines than one idea needs.
pub fn lengths(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.ending(".rs").chain(tree.ending(".c")).chain(tree.ending(".sh")) {
        let lines = text.lines().count();
        let lines_max = if is_test_file(path) { TEST_FILE_LINES_MAX } else { FILE_LINES_MAX };
        if lines > lines_max {
            let message =
                format!("{lines} lines, at most {lines_max}: split it by idea, move long tests to a tests.rs");
            violations.push(Violation { path: path.to_owned(), line: lines_max, message });
        }
    }
    violations
}

/// Marks of unfinished work. Put together here so that this file does not hold them itself.
fn marks() -> Vec<String> {
    let words = [["TO", "DO"], ["FIX", "ME"], ["todo", "!("], ["unimplemented", "!("], ["#[", "ignore"]];
    words.iter().map(|parts| parts.concat()).collect()
}

/// Files with a mark of unfinished work, comments included.
pub fn unfinished(tree: &Tree) -> Vec<Violation> {
    let marks = marks();
    let mut violations = Vec::new();
    let scripts = tree.ending("").filter(|(path, _)| path.starts_with("scripts/"));
    for (path, text) in tree.ending(".rs").chain(tree.ending(".toml")).chain(tree.ending("Makefile")).chain(scripts) {
        for (index, line) in text.lines().enumerate() {
            for mark in marks.iter().filter(|mark| holds_mark(line, mark)) {
                let message = format!("`{mark}` is left: finish it, or file an issue and remove the mark");
                violations.push(Violation { path: path.to_owned(), line: index + 1, message });
            }
        }
    }
    violations
}

/// Whether the line holds the mark as a word of its own.
fn holds_mark(line: &str, mark: &str) -> bool {
    line.match_indices(mark).any(|(byte, _)| {
        let before = mark.starts_with(is_word) && line[..byte].ends_with(is_word);
        let after = mark.ends_with(is_word) && line[byte + mark.len()..].starts_with(is_word);
        !before && !after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_seen() {
        for mark in marks() {
            let text = format!("fn f() {{}}\n// {mark} later\n");
            let found = unfinished(&Tree::of(&[("a.rs", &text)]));
            assert_eq!(found.iter().map(|violation| violation.line).collect::<Vec<_>>(), [2], "{mark}");
        }
    }

    #[test]
    fn a_mark_inside_a_word_is_none() {
        let text = "const MASTODON: u8 = 1; // AUTODOC\n".replace("AUTODOC", &["AUTO", "DOC"].concat());
        assert_eq!(unfinished(&Tree::of(&[("a.rs", &text)])).len(), 0);
    }

    #[test]
    fn long_files_are_seen_and_test_files_get_more_room() {
        let text = "x\n".repeat(FILE_LINES_MAX + 1);
        let tree = Tree::of(&[("a/src/b.rs", &text), ("a/tests/b.rs", &text), ("a/src/tests.rs", &text)]);
        let found = lengths(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "a/src/b.rs");
        let long = "x\n".repeat(TEST_FILE_LINES_MAX + 1);
        assert_eq!(lengths(&Tree::of(&[("a/tests/b.rs", &long)])).len(), 1);
    }
}
