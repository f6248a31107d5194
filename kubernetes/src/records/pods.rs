//! The Pods of a namespace, where only those that run are answered.

use std::collections::HashMap;
use std::net::IpAddr;

/// A Pod as it is kept.
#[derive(Debug)]
struct Pod {
    /// Its addresses.
    addresses: Box<[IpAddr]>,
    /// The listing that it was seen in last.
    listing: u32,
}

/// The Pods of a namespace.
#[derive(Debug, Default)]
pub(super) struct Pods {
    /// They, by name.
    pods: HashMap<Box<str>, Pod>,
    /// How many have an address: those on a node's own network share it.
    counts: HashMap<IpAddr, u32>,
}

impl Pods {
    /// Takes the addresses of a Pod, none where it is no more; gives the addresses that come or go for the namespace, and
    /// whether they were there.
    pub(super) fn put(&mut self, name: &str, addresses: &[IpAddr], listing: u32) -> Vec<(IpAddr, bool)> {
        if let Some(pod) = self.pods.get_mut(name)
            && *pod.addresses == *addresses
        {
            pod.listing = listing;
            return Vec::new();
        }
        let mut changed = Vec::new();
        for address in addresses {
            let count = self.counts.entry(*address).or_default();
            *count += 1;
            if *count == 1 {
                changed.push((*address, false));
            }
        }
        let former = if addresses.is_empty() {
            self.pods.remove(name)
        } else {
            self.pods.insert(name.into(), Pod { addresses: addresses.into(), listing })
        };
        for address in former.into_iter().flat_map(|pod| pod.addresses) {
            let Some(count) = self.counts.get_mut(&address) else { continue };
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
                changed.push((address, true));
            }
        }
        changed
    }

    /// Whether a Pod has an address.
    pub(super) fn has(&self, address: &IpAddr) -> bool {
        self.counts.contains_key(address)
    }

    /// All addresses.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.counts.keys().copied().collect()
    }

    /// The Pods that a listing did not name.
    pub(super) fn unlisted(&self, listing: u32) -> impl Iterator<Item = Box<str>> {
        self.pods.iter().filter(move |(_, pod)| pod.listing != listing).map(|(name, _)| name.clone())
    }

    /// Their names and addresses.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[IpAddr])> {
        self.pods.iter().map(|(name, pod)| (&**name, &*pod.addresses))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.pods.len()
    }

    /// Bytes that they take, about.
    pub(super) fn bytes(&self) -> usize {
        let pod = |(name, addresses): (&str, &[IpAddr])| name.len() + size_of_val(addresses);
        let slots = self.pods.capacity() * size_of::<(Box<str>, Pod)>();
        slots + self.counts.capacity() * size_of::<(IpAddr, u32)>() + self.iter().map(pod).sum::<usize>()
    }

    /// True without any.
    pub(super) fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }
}
