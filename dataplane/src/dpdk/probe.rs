//! Finding a device, and what it can do, before it is decided what it is to do.

use std::ffi::CString;
use std::sync::Arc;

use ringdns_ffi as ffi;

use super::device::Device;
use super::eal::Eal;
use super::error::{DeviceProblem, DpdkError, LogCapture, describe};
use super::port::{Port, PortOptions, PortShared};
use super::queue::PortQueue;
use super::setup::mtu_max;
use crate::plan::Place;

/// A device that was found or made, and is not set up yet. Dropping it removes a virtual device again.
pub struct ProbedPort {
    /// The port that it will be.
    shared: PortShared,
    /// What it can do.
    info: ffi::rte_eth_dev_info,
}

impl ProbedPort {
    /// Makes the device if it is a virtual one, and asks what it can do.
    ///
    /// # Errors
    /// Where the driver is missing, or a privilege is.
    pub fn new(eal: &Eal, device: &Device) -> Result<Self, DpdkError> {
        device.check_surroundings()?;
        let id = find_or_make(device)?;
        // From here on its drop closes the port, whatever fails.
        let shared = PortShared::new(id, device, eal);
        let info = shared.info()?;
        Ok(Self { shared, info })
    }

    /// What is to be known for planning.
    pub fn place(&self) -> Place {
        let queues = self.info.max_rx_queues.min(self.info.max_tx_queues);
        Place { queues: usize::from(queues), numa_node: self.shared.numa_node() }
    }

    /// The largest MTU that the device and RingDNS allow.
    pub fn mtu_max(&self) -> u16 {
        mtu_max(&self.info)
    }

    /// Sets the port up and starts it. Every queue pair comes once.
    ///
    /// # Errors
    /// Where the device cannot do what is asked.
    pub fn open(mut self, options: PortOptions) -> Result<(Port, Vec<PortQueue>), DpdkError> {
        let setup = self.shared.set_up(&self.info, options)?;
        let shared = Arc::new(self.shared);
        let queues = (0..options.queues).map(|queue| PortQueue::new(Arc::clone(&shared), queue)).collect();
        Ok((Port::new(shared, setup), queues))
    }
}

/// The port's number; a virtual device is made first.
fn find_or_make(device: &Device) -> Result<u16, DpdkError> {
    let error = |problem| DpdkError::device(device.name(), problem);
    let text = |text: &str| CString::new(text).map_err(|_| error(DeviceProblem::Syntax));
    if !device.is_pci() {
        let arguments = text(device.arguments())?;
        let log = LogCapture::start();
        // SAFETY: `eal-running`, by the caller's `Eal`; the string is copied.
        let ret = unsafe { ffi::rte_dev_probe(arguments.as_ptr()) };
        let reason = log.reason(&describe(ret));
        // No bus knows the name where no driver does; see rte_devargs_parse.
        if ret == -libc::EFAULT || ret == -libc::ENODEV {
            return Err(error(DeviceProblem::NoDriver { package: device.package(), reason }));
        }
        if ret < 0 {
            return Err(error(DeviceProblem::Probe(reason)));
        }
    }
    let name = text(device.name())?;
    let mut id = 0;
    // SAFETY: `eal-running`; the number is written only.
    match unsafe { ffi::rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut id) } {
        0 => Ok(id),
        _ if device.is_pci() => Err(error(DeviceProblem::NotBound)),
        ret => Err(error(DeviceProblem::Probe(describe(ret)))),
    }
}
