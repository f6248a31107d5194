//! From a question to its answer: the chain of aliases is followed from zone to zone, each of which is asked by its own rules.

use std::net::IpAddr;
use std::sync::Arc;

use ringdns_controlplane::config::forward::ForwardMode;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::KeptAnswer;
use ringdns_engine::snapshot::Snapshot;

use crate::flight::Core;
use crate::forwarder::Settings;
use crate::normalise::{Gather, Message, Step, Terms, expand, rcodes, types};
use crate::ours;
use crate::pick::Times;
use crate::policy::Ruling;
use crate::question::Key;
use crate::zones::Zone;

/// Most questions for one answer: each alias that an upstream leaves open is one.
const ASKS_MAX: usize = 8;

/// What a question came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// An answer for everybody.
    Answer(KeptAnswer),
    /// An answer for those alone whose question it is.
    OfSome(KeptAnswer),
    /// What the policy has put in the place of an answer.
    Changed(KeptAnswer),
    /// An answer for clients with a view, which is not kept.
    OfView(KeptAnswer, u16),
    /// None: the response code that is told instead.
    Failed(u16),
    /// Nothing is to be told.
    Dropped,
}

/// A question being resolved.
pub(crate) struct Resolving<'a> {
    /// What there is.
    pub(crate) core: &'a Core,
    /// The configuration as it was when the question came.
    pub(crate) settings: &'a Settings,
    /// The question.
    pub(crate) key: &'a Arc<Key>,
    /// What the policy begins the answer with: an alias.
    pub(crate) alias: Option<&'a Arc<KeptAnswer>>,
    /// Who asked first.
    pub(crate) client: IpAddr,
    /// Until when.
    pub(crate) times: Times,
}

/// Who says something of a name.
enum Speaker {
    /// A zone of ours.
    Ours,
    /// The policy.
    Policy(Ruling),
    /// Upstreams.
    Zone(Arc<Zone>),
    /// Nobody.
    Nobody,
}

/// The response code that a client is told where an upstream gave one that is no answer: what it did not like of our question
/// (FORMERR, BADVERS) is not the client's to mend.
fn told(rcode: u16) -> u16 {
    match rcode {
        rcodes::NOTIMP | rcodes::REFUSED => rcode,
        _ => rcodes::SERVFAIL,
    }
}

/// What an answer depends on.
struct Scope {
    /// The view of the clients that it is for.
    view: Option<u16>,
    /// It may be kept.
    is_kept: bool,
    /// It is for all clients, and not for those of a subnet alone.
    is_for_all: bool,
    /// How many lists of the policy have a say. Where the policy has spoken, none has: it does not judge itself.
    lists: u8,
}

