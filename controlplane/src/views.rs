//! The names of views, and the numbers under which the engine knows them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use ringdns_engine::rate::Network;
use ringdns_engine::select::VIEW_DEFAULT;

use crate::merge::ClientsOfViews;

/// What the default view is called where it must be called something; no other view can have the name.
pub const DEFAULT_NAME: &str = "default";

/// Most bytes of a view's name.
pub const NAME_BYTES_MAX: usize = 64;

/// Names of views by number; the default view is number 0. A number once given stays the same as long as the program runs.
#[derive(Debug)]
pub struct Views {
    /// The names; written where a source names a view for the first time.
    names: RwLock<Names>,
}

/// Names and numbers of views.
#[derive(Debug, Default)]
struct Names {
    /// The name of each number.
    names: Vec<String>,
    /// The number of each name.
    numbers: HashMap<String, u16>,
    /// The numbers of the default view and of those that a source says clients of: only these have any.
    configured: HashSet<u16>,
    /// Which clients see which view, by source.
    clients: BTreeMap<u8, ClientsOfViews>,
}

impl Names {
    /// Gives a name the next number, unless it has one; nothing where all numbers are taken.
    fn add(&mut self, name: &str) -> Option<u16> {
        if let Some(&number) = self.numbers.get(name) {
            return Some(number);
        }
        let number = u16::try_from(self.names.len()).ok()?;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        Some(number)
    }
}

impl Default for Views {
    fn default() -> Self {
        Self::new([])
    }
}

impl Views {
    /// The views of the configuration, from number 1 on.
    pub fn new<'a>(configured: impl IntoIterator<Item = &'a str>) -> Self {
        let views = Self { names: RwLock::default() };
        views.configure(configured);
        views
    }

    /// Says anew which clients see which view by a source; gives all networks and the numbers of their views. Where several
    /// sources name a network, the first of them counts, as with records.
    pub(crate) fn set_clients(&self, origin: u8, clients: ClientsOfViews) -> Vec<(Network, u16)> {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.clients.insert(origin, clients);
        let all: Vec<_> = names.clients.values().flatten().cloned().collect();
        let numbered = all.iter().filter_map(|(network, name)| Some((*network, names.add(name)?))).collect::<Vec<_>>();
        names.configured = numbered.iter().map(|&(_, number)| number).chain([VIEW_DEFAULT]).collect();
        numbered
    }

    /// The views that have clients: the number of the source that says so, the name, the networks.
    pub(crate) fn of_sources(&self) -> Vec<(u8, String, Vec<Network>)> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<(u8, String, Vec<Network>)> = Vec::new();
        let mut places: HashMap<(u8, &str), usize> = HashMap::new();
        for (&origin, clients) in &names.clients {
            for (network, name) in clients {
                let place = *places.entry((origin, name)).or_insert(found.len());
                match found.get_mut(place) {
                    Some((_, _, networks)) => networks.push(*network),
                    None => found.push((origin, name.to_string(), vec![*network])),
                }
            }
        }
        found
    }

    /// Says anew which views have clients.
    fn configure<'a>(&self, configured: impl IntoIterator<Item = &'a str>) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let numbers = std::iter::once(DEFAULT_NAME).chain(configured).filter_map(|name| names.add(name)).collect();
        names.configured = numbers;
    }

    /// The number of a view that has clients.
    pub fn configured(&self, name: &str) -> Option<u16> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.numbers.get(name).copied().filter(|number| names.configured.contains(number))
    }

    /// The number of any view; one that is not known gets the next. Such a view is remembered with its records and has no
    /// clients, until a source says some again. Nothing where all numbers are taken.
    pub(crate) fn number(&self, name: Option<&str>) -> Option<u16> {
        let Some(name) = name else { return Some(VIEW_DEFAULT) };
        if let Some(number) = self.position(name) {
            return Some(number);
        }
        self.names.write().unwrap_or_else(PoisonError::into_inner).add(name)
    }

    /// The number of a view that has one; the default view has no name.
    pub fn known(&self, name: Option<&str>) -> Option<u16> {
        name.map_or(Some(VIEW_DEFAULT), |name| self.position(name))
    }

    /// The name of a view; nothing for the default view.
    pub fn name(&self, number: u16) -> Option<String> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.names.get(usize::from(number)).filter(|_| number != VIEW_DEFAULT).cloned()
    }

    /// Where a name stands.
    fn position(&self, name: &str) -> Option<u16> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.numbers.get(name).copied()
    }
}

/// True for what a view can be called: letters, digits, `-`, `_` and `.`, so that it stands in a URL as it is.
pub(crate) fn is_name(name: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name != DEFAULT_NAME && name.bytes().all(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_and_only_the_configuration_s_views_have_clients() {
        let views = Views::new(["fra", "muc"]);
        assert_eq!(
            (views.number(None), views.number(Some("muc")), views.number(Some("old"))),
            (Some(0), Some(2), Some(3))
        );
        assert_eq!((views.number(Some("old")), views.number(Some("older"))), (Some(3), Some(4)));
        assert_eq!(
            (views.configured("fra"), views.configured("old"), views.configured("default")),
            (Some(1), None, Some(0))
        );
        assert_eq!((views.name(0), views.name(4).as_deref(), views.name(5)), (None, Some("older"), None));
    }

    #[test]
    fn the_configuration_can_change_its_mind() {
        let views = Views::new(["fra", "muc"]);
        views.configure(["muc", "ber"]);
        assert_eq!(["fra", "muc", "ber"].map(|name| views.configured(name)), [None, Some(2), Some(3)]);
        assert_eq!(views.number(Some("fra")), Some(1), "its records are remembered");
    }

    #[test]
    fn names_are_good_for_urls() {
        assert!(["a", "fra-1", "x_y.z", &"n".repeat(64)].into_iter().all(is_name));
        assert!(!["", "default", "a b", "a/b", "ü", &"n".repeat(65)].into_iter().any(is_name));
    }
}
