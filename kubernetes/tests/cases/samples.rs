//! The sample cases of `cluster-dns.json`: its "about" and "format" say where they are from and how they are read.

use std::collections::BTreeMap;

use ringdns_controlplane::model::Rrset;
use ringdns_engine::name::WireName;
use ringdns_engine::rules::Search;
use ringdns_kubernetes::object::Object;
use ringdns_kubernetes::options::{EndpointLabel, EndpointPtr, External, ExternalAddress, Options, PodMode};
use serde_json::Value;

use crate::bed::Bed;
use crate::message::{Reply, Shown};
use crate::objects::{self, namespace};
use crate::upstream::{Known, Upstream};

/// The cases.
pub const CASES: &str = include_str!("cluster-dns.json");

/// Suites that are for other tests: zone transfers (`transfers`), and what is read from etcd.
const OTHERS: [&str; 4] = ["coredns.kubernetes.axfr", "coredns.ci.axfr", "coredns.etcd", "skydns"];

/// Cases that cannot pass, and why. They must fail, so that the list stays true.
const FAIL: [(&str, &str); 2] = [
    ("kubedns.backend/039", "AA is clear there, as SkyDNS had it for PTR: the answer is authoritative, and says so"),
    ("kubedns.backend/052", "federation: a feature that Kubernetes has given up"),
];

/// A name.
pub fn name(text: &str) -> WireName {
    text.parse().unwrap()
}

/// Names of a list in a configuration.
fn names(config: &Value, key: &str) -> Vec<WireName> {
    strings(config, key).map(name).collect()
}

/// Texts of a list in a configuration.
fn strings<'v>(config: &'v Value, key: &str) -> impl Iterator<Item = &'v str> {
    config[key].as_array().into_iter().flatten().map(|text| text.as_str().unwrap())
}

/// True for zones of addresses.
fn is_reverse(zone: &WireName) -> bool {
    name("arpa.").contains(zone)
}

/// Options as CoreDNS has them by default.
pub fn coredns() -> Options {
    Options {
        zones: vec![name("cluster.local.")],
        reverse_zones: Vec::new(),
        multicluster_zones: Vec::new(),
        namespaces: Vec::new(),
        ttl: 5,
        negative_ttl: None,
        pods: PodMode::Disabled,
        endpoint_label: EndpointLabel::DashedAddress,
        endpoint_ptr: EndpointPtr::All,
        endpoints: true,
        ignore_empty_services: false,
        zonal: false,
        fallthrough: Vec::new(),
        own_addresses: Vec::new(),
        legacy_names: false,
        query_wildcards: false,
        external_addresses: ExternalAddress::Ignored,
        external_ip_records: false,
        srv_priority: 0,
        external: None,
        search: None,
    }
}

/// Options as kube-dns has them.
pub fn kube_dns() -> Options {
    Options {
        reverse_zones: vec![name("in-addr.arpa."), name("ip6.arpa.")],
        ttl: 30,
        negative_ttl: Some(60),
        pods: PodMode::Insecure,
        endpoint_label: EndpointLabel::KubeDnsHash,
        endpoint_ptr: EndpointPtr::Named,
        query_wildcards: true,
        external_addresses: ExternalAddress::Address,
        srv_priority: 10,
        ..coredns()
    }
}

