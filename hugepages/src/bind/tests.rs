//! NICs of made-up machines, with a kernel that takes and gives them.

use super::*;
use crate::testing::{FakeKernel, FakeMachine};

/// The NIC.
const NIC: &str = "0000:00:03.0";

/// A machine with one NIC of the kernel's, in a group of its own, and vfio-pci at hand.
fn machine(name: &str) -> (FakeMachine, FakeKernel) {
    let machine = FakeMachine::new(name);
    machine.nic(NIC, "e1000e", Some("eth0"), Some("5"));
    machine.file("sys/bus/pci/drivers/vfio-pci/unbind", "");
    let kernel = FakeKernel::new(&machine.root());
    (machine, kernel)
}

/// What is usually asked for.
fn binding() -> Binding {
    Binding { nic: NIC.parse().unwrap(), driver: "vfio-pci".to_owned(), force: false, unguarded: false }
}

/// Binds; what was told or what went wrong.
fn bound(machine: &FakeMachine, kernel: &mut FakeKernel, binding: &Binding) -> Result<String, String> {
    let mut session = Session::new(machine.root(), kernel, false);
    let outcome = bind(&mut session, binding);
    let lines = session.into_lines().join("\n");
    outcome.map(|()| lines.clone()).map_err(|error| format!("{lines}\n{error}"))
}

/// Unbinds; what was told or what went wrong.
fn unbound(machine: &FakeMachine, kernel: &mut FakeKernel) -> Result<String, String> {
    let mut session = Session::new(machine.root(), kernel, false);
    let outcome = unbind(&mut session, &NIC.parse().unwrap());
    let lines = session.into_lines().join("\n");
    outcome.map(|()| lines.clone()).map_err(|error| format!("{lines}\n{error}"))
}

/// Who drives the NIC.
fn driver(machine: &FakeMachine) -> Option<String> {
    machine.root().link_name(&format!("sys/bus/pci/devices/{NIC}/driver"))
}

#[test]
fn a_nic_goes_to_vfio_and_comes_back_with_name_and_addresses() {
    let (machine, mut kernel) = machine("round-trip");
    kernel.addresses = "2: eth0    inet 198.51.100.7/24 scope global eth0\\  valid_lft forever\n".to_owned();
    let said = bound(&machine, &mut kernel, &binding()).unwrap();
    assert_eq!(driver(&machine).as_deref(), Some("vfio-pci"));
    assert!(said.contains("warning") && said.contains("198.51.100.7/24"), "{said}");
    assert!(bound(&machine, &mut kernel, &binding()).unwrap().contains("already"));

    // The kernel may number its interfaces otherwise the next time.
    kernel.own.1 = "eth4".to_owned();
    kernel.ran.clear();
    let said = unbound(&machine, &mut kernel).unwrap();
    assert_eq!(driver(&machine).as_deref(), Some("e1000e"));
    assert!(said.contains("its interface is eth0"), "{said}");
    assert!(kernel.ran.contains(&"ip link set dev eth4 name eth0".to_owned()), "{:?}", kernel.ran);
    assert!(kernel.ran.contains(&"ip address replace 198.51.100.7/24 dev eth0".to_owned()), "{:?}", kernel.ran);
    assert_eq!(machine.root().text(&format!("sys/bus/pci/devices/{NIC}/driver_override")).as_deref(), Some(""));
    assert_eq!(Former::kept(&machine.root(), &NIC.parse().unwrap()), None);
    assert!(unbound(&machine, &mut kernel).unwrap().contains("already"));
}

