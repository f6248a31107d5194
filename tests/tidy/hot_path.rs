//! What a packet passes through may not allocate, lock, log or panic.

use crate::lists::HOT_PATH;
use crate::source::{code_only, is_word, line_of, without_tests};
use crate::tree::{Tree, Violation};

/// What may not stand in a file of the hot path. A test counts real allocations; this list catches the intent early.
const BANNED: &[&str] = &[
    "Vec::new",
    "vec!",
    "Box::new",
    "format!",
    "String",
    ".to_vec()",
    "Mutex",
    "println!",
    "tracing",
    ".unwrap()",
    ".expect(",
    "panic!",
];

/// Listed files that are not there: the list would protect nothing.
pub fn missing(tree: &Tree) -> Vec<Violation> {
    missing_of(tree, HOT_PATH)
}

/// Banned words in the listed files, tests left out.
pub fn banned(tree: &Tree) -> Vec<Violation> {
    banned_in(tree, HOT_PATH)
}

/// [`missing`] for any list.
fn missing_of(tree: &Tree, list: &[&str]) -> Vec<Violation> {
    let gone = list.iter().filter(|path| tree.text(path).is_none());
    let message = "listed in HOT_PATH (tests/tidy/lists.rs) but not there: correct the list";
    gone.map(|path| Violation { path: (*path).to_owned(), line: 1, message: message.to_owned() }).collect()
}

/// [`banned`] for any list.
fn banned_in(tree: &Tree, list: &[&str]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in list.iter().filter_map(|path| Some((path, tree.text(path)?))) {
        let code = without_tests(&code_only(text));
        for banned in BANNED {
            for byte in occurrences(&code, banned) {
                let message = format!("`{banned}` on the hot path: do it when publishing or in Server::new's file");
                violations.push(Violation { path: (*path).to_owned(), line: line_of(&code, byte), message });
            }
        }
    }
    violations
}

/// Where the text stands, not as part of a longer word.
fn occurrences(code: &str, banned: &str) -> Vec<usize> {
    let word_starts = banned.starts_with(is_word);
    let word_ends = banned.ends_with(is_word);
    let joined = |byte: usize| {
        let before = word_starts && code[..byte].ends_with(is_word);
        let after = word_ends && code[byte + banned.len()..].starts_with(is_word);
        before || after
    };
    code.match_indices(banned).map(|(byte, _)| byte).filter(|&byte| !joined(byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_banned_word_is_seen() {
        for banned in BANNED {
            let text =
                format!("fn f() {{\n    a{banned};\n}}\n").replace(&format!("a{banned}"), &format!("a {banned}"));
            let found = banned_in(&Tree::of(&[("hot.rs", &text)]), &["hot.rs"]);
            assert_eq!(found.iter().map(|violation| violation.line).collect::<Vec<_>>(), [2], "{banned}");
        }
    }

    #[test]
    fn comments_strings_longer_words_and_tests_are_not_seen() {
        let text = "// panic!\nfn f(a: &ToString) { smallvec![1]; g(\"String\"); }\n#[cfg(test)]\nmod tests { fn h() { panic!() } }\n";
        assert_eq!(banned_in(&Tree::of(&[("hot.rs", text)]), &["hot.rs"]).len(), 0);
    }

    #[test]
    fn a_listed_file_that_is_gone_is_seen() {
        assert_eq!(missing_of(&Tree::of(&[]), &["hot.rs"]).len(), 1);
    }
}
