//! Endpoints that come and go by the hundreds: answers follow, and each is one state of the cluster.

use harness::http::Connection;
use harness::turn;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::dns::{Observer, setup};

/// States of the slice whose endpoints change all at once, and of the one whose endpoints change one by one.
const STATES: u16 = 300;

/// Every so many states, the next one is written only when the last one is answered.
const WAITS_EACH: u16 = 10;

/// Endpoints of the first.
const ALL_AT_ONCE: u8 = 4;

/// Endpoints of the second.
const ONE_BY_ONE: u16 = 10;

/// Two headless Services.
const SERVICES: &str = "apiVersion: v1
kind: Service
metadata: {name: whole, namespace: default}
spec: {clusterIP: None, selector: {app: whole}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: rolling, namespace: default}
spec: {clusterIP: None, selector: {app: rolling}, ports: [{name: http, port: 80}]}
";

/// The addresses of a state of the first: all of them tell which it is.
fn whole(state: u16) -> Vec<String> {
    let [high, low] = state.to_be_bytes();
    (1..=ALL_AT_ONCE).map(|last| format!("10.{}.{low}.{last}", 100 + high)).collect()
}

/// The addresses of a state of the second: one of the last state is gone, and one is new.
fn rolling(state: u16) -> Vec<String> {
    (state..state + ONE_BY_ONE)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            format!("10.200.{high}.{low}")
        })
        .collect()
}

/// A Service's only slice, which is written over and over.
struct Slice {
    /// The way to the API server.
    connection: Connection,
    /// The Service.
    service: &'static str,
    /// The version that the API server has given it.
    version: Value,
}

impl Slice {
    /// Makes it.
    fn create(cluster: &Cluster, service: &'static str, addresses: &[String]) -> Slice {
        let mut slice = Slice { connection: cluster.connect(), service, version: Value::Null };
        slice.send("POST", "", addresses, 201);
        slice
    }

    /// Changes its endpoints.
    fn update(&mut self, addresses: &[String]) {
        self.send("PUT", &format!("/{}-1", self.service), addresses, 200);
    }

    /// Writes it.
    fn send(&mut self, method: &str, below: &str, addresses: &[String], expected: u16) {
        let endpoints: Vec<Value> = addresses
            .iter()
            .map(|address| json!({ "addresses": [address], "conditions": { "ready": true } }))
            .collect();
        let object = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": { "name": format!("{}-1", self.service), "namespace": "default", "resourceVersion": self.version,
                          "labels": { "kubernetes.io/service-name": self.service } },
            "endpoints": endpoints, "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }],
        });
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices{below}");
        let answer = self.connection.request(method, &path, &object.to_string()).expect("the proxy");
        assert_eq!(answer.status, expected, "{}", answer.body);
        self.version = answer.json()["metadata"]["resourceVersion"].clone();
    }
}

/// As an observer shows addresses.
fn shown(mut addresses: Vec<String>) -> String {
    addresses.sort_by_key(|address| address.parse::<std::net::Ipv4Addr>().expect("an address"));
    addresses.join(" ")
}

/// Checks that what was seen are states, one after the other and none twice, from the first to the last.
fn check(answers: &[String], of: fn(u16) -> Vec<String>) {
    let states: Vec<String> = (0..=STATES).map(|state| shown(of(state))).collect();
    let mut next = 0;
    for answer in answers {
        let place = states.iter().position(|state| state == answer);
        let place = place.unwrap_or_else(|| panic!("after state {next}: {answer} is none of the cluster's states"));
        assert!(place >= next, "state {place} was answered after state {}", next - 1);
        next = place + 1;
    }
    assert_eq!(next, states.len(), "the last state is answered in the end");
    // Those that were waited for were seen, whatever else was.
    assert!(answers.len() > usize::from(STATES / WAITS_EACH), "{} states were seen", answers.len());
}

#[test]
fn answers_follow_hundreds_of_changes_without_a_hole_or_a_mixture() {
    let _turn = turn();
    let cluster = Cluster::start();
    cluster.apply(SERVICES);
    let mut slices = [("whole", whole as fn(u16) -> Vec<String>), ("rolling", rolling)]
        .map(|(service, of)| (Slice::create(&cluster, service, &of(0)), of));
    let server = setup(&cluster, &cluster.write_token("token")).start();
    let observers =
        ["whole", "rolling"].map(|service| Observer::start(&format!("{service}.default.svc.cluster.local")));
    for ((_, of), observer) in slices.iter().zip(&observers) {
        observer.until(&shown(of(0)));
    }
    let versions = server.metrics().sum("ringdns_kubernetes_lists_total", &[]);
    for state in 1..=STATES {
        for ((slice, of), observer) in slices.iter_mut().zip(&observers) {
            slice.update(&of(state));
            if state % WAITS_EACH == 0 {
                observer.until(&shown(of(state)));
            }
        }
    }
    for (observer, (_, of)) in observers.into_iter().zip(slices) {
        let seen = observer.stop();
        check(&seen.answers, of);
    }
    let after = server.metrics();
    assert_eq!(after.sum("ringdns_kubernetes_lists_total", &[]), versions, "all of it came by watches");
    assert!(server.stop().success());
}
