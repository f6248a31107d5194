//! Keys whose values are words, and what each of the older programs answers by default.

use toml::Spanned;

use crate::config::problem::Problems;
use crate::config::value::word;

/// Names of Pods made of their addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KubernetesPods {
    /// None.
    #[default]
    Disabled,
    /// Any address in any namespace that exists.
    Insecure,
    /// Only those of Pods that run.
    Verified,
}

/// The label of an endpoint without host name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndpointLabels {
    /// Its address with dashes.
    #[default]
    DashedAddress,
    /// The name of its Pod.
    PodName,
    /// The hash of kube-dns.
    KubeDns,
    /// The hash of kube2sky.
    Kube2sky,
}

/// Which endpoints have PTR records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndpointPtrs {
    /// All.
    #[default]
    All,
    /// Those of headless Services that have a host name.
    Named,
    /// None.
    None,
}

/// What external names that look like addresses become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExternalAddresses {
    /// Nothing.
    #[default]
    Ignore,
    /// Address records.
    Address,
}

/// Where endpoints are read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KubernetesEndpoints {
    /// EndpointSlices, or Endpoints where the server has no slices.
    #[default]
    Auto,
    /// EndpointSlices.
    Slices,
    /// Endpoints.
    Endpoints,
}

/// Whose answers the switches begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compatibility {
    /// CoreDNS's.
    #[default]
    CoreDns,
    /// Those of kube-dns.
    KubeDns,
    /// Those of SkyDNS with kube2sky.
    Kube2sky,
    /// Those of ContainerDNS with its watcher of the API.
    ContainerDns,
}

/// What the switches are unless the file says otherwise.
pub(super) struct Preset {
    /// TTL of records in seconds.
    pub(super) ttl: u32,
    /// Names of Pods.
    pods: KubernetesPods,
    /// Labels of endpoints without host name.
    labels: EndpointLabels,
    /// PTR records of endpoints.
    ptr: EndpointPtrs,
    /// External names that look like addresses.
    external: ExternalAddresses,
    /// Names without `svc`.
    pub(super) legacy_names: bool,
    /// `*` in questions.
    pub(super) query_wildcards: bool,
    /// `spec.externalIPs` are answered.
    pub(super) external_ip_records: bool,
    /// Priority of SRV records.
    pub(super) srv_priority: u16,
}

impl Preset {
    /// What CoreDNS does.
    const CORE_DNS: Self = Self {
        ttl: 5,
        pods: KubernetesPods::Disabled,
        labels: EndpointLabels::DashedAddress,
        ptr: EndpointPtrs::All,
        external: ExternalAddresses::Ignore,
        legacy_names: false,
        query_wildcards: false,
        external_ip_records: false,
        srv_priority: 0,
    };

    /// What one of the programs does.
    fn of(compatibility: Compatibility) -> Self {
        // The three others write messages of SkyDNS, whose TTL and priority they set alike.
        let skydns = Self {
            ttl: 30,
            srv_priority: 10,
            ptr: EndpointPtrs::None,
            labels: EndpointLabels::Kube2sky,
            ..Self::CORE_DNS
        };
        match compatibility {
            Compatibility::CoreDns => Self::CORE_DNS,
            Compatibility::KubeDns => Self {
                pods: KubernetesPods::Insecure,
                labels: EndpointLabels::KubeDns,
                ptr: EndpointPtrs::Named,
                external: ExternalAddresses::Address,
                query_wildcards: true,
                ..skydns
            },
            Compatibility::Kube2sky => Self { legacy_names: true, query_wildcards: true, ..skydns },
            Compatibility::ContainerDns => Self { external_ip_records: true, ..skydns },
        }
    }
}

/// `compatibility`
pub(super) fn compatibility(given: Option<&Spanned<String>>, problems: &mut Problems<'_>) -> (Compatibility, Preset) {
    let words = [
        ("coredns", Compatibility::CoreDns),
        ("kube-dns", Compatibility::KubeDns),
        ("kube2sky", Compatibility::Kube2sky),
        ("containerdns", Compatibility::ContainerDns),
    ];
    let compatibility = word(given, "kubernetes.compatibility", &words, Compatibility::CoreDns, problems);
    (compatibility, Preset::of(compatibility))
}

/// `pods`
pub(super) fn pods(given: Option<&Spanned<String>>, preset: &Preset, problems: &mut Problems<'_>) -> KubernetesPods {
    let words = [
        ("disabled", KubernetesPods::Disabled),
        ("insecure", KubernetesPods::Insecure),
        ("verified", KubernetesPods::Verified),
    ];
    word(given, "kubernetes.pods", &words, preset.pods, problems)
}

/// `endpoint_labels`
pub(super) fn endpoint_labels(
    given: Option<&Spanned<String>>,
    preset: &Preset,
    problems: &mut Problems<'_>,
) -> EndpointLabels {
    let words = [
        ("dashed-address", EndpointLabels::DashedAddress),
        ("pod-name", EndpointLabels::PodName),
        ("kube-dns", EndpointLabels::KubeDns),
        ("kube2sky", EndpointLabels::Kube2sky),
    ];
    word(given, "kubernetes.endpoint_labels", &words, preset.labels, problems)
}

/// `endpoint_ptr`
pub(super) fn endpoint_ptr(
    given: Option<&Spanned<String>>,
    preset: &Preset,
    problems: &mut Problems<'_>,
) -> EndpointPtrs {
    let words = [("all", EndpointPtrs::All), ("named", EndpointPtrs::Named), ("none", EndpointPtrs::None)];
    word(given, "kubernetes.endpoint_ptr", &words, preset.ptr, problems)
}

/// `external_addresses`
pub(super) fn external_addresses(
    given: Option<&Spanned<String>>,
    preset: &Preset,
    problems: &mut Problems<'_>,
) -> ExternalAddresses {
    let words = [("ignore", ExternalAddresses::Ignore), ("address", ExternalAddresses::Address)];
    word(given, "kubernetes.external_addresses", &words, preset.external, problems)
}

/// `resource`
pub(super) fn resource(given: Option<&Spanned<String>>, problems: &mut Problems<'_>) -> KubernetesEndpoints {
    let words = [
        ("auto", KubernetesEndpoints::Auto),
        ("endpointslices", KubernetesEndpoints::Slices),
        ("endpoints", KubernetesEndpoints::Endpoints),
    ];
    word(given, "kubernetes.resource", &words, KubernetesEndpoints::Auto, problems)
}
