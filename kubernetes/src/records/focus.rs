//! What of a Service's endpoints may differ between two times: the names and addresses of all others are not looked at, so that
//! an event of one slice does not cost all of a large Service.

use std::collections::HashSet;
use std::net::IpAddr;

use ringdns_engine::name::WireName;

use super::label;
use super::store::{StoredSlice, View};
use crate::options::EndpointLabel;

/// The endpoints of slices that differ.
#[derive(Debug, Default)]
pub(super) struct Focus {
    /// Their labels.
    labels: HashSet<Box<[u8]>>,
    /// Their addresses.
    addresses: HashSet<IpAddr>,
}

impl Focus {
    /// What may differ between two views of a Service; nothing: anything.
    pub(super) fn new(before: &View<'_>, after: &View<'_>, mode: EndpointLabel) -> Option<Self> {
        let parts = |view: &View<'_>| (view.visible, view.service.cloned(), view.import.cloned());
        if parts(before) != parts(after) {
            return None;
        }
        let mut focus = Self::default();
        for (slices, others) in [(before.slices, after.slices), (after.slices, before.slices)] {
            for slice in slices.iter().filter(|slice| !has(others, slice)) {
                focus.take(slice, mode);
            }
        }
        Some(focus)
    }

    /// Takes a slice's endpoints.
    fn take(&mut self, slice: &StoredSlice, mode: EndpointLabel) {
        for endpoint in slice.packed.read_slice().endpoints {
            self.labels.insert(label::label(&endpoint, mode).as_bytes().into());
            self.addresses.insert(endpoint.address);
        }
    }

    /// Whether the name of an endpoint may differ.
    pub(super) fn has_name(&self, name: &WireName) -> bool {
        name.labels().next().is_some_and(|label| self.labels.contains(label))
    }

    /// Whether an address may be called otherwise.
    pub(super) fn has_address(&self, address: &IpAddr) -> bool {
        self.addresses.contains(address)
    }
}

/// True where a slice is one of others, which are in the order of their names.
fn has(slices: &[StoredSlice], slice: &StoredSlice) -> bool {
    let place = slices.binary_search_by(|other| other.name.cmp(&slice.name));
    place.is_ok_and(|place| slices.get(place) == Some(slice))
}
