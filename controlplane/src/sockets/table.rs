//! The open connections: who has how many, and whose last query is the longest ago.
//!
//! One list in the order of the last answered query serves for everything: its head is what has been idle for the longest, and
//! whose place a newcomer takes where the table is full. A client that sends a byte now and then does not move in it.
//! Everything here takes constant time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::task::Waker;
use std::time::Duration;

use super::stats::Closed;

/// No place.
const NONE: u32 = u32::MAX;

/// Part of the idle time that is left when the table is full.
const IDLE_PARTS_LEFT: u128 = 10;

/// Whose connections are counted together: an IPv4 address, or the network of 64 bits that one host of IPv6 has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Client(u64, bool);

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u32::from(address).into(), false),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]), true)
            }
        }
    }
}

/// A connection of the table. Its place is its own until [`Table::remove`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

/// What is known of a connection.
#[derive(Debug)]
struct Entry {
    /// Whose it is.
    client: Client,
    /// The one before in the list; those further ahead were asked longer ago.
    before: u32,
    /// The one after.
    after: u32,
    /// When its last query was answered, or it was accepted.
    asked_at: Duration,
    /// Bytes that it holds beside this.
    held: usize,
    /// Queries of it that wait for others.
    open: usize,
    /// Wakes its task.
    waker: Option<Waker>,
    /// Why it is to end; it is not in the list any more then.
    order: Option<Closed>,
}

/// The open connections of one thread.
#[derive(Debug)]
pub(super) struct Table {
    /// Entries and free places.
    entries: Vec<Option<Entry>>,
    /// Free places.
    free: Vec<u32>,
    /// Connections by client.
    clients: HashMap<Client, usize>,
    /// The connection whose last query is the longest ago.
    head: u32,
    /// The connection that was answered last.
    tail: u32,
    /// Connections in the list.
    listed: usize,
    /// Bytes that all hold.
    held: usize,
    /// Most connections.
    connections_max: usize,
    /// Most connections of a client.
    per_client_max: usize,
}

