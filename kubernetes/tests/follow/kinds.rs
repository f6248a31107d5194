//! Which objects are asked for, and what becomes of each kind.

use super::*;

/// Endpoints of two subsets.
fn endpoints(name: &str, subsets: usize) -> Value {
    let subset =
        |number| json!({ "addresses": [{ "ip": format!("10.0.0.{number}") }], "ports": [{ "port": 80 + number }] });
    let subsets: Vec<Value> = (0..subsets).map(subset).collect();
    json!({ "kind": "Endpoints", "metadata": { "namespace": "a", "name": name }, "subsets": subsets })
}

#[tokio::test]
async fn endpoints_are_read_where_there_are_no_slices_and_only_as_long() {
    let server = Server::start().await;
    server.put(endpoints("web", 2));
    server.put(slice("a", "web-x", "web", &["10.0.0.0".to_owned()]));
    server.cluster().absent.insert("endpointslices".to_owned());
    let mut follow = Follow::start(&server, plan(&[What::Either]));
    follow.until_listed().await;
    let names = |mirror: &Mirror| mirror.objects.keys().map(|(_, _, name)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&follow.mirror), ["web/0", "web/1"]);
    server.put(endpoints("web", 1));
    follow.until("a subset is gone", |mirror, _| names(mirror) == ["web/0"]).await;
    // The server was replaced by a newer one.
    server.cluster().absent.clear();
    server.cut();
    follow.until("slices in their place", |mirror, _| names(mirror) == ["web-x"]).await;
    assert_eq!(follow.mirror.gone.len(), 2);
    server.remove("endpointslices", "a", "web-x");
    follow.until_count(0).await;
}

#[tokio::test]
async fn pods_that_end_are_gone_before_they_are_removed() {
    let server = Server::start().await;
    let pod = |name: &str, phase: &str, more: Value| {
        let mut pod = json!({ "kind": "Pod", "metadata": { "namespace": "a", "name": name },
                              "status": { "phase": phase, "podIP": "10.0.0.1" } });
        if !more.is_null() {
            pod["metadata"]["deletionTimestamp"] = more;
        }
        pod
    };
    server.put(pod("runs", "Running", Value::Null));
    server.put(pod("ends", "Running", Value::Null));
    server.put(pod("fails", "Running", Value::Null));
    server.put(pod("failed", "Failed", Value::Null));
    let mut pods = plan(&[What::Pods]);
    pods.scopes[0].fields = "status.phase!=Failed".to_owned();
    let mut follow = Follow::start(&server, pods);
    follow.until_listed().await;
    assert_eq!(follow.mirror.objects.len(), 3);
    server.put(pod("ends", "Running", json!("2026-01-01T00:00:00Z")));
    server.put(pod("fails", "Failed", Value::Null));
    follow.until_count(1).await;
    server.remove("pods", "a", "ends");
    server.put(pod("runs", "Running", Value::Null));
    follow.until_fresh(&server).await;
}

#[tokio::test]
async fn only_what_is_wanted_is_asked_for() {
    let server = Server::start().await;
    for namespace in ["a", "b", "c"] {
        let labels = if namespace == "c" { json!({}) } else { json!({ "dns": "yes" }) };
        server.put(json!({ "kind": "Namespace", "metadata": { "name": namespace, "labels": labels } }));
        server.put(service(namespace, "web", "10.0.0.1"));
        server.put(service(namespace, "db", "10.0.0.2"));
    }
    let mut scopes = Vec::new();
    for namespace in ["a", "c"] {
        scopes.push(Scope { fields: format!("metadata.name={namespace}"), ..scope(What::Namespaces) });
        let namespace = Some(namespace.to_owned());
        scopes.push(Scope { namespace, labels: "app=web".to_owned(), ..scope(What::Services) });
    }
    scopes.push(Scope { labels: "dns=yes".to_owned(), ..scope(What::Namespaces) });
    let mut follow = Follow::start(&server, Plan { scopes });
    follow.until_listed().await;
    let names = |mirror: &Mirror| {
        mirror.objects.keys().map(|(_, namespace, name)| format!("{namespace}/{name}")).collect::<Vec<_>>()
    };
    assert_eq!(names(&follow.mirror), ["/a", "/b", "/c", "a/web", "c/web"]);
    // A label is taken away, and what had it is as if it were gone.
    server.put(json!({ "kind": "Namespace", "metadata": { "name": "b" } }));
    server.put(json!({ "kind": "Service", "metadata": { "namespace": "c", "name": "web" }, "spec": { "clusterIP": "10.0.0.1" } }));
    follow.until("they are gone", |mirror, _| names(mirror) == ["/a", "/c", "a/web"]).await;
    let requests = server.cluster().requests.clone();
    assert!(
        requests.iter().all(|line| !line.contains("/namespaces/b/") && !line.starts_with("/api/v1/services")),
        "{requests:#?}"
    );
}

#[tokio::test]
async fn imports_are_none_where_they_are_not_defined() {
    let server = Server::start().await;
    server.cluster().absent.insert("serviceimports".to_owned());
    server.put(json!({ "kind": "ServiceImport", "metadata": { "namespace": "a", "name": "i" },
                       "spec": { "type": "ClusterSetIP", "ips": ["10.0.0.1"], "ports": [{ "port": 80 }] } }));
    let mut follow = Follow::start(&server, plan(&[What::Imports]));
    follow.until_listed().await;
    assert_eq!(follow.mirror.objects.len(), 0);
    server.cluster().absent.clear();
    follow.until_count(1).await;
    server.cluster().absent.insert("serviceimports".to_owned());
    server.cut();
    follow.until_count(0).await;
}
