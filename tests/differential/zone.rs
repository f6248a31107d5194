//! A zone with one of everything and many of most, the same for the same seed.

use std::fmt::Write;

use harness::rng::Rng;

use crate::nasty;

/// The zone's apex.
pub const APEX: &str = "diff.example.";

/// Hosts with addresses, which other records point to.
const HOSTS: usize = 300;

/// Zone cuts.
const CUTS: usize = 40;

/// Aliases.
const ALIASES: usize = 120;

/// Names with a wildcard below.
const WILDCARDS: usize = 25;

/// Owners of DNAME records.
pub const REDIRECTIONS: usize = 18;

/// Records of the zone and what the questions need to know of it.
pub struct Zone {
    /// Owner below the apex (`@` for the apex), then the rest of a zone-file line.
    lines: Vec<(String, String)>,
    /// Chooses TTLs.
    ttls: Rng,
    /// Owners of zone cuts.
    pub cuts: Vec<String>,
    /// Owners that have a wildcard straight below.
    pub wildcards: Vec<String>,
    /// More names worth asking for.
    pub asked: Vec<String>,
}

impl Zone {
    /// The zone file.
    pub fn text(&self) -> String {
        let mut text = format!("$ORIGIN {APEX}\n$TTL 3600\n");
        for (owner, rest) in &self.lines {
            writeln!(text, "{owner} {rest}").expect("a string takes it");
        }
        text
    }

    /// Every owner once.
    pub fn owners(&self) -> Vec<String> {
        let mut owners: Vec<String> = self.lines.iter().map(|(owner, _)| owner.clone()).collect();
        owners.sort();
        owners.dedup();
        owners
    }

    /// Notes a name worth asking for, relative to the apex or absolute.
    pub fn ask(&mut self, name: String) {
        self.asked.push(name);
    }

    /// Adds an RRset: all records with one TTL.
    pub fn add(&mut self, owner: &str, rtype: &str, rdatas: &[String]) {
        let ttl = 60 + self.ttls.below(7_000);
        for rdata in rdatas {
            self.lines.push((owner.to_owned(), format!("{ttl} IN {rtype} {rdata}")));
        }
    }
}

/// Makes the zone.
pub fn generate(rng: &mut Rng) -> Zone {
    let ttls = Rng::new(rng.next_u64());
    let mut zone = Zone { lines: Vec::new(), ttls, cuts: Vec::new(), wildcards: Vec::new(), asked: Vec::new() };
    let soa = "ns1 hostmaster 2026010101 7200 1800 1209600 900".to_owned();
    zone.lines.push(("@".to_owned(), format!("3600 IN SOA {soa}")));
    add_apex(&mut zone, rng);
    add_hosts(&mut zone, rng);
    add_cuts(&mut zone, rng);
    add_wildcards(&mut zone, rng);
    add_aliases(&mut zone, rng);
    add_redirections(&mut zone, rng);
    add_large(&mut zone);
    nasty::add(&mut zone, rng);
    zone
}

/// Name of a host; some stand below empty non-terminals.
pub fn host(index: usize) -> String {
    match index % 7 {
        0 => format!("h{index}.rack{}.room{}", index % 11, index % 3),
        1 => format!("h{index}.rack{}", index % 5),
        _ => format!("h{index}"),
    }
}

/// A few IPv4 addresses.
fn ipv4(rng: &mut Rng, most: usize) -> Vec<String> {
    distinct(rng, most, |rng| format!("198.51.100.{}", rng.below(256)))
}

/// A few IPv6 addresses.
fn ipv6(rng: &mut Rng, most: usize) -> Vec<String> {
    distinct(rng, most, |rng| format!("2001:db8::{:x}", rng.below(65_536)))
}

