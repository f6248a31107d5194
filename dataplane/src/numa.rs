//! Which CPU is on which NUMA node, as the kernel tells below /sys.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Where the kernel has a folder for every node.
const NODES: &str = "/sys/devices/system/node";

/// The NUMA nodes of this machine's CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Node by CPU.
    nodes: BTreeMap<usize, u32>,
}

impl Topology {
    /// That of this machine. Where the kernel does not tell, no CPU has a node.
    pub fn here() -> Self {
        Self::below(Path::new(NODES))
    }

    /// That of a folder with the kernel's `node*/cpulist`.
    fn below(folder: &Path) -> Self {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let nodes = entries.filter_map(|entry| {
            let node: u32 = entry.file_name().to_str()?.strip_prefix("node")?.parse().ok()?;
            Some((node, fs::read_to_string(entry.path().join("cpulist")).ok()?))
        });
        let nodes = nodes.flat_map(|(node, list)| cpus(&list).into_iter().map(move |cpu| (cpu, node))).collect();
        Self { nodes }
    }

    /// The node of a CPU.
    pub fn node_of(&self, cpu: usize) -> Option<u32> {
        self.nodes.get(&cpu).copied()
    }
}

/// The CPUs of a list such as `0-3,8`. What is not understood is left out.
fn cpus(list: &str) -> Vec<usize> {
    let parts = list.trim().split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    // A machine of more is not known; this keeps a nonsensical list from filling the memory.
    parts.flat_map(|range| range.take(1 << 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_numbers_and_ranges() {
        assert_eq!(cpus("0-2,8,10-11\n"), [0, 1, 2, 8, 10, 11]);
        assert_eq!((cpus(""), cpus("\n"), cpus("x,3")), (vec![], vec![], vec![3]));
    }

    #[test]
    fn every_folder_of_a_node_is_read() {
        let folder = std::env::temp_dir().join(format!("ringdns-numa-{}", std::process::id()));
        for (name, list) in [("node0", "0-1\n"), ("node1", "2-3\n"), ("possible", "0-1\n")] {
            fs::create_dir_all(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("cpulist"), list).unwrap();
        }
        let topology = Topology::below(&folder);
        assert_eq!([0, 1, 2, 3, 4].map(|cpu| topology.node_of(cpu)), [Some(0), Some(0), Some(1), Some(1), None]);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(Topology::below(&folder), Topology::default());
    }
}
