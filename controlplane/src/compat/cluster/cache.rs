//! `/cache` of kube-dns: everything that is served, as a tree of labels from the right, for people who look for a mistake.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ringdns_engine::select::VIEW_DEFAULT;
use serde_json::Value;

use crate::compat::containerdns_stats::records::record;
use crate::state::Served;
use crate::text::rtype;

/// Most names that are shown: some ten MiB.
const NAMES_MAX: u64 = 50_000;

/// A name, and what is below it.
#[derive(Debug, Default)]
struct Branch {
    /// By label.
    children: BTreeMap<String, Branch>,
    /// Records as SkyDNS's messages, by type and number.
    entries: Vec<(String, String)>,
}

/// The tree as JSON; the number of names where these are too many.
pub(super) fn show(served: &Served) -> Result<String, u64> {
    let names = served.snapshot.names();
    if names > NAMES_MAX {
        return Err(names);
    }
    let mut root = Branch::default();
    for apex in served.zones.keys() {
        for node in served.snapshot.nodes(apex) {
            let owner = node.owner();
            let labels: Vec<String> = owner.labels().map(|label| String::from_utf8_lossy(label).into_owned()).collect();
            let mut branch = &mut root;
            for label in labels.into_iter().rev() {
                branch = branch.children.entry(label).or_default();
            }
            for rrset in node.rrsets().filter(|rrset| rrset.view() == VIEW_DEFAULT) {
                let kind = rtype::show(rrset.rtype());
                for (number, rdata) in rrset.rdatas().enumerate() {
                    branch.entries.push((format!("{kind}-{number}"), record(&rrset, rdata)));
                }
            }
        }
    }
    let mut text = String::new();
    root.write(&mut text);
    Ok(text)
}

impl Branch {
    /// Writes it and what is below; as deep as a name has labels.
    fn write(&self, text: &mut String) {
        text.push_str("{\"ChildNodes\":{");
        for (index, (label, child)) in self.children.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}{}:", Value::from(label.as_str()));
            child.write(text);
        }
        text.push_str("},\"Entries\":{");
        for (index, (key, entry)) in self.entries.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(text, "{comma}{}:{entry}", Value::from(key.as_str()));
        }
        text.push_str("}}");
    }
}