/// The options of a case.
fn options(suite: &str, config: &Value) -> Options {
    if suite.starts_with("kubedns") {
        return Options { zones: vec![name(config["domain"].as_str().unwrap())], ..kube_dns() };
    }
    let flag = |key: &str| config[key].as_bool().unwrap_or(false);
    let mut options = coredns();
    if config["zones"].is_array() {
        let (reverse, forward) = names(config, "zones").into_iter().partition(is_reverse);
        (options.zones, options.reverse_zones) = (forward, reverse);
    }
    options.multicluster_zones = names(config, "multicluster_zones");
    options.namespaces = strings(config, "namespaces").map(str::to_owned).collect();
    options.ttl = config["ttl"].as_u64().map_or(5, |ttl| ttl.try_into().unwrap());
    options.pods = match config["pods"].as_str() {
        Some("insecure") => PodMode::Insecure,
        Some("verified") => PodMode::Verified,
        _ => PodMode::Disabled,
    };
    if flag("endpoint_pod_names") {
        options.endpoint_label = EndpointLabel::PodName;
    }
    options.ignore_empty_services = flag("ignore_empty_service");
    options.zonal = flag("zonal");
    options.fallthrough = names(config, "fallthrough");
    options.own_addresses = strings(config, "server_ips").map(|address| address.parse().unwrap()).collect();
    if config["external_zones"].is_array() {
        let (reverse_zones, zones) = names(config, "external_zones").into_iter().partition(is_reverse);
        let headless = flag("headless");
        options.external = Some(External { zones, apex: "dns".into(), ttl: 5, headless, reverse_zones });
    }
    options.search = flag("autopath").then(|| Search { host_suffixes: Vec::new(), cname: true });
    options
}

/// The records of an upstream: owner, type, TTL, rdata.
fn records(upstream: &Value) -> impl Iterator<Item = (WireName, u16, u32, Vec<u8>)> {
    upstream["records"].as_array().unwrap().iter().map(|record| {
        let rdata = record["rdata"].as_str().unwrap();
        let rdata = match record["type"].as_str().unwrap() {
            "A" => rdata.parse::<std::net::Ipv4Addr>().unwrap().octets().to_vec(),
            "AAAA" => rdata.parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec(),
            "NS" | "CNAME" => name(rdata).as_bytes().to_vec(),
            other => panic!("type {other} of an upstream"),
        };
        let number = crate::message::type_number(record["type"].as_str().unwrap());
        let ttl = record["ttl"].as_u64().unwrap().try_into().unwrap();
        (name(record["name"].as_str().unwrap()), number, ttl, rdata)
    })
}

/// The records of a static zone, which a source behind the cluster has.
fn serve_static(bed: &mut Bed, zone: &Value) {
    let (first, ..) = records(zone).next().unwrap();
    let apex = zone["zone"]
        .as_str()
        .map_or_else(|| (2..first.label_count()).fold(first.clone(), |name, _| name.parent().unwrap()), name);
    let mut sets: BTreeMap<(WireName, u16), Rrset> = BTreeMap::new();
    for (owner, rtype, ttl, rdata) in records(zone) {
        let set = sets.entry((owner.clone(), rtype));
        set.or_insert_with(|| Rrset::new(owner, rtype, ttl, Vec::new())).rdatas.push(rdata);
    }
    let soa = [name("ns.invalid.").as_bytes(), name("host.invalid.").as_bytes(), &[0; 20]].concat();
    let mut rrsets: Vec<Rrset> = sets.into_values().collect();
    rrsets.push(Rrset::new(apex.clone(), 6, 60, vec![soa]));
    bed.static_zone(&apex, rrsets);
}

/// What an upstream of all fixtures of a case knows.
fn known<'v>(fixtures: impl Iterator<Item = &'v Value>) -> Known {
    // Of a case without others it is not known what they would say of a name.
    let mut known = Known::default();
    for fixture in fixtures {
        // Who is asked for all names and has not heard of one says that there is none.
        known.otherwise = 3;
        for (owner, rtype, ttl, rdata) in records(fixture) {
            known.records.entry((owner, rtype)).or_default().push((ttl, rdata));
        }
        known.absent.extend(names(fixture, "nxdomain"));
        known.truncates |= fixture["tc"] == true;
        if fixture["otherwise"] == "SERVFAIL" {
            known.otherwise = 2;
        }
    }
    known
}

