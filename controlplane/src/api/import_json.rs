//! A zone from JSON, `{"zone": …, "rrsets": […]}` as it is exported. RRsets are taken one by one as they are read, so that a large
//! zone is never in memory as JSON.

use std::collections::HashSet;
use std::fmt;

use ringdns_engine::name::WireName;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::body::{self, NewRrsetBody};
use super::error::ApiError;
use super::import::{Brought, Progress};
use crate::model::Rrset;
use crate::store::WriteError;
use crate::views::Views;

/// What tells an RRset from others.
type Kind = (WireName, u16, Option<std::sync::Arc<str>>);

/// Takes RRsets.
struct Taker<'a> {
    /// The zone.
    apex: &'a WireName,
    /// The views that there are.
    views: &'a Views,
    /// Tells how far it is.
    progress: Progress,
    /// What was taken.
    rrsets: Vec<Rrset>,
    /// What must not come again.
    seen: HashSet<Kind>,
    /// What is wrong, where it is not JSON itself.
    error: Option<ApiError>,
    /// True once there was a list.
    is_there: bool,
}

/// Reads a body.
pub(super) fn read(bytes: &[u8], apex: &WireName, views: &Views, progress: Progress) -> Result<Brought, ApiError> {
    let (rrsets, seen) = (Vec::new(), HashSet::new());
    let mut taker = Taker { apex, views, progress, rrsets, seen, error: None, is_there: false };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = Body(&mut taker).deserialize(&mut json).and_then(|()| json.end());
    if let Err(error) = read {
        return Err(taker.error.unwrap_or_else(|| body::json_error(&error)));
    }
    if !taker.is_there {
        return Err(ApiError::invalid("rrsets", "missing_field", "it is missing"));
    }
    let places = (0..taker.rrsets.len()).map(place).collect();
    Ok(Brought { rrsets: taker.rrsets, places })
}

/// Where an RRset stands.
fn place(index: usize) -> String {
    format!("rrsets[{index}]")
}

impl Taker<'_> {
    /// Takes one RRset.
    fn take(&mut self, body: NewRrsetBody) -> Result<(), ApiError> {
        let mut rrset = body::whole_rrset(body, self.apex, self.views)?;
        rrset.normalise(self.apex).map_err(|error| ApiError::from(WriteError::from(error)))?;
        self.progress.add(rrset.rdatas.len());
        if !self.seen.insert((rrset.owner.clone(), rrset.rtype, rrset.view.clone())) {
            return Err(ApiError::new(422, "repeated_rrset", "owner, type and view are those of an RRset before")
                .remedy("send one RRset with all of its records"));
        }
        self.rrsets.push(rrset);
        Ok(())
    }

    /// Keeps what is wrong, and ends the reading.
    fn fail<E: serde::de::Error>(&mut self, error: ApiError) -> E {
        self.error = Some(error);
        E::custom("refused")
    }
}

/// The body.
struct Body<'t, 'a>(&'t mut Taker<'a>);

impl<'de> DeserializeSeed<'de> for Body<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with rrsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "rrsets" => map.next_value_seed(List(self.0))?,
                "zone" => {
                    let given: String = map.next_value()?;
                    if body::apex(&given).as_ref() != Ok(self.0.apex) {
                        let message = format!("the zone is {}", self.0.apex);
                        return Err(self.0.fail(ApiError::invalid("zone", "another_zone", message)));
                    }
                }
                "generation" => drop(map.next_value::<IgnoredAny>()?),
                _ => {
                    let error = ApiError::invalid(key, "unknown_field", "known are zone, generation and rrsets");
                    return Err(self.0.fail(error));
                }
            }
        }
        Ok(())
    }
}

/// The list of RRsets.
struct List<'t, 'a>(&'t mut Taker<'a>);

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of RRsets")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if std::mem::replace(&mut self.0.is_there, true) {
            return Err(A::Error::custom("rrsets is there twice"));
        }
        while let Some(value) = list.next_element::<serde_json::Value>()? {
            let taken = body::part(value).and_then(|rrset| self.0.take(rrset));
            if let Err(error) = taken {
                let place = place(self.0.rrsets.len());
                return Err(self.0.fail(error.within(&place)));
            }
        }
        Ok(())
    }
}
