//! The rules of the specification and of CoreDNS, row by row, and those of the older servers where they are asked for.

use std::net::IpAddr;

use ringdns_kubernetes::object::Protocol::{Sctp, Tcp, Udp};
use ringdns_kubernetes::object::{Event, Ingress, Kind, Object, Pod, Service, ServiceImport};
use ringdns_kubernetes::options::{EndpointLabel, EndpointPtr, External, ExternalAddress, Options, PodMode};
use ringdns_kubernetes::records::{Programmed, ProgrammedKind};

use crate::bed::Bed;
use crate::objects::{a_namespace, a_service, a_slice, an_alias, key};
use crate::samples::{coredns, kube_dns, name};

/// A question and what is said to it.
type Row<'a> = (&'a str, &'a str, &'a str);

/// Serves objects and asks every question; names without a dot at their end are in the cluster's zone.
fn check(title: &str, options: &Options, objects: &[Object], rows: &[Row<'_>]) {
    let directory = tempfile::tempdir().unwrap();
    let mut bed = Bed::start(directory.path());
    bed.serve(options, objects.iter().cloned());
    check_rows(title, &mut bed, rows);
}

/// Asks every question of a table.
fn check_rows(title: &str, bed: &mut Bed, rows: &[Row<'_>]) {
    let whole = |name: &str| if name.ends_with('.') { name.to_owned() } else { format!("{name}.cluster.local.") };
    let wrong = rows.iter().filter_map(|(qname, qtype, expected)| {
        let said = bed.says(&whole(qname), qtype).replace(".cluster.local.", "");
        (said != *expected).then(|| format!("{qname} {qtype}: {said}, not {expected}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{title}: {}", wrong.join("\n"));
}

/// Options with the tree of the older servers that had kube2sky in front.
fn kube2sky() -> Options {
    Options {
        endpoint_label: EndpointLabel::Kube2skyHash,
        endpoint_ptr: EndpointPtr::None,
        legacy_names: true,
        pods: PodMode::Verified,
        ..kube_dns()
    }
}

/// A cluster with everything that the specification speaks of.
fn cluster() -> Vec<Object> {
    let services = [
        a_service("default/web", &["10.0.0.1", "fd00::1"], &[("http", Tcp, 80), ("dns", Udp, 53)]),
        a_service("default/plain", &["10.0.0.2"], &[("", Tcp, 8080)]),
        a_service("default/waiting", &[], &[]),
        a_service("default/db", &[], &[("sql", Tcp, 5432)]),
        a_service("default/six", &[], &[]),
        Service { publish_not_ready: true, ..a_service("default/early", &[], &[]) },
        Service { external_ips: addresses(&["198.51.100.7"]), ..a_service("default/outer", &["10.0.0.4"], &[]) },
        an_alias("default/alias", "www.example.com"),
        an_alias("default/inner", "web.default.svc.cluster.local"),
        an_alias("default/dangling", "missing.default.svc.cluster.local."),
        an_alias("default/number", "192.0.2.7"),
        a_service("hidden/web", &["10.0.0.3"], &[]),
    ];
    let slices = [
        a_slice("default/web-a", "web", &[("http", Tcp, 8080)], "172.16.0.1 172.16.0.2=named"),
        a_slice(
            "default/db-a",
            "db",
            &[("sql", Tcp, 5432)],
            "172.16.1.1=db-0 172.16.1.2=twin 172.16.1.3=twin !172.16.1.9",
        ),
        a_slice("default/db-b", "db", &[("raft", Sctp, 7)], "172.16.1.4"),
        a_slice("default/db-c", "db", &[], "172.16.1.5"),
        a_slice("default/six-a", "six", &[("", Tcp, 1)], "fd00::"),
        a_slice("default/early-a", "early", &[], "!172.16.2.1"),
        a_slice("default/waiting-a", "waiting", &[], "!172.16.2.2"),
    ];
    let pod = Pod { key: key("default", "runner"), addresses: addresses(&["172.16.9.1", "fd00::9"]) };
    let namespaces = ["default", "empty"].map(a_namespace);
    let services = services.map(Object::Service).into_iter();
    namespaces.into_iter().chain(services).chain(slices.map(Object::Slice)).chain([Object::Pod(pod)]).collect()
}

/// Addresses.
fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn names_are_read_from_right_to_left() {
    let options = Options { own_addresses: addresses(&["192.0.2.53", "127.0.0.1"]), ..coredns() };
    let rows = [
        ("cluster.local.", "NS", "ns.dns"),
        ("cluster.local.", "A", "NODATA"),
        ("cluster.local.", "TXT", "NODATA"),
        ("dns-version", "TXT", "\"1.1.0\""),
        ("dns-version", "A", "NODATA"),
        ("ns.dns", "A", "192.0.2.53"),
        ("ns.dns", "AAAA", "NODATA"),
        ("svc", "A", "NODATA"),
        ("pod", "A", "NODATA"),
        ("svc", "TXT", "NODATA"),
        ("default.svc", "A", "NODATA"),
        ("empty.svc", "TXT", "NODATA"),
        ("missing.svc", "A", "NXDOMAIN"),
        ("hidden.svc", "A", "NXDOMAIN"),
        ("default.pod", "A", "NXDOMAIN"),
        ("10-0-0-1.default.pod", "A", "NXDOMAIN"),
        ("default.bogus", "A", "NXDOMAIN"),
        ("web.default", "A", "NXDOMAIN"),
        ("web.hidden.svc", "A", "NXDOMAIN"),
        ("_tcp.web.default.svc", "A", "NXDOMAIN"),
        ("_http._tcp.172-16-0-1.web.default.svc", "SRV", "NXDOMAIN"),
        ("*.default.svc", "A", "NXDOMAIN"),
        ("any.default.svc", "A", "NXDOMAIN"),
        ("missing.default.svc", "SOA", "NODATA"),
        ("web.default.svc", "SOA", "NODATA"),
    ];
    check("names", &options, &cluster(), &rows);
}

#[test]
fn services_are_answered() {
    let rows = [
        ("web.default.svc", "A", "10.0.0.1"),
        ("web.default.svc", "AAAA", "fd00::1"),
        ("web.default.svc", "TXT", "NODATA"),
        ("web.default.svc", "MX", "NODATA"),
        ("web.default.svc", "SRV", "0 25 53 web.default.svc, 0 25 80 web.default.svc"),
        ("_http._tcp.web.default.svc", "SRV", "0 50 80 web.default.svc"),
        ("_dns._udp.web.default.svc", "SRV", "0 50 53 web.default.svc"),
        ("_http._udp.web.default.svc", "SRV", "NXDOMAIN"),
        ("_http._tcp.web.default.svc", "A", "10.0.0.1"),
        ("http.tcp.web.default.svc", "SRV", "0 50 80 web.default.svc"),
        ("plain.default.svc", "SRV", "0 100 8080 plain.default.svc"),
        ("plain.default.svc", "AAAA", "NODATA"),
        ("172-16-0-1.web.default.svc", "A", "172.16.0.1"),
        ("172-16-0-1.web.default.svc", "SRV", "0 100 8080 172-16-0-1.web.default.svc"),
        ("named.web.default.svc", "A", "172.16.0.2"),
        ("172-16-0-2.web.default.svc", "A", "NXDOMAIN"),
        ("db.default.svc", "A", "172.16.1.1, 172.16.1.2, 172.16.1.3, 172.16.1.4, 172.16.1.5"),
        ("db.default.svc", "AAAA", "NODATA"),
        ("twin.db.default.svc", "A", "172.16.1.2, 172.16.1.3"),
        ("twin.db.default.svc", "SRV", "0 50 5432 twin.db.default.svc"),
        ("172-16-1-5.db.default.svc", "A", "172.16.1.5"),
        ("172-16-1-5.db.default.svc", "SRV", "NODATA"),
        ("172-16-1-9.db.default.svc", "A", "NXDOMAIN"),
        ("_sql._tcp.db.default.svc", "SRV", "0 33 5432 db-0.db.default.svc, 0 33 5432 twin.db.default.svc"),
        ("_sql._tcp.db.default.svc", "A", "172.16.1.1, 172.16.1.2, 172.16.1.3"),
        ("_raft._sctp.db.default.svc", "SRV", "0 100 7 172-16-1-4.db.default.svc"),
        (
            "db.default.svc",
            "SRV",
            "0 20 5432 db-0.db.default.svc, 0 20 5432 twin.db.default.svc, 0 20 7 172-16-1-4.db.default.svc",
        ),
        ("six.default.svc", "A", "NODATA"),
        ("fd00--0.six.default.svc", "AAAA", "fd00::"),
        ("waiting.default.svc", "A", "NXDOMAIN"),
        ("early.default.svc", "A", "172.16.2.1"),
        ("alias.default.svc", "CNAME", "www.example.com."),
        ("alias.default.svc", "SRV", "NODATA"),
        ("x.alias.default.svc", "A", "NXDOMAIN"),
        ("_http._tcp.alias.default.svc", "SRV", "NXDOMAIN"),
        ("inner.default.svc", "A", "10.0.0.1, web.default.svc"),
        ("dangling.default.svc", "A", "NODATA"),
        ("number.default.svc", "A", "NXDOMAIN"),
        ("outer.default.svc", "A", "10.0.0.4"),
    ];
    check("services", &coredns(), &cluster(), &rows);
}

#[test]
fn options_change_what_is_answered() {
    let namespaces = Options { namespaces: vec!["empty".into()], ..coredns() };
    let rows = [("empty.svc", "A", "NODATA"), ("default.svc", "A", "NXDOMAIN"), ("web.default.svc", "A", "NXDOMAIN")];
    check("namespaces", &namespaces, &cluster(), &rows);

    let without = Options { endpoints: false, ignore_empty_services: true, ..coredns() };
    let rows = [
        ("web.default.svc", "A", "10.0.0.1"),
        ("named.web.default.svc", "A", "NXDOMAIN"),
        ("db.default.svc", "A", "NXDOMAIN"),
    ];
    check("endpoints", &without, &cluster(), &rows);

    let ignoring = Options { ignore_empty_services: true, ..coredns() };
    let rows = [
        ("web.default.svc", "A", "10.0.0.1"),
        ("plain.default.svc", "A", "NXDOMAIN"),
        ("alias.default.svc", "CNAME", "www.example.com."),
    ];
    check("ignore_empty_services", &ignoring, &cluster(), &rows);

    let outer = Options { external_ip_records: true, external_addresses: ExternalAddress::Address, ..coredns() };
    let rows = [("outer.default.svc", "A", "10.0.0.4, 198.51.100.7"), ("number.default.svc", "A", "192.0.2.7")];
    check("outer addresses", &outer, &cluster(), &rows);
}

#[test]
fn pods_are_answered_by_mode() {
    let rows = [
        ("default.pod", "A", "NODATA"),
        ("172-16-9-1.default.pod", "A", "172.16.9.1"),
        ("172-16-9-1.default.pod", "AAAA", "NODATA"),
        ("fd00--9.default.pod", "AAAA", "fd00::9"),
        ("x.172-16-9-1.default.pod", "A", "172.16.9.1"),
        ("x.y.172-16-9-1.default.pod", "A", "172.16.9.1"),
        ("bogus.default.pod", "A", "NXDOMAIN"),
        ("172-16-9-1.empty.pod", "AAAA", "NXDOMAIN"),
        ("172-16-9-1.missing.pod", "A", "NXDOMAIN"),
    ];
    check("verified", &Options { pods: PodMode::Verified, ..coredns() }, &cluster(), &rows);
    let mut rows = rows;
    rows[7].2 = "NODATA";
    check("insecure", &Options { pods: PodMode::Insecure, ..coredns() }, &cluster(), &rows);
}

#[test]
fn addresses_have_names() {
    let options = Options {
        reverse_zones: vec![
            name("10.in-addr.arpa."),
            name("172.in-addr.arpa."),
            name("0.10.in-addr.arpa."),
            name("ip6.arpa."),
        ],
        ..coredns()
    };
    let mut objects = cluster();
    objects.extend([
        Object::Service(a_service("default/clash", &["10.0.0.1"], &[])),
        Object::Service(a_service("default/pair", &[], &[])),
        Object::Slice(a_slice("default/pair-a", "pair", &[], "172.16.1.1=other 172.16.1.1=second 10.0.0.1")),
        Object::Slice(a_slice("default/orphan-a", "orphan", &[], "172.16.5.5")),
    ]);
    let six = format!("1.{}d.f.ip6.arpa.", "0.".repeat(29));
    let rows = [
        ("1.0.0.10.in-addr.arpa.", "PTR", "clash.default.svc"),
        ("2.0.0.10.in-addr.arpa.", "PTR", "plain.default.svc"),
        ("3.0.0.10.in-addr.arpa.", "PTR", "NXDOMAIN"),
        ("1.1.16.172.in-addr.arpa.", "PTR", "db-0.db.default.svc, other.pair.default.svc"),
        ("1.0.16.172.in-addr.arpa.", "PTR", "172-16-0-1.web.default.svc"),
        ("9.1.16.172.in-addr.arpa.", "PTR", "NXDOMAIN"),
        ("5.5.16.172.in-addr.arpa.", "PTR", "NXDOMAIN"),
        ("7.2.0.192.in-addr.arpa.", "PTR", "REFUSED"),
        ("16.172.in-addr.arpa.", "PTR", "NODATA"),
        (&six, "PTR", "web.default.svc"),
    ];
    check("reverse", &options, &objects, &rows);
    let named = Options { endpoint_ptr: EndpointPtr::Named, ..options.clone() };
    let rows = [
        ("1.1.16.172.in-addr.arpa.", "PTR", "db-0.db.default.svc, other.pair.default.svc"),
        ("2.0.16.172.in-addr.arpa.", "PTR", "NXDOMAIN"),
        ("4.1.16.172.in-addr.arpa.", "PTR", "NXDOMAIN"),
    ];
    check("named", &named, &objects, &rows);
    let none = Options { endpoint_ptr: EndpointPtr::None, ..options };
    let rows =
        [("1.1.16.172.in-addr.arpa.", "PTR", "NXDOMAIN"), ("2.0.0.10.in-addr.arpa.", "PTR", "plain.default.svc")];
    check("none", &none, &objects, &rows);
}

#[test]
fn zones_of_the_topology_have_names() {
    let slices = [
        a_slice("default/db-a", "db", &[("sql", Tcp, 1)], "172.16.1.1@a.x 172.16.1.2@b"),
        a_slice("default/db-b", "db", &[("sql", Tcp, 1)], "fd00::1@b"),
        a_slice("default/web-a", "web", &[], "172.16.1.3@b"),
    ];
    let services = [a_service("default/db", &[], &[]), a_service("default/web", &["10.0.0.1"], &[])];
    let mut objects = vec![a_namespace("default")];
    objects.extend(services.map(Object::Service));
    objects.extend(slices.map(Object::Slice));
    let rows = [
        ("a.x.pin._zone.db.default.svc", "A", "172.16.1.1"),
        ("a.x.pin._zone.db.default.svc", "AAAA", "NODATA"),
        ("b.pin._zone.db.default.svc", "SRV", "0 50 1 172-16-1-2.db.default.svc, 0 50 1 fd00--1.db.default.svc"),
        ("c.d.pin._zone.db.default.svc", "A", "NODATA"),
        ("a.x.prefer._zone.db.default.svc", "A", "172.16.1.1"),
        ("c.prefer._zone.db.default.svc", "A", "172.16.1.1, 172.16.1.2"),
        ("c.prefer._zone.db.default.svc", "TXT", "NODATA"),
        ("b.florp._zone.db.default.svc", "A", "NXDOMAIN"),
        ("pin._zone.db.default.svc", "A", "NXDOMAIN"),
        ("_zone.db.default.svc", "A", "NXDOMAIN"),
        ("b.pin._zone.web.default.svc", "A", "NXDOMAIN"),
        ("b.pin._zone.missing.default.svc", "A", "NXDOMAIN"),
    ];
    check("zonal", &Options { zonal: true, ..coredns() }, &objects, &rows);
    check("off", &coredns(), &objects, &[("b.pin._zone.db.default.svc", "A", "NXDOMAIN")]);
}

#[test]
fn imports_have_a_zone_of_their_own() {
    let options = Options {
        zones: vec![name("cluster.local."), name("clusterset.local.")],
        multicluster_zones: vec![name("clusterset.local.")],
        ..coredns()
    };
    let import = |name: &str, ips: &[&str]| ServiceImport {
        key: key("default", name),
        headless: ips.is_empty(),
        ips: addresses(ips),
        ports: a_service("a/b", &[], &[("http", Tcp, 80)]).ports,
    };
    let mut slice = a_slice("default/db-x", "db", &[("http", Tcp, 80)], "172.16.1.1=one");
    slice.cluster = "west".into();
    let mut objects = cluster();
    objects.extend([
        Object::ServiceImport(import("db", &[])),
        Object::ServiceImport(import("shop", &["10.1.0.1"])),
        Object::Slice(slice),
    ]);
    let rows = [
        ("db.default.svc.clusterset.local.", "A", "172.16.1.1"),
        ("one.west.db.default.svc.clusterset.local.", "A", "172.16.1.1"),
        ("one.db.default.svc.clusterset.local.", "A", "NXDOMAIN"),
        ("west.db.default.svc.clusterset.local.", "A", "NXDOMAIN"),
        ("_http._tcp.db.default.svc.clusterset.local.", "SRV", "0 100 80 one.west.db.default.svc.clusterset.local."),
        ("shop.default.svc.clusterset.local.", "A", "10.1.0.1"),
        ("shop.default.svc", "A", "NXDOMAIN"),
        ("web.default.svc.clusterset.local.", "A", "NXDOMAIN"),
        ("one.west.db.default.svc", "A", "NXDOMAIN"),
        ("dns-version.clusterset.local.", "TXT", "\"1.1.0\""),
    ];
    check("imports", &options, &objects, &rows);
}

#[test]
fn services_have_names_outside_the_cluster() {
    let external = External {
        zones: vec![name("example.org.")],
        apex: "dns".into(),
        ttl: 5,
        headless: true,
        reverse_zones: vec![name("100.51.198.in-addr.arpa.")],
    };
    let options = Options { external: Some(external), own_addresses: addresses(&["192.0.2.53"]), ..coredns() };
    let mut balanced = a_service("default/balanced", &["10.0.0.5"], &[("http", Tcp, 80)]);
    balanced.ingress = vec![Ingress::Address("198.51.100.8".parse().unwrap()), Ingress::Name("lb.example.net".into())];
    let mut named = a_service("default/named", &["10.0.0.6"], &[("http", Tcp, 80)]);
    named.ingress = vec![Ingress::Name("lb.example.net".into())];
    let mut objects = cluster();
    objects.extend([balanced, named].map(Object::Service));
    let rows = [
        ("example.org.", "NS", "ns1.dns.example.org."),
        ("ns1.dns.example.org.", "A", "192.0.2.53"),
        ("dns.example.org.", "A", "NODATA"),
        ("default.example.org.", "A", "NODATA"),
        ("hidden.example.org.", "A", "NXDOMAIN"),
        ("web.default.example.org.", "A", "NXDOMAIN"),
        ("outer.default.example.org.", "A", "198.51.100.7"),
        ("balanced.default.example.org.", "A", "198.51.100.8"),
        (
            "_http._tcp.balanced.default.example.org.",
            "SRV",
            "0 50 80 balanced.default.example.org., 0 50 80 lb.example.net.",
        ),
        ("_tcp.balanced.default.example.org.", "A", "NXDOMAIN"),
        ("named.default.example.org.", "A", "lb.example.net."),
        ("_http._tcp.named.default.example.org.", "SRV", "0 100 80 lb.example.net."),
        ("db-0.db.default.example.org.", "A", "172.16.1.1"),
        ("7.100.51.198.in-addr.arpa.", "PTR", "outer.default.example.org."),
        ("9.100.51.198.in-addr.arpa.", "PTR", "NXDOMAIN"),
    ];
    check("outer", &options, &objects, &rows);
}

#[test]
fn the_older_servers_are_answered_like() {
    let rows = [
        ("dns-version", "TXT", "NXDOMAIN"),
        ("svc", "A", "NXDOMAIN"),
        ("default.svc", "A", "NXDOMAIN"),
        ("plain.default.svc", "A", "10.0.0.2"),
        ("plain.default", "A", "NXDOMAIN"),
        ("faa4cb1e.plain.default.svc", "A", "NXDOMAIN"),
        ("6661613463623165.plain.default.svc", "A", "10.0.0.2"),
        ("plain.default.svc", "SRV", "10 100 0 6661613463623165.plain.default.svc"),
        ("_http._tcp.web.default.svc", "SRV", "10 50 80 web.default.svc"),
        ("named.web.default.svc", "A", "NXDOMAIN"),
        ("db-0.db.default.svc", "SRV", "10 100 0 db-0.db.default.svc"),
        ("db-0.db.default.svc", "A", "172.16.1.1"),
        ("plain.*.svc", "A", "10.0.0.2"),
        ("plain.*.*", "A", "10.0.0.2"),
        ("*.default.svc", "AAAA", "fd00::, fd00::1"),
        ("*.plain.default.svc", "A", "10.0.0.2"),
        ("_sql._tcp.db.*.svc", "A", "172.16.1.1, 172.16.1.2, 172.16.1.3"),
        ("*.missing.svc", "A", "NXDOMAIN"),
        ("any.default.svc", "A", "NXDOMAIN"),
        ("number.default.svc", "A", "192.0.2.7"),
        ("10-1-2-3.nowhere.pod", "A", "10.1.2.3"),
        ("bogus.default.pod", "A", "NODATA"),
        ("1.1.16.172.in-addr.arpa.", "PTR", "db-0.db.default.svc"),
        ("4.1.16.172.in-addr.arpa.", "PTR", "NXDOMAIN"),
        ("2.0.0.10.in-addr.arpa.", "PTR", "plain.default.svc"),
    ];
    check("kube-dns", &kube_dns(), &cluster(), &rows);

    let mut objects = cluster();
    objects.push(Object::Service(a_service("default/mysql-service", &["10.254.162.44"], &[("sql", Tcp, 3306)])));
    let rows = [
        ("dns-version", "TXT", "NXDOMAIN"),
        ("2f1020d6.mysql-service.default.svc", "A", "10.254.162.44"),
        ("mysql-service.default", "A", "10.254.162.44"),
        ("mysql-service.default", "AAAA", "NODATA"),
        (
            "mysql-service.default.svc",
            "SRV",
            "10 50 0 2f1020d6.mysql-service.default.svc, 10 50 3306 mysql-service.default.svc",
        ),
        ("_sql._tcp.mysql-service.default.svc", "SRV", "10 100 3306 mysql-service.default.svc"),
        ("db.default", "A", "172.16.1.1, 172.16.1.2, 172.16.1.3, 172.16.1.4, 172.16.1.5"),
        ("172-16-9-1.default.pod", "A", "172.16.9.1"),
        ("172-16-9-2.default.pod", "A", "NXDOMAIN"),
        ("1.1.16.172.in-addr.arpa.", "PTR", "NXDOMAIN"),
    ];
    check("kube2sky", &kube2sky(), &objects, &rows);
}

#[test]
fn a_service_changes_its_kind_without_a_hole() {
    let directory = tempfile::tempdir().unwrap();
    let mut bed = Bed::start(directory.path());
    let mut records = bed.serve(&coredns(), cluster());
    for (service, said) in [
        (an_alias("default/web", "www.example.com"), "www.example.com."),
        (a_service("default/web", &["10.0.0.9"], &[]), "10.0.0.9"),
        (a_service("default/web", &[], &[]), "172.16.0.1, 172.16.0.2"),
        (an_alias("default/web", "192.0.2.1"), "NXDOMAIN"),
    ] {
        bed.feed(&mut records, [Event::Put(Object::Service(service))]);
        assert_eq!(bed.says("web.default.svc.cluster.local.", "A"), said);
    }
    bed.feed(&mut records, [Event::Gone(Kind::Namespace, key("", "default"))]);
    check_rows("namespace", &mut bed, &[("db.default.svc", "A", "NXDOMAIN"), ("default.svc", "A", "NXDOMAIN")]);
    bed.feed(&mut records, [Event::Put(a_namespace("default"))]);
    check_rows("namespace", &mut bed, &[("db-0.db.default.svc", "A", "172.16.1.1"), ("default.svc", "A", "NODATA")]);
}

#[test]
fn endpoints_take_turns() {
    let directory = tempfile::tempdir().unwrap();
    let mut bed = Bed::start(directory.path());
    bed.serve(&coredns(), cluster());
    let mut first = || bed.ask("db.default.svc.cluster.local.", "A").sections[0][0].rdata.clone();
    let firsts: std::collections::BTreeSet<String> = (0..10).map(|_| first()).collect();
    assert_eq!(firsts.len(), 5, "each of the five is first at times: {firsts:?}");
}

#[test]
fn what_is_programmed_is_told_by_kind() {
    let mut records = ringdns_kubernetes::records::Records::new(coredns());
    cluster().into_iter().for_each(|object| records.take(Event::Put(object)));
    records.changes(1);
    assert_eq!(records.programmed(), [], "what has no time is not told");
    let at = |path: &str, service: &str, endpoints: &str, ms| {
        let slice = a_slice(path, service, &[], endpoints);
        Event::Put(Object::Slice(ringdns_kubernetes::object::Slice { triggered_ms: Some(ms), ..slice }))
    };
    let loose = Service { has_selector: false, ..a_service("default/six", &[], &[]) };
    records.take(Event::Put(Object::Service(loose)));
    records.take(at("default/web-a", "web", "172.16.0.1", 1));
    records.take(at("default/db-c", "db", "172.16.1.6", 2));
    records.take(at("default/six-a", "six", "fd00::2", 3));
    records.take(at("default/six-a", "six", "fd00::2", 4));
    records.take(at("hidden/web-a", "web", "172.16.0.1", 5));
    records.take(Event::ListBegins(Kind::Slice));
    records.take(at("default/early-a", "early", "172.16.0.9", 6));
    assert_eq!(records.programmed(), [], "not before it is told");
    records.changes(2);
    let kinds =
        [ProgrammedKind::ClusterIp, ProgrammedKind::HeadlessWithSelector, ProgrammedKind::HeadlessWithoutSelector];
    let told = kinds.into_iter().zip(1..).map(|(kind, triggered_ms)| Programmed { kind, triggered_ms });
    assert_eq!(records.programmed(), told.collect::<Vec<_>>());
    records.changes(3);
    assert_eq!(records.programmed(), [], "once");
}
