//! From the configuration to what the records are made by.

use std::net::{IpAddr, SocketAddr};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;
use ringdns_controlplane::config::{
    Config, EndpointLabels, EndpointPtrs, ExternalAddresses, KubernetesConfig, KubernetesPods,
};
use ringdns_engine::rules::Search;

use crate::options::{EndpointLabel, EndpointPtr, External, ExternalAddress, Options, PodMode};

/// How a cluster is answered.
pub(crate) fn options(config: &KubernetesConfig, own_addresses: Vec<IpAddr>) -> Options {
    let external = config.external.as_ref().map(|external| External {
        zones: external.zones.clone(),
        apex: external.apex.clone(),
        ttl: external.ttl,
        headless: external.headless,
        reverse_zones: external.reverse_zones.clone(),
    });
    let search = config.search_path.as_ref();
    let search = search.map(|path| Search { host_suffixes: path.host_suffixes.clone(), cname: path.cname });
    Options {
        zones: config.zones.clone(),
        reverse_zones: config.reverse_zones.clone(),
        multicluster_zones: config.multicluster_zones.clone(),
        namespaces: config.namespaces.clone(),
        ttl: config.ttl,
        negative_ttl: config.negative_ttl,
        pods: match config.pods {
            KubernetesPods::Disabled => PodMode::Disabled,
            KubernetesPods::Insecure => PodMode::Insecure,
            KubernetesPods::Verified => PodMode::Verified,
        },
        endpoint_label: match config.endpoint_labels {
            EndpointLabels::DashedAddress => EndpointLabel::DashedAddress,
            EndpointLabels::PodName => EndpointLabel::PodName,
            EndpointLabels::KubeDns => EndpointLabel::KubeDnsHash,
            EndpointLabels::Kube2sky => EndpointLabel::Kube2skyHash,
        },
        endpoint_ptr: match config.endpoint_ptr {
            EndpointPtrs::All => EndpointPtr::All,
            EndpointPtrs::Named => EndpointPtr::Named,
            EndpointPtrs::None => EndpointPtr::None,
        },
        endpoints: config.endpoints,
        ignore_empty_services: config.ignore_empty_services,
        zonal: config.zonal,
        fallthrough: config.fallthrough.clone(),
        own_addresses,
        legacy_names: config.legacy_names,
        query_wildcards: config.query_wildcards,
        external_addresses: match config.external_addresses {
            ExternalAddresses::Ignore => ExternalAddress::Ignored,
            ExternalAddresses::Address => ExternalAddress::Address,
        },
        external_ip_records: config.external_ip_records,
        srv_priority: config.srv_priority,
        external,
        search,
    }
}

/// The server's own addresses: those that are given, else those that are listened on, else those of the machine.
pub(crate) fn own_addresses(config: &Config, cluster: &KubernetesConfig) -> Vec<IpAddr> {
    if !cluster.own_addresses.is_empty() {
        return cluster.own_addresses.clone();
    }
    let ports = config.ports.iter().flat_map(|port| port.addresses.iter().copied());
    let listened = outer(ports.chain(config.sockets.listen.iter().map(SocketAddr::ip)));
    let is_wildcard = config.sockets.listen.iter().any(|address| address.ip().is_unspecified());
    if listened.is_empty() || is_wildcard { outer(listened.into_iter().chain(of_machine())) } else { listened }
}

/// Those that others can ask, none twice.
fn outer(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for address in addresses.filter(|address| !address.is_loopback() && !address.is_unspecified()) {
        if !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// The addresses of the machine's interfaces, but for those that hold on one link only.
fn of_machine() -> Vec<IpAddr> {
    let address = |address: SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| {
            let address = address.as_sockaddr_in6()?.ip();
            (!address.is_unicast_link_local()).then_some(IpAddr::V6(address))
        })
    };
    let interfaces = match getifaddrs() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            tracing::warn!("the machine's addresses cannot be read: {error}; give kubernetes.own_addresses");
            return Vec::new();
        }
    };
    interfaces.filter_map(|interface| address(interface.address?)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The addresses of a server with these lines.
    fn own(port: &str, lines: &str) -> Vec<IpAddr> {
        let text = format!("[[port]]\ndevice = \"net_tap0\"\naddresses = [\"{port}\"]\n{lines}");
        let config = Config::parse(Path::new("/r.toml"), &text).unwrap();
        own_addresses(&config, config.kubernetes.as_ref().unwrap())
    }

    #[test]
    fn own_addresses_are_those_that_clients_ask() {
        let cluster = "[kubernetes]\nzones = [\"a\"]\n";
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let sockets =
            format!("{cluster}[sockets]\nlisten = [\"192.0.2.9:53\", \"127.0.0.1:53\", \"192.0.2.53:5353\"]\n");
        assert_eq!(own("192.0.2.53", &sockets), addresses(&["192.0.2.53", "192.0.2.9"]));
        assert_eq!(
            own("192.0.2.53", &format!("{cluster}own_addresses = [\"10.0.0.10\"]\n")),
            addresses(&["10.0.0.10"])
        );
        let wildcard = own("192.0.2.53", &format!("{cluster}[sockets]\nlisten = [\"0.0.0.0:53\"]\nudp = false\n"));
        assert_eq!(wildcard, outer(addresses(&["192.0.2.53"]).into_iter().chain(of_machine())));
        assert!(wildcard.iter().all(|address| !address.is_loopback()), "{wildcard:?}");
    }
}
