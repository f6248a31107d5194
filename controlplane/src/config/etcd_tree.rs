//! `[[etcd_tree]]`: which keys of etcd are read, and what they mean.

use std::collections::HashMap;

use ringdns_engine::name::WireName;
use ringdns_engine::select::Mode;
use serde::Deserialize;
use toml::Spanned;

use super::problem::Problems;
use super::validate::number;
use crate::etcd::{Generation, Layout, Tree};
use crate::health::AllDown;
use crate::model::TTL_SECONDS_MAX;

/// Most names that can be made for questions with `*` and `any` of a tree: some hundred bytes of memory each.
const WILDCARD_NAMES_MAX: i64 = 10_000_000;

/// How addresses can be chosen from; the names with hyphens are the original's.
const ANSWERS: [(&str, Mode); 5] = [
    ("all", Mode::All),
    ("rotate", Mode::Rotate),
    ("random-one", Mode::RoundRobin),
    ("hone-one", Mode::Sticky),
    ("random", Mode::Random),
];

/// Whose answers are given from the tree of SkyDNS.
const GENERATIONS: [(&str, Generation); 2] = [("coredns", Generation::CoreDns), ("skydns", Generation::SkyDns)];
/// What can be answered where all members are down.
pub(super) const ALL_DOWN: [(&str, AllDown); 2] = [("all", AllDown::All), ("none", AllDown::None)];

/// `[[etcd_tree]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EtcdTree {
    /// `containerdns`, `skydns` or `kdns`.
    pub layout: Spanned<String>,
    /// What the keys begin with.
    pub prefix: Option<Spanned<String>>,
    /// The zones that are read.
    pub zones: Spanned<Vec<Spanned<String>>>,
    /// TTL in seconds of records that have none.
    pub ttl_seconds: Option<Spanned<i64>>,
    /// True: names are served without the label left of the zone's.
    pub skip_domain: Option<Spanned<bool>>,
    /// `all`, `rotate`, `random-one`, `hone-one` or `random`.
    pub answers: Option<Spanned<String>>,
    /// True: addresses that are down are left out.
    pub health: Option<Spanned<bool>>,
    /// `all` or `none`: what is answered where all of them are.
    pub all_down: Option<Spanned<String>>,
    /// Most names that are made for questions with `*` and `any`; 0: none.
    pub wildcard_names_max: Option<Spanned<i64>>,
    /// `coredns` or `skydns`.
    pub generation: Option<Spanned<String>>,
    /// The name whose records `local.dns` has too.
    pub local: Option<Spanned<String>>,
    /// True: names below `stub.dns` say who is asked for other zones.
    pub stub_zones: Option<Spanned<bool>>,
}

impl EtcdTree {
    /// Where it is said that stub zones are read, if they are.
    pub(super) fn stubs(&self) -> Option<std::ops::Range<usize>> {
        self.stub_zones.as_ref().filter(|stubs| *stubs.get_ref()).map(Spanned::span)
    }
}

/// Checks the tables. `all_down` is what holds where a tree says nothing of it.
pub(super) fn trees(specs: &[Spanned<EtcdTree>], all_down: AllDown, problems: &mut Problems<'_>) -> Vec<Tree> {
    let mut seen: HashMap<WireName, usize> = HashMap::new();
    let mut trees = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let spec = spec.get_ref();
        let key = |name: &str| format!("etcd_tree[{index}].{name}");
        let generation = one_of(spec.generation.as_ref(), &key("generation"), &GENERATIONS, problems);
        let (layout, prefix, ttl) = match spec.layout.get_ref().as_str() {
            "containerdns" => (Layout::ContainerDns, "/containerdns", 10),
            "skydns" if generation == Generation::SkyDns => (Layout::SkyDns, "/skydns", 3600),
            "skydns" => (Layout::SkyDns, "/skydns", 300),
            "kdns" => (Layout::Kdns, "/kdns", 30),
            other => {
                let remedy = "write \"containerdns\", \"skydns\" or \"kdns\"";
                problems.add(Some(spec.layout.span()), key("layout"), format!("\"{other}\" is no layout"), remedy);
                continue;
            }
        };
        let bounds = 0..=i64::from(TTL_SECONDS_MAX);
        let ttl = number(spec.ttl_seconds.as_ref(), &key("ttl_seconds"), bounds, " seconds", ttl, problems);
        for (name, span) in misplaced(layout, spec) {
            let message = format!("the layout {} has no such thing", spec.layout.get_ref());
            problems.add(Some(span), key(name), message, "remove the key");
        }
        let names = number(
            spec.wildcard_names_max.as_ref(),
            &key("wildcard_names_max"),
            0..=WILDCARD_NAMES_MAX,
            " names",
            0,
            problems,
        );
        let zones = zones(&spec.zones, index, &mut seen, problems);
        trees.push(Tree {
            layout,
            prefix: self::prefix(spec.prefix.as_ref(), prefix, &key("prefix"), problems),
            local: local(spec.local.as_ref(), &zones, &key("local"), problems),
            generation,
            zones,
            ttl_seconds: u32::try_from(ttl).unwrap_or_default(),
            skip_domain: spec.skip_domain.as_ref().is_some_and(|skip| *skip.get_ref()),
            answers: one_of(spec.answers.as_ref(), &key("answers"), &ANSWERS, problems),
            health: spec.health.as_ref().map_or(layout == Layout::ContainerDns, |health| *health.get_ref()),
            all_down: match &spec.all_down {
                None => all_down,
                given => one_of(given.as_ref(), &key("all_down"), &ALL_DOWN, problems),
            },
            wildcard_names_max: usize::try_from(names).unwrap_or_default(),
            stub_zones: spec.stub_zones.as_ref().is_some_and(|stubs| *stubs.get_ref()),
        });
    }
    trees
}

