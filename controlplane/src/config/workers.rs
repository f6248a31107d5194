//! `[workers]`: the packet threads.

use super::file;
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
    let idle = match &spec.idle {
        None => Idle::Sleep,
        Some(word) => match word.get_ref().as_str() {
            "sleep" => Idle::Sleep,
            "busy" => Idle::Busy,
            other => {
                let message = format!("\"{other}\" is no way to wait");
                problems.add(Some(word.span()), "workers.idle", message, "write \"sleep\" or \"busy\"");
                Idle::Sleep
            }
        },
    };
    WorkersConfig { cores, idle }
}
