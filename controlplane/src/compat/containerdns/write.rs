//! What is written: POST, PUT and DELETE, each decided and carried out in one transaction of the store or of etcd, so that
//! requests for one name cannot come between each other, and nothing is ever half done.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use ringdns_engine::limits::RRSET_RECORDS_MAX;
use ringdns_engine::name::WireName;

use super::cabinet::{OnDesk, OpenCabinet};
use super::record::{Kind, Record, kept_name, label_of};
use super::request::Body;
use super::{Asker, Site, reply};
use crate::store::{Desk, Edit, WriteError};

/// What is to be done with a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Make records.
    Post,
    /// Put one value in another's place.
    Put,
    /// Remove records.
    Delete,
}

/// One request that writes.
#[derive(Debug)]
pub(super) struct Order {
    /// The configuration.
    pub(super) site: Arc<Site>,
    /// Who asks.
    pub(super) asker: Asker,
    /// What is to be done.
    pub(super) method: Method,
    /// The suffix.
    pub(super) apex: WireName,
    /// The domain of the path.
    pub(super) name: WireName,
    /// The body.
    pub(super) body: Body,
}

/// Refuses in the interface's words.
fn refuse<T>(words: impl Into<String>) -> Result<T, WriteError> {
    Err(WriteError::Refused(words.into()))
}

impl Edit for Order {
    fn edit(&self, desk: &mut Desk<'_, '_>) -> Result<(), WriteError> {
        self.carry_out(&mut OnDesk { desk, fresh: self.site.fresh })
    }
}

impl Order {
    /// Carries it out where records are kept.
    pub(super) fn carry_out(&self, cabinet: &mut impl OpenCabinet) -> Result<(), WriteError> {
        let outcome = match self.method {
            Method::Post => self.post(cabinet),
            Method::Put => self.put(cabinet),
            Method::Delete => self.delete(cabinet),
        };
        match outcome {
            // An alias cannot stand beside other records of its name (RFC 2181 section 10.1).
            Err(WriteError::CnameAndOther) if self.method == Method::Put => refuse(reply::NOT_MOVED),
            Err(WriteError::CnameAndOther) if self.body.rtype == "CNAME" => refuse(self.alias_exists()),
            outcome => outcome,
        }
    }

