//! States of addresses, which ContainerDNS's servers look at and its scanners write. Many have a part in one: Services and Pods of
//! several clusters, its record interface, scanners. So names and ports are added and taken away one by one, and the rest stays.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ledger::Share;

/// A state, its members in the original's order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Status {
    /// `UP` or `DOWN`.
    #[serde(skip_serializing_if = "Value::is_null")]
    status: Value,
    /// Ports that are checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<Value>,
    /// Names that are at the address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    domains: Vec<Value>,
    /// The cluster that made it.
    #[serde(skip_serializing_if = "Value::is_null")]
    cluster: Value,
    /// What else there is.
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// What is to be in a state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Names in the order in which they are added.
    pub(super) domains: Vec<String>,
    /// Ports likewise.
    pub(super) ports: Vec<String>,
}

/// What becomes of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// It is written.
    Put(Vec<u8>),
    /// It is deleted: nobody has a part in it any more.
    Delete,
}

/// What a state becomes so that it has our part, and what of it is ours then. A state that is no object is somebody else's.
pub(super) fn revise(current: Option<&[u8]>, share: &Share, wanted: &Part, cluster: &str) -> (Change, Share) {
    let is_new = current.is_none();
    if is_new && wanted.domains.is_empty() {
        return (Change::None, Share::default());
    }
    let mut status = match current {
        None => Status { status: "UP".into(), ..Status::default() },
        Some(value) => match serde_json::from_slice::<Status>(value) {
            Ok(status) => status,
            Err(_) => return (Change::None, Share::default()),
        },
    };
    let before = status.clone();
    let domains = merge(&mut status.domains, &share.domains, &wanted.domains);
    let ports = merge(&mut status.ports, &share.ports, &wanted.ports);
    let created = is_new || share.created;
    if wanted.domains.is_empty() && created && status.domains.is_empty() {
        return (Change::Delete, Share::default());
    }
    if created && !cluster.is_empty() && status.cluster.is_null() {
        status.cluster = cluster.into();
    }
    let share = Share { created: created && !domains.is_empty(), domains, ports };
    let change = if status == before && !is_new { None } else { serde_json::to_vec(&status).ok() };
    (change.map_or(Change::None, Change::Put), share)
}

/// Adds what is wanted and missing, takes away what is ours and not wanted; says what is ours then.
fn merge(list: &mut Vec<Value>, ours: &BTreeSet<String>, wanted: &[String]) -> BTreeSet<String> {
    list.retain(|entry| {
        entry.as_str().is_none_or(|text| !ours.contains(text) || wanted.iter().any(|want| want == text))
    });
    let mut kept = BTreeSet::new();
    for want in wanted {
        let is_there = list.iter().any(|entry| {
            entry.as_str() == Some(want) || entry.as_u64().is_some_and(|number| number.to_string() == *want)
        });
        if !is_there {
            list.push(want.as_str().into());
        }
        if !is_there || ours.contains(want) {
            kept.insert(want.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part.
    fn part(domains: &[&str], ports: &[&str]) -> Part {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Part { domains: texts(domains), ports: texts(ports) }
    }

    /// What a state becomes, as text.
    fn revised(current: Option<&str>, share: &Share, wanted: &Part) -> (String, Share) {
        let (change, share) = revise(current.map(str::as_bytes), share, wanted, "c1");
        let text = match change {
            Change::None => "-".to_owned(),
            Change::Delete => "deleted".to_owned(),
            Change::Put(value) => String::from_utf8(value).unwrap(),
        };
        (text, share)
    }

    #[test]
    fn states_are_made_as_the_original_made_them_and_go_with_their_last_name() {
        let both = part(&["db.shop.svc.cluster.local.", "db-0.shop.svc.cluster.local."], &["5432"]);
        let (made, share) = revised(None, &Share::default(), &both);
        let text = r#"{"status":"UP","ports":["5432"],"domains":["db.shop.svc.cluster.local.","db-0.shop.svc.cluster.local."],"cluster":"c1"}"#;
        assert_eq!(made, text);
        assert!(share.created && share.domains.len() == 2 && share.ports.len() == 1);
        assert_eq!(revised(Some(text), &share, &both), ("-".to_owned(), share.clone()));
        let (less, share) = revised(Some(text), &share, &part(&["db-0.shop.svc.cluster.local."], &[]));
        assert_eq!(less, r#"{"status":"UP","domains":["db-0.shop.svc.cluster.local."],"cluster":"c1"}"#);
        assert_eq!(revised(Some(&less), &share, &part(&[], &[])), ("deleted".to_owned(), Share::default()));
        assert_eq!(revised(None, &share, &part(&[], &[])), ("-".to_owned(), Share::default()));
    }

    #[test]
    fn what_others_have_in_a_state_stays() {
        let other = r#"{"status":"DOWN","ports":[80,"443"],"domains":["www.x."],"user":"u"}"#;
        let (more, share) = revised(Some(other), &Share::default(), &part(&["www.x.", "a.b."], &["80", "81"]));
        assert_eq!(more, r#"{"status":"DOWN","ports":[80,"443","81"],"domains":["www.x.","a.b."],"user":"u"}"#);
        assert_eq!((share.created, share.domains.len(), share.ports.len()), (false, 1, 1));
        let (less, share) = revised(Some(&more), &share, &part(&[], &[]));
        assert_eq!((less.as_str(), share), (other, Share::default()));
        // A scanner of the original has lost the names.
        let share = Share { domains: ["a.".to_owned()].into(), created: true, ..Share::default() };
        let (again, _) = revised(Some(r#"{"status":"DOWN"}"#), &share, &part(&["a."], &[]));
        assert_eq!(again, r#"{"status":"DOWN","domains":["a."],"cluster":"c1"}"#);
        assert_eq!(revised(Some("[]"), &Share::default(), &part(&["a."], &[])).0, "-");
    }
}
