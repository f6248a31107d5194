//! A record as requests of kdns say it: read from JSON, kept in notes, shown again, and what it is on the wire.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ringdns_engine::name::WireName;
use ringdns_engine::rtype::types;
use ringdns_engine::select::Mode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The view of all clients that are in none.
pub(super) const VIEW_DEFAULT: &str = "no_info";

/// TTL in seconds of records that say none.
const TTL_SECONDS_DEFAULT: i64 = 30;

/// The mode whose records have weights.
const LB_WEIGHTED: i64 = 2;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    #[serde(rename = "AAAA")]
    Aaaa,
    /// A name of an address.
    #[serde(rename = "PTR")]
    Ptr,
    /// An alias.
    #[serde(rename = "CNAME")]
    Cname,
    /// A service.
    #[serde(rename = "SRV")]
    Srv,
}

impl Kind {
    /// The kind of a type's name, which is written in capitals.
    fn parse(text: &str) -> Option<Self> {
        match text {
            "A" => Some(Self::A),
            "AAAA" => Some(Self::Aaaa),
            "PTR" => Some(Self::Ptr),
            "CNAME" => Some(Self::Cname),
            "SRV" => Some(Self::Srv),
            _ => None,
        }
    }

    /// True for addresses, which have a mode and weights.
    fn is_address(self) -> bool {
        matches!(self, Self::A | Self::Aaaa)
    }

    /// The type on the wire.
    pub(super) fn rtype(self) -> u16 {
        match self {
            Self::A => types::A,
            Self::Aaaa => types::AAAA,
            Self::Ptr => types::PTR,
            Self::Cname => types::CNAME,
            Self::Srv => types::SRV,
        }
    }
}

/// A record. Texts and numbers are as they were written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// What it is.
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    /// Its zone.
    pub(super) zone: String,
    /// Its owner.
    pub(super) domain: String,
    /// An address, or a name.
    pub(super) host: String,
    /// Its view.
    #[serde(default = "view_default", skip_serializing_if = "is_view_default")]
    pub(super) view: String,
    /// TTL in seconds.
    pub(super) ttl: i64,
    /// Most records of an answer; 0 and below: no bound.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) max_answer: i64,
    /// How addresses are chosen from.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) lb_mode: i64,
    /// Share of an address where they have any.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) lb_weight: i64,
    /// Priority, weight and port of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<[u16; 3]>,
}

/// For serde: the view of records that name none.
fn view_default() -> String {
    VIEW_DEFAULT.to_owned()
}

/// For serde: what is left out.
fn is_view_default(view: &str) -> bool {
    view == VIEW_DEFAULT
}

/// For serde: what is left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// A text that must be there.
fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name)?.as_str()
}

/// A whole number; the default where it is missing or something else.
fn number(members: &Map<String, Value>, name: &str, default: i64) -> i64 {
    members.get(name).and_then(Value::as_i64).unwrap_or(default)
}

impl Record {
    /// Reads an object; nothing where something that is needed is missing or malformed.
    pub(super) fn parse(value: &Value) -> Option<Self> {
        let members = value.as_object()?;
        let kind = Kind::parse(text(members, "type")?)?;
        let (zone, domain) = (text(members, "zoneName")?.to_owned(), text(members, "domainName")?.to_owned());
        let host = text(members, "host")?.to_owned();
        let address = |name: &str| if kind.is_address() { number(members, name, 0) } else { 0 };
        let lb_mode = address("lbMode");
        let lb_weight = match address("lbWeight") {
            0 if lb_mode == LB_WEIGHTED => 1,
            weight => weight,
        };
        let part = |name: &str| u16::try_from(members.get(name)?.as_i64()?).ok();
        let service = match kind {
            Kind::Srv => Some([part("priority")?, part("weight")?, part("port")?]),
            _ => None,
        };
        let view = text(members, "viewName").unwrap_or(VIEW_DEFAULT).to_owned();
        let ttl = number(members, "ttl", TTL_SECONDS_DEFAULT);
        let max_answer = number(members, "maxAnswer", 0);
        let record = Self { kind, zone, domain, host, view, ttl, max_answer, lb_mode, lb_weight, service };
        // Whatever is no name and no address is malformed too.
        record.zone.parse::<WireName>().ok()?;
        record.owner()?;
        record.rdata()?;
        Some(record)
    }

