//! Objects as API servers write them, and what becomes of them.

#![allow(clippy::needless_pass_by_value, reason = "objects are written where they are used")]

use serde_json::{Value, json};

use super::*;

/// What becomes of an object.
fn told<T: Item>(object: Value) -> Vec<Object> {
    // As a page has it: read from text.
    let item: T = serde_json::from_str(&object.to_string()).unwrap();
    let names = Names::default();
    let key = names.key(&item.metadata().namespace, &item.metadata().name);
    let (parts, objects) = item.objects(&key, &names);
    assert_eq!(parts.keys(&key).len(), objects.len());
    objects
}

/// A Service with this `spec` and `status`.
fn service(spec: Value, more: Value) -> Service {
    let mut object = json!({ "metadata": { "namespace": "a", "name": "s", "labels": null, "managedFields": [{ "x": 1 }] }, "spec": spec });
    for (key, value) in more.as_object().into_iter().flatten() {
        object[key] = value.clone();
    }
    match told::<ServiceItem>(object).pop() {
        Some(Object::Service(service)) => service,
        other => panic!("{other:?}"),
    }
}

/// Addresses.
fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn services_are_of_three_kinds() {
    let found = service(
        json!({ "type": "LoadBalancer", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"], "selector": { "a": "b" },
                "externalIPs": ["192.0.2.1", "x"], "externalName": "left.over",
                "ports": [{ "name": "dns", "protocol": "UDP", "port": 53 }, { "port": 80 }, { "port": 0 }, { "port": 70000 }] }),
        json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.9" }, { "hostname": "lb.example" }, {}] } } }),
    );
    assert_eq!((found.kind, found.cluster_ips), (ServiceKind::ClusterIp, ips(&["10.0.0.1", "fd00::1"])));
    assert_eq!((found.external_ips, &*found.external_name), (ips(&["192.0.2.1"]), ""));
    assert_eq!(found.ingress, [Ingress::Address("192.0.2.9".parse().unwrap()), Ingress::Name("lb.example".into())]);
    let ports: Vec<_> = found.ports.iter().map(|port| (&*port.name, port.protocol, port.number)).collect();
    assert_eq!(ports, [("dns", Protocol::Udp, 53), ("", Protocol::Tcp, 80)]);
    assert!(found.has_selector && !found.publish_not_ready);

    let found =
        service(json!({ "clusterIP": "None", "clusterIPs": ["None"], "publishNotReadyAddresses": true }), Value::Null);
    assert_eq!((found.kind, found.cluster_ips.len()), (ServiceKind::Headless, 0));
    assert!(found.publish_not_ready && !found.has_selector);
    let found = service(json!({ "type": "ExternalName", "externalName": "a.example", "clusterIP": "" }), Value::Null);
    assert_eq!((found.kind, &*found.external_name), (ServiceKind::ExternalName, "a.example"));
    let found = service(json!({ "type": "ClusterIP", "clusterIP": "", "ports": null, "selector": {} }), Value::Null);
    assert_eq!((found.kind, found.cluster_ips.len(), found.has_selector), (ServiceKind::ClusterIp, 0, false));
    let old = json!({ "service.alpha.kubernetes.io/tolerate-unready-endpoints": "true" });
    let object = json!({ "metadata": { "name": "s", "annotations": old }, "spec": { "clusterIP": "10.0.0.1" } });
    assert!(matches!(&told::<ServiceItem>(object)[0], Object::Service(found) if found.publish_not_ready));
}

/// A slice with these labels.
fn slices(labels: Value) -> Vec<Slice> {
    let object = json!({
        "metadata": { "namespace": "a", "name": "s-1", "labels": labels,
            "annotations": { "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-02T03:04:05Z" } },
        "endpoints": [
            { "addresses": ["10.0.0.1"], "conditions": { "ready": true }, "hostname": "h", "zone": "z",
              "targetRef": { "kind": "Pod", "name": "p" } },
            { "addresses": ["10.0.0.2"], "conditions": { "ready": false }, "targetRef": { "kind": "Node", "name": "n" } },
            { "addresses": ["10.0.0.3"], "conditions": { "ready": null } },
            { "addresses": ["no.address.example"] },
            { "addresses": null },
        ],
        "ports": [{ "name": "", "protocol": "TCP", "port": 8080 }, { "name": "all", "port": null }],
    });
    let slice = |object| if let Object::Slice(slice) = object { slice } else { panic!("{object:?}") };
    told::<SliceItem>(object).into_iter().map(slice).collect()
}