/// Serves what a case has; `upstream` knows what others know in it.
pub fn serve(bed: &mut Bed, upstream: Option<&Upstream>, all: &Value, case: &Value) {
    let (setup, suite) = (&case["setup"], case["suite"].as_str().unwrap());
    let fixtures: Vec<&str> = strings(setup, "fixtures").collect();
    let of_fixtures = fixtures.iter().filter_map(|fixture| fixture.strip_prefix("k8s/"));
    let of_fixtures = of_fixtures.flat_map(|fixture| all["fixtures"]["k8s"][fixture]["objects"].as_array().unwrap());
    let of_case = setup["objects"].as_array().into_iter().flatten();
    let mut objects: Vec<Object> = of_fixtures.chain(of_case).filter_map(objects::read).collect();
    if suite.starts_with("kubedns") {
        // An API server refuses objects in namespaces that do not exist; the cases of kube-dns leave these out.
        let namespaces: Vec<Object> = objects.iter().map(|object| Object::Namespace(namespace(object))).collect();
        objects.extend(namespaces);
    }
    bed.serve(&options(suite, &setup["config"]), objects);
    let others = fixtures.iter().filter_map(|fixture| fixture.strip_prefix("upstream/"));
    let others = others.map(|other| &all["fixtures"]["upstream"][other]);
    let (zones, others): (Vec<&Value>, Vec<&Value>) =
        others.partition(|other| other["description"].as_str().unwrap().starts_with("static zone"));
    zones.into_iter().for_each(|zone| serve_static(bed, zone));
    if let Some(upstream) = upstream {
        upstream.says(known(others.into_iter()));
    }
    if let Some(others) = &bed.others {
        others.forwarder.flush(None, None);
    }
}

/// How the answers of a suite are compared.
struct Comparison {
    /// Whether the authority section is looked at, and only for the primary server of a SOA record.
    authority: Option<bool>,
    /// Whether additional records must all be there, and whether their owners and TTLs count.
    additional: (bool, bool),
    /// Whether AA counts on NXDOMAIN.
    nxdomain_aa: bool,
}

/// How a suite is compared, by its "compare".
fn comparison(suite: &str) -> Comparison {
    match suite {
        "spec.1.1.0" => Comparison { authority: None, additional: (false, true), nxdomain_aa: true },
        "kubedns.backend" => Comparison { authority: Some(true), additional: (true, false), nxdomain_aa: false },
        "coredns.ci.fallthrough" | "coredns.ci.autopath" => {
            Comparison { authority: None, additional: (true, true), nxdomain_aa: true }
        }
        _ => Comparison { authority: Some(false), additional: (true, true), nxdomain_aa: true },
    }
}

/// True where rdata is what a pattern says: `*` stands for a word, `$EP(address)` for the label of an endpoint.
fn rdata_matches(pattern: &str, rdata: &str) -> bool {
    let pattern: Vec<String> = pattern
        .split(' ')
        .map(|word| match word.strip_prefix("$EP(").and_then(|rest| rest.split_once(')')) {
            Some((address, rest)) => format!("{}{rest}", address.replace(['.', ':'], "-")),
            None => word.to_owned(),
        })
        .collect();
    let words: Vec<&str> = rdata.split(' ').collect();
    pattern.len() == words.len() && pattern.iter().zip(words).all(|(pattern, word)| pattern == "*" || pattern == word)
}

/// True where a record is what a case says.
pub fn record_matches(expected: &Value, record: &Shown, whole: bool) -> bool {
    let ttl = expected["ttl"].as_u64().is_none_or(|ttl| ttl == u64::from(record.ttl));
    let is_one = expected["type"] == *record.rtype && rdata_matches(expected["rdata"].as_str().unwrap(), &record.rdata);
    is_one && (!whole || (ttl && expected["name"] == *record.name))
}

/// True where a section is what a case says, in any order.
fn section_matches(expected: &Value, section: &[Shown], whole: bool) -> bool {
    let expected = expected.as_array().unwrap();
    let has = |one: &Value| section.iter().any(|record| record_matches(one, record, whole));
    let wanted = |record: &Shown| expected.iter().any(|one| record_matches(one, record, whole));
    expected.len() == section.len() && expected.iter().all(has) && section.iter().all(wanted)
}

