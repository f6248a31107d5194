//! The fields that are read.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// Null as what is not there: the API server writes either.
fn lenient<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Makes a struct of fields that are read, each of which may be missing or null.
macro_rules! read {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $json:literal $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default)]
        pub(in crate::api) struct $name {
            $($(#[$field_doc])* #[serde(rename = $json, deserialize_with = "lenient")] pub(in crate::api) $field: $type,)*
        }
    };
}

read! {
    /// What every object has.
    Metadata {
        /// Its name.
        "name" name: String,
        /// Its namespace; empty: it has none.
        "namespace" namespace: String,
        /// The version of its last change.
        "resourceVersion" version: String,
        /// Since when it is being deleted.
        "deletionTimestamp" deleted: Option<IgnoredAny>,
        /// The labels that say something.
        "labels" labels: Labels,
        /// The annotations that say something.
        "annotations" annotations: Annotations,
    }
}

read! {
    /// Labels.
    Labels {
        /// Of slices: the Service.
        "kubernetes.io/service-name" service: String,
        /// Of imported slices: the ServiceImport.
        "multicluster.kubernetes.io/service-name" import: String,
        /// Of imported slices: where they are from.
        "multicluster.kubernetes.io/source-cluster" cluster: String,
    }
}

read! {
    /// Annotations.
    Annotations {
        /// Of endpoints: when what they follow has changed.
        "endpoints.kubernetes.io/last-change-trigger-time" triggered: String,
        /// Of Services: what `publishNotReadyAddresses` was before it was a field.
        "service.alpha.kubernetes.io/tolerate-unready-endpoints" tolerate_unready: String,
    }
}

read! {
    /// A port of anything.
    PortItem {
        /// Its name.
        "name" name: String,
        /// Its transport.
        "protocol" protocol: String,
        /// Its number.
        "port" number: i64,
    }
}

read! {
    /// A Service.
    ServiceItem {
        /// Metadata.
        "metadata" metadata: Metadata,
        /// What is wanted.
        "spec" spec: ServiceSpec,
        /// What is.
        "status" status: ServiceStatus,
    }
}

read! {
    /// `spec` of a Service.
    ServiceSpec {
        /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
        "type" kind: String,
        /// Its address, or `None`.
        "clusterIP" cluster_ip: String,
        /// Its addresses, of which the first is that above.
        "clusterIPs" cluster_ips: Vec<String>,
        /// Addresses that lead to it from outside.
        "externalIPs" external_ips: Vec<String>,
        /// The name that it is an alias of.
        "externalName" external_name: String,
        /// Its ports.
        "ports" ports: Vec<PortItem>,
        /// Whether endpoints that are not ready are answered.
        "publishNotReadyAddresses" publish_not_ready: bool,
        /// Which Pods are its endpoints.
        "selector" selector: BTreeMap<String, IgnoredAny>,
    }
}

read! {
    /// `status` of a Service.
    ServiceStatus {
        /// Its load balancer.
        "loadBalancer" balancer: Balancer,
    }
}

read! {
    /// A load balancer.
    Balancer {
        /// Where it takes traffic.
        "ingress" ingress: Vec<IngressItem>,
    }
}

read! {
    /// Where a load balancer takes traffic.
    IngressItem {
        /// The address.
        "ip" ip: String,
        /// The name.
        "hostname" hostname: String,
    }
}

read! {
    /// An EndpointSlice.
    SliceItem {
        /// Metadata.
        "metadata" metadata: Metadata,
        /// The endpoints.
        "endpoints" endpoints: Vec<EndpointItem>,
        /// Their ports.
        "ports" ports: Vec<PortItem>,
    }
}

read! {
    /// An endpoint of a slice.
    EndpointItem {
        /// Its addresses.
        "addresses" addresses: Vec<String>,
        /// Its state.
        "conditions" conditions: Conditions,
        /// Its host name.
        "hostname" hostname: String,
        /// What it is.
        "targetRef" target: Target,
        /// Its topology zone.
        "zone" zone: String,
    }
}

read! {
    /// The state of an endpoint.
    Conditions {
        /// Whether it is ready; nothing: it is.
        "ready" ready: Option<bool>,
    }
}

read! {
    /// What an endpoint is.
    Target {
        /// The kind.
        "kind" kind: String,
        /// The name.
        "name" name: String,
    }
}

read! {
    /// Endpoints: what was before EndpointSlices.
    EndpointsItem {
        /// Metadata.
        "metadata" metadata: Metadata,
        /// Addresses with the same ports.
        "subsets" subsets: Vec<Subset>,
    }
}

read! {
    /// Addresses with the same ports.
    Subset {
        /// Those that are ready.
        "addresses" ready: Vec<AddressItem>,
        /// Those that are not.
        "notReadyAddresses" not_ready: Vec<AddressItem>,
        /// Their ports.
        "ports" ports: Vec<PortItem>,
    }
}

read! {
    /// An address of Endpoints.
    AddressItem {
        /// The address.
        "ip" ip: String,
        /// Its host name.
        "hostname" hostname: String,
        /// What it is.
        "targetRef" target: Target,
    }
}

read! {
    /// A Namespace.
    NamespaceItem {
        /// Metadata.
        "metadata" metadata: Metadata,
    }
}

read! {
    /// A Pod.
    PodItem {
        /// Metadata.
        "metadata" metadata: Metadata,
        /// What is.
        "status" status: PodStatus,
    }
}

read! {
    /// `status` of a Pod.
    PodStatus {
        /// How far it is.
        "phase" phase: String,
        /// Its address.
        "podIP" ip: String,
        /// Its addresses, of which the first is that above.
        "podIPs" ips: Vec<PodAddress>,
    }
}

read! {
    /// An address of a Pod.
    PodAddress {
        /// The address.
        "ip" ip: String,
    }
}

read! {
    /// A ServiceImport (multicluster.x-k8s.io/v1alpha1).
    ImportItem {
        /// Metadata.
        "metadata" metadata: Metadata,
        /// What is wanted.
        "spec" spec: ImportSpec,
    }
}

read! {
    /// `spec` of a ServiceImport.
    ImportSpec {
        /// `ClusterSetIP` or `Headless`.
        "type" kind: String,
        /// Its addresses.
        "ips" ips: Vec<String>,
        /// Its ports.
        "ports" ports: Vec<PortItem>,
    }
}
