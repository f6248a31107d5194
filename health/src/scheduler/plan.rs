//! What has to be written for a target: its job, where others should check it than do, and its state, where several agents check
//! it and enough of them agree.

use std::sync::Arc;
use std::time::SystemTime;

use super::board::{Agent, Board, Entry, Stored};
use super::fence::Write;
use super::places::{Places, Target};
use crate::clock;
use crate::keys::Resource;
use crate::values::{Health, Job, Observation, Status};

/// What is aimed at.
#[derive(Clone, Copy, Debug)]
pub struct Aim {
    /// Agents that check a target.
    pub replicas: usize,
    /// How many of them must find it down.
    pub quorum: usize,
    /// Now.
    pub now: SystemTime,
}

/// The writes that bring a target to where it should be; none, mostly.
pub fn writes(board: &Board, places: &Places, target: &Target, aim: &Aim) -> Vec<Write> {
    let Some(entry) = board.entry(target) else { return Vec::new() };
    let chosen = if entry.is_wanted() { board.live().chosen(&target.name, aim.replicas) } else { Vec::new() };
    let mut writes = surplus(board, entry, places, target, &chosen);
    if !entry.is_wanted() {
        writes.extend(entry.job().map(|job| deletion(places.job(target), job)));
        return writes;
    }
    let found = if chosen.len() > 1 { agreed(board, entry, &chosen, aim) } else { None };
    let health = found.as_ref().map(|found| found.health);
    writes.extend(job(places, target, entry, &chosen, health, aim.now));
    if let (Resource::Address, Some(found), Some(stored)) = (target.resource, found, entry.status()) {
        writes.extend(status(places.keys().status(&target.name), stored, &found));
    }
    writes
}

/// The job, where it is not what it should be.
fn job(
    places: &Places,
    target: &Target,
    entry: &Entry,
    chosen: &[Arc<str>],
    health: Option<Health>,
    now: SystemTime,
) -> Option<Write> {
    let (generation, stored) = (places.keys().generation(), entry.job());
    if stored.is_some() && !chosen.is_empty() && entry.agents() == chosen && health.is_none() {
        return None;
    }
    // One that cannot be read is made anew.
    let present = stored.and_then(|stored| Job::parse(&stored.value, generation).ok());
    let is_new = present.is_none();
    // A name is down until somebody has seen it, as the original has it.
    let first = (target.resource == Resource::Domain).then_some(Health::Down);
    let mut job = present.unwrap_or_else(|| Job::new(generation, first));
    let agents: Vec<&str> = chosen.iter().map(|name| &**name).collect();
    // Without agents everything stays as it is: those that there were go on as soon as they can.
    let is_moved = !agents.is_empty() && job.agents() != agents;
    if is_moved {
        job.assign(&agents, now);
    }
    let fallen = health.filter(|&health| target.resource == Resource::Domain && job.health() != Some(health));
    if let Some(health) = fallen {
        job.set_health(health, now);
    }
    (is_new || is_moved || fallen.is_some()).then(|| Write {
        key: places.job(target),
        known: stored.map_or(0, |stored| stored.revision),
        value: Some(job.to_bytes()),
        lease: stored.map_or(0, |stored| stored.lease),
    })
}

/// The state of an address, where it is another. One that cannot be read is not touched: it says more than we know.
fn status(key: String, stored: &Stored, found: &Observation) -> Option<Write> {
    let status = Status::parse(&stored.value).ok().filter(|status| status.health() != Some(found.health))?;
    Some(Write { key, known: stored.revision, value: Some(status.with(found)), lease: stored.lease })
}

/// What the agents of a target agree on, and who of them: it is down when a quorum finds it down, and up when so many find it up
/// that there can be none. Of agents that have not seen it yet nothing follows, so that the loss of one changes nothing. Where there
/// are fewer agents than the quorum, all of them must agree.
fn agreed(board: &Board, entry: &Entry, chosen: &[Arc<str>], aim: &Aim) -> Option<Observation> {
    let quorum = aim.quorum.min(chosen.len());
    let (mut up, mut down) = (Vec::new(), Vec::new());
    for name in chosen {
        let (Some(agent), Some(stored)) = (board.agents().get(name), entry.observations().get(name)) else { continue };
        if !is_of_this_life(agent, stored) {
            continue;
        }
        let Some(seen) = Observation::parse(&stored.value).ok().flatten() else { continue };
        let side = if seen.health == Health::Up { &mut up } else { &mut down };
        side.push((name, seen.error));
    }
    let (health, side) = if down.len() >= quorum {
        (Health::Down, down)
    } else if up.len() > chosen.len() - quorum {
        (Health::Up, up)
    } else {
        return None;
    };
    let by: Vec<&str> = side.iter().map(|(name, _)| &***name).collect();
    let by = by.join(",");
    let error = side.into_iter().map(|(_, error)| error).find(|error| !error.is_empty()).unwrap_or_default();
    Some(Observation { health, since: clock::universal(aim.now), error, by })
}

/// True for what an agent has seen since it came: it goes away with the agent, or was written after it.
fn is_of_this_life(agent: &Agent, stored: &Stored) -> bool {
    match (agent.stored.lease, stored.lease) {
        (0, _) | (_, 0) => stored.revision > agent.stored.created,
        (agent, stored) => agent == stored,
    }
}

/// Observations of agents that do not check the target any more: they would be old when it comes back to them.
fn surplus(board: &Board, entry: &Entry, places: &Places, target: &Target, chosen: &[Arc<str>]) -> Vec<Write> {
    if chosen.is_empty() && entry.is_wanted() {
        // Without agents nobody is chosen, which says nothing of those that were.
        return Vec::new();
    }
    // What goes away with an agent that is gone is on its way out already.
    let stays = |(name, stored): &(&Arc<str>, &Stored)| stored.lease == 0 || board.live().has(name);
    let surplus = entry.observations().iter().filter(|(name, _)| !chosen.contains(name)).filter(stays);
    surplus.map(|(name, stored)| deletion(places.keys().observation(&target.name, name), stored)).collect()
}

/// Deletes a key.
fn deletion(key: String, stored: &Stored) -> Write {
    Write { key, known: stored.revision, value: None, lease: 0 }
}