#[test]
fn slices_are_of_a_service_or_of_an_import_or_of_both() {
    let found = slices(json!({ "kubernetes.io/service-name": "s" })).pop().unwrap();
    assert_eq!((&*found.key.name, &*found.service, &*found.cluster), ("s-1", "s", ""));
    assert_eq!((found.triggered_ms, found.ports.len()), (Some(1_767_323_045_000), 1));
    let endpoints: Vec<_> = found.endpoints.iter().map(|end| (end.addresses[0].to_string(), end.ready)).collect();
    assert_eq!(
        endpoints,
        [("10.0.0.1".to_owned(), true), ("10.0.0.2".to_owned(), false), ("10.0.0.3".to_owned(), true)]
    );
    let first = &found.endpoints[0];
    assert_eq!((&*first.hostname, &*first.pod, &*first.zone), ("h", "p", "z"));
    assert_eq!(&*found.endpoints[1].pod, "");

    let import =
        json!({ "multicluster.kubernetes.io/service-name": "i", "multicluster.kubernetes.io/source-cluster": "c" });
    let found = slices(import.clone());
    assert_eq!((found.len(), &*found[0].key.name, &*found[0].service, &*found[0].cluster), (1, "s-1/import", "i", "c"));
    let mut both = import;
    both["kubernetes.io/service-name"] = json!("derived");
    let found = slices(both);
    let found: Vec<_> = found.iter().map(|slice| (&*slice.key.name, &*slice.service, &*slice.cluster)).collect();
    assert_eq!(found, [("s-1", "derived", ""), ("s-1/import", "i", "c")]);
    assert_eq!(slices(json!({})), []);
    assert_eq!(slices(Value::Null), []);
}

#[test]
fn endpoints_are_a_slice_for_each_subset() {
    let found = told::<EndpointsItem>(json!({
        "metadata": { "namespace": "a", "name": "s" },
        "subsets": [
            { "addresses": [{ "ip": "10.0.0.1", "hostname": "h", "targetRef": { "kind": "Pod", "name": "p" } }],
              "notReadyAddresses": [{ "ip": "10.0.0.2" }], "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }] },
            { "addresses": null, "ports": null },
        ],
    }));
    let [Object::Slice(first), Object::Slice(second)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&*first.key.name, &*first.service, &*second.key.name), ("s/0", "s", "s/1"));
    let ready: Vec<bool> = first.endpoints.iter().map(|endpoint| endpoint.ready).collect();
    assert_eq!((ready, second.endpoints.len(), first.ports[0].number), (vec![true, false], 0, 80));
    assert_eq!(told::<EndpointsItem>(json!({ "metadata": { "name": "s" }, "subsets": null })), []);
}

#[test]
fn pods_are_told_while_they_run() {
    let pod = |metadata: Value, status: Value| {
        let mut object = json!({ "metadata": metadata, "status": status });
        object["metadata"]["name"] = json!("p");
        told::<PodItem>(object).len()
    };
    let running =
        json!({ "phase": "Running", "podIP": "10.0.0.1", "podIPs": [{ "ip": "10.0.0.1" }, { "ip": "fd00::1" }] });
    assert_eq!(pod(json!({}), running.clone()), 1);
    assert_eq!(pod(json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" }), running), 0);
    assert_eq!(pod(json!({}), json!({ "phase": "Succeeded", "podIP": "10.0.0.1" })), 0);
    assert_eq!(pod(json!({}), json!({ "phase": "Pending" })), 0);
    assert_eq!(pod(json!({}), json!({ "phase": "Pending", "podIP": "10.0.0.1" })), 1);
}

#[test]
fn imports_and_namespaces_are_told() {
    let found = told::<ImportItem>(json!({ "metadata": { "namespace": "a", "name": "i" },
        "spec": { "type": "Headless", "ips": null, "ports": [{ "name": "x", "port": 1, "protocol": "SCTP" }] } }));
    assert!(
        matches!(&found[0], Object::ServiceImport(import) if import.headless && import.ports[0].protocol == Protocol::Sctp)
    );
    assert_eq!(told::<NamespaceItem>(json!({ "metadata": { "name": "a" } })), [Object::Namespace("a".into())]);
}
