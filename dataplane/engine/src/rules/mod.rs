//! Rules of a zone: how names are answered that are not stored as they are asked for, or answered otherwise than RFC 1034
//! has it. Cluster DNS servers have such habits; a zone has none of them unless its source says so.
//!
//! The rules lie at the zone's apex, as a pseudo-RRset in front of all others (`snapshot::node`):
//!
//! ```text
//! habits u16, empty depth u8 (255: any), zero u8, TTL of Pods u32, host suffixes in lower case one behind the other
//! ```

mod leave;
mod lookup;
mod pod;
mod search;
mod step;
mod view;

use crate::limits::SEARCH_HOST_SUFFIXES_MAX;
use crate::name::WireName;
pub(crate) use leave::{BRANCH_BYTES, Denial};
pub(crate) use lookup::{is_for_others, is_left_to_others};
pub(crate) use step::{Dangling, has_whole_names};
pub(crate) use view::{ALIASES_BESIDE, FOR_OTHERS, REFUSE_ANY, RulesView};
use view::{
    ANY_NAMESPACE, BAD_POD_NODATA, BARE_PORTS, CNAME_FOR_ADDRESSES_ONLY, DEEP_PODS, FALLTHROUGH, HEAD_BYTES,
    NO_DANGLING_CNAME, PODS, SEARCH, SEARCH_CNAME, SOA_BELOW_APEX, WHOLE_NAMES, ZONE_CASE,
};

/// The rules of a zone. None of them holds by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// An empty non-terminal more than so many labels below the apex does not exist; nothing: all do (RFC 8020). A name that
    /// was added as such (`Editor::add_name`) exists at any depth.
    pub empty_depth_max: Option<u8>,
    /// A question for SOA below the apex is answered with NODATA, whether its name exists or not.
    pub soa_below_apex: bool,
    /// `<a-b-c-d>.<namespace>.pod.<apex>` is answered with the address that it names.
    pub pods: Option<PodRule>,
    /// One or two labels to the left of a Pod's name are ignored, also where the Pod's name is stored.
    pub deep_pods: bool,
    /// `http.tcp.<service>` is answered as `_http._tcp.<service>` where it does not exist, for the protocols tcp, udp and sctp.
    pub bare_ports: bool,
    /// A name that does not exist is answered as if the zone were not served: by the zone above, or with REFUSED.
    pub fallthrough: bool,
    /// A CNAME record into the zone itself that leads to no record of the type is left out: NODATA.
    pub no_dangling_cname: bool,
    /// A CNAME record is for questions for A, AAAA, CNAME and ANY; others are answered with NODATA.
    pub cname_for_addresses_only: bool,
    /// What a name has comes and goes as a whole: that it lacks a type is true while sources are still loading.
    pub whole_names: bool,
    /// Names of the zone in an answer end in the letters of the question, as its apex is written there (RFC 4343 section 4.1).
    pub zone_case: bool,
    /// A question for ANY is refused, whether its name exists or not.
    pub refuse_any: bool,
    /// A CNAME record may stand beside records of other types of its owner, which are answered to questions for them.
    pub aliases_beside: bool,
    /// All names of the zone are those of others, whatever zone is above: it has no records, and others are asked
    /// (`Editor::leave_to_others`).
    pub for_others: bool,
    /// The search path is walked for names in `<namespace>.svc.<apex>` that do not exist.
    pub search: Option<Search>,
}

/// How the names of Pods are answered that are not stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodRule {
    /// TTL of their addresses in seconds.
    pub ttl: u32,
    /// A label that is no address has no records, instead of not existing.
    pub bad_pod_nodata: bool,
    /// The namespace need not exist; `pod.<apex>` must.
    pub any_namespace: bool,
}

/// The search path of the clients, walked here: `<name>.<namespace>.svc.<apex>` that does not exist is answered from the first
/// of `<name>.svc.<apex>`, `<name>.<apex>`, `<name>.<host suffix>` and `<name>` that is served and exists, whatever its types:
/// so no two types of a question lead to different names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// What the nodes search beyond the cluster's suffixes, in order.
    pub host_suffixes: Vec<WireName>,
    /// The question's name becomes a CNAME of what was found, instead of the owner of its records.
    pub cname: bool,
}

