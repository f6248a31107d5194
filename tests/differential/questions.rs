//! Questions about a generated zone: what is there, what is not, and what lies between.

use harness::message::{Question, name_to_wire};
use harness::rng::Rng;

use crate::zone::{APEX, REDIRECTIONS, Zone};

/// Types that are asked: those of the zone, and some that no name has.
const TYPES: &[u16] = &[1, 2, 5, 6, 12, 15, 16, 28, 33, 39, 43, 257, 65_280, 99, 65_281];

/// The commonest types, asked more often.
const COMMON_TYPES: &[u16] = &[1, 28, 15, 16];

/// UDP sizes that EDNS offers.
const EDNS_BYTES: &[u16] = &[512, 700, 1_232, 1_400, 4_096];

/// Longest name (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 255;

/// Makes so many questions.
pub fn generate(zone: &Zone, questions: usize, rng: &mut Rng) -> Vec<Question> {
    let owners = zone.owners();
    let question = |rng: &mut Rng| {
        let relative = owner(zone, &owners, rng);
        let absolute = match relative.as_str() {
            "@" => APEX.to_owned(),
            relative if relative.ends_with('.') => relative.to_owned(),
            relative => format!("{relative}.{APEX}"),
        };
        // Labels were put before a name that had no room for them.
        let absolute =
            if name_to_wire(&absolute).len() > NAME_BYTES_MAX { format!("missing.{APEX}") } else { absolute };
        let types = if rng.once_in(2) { COMMON_TYPES } else { TYPES };
        Question {
            owner: random_case(&absolute, rng),
            rtype: *rng.one_of(types),
            edns_bytes: (!rng.once_in(4)).then(|| *rng.one_of(EDNS_BYTES)),
        }
    };
    (0..questions).map(|_| question(rng)).collect()
}

/// A name to ask for, relative to the apex.
fn owner(zone: &Zone, owners: &[String], rng: &mut Rng) -> String {
    let existing = rng.one_of(owners).clone();
    match rng.below(24) {
        18..21 => rng.one_of(&zone.asked).clone(),
        21 => format!("any.{}", rng.one_of(&zone.asked)),
        0..6 => existing,
        6 => "@".to_owned(),
        // The name above: often an empty non-terminal.
        7 => existing.split_once('.').map_or(existing.clone(), |(_, parent)| parent.to_owned()),
        8 if existing != "@" => format!("missing{}.{existing}", rng.below(100)),
        9 => format!("missing{}", rng.below(1_000)),
        10 => rng.one_of(&zone.cuts).clone(),
        11 => format!("a.b{}.{}", rng.below(10), rng.one_of(&zone.cuts)),
        12 => format!("any{}.{}", rng.below(100), rng.one_of(&zone.wildcards)),
        13 => format!("x.y{}.{}", rng.below(100), rng.one_of(&zone.wildcards)),
        // Where the wildcard does not reach: beside the empty non-terminal, and below an existing name.
        14 => format!(
            "{}.{}",
            rng.one_of(&["empty", "no.empty", "no.here", "no.deep.empty", "*", "a.*"]),
            rng.one_of(&zone.wildcards)
        ),
        15 => format!("h{}.r{}", rng.below(40), rng.below(REDIRECTIONS)),
        16 => format!("{}.x.y{}.r{}", "deep".repeat(1 + rng.below(15)), rng.below(10), rng.below(REDIRECTIONS)),
        _ if rng.once_in(3) => "outside.example.".to_owned(),
        _ => format!("large{}", rng.below(12)),
    }
}

/// The same name in random case (draft "0x20"): answers must not depend on it.
fn random_case(name: &str, rng: &mut Rng) -> String {
    name.chars().map(|c| if rng.once_in(4) { c.to_ascii_uppercase() } else { c }).collect()
}
