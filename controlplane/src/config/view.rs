//! `[[view]]`: which clients see which view.

use std::collections::HashMap;

use ringdns_engine::rate::{Network, NetworkError};
use toml::Spanned;

use super::ViewConfig;
use super::file;
use super::problem::Problems;
use crate::views::{NAME_BYTES_MAX, is_name};

/// Most views: far more than anybody keeps apart, and few enough to be numbered beside those that only the store knows.
const VIEWS_MAX: usize = 4096;

/// Checks the tables.
pub(super) fn views(specs: &[Spanned<file::View>], problems: &mut Problems<'_>) -> Vec<ViewConfig> {
    if let Some(first) = specs.get(VIEWS_MAX) {
        let message = format!("{} views are given", specs.len());
        problems.add(Some(first.span()), "view", message, format!("keep to {VIEWS_MAX}"));
    }
    let mut views: Vec<ViewConfig> = Vec::new();
    let mut owners: HashMap<Network, usize> = HashMap::new();
    for (index, spec) in specs.iter().enumerate() {
        let spec = spec.get_ref();
        let (name, key) = (spec.name.get_ref(), format!("view[{index}].name"));
        if !is_name(name) {
            let message = format!("\"{name}\" cannot be the name of a view");
            let remedy = format!(
                "write at most {NAME_BYTES_MAX} letters, digits, \"-\", \"_\" or \".\"; \"default\" is the view of all other clients"
            );
            problems.add(Some(spec.name.span()), key, message, remedy);
        } else if let Some(before) = views.iter().position(|view| view.name == *name) {
            let message = format!("view {name} is already view[{before}]");
            problems.add(Some(spec.name.span()), key, message, "name all prefixes of a view in one table");
        }
        let prefixes = prefixes(&spec.prefixes, index, &mut owners, problems);
        views.push(ViewConfig { name: name.clone(), prefixes });
    }
    views
}

/// Checks the prefixes of a view; `owners` are the views that have named each prefix so far.
fn prefixes(
    list: &Spanned<Vec<Spanned<String>>>,
    index: usize,
    owners: &mut HashMap<Network, usize>,
    problems: &mut Problems<'_>,
) -> Vec<Network> {
    let key = format!("view[{index}].prefixes");
    if list.get_ref().is_empty() {
        problems.add(Some(list.span()), &key, "no prefix is given", "name one network or more, or remove the view");
    }
    let mut prefixes = Vec::new();
    for entry in list.get_ref() {
        match entry.get_ref().parse::<Network>() {
            Ok(network) => {
                if let Some(before) = owners.insert(network, index) {
                    let message = format!("{network} is already a prefix of view[{before}]");
                    problems.add(Some(entry.span()), &key, message, "name each network once");
                }
                prefixes.push(network);
            }
            Err(error) => {
                let message = format!("\"{}\" is no network: {error}", entry.get_ref());
                let remedy = match error {
                    NetworkError::HostBits(network) => format!("write \"{network}\""),
                    _ => "write an address or a network such as \"192.0.2.0/24\" or \"2001:db8::/32\"".to_owned(),
                };
                problems.add(Some(entry.span()), &key, message, remedy);
            }
        }
    }
    prefixes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    /// The views of a configuration that has them behind a port, or what is wrong, lines counted from theirs.
    fn views(text: &str) -> Result<Vec<String>, String> {
        let text = format!("{text}\n[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n");
        let config = Config::parse(Path::new("c.toml"), &text).map_err(|error| error.to_string())?;
        let shown = config.views.iter().map(|view| {
            let prefixes: Vec<String> = view.prefixes.iter().map(ToString::to_string).collect();
            format!("{} {}", view.name, prefixes.join(" "))
        });
        Ok(shown.collect())
    }

    #[test]
    fn views_have_names_and_prefixes() {
        let text = "[[view]]\nname = \"a\"\nprefixes = [\"192.0.2.0/24\", \"2001:db8::1\"]\n\
                    [[view]]\nname = \"b-2\"\nprefixes = [\"0.0.0.0/0\", \"192.0.2.0/25\"]";
        assert_eq!(views(text).unwrap(), ["a 192.0.2.0/24 2001:db8::1/128", "b-2 0.0.0.0/0 192.0.2.0/25"]);
    }

    #[test]
    fn mistakes_are_named_with_place_and_remedy() {
        let two = |first: &str, second: &str| {
            format!(
                "[[view]]\nname = \"a\"\nprefixes = [\"10.0.0.0/8\"]\n[[view]]\nname = {first}\nprefixes = {second}"
            )
        };
        for (first, second, expected) in [
            ("\"a\"", "[\"::/0\"]", "c.toml:5:8: view[1].name: view a is already view[0]; name all prefixes"),
            ("\"default\"", "[\"::/0\"]", "view[1].name: \"default\" cannot be the name of a view; write at most 64"),
            ("\"a/b\"", "[\"::/0\"]", "\"a/b\" cannot be the name of a view"),
            ("\"b\"", "[]", "c.toml:6:12: view[1].prefixes: no prefix is given; name one network or more"),
            ("\"b\"", "[\"10.0.0.0/8\"]", "c.toml:6:13: view[1].prefixes: 10.0.0.0/8 is already a prefix of view[0]"),
            (
                "\"b\"",
                "[\"10.0.0.1/8\"]",
                "bits beyond the prefix are set; the network is 10.0.0.0/8; write \"10.0.0.0/8\"",
            ),
            ("\"b\"", "[\"net\"]", "\"net\" is no network: no IPv4 or IPv6 address; write an address or"),
            ("7", "[\"::/0\"]", "invalid type"),
        ] {
            let found = views(&two(first, second)).unwrap_err();
            assert!(found.contains(expected), "{first} {second}: {found}");
        }
        assert!(views("[[view]]\nname = \"a\"").unwrap_err().contains("missing field `prefixes`"));
    }
}
