//! How a command fails, and what its exit code says.

use std::io;

/// The server refused, or something else went wrong.
pub(super) const REFUSED: u8 = 1;

/// What comes of a command.
pub(super) type Done<T = ()> = Result<T, Failure>;

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server refused it, or a file could not be read or written.
    Refused(String),
    /// The command line asks for what cannot be.
    Usage(String),
    /// There is no such zone, record, view or name.
    NotFound(String),
    /// The server cannot be reached.
    Unreachable(String),
    /// What was compared differs.
    Differs,
    /// Nobody reads the output any more, which is no failure.
    Closed,
}

impl Failure {
    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Refused(_) => REFUSED,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Unreachable(_) => 4,
            Self::Differs => 5,
        }
    }

    /// What is said of it.
    pub(super) fn words(&self) -> Option<&str> {
        match self {
            Self::Refused(words) | Self::Usage(words) | Self::NotFound(words) | Self::Unreachable(words) => Some(words),
            Self::Differs | Self::Closed => None,
        }
    }
}

/// Of output; files have words of their own.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Refused(format!("standard output cannot be written: {error}")),
        }
    }
}
