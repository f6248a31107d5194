//! The same answers by the slowest and plainest means: names are lists of labels, zones are maps, and every question goes
//! through all of them. Written from what the rules say, not from the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringdns_engine::rtype::types::{A, AAAA, ANY, CNAME, NS, SOA};
use ringdns_engine::rules::Rules;

/// A name: its labels from left to right, in lower case.
pub type Name = Vec<String>;

/// TTL of what is stored.
const TTL: u32 = 300;

/// A name from text.
pub fn labels(text: &str) -> Name {
    text.split('.').filter(|label| !label.is_empty()).map(str::to_owned).collect()
}

/// A name as text.
pub fn text(name: &[String]) -> String {
    name.join(".") + "."
}

/// A zone.
pub struct Zone {
    pub apex: Name,
    /// Rdata as text, by owner and type.
    pub records: BTreeMap<Name, BTreeMap<u16, Vec<String>>>,
    /// Names that exist without records.
    pub names: BTreeSet<Name>,
    pub rules: Rules,
}

/// Everything that is served.
pub struct World {
    pub zones: Vec<Zone>,
    pub complete: bool,
    pub hides_aaaa: bool,
}

/// What an answer should say.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected {
    pub rcode: &'static str,
    pub aa: bool,
    /// Records as text, sorted.
    pub answer: Vec<String>,
    /// Owner of the SOA record in the authority section.
    pub soa: Option<String>,
}

/// What a zone has for a name.
#[derive(Clone)]
enum Found<'a> {
    Records(&'a BTreeMap<u16, Vec<String>>),
    Address(IpAddr),
    Empty,
    Missing,
}

/// Where one name leads.
enum End {
    /// Response code, and the zone whose SOA record says it.
    Denied(&'static str, usize),
    /// Records are in the answer, or a referral.
    Done,
    /// The chain goes on.
    Alias(Name),
    /// No zone has it.
    Unserved,
}

/// The answer on its way.
struct Answer {
    lines: Vec<String>,
    aa: bool,
    /// A CNAME record of a zone to be taken back with all behind it: how many lines were before it, and the zone.
    dangling: Option<(usize, usize)>,
    visited: Vec<Name>,
}

impl Zone {
    fn encloses(&self, name: &[String]) -> bool {
        name.ends_with(&self.apex)
    }

    fn below_apex(&self, name: &[String]) -> usize {
        name.len() - self.apex.len()
    }

    /// True where the name, or one below it, has something.
    fn exists(&self, name: &[String]) -> bool {
        name == self.apex || self.records.keys().chain(&self.names).any(|owner| owner.ends_with(name))
    }

    fn records_at(&self, name: &[String]) -> &BTreeMap<u16, Vec<String>> {
        static NONE: BTreeMap<u16, Vec<String>> = BTreeMap::new();
        self.records.get(name).unwrap_or(&NONE)
    }

    /// What stands at a name that has a node, unless it is an empty non-terminal that is too deep.
    fn at(&self, name: &[String]) -> Option<Found<'_>> {
        let records = self.records_at(name);
        let is_empty = records.is_empty() && !self.names.contains(name) && name != self.apex;
        let is_deep = self.rules.empty_depth_max.is_some_and(|max| self.below_apex(name) > usize::from(max));
        (self.exists(name) && !(is_empty && is_deep)).then_some(Found::Records(records))
    }

    fn is_cut(&self, name: &[String]) -> bool {
        name != self.apex && self.records_at(name).contains_key(&NS)
    }

    fn has_cut_above(&self, name: &[String]) -> bool {
        (0..self.below_apex(name)).any(|skipped| self.is_cut(&name[skipped..]))
    }

    fn look(&self, name: &[String]) -> Found<'_> {
        let node = if self.exists(name) {
            self.at(name)
        } else {
            let encloser = (1..=name.len()).map(|skipped| &name[skipped..]).find(|above| self.exists(above)).unwrap();
            self.at(&[&["*".to_owned()], encloser].concat())
        };
        node.or_else(|| self.pod(name)).or_else(|| self.port(name)).unwrap_or(Found::Missing)
    }

    fn pod(&self, name: &[String]) -> Option<Found<'_>> {
        let ignored = self.below_apex(name).checked_sub(3)?;
        if ignored > if self.rules.deep_pods { 2 } else { 0 } || name[ignored + 2] != "pod" {
            return None;
        }
        if ignored > 0
            && let Some(stored) = self.at(&name[ignored..])
        {
            return Some(stored);
        }
        let rule = self.rules.pods?;
        if !self.exists(&name[ignored + if rule.any_namespace { 2 } else { 1 }..]) {
            return None;
        }
        let label = &name[ignored];
        let v4 = label.replace('-', ".").parse::<Ipv4Addr>().ok().map(IpAddr::from);
        let v6 = label.replace('-', ":").parse::<Ipv6Addr>().ok().map(IpAddr::from);
        match v4.or(v6) {
            Some(address) => Some(Found::Address(address)),
            None => rule.bad_pod_nodata.then_some(Found::Empty),
        }
    }

    fn port(&self, name: &[String]) -> Option<Found<'_>> {
        if !self.rules.bare_ports || self.below_apex(name) < 3 {
            return None;
        }
        let with = |label: &str| format!("_{}", label.strip_prefix('_').unwrap_or(label));
        let full = [&[with(&name[0]), with(&name[1])], &name[2..]].concat();
        let is_protocol = ["_tcp", "_udp", "_sctp"].contains(&full[1].as_str());
        if full == name || !is_protocol { None } else { self.at(&full) }
    }
}

