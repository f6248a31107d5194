//! The accounts of all clients in memory of a fixed size.
//!
//! ```text
//! key --upper half--> set, one cache line: account | account | account | account      lower half: which of them
//! ```
//!
//! A new client takes the account of its set that is full again first: one that says nothing any more, as long as there
//! is one. Where there is none, that is the least loaded client, which is forgotten and starts anew with a full bucket. So
//! a table that is too small forgives; it never refuses a client for the events of others, and those that flood the most are
//! kept the longest.

use super::bucket::Limit;

/// Accounts of a set.
pub const SET_ACCOUNTS: usize = 4;

/// Most accounts of a table: 256 MiB.
pub const TABLE_ENTRIES_MAX: usize = 1 << 24;

/// What is known of one client.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    /// When its bucket is full again, in nanoseconds. 0 from the start, and full for ever.
    full_at: u64,
    /// The lower half of its key.
    tag: u32,
    /// Events that were refused since the account was opened; it wraps.
    refused: u32,
}

/// Accounts that one key may stand in, on a cache line of their own.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Set([Account; SET_ACCOUNTS]);

const _: () = assert!(size_of::<Set>() == 64);

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// Within the limit.
    Within,
    /// Over the limit: the how many-th such event of the account.
    Over(u32),
}

/// Accounts by the hash of whom they belong to. Belongs to one worker alone.
#[derive(Debug)]
pub struct Table {
    /// A power of two.
    sets: Box<[Set]>,
}

impl Table {
    /// A table of at least so many accounts, in the next power of two, 16 bytes each; at most [`TABLE_ENTRIES_MAX`].
    pub fn new(entries: usize) -> Self {
        let sets = entries.clamp(SET_ACCOUNTS, TABLE_ENTRIES_MAX).next_power_of_two() / SET_ACCOUNTS;
        Self { sets: (0..sets).map(|_| Set::default()).collect() }
    }

    /// Charges an account with one event at `now`, in nanoseconds. All bits of the key must be well mixed, by a hash
    /// that outsiders cannot compute.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the halves of the key are what is wanted")]
    pub fn charge(&mut self, key: u64, limit: &Limit, now: u64) -> Charge {
        let (place, tag) = ((key >> 32) as usize & (self.sets.len() - 1), key as u32);
        let Some(Set([first, rest @ ..])) = self.sets.get_mut(place) else {
            return Charge::Within;
        };
        let mut account = first;
        for other in rest {
            let is_mine = account.tag == tag;
            if !is_mine && (other.tag == tag || other.full_at < account.full_at) {
                account = other;
            }
        }
        if account.tag != tag {
            *account = Account { full_at: 0, tag, refused: 0 };
        }
        if limit.take(&mut account.full_at, now) {
            return Charge::Within;
        }
        account.refused = account.refused.wrapping_add(1);
        Charge::Over(account.refused)
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// A limit of 20 a second with a window.
    fn limit(window: u32) -> Limit {
        let twenty = NonZeroU32::new(20).unwrap();
        Limit::new(twenty, twenty, NonZeroU32::MIN).with_window(window)
    }

    /// Keys of clients, mixed as the limiter mixes them.
    fn key(client: u64) -> u64 {
        crate::hash::fold(crate::hash::fold(client ^ 0x5eed) ^ client)
    }

    /// A table without bounds.
    #[derive(Default)]
    struct Naive(HashMap<u64, u64>);

    impl Naive {
        fn is_within(&mut self, key: u64, limit: &Limit, now: u64) -> bool {
            limit.take(self.0.entry(key).or_default(), now)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        #[cfg_attr(miri, ignore = "choosing random cases alone takes miri minutes")]
        fn a_large_table_is_one_without_bounds(
            events in proptest::collection::vec((0..40u64, 0..30u64), 1..2000),
            window in prop_oneof![Just(0), Just(15u32)],
        ) {
            let (limit, mut table, mut naive, mut now) = (limit(window), Table::new(1 << 12), Naive::default(), 0);
            for (client, pause) in events {
                now += pause * 1_000_000;
                let within = table.charge(key(client), &limit, now) == Charge::Within;
                prop_assert_eq!(within, naive.is_within(key(client), &limit, now));
            }
        }

        #[test]
        #[cfg_attr(miri, ignore = "choosing random cases alone takes miri minutes")]
        fn a_small_table_refuses_only_what_a_large_one_refuses(
            events in proptest::collection::vec((0..100u64, 0..3u64), 1..3000),
            entries in 1..64usize,
        ) {
            let (limit, mut table, mut naive, mut now) = (limit(15), Table::new(entries), Naive::default(), 0);
            for (client, pause) in events {
                now += pause * 1_000_000;
                let within = table.charge(key(client), &limit, now) == Charge::Within;
                prop_assert!(within || !naive.is_within(key(client), &limit, now));
                if within {
                    naive.is_within(key(client), &limit, now);
                }
            }
        }
    }

    #[test]
    fn sizes_are_kept_within_bounds() {
        for (entries, sets) in [(0, 1), (1, 1), (4, 1), (5, 2), (1000, 256), (65_536, 16_384)] {
            assert_eq!(Table::new(entries).sets.len(), sets, "{entries} entries");
        }
    }

    #[test]
    fn an_account_is_found_in_every_place_of_its_set() {
        let (limit, mut table) = (limit(15), Table::new(4));
        for client in 0..4 {
            table.charge(key(client), &limit, 0);
        }
        for client in (0..4).rev() {
            for _ in 1..20 {
                assert_eq!(table.charge(key(client), &limit, 0), Charge::Within);
            }
            assert_eq!(table.charge(key(client), &limit, 0), Charge::Over(1));
            assert_eq!(table.charge(key(client), &limit, 0), Charge::Over(2));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "tens of thousands of calls that the tests beside it make too")]
    fn under_pressure_newcomers_pass_and_the_flood_stays_known() {
        let (limit, mut table) = (limit(15), Table::new(64));
        let flood = key(1_000_000);
        for _ in 0..1000 {
            table.charge(flood, &limit, 0);
        }
        // A hundred times as many clients as accounts, all within two milliseconds.
        for client in 0..6400 {
            assert_eq!(table.charge(key(client), &limit, 1_000_000), Charge::Within);
        }
        assert!(matches!(table.charge(flood, &limit, 2_000_000), Charge::Over(_)), "the flood is not forgotten");
        assert_eq!(table.charge(flood, &limit, 20_000_000_000), Charge::Within, "it is forgiven when it has ended");
    }

    #[test]
    fn a_set_full_of_floods_takes_a_newcomer() {
        let (limit, mut table) = (limit(15), Table::new(4));
        for _ in 0..1000 {
            for client in 0..4 {
                table.charge(key(client), &limit, 0);
            }
        }
        for _ in 0..20 {
            assert_eq!(table.charge(key(9), &limit, 0), Charge::Within);
        }
    }
}
