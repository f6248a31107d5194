//! An event is told by what it touches, however large the cluster is. The times and bytes that are shown are worth a look where
//! the cluster is large and the code optimised:
//! `RINGDNS_SERVICES=10000 cargo test -p ringdns-kubernetes --release --test cases measure -- --nocapture`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use ringdns_kubernetes::object::Protocol::Tcp;
use ringdns_kubernetes::object::{Endpoint, Event, Object, Slice};
use ringdns_kubernetes::options::Options;
use ringdns_kubernetes::records::Records;

use crate::objects::{a_namespace, a_service, a_slice};
use crate::samples::{coredns, kube_dns, name};

/// Services of the cluster where nobody says otherwise.
const SERVICES: u32 = 100;
/// Endpoints of each.
const ENDPOINTS: u32 = 10;
/// Namespaces of the cluster.
const NAMESPACES: u32 = 100;
/// Endpoints of the large Service, a hundred to a slice.
const LARGE: u32 = 1000;

/// A slice with endpoints of consecutive addresses.
fn slice(path: &str, service: &str, addresses: std::ops::Range<u32>) -> Slice {
    let endpoint = |number: u32| Endpoint {
        addresses: vec![IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number))],
        hostname: "".into(),
        pod: format!("pod-{number}").into(),
        zone: "zone-a".into(),
        ready: true,
    };
    Slice { endpoints: addresses.map(endpoint).collect(), ..a_slice(path, service, &[("http", Tcp, 80)], "") }
}

/// The objects of the cluster: Services with addresses and headless ones by turns.
fn objects(services: u32) -> impl Iterator<Item = Object> {
    let namespaces = (0..NAMESPACES).map(|number| a_namespace(&format!("namespace-{number}")));
    let services = (0..services).flat_map(|number| {
        let (namespace, service) = (format!("namespace-{}", number % NAMESPACES), format!("service-{number}"));
        let own = Ipv4Addr::from(0xac10_0000 + number).to_string();
        let own: &[&str] = if number % 2 == 0 { &[&own] } else { &[] };
        let first = number * ENDPOINTS;
        [
            Object::Service(a_service(&format!("{namespace}/{service}"), own, &[("http", Tcp, 80)])),
            Object::Slice(slice(&format!("{namespace}/{service}-abcde"), &service, first..first + ENDPOINTS)),
        ]
    });
    namespaces.chain(services)
}

/// Bytes of memory that the process has.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// A model of the cluster, how long it took, and how many changes it made.
fn load(options: &Options, services: u32) -> (Records, Duration, usize) {
    let mut records = Records::new(options.clone());
    records.begin();
    let (mut taken, mut changes) = (Duration::ZERO, 0);
    let mut objects = objects(services).peekable();
    while objects.peek().is_some() {
        // What a page of a listing has.
        let page: Vec<Object> = objects.by_ref().take(500).collect();
        let since = Instant::now();
        page.into_iter().for_each(|object| records.take(Event::Put(object)));
        changes += records.changes(1).len();
        taken += since.elapsed();
    }
    (records, taken, changes)
}

/// The median time in microseconds of an event that an endpoint comes or goes with.
fn event(records: &mut Records, whole: &Slice, turns: usize) -> (u128, usize) {
    let mut part = whole.clone();
    part.endpoints.pop();
    let mut changes = 0;
    let mut times: Vec<u128> = (0..turns)
        .map(|turn| {
            let slice = if turn % 2 == 0 { part.clone() } else { whole.clone() };
            let since = Instant::now();
            records.take(Event::Put(Object::Slice(slice)));
            changes = records.changes(1).len();
            since.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    (times[times.len() / 2], changes)
}

#[test]
fn measure_events_of_a_cluster() {
    let services = std::env::var("RINGDNS_SERVICES").map_or(SERVICES, |count| count.parse().unwrap());
    let turns = if services == SERVICES { 3 } else { 51 };
    let reverse = Options { reverse_zones: vec![name("10.in-addr.arpa.")], ..coredns() };
    // Two sets of addresses, of SRV records, and the endpoint's own; its PTR record; and the serials of the zones.
    let ways = [
        ("without reverse zones", coredns(), 7),
        ("with reverse zones", reverse, 9),
        ("like kube-dns", kube_dns(), 51),
    ];
    for (title, options, expected) in ways {
        let (mut records, taken, changes) = load(&options, services);
        let before = resident();
        let others: Vec<Records> = (0..4).map(|_| load(&options, services).0).collect();
        let bytes = resident().saturating_sub(before) / 4;
        let endpoints = u64::from(services * ENDPOINTS);
        println!("{title}: {services} Services, {endpoints} endpoints");
        println!("  {changes} changes in {} ms", taken.as_millis());
        println!("  {} bytes an endpoint, all in all", bytes / endpoints);
        for count in others[0].counts() {
            println!("  {:?}: {} objects, {} bytes", count.kind, count.objects, count.bytes);
        }
        let small = slice("namespace-1/service-1-abcde", "service-1", ENDPOINTS..2 * ENDPOINTS);
        let (time, count) = event(&mut records, &small, turns);
        println!("  an event of a Service with {ENDPOINTS} endpoints: {time} us, {count} changes");
        assert!(count <= expected, "{title}: {count} changes");
        records.take(Event::Put(Object::Service(a_service("namespace-1/large", &[], &[]))));
        let slices = (0..LARGE / 100).map(|number| {
            let first = 1_000_000 + number * 100;
            slice(&format!("namespace-1/large-{number}"), "large", first..first + 100)
        });
        let slices: Vec<Slice> = slices.collect();
        slices.iter().for_each(|slice| records.take(Event::Put(Object::Slice(slice.clone()))));
        records.changes(1);
        let (time, count) = event(&mut records, &slices[3], turns);
        println!("  an event of a Service with {LARGE} endpoints: {time} us, {count} changes");
        assert!(count <= expected, "{title}: {count} changes");
    }
}
