//! How many questions a second each client may have others asked.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use ringdns_engine::rate::{Charge, Limit, Table};
use tokio::time::Instant;

use crate::question::client_prefix;

/// Clients that are told apart: 1 MiB. Where there are more, those that ask least are forgotten and start anew.
const CLIENTS: usize = 65_536;

/// The accounts of all clients. One lock for all: what it is held for is some nanoseconds, and a question takes a thousand times that.
pub(crate) struct Rates {
    /// Where the time begins.
    begun: Instant,
    /// Makes keys that nobody outside can compute.
    hasher: RandomState,
    /// The accounts; nothing as long as nothing is limited.
    accounts: Mutex<Option<Accounts>>,
}

/// Accounts by one limit.
struct Accounts {
    /// Questions a second.
    per_second: NonZeroU32,
    /// The same as a bucket.
    limit: Limit,
    /// What each client has left.
    table: Table,
}

impl Default for Rates {
    fn default() -> Self {
        Self { begun: Instant::now(), hasher: RandomState::new(), accounts: Mutex::default() }
    }
}

impl Accounts {
    /// Full accounts. Half a second's worth comes on top of the rate at once, as with packets and in kdns.
    fn new(per_second: NonZeroU32) -> Self {
        let burst = per_second.saturating_add(per_second.get() / 2);
        Self { per_second, limit: Limit::new(per_second, burst, NonZeroU32::MIN), table: Table::new(CLIENTS) }
    }
}

impl Rates {
    /// Counts a question of a client; false where it is one too many. `per_second`: questions a second; 0: as many as come.
    pub(crate) fn admit(&self, client: IpAddr, per_second: u32) -> bool {
        let Some(per_second) = NonZeroU32::new(per_second) else { return true };
        let key = self.hasher.hash_one(client_prefix(client));
        let now = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        // Another limit begins with full accounts.
        let accounts = match &mut *accounts {
            Some(accounts) if accounts.per_second == per_second => accounts,
            other => other.insert(Accounts::new(per_second)),
        };
        accounts.table.charge(key, &accounts.limit, now) == Charge::Within
    }
}
