//! Names of others in the originals' files: who is asked, by suffix or for all names, and what is kept of the answers.

use std::net::{IpAddr, SocketAddr};

use super::draft::{Draft, Value};
use super::settings::Setting;

/// The table for all names.
pub(super) const FORWARD: &str = "[forward]";

/// The table for some.
const ZONE: &str = "[[forward.zone]]";

/// What is kept.
const CACHE: &str = "[cache]";

/// The port of DNS.
const PORT: u16 = 53;

/// Answers that the cache holds by default: 64 MiB of some 220 bytes each.
const ENTRIES_BY_DEFAULT: u64 = 300_000;

/// Bytes of an answer on the average, with what it takes to find it.
const ENTRY_BYTES: u64 = 224;

/// Largest cache in MiB.
const SIZE_MIB_MAX: u64 = 65_536;

/// What the report says of every file that has others asked.
const ANYBODY: &str =
    "the original asks others for anybody; here clients of private networks may, and [policy] allow says who else";

/// Who is asked for all names; where nobody is named, those of the machine, as in the originals.
pub(super) fn default(draft: &mut Draft, setting: Option<&Setting>) {
    draft.comment(FORWARD, "", ANYBODY);
    let servers = setting.map(|setting| (setting, servers(draft, FORWARD, setting, &setting.value)));
    match servers {
        Some((setting, servers)) if !servers.is_empty() => {
            draft.set(FORWARD, "upstreams", Value::Texts(servers), Some(setting));
        }
        // Names that cannot be asked were told.
        Some((setting, _)) if !setting.value.trim().is_empty() => {
            draft.fill_in(
                FORWARD,
                "upstreams",
                Value::Texts(Vec::new()),
                "the addresses of the servers that are asked",
            );
        }
        _ => {
            draft.comment(FORWARD, "", "no server is named: the original asks those of /etc/resolv.conf");
            draft.set(FORWARD, "resolv_conf", Value::text("system"), None);
        }
    }
    draft.set(FORWARD, "policy", Value::text("sequential"), None);
}

/// Who is asked for names below suffixes: `zone@server,server`, items apart by one of `separators`. `served` are the zones that the
/// server answers for itself.
pub(super) fn suffixes(draft: &mut Draft, setting: &Setting, separators: &[char], served: &[String]) {
    for item in setting.items(separators) {
        let Some((zone, list)) = item.split_once('@') else {
            draft.remark(FORWARD, setting, &format!("\"{item}\" has no \"@\", and was left out"));
            continue;
        };
        let zone = format!("{}.", zone.trim().trim_matches('.').to_ascii_lowercase());
        let is_name = zone.len() > 1
            && zone.len() < 255
            && zone.trim_end_matches('.').split('.').all(|label| (1..64).contains(&label.len()));
        if !is_name {
            draft.remark(FORWARD, setting, &format!("\"{item}\" begins with no domain name, and was left out"));
            continue;
        }
        if served.contains(&zone) {
            let words = format!("{zone} is served: nobody is asked for names in it");
            draft.remark(FORWARD, setting, &words);
        }
        let servers = servers(draft, FORWARD, setting, list);
        if servers.is_empty() {
            continue;
        }
        draft.set_in(ZONE, &zone, "zone", Value::text(zone.clone()), Some(setting));
        draft.set_in(ZONE, &zone, "upstreams", Value::Texts(servers), Some(setting));
    }
}

/// The servers of a list, as RingDNS writes them; what is no address is told and left out.
fn servers(draft: &mut Draft, header: &'static str, setting: &Setting, list: &str) -> Vec<String> {
    let mut servers = Vec::new();
    for text in list.split([',', ' ', '\t']).map(str::trim).filter(|text| !text.is_empty()) {
        let address = text.parse::<SocketAddr>().ok();
        let address = address.or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, PORT)));
        match address.filter(|address| address.port() > 0 && !address.ip().is_unspecified()) {
            Some(address) if !servers.contains(&address.to_string()) => servers.push(address.to_string()),
            Some(_) => {}
            None => {
                let words =
                    format!("\"{text}\" is no address, and was left out: a name would have to be asked for first");
                draft.remark(header, setting, &words);
            }
        }
    }
    servers
}

/// For how long answers are kept at most, whatever their TTL.
pub(super) fn kept_seconds(draft: &mut Draft, seconds: i64, from: Option<&Setting>) {
    for key in ["positive_ttl_max", "negative_ttl_max"] {
        draft.set(CACHE, key, Value::Number(seconds), from);
    }
}

/// For how long answers are given whose time is over, when upstreams have failed.
pub(super) fn stale_seconds(draft: &mut Draft, seconds: i64, ttl_seconds: i64) {
    draft.set(CACHE, "stale_seconds", Value::Number(seconds), None);
    draft.set(CACHE, "stale_ttl_seconds", Value::Number(ttl_seconds), None);
}

/// How many answers are kept: memory for as many.
pub(super) fn entries(draft: &mut Draft, setting: &Setting) {
    let Ok(entries) = setting.value.trim().parse::<u64>() else {
        return draft.remark(CACHE, setting, "no number; 64 MiB hold some 300000 answers");
    };
    if entries <= ENTRIES_BY_DEFAULT {
        return draft.remark(
            CACHE,
            setting,
            "not taken: size_mib is memory, and its default of 64 MiB holds as many answers",
        );
    }
    let mebibytes = entries.saturating_mul(ENTRY_BYTES).div_ceil(1 << 20).min(SIZE_MIB_MAX);
    draft.set(CACHE, "size_mib", Value::Number(i64::try_from(mebibytes).unwrap_or(i64::MAX)), Some(setting));
}