impl World {
    /// The numbers of the zones that enclose a name, the deepest first.
    fn zones_of(&self, name: &[String]) -> Vec<usize> {
        let mut found: Vec<usize> = (0..self.zones.len()).filter(|&zone| self.zones[zone].encloses(name)).collect();
        found.sort_by_key(|&zone| std::cmp::Reverse(self.zones[zone].apex.len()));
        found
    }

    /// What the first of some zones has for a name, or those that it leaves the name to. The first part is false where it is
    /// for another server to say.
    fn served(&self, name: &[String], zones: &[usize]) -> Option<(bool, usize, Found<'_>)> {
        let (&first, above) = zones.split_first()?;
        let zone = &self.zones[first];
        if zone.has_cut_above(name) {
            return Some((false, first, Found::Missing));
        }
        match zone.look(name) {
            Found::Missing if zone.rules.fallthrough => self.served(name, above),
            Found::Missing => None,
            found => Some((true, first, found)),
        }
    }

    /// What the search path of a zone leads to.
    fn searched(&self, number: usize, name: &[String]) -> Option<(Name, usize, Found<'_>)> {
        let zone = &self.zones[number];
        let search = zone.rules.search.as_ref()?;
        let labels = zone.below_apex(name).checked_sub(2).filter(|&labels| labels > 0)?;
        let (mine, namespace) = name.split_at(labels);
        if namespace[1] != "svc" || !zone.exists(namespace) {
            return None;
        }
        let hosts = search.host_suffixes.iter().map(|suffix| self::labels(&suffix.to_string()));
        let suffixes = [namespace[1..].to_vec(), zone.apex.clone()].into_iter().chain(hosts).chain([Vec::new()]);
        suffixes.map(|suffix| [mine, &suffix].concat()).find_map(|candidate| {
            let (true, zone, found) = self.served(&candidate, &self.zones_of(&candidate))? else { return None };
            Some((candidate, zone, found))
        })
    }

    /// The whole answer.
    pub fn answer(&self, qname: &[String], qtype: u16) -> Expected {
        let mut answer = Answer { lines: Vec::new(), aa: false, dangling: None, visited: vec![qname.to_vec()] };
        let mut end = self.step(qname, qtype, true, &mut answer);
        while let End::Alias(target) = &end {
            if answer.visited.contains(target) {
                break;
            }
            let target = target.clone();
            answer.visited.push(target.clone());
            end = self.step(&target, qtype, false, &mut answer);
        }
        let is_first = answer.visited.len() == 1;
        let (mut rcode, mut soa) = match end {
            End::Denied(rcode, zone) => self.denied(rcode, zone),
            End::Unserved if !self.complete => ("ServFail", None),
            End::Unserved if is_first => ("Refused", None),
            _ => ("NoError", None),
        };
        if let Some((lines, zone)) = answer.dangling
            && rcode != "ServFail"
        {
            answer.lines.truncate(lines);
            (rcode, soa) = self.denied("NoError", zone);
        }
        answer.lines.sort();
        let aa = answer.aa && ["NoError", "NXDomain"].contains(&rcode);
        Expected { rcode, aa, answer: answer.lines, soa }
    }

    /// A negative answer of a zone, which may not be known yet.
    fn denied(&self, rcode: &'static str, zone: usize) -> (&'static str, Option<String>) {
        let zone = &self.zones[zone];
        let is_known = self.complete || (rcode == "NoError" && zone.rules.whole_names);
        (if is_known { rcode } else { "ServFail" }, Some(text(&zone.apex)))
    }

