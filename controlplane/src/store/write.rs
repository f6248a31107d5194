//! What can be written, checked and carried out in a transaction. Every check comes before the first change, so that a
//! refused write leaves nothing behind in a transaction that others share.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use redb::{ReadableTable as _, Table, WriteTransaction};
use ringdns_engine::name::WireName;
use ringdns_engine::rate::Network;
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{EditError, Editor, RrsetSpec};

use super::apex::zone_records;
use super::edit::{Edit, find_rrset};
use super::etcd::{Kind, Log, Logged};
use super::schema::{
    META, RRSETS, VIEWS, ZONES, after, mark_format, owner_key, rrset_key, rrset_value, split_rrset_key,
};
use super::view::VIEWS_MAX;
use crate::canonical::name_key;
use crate::model::{Change, Rrset, RrsetError, exclude_each_other};
use crate::text::rtype;

/// One write.
#[derive(Clone, Debug)]
pub enum Write {
    /// Makes a zone, or changes its SOA and NS records.
    PutZone {
        /// The zone.
        apex: WireName,
        /// What its records should say.
        fields: Box<ZoneFields>,
    },
    /// Removes a zone with everything in it.
    DeleteZone {
        /// The zone.
        apex: WireName,
    },
    /// Makes or replaces an RRset.
    PutRrset {
        /// The zone.
        apex: WireName,
        /// The RRset.
        rrset: Rrset,
        /// True: it must not exist yet.
        new: bool,
    },
    /// Removes an RRset.
    DeleteRrset {
        /// The zone.
        apex: WireName,
        /// The owner.
        owner: WireName,
        /// The type.
        rtype: u16,
        /// The view; nothing: the default view.
        view: Option<Arc<str>>,
    },
    /// Makes a view, or gives it other clients.
    PutView {
        /// Its name, which `views::is_name` has passed.
        name: String,
        /// The networks of its clients; at least one.
        networks: Vec<Network>,
    },
    /// Removes a view. RRsets that are in it stay, and nobody sees them.
    DeleteView {
        /// Its name.
        name: String,
    },
    /// Several writes that belong together.
    Edit(Arc<dyn Edit>),
}

impl Write {
    /// Zone and owner that the write is about; nothing for a view, and for an edit, whose changes tell.
    pub(super) fn target(&self) -> Option<(WireName, WireName)> {
        match self {
            Write::PutZone { apex, .. } | Write::DeleteZone { apex } => Some((apex.clone(), apex.clone())),
            Write::PutRrset { apex, rrset, .. } => Some((apex.clone(), rrset.owner.clone())),
            Write::DeleteRrset { apex, owner, .. } => Some((apex.clone(), owner.clone())),
            Write::PutView { .. } | Write::DeleteView { .. } | Write::Edit(_) => None,
        }
    }
}

/// What a zone's SOA and NS records should say; what is not given stays as it is, or gets a default in a new zone.
#[derive(Clone, Debug, Default)]
pub struct ZoneFields {
    /// TTL in seconds of both.
    pub ttl: Option<u32>,
    /// Fields of the SOA record.
    pub soa: SoaFields,
    /// Name servers.
    pub ns: Option<Vec<WireName>>,
}

/// Fields of an SOA record (RFC 1035 section 3.3.13).
#[derive(Clone, Debug, Default)]
pub struct SoaFields {
    /// Primary name server.
    pub mname: Option<WireName>,
    /// Mailbox of whoever is responsible.
    pub rname: Option<WireName>,
    /// Serial, refresh, retry, expire, minimum.
    pub numbers: [Option<u32>; 5],
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there before.
    Created,
    /// It was there before.
    Replaced,
    /// It is there no longer.
    Deleted,
}

