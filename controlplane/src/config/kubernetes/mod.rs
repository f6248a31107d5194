//! `[kubernetes]`: a cluster whose Services are answered.

mod access;
pub mod spec;
#[cfg(test)]
mod tests;
mod words;
mod zones;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringdns_engine::name::WireName;
use toml::Spanned;

use self::zones::{reverse_zones, zones};
use super::problem::Problems;
use super::validate::{number, small};

pub use access::KubernetesAccess;
pub use words::{Compatibility, EndpointLabels, EndpointPtrs, ExternalAddresses, KubernetesEndpoints, KubernetesPods};

/// Longest TTL in seconds: CoreDNS takes no longer one.
const TTL_SECONDS_MAX: i64 = 3600;

/// Longest time for which answers wait for the first listing, in milliseconds.
const STARTUP_TIMEOUT_MS_MAX: i64 = 60_000;

/// The cluster whose Services are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// The cluster's zones, at least one; the first is where PTR records point.
    pub zones: Vec<WireName>,
    /// The reverse zones that are answered from the cluster.
    pub reverse_zones: Vec<WireName>,
    /// Zones of ServiceImports, each one of `zones`.
    pub multicluster_zones: Vec<WireName>,
    /// How the API server is reached.
    pub access: KubernetesAccess,
    /// The namespaces that are answered; empty: all.
    pub namespaces: Vec<String>,
    /// Labels of the namespaces that are answered; empty: any.
    pub namespace_labels: String,
    /// Labels of the Services, endpoints and Pods that are answered; empty: any.
    pub labels: String,
    /// TTL of records in seconds.
    pub ttl: u32,
    /// TTL of negative answers in seconds; nothing: that of records.
    pub negative_ttl: Option<u32>,
    /// Names of Pods.
    pub pods: KubernetesPods,
    /// Labels of endpoints without host name.
    pub endpoint_labels: EndpointLabels,
    /// PTR records of endpoints.
    pub endpoint_ptr: EndpointPtrs,
    /// False: endpoints are not looked at.
    pub endpoints: bool,
    /// Services with addresses but no ready endpoint are not answered.
    pub ignore_empty_services: bool,
    /// Names by topology zone.
    pub zonal: bool,
    /// Zones whose missing names are looked for elsewhere.
    pub fallthrough: Vec<WireName>,
    /// The server's own addresses; empty: those that it listens on, else those of the machine.
    pub own_addresses: Vec<IpAddr>,
    /// Names without `svc`.
    pub legacy_names: bool,
    /// `*` in questions stands for any one label.
    pub query_wildcards: bool,
    /// External names that look like addresses.
    pub external_addresses: ExternalAddresses,
    /// `spec.externalIPs` are answered.
    pub external_ip_records: bool,
    /// Priority of SRV records.
    pub srv_priority: u16,
    /// Whose answers the switches begin with.
    pub compatibility: Compatibility,
    /// For how long answers wait for the first listing at most.
    pub startup_timeout: Duration,
    /// Where endpoints are read from.
    pub resource: KubernetesEndpoints,
    /// The copy on disk; none: there is none.
    pub cache_file: Option<PathBuf>,
    /// Names by outer addresses; none: there are none.
    pub external: Option<KubernetesExternal>,
    /// The search path that the server walks; none: it does not.
    pub search_path: Option<KubernetesSearchPath>,
}

/// Names of Services by their outer addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesExternal {
    /// The zones, at least one.
    pub zones: Vec<WireName>,
    /// The label of the apex's own names.
    pub apex: String,
    /// TTL in seconds.
    pub ttl: u32,
    /// Endpoints of headless Services are answered.
    pub headless: bool,
    /// The reverse zones that answer for the outer addresses.
    pub reverse_zones: Vec<WireName>,
}

/// The search path that the server walks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesSearchPath {
    /// What follows the cluster's own domains in it.
    pub host_suffixes: Vec<WireName>,
    /// The name that was found is told by a CNAME.
    pub cname: bool,
}

