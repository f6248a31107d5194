//! Interim signatures.
#![allow(missing_docs, clippy::missing_docs_in_private_items, unused_variables, clippy::unimplemented)]
pub mod edit;
use crate::name::WireName;
#[derive(Debug)]
pub struct Snapshot;
impl Snapshot {
    pub fn empty() -> Snapshot { Snapshot }
    pub fn generation(&self) -> u64 { 0 }
    pub fn names(&self) -> u64 { 0 }
    pub fn rrsets(&self) -> u64 { 0 }
    pub fn memory_bytes(&self) -> u64 { 0 }
    pub fn is_complete(&self) -> bool { false }
    pub fn zones(&self) -> Vec<WireName> { vec![] }
    pub fn node(&self, apex: &WireName, owner: &WireName) -> Option<NodeView<'_>> { None }
    pub fn nodes(&self, apex: &WireName) -> impl Iterator<Item = NodeView<'_>> { std::iter::empty() }
}
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'a>(pub &'a ());
impl<'a> NodeView<'a> {
    pub fn owner(&self) -> WireName { unimplemented!() }
    pub fn rrsets(&self) -> impl Iterator<Item = RrsetView<'a>> + use<'a> { std::iter::empty() }
    pub fn rrset(&self, rtype: u16) -> Option<RrsetView<'a>> { None }
}
#[derive(Clone, Copy, Debug)]
pub struct RrsetView<'a>(pub &'a ());
impl<'a> RrsetView<'a> {
    pub fn rtype(&self) -> u16 { 0 }
    pub fn ttl(&self) -> u32 { 0 }
    pub fn origin(&self) -> u8 { 0 }
    pub fn rdatas(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> { std::iter::empty() }
}
