//! The arrows between the crates, and who may bring in the asynchronous runtime.

use toml::{Table, Value};

use crate::lists::{ARROWS, FFI_PLACES, RUNTIME_CRATES, RUNTIME_PACKAGES};
use crate::source::{code_only, line_of, words};
use crate::tree::{Tree, Violation, in_places};

/// Every crate of the house is in the list and depends on no other than those it may.
pub fn manifests(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.ending("Cargo.toml") {
        let Some((package, dependencies)) = package_and_dependencies(text) else {
            continue;
        };
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package) else {
            let message = format!("package {package} has no arrows: add it to ARROWS in tests/tidy/lists.rs");
            violations.push(Violation { path: path.to_owned(), line: 1, message });
            continue;
        };
        for dependency in dependencies.iter().filter(|name| name.starts_with("ringdns") && **name != package) {
            if !allowed.contains(&dependency.as_str()) {
                let message = format!("{package} may not depend on {dependency}: move the shared code below both");
                violations.push(Violation { path: path.to_owned(), line: line_naming(text, dependency), message });
            }
        }
    }
    violations
}

/// The raw bindings are named by the device wrappers alone.
pub fn ffi_users(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.ending(".rs").filter(|(path, _)| !in_places(path, FFI_PLACES)) {
        let code = code_only(text);
        for (byte, _) in words(&code).filter(|(_, word)| *word == "ringdns_ffi") {
            let message = "ringdns_ffi is named outside dataplane/src/dpdk: wrap what you need there".to_owned();
            violations.push(Violation { path: path.to_owned(), line: line_of(&code, byte), message });
        }
    }
    violations
}

/// The runtime comes in by the control plane and the root alone.
pub fn runtime_users(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.ending("Cargo.toml") {
        let Some((package, dependencies)) = package_and_dependencies(text) else {
            continue;
        };
        if RUNTIME_PACKAGES.contains(&package.as_str()) {
            continue;
        }
        for dependency in dependencies.iter().filter(|name| RUNTIME_CRATES.contains(&name.as_str())) {
            let message = format!("{package} depends on {dependency}: asynchronous code belongs in controlplane/");
            violations.push(Violation { path: path.to_owned(), line: line_naming(text, dependency), message });
        }
    }
    violations
}

/// A manifest's package name and all it depends on, for building and testing, on any target. None without a package.
fn package_and_dependencies(text: &str) -> Option<(String, Vec<String>)> {
    let manifest: Table = text.parse().ok()?;
    let name = manifest.get("package")?.get("name")?.as_str()?.to_owned();
    let mut dependencies = dependency_names(&manifest);
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    for (_, target) in targets {
        dependencies.extend(target.as_table().map(dependency_names).unwrap_or_default());
    }
    Some((name, dependencies))
}

/// The names in the three dependency tables; a renamed dependency by its real name.
fn dependency_names(table: &Table) -> Vec<String> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|kind| table.get(*kind)?.as_table())
        .flatten()
        .map(|(name, value)| value.get("package").and_then(Value::as_str).unwrap_or(name).to_owned())
        .collect()
}

/// The first line that starts with the name, for pointing at it.
fn line_naming(text: &str, name: &str) -> usize {
    text.lines().position(|line| line.starts_with(name)).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manifest with one dependency line.
    fn manifest(name: &str, kind: &str, dependency: &str) -> String {
        format!("[package]\nname = \"{name}\"\n[{kind}]\n{dependency}\n")
    }

    #[test]
    fn an_arrow_against_the_table_is_seen_in_every_table() {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"] {
            let text = manifest("ringdns-engine", kind, "ringdns-dataplane.workspace = true");
            let found = manifests(&Tree::of(&[("x/Cargo.toml", &text)]));
            assert_eq!(found.len(), 1, "{kind}");
            assert_eq!(found[0].line, 4, "{kind}");
        }
    }

    #[test]
    fn a_renamed_arrow_is_seen() {
        let text =
            manifest("ringdns-controlplane", "dependencies", "raw = { package = \"ringdns-ffi\", path = \"../ffi\" }");
        assert_eq!(manifests(&Tree::of(&[("x/Cargo.toml", &text)])).len(), 1);
    }

    #[test]
    fn an_unknown_package_is_seen_and_an_allowed_arrow_is_not() {
        let unknown = manifest("ringdns-new", "dependencies", "");
        let allowed = manifest("ringdns-dataplane", "dependencies", "ringdns-engine.workspace = true");
        let found = manifests(&Tree::of(&[("a/Cargo.toml", &unknown), ("b/Cargo.toml", &allowed)]));
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("ringdns-new"));
    }

    #[test]
    fn a_use_and_a_path_of_the_bindings_are_seen() {
        let text = "use ringdns_ffi::rte_mbuf;\n// ringdns_ffi in a comment\nfn f() { ringdns_ffi::g(); }\n";
        let tree = Tree::of(&[("dataplane/src/worker.rs", text), ("dataplane/src/dpdk/mbuf.rs", text)]);
        let lines: Vec<usize> = ffi_users(&tree).iter().map(|violation| violation.line).collect();
        assert_eq!(lines, [1, 3]);
    }

    #[test]
    fn tokio_in_the_data_plane_is_seen() {
        let bad = manifest("ringdns-dataplane", "dependencies", "tokio = \"1\"");
        let good = manifest("ringdns-controlplane", "dependencies", "tokio = \"1\"");
        assert_eq!(runtime_users(&Tree::of(&[("a/Cargo.toml", &bad), ("b/Cargo.toml", &good)])).len(), 1);
    }
}
