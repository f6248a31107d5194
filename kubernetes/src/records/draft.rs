//! What an object makes be said, and what differs between two times.

use std::collections::HashMap;
use std::net::IpAddr;

use ringdns_controlplane::model::{Change, Rrset};
use ringdns_engine::limits::{RRSET_BYTES_MAX, RRSET_RECORDS_MAX};
use ringdns_engine::name::WireName;
use ringdns_engine::select::{Mode, SELECTION_MEMBERS_MAX, Selection};

use super::zone::Zone;

/// The numbers of types that clusters have.
pub(super) mod rtype {
    /// IPv4 address.
    pub(in crate::records) const A: u16 = 1;
    /// Name server.
    pub(in crate::records) const NS: u16 = 2;
    /// Alias.
    pub(in crate::records) const CNAME: u16 = 5;
    /// Start of a zone of authority.
    pub(in crate::records) const SOA: u16 = 6;
    /// Name that an address belongs to.
    pub(in crate::records) const PTR: u16 = 12;
    /// Text.
    pub(in crate::records) const TXT: u16 = 16;
    /// IPv6 address.
    pub(in crate::records) const AAAA: u16 = 28;
    /// Service.
    pub(in crate::records) const SRV: u16 = 33;
}

/// Something said of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The place of the zone.
    pub(super) zone: usize,
    /// The name.
    pub(super) owner: WireName,
    /// What is said.
    pub(super) data: Data,
}

/// What is said of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// That it exists.
    Name,
    /// That it has an RRset.
    Records {
        /// The type.
        rtype: u16,
        /// The TTL in seconds.
        ttl: u32,
        /// The rdata of each record, sorted.
        rdatas: Vec<Vec<u8>>,
        /// Records that there is no room for.
        left_out: usize,
    },
}

impl Said {
    /// What tells it from the others of its zone: the type, or 0 where it is only the name.
    fn rtype(&self) -> u16 {
        match self.data {
            Data::Name => 0,
            Data::Records { rtype, .. } => rtype,
        }
    }
}

/// What is said, as it is put together.
#[derive(Debug, Default)]
pub(super) struct Draft(pub(super) Vec<Said>);

impl Draft {
    /// A name exists.
    pub(super) fn name(&mut self, zone: usize, owner: WireName) {
        self.0.push(Said { zone, owner, data: Data::Name });
    }

    /// A name has records of a type; none: nothing is said. Repeated ones are one (RFC 2181 section 5).
    pub(super) fn records(
        &mut self,
        zone: usize,
        owner: &WireName,
        (rtype, ttl): (u16, u32),
        mut rdatas: Vec<Vec<u8>>,
    ) {
        rdatas.sort_unstable();
        rdatas.dedup();
        let mut bytes = 0;
        let fits = |rdata: &&Vec<u8>| {
            // Compressed owner, type, class, TTL and length stand before each rdata.
            bytes += rdata.len() + 12;
            bytes <= RRSET_BYTES_MAX
        };
        let count = rdatas.iter().take(RRSET_RECORDS_MAX).take_while(fits).count();
        let left_out = rdatas.len() - count;
        rdatas.truncate(count);
        if !rdatas.is_empty() {
            let data = Data::Records { rtype, ttl, rdatas, left_out };
            self.0.push(Said { zone, owner: owner.clone(), data });
        }
    }

    /// A name has addresses.
    pub(super) fn addresses(
        &mut self,
        zone: usize,
        owner: &WireName,
        ttl: u32,
        addresses: impl Iterator<Item = IpAddr>,
    ) {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for address in addresses {
            match address {
                IpAddr::V4(address) => v4.push(address.octets().to_vec()),
                IpAddr::V6(address) => v6.push(address.octets().to_vec()),
            }
        }
        self.records(zone, owner, (rtype::A, ttl), v4);
        self.records(zone, owner, (rtype::AAAA, ttl), v6);
    }
}

/// The rdata of an SRV record (RFC 2782).
pub(super) fn srv(priority: u16, weight: u16, port: u16, target: &WireName) -> Vec<u8> {
    let [priority, weight, port] = [priority, weight, port].map(u16::to_be_bytes);
    [&priority[..], &weight, &port, target.as_bytes()].concat()
}

/// Changes as they are gathered.
pub(super) struct Outcome<'a> {
    /// The zones.
    zones: &'a [Zone],
    /// The zones in which an answer changes.
    pub(super) touched: Vec<bool>,
    /// The changes.
    pub(super) changes: Vec<Change>,
}

impl<'a> Outcome<'a> {
    /// Nothing yet.
    pub(super) fn new(zones: &'a [Zone]) -> Self {
        Self { zones, touched: vec![false; zones.len()], changes: Vec::new() }
    }

    /// Says what differs. What goes goes first: an alias makes room for addresses (RFC 2181 section 10.1).
    pub(super) fn compare(&mut self, before: Vec<Said>, after: Vec<Said>) {
        if before.is_empty() {
            after.into_iter().for_each(|said| self.put(said));
            return;
        }
        let mut former: HashMap<(usize, u16, WireName), Data> = HashMap::with_capacity(before.len());
        for said in before {
            former.insert((said.zone, said.rtype(), said.owner), said.data);
        }
        let mut puts = Vec::new();
        for said in after {
            let rtype = said.rtype();
            let key = (said.zone, rtype, said.owner);
            let is_same = former.remove(&key).is_some_and(|data| data == said.data);
            if !is_same {
                puts.push(Said { zone: key.0, owner: key.2, data: said.data });
            }
        }
        for (zone, rtype, owner) in former.into_keys() {
            self.remove(zone, rtype, owner);
        }
        puts.into_iter().for_each(|said| self.put(said));
    }

    /// Something is no longer said.
    fn remove(&mut self, zone: usize, rtype: u16, owner: WireName) {
        let Some(apex) = self.touch(zone) else { return };
        self.changes.push(match rtype {
            0 => Change::RemoveName { apex, owner },
            _ => Change::Remove { apex, owner, rtype, view: None },
        });
    }

    /// Something is said.
    pub(super) fn put(&mut self, said: Said) {
        if let Some(apex) = self.touch(said.zone) {
            self.changes.push(put(apex, said));
        }
    }

    /// Notes that an answer of a zone changes; gives the zone's name.
    fn touch(&mut self, zone: usize) -> Option<WireName> {
        *self.touched.get_mut(zone)? = true;
        self.zones.get(zone).map(|zone| zone.apex.clone())
    }
}

/// The change that says something in a zone.
pub(super) fn put(apex: WireName, said: Said) -> Change {
    let Said { owner, data, .. } = said;
    match data {
        Data::Name => Change::AddName { apex, owner },
        Data::Records { rtype, ttl, rdatas, left_out } => {
            if left_out > 0 {
                let served = rdatas.len();
                tracing::warn!(%owner, rtype, served, left_out, "more records than a DNS message carries: some are left out");
            }
            Change::Put { apex, rrset: rrset(owner, rtype, ttl, rdatas) }
        }
    }
}

/// An RRset as it is told. Several addresses take turns: many clients take the first one, and sorted as they are it would be
/// the same for all of them.
fn rrset(owner: WireName, rtype: u16, ttl: u32, rdatas: Vec<Vec<u8>>) -> Rrset {
    let takes_turns = matches!(rtype, rtype::A | rtype::AAAA) && (2..=SELECTION_MEMBERS_MAX).contains(&rdatas.len());
    let selection = takes_turns.then(|| Box::new(Selection { mode: Mode::Rotate, ..Selection::default() }));
    Rrset { selection, ..Rrset::new(owner, rtype, ttl, rdatas) }
}
