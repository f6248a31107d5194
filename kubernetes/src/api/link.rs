//! Requests to the API server: a page of a listing, a watch. Each is counted, and bounded in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use kube::Client;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request;
use ringdns_controlplane::config::KubernetesAccess;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::access;
use super::fault::Fault;
use super::item::Item;
use super::plan::Scope;
use crate::state::ClusterState;

/// How long a client is used. Kubeconfigs, certificates and credentials are read again for the next one, so that whatever is renewed
/// is taken; watches that run keep theirs.
const CLIENT_AGE: Duration = Duration::from_secs(60);

/// Makes requests.
#[derive(Debug)]
pub(super) struct Link {
    /// How the server is reached.
    access: KubernetesAccess,
    /// Where requests are counted.
    state: Arc<ClusterState>,
    /// How long a request may take to be answered.
    timeout: Duration,
    /// The client that is used.
    made: Mutex<Option<Made>>,
}

/// A client.
#[derive(Clone)]
struct Made {
    /// The client.
    client: Client,
    /// The server, in metrics.
    host: String,
    /// Since when.
    at: Instant,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Made").field("host", &self.host).field("at", &self.at).finish_non_exhaustive()
    }
}

/// A page of a listing.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "T: Item"))]
pub(super) struct Page<T> {
    /// What the listing is of.
    pub(super) metadata: PageMetadata,
    /// The objects; null where there are none.
    #[serde(default = "Option::default")]
    pub(super) items: Option<Vec<T>>,
}

/// What a page says of its listing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PageMetadata {
    /// The version that it is of.
    pub(super) resource_version: String,
    /// Where the next page begins; nothing: there is none.
    #[serde(rename = "continue")]
    pub(super) next: Option<String>,
}

/// The events of a watch.
pub(super) type Events<T> = BoxStream<'static, Result<WatchEvent<T>, Fault>>;

impl Link {
    /// To a server.
    pub(super) fn new(access: KubernetesAccess, state: Arc<ClusterState>, timeout: Duration) -> Self {
        Self { access, state, timeout, made: Mutex::default() }
    }

    /// The client.
    async fn client(&self) -> Result<Made, Fault> {
        let mut made = self.made.lock().await;
        if let Some(made) = made.as_ref().filter(|made| made.at.elapsed() < CLIENT_AGE) {
            return Ok(made.clone());
        }
        let access = self.access.clone();
        // Reads files, and may run a program that gives credentials.
        let client = tokio::task::spawn_blocking(move || access::client(&access)).await;
        let (client, host) = client.map_err(|error| Fault::Access(error.to_string()))??;
        Ok(made.insert(Made { client, host, at: Instant::now() }).clone())
    }

    /// Has the next request made with credentials that are read anew, where that may help.
    async fn renew(&self, fault: &Fault) {
        if fault.needs_credentials() {
            *self.made.lock().await = None;
        }
    }

    /// A page of all objects of a scope at one version: of the newest where `from` is nothing, else where that says.
    pub(super) async fn page<T: Item>(
        &self,
        scope: &Scope,
        limit: Option<u32>,
        from: Option<&str>,
    ) -> Result<Page<T>, Fault> {
        let mut parameters = ListParams::default();
        (parameters.limit, parameters.continue_token) = (limit, from.map(str::to_owned));
        (parameters.label_selector, parameters.field_selector) = selectors(scope);
        let request = Request::new(path::<T>(scope)).list(&parameters);
        let request = request.map_err(|error| Fault::Access(error.to_string()))?;
        let Made { client, host, .. } = self.client().await?;
        let started = Instant::now();
        let text = within(self.timeout, client.request_text(request)).await;
        self.state.note_request(&host, code(&text), Some(started.elapsed()));
        match text {
            Ok(text) => serde_json::from_str(&text).map_err(|error| Fault::Malformed(error.to_string())),
            Err(fault) => {
                self.renew(&fault).await;
                Err(fault)
            }
        }
    }

    /// What changes after a version. The server ends it after some seconds.
    pub(super) async fn watch<T: Item>(&self, scope: &Scope, version: &str, seconds: u32) -> Result<Events<T>, Fault> {
        let mut parameters = WatchParams::default().timeout(seconds);
        (parameters.label_selector, parameters.field_selector) = selectors(scope);
        let request = Request::new(path::<T>(scope)).watch(&parameters, version);
        let request = request.map_err(|error| Fault::Access(error.to_string()))?;
        let Made { client, host, .. } = self.client().await?;
        let events = within(self.timeout, client.request_events::<T>(request)).await;
        self.state.note_request(&host, code(&events), None);
        match events {
            Ok(events) => Ok(events.map(|event| event.map_err(|error| Fault::of(&error))).boxed()),
            Err(fault) => {
                self.renew(&fault).await;
                Err(fault)
            }
        }
    }
}

/// Where the objects of a scope are.
fn path<T: Item>(scope: &Scope) -> String {
    let root = if T::API.contains('/') { "/apis" } else { "/api" };
    let namespace = scope.namespace.as_ref().map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
    format!("{root}/{}{namespace}/{}", T::API, T::PLURAL)
}

/// The selectors of a scope.
fn selectors(scope: &Scope) -> (Option<String>, Option<String>) {
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    (given(&scope.labels), given(&scope.fields))
}

/// Waits for an answer, for a time.
async fn within<T>(timeout: Duration, answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Fault> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer.map_err(|error| Fault::of(&error)),
        Err(_) => Err(Fault::Timeout(timeout)),
    }
}

/// The status of an answer as client-go shows it in metrics.
fn code<T>(answer: &Result<T, Fault>) -> String {
    match answer.as_ref().err().map(Fault::code) {
        None => "200".to_owned(),
        Some(Some(code)) => code.to_string(),
        Some(None) => "<error>".to_owned(),
    }
}
