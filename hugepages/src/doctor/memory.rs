//! Hugepages and other memory.

use super::{Check, Level, Patient, Wants};
use crate::pages::{Machine, PagePool, probe_at};
use crate::process::IPC_LOCK;

/// Hugepages, transparent ones, plain memory, and how much of it may be locked.
pub(super) fn checks(patient: &Patient<'_>) -> Vec<Check> {
    let mut checks = match probe_at(&patient.root.path("")) {
        Ok(machine) => reserved(patient, &machine),
        Err(error) => {
            vec![Check::new("memory", Level::Missing, error.to_string()).remedy("mount -t proc proc /proc")]
        }
    };
    checks.push(transparent(patient));
    checks.extend(locked(patient));
    checks
}

/// What is reserved by node and size, and whether it is enough.
fn reserved(patient: &Patient<'_>, machine: &Machine) -> Vec<Check> {
    let shown: Vec<String> = machine.pools.iter().filter(|pool| pool.reserved_pages != 0).map(pool_line).collect();
    let there = if shown.is_empty() { "none are reserved".to_owned() } else { shown.join("; ") };
    let check = match patient.wants {
        Some(&Wants { hugepages: true, memory_mib, .. }) => {
            // A running server has taken what it needs out of them.
            let is_used = machine.reserved_bytes() - machine.free_bytes() >= memory_mib << 20;
            match machine.remedy(memory_mib << 20) {
                None => Check::new("hugepages", Level::Ok, format!("{there}; {memory_mib} MiB are needed")),
                Some(remedy) if is_used => {
                    let finding =
                        format!("{there}; {memory_mib} MiB are needed, and perhaps in use by a running server");
                    Check::new("hugepages", Level::Note, finding).remedy(remedy)
                }
                Some(remedy) => {
                    let finding = format!("{there}; {memory_mib} MiB must be free");
                    Check::new("hugepages", Level::Missing, finding).remedy(remedy)
                }
            }
        }
        Some(_) => Check::new("hugepages", Level::Ok, format!("{there}; not needed ([eal] hugepages = false)")),
        None => {
            let remedy = "for dedicated NICs: ringdns setup hugepages --mib 512, and [eal] hugepages = true";
            Check::new("hugepages", Level::Note, there).remedy(remedy)
        }
    };
    let mut checks = vec![check];
    if let Some(&Wants { hugepages: false, memory_mib, .. }) = patient.wants {
        let available_mib = machine.available_bytes >> 20;
        let finding = format!("{available_mib} MiB available, {memory_mib} MiB are needed for packets");
        checks.push(if available_mib < memory_mib {
            Check::new("memory", Level::Missing, finding).remedy("lower [eal] memory_mib, or free memory (free -m)")
        } else {
            Check::new("memory", Level::Ok, finding)
        });
    }
    checks
}

/// One pool in words.
fn pool_line(pool: &PagePool) -> String {
    let page_mib = pool.page_bytes >> 20;
    let node = pool.node.map_or(String::new(), |node| format!(" on node {node}"));
    format!(
        "{} of {} MiB free in pages of {page_mib} MiB{node}",
        pool.free_bytes() >> 20,
        pool.reserved_pages * page_mib
    )
}

/// Whether the kernel gives huge pages to those that ask for them: the records lie in such.
fn transparent(patient: &Patient<'_>) -> Check {
    const SUBJECT: &str = "transparent hugepages";
    let setting = patient.root.text("sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let chosen = setting.split('[').nth(1).and_then(|rest| rest.split(']').next()).unwrap_or("absent");
    match chosen {
        "always" | "madvise" => Check::new(SUBJECT, Level::Ok, format!("{chosen}: records get them")),
        _ => {
            Check::new(SUBJECT, patient.flaw(Level::Warning), format!("{chosen}: a million names are looked up slower"))
                .remedy("echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")
        }
    }
}

/// Whether this process may lock what a NIC reaches.
fn locked(patient: &Patient<'_>) -> Option<Check> {
    let wants = patient.wants?;
    patient.wanted_nics().next()?;
    let limit = patient.process.lock_bytes_max;
    let is_enough = patient.process.has(IPC_LOCK) || limit.is_none_or(|bytes| bytes >= wants.memory_mib << 20);
    Some(if is_enough {
        Check::new("locked memory", Level::Ok, "this process may lock what the NIC reaches")
    } else {
        let finding = format!("{} MiB may be locked, {} MiB are needed", limit.unwrap_or(0) >> 20, wants.memory_mib);
        Check::new("locked memory", Level::Missing, finding)
            .remedy("ulimit -l unlimited (systemd: LimitMEMLOCK=infinity)")
    })
}
