//! Names of others: the forwarder that runs beside a control plane, and how it answers who asks for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringdns_controlplane::config::Config;
use ringdns_controlplane::config::forward::ForwardConfig;
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::{Publisher, Reader};
use ringdns_engine::recall::{AskOthers, ForeignQuestion, Handover, KeptAnswer, RecallConfig};
use ringdns_engine::serve::{MessageConfig, MessageServer, Transport, Unanswered};
use ringdns_forward::Forwarder;
use ringdns_forward::policy::Policies;
use tokio::runtime::{Builder, Runtime};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a message may have others asked, as it is where the server answers.
const ASKED_MAX: usize = 3;

/// Seconds since 1970.
pub fn now_seconds() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u32::try_from(since.as_secs()).unwrap()
}

/// Asks others.
pub struct Others {
    /// The forwarder.
    pub forwarder: Forwarder,
    /// The policy.
    policies: Arc<Policies>,
    /// Where answers are put for those who have waited.
    handover: Handover,
    /// Answers these.
    waited: Option<MessageServer>,
    /// What the forwarder runs on.
    runtime: Option<Runtime>,
}

impl Drop for Others {
    fn drop(&mut self) {
        self.forwarder.stop();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Others {
    /// Starts, as the server does.
    pub fn start(config: &Config, forward: &ForwardConfig, publisher: &Publisher) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let newest = publisher.newest();
        let policies = Policies::load(config).unwrap();
        let snapshots = Arc::new(move || newest.get());
        let forwarder = Forwarder::start(forward, runtime.handle().clone(), snapshots, policies.clone()).unwrap();
        Self { forwarder, policies, handover: Handover::default(), waited: None, runtime: Some(runtime) }
    }

    /// How names of others are answered; who has waited is answered so too from now on.
    pub fn recall(&mut self, config: &Config, answers: &MessageConfig) -> RecallConfig {
        let recall = RecallConfig {
            shelf: self.forwarder.shelf(),
            authoritative: config.forward.as_ref().is_some_and(|forward| forward.cache.authoritative),
            stale_ttl_seconds: self.forwarder.stale_ttl(),
            clients: Some(Arc::new(config.policy.clients())),
            is_handover: false,
        };
        let waited = MessageConfig { recall: Some(recall.on_shelf(self.handover.shelf())), ..answers.clone() };
        self.waited = Some(MessageServer::new(&waited, Transport::Tcp));
        recall
    }

    /// Takes another configuration.
    pub fn reload(&self, config: &Config) {
        if let Some(forward) = &config.forward {
            self.forwarder.reload(forward).unwrap();
        }
        self.policies.reload(config).unwrap();
    }

    /// Has a question asked, and waits for what comes of it.
    pub fn ask(&self, question: ForeignQuestion) -> Option<Arc<KeptAnswer>> {
        let (told, answer) = mpsc::channel();
        self.forwarder.ask(question, Box::new(move |answer| drop(told.send(answer))));
        answer.recv_timeout(PATIENCE).unwrap()
    }

    /// Answers a message that is for others; gives the length of the answer in the buffer, and nothing where there is none.
    pub fn answer(
        &mut self,
        mut question: ForeignQuestion,
        client: SocketAddr,
        message: &[u8],
        buffer: &mut [u8],
        reader: &mut Reader,
    ) -> Option<usize> {
        for _ in 0..ASKED_MAX {
            let answer = self.ask(question.clone())?;
            buffer[..message.len()].copy_from_slice(message);
            let (snapshot, waited, now) = (reader.pin(), self.waited.as_mut().unwrap(), now_seconds());
            waited.set_time(0, now);
            let serve = || waited.answer(client, buffer, message.len(), snapshot, &Counters::default());
            match self.handover.give(snapshot, &question, &answer, now, serve) {
                Ok(length) => return Some(length),
                Err(Unanswered::Foreign) => question = waited.foreign_question(client).unwrap(),
                Err(Unanswered::Dropped(reason)) => panic!("{reason:?}"),
            }
        }
        panic!("others are asked without end");
    }
}
