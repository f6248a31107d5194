//! Tags: what tells whether an RRset or a zone is still what somebody saw (the entity tags of RFC 9110 section 8.8.3). A tag
//! is made of the records alone, so it is the same after a restart, on every server, and whoever asks.

use std::fmt;

use redb::ReadableTable as _;
use ringdns_engine::name::WireName;
use ringdns_engine::select::Selection;

use super::edit::Look;
use super::schema::{rrset_key, rrset_of};
use super::write::Stored as _;
use super::{Write, WriteError};
use crate::canonical::push_name;
use crate::model::Rrset;
use crate::text::rtype;

/// A tag: a hash of 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(u128);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{:032x}\"", self.0)
    }
}

impl Tag {
    /// Of nothing yet: FNV-1a of 128 bits. Nobody gains by two RRsets with the same tag, so nothing stronger is called for.
    pub(crate) fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    /// Takes bytes in.
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    /// Takes a piece in whose end can be told.
    fn take_piece(&mut self, bytes: &[u8]) {
        self.take(&(bytes.len() as u64).to_be_bytes());
        self.take(bytes);
    }

    /// Takes an RRset in.
    pub(crate) fn take_rrset<'a>(
        &mut self,
        owner: &WireName,
        (rtype, view): (u16, Option<&str>),
        ttl: u32,
        selection: Option<&Selection>,
        rdatas: impl Iterator<Item = &'a [u8]>,
    ) {
        let mut key = Vec::new();
        push_name(&mut key, owner);
        self.take_piece(&key);
        self.take(&rtype.to_be_bytes());
        self.take_piece(view.unwrap_or_default().as_bytes());
        self.take(&ttl.to_be_bytes());
        if let Some(selection) = selection {
            self.take(&[1, selection.mode as u8]);
            self.take(&selection.answers_max.to_be_bytes());
            self.take(&(selection.members.len() as u64).to_be_bytes());
            for member in &selection.members {
                self.take(&member.weight.to_be_bytes());
                self.take(&[u8::from(member.up)]);
            }
        }
        rdatas.for_each(|rdata| self.take_piece(rdata));
    }

    /// Takes an RRset of the store in.
    fn take_stored(&mut self, rrset: &Rrset) {
        let kind = (rrset.rtype, rrset.view.as_deref());
        let rdatas = rrset.rdatas.iter().map(Vec::as_slice);
        self.take_rrset(&rrset.owner, kind, rrset.ttl, rrset.selection.as_deref(), rdatas);
    }

    /// The tag of what a write is about, as the store has it; nothing where it is not there.
    pub(super) fn stored(look: &impl Look, write: &Write) -> Result<Option<Self>, WriteError> {
        let mut tag = Self::new();
        match write {
            Write::PutRrset { apex, rrset, .. } => {
                let kind = (rrset.rtype, rrset.view.as_deref());
                tag.take_found(stored(look, apex, &rrset.owner, kind)?)
            }
            Write::DeleteRrset { apex, owner, rtype, view } => {
                tag.take_found(stored(look, apex, owner, (*rtype, view.as_deref()))?)
            }
            // Every change of a zone raises its serial, so SOA and NS records stand for all that is in it.
            Write::PutZone { apex, .. } | Write::DeleteZone { apex } => {
                let Some(soa) = stored(look, apex, apex, (rtype::SOA, None))? else { return Ok(None) };
                tag.take_stored(&soa);
                tag.take_found(stored(look, apex, apex, (rtype::NS, None))?)
            }
            // These have no tags, and no request names a condition for them.
            Write::PutView { .. } | Write::DeleteView { .. } | Write::Edit(_) => Ok(None),
        }
    }

    /// The tag with an RRset taken in; nothing where there is none.
    fn take_found(mut self, rrset: Option<Rrset>) -> Result<Option<Self>, WriteError> {
        Ok(rrset.map(|rrset| {
            self.take_stored(&rrset);
            self
        }))
    }
}