/// One to `most` values, none twice.
fn distinct(rng: &mut Rng, most: usize, mut value: impl FnMut(&mut Rng) -> String) -> Vec<String> {
    let count = 1 + rng.below(most);
    let mut values: Vec<String> = (0..count).map(|_| value(rng)).collect();
    values.sort();
    values.dedup();
    values
}

/// Records of the apex beside SOA.
fn add_apex(zone: &mut Zone, rng: &mut Rng) {
    zone.add("@", "NS", &["ns1".to_owned(), "ns2".to_owned(), "ns.elsewhere.example.".to_owned()]);
    for owner in ["ns1", "ns2"] {
        let (v4, v6) = (ipv4(rng, 1), ipv6(rng, 1));
        zone.add(owner, "A", &v4);
        zone.add(owner, "AAAA", &v6);
    }
    zone.add("@", "A", &["198.51.100.1".to_owned()]);
    zone.add("@", "MX", &[format!("10 {}", host(2)), "20 mail.elsewhere.example.".to_owned()]);
    zone.add("@", "TXT", &["\"v=spf1 -all\"".to_owned()]);
    zone.add("@", "CAA", &["0 issue \"ca.example.net\"".to_owned(), "128 iodef \"mailto:a@example.net\"".to_owned()]);
}

/// Hosts: addresses, and of the other types a few each.
fn add_hosts(zone: &mut Zone, rng: &mut Rng) {
    for index in 0..HOSTS {
        let owner = host(index);
        let other = host(rng.below(HOSTS));
        if !rng.once_in(6) {
            let addresses = ipv4(rng, 3);
            zone.add(&owner, "A", &addresses);
        }
        if rng.once_in(2) {
            let addresses = ipv6(rng, 3);
            zone.add(&owner, "AAAA", &addresses);
        }
        if rng.once_in(3) {
            let exchanges = vec![format!("10 {other}"), format!("20 {}", host(rng.below(HOSTS)))];
            zone.add(&owner, "MX", &exchanges);
        }
        if rng.once_in(4) {
            zone.add(
                &owner,
                "TXT",
                &[format!("\"number {index}\" \"quote \\\" and \\\\ and \\200\""), "\"\"".to_owned()],
            );
        }
        if rng.once_in(4) {
            let service = format!("_sip._udp.{owner}");
            zone.add(&service, "SRV", &[format!("1 2 5060 {other}"), "2 2 5060 sip.elsewhere.example.".to_owned()]);
        }
        if rng.once_in(6) {
            zone.add(&owner, "PTR", std::slice::from_ref(&other));
        }
        if rng.once_in(6) {
            zone.add(&owner, "CAA", &["0 issuewild \";\"".to_owned()]);
        }
        if rng.once_in(5) {
            zone.add(&owner, "TYPE65280", &[format!("\\# 4 {:08x}", rng.below(1 << 31)), "\\# 1 00".to_owned()]);
        }
    }
}

/// Zone cuts: name servers below the cut, below another cut, elsewhere in the zone, and outside.
fn add_cuts(zone: &mut Zone, rng: &mut Rng) {
    for index in 0..CUTS {
        let cut = if index % 4 == 0 { format!("d{index}.sub{}", index % 3) } else { format!("d{index}") };
        let mut servers = Vec::new();
        if index % 3 != 2 {
            for server in 0..=rng.below(3) {
                let name = format!("ns{server}.{cut}");
                let (v4, v6) = (ipv4(rng, 2), ipv6(rng, 2));
                zone.add(&name, "A", &v4);
                zone.add(&name, "AAAA", &v6);
                servers.push(name);
            }
        }
        if index % 3 == 1
            && let Some(sibling) = zone.cuts.last().filter(|_| (index - 1) % 3 != 2)
        {
            servers.push(format!("ns0.{sibling}"));
        }
        if index % 3 == 2 {
            servers.push(host(rng.below(HOSTS)));
            servers.push(format!("ns{index}.elsewhere.example."));
        }
        zone.add(&cut, "NS", &servers);
        zone.cuts.push(cut);
    }
}

