//! Structured logs to standard error, where journald and container runtimes collect them.

use std::sync::OnceLock;

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

/// Puts another filter in the place of the one that runs.
type SetFilter = Box<dyn Fn(EnvFilter) + Send + Sync>;

/// Set with the process's subscriber.
static SET_FILTER: OnceLock<SetFilter> = OnceLock::new();

/// Sets the process's subscriber. Called once, by the binary.
pub fn init(config: &LogConfig) -> Result<(), LogError> {
    let builder = SubscriberBuilder::default()
        .with_env_filter(filter(&config.level)?)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let set_filter: SetFilter = match config.format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map_err(LogError::AlreadySet)?;
            // It fails where there is no subscriber any more: then there is no log either.
            Box::new(move |filter| drop(handle.reload(filter)))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map_err(LogError::AlreadySet)?;
            Box::new(move |filter| drop(handle.reload(filter)))
        }
    };
    // Nobody was before: the subscriber could be set.
    let _ = SET_FILTER.set(set_filter);
    Ok(())
}

/// Changes the level of the process's subscriber; nothing where it has none of ours.
pub(crate) fn set_level(level: &str) -> Result<(), LogError> {
    let filter = filter(level)?;
    if let Some(set_filter) = SET_FILTER.get() {
        set_filter(filter);
    }
    Ok(())
}

/// The filter for a level, or a filter by target.
fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let filter = EnvFilter::try_new(level)?;
    if level.contains("warp") {
        return Ok(filter);
    }
    // A client that goes away in the middle of a request is an error to warp, and none of ours.
    Ok(filter.add_directive("warp=off".parse()?))
}