/// The keys that are given and that the layout has no use for.
fn misplaced(layout: Layout, spec: &EtcdTree) -> Vec<(&'static str, std::ops::Range<usize>)> {
    let skip = spec.skip_domain.as_ref().filter(|skip| *skip.get_ref() && layout != Layout::ContainerDns);
    // Records of kdns say themselves how they are chosen from.
    let answers = spec.answers.as_ref().filter(|_| layout == Layout::Kdns);
    let generation =
        spec.generation.as_ref().filter(|word| *word.get_ref() != GENERATIONS[0].0 && layout != Layout::SkyDns);
    let local = spec.local.as_ref().filter(|name| !name.get_ref().is_empty() && layout != Layout::SkyDns);
    let names = spec.wildcard_names_max.as_ref().filter(|names| *names.get_ref() != 0 && layout != Layout::SkyDns);
    let spans = [
        ("stub_zones", spec.stubs().filter(|_| layout != Layout::SkyDns)),
        ("skip_domain", skip.map(Spanned::span)),
        ("answers", answers.map(Spanned::span)),
        ("wildcard_names_max", names.map(Spanned::span)),
        ("generation", generation.map(Spanned::span)),
        ("local", local.map(Spanned::span)),
    ];
    spans.into_iter().filter_map(|(name, span)| Some((name, span?))).collect()
}

/// The name whose records `local.dns` of its zone has too.
fn local(
    name: Option<&Spanned<String>>,
    zones: &[WireName],
    key: &str,
    problems: &mut Problems<'_>,
) -> Option<WireName> {
    let name = name.filter(|name| !name.get_ref().is_empty())?;
    let local = name.get_ref().parse::<WireName>().map(|name| name.to_lowercase());
    let local = local.ok().filter(|local| zones.iter().any(|zone| zone.contains(local) && zone != local));
    if local.is_none() {
        let message = format!("\"{}\" is no name below one of the zones", name.get_ref());
        problems.add(Some(name.span()), key, message, "write the name of a message, such as \"host1.skydns.local.\"");
    }
    local
}

/// The value of a word; the default one where none is given, or another.
pub(super) fn one_of<T: Copy + Default>(
    given: Option<&Spanned<String>>,
    key: &str,
    words: &[(&str, T)],
    problems: &mut Problems<'_>,
) -> T {
    let Some(given) = given else { return T::default() };
    if let Some(&(_, value)) = words.iter().find(|(word, _)| word == given.get_ref()) {
        return value;
    }
    let known: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let message = format!("\"{}\" is none of its words", given.get_ref());
    problems.add(Some(given.span()), key, message, format!("write one of {}", known.join(", ")));
    T::default()
}

/// What keys begin with.
pub(super) fn prefix(
    prefix: Option<&Spanned<String>>,
    default: &str,
    key: &str,
    problems: &mut Problems<'_>,
) -> String {
    let Some(prefix) = prefix else { return default.to_owned() };
    let text = prefix.get_ref().strip_suffix('/').unwrap_or(prefix.get_ref());
    if !text.starts_with('/') || text.len() < 2 || text.contains("//") {
        let remedy = format!("write \"{default}\" or the like");
        problems.add(Some(prefix.span()), key, format!("\"{}\" is no prefix of keys", prefix.get_ref()), remedy);
    }
    text.to_owned()
}

/// The zones of a tree.
fn zones(
    list: &Spanned<Vec<Spanned<String>>>,
    index: usize,
    seen: &mut HashMap<WireName, usize>,
    problems: &mut Problems<'_>,
) -> Vec<WireName> {
    let key = format!("etcd_tree[{index}].zones");
    if list.get_ref().is_empty() {
        problems.add(Some(list.span()), &key, "no zone is given", "name the zones, such as \"cluster.local.\"");
    }
    let mut zones = Vec::new();
    for zone in list.get_ref() {
        match zone.get_ref().parse::<WireName>() {
            Err(error) => {
                let message = format!("\"{}\" is no domain name: {error}", zone.get_ref());
                problems.add(Some(zone.span()), &key, message, "write a name such as \"cluster.local.\"");
            }
            Ok(name) => {
                if let Some(before) = seen.insert(name.to_lowercase(), index) {
                    let message = format!("zone {name} is already that of etcd_tree[{before}]");
                    problems.add(Some(zone.span()), &key, message, "name each zone once");
                }
                zones.push(name.to_lowercase());
            }
        }
    }
    zones
}
