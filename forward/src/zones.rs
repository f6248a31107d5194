//! Who is asked for which names.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use ringdns_controlplane::config::forward::{ForwardConfig, ForwardMode, ForwardZone, UpstreamConfig, resolv_conf};
use ringdns_engine::name::WireName;

use crate::bootstrap::Hosts;
use crate::exchange::Connect;
use crate::forwarder::StartError;
use crate::pick::{Member, Pool, Wanted};
use crate::upstream::{Means, Switches};

/// A zone of others.
pub(crate) struct Zone {
    /// As it is configured.
    pub(crate) config: ForwardZone,
    /// Zones below it that are not asked for, in lower case.
    except: HashSet<Vec<u8>>,
    /// Who is asked.
    pub(crate) pool: Pool,
}

impl Zone {
    /// True where the same are asked for the same names.
    fn asks_as(&self, other: &Self) -> bool {
        let has_all = |one: &Self, other: &Self| {
            let has = |member: &Arc<Member>| other.pool.members().iter().any(|other| other.config == member.config);
            one.pool.members().iter().all(has)
        };
        (self.config.mode, &self.except) == (other.config.mode, &other.except)
            && has_all(self, other)
            && has_all(other, self)
    }
}

/// All zones of others.
pub(crate) struct Table {
    /// By name, in lower case.
    zones: HashMap<Vec<u8>, Arc<Zone>>,
}

/// Builds tables.
pub(crate) struct Builder<'a> {
    /// Takes upstreams up.
    pub(crate) connect: &'a Connect,
    /// What they have in common.
    pub(crate) means: &'a Means,
    /// The addresses of those that are given by name.
    pub(crate) hosts: &'a Hosts,
    /// Whose upstreams are taken over where they are used as before.
    pub(crate) before: Option<&'a Table>,
}

impl Builder<'_> {
    /// A table by a configuration.
    pub(crate) fn build(&self, config: &ForwardConfig) -> Result<Table, StartError> {
        let mut zones = HashMap::new();
        for zone in &config.zones {
            let switches = Switches::of(zone);
            let configs = self.upstreams(zone, config);
            let members: Result<Vec<Arc<Member>>, StartError> =
                configs.iter().map(|upstream| self.member(zone, upstream, &switches)).collect();
            let name = |name: &WireName| name.to_lowercase().as_bytes().to_vec();
            let except = zone.except.iter().map(name).collect();
            let pool = Pool::new(zone, members?);
            zones.insert(name(&zone.zone), Arc::new(Zone { config: zone.clone(), except, pool }));
        }
        Ok(Table { zones })
    }

    /// The upstreams of a zone, those of its file behind the others. Where the file names none any more, those that it named stay.
    fn upstreams(&self, zone: &ForwardZone, config: &ForwardConfig) -> Vec<Wanted> {
        let mut upstreams: Vec<Wanted> = Vec::new();
        for place in 0..=zone.upstreams.len() {
            for named in zone.named.iter().filter(|named| named.place == place) {
                let at = self.hosts.addresses(&named.host).into_iter().map(|address| named.at(address));
                let host = Some(named.host.clone());
                let others = at.filter(|upstream| !config.is_own(upstream.address()));
                upstreams.extend(others.map(|config| Wanted { config, host: host.clone() }));
            }
            upstreams.extend(zone.upstreams.get(place).map(|config| Wanted { config: config.clone(), host: None }));
        }
        let named = match servers(zone, config) {
            None => Vec::new(),
            Some(Ok(servers)) => servers.into_iter().map(UpstreamConfig::Plain).collect(),
            Some(Err(error)) => {
                tracing::warn!(zone = %zone.zone, "no upstreams are taken from the zone's file: {error}");
                let before = self.before.and_then(|table| table.zones.get(zone.zone.to_lowercase().as_bytes()));
                let members = before.map(|zone| zone.pool.members()).unwrap_or_default();
                members.iter().filter(|member| member.host.is_none()).map(|member| member.config.clone()).collect()
            }
        };
        let mut known: HashSet<UpstreamConfig> = zone.upstreams.iter().cloned().collect();
        let new: Vec<UpstreamConfig> = named.into_iter().filter(|config| known.insert(config.clone())).collect();
        upstreams.extend(new.into_iter().map(|config| Wanted { config, host: None }));
        // One that is given in two ways is one: by its address, by which it is there to be asked for names.
        upstreams.retain(|wanted| wanted.host.is_none() || known.insert(wanted.config.clone()));
        upstreams
    }

    /// One upstream of a zone: the one that was there, or a new one.
    fn member(&self, zone: &ForwardZone, wanted: &Wanted, switches: &Switches) -> Result<Arc<Member>, StartError> {
        let before = self.before.and_then(|table| table.zones.get(zone.zone.to_lowercase().as_bytes()));
        let same = |member: &&Arc<Member>| {
            (&member.config, &member.host, &member.switches) == (&wanted.config, &wanted.host, switches)
        };
        if let Some(member) = before.and_then(|zone| zone.pool.members().iter().find(same)) {
            return Ok(Arc::clone(member));
        }
        let exchange = (self.connect)(&wanted.config, switches, self.means)
            .map_err(|error| StartError::Upstream { zone: zone.zone.clone(), error })?;
        Ok(Arc::new(Member::new(wanted.clone(), switches.clone(), exchange)))
    }
}