/// Wildcards of several types, with names beside and below them.
fn add_wildcards(zone: &mut Zone, rng: &mut Rng) {
    for index in 0..WILDCARDS {
        let parent = format!("w{index}");
        let wildcard = format!("*.{parent}");
        match index % 5 {
            0 => zone.add(&wildcard, "CNAME", &[host(rng.below(HOSTS))]),
            1 => zone.add(&wildcard, "CNAME", &["www.elsewhere.example.".to_owned()]),
            2 => zone.add(&wildcard, "MX", &[format!("10 {}", host(rng.below(HOSTS)))]),
            _ => {
                let addresses = ipv4(rng, 3);
                zone.add(&wildcard, "A", &addresses);
                zone.add(&wildcard, "TXT", &["\"from the wildcard\"".to_owned()]);
            }
        }
        // A name beside the wildcard, and one that makes an empty non-terminal beside it (RFC 4592 section 2.2.2).
        zone.add(&format!("here.{parent}"), "TXT", &["\"beside the wildcard\"".to_owned()]);
        zone.add(&format!("deep.empty.{parent}"), "A", &["198.51.100.2".to_owned()]);
        if index % 6 == 0 {
            // A name below the wildcard's own: not synthesised, and no closest encloser of others.
            zone.add(&format!("below.{wildcard}"), "A", &["198.51.100.3".to_owned()]);
        }
        zone.wildcards.push(parent);
    }
}

/// Aliases: to hosts, to each other, to what is missing, below cuts, under wildcards, outside.
fn add_aliases(zone: &mut Zone, rng: &mut Rng) {
    for index in 0..ALIASES {
        let target = match index % 8 {
            0 | 1 => host(rng.below(HOSTS)),
            // Chains of up to eight steps: each to the next, ends at a host.
            2..=4 => format!("c{}", index + 1),
            5 => format!("missing{index}"),
            6 => format!("name.{}", rng.one_of(&zone.cuts)),
            _ if rng.once_in(2) => format!("any.{}", rng.one_of(&zone.wildcards)),
            _ => format!("www{index}.elsewhere.example."),
        };
        zone.add(&format!("c{index}"), "CNAME", &[target]);
    }
}

/// Whole subtrees that stand elsewhere (DNAME): in the zone, in a chain, below a cut, under a wildcard, outside.
fn add_redirections(zone: &mut Zone, rng: &mut Rng) {
    for index in 0..REDIRECTIONS {
        let target = match index % 6 {
            0 => format!("rack{}", rng.below(5)),
            1 => format!("r{}", index - 1),
            2 => rng.one_of(&zone.cuts).clone(),
            3 => rng.one_of(&zone.wildcards).clone(),
            4 => format!("a-label-that-makes-names-long.{}.elsewhere.example.", "l".repeat(60)),
            _ => format!("missing{index}"),
        };
        let owner = format!("r{index}");
        zone.add(&owner, "DNAME", &[target]);
        // The owner itself is not redirected and may have other data (RFC 6672 section 2.3).
        zone.add(&owner, "TXT", &["\"not redirected\"".to_owned()]);
    }
}

/// RRsets that do not fit small answers.
fn add_large(zone: &mut Zone) {
    for index in 0..12 {
        let owner = format!("large{index}");
        let addresses: Vec<String> = (0..10 + index * 12).map(|host| format!("203.0.113.{host}")).collect();
        zone.add(&owner, "A", &addresses);
        let texts: Vec<String> = (0..=index).map(|text| format!("\"{text:0>200}\"")).collect();
        zone.add(&owner, "TXT", &texts);
        let exchanges: Vec<String> = (0..5 + index * 4).map(|place| format!("{place} {}", host(place * 3))).collect();
        zone.add(&owner, "MX", &exchanges);
        zone.add(&format!("to-large{index}"), "CNAME", &[owner]);
    }
}
