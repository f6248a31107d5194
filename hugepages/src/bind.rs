//! Takes a NIC from the kernel for a process, and gives it back.
//!
//! A binding is three writes: the name of the only driver that may have the device (`driver_override`), its address to the
//! present driver's `unbind`, its address to `drivers_probe`. It lasts until the machine restarts.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::SetupError;
use crate::former::Former;
use crate::kernel::{self, ModuleState, TRANSLATION, UNGUARDED_MODE};
use crate::nic::{self, Nic, PciAddress};
use crate::root::Root;
use crate::session::{Session, Step};

/// Longest that a kernel driver takes to make its interface.
const INTERFACE_TIME_MAX: Duration = Duration::from_secs(10);

/// Where the kernel is asked to find a driver for a device.
const PROBE_FILE: &str = "sys/bus/pci/drivers_probe";

/// Has a device found by all drivers again. The line break stands for no name.
const ANY_DRIVER: &str = "\n";

/// What is to be done to a NIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The NIC.
    pub nic: PciAddress,
    /// The driver that leaves it to a process.
    pub driver: String,
    /// Even if this machine cannot be reached afterwards.
    pub force: bool,
    /// Even if nothing keeps the device from writing to any memory.
    pub unguarded: bool,
}

/// Takes a NIC from the kernel. Does nothing where that is done already.
///
/// # Errors
/// Where it must not be done, or the driver does not take it; then the kernel has it as before.
pub fn bind(session: &mut Session<'_>, binding: &Binding) -> Result<(), SetupError> {
    session.whole(|session| {
        let nic = read(session.root(), &binding.nic)?;
        if nic.driver.as_deref() == Some(binding.driver.as_str()) {
            session.tell(format!("{} is bound to {} already", nic.address, binding.driver));
            return Ok(());
        }
        check_reachability(&nic, binding)?;
        check_unused(session.root(), &nic)?;
        load_driver(session, &binding.driver)?;
        if binding.driver == "vfio-pci" {
            load_translation(session)?;
        }
        guard(session, &nic, binding)?;
        let former = Former::of(session, &nic);
        warn_of_losses(session, &former);
        let file = Former::file(&nic.address);
        // A NIC that goes from one user driver to another goes back to the kernel's in the end.
        if !nic.is_user_driven() {
            let undo = Step::Remove { path: file.clone() };
            session.take(&Step::Create { path: file, text: former.text() }, Some(undo))?;
        }
        move_to(session, &nic, &binding.driver, Some(&former))?;
        tell_next(session, &binding.nic);
        Ok(())
    })
}

/// Gives a NIC back to the kernel, with its interface as it was. Does nothing where the kernel has it.
///
/// # Errors
/// Where a process has it, or its driver does not take it.
pub fn unbind(session: &mut Session<'_>, address: &PciAddress) -> Result<(), SetupError> {
    session.whole(|session| {
        let nic = read(session.root(), address)?;
        let former = Former::kept(session.root(), address);
        if nic.driver.is_some() && !nic.is_user_driven() {
            let driver = nic.driver.as_deref().unwrap_or_default();
            session.tell(format!("{address} is with {driver}, the kernel's own driver, already"));
            return Ok(());
        }
        check_unused(session.root(), &nic)?;
        let own = former.as_ref().and_then(|former| former.driver.clone());
        match &own {
            Some(own) => load_driver(session, own)?,
            None => load_any_driver(session, &nic),
        }
        release(session, &nic)?;
        let folder = nic.folder();
        session.take(&Step::write(format!("{folder}/driver_override"), ANY_DRIVER), None)?;
        probe(session, address)?;
        if session.is_dry_run() {
            return Ok(());
        }
        let taken = session.root().link_name(&format!("{folder}/driver"));
        if taken.is_none() || own.is_some() && taken != own {
            let driver = own.unwrap_or_else(|| "the kernel's own driver".to_owned());
            return Err(SetupError::NotTaken { nic: address.to_string(), driver });
        }
        session.tell(format!("{address} is with {} again", taken.unwrap_or_default()));
        restore(session, &nic, former.as_ref());
        if former.is_some() {
            session.take(&Step::Remove { path: Former::file(address) }, None)?;
        }
        Ok(())
    })
}

/// Reads the NIC that was named.
fn read(root: &Root, address: &PciAddress) -> Result<Nic, SetupError> {
    Nic::read(root, address).ok_or_else(|| SetupError::NoNic(address.to_string()))
}

/// Refuses the NIC by which this machine reaches the world.
fn check_reachability(nic: &Nic, binding: &Binding) -> Result<(), SetupError> {
    match nic.default_route() {
        Some((interface, family)) if !binding.force => {
            Err(SetupError::DefaultRoute { nic: nic.address.to_string(), interface: interface.to_owned(), family })
        }
        _ => Ok(()),
    }
}

