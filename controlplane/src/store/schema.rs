//! Tables, keys and values of the store's file.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format` | version of this schema |
//! | `zones` | apex | nothing yet |
//! | `rrsets` | apex, owner, type | TTL; length and bytes of each rdata |
//!
//! Names are keys of [`crate::canonical`], so zones and owners lie in canonical order; numbers are big-endian.

use redb::{ReadableDatabase as _, TableDefinition};
use ringdns_engine::name::WireName;

use crate::canonical::{name_key, push_name, split_name};
use crate::model::Rrset;

/// The schema that this program writes, and the newest that it reads.
pub const FORMAT_VERSION: u64 = 1;

/// Facts about the file.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// The zones.
pub(super) const ZONES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("zones");
/// The RRsets.
pub(super) const RRSETS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rrsets");

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
    write.open_table(META)?.insert(FORMAT, FORMAT_VERSION)?;
    write.open_table(ZONES)?;
    write.open_table(RRSETS)?;
    write.commit()?;
    Ok(FORMAT_VERSION)
}

/// The key of an RRset.
pub(super) fn rrset_key(apex: &WireName, owner: &WireName, rtype: u16) -> Vec<u8> {
    let mut key = owner_key(apex, owner);
    key.extend_from_slice(&rtype.to_be_bytes());
    key
}

/// What the keys of an owner's RRsets start with.
pub(super) fn owner_key(apex: &WireName, owner: &WireName) -> Vec<u8> {
    let mut key = name_key(apex);
    push_name(&mut key, owner);
    key
}

/// Apex, owner and type of a key; nothing where the key is none.
pub(super) fn split_rrset_key(key: &[u8]) -> Option<(WireName, WireName, u16)> {
    let (apex, rest) = split_name(key)?;
    let (owner, rest) = split_name(rest)?;
    Some((apex, owner, u16::from_be_bytes(rest.try_into().ok()?)))
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
    let mut value = rrset.ttl.to_be_bytes().to_vec();
    for rdata in &rrset.rdatas {
        // Rdata is at most 65535 bytes: its readers and RRSET_BYTES_MAX see to it.
        value.extend_from_slice(&u16::try_from(rdata.len()).unwrap_or(u16::MAX).to_be_bytes());
        value.extend_from_slice(rdata);
    }
    value
}

/// TTL and rdata of a value; nothing where the value is none.
pub(super) fn split_rrset_value(value: &[u8]) -> Option<(u32, Vec<Vec<u8>>)> {
    let (&ttl, mut rest) = value.split_first_chunk()?;
    let mut rdatas = Vec::new();
    while !rest.is_empty() {
        let (&length, tail) = rest.split_first_chunk()?;
        let (rdata, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(length)))?;
        rdatas.push(rdata.to_vec());
        rest = tail;
    }
    Some((u32::from_be_bytes(ttl), rdatas)).filter(|(_, rdatas)| !rdatas.is_empty())
}
