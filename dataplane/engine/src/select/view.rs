//! Views: which client sees which, by the longest prefix that its address has.
//!
//! The prefixes are laid out as disjoint ranges of addresses, in order, when the table is made. A lookup is one binary
//! search, the same for every mask length: at a hundred thousand prefixes some 18 probes of one piece of memory, where a
//! table for each mask length would take up to 129 for an IPv6 address.

use crate::cookie::Client;
use crate::rate::Network;

/// The view of clients that no prefix names.
pub const VIEW_DEFAULT: u16 = 0;

/// Which client sees which view. A view is a number; whoever makes the table knows its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewTable {
    /// IPv4 clients.
    ipv4: Ranges<u32>,
    /// IPv6 clients.
    ipv6: Ranges<u128>,
}

impl ViewTable {
    /// A table of prefixes, each with its view. Where a prefix is named more than once, the first counts.
    pub fn new(prefixes: impl IntoIterator<Item = (Network, u16)>) -> Self {
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        for (network, view) in prefixes {
            match network.clients() {
                (Client::Ipv4(first), Client::Ipv4(last)) => {
                    ipv4.push((u32::from_be_bytes(first), u32::from_be_bytes(last), view));
                }
                (Client::Ipv6(first), Client::Ipv6(last)) => {
                    ipv6.push((u128::from_be_bytes(first), u128::from_be_bytes(last), view));
                }
                // Both ends are of one family.
                _ => {}
            }
        }
        Self {
            ipv4: Ranges::new(ipv4, |last| last.checked_add(1)),
            ipv6: Ranges::new(ipv6, |last| last.checked_add(1)),
        }
    }

    /// The view of a client.
    #[inline]
    pub(crate) fn of(&self, client: Client) -> u16 {
        match client {
            Client::Ipv4(octets) => self.ipv4.of(u32::from_be_bytes(octets)),
            Client::Ipv6(octets) => self.ipv6.of(u128::from_be_bytes(octets)),
        }
    }
}

/// Ranges of addresses that follow each other without a gap. Before the first there is the default view.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ranges<A> {
    /// The first address of each range, ascending.
    firsts: Box<[A]>,
    /// The view of each range.
    views: Box<[u16]>,
}

impl<A> Default for Ranges<A> {
    fn default() -> Self {
        Self { firsts: Box::default(), views: Box::default() }
    }
}

impl<A: Copy + Ord> Ranges<A> {
    /// The ranges of prefixes: first address, last address and view of each. `after` is the address after another.
    fn new(mut prefixes: Vec<(A, A, u16)>, after: impl Fn(A) -> Option<A>) -> Self {
        // Prefixes are apart or within each other; those around others come before them. The sort keeps the order of equals.
        prefixes.sort_by_key(|&(first, last, _)| (first, core::cmp::Reverse(last)));
        prefixes.dedup_by_key(|&mut (first, last, _)| (first, last));
        let mut ranges = Building::default();
        // Those that the prefix at hand lies within, each with its last address.
        let mut around: Vec<(A, u16)> = Vec::new();
        for (first, last, view) in prefixes {
            while let Some((ended, _)) = around.pop_if(|&mut (last, _)| last < first) {
                ranges.end(after(ended), around.last());
            }
            ranges.begin(first, view);
            around.push((last, view));
        }
        while let Some((ended, _)) = around.pop() {
            ranges.end(after(ended), around.last());
        }
        let (firsts, views): (Vec<A>, Vec<u16>) = ranges.0.into_iter().unzip();
        Self { firsts: firsts.into(), views: views.into() }
    }

    /// The view of an address.
    #[inline]
    fn of(&self, address: A) -> u16 {
        let index = self.firsts.partition_point(|&first| first <= address).checked_sub(1);
        index.and_then(|index| self.views.get(index)).copied().unwrap_or(VIEW_DEFAULT)
    }
}

/// Ranges that are being laid out: first address and view of each.
struct Building<A>(Vec<(A, u16)>);

impl<A> Default for Building<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<A: Copy + Ord> Building<A> {
    /// A range begins. It takes the place of one that begins at the same address, and is then empty.
    fn begin(&mut self, first: A, view: u16) {
        self.0.pop_if(|&mut (present, _)| present == first);
        if self.0.last().map_or(VIEW_DEFAULT, |&(_, view)| view) != view {
            self.0.push((first, view));
        }
    }

    /// A prefix ends before `next`: what follows is seen as by the prefix around it.
    fn end(&mut self, next: Option<A>, around: Option<&(A, u16)>) {
        if let Some(next) = next {
            self.begin(next, around.map_or(VIEW_DEFAULT, |&(_, view)| view));
        }
    }
}