/// Why a write was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// No such zone in the store.
    #[error("the store has no such zone")]
    ZoneNotFound,
    /// No such RRset in the store.
    #[error("the store has no such RRset")]
    RrsetNotFound,
    /// It exists, and was to be made.
    #[error("the RRset exists")]
    Exists,
    /// No such view in the store.
    #[error("the store has no such view")]
    ViewNotFound,
    /// A network is another view's.
    #[error("{network} is a network of view {view} already")]
    NetworkTaken {
        /// The network.
        network: Network,
        /// The view that has it.
        view: String,
    },
    /// More views than are kept apart.
    #[error("the store has {VIEWS_MAX} views already")]
    TooManyViews,
    /// A CNAME beside other data.
    #[error("a CNAME record cannot stand beside other records of its owner (RFC 2181 section 10.1)")]
    CnameAndOther,
    /// The owner is not in the zone.
    #[error("the owner is not in the zone")]
    OutOfZone,
    /// The zone cannot be without it.
    #[error("a zone has its SOA and NS records as long as it exists")]
    ApexNeeded,
    /// The RRset itself.
    #[error(transparent)]
    Rrset(#[from] RrsetError),
    /// The engine could not serve it.
    #[error(transparent)]
    Unservable(#[from] EditError),
    /// It is not what it was expected to be.
    #[error("it is not what the request expects it to be")]
    PreconditionFailed,
    /// An edit has refused itself, in the words of its interface.
    #[error("{0}")]
    Refused(String),
    /// It is on disk, and the snapshot could not take it.
    #[error("stored, but not served: {0}")]
    NotServed(String),
    /// The file.
    #[error("the store's file cannot be written: {0}")]
    Storage(String),
    /// There is no room for the file.
    #[error("the store's file cannot grow: {0}")]
    Full(String),
    /// etcd, which has to have it first.
    #[error("{0}")]
    Etcd(String),
    /// The program ends, or has not read the store yet.
    #[error("the store takes no writes now")]
    Unavailable,
}

/// Turns redb's many errors into ours.
pub(super) trait Stored<T> {
    /// The value, or [`WriteError::Storage`].
    fn stored(self) -> Result<T, WriteError>;
}

impl<T, E: Into<redb::Error>> Stored<T> for Result<T, E> {
    fn stored(self) -> Result<T, WriteError> {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        self.map_err(|error| match error.into() {
            redb::Error::Io(io) if matches!(io.kind(), StorageFull | QuotaExceeded | FileTooLarge) => {
                WriteError::Full(io.to_string())
            }
            error => WriteError::Storage(error.to_string()),
        })
    }
}

impl WriteError {
    /// True where the file is to blame, and nothing of the open transaction can be kept.
    pub(crate) fn is_of_file(&self) -> bool {
        matches!(self, WriteError::Storage(_) | WriteError::Full(_))
    }
}

/// The tables of an open write transaction.
pub(super) struct Tables<'t> {
    /// Facts about the file.
    pub(super) meta: Table<'t, &'static str, u64>,
    /// The zones.
    pub(super) zones: Logged<'t, &'static [u8], &'static [u8]>,
    /// The RRsets.
    pub(super) rrsets: Logged<'t, &'static [u8], &'static [u8]>,
    /// The views.
    pub(super) views: Logged<'t, &'static str, &'static str>,
    /// Where written rows are noted.
    pub(super) log: Option<Log>,
    /// True once a view is another.
    pub(super) views_changed: bool,
    /// By how much the serials of zones are to rise: one write of the SOA serves all changes of a transaction.
    rises: HashMap<WireName, u32>,
}

impl<'t> Tables<'t> {
    /// Opens them; [`Tables::finish`] belongs at the end. What is written is noted in the log, where there is one.
    pub(super) fn open(transaction: &'t WriteTransaction, log: Option<&Log>) -> Result<Self, WriteError> {
        Ok(Self {
            meta: transaction.open_table(META).stored()?,
            zones: Logged::open(transaction, ZONES, Kind::Zone, log)?,
            rrsets: Logged::open(transaction, RRSETS, Kind::Rrset, log)?,
            views: Logged::open(transaction, VIEWS, Kind::View, log)?,
            log: log.cloned(),
            views_changed: false,
            rises: HashMap::new(),
        })
    }

    /// Raises the serials of the zones that were changed; gives what the cycle has to know of that, and of views.
    pub(super) fn finish(mut self) -> Result<Vec<Change>, WriteError> {
        let mut changes = Vec::new();
        let zones: Vec<WireName> = self.rises.keys().cloned().collect();
        zones.iter().try_for_each(|apex| self.settle_serial(apex, &mut changes))?;
        if self.views_changed {
            changes.push(Change::SetViews(self.clients()?));
        }
        Ok(changes)
    }

