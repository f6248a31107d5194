//! The repository checks its own rules. Each rule is a function from the tree to what breaks it, stands in a file of
//! `tidy/` beside the bad examples that it must catch, and has one test here that runs it over the real tree.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/hot_path.rs"]
mod hot_path;
#[path = "tidy/lists.rs"]
mod lists;
#[path = "tidy/manifests.rs"]
mod manifests;
#[path = "tidy/reasons.rs"]
mod reasons;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/units.rs"]
mod units;
#[path = "tidy/unsafety.rs"]
mod unsafety;

use tree::{Tree, Violation};

/// Fails with every violation and what to do about it.
fn check(rule: fn(&Tree) -> Vec<Violation>) {
    let violations = rule(&Tree::repository());
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn manifests_keep_the_arrows_between_the_crates() {
    check(arrows::manifests);
}

#[test]
fn ffi_is_named_only_where_the_device_is_wrapped() {
    check(arrows::ffi_users);
}

#[test]
fn tokio_stays_out_of_the_data_plane() {
    check(arrows::runtime_users);
}

#[test]
fn unsafe_stands_only_in_its_rooms() {
    check(unsafety::places);
}

#[test]
fn every_unsafe_says_why_it_is_sound() {
    check(unsafety::arguments);
}

#[test]
fn hot_path_files_exist() {
    check(hot_path::missing);
}

#[test]
fn hot_path_neither_allocates_nor_locks_nor_panics() {
    check(hot_path::banned);
}

#[test]
fn files_stay_short() {
    check(shape::lengths);
}

#[test]
fn nothing_is_left_unfinished() {
    check(shape::unfinished);
}

#[test]
fn every_dependency_is_argued() {
    check(manifests::unargued);
}

#[test]
fn every_reason_has_a_test() {
    check(reasons::untested);
}

#[test]
fn licence_files_are_there() {
    check(docs::licences);
}

#[test]
fn links_in_documents_resolve() {
    check(docs::links);
}

#[test]
fn toml_snippets_in_documents_parse() {
    check(docs::snippets);
}

#[test]
fn the_service_units_keep_what_they_promise() {
    check(units::promises);
}

#[test]
fn variables_of_units_are_explained() {
    check(units::variables);
}
