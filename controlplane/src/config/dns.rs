//! `[dns]`: sizes, what the server tells of itself, cookies and their secrets.

use std::ops::Range;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER_PERMISSIVE;
use ringdns_engine::cookie::CookieSecret;
use ringdns_engine::limits::{
    CHAOS_TEXT_BYTES_MAX, NSID_BYTES_MAX, UDP_ANSWER_BYTES_DEFAULT, UDP_ANSWER_BYTES_LIMIT, UDP_ANSWER_BYTES_MIN,
};
use toml::Spanned;

use super::problem::Problems;
use super::validate::{number, small};
use super::{AaaaMode, CookieMode, DnsConfig, file, secret};

/// Most secrets of cookies: the one that they are made with, and the one before or after it.
const COOKIE_SECRETS_MAX: usize = 2;

/// How a secret is made.
const MAKE_SECRET: &str = "make each with: openssl rand -hex 16";

/// Checks the table. Paths are relative to `base`.
pub(super) fn dns(spec: &file::Dns, base: &Path, problems: &mut Problems<'_>) -> DnsConfig {
    let bounds = UDP_ANSWER_BYTES_MIN as i64..=UDP_ANSWER_BYTES_LIMIT as i64;
    let default = UDP_ANSWER_BYTES_DEFAULT as i64;
    let bytes_max =
        number(spec.udp_answer_bytes_max.as_ref(), "dns.udp_answer_bytes_max", bounds, " bytes", default, problems);
    DnsConfig {
        udp_answer_bytes_max: usize::from(small(bytes_max)),
        nsid: nsid(spec.nsid.as_ref(), problems),
        version: text(spec.version.as_ref(), "dns.version", problems),
        identity: text(spec.identity.as_ref(), "dns.identity", problems),
        aaaa: aaaa(spec.aaaa.as_ref(), problems),
        cookies: cookies(spec.cookies.as_ref(), problems),
        cookie_secrets: secrets(spec, base, problems),
    }
}

/// Text, or hexadecimal digits after `0x`, as the bytes of NSID.
fn nsid(value: Option<&Spanned<String>>, problems: &mut Problems<'_>) -> Vec<u8> {
    const KEY: &str = "dns.nsid";
    let Some(value) = value else { return Vec::new() };
    let bytes = match value.get_ref().strip_prefix("0x") {
        None => value.get_ref().clone().into_bytes(),
        Some(digits) => match HEXLOWER_PERMISSIVE.decode(digits.as_bytes()) {
            Ok(bytes) => bytes,
            Err(_) => {
                let remedy = "write pairs of hexadecimal digits after 0x, or text that does not begin so";
                problems.add(Some(value.span()), KEY, "what follows 0x is not hexadecimal", remedy);
                return Vec::new();
            }
        },
    };
    within(bytes, NSID_BYTES_MAX, value.span(), KEY, problems)
}

/// Text as the bytes of one character string.
fn text(value: Option<&Spanned<String>>, key: &str, problems: &mut Problems<'_>) -> Vec<u8> {
    let Some(value) = value else { return Vec::new() };
    within(value.get_ref().clone().into_bytes(), CHAOS_TEXT_BYTES_MAX, value.span(), key, problems)
}

/// Checks a length.
fn within(bytes: Vec<u8>, max: usize, span: Range<usize>, key: &str, problems: &mut Problems<'_>) -> Vec<u8> {
    if !(1..=max).contains(&bytes.len()) {
        let remedy = format!("give 1 to {max} bytes, or leave the key out to tell nothing");
        problems.add(Some(span), key, format!("{} bytes are given", bytes.len()), remedy);
    }
    bytes
}

/// How questions for AAAA are answered.
fn aaaa(word: Option<&Spanned<String>>, problems: &mut Problems<'_>) -> AaaaMode {
    let Some(word) = word else { return AaaaMode::default() };
    match word.get_ref().as_str() {
        "answer" => AaaaMode::Answer,
        "nodata" => AaaaMode::Nodata,
        other => {
            let message = format!("\"{other}\" is no way to answer questions for AAAA");
            problems.add(Some(word.span()), "dns.aaaa", message, "write \"answer\" or \"nodata\"");
            AaaaMode::default()
        }
    }
}

/// What cookies are for.
fn cookies(word: Option<&Spanned<String>>, problems: &mut Problems<'_>) -> CookieMode {
    let Some(word) = word else { return CookieMode::default() };
    match word.get_ref().as_str() {
        "off" => CookieMode::Off,
        "on" => CookieMode::On,
        "enforce" => CookieMode::Enforce,
        other => {
            let message = format!("\"{other}\" is no way to deal with cookies");
            problems.add(Some(word.span()), "dns.cookies", message, "write \"off\", \"on\" or \"enforce\"");
            CookieMode::default()
        }
    }
}

/// The secrets, from the configuration or from a file of their own.
fn secrets(spec: &file::Dns, base: &Path, problems: &mut Problems<'_>) -> Vec<CookieSecret> {
    match (&spec.cookie_secrets, &spec.cookie_secrets_file) {
        (Some(list), Some(_)) => {
            let message = "cookie_secrets and cookie_secrets_file are both given";
            let remedy = "keep cookie_secrets_file and remove cookie_secrets";
            problems.add(Some(list.span()), "dns.cookie_secrets", message, remedy);
            Vec::new()
        }
        (Some(list), None) => {
            let texts = list.get_ref().iter().map(String::as_str);
            checked_secrets(texts, list.span(), "dns.cookie_secrets", problems)
        }
        (None, Some(path)) => secrets_of_file(path, base, problems),
        (None, None) => Vec::new(),
    }
}

/// The secrets of a file, one a line.
fn secrets_of_file(path: &Spanned<PathBuf>, base: &Path, problems: &mut Problems<'_>) -> Vec<CookieSecret> {
    const KEY: &str = "dns.cookie_secrets_file";
    let text = secret::read(&base.join(path.get_ref()), path.span(), KEY, "openssl rand -hex 16", problems);
    let Some(text) = text else { return Vec::new() };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    checked_secrets(lines, path.span(), KEY, problems)
}

/// Checks secrets. None of them is ever shown.
fn checked_secrets<'a>(
    texts: impl Iterator<Item = &'a str>,
    span: Range<usize>,
    key: &str,
    problems: &mut Problems<'_>,
) -> Vec<CookieSecret> {
    let mut secrets: Vec<CookieSecret> = Vec::new();
    for (index, text) in texts.enumerate() {
        let number = index + 1;
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        match bytes.map(CookieSecret) {
            None => {
                let message = format!("secret {number} is not 32 hexadecimal digits");
                problems.add(Some(span.clone()), key, message, MAKE_SECRET);
            }
            Some(secret) if secrets.contains(&secret) => {
                problems.add(Some(span.clone()), key, format!("secret {number} is given twice"), MAKE_SECRET);
            }
            Some(secret) => secrets.push(secret),
        }
        if number > COOKIE_SECRETS_MAX {
            let remedy = format!("keep at most {COOKIE_SECRETS_MAX}: the one that cookies are made with, and another");
            problems.add(Some(span), key, "too many secrets are given", remedy);
            return secrets;
        }
    }
    if secrets.is_empty() && !problems.has(key) {
        problems.add(Some(span), key, "no secret is given", format!("{MAKE_SECRET}, or leave the key out"));
    }
    secrets
}
