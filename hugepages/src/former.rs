//! How the kernel had a NIC before a process did, so that it can have it back just so.
//!
//! Kept below /run: a restart of the machine undoes bindings and forgets this with them. Root alone may write there, and
//! what is read is checked again, because it becomes arguments of `ip`.

use crate::nic::{Nic, PciAddress};
use crate::root::Root;
use crate::session::Session;

/// Where it is kept. Not in the server's own folders, which belong to its user.
const FOLDER: &str = "run/ringdns-setup/nic";

/// What the kernel had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Former {
    /// Its driver.
    pub driver: Option<String>,
    /// The interface.
    pub interface: Option<String>,
    /// Whether it was up.
    pub is_up: bool,
    /// Its MTU.
    pub mtu: Option<u64>,
    /// Addresses that somebody had set, each as arguments of `ip address add`.
    pub addresses: Vec<String>,
    /// Routes that somebody had set, each as arguments of `ip route add`.
    pub routes: Vec<String>,
    /// The same of IPv6.
    pub routes6: Vec<String>,
}

impl Former {
    /// Where it is kept for a NIC, without the leading slash.
    pub fn file(nic: &PciAddress) -> String {
        format!("{FOLDER}/{nic}")
    }

    /// Reads how the kernel has a NIC now.
    pub fn of(session: &mut Session<'_>, nic: &Nic) -> Self {
        let mut former = Self { driver: nic.driver.clone(), ..Self::default() };
        let Some(interface) = nic.interfaces.first() else { return former };
        let name = interface.name.as_str();
        former.mtu = session.root().number(&format!("sys/class/net/{name}/mtu"));
        former.is_up = interface.is_up;
        former.addresses = addresses(&session.ask("ip", &["-oneline", "address", "show", "dev", name]));
        former.routes = routes(&session.ask("ip", &["-4", "-oneline", "route", "show", "dev", name]));
        former.routes6 = routes(&session.ask("ip", &["-6", "-oneline", "route", "show", "dev", name]));
        former.interface = Some(name.to_owned());
        former
    }

    /// Reads what was kept; none where nothing was.
    pub fn kept(root: &Root, nic: &PciAddress) -> Option<Self> {
        Some(Self::parse(&root.text(&Self::file(nic))?))
    }

    /// The text to keep: one line a fact.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        let up = if self.is_up { "yes" } else { "no" };
        lines.extend(self.driver.iter().map(|driver| format!("driver {driver}")));
        lines.extend(self.interface.iter().map(|name| format!("interface {name}")));
        lines.extend(self.mtu.iter().map(|mtu| format!("mtu {mtu}")));
        lines.push(format!("up {up}"));
        lines.extend(self.addresses.iter().map(|address| format!("address {address}")));
        lines.extend(self.routes.iter().map(|route| format!("route {route}")));
        lines.extend(self.routes6.iter().map(|route| format!("route6 {route}")));
        lines.join("\n") + "\n"
    }

    /// Reads such text; what is not understood is left out.
    fn parse(text: &str) -> Self {
        let mut former = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once(' ')).filter(|(_, value)| is_plain(value)) {
            match key {
                "driver" => former.driver = Some(value.to_owned()),
                "interface" => former.interface = Some(value.to_owned()),
                "mtu" => former.mtu = value.parse().ok(),
                "up" => former.is_up = value == "yes",
                "address" => former.addresses.push(value.to_owned()),
                "route" => former.routes.push(value.to_owned()),
                "route6" => former.routes6.push(value.to_owned()),
                _ => {}
            }
        }
        former
    }

    /// The commands, arguments of `ip`, that bring an interface of whatever name back to this.
    pub fn commands(&self, found: &str) -> Vec<String> {
        let name = self.interface.as_deref().unwrap_or(found);
        let mut commands = Vec::new();
        if name != found {
            commands.push(format!("link set dev {found} down"));
            commands.push(format!("link set dev {found} name {name}"));
        }
        commands.extend(self.mtu.iter().map(|mtu| format!("link set dev {name} mtu {mtu}")));
        if self.is_up {
            commands.push(format!("link set dev {name} up"));
        }
        commands.extend(self.addresses.iter().map(|address| format!("address replace {address} dev {name}")));
        commands.extend(self.routes.iter().map(|route| format!("-4 route replace {route} dev {name}")));
        commands.extend(self.routes6.iter().map(|route| format!("-6 route replace {route} dev {name}")));
        commands
    }
}

