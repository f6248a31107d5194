//! What differs between the configuration that runs and the one that its file says now.

use super::{
    AccessToken, AdminConfig, Config, ContainerdnsApiConfig, DnsConfig, ForwardConfig, KdnsApiConfig, LogConfig,
    NodeLocalConfig, PortConfig, StoreConfig, Token,
};

/// Keys whose values have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that hold from now on.
    pub live: Vec<String>,
    /// Those that hold after a restart only.
    pub restart: Vec<String>,
}

impl Changes {
    /// Takes a new value where it differs.
    pub(super) fn live<T: Clone + PartialEq>(&mut self, key: &str, running: &mut T, new: &T) {
        if running != new {
            running.clone_from(new);
            self.live.push(key.to_owned());
        }
    }

    /// Notes a new value that cannot be taken.
    pub(super) fn restart<T: PartialEq>(&mut self, key: &str, running: &T, new: &T) {
        if running != new {
            self.restart.push(key.to_owned());
        }
    }
}

impl Config {
    /// Takes from a newer configuration what can change while RingDNS runs; all else stays, and is named.
    pub fn take(&mut self, new: &Config) -> Changes {
        let mut changes = Changes::default();
        changes.live("corefile", &mut self.corefile, &new.corefile);
        changes.live("kube_dns_config.directory", &mut self.kube_dns_directory, &new.kube_dns_directory);
        self.dns.take(&new.dns, &mut changes);
        changes.live("rate_limit", &mut self.rate_limit, &new.rate_limit);
        changes.restart("workers.cores", &self.workers.cores, &new.workers.cores);
        changes.restart("workers.idle", &self.workers.idle, &new.workers.idle);
        changes.restart("eal.hugepages", &self.eal.hugepages, &new.eal.hugepages);
        changes.restart("eal.memory_mib", &self.eal.memory_mib, &new.eal.memory_mib);
        self.sockets.compare(&new.sockets, &mut changes);
        take_ports(&mut self.ports, &new.ports, &mut changes);
        changes.restart("store.path", &self.store.path, &new.store.path);
        let backend = |store: &StoreConfig| (store.in_memory, store.etcd.clone());
        changes.restart("store.backend", &backend(&self.store), &backend(&new.store));
        changes.live("zone_file", &mut self.zone_files, &new.zone_files);
        changes.restart("etcd", &self.etcd, &new.etcd);
        ForwardConfig::take(&mut self.forward, &new.forward, &mut changes);
        self.policy.take(&new.policy, &mut changes);
        changes.restart("kubernetes", &self.kubernetes, &new.kubernetes);
        changes.restart("kubesync", &self.kubesync, &new.kubesync);
        self.health.compare(&new.health, &mut changes);
        changes.live("view", &mut self.views, &new.views);
        changes.live("transfer", &mut self.transfers, &new.transfers);
        self.admin.take(&new.admin, &mut changes);
        let interfaces = (self.containerdns_api.as_ref(), new.containerdns_api.as_ref());
        ContainerdnsApiConfig::compare(interfaces.0, interfaces.1, &mut changes);
        self.stats.compare(&new.stats, &mut changes);
        KdnsApiConfig::take(self.kdns_api.as_mut(), new.kdns_api.as_ref(), &mut changes);
        self.cluster_http.compare(&new.cluster_http, &mut changes);
        NodeLocalConfig::compare(self.node_local.as_ref(), new.node_local.as_ref(), &mut changes);
        self.shutdown.take(&new.shutdown, &mut changes);
        self.log.take(&new.log, &mut changes);
        self.fingerprint = new.fingerprint;
        changes
    }
}

impl DnsConfig {
    /// All of it can change.
    fn take(&mut self, new: &DnsConfig, changes: &mut Changes) {
        changes.live("dns.udp_answer_bytes_max", &mut self.udp_answer_bytes_max, &new.udp_answer_bytes_max);
        changes.live("dns.nsid", &mut self.nsid, &new.nsid);
        changes.live("dns.version", &mut self.version, &new.version);
        changes.live("dns.identity", &mut self.identity, &new.identity);
        changes.live("dns.aaaa", &mut self.aaaa, &new.aaaa);
        changes.live("dns.cookies", &mut self.cookies, &new.cookies);
        changes.live("dns.cookie_secrets", &mut self.cookie_secrets, &new.cookie_secrets);
    }
}

/// What is answered on a port can change; the port cannot.
fn take_ports(running: &mut [PortConfig], new: &[PortConfig], changes: &mut Changes) {
    let devices = |ports: &[PortConfig]| ports.iter().map(|port| port.device.clone()).collect::<Vec<_>>();
    if devices(running) != devices(new) {
        // Which port became which cannot be told.
        changes.restart.push("port.device".to_owned());
        return;
    }
    for (index, (running, new)) in running.iter_mut().zip(new).enumerate() {
        let key = |name: &str| format!("port[{index}].{name}");
        changes.live(&key("addresses"), &mut running.addresses, &new.addresses);
        changes.live(&key("dns_port"), &mut running.dns_port, &new.dns_port);
        changes.live(&key("vlan"), &mut running.vlan, &new.vlan);
        changes.restart(&key("mtu"), &running.mtu, &new.mtu);
        changes.restart(&key("kernel"), &running.kernel, &new.kernel);
    }
}

