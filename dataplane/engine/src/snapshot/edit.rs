//! Interim signatures.
#![allow(missing_docs, clippy::missing_docs_in_private_items, unused_variables, clippy::unimplemented)]
use crate::{name::WireName, snapshot::Snapshot};
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrsetSpec { pub rtype: u16, pub ttl: u32, pub origin: u8, pub rdatas: Vec<Vec<u8>> }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditError { NoZone, OutOfZone, TooLarge, Empty, CnameAndOther, RdataMalformed }
impl std::fmt::Display for EditError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{self:?}") } }
impl std::error::Error for EditError {}
pub struct Editor;
impl Editor {
    pub fn new(base: &Snapshot) -> Editor { Editor }
    pub fn put_rrset(&mut self, apex: &WireName, owner: &WireName, rrset: &RrsetSpec) -> Result<(), EditError> { unimplemented!() }
    pub fn remove_rrset(&mut self, apex: &WireName, owner: &WireName, rtype: u16) -> bool { unimplemented!() }
    pub fn rrset(&mut self, apex: &WireName, owner: &WireName, rtype: u16) -> Option<RrsetSpec> { unimplemented!() }
    pub fn rrsets(&mut self, apex: &WireName, owner: &WireName) -> Vec<RrsetSpec> { unimplemented!() }
    pub fn add_zone(&mut self, apex: &WireName) { unimplemented!() }
    pub fn remove_zone(&mut self, apex: &WireName) -> u64 { unimplemented!() }
    pub fn set_complete(&mut self, complete: bool) { unimplemented!() }
    pub fn commit(self) -> Snapshot { unimplemented!() }
}
