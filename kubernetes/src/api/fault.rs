//! What can go wrong between the API server and us, by reasons that can be counted, and what to do about it.

use std::error::Error as StdError;
use std::time::Duration;

use kube::core::Status;

/// Why a request did not bring what it should have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The configuration of the connection, or a file of it.
    #[error("{0}")]
    Access(String),
    /// The server refuses.
    #[error("the API server answers {code} {reason}: {message}")]
    Status {
        /// The HTTP status.
        code: u16,
        /// The reason in one word.
        reason: String,
        /// In words.
        message: String,
    },
    /// No connection, or one that was lost.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    /// Nothing came.
    #[error("the API server did not answer for {0:?}")]
    Timeout(Duration),
    /// A watch that should have said that it lives, and did not.
    #[error("the watch was silent for {0:?}; it is opened again")]
    Silent(Duration),
    /// Something that is no object.
    #[error("the API server sent something that cannot be read: {0}")]
    Malformed(String),
    /// Versions went back: etcd was put back to an earlier state.
    #[error("the API server is at version {found}, and was at {known}; everything is listed again")]
    Backwards {
        /// Where it is.
        found: u64,
        /// Where it was.
        known: u64,
    },
}

impl Fault {
    /// Of the client's.
    pub(super) fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::status(status),
            kube::Error::SerdeError(error) => Self::Malformed(error.to_string()),
            kube::Error::FromUtf8(error) => Self::Malformed(error.to_string()),
            kube::Error::Auth(error) => Self::Access(format!("the credentials cannot be used: {}", chain(error))),
            other => Self::Unreachable(chain(other)),
        }
    }

    /// Of a status of the API.
    pub(super) fn status(status: &Status) -> Self {
        Self::Status { code: status.code, reason: status.reason.clone(), message: status.message.clone() }
    }

    /// The HTTP status; nothing where there was no answer.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// In metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Access(_) => "access",
            Self::Unreachable(_) => "unreachable",
            Self::Timeout(_) => "timeout",
            Self::Silent(_) => "silent",
            Self::Malformed(_) => "malformed",
            Self::Backwards { .. } => "backwards",
            Self::Status { code, .. } => match code {
                401 => "unauthorized",
                403 => "forbidden",
                404 => "not_found",
                410 => "gone",
                429 => "throttled",
                500.. => "server",
                _ => "refused",
            },
        }
    }

    /// True where the version that was asked for is no more, or not yet: only a listing helps. A version that is too large is one of
    /// a state of etcd that was put back since.
    pub(super) fn needs_listing(&self) -> bool {
        match self {
            Self::Status { code: 400 | 404 | 410, .. } => true,
            Self::Status { message, .. } => message.contains("Too large resource version"),
            Self::Malformed(_) | Self::Backwards { .. } => true,
            _ => false,
        }
    }

    /// True where the credentials, or how they are shown, may have been renewed since they were read.
    pub(super) fn needs_credentials(&self) -> bool {
        matches!(self, Self::Access(_) | Self::Unreachable(_) | Self::Status { code: 401 | 403, .. })
    }

    /// What to do about it; empty: it passes by itself.
    pub(crate) fn remedy(&self, resource: &str) -> String {
        match self {
            Self::Status { code: 401, .. } => {
                "; give credentials that the server takes: kubernetes.token_file, kubernetes.certificate_file or the kubeconfig's \
                 user"
                    .to_owned()
            }
            Self::Status { code: 403, .. } => {
                format!("; permit the verbs list and watch on {resource} by a ClusterRole and its binding, or by a Role in each of \
                         kubernetes.namespaces")
            }
            Self::Status { code: 404, .. } => format!("; {resource} is not served: see kubernetes.endpoint, and kubectl api-resources"),
            Self::Unreachable(_) | Self::Timeout(_) => {
                "; see kubernetes.endpoint, or the server of the kubeconfig (kubectl cluster-info)".to_owned()
            }
            _ => String::new(),
        }
    }
}

/// An error with all that it comes from: the outermost alone says only that a service has failed.
pub(super) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        // Some say what they come from themselves.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    text
}
