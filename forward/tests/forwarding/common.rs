//! What the tests share: upstreams that say what they are told, a forwarder that asks them, and answers as text.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use hickory_proto::serialize::txt::Parser;
use ringdns_controlplane::config::forward::{
    CacheConfig, ForwardConfig, ForwardMode, ForwardPolicy, ForwardZone, KeepConfig, Overload, StaleConfig, StaleWhen,
    UpstreamConfig,
};
use ringdns_engine::cache::EntryBits;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::{AskOthers, ForeignQuestion, KeptAnswer};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{Editor, RrsetSpec};
use ringdns_forward::policy::{AskAll, Policy};
use ringdns_forward::upstream::{Ask, Failure, UpstreamState};
use ringdns_forward::{Exchange, Exchanged, Forwarder, Seams};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

pub const A: u16 = 1;
pub const AAAA: u16 = 28;

/// When tests begin, in seconds since 1970.
pub const BEGIN: u32 = 1_700_000_000;

pub fn name(text: &str) -> WireName {
    text.parse().unwrap()
}

/// What an upstream was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub name: WireName,
    pub qtype: u16,
    pub dnssec_ok: bool,
    pub checking_disabled: bool,
    pub client_subnet: Option<(IpAddr, u8)>,
}

impl Asked {
    pub fn is(&self, text: &str) -> bool {
        self.name == name(text)
    }
}

/// What an upstream says, and after how long.
pub struct Said(pub Duration, pub Result<Vec<u8>, Failure>);

/// At once.
pub fn now(message: Vec<u8>) -> Said {
    Said(Duration::ZERO, Ok(message))
}

/// Never.
pub fn silence() -> Said {
    Said(Duration::from_secs(1_000_000), Err(Failure::Timeout))
}

type Script = Box<dyn Fn(&Asked) -> Said + Send + Sync>;

/// An upstream that says what it is told.
pub struct Double {
    script: Mutex<Script>,
    pub asked: Mutex<Vec<Asked>>,
    pub under_way: AtomicUsize,
    pub most_under_way: AtomicUsize,
    pub is_up: AtomicBool,
    pub latency: Mutex<Option<Duration>>,
    pub looped: Mutex<Option<WireName>>,
}

