//! Every reason for not answering a frame is used by some test.

use crate::source::{code_only, is_test_file, line_of, without_tests};
use crate::tree::{Tree, Violation};

/// The file with the list of reasons.
const LIST: &str = "dataplane/engine/src/verdict.rs";

/// Reasons that no test names, by variant (`Reason::FrameShort`) or by metric label (`"frame_short"`).
pub fn untested(tree: &Tree) -> Vec<Violation> {
    let Some(text) = tree.text(LIST) else {
        return vec![violation(1, "the list of reasons is not where it was")];
    };
    let reasons = listed(text);
    if reasons.is_empty() {
        return vec![violation(1, "no line of `reasons! {` was understood: correct tests/tidy/reasons.rs")];
    }
    let tests: String = tree.ending(".rs").filter(|(path, _)| !path.contains("/tidy/")).map(test_text).collect();
    let untested = reasons.iter().filter(|reason| {
        let variant = format!("Reason::{}", reason.variant);
        let label = format!("\"{}\"", reason.label);
        !tests.split(&variant).skip(1).any(|after| !after.starts_with(char::is_alphanumeric)) && !tests.contains(&label)
    });
    untested
        .map(|reason| violation(reason.line, &format!("no test names Reason::{}: write one", reason.variant)))
        .collect()
}

/// One line of the list.
struct Listed<'a> {
    /// Name of the variant.
    variant: &'a str,
    /// Label in metrics.
    label: &'a str,
    /// Where it stands.
    line: usize,
}

/// The lines `Variant, Fate, "label", "help";` of the list.
fn listed<'a>(text: &'a str) -> Vec<Listed<'a>> {
    let start = text.find("\nreasons! {").map_or(text.len(), |byte| byte + 1);
    let block = text[start..].split("\n}").next().unwrap_or_default();
    let first_line = line_of(text, start);
    let parse = |(index, line): (usize, &'a str)| {
        let mut parts = line.trim().strip_suffix(';')?.split(", ");
        let (variant, label) = (parts.next()?, parts.nth(1)?.trim_matches('"'));
        Some(Listed { variant, label, line: first_line + index })
    };
    block.lines().enumerate().filter_map(parse).collect()
}

/// What of a file is test: all of a test file, else what only a test build compiles.
fn test_text((path, text): (&str, &str)) -> String {
    if is_test_file(path) {
        return text.to_owned();
    }
    let kept = without_tests(&code_only(text));
    let lines = text.lines().zip(kept.lines());
    // A line that is blank once the tests are gone is a test's line, or a comment.
    let test_lines = lines.filter(|(line, kept)| kept.trim().is_empty() && !line.trim_start().starts_with("//"));
    test_lines.map(|(line, _)| format!("{line}\n")).collect()
}

/// One violation in the list.
fn violation(line: usize, message: &str) -> Violation {
    Violation { path: LIST.to_owned(), line, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of two reasons.
    const REASONS: &str = "macro_rules! reasons {}\n\nreasons! {\n    // Ethernet\n    FrameShort, Drop, \"frame_short\", \"Too, short.\";\n    Frame, Drop, \"frame\", \"Bad.\";\n}\n";

    /// The reasons that the rule misses in a tree with one more file.
    fn missed(path: &str, text: &str) -> Vec<usize> {
        untested(&Tree::of(&[(LIST, REASONS), (path, text)])).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn a_reason_without_test_is_seen() {
        assert_eq!(missed("a/src/b.rs", "fn f() { Reason::Frame; Reason::FrameShort; }"), [5, 6]);
    }

    #[test]
    fn a_longer_name_does_not_stand_for_a_shorter_one() {
        assert_eq!(missed("a/tests/b.rs", "fn f() { Reason::FrameShort; }"), [6]);
    }

    #[test]
    fn test_modules_and_labels_count_and_comments_do_not() {
        let text = "#[cfg(test)]\nmod tests {\n    // Reason::Frame\n    fn f() { \"frame_short\"; }\n}\n";
        assert_eq!(missed("a/src/b.rs", text), [6]);
    }

    #[test]
    fn a_list_that_is_not_understood_is_seen() {
        assert_eq!(untested(&Tree::of(&[(LIST, "reasons!(A, B);")])).len(), 1);
    }
}
