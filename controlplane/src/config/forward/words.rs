//! Keys whose values are words.

use std::time::Duration;

use super::{ForwardMode, ForwardPolicy, Overload};
use crate::config::problem::Problems;

/// `mode`
pub(super) const MODES: &[(&str, ForwardMode)] =
    &[("cache", ForwardMode::Cache), ("direct", ForwardMode::Direct), ("disable", ForwardMode::Disable)];

/// `policy`
pub(super) const POLICIES: &[(&str, ForwardPolicy)] = &[
    ("fastest", ForwardPolicy::Fastest),
    ("sequential", ForwardPolicy::Sequential),
    ("round-robin", ForwardPolicy::RoundRobin),
    ("random", ForwardPolicy::Random),
];

/// `overload`
pub(super) const OVERLOADS: &[(&str, Overload)] =
    &[("refused", Overload::Refused), ("servfail", Overload::Servfail), ("drop", Overload::Drop)];

/// Response codes by their names (RFC 1035 section 4.1.1, RFC 2136 section 1.1).
const RCODES: &[(&str, u16)] = &[
    ("formerr", 1),
    ("servfail", 2),
    ("nxdomain", 3),
    ("notimp", 4),
    ("refused", 5),
    ("yxdomain", 6),
    ("yxrrset", 7),
    ("nxrrset", 8),
    ("notauth", 9),
    ("notzone", 10),
];

/// `next_rcodes`
pub(super) fn rcodes(given: &super::spec::List, key: &str, default: &[u16], problems: &mut Problems<'_>) -> Vec<u16> {
    let Some(given) = given else { return default.to_vec() };
    let mut rcodes = Vec::new();
    for entry in given.get_ref() {
        let name = entry.get_ref().to_ascii_lowercase();
        match RCODES.iter().find(|(known, _)| *known == name) {
            Some((_, rcode)) => rcodes.push(*rcode),
            None => {
                let known: Vec<&str> = RCODES.iter().map(|(known, _)| *known).collect();
                let message = format!("\"{}\" is no response code that could be asked on for", entry.get_ref());
                problems.add(Some(entry.span()), key, message, format!("write some of {}", known.join(", ")));
            }
        }
    }
    rcodes
}

/// Milliseconds as a time.
pub(super) fn milliseconds(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or_default())
}
