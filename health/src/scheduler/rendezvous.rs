//! Which agents check a target: those that give the highest numbers together with it (rendezvous hashing).
//!
//! What an agent gives depends on its name and the target's alone. So the loss of an agent moves its targets and no others, an agent
//! that comes takes its share from each of the others, and every scheduler, now and after a restart, comes to the same choice.

use std::sync::Arc;

/// The agents that can be given work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agents {
    /// By name; each with what its name hashes to.
    list: Vec<(Arc<str>, u64)>,
}

impl Agents {
    /// Of these names.
    pub fn new(names: impl IntoIterator<Item = Arc<str>>) -> Self {
        let mut list: Vec<(Arc<str>, u64)> = names.into_iter().map(|name| (Arc::clone(&name), hash(&name))).collect();
        list.sort_unstable();
        list.dedup();
        Self { list }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.list.iter().map(|(name, _)| name)
    }

    /// True where the agent is one of them.
    pub fn has(&self, name: &str) -> bool {
        self.list.binary_search_by(|(other, _)| (**other).cmp(name)).is_ok()
    }

    /// The agents that check a target, the first one first; fewer where there are fewer.
    pub fn chosen(&self, target: &str, count: usize) -> Vec<Arc<str>> {
        let target = hash(target);
        let score = |&(_, agent): &(Arc<str>, u64)| mix(agent ^ target);
        if count == 1 {
            // The later of two that are equal, by either way.
            return self
                .list
                .iter()
                .max_by_key(|agent| score(agent))
                .map(|(name, _)| Arc::clone(name))
                .into_iter()
                .collect();
        }
        let mut scored: Vec<(u64, &Arc<str>)> = self.list.iter().map(|agent| (score(agent), &agent.0)).collect();
        scored.sort_unstable_by(|a, b| b.cmp(a));
        scored.into_iter().take(count).map(|(_, name)| Arc::clone(name)).collect()
    }
}

/// A hash of a name that is the same in every version and on every machine, which those of the standard library need not be:
/// FNV-1a, mixed because its high bits are not.
fn hash(name: &str) -> u64 {
    let hash =
        name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    mix(hash)
}

/// Has every bit depend on every other (the last step of splitmix64).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Targets of every test.
    const TARGETS: usize = 2000;

    /// The agents `agent-0` and so on, without one of them.
    fn agents(count: usize, without: Option<usize>) -> Agents {
        let kept = (0..count).filter(|&number| Some(number) != without);
        Agents::new(kept.map(|number| Arc::from(format!("agent-{number}"))))
    }

    /// The targets.
    fn targets() -> impl Iterator<Item = String> {
        (0..TARGETS).map(|number| format!("10.{}.{}.{}", number % 7, number / 256, number % 256))
    }

    #[test]
    fn the_loss_of_an_agent_moves_its_targets_alone() {
        for count in 2..=9 {
            let all = agents(count, None);
            for lost in 0..count {
                let (rest, name) = (agents(count, Some(lost)), format!("agent-{lost}"));
                for target in targets() {
                    for replicas in 1..=3 {
                        let (before, after) = (all.chosen(&target, replicas), rest.chosen(&target, replicas));
                        let kept: Vec<_> = before.iter().filter(|agent| ***agent != *name).cloned().collect();
                        assert_eq!(after[..kept.len()], kept, "{target} of {count} agents without {name}");
                        assert_eq!(after.len(), replicas.min(count - 1));
                    }
                }
            }
        }
    }

    #[test]
    fn agents_are_given_about_as_much_each() {
        for count in 1..=16 {
            let agents = agents(count, None);
            for replicas in 1..=2.min(count) {
                let mut loads = std::collections::HashMap::new();
                for agent in targets().flat_map(|target| agents.chosen(&target, replicas)) {
                    *loads.entry(agent).or_insert(0_usize) += 1;
                }
                let fair = TARGETS * replicas / count;
                assert_eq!(loads.len(), count);
                for (agent, load) in loads {
                    assert!(load.abs_diff(fair) * 3 < fair + 30, "{agent} of {count} has {load}, {fair} would be fair");
                }
            }
        }
    }

    #[test]
    fn the_choice_is_that_of_every_other_version() {
        let agents = agents(3, None);
        let chosen =
            ["10.0.0.1", "10.0.0.2", "2001:db8::1", "www.example"].map(|target| agents.chosen(target, 3).join(" "));
        let expected = [
            "agent-1 agent-0 agent-2",
            "agent-2 agent-0 agent-1",
            "agent-1 agent-0 agent-2",
            "agent-0 agent-2 agent-1",
        ];
        assert_eq!(chosen, expected);
    }

    #[test]
    fn one_and_the_first_of_many_are_the_same() {
        let agents = agents(7, None);
        assert!(targets().all(|target| agents.chosen(&target, 1)[0] == agents.chosen(&target, 3)[0]));
        assert!(Agents::default().chosen("10.0.0.1", 2).is_empty());
        assert!(agents.has("agent-6") && !agents.has("agent-7") && agents.len() == 7);
    }
}
