//! Zones and RRsets as JSON.

use ringdns_engine::name::WireName;
use ringdns_engine::select::Selection;
use ringdns_engine::snapshot::{NodeView, RrsetView};
use serde_json::{Value, json};

use super::{Context, selection};
use crate::model::Rrset;
use crate::store::{Tag, split_soa};
use crate::text::{rdata, rtype};

/// An RRset as everybody sees it.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    /// The owner.
    pub(super) owner: &'a WireName,
    /// The type.
    pub(super) rtype: u16,
    /// The TTL in seconds.
    pub(super) ttl: u32,
    /// The rdata of each record.
    pub(super) rdatas: Vec<&'a [u8]>,
    /// How they are chosen from.
    pub(super) selection: Option<Selection>,
    /// The name of the view; nothing: the default view.
    pub(super) view: Option<String>,
    /// The source.
    pub(super) source: &'static str,
}

impl<'a> Shown<'a> {
    /// A served RRset.
    pub(super) fn served(context: &Context, owner: &'a WireName, rrset: &RrsetView<'a>) -> Self {
        Self {
            owner,
            rtype: rrset.rtype(),
            ttl: rrset.ttl(),
            rdatas: rrset.rdatas().collect(),
            selection: rrset.selection(),
            view: context.state.views.name(rrset.view()),
            source: context.source_name(rrset.origin()),
        }
    }

    /// An RRset of the store.
    pub(super) fn stored(context: &Context, rrset: &'a Rrset) -> Self {
        Self {
            owner: &rrset.owner,
            rtype: rrset.rtype,
            ttl: rrset.ttl,
            rdatas: rrset.rdatas.iter().map(Vec::as_slice).collect(),
            selection: rrset.selection.as_deref().cloned(),
            view: rrset.view.as_deref().map(str::to_owned),
            source: context.source_name(0),
        }
    }

    /// As JSON.
    pub(super) fn json(self) -> Value {
        let count = self.rdatas.len();
        let records: Vec<String> = self.rdatas.iter().map(|rdata| rdata::show(self.rtype, rdata)).collect();
        let mut value = json!({
            "owner": self.owner.to_string(),
            "type": rtype::show(self.rtype),
            "ttl": self.ttl,
            "records": records,
            "source": self.source,
        });
        if let Some(selection) = self.selection {
            value["selection"] = selection::show(selection, count);
        }
        if let Some(view) = self.view {
            value["view"] = json!(view);
        }
        value
    }

    /// Its tag.
    pub(super) fn tag(&self) -> Tag {
        let mut tag = Tag::new();
        self.add_to(&mut tag);
        tag
    }

    /// Takes it into a tag.
    fn add_to(&self, tag: &mut Tag) {
        let kind = (self.rtype, self.view.as_deref());
        tag.take_rrset(self.owner, kind, self.ttl, self.selection.as_ref(), self.rdatas.iter().copied());
    }
}

/// The records that make a zone.
#[derive(Debug)]
pub(super) struct Apex<'a> {
    /// The SOA RRset.
    pub(super) soa: Option<Shown<'a>>,
    /// The NS RRset.
    pub(super) ns: Option<Shown<'a>>,
}

impl<'a> Apex<'a> {
    /// Of a served zone.
    pub(super) fn served(context: &Context, apex: &'a WireName, node: Option<&NodeView<'a>>) -> Self {
        let rrset = |rtype| Some(Shown::served(context, apex, &node?.rrset(rtype)?));
        Self { soa: rrset(rtype::SOA), ns: rrset(rtype::NS) }
    }

    /// The serial.
    pub(super) fn serial(&self) -> Option<u32> {
        let soa = self.soa.as_ref()?;
        split_soa(soa.rdatas.first()?).map(|(_, _, numbers)| numbers[0])
    }

    /// TTL, SOA and NS as JSON, put into what is known of the zone otherwise.
    pub(super) fn add_to(&self, zone: &mut Value) {
        let ns = self.ns.iter().flat_map(|ns| ns.rdatas.iter().map(|name| rdata::show(rtype::NS, name)));
        zone["ns"] = json!(ns.collect::<Vec<_>>());
        zone["ttl"] = json!(self.soa.as_ref().map(|soa| soa.ttl));
        zone["soa"] = self.soa.as_ref().and_then(|soa| soa_fields(soa.rdatas.first()?)).unwrap_or(Value::Null);
    }

    /// The zone's tag: every change of a zone of the store raises the serial.
    pub(super) fn tag(&self) -> Option<Tag> {
        let (soa, ns) = (self.soa.as_ref()?, self.ns.as_ref()?);
        let mut tag = soa.tag();
        ns.add_to(&mut tag);
        Some(tag)
    }
}

/// The fields of an SOA record.
fn soa_fields(rdata: &[u8]) -> Option<Value> {
    let (mname, rname, [serial, refresh, retry, expire, minimum]) = split_soa(rdata)?;
    Some(json!({
        "mname": mname.to_string(), "rname": rname.to_string(), "serial": serial, "refresh": refresh,
        "retry": retry, "expire": expire, "minimum": minimum,
    }))
}