impl Resolving<'_> {
    /// Asks until the answer is whole, and has the policy look at it.
    pub(crate) async fn run(&self, first: &Arc<Zone>) -> Outcome {
        let begin = match self.alias {
            Some(alias) => Speaker::Policy(Ruling::Answer(Arc::clone(alias))),
            None => Speaker::Zone(Arc::clone(first)),
        };
        let (mut gather, scope) = match self.gather(first, begin).await {
            Ok(gathered) => gathered,
            Err(outcome) => return outcome,
        };
        if self.core.policy.hides_aaaa() {
            gather.hide(types::AAAA);
        }
        match self.judge(&gather, &scope) {
            Ruling::Ask | Ruling::AskApart(_) => self.conclude(gather, first, &scope),
            Ruling::Answer(answer) => Outcome::Changed(KeptAnswer::clone(&answer)),
            Ruling::Refuse => Outcome::Changed(KeptAnswer::empty(rcodes::REFUSED)),
            Ruling::Drop => Outcome::Dropped,
            Ruling::Follow(alias, _) => match self.gather(first, Speaker::Policy(Ruling::Answer(alias))).await {
                Err(outcome) => outcome,
                Ok((gather, scope)) => match self.conclude(gather, first, &scope) {
                    Outcome::Answer(answer) | Outcome::OfSome(answer) => Outcome::Changed(answer),
                    outcome => outcome,
                },
            },
        }
    }

    /// Follows the chain of aliases, whose first part somebody says.
    async fn gather(&self, first: &Zone, begin: Speaker) -> Result<(Gather, Scope), Outcome> {
        let key = self.key;
        let mut gather = Gather::new(&key.name, key.qtype, key.dnssec_ok);
        let snapshot = self.core.keeper.snapshot();
        let is_kept = first.config.mode == ForwardMode::Cache;
        let mut scope = Scope { view: None, is_kept, is_for_all: true, lists: key.lists() };
        let mut speaker = begin;
        for _ in 0..ASKS_MAX {
            let message = self.hear(&speaker, gather.current(), &snapshot, &mut scope).await?;
            if !matches!(message.rcode, rcodes::NOERROR | rcodes::NXDOMAIN) {
                return Err(Outcome::Failed(told(message.rcode)));
            }
            let trusts_ad = matches!(&speaker, Speaker::Zone(zone) if zone.config.trusts_ad);
            let is_silent = |name: &WireName| !self.may_speak_of(&speaker, name, &snapshot, scope.lists);
            match gather.take(&message, trusts_ad, is_silent) {
                Ok(Step::Whole) => return Ok((gather, scope)),
                Ok(Step::Open) => speaker = self.speaker(gather.current(), &snapshot, scope.lists),
                Err(why) => {
                    self.core.counts.untrue(why).add(1);
                    return Err(Outcome::Failed(rcodes::SERVFAIL));
                }
            }
        }
        Err(Outcome::Failed(rcodes::SERVFAIL))
    }

    /// What the policy says of the addresses in an answer. Those of zones of ours are nothing that it is asked about.
    fn judge(&self, gather: &Gather, scope: &Scope) -> Ruling {
        if scope.lists == 0 || scope.view.is_some() {
            return Ruling::Ask;
        }
        let found = gather.addresses();
        if found.is_empty() {
            return Ruling::Ask;
        }
        let question = self.key.asked_by(self.client, &self.key.name);
        self.core.policy.rule_addresses(&question, scope.lists, &found)
    }

    /// Who says something of a name that an alias leads to: our zones, then the policy, then upstreams.
    fn speaker(&self, name: &WireName, snapshot: &Snapshot, lists: u8) -> Speaker {
        if ours::is_served(snapshot, name) {
            return Speaker::Ours;
        }
        match self.core.policy.rule_target(&self.key.asked_by(self.client, name), lists) {
            Ruling::Ask | Ruling::AskApart(_) => {}
            ruling => return Speaker::Policy(ruling),
        }
        match self.settings.table.zone_of(name) {
            Some(zone) => Speaker::Zone(Arc::clone(zone)),
            None => Speaker::Nobody,
        }
    }

    /// True where a speaker is believed about a name: nobody else would be asked for it. Upstreams are believed about names for
    /// which nobody is asked: that forbids questions, not answers.
    fn may_speak_of(&self, speaker: &Speaker, name: &WireName, snapshot: &Snapshot, lists: u8) -> bool {
        match (speaker, self.speaker(name, snapshot, lists)) {
            (Speaker::Zone(zone), Speaker::Zone(other)) => Arc::ptr_eq(zone, &other),
            (Speaker::Zone(_), Speaker::Nobody) | (Speaker::Ours, Speaker::Ours) => true,
            _ => false,
        }
    }

    /// What a speaker says of a name.
    async fn hear(
        &self,
        speaker: &Speaker,
        name: &WireName,
        snapshot: &Snapshot,
        scope: &mut Scope,
    ) -> Result<Message, Outcome> {
        match speaker {
            Speaker::Zone(zone) => {
                scope.is_kept &= zone.config.mode == ForwardMode::Cache;
                let asked = zone.pool.ask(self.key, &Arc::new(name.clone()), self.times, &self.core.counts).await;
                let message = asked.map_err(|why| {
                    tracing::debug!(%name, zone = %zone.config.zone, ?why, "no upstream has answered");
                    Outcome::Failed(rcodes::SERVFAIL)
                })?;
                // RFC 7871 section 7.3.1: without a scope, or with 0, it is for everybody.
                scope.is_for_all &= self.key.whose.subnet.is_none() || message.scope_bits.unwrap_or(0) == 0;
                Ok(message)
            }
            // What a client sees of our zones depends on its view, the time and the members that are up: it is not kept.
            Speaker::Ours => {
                scope.view = Some(snapshot.view_of(self.client));
                ours::answer(snapshot, self.key, name, self.client).map_err(|_| Outcome::Failed(rcodes::SERVFAIL))
            }
            Speaker::Policy(Ruling::Answer(answer) | Ruling::Follow(answer, _)) => {
                scope.is_kept &= answer.ttl_seconds > 0;
                scope.lists = 0;
                expand(name, self.key.qtype, answer).map_err(|_| Outcome::Failed(rcodes::SERVFAIL))
            }
            Speaker::Policy(Ruling::Refuse) => Err(Outcome::Failed(rcodes::REFUSED)),
            Speaker::Policy(Ruling::Drop) => Err(Outcome::Dropped),
            // The policy is asked about a name for which nobody has anything to say.
            Speaker::Policy(Ruling::Ask | Ruling::AskApart(_)) | Speaker::Nobody => {
                Err(Outcome::Failed(rcodes::SERVFAIL))
            }
        }
    }

    /// The answer as it is kept.
    fn conclude(&self, gather: Gather, zone: &Zone, scope: &Scope) -> Outcome {
        let keep = &zone.config.keep;
        self.core.counts.dropped_records.add(gather.dropped().into());
        let terms = Terms {
            now_seconds: self.core.now_seconds(),
            bits: self.key.bits(),
            positive_ttl: keep.positive_ttl,
            negative_ttl: keep.negative_ttl,
            keeps_ttl: keep.keeps_ttl,
            stale_seconds: self.settings.stale_seconds(keep),
            is_kept: scope.is_kept && scope.view.is_none(),
        };
        match (gather.render(&terms), scope.view) {
            (Ok(answer), None) if scope.is_for_all && self.key.whose.apart.is_none() => Outcome::Answer(answer),
            (Ok(answer), None) => Outcome::OfSome(answer),
            (Ok(answer), Some(view)) => Outcome::OfView(answer, view),
            (Err(_), _) => Outcome::Failed(rcodes::SERVFAIL),
        }
    }
}