    /// What a failure that is no refusal is told as.
    pub(super) fn failure(&self) -> &'static str {
        match self.method {
            Method::Post => reply::NOT_SET,
            Method::Put => reply::NOT_UPDATED,
            Method::Delete => reply::NOT_DELETED,
        }
    }

    /// The names whose records it is decided on, each with its suffix; what is below them counts too.
    pub(super) fn places(&self) -> Vec<(WireName, WireName)> {
        let mut places = vec![(self.apex.clone(), self.name.clone())];
        let aliases = self.body.update.iter().flat_map(|(old, new)| [old, new]).chain([&self.body.alias]);
        places.extend(aliases.filter_map(|alias| self.site.resolve(alias, &self.asker)));
        let kept = Kind::parse(&self.body.rtype).and_then(|kind| kept_name(&self.apex, &self.name, kind));
        places.extend(kept.map(|kept| (self.apex.clone(), kept)));
        places
    }

    /// Refuses where a record is another user's.
    fn check_owner(&self, records: &[Record]) -> Result<(), WriteError> {
        if records.iter().all(|record| self.asker.owns(record)) { Ok(()) } else { refuse(reply::OTHER_USER) }
    }

    /// Refuses names below `svc` of the suffix, which are Kubernetes'.
    fn check_kubernetes(&self) -> Result<(), WriteError> {
        let services = self.apex.child(b"svc");
        let is_of_kubernetes = services.is_ok_and(|services| services.contains(&self.name));
        if is_of_kubernetes { refuse(reply::OF_KUBERNETES) } else { Ok(()) }
    }

    /// What is told of an alias that exists.
    fn alias_exists(&self) -> String {
        match self.asker {
            Asker::Anyone => reply::ALIAS_EXISTS.to_owned(),
            Asker::Named(_) => format!("{}{}", reply::EXISTS, self.name),
        }
    }

    /// Makes records.
    fn post(&self, cabinet: &mut impl OpenCabinet) -> Result<(), WriteError> {
        if self.body.rtype.is_empty() {
            return refuse(reply::TYPE_MISSING);
        }
        match Kind::parse(&self.body.rtype) {
            None => refuse(reply::TYPE_UNKNOWN),
            Some(kind @ (Kind::A | Kind::Srv)) => self.post_addresses(cabinet, kind),
            Some(Kind::Cname) => self.post_alias(cabinet),
            Some(kind @ (Kind::Ns | Kind::Mx | Kind::Txt)) => self.post_of_suffix(cabinet, kind),
        }
    }

    /// Makes A or SRV records: all of them or none.
    fn post_addresses(&self, cabinet: &mut impl OpenCabinet, kind: Kind) -> Result<(), WriteError> {
        self.check_kubernetes()?;
        let mut records = cabinet.records(&self.apex, &self.name)?;
        self.check_owner(&records)?;
        if self.asker == Asker::Anyone && !records.is_empty() {
            return refuse(reply::EXISTS);
        }
        let Body { ips, ports, .. } = &self.body;
        if ips.is_empty() {
            return refuse(reply::NO_IPS);
        }
        if kind == Kind::Srv && ports.is_empty() {
            return refuse(reply::NO_PORTS);
        }
        if kind == Kind::Srv && ports.len() != ips.len() {
            return refuse(reply::PORTS_MISMATCH);
        }
        // One name has one list in every answer: more than fit are refused before they cost anything.
        if ips.len() > RRSET_RECORDS_MAX || records.iter().any(|record| record.kind == Kind::Cname) {
            return refuse(reply::NOT_SET);
        }
        let mut known: HashSet<String> = records.iter().map(|record| record.host.clone()).collect();
        for (index, ip) in ips.iter().enumerate() {
            let host = host(ip)?;
            // The original has one key for an address, whatever its record.
            if !known.insert(host.clone()) {
                return refuse(reply::NOT_SET);
            }
            let mut record = Record::new(kind, host, self.asker.name());
            if kind == Kind::Srv {
                let port = ports.get(index).and_then(|&port| u16::try_from(port).ok());
                record.port = port.ok_or_else(|| WriteError::Refused(reply::NOT_SET.to_owned()))?;
                let label = self.name.child(label_of(&record.host).as_bytes());
                if label.is_err() {
                    return refuse(reply::NOT_SET);
                }
            }
            records.push(record);
        }
        cabinet.replace(&self.apex, &self.name, &records)
    }

    /// Makes an alias of the domain.
    fn post_alias(&self, cabinet: &mut impl OpenCabinet) -> Result<(), WriteError> {
        let Some((apex, alias)) = self.site.resolve(&self.body.alias, &self.asker) else {
            return refuse(format!("alias {} ", reply::NOT_SUFFIX));
        };
        self.check_kubernetes()?;
        self.check_owner(&cabinet.records(&self.apex, &self.name)?)?;
        let mut records = cabinet.records(&apex, &alias)?;
        self.check_owner(&records)?;
        if !records.is_empty() || alias == self.name {
            return refuse(self.alias_exists());
        }
        records.push(Record::new(Kind::Cname, self.name.to_string(), self.asker.name()));
        cabinet.replace(&apex, &alias, &records)
    }

    /// Makes a name server, a mail server or a text of the suffix, which the label of the domain tells from others.
    fn post_of_suffix(&self, cabinet: &mut impl OpenCabinet, kind: Kind) -> Result<(), WriteError> {
        let kept = self.kept(kind)?;
        if !cabinet.subtree(&self.apex, &kept)?.is_empty() {
            return refuse(match self.asker {
                Asker::Anyone => reply::EXISTS.to_owned(),
                Asker::Named(_) => format!("{}{}", reply::EXISTS, self.name),
            });
        }
        let mut record = Record::new(kind, "", self.asker.name());
        match kind {
            Kind::Ns => record.host.clone_from(&self.body.ns_host),
            Kind::Mx => record.host.clone_from(&self.body.mail_host),
            _ => record.text.clone_from(&self.body.text),
        }
        let priority = u16::try_from(self.body.mail_priority).ok().filter(|_| kind == Kind::Mx);
        if kind == Kind::Mx && priority.is_none() {
            return refuse(reply::NOT_SET);
        }
        record.priority = priority.unwrap_or_default();
        // The original takes records without a value, which nobody can be answered with.
        if record.on_wire(&self.apex, &kept, 1).is_none() {
            return refuse(reply::NOT_SET);
        }
        cabinet.replace(&self.apex, &kept, &[record])
    }

    /// The name under which a record of the suffix is kept.
    fn kept(&self, kind: Kind) -> Result<WireName, WriteError> {
        if self.name == self.apex {
            return refuse(reply::NO_NAME);
        }
        kept_name(&self.apex, &self.name, kind).map_or_else(|| refuse(reply::NOT_SUFFIX), Ok)
    }

    /// Puts one value in another's place.
    fn put(&self, cabinet: &mut impl OpenCabinet) -> Result<(), WriteError> {
        if self.body.rtype.is_empty() {
            return refuse(reply::TYPE_MISSING);
        }
        let kind = match (Kind::parse(&self.body.rtype), &self.body.update[..]) {
            (_, []) => return refuse(reply::NO_UPDATE),
            (Some(kind @ (Kind::A | Kind::Cname)), _) => kind,
            _ => return refuse(reply::TYPE_UNKNOWN),
        };
        match (&self.body.update[..], kind) {
            ([(old, new)], Kind::A) => self.move_address(cabinet, old, new),
            ([(old, new)], _) => self.move_alias(cabinet, old, new),
            _ => refuse(reply::SEVERAL_UPDATES),
        }
    }

    /// Puts one address in another's place.
    fn move_address(&self, cabinet: &mut impl OpenCabinet, old: &str, new: &str) -> Result<(), WriteError> {
        let mut records = cabinet.records(&self.apex, &self.name)?;
        if records.is_empty() && cabinet.subtree(&self.apex, &self.name)?.is_empty() {
            return refuse(reply::NOT_FOUND);
        }
        self.check_owner(&records)?;
        let (old_host, new_host) = (host(old)?, host(new)?);
        let legacy = self.asker == Asker::Anyone;
        let is_there = records.iter().any(|record| record.host == new_host && old_host != new_host);
        let moved = records.iter_mut().find(|record| record.kind == Kind::A && record.host == old_host);
        match moved {
            None if legacy => refuse(format!("{}{old}", reply::IP_NOT_FOUND)),
            Some(_) if is_there && legacy => refuse(format!("{}{new}", reply::EXISTS)),
            None => refuse(reply::NOT_MOVED),
            Some(_) if is_there => refuse(reply::NOT_MOVED),
            Some(record) => {
                record.host = new_host;
                cabinet.replace(&self.apex, &self.name, &records)
            }
        }
    }

    /// Puts one alias of the domain in another's place.
    fn move_alias(&self, cabinet: &mut impl OpenCabinet, old: &str, new: &str) -> Result<(), WriteError> {
        let Some((new_apex, new_name)) = self.site.resolve(new, &self.asker) else {
            return refuse(format!("alias {}", reply::NOT_SUFFIX));
        };
        let missing = || WriteError::Refused(format!("{}{old}", reply::ALIAS_NOT_FOUND));
        let (old_apex, old_name) = self.site.resolve(old, &self.asker).ok_or_else(missing)?;
        let records = cabinet.records(&old_apex, &old_name)?;
        let alias = records.iter().find(|record| record.kind == Kind::Cname && self.asker.sees(record));
        let alias = alias.ok_or_else(missing)?.clone();
        self.check_owner(std::slice::from_ref(&alias))?;
        if alias.host.parse().ok().as_ref() != Some(&self.name) {
            return refuse(format!("{}{old}", reply::ALIAS_MISMATCH));
        }
        if old_name == new_name {
            return Ok(());
        }
        if !cabinet.records(&new_apex, &new_name)?.is_empty() || new_name == self.name {
            return refuse(reply::NOT_MOVED);
        }
        cabinet.replace(&old_apex, &old_name, &[])?;
        cabinet.replace(&new_apex, &new_name, &[alias])
    }

    /// Removes records.
    fn delete(&self, cabinet: &mut impl OpenCabinet) -> Result<(), WriteError> {
        self.check_kubernetes()?;
        match Kind::parse(&self.body.rtype) {
            None if !self.body.rtype.is_empty() => refuse(reply::TYPE_UNKNOWN),
            Some(Kind::A | Kind::Srv) if !self.body.ips.is_empty() => self.delete_ips(cabinet),
            None | Some(Kind::A | Kind::Srv) => self.delete_addresses(cabinet),
            Some(Kind::Cname) => self.delete_kind(cabinet, &self.name, Kind::Cname),
            Some(kind) => self.delete_kind(cabinet, &self.kept(kind)?, kind),
        }
    }

    /// Removes all address records of the domain.
    fn delete_addresses(&self, cabinet: &mut impl OpenCabinet) -> Result<(), WriteError> {
        let records = cabinet.records(&self.apex, &self.name)?;
        if records.is_empty() && cabinet.subtree(&self.apex, &self.name)?.is_empty() {
            return refuse(reply::KEY_NOT_FOUND);
        }
        let is_seen = |record: &Record| record.kind.is_address() && self.asker.sees(record);
        if !records.iter().any(is_seen) {
            return refuse(reply::NOT_FOUND);
        }
        self.check_owner(&records)?;
        let kept: Vec<Record> = records.into_iter().filter(|record| !record.kind.is_address()).collect();
        cabinet.replace(&self.apex, &self.name, &kept)
    }

    /// Removes some addresses of the domain: all of them or none.
    fn delete_ips(&self, cabinet: &mut impl OpenCabinet) -> Result<(), WriteError> {
        let mut records = cabinet.records(&self.apex, &self.name)?;
        if records.is_empty() && cabinet.subtree(&self.apex, &self.name)?.is_empty() {
            return refuse(reply::NOT_FOUND);
        }
        self.check_owner(&records)?;
        let hosts = self.body.ips.iter().map(|ip| host(ip)).collect::<Result<Vec<_>, _>>()?;
        for host in hosts {
            let place = records.iter().position(|record| record.kind.is_address() && record.host == host);
            let Some(place) = place else { return refuse(reply::NOT_DELETED) };
            records.remove(place);
        }
        cabinet.replace(&self.apex, &self.name, &records)
    }

    /// Removes the records of one kind. Names below stay, unlike in the original.
    fn delete_kind(&self, cabinet: &mut impl OpenCabinet, name: &WireName, kind: Kind) -> Result<(), WriteError> {
        let records = cabinet.records(&self.apex, name)?;
        let (gone, kept): (Vec<Record>, Vec<Record>) = records.into_iter().partition(|record| record.kind == kind);
        if gone.is_empty() {
            return refuse(reply::NOT_FOUND);
        }
        self.check_owner(&gone)?;
        cabinet.replace(&self.apex, name, &kept)
    }
}

/// An address as it is kept.
fn host(text: &str) -> Result<String, WriteError> {
    let address = text.parse::<IpAddr>();
    // An IPv4 address in IPv6 clothes would be monitored as one and answered as the other.
    address.map_or_else(|_| refuse(reply::NOT_IP), |address| Ok(address.to_canonical().to_string()))
}