impl Table {
    /// A table without connections.
    pub(super) fn new(connections_max: usize, per_client_max: usize) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            clients: HashMap::new(),
            head: NONE,
            tail: NONE,
            listed: 0,
            held: 0,
            connections_max,
            per_client_max,
        }
    }

    /// Connections whose tasks have not ended.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Bytes that all connections hold.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Takes a connection in, as one that was asked now; nothing where its client has too many. Where the table is full, the
    /// connection ends whose last query is the longest ago.
    pub(super) fn add(&mut self, address: IpAddr, now: Duration) -> Option<Place> {
        let client = Client::from(address);
        let connections = self.clients.entry(client).or_default();
        if *connections >= self.per_client_max {
            return None;
        }
        *connections += 1;
        if self.listed >= self.connections_max {
            self.evict();
        }
        let entry =
            Entry { client, before: NONE, after: NONE, asked_at: now, held: 0, open: 0, waker: None, order: None };
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.entries.push(None);
                // Far fewer than 2^32: the configuration bounds them.
                u32::try_from(self.entries.len() - 1).unwrap_or(NONE)
            }
        };
        if let Some(slot) = self.entries.get_mut(place as usize) {
            *slot = Some(entry);
        }
        self.append(place);
        Some(Place(place))
    }

    /// Forgets a connection whose task ends.
    pub(super) fn remove(&mut self, Place(place): Place) {
        self.unlink(place);
        let Some(entry) = self.entries.get_mut(place as usize).and_then(Option::take) else { return };
        self.free.push(place);
        self.held -= entry.held;
        if let Some(connections) = self.clients.get_mut(&entry.client) {
            *connections -= 1;
            if *connections == 0 {
                self.clients.remove(&entry.client);
            }
        }
    }

    /// Notes how a connection's task is woken.
    pub(super) fn note_waker(&mut self, Place(place): Place, waker: &Waker) {
        if let Some(entry) = self.entry(place)
            && !entry.waker.as_ref().is_some_and(|known| known.will_wake(waker))
        {
            entry.waker = Some(waker.clone());
        }
    }

    /// Notes that queries of a connection were answered.
    pub(super) fn note_answered(&mut self, Place(place): Place, now: Duration) {
        if self.entry(place).is_some_and(|entry| entry.order.is_none()) {
            self.unlink(place);
            if let Some(entry) = self.entry(place) {
                entry.asked_at = now;
            }
            self.append(place);
        }
    }

    /// Notes what a connection holds.
    pub(super) fn note_held(&mut self, Place(place): Place, bytes: usize) {
        let Some(entry) = self.entry(place) else { return };
        let before = std::mem::replace(&mut entry.held, bytes);
        self.held = self.held + bytes - before;
    }

    /// Notes how many queries of a connection wait for others.
    pub(super) fn note_open(&mut self, Place(place): Place, open: usize) {
        if let Some(entry) = self.entry(place) {
            entry.open = open;
        }
    }

    /// Why a connection is to end.
    pub(super) fn order(&self, Place(place): Place) -> Option<Closed> {
        self.entries.get(place as usize)?.as_ref()?.order
    }

    /// Has the connection end whose last query is the longest ago; false where there is none.
    pub(super) fn evict(&mut self) -> bool {
        let head = self.head;
        self.end(head, Closed::Evicted)
    }

    /// Has all connections end that were idle for too long. One that waits for us is not idle (RFC 7766 section 6.2.3): its time
    /// begins anew.
    pub(super) fn end_idle(&mut self, idle: Duration, now: Duration) {
        let idle = self.idle_time(idle);
        // Each is looked at once, whatever the idle time is.
        for _ in 0..self.listed {
            match self.entries.get(self.head as usize).and_then(Option::as_ref) {
                Some(entry) if entry.asked_at + idle > now => return,
                Some(entry) if entry.open > 0 => self.note_answered(Place(self.head), now),
                _ => drop(self.end(self.head, Closed::Idle)),
            }
        }
    }

    /// Has all connections end once what they were asked is answered.
    pub(super) fn end_all(&mut self) {
        while self.end(self.head, Closed::Ended) {}
    }

    /// How long a connection may be idle at most: all of `idle` up to half of the table, a tenth of it where that is full
    /// (RFC 7766 section 6.2.3: less "during periods of high activity").
    pub(super) fn idle_time(&self, idle: Duration) -> Duration {
        let half = self.connections_max / 2;
        let (above, room) = (self.listed.saturating_sub(half) as u128, (self.connections_max - half).max(1) as u128);
        let millis = idle.as_millis();
        let less = millis * above.min(room) * (IDLE_PARTS_LEFT - 1) / (room * IDLE_PARTS_LEFT);
        Duration::from_millis(u64::try_from(millis - less).unwrap_or(u64::MAX))
    }

    /// Has a listed connection end; false where it is none.
    fn end(&mut self, place: u32, order: Closed) -> bool {
        self.unlink(place);
        let Some(entry) = self.entry(place) else { return false };
        entry.order = Some(order);
        if let Some(waker) = entry.waker.take() {
            waker.wake();
        }
        true
    }

    /// An entry.
    fn entry(&mut self, place: u32) -> Option<&mut Entry> {
        self.entries.get_mut(place as usize)?.as_mut()
    }

    /// Puts an entry that is not in the list at its end.
    fn append(&mut self, place: u32) {
        let tail = self.tail;
        let Some(entry) = self.entry(place) else { return };
        (entry.before, entry.after) = (tail, NONE);
        match self.entry(tail) {
            Some(last) => last.after = place,
            None => self.head = place,
        }
        self.tail = place;
        self.listed += 1;
    }

    /// Takes an entry out of the list, where it is in it.
    fn unlink(&mut self, place: u32) {
        let Some(entry) = self.entry(place).filter(|entry| entry.order.is_none()) else { return };
        let (before, after) = (entry.before, entry.after);
        match self.entry(before) {
            Some(entry) => entry.after = after,
            None => self.head = after,
        }
        match self.entry(after) {
            Some(entry) => entry.before = before,
            None => self.tail = before,
        }
        self.listed -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client by its last octet.
    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Seconds.
    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_client_has_so_many_and_an_ipv6_network_is_one() {
        let mut table = Table::new(100, 2);
        let first = table.add(ip(1), s(0)).unwrap();
        assert!(table.add(ip(1), s(0)).is_some());
        assert!(table.add(ip(1), s(0)).is_none());
        assert!(table.add("::ffff:192.0.2.1".parse().unwrap(), s(0)).is_none());
        assert!(table.add(ip(2), s(0)).is_some());
        table.remove(first);
        assert!(table.add(ip(1), s(0)).is_some());
        for (address, fits) in
            [("2001:db8::1", true), ("2001:db8::2", true), ("2001:db8::3", false), ("2001:db8:0:1::3", true)]
        {
            assert_eq!(table.add(address.parse().unwrap(), s(0)).is_some(), fits, "{address}");
        }
        assert_eq!(table.len(), 6);
    }

    #[test]
    fn a_full_table_gives_up_the_one_asked_the_longest_ago() {
        let mut table = Table::new(3, 9);
        let [a, b, c] = [1, 2, 3].map(|number| table.add(ip(number), s(0)).unwrap());
        table.note_answered(a, s(1));
        let d = table.add(ip(4), s(2)).unwrap();
        assert_eq!([a, b, c, d].map(|place| table.order(place)), [None, Some(Closed::Evicted), None, None]);
        // It does not come back by being asked once more, and its place is not given away before its task has ended.
        table.note_answered(b, s(3));
        let e = table.add(ip(5), s(4)).unwrap();
        assert_eq!([a, c, d, e].map(|place| table.order(place)), [None, Some(Closed::Evicted), None, None]);
        assert_eq!((table.len(), table.listed), (5, 3));
        table.remove(b);
        table.remove(c);
        assert_eq!((table.len(), table.listed), (3, 3));
    }

    #[test]
    fn idle_ones_end_and_sooner_where_the_table_fills() {
        let mut table = Table::new(10, 99);
        let places: Vec<Place> = (0..5).map(|at| table.add(ip(1), s(at)).unwrap()).collect();
        assert_eq!(table.idle_time(s(10)), s(10));
        table.end_idle(s(10), s(11));
        let ended: Vec<bool> = places.iter().map(|&place| table.order(place).is_some()).collect();
        assert_eq!(ended, [true, true, false, false, false]);
        places.iter().for_each(|&place| table.remove(place));
        assert_eq!((table.len(), table.head, table.tail), (0, NONE, NONE));
        for _ in 0..10 {
            table.add(ip(1), s(20)).unwrap();
        }
        assert_eq!(table.idle_time(s(10)), s(1));
        table.end_idle(s(10), s(21));
        assert_eq!(table.listed, 0);
    }

    #[test]
    fn who_waits_for_us_is_not_idle() {
        let mut table = Table::new(10, 99);
        let [waits, idles] = [1, 2].map(|number| table.add(ip(number), s(0)).unwrap());
        table.note_open(waits, 1);
        table.end_idle(s(10), s(20));
        assert_eq!([waits, idles].map(|place| table.order(place)), [None, Some(Closed::Idle)]);
        table.note_open(waits, 0);
        table.end_idle(s(10), s(29));
        assert_eq!(table.order(waits), None, "its time has begun anew");
        table.end_idle(s(10), s(30));
        assert_eq!(table.order(waits), Some(Closed::Idle));
    }

    #[test]
    fn what_is_held_is_summed() {
        let mut table = Table::new(10, 99);
        let [a, b] = [1, 2].map(|number| table.add(ip(number), s(0)).unwrap());
        table.note_held(a, 100);
        table.note_held(b, 50);
        table.note_held(a, 10);
        assert_eq!(table.held(), 60);
        table.remove(a);
        assert_eq!(table.held(), 50);
        table.end_all();
        assert_eq!(table.order(b), Some(Closed::Ended));
    }

    #[test]
    fn any_order_of_events_keeps_the_list_whole() {
        let mut table = Table::new(20, 5);
        let mut places = Vec::new();
        let mut state = 1u64;
        for step in 0..20_000u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let chosen = usize::try_from(state >> 33).unwrap();
            match chosen % 5 {
                0 | 1 => places.extend(table.add(ip(u8::try_from(chosen >> 4 & 15).unwrap()), s(step))),
                2 if !places.is_empty() => table.note_answered(places[chosen / 5 % places.len()], s(step)),
                3 if !places.is_empty() => table.remove(places.swap_remove(chosen / 5 % places.len())),
                _ => table.end_idle(s(30), s(step)),
            }
            assert!(table.listed <= 20 && table.len() == places.len());
            let (mut place, mut counted, mut last) = (table.head, 0, Duration::ZERO);
            while let Some(entry) = table.entry(place) {
                assert!(entry.asked_at >= last && entry.order.is_none());
                (last, place, counted) = (entry.asked_at, entry.after, counted + 1);
            }
            assert_eq!(counted, table.listed);
            assert_eq!(table.clients.values().sum::<usize>(), places.len());
        }
    }
}
