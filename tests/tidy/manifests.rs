//! Every dependency is an argued line.

use crate::tree::{Tree, Violation};

/// Shortest comment that can say what a crate is and why.
const ARGUMENT_CHARACTERS_MIN: usize = 20;

/// Dependencies on others' crates without a comment above or beside them.
pub fn unargued(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.ending("Cargo.toml") {
        let mut in_dependencies = false;
        let mut depth = 0usize;
        let mut above = "";
        for (index, line) in text.lines().enumerate() {
            let is_new_line = depth == 0;
            if is_new_line && line.starts_with('[') {
                in_dependencies = line.trim_end_matches(']').ends_with("dependencies");
            }
            let table = line.strip_prefix('[').and_then(|rest| rest.split_once("dependencies.")).map(|(_, name)| name);
            let entry =
                (is_new_line && in_dependencies && line.contains('=') && !line.starts_with('#')).then_some(line);
            let Some(name) = table.or(entry) else {
                depth = depth_after(depth, line);
                above = line;
                continue;
            };
            let argued = [above, line].iter().any(|text| comment_characters(text) >= ARGUMENT_CHARACTERS_MIN);
            if !argued && !name.starts_with("ringdns") {
                let message =
                    "dependency without an argument: say above it what it is, who keeps it, why not std".to_owned();
                violations.push(Violation { path: path.to_owned(), line: index + 1, message });
            }
            depth = if table.is_some() { 0 } else { depth_after(depth, line) };
            above = line;
        }
    }
    violations
}

/// How many brackets are open after the line.
fn depth_after(depth: usize, line: &str) -> usize {
    let code = line.split('#').next().unwrap_or_default();
    let opened = code.matches(['[', '{']).count();
    let closed = code.matches([']', '}']).count();
    (depth + opened).saturating_sub(closed)
}

/// Characters of the line's comment.
fn comment_characters(line: &str) -> usize {
    line.split_once('#').map_or(0, |(_, comment)| comment.trim().chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that the rule names in a manifest.
    fn lines(text: &str) -> Vec<usize> {
        unargued(&Tree::of(&[("Cargo.toml", text)])).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn bare_lines_are_seen_in_every_table() {
        for table in ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(loom)'.dependencies"] {
            assert_eq!(lines(&format!("[{table}]\nloom = \"0.7\"\n")), [2], "{table}");
        }
        assert_eq!(lines("[dependencies.loom]\nversion = \"0.7\"\n"), [1]);
    }

    #[test]
    fn a_comment_argues_for_one_line_only() {
        assert_eq!(lines("[dependencies]\n# A long enough argument for it.\na = \"1\"\nb = \"1\"\n"), [4]);
        assert_eq!(lines("[dependencies]\na = \"1\" # A long enough argument for it.\n"), [0; 0]);
        assert_eq!(lines("[dependencies]\n# short\na = \"1\"\n"), [3]);
    }

    #[test]
    fn own_crates_features_and_long_lists_need_none() {
        let text = "[dependencies]\nringdns-engine.workspace = true\n# A long enough argument for it.\na = { version = \"1\", features = [\n  \"b\",\n] }\n[features]\nc = []\n";
        assert_eq!(lines(text), [0; 0]);
    }
}
