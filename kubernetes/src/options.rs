//! How a cluster is answered: what `[kubernetes]` of the configuration says, and what the plugins of CoreDNS call the same things.

use ringdns_engine::name::WireName;
use ringdns_engine::rules::Search;

/// Names of Pods made of their addresses, `10-0-0-1.namespace.pod.zone`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodMode {
    /// None.
    #[default]
    Disabled,
    /// Any address in any namespace that exists.
    Insecure,
    /// Only where a Pod with the address runs in the namespace.
    Verified,
}

/// The label of an endpoint that has no host name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndpointLabel {
    /// Its address with dashes (CoreDNS).
    #[default]
    DashedAddress,
    /// The name of its Pod, where that fits a label, else the address (CoreDNS's `endpoint_pod_names`).
    PodName,
    /// The hash of kube-dns: the FNV-1a text of the address, in hexadecimal.
    KubeDnsHash,
    /// The hash of kube2sky: FNV-1a over the JSON text of the record, in hexadecimal.
    Kube2skyHash,
}

/// Which endpoints of Services have PTR records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndpointPtr {
    /// Those of every Service (CoreDNS).
    #[default]
    All,
    /// Those of headless Services that have a host name (kube-dns).
    Named,
    /// None (kube2sky).
    None,
}

/// What external names that look like addresses become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExternalAddress {
    /// Nothing (CoreDNS).
    #[default]
    Ignored,
    /// A or AAAA records (kube-dns).
    Address,
}

/// The names of Services by their addresses outside the cluster (CoreDNS's `k8s_external`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// The zones, none of them reverse.
    pub zones: Vec<WireName>,
    /// The label of the apex's own names.
    pub apex: String,
    /// TTL in seconds.
    pub ttl: u32,
    /// Whether endpoints of headless Services are answered.
    pub headless: bool,
    /// The reverse zones that answer for the outer addresses.
    pub reverse_zones: Vec<WireName>,
}

/// How a cluster is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The cluster's zones; the first is where PTR records point.
    pub zones: Vec<WireName>,
    /// The reverse zones that are answered from the cluster.
    pub reverse_zones: Vec<WireName>,
    /// Zones of ServiceImports, each one of `zones`.
    pub multicluster_zones: Vec<WireName>,
    /// The namespaces that are answered; empty: all.
    pub namespaces: Vec<String>,
    /// TTL of records in seconds.
    pub ttl: u32,
    /// TTL of negative answers in seconds; nothing: that of records.
    pub negative_ttl: Option<u32>,
    /// Names of Pods.
    pub pods: PodMode,
    /// Labels of endpoints without host name.
    pub endpoint_label: EndpointLabel,
    /// PTR records of endpoints.
    pub endpoint_ptr: EndpointPtr,
    /// False: endpoints are not looked at (CoreDNS's `noendpoints`).
    pub endpoints: bool,
    /// Services with addresses but no ready endpoint are not answered (CoreDNS's `ignore empty_service`).
    pub ignore_empty_services: bool,
    /// Names by topology zone, `zone.pin._zone.service...` (CoreDNS's `zonal`).
    pub zonal: bool,
    /// Zones whose missing names are looked for elsewhere; a zone here is also meant for those below it.
    pub fallthrough: Vec<WireName>,
    /// The server's own addresses: whichever Service has them is the zones' name server.
    pub own_addresses: Vec<std::net::IpAddr>,
    /// Names without `svc`, `service.namespace.zone` (kube2sky).
    pub legacy_names: bool,
    /// `*` in questions stands for any one label (SkyDNS, kube-dns).
    pub query_wildcards: bool,
    /// External names that look like addresses.
    pub external_addresses: ExternalAddress,
    /// A records of `spec.externalIPs` beside the Service's own (ContainerDNS).
    pub external_ip_records: bool,
    /// Priority of SRV records: 0 of CoreDNS, 10 of the others.
    pub srv_priority: u16,
    /// Names by outer addresses.
    pub external: Option<External>,
    /// The search path of the clients, walked here.
    pub search: Option<Search>,
}

impl Options {
    /// True where endpoints have the hashes of kube-dns or kube2sky for labels. With them comes what goes with those servers'
    /// trees: each address of a Service is a leaf with a label of its own, SRV records of the bare name have port 0, there is
    /// no `dns-version`, and names without records do not exist.
    pub(crate) fn is_of_leaves(&self) -> bool {
        matches!(self.endpoint_label, EndpointLabel::KubeDnsHash | EndpointLabel::Kube2skyHash)
    }
}
