//! The vectors of `cluster-dns.json` that are about records: labels of endpoints, names taken apart, names outside the cluster.

use ringdns_engine::name::WireName;
use ringdns_kubernetes::object::Protocol::Tcp;
use ringdns_kubernetes::object::{Event, Object, ServiceImport};
use ringdns_kubernetes::options::{EndpointLabel, External, Options};
use ringdns_kubernetes::records::Records;
use serde_json::Value;

use ringdns_controlplane::model::Change;

use crate::bed::Bed;
use crate::objects::{self, a_namespace, a_service, a_slice, key};
use crate::samples::{CASES, coredns, name};

/// The rows of a vector.
fn rows<'v>(all: &'v Value, vector: &str) -> &'v [Value] {
    all["vectors"][vector]["rows"].as_array().unwrap()
}

/// The cases.
fn cases() -> Value {
    serde_json::from_str(CASES).unwrap()
}

/// The owners of the records that objects make.
fn owners(options: &Options, objects: impl IntoIterator<Item = Object>) -> Vec<WireName> {
    let mut records = Records::new(options.clone());
    objects.into_iter().for_each(|object| records.take(Event::Put(object)));
    let owner = |change| if let Change::Put { rrset, .. } = change { Some(rrset.owner) } else { None };
    records.changes(1).into_iter().filter_map(owner).collect()
}

/// Checks the label of an endpoint.
fn check_label(mode: EndpointLabel, (address, hostname, pod): (&str, &str, &str), expected: &str) {
    let options = Options { endpoint_label: mode, ..coredns() };
    let mut slice = a_slice("n/s-a", "s", &[], address);
    (slice.endpoints[0].hostname, slice.endpoints[0].pod) = (hostname.into(), pod.into());
    let objects = [a_namespace("n"), Object::Service(a_service("n/s", &[], &[])), Object::Slice(slice)];
    let owner = name(&format!("{expected}.s.n.svc.cluster.local."));
    assert!(owners(&options, objects).contains(&owner), "{owner}");
}

#[test]
fn endpoints_are_called_as_the_vectors_say() {
    let all = cases();
    for row in rows(&all, "endpoint_label") {
        let text = |place: usize| row[place].as_str().unwrap();
        let mode = if row[4] == true { EndpointLabel::PodName } else { EndpointLabel::DashedAddress };
        check_label(mode, (text(0), text(1), text(3)), text(2));
    }
    for row in rows(&all, "kubedns_endpoint_label") {
        check_label(EndpointLabel::KubeDnsHash, (row[0].as_str().unwrap(), "", ""), row[3].as_str().unwrap());
    }
    for row in rows(&all, "kube2sky_hash") {
        let value: Value = serde_json::from_str(row[0].as_str().unwrap()).unwrap();
        check_label(EndpointLabel::Kube2skyHash, (value["host"].as_str().unwrap(), "", ""), row[1].as_str().unwrap());
    }
    for (pod, expected) in [("a.b", "10-0-0-1"), ("-", "-"), ("a_b", "10-0-0-1")] {
        check_label(EndpointLabel::PodName, ("10.0.0.1", "", pod), expected);
    }
    check_label(EndpointLabel::DashedAddress, ("10.0.0.1", "no.label", ""), "10-0-0-1");
}

/// Serves what the vectors of names speak of.
fn serve_named(bed: &mut Bed, zone: &str, zonal: bool, multicluster: bool) {
    let zones = vec![name(zone)];
    let multicluster_zones = if multicluster { zones.clone() } else { Vec::new() };
    let options = Options { zones, multicluster_zones, zonal, ..coredns() };
    let endpoints = "1.2.3.4@us-west-2a 1.2.3.4@corp.example.com";
    let mut slice = a_slice("mynamespace/webs-a", "webs", &[("http", Tcp, 80)], endpoints);
    slice.cluster = if multicluster { "cluster1" } else { "" }.into();
    let key = key("mynamespace", "webs");
    let import = ServiceImport { key, headless: true, ips: Vec::new(), ports: Vec::new() };
    let service = a_service("mynamespace/webs", &[], &[]);
    let objects = [Object::Service(service), Object::ServiceImport(import), Object::Slice(slice)];
    bed.serve(&options, objects.into_iter().chain([a_namespace("mynamespace")]));
}

#[test]
fn names_are_taken_apart_as_the_vectors_say() {
    let all = cases();
    let directory = tempfile::tempdir().unwrap();
    let mut bed = Bed::start(directory.path());
    let zone = all["vectors"]["parse_name"]["zone"].as_str().unwrap();
    let mut asked = 0;
    for row in rows(&all, "parse_name") {
        let (qname, parts) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
        if qname.parse::<WireName>().is_err() {
            continue;
        }
        serve_named(&mut bed, zone, row[3] == true, row[2] == true);
        let expected = match parts {
            "......" => "NODATA",
            // No port is called so.
            _ if parts.starts_with("us-west-2a.zone") => "NXDOMAIN",
            _ => "1.2.3.4",
        };
        assert_eq!(bed.says(qname, "A"), expected, "{row}");
        asked += 1;
    }
    for row in rows(&all, "parse_name_invalid") {
        serve_named(&mut bed, zone, row["zonal"] == true, row["multicluster"] == true);
        assert_eq!(bed.says(row["qname"].as_str().unwrap(), "A"), "NXDOMAIN", "{row}");
        asked += 1;
    }
    assert!(asked > 12, "only {asked} names were asked");
}

#[test]
fn addresses_are_turned_round_as_the_vectors_say() {
    let options = Options { reverse_zones: vec![name("arpa.")], ..coredns() };
    for row in rows(&cases(), "reverse_to_ip") {
        let (reverse, address) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
        if !address.is_empty() {
            let service = Object::Service(a_service("n/s", &[address], &[]));
            assert!(owners(&options, [a_namespace("n"), service]).contains(&name(reverse)), "{row}");
        }
    }
}

#[test]
fn names_outside_the_cluster_are_what_the_vectors_say() {
    let all = cases();
    let directory = tempfile::tempdir().unwrap();
    let mut bed = Bed::start(directory.path());
    let zones = vec![name("example.com."), name("example.org.")];
    let external = External { zones, apex: "dns".into(), ttl: 5, headless: true, reverse_zones: Vec::new() };
    let options = Options { namespaces: vec!["testns".into()], external: Some(external), ..coredns() };
    let fixture = all["fixtures"]["k8s"]["coredns-external"]["objects"].as_array().unwrap();
    bed.serve(&options, fixture.iter().filter_map(objects::read));
    for row in rows(&all, "external_lookup") {
        let (qname, hosts) = (row["qname"].as_str().unwrap(), row["hosts"].as_array().unwrap());
        let addresses: Vec<&str> = hosts.iter().map(|host| host[0].as_str().unwrap()).collect();
        let rtype = if addresses.iter().any(|address| address.contains(':')) { "AAAA" } else { "A" };
        let expected =
            if addresses.is_empty() { row["rcode"].as_str().unwrap().to_owned() } else { addresses.join(", ") };
        assert_eq!(bed.says(qname, rtype), expected, "{row}");
        let ports = bed.ask(qname, "SRV").sections[0]
            .iter()
            .filter(|record| record.rdata.split(' ').nth(2) == Some("80"))
            .count();
        assert_eq!(ports, hosts.len(), "{row}");
    }
}