impl Double {
    pub fn new(script: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(Box::new(script)),
            asked: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
            is_up: AtomicBool::new(true),
            latency: Mutex::default(),
            looped: Mutex::default(),
        })
    }

    pub fn becomes(&self, script: impl Fn(&Asked) -> Said + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// How often it was asked.
    pub fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Exchange for Double {
    fn ask<'a>(&'a self, ask: Ask<'a>, try_time: Duration) -> Exchanged<'a> {
        let asked = Asked {
            name: ask.name.clone(),
            qtype: ask.qtype,
            dnssec_ok: ask.dnssec_ok,
            checking_disabled: ask.checking_disabled,
            client_subnet: ask.client_subnet,
        };
        let Said(after, result) = (self.script.lock().unwrap())(&asked);
        self.asked.lock().unwrap().push(asked);
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        Box::pin(async move {
            sleep(after.min(try_time)).await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            if after > try_time { Err(Failure::Timeout) } else { result }
        })
    }

    fn is_up(&self) -> bool {
        self.is_up.load(Ordering::SeqCst)
    }

    fn latency(&self) -> Option<Duration> {
        *self.latency.lock().unwrap()
    }

    fn p95(&self) -> Option<Duration> {
        *self.latency.lock().unwrap()
    }

    fn is_loop(&self, name: &WireName, _qtype: u16) -> bool {
        self.looped.lock().unwrap().as_ref() == Some(name)
    }

    fn state(&self) -> UpstreamState {
        UpstreamState { name: "double".to_owned(), is_up: self.is_up(), ..UpstreamState::default() }
    }
}

/// Records from lines of zone-file text with absolute names.
pub fn records(text: &str) -> Vec<Record> {
    let line = |line: &str| {
        let (_, rrsets) = Parser::new(format!("{line}\n"), None, Some(Name::root())).parse().unwrap();
        rrsets
            .values()
            .flat_map(|rrset| rrset.records_without_rrsigs().cloned().collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    text.lines().map(str::trim).filter(|line| !line.is_empty()).flat_map(line).collect()
}

/// A message about a question: response code, answer and authority section.
pub fn message(asked: &Asked, rcode: u16, answers: &str, authorities: &str) -> Vec<u8> {
    let mut message = Message::response(7, hickory_proto::op::OpCode::Query);
    message.metadata.response_code = ResponseCode::from(0, u8::try_from(rcode).unwrap());
    message.metadata.recursion_available = true;
    let qname = asked.name.to_string().parse::<Name>().unwrap();
    message.add_query(Query::query(qname, RecordType::from(asked.qtype)));
    message.add_answers(records(answers));
    message.add_authorities(records(authorities));
    message.to_vec().unwrap()
}

/// An address, at once.
pub fn address(asked: &Asked, ttl: u32, address: &str) -> Said {
    now(message(asked, 0, &format!("{} {ttl} IN A {address}", asked.name), ""))
}

/// The SOA record of a zone.
pub fn soa(zone: &str, ttl: u32, minimum: u32) -> String {
    format!("{zone} {ttl} IN SOA ns.{zone} admin.{zone} 1 2 3 4 {minimum}")
}

/// What is kept when nobody says otherwise.
pub fn keep() -> KeepConfig {
    KeepConfig {
        positive_ttl: (0, 86_400),
        negative_ttl: (0, 10_800),
        keeps_ttl: false,
        stale: StaleConfig {
            seconds: 0,
            ttl_seconds: 30,
            when: StaleWhen::AtOnce,
            prefers_positive: false,
            recheck: Duration::from_secs(30),
        },
        prefetch_uses: 0,
        prefetch_percent: 10,
    }
}

/// A zone whose upstreams are doubles by number, as ports of 192.0.2.1.
pub fn zone(zone: &str, upstreams: &[u16]) -> ForwardZone {
    let upstream = |port: &u16| UpstreamConfig::Plain(SocketAddr::new("192.0.2.1".parse().unwrap(), *port));
    ForwardZone {
        zone: name(zone),
        except: Vec::new(),
        mode: ForwardMode::Cache,
        upstreams: upstreams.iter().map(upstream).collect(),
        named: Vec::new(),
        resolv_conf: None,
        policy: ForwardPolicy::Sequential,
        tcp_only: false,
        try_time: Duration::from_secs(2),
        failures_max: 2,
        fail_fast: false,
        probe_interval: Duration::from_millis(500),
        next_rcodes: Vec::new(),
        trusts_ad: false,
        keep: keep(),
    }
}

pub fn config(zones: Vec<ForwardZone>) -> ForwardConfig {
    ForwardConfig {
        zones,
        common: zone(".", &[]),
        deadline: Duration::from_secs(4),
        questions_max: 1000,
        questions_per_client_max: 100,
        questions_per_client_per_second: 0,
        overload: Overload::Refused,
        hedge_after_min: None,
        own: Vec::new(),
        client_subnet: None,
        labels_min: 0,
        cache: CacheConfig {
            bytes: 1 << 20,
            keep: keep(),
            failure_ttl: Duration::from_secs(1),
            authoritative: false,
            file: None,
            file_interval: Duration::ZERO,
        },
    }
}

/// A name in a zone of ours, and its address.
pub type Address = (&'static str, [u8; 4]);

/// A forwarder and what is around it.
pub struct Scene {
    pub forwarder: Forwarder,
    snapshot: Arc<Mutex<Arc<Snapshot>>>,
    begun: Instant,
}

impl Scene {
    /// With doubles as upstreams: the first has port 1.
    pub fn new(config: &ForwardConfig, doubles: &[Arc<Double>]) -> Self {
        Self::with_policy(config, doubles, Arc::new(AskAll))
    }

    pub fn with_policy(config: &ForwardConfig, doubles: &[Arc<Double>], policy: Arc<dyn Policy>) -> Self {
        let snapshot = Arc::new(Mutex::new(Arc::new(Snapshot::empty())));
        let (shown, begun) = (Arc::clone(&snapshot), Instant::now());
        let doubles = doubles.to_vec();
        let seams = Seams {
            connect: Arc::new(move |upstream, _, _| {
                let UpstreamConfig::Plain(address) = upstream else { panic!("{upstream:?}") };
                Ok(Arc::clone(&doubles[usize::from(address.port()) - 1]) as Arc<dyn Exchange>)
            }),
            clock: Arc::new(move || BEGIN + u32::try_from(begun.elapsed().as_secs()).unwrap()),
        };
        let snapshots = Arc::new(move || Arc::clone(&shown.lock().unwrap()));
        let handle = tokio::runtime::Handle::current();
        let forwarder = Forwarder::start_with(config, handle, snapshots, policy, seams).unwrap();
        Self { forwarder, snapshot, begun }
    }

    /// The time in seconds since 1970.
    pub fn now(&self) -> u32 {
        BEGIN + u32::try_from(self.begun.elapsed().as_secs()).unwrap()
    }

    /// Publishes zones: each an apex and addresses of names in it.
    pub fn serve(&self, zones: &[(&str, &[Address])]) {
        let mut snapshot = self.snapshot.lock().unwrap();
        let mut editor = Editor::new(&snapshot);
        for (apex, addresses) in zones {
            let apex = name(apex);
            editor.add_zone(&apex);
            let soa = [b"\0\0".as_slice(), &[0; 20]].concat();
            let soa = RrsetSpec { rtype: 6, ttl: 60, rdatas: vec![soa], ..RrsetSpec::default() };
            editor.put_rrset(&apex, &apex, &soa).unwrap();
            for (owner, address) in *addresses {
                let rrset = RrsetSpec { rtype: A, ttl: 60, rdatas: vec![address.to_vec()], ..RrsetSpec::default() };
                editor.put_rrset(&apex, &name(owner), &rrset).unwrap();
            }
        }
        editor.set_complete(true);
        *snapshot = Arc::new(editor.commit());
    }

    /// Asks; the answer comes by the receiver.
    pub fn begin_with(
        &self,
        qname: &str,
        qtype: u16,
        bits: EntryBits,
        client: &str,
    ) -> oneshot::Receiver<Option<Arc<KeptAnswer>>> {
        let (done, answer) = oneshot::channel();
        let client = client.parse().unwrap();
        let question = ForeignQuestion { name: name(qname), qtype, bits, client, is_stream: false };
        self.forwarder.ask(question, Box::new(move |answer| drop(done.send(answer))));
        answer
    }

    pub fn begin(&self, qname: &str, qtype: u16) -> oneshot::Receiver<Option<Arc<KeptAnswer>>> {
        self.begin_with(qname, qtype, EntryBits::default(), "198.51.100.7")
    }

    /// Asks, and waits for the answer.
    pub async fn kept(&self, qname: &str, qtype: u16) -> Arc<KeptAnswer> {
        self.begin(qname, qtype).await.unwrap().unwrap()
    }

    /// Asks; the answer as text.
    pub async fn ask(&self, qname: &str, qtype: u16) -> String {
        shown(qname, qtype, &*self.kept(qname, qtype).await)
    }

    /// Publishes a change.
    pub fn edit(&self, change: impl FnOnce(&mut Editor)) {
        let mut snapshot = self.snapshot.lock().unwrap();
        let mut editor = Editor::new(&snapshot);
        change(&mut editor);
        *snapshot = Arc::new(editor.commit());
    }

    /// What is published.
    pub fn published(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.lock().unwrap())
    }

    /// The metric's rows of a name.
    pub fn metric(&self, metric: &str) -> u64 {
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register_collector(self.forwarder.metrics());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let line =
            text.lines().find(|line| line.starts_with(&format!("{metric}{{}} "))).unwrap_or_else(|| panic!("{text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap().round().to_string().parse().unwrap()
    }

    /// Entries of the cache that are there, however old: their names.
    pub fn entries(&self) -> Vec<String> {
        self.forwarder.entries(None, 0, 1000).iter().map(|entry| format!("{} {}", entry.name, entry.qtype)).collect()
    }
}

/// What a kept answer says for a question, decoded by others.
pub fn decoded(qname: &str, qtype: u16, kept: &KeptAnswer) -> Message {
    let [answers, authorities] = kept.counts.map(u16::to_be_bytes);
    let header = [[0, 7], [0x80, 0], [0, 1], answers, authorities, [0, 0]].concat();
    let question = [&qtype.to_be_bytes()[..], &[0, 1]].concat();
    let bytes = [&header, name(qname).as_bytes(), &question, &kept.body].concat();
    Message::from_vec(&bytes).unwrap()
}

/// A kept answer as text: the response code, the records of the answer, `/`, those of the authority section.
pub fn shown(qname: &str, qtype: u16, kept: &KeptAnswer) -> String {
    let message = decoded(qname, qtype, kept);
    let show = |records: &[Record]| {
        let each = records.iter().map(|record| {
            let rtype = record.record_type();
            format!("{} {} {rtype} {}", record.name, record.ttl, record.data)
        });
        each.collect::<Vec<_>>().join(", ")
    };
    let rcode = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"][usize::from(kept.rcode)];
    match (show(&message.answers), show(&message.authorities)) {
        (answers, authorities) if authorities.is_empty() => format!("{rcode} {answers}").trim().to_owned(),
        (answers, authorities) => format!("{rcode} {answers} / {authorities}"),
    }
}

/// Lets time pass.
pub async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}
