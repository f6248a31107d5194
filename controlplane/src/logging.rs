//! Structured logs to standard error, where journald and container runtimes collect them.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

use crate::config::{LogConfig, LogFormat};

/// Why logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is neither a level nor a filter.
    #[error("log.level: {0}; write error, warn, info, debug or trace")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Something else set the process's subscriber before.
    #[error("logs were set up before: {0}")]
    AlreadySet(Box<dyn std::error::Error + Send + Sync>),
}

/// Sets the process's subscriber. Called once, by the binary.
pub fn init(config: &LogConfig) -> Result<(), LogError> {
    let mut filter = EnvFilter::try_new(&config.level)?;
    if !config.level.contains("warp") {
        // A client that goes away in the middle of a request is an error to warp, and none of ours.
        filter = filter.add_directive("warp=off".parse()?);
    }
    let builder = SubscriberBuilder::default().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(LogError::AlreadySet)
}
