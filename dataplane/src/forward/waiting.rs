//! Who waits for what: bounded in number, and in time.

use std::time::Instant;

use ringdns_engine::recall::ForeignQuestion;

/// A client that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The frame of its query.
    pub frame: Box<[u8]>,
    /// The port that it came by, by its place.
    pub port: usize,
    /// The queue pair, by its place.
    pub lane: usize,
    /// What others were asked for it.
    pub question: ForeignQuestion,
    /// How often they were asked for it.
    pub asked: u32,
    /// When it has waited for long enough.
    pub deadline: Instant,
}

/// The number of one that waits: never the same for two, as long as anybody remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Its place.
    place: usize,
    /// How many had that place before.
    turn: u64,
}

/// A place.
#[derive(Debug, Default)]
struct Place {
    /// How many have had it.
    turn: u64,
    /// Who has it.
    waiting: Option<Waiting>,
}

/// All that wait.
#[derive(Debug)]
pub(super) struct WaitingRoom {
    /// Places, as many as there have ever been taken at once.
    places: Vec<Place>,
    /// Those that nobody has.
    free: Vec<usize>,
    /// Most places.
    places_max: usize,
}

impl WaitingRoom {
    /// An empty one with so many places.
    pub(super) fn new(places_max: usize) -> Self {
        Self { places: Vec::new(), free: Vec::new(), places_max }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Takes one in; nothing where there is no place.
    pub(super) fn admit(&mut self, waiting: Waiting) -> Option<Ticket> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.places.len() < self.places_max => {
                self.places.push(Place::default());
                self.places.len() - 1
            }
            None => return None,
        };
        let taken = self.places.get_mut(place)?;
        taken.turn += 1;
        taken.waiting = Some(waiting);
        Some(Ticket { place, turn: taken.turn })
    }

    /// Lets one go; nothing where it has gone already.
    pub(super) fn dismiss(&mut self, Ticket { place, turn }: Ticket) -> Option<Waiting> {
        let waiting = self.places.get_mut(place).filter(|taken| taken.turn == turn)?.waiting.take()?;
        self.free.push(place);
        Some(waiting)
    }

    /// Those that have waited for long enough.
    pub(super) fn expired(&self, now: Instant) -> Vec<Ticket> {
        let is_over = |taken: &Place| taken.waiting.as_ref().is_some_and(|waiting| waiting.deadline <= now);
        let places = self.places.iter().enumerate().filter(|(_, taken)| is_over(taken));
        places.map(|(place, taken)| Ticket { place, turn: taken.turn }).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringdns_engine::cache::EntryBits;
    use ringdns_engine::name::WireName;

    use super::*;

    /// One that waits until a moment.
    fn until(deadline: Instant) -> Waiting {
        let question = ForeignQuestion {
            name: WireName::root(),
            qtype: 1,
            bits: EntryBits::default(),
            client: [192, 0, 2, 1].into(),
            is_stream: false,
        };
        Waiting { frame: Box::default(), port: 0, lane: 0, question, asked: 1, deadline }
    }

    #[test]
    fn places_are_bounded_and_tickets_are_good_once() {
        let now = Instant::now();
        let mut room = WaitingRoom::new(2);
        let [first, second] = [1, 2].map(|seconds| room.admit(until(now + Duration::from_secs(seconds))).unwrap());
        assert!(room.admit(until(now)).is_none());
        assert!(room.dismiss(first).is_some() && room.dismiss(first).is_none());
        let third = room.admit(until(now + Duration::from_secs(3))).unwrap();
        assert!(room.dismiss(first).is_none(), "the place is another's");
        assert_eq!(room.expired(now), []);
        assert_eq!(room.expired(now + Duration::from_secs(2)), [second]);
        assert!(room.dismiss(second).is_some() && room.dismiss(third).is_some());
        assert_eq!((room.len(), room.expired(now + Duration::from_secs(9))), (0, vec![]));
    }
}