    /// Carries out a write; gives what became of it and what the cycle has to know.
    pub(super) fn apply(&mut self, write: Write) -> Result<(Outcome, Vec<Change>), WriteError> {
        let mut changes = Vec::new();
        let outcome = match write {
            Write::PutZone { apex, fields } => self.put_zone(&apex, &fields, &mut changes),
            Write::DeleteZone { apex } => self.delete_zone(&apex, &mut changes),
            Write::PutRrset { apex, rrset, new } => self.put_rrset(&apex, rrset, new, &mut changes),
            Write::DeleteRrset { apex, owner, rtype, view } => {
                self.delete_rrset(&apex, &owner, rtype, view, &mut changes)
            }
            Write::PutView { name, networks } => self.put_view(&name, &networks),
            Write::DeleteView { name } => self.delete_view(&name),
            // An edit is made of plain writes, and needs more than these tables: see `edit::carry_out`.
            Write::Edit(_) => Err(WriteError::Unavailable),
        }?;
        Ok((outcome, changes))
    }

    /// True where the store has a zone.
    fn has_zone(&self, apex: &WireName) -> Result<bool, WriteError> {
        Ok(self.zones.get(name_key(apex).as_slice()).stored()?.is_some())
    }

    /// An RRset of the store.
    fn rrset(
        &self,
        apex: &WireName,
        owner: &WireName,
        rtype: u16,
        view: Option<&str>,
    ) -> Result<Option<Rrset>, WriteError> {
        find_rrset(&*self.rrsets, apex, owner, rtype, view)
    }

    /// Writes an RRset that was checked.
    fn insert(&mut self, apex: &WireName, rrset: Rrset, changes: &mut Vec<Change>) -> Result<(), WriteError> {
        let key = rrset_key(apex, &rrset.owner, rrset.rtype, rrset.view.as_deref());
        if rrset.selection.is_some() || rrset.view.is_some() {
            mark_format(&mut self.meta).stored()?;
        }
        self.rrsets.insert(key.as_slice(), rrset_value(&rrset).as_slice()).stored()?;
        changes.push(Change::Put { apex: apex.clone(), rrset });
        Ok(())
    }

