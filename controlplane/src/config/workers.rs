//! `[workers]`: the packet threads.

use super::file::{self, Words};
use super::problem::Problems;
use super::{Idle, WorkersConfig};

/// CPU ids that the kernel's affinity calls take without a set of their own size (CPU_SETSIZE).
const CORES_MAX: i64 = 1024;

/// `[workers]`
pub(super) fn workers(spec: &file::Workers, problems: &mut Problems<'_>) -> WorkersConfig {
    let mut cores = Vec::new();
    if let Some(list) = &spec.cores {
        if list.get_ref().is_empty() {
            problems.add(
                Some(list.span()),
                "workers.cores",
                "no core is given",
                "name one CPU id or more, or leave the key out for the last online core",
            );
        }
        for &core in list.get_ref() {
            match usize::try_from(core).ok().filter(|_| core < CORES_MAX) {
                None => problems.add(
                    Some(list.span()),
                    "workers.cores",
                    format!("{core} is no CPU id"),
                    "lscpu --extended lists the CPU ids of this machine",
                ),
                Some(core) if cores.contains(&core) => problems.add(
                    Some(list.span()),
                    "workers.cores",
                    format!("core {core} is given twice"),
                    "each worker needs a core of its own; name each once",
                ),
                Some(core) => cores.push(core),
            }
        }
    }
    WorkersConfig { idle: idle(spec, cores.len().max(1), problems), cores }
}

/// What the workers do while no frames come.
fn idle(spec: &file::Workers, workers: usize, problems: &mut Problems<'_>) -> Vec<Idle> {
    const KEY: &str = "workers.idle";
    let Some(words) = &spec.idle else { return vec![Idle::default()] };
    let words_of = match words.get_ref() {
        Words::One(word) => std::slice::from_ref(word),
        Words::Each(list) => {
            if list.len() != workers {
                let message = format!("words given: {}, workers: {workers}", list.len());
                problems.add(Some(words.span()), KEY, message, "write one word, or one for each of workers.cores");
            }
            list
        }
    };
    let idle = words_of.iter().map(|word| match word.as_str() {
        "sleep" => Idle::Sleep,
        "pause" => Idle::Pause,
        "busy" => Idle::Busy,
        other => {
            let message = format!("\"{other}\" is no way to wait");
            problems.add(Some(words.span()), KEY, message, "write \"sleep\", \"pause\" or \"busy\"");
            Idle::default()
        }
    });
    idle.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, Idle};

    /// What the first three workers of a configuration do while nothing comes, or what is wrong with it.
    fn idle(workers: &str) -> Result<[Idle; 3], String> {
        let text = format!("[workers]\n{workers}\n[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n");
        let config = Config::parse(Path::new("c.toml"), &text).map_err(|error| error.to_string())?;
        Ok([0, 1, 2].map(|worker| config.workers.idle_of(worker)))
    }

    #[test]
    fn one_word_is_for_all_workers_and_a_list_for_each() {
        assert_eq!(idle("cores = [1, 2, 3]"), Ok([Idle::Sleep; 3]));
        assert_eq!(idle("cores = [1, 2, 3]\nidle = \"pause\""), Ok([Idle::Pause; 3]));
        let each = "cores = [1, 2, 3]\nidle = [\"busy\", \"sleep\", \"pause\"]";
        assert_eq!(idle(each), Ok([Idle::Busy, Idle::Sleep, Idle::Pause]));
        assert_eq!(idle("idle = [\"busy\"]").map(|[first, ..]| first), Ok(Idle::Busy), "one core is the default");
    }

    #[test]
    fn mistakes_are_named_with_place_and_remedy() {
        for (workers, expected) in [
            ("idle = 1", "expected a word or a list of words"),
            ("idle = [\"busy\", \"nap\"]", "c.toml:2:8: workers.idle: \"nap\" is no way to wait; write"),
            (
                "cores = [1, 2]\nidle = [\"busy\"]",
                "c.toml:3:8: workers.idle: words given: 1, workers: 2; write one word, or",
            ),
            ("idle = []", "words given: 0, workers: 1"),
        ] {
            let found = idle(workers).unwrap_err();
            assert!(found.contains(expected), "{workers}: {found}");
        }
    }
}
