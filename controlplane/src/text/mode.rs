//! The names of the modes of selections, in JSON and in zone files.

use ringdns_engine::select::Mode;

/// Names and modes.
const MODES: [(&str, Mode); 7] = [
    ("all", Mode::All),
    ("rotate", Mode::Rotate),
    ("round_robin", Mode::RoundRobin),
    ("weighted", Mode::Weighted),
    ("source_hash", Mode::SourceHash),
    ("random", Mode::Random),
    ("sticky", Mode::Sticky),
];

/// The name of a mode.
pub fn show(mode: Mode) -> &'static str {
    MODES.into_iter().find(|&(_, known)| known == mode).map_or("all", |(name, _)| name)
}

/// The mode of a name.
pub fn parse(name: &str) -> Option<Mode> {
    MODES.into_iter().find(|&(known, _)| known == name).map(|(_, mode)| mode)
}

/// The names of all modes.
pub fn names() -> String {
    MODES.map(|(name, _)| name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_a_name() {
        assert_eq!(MODES.map(|(_, mode)| mode), Mode::ALL);
        assert!(Mode::ALL.into_iter().all(|mode| parse(show(mode)) == Some(mode)));
    }
}