    /// See [`Write::PutZone`].
    fn put_zone(
        &mut self,
        apex: &WireName,
        fields: &ZoneFields,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, WriteError> {
        self.settle_serial(apex, changes)?;
        let exists = self.has_zone(apex)?;
        let soa = self.rrset(apex, apex, rtype::SOA, None)?;
        let ns = self.rrset(apex, apex, rtype::NS, None)?;
        let (mut new_soa, mut new_ns) = zone_records(apex, fields, soa.as_ref(), ns.as_ref());
        new_soa.normalise(apex)?;
        new_ns.normalise(apex)?;
        if exists && soa.as_ref() == Some(&new_soa) && ns.as_ref() == Some(&new_ns) {
            return Ok(Outcome::Replaced);
        }
        if !exists {
            self.zones.insert(name_key(apex).as_slice(), [].as_slice()).stored()?;
            changes.push(Change::AddZone(apex.clone()));
        }
        self.insert(apex, new_soa, changes)?;
        if ns.as_ref() != Some(&new_ns) {
            self.insert(apex, new_ns, changes)?;
        }
        if exists && fields.soa.numbers[0].is_none() {
            self.raise_serial(apex);
        }
        Ok(if exists { Outcome::Replaced } else { Outcome::Created })
    }

    /// See [`Write::DeleteZone`].
    fn delete_zone(&mut self, apex: &WireName, changes: &mut Vec<Change>) -> Result<Outcome, WriteError> {
        let prefix = name_key(apex);
        if self.zones.remove(prefix.as_slice()).stored()?.is_none() {
            return Err(WriteError::ZoneNotFound);
        }
        self.rises.remove(apex);
        self.rrsets.clear_below(&prefix).stored()?;
        changes.push(Change::RemoveZone(apex.clone()));
        Ok(Outcome::Deleted)
    }

    /// See [`Write::PutRrset`].
    fn put_rrset(
        &mut self,
        apex: &WireName,
        mut rrset: Rrset,
        new: bool,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, WriteError> {
        if !self.has_zone(apex)? {
            return Err(WriteError::ZoneNotFound);
        }
        if !apex.contains(&rrset.owner) {
            return Err(WriteError::OutOfZone);
        }
        rrset.normalise(apex)?;
        probe(apex, &rrset)?;
        let is_soa = rrset.rtype == rtype::SOA;
        if is_soa {
            self.settle_serial(apex, changes)?;
        }
        let before = self.rrset(apex, &rrset.owner, rrset.rtype, rrset.view.as_deref())?;
        if new && before.is_some() {
            return Err(WriteError::Exists);
        }
        if before.as_ref() == Some(&rrset) {
            return Ok(Outcome::Replaced);
        }
        if self.has_excluding(apex, &rrset)? {
            return Err(WriteError::CnameAndOther);
        }
        self.insert(apex, rrset, changes)?;
        if !is_soa {
            self.raise_serial(apex);
        }
        Ok(if before.is_some() { Outcome::Replaced } else { Outcome::Created })
    }

    /// True where the owner has an RRset that cannot stand beside this one.
    fn has_excluding(&self, apex: &WireName, rrset: &Rrset) -> Result<bool, WriteError> {
        let prefix = owner_key(apex, &rrset.owner);
        for entry in self.rrsets.range(prefix.as_slice()..after(&prefix).as_slice()).stored()? {
            let (key, _) = entry.stored()?;
            let Some((_, _, rtype, view)) = split_rrset_key(key.value()) else { continue };
            if view == rrset.view && exclude_each_other(rtype, rrset.rtype) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// See [`Write::DeleteRrset`].
    fn delete_rrset(
        &mut self,
        apex: &WireName,
        owner: &WireName,
        rtype: u16,
        view: Option<Arc<str>>,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, WriteError> {
        if !self.has_zone(apex)? {
            return Err(WriteError::ZoneNotFound);
        }
        let key = rrset_key(apex, owner, rtype, view.as_deref());
        if owner == apex && view.is_none() && matches!(rtype, rtype::SOA | rtype::NS) {
            return Err(WriteError::ApexNeeded);
        }
        if self.rrsets.remove(key.as_slice()).stored()?.is_none() {
            return Err(WriteError::RrsetNotFound);
        }
        changes.push(Change::Remove { apex: apex.clone(), owner: owner.clone(), rtype, view });
        self.raise_serial(apex);
        Ok(Outcome::Deleted)
    }

    /// Has the zone's serial rise by one.
    fn raise_serial(&mut self, apex: &WireName) {
        match self.rises.get_mut(apex) {
            Some(rise) => *rise = rise.wrapping_add(1),
            None => drop(self.rises.insert(apex.clone(), 1)),
        }
    }

    /// Writes the SOA with the serial that the changes so far have made, in the arithmetic of RFC 1982.
    pub(super) fn settle_serial(&mut self, apex: &WireName, changes: &mut Vec<Change>) -> Result<(), WriteError> {
        let Some(rise) = self.rises.remove(apex) else { return Ok(()) };
        let Some(mut soa) = self.rrset(apex, apex, rtype::SOA, None)? else { return Ok(()) };
        // The serial is the first of five numbers that end the rdata.
        let numbers = soa.rdatas.first_mut().and_then(|rdata| rdata.last_chunk_mut::<20>());
        if let Some((serial, _)) = numbers.and_then(|numbers| numbers.split_first_chunk_mut::<4>()) {
            *serial = u32::from_be_bytes(*serial).wrapping_add(rise).to_be_bytes();
        }
        self.insert(apex, soa, changes)
    }
}

/// Has the engine take an RRset into a snapshot of its own: what it would refuse is refused before it is on disk.
fn probe(apex: &WireName, rrset: &Rrset) -> Result<(), EditError> {
    // Making one costs more than all the rest of a write's checks.
    static EMPTY: LazyLock<Snapshot> = LazyLock::new(Snapshot::empty);
    let mut editor = Editor::new(&EMPTY);
    editor.add_zone(apex);
    let Rrset { owner, rtype, ttl, rdatas, selection, view } = rrset.clone();
    // Any view but the default view: the engine's rules are the same for all of them.
    let view = u16::from(view.is_some());
    editor.put_rrset(apex, &owner, &RrsetSpec { rtype, ttl, origin: 0, rdatas, view, selection })
}
