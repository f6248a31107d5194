//! Any sequence of events: the changes, applied one after another, give what a model gives that sees the last objects only; and
//! nothing is said that was said before.

use std::collections::{BTreeMap, BTreeSet};

use ringdns_controlplane::model::{Change, Rrset, exclude_each_other};
use ringdns_engine::name::WireName;
use ringdns_kubernetes::object::Protocol::{Tcp, Udp};
use ringdns_kubernetes::object::{Event, Ingress, Key, Kind, Object, Pod, ServiceImport};
use ringdns_kubernetes::options::{EndpointLabel, EndpointPtr, External, ExternalAddress, Options, PodMode};
use ringdns_kubernetes::records::Records;

use crate::objects::{a_service, a_slice, an_alias, key};
use crate::samples::{coredns, kube_dns, name};

/// Numbers that look like chance, the same in every run.
struct Dice(u64);

impl Dice {
    /// A number below a bound.
    fn below(&mut self, bound: usize) -> usize {
        // Marsaglia's xorshift with 64 bits.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    /// True once in so many times.
    fn once_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    /// One of several.
    fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// An address.
    fn address(&mut self) -> String {
        if self.once_in(4) { format!("fd00::{}", self.below(4)) } else { format!("10.0.0.{}", self.below(8)) }
    }

    /// Up to so many addresses.
    fn addresses(&mut self, bound: usize) -> Vec<std::net::IpAddr> {
        (0..self.below(bound + 1)).map(|_| self.address().parse().unwrap()).collect()
    }

    /// Endpoints as `a_slice` reads them.
    fn endpoints(&mut self) -> String {
        let endpoint = |dice: &mut Self| {
            let ready = if dice.once_in(5) { "!" } else { "" };
            let hostname = if dice.once_in(2) {
                format!("={}", dice.pick(&["a", "A", "not a label"]).replace(' ', "_"))
            } else {
                String::new()
            };
            format!("{ready}{}{hostname}{}", dice.address(), dice.pick(&["", "@z1", "@Z1", "@z.2", "@*"]))
        };
        (0..self.below(5)).map(|_| endpoint(self)).collect::<Vec<_>>().join(" ")
    }

    /// A kind and a name of an object of it.
    fn subject(&mut self) -> (Kind, Key) {
        let namespace = self.pick(&["n1", "n2", "svc", "dns"]);
        match self.below(12) {
            0 => (Kind::Namespace, key("", namespace)),
            1 => (Kind::Pod, key(namespace, self.pick(&["p1", "p2", "p3"]))),
            2 => (Kind::ServiceImport, key(namespace, self.pick(&["s1", "s2"]))),
            3..=6 => (Kind::Service, key(namespace, self.pick(&["s1", "s2", "ns", "ns1"]))),
            _ => (Kind::Slice, key(namespace, self.pick(&["e1", "e2", "e3", "e4"]))),
        }
    }

    /// An object.
    fn object(&mut self, kind: Kind, key: Key) -> Object {
        let path = format!("{}/{}", key.namespace, key.name);
        let ports = [
            &[][..],
            &[("", Tcp, 1)],
            &[("http", Tcp, 80), ("dns", Udp, 53)],
            &[("HTTP", Tcp, 81)],
            &[("a", Tcp, 1), ("A", Tcp, 2)],
        ];
        let ports = ports[self.below(5)];
        match kind {
            Kind::Namespace => Object::Namespace(key.name),
            Kind::Pod => Object::Pod(Pod { key, addresses: self.addresses(2) }),
            Kind::ServiceImport => {
                let ports = a_service("a/b", &[], ports).ports;
                Object::ServiceImport(ServiceImport { key, headless: self.once_in(2), ips: self.addresses(2), ports })
            }
            Kind::Service => {
                let target = self.pick(&["www.example.com", "10.0.0.1", "s1.n1.svc.cluster.local"]);
                let mut service = if self.once_in(5) { an_alias(&path, target) } else { a_service(&path, &[], ports) };
                if self.once_in(2) && service.external_name.is_empty() {
                    service.kind = ringdns_kubernetes::object::ServiceKind::ClusterIp;
                    service.cluster_ips = self.addresses(2);
                }
                service.external_ips = self.addresses(1);
                if self.once_in(4) {
                    service.ingress = vec![Ingress::Name("lb.example.net".into())];
                }
                service.publish_not_ready = self.once_in(6);
                Object::Service(service)
            }
            Kind::Slice => {
                let mut slice = a_slice(&path, self.pick(&["s1", "s2"]), ports, &self.endpoints());
                slice.cluster = self.pick(&["", "", "west"]).into();
                Object::Slice(slice)
            }
        }
    }
}

/// What is served.
#[derive(Debug, Default, PartialEq)]
struct Served {
    /// RRsets by zone, owner and type.
    rrsets: BTreeMap<(String, String, u16), Rrset>,
    /// Names without RRsets, by zone.
    names: BTreeSet<(String, String)>,
}

impl Served {
    /// Applies changes, each of which must change something.
    fn apply(&mut self, changes: Vec<Change>) {
        let text = |name: &WireName| name.to_string();
        for change in changes {
            match change {
                Change::AddName { apex, owner } => assert!(self.names.insert((text(&apex), text(&owner))), "{owner}"),
                Change::RemoveName { apex, owner } => {
                    assert!(self.names.remove(&(text(&apex), text(&owner))), "{owner}");
                }
                Change::Put { apex, rrset } => {
                    assert!(apex.contains(&rrset.owner));
                    let owned = (text(&apex), text(&rrset.owner), 0)..=(text(&apex), text(&rrset.owner), u16::MAX);
                    let beside =
                        self.rrsets.range(owned).any(|((.., rtype), _)| exclude_each_other(*rtype, rrset.rtype));
                    assert!(!beside, "{} {}", rrset.owner, rrset.rtype);
                    let key = (text(&apex), text(&rrset.owner), rrset.rtype);
                    assert_ne!(self.rrsets.insert(key, rrset.clone()).as_ref(), Some(&rrset), "it is said already");
                }
                Change::Remove { apex, owner, rtype, .. } => {
                    let key = (text(&apex), text(&owner), rtype);
                    assert!(self.rrsets.remove(&key).is_some(), "{key:?} is not there");
                }
                _ => {}
            }
        }
    }

