//! Very many names, in two pieces of memory: the names one behind the other, and a table of where each begins.

use std::hash::{BuildHasher as _, RandomState};

use super::lines::suffixes;

/// Bytes behind each name: its file, which names it is for, and what is done.
const TAIL_BYTES: usize = 6;

/// Fewest places of the table.
const PLACES_MIN: usize = 1024;

/// Most bytes of all names: some twenty million.
const BYTES_MAX: usize = 1 << 30;

/// Which names an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The name alone.
    Name = 0,
    /// Those below it (RFC 4592: its wildcard).
    Below = 1,
    /// Both.
    Tree = 2,
}

/// An entry for a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// The file that it is of.
    pub(super) file: u8,
    /// What is done.
    pub(super) action: u32,
    /// Where the entry's name begins in the question's.
    pub(super) at: usize,
}

/// There is no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The names.
#[derive(Debug)]
pub(super) struct Names {
    /// Names in wire form and in lower case, each with its tail.
    bytes: Vec<u8>,
    /// By hash: where in `bytes` an entry begins, plus 1; 0: nowhere. Half of it is empty at least.
    places: Vec<u32>,
    /// Entries.
    count: usize,
    /// Names are chosen by strangers: which of them collide is not to be foreseen.
    hashes: RandomState,
}

impl Default for Names {
    fn default() -> Self {
        Self { bytes: Vec::new(), places: vec![0; PLACES_MIN], count: 0, hashes: RandomState::new() }
    }
}

impl Names {
    /// Entries.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Gives back what is too much.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Adds a name; what is done about it already, where the file has it.
    pub(super) fn add(&mut self, name: &[u8], file: u8, scope: Scope, action: u32) -> Result<Option<u32>, Full> {
        let known = self.of(name).find(|entry| (entry.file, entry.scope) == (file, scope as u8));
        if let Some(entry) = known {
            return Ok(Some(entry.action));
        }
        if (self.count + 1) * 2 > self.places.len() {
            self.grow();
        }
        let place = u32::try_from(self.bytes.len() + 1).ok().filter(|_| self.bytes.len() < BYTES_MAX).ok_or(Full)?;
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(&[file, scope as u8]);
        self.bytes.extend_from_slice(&action.to_le_bytes());
        let hash = self.hash(name);
        self.put(hash, place);
        self.count += 1;
        Ok(None)
    }

    /// What is done about a name by the first so many files: the first of them decides that has it, and in it the longest name.
    pub(super) fn find(&self, name: &[u8], files: u8) -> Option<Hit> {
        let mut best: Option<Hit> = None;
        if self.count == 0 {
            return None;
        }
        for (at, suffix) in suffixes(name) {
            let other = if at == 0 { Scope::Below } else { Scope::Name };
            for entry in self.of(suffix).filter(|entry| entry.scope != other as u8 && entry.file < files) {
                if best.is_none_or(|best| entry.file < best.file) {
                    best = Some(Hit { file: entry.file, action: entry.action, at });
                }
            }
        }
        best
    }

    /// The entries of a name.
    fn of<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = Entry> + 'a {
        let mask = self.places.len() - 1;
        let start = self.hash(name);
        // Half of the table is empty: this ends.
        let places = (0..=mask).map_while(move |step| {
            let place = *self.places.get(start.wrapping_add(step) & mask)?;
            usize::try_from(place).ok()?.checked_sub(1)
        });
        // A name ends in its root label: what begins with all of it is it.
        places.filter_map(|place| {
            let [file, scope, action @ ..] =
                *self.bytes.get(place..)?.strip_prefix(name)?.first_chunk::<TAIL_BYTES>()?;
            Some(Entry { file, scope, action: u32::from_le_bytes(action) })
        })
    }

    /// Puts an entry's place into the table.
    fn put(&mut self, hash: usize, place: u32) {
        let mask = self.places.len() - 1;
        let empty = (0..=mask).map(|step| hash.wrapping_add(step) & mask).find(|at| self.places.get(*at) == Some(&0));
        if let Some(at) = empty.and_then(|at| self.places.get_mut(at)) {
            *at = place;
        }
    }

    /// Makes a table of twice the size.
    fn grow(&mut self) {
        let before = std::mem::take(&mut self.places);
        self.places = vec![0; before.len() * 2];
        for place in before.into_iter().filter(|place| *place > 0) {
            let start = usize::try_from(place).unwrap_or_default() - 1;
            let rest = self.bytes.get(start..).unwrap_or_default();
            let length = suffixes(rest).last().map_or(0, |(root_at, _)| root_at + 1);
            let hash = self.hash(rest.get(..length).unwrap_or_default());
            self.put(hash, place);
        }
    }

    /// The hash of a name.
    fn hash(&self, name: &[u8]) -> usize {
        // There are fewer places than numbers of 32 bits.
        usize::try_from(self.hashes.hash_one(name) >> 32).unwrap_or_default()
    }
}

/// What stands behind a name.
#[derive(Clone, Copy)]
struct Entry {
    /// The file that it is of.
    file: u8,
    /// A [`Scope`].
    scope: u8,
    /// What is done.
    action: u32,
}

#[cfg(test)]
mod tests {
    use super::super::lines::Name;
    use super::*;

    /// A name in wire form.
    fn wire(text: &str) -> Vec<u8> {
        Name::read(text.as_bytes()).unwrap().wire().to_vec()
    }

    #[test]
    fn the_first_file_decides_and_in_it_the_longest_name() {
        let mut names = Names::default();
        for (name, file, scope, action) in [
            ("example", 1, Scope::Tree, 1),
            ("ads.example", 1, Scope::Name, 2),
            ("ads.example", 2, Scope::Tree, 3),
            ("x.ads.example", 2, Scope::Name, 4),
            ("below.test", 0, Scope::Below, 5),
        ] {
            assert_eq!(names.add(&wire(name), file, scope, action), Ok(None));
        }
        assert_eq!(names.add(&wire("ads.example"), 1, Scope::Name, 9), Ok(Some(2)), "the first one stays");
        assert_eq!(names.add(b"\0", 3, Scope::Below, 6), Ok(None));
        for (name, expected) in [
            ("example", Some((1, 0))),
            ("a.example", Some((1, 2))),
            ("ads.example", Some((2, 0))),
            ("x.ads.example", Some((1, 6))),
            ("below.test", Some((6, 11))),
            ("a.below.test", Some((5, 2))),
            ("anexample", Some((6, 10))),
        ] {
            let found = names.find(&wire(name), u8::MAX).map(|hit| (hit.action, hit.at));
            assert_eq!(found, expected, "{name}");
        }
        let of_first = names.find(&wire("x.ads.example"), 1).map(|hit| hit.action);
        assert_eq!((of_first, names.find(&wire("x.example"), 2).map(|hit| hit.action)), (None, Some(1)));
        assert_eq!((names.find(b"\0", u8::MAX), names.len()), (None, 6));
        assert_eq!(Names::default().find(&wire("a"), u8::MAX), None);
    }

    #[test]
    fn twenty_thousand_names_are_all_found() {
        let mut names = Names::default();
        for number in 0..20_000 {
            let name = wire(&format!("n{number}.example"));
            assert_eq!(names.add(&name, 0, Scope::Name, number), Ok(None));
        }
        names.shrink();
        for number in 0..20_000 {
            let found = names.find(&wire(&format!("n{number}.example")), u8::MAX);
            assert_eq!(found.map(|hit| hit.action), Some(number));
            assert_eq!(names.find(&wire(&format!("m{number}.example")), u8::MAX), None);
        }
    }
}
