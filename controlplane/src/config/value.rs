//! Values that keys of several tables have: a word of some, a network.

use ringdns_engine::rate::{Network, NetworkError};
use toml::Spanned;

use super::problem::Problems;

/// The value of a word, or the default, with a problem noted where the word is none of the known ones.
pub(in crate::config) fn word<T: Copy>(
    given: Option<&Spanned<String>>,
    key: &str,
    words: &[(&str, T)],
    default: T,
    problems: &mut Problems<'_>,
) -> T {
    let Some(given) = given else { return default };
    if let Some(&(_, value)) = words.iter().find(|(word, _)| word == given.get_ref()) {
        return value;
    }
    let known: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let message = format!("\"{}\" is none of its words", given.get_ref());
    problems.add(Some(given.span()), key, message, format!("write one of {}", known.join(", ")));
    default
}

/// A network, with a problem noted where an entry is none.
pub(in crate::config) fn network(entry: &Spanned<String>, key: &str, problems: &mut Problems<'_>) -> Option<Network> {
    let error = match entry.get_ref().parse::<Network>() {
        Ok(network) => return Some(network),
        Err(error) => error,
    };
    let remedy = match error {
        NetworkError::HostBits(network) => format!("write \"{network}\""),
        _ => "write an address or a network such as \"192.0.2.0/24\" or \"2001:db8::/32\"".to_owned(),
    };
    problems.add(Some(entry.span()), key, format!("\"{}\" is no network: {error}", entry.get_ref()), remedy);
    None
}
