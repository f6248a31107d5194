//! Objects of a cluster, cut down to what answers need. What the API server sends is read straight into these; whole objects are
//! never kept.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Namespace and name of an object. Namespaces and names of Services are shared by all that name them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The namespace; empty for objects that have none.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

/// The transport of a port, as it stands in SRV owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    /// `_tcp`, and what is not said.
    Tcp,
    /// `_udp`.
    Udp,
    /// `_sctp`.
    Sctp,
}

/// A port of a Service or of endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name; empty: none.
    pub name: Box<str>,
    /// Its transport.
    pub protocol: Protocol,
    /// Its number.
    pub number: u16,
}

/// What kind of Service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceKind {
    /// With addresses of its own (also of type NodePort and LoadBalancer).
    ClusterIp,
    /// `clusterIP: None`: the addresses are those of its endpoints.
    Headless,
    /// An alias.
    ExternalName,
}

/// Where a load balancer takes a Service's traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ingress {
    /// At an address.
    Address(IpAddr),
    /// At a name.
    Name(Box<str>),
}

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Namespace and name.
    pub key: Key,
    /// What kind it is.
    pub kind: ServiceKind,
    /// Its own addresses, at most one of each family; none while it waits for them.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// `status.loadBalancer.ingress`.
    pub ingress: Vec<Ingress>,
    /// `spec.externalName`; empty where it is no alias.
    pub external_name: Box<str>,
    /// Its ports.
    pub ports: Vec<Port>,
    /// `spec.publishNotReadyAddresses`, or the older annotation `service.alpha.kubernetes.io/tolerate-unready-endpoints`.
    pub publish_not_ready: bool,
    /// True where `spec.selector` has an entry: its endpoints are made by the cluster.
    pub has_selector: bool,
}

/// One endpoint of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its addresses; of a slice all have the same family.
    pub addresses: Vec<IpAddr>,
    /// Its host name; empty: none.
    pub hostname: Box<str>,
    /// The Pod that it is; empty: none.
    pub pod: Box<str>,
    /// The topology zone; empty: none.
    pub zone: Box<str>,
    /// Whether it is ready; what is not said counts as ready.
    pub ready: bool,
}

/// A part of a Service's endpoints: an EndpointSlice, or a subset of Endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Namespace and name of the slice. A subset of Endpoints is named by its Endpoints and its place: `name/0`.
    pub key: Key,
    /// The name of the Service, in the same namespace.
    pub service: Arc<str>,
    /// The cluster that it is from (`multicluster.kubernetes.io/source-cluster`); empty: this one.
    pub cluster: Box<str>,
    /// The ports of all of them; none: the addresses are answered, SRV is not.
    pub ports: Vec<Port>,
    /// The endpoints, ready or not.
    pub endpoints: Vec<Endpoint>,
    /// `endpoints.kubernetes.io/last-change-trigger-time` in milliseconds since 1970: what programming latency is counted from.
    pub triggered_ms: Option<u64>,
}

/// A Pod that runs. Those that have ended, or end, are not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Namespace and name.
    pub key: Key,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// A ServiceImport of the multi-cluster services API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceImport {
    /// Namespace and name.
    pub key: Key,
    /// Headless: the addresses are those of its slices; else `ips`.
    pub headless: bool,
    /// Its addresses.
    pub ips: Vec<IpAddr>,
    /// Its ports.
    pub ports: Vec<Port>,
}

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Namespaces.
    Namespace,
    /// Services.
    Service,
    /// EndpointSlices or Endpoints.
    Slice,
    /// Pods.
    Pod,
    /// ServiceImports.
    ServiceImport,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Object {
    /// A Namespace, which has only a name.
    Namespace(Arc<str>),
    /// A Service.
    Service(Service),
    /// A slice.
    Slice(Slice),
    /// A Pod.
    Pod(Pod),
    /// A ServiceImport.
    ServiceImport(ServiceImport),
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An object is as it says now, whether it was there or not.
    Put(Object),
    /// An object is no more. A Namespace's key has an empty namespace; of Endpoints, each subset that was told is told gone.
    Gone(Kind, Key),
    /// A listing of all objects of a kind begins.
    ListBegins(Kind),
    /// That listing is over: what it did not name is no more.
    ListEnds(Kind),
}
