//! The manifests that people apply: a real API server takes each object of them, with no field that it does not know.

use harness::turn;

use crate::cluster::Cluster;

/// Every file of `conf/kubernetes`.
const FILES: [&str; 3] = [
    include_str!("../../conf/kubernetes/rbac.yaml"),
    include_str!("../../conf/kubernetes/deployment.yaml"),
    include_str!("../../conf/kubernetes/appliance-daemonset.yaml"),
];

#[test]
fn an_api_server_takes_the_manifests() {
    let _turn = turn();
    let cluster = Cluster::start_bare();
    // This API server is older than version 1 of this group, which is the same otherwise.
    let all = FILES.join("\n---\n").replace("apiVersion: policy/v1\n", "apiVersion: policy/v1beta1\n");
    let path = cluster.text("manifests.yaml");
    std::fs::write(&path, all).expect("a writable folder");
    let told = cluster.kubectl(&["apply", "--dry-run=server", "--validate=true", "-f", &path]);
    for object in
        ["deployment.apps/", "daemonset.apps/", "service/kube-dns", "poddisruptionbudget.policy/", "configmap/"]
    {
        assert!(told.contains(object), "{object} in {told}");
    }
    assert!(told.lines().all(|line| line.ends_with("created (server dry run)")), "{told}");
}
