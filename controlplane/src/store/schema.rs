//! Tables, keys and values of the store's file.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format` | version of this schema |
//! | `zones` | apex | nothing yet |
//! | `notes` | first byte: whose it is; the rest is theirs | theirs (see `compat`) |
//! | `views` | name of a view | its networks, one a line |
//! | `rrsets` | apex, owner, type, name of the view unless it is the default view | TTL; selection, if any; length and bytes of each rdata |
//!
//! Names are keys of [`crate::canonical`], so zones and owners lie in canonical order; numbers are big-endian. A selection
//! sets the first bit of the TTL, which no TTL has (RFC 2181 section 8), and is: mode u8, most answers u16, number of
//! members u16, and for each its weight u16 and whether it is up u8.
//!
//! Version 1 knew no selections and no views; all that it wrote is read as it is. A file becomes one of version 2 when the
//! first of them is written, so that an older RingDNS can go on with it until then.

use std::sync::Arc;

use redb::{ReadableDatabase as _, ReadableTable as _, Table, TableDefinition};
use ringdns_engine::name::WireName;
use ringdns_engine::select::{Member, Mode, Selection};

use crate::canonical::{name_key, push_name, split_name};
use crate::model::Rrset;

/// The newest schema that this program writes and reads.
pub const FORMAT_VERSION: u64 = 2;

/// The schema of a file without selections and views.
const FORMAT_PLAIN: u64 = 1;

/// Facts about the file.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// The zones.
pub(super) const ZONES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("zones");
/// The RRsets.
pub(super) const RRSETS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rrsets");

/// What interfaces keep beside the RRsets. An older RingDNS leaves the table alone, so it needs no version of its own.
pub(super) const NOTES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("notes");

/// The views that are not the configuration's. An older RingDNS leaves this table alone too.
pub(super) const VIEWS: TableDefinition<'_, &str, &str> = TableDefinition::new("views");

/// In the place of a TTL: a selection follows.
const SELECTED: u32 = 1 << 31;

/// The key of the schema's version in [`META`].
const FORMAT: &str = "format";

/// Makes the tables of a new file; gives the version of the file's schema.
pub(super) fn prepare(database: &redb::Database) -> Result<u64, redb::Error> {
    let read = database.begin_read()?;
    match read.open_table(META) {
        Ok(meta) => {
            if let Some(version) = meta.get(FORMAT)? {
                return Ok(version.value());
            }
        }
        Err(redb::TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    drop(read);
    let write = database.begin_write()?;
    write.open_table(META)?.insert(FORMAT, FORMAT_PLAIN)?;
    write.open_table(ZONES)?;
    write.open_table(RRSETS)?;
    write.commit()?;
    Ok(FORMAT_PLAIN)
}

/// Notes that the file has an RRset which version 1 cannot read.
pub(super) fn mark_format(meta: &mut Table<'_, &'static str, u64>) -> Result<(), redb::StorageError> {
    if meta.get(FORMAT)?.is_none_or(|version| version.value() < FORMAT_VERSION) {
        meta.insert(FORMAT, FORMAT_VERSION)?;
    }
    Ok(())
}

/// The key of an RRset.
pub(super) fn rrset_key(apex: &WireName, owner: &WireName, rtype: u16, view: Option<&str>) -> Vec<u8> {
    let mut key = owner_key(apex, owner);
    key.extend_from_slice(&rtype.to_be_bytes());
    key.extend_from_slice(view.unwrap_or_default().as_bytes());
    key
}

/// What the keys of an owner's RRsets start with.
pub(super) fn owner_key(apex: &WireName, owner: &WireName) -> Vec<u8> {
    let mut key = name_key(apex);
    push_name(&mut key, owner);
    key
}

/// Apex, owner, type and view of a key; nothing where the key is none.
pub(super) fn split_rrset_key(key: &[u8]) -> Option<(WireName, WireName, u16, Option<Arc<str>>)> {
    let (apex, rest) = split_name(key)?;
    let (owner, rest) = split_name(rest)?;
    let (&rtype, view) = rest.split_first_chunk()?;
    let view = Some(std::str::from_utf8(view).ok()?).filter(|view| !view.is_empty());
    Some((apex, owner, u16::from_be_bytes(rtype), view.map(Arc::from)))
}

/// The RRset of an entry and its zone; nothing where it is damaged.
pub(super) fn rrset_of(key: &[u8], value: &[u8]) -> Option<(WireName, Rrset)> {
    let (apex, owner, rtype, view) = split_rrset_key(key)?;
    let (ttl, selection, rdatas) = split_rrset_value(value)?;
    Some((apex, Rrset { owner, rtype, ttl, rdatas, selection: selection.map(Box::new), view }))
}

/// The smallest key above all that start with `prefix`, which ends in a zero byte as every name does.
pub(super) fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last = 1;
    }
    end
}

