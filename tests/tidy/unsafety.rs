//! Where `unsafe` may stand, and what must stand beside it.

use crate::lists::UNSAFE_PLACES;
use crate::source::{code_only, line_of, words};
use crate::tree::{Tree, Violation, in_places};

/// `unsafe` outside the list of its rooms.
pub fn places(tree: &Tree) -> Vec<Violation> {
    let outside = tree.ending(".rs").filter(|(path, _)| !in_places(path, UNSAFE_PLACES));
    let remedy = "unsafe may not stand here: wrap it in one of UNSAFE_PLACES (tests/tidy/lists.rs)";
    outside.flat_map(|(path, text)| unsafe_lines(text).map(move |line| violation(path, line, remedy))).collect()
}

/// `unsafe` without a SAFETY comment above it or on its line; an unsafe function may say so in its documentation.
pub fn arguments(tree: &Tree) -> Vec<Violation> {
    let remedy = "unsafe without an argument: write `// SAFETY:` with the invariant and why it holds above it";
    let mut violations = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let lines: Vec<&str> = text.lines().collect();
        for line in unsafe_lines(text).filter(|&line| !is_argued(&lines, line)) {
            violations.push(violation(path, line, remedy));
        }
    }
    violations
}

/// The lines where the word stands as code.
fn unsafe_lines(text: &str) -> impl Iterator<Item = usize> + use<> {
    let code = code_only(text);
    let lines: Vec<usize> =
        words(&code).filter(|(_, word)| *word == "unsafe").map(|(byte, _)| line_of(&code, byte)).collect();
    lines.into_iter()
}

/// Whether the line, or the comments and attributes straight above the statement that it belongs to, argue.
fn is_argued(lines: &[&str], line: usize) -> bool {
    let argues = |text: &str| text.contains("SAFETY:") || text.contains("# Safety");
    if argues(lines[line - 1]) {
        return true;
    }
    let above = lines[..line - 1].iter().rev();
    above.take_while(|text| continues(text)).any(|text| argues(text)) || is_of_argued_impl(lines, line)
}

/// Whether the line is a method of an argued `unsafe impl`: its contract is the trait's.
fn is_of_argued_impl(lines: &[&str], line: usize) -> bool {
    let indent = |text: &str| text.len() - text.trim_start().len();
    let method = lines[line - 1];
    let outer = lines[..line - 1].iter().rposition(|text| !text.trim().is_empty() && indent(text) < indent(method));
    let is_impl = |outer: usize| lines[outer].trim_start().starts_with("unsafe impl") && is_argued(lines, outer + 1);
    method.trim_start().starts_with("unsafe fn") && outer.is_some_and(is_impl)
}

/// Whether a line above belongs to what follows it: a comment, an attribute, or a statement that is not finished.
fn continues(text: &str) -> bool {
    let text = text.trim();
    let is_remark = text.starts_with("//") || text.starts_with("#[");
    is_remark || !(text.is_empty() || text.ends_with(';') || text.ends_with('{') || text.ends_with('}'))
}

/// One violation of these rules.
fn violation(path: &str, line: usize, message: &str) -> Violation {
    Violation { path: path.to_owned(), line, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_in_the_engine_is_seen_and_in_its_rooms_not() {
        let text = "fn f() {\n    // SAFETY: none\n    unsafe { g() }\n}\n#[deny(unsafe_code)] fn h() {}\n";
        let tree = Tree::of(&[("dataplane/engine/src/a.rs", text), ("ffi/src/lib.rs", text)]);
        let found = places(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].path.as_str(), found[0].line), ("dataplane/engine/src/a.rs", 3));
    }

    #[test]
    fn an_unargued_block_is_seen() {
        let text = "// SAFETY: far away\nfn f() {\n    unsafe { g() }\n}\n";
        assert_eq!(arguments(&Tree::of(&[("ffi/src/lib.rs", text)])).len(), 1);
    }

    #[test]
    fn methods_of_an_argued_impl_need_no_more_and_their_blocks_do() {
        let text = "// SAFETY: passes on.\nunsafe impl G for A {\n    unsafe fn a(&self) {\n        unsafe { b() }\n    }\n}\n";
        let lines = |text: &str| -> Vec<usize> {
            arguments(&Tree::of(&[("ffi/src/lib.rs", text)])).iter().map(|violation| violation.line).collect()
        };
        assert_eq!(lines(text), [4]);
        assert_eq!(lines(&text.replace("SAFETY", "Remark")), [2, 3, 4]);
    }

    #[test]
    fn arguments_above_beside_and_in_documentation_count() {
        let text = "/// # Safety\n/// The caller knows.\n#[inline]\npub unsafe fn f() {\n    // SAFETY: as the caller.\n    let a =\n        unsafe { g() };\n    unsafe { h() } // SAFETY: fine\n}\n";
        assert_eq!(arguments(&Tree::of(&[("ffi/src/lib.rs", text)])).len(), 0);
    }
}
