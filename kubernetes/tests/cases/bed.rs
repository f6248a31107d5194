//! A running control plane with a cluster for a source, and a source behind it; questions are answered by the engine from what
//! it publishes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringdns_controlplane::config::Config;
use ringdns_controlplane::guest::{Guest, GuestTask};
use ringdns_controlplane::model::{Change, Rrset};
use ringdns_controlplane::sockets::SocketOptions;
use ringdns_controlplane::source::Sink;
use ringdns_controlplane::{BuildInfo, ControlPlane, Refusal};
use ringdns_engine::counters::Counters;
use ringdns_engine::name::WireName;
use ringdns_engine::publish::{Publisher, Reader};
use ringdns_engine::serve::{
    ChaosConfig, EdnsConfig, MessageConfig, MessageServer, TransferStart, Transport, Unanswered,
};
use ringdns_engine::snapshot::{RrsetView, Snapshot};
use ringdns_engine::testing::query;
use ringdns_engine::transfer::{Filled, Shape};
use ringdns_kubernetes::object::{Event, Object};
use ringdns_kubernetes::options::Options;
use ringdns_kubernetes::records::Records;
use tokio::sync::mpsc;

use crate::message::{self, Reply};
use crate::others::{Others, now_seconds};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Changes, and where their refusals go.
type Order = (Vec<Change>, std::sync::mpsc::Sender<Vec<Refusal>>);

/// A source that says what it is told to.
struct Puppet {
    /// Its name.
    name: &'static str,
    /// What it is told.
    orders: mpsc::UnboundedReceiver<Order>,
}

impl Guest for Puppet {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(mut self: Box<Self>, sink: Sink) -> GuestTask {
        Box::pin(async move {
            let closed = |error| -> Box<dyn std::error::Error + Send> { Box::new(error) };
            sink.synced().await.map_err(closed)?;
            while let Some((changes, refusals)) = self.orders.recv().await {
                let published = sink.apply_tracked(changes).await.map_err(closed)?;
                let _ = refusals.send(published.await.map(|published| published.refusals).unwrap_or_default());
            }
            Ok(())
        })
    }
}

/// A control plane and what a worker would see of it.
pub struct Bed {
    /// The control plane.
    plane: Option<ControlPlane>,
    /// What is published.
    reader: Reader,
    /// Tell the sources what to say: the cluster, and one behind it.
    sources: [mpsc::UnboundedSender<Order>; 2],
    /// The zones of the sources.
    zones: [BTreeSet<WireName>; 2],
    /// Answers.
    server: MessageServer,
    /// Who is asked for names of others, where anybody is.
    pub others: Option<Others>,
}

impl Drop for Bed {
    fn drop(&mut self) {
        let [cluster, other] = &mut self.sources;
        (*cluster, *other) = (mpsc::unbounded_channel().0, mpsc::unbounded_channel().0);
        self.plane.take();
    }
}

/// A configuration with a store in a directory.
pub fn configuration(directory: &Path, tables: &str) -> Config {
    let text = format!(
        "[[port]]\ndevice = \"net_null0\"\naddresses = [\"192.0.2.53\"]\n[store]\npath = \"{}/ringdns.redb\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef\"\n{tables}",
        directory.display()
    );
    Config::parse(&directory.join("ringdns.toml"), &text).unwrap()
}

impl Bed {
    /// Starts with a store in a directory.
    pub fn start(directory: &Path) -> Self {
        Self::start_with(directory, "")
    }

    /// The same with more tables of a configuration.
    pub fn start_with(directory: &Path, tables: &str) -> Self {
        let config = configuration(directory, tables);
        let publisher = Publisher::new(Snapshot::empty());
        let reader = publisher.reader();
        let mut others = config.forward.as_ref().map(|forward| Others::start(&config, forward, &publisher));
        let mut answers = MessageConfig {
            udp_answer_bytes_max: 4096,
            hides_aaaa: false,
            edns: EdnsConfig::default(),
            chaos: ChaosConfig::default(),
            rate_limit: None,
            recall: None,
        };
        answers.recall = others.as_mut().map(|others| others.recall(&config, &answers));
        let sockets =
            SocketOptions { listen: Vec::new(), answers: answers.clone(), names: config.stats.names, others: None };
        let build = BuildInfo { version: "1.2.3".into(), commit: "abc".into(), dpdk: "22.11".into() };
        let (guests, sources): (Vec<Box<dyn Guest>>, Vec<_>) = ["cluster", "behind it"]
            .into_iter()
            .map(|name| {
                let (sender, orders) = mpsc::unbounded_channel();
                (Box::new(Puppet { name, orders }) as Box<dyn Guest>, sender)
            })
            .unzip();
        let plane = ControlPlane::start(&config, sockets, vec![Arc::default()], publisher, build, guests).unwrap();
        let since = Instant::now();
        while !plane.is_synced() {
            assert!(since.elapsed() < PATIENCE, "the sources are not synced");
            std::thread::sleep(Duration::from_millis(2));
        }
        let server = MessageServer::new(&answers, Transport::Tcp);
        let sources = sources.try_into().unwrap();
        Self { plane: Some(plane), reader, sources, zones: Default::default(), server, others }
    }