    /// The zone's apex.
    pub(super) fn apex(&self) -> Option<WireName> {
        Some(self.zone.parse::<WireName>().ok()?.to_lowercase())
    }

    /// The owner.
    pub(super) fn owner(&self) -> Option<WireName> {
        Some(self.domain.parse::<WireName>().ok()?.to_lowercase())
    }

    /// The rdata; names in it are in lower case, as the original keeps them.
    pub(super) fn rdata(&self) -> Option<Vec<u8>> {
        let name = || Some(self.host.parse::<WireName>().ok().filter(|_| !self.host.is_empty())?.to_lowercase());
        Some(match self.kind {
            Kind::A => self.host.parse::<Ipv4Addr>().ok()?.octets().to_vec(),
            Kind::Aaaa => self.host.parse::<Ipv6Addr>().ok()?.octets().to_vec(),
            Kind::Ptr | Kind::Cname => name()?.as_bytes().to_vec(),
            Kind::Srv => {
                let mut rdata: Vec<u8> = self.service?.into_iter().flat_map(u16::to_be_bytes).collect();
                rdata.extend_from_slice(name()?.as_bytes());
                rdata
            }
        })
    }

    /// The name of its view in the store; nothing: the default view.
    pub(super) fn view_name(&self) -> Option<Arc<str>> {
        // A client without a view has an empty one in the original.
        Some(self.view.as_str()).filter(|view| !view.is_empty() && *view != VIEW_DEFAULT).map(Arc::from)
    }

    /// How the records of its RRset are chosen from; nothing for a mode that nobody knows.
    pub(super) fn mode(&self) -> Option<Mode> {
        match self.lb_mode {
            0 => Some(Mode::Rotate),
            1 => Some(Mode::RoundRobin),
            LB_WEIGHTED => Some(Mode::Weighted),
            3 => Some(Mode::SourceHash),
            _ => None,
        }
    }

    /// Its share.
    pub(super) fn weight(&self) -> u16 {
        // A share below one would never be chosen; one beyond two bytes counts as the largest.
        u16::try_from(self.lb_weight.max(1)).unwrap_or(u16::MAX)
    }

    /// Most records of an answer; 0: no bound.
    pub(super) fn answers_max(&self) -> u16 {
        u16::try_from(self.max_answer.max(0)).unwrap_or(u16::MAX)
    }

    /// The record in a list; that of one name leaves some out, as in the original.
    pub(super) fn show(&self, of_one_name: bool) -> Shown<'_> {
        let is_address = self.kind.is_address();
        let is_whole = is_address || !of_one_name;
        let [priority, weight, port] = self.service.map_or([None; 3], |service| service.map(Some));
        Shown {
            kind: self.kind,
            domain_name: &self.domain,
            host: &self.host,
            zone_name: &self.zone,
            view_name: is_whole.then_some(&self.view),
            ttl: self.ttl,
            max_answer: is_whole.then_some(self.max_answer),
            lb_mode: is_address.then_some(self.lb_mode),
            lb_weight: is_address.then_some(self.lb_weight),
            priority,
            weight,
            port,
        }
    }
}

