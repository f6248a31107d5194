//! The tree of kdns-agent: `/kdns/<labels turned round>/<label of the record>/`, and the clients of views below
//! `/kdns/dnsviews/`.
//!
//! Keys stand for names as in the tree of ContainerDNS; each record says its view (`viewName`) and how its RRset is chosen
//! from (`lbMode`, `lbWeight`, `maxAnswer`). NS, MX and TXT records, which kdns has not, stand where ContainerDNS has them.

use std::net::IpAddr;
use std::sync::Arc;

use ringdns_engine::rate::{Network, NetworkError};
use ringdns_engine::select::Mode;
use serde::Deserialize;

use super::containerdns;
use super::layout::{Choice, Data, Fault, Host, Item, Key, Message, json};
use crate::views::{DEFAULT_NAME, is_name};

/// Where the clients of views stand, behind the prefix.
const VIEWS: &[u8] = b"/dnsviews/";

/// What the default view is called.
const DEFAULT_VIEW: &str = "no_info";

/// Networks, each with the view that its clients see.
pub(super) type Clients = Vec<(Network, Arc<str>)>;

/// The path that has the clients of views, with a slash at its end.
pub(super) fn views_path(prefix: &str) -> Vec<u8> {
    [prefix.as_bytes(), VIEWS].concat()
}

/// What only records of this tree have.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Extra {
    /// The view.
    view_name: Option<String>,
    /// How to choose: 0 all by turns, 1 one by turns, 2 one by weight, 3 one by the client's address.
    lb_mode: Option<u32>,
    /// The weight.
    lb_weight: Option<u32>,
    /// Most records of an answer; 0: no bound.
    max_answer: Option<u32>,
}

impl Extra {
    /// The view; nothing for the default view.
    fn view(&self) -> Result<Option<Arc<str>>, Fault> {
        match self.view_name.as_deref() {
            None | Some("" | DEFAULT_VIEW) => Ok(None),
            Some(name) if is_name(name) => Ok(Some(name.into())),
            Some(name) => Err(no_view(name)),
        }
    }

    /// How to choose.
    fn choice(&self) -> Result<Choice, Fault> {
        let mode = match self.lb_mode.unwrap_or(0) {
            0 => Mode::Rotate,
            1 => Mode::RoundRobin,
            2 => Mode::Weighted,
            3 => Mode::SourceHash,
            other => return Err(Fault::new(format!("lbMode {other} is not known"))),
        };
        let small = |number: Option<u32>| u16::try_from(number.unwrap_or(0)).unwrap_or(u16::MAX);
        // The original takes a weight of 0 for 1, and looks at weights with that mode only.
        let weight = if mode == Mode::Weighted { small(self.lb_weight).max(1) } else { 1 };
        Ok(Choice { mode, weight, answers_max: small(self.max_answer) })
    }
}

/// Says that a view cannot be called so.
fn no_view(name: &str) -> Fault {
    Fault::new(format!("\"{name}\" cannot be the name of a view"))
}

/// What a key says.
pub(super) fn items(key: &Key<'_>, message: &Message, extra: &Extra) -> Result<Vec<Item>, Fault> {
    let (view, choice) = (extra.view()?, extra.choice()?);
    let rtype = message.rtype.as_deref().unwrap_or_default().to_ascii_uppercase();
    let mut items = match rtype.as_str() {
        "NS" if view.is_some() => return Err(Fault::new("NS records are the same in every view")),
        "NS" | "MX" | "TXT" => containerdns::items(key, message)?,
        _ => {
            let owner = if rtype == "CNAME" { key.name.clone() } else { key.owner()? };
            vec![Item::new(owner, message.ttl_seconds(key.tree), data(&rtype, message)?)]
        }
    };
    for item in &mut items {
        (item.view, item.choice) = (view.clone(), Some(choice));
    }
    Ok(items)
}

/// The record of a type that kdns has.
fn data(rtype: &str, message: &Message) -> Result<Data, Fault> {
    let name = || match message.needed_host()? {
        Host::Name(name) => Ok(name),
        Host::Address(_) => Err(Fault::new(format!("the host of a record of type {rtype} is a name"))),
    };
    match rtype {
        "A" | "AAAA" => match message.needed_host()? {
            Host::Address(address @ IpAddr::V4(_)) if rtype == "A" => Ok(Data::Address(address)),
            Host::Address(address @ IpAddr::V6(_)) if rtype == "AAAA" => Ok(Data::Address(address)),
            _ => Err(Fault::new(format!("the host is no address for a record of type {rtype}"))),
        },
        "CNAME" => Ok(Data::Alias(name()?)),
        "PTR" => Ok(Data::Pointer(name()?)),
        "SRV" => Ok(Data::Service {
            priority: message.priority(),
            weight: message.weight.unwrap_or(0),
            port: message.port.unwrap_or(0),
            target: name()?,
        }),
        "" => Err(Fault::new("type is missing")),
        other => Err(Fault::new(format!("type \"{other}\" is not known"))),
    }
}

/// The networks of a view: a list, or one.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "cidrs is a list of networks")]
enum Cidrs {
    /// One.
    One(String),
    /// Any number.
    Many(Vec<String>),
}

/// A view.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct View {
    /// Its name.
    view_name: String,
    /// Its clients.
    cidrs: Cidrs,
}

/// The clients of a view, and what is wrong with the first network that cannot be read: the others count.
pub(super) fn clients(value: &[u8]) -> Result<(Clients, Option<Fault>), Fault> {
    let View { view_name, cidrs } = json(value)?;
    let name: Arc<str> = match view_name.as_str() {
        "" | DEFAULT_VIEW => DEFAULT_NAME.into(),
        name if is_name(name) => name.into(),
        name => return Err(no_view(name)),
    };
    let cidrs = match cidrs {
        Cidrs::One(cidr) => vec![cidr],
        Cidrs::Many(cidrs) => cidrs,
    };
    let (mut clients, mut fault) = (Vec::new(), None);
    for cidr in &cidrs {
        match cidr.parse::<Network>() {
            // The original looks at the leading bits alone.
            Ok(network) | Err(NetworkError::HostBits(network)) => clients.push((network, Arc::clone(&name))),
            Err(error) => {
                let here = || Fault::new(format!("\"{cidr}\" of view {view_name} is no network: {error}"));
                fault = fault.or_else(|| Some(here()));
            }
        }
    }
    Ok((clients, fault))
}