    /// One name of the chain.
    fn step(&self, name: &[String], qtype: u16, first: bool, answer: &mut Answer) -> End {
        let zones = self.zones_of(name);
        for (place, &number) in zones.iter().enumerate() {
            let zone = &self.zones[number];
            answer.leave_all_but(Some(number));
            answer.aa |= first;
            if zone.has_cut_above(name) {
                answer.aa &= !first;
                answer.dangling = None;
                return End::Done;
            }
            let is_soa = qtype == SOA && zone.rules.soa_below_apex && name != zone.apex;
            let found = if is_soa { Found::Empty } else { zone.look(name) };
            if !matches!(found, Found::Missing) {
                return self.give(number, &found, (name, name), qtype, answer);
            }
            let falls = zone.rules.fallthrough;
            let is_above = falls && self.served(name, &zones[place + 1..]).is_some();
            if first
                && self.complete
                && !is_above
                && let Some(hit) = self.searched(number, name)
            {
                return self.give_searched(number, name, hit, qtype, answer);
            }
            if !falls {
                return End::Denied("NXDomain", number);
            }
        }
        answer.leave_all_but(None);
        End::Unserved
    }

    fn give_searched(
        &self,
        number: usize,
        name: &[String],
        (candidate, zone, found): (Name, usize, Found<'_>),
        qtype: u16,
        answer: &mut Answer,
    ) -> End {
        let Some(ttl) = self.ttl(zone, &found, qtype) else { return End::Denied("NoError", number) };
        if !self.zones[number].rules.search.as_ref().is_some_and(|search| search.cname) {
            return self.give(zone, &found, (name, &candidate), qtype, answer);
        }
        answer.lines.push(format!("{} {ttl} IN CNAME {}", text(name), text(&candidate)));
        answer.visited.push(candidate.clone());
        self.give(zone, &found, (&candidate, &candidate), qtype, answer)
    }

    /// The type that answers a question at a node.
    fn chosen(&self, zone: usize, records: &BTreeMap<u16, Vec<String>>, qtype: u16) -> Option<u16> {
        let mut seen = records.keys().copied().filter(|&rtype| rtype != AAAA || !self.hides_aaaa);
        let for_addresses = self.zones[zone].rules.cname_for_addresses_only;
        let is_barred = for_addresses && ![A, AAAA, CNAME].contains(&qtype);
        seen.clone()
            .find(|&rtype| rtype == qtype || qtype == ANY)
            .or_else(|| seen.find(|&rtype| rtype == CNAME && !is_barred))
    }

    /// The TTL of what answers a question; nothing where there is nothing.
    fn ttl(&self, zone: usize, found: &Found<'_>, qtype: u16) -> Option<u32> {
        match found {
            Found::Records(records) => self.chosen(zone, records, qtype).map(|_| TTL),
            Found::Address(address) => {
                let rtype = if address.is_ipv4() { A } else { AAAA };
                let is_wanted = (qtype == rtype || qtype == ANY) && !(rtype == AAAA && self.hides_aaaa);
                is_wanted.then(|| self.zones[zone].rules.pods.unwrap().ttl)
            }
            Found::Empty | Found::Missing => None,
        }
    }

    /// Answers with what a zone has, under an owner and for a name.
    fn give(
        &self,
        zone: usize,
        found: &Found<'_>,
        (owner, _): (&[String], &[String]),
        qtype: u16,
        answer: &mut Answer,
    ) -> End {
        let Some(ttl) = self.ttl(zone, found, qtype) else { return End::Denied("NoError", zone) };
        let owner = text(owner);
        match found {
            Found::Address(address) => {
                let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
                answer.lines.push(format!("{owner} {ttl} IN {rtype} {address}"));
            }
            Found::Records(records) => {
                let rtype = self.chosen(zone, records, qtype).unwrap();
                let before = answer.lines.len();
                let mnemonic = mnemonic(rtype);
                answer.lines.extend(records[&rtype].iter().map(|rdata| format!("{owner} {ttl} IN {mnemonic} {rdata}")));
                if rtype == CNAME && qtype != CNAME && qtype != ANY {
                    if answer.dangling.is_none() && self.zones[zone].rules.no_dangling_cname {
                        answer.dangling = Some((before, zone));
                    }
                    return End::Alias(labels(&records[&rtype][0]));
                }
            }
            Found::Empty | Found::Missing => {}
        }
        answer.dangling = None;
        End::Done
    }
}

impl Answer {
    /// A chain has come to a zone, or to none: what led out of another is not taken back.
    fn leave_all_but(&mut self, zone: Option<usize>) {
        self.dangling = self.dangling.filter(|&(_, other)| Some(other) == zone);
    }
}

/// A type as text.
pub fn mnemonic(rtype: u16) -> &'static str {
    match rtype {
        A => "A",
        AAAA => "AAAA",
        CNAME => "CNAME",
        NS => "NS",
        SOA => "SOA",
        _ => "TXT",
    }
}