/// The servers that a zone's file names now; nothing where it has no file. Why, where it names none.
pub(crate) fn servers(zone: &ForwardZone, config: &ForwardConfig) -> Option<Result<Vec<SocketAddr>, String>> {
    let named = resolv_conf::servers(zone.resolv_conf.as_ref()?, &config.own);
    Some(named.map_err(|error| format!("{error}; {}", error.remedy())))
}

impl Table {
    /// The zone whose upstreams are asked for a name: the longest that it is in. Nothing where nobody is asked.
    pub(crate) fn zone_of(&self, name: &WireName) -> Option<&Arc<Zone>> {
        let name = name.to_lowercase();
        let mut suffixes = Vec::with_capacity(8);
        let mut rest = name.as_bytes();
        loop {
            suffixes.push(rest);
            if let Some(zone) = self.zones.get(rest) {
                let is_excepted = suffixes.iter().any(|suffix| zone.except.contains(*suffix));
                return Some(zone).filter(|zone| !is_excepted && zone.config.mode != ForwardMode::Disable);
            }
            rest = match rest {
                [length, behind @ ..] if *length != 0 => behind.get(usize::from(*length)..)?,
                _ => return None,
            };
        }
    }

    /// The same without upstreams whose addresses have to be asked for, and without zones that then nobody is asked for: the names
    /// of these are asked of who is asked for the zone above.
    pub(crate) fn by_address(&self) -> Self {
        let kept = |(name, zone): (&Vec<u8>, &Arc<Zone>)| {
            let given = zone.pool.members().iter().filter(|member| member.host.is_none());
            let members: Vec<Arc<Member>> = given.cloned().collect();
            let is_kept = !members.is_empty() || zone.config.mode == ForwardMode::Disable;
            let pool = Pool::new(&zone.config, members);
            let made = Zone { config: zone.config.clone(), except: zone.except.clone(), pool };
            is_kept.then(|| (name.clone(), Arc::new(made)))
        };
        Self { zones: self.zones.iter().filter_map(kept).collect() }
    }

    /// True where other upstreams are asked than before, for whatever names.
    pub(crate) fn differs(&self, before: &Table) -> bool {
        let is_same =
            |(name, zone): (&Vec<u8>, &Arc<Zone>)| before.zones.get(name).is_some_and(|old| zone.asks_as(old));
        self.zones.len() != before.zones.len() || !self.zones.iter().all(is_same)
    }

    /// True where the same upstreams are asked for a name as before.
    pub(crate) fn asks_as(&self, before: &Table, name: &WireName) -> bool {
        self.zone_of(name).zip(before.zone_of(name)).is_some_and(|(zone, old)| zone.asks_as(old))
    }

    /// All zones, in canonical order.
    pub(crate) fn zones(&self) -> Vec<&Arc<Zone>> {
        let mut zones: Vec<&Arc<Zone>> = self.zones.values().collect();
        zones.sort_by(|one, other| one.config.zone.cmp(&other.config.zone));
        zones
    }
}
