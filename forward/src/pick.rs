//! Whom to ask first, whom next, and when.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringdns_controlplane::config::forward::{ForwardPolicy, ForwardZone, UpstreamConfig};
use ringdns_engine::name::WireName;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::counts::{Counts, ExchangeTimes};
use crate::exchange::Exchange;
use crate::normalise::{Message, Untrue, rcodes};
use crate::question::Key;
use crate::upstream::{Ask, Failure, Switches};

/// One question in so many is for another upstream than the fastest, so that it is known how fast that is.
const LOOK_AROUND: u64 = 16;

/// An upstream that a zone is to have.
#[derive(Clone)]
pub(crate) struct Wanted {
    /// As it is configured.
    pub(crate) config: UpstreamConfig,
    /// The name that its address was asked for; nothing: it is given by address.
    pub(crate) host: Option<WireName>,
}

/// An upstream of a zone.
pub(crate) struct Member {
    /// As it is configured.
    pub(crate) config: UpstreamConfig,
    /// The name that its address was asked for; nothing: it is given by address.
    pub(crate) host: Option<WireName>,
    /// How it is used.
    pub(crate) switches: Switches,
    /// How it is asked.
    pub(crate) exchange: Arc<dyn Exchange>,
    /// How long it took.
    pub(crate) times: ExchangeTimes,
}

/// The upstreams of a zone.
pub(crate) struct Pool {
    /// In the order of the configuration.
    members: Vec<Arc<Member>>,
    /// Who comes first.
    policy: ForwardPolicy,
    /// One try's time at most.
    try_time: Duration,
    /// Where all are down, none is asked.
    fail_fast: bool,
    /// Response codes for which the next one is asked.
    next_rcodes: Vec<u16>,
    /// Whose turn it is.
    turn: AtomicUsize,
}

/// Why nobody answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unasked {
    /// There is nobody to ask, or all are down.
    Nobody,
    /// The time was over.
    Deadline,
    /// The exchange with the last that was asked failed.
    Failed(Failure),
    /// What the last one sent was no answer.
    Untrue(Untrue),
}

/// How long a question may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Until when.
    pub(crate) deadline: Instant,
    /// A second upstream is asked after that at the earliest.
    pub(crate) hedge_after_min: Option<Duration>,
}

impl Member {
    /// An upstream that was not asked yet.
    pub(crate) fn new(wanted: Wanted, switches: Switches, exchange: Arc<dyn Exchange>) -> Self {
        let Wanted { config, host } = wanted;
        Self { config, host, switches, exchange, times: ExchangeTimes::default() }
    }

    /// Asks it, and reads what it says.
    async fn ask(&self, key: &Key, name: &WireName, try_time: Duration) -> Result<Message, Unasked> {
        let ask = Ask {
            name,
            qtype: key.qtype,
            dnssec_ok: key.dnssec_ok,
            checking_disabled: key.checking_disabled,
            client_subnet: key.whose.subnet,
        };
        let started = Instant::now();
        let bytes = self.exchange.ask(ask, try_time).await.map_err(Unasked::Failed)?;
        let message = Message::read(&bytes).map_err(Unasked::Untrue)?;
        self.times.note(message.rcode, started.elapsed());
        if message.qname != *name || message.qtype != key.qtype {
            return Err(Unasked::Untrue(Untrue::OtherQuestion));
        }
        if message.is_referral() { Err(Unasked::Untrue(Untrue::Referral)) } else { Ok(message) }
    }
}

impl Pool {
    /// The upstreams of a zone.
    pub(crate) fn new(zone: &ForwardZone, members: Vec<Arc<Member>>) -> Self {
        Self {
            members,
            policy: zone.policy,
            try_time: zone.try_time,
            fail_fast: zone.fail_fast,
            next_rcodes: zone.next_rcodes.clone(),
            turn: AtomicUsize::new(0),
        }
    }

    /// The upstreams.
    pub(crate) fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    /// True for a question of this server's own that has come back.
    pub(crate) fn is_loop(&self, name: &WireName, qtype: u16) -> bool {
        self.members.iter().any(|member| member.exchange.is_loop(name, qtype))
    }

