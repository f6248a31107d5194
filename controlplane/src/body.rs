//! The bodies of requests, read alike by all interfaces: bounded in bytes, and in the time that a client may say nothing.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use warp::Buf;

/// A client that sends nothing of a body for so long is given up: others wait for the room that it holds.
pub(crate) const STALLED_AFTER: Duration = Duration::from_secs(30);

/// Why a body was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It has more bytes than are taken.
    TooLarge,
    /// The client said nothing for [`STALLED_AFTER`].
    Stalled,
    /// The connection broke.
    CutOff(String),
}

impl BodyError {
    /// The HTTP status that says so.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::TooLarge => 413,
            Self::Stalled => 408,
            Self::CutOff(_) => 400,
        }
    }
}

/// Reads a body of at most so many bytes.
pub(crate) async fn read(
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
    bytes_max: usize,
) -> Result<Vec<u8>, BodyError> {
    read_within(body, bytes_max, STALLED_AFTER).await
}

/// The same with a time of its own for clients that say nothing.
async fn read_within(
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
    bytes_max: usize,
    stalled_after: Duration,
) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    let mut body = std::pin::pin!(body);
    while let Some(piece) = tokio::time::timeout(stalled_after, body.next()).await.map_err(|_| BodyError::Stalled)? {
        let mut piece = piece.map_err(|error| BodyError::CutOff(error.to_string()))?;
        if bytes.len() + piece.remaining() > bytes_max {
            return Err(BodyError::TooLarge);
        }
        while piece.has_remaining() {
            let chunk = piece.chunk();
            let length = chunk.len();
            bytes.extend_from_slice(chunk);
            piece.advance(length);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// Runs to its end on a thread that does nothing else.
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    /// A body in pieces.
    fn pieces(pieces: &[&'static [u8]]) -> impl Stream<Item = Result<&'static [u8], warp::Error>> + use<> {
        stream::iter(pieces.iter().map(|&piece| Ok(piece)).collect::<Vec<_>>())
    }

    #[test]
    fn pieces_are_joined_up_to_the_bound() {
        assert_eq!(block_on(read(pieces(&[b"ab", b"", b"cd"]), 4)), Ok(b"abcd".to_vec()));
        assert_eq!(block_on(read(pieces(&[b"ab", b"cd"]), 3)), Err(BodyError::TooLarge));
        assert_eq!(block_on(read(pieces(&[]), 0)), Ok(Vec::new()));
        let silent = stream::pending::<Result<&'static [u8], warp::Error>>();
        assert_eq!(block_on(read_within(silent, 4, Duration::from_millis(10))), Err(BodyError::Stalled));
        let statuses =
            [BodyError::TooLarge, BodyError::Stalled, BodyError::CutOff(String::new())].map(|error| error.status());
        assert_eq!(statuses, [413, 408, 400]);
    }
}
