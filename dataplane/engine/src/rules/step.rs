//! One step of an answer in a zone with rules.

use core::net::IpAddr;

use super::lookup::{Found, look_up, served};
use super::search::{Hit, search};
use super::view::{
    CNAME_FOR_ADDRESSES_ONLY, FALLTHROUGH, NO_DANGLING_CNAME, RulesView, SEARCH, SEARCH_CNAME, SOA_BELOW_APEX,
    WHOLE_NAMES, ZONE_CASE,
};
use crate::answer::{Pick, Step, Walk};
use crate::locate::{Zone, zone_above};
use crate::query::{FLAG_TC, QueryName};
use crate::rtype::{rcode, types};
use crate::snapshot::RULED;
use crate::writer::{Mark, Owner};

/// A CNAME record that is taken back where nothing comes of it.
#[derive(Clone, Copy)]
pub(crate) struct Dangling<'a> {
    /// How far the answer was before it.
    before: Mark,
    /// Its zone.
    zone: Zone<'a>,
}

impl<'a> Walk<'a, '_, '_> {
    /// The data of a name of a zone with rules, or where to go from there. `spare` is working memory; it comes with the
    /// question's own name.
    #[inline(never)]
    pub(crate) fn step_by_rules(
        &mut self,
        zone: Zone<'a>,
        name: &QueryName,
        owner: Owner<'_>,
        spare: Option<&mut QueryName>,
    ) -> Step<'a> {
        let Some(rules) = zone.apex.rules() else { return Step::Done(rcode::SERVFAIL) };
        let (is_first, is_below) = (spare.is_some(), name.depth() > usize::from(zone.depth));
        let found = if self.qtype == types::SOA && rules.has(SOA_BELOW_APEX) && is_below {
            Found::Empty
        } else {
            look_up(self.snapshot, zone, rules, name)
        };
        let mut hit = None;
        if matches!(found, Found::Missing) {
            hit = self.hit(zone, rules, name, spare);
            if hit.is_none() && rules.has(FALLTHROUGH) {
                return Step::Above;
            }
        }
        if is_first && rules.has(ZONE_CASE) {
            self.writer.keep_zone_case(name, zone.depth.into());
        }
        match hit {
            Some(hit) => self.give_searched(zone, rules, &hit),
            None => self.give(zone, found, owner),
        }
    }

    /// What the search path leads to from a name that its zone does not have.
    fn hit(
        &self,
        zone: Zone<'a>,
        rules: RulesView<'a>,
        name: &QueryName,
        spare: Option<&mut QueryName>,
    ) -> Option<Hit<'a>> {
        // What has not been loaded yet may come before what the search path leads to.
        let spare = spare.filter(|_| rules.has(SEARCH) && self.snapshot.is_complete())?;
        let above = || served(self.snapshot, name, zone_above(self.snapshot, name, zone.depth));
        if rules.has(FALLTHROUGH) && above().is_some() {
            return None;
        }
        search(self.snapshot, zone, rules, name, spare)
    }

    /// Answers with what the search path has led to. That it lacks the type is for the question's own zone to say: no
    /// resolver believes another one's SOA record.
    fn give_searched(&mut self, zone: Zone<'a>, rules: RulesView<'_>, hit: &Hit<'a>) -> Step<'a> {
        let ttl = match hit.found {
            Found::Node(node) => match self.pick(hit.zone, node) {
                Pick::Rrset(rrset) | Pick::Alias(rrset) => Some(rrset.ttl()),
                Pick::Nothing => None,
            },
            Found::Address(address) if self.wants(address) => Some(pod_ttl(hit.zone)),
            _ => None,
        };
        let Some(ttl) = ttl else { return self.negative(zone, rcode::NOERROR) };
        if !rules.has(SEARCH_CNAME) {
            return self.give(hit.zone, hit.found, Owner::Question);
        }
        if self.writer.put_cname(Owner::Question, ttl, hit.name.bytes()).is_err() {
            self.flags |= FLAG_TC;
            return Step::Done(rcode::NOERROR);
        }
        self.aliases.add(self.writer.last_rdata());
        self.give(hit.zone, hit.found, Owner::Name(hit.name.bytes()))
    }

    /// Answers with what a zone has for a name.
    fn give(&mut self, zone: Zone<'a>, found: Found<'a>, owner: Owner<'_>) -> Step<'a> {
        match found {
            Found::Node(node) => self.data(zone, node, owner),
            Found::Address(address) if self.wants(address) => {
                self.dangling = None;
                if self.writer.put_address(owner, pod_ttl(zone), address).is_err() {
                    self.flags |= FLAG_TC;
                }
                Step::Done(rcode::NOERROR)
            }
            Found::Address(_) | Found::Empty => self.negative(zone, rcode::NOERROR),
            Found::Missing => self.negative(zone, rcode::NXDOMAIN),
        }
    }

    /// True where an address is of the type that is asked for.
    fn wants(&self, address: IpAddr) -> bool {
        let rtype = if address.is_ipv4() { types::A } else { types::AAAA };
        (self.qtype == rtype || self.qtype == types::ANY) && !self.chooser.hides(rtype)
    }

    /// True where the CNAME records of a zone are not for the type that is asked for.
    pub(crate) fn is_barred(&self, zone: Zone<'_>) -> bool {
        has(zone, CNAME_FOR_ADDRESSES_ONLY) && !matches!(self.qtype, types::A | types::AAAA)
    }

    /// Takes note of a CNAME record of a zone that was just written behind `before`.
    pub(crate) fn note_alias(&mut self, zone: Zone<'a>, before: Mark) {
        if self.dangling.is_none() && has(zone, NO_DANGLING_CNAME) {
            self.dangling = Some(Dangling { before, zone });
        }
    }

    /// Takes note of the zone that a chain has come to, or that it has come to none: what leads out of its zone is not ours
    /// to judge.
    pub(crate) fn note_zone(&mut self, zone: Option<Zone<'_>>) {
        if let Some(dangling) = self.dangling
            && zone.is_none_or(|zone| zone.apex.name() != dangling.zone.apex.name())
        {
            self.dangling = None;
        }
    }

    /// Takes the CNAME records back of which nothing came, at the end of a chain. Gives the response code.
    pub(crate) fn settle_dangling(&mut self, rcode: u16) -> u16 {
        let Some(Dangling { before, zone }) = self.dangling else { return rcode };
        if self.flags & FLAG_TC != 0 || !matches!(rcode, rcode::NOERROR | rcode::NXDOMAIN) {
            return rcode;
        }
        self.writer.rollback(before);
        match self.negative(zone, rcode::NOERROR) {
            Step::Done(rcode) => rcode,
            _ => rcode,
        }
    }
}

/// True where what a zone lacks of an existing name is true while sources are loading.
pub(crate) fn has_whole_names(zone: Zone<'_>) -> bool {
    has(zone, WHOLE_NAMES)
}

/// True where a zone has a rule.
fn has(zone: Zone<'_>, habit: u16) -> bool {
    zone.apex.has(RULED) && zone.apex.rules().is_some_and(|rules| rules.has(habit))
}

/// TTL of the addresses of a zone's Pods.
fn pod_ttl(zone: Zone<'_>) -> u32 {
    zone.apex.rules().map_or(0, |rules| rules.pod_ttl())
}
