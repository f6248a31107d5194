//! A zone file as the admin API would show its RRsets: what a client compares with what is served.

use std::path::Path;

use ringdns_engine::name::WireName;
use ringdns_engine::select::Selection;
use serde_json::{Value, json};

use crate::model::Rrset;
use crate::text::{mode, rdata, rtype};

/// The RRsets of a zone file, as a list of JSON objects; otherwise what is wrong with the file, a line for each problem.
pub fn list(zone: &str, path: &Path) -> Result<Value, String> {
    let apex: WireName = zone.parse().map_err(|error| format!("\"{zone}\" is no domain name: {error}"))?;
    let zone = super::load(&apex.to_lowercase(), path).map_err(|error| error.to_string())?;
    Ok(zone.rrsets.iter().map(shown).collect())
}

/// One RRset.
fn shown(rrset: &Rrset) -> Value {
    let records: Vec<String> = rrset.rdatas.iter().map(|rdata| rdata::show(rrset.rtype, rdata)).collect();
    let mut value = json!({
        "owner": rrset.owner.to_string(),
        "type": rtype::show(rrset.rtype),
        "ttl": rrset.ttl,
        "records": records,
    });
    if let Some(Selection { mode, answers_max, members }) = rrset.selection.as_deref() {
        let members: Vec<Value> =
            members.iter().map(|member| json!({ "weight": member.weight, "up": member.up })).collect();
        value["selection"] = json!({ "mode": mode::show(*mode), "max_answers": answers_max, "members": members });
    }
    if let Some(view) = rrset.view.as_deref() {
        value["view"] = json!(view);
    }
    value
}

#[cfg(test)]
mod tests {
    use ringdns_engine::select::{Member, Mode};

    use super::*;

    #[test]
    fn a_file_is_shown_as_the_api_shows_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.zone");
        let text = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nwww 30 A 192.0.2.2 ;@ view=office down\n";
        std::fs::write(&path, text).unwrap();
        let list = list("A.example", &path).unwrap();
        let www = json!({
            "owner": "www.a.example.", "type": "A", "ttl": 30, "records": ["192.0.2.2"], "view": "office",
            "selection": { "mode": "all", "max_answers": 0, "members": [{ "weight": 1, "up": false }] },
        });
        assert!(list.as_array().unwrap().contains(&www), "{list:#}");
        std::fs::write(&path, "www A 192.0.2\n").unwrap();
        assert!(super::list("a.example.", &path).unwrap_err().contains("a.zone:1: "));
        assert!(super::list("a..b", &path).unwrap_err().contains("is no domain name"));
    }

    #[test]
    fn selections_and_views_are_shown_too() {
        let mut rrset = Rrset::new("a.example.".parse().unwrap(), 1, 5, vec![vec![192, 0, 2, 1]]);
        let members = vec![Member { weight: 3, up: false }];
        rrset.selection = Some(Box::new(Selection { mode: Mode::Sticky, answers_max: 2, members }));
        rrset.view = Some("office".into());
        let selection = json!({ "mode": "sticky", "max_answers": 2, "members": [{ "weight": 3, "up": false }] });
        assert_eq!((&shown(&rrset)["selection"], &shown(&rrset)["view"]), (&selection, &json!("office")));
    }
}
