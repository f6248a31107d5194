//! The addresses of upstreams that are given by name. They are asked of upstreams that are given by address, and so never through
//! themselves; or they are in a zone of ours. Where nobody knows them the last ones stay.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ringdns_controlplane::config::forward::ForwardMode;
use ringdns_engine::cache::EntryBits;
use ringdns_engine::name::WireName;
use ringdns_engine::rtype::types;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::flight::Core;
use crate::forwarder::Settings;
use crate::normalise::{Record, expand};
use crate::ours;
use crate::pick::Times;
use crate::question::{Key, Whose};
use crate::resolve::{Outcome, Resolving};

/// Bounds of the time after which addresses are asked for again, in seconds: what is said for a shorter one would have a question
/// asked all the time, and what for a longer one may be known to be wrong by then.
const TTL_SECONDS: (u32, u32) = (5, 3600);

/// The first pause after a failure; it doubles from one to the next.
const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Longer than anybody waits.
const NEVER: Duration = Duration::from_secs(86_400);

/// Most addresses of a name that are used: of more, nobody would ask the last.
const ADDRESSES_MAX: usize = 16;

/// What is known of the hosts of upstreams.
#[derive(Default)]
pub(crate) struct Hosts {
    /// By name, in lower case.
    known: Mutex<BTreeMap<WireName, Known>>,
    /// Wakes who asks.
    wake: Notify,
}

/// What is known of a host.
struct Known {
    /// Its addresses; empty: none were found so far.
    addresses: Vec<IpAddr>,
    /// Why nothing was found the last time.
    error: Option<String>,
    /// When they are asked for next.
    due: Instant,
    /// The pause after the next failure.
    pause: Duration,
}

/// Addresses, and the seconds that they are good for.
type Found = (Vec<IpAddr>, u32);

impl Hosts {
    /// The addresses of a host, as they are known.
    pub(crate) fn addresses(&self, host: &WireName) -> Vec<IpAddr> {
        self.lock().get(host).map(|known| known.addresses.clone()).unwrap_or_default()
    }

    /// Why nothing was found of a host the last time.
    pub(crate) fn error(&self, host: &WireName) -> Option<String> {
        self.lock().get(host)?.error.clone()
    }

    /// Has it looked after what is wanted by now.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// What is known. Nobody leaves it in between.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<WireName, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hosts that are to be asked for now; those that are not wanted any more are forgotten.
    fn due(&self, wanted: &BTreeSet<WireName>) -> Vec<WireName> {
        let (mut known, now) = (self.lock(), Instant::now());
        known.retain(|host, _| wanted.contains(host));
        for host in wanted {
            let new = || Known { addresses: Vec::new(), error: None, due: now, pause: PAUSE_FIRST };
            known.entry(host.clone()).or_insert_with(new);
        }
        known.iter().filter(|(_, known)| known.due <= now).map(|(host, _)| host.clone()).collect()
    }

    /// When the next one is due.
    fn next(&self) -> Instant {
        self.lock().values().map(|known| known.due).min().unwrap_or_else(|| Instant::now() + NEVER)
    }

    /// Takes what was found; true where the addresses are others than before.
    fn take(&self, host: &WireName, found: Result<Found, String>) -> bool {
        let mut all = self.lock();
        let Some(known) = all.get_mut(host) else { return false };
        match found {
            Ok((mut addresses, seconds)) => {
                addresses.sort();
                let seconds = seconds.clamp(TTL_SECONDS.0, TTL_SECONDS.1);
                (known.error, known.pause) = (None, PAUSE_FIRST);
                known.due = Instant::now() + Duration::from_secs(seconds.into());
                let is_new = addresses != known.addresses;
                if is_new {
                    tracing::info!(%host, ?addresses, seconds, "the addresses of an upstream are known");
                    known.addresses = addresses;
                }
                is_new
            }
            Err(error) => {
                if known.error.as_ref() != Some(&error) {
                    let addresses = &known.addresses;
                    tracing::warn!(%host, ?addresses, "the addresses of an upstream stay as they were: {error}");
                }
                known.error = Some(error);
                known.due = Instant::now() + known.pause;
                known.pause = (known.pause * 2).min(PAUSE_MAX);
                false
            }
        }
    }
}

/// Looks after the hosts as long as there is a forwarder.
pub(crate) async fn run(core: Weak<Core>, hosts: Arc<Hosts>) {
    loop {
        match core.upgrade().filter(|core| !core.is_stopped.load(Ordering::Acquire)) {
            Some(core) => look(&core).await,
            None => return,
        }
        tokio::select! {
            () = sleep_until(hosts.next()) => {}
            () = hosts.wake.notified() => {}
        }
    }
}

