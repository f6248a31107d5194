//! `[alert]`: who is told that a target fell or came back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::super::etcd::Password;
use super::super::problem::Problems;
use super::super::secret;
use super::super::validate::number;
use super::probe::SYSTEM_CA_FILE;
use super::{DAY_SECONDS, readable, spec};

/// What the original sends; words in double braces are filled in.
const TEMPLATE: &str = r#"{"to": "{{to}}", "text": "{{text}}", "subject": "{{subject}}", "sys_idx": "{{sys_idx}}"}"#;

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertConfig {
    /// Where alerts are posted.
    pub url: String,
    /// The value of the header `Authorization`.
    pub authorization: Option<Password>,
    /// Certificates of who signs that of the URL's host.
    pub ca_file: PathBuf,
    /// The body, which is JSON in whose text words in double braces are filled in.
    pub template: serde_json::Value,
    /// Who is to be told.
    pub to: String,
    /// The place that the checks come from.
    pub room: String,
    /// The number of the system in the receiver's books.
    pub sys_idx: String,
    /// After how long a target that is still down is told again.
    pub silent: Duration,
    /// For a request.
    pub timeout: Duration,
    /// Alerts that can wait.
    pub queue: usize,
    /// Tries of each.
    pub tries: u32,
}

/// Checks the table; nothing where no URL is given.
pub(super) fn alert(spec: &spec::Alert, base: &Path, problems: &mut Problems<'_>) -> Option<AlertConfig> {
    let mut bounded = |value: &Option<Spanned<i64>>, key: &str, bounds, unit: &str, default| {
        let found = number(value.as_ref(), &format!("alert.{key}"), bounds, unit, default, problems);
        u32::try_from(found).unwrap_or_default()
    };
    let silent = bounded(&spec.silent_seconds, "silent_seconds", 1..=7 * DAY_SECONDS, " seconds", 3600);
    let timeout = bounded(&spec.timeout_seconds, "timeout_seconds", 1..=60, " seconds", 5);
    let queue = bounded(&spec.queue, "queue", 1..=1_000_000, "", 10_000);
    let tries = bounded(&spec.tries, "tries", 1..=100, "", 5);
    let url = spec.url.as_ref()?;
    check_url(url, problems);
    let ca_file = spec.ca_file.as_ref().map(|file| readable(file, "alert.ca_file", base, problems));
    Some(AlertConfig {
        url: url.get_ref().clone(),
        authorization: authorization(spec, base, problems),
        ca_file: ca_file.unwrap_or_else(|| PathBuf::from(SYSTEM_CA_FILE)),
        template: template(spec, base, problems),
        to: spec.to.clone().unwrap_or_default(),
        room: spec.room.clone().unwrap_or_default(),
        sys_idx: spec.sys_idx.clone().unwrap_or_default(),
        silent: Duration::from_secs(silent.into()),
        timeout: Duration::from_secs(timeout.into()),
        queue: queue as usize,
        tries,
    })
}

/// Where alerts go.
fn check_url(url: &Spanned<String>, problems: &mut Problems<'_>) {
    let text = url.get_ref();
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    // User and password would be shown in logs.
    let is_right =
        |host: &str| !host.is_empty() && !host.contains('@') && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !host.is_some_and(is_right) {
        let remedy = "write \"https://HOST/PATH\"; secrets go into authorization_file";
        problems.add(Some(url.span()), "alert.url", format!("\"{text}\" is no URL to post to"), remedy);
    }
}

/// The header's value.
fn authorization(spec: &spec::Alert, base: &Path, problems: &mut Problems<'_>) -> Option<Password> {
    const KEY: &str = "alert.authorization_file";
    let file = spec.authorization_file.as_ref()?;
    let text = secret::read(&base.join(file.get_ref()), file.span(), KEY, "echo 'Bearer TOKEN'", problems)?;
    let value = text.lines().next().unwrap_or_default().trim();
    if value.is_empty() || !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        problems.add(Some(file.span()), KEY, "its first line is no value of a header", "write \"Bearer TOKEN\" there");
    }
    Some(Password::new(value))
}

/// The body.
fn template(spec: &spec::Alert, base: &Path, problems: &mut Problems<'_>) -> serde_json::Value {
    const KEY: &str = "alert.template_file";
    let text = match &spec.template_file {
        None => TEMPLATE.to_owned(),
        Some(file) => {
            let path = base.join(file.get_ref());
            std::fs::read_to_string(&path).unwrap_or_else(|error| {
                let message = format!("{} cannot be read: {error}", path.display());
                problems.add(Some(file.span()), KEY, message, "give a file with JSON, or remove the key");
                "{}".to_owned()
            })
        }
    };
    serde_json::from_str(&text).unwrap_or_else(|error| {
        let span = spec.template_file.as_ref().map(Spanned::span);
        problems.add(span, KEY, format!("it is no JSON: {error}"), "write words in double braces inside of text only");
        serde_json::Value::Null
    })
}
