//! Bodies of requests: JSON that is read as leniently as the original reads it.

use std::fmt;

use ringdns_engine::rate::{Network, NetworkError};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::Record;

/// A view's network as a request says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ViewOrder {
    /// The view's name.
    pub(super) view: String,
    /// The network, as it was written.
    pub(super) cidr: String,
}

impl ViewOrder {
    /// Reads an object; nothing where a member is missing or no text.
    fn parse(value: &Value) -> Option<Self> {
        let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        Some(Self { view: text("viewName")?, cidr: text("cidrs")? })
    }

    /// The order as it is shown, its members in the order of the original.
    pub(super) fn show(&self) -> ShownView<'_> {
        ShownView { view_name: &self.view, cidrs: &self.cidr }
    }

    /// The network; bits beyond its mask do not count, as in the original. Nothing where it is none.
    pub(super) fn network(&self) -> Option<Network> {
        match self.cidr.parse() {
            Ok(network) | Err(NetworkError::HostBits(network)) => Some(network),
            Err(NetworkError::Address | NetworkError::Prefix) => None,
        }
    }
}

/// A network of a view as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct ShownView<'a> {
    /// The view's name.
    #[serde(rename = "viewName")]
    view_name: &'a str,
    /// The network.
    cidrs: &'a str,
}

/// What a body asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted<T> {
    /// What could be read, up to the first that could not.
    pub(super) items: Vec<T>,
    /// True where all could be read.
    pub(super) is_whole: bool,
}

/// What is read of an object.
pub(super) trait Item: Sized {
    /// Reads an object; nothing where it is none of its kind.
    fn read(value: &Value) -> Option<Self>;
}

impl Item for Record {
    fn read(value: &Value) -> Option<Self> {
        Self::parse(value)
    }
}

impl Item for ViewOrder {
    fn read(value: &Value) -> Option<Self> {
        Self::parse(value)
    }
}

impl<T: Item> Wanted<T> {
    /// Reads a body of one object.
    pub(super) fn one(bytes: &[u8]) -> Self {
        let item = serde_json::from_slice(bytes).ok().and_then(|value| T::read(&value));
        Self { is_whole: item.is_some(), items: item.into_iter().collect() }
    }

    /// Reads a body of a list.
    pub(super) fn list(bytes: &[u8]) -> Self {
        let List(wanted) = serde_json::from_slice(bytes).unwrap_or_default();
        wanted
    }
}

/// A list whose elements are read one by one, so that a large one is never held as JSON.
struct List<T>(Wanted<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Wanted { items: Vec::new(), is_whole: false })
    }
}

impl<'de, T: Item> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(Wanted { items: Vec::new(), is_whole: true })).map(List)
    }
}

/// Takes the elements of a list.
struct ListVisitor<T>(Wanted<T>);

impl<'de, T: Item> Visitor<'de> for ListVisitor<T> {
    type Value = Wanted<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Wanted<T>, A::Error> {
        while let Some(value) = list.next_element::<Value>()? {
            // What follows the first that is wrong is read for its syntax only.
            match T::read(&value).filter(|_| self.0.is_whole) {
                Some(item) => self.0.items.push(item),
                None => self.0.is_whole = false,
            }
        }
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of the views, and whether all could be read.
    fn list(text: &str) -> (Vec<String>, bool) {
        let Wanted { items, is_whole } = Wanted::<ViewOrder>::list(text.as_bytes());
        (items.into_iter().map(|order| order.view).collect(), is_whole)
    }

    #[test]
    fn lists_are_read_up_to_the_first_mistake() {
        let view = |name: &str| format!(r#"{{"viewName":"{name}","cidrs":"10.0.0.0/8","more":[1]}}"#);
        let (a, b) = (view("a"), view("b"));
        assert_eq!(list(&format!("[{a},{b}]")), (vec!["a".into(), "b".into()], true));
        assert_eq!(list(&format!("[{a},{{}},{b}]")), (vec!["a".into()], false));
        assert_eq!(list("[]"), (vec![], true));
        for malformed in ["", "{", "null", &a, &format!("[{a}"), &format!("[{a}] x"), "[1,]"] {
            assert_eq!(list(malformed), (vec![], false), "{malformed}");
        }
        assert!(Wanted::<ViewOrder>::one(a.as_bytes()).is_whole);
        assert!(!Wanted::<ViewOrder>::one(format!("[{a}]").as_bytes()).is_whole);
        assert!(!Wanted::<ViewOrder>::one(br#"{"viewName":"a","cidrs":5}"#).is_whole);
    }

    #[test]
    fn networks_are_read_with_bits_beyond_the_mask_and_without_a_mask() {
        for (cidr, network) in [
            ("192.168.0.7/24", Some("192.168.0.0/24")),
            ("192.168.0.7", Some("192.168.0.7/32")),
            ("192.168.0.7/32", Some("192.168.0.7/32")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("2001:db8::1/32", Some("2001:db8::/32")),
            ("192.168.0.0/33", None),
            ("gz", None),
        ] {
            let order = ViewOrder { view: "gz".into(), cidr: cidr.into() };
            assert_eq!(order.network(), network.map(|network| network.parse().unwrap()), "{cidr}");
        }
    }
}