/// An RRset of the store, of any view.
pub(super) fn stored(
    look: &impl Look,
    apex: &WireName,
    owner: &WireName,
    (rtype, view): (u16, Option<&str>),
) -> Result<Option<Rrset>, WriteError> {
    let key = rrset_key(apex, owner, rtype, view);
    let value = look.rrsets().get(key.as_slice()).stored()?;
    Ok(value.and_then(|value| rrset_of(&key, value.value())).map(|(_, rrset)| rrset))
}

/// What must be so for a write to be carried out (RFC 9110 section 13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// `If-Match`: it must be one of these.
    pub(crate) only: Option<Tags>,
    /// `If-None-Match`: it must be none of these.
    pub(crate) not: Option<Tags>,
}

/// The tags that a condition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`: whatever there is.
    Any,
    /// Any of these, as they are shown.
    These(Vec<String>),
}

impl Tags {
    /// True where what is there is among them.
    pub(crate) fn include(&self, current: Option<Tag>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::These(tags), Some(tag)) => {
                let tag = tag.to_string();
                tags.contains(&tag)
            }
        }
    }
}

impl Condition {
    /// True where there is something to be met.
    pub(crate) fn is_some(&self) -> bool {
        self.only.is_some() || self.not.is_some()
    }

    /// True where it is met.
    pub(crate) fn is_met(&self, current: Option<Tag>) -> bool {
        self.only.as_ref().is_none_or(|tags| tags.include(current))
            && !self.not.as_ref().is_some_and(|tags| tags.include(current))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tag of an RRset.
    fn tag(rrset: &Rrset) -> String {
        let mut tag = Tag::new();
        tag.take_stored(rrset);
        tag.to_string()
    }

    #[test]
    fn everything_that_an_rrset_is_makes_its_tag() {
        let owner: WireName = "a.example.".parse().unwrap();
        let rrset = Rrset::new(owner, 1, 300, vec![vec![192, 0, 2, 1], vec![192, 0, 2, 2]]);
        let same = Rrset { owner: "A.example.".parse().unwrap(), ..rrset.clone() };
        assert_eq!(tag(&rrset), tag(&same), "names have no case");
        // The tag of a version of RingDNS is that of the next: clients keep them.
        assert_eq!(tag(&rrset), "\"94087f9ddca33132f9ddf60e802bce86\"");
        let others = [
            Rrset { owner: "b.example.".parse().unwrap(), ..rrset.clone() },
            Rrset { rtype: 28, ..rrset.clone() },
            Rrset { ttl: 301, ..rrset.clone() },
            Rrset { view: Some("v".into()), ..rrset.clone() },
            Rrset { selection: Some(Box::default()), ..rrset.clone() },
            Rrset { rdatas: vec![vec![192, 0, 2, 2], vec![192, 0, 2, 1]], ..rrset.clone() },
            Rrset { rdatas: vec![vec![192, 0, 2, 1, 192, 0, 2, 2]], ..rrset.clone() },
        ];
        let tags: std::collections::HashSet<String> = others.iter().chain([&rrset]).map(tag).collect();
        assert_eq!(tags.len(), others.len() + 1);
    }

    #[test]
    fn conditions_are_met_as_rfc_9110_says() {
        let here = Some(Tag(7));
        let these = |tag: u128| Some(Tags::These(vec!["\"x\"".into(), Tag(tag).to_string()]));
        for (only, not, current, met) in [
            (None, None, None, true),
            (Some(Tags::Any), None, here, true),
            (Some(Tags::Any), None, None, false),
            (None, Some(Tags::Any), here, false),
            (None, Some(Tags::Any), None, true),
            (these(7), None, here, true),
            (these(8), None, here, false),
            (these(7), None, None, false),
            (None, these(7), here, false),
            (None, these(8), here, true),
            (these(7), these(7), here, false),
        ] {
            let condition = Condition { only, not };
            assert_eq!(condition.is_met(current), met, "{condition:?} {current:?}");
        }
    }
}
