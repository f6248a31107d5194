//! Changes records: those of the store by REST, those of a zone file by reload.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use harness::http::Connection;
use harness::link::addresses::SERVED4;
use harness::message::Answer;
use harness::rng::Rng;
use harness::server::rrset_path;
use harness::udp::Asker;
use ringdns_bench::Outcome;

use super::version::{Name, Seen, Version, explain};
use super::{FILE_ZONE, NAMES, STORE_ZONE, Soak, WRITERS};

/// Longest from a reload to its answers.
const RELOAD_TIME_MAX: Duration = Duration::from_secs(30);
/// One reload in so many is of a file that must not be taken.
const BROKEN_EVERY: usize = 5;
/// The `A` type.
const A: u16 = 1;

/// Gives every name of the store its first version.
pub fn create_all(soak: &Soak<'_>) -> Outcome<()> {
    let mut connection = soak.server.connect();
    (0..NAMES).try_for_each(|number| change(soak, &mut connection, number))
}

/// Changes random names until the end; every name has one writer.
pub fn change_store(soak: &Soak<'_>, index: usize) -> Outcome<String> {
    let mut rng = Rng::new(index as u64);
    let mut connection = soak.server.connect();
    let mut changes = 0u64;
    while soak.goes_on() {
        change(soak, &mut connection, rng.below(NAMES / WRITERS) * WRITERS + index)?;
        changes += 1;
    }
    Ok(format!("writer: {changes} changes"))
}

/// Makes the next version of a name: puts its addresses, or deletes it.
fn change(soak: &Soak<'_>, connection: &mut Connection, number: usize) -> Outcome<()> {
    let name: &Name = &soak.store[number];
    let version = name.submit();
    let path = rrset_path(STORE_ZONE, &format!("s{number}"), "A");
    let response = if version.is_absent() {
        connection.request("DELETE", &path, "")?
    } else {
        let records: Vec<String> = version.texts().collect();
        let body = serde_json::json!({ "ttl": 60, "records": records }).to_string();
        connection.request("PUT", &path, &body)?
    };
    let expected: &[u16] = if version.is_absent() { &[204] } else { &[200, 201] };
    if !expected.contains(&response.status) {
        return Err(format!("version {} of s{number}: {response:?}", version.0).into());
    }
    name.acknowledge(version);
    soak.changes.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Writes the zone file's next version and has it read until the end.
pub fn change_file(soak: &Soak<'_>, file: &Path) -> Outcome<String> {
    let mut rng = Rng::new(0);
    let mut asker = Asker::new(SERVED4);
    let (mut reloads, mut broken) = (0u64, 0u64);
    while soak.goes_on() {
        if rng.once_in(BROKEN_EVERY) {
            // A version that nobody may ever see: its last line is no record.
            let text = file_text(Version(soak.file.newest().0 + 1));
            replace(file, &format!("{text}last A not-an-address\n"))?;
            soak.server.reload();
            thread::sleep(Duration::from_millis(100));
            broken += 1;
            continue;
        }
        let version = soak.file.submit();
        replace(file, &file_text(version))?;
        soak.server.reload();
        let start = Instant::now();
        while soak.goes_on() && !is_served(&mut asker, &mut rng, version)? {
            if start.elapsed() > RELOAD_TIME_MAX {
                return Err(format!("version {} of the file is not served", version.0).into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        if soak.goes_on() {
            soak.file.acknowledge(version);
            soak.reloads.fetch_add(1, Ordering::Relaxed);
            reloads += 1;
        }
    }
    Ok(format!("reloads: {reloads} of a new file, {broken} of a broken one"))
}

/// Whether a name of the file has this version.
fn is_served(asker: &mut Asker, rng: &mut Rng, version: Version) -> Outcome<bool> {
    let owner = format!("f{}.{FILE_ZONE}", rng.below(NAMES));
    let answer = asker.ask(&owner, A).ok_or_else(|| format!("a question for {owner} was not answered"))?;
    let seen = Seen::of(&Answer::parse(&answer)?).map_err(|mixture| mixture.to_string())?;
    Ok(explain(seen, version, version).is_some())
}

/// Puts a file in the place of another in one step: a reload that is under way reads the old one or the new one.
fn replace(file: &Path, text: &str) -> Outcome<()> {
    let fresh = file.with_extension("new");
    fs::write(&fresh, text)?;
    Ok(fs::rename(fresh, file)?)
}

/// The zone file's text in a version.
pub fn file_text(version: Version) -> String {
    let mut text = format!(
        "$ORIGIN {FILE_ZONE}\n$TTL 60\n@ IN SOA ns hostmaster {} 7200 1800 1209600 60\n@ IN NS ns\nns IN A 10.0.0.1\n",
        version.0
    );
    if !version.is_absent() {
        let texts: Vec<String> = version.texts().collect();
        for number in 0..NAMES {
            for address in &texts {
                text.push_str(&format!("f{number} A {address}\n"));
            }
        }
    }
    text
}