impl Rules {
    /// The rules as they are stored; nothing where there are more host suffixes than are taken.
    pub(crate) fn encode(&self) -> Option<Box<[u8]>> {
        let pods = self.pods.unwrap_or_default();
        let suffixes = self.search.as_ref().map_or(&[][..], |search| &search.host_suffixes);
        if suffixes.len() > SEARCH_HOST_SUFFIXES_MAX {
            return None;
        }
        let habits = [
            (self.soa_below_apex, SOA_BELOW_APEX),
            (self.pods.is_some(), PODS),
            (pods.bad_pod_nodata, BAD_POD_NODATA),
            (pods.any_namespace, ANY_NAMESPACE),
            (self.deep_pods, DEEP_PODS),
            (self.bare_ports, BARE_PORTS),
            (self.fallthrough, FALLTHROUGH),
            (self.no_dangling_cname, NO_DANGLING_CNAME),
            (self.cname_for_addresses_only, CNAME_FOR_ADDRESSES_ONLY),
            (self.whole_names, WHOLE_NAMES),
            (self.zone_case, ZONE_CASE),
            (self.refuse_any, REFUSE_ANY),
            (self.aliases_beside, ALIASES_BESIDE),
            (self.for_others, FOR_OTHERS),
            (self.search.is_some(), SEARCH),
            (self.search.as_ref().is_some_and(|search| search.cname), SEARCH_CNAME),
        ];
        let habits = habits.iter().filter(|(holds, _)| *holds).fold(0, |all: u16, (_, habit)| all | habit);
        let mut stored = Vec::with_capacity(HEAD_BYTES);
        stored.extend_from_slice(&habits.to_le_bytes());
        stored.extend_from_slice(&[self.empty_depth_max.unwrap_or(u8::MAX), 0]);
        stored.extend_from_slice(&pods.ttl.to_le_bytes());
        suffixes.iter().for_each(|suffix| stored.extend_from_slice(suffix.to_lowercase().as_bytes()));
        Some(stored.into())
    }

    /// The rules that a stored form was made from.
    pub(crate) fn decode(view: RulesView<'_>) -> Self {
        let pods = PodRule {
            ttl: view.pod_ttl(),
            bad_pod_nodata: view.has(BAD_POD_NODATA),
            any_namespace: view.has(ANY_NAMESPACE),
        };
        let suffixes = || view.host_suffixes().filter_map(|suffix| WireName::from_wire(suffix).ok()).collect();
        let search = || Search { host_suffixes: suffixes(), cname: view.has(SEARCH_CNAME) };
        Self {
            empty_depth_max: view.empty_depth_max(),
            soa_below_apex: view.has(SOA_BELOW_APEX),
            pods: view.has(PODS).then_some(pods),
            deep_pods: view.has(DEEP_PODS),
            bare_ports: view.has(BARE_PORTS),
            fallthrough: view.has(FALLTHROUGH),
            no_dangling_cname: view.has(NO_DANGLING_CNAME),
            cname_for_addresses_only: view.has(CNAME_FOR_ADDRESSES_ONLY),
            whole_names: view.has(WHOLE_NAMES),
            zone_case: view.has(ZONE_CASE),
            refuse_any: view.has(REFUSE_ANY),
            aliases_beside: view.has(ALIASES_BESIDE),
            for_others: view.has(FOR_OTHERS),
            search: view.has(SEARCH).then(search),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_back_as_they_were_stored() {
        let all = Rules {
            empty_depth_max: Some(2),
            soa_below_apex: true,
            pods: Some(PodRule { ttl: 30, bad_pod_nodata: true, any_namespace: true }),
            deep_pods: true,
            bare_ports: true,
            fallthrough: true,
            no_dangling_cname: true,
            cname_for_addresses_only: true,
            whole_names: true,
            zone_case: true,
            refuse_any: true,
            aliases_beside: true,
            for_others: true,
            search: Some(Search { host_suffixes: vec!["a.example".parse().unwrap(), WireName::root()], cname: true }),
        };
        let pods_alone = Rules { pods: Some(PodRule { ttl: u32::MAX, ..PodRule::default() }), ..Rules::default() };
        let search_alone = Rules { search: Some(Search::default()), ..Rules::default() };
        for rules in [Rules::default(), all, pods_alone, search_alone] {
            let stored = rules.encode().unwrap();
            assert_eq!(Rules::decode(RulesView::of(&stored).unwrap()), rules);
        }
    }

    #[test]
    fn a_search_path_has_an_end() {
        let suffixes = |count| vec!["a.example".parse().unwrap(); count];
        let rules =
            |count| Rules { search: Some(Search { host_suffixes: suffixes(count), cname: false }), ..Rules::default() };
        assert!(rules(SEARCH_HOST_SUFFIXES_MAX).encode().is_some());
        assert!(rules(SEARCH_HOST_SUFFIXES_MAX + 1).encode().is_none());
    }
}
