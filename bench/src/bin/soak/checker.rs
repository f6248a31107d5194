//! Asks for names that change and holds every answer to what was published.

use std::sync::atomic::Ordering;

use harness::link::addresses::SERVED4;
use harness::message::Answer;
use harness::rng::Rng;
use harness::udp::Asker;
use ringdns_bench::Outcome;

use super::version::{Seen, Version, explain};
use super::{FILE_ZONE, NAMES, STORE_ZONE, Soak};

/// The `A` type.
const A: u16 = 1;
/// One question in so many is for a name of the zone file.
const FILE_EVERY: usize = 4;

/// Asks one question after the other until the end.
pub fn check(soak: &Soak<'_>, seed: u64) -> Outcome<String> {
    let mut rng = Rng::new(seed);
    let mut asker = Asker::new(SERVED4);
    let mut last_store = vec![Version::default(); NAMES];
    // One for all names of the file: they change together.
    let mut last_file = Version::default();
    let mut present = 0u64;
    while soak.goes_on() {
        let number = rng.below(NAMES);
        let (owner, name, last) = if rng.once_in(FILE_EVERY) {
            (format!("f{number}.{FILE_ZONE}"), &soak.file, &mut last_file)
        } else {
            (format!("s{number}.{STORE_ZONE}"), &soak.store[number], &mut last_store[number])
        };
        let oldest = name.oldest().max(*last);
        let answer = asker.ask(&owner, A);
        let newest = name.newest();
        let Some(answer) = answer else {
            return Err(format!("question {} for {owner} was not answered", asker.asked).into());
        };
        let answer = Answer::parse(&answer)?;
        let seen = Seen::of(&answer).map_err(|mixture| format!("{owner}: {mixture}"))?;
        *last = explain(seen, oldest, newest)
            .ok_or_else(|| format!("{owner}: {seen:?} where versions {} to {} may be seen", oldest.0, newest.0))?;
        present += u64::from(seen != Seen::Absent);
        soak.answers.fetch_add(1, Ordering::Relaxed);
    }
    if present == 0 {
        return Err("no answer had an address".into());
    }
    Ok(format!("checker: {} questions asked, {} lost, {present} with addresses", asker.asked, asker.lost))
}