/// Checks the tables; nothing where there are none.
pub(super) fn kubernetes(
    spec: Option<&Spanned<spec::Kubernetes>>,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Option<KubernetesConfig> {
    let (span, spec) = (spec?.span(), spec?.get_ref());
    let named = zones(spec.zones.as_ref(), "kubernetes.zones", problems);
    if named.is_empty() && !problems.has("kubernetes.zones") {
        let span = spec.zones.as_ref().map_or(span, Spanned::span);
        problems.add(
            Some(span),
            "kubernetes.zones",
            "nothing says which zones are the cluster's",
            "write [\"cluster.local.\"]",
        );
    }
    let (compatibility, preset) = words::compatibility(spec.compatibility.as_ref(), problems);
    let (namespaces, namespace_labels) = namespaces(spec, problems);
    let endpoints = spec.endpoints.unwrap_or(true);
    check_endpoints(spec, endpoints, problems);
    let bounds = 0..=STARTUP_TIMEOUT_MS_MAX;
    let startup = spec.startup_timeout_ms.as_ref();
    let startup = number(startup, "kubernetes.startup_timeout_ms", bounds, " ms", 5000, problems);
    let priority = spec.srv_priority.as_ref();
    let priority = number(priority, "kubernetes.srv_priority", 0..=65_535, "", preset.srv_priority.into(), problems);
    Some(KubernetesConfig {
        reverse_zones: reverse_zones(spec.reverse_zones.as_ref(), "kubernetes.reverse_zones", problems),
        multicluster_zones: multicluster_zones(spec, &named, problems),
        zones: named,
        access: access::access(spec, base, problems),
        namespaces,
        namespace_labels,
        labels: selector(spec.labels.as_ref(), "kubernetes.labels", problems),
        ttl: ttl(spec.ttl.as_ref(), "kubernetes.ttl", preset.ttl, problems),
        negative_ttl: spec.negative_ttl.as_ref().map(|given| ttl(Some(given), "kubernetes.negative_ttl", 0, problems)),
        pods: words::pods(spec.pods.as_ref(), &preset, problems),
        endpoint_labels: words::endpoint_labels(spec.endpoint_labels.as_ref(), &preset, problems),
        endpoint_ptr: words::endpoint_ptr(spec.endpoint_ptr.as_ref(), &preset, problems),
        endpoints,
        ignore_empty_services: spec.ignore_empty_services.unwrap_or(false),
        zonal: spec.zonal.unwrap_or(false),
        fallthrough: zones(spec.fallthrough.as_ref(), "kubernetes.fallthrough", problems),
        own_addresses: own_addresses(spec.own_addresses.as_ref(), problems),
        legacy_names: spec.legacy_names.unwrap_or(preset.legacy_names),
        query_wildcards: spec.query_wildcards.unwrap_or(preset.query_wildcards),
        external_addresses: words::external_addresses(spec.external_addresses.as_ref(), &preset, problems),
        external_ip_records: spec.external_ip_records.unwrap_or(preset.external_ip_records),
        srv_priority: small(priority),
        compatibility,
        startup_timeout: Duration::from_millis(startup.unsigned_abs()),
        resource: words::resource(spec.resource.as_ref(), problems),
        cache_file: spec.cache_file.as_ref().map(|path| base.join(path.get_ref())),
        external: external(spec.external.as_ref(), problems),
        search_path: search_path(spec.search_path.as_ref(), problems),
    })
}

/// A TTL.
fn ttl(given: Option<&Spanned<i64>>, key: &str, default: u32, problems: &mut Problems<'_>) -> u32 {
    let seconds = number(given, key, 0..=TTL_SECONDS_MAX, " seconds", default.into(), problems);
    u32::try_from(seconds).unwrap_or_default()
}

/// The namespaces by their names or by their labels.
fn namespaces(spec: &spec::Kubernetes, problems: &mut Problems<'_>) -> (Vec<String>, String) {
    const KEY: &str = "kubernetes.namespaces";
    let labels = selector(spec.namespace_labels.as_ref(), "kubernetes.namespace_labels", problems);
    let Some(list) = &spec.namespaces else { return (Vec::new(), labels) };
    if let Some(given) = &spec.namespace_labels {
        let message = "namespaces and namespace_labels are both given";
        problems.add(Some(given.span()), "kubernetes.namespace_labels", message, "keep one of the two");
    }
    let mut names: Vec<String> = Vec::new();
    for entry in list.get_ref() {
        let name = entry.get_ref();
        let is_right = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 63 || !name.bytes().all(is_right) {
            let remedy = "write at most 63 lower-case letters, digits and \"-\"";
            problems.add(Some(entry.span()), KEY, format!("\"{name}\" is no name of a namespace"), remedy);
        } else if !names.contains(name) {
            names.push(name.clone());
        }
    }
    if list.get_ref().is_empty() {
        problems.add(
            Some(list.span()),
            KEY,
            "no namespace is named",
            "name one or more, or remove the key for all of them",
        );
    }
    (names, labels)
}

/// A selector of labels; the API server reads it, here it is seen that it stays one parameter of one request.
fn selector(given: Option<&Spanned<String>>, key: &str, problems: &mut Problems<'_>) -> String {
    let Some(given) = given else { return String::new() };
    let text = given.get_ref().trim();
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=!,() ".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_right) {
        let remedy = "write one as for kubectl -l, such as \"app=web,tier in (a,b)\"";
        problems.add(Some(given.span()), key, format!("\"{text}\" is no selector of labels"), remedy);
    }
    text.to_owned()
}

