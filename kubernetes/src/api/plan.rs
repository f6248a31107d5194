//! What is followed: which kinds, where, and with which selectors.

use ringdns_controlplane::config::{KubernetesConfig, KubernetesEndpoints, KubernetesPods};

use crate::object::Kind;

/// Pods that have ended are not listed: there may be many, and their addresses are no longer theirs.
pub(crate) const RUNNING: &str = "status.phase!=Failed,status.phase!=Succeeded,status.phase!=Unknown";

/// What one listing and its watches are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Namespaces.
    Namespaces,
    /// Services.
    Services,
    /// EndpointSlices, or Endpoints where the server has no slices.
    Either,
    /// EndpointSlices.
    Slices,
    /// Endpoints.
    Endpoints,
    /// Pods.
    Pods,
    /// ServiceImports.
    Imports,
}

impl What {
    /// The kind of its objects.
    pub fn kind(self) -> Kind {
        match self {
            Self::Namespaces => Kind::Namespace,
            Self::Services => Kind::Service,
            Self::Either | Self::Slices | Self::Endpoints => Kind::Slice,
            Self::Pods => Kind::Pod,
            Self::Imports => Kind::ServiceImport,
        }
    }
}

/// One listing and its watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Of what.
    pub what: What,
    /// In which namespace; nothing: in all.
    pub namespace: Option<String>,
    /// Which labels; empty: any.
    pub labels: String,
    /// Which fields; empty: any.
    pub fields: String,
}

/// Everything that is followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The listings.
    pub scopes: Vec<Scope>,
}

impl Plan {
    /// What a configuration needs, and no more: each kind that is watched costs the API server and us.
    pub fn new(config: &KubernetesConfig) -> Self {
        let mut kinds = vec![What::Services];
        if config.endpoints {
            kinds.push(match config.resource {
                KubernetesEndpoints::Auto => What::Either,
                KubernetesEndpoints::Slices => What::Slices,
                KubernetesEndpoints::Endpoints => What::Endpoints,
            });
        }
        if config.pods == KubernetesPods::Verified {
            kinds.push(What::Pods);
        }
        if !config.multicluster_zones.is_empty() {
            kinds.push(What::Imports);
        }
        let mut scopes = Vec::new();
        let mut add = |what, namespace, labels: &str, fields: &str| {
            scopes.push(Scope { what, namespace, labels: labels.to_owned(), fields: fields.to_owned() });
        };
        // With a list of namespaces, everything is asked for in these alone, so that a Role in each of them is permission enough;
        // namespaces are of the cluster, but a rule can name those that may be listed by name.
        for namespace in &config.namespaces {
            add(What::Namespaces, None, "", &format!("metadata.name={namespace}"));
        }
        if config.namespaces.is_empty() {
            add(What::Namespaces, None, &config.namespace_labels, "");
        }
        let each: Vec<Option<String>> = match config.namespaces.is_empty() {
            true => vec![None],
            false => config.namespaces.iter().cloned().map(Some).collect(),
        };
        for what in kinds {
            let labels = if what == What::Imports { "" } else { config.labels.as_str() };
            let fields = if what == What::Pods { RUNNING } else { "" };
            each.iter().for_each(|namespace| add(what, namespace.clone(), labels, fields));
        }
        Self { scopes }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ringdns_controlplane::config::Config;

    use super::*;

    /// What is asked for with these lines, in one text a scope.
    fn plan(lines: &str) -> Vec<String> {
        let port = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n";
        let text = format!("{port}[kubernetes]\nzones = [\"a\"]\n{lines}\n");
        let config = Config::parse(Path::new("/r.toml"), &text).unwrap().kubernetes.unwrap();
        let shown = |scope: Scope| {
            let Scope { what, namespace, labels, fields } = scope;
            format!("{what:?} {} {labels} {fields}", namespace.as_deref().unwrap_or("*")).trim_end().to_owned()
        };
        Plan::new(&config).scopes.into_iter().map(shown).collect()
    }

    #[test]
    fn no_more_is_asked_for_than_answers_need() {
        assert_eq!(plan(""), ["Namespaces *", "Services *", "Either *"]);
        assert_eq!(plan("endpoints = false"), ["Namespaces *", "Services *"]);
        assert_eq!(plan("resource = \"endpoints\"")[2], "Endpoints *");
        assert_eq!(plan("pods = \"insecure\"").len(), 3);
        assert_eq!(plan("pods = \"verified\"\nlabels = \"x\"")[3], format!("Pods * x {RUNNING}"));
        assert_eq!(plan("multicluster_zones = [\"a\"]\nlabels = \"x\"")[2..], ["Either * x", "Imports *"]);
        assert_eq!(plan("namespace_labels = \"x=y\"")[0], "Namespaces * x=y");
        assert_eq!(
            plan("namespaces = [\"b\", \"c\"]\nlabels = \"x\"\nendpoints = false"),
            ["Namespaces *  metadata.name=b", "Namespaces *  metadata.name=c", "Services b x", "Services c x"]
        );
    }
}
