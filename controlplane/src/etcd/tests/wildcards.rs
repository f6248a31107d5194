//! Questions with `*` and `any` in SkyDNS's tree.

use super::*;

/// A model that makes so many names.
fn tried(names_max: usize) -> Tried {
    Tried::new(vec![Tree { wildcard_names_max: names_max, ..tree(Layout::SkyDns, &["s.local."]) }])
}

/// The addresses of a name; empty where it has none.
fn addresses(tried: &Tried, name: &str) -> String {
    tried.served.get(&(name.to_owned(), 1, String::new())).cloned().unwrap_or_default()
}

#[test]
fn a_word_stands_for_any_label_at_its_place() {
    let mut tried = tried(1000);
    tried.apply(&[
        ("/skydns/local/s/east/rails/1", r#"{"host":"10.0.0.1"}"#),
        ("/skydns/local/s/east/rails/2", r#"{"host":"10.0.0.2"}"#),
        ("/skydns/local/s/west/rails/1", r#"{"host":"10.0.0.3"}"#),
        ("/skydns/local/s/west/redis/1", r#"{"host":"10.0.0.4"}"#),
    ]);
    for (name, expected) in [
        ("*.rails.east", "300 10.0.0.1 + 10.0.0.2"),
        ("rails.*", "300 10.0.0.1 + 10.0.0.2 + 10.0.0.3"),
        ("rails.any", "300 10.0.0.1 + 10.0.0.2 + 10.0.0.3"),
        ("*.west", "300 10.0.0.3 + 10.0.0.4"),
        ("1.*.*", "300 10.0.0.1 + 10.0.0.3 + 10.0.0.4"),
        ("1.any.west", "300 10.0.0.3 + 10.0.0.4"),
        ("*", "300 10.0.0.1 + 10.0.0.2 + 10.0.0.3 + 10.0.0.4"),
        ("2.*.west", ""),
        ("*.any.east", ""),
    ] {
        assert_eq!(addresses(&tried, &format!("{name}.s.local.")), expected, "{name}");
    }
    tried.apply(&[("/skydns/local/s/west/rails/1", ""), ("/skydns/local/s/west/redis/1", "")]);
    assert_eq!(addresses(&tried, "rails.*.s.local."), "300 10.0.0.1 + 10.0.0.2");
    assert_eq!(addresses(&tried, "*.west.s.local."), "");
    tried.apply(&[("/skydns/local/s/east/rails/1", ""), ("/skydns/local/s/east/rails/2", "")]);
    assert_eq!(tried.lines(), [] as [String; 0]);
}

#[test]
fn the_zone_is_told_that_its_asterisks_are_labels() {
    let told = |tried: &Tried| {
        tried.model.zones(1).iter().any(|change| matches!(change, Change::SetAsterisks { are_labels: true, .. }))
    };
    assert!(told(&tried(1)) && !told(&Tried::skydns()));
}

#[test]
fn without_the_option_and_in_deep_names_nothing_is_made() {
    let mut plain = Tried::skydns();
    plain.apply(&[("/skydns/local/s/a/b", r#"{"host":"10.0.0.1"}"#)]);
    assert_eq!(addresses(&plain, "*.a.s.local."), "");
    let mut deep = tried(1000);
    deep.apply(&[("/skydns/local/s/1/2/3/4/5/6", r#"{"host":"10.0.0.1"}"#)]);
    assert_eq!(addresses(&deep, "6.5.4.3.2.*.s.local."), "");
    assert_eq!(addresses(&deep, "5.4.3.2.*.s.local."), "300 10.0.0.1");
    // Of n labels two to the power of n less one, for each word and each name up to five labels.
    let made =
        deep.lines().into_iter().filter(|line| line.contains(" A ") && (line.contains('*') || line.contains("any")));
    assert_eq!(made.count(), 2 * (1 + 3 + 7 + 15 + 31));
}

#[test]
fn too_many_names_are_given_up_together_and_it_is_told() {
    let mut tried = tried(8);
    tried.apply(&[("/skydns/local/s/any/x", r#"{"host":"10.0.0.1"}"#)]);
    assert_eq!(addresses(&tried, "*.s.local."), "300 10.0.0.1");
    assert_eq!(tried.model.refused_wildcards(), [] as [String; 0]);
    tried.apply(&[("/skydns/local/s/b/y", r#"{"host":"10.0.0.2"}"#)]);
    assert_eq!(tried.model.refused_wildcards(), ["/skydns"]);
    let names: Vec<String> = tried.served.keys().map(|(name, ..)| name.clone()).collect();
    let mut expected =
        ["any.s.local.", "b.s.local.", "s.local.", "x.any.s.local.", "y.b.s.local."].map(str::to_owned).to_vec();
    expected = expected.into_iter().flat_map(|name| [name.clone(), name]).collect();
    assert_eq!(names, expected, "with A and SRV each, and a key's own word is a label");
    assert_eq!(addresses(&tried, "any.s.local."), "300 10.0.0.1");
    tried.apply(&[("/skydns/local/s/b/y", "")]);
    assert_eq!(addresses(&tried, "*.s.local."), "", "it stays so");
}