/// The value of an RRset.
pub(super) fn rrset_value(rrset: &Rrset) -> Vec<u8> {
    let mut value = Vec::new();
    match &rrset.selection {
        None => value.extend_from_slice(&rrset.ttl.to_be_bytes()),
        Some(selection) => {
            value.extend_from_slice(&(rrset.ttl | SELECTED).to_be_bytes());
            push_selection(&mut value, selection);
        }
    }
    for rdata in &rrset.rdatas {
        // Rdata is at most 65535 bytes: its readers and RRSET_BYTES_MAX see to it.
        value.extend_from_slice(&u16::try_from(rdata.len()).unwrap_or(u16::MAX).to_be_bytes());
        value.extend_from_slice(rdata);
    }
    value
}

/// Appends a selection.
fn push_selection(value: &mut Vec<u8>, selection: &Selection) {
    value.push(selection.mode as u8);
    value.extend_from_slice(&selection.answers_max.to_be_bytes());
    // As many as SELECTION_MEMBERS_MAX: `Rrset::normalise` sees to it.
    value.extend_from_slice(&u16::try_from(selection.members.len()).unwrap_or(u16::MAX).to_be_bytes());
    for member in &selection.members {
        value.extend_from_slice(&member.weight.to_be_bytes());
        value.push(u8::from(member.up));
    }
}

/// The selection that starts a value behind its TTL, and what follows it.
fn split_selection(value: &[u8]) -> Option<(Selection, &[u8])> {
    let (&[mode, a1, a2, n1, n2], rest) = value.split_first_chunk()?;
    let mode = Mode::ALL.into_iter().find(|&known| known as u8 == mode)?;
    let (members, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([n1, n2])) * 3)?;
    let (members, _) = members.as_chunks::<3>();
    let members = members.iter().map(|&[w1, w2, up]| Member { weight: u16::from_be_bytes([w1, w2]), up: up != 0 });
    Some((Selection { mode, answers_max: u16::from_be_bytes([a1, a2]), members: members.collect() }, rest))
}

/// TTL, selection and rdata of a value; nothing where the value is none.
fn split_rrset_value(value: &[u8]) -> Option<(u32, Option<Selection>, Vec<Vec<u8>>)> {
    let (&ttl, mut rest) = value.split_first_chunk()?;
    let ttl = u32::from_be_bytes(ttl);
    let mut selection = None;
    if ttl & SELECTED != 0 {
        let (found, tail) = split_selection(rest)?;
        (selection, rest) = (Some(found), tail);
    }
    let mut rdatas = Vec::new();
    while !rest.is_empty() {
        let (&length, tail) = rest.split_first_chunk()?;
        let (rdata, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(length)))?;
        rdatas.push(rdata.to_vec());
        rest = tail;
    }
    Some((ttl & !SELECTED, selection, rdatas)).filter(|(_, _, rdatas)| !rdatas.is_empty())
}