/// Asks for the addresses that are due, and has upstreams be where they are.
async fn look(core: &Arc<Core>) {
    let settings = core.settings.get();
    let zones = settings.config.zones.iter().filter(|zone| zone.mode != ForwardMode::Disable);
    let wanted = zones.flat_map(|zone| zone.named.iter().map(|named| named.host.clone())).collect();
    let due = core.hosts.due(&wanted);
    if due.is_empty() {
        return;
    }
    let by_address = Arc::new(settings.by_address());
    let ask = |host: WireName| {
        let (core, settings) = (Arc::clone(core), Arc::clone(&by_address));
        tokio::spawn(async move { (look_up(&core, &settings, &host).await, host) })
    };
    let asked: Vec<_> = due.into_iter().map(ask).collect();
    let mut is_new = false;
    for asked in asked {
        // What has panicked is asked for again.
        if let Ok((found, host)) = asked.await {
            is_new |= core.hosts.take(&host, found);
        }
    }
    if is_new && let Err(error) = core.renew(None) {
        tracing::error!("upstreams at the addresses of their names cannot be used: {error}");
    }
}

/// The addresses of a host, of both kinds.
async fn look_up(core: &Core, settings: &Settings, host: &WireName) -> Result<Found, String> {
    let (ipv4, ipv6) = tokio::join!(ask(core, settings, host, types::A), ask(core, settings, host, types::AAAA));
    let mut found: Found = (Vec::new(), u32::MAX);
    let mut why = None;
    for (answer, is_ipv4) in [(ipv4, true), (ipv6, false)] {
        match answer {
            Ok((addresses, seconds)) if !addresses.is_empty() => {
                found.0.extend(addresses);
                found.1 = found.1.min(seconds);
            }
            Ok(_) => {}
            Err(error) => {
                // Half of what there was is not gone because the other half is there.
                let before = core.hosts.addresses(host).into_iter();
                found.0.extend(before.filter(|address| address.is_ipv4() == is_ipv4));
                why = Some(error);
            }
        }
    }
    match (found.1, why) {
        (u32::MAX, Some(error)) => Err(error),
        (u32::MAX, None) => Err("the name has no address".to_owned()),
        (_, Some(_)) => Ok((found.0, TTL_SECONDS.0)),
        (_, None) => Ok(found),
    }
}

/// The addresses of a host, of one type.
async fn ask(core: &Core, settings: &Settings, host: &WireName, qtype: u16) -> Result<Found, String> {
    let key = Arc::new(Key {
        name: Arc::new(host.clone()),
        qtype,
        dnssec_ok: false,
        checking_disabled: false,
        whose: Whose::default(),
    });
    let client = Ipv4Addr::LOCALHOST.into();
    let snapshot = core.keeper.snapshot();
    if !snapshot.knows_zones() {
        return Err("the zones that are served are not known yet".to_owned());
    }
    if ours::is_served(&snapshot, host) {
        let message = ours::answer(&snapshot, &key, host, client).map_err(|why| format!("{why:?}"))?;
        return addresses(message.rcode, &message.answers, qtype);
    }
    let Some(zone) = settings.table.zone_of(host) else {
        return Err("nobody is asked for the name who is given by address".to_owned());
    };
    let deadline = Instant::now() + settings.config.deadline;
    let times = Times { deadline, hedge_after_min: settings.config.hedge_after_min };
    let resolving = Resolving { core, settings, key: &key, client, times, alias: None };
    let outcome = timeout_at(deadline, resolving.run(zone)).await;
    match outcome.unwrap_or(Outcome::Failed(ringdns_engine::rtype::rcode::SERVFAIL)) {
        Outcome::Answer(answer) | Outcome::OfSome(answer) | Outcome::OfView(answer, _)
            if !answer.bits.has(EntryBits::TRUNCATED) =>
        {
            let message = expand(host, qtype, &answer).map_err(|why| format!("{why:?}"))?;
            addresses(message.rcode, &message.answers, qtype)
        }
        _ => Err("no upstream has answered".to_owned()),
    }
}

/// The addresses in records.
fn addresses(rcode: u16, records: &[Record], qtype: u16) -> Result<Found, String> {
    if rcode != ringdns_engine::rtype::rcode::NOERROR && rcode != ringdns_engine::rtype::rcode::NXDOMAIN {
        return Err(format!("the answer is an error (response code {rcode})"));
    }
    let seconds = records.iter().map(|record| record.ttl).min().unwrap_or(0);
    let of_type = records.iter().filter(|record| record.rtype == qtype);
    let address = |record: &Record| match *record.rdata() {
        [a, b, c, d] => Some(IpAddr::from([a, b, c, d])),
        ref rdata => <[u8; 16]>::try_from(rdata).ok().map(|octets| Ipv6Addr::from(octets).into()),
    };
    let is_usable = |address: &IpAddr| !address.is_unspecified() && !address.is_multicast();
    Ok((of_type.filter_map(address).filter(is_usable).take(ADDRESSES_MAX).collect(), seconds))
}
