//! Whole zones: `import` and `export`.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::SendBody;

use super::api::{Api, error_words};
use super::arguments::{Export, Format, Import, Mode};
use super::failure::{Done, Failure};
use super::table::fields;
use super::{Screen, zones};

/// How often it is said how far an import is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// Brings a file into a zone.
pub(super) fn import(api: &Api, import: &Import, screen: &mut Screen<'_, '_>) -> Done {
    let is_json = import.file.extension().is_some_and(|extension| extension == "json");
    let format = import.format.unwrap_or(if is_json { Format::Json } else { Format::Zone });
    let media = if format == Format::Json { "application/json" } else { "text/dns" };
    let mode = if import.mode == Mode::Replace { "replace" } else { "merge" };
    let dry_run = if import.dry_run { "&dry_run=true" } else { "" };
    let path = format!("{}/import?mode={mode}{dry_run}", zones::path(&import.zone));
    let mut input: Box<dyn Read> = if import.file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        let fault = |error| Failure::Refused(format!("{} cannot be read: {error}", import.file.display()));
        Box::new(File::open(&import.file).map_err(fault)?)
    };
    let body = SendBody::from_reader(&mut input);
    // RFC 9110 section 10.1.1: a server that refuses says so before a large zone is sent, and not by closing the connection
    // while it is.
    let answer = api.send("POST", &path, &[("content-type", media), ("expect", "100-continue")], body)?;
    let mut told = Instant::now();
    for line in BufReader::new(answer.body.into_reader()).lines() {
        let line = line.map_err(|error| {
            Failure::Unreachable(format!("the answer was cut off: {error}; see what is served with: ringdns ctl diff"))
        })?;
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        let progress = &event["progress"];
        let step = [("read", "records read"), ("written", "RRsets written")];
        if let Some((number, what)) = step.iter().find_map(|(key, what)| Some((progress[key].as_u64()?, what))) {
            if told.elapsed() >= PROGRESS_INTERVAL {
                screen.terminal.note(&format!("{number} {what}"));
                told = Instant::now();
            }
        } else if let Some(words) = error_words(&event["error"]) {
            return Err(Failure::Refused(format!("nothing was imported: {words}")));
        } else if event["done"].is_object() {
            return screen.show(&event["done"], fields);
        }
    }
    Err(Failure::Unreachable(
        "the answer ended before the import; see what is served with: ringdns ctl diff".to_owned(),
    ))
}

/// Writes a zone to a file.
pub(super) fn export(api: &Api, export: &Export, screen: &mut Screen<'_, '_>) -> Done {
    let format = if export.format == Format::Json { "json" } else { "zone" };
    let answer = api.get(&format!("{}/export?format={format}", zones::path(&export.zone)))?;
    let mut body = answer.body.into_reader();
    let Some(path) = &export.out else {
        return copy(&mut body, |bytes| Ok(screen.terminal.out.write_all(bytes)?));
    };
    // A file beside it: what is there stays until the new one is whole.
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let fault = |error: io::Error| Failure::Refused(format!("{} cannot be written: {error}", path.display()));
    let mut file = File::create(&part).map_err(fault)?;
    let copied = copy(&mut body, |bytes| file.write_all(bytes).map_err(fault));
    let placed = copied.and_then(|()| file.sync_all().and_then(|()| fs::rename(&part, path)).map_err(fault));
    if placed.is_err() {
        let _ = fs::remove_file(&part);
    }
    placed
}

/// Copies a body piece by piece.
fn copy(body: &mut impl Read, mut write: impl FnMut(&[u8]) -> Done) -> Done {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = body.read(&mut chunk);
        match read.map_err(|error| Failure::Unreachable(format!("the zone was cut off: {error}")))? {
            0 => return Ok(()),
            bytes => write(chunk.get(..bytes).unwrap_or_default())?,
        }
    }
}
