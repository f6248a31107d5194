//! The device that makes an interface of the kernel: virtio-user over vhost-net, or TAP.

use std::fs::OpenOptions;
use std::path::Path;

use super::device::Device;
use super::eal::Eal;
use super::error::{DeviceProblem, DpdkError};
use super::port::{Port, PortOptions};
use super::probe::ProbedPort;
use super::queue::PortQueue;
use crate::limits::{
    KERNEL_DESCRIPTORS, KERNEL_REST_FRAMES, KERNEL_SESSION_FRAMES, KERNEL_WIRE_FRAMES, MEMPOOL_CACHE_MBUFS,
    MTU_BYTES_DEFAULT, TX_DESCRIPTORS,
};

/// Where the kernel's own half of virtio is.
const VHOST_PATH: &str = "/dev/vhost-net";

/// Names of these devices end in this number and more, so that they do not meet those of the configuration.
const FIRST_NUMBER: usize = 900;

/// From here on an MTU is more than the usual one with tags.
const MTU_BYTES_JUMBO: u16 = 1600;

/// What carries frames into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelDevice {
    /// virtio-user over vhost-net: a thread of the kernel copies the frames.
    Vhost,
    /// A TAP device: a system call for each frame.
    Tap,
}

impl KernelDevice {
    /// True where this process can use vhost-net, the better of the two.
    pub fn has_vhost() -> bool {
        OpenOptions::new().read(true).write(true).open(VHOST_PATH).is_ok()
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vhost => "vhost",
            Self::Tap => "tap",
        }
    }

    /// The device arguments of the interface `name` with a MAC address; `number` tells several apart.
    fn arguments(self, number: usize, name: &str, mac: [u8; 6]) -> String {
        let [m1, m2, m3, m4, m5, m6] = mac;
        let mac = format!("mac={m1:02x}:{m2:02x}:{m3:02x}:{m4:02x}:{m5:02x}:{m6:02x}");
        let number = FIRST_NUMBER + number;
        match self {
            Self::Vhost => format!(
                "net_virtio_user{number},path={VHOST_PATH},iface={name},queues=1,queue_size={KERNEL_DESCRIPTORS},{mac}"
            ),
            Self::Tap => format!("net_tap{number},iface={name},{mac}"),
        }
    }
}

/// Makes the interface `name` for a port, with its MAC address, and its MTU as far as the device can: net_tap of DPDK 22.11 takes
/// 1500 bytes and no more. It goes when the queue and the port are dropped.
///
/// # Errors
/// Where a file, a driver or a privilege is missing, or the interface is there already.
pub fn open_kernel_interface(
    eal: &Eal,
    port: &Port,
    number: usize,
    name: &str,
    device: KernelDevice,
    queues: usize,
) -> Result<(Port, PortQueue), DpdkError> {
    if device == KernelDevice::Vhost && !Path::new(VHOST_PATH).exists() {
        return Err(DpdkError::device(name, DeviceProblem::NoVhost));
    }
    let device = Device::parse(&device.arguments(number, name, port.mac()))?;
    // Beside its own: frames that wait for the wire, in rings, descriptors and caches of the workers.
    let each = KERNEL_WIRE_FRAMES + usize::from(TX_DESCRIPTORS) + MEMPOOL_CACHE_MBUFS as usize * 3 / 2;
    let spare_mbufs = u32::try_from(queues * each).unwrap_or(u32::MAX);
    let probed = ProbedPort::new(eal, &device)?;
    // Not 1504, which is room for a tag: neighbours would take it for their own MTU.
    let mtu = port.mtu().min(if probed.mtu_max() < MTU_BYTES_JUMBO { MTU_BYTES_DEFAULT } else { probed.mtu_max() });
    let options = PortOptions { queues: 1, mtu, spare_mbufs, interrupts: true, ..PortOptions::default() };
    let (interface, mut queues) = probed.open(options)?;
    match queues.pop() {
        Some(queue) => Ok((interface, queue)),
        None => Err(DpdkError::device(name, DeviceProblem::Queues { wanted: 1, most: 0 })),
    }
}

/// Buffers of each queue pair of a port that its kernel interface can hold: in rings, descriptors and a cache.
pub fn kernel_spare_mbufs() -> u32 {
    let rings = KERNEL_SESSION_FRAMES + KERNEL_REST_FRAMES;
    u32::try_from(rings).unwrap_or(u32::MAX) + u32::from(KERNEL_DESCRIPTORS) + MEMPOOL_CACHE_MBUFS * 3 / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_carry_name_and_mac() {
        let mac = [2, 0, 0, 0, 0xab, 1];
        for (kind, expected) in [
            (KernelDevice::Tap, "net_tap901,iface=ring1,mac=02:00:00:00:ab:01"),
            (
                KernelDevice::Vhost,
                "net_virtio_user901,path=/dev/vhost-net,iface=ring1,queues=1,queue_size=1024,mac=02:00:00:00:ab:01",
            ),
        ] {
            assert_eq!(kind.arguments(1, "ring1", mac), expected);
            assert!(Device::parse(expected).is_ok(), "{expected}");
        }
    }
}
