//! `/api/v1/reload`: the configuration and its zone files are read again.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Context;
use super::answer::Answer;
use super::error::ApiError;

/// Has everything read again; answers when what is right of it is served.
pub(super) async fn answer(context: &Arc<Context>) -> Result<Answer, ApiError> {
    let ended = || ApiError::unavailable("the program is ending, or has not started yet");
    match context.settings.reload().await.ok_or_else(ended)? {
        Err(error) => Err(ApiError::new(422, "invalid_configuration", error.to_string())
            .remedy("correct the file; the configuration that runs is as it was")),
        Ok((changes, zone_files)) => {
            let zones = zone_files.await.map_err(|_| ended())?;
            let failed: Vec<Value> = (zones.failed.iter())
                .map(|error| json!({ "zone": error.zone.to_string(), "error": error.problems.to_string() }))
                .collect();
            let value = json!({
                "changed": changes.live, "needs_restart": changes.restart, "zone_files_loaded": zones.loaded,
                "zone_files_failed": failed,
            });
            Ok(Answer::json(200, &value))
        }
    }
}