#[test]
fn the_default_route_is_refused_unless_forced() {
    let (machine, mut kernel) = machine("route");
    machine.file("proc/net/route", "head\neth0\t00000000\t010A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
    let error = bound(&machine, &mut kernel, &binding()).unwrap_err();
    assert!(error.contains("IPv4 default route") && error.contains("--force"), "{error}");
    assert_eq!(driver(&machine).as_deref(), Some("e1000e"));
    bound(&machine, &mut kernel, &Binding { force: true, ..binding() }).unwrap();
    assert_eq!(driver(&machine).as_deref(), Some("vfio-pci"));
}

#[test]
fn a_driver_that_refuses_leaves_the_nic_with_the_kernel() {
    let (machine, mut kernel) = machine("refusing");
    kernel.refusing = Some("vfio-pci".to_owned());
    kernel.addresses = "2: eth0    inet 198.51.100.7/24 scope global eth0\\  valid_lft forever\n".to_owned();
    let error = bound(&machine, &mut kernel, &binding()).unwrap_err();
    assert!(error.contains("did not take"), "{error}");
    assert_eq!(driver(&machine).as_deref(), Some("e1000e"));
    assert!(kernel.ran.contains(&"ip address replace 198.51.100.7/24 dev eth0".to_owned()), "{:?}", kernel.ran);
    assert_eq!(Former::kept(&machine.root(), &NIC.parse().unwrap()), None, "nothing to come back to");
}

#[test]
fn a_group_with_others_in_it_is_refused_by_name() {
    let (machine, mut kernel) = machine("group");
    machine.nic("0000:00:03.1", "e1000e", Some("eth1"), Some("5"));
    let error = bound(&machine, &mut kernel, &binding()).unwrap_err();
    assert!(error.contains("0000:00:03.1 (e1000e)"), "{error}");
    machine.link("sys/bus/pci/devices/0000:00:03.1/driver", "../../drivers/pcieport");
    bound(&machine, &mut kernel, &binding()).unwrap();
}

#[test]
fn without_an_iommu_the_operator_must_say_so() {
    let (machine, mut kernel) = machine("unguarded");
    std::fs::remove_file(machine.root().path(&format!("sys/bus/pci/devices/{NIC}/iommu_group"))).unwrap();
    let error = bound(&machine, &mut kernel, &binding()).unwrap_err();
    assert!(error.contains("--no-iommu"), "{error}");
    let unguarded = Binding { unguarded: true, ..binding() };
    machine.folder("sys/module/vfio");
    assert!(bound(&machine, &mut kernel, &unguarded).unwrap_err().contains("uio_pci_generic"));
    machine.file(UNGUARDED_MODE, "N\n");
    kernel.refusing = Some("vfio-pci".to_owned());
    bound(&machine, &mut kernel, &unguarded).unwrap_err();
    assert_eq!(kernel::unguarded_mode(&machine.root()), Some(false), "taken back");
    kernel.refusing = None;
    let said = bound(&machine, &mut kernel, &unguarded).unwrap();
    assert!(said.contains("warning: no IOMMU"), "{said}");
    assert_eq!(kernel::unguarded_mode(&machine.root()), Some(true));
}

#[test]
fn uio_needs_the_same_word_and_its_module() {
    let (machine, mut kernel) = machine("uio");
    let uio = Binding { driver: "uio_pci_generic".to_owned(), ..binding() };
    assert!(bound(&machine, &mut kernel, &uio).unwrap_err().contains("linux-image"), "no such module");
    machine.file("proc/sys/kernel/osrelease", "6.1.0\n");
    machine.file("lib/modules/6.1.0/modules.dep", "kernel/drivers/uio/uio_pci_generic.ko: kernel/drivers/uio/uio.ko\n");
    assert!(bound(&machine, &mut kernel, &uio).unwrap_err().contains("--no-iommu"));
    bound(&machine, &mut kernel, &Binding { unguarded: true, ..uio }).unwrap();
    assert!(kernel.ran.contains(&"modprobe uio_pci_generic".to_owned()));
    assert_eq!(driver(&machine).as_deref(), Some("uio_pci_generic"));
    machine.folder(&format!("sys/bus/pci/devices/{NIC}/uio/uio0"));
    machine.link("proc/4711/fd/9", "/dev/uio0");
    assert!(unbound(&machine, &mut kernel).unwrap_err().contains("4711"));
    machine.link("proc/4711/fd/9", "/dev/null");
    // From one such driver to the other, and then back to the kernel's.
    bound(&machine, &mut kernel, &binding()).unwrap();
    assert_eq!(driver(&machine).as_deref(), Some("vfio-pci"));
    unbound(&machine, &mut kernel).unwrap();
    assert_eq!(driver(&machine).as_deref(), Some("e1000e"));
}

#[test]
fn a_nic_in_use_is_not_taken_away() {
    let (machine, mut kernel) = machine("in-use");
    machine.file("proc/sys/kernel/osrelease", "6.1.0\n");
    machine.file(
        "lib/modules/6.1.0/modules.dep",
        "kernel/drivers/vfio/vfio_iommu_type1.ko: kernel/drivers/vfio/vfio.ko\n",
    );
    bound(&machine, &mut kernel, &binding()).unwrap();
    assert_eq!(kernel.ran.first().map(String::as_str), Some("modprobe vfio_iommu_type1"), "no vfio without it");
    machine.link("proc/4711/fd/9", "/dev/vfio/5");
    machine.file("proc/4711/comm", "ringdns\n");
    let error = unbound(&machine, &mut kernel).unwrap_err();
    assert!(error.contains("4711 (ringdns)"), "{error}");
    assert_eq!(driver(&machine).as_deref(), Some("vfio-pci"));
}

#[test]
fn a_dry_run_shows_the_steps_and_takes_none() {
    let (machine, mut kernel) = machine("dry");
    let mut session = Session::new(machine.root(), &mut kernel, true);
    bind(&mut session, &binding()).unwrap();
    let said = session.into_lines().join("\n");
    for words in ["echo vfio-pci > /sys/bus/pci/devices/0000:00:03.0/driver_override", "e1000e/unbind", "drivers_probe"]
    {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(driver(&machine).as_deref(), Some("e1000e"));
    assert!(!machine.root().exists("run"));
}

#[test]
fn what_is_no_nic_is_refused() {
    let (machine, mut kernel) = machine("none");
    machine.file("sys/bus/pci/devices/0000:00:1f.0/class", "0x060100\n");
    for nic in ["0000:00:1f.0", "0000:ff:00.0"] {
        let binding = Binding { nic: nic.parse().unwrap(), ..binding() };
        assert!(bound(&machine, &mut kernel, &binding).unwrap_err().contains("setup nic list"));
    }
}