/// Whether text holds nothing but what stands in names, addresses and routes.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || " .:/_-@".contains(c))
}

/// The addresses in the output of `ip -oneline address` that somebody set: those that the kernel or a DHCP client makes come
/// back by themselves.
fn addresses(output: &str) -> Vec<String> {
    let address = |line: &str| {
        // What follows the backslash are lifetimes.
        let words: Vec<&str> = line.split('\\').next()?.split_whitespace().collect();
        let (_, words) = words.split_at_checked(2)?;
        let [family, address, options @ ..] = words else { return None };
        let is_ours = matches!(*family, "inet" | "inet6")
            && !options.iter().any(|word| matches!(*word, "dynamic" | "mngtmpaddr" | "temporary"))
            && !(*family == "inet6" && address.starts_with("fe80:"));
        let broadcast = options.iter().skip_while(|word| **word != "brd").nth(1);
        let broadcast = broadcast.map_or(String::new(), |broadcast| format!(" broadcast {broadcast}"));
        // The address must not be checked for duplicates: it was this machine's a moment ago.
        let nodad = if *family == "inet6" { " nodad" } else { "" };
        is_ours.then(|| format!("{address}{broadcast}{nodad}"))
    };
    output.lines().filter_map(address).filter(|address| is_plain(address)).collect()
}

/// The routes in the output of `ip route show dev` that somebody set.
fn routes(output: &str) -> Vec<String> {
    let is_ours = |line: &&str| !["proto kernel", "proto ra", "proto dhcp"].iter().any(|made| line.contains(made));
    let plain = |line: &str| {
        // States of the moment and not of the route.
        let words = line.split_whitespace().filter(|word| !matches!(*word, "linkdown" | "dead"));
        words.collect::<Vec<_>>().join(" ")
    };
    output.lines().filter(is_ours).map(plain).filter(|route| is_plain(route)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_somebody_set_are_kept() {
        let output = "2: eth0    inet 198.51.100.7/24 brd 198.51.100.255 scope global eth0\\       valid_lft forever\n\
             2: eth0    inet 198.51.100.9/24 scope global dynamic eth0\\       valid_lft 800sec\n\
             2: eth0    inet6 2001:db8::7/64 scope global \\       valid_lft forever\n\
             2: eth0    inet6 fe80::1/64 scope link \\       valid_lft forever\n";
        assert_eq!(addresses(output), ["198.51.100.7/24 broadcast 198.51.100.255", "2001:db8::7/64 nodad"]);
    }

    #[test]
    fn routes_that_somebody_set_are_kept() {
        let output =
            "198.51.100.0/24 proto kernel scope link src 198.51.100.7\n203.0.113.0/24 via 198.51.100.1 linkdown \n";
        assert_eq!(routes(output), ["203.0.113.0/24 via 198.51.100.1"]);
    }

    #[test]
    fn what_is_kept_comes_back() {
        let former = Former {
            driver: Some("virtio-pci".to_owned()),
            interface: Some("lan0".to_owned()),
            is_up: true,
            mtu: Some(1400),
            addresses: vec!["198.51.100.7/24".to_owned()],
            routes: vec!["default via 198.51.100.1".to_owned()],
            routes6: vec![],
        };
        assert_eq!(Former::parse(&former.text()), former);
        let commands = former.commands("eth3");
        let expected = [
            "link set dev eth3 down",
            "link set dev eth3 name lan0",
            "link set dev lan0 mtu 1400",
            "link set dev lan0 up",
            "address replace 198.51.100.7/24 dev lan0",
            "-4 route replace default via 198.51.100.1 dev lan0",
        ];
        assert_eq!(commands, expected);
    }

    #[test]
    fn what_no_interface_is_called_is_left_out() {
        assert_eq!(Former::parse("driver a;b\ninterface $(x)\nup yes\n").interface, None);
    }
}