    /// Without SOA records, whose serials tell of the past.
    fn without_soa(mut self) -> Self {
        self.rrsets.retain(|(.., rtype), _| *rtype != 6);
        self
    }
}

/// The serials of changes.
fn serials(changes: &[Change]) -> Vec<(WireName, u32)> {
    let soa = changes.iter().filter_map(|change| match change {
        Change::Put { apex, rrset } if rrset.rtype == 6 => Some((apex, rrset.rdatas[0].as_slice())),
        _ => None,
    });
    soa.map(|(apex, rdata)| (apex.clone(), u32::from_be_bytes(rdata[rdata.len() - 20..][..4].try_into().unwrap())))
        .collect()
}

/// All ways of answering.
fn ways() -> Vec<Options> {
    let everything = Options {
        zones: vec![name("cluster.local."), name("clusterset.local.")],
        multicluster_zones: vec![name("clusterset.local.")],
        reverse_zones: vec![name("in-addr.arpa."), name("0.10.in-addr.arpa."), name("ip6.arpa.")],
        pods: PodMode::Verified,
        zonal: true,
        ignore_empty_services: true,
        own_addresses: vec!["10.0.0.3".parse().unwrap(), "192.0.2.1".parse().unwrap()],
        external_addresses: ExternalAddress::Address,
        external_ip_records: true,
        external: Some(External {
            zones: vec![name("example.org.")],
            apex: "dns".into(),
            ttl: 7,
            headless: true,
            reverse_zones: vec![name("10.in-addr.arpa.")],
        }),
        ..coredns()
    };
    let kube2sky = Options {
        endpoint_label: EndpointLabel::Kube2skyHash,
        endpoint_ptr: EndpointPtr::None,
        legacy_names: true,
        pods: PodMode::Verified,
        ..kube_dns()
    };
    let some = Options { namespaces: vec!["n1".into()], ..everything.clone() };
    vec![everything, kube_dns(), kube2sky, some, Options { endpoints: false, ..coredns() }]
}

/// One sequence of events.
fn sequence(options: &Options, dice: &mut Dice) {
    let mut records = Records::new(options.clone());
    let mut served = Served::default();
    served.apply(records.begin());
    let mut objects: BTreeMap<(Kind, Key), Object> = BTreeMap::new();
    let mut former = BTreeMap::new();
    for _ in 0..60 {
        for _ in 0..=dice.below(4) {
            let (kind, key) = dice.subject();
            if dice.once_in(25) {
                relist(&mut records, kind, &mut objects, dice);
            } else if dice.once_in(3) {
                objects.remove(&(kind, key.clone()));
                records.take(Event::Gone(kind, key));
            } else {
                let object = dice.object(kind, key.clone());
                records.take(Event::Put(object.clone()));
                objects.insert((kind, key), object);
            }
        }
        let changes = records.changes(1);
        for (apex, serial) in serials(&changes) {
            assert!(former.insert(apex, serial).is_none_or(|former| former < serial), "serials rise");
        }
        let zones: BTreeSet<&WireName> = changes.iter().filter_map(zone).collect();
        assert_eq!(zones.len(), serials(&changes).len(), "each zone that changes has a new serial, and no other");
        served.apply(changes);
        assert!(records.changes(1).is_empty(), "nothing is said twice");
    }
    let mut fresh = Records::new(options.clone());
    let mut expected = Served::default();
    expected.apply(fresh.begin());
    let mut rest: Vec<Object> = objects.into_values().collect();
    while !rest.is_empty() {
        fresh.take(Event::Put(rest.swap_remove(dice.below(rest.len()))));
    }
    expected.apply(fresh.changes(1));
    assert_eq!(served.without_soa(), expected.without_soa());
    let objects = |records: &Records| records.counts().iter().map(|count| count.objects).collect::<Vec<_>>();
    assert_eq!(objects(&records), objects(&fresh));
}

/// The zone that a change is in, where it is one of records.
fn zone(change: &Change) -> Option<&WireName> {
    match change {
        Change::Put { apex, .. } | Change::Remove { apex, .. } => Some(apex),
        Change::AddName { apex, .. } | Change::RemoveName { apex, .. } => Some(apex),
        _ => None,
    }
}

/// Lists a kind anew, with some objects gone and some as never seen; now and then a listing breaks off and begins anew.
fn relist(records: &mut Records, kind: Kind, objects: &mut BTreeMap<(Kind, Key), Object>, dice: &mut Dice) {
    for _ in 0..=usize::from(dice.once_in(3)) {
        records.take(Event::ListBegins(kind));
        objects.retain(|(other, _), _| *other != kind || !dice.once_in(4));
        let listed = objects.iter().filter(|((other, _), _)| *other == kind);
        listed.for_each(|(_, object)| records.take(Event::Put(object.clone())));
        let (_, key) = dice.subject();
        let key = if kind == Kind::Namespace { Key { namespace: "".into(), name: key.namespace.clone() } } else { key };
        let key = if key.name.is_empty() { return records.take(Event::ListEnds(kind)) } else { key };
        let object = dice.object(kind, key.clone());
        records.take(Event::Put(object.clone()));
        objects.insert((kind, key), object);
    }
    records.take(Event::ListEnds(kind));
}

#[test]
fn changes_add_up_to_what_a_fresh_model_says() {
    for (way, options) in ways().iter().enumerate() {
        for seed in 1..=5 {
            println!("way {way}, seed {seed}");
            sequence(options, &mut Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed)));
        }
    }
}