    /// Asks one upstream after the other until one answers: the next after a failure, or beside one that is slow.
    pub(crate) async fn ask(
        &self,
        key: &Arc<Key>,
        name: &Arc<WireName>,
        times: Times,
        counts: &Counts,
    ) -> Result<Message, Unasked> {
        let mut order = self.order(counts).into_iter();
        let (results, mut came) = mpsc::unbounded_channel();
        let mut asking: usize = 0;
        // When the next is asked besides, and whether because the one before it has failed.
        let (mut hedge_at, mut has_failed) = (None, false);
        let mut second_best = Err(Unasked::Nobody);
        loop {
            if asking == 0 || hedge_at.is_some_and(|at| at <= Instant::now()) {
                let is_hedge = asking > 0 && !std::mem::take(&mut has_failed);
                let Some(member) = order.next() else {
                    if asking == 0 {
                        return second_best;
                    }
                    hedge_at = None;
                    continue;
                };
                counts.hedges.add(u64::from(is_hedge));
                // Two at a time at most: a third would find what the second does.
                hedge_at = times.hedge_after_min.filter(|_| asking == 0).map(|least| {
                    let usual = member.exchange.p95().unwrap_or(least);
                    Instant::now() + usual.clamp(least, self.try_time.max(least))
                });
                asking += 1;
                self.start(member, (key, name), is_hedge, results.clone());
            }
            let (is_hedge, result) = tokio::select! {
                Some(result) = came.recv() => result,
                () = sleep_until(hedge_at.unwrap_or(times.deadline)), if hedge_at.is_some() => continue,
                () = sleep_until(times.deadline) => return second_best.map_err(|_| Unasked::Deadline),
            };
            asking -= 1;
            match result {
                Ok(message) if self.is_good(&message) => {
                    counts.hedges_won.add(u64::from(is_hedge));
                    return Ok(message);
                }
                // Part of an answer is more than none.
                Ok(message) if !second_best.as_ref().is_ok_and(|best| best.rcode == rcodes::NOERROR) => {
                    second_best = Ok(message);
                }
                Ok(_) => {}
                Err(error) => {
                    if let Unasked::Untrue(why) = error {
                        counts.untrue(why).add(1);
                    }
                    if second_best.is_err() {
                        second_best = Err(error);
                    }
                }
            }
            (hedge_at, has_failed) = (Some(Instant::now()), true);
        }
    }

    /// True for an answer for which no other upstream is asked: one that says nothing beside the question, has no response code that
    /// is to lead to the next, and is whole, for somebody else may have room for all of it.
    fn is_good(&self, message: &Message) -> bool {
        !message.is_truncated && !message.is_beside_the_question() && !self.next_rcodes.contains(&message.rcode)
    }

    /// Asks an upstream. It goes on by itself where nobody waits for it any more: how slow it is would not be known else.
    fn start(
        &self,
        member: Arc<Member>,
        (key, name): (&Arc<Key>, &Arc<WireName>),
        is_hedge: bool,
        results: mpsc::UnboundedSender<(bool, Result<Message, Unasked>)>,
    ) {
        let (key, name, try_time) = (Arc::clone(key), Arc::clone(name), self.try_time);
        tokio::spawn(async move {
            let result = member.ask(&key, &name, try_time).await;
            // Somebody else may have answered in the meantime.
            let _ = results.send((is_hedge, result));
        });
    }

    /// Who is asked, in order: those that are up, then the others, unless they are not to be tried.
    fn order(&self, counts: &Counts) -> Vec<Arc<Member>> {
        let is_up = |member: &Arc<Member>| member.exchange.is_up();
        let (mut up, mut down): (Vec<_>, Vec<_>) = self.members.iter().cloned().partition(is_up);
        counts.all_down.add(u64::from(up.is_empty() && !down.is_empty()));
        self.arrange(&mut up);
        if !self.fail_fast {
            shuffle(&mut down);
            up.append(&mut down);
        }
        up
    }

    /// Brings those that are up into order.
    fn arrange(&self, up: &mut [Arc<Member>]) {
        if up.len() < 2 {
            return;
        }
        match self.policy {
            ForwardPolicy::Sequential => {}
            ForwardPolicy::Random => shuffle(up),
            ForwardPolicy::RoundRobin => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                up.rotate_left(turn % up.len());
            }
            ForwardPolicy::Fastest => {
                up.sort_by_key(|member| member.exchange.latency().unwrap_or(Duration::MAX));
                let number = chance();
                if number.is_multiple_of(LOOK_AROUND) {
                    let other = 1 + usize::try_from(number / LOOK_AROUND).unwrap_or(0) % (up.len() - 1);
                    up.swap(0, other);
                }
            }
        }
    }
}

/// Any order.
fn shuffle<T>(items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, usize::try_from(chance()).unwrap_or(0) % (last + 1));
    }
}

/// Any number: what is chosen by it is no secret.
pub(crate) fn chance() -> u64 {
    RandomState::new().hash_one(0u8)
}