/// Refuses a NIC that a process has: the kernel would wait for that process without end.
fn check_unused(root: &Root, nic: &Nic) -> Result<(), SetupError> {
    let Some(file) = nic.user_file(root) else { return Ok(()) };
    match user_of(root, &format!("/{file}")) {
        Some(process) => Err(SetupError::InUse { nic: nic.address.to_string(), process }),
        None => Ok(()),
    }
}

/// The process that has a file open: number and name.
fn user_of(root: &Root, file: &str) -> Option<String> {
    root.names("proc").into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).find_map(|process| {
        let descriptors = root.names(&format!("proc/{process}/fd"));
        let has_it = descriptors.iter().any(|descriptor| {
            let target = std::fs::read_link(root.path(&format!("proc/{process}/fd/{descriptor}")));
            target.is_ok_and(|target| target.as_os_str() == file)
        });
        has_it.then(|| format!("{process} ({})", root.text(&format!("proc/{process}/comm")).unwrap_or_default()))
    })
}

/// Has the driver loaded.
fn load_driver(session: &mut Session<'_>, driver: &str) -> Result<(), SetupError> {
    match kernel::pci_driver(session.root(), driver) {
        ModuleState::Present => Ok(()),
        // A module that others use or that is used again tomorrow does no harm: it is not unloaded.
        ModuleState::Loadable => session.take(&Step::run(&["modprobe", driver]), None).map(drop),
        ModuleState::Absent => Err(SetupError::NoDriver(driver.to_owned())),
    }
}

/// Has the part of vfio loaded that speaks to the IOMMU: only a modprobe that knows soft dependencies brings it by itself.
fn load_translation(session: &mut Session<'_>) -> Result<(), SetupError> {
    match kernel::module(session.root(), TRANSLATION) {
        ModuleState::Loadable => session.take(&Step::run(&["modprobe", TRANSLATION]), None).map(drop),
        // A kernel with another kind of IOMMU has a module of another name.
        ModuleState::Present | ModuleState::Absent => Ok(()),
    }
}

/// Has whatever driver knows the NIC loaded: bound at boot, it may never have had one of the kernel's.
fn load_any_driver(session: &mut Session<'_>, nic: &Nic) {
    if let Some(alias) = session.root().text(&format!("{}/modalias", nic.folder())) {
        // Where none knows it, or it is part of the kernel, what follows tells.
        let _ = session.take(&Step::run(&["modprobe", "-q", &alias]), None);
    }
}

/// Sees to it that an IOMMU keeps the NIC to the memory that it is given, unless that is not wanted.
fn guard(session: &mut Session<'_>, nic: &Nic, binding: &Binding) -> Result<(), SetupError> {
    let is_vfio = binding.driver == "vfio-pci";
    if is_vfio && let Some(group) = &nic.iommu_group {
        let others = others_of_group(session.root(), group, &nic.address);
        return if others.is_empty() { Ok(()) } else { Err(SetupError::Group { group: group.clone(), others }) };
    }
    if !binding.unguarded {
        return Err(SetupError::Unguarded { nic: nic.address.to_string(), driver: binding.driver.clone() });
    }
    session.tell(
        "warning: no IOMMU guards this machine from the NIC: it, and whoever may use it, can read and write all memory",
    );
    if is_vfio {
        if !session.root().exists("sys/module/vfio") {
            session.take(&Step::run(&["modprobe", "vfio"]), None)?;
        }
        match kernel::unguarded_mode(session.root()) {
            Some(true) => {}
            Some(false) => {
                session.take(&Step::write(UNGUARDED_MODE, "Y"), Some(Step::write(UNGUARDED_MODE, "N")))?;
            }
            None if session.is_dry_run() => {}
            None => return Err(SetupError::NoUnguardedMode),
        }
    }
    Ok(())
}

/// The other devices of a group that the kernel uses, with their drivers.
fn others_of_group(root: &Root, group: &str, nic: &PciAddress) -> Vec<String> {
    /// Drivers beside which vfio gives out a group: its own, and two that do no DMA.
    const HARMLESS: [&str; 3] = ["vfio-pci", "pci-stub", "pcieport"];
    let folder = format!("sys/kernel/iommu_groups/{group}/devices");
    let devices = root.names(&folder).into_iter().filter(|device| *device != nic.to_string());
    devices
        .filter_map(|device| {
            let driver = root.link_name(&format!("sys/bus/pci/devices/{device}/driver"))?;
            (!HARMLESS.contains(&driver.as_str())).then(|| format!("{device} ({driver})"))
        })
        .collect()
}

