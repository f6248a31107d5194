//! Objects of fixtures, as an API server would send them.

use std::net::IpAddr;
use std::sync::Arc;

use ringdns_kubernetes::object::{
    Endpoint, Ingress, Key, Object, Pod, Port, Protocol, Service, ServiceImport, ServiceKind, Slice,
};
use serde_json::Value;

/// Namespace and name.
pub fn key(namespace: &str, name: &str) -> Key {
    Key { namespace: namespace.into(), name: name.into() }
}

/// A text, empty where there is none.
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The members of a list.
fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The addresses of a list; what is none, as `None` is none, is left out.
fn addresses(value: &Value, pointer: &str) -> Vec<IpAddr> {
    list(value, pointer).iter().filter_map(|address| address.as_str()?.parse().ok()).collect()
}

/// The ports of a list.
fn ports(value: &Value, pointer: &str) -> Vec<Port> {
    let port = |port: &Value| Port {
        name: text(port, "/name").into(),
        protocol: match text(port, "/protocol") {
            "UDP" => Protocol::Udp,
            "SCTP" => Protocol::Sctp,
            _ => Protocol::Tcp,
        },
        number: u16::try_from(port["port"].as_u64().unwrap()).unwrap(),
    };
    list(value, pointer).iter().map(port).collect()
}

/// A Service.
fn service(key: Key, value: &Value) -> Service {
    let kind = match (text(value, "/spec/type"), text(value, "/spec/clusterIP")) {
        ("ExternalName", _) => ServiceKind::ExternalName,
        (_, "None") => ServiceKind::Headless,
        _ => ServiceKind::ClusterIp,
    };
    let mut cluster_ips = addresses(value, "/spec/clusterIPs");
    if cluster_ips.is_empty() {
        cluster_ips.extend(text(value, "/spec/clusterIP").parse::<IpAddr>());
    }
    let ingress = list(value, "/status/loadBalancer/ingress").iter();
    let ingress = ingress.map(|one| match text(one, "/ip").parse() {
        Ok(address) => Ingress::Address(address),
        Err(_) => Ingress::Name(text(one, "/hostname").into()),
    });
    Service {
        key,
        kind,
        cluster_ips,
        external_ips: addresses(value, "/spec/externalIPs"),
        ingress: ingress.collect(),
        external_name: text(value, "/spec/externalName").into(),
        ports: ports(value, "/spec/ports"),
        publish_not_ready: value.pointer("/spec/publishNotReadyAddresses") == Some(&Value::Bool(true)),
        has_selector: value.pointer("/spec/selector").is_some(),
    }
}

/// A slice.
fn slice(key: Key, value: &Value) -> Slice {
    let endpoint = |one: &Value| Endpoint {
        addresses: addresses(one, "/addresses"),
        hostname: text(one, "/hostname").into(),
        pod: text(one, "/targetRef/name").into(),
        zone: text(one, "/zone").into(),
        ready: one.pointer("/conditions/ready") != Some(&Value::Bool(false)),
    };
    let label = |name: &str| text(&value["metadata"]["labels"], &format!("/{}", name.replace('/', "~1"))).to_owned();
    let cluster = label("multicluster.kubernetes.io/source-cluster");
    let service = label(if cluster.is_empty() {
        "kubernetes.io/service-name"
    } else {
        "multicluster.kubernetes.io/service-name"
    });
    Slice {
        key,
        service: service.into(),
        cluster: cluster.into(),
        ports: ports(value, "/ports"),
        endpoints: list(value, "/endpoints").iter().map(endpoint).collect(),
        triggered_ms: None,
    }
}

/// An object of a fixture; nothing for kinds that are not looked at.
pub fn read(value: &Value) -> Option<Object> {
    let key = key(text(value, "/metadata/namespace"), text(value, "/metadata/name"));
    Some(match text(value, "/kind") {
        "Namespace" => Object::Namespace(Arc::clone(&key.name)),
        "Service" => Object::Service(service(key, value)),
        "EndpointSlice" => Object::Slice(slice(key, value)),
        "Pod" => Object::Pod(Pod {
            key,
            addresses: list(value, "/status/podIPs").iter().filter_map(|ip| text(ip, "/ip").parse().ok()).collect(),
        }),
        "ServiceImport" => Object::ServiceImport(ServiceImport {
            key,
            headless: text(value, "/spec/type") == "Headless",
            ips: addresses(value, "/spec/ips"),
            ports: ports(value, "/spec/ports"),
        }),
        "Node" => return None,
        kind => panic!("kind {kind}"),
    })
}

/// The namespace of an object.
pub fn namespace(object: &Object) -> Arc<str> {
    let key = match object {
        Object::Namespace(name) => return Arc::clone(name),
        Object::Service(service) => &service.key,
        Object::Slice(slice) => &slice.key,
        Object::Pod(pod) => &pod.key,
        Object::ServiceImport(import) => &import.key,
    };
    Arc::clone(&key.namespace)
}

/// A Namespace.
pub fn a_namespace(name: &str) -> Object {
    Object::Namespace(name.into())
}

/// Ports by name, protocol and number; the name may be empty.
fn some_ports(ports: &[(&str, Protocol, u16)]) -> Vec<Port> {
    ports.iter().map(|&(name, protocol, number)| Port { name: name.into(), protocol, number }).collect()
}

/// A Service; without addresses it is headless. `path` is its namespace and name.
pub fn a_service(path: &str, addresses: &[&str], ports: &[(&str, Protocol, u16)]) -> Service {
    let (namespace, name) = path.split_once('/').unwrap();
    Service {
        key: key(namespace, name),
        kind: if addresses.is_empty() { ServiceKind::Headless } else { ServiceKind::ClusterIp },
        cluster_ips: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        external_ips: Vec::new(),
        ingress: Vec::new(),
        external_name: "".into(),
        ports: some_ports(ports),
        publish_not_ready: false,
        has_selector: true,
    }
}

/// An alias.
pub fn an_alias(path: &str, target: &str) -> Service {
    Service { kind: ServiceKind::ExternalName, external_name: target.into(), ..a_service(path, &[], &[]) }
}

/// A slice of a Service; endpoints are words of `address[=hostname][@zone]`, and `!` before one that is not ready.
pub fn a_slice(path: &str, service: &str, ports: &[(&str, Protocol, u16)], endpoints: &str) -> Slice {
    let (namespace, name) = path.split_once('/').unwrap();
    let endpoint = |word: &str| {
        let (word, zone) = word.split_once('@').unwrap_or((word, ""));
        let (word, hostname) = word.split_once('=').unwrap_or((word, ""));
        let address = word.trim_start_matches('!').parse().unwrap();
        let (hostname, zone) = (hostname.into(), zone.into());
        Endpoint { addresses: vec![address], hostname, pod: "".into(), zone, ready: !word.starts_with('!') }
    };
    Slice {
        key: key(namespace, name),
        service: service.into(),
        cluster: "".into(),
        ports: some_ports(ports),
        endpoints: endpoints.split_whitespace().map(endpoint).collect(),
        triggered_ms: None,
    }
}