impl AdminConfig {
    /// The tokens can change.
    fn take(&mut self, new: &AdminConfig, changes: &mut Changes) {
        changes.restart("admin.listen", &self.listen, &new.listen);
        let same = match (&self.token, &new.token) {
            (Some(Token(running)), Some(new)) => new.matches(running.as_bytes()),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.token.clone_from(&new.token);
            changes.live.push("admin.token".to_owned());
        }
        changes.live("admin.read_needs_token", &mut self.read_needs_token, &new.read_needs_token);
        let is_same = |(running, new): (&AccessToken, &AccessToken)| running.is_same(new);
        if self.tokens.len() != new.tokens.len() || !self.tokens.iter().zip(&new.tokens).all(is_same) {
            self.tokens.clone_from(&new.tokens);
            changes.live.push("admin_token".to_owned());
        }
    }
}

impl LogConfig {
    /// The level can change.
    fn take(&mut self, new: &LogConfig, changes: &mut Changes) {
        changes.live("log.level", &mut self.level, &new.level);
        changes.restart("log.format", &self.format, &new.format);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A configuration with these lines.
    fn config(lines: &str) -> Config {
        let port = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n";
        Config::parse(Path::new("/etc/ringdns/ringdns.toml"), &format!("{port}{lines}")).unwrap()
    }

    #[test]
    fn the_same_file_changes_nothing() {
        let text = "[dns]\nnsid = \"a\"\n[admin]\ntoken = \"t\"\n[rate_limit]\npackets_per_second = 5\n";
        assert_eq!(config(text).take(&config(text)), Changes::default());
    }

    #[test]
    fn each_key_is_taken_or_named() {
        for (lines, live, restart) in [
            (
                "[dns]\nnsid = \"b\"\naaaa = \"nodata\"\ncookies = \"off\"",
                &["dns.nsid", "dns.aaaa", "dns.cookies"][..],
                &[][..],
            ),
            ("[rate_limit]\npackets_per_second = 9", &["rate_limit"], &[]),
            ("dns_port = 54\nvlan = 7\nmtu = 1400", &["port[0].dns_port", "port[0].vlan"], &["port[0].mtu"]),
            ("kernel = \"tap\"", &[], &["port[0].kernel"]),
            ("[eal]\nmemory_mib = 99\nhugepages = true", &[], &["eal.hugepages", "eal.memory_mib"]),
            (
                "[sockets]\nlisten = [\"127.0.0.1:53\"]\ntcp_idle_seconds = 7",
                &[],
                &["sockets.listen", "sockets.tcp_idle_seconds"],
            ),
            ("[workers]\ncores = [0]\nidle = \"busy\"", &[], &["workers.cores", "workers.idle"]),
            (
                "[store]\npath = \"x\"\n[log]\nlevel = \"warn\"\nformat = \"json\"",
                &["log.level"],
                &["store.path", "log.format"],
            ),
            (
                "[admin]\ntoken = \"t\"\nread_needs_token = true\nlisten = \"127.0.0.1:1\"",
                &["admin.token", "admin.read_needs_token"],
                &["admin.listen"],
            ),
            ("[containerdns_api]\nlisten = \"127.0.0.1:1\"\ntoken = \"t\"", &[], &["containerdns_api.listen"]),
            (
                "[[zone_file]]\nzone = \"a\"\npath = \"b\"\n[[view]]\nname = \"v\"\nprefixes = [\"::/0\"]\n\
                 [[transfer]]\nzones = [\"*\"]\nto = [\"*\"]",
                &["zone_file", "view", "transfer"],
                &[],
            ),
        ] {
            let (mut running, new) = (config(""), config(lines));
            let changes = running.take(&new);
            assert_eq!(
                (&changes.live[..], &changes.restart[..]),
                (&live.map_str()[..], &restart.map_str()[..]),
                "{lines}"
            );
            let again = running.take(&new);
            assert_eq!((again.live.len(), &again.restart), (0, &changes.restart), "what was taken is taken: {lines}");
        }
    }

    #[test]
    fn other_devices_are_named_and_nothing_is_taken_of_the_ports() {
        let mut running = config("");
        let new = config("dns_port = 54\n[[port]]\ndevice = \"net_tap1\"\naddresses = [\"192.0.2.54\"]");
        assert_eq!(running.take(&new).restart, ["port.device"]);
        assert_eq!(running.ports[0].dns_port, 53);
    }

    /// Owned strings of a list.
    trait MapStr {
        /// Each as a string of its own.
        fn map_str(&self) -> Vec<String>;
    }

    impl MapStr for &[&str] {
        fn map_str(&self) -> Vec<String> {
            self.iter().map(|text| (*text).to_owned()).collect()
        }
    }
}