/// Tells what stops working.
fn warn_of_losses(session: &mut Session<'_>, former: &Former) {
    if let (Some(interface), false) = (&former.interface, former.addresses.is_empty()) {
        let addresses: Vec<&str> = former.addresses.iter().filter_map(|address| address.split(' ').next()).collect();
        session.tell(format!(
            "warning: {interface} and its addresses go until unbind brings them back: {}",
            addresses.join(", ")
        ));
    }
}

/// Takes the NIC from its driver and gives it to another.
fn move_to(session: &mut Session<'_>, nic: &Nic, driver: &str, former: Option<&Former>) -> Result<(), SetupError> {
    let folder = nic.folder();
    let file = format!("{folder}/driver_override");
    // The steps are taken back from the last to the first: the interface is set up once the kernel's driver is there again.
    let settings = former.filter(|_| !nic.is_user_driven());
    let undo_all = UndoOfMove { nic, former: settings };
    session.take(&Step::write(file.as_str(), driver), None)?;
    let moved = release(session, nic).and_then(|()| probe(session, &nic.address)).and_then(|()| {
        let taken = session.root().link_name(&format!("{folder}/driver"));
        if session.is_dry_run() || taken.as_deref() == Some(driver) {
            Ok(())
        } else {
            Err(SetupError::NotTaken { nic: nic.address.to_string(), driver: driver.to_owned() })
        }
    });
    if moved.is_err() {
        undo_all.carry_out(session);
    }
    moved
}

/// How a move that failed half-way is taken back.
struct UndoOfMove<'a> {
    /// The NIC as it was.
    nic: &'a Nic,
    /// What its interface was like.
    former: Option<&'a Former>,
}

impl UndoOfMove<'_> {
    /// Gives the NIC to whom it was with. Goes on where a step fails: the rest may help all the same.
    fn carry_out(&self, session: &mut Session<'_>) {
        let folder = self.nic.folder();
        let override_file = format!("{folder}/driver_override");
        let own = self.nic.driver.as_deref().filter(|_| self.nic.is_user_driven()).unwrap_or(ANY_DRIVER);
        for step in [Step::write(override_file, own), Step::write(PROBE_FILE, self.nic.address.to_string())] {
            // Already on the way out with an error: that one is told.
            let _ = session.take(&step, None);
        }
        restore(session, self.nic, self.former);
    }
}

/// Takes the NIC from its driver.
fn release(session: &mut Session<'_>, nic: &Nic) -> Result<(), SetupError> {
    match &nic.driver {
        Some(driver) => {
            let file = format!("sys/bus/pci/drivers/{driver}/unbind");
            session.take(&Step::write(file, nic.address.to_string()), None).map(drop)
        }
        None => Ok(()),
    }
}

/// Has the kernel find a driver.
fn probe(session: &mut Session<'_>, nic: &PciAddress) -> Result<(), SetupError> {
    session.take(&Step::write(PROBE_FILE, nic.to_string()), None).map(drop)
}

/// Brings the interface back to what it was, once it is there. A command that fails is told and spoils no other.
fn restore(session: &mut Session<'_>, nic: &Nic, former: Option<&Former>) {
    if session.is_dry_run() {
        return;
    }
    let Some(found) = await_interface(session.root(), nic) else {
        session.tell(format!("{} has no interface yet: see `dmesg | tail`", nic.address));
        return;
    };
    let commands = former.map(|former| former.commands(&found)).unwrap_or_default();
    for command in commands {
        let words: Vec<&str> = ["ip"].into_iter().chain(command.split(' ')).collect();
        if let Err(error) = session.take(&Step::run(&words), None) {
            session.tell(format!("warning: {error}"));
        }
    }
    let name = former.and_then(|former| former.interface.clone()).unwrap_or(found);
    session.tell(format!("its interface is {name}"));
}

/// Waits for the interface of a NIC.
fn await_interface(root: &Root, nic: &Nic) -> Option<String> {
    let start = Instant::now();
    loop {
        if let Some(name) = nic::interface_names(root, &nic.folder()).into_iter().next() {
            return Some(name);
        }
        if start.elapsed() > INTERFACE_TIME_MAX || !root.exists(&format!("{}/driver", nic.folder())) {
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Tells what the NIC is good for now.
fn tell_next(session: &mut Session<'_>, nic: &PciAddress) {
    session.tell(format!("use it by [[port]] device = \"{nic}\"; give it back by `ringdns setup nic unbind {nic}`"));
    if let Some(file) = read(session.root(), nic).ok().and_then(|nic| nic.vfio_file(session.root())) {
        session.tell(format!("root alone may use /{file}; for another user: `ringdns setup permissions --user USER`"));
    }
}

#[cfg(test)]
mod tests;
