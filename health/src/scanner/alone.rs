//! The scanner of a server that has no etcd: what it finds goes straight to that server's answers, and what it checks are the
//! addresses of the configuration and of the server's own records.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringdns_controlplane::health::{Handle, Records, Said, Status};

use super::Shared;
use super::board::{Board, Target};
use crate::clock;
use crate::follow::News;
use crate::keys::{Keys, Resource};
use crate::link::{Entry, Listing};
use crate::values::Health;

/// How often it is looked whether there are other records.
const LOOK: Duration = Duration::from_secs(1);

/// How many times as long as the last look at all records it is waited before the next.
const REST: u32 = 20;

/// Most addresses of records that are checked.
const RECORDS_MAX: usize = 100_000;

/// States that are told at once.
const TOLD_MAX: usize = 1000;

/// Addresses that are to be checked, each with the ports that are known of it.
type Wanted = BTreeMap<IpAddr, Vec<String>>;

/// Has the board check what there is to check, until it is dropped.
pub(super) async fn follow(shared: Arc<Shared>, keys: Keys, handle: Handle) {
    let (mut generation, mut revision, mut known) = (None, 0, None);
    loop {
        let began = Instant::now();
        let served = handle.generation();
        if generation != Some(served) {
            generation = Some(served);
            let wanted = wanted(&shared, &handle).await;
            if known.as_ref() != Some(&wanted) {
                revision += 1;
                let moves = shared.board().take_statuses(listing(&keys, &wanted, revision));
                // Nothing is known any more of those that went.
                shared.inbox.add(moves.went.iter().cloned());
                shared.moved(moves);
                known = Some(wanted);
            }
        }
        tokio::time::sleep(LOOK.max(began.elapsed() * REST)).await;
    }
}

/// What there is to check.
async fn wanted(shared: &Shared, handle: &Handle) -> Wanted {
    let mut wanted: Wanted = shared.config.targets.iter().map(|&address| (address, Vec::new())).collect();
    if !shared.config.zones.is_empty() {
        let (zones, records) = (shared.config.zones.clone(), handle.clone());
        let found = tokio::task::spawn_blocking(move || records.records(&zones, RECORDS_MAX)).await;
        let Records { addresses, left_out } = found.unwrap_or_default();
        if left_out > 0 {
            tracing::warn!(
                left_out,
                "scanner.zones: only {RECORDS_MAX} addresses are checked; name fewer zones, or check with several scanners by etcd"
            );
        }
        wanted.extend(addresses.into_iter().map(|address| (address, Vec::new())));
    }
    wanted.extend(handle.monitored().await);
    wanted
}

/// What is to be checked as the board would read it from etcd: states that say nothing yet.
fn listing(keys: &Keys, wanted: &Wanted, revision: i64) -> News {
    let entry = |(address, ports): (&IpAddr, &Vec<String>)| Entry {
        key: keys.status(&address.to_string()),
        value: serde_json::json!({ "ports": ports }).to_string().into_bytes(),
        revision,
        created: revision,
        lease: 0,
    };
    News::Listed(Listing { entries: wanted.iter().map(entry).collect(), revision })
}

/// Tells the server what has turned, until the server ends or it is dropped.
pub(super) async fn tell(shared: Arc<Shared>, handle: Handle) {
    loop {
        shared.inbox.wait().await;
        let targets = shared.inbox.take(TOLD_MAX);
        let said: Vec<(IpAddr, Option<Said>)> = {
            let board = shared.board();
            targets.iter().filter_map(|target| said(&board, target, &shared.config.name)).collect()
        };
        let is_over = handle.tell(said).await.is_err();
        shared.inbox.written();
        if is_over {
            return;
        }
    }
}

/// What there is to say of a target: nothing is known of one that is none of ours any more, or was never seen up or down.
fn said(board: &Board, target: &Target, by: &str) -> Option<(IpAddr, Option<Said>)> {
    let address = target.name.parse().ok().filter(|_| target.resource == Resource::Address)?;
    let member = board.members().get(target);
    let said = member.and_then(|member| {
        let status = if member.health? == Health::Up { Status::Up } else { Status::Down };
        let error = member.error.clone().unwrap_or_default();
        Some(Said { status, since: Some(clock::universal(member.since)), error, by: by.to_owned() })
    });
    Some((address, said))
}
