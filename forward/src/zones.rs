//! Who is asked for which names.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use ringdns_controlplane::config::forward::{ForwardConfig, ForwardMode, ForwardZone, UpstreamConfig, resolv_conf};
use ringdns_engine::name::WireName;

use crate::exchange::Connect;
use crate::forwarder::StartError;
use crate::pick::{Member, Pool};
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
    fn upstreams(&self, zone: &ForwardZone, config: &ForwardConfig) -> Vec<UpstreamConfig> {
        let mut upstreams = zone.upstreams.clone();
        let named = match servers(zone, config) {
            None => Vec::new(),
            Some(Ok(servers)) => servers.into_iter().map(UpstreamConfig::Plain).collect(),
            Some(Err(error)) => {
                tracing::warn!(zone = %zone.zone, "no upstreams are taken from the zone's file: {error}");
                let before = self.before.and_then(|table| table.zones.get(zone.zone.to_lowercase().as_bytes()));
                let members = before.map(|zone| zone.pool.members()).unwrap_or_default();
                members.iter().map(|member| member.config.clone()).collect()
            }
        };
        for upstream in named {
            if !upstreams.contains(&upstream) {
                upstreams.push(upstream);
            }
        }
        upstreams
    }

    /// One upstream of a zone: the one that was there, or a new one.
    fn member(
        &self,
        zone: &ForwardZone,
        upstream: &UpstreamConfig,
        switches: &Switches,
    ) -> Result<Arc<Member>, StartError> {
        let before = self.before.and_then(|table| table.zones.get(zone.zone.to_lowercase().as_bytes()));
        let same = |member: &&Arc<Member>| member.config == *upstream && member.switches == *switches;
        if let Some(member) = before.and_then(|zone| zone.pool.members().iter().find(same)) {
            return Ok(Arc::clone(member));
        }
        let exchange = (self.connect)(upstream, switches, self.means)
            .map_err(|error| StartError::Upstream { zone: zone.zone.clone(), error })?;
        Ok(Arc::new(Member::new(upstream.clone(), switches.clone(), exchange)))
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
