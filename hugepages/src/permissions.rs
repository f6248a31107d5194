//! Lets a user other than root use what was set up.

use crate::error::SetupError;
use crate::nic::nics;
use crate::root::Root;
use crate::session::{Session, Step};

/// vfio's own file: harmless by itself, because a NIC needs its group's file too. The kernel's documents want it open to all.
const VFIO: &str = "dev/vfio/vfio";

/// Makes interfaces of the kernel.
const TUN: &str = "dev/net/tun";

/// Files beside the NICs' own that the server opens.
const OTHERS: [&str; 1] = ["dev/vhost-net"];

/// What the server needs beside files: where it has no need, it does without.
const CAPABILITIES: &str = "cap_net_admin,cap_net_raw,cap_ipc_lock,cap_net_bind_service+ep";

/// Gives the files of bound NICs to a user, and tells what else that user needs.
///
/// # Errors
/// Where there is no such user, or a file cannot be given away.
pub fn permit(session: &mut Session<'_>, user: &str) -> Result<(), SetupError> {
    session.whole(|session| {
        let number = user_number(session.root(), user).ok_or_else(|| SetupError::NoUser(user.to_owned()))?;
        let root = session.root().clone();
        let mut given = 0;
        for nic in nics(&root) {
            if let Some(path) = nic.vfio_file(&root) {
                session.take(&Step::Give { path, user: number }, None)?;
                given += 1;
            }
        }
        if given == 0 {
            session.tell("no NIC is bound to vfio-pci: bind it first (`ringdns setup nic bind`), then run this again");
        } else if root.exists(VFIO) {
            session.take(&Step::SetMode { path: VFIO.to_owned(), mode: 0o666 }, None)?;
        }
        // As udev has it: what may be done with it is a matter of capabilities.
        if root.exists(TUN) {
            session.take(&Step::SetMode { path: TUN.to_owned(), mode: 0o666 }, None)?;
        }
        for path in OTHERS.into_iter().filter(|path| root.exists(path)) {
            session.take(&Step::Give { path: path.to_owned(), user: number }, None)?;
        }
        session.tell("this lasts until the NIC is bound anew or the machine restarts; ringdns-setup.service does it at boot");
        session.tell(format!(
            "without systemd, give the program its capabilities: setcap {CAPABILITIES} $(command -v ringdns), and the user \
             memory to lock: ulimit -l unlimited"
        ));
        Ok(())
    })
}

/// The number of a user, by /etc/passwd, or the number itself.
fn user_number(root: &Root, user: &str) -> Option<u32> {
    let passwd = root.text("etc/passwd").unwrap_or_default();
    let number = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            [name, _, number, ..] if name == user => number.parse().ok(),
            _ => None,
        }
    });
    number.or_else(|| user.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FakeKernel, FakeMachine};

    #[test]
    fn the_files_of_bound_nics_are_given_away() {
        let machine = FakeMachine::new("permit");
        machine.nic("0000:00:03.0", "vfio-pci", None, Some("5"));
        machine.nic("0000:00:04.0", "e1000e", Some("eth0"), Some("6"));
        machine.file("dev/vfio/vfio", "");
        machine.file("etc/passwd", "root:x:0:0::/root:/bin/sh\nringdns:x:998:998::/:/bin/false\n");
        let mut kernel = FakeKernel::new(&machine.root());
        let mut session = Session::new(machine.root(), &mut kernel, false);
        permit(&mut session, "ringdns").unwrap();
        let said = session.into_lines().join("\n");
        assert!(said.contains("chown 998 /dev/vfio/5") && said.contains("chmod 666 /dev/vfio/vfio"), "{said}");
        assert!(!said.contains("/dev/vfio/6"), "{said}");
        let mut session = Session::new(machine.root(), &mut kernel, false);
        assert!(permit(&mut session, "nobody-here").unwrap_err().to_string().contains("useradd"));
    }
}
