//! What is written: each request is decided and carried out in one transaction of the store, whatever its size.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use ringdns_engine::name::WireName;
use ringdns_engine::rate::Network;

use super::record::Record;
use super::refusal::{Reason, Refused};
use super::request::ViewOrder;
use super::shelf::{self, Bench, NETWORKS};
use crate::store::{Desk, Edit, Look, Write, WriteError};
use crate::views;

/// What is to be done with what a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Make it.
    Post,
    /// Remove it.
    Delete,
}

/// What an edit could not take; of its last run, as edits may be run again.
type Report = Mutex<Vec<Refused>>;

/// Takes what a report has.
pub(super) fn take(report: &Report) -> Vec<Refused> {
    std::mem::take(&mut *report.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Makes the zones of the configuration where they are missing.
#[derive(Debug)]
pub(super) struct MakeZones {
    /// The zones.
    pub(super) zones: Vec<WireName>,
}

impl Edit for MakeZones {
    fn edit(&self, desk: &mut Desk<'_, '_>) -> Result<(), WriteError> {
        self.zones.iter().try_for_each(|apex| shelf::ensure_zone(desk, apex))
    }
}

/// Records of one name.
#[derive(Debug)]
struct Name {
    /// The zone.
    apex: WireName,
    /// The owner.
    owner: WireName,
    /// The records, in the order of the request.
    records: Vec<Record>,
}

/// Records by the keys of their names: in the order in which the store's file has them.
type ByName = BTreeMap<Vec<u8>, Name>;

/// Makes or removes records.
#[derive(Debug)]
pub(super) struct EditRecords {
    /// What is to be done.
    method: Method,
    /// The records that may be taken, by name: what one name costs is paid once.
    names: ByName,
    /// What the configuration refuses already.
    refused: Vec<Refused>,
    /// What could not be taken.
    pub(super) report: Report,
}

impl EditRecords {
    /// Sorts records. `writable` gives the zone of a name, or why it has none that can be written.
    pub(super) fn new(
        method: Method,
        records: Vec<Record>,
        writable: impl Fn(&WireName, &WireName) -> Result<(), Reason>,
    ) -> Self {
        let (mut names, mut refused) = (ByName::new(), Vec::new());
        for record in records {
            // The reader has seen that both are names.
            let (Some(apex), Some(owner)) = (record.apex(), record.owner()) else { continue };
            let checked = writable(&apex, &owner);
            let fault = checked.err().or_else(|| shelf::fault(&record).filter(|_| method == Method::Post));
            match fault {
                Some(reason) => refused.push(Refused { what: shelf::describe(&record), reason }),
                None => {
                    let name = names.entry(shelf::key(&apex, &owner));
                    name.or_insert(Name { apex, owner, records: Vec::new() }).records.push(record);
                }
            }
        }
        Self { method, names, refused, report: Report::default() }
    }
}

impl Edit for EditRecords {
    fn edit(&self, desk: &mut Desk<'_, '_>) -> Result<(), WriteError> {
        let mut refused = self.refused.clone();
        for Name { apex, owner, records } in self.names.values() {
            if self.method == Method::Post {
                shelf::ensure_zone(desk, apex)?;
            }
            let mut bench = Bench { desk: &mut *desk, apex, owner, refused: &mut refused };
            match self.method {
                Method::Post => bench.add(records)?,
                Method::Delete => bench.remove(records)?,
            }
        }
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        Ok(())
    }
}

/// Makes or removes networks of views.
#[derive(Debug)]
pub(super) struct EditViews {
    /// What is to be done.
    pub(super) method: Method,
    /// The networks.
    pub(super) orders: Vec<ViewOrder>,
    /// What could not be taken.
    pub(super) report: Report,
}

/// The key of a network, as it was written.
fn key(cidr: &str) -> Vec<u8> {
    [&NETWORKS, cidr.as_bytes()].concat()
}

/// The views of the store, while they are being changed.
struct Scene {
    /// The networks of each.
    views: BTreeMap<String, Vec<Network>>,
    /// The view of each network.
    of: HashMap<Network, String>,
    /// Those that have changed.
    touched: HashSet<String>,
}

impl Scene {
    /// What the store has.
    fn new(look: &impl Look) -> Result<Self, WriteError> {
        let views: BTreeMap<String, Vec<Network>> = look.views()?.into_iter().collect();
        let of = views.iter().flat_map(|(name, list)| list.iter().map(move |&network| (network, name.clone())));
        Ok(Self { of: of.collect(), views, touched: HashSet::new() })
    }

    /// Adds a network; why it cannot be added otherwise.
    fn add(&mut self, desk: &mut Desk<'_, '_>, order: &ViewOrder) -> Result<Option<Reason>, WriteError> {
        let ViewOrder { view, cidr } = order;
        let Some(network) = order.network() else { return Ok(Some(Reason::Network)) };
        if !views::is_name(view) {
            return Ok(Some(Reason::ViewName));
        }
        match self.of.get(&network) {
            // The same network by another text could be removed by one of the two only.
            Some(known) if known == view && desk.note(&key(cidr))?.as_deref() == Some(view.as_bytes()) => {}
            Some(known) if known == view && written(desk, network)?.is_none() => {
                desk.set_note(&key(cidr), Some(view.as_bytes()))?;
            }
            Some(_) => return Ok(Some(Reason::OtherView)),
            None => {
                self.of.insert(network, view.clone());
                self.views.entry(view.clone()).or_default().push(network);
                self.touched.insert(view.clone());
                desk.set_note(&key(cidr), Some(view.as_bytes()))?;
            }
        }
        Ok(None)
    }

    /// Removes a network that was written so. What is not there is no mistake.
    fn remove(&mut self, desk: &mut Desk<'_, '_>, order: &ViewOrder) -> Result<(), WriteError> {
        let ViewOrder { view, cidr } = order;
        if desk.note(&key(cidr))?.as_deref() != Some(view.as_bytes()) {
            return Ok(());
        }
        desk.set_note(&key(cidr), None)?;
        let Some(network) = order.network().filter(|network| self.of.get(network) == Some(view)) else {
            return Ok(());
        };
        self.of.remove(&network);
        if let Some(networks) = self.views.get_mut(view) {
            networks.retain(|known| *known != network);
            self.touched.insert(view.clone());
        }
        Ok(())
    }

    /// Writes what has changed; gives why a view could not be written.
    fn settle(mut self, desk: &mut Desk<'_, '_>) -> Result<Vec<Refused>, WriteError> {
        let mut refused = Vec::new();
        for name in self.touched {
            let networks = self.views.remove(&name).unwrap_or_default();
            let write = if networks.is_empty() {
                Write::DeleteView { name: name.clone() }
            } else {
                Write::PutView { name: name.clone(), networks }
            };
            if let Err(error) = desk.write(write) {
                let reason = Reason::of_error(&error).ok_or(error)?;
                refused.push(Refused { what: format!("view {name}"), reason });
            }
        }
        Ok(refused)
    }
}

/// How a network that is kept was written, where this interface made it.
fn written(look: &impl Look, network: Network) -> Result<Option<String>, WriteError> {
    let found = networks(look)?.into_iter().find(|order| order.network() == Some(network));
    Ok(found.map(|order| order.cidr))
}

/// Every network that this interface was told, in the order of their texts.
fn networks(look: &impl Look) -> Result<Vec<ViewOrder>, WriteError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let order = |(key, value): (Vec<u8>, Vec<u8>)| ViewOrder {
        cidr: text(key.get(NETWORKS.len()..).unwrap_or_default()),
        view: text(&value),
    };
    Ok(look.notes_below(&NETWORKS)?.into_iter().map(order).collect())
}

/// The networks that this interface was told and that are still those of their views.
pub(super) fn networks_served(look: &impl Look) -> Result<Vec<ViewOrder>, WriteError> {
    let scene = Scene::new(look)?;
    let mut orders = networks(look)?;
    orders.retain(|order| order.network().is_some_and(|network| scene.of.get(&network) == Some(&order.view)));
    Ok(orders)
}

impl Edit for EditViews {
    fn edit(&self, desk: &mut Desk<'_, '_>) -> Result<(), WriteError> {
        let mut scene = Scene::new(desk)?;
        let mut refused = Vec::new();
        for order in &self.orders {
            match self.method {
                Method::Delete => scene.remove(desk, order)?,
                Method::Post => {
                    if let Some(reason) = scene.add(desk, order)? {
                        let ViewOrder { view, cidr } = order;
                        refused.push(Refused { what: format!("network {cidr} of view {view}"), reason });
                    }
                }
            }
        }
        refused.extend(scene.settle(desk)?);
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        Ok(())
    }
}
