//! What a kill -9 leaves: every write that was acknowledged, and none by half. A copy of this test binary writes and says so;
//! it is killed at any moment, also while it opens the file; then the file is looked at.
//!
//! As many kills as fit in half a minute; `RINGDNS_TEST_KILLS=1000` for so many (`make kill`).

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringdns_engine::name::WireName;

use super::{Desk, Edit, Look as _, Reading, Store, StoreSource, Write, WriteError, split_soa};
use crate::canonical::name_key;
use crate::model::Rrset;
use crate::state::State;
use crate::text::rtype;
use crate::views::Views;

/// Tells a copy of this test binary that it is to write, and where.
const WRITE_IN: &str = "RINGDNS_TEST_WRITE_IN";

/// Tells it with which number to begin.
const WRITE_FROM: &str = "RINGDNS_TEST_WRITE_FROM";

/// How often to kill.
const KILLS: &str = "RINGDNS_TEST_KILLS";

/// Kills where the environment does not say, unless the time is up before.
const KILLS_MAX: u32 = 1000;

/// Time for kills where the environment does not say.
const SECONDS_MAX: u64 = 30;

/// Owners that are written in turn: few, so that the file stays small and a look at it quick.
const OWNERS: u64 = 16;

/// Most writes that share a transaction.
const GROUP_MAX: u64 = 3;

/// One write: two RRsets and a note that all have the same number.
#[derive(Debug)]
struct Numbered(u64);

/// The zone that is written.
fn apex() -> WireName {
    "example.org.".parse().unwrap()
}

/// The key of the note.
fn note_key() -> Vec<u8> {
    name_key(&apex())
}

