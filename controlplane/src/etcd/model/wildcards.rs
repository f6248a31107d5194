//! How many names stand for questions with `*` and `any`, and what happens where they are too many.

use std::sync::Arc;

use ringdns_engine::name::WireName;

use super::super::skydns;
use super::{Keys, Model};
use crate::model::{Change, Rrset};

impl Model {
    /// Counts an owner that has come or gone, if it stands for questions with `*` and `any`.
    pub(super) fn count_wildcard(&mut self, owner: &WireName, has_come: bool) {
        let Some((place, _)) = self.zone(owner) else { return };
        let Some(count) = self.wildcards.get_mut(place).and_then(Option::as_mut) else { return };
        if skydns::is_wildcard(owner) {
            *count = if has_come { *count + 1 } else { count.saturating_sub(1) };
        }
    }

    /// Gives up the names of questions of trees that have more of them than they may: a part of them would be answered on one
    /// server and denied on another.
    pub(super) fn bound_wildcards(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for place in 0..self.trees.len() {
            let (tree, Some(count)) = (&self.trees[place], self.wildcards[place]) else { continue };
            if count <= tree.wildcard_names_max {
                continue;
            }
            tracing::error!(
                prefix = tree.prefix,
                names = count,
                "questions with \"*\" and \"any\" are no longer answered: they take more names than wildcard_names_max, \
                 which is {}; raise it and restart",
                tree.wildcard_names_max
            );
            let is_one =
                |owner: &&WireName| skydns::is_wildcard(owner) && self.zone(owner).is_some_and(|(of, _)| of == place);
            let owners: Vec<WireName> = self.owners.keys().filter(is_one).cloned().collect();
            let former: Vec<Vec<Rrset>> = owners.iter().map(|owner| self.rrsets(owner)).collect();
            self.wildcards[place] = None;
            for (owner, former) in owners.iter().zip(former) {
                // Keys whose own labels are such words stay.
                let keys = self.owners.remove(owner).unwrap_or_default();
                let stays = |key: &Arc<[u8]>| {
                    let value = self.keys.get(key);
                    value.is_some_and(|value| self.read(key, value).0.items.iter().any(|item| item.owner == *owner))
                };
                let keys: Keys = keys.into_iter().filter(stays).collect();
                if !keys.is_empty() {
                    self.owners.insert(owner.clone(), keys);
                }
                changes.extend(self.changes(owner, &former));
            }
        }
        changes
    }

    /// The prefixes of trees whose questions with `*` and `any` are not answered for their number.
    pub(in crate::etcd) fn refused_wildcards(&self) -> Vec<String> {
        let refused =
            self.trees.iter().zip(&self.wildcards).filter(|(tree, count)| tree.has_wildcards() && count.is_none());
        refused.map(|(tree, _)| tree.prefix.clone()).collect()
    }
}