    /// Has a source say something.
    fn say(&mut self, source: usize, changes: Vec<Change>) {
        for change in &changes {
            if let Change::AddZone(apex) = change {
                self.zones[source].insert(apex.clone());
            }
        }
        let (refusals, refused) = std::sync::mpsc::channel();
        self.sources[source].send((changes, refusals)).unwrap();
        let refused = refused.recv_timeout(PATIENCE).unwrap();
        assert!(refused.is_empty(), "{}", refused[0]);
    }

    /// Has the cluster say something.
    pub fn apply(&mut self, changes: Vec<Change>) {
        self.say(0, changes);
    }

    /// Forgets all zones.
    pub fn clear(&mut self) {
        for source in 0..2 {
            let zones = std::mem::take(&mut self.zones[source]);
            self.say(source, zones.into_iter().map(Change::RemoveZone).collect());
        }
    }

    /// Has the source behind the cluster say zones.
    pub fn static_zone(&mut self, apex: &WireName, rrsets: Vec<Rrset>) {
        self.say(1, vec![Change::AddZone(apex.clone())]);
        self.say(1, rrsets.into_iter().map(|rrset| Change::Put { apex: apex.clone(), rrset }).collect());
    }

    /// Serves a cluster with objects in place of what was served.
    pub fn serve(&mut self, options: &Options, objects: impl IntoIterator<Item = Object>) -> Records {
        self.clear();
        let mut records = Records::new(options.clone());
        let begin = records.begin();
        self.apply(begin);
        self.feed(&mut records, objects.into_iter().map(Event::Put));
        records
    }

    /// Tells events, all in one batch.
    pub fn feed(&mut self, records: &mut Records, events: impl IntoIterator<Item = Event>) {
        events.into_iter().for_each(|event| records.take(event));
        let changes = records.changes(1);
        self.apply(changes);
    }

    /// The answer to a question.
    pub fn ask(&mut self, qname: &str, qtype: &str) -> Reply {
        let question = query(qname, message::type_number(qtype));
        let mut buffer = vec![0; 65_535];
        buffer[..question.len()].copy_from_slice(&question);
        let client = "192.0.2.1:4242".parse().unwrap();
        self.server.set_time(0, now_seconds());
        let answered = self.server.answer(client, &mut buffer, question.len(), self.reader.pin(), &Counters::default());
        let length = match (answered, &mut self.others) {
            (Err(Unanswered::Foreign), Some(others)) => {
                let foreign = self.server.foreign_question(client).unwrap();
                others.answer(foreign, client, &question, &mut buffer, &mut self.reader).unwrap()
            }
            (answered, _) => answered.unwrap(),
        };
        message::read(&buffer[..length])
    }

    /// The messages that answer a question for a transfer as CoreDNS does.
    pub fn transfer(&mut self, question: &[u8]) -> Vec<Reply> {
        let mut buffer = vec![0; 65_535];
        buffer[..question.len()].copy_from_slice(question);
        let (client, snapshot) = ("192.0.2.1:4242".parse().unwrap(), Arc::new(self.reader.pin().clone()));
        let shape = Some(|_: RrsetView<'_>| Shape::Cluster);
        let counters = Counters::default();
        let started =
            self.server.begin_transfer(client, &mut buffer, question.len(), &snapshot, shape, &counters).unwrap();
        let mut transfer = match started {
            TransferStart::Begun(transfer) => transfer,
            TransferStart::Answer(bytes, _) => return vec![message::read(&buffer[..bytes])],
            TransferStart::Other => panic!("no transfer"),
        };
        let mut replies = Vec::new();
        loop {
            match transfer.fill(&mut buffer) {
                Filled::More(bytes) => replies.push(message::read(&buffer[..bytes])),
                Filled::Last(bytes) => {
                    replies.push(message::read(&buffer[..bytes]));
                    return replies;
                }
                Filled::Nothing => {}
                Filled::Impossible => panic!("a record that no message can hold"),
            }
        }
    }

    /// Response code and rdata of the answer, sorted, in one text.
    pub fn says(&mut self, qname: &str, qtype: &str) -> String {
        let reply = self.ask(qname, qtype);
        let mut rdatas: Vec<&str> = reply.sections[0].iter().map(|record| record.rdata.as_str()).collect();
        rdatas.sort_unstable();
        match (reply.rcode, rdatas.is_empty()) {
            ("NOERROR", true) => "NODATA".to_owned(),
            ("NOERROR", false) => rdatas.join(", "),
            (rcode, _) => rcode.to_owned(),
        }
    }
}