/// What needs endpoints is not there without them.
fn check_endpoints(spec: &spec::Kubernetes, endpoints: bool, problems: &mut Problems<'_>) {
    for (key, given) in [("zonal", spec.zonal), ("ignore_empty_services", spec.ignore_empty_services)] {
        if given == Some(true) && !endpoints {
            let key = format!("kubernetes.{key}");
            problems.add(
                None,
                key,
                "it is decided by endpoints, and kubernetes.endpoints is false",
                "remove one of the two",
            );
        }
    }
}

/// Zones of ServiceImports are zones of the cluster.
fn multicluster_zones(spec: &spec::Kubernetes, named: &[WireName], problems: &mut Problems<'_>) -> Vec<WireName> {
    const KEY: &str = "kubernetes.multicluster_zones";
    let found = zones(spec.multicluster_zones.as_ref(), KEY, problems);
    for zone in found.iter().filter(|zone| !named.contains(zone)) {
        let span = spec.multicluster_zones.as_ref().map(Spanned::span);
        problems.add(span, KEY, format!("zone {zone} is not among kubernetes.zones"), "name it there too");
    }
    found
}

/// Addresses that others reach the server at.
fn own_addresses(list: Option<&Spanned<Vec<Spanned<IpAddr>>>>, problems: &mut Problems<'_>) -> Vec<IpAddr> {
    let given: Vec<&Spanned<IpAddr>> = list.into_iter().flat_map(Spanned::get_ref).collect();
    for entry in given.iter().filter(|entry| entry.get_ref().is_loopback() || entry.get_ref().is_unspecified()) {
        let message = format!("{} is no address that a Service could have", entry.get_ref());
        problems.add(Some(entry.span()), "kubernetes.own_addresses", message, "give the addresses that clients ask");
    }
    given.into_iter().map(|entry| *entry.get_ref()).collect()
}

/// `[kubernetes.external]`
fn external(spec: Option<&Spanned<spec::External>>, problems: &mut Problems<'_>) -> Option<KubernetesExternal> {
    const KEY: &str = "kubernetes.external.zones";
    let (span, spec) = (spec?.span(), spec?.get_ref());
    let named = zones(spec.zones.as_ref(), KEY, problems);
    if named.is_empty() && !problems.has(KEY) {
        problems.add(Some(span), KEY, "no zone is named", "name one or more, or remove the table");
    }
    let apex = spec.apex.as_ref().map_or("dns", |apex| apex.get_ref());
    if apex.is_empty() || apex.contains('.') || format!("{apex}.").parse::<WireName>().is_err() {
        let span = spec.apex.as_ref().map(Spanned::span);
        problems.add(
            span,
            "kubernetes.external.apex",
            format!("\"{apex}\" is no label"),
            "write one label, such as \"dns\"",
        );
    }
    Some(KubernetesExternal {
        zones: named,
        apex: apex.to_lowercase(),
        ttl: ttl(spec.ttl.as_ref(), "kubernetes.external.ttl", 5, problems),
        headless: spec.headless.unwrap_or(false),
        reverse_zones: reverse_zones(spec.reverse_zones.as_ref(), "kubernetes.external.reverse_zones", problems),
    })
}

/// `[kubernetes.search_path]`
fn search_path(spec: Option<&Spanned<spec::SearchPath>>, problems: &mut Problems<'_>) -> Option<KubernetesSearchPath> {
    let spec = spec?.get_ref();
    let host_suffixes = zones(spec.host_suffixes.as_ref(), "kubernetes.search_path.host_suffixes", problems);
    let path = KubernetesSearchPath { host_suffixes, cname: spec.cname.unwrap_or(false) };
    spec.enabled.unwrap_or(false).then_some(path)
}