/// A record as it is shown, its members in the order of the original.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown<'a> {
    /// What it is.
    #[serde(rename = "type")]
    kind: Kind,
    /// Its owner.
    domain_name: &'a str,
    /// An address, or a name.
    host: &'a str,
    /// Its zone.
    zone_name: &'a str,
    /// Its view.
    #[serde(skip_serializing_if = "Option::is_none")]
    view_name: Option<&'a String>,
    /// TTL in seconds.
    ttl: i64,
    /// Most records of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_answer: Option<i64>,
    /// How addresses are chosen from.
    #[serde(skip_serializing_if = "Option::is_none")]
    lb_mode: Option<i64>,
    /// Share of an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    lb_weight: Option<i64>,
    /// Priority of a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u16>,
    /// Weight of a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u16>,
    /// Port of a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An A record with more members.
    fn a(more: &Value) -> Option<Record> {
        let mut value = json!({"type": "A", "zoneName": "e.com", "domainName": "W.e.com.", "host": "192.0.2.1"});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Record::parse(&value)
    }

    #[test]
    fn what_is_not_said_has_a_default_and_so_has_what_is_of_a_wrong_type() {
        let plain = a(&json!({})).unwrap();
        let defaults = (30, 0, 0, 0, "no_info");
        let of = |record: &Record| (record.ttl, record.max_answer, record.lb_mode, record.lb_weight);
        assert_eq!((of(&plain), plain.view.as_str()), ((defaults.0, 0, 0, 0), defaults.4));
        let wrong = json!({"ttl": 60.5, "maxAnswer": "2", "lbMode": null, "lbWeight": [], "viewName": 7});
        assert_eq!(a(&wrong).unwrap(), plain);
        let weighted = a(&json!({"lbMode": 2})).unwrap();
        assert_eq!((weighted.lb_weight, weighted.weight()), (1, 1), "a weight is never 0");
        let given = a(&json!({"lbMode": 2, "lbWeight": 70_000, "maxAnswer": -1, "viewName": "gz"})).unwrap();
        assert_eq!((given.lb_weight, given.weight(), given.answers_max()), (70_000, u16::MAX, 0));
        assert_eq!(
            (given.view_name().as_deref(), a(&json!({"viewName": ""})).unwrap().view_name()),
            (Some("gz"), None)
        );
        let note = serde_json::to_string(&given).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&note).unwrap(), given, "it is kept whole");
        assert_eq!(serde_json::from_str::<Record>(&serde_json::to_string(&plain).unwrap()).unwrap(), plain);
    }

    #[test]
    fn what_is_needed_must_be_there_and_right() {
        for more in [
            json!({"type": "a"}),
            json!({"type": "NS"}),
            json!({"type": 1}),
            json!({"host": "2001:db8::1"}),
            json!({"host": "192.0.2.1 "}),
            json!({"host": null}),
            json!({"zoneName": "a..b"}),
            json!({"domainName": 5}),
            json!({"domainName": format!("{}.e.com", "x".repeat(64))}),
            json!({"type": "AAAA"}),
            json!({"type": "CNAME", "host": ""}),
            json!({"type": "SRV", "host": "a.e.com", "priority": 1, "weight": 2}),
            json!({"type": "SRV", "host": "a.e.com", "priority": 1, "weight": 2, "port": 65_536}),
            json!({"type": "SRV", "host": "a.e.com", "priority": 1, "weight": 2.0, "port": 1}),
        ] {
            assert_eq!(a(&more), None, "{more}");
        }
        for value in [json!([]), json!(null), json!("A"), json!({})] {
            assert_eq!(Record::parse(&value), None, "{value}");
        }
    }

    #[test]
    fn lists_show_what_the_original_shows() {
        let shown = |record: &Record, of_one_name| serde_json::to_string(&record.show(of_one_name)).unwrap();
        let record = a(&json!({"lbMode": 1})).unwrap();
        let text = r#"{"type":"A","domainName":"W.e.com.","host":"192.0.2.1","zoneName":"e.com","viewName":"no_info","ttl":30,"maxAnswer":0,"lbMode":1,"lbWeight":0}"#;
        assert_eq!((shown(&record, false), shown(&record, true)), (text.to_owned(), text.to_owned()));
        let service = json!({"type": "SRV", "host": "h.e.com", "priority": 20, "weight": 50, "port": 8800});
        let service = a(&service).unwrap();
        let head = r#"{"type":"SRV","domainName":"W.e.com.","host":"h.e.com","zoneName":"e.com","#;
        let tail = r#""priority":20,"weight":50,"port":8800}"#;
        assert_eq!(shown(&service, false), format!(r#"{head}"viewName":"no_info","ttl":30,"maxAnswer":0,{tail}"#));
        assert_eq!(shown(&service, true), format!(r#"{head}"ttl":30,{tail}"#));
    }
}
