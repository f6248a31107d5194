//! The OpenAPI document, written by hand in `openapi.json`; its tests compare it with the routes.

use std::sync::LazyLock;

use serde_json::Value;

/// The document's text.
const TEXT: &str = include_str!("openapi.json");

/// The document; its tests prove that it is JSON.
pub(super) fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let mut document: Value = serde_json::from_str(TEXT).unwrap_or_default();
        document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
        document
    });
    &DOCUMENT
}
