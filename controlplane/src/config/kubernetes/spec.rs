//! The tables of the Kubernetes source as written.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

/// A list whose entries have places of their own.
type List = Option<Spanned<Vec<Spanned<String>>>>;

/// `[kubernetes]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kubernetes {
    /// The cluster's zones.
    pub zones: List,
    /// Reverse zones, or networks.
    pub reverse_zones: List,
    /// Zones of ServiceImports.
    pub multicluster_zones: List,
    /// A kubeconfig.
    pub kubeconfig: Option<Spanned<PathBuf>>,
    /// The context of it.
    pub context: Option<Spanned<String>>,
    /// The API server's URL.
    pub endpoint: Option<Spanned<String>>,
    /// Our certificate.
    pub certificate_file: Option<Spanned<PathBuf>>,
    /// Its key.
    pub key_file: Option<Spanned<PathBuf>>,
    /// Certificates of who signs that of the API server.
    pub ca_file: Option<Spanned<PathBuf>>,
    /// A file with our token.
    pub token_file: Option<Spanned<PathBuf>>,
    /// The namespaces that are answered.
    pub namespaces: List,
    /// Labels of the namespaces that are answered.
    pub namespace_labels: Option<Spanned<String>>,
    /// Labels of the Services, endpoints and Pods that are answered.
    pub labels: Option<Spanned<String>>,
    /// TTL of records in seconds.
    pub ttl: Option<Spanned<i64>>,
    /// TTL of negative answers in seconds.
    pub negative_ttl: Option<Spanned<i64>>,
    /// `disabled`, `insecure` or `verified`.
    pub pods: Option<Spanned<String>>,
    /// `dashed-address`, `pod-name`, `kube-dns` or `kube2sky`.
    pub endpoint_labels: Option<Spanned<String>>,
    /// `all`, `named` or `none`.
    pub endpoint_ptr: Option<Spanned<String>>,
    /// False: endpoints are not looked at.
    pub endpoints: Option<bool>,
    /// True: Services without endpoints are not answered.
    pub ignore_empty_services: Option<bool>,
    /// True: names by topology zone.
    pub zonal: Option<bool>,
    /// Zones whose missing names are looked for elsewhere.
    pub fallthrough: List,
    /// The server's own addresses.
    pub own_addresses: Option<Spanned<Vec<Spanned<IpAddr>>>>,
    /// True: names without `svc`.
    pub legacy_names: Option<bool>,
    /// True: `*` in questions stands for any one label.
    pub query_wildcards: Option<bool>,
    /// `ignore` or `address`.
    pub external_addresses: Option<Spanned<String>>,
    /// True: `spec.externalIPs` are answered.
    pub external_ip_records: Option<bool>,
    /// Priority of SRV records.
    pub srv_priority: Option<Spanned<i64>>,
    /// `coredns`, `kube-dns`, `kube2sky` or `containerdns`.
    pub compatibility: Option<Spanned<String>>,
    /// Milliseconds for which answers wait for the first listing.
    pub startup_timeout_ms: Option<Spanned<i64>>,
    /// `endpointslices`, `endpoints` or `auto`.
    pub resource: Option<Spanned<String>>,
    /// The copy on disk.
    pub cache_file: Option<Spanned<PathBuf>>,
    /// Names by outer addresses.
    pub external: Option<Spanned<External>>,
    /// The search path.
    pub search_path: Option<Spanned<SearchPath>>,
}

/// `[kubernetes.external]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct External {
    /// The zones.
    pub zones: List,
    /// The label of the apex's own names.
    pub apex: Option<Spanned<String>>,
    /// TTL in seconds.
    pub ttl: Option<Spanned<i64>>,
    /// True: endpoints of headless Services are answered.
    pub headless: Option<bool>,
    /// Reverse zones, or networks.
    pub reverse_zones: List,
}

/// `[kubernetes.search_path]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchPath {
    /// True: the server walks the search path.
    pub enabled: Option<bool>,
    /// What follows the cluster's own domains in it.
    pub host_suffixes: List,
    /// True: the name that was found is told by a CNAME.
    pub cname: Option<bool>,
}
