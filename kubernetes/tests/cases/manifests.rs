//! The manifests of `conf/kubernetes`: each document is what the API's own description says, no field of it is unknown or
//! misspelt, the configurations in them are taken by the server, and what they name of each other is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, PodSpec, PodTemplateSpec, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use ringdns_controlplane::config::Config;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A document and the file that it is in.
struct Document {
    /// The file's name.
    file: String,
    /// What it says.
    value: Value,
}

/// All documents.
fn documents() -> Vec<Document> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/kubernetes");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut documents = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "yaml")) {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).unwrap();
        let values: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        documents.extend(values.into_iter().map(|value| Document { file: file.clone(), value }));
    }
    assert!(documents.len() > 8, "the manifests are there");
    documents
}

/// Reads a document as a type, which must give the very same document back: what the type does not know is lost on the way.
fn typed<T: DeserializeOwned + Serialize>(document: &Document) -> T {
    let Document { file, value } = document;
    let kind = &value["kind"];
    let typed: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{file}: {kind}: {error}"));
    let back = serde_json::to_value(&typed).unwrap();
    if let Some(place) = difference(value, &back, String::new()) {
        panic!("{file}: {kind}: {place} is not what the API knows");
    }
    typed
}

/// Where two values differ first.
fn difference(one: &Value, other: &Value, place: String) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            keys.into_iter().find_map(|key| {
                let value = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                difference(&value(one), &value(other), format!("{place}.{key}"))
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.find_map(|(index, (one, other))| difference(one, other, format!("{place}[{index}]")))
        }
        _ => (one != other).then_some(place),
    }
}

/// The Pods that a document makes, and their labels.
fn pods(document: &Document) -> Option<PodTemplateSpec> {
    match document.value["kind"].as_str()? {
        "Deployment" => Some(typed::<Deployment>(document).spec?.template),
        "DaemonSet" => Some(typed::<DaemonSet>(document).spec?.template),
        _ => None,
    }
}

#[test]
fn every_document_is_what_the_api_knows() {
    for document in documents() {
        match document.value["kind"].as_str().unwrap() {
            "ServiceAccount" => drop(typed::<ServiceAccount>(&document)),
            "ClusterRole" => {
                let role: ClusterRole = typed(&document);
                let verbs: Vec<String> = role.rules.unwrap().into_iter().flat_map(|rule| rule.verbs).collect();
                assert!(verbs.iter().all(|verb| verb == "list" || verb == "watch"), "nothing is written: {verbs:?}");
            }
            "ClusterRoleBinding" => drop(typed::<ClusterRoleBinding>(&document)),
            "ConfigMap" => drop(typed::<ConfigMap>(&document)),
            "Service" => drop(typed::<Service>(&document)),
            "PodDisruptionBudget" => drop(typed::<PodDisruptionBudget>(&document)),
            "Deployment" | "DaemonSet" => assert!(pods(&document).is_some()),
            kind => panic!("{}: {kind} is a kind that this test does not know", document.file),
        }
    }
}

#[test]
fn a_misspelt_field_is_seen() {
    let mut documents = documents();
    let deployment = documents.iter_mut().find(|document| document.value["kind"] == "Deployment").unwrap();
    let before = deployment.value["spec"]["template"]["spec"].as_object().unwrap().len();
    let spec = deployment.value["spec"]["template"]["spec"].as_object_mut().unwrap();
    spec.insert("dnsPolice".to_owned(), Value::from("Default"));
    assert_eq!(spec.len(), before + 1);
    let back: Deployment = serde_json::from_value(deployment.value.clone()).unwrap();
    let place = difference(&deployment.value, &serde_json::to_value(back).unwrap(), String::new());
    assert_eq!(place.as_deref(), Some(".spec.template.spec.dnsPolice"));
}

#[test]
fn every_configuration_in_them_is_taken() {
    let mut seen = 0;
    for document in documents().iter().filter(|document| document.value["kind"] == "ConfigMap") {
        for (name, text) in typed::<ConfigMap>(document).data.unwrap() {
            if name.ends_with(".toml") {
                let config = Config::parse(Path::new(&name), &text);
                let config = config.unwrap_or_else(|error| panic!("{}: {error}", document.file));
                assert!(config.kubernetes.is_some(), "{}: {name}", document.file);
                seen += 1;
            }
        }
    }
    assert!(seen >= 2);
}

#[test]
fn what_they_name_of_each_other_is_there() {
    let documents = documents();
    let account = documents.iter().find(|document| document.value["kind"] == "ServiceAccount").unwrap();
    let maps: BTreeMap<String, ConfigMap> = documents
        .iter()
        .filter(|document| document.value["kind"] == "ConfigMap")
        .map(typed::<ConfigMap>)
        .map(|map| (map.metadata.name.clone().unwrap(), map))
        .collect();
    for document in &documents {
        let Some(template) = pods(document) else { continue };
        let labels = template.metadata.unwrap().labels.unwrap();
        assert_eq!(document.value["spec"]["selector"]["matchLabels"], serde_json::to_value(&labels).unwrap());
        let spec = template.spec.unwrap();
        assert_eq!(spec.service_account_name.as_deref(), account.value["metadata"]["name"].as_str());
        check_pod(&document.file, &spec, &maps);
        // The Service of the same file finds the Pods, and its ports are theirs.
        let service = documents.iter().find(|other| other.file == document.file && other.value["kind"] == "Service");
        if let Some(service) = service.map(typed::<Service>) {
            let wanted = service.spec.unwrap();
            assert_eq!(wanted.selector.unwrap(), labels);
            let ports: Vec<String> = spec
                .containers
                .iter()
                .flat_map(|container| container.ports.iter().flatten())
                .filter_map(|port| port.name.clone())
                .collect();
            for port in wanted.ports.unwrap() {
                let target = serde_json::to_value(port.target_port.unwrap()).unwrap();
                assert!(ports.iter().any(|name| target == name.as_str()), "{}: {target}", document.file);
            }
        }
    }
}

/// Checks what a Pod names: volumes, ports of its probes, and the addresses that its configuration opens for them.
fn check_pod(file: &str, spec: &PodSpec, maps: &BTreeMap<String, ConfigMap>) {
    let volumes = spec.volumes.as_ref().unwrap();
    let map = volumes.iter().find_map(|volume| volume.config_map.as_ref()).unwrap();
    let config = maps[&map.name].data.as_ref().unwrap()["ringdns.toml"].clone();
    let config = Config::parse(Path::new("ringdns.toml"), &config).unwrap();
    let grace = u64::try_from(spec.termination_grace_period_seconds.unwrap()).unwrap();
    assert!(config.shutdown.lameduck.as_secs() + 10 <= grace, "{file}: the kubelet kills before the end");
    for container in &spec.containers {
        for mount in container.volume_mounts.as_ref().unwrap() {
            assert!(volumes.iter().any(|volume| volume.name == mount.name), "{file}: {}", mount.name);
        }
        let ports = container.ports.as_ref().unwrap();
        for probe in [&container.liveness_probe, &container.readiness_probe] {
            let get = probe.as_ref().unwrap().http_get.as_ref().unwrap();
            let named = serde_json::to_value(&get.port).unwrap();
            let port = ports.iter().find(|port| named == port.name.as_deref().unwrap_or_default());
            let number = port.unwrap_or_else(|| panic!("{file}: no port is called {named}")).container_port;
            let opened = config.cluster_http.ports.iter().any(|(_, address)| i32::from(address.port()) == number);
            assert!(opened, "{file}: the configuration does not listen on {number}");
        }
    }
}
