//! Changes of the cluster that are asked for until they are answered.

use std::time::{Duration, Instant};

use harness::link::addresses::SERVED4;
use harness::udp::Asker;
use ringdns_bench::Outcome;

use super::double::Double;

/// Headless Services whose endpoints change.
const HEADLESS: u64 = 50;
/// Changes that are not counted: connections open, caches fill.
const WARM_UP: u64 = 20;
/// Between two changes: they come at any time between those of others.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest from a change to its answer before the bench gives up.
const TIME_MAX: Duration = Duration::from_secs(20);
/// The `A` type.
const A: u16 = 1;

/// A change, and what is answered once it has come through.
pub struct Probe {
    /// The order to the API server.
    order: String,
    /// The name that is asked for.
    owner: String,
    /// The address that is answered then, and no other.
    answer: [u8; 4],
}

/// The only endpoint of a headless Service has another address.
pub fn of_endpoint(change: u64) -> Probe {
    let (number, answer) = (change % HEADLESS, address(255, change));
    Probe {
        order: format!("endpoint {number} {}", std::net::Ipv4Addr::from(answer)),
        owner: format!("probe-{number}.namespace-0.svc.cluster.local"),
        answer,
    }
}

/// There is one more Service.
pub fn of_service(change: u64) -> Probe {
    let answer = address(254, change);
    Probe {
        order: format!("service new-{change} {}", std::net::Ipv4Addr::from(answer)),
        owner: format!("new-{change}.namespace-0.svc.cluster.local"),
        answer,
    }
}

/// An address of its own for each change.
fn address(kind: u8, change: u64) -> [u8; 4] {
    let [.., a, b] = change.to_be_bytes();
    [10, kind, a, b]
}

/// Makes one change after the other and asks for each until it is answered: the milliseconds that each took, and the questions
/// without an answer.
pub fn one_by_one(double: &mut Double, of: fn(u64) -> Probe, changes: u64) -> Outcome<(Vec<f64>, u64)> {
    let mut asker = Asker::new(SERVED4);
    let mut milliseconds = Vec::new();
    for change in 1..=changes + WARM_UP {
        std::thread::sleep(PAUSE);
        let Probe { order, owner, answer } = of(change);
        let start = Instant::now();
        double.order(&order)?;
        while only_address(&mut asker, &owner)? != Some(answer) {
            if start.elapsed() > TIME_MAX {
                return Err(format!("{order} is not answered after {TIME_MAX:?}").into());
            }
        }
        if change > WARM_UP {
            milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok((milliseconds, asker.lost))
}

/// The address in the answer to a question; nothing where there is none yet.
fn only_address(asker: &mut Asker, owner: &str) -> Outcome<Option<[u8; 4]>> {
    let Some(answer) = asker.ask(owner, A) else { return Ok(None) };
    match (answer.get(3).map(|flags| flags & 0xf), answer.get(6..8)) {
        // NXDOMAIN, or no addresses: it has not come yet.
        (Some(3), _) | (Some(0), Some(&[0, 0])) => Ok(None),
        // One address, which ends the message: it was asked without EDNS.
        (Some(0), Some(&[0, 1])) => Ok(answer.last_chunk().copied()),
        _ => Err(format!("{owner}: a wrong answer: {answer:02x?}").into()),
    }
}
