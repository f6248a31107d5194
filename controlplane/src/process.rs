//! What the process takes of the machine, by the names that Prometheus's own libraries use.

use std::fs;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    /// The name; `_total` is added to a counter's.
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) help: &'static str,
    /// Whether it only rises.
    pub(crate) is_counter: bool,
    /// What it is now.
    pub(crate) value: f64,
}

/// The figures now; one that the system does not tell is missing.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn figures() -> Vec<Figure> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    let cpu = getrusage(UsageWho::RUSAGE_SELF).ok().map(|usage| {
        let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        seconds(usage.user_time()) + seconds(usage.system_time())
    });
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
    let most = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft as f64);
    let bytes = |key| kib(key).map(|kib| kib as f64 * 1024.0);
    let gauge = |name, help, value: Option<f64>| Some(Figure { name, help, is_counter: false, value: value? });
    let help = "User and system CPU time in seconds, that of busy workers among it.";
    let cpu = cpu.map(|value| Figure { name: "process_cpu_seconds", help, is_counter: true, value });
    [
        cpu,
        gauge("process_resident_memory_bytes", "Resident memory in bytes.", bytes("VmRSS")),
        gauge("process_virtual_memory_bytes", "Virtual memory in bytes.", bytes("VmSize")),
        gauge("process_open_fds", "Open file descriptors.", open),
        gauge("process_max_fds", "Most open file descriptors.", most),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_figures_are_told() {
        let figures = figures();
        assert_eq!(figures.len(), 5, "{figures:?}");
        assert!(figures.iter().all(|figure| figure.value > 0.0), "{figures:?}");
        let of = |name: &str| figures.iter().find(|figure| figure.name == name).unwrap().value;
        assert!(of("process_resident_memory_bytes") <= of("process_virtual_memory_bytes"));
        assert!(of("process_open_fds") <= of("process_max_fds"));
    }
}