/// One of the two RRsets of a number.
fn rrset(half: &str, number: u64) -> Rrset {
    let owner = format!("{half}{}.example.org.", number % OWNERS).parse().unwrap();
    let text = number.to_string();
    let rdata = [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    Rrset::new(owner, 16, 300, vec![rdata])
}

impl Edit for Numbered {
    fn edit(&self, desk: &mut Desk<'_, '_>) -> Result<(), WriteError> {
        desk.write(Write::PutRrset { apex: apex(), rrset: rrset("a", self.0), new: false })?;
        desk.set_note(&note_key(), Some(&self.0.to_be_bytes()))?;
        desk.write(Write::PutRrset { apex: apex(), rrset: rrset("b", self.0), new: false })?;
        Ok(())
    }
}

/// The source of a store, without those who read what it says.
fn source(store: Store) -> StoreSource {
    let snapshot = Arc::new(ringdns_engine::snapshot::Snapshot::empty());
    let state = State::new(snapshot, &["store"], Arc::new(Views::new([])), Vec::new());
    StoreSource::new(store, Arc::new(state)).0
}

/// In a copy that is to write: writes until killed. Otherwise nothing.
#[test]
fn write_when_told_to() {
    let Some(path) = std::env::var_os(WRITE_IN).map(PathBuf::from) else { return };
    let mut number: u64 = std::env::var(WRITE_FROM).unwrap().parse().unwrap();
    let source = source(Store::open(&path).unwrap());
    let mut told = std::io::stdout();
    loop {
        let count = number % GROUP_MAX + 1;
        let writes: Vec<Write> =
            (number..number + count).map(|number| Write::Edit(Arc::new(Numbered(number)))).collect();
        let (answers, _) = source.commit_all(&writes).unwrap();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        number += count;
        // Told by one system call, so that a kill cannot cut it in two.
        told.write_all(format!("written {}\n", number - 1).as_bytes()).unwrap();
        told.flush().unwrap();
    }
}

/// Starts a copy that writes.
fn start(path: &Path, from: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::kill::write_when_told_to", "--nocapture", "--test-threads=1"])
        .env(WRITE_IN, path)
        .env(WRITE_FROM, from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Has a copy write and kills it; the last number that it told as written. Every fourth is killed some time after its start,
/// which may be before it has opened the file; the others some time after their first write.
fn write_and_kill(path: &Path, from: u64, kill: u32) -> Option<u64> {
    let mut child = start(path, from);
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut number = |line: String| line.strip_prefix("written ")?.parse::<u64>().ok();
    let mut last = None;
    // Times that do not repeat with the kills.
    let micros = u64::from(kill) * 7_919;
    if kill.is_multiple_of(4) {
        std::thread::sleep(Duration::from_micros(micros % 80_000));
    } else {
        last = told.by_ref().find_map(&mut number);
        assert!(last.is_some(), "kill {kill}: the copy has ended by itself");
        std::thread::sleep(Duration::from_micros(micros % 12_000));
    }
    // SIGKILL: nothing of the copy runs any more.
    child.kill().unwrap();
    let last = told.filter_map(number).last().or(last);
    child.wait().unwrap();
    last
}

/// Looks at the file: the last number that is in it, and that all of it is as that number wants it.
fn look(path: &Path) -> u64 {
    let store = Store::open(path).unwrap();
    let reading = Reading::open(&store.database).unwrap();
    let note = reading.note(&note_key()).unwrap();
    let last = note.map_or(0, |note| u64::from_be_bytes(note.try_into().unwrap()));
    for number in (1..=last).rev().take(usize::try_from(OWNERS).unwrap()) {
        for half in ["a", "b"] {
            let wanted = rrset(half, number);
            let found = reading.rrset(&apex(), &wanted.owner, wanted.rtype).unwrap();
            assert_eq!(found.as_ref(), Some(&wanted), "of {last} writes, number {number} is not there or not whole");
        }
    }
    let soa = reading.rrset(&apex(), &apex(), rtype::SOA).unwrap().unwrap();
    let (_, _, [serial, ..]) = split_soa(&soa.rdatas[0]).unwrap();
    // In a new zone it is 1, and each write changes two RRsets.
    assert_eq!(u64::from(serial), 1 + 2 * last, "the serial counts the changes that are there");
    last
}

#[test]
fn what_was_acknowledged_survives_kills_and_nothing_by_half() {
    if std::env::var_os(WRITE_IN).is_some() {
        return;
    }
    let asked: Option<u32> = std::env::var(KILLS).ok().map(|kills| kills.parse().expect("a number of kills"));
    // What a process has written outlives it on any file system; in memory there is time for more kills.
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = directory.path().join("s.redb");
    let zone = Write::PutZone { apex: apex(), fields: Box::default() };
    let (answers, _) = source(Store::open(&path).unwrap()).commit_all(&[zone]).unwrap();
    assert!(answers[0].is_ok());
    let started = Instant::now();
    let (mut kills, mut while_writing, mut last) = (0u32, 0u32, 0u64);
    while kills < asked.unwrap_or(KILLS_MAX) && (asked.is_some() || started.elapsed().as_secs() < SECONDS_MAX) {
        let told = write_and_kill(&path, last + 1, kills);
        let found = look(&path);
        let at_least = told.unwrap_or(last);
        assert!(found >= at_least, "kill {kills}: {at_least} was acknowledged, and {found} is the last there");
        assert!(found <= at_least + GROUP_MAX, "kill {kills}: {found} is there, and only {at_least} was acknowledged");
        while_writing += u32::from(told.is_some());
        (kills, last) = (kills + 1, found);
    }
    assert!(kills >= asked.unwrap_or(20), "only {kills} kills in {:?}", started.elapsed());
    assert!(while_writing * 2 > kills, "of {kills} kills only {while_writing} met a copy that wrote");
    let summary =
        format!("{kills} kills, {while_writing} of them while writing, {last} writes, {:?}", started.elapsed());
    // Shown with --nocapture, and where the number was asked for.
    std::io::stdout().write_all(format!("{summary}\n").as_bytes()).unwrap();
}
