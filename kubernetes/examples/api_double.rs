//! The tests' own API server as a program, with a large cluster in it: what the bench of Kubernetes starts beside the server.
//!
//! `api_double SERVICES ENDPOINTS` writes its URL to standard output, then takes one order a line and answers each with `done`:
//!
//! ```text
//! endpoint NUMBER ADDRESS   the only endpoint of Service probe-NUMBER, which is headless, has another address
//! service NAME ADDRESS      there is a Service with this address, which may have been there with another
//! churn RATE                so many slices a second get one other endpoint each, from now on; 0 ends it
//! forget                    all changes are forgotten and all connections are cut: everything is listed anew
//! changes                   answers with how many slices the churn has changed
//! ```

#![allow(clippy::unwrap_used, clippy::panic, reason = "a part of a bench: what cannot be set up ends it")]

#[path = "../tests/double/mod.rs"]
mod double;

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use double::{Chance, Server};
use serde_json::{Value, json};

/// Namespaces of the cluster.
const NAMESPACES: u64 = 100;

/// Headless Services that the bench asks for.
const PROBES: u64 = 50;

/// The network of the cluster's own addresses of Services: 172.16.0.0/12.
const SERVICES_FROM: u32 = 0xac10_0000;

/// The network of endpoints: 10.0.0.0/8, those that come later from the middle on.
const ENDPOINTS_FROM: u32 = 0x0a00_0000;

/// Where new endpoints begin.
const NEW_FROM: u32 = 0x0a80_0000;

/// An address of a network.
fn address(from: u32, number: u64) -> Ipv4Addr {
    Ipv4Addr::from(from + u32::try_from(number).unwrap())
}

/// A namespace.
fn namespace(name: &str) -> Value {
    json!({ "kind": "Namespace", "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } } })
}

/// The namespace of a Service by its number.
fn namespace_of(number: u64) -> String {
    format!("namespace-{}", number % NAMESPACES)
}

/// A Service.
fn service(namespace: &str, name: &str, address: &str) -> Value {
    json!({
        "kind": "Service",
        "metadata": { "namespace": namespace, "name": name, "labels": { "app": name } },
        "spec": { "clusterIP": address, "clusterIPs": [address], "type": "ClusterIP", "selector": { "app": name },
                  "ports": [{ "name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080 }] },
    })
}

/// An endpoint as the controller of slices writes it.
fn endpoint(namespace: &str, address: Ipv4Addr) -> Value {
    let number = u32::from(address);
    json!({
        "addresses": [address], "conditions": { "ready": true, "serving": true, "terminating": false },
        "nodeName": format!("node-{}", number % 5000), "zone": format!("zone-{}", number % 3),
        "targetRef": { "kind": "Pod", "namespace": namespace, "name": format!("pod-{number}"),
                       "uid": format!("{number:08x}-0000-4000-8000-000000000000") },
    })
}

/// The slice of a Service.
fn slice(namespace: &str, service: &str, addresses: impl Iterator<Item = Ipv4Addr>) -> Value {
    json!({
        "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "namespace": namespace, "name": format!("{service}-x"), "generateName": format!("{service}-"),
            "labels": { "kubernetes.io/service-name": service, "app": service,
                        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io" },
        },
        "endpoints": addresses.map(|address| endpoint(namespace, address)).collect::<Vec<_>>(),
        "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }],
    })
}

/// The cluster: Services with an address and headless ones by turns, each with as many endpoints.
fn fill(server: &Server, services: u64, endpoints: u64) {
    let mut cluster = server.cluster();
    (0..NAMESPACES).for_each(|number| cluster.put(namespace(&format!("namespace-{number}"))));
    for number in 0..services {
        let (namespace, name) = (namespace_of(number), format!("service-{number}"));
        let own = if number % 2 == 0 { address(SERVICES_FROM, number).to_string() } else { "None".to_owned() };
        cluster.put(service(&namespace, &name, &own));
        let range = number * endpoints / services..(number + 1) * endpoints / services;
        cluster.put(slice(&namespace, &name, range.map(|number| address(ENDPOINTS_FROM, number))));
    }
    for number in 0..PROBES {
        cluster.put(service("namespace-0", &format!("probe-{number}"), "None"));
    }
}

/// Changes that come without an end.
struct Churn {
    /// Changes a second.
    rate: AtomicU64,
    /// Changes that were made.
    made: AtomicU64,
}

impl Churn {
    /// Makes changes for as long as the program runs.
    fn run(&self, server: &Server, services: u64, endpoints: u64) {
        let (mut chance, mut due) = (Chance::new(7), Instant::now());
        let each = endpoints / services.max(1);
        loop {
            let rate = self.rate.load(Ordering::Relaxed);
            if rate == 0 || each == 0 {
                std::thread::sleep(Duration::from_millis(10));
                due = Instant::now();
                continue;
            }
            due += Duration::from_secs(1) / u32::try_from(rate).unwrap();
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let (number, made) = (chance.below(services), self.made.fetch_add(1, Ordering::Relaxed));
            let (namespace, name) = (namespace_of(number), format!("service-{number}"));
            let place = chance.below(each);
            let addresses = (0..each).map(|endpoint| match endpoint == place {
                true => address(NEW_FROM, made),
                false => address(ENDPOINTS_FROM, number * each + endpoint),
            });
            server.put(slice(&namespace, &name, addresses));
        }
    }
}

/// Carries an order out; gives the answer.
fn obey(order: &str, server: &Server, churn: &Churn) -> String {
    match order.split(' ').collect::<Vec<_>>()[..] {
        ["endpoint", number, address] => {
            server.put(slice("namespace-0", &format!("probe-{number}"), [address.parse().unwrap()].into_iter()));
        }
        ["service", name, address] => server.put(service("namespace-0", name, address)),
        ["churn", rate] => churn.rate.store(rate.parse().unwrap(), Ordering::Relaxed),
        ["forget"] => {
            // Followers are at the version of the last change that they were told; that is too old then.
            server.cluster().pass(1);
            server.cluster().compact();
            server.cut();
        }
        ["changes"] => return churn.made.load(Ordering::Relaxed).to_string(),
        _ => panic!("there is no order {order}"),
    }
    "done".to_owned()
}

/// Writes a line.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|number| number.parse().unwrap()).collect();
    let [services, endpoints] = numbers[..] else { panic!("api_double SERVICES ENDPOINTS") };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = Arc::new(runtime.block_on(Server::start()));
    fill(&server, services, endpoints);
    say(&format!("http://{}", server.address()));
    let churn = Arc::new(Churn { rate: AtomicU64::new(0), made: AtomicU64::new(0) });
    let (changed, changing) = (Arc::clone(&server), Arc::clone(&churn));
    std::thread::spawn(move || changing.run(&changed, services, endpoints));
    for order in std::io::stdin().lines() {
        say(&obey(&order.unwrap(), &server, &churn));
    }
}