/// True where the primary server of a SOA record is what a case says.
fn primary_matches(expected: &Value, section: &[Shown]) -> bool {
    let primary = |rdata: &str| rdata.split(' ').next().map(str::to_owned);
    let expected: Vec<_> =
        expected.as_array().unwrap().iter().map(|one| primary(one["rdata"].as_str().unwrap())).collect();
    expected == section.iter().map(|record| primary(&record.rdata)).collect::<Vec<_>>()
}

/// What of an answer is not as a case says.
fn mistakes(case: &Value, reply: &Reply) -> Vec<&'static str> {
    let comparison = comparison(case["suite"].as_str().unwrap());
    let [answer, authority, additional] = &reply.sections;
    let mut mistakes = Vec::new();
    let mut expect = |holds: bool, what: &'static str| mistakes.extend((!holds).then_some(what));
    let mut rcodes = strings(case, "rcode_alternatives").chain(case["rcode"].as_str());
    expect(rcodes.any(|rcode| rcode == reply.rcode), "rcode");
    expect(section_matches(&case["answer"], answer, true), "answer");
    if let Some(primary_only) = comparison.authority {
        let matches = if primary_only {
            primary_matches
        } else {
            |expected: &_, section: &_| section_matches(expected, section, true)
        };
        expect(matches(&case["ns"], authority), "authority");
    }
    let (all, whole) = comparison.additional;
    if all {
        expect(section_matches(&case["extra"], additional, whole), "additional");
    }
    let aliases = answer.iter().rposition(|record| record.rtype == "CNAME");
    let others = answer.iter().position(|record| record.rtype != "CNAME");
    expect(aliases.zip(others).is_none_or(|(alias, other)| alias < other), "order");
    let authoritative = case["flags"]["aa"].as_bool().unwrap_or(true);
    let counts = comparison.nxdomain_aa || reply.rcode != "NXDOMAIN";
    expect(!counts || reply.rcode == "REFUSED" || authoritative == reply.authoritative, "AA");
    expect(case["flags"]["tc"].as_bool().unwrap_or(false) == reply.truncated, "TC");
    mistakes
}

#[test]
fn the_sample_cases_are_answered_as_they_say() {
    let all: Value = serde_json::from_str(CASES).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let upstream = Upstream::start();
    // As a Corefile has it: CoreDNS asks for names of special use too.
    let policy = "[policy]\nlocal_names = false\nlocal_reverse = false\n";
    let tables = format!("[forward]\nupstreams = [\"{}\"]\n{policy}", upstream.address);
    let mut bed = Bed::start_with(directory.path(), &tables);
    let mut setup = &Value::Null;
    let (mut passed, mut failed) = (0, Vec::new());
    for case in all["cases"].as_array().unwrap() {
        let (id, suite) = (case["id"].as_str().unwrap(), case["suite"].as_str().unwrap());
        if OTHERS.iter().any(|other| suite.starts_with(other)) {
            continue;
        }
        if *setup != case["setup"] {
            serve(&mut bed, Some(&upstream), &all, case);
            setup = &case["setup"];
        }
        let reply = bed.ask(case["qname"].as_str().unwrap(), case["qtype"].as_str().unwrap());
        let mistakes = mistakes(case, &reply);
        let known = FAIL.iter().any(|(listed, _)| *listed == id);
        match (mistakes.is_empty(), known) {
            (true, true) => failed.push(format!("{id} passes, and is listed as one that does not")),
            (false, false) => failed.push(format!(
                "{id} {} {}: {mistakes:?}\n  {reply:?}\n  {}",
                case["qname"], case["qtype"], case["note"]
            )),
            _ => passed += 1,
        }
    }
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), failed.len() + passed, failed.join("\n"));
    assert!(passed > 150, "only {passed} cases were asked");
}
