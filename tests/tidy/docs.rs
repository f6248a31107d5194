//! Licence files, links between documents, and configuration shown in them.

use std::path::{Component, Path, PathBuf};

use toml::Table;

use crate::tree::{Tree, Violation};

/// Both licences, each with words that only its text has.
const LICENCES: &[(&str, &str)] = &[
    ("LICENSE-MIT", "Permission is hereby granted, free of charge"),
    ("LICENSE-APACHE", "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION"),
];

/// Licence files that are missing or hold something else.
pub fn licences(tree: &Tree) -> Vec<Violation> {
    let wrong = LICENCES.iter().filter(|(path, words)| !tree.text(path).is_some_and(|text| text.contains(words)));
    wrong.map(|(path, _)| violation(path, 1, "not there, or not that licence's text: put it back".to_owned())).collect()
}

/// Relative links that lead nowhere.
pub fn links(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.ending(".md") {
        for (line, target) in relative_links(text) {
            let resolved = resolve(path, target);
            if !resolved.as_deref().is_some_and(|file| file.is_empty() || tree.holds(file)) {
                violations.push(violation(path, line, format!("the link to {target} leads nowhere: correct it")));
            }
        }
    }
    violations
}

/// TOML shown in documents that does not parse.
pub fn snippets(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.ending(".md") {
        for (line, snippet) in toml_snippets(text) {
            if let Err(error) = snippet.parse::<Table>() {
                violations.push(violation(path, line, format!("this TOML does not parse: {}", error.message())));
            }
        }
    }
    violations
}

/// Targets of inline links with their lines, outside of code, without anchors and other sites.
fn relative_links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code {
            continue;
        }
        // Every second piece between backquotes is code.
        for piece in line.split('`').step_by(2) {
            for after in piece.split("](").skip(1) {
                let target = after.split([')', ' ']).next().unwrap_or_default();
                let file = target.split('#').next().unwrap_or_default();
                if !file.is_empty() && !file.contains(':') {
                    links.push((index + 1, file));
                }
            }
        }
    }
    links
}

/// The path in the repository that a link means; None where it leads out of it.
fn resolve(document: &str, target: &str) -> Option<String> {
    let folder = Path::new(document).parent()?;
    let mut resolved = PathBuf::new();
    for component in folder.join(target).components() {
        match component {
            Component::Normal(name) => resolved.push(name),
            Component::CurDir => {}
            Component::ParentDir if resolved.pop() => {}
            _ => return None,
        }
    }
    Some(resolved.to_string_lossy().into_owned())
}

/// Every fenced block marked `toml` with the line of its fence.
fn toml_snippets(text: &str) -> Vec<(usize, String)> {
    let mut snippets = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| !line.trim_start().starts_with("```"));
            let block: Vec<&str> = inside.collect();
            if language.trim() == "toml" {
                snippets.push((index + 1, block.join("\n")));
            }
        }
    }
    snippets
}

/// One violation of these rules.
fn violation(path: &str, line: usize, message: String) -> Violation {
    Violation { path: path.to_owned(), line, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_and_a_wrong_licence_are_seen() {
        assert_eq!(licences(&Tree::of(&[("LICENSE-MIT", "All rights reserved")])).len(), 2);
    }

    #[test]
    fn dead_links_are_seen_and_live_ones_are_not() {
        let text = "[a](b.md) [c](../src/) [d](#e) [f](https://g)\n`[h](i)`\n```\n[j](k)\n```\n[l](gone.md#m)\n[n](../../out.md)\n";
        let tree = Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("src/main.rs", "")]);
        assert_eq!(links(&tree).iter().map(|violation| violation.line).collect::<Vec<_>>(), [6, 7]);
    }

    #[test]
    fn broken_toml_is_seen_and_other_languages_are_not() {
        let text = "```toml\n[dns]\nport = 53\n```\n```sh\n[dns\n```\n```toml\n[dns\n```\n";
        let found = snippets(&Tree::of(&[("README.md", text)]));
        assert_eq!(found.iter().map(|violation| violation.line).collect::<Vec<_>>(), [8]);
    }
}
