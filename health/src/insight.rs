//! What a role shows of itself over HTTP, to read only: `/health`, `/metrics`, `/api/v1/members`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::net::TcpListener;
use warp::http::{Method, Response, StatusCode};
use warp::hyper::body::Bytes;
use warp::{Filter, Reply};

/// Type of the metrics' text.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A role, as it is handed to what answers.
#[derive(Clone)]
struct Role(Arc<dyn Shown>);

/// What a role can tell of itself. Asked for at each request.
pub trait Shown: Send + Sync + 'static {
    /// `/health`: some facts; true where the role does what it is for.
    fn health(&self) -> (bool, Value);

    /// `/api/v1/members`: an object for each, with `target` and `state`.
    fn members(&self) -> Vec<Value>;

    /// `/metrics`
    fn metrics(&self) -> Vec<Metric>;
}

/// A metric with its rows.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its name, without `_total`.
    pub name: &'static str,
    /// What it tells.
    pub help: &'static str,
    /// True: it only grows.
    pub is_counter: bool,
    /// Labels and value of each row.
    pub rows: Vec<(Vec<(&'static str, String)>, f64)>,
}

impl Metric {
    /// A number that only grows.
    pub fn counter(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, is_counter: true, rows: vec![(Vec::new(), value)] }
    }

    /// A number that comes and goes.
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, is_counter: false, rows: vec![(Vec::new(), value)] }
    }

    /// The same with a row for each value of a label.
    #[must_use]
    pub fn by(self, label: &'static str, rows: impl IntoIterator<Item = (&'static str, f64)>) -> Self {
        let rows = rows.into_iter().map(|(of, value)| (vec![(label, of.to_owned())], value)).collect();
        Self { rows, ..self }
    }
}

/// Why a role cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {address} cannot be listened on: {error}; give another address, or end who holds it (ss -ltnp)")]
pub struct ListenError {
    /// The key that the address comes from.
    key: &'static str,
    /// The address.
    address: SocketAddr,
    /// What the system says.
    error: std::io::Error,
}

/// Takes an address.
pub async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|error| ListenError { key, address, error })
}

/// Answers until it is stopped.
pub async fn serve(listener: TcpListener, shown: Arc<dyn Shown>, stop: impl Future<Output = ()> + Send + 'static) {
    let role = Role(shown);
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let filter = warp::any().map(move || role.clone()).and(warp::method()).and(warp::path::full()).and(query).then(
        |Role(shown): Role, method: Method, path: warp::path::FullPath, query: String| async move {
            answer(&*shown, &method, path.as_str(), &query)
        },
    );
    warp::serve(filter).incoming(listener).graceful(stop).run().await;
}

/// Answers one request.
fn answer(shown: &dyn Shown, method: &Method, path: &str, query: &str) -> warp::reply::Response {
    if ![Method::GET, Method::HEAD].contains(method) {
        return error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "there is nothing to change here: use GET");
    }
    match path {
        "/health" => {
            let (is_well, facts) = shown.health();
            json(if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &facts)
        }
        "/metrics" => respond(StatusCode::OK, METRICS_TYPE, encode(shown.metrics())),
        "/api/v1/members" => {
            let state = query.split('&').find_map(|pair| pair.strip_prefix("state="));
            let is_wanted =
                |member: &Value| state.is_none_or(|state| word(member, "state").eq_ignore_ascii_case(state));
            let members: Vec<Value> = shown.members().into_iter().filter(is_wanted).collect();
            json(StatusCode::OK, &serde_json::json!({ "members": members }))
        }
        _ => {
            let Some(name) = path.strip_prefix("/api/v1/members/") else {
                let message = "there are /health, /metrics, /api/v1/members and /api/v1/members/TARGET";
                return error(StatusCode::NOT_FOUND, "not_found", message);
            };
            match shown.members().into_iter().find(|member| word(member, "target") == name) {
                Some(member) => json(StatusCode::OK, &member),
                None => error(StatusCode::NOT_FOUND, "not_found", &format!("{name} is no target of this role")),
            }
        }
    }
}

/// An error, as the admin API writes it.
fn error(status: StatusCode, code: &str, message: &str) -> warp::reply::Response {
    json(status, &serde_json::json!({ "error": { "status": status.as_u16(), "code": code, "message": message } }))
}

/// Text of a member of an object.
fn word<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// An answer in JSON.
fn json(status: StatusCode, value: &Value) -> warp::reply::Response {
    respond(status, "application/json", value.to_string())
}

/// An answer.
fn respond(status: StatusCode, kind: &'static str, body: String) -> warp::reply::Response {
    let body = Bytes::from(body);
    // Its parts are constants.
    Response::builder()
        .status(status)
        .header("content-type", kind)
        .body(body)
        .map_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response(), |response| response.map(Into::into))
}

/// Metrics as text.
fn encode(metrics: Vec<Metric>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Rows(Mutex::new(metrics))));
    let mut body = String::new();
    // Writing to a String cannot fail.
    let _ = text::encode(&mut body, &registry);
    body
}

/// Metrics that are encoded once.
#[derive(Debug)]
struct Rows(Mutex<Vec<Metric>>);

impl Collector for Rows {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let metrics = std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for metric in metrics {
            let kind = if metric.is_counter { MetricType::Counter } else { MetricType::Gauge };
            let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            for (labels, value) in metric.rows {
                match (metric.is_counter, labels.is_empty()) {
                    (true, true) => family.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
                    (true, false) => {
                        family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
                    }
                    (false, true) => family.encode_gauge(&value)?,
                    (false, false) => family.encode_family(&labels)?.encode_gauge(&value)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_open_metrics_text() {
        let metrics = vec![
            Metric::counter("a_checks", "Checks.", 0.0).by("result", [("up", 2.0), ("down\"", 1.5)]),
            Metric::gauge("a_targets", "Targets.", 3.0),
        ];
        let text = encode(metrics);
        for line in ["a_checks_total{result=\"up\"} 2.0", "a_checks_total{result=\"down\\\"\"} 1.5", "a_targets 3.0"] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
