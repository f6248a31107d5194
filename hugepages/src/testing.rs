//! Made-up machines for the tests, and a kernel for them.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::root::Root;
use crate::session::System;

/// A folder that holds a made-up /proc and /sys, removed at the end.
pub struct FakeMachine(PathBuf);

impl FakeMachine {
    /// An empty one; the name tells it from those of other tests.
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ringdns-machine-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// What is read of it.
    pub fn root(&self) -> Root {
        Root::at(&self.0)
    }

    /// Makes a folder.
    pub fn folder(&self, path: &str) {
        fs::create_dir_all(self.0.join(path)).unwrap();
    }

    /// Makes or replaces a file.
    pub fn file(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Makes a link, or has it point elsewhere.
    pub fn link(&self, path: &str, target: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }

    /// Makes a NIC with a driver that is there, perhaps an interface that is up, and perhaps an IOMMU group.
    pub fn nic(&self, address: &str, driver: &str, interface: Option<&str>, group: Option<&str>) {
        let folder = format!("sys/bus/pci/devices/{address}");
        self.file(&format!("{folder}/class"), "0x020000\n");
        self.file(&format!("{folder}/vendor"), "0x8086\n");
        self.file(&format!("{folder}/device"), "0x10d3\n");
        self.file(&format!("{folder}/numa_node"), "-1\n");
        self.file(&format!("{folder}/driver_override"), "");
        self.file("sys/bus/pci/drivers_probe", "");
        self.file(&format!("sys/bus/pci/drivers/{driver}/unbind"), "");
        self.link(&format!("{folder}/driver"), &format!("../../drivers/{driver}"));
        if let Some(interface) = interface {
            self.folder(&format!("{folder}/net/{interface}"));
            self.file(&format!("sys/class/net/{interface}/flags"), "0x1003\n");
            self.file(&format!("sys/class/net/{interface}/carrier"), "1\n");
            self.file(&format!("sys/class/net/{interface}/mtu"), "1500\n");
        }
        if let Some(group) = group {
            self.link(&format!("{folder}/iommu_group"), &format!("../../../kernel/iommu_groups/{group}"));
            self.folder(&format!("sys/kernel/iommu_groups/{group}/devices/{address}"));
            if driver == "vfio-pci" {
                self.file(&format!("dev/vfio/{group}"), "");
            }
        }
    }
}

impl Drop for FakeMachine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a kernel makes of writes to its files.
pub struct FakeKernel {
    /// The machine.
    root: Root,
    /// Driver and interface that a NIC gets where no override is set.
    pub own: (String, String),
    /// A driver that takes no device.
    pub refusing: Option<String>,
    /// Hugepages that it can set aside.
    pub pages_max: u64,
    /// The same after compaction.
    pub pages_max_compacted: Option<u64>,
    /// Programs that were run, with their arguments.
    pub ran: Vec<String>,
    /// What `ip address` says.
    pub addresses: String,
}

impl FakeKernel {
    /// The kernel of a machine.
    pub fn new(root: &Root) -> Self {
        Self {
            root: root.clone(),
            own: ("e1000e".to_owned(), "eth0".to_owned()),
            refusing: None,
            pages_max: 0,
            pages_max_compacted: None,
            ran: Vec::new(),
            addresses: String::new(),
        }
    }

    /// Finds a driver for a device.
    fn probe(&self, address: &str) -> io::Result<()> {
        let folder = format!("sys/bus/pci/devices/{address}");
        let wanted = self.root.text(&format!("{folder}/driver_override")).unwrap_or_default();
        let driver = if wanted.is_empty() { self.own.0.clone() } else { wanted };
        let driver_folder = format!("sys/bus/pci/drivers/{driver}");
        if self.refusing.as_ref() == Some(&driver) || !self.root.exists(&driver_folder) {
            return Ok(());
        }
        symlink(format!("../../drivers/{driver}"), self.root.path(&format!("{folder}/driver")))?;
        if driver == self.own.0 {
            fs::create_dir_all(self.root.path(&format!("{folder}/net/{}", self.own.1)))?;
        }
        Ok(())
    }

    /// Takes a device from its driver.
    fn release(&self, address: &str) -> io::Result<()> {
        let folder = format!("sys/bus/pci/devices/{address}");
        let _ = fs::remove_dir_all(self.root.path(&format!("{folder}/net")));
        fs::remove_file(self.root.path(&format!("{folder}/driver")))
    }
}

impl System for FakeKernel {
    fn write(&mut self, path: &Path, text: &str) -> io::Result<()> {
        if !path.exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match name {
            "drivers_probe" => self.probe(text),
            "unbind" => self.release(text),
            "nr_hugepages" => {
                let pages: u64 = text.parse().map_err(io::Error::other)?;
                fs::write(path, pages.min(self.pages_max).to_string())
            }
            "compact_memory" => {
                self.pages_max = self.pages_max_compacted.unwrap_or(self.pages_max);
                Ok(())
            }
            _ => fs::write(path, text),
        }
    }

    fn create(&mut self, path: &Path, text: &str) -> io::Result<()> {
        fs::create_dir_all(path.parent().unwrap())?;
        fs::write(path, text)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn give(&mut self, path: &Path, _user: u32) -> io::Result<()> {
        path.metadata().map(drop)
    }

    fn set_mode(&mut self, path: &Path, _mode: u32) -> io::Result<()> {
        path.metadata().map(drop)
    }

    fn run(&mut self, program: &str, arguments: &[&str]) -> io::Result<String> {
        let line = format!("{program} {}", arguments.join(" "));
        let said = if line.contains("address show") { self.addresses.clone() } else { String::new() };
        if let Some(module) = line.strip_prefix("modprobe ") {
            fs::create_dir_all(self.root.path(&format!("sys/bus/pci/drivers/{module}")))?;
            fs::write(self.root.path(&format!("sys/bus/pci/drivers/{module}/unbind")), "")?;
        }
        self.ran.push(line);
        Ok(said)
    }
}
