//! Answers: status, headers and a body that is there as a whole or comes piece by piece.

use std::borrow::Cow;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc;
use warp::Reply as _;
use warp::http::{HeaderValue, Response, StatusCode};

use super::error::{ApiError, Header};

/// Pieces of a body that wait for the client.
const WAITING_PIECES_MAX: usize = 4;

/// A client that takes nothing of its answer for so long is cut off: others wait for what it holds.
const STALLED_AFTER: Duration = Duration::from_secs(60);

/// What goes back.
#[derive(Debug)]
pub(super) struct Answer {
    /// HTTP status code.
    pub(super) status: u16,
    /// Type of the body; none without body.
    pub(super) content_type: &'static str,
    /// The body.
    pub(super) body: Body,
    /// Further headers.
    pub(super) headers: Vec<Header>,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Body {
    /// All of it.
    Whole(Cow<'static, str>),
    /// Piece by piece, as they are made.
    Pieces(mpsc::Receiver<String>),
}

/// The client does not take the answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// Where the pieces of a body go.
#[derive(Clone, Debug)]
pub(super) struct Pieces(mpsc::Sender<String>);

impl Pieces {
    /// Hands a piece over; waits while the client is behind, but not for ever.
    pub(super) async fn send(&self, piece: String) -> Result<(), Gone> {
        self.0.send_timeout(piece, STALLED_AFTER).await.map_err(|_| Gone)
    }

    /// Comes back when the client does not take the answer any more.
    pub(super) async fn gone(&self) {
        self.0.closed().await;
    }

    /// [`Pieces::send`] from a thread that may block.
    pub(super) fn blocking_send(&self, runtime: &tokio::runtime::Handle, piece: String) -> Result<(), Gone> {
        runtime.block_on(self.send(piece))
    }
}

impl Answer {
    /// JSON.
    pub(super) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::text(status, "application/json", value.to_string())
    }

    /// Text of some type.
    pub(super) fn text(status: u16, content_type: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, content_type, body: Body::Whole(text.into()), headers: Vec::new() }
    }

    /// Nothing but the status.
    pub(super) fn empty(status: u16) -> Self {
        Self::text(status, "", "")
    }

    /// A body that somebody makes piece by piece.
    pub(super) fn pieces(content_type: &'static str) -> (Self, Pieces) {
        let (sender, receiver) = mpsc::channel(WAITING_PIECES_MAX);
        (Self { body: Body::Pieces(receiver), ..Self::text(200, content_type, "") }, Pieces(sender))
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The HTTP response.
    pub(super) fn into_response(self) -> warp::reply::Response {
        let mut response = match self.body {
            Body::Whole(text) => Response::new(text.into_owned()).into_response(),
            Body::Pieces(mut pieces) => {
                let pieces = futures_util::stream::poll_fn(move |context| pieces.poll_recv(context));
                let pieces = futures_util::StreamExt::map(pieces, Ok::<_, Infallible>);
                warp::reply::stream(pieces).into_response()
            }
        };
        // Codes, names and values are ours; one that could not be set would be a mistake here, not the client's.
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.remove("content-type");
        if !self.content_type.is_empty() {
            headers.insert("content-type", HeaderValue::from_static(self.content_type));
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        let answer = Self::text(error.status, "application/json", error.to_json());
        Self { headers: error.header.map(|header| *header).into_iter().collect(), ..answer }
    }
}
