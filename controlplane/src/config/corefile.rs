//! `[corefile]` and `[kube_dns_config]`: configuration in the form of other programs, read live.
//!
//! A Corefile becomes TOML, which is merged with that of the file: tables join, `[[tables]]` follow each other, and of a key that
//! both have the file's counts. What is wrong with a key that came from the Corefile is told with the Corefile's line.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ringdns_corefile::{
    Fault, Forwarding, Machine, Note, Options, Place, Recorder, Rendered, Why, is_corefile, translate,
};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problems;
use super::{Config, ConfigError, Problem, file, validate};

/// `[corefile]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Corefile {
    /// The Corefile.
    pub path: Option<Spanned<PathBuf>>,
    /// Plugins that are passed over.
    pub ignore: Option<Spanned<Vec<String>>>,
    /// True: whatever is not supported is passed over.
    pub ignore_unsupported: Option<bool>,
}

/// `[kube_dns_config]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KubeDnsConfig {
    /// Where the ConfigMap is mounted.
    pub directory: Option<Spanned<PathBuf>>,
}

/// A Corefile that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorefileConfig {
    /// It.
    pub path: PathBuf,
    /// Plugins that are passed over.
    pub ignore: Vec<String>,
    /// Whether whatever is not supported is passed over.
    pub ignore_unsupported: bool,
    /// The port of server blocks that name none.
    pub port: Option<u16>,
    /// What is not served of it, and keeps nothing from being served.
    pub notes: Vec<Note>,
    /// Who is to be asked for names of others.
    pub forwarding: Forwarding,
    /// A hash of all that it was made from.
    pub digest: u64,
}

/// Where the configuration is read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigSource {
    /// A file of RingDNS.
    pub file: Option<PathBuf>,
    /// A Corefile, in place of that of `[corefile]`.
    pub corefile: Option<PathBuf>,
    /// Plugins of it that are passed over.
    pub ignore: Vec<String>,
    /// The port of its server blocks that name none; none: 53.
    pub port: Option<u16>,
}

impl ConfigSource {
    /// A file of RingDNS.
    pub fn file(path: &Path) -> Self {
        Self { file: Some(path.to_path_buf()), ..Self::default() }
    }

    /// A file of RingDNS, or a Corefile where name or content say so.
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = std::fs::read_to_string(path).unwrap_or_default();
        match is_corefile(&name, &text) {
            true => Self { corefile: Some(path.to_path_buf()), ..Self::default() },
            false => Self::file(path),
        }
    }

    /// What it is read from, for messages.
    pub fn path(&self) -> &Path {
        self.file.as_deref().or(self.corefile.as_deref()).unwrap_or(Path::new(""))
    }

    /// Reads and checks; reports every problem.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let text = match &self.file {
            Some(path) => {
                std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.clone(), error })?
            }
            // Whoever starts with a Corefile alone has no place for a store, often not even a disk that can be written.
            None => "[store]\nbackend = \"memory\"\n".to_owned(),
        };
        parse(self.path(), &text, self)
    }
}

/// What a Corefile adds to a file.
struct Overlay {
    /// Its keys.
    rendered: Rendered,
    /// It.
    config: CorefileConfig,
}

/// The tables that are looked at before the rest.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tables {
    /// `[corefile]`
    corefile: Corefile,
}

/// Checks text with what the Corefile adds that it names, or that is given.
pub(super) fn parse(path: &Path, text: &str, source: &ConfigSource) -> Result<Config, ConfigError> {
    let base = path.parent().unwrap_or(Path::new(""));
    let mut problems = Problems::new(path, text);
    // What is no TOML is told below.
    let tables: Tables = toml::from_str(text).unwrap_or_default();
    let overlay = overlay(&tables.corefile, source, base, &mut problems)?;
    problems.finish(())?;
    let Some(Overlay { rendered, config }) = overlay else {
        return validate::validate(path, text, file::Spec::parse(text), None);
    };
    let whole = format!("{text}\n{}", rendered.text);
    let lines = text.matches('\n').count() + 1;
    let place = |line: usize| rendered.place(line.checked_sub(lines)?);
    let (spec, overruled) = merged(text, &rendered.text);
    let mut config = config;
    for span in overruled {
        let line = whole.get(..span.start).unwrap_or_default().matches('\n').count() + 1;
        let Some(place) = place(line) else { continue };
        let message = format!("{} says it otherwise, and that counts", path.display());
        config.notes.push(Note { place: place.clone(), why: Why::Differs, message });
    }
    validate::validate(path, &whole, spec, Some(config)).map_err(|error| match error {
        ConfigError::Invalid(problems) => {
            let told = |problem: Problem| match problem.place.and_then(|(line, _)| place(line)) {
                Some(Place { file, line }) => Problem { file: file.clone(), place: Some((*line, 1)), ..problem },
                None => problem,
            };
            ConfigError::Invalid(problems.into_iter().map(told).collect())
        }
        error => error,
    })
}

/// What the Corefile adds; nothing where there is none.
fn overlay(
    spec: &Corefile,
    source: &ConfigSource,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Result<Option<Overlay>, ConfigError> {
    let ignore = source.ignore.iter().chain(spec.ignore.iter().flat_map(Spanned::get_ref));
    let ignore: Vec<String> = ignore.cloned().collect();
    let ignore_unsupported = spec.ignore_unsupported.unwrap_or(false);
    let own = spec.path.as_ref().map(|path| base.join(path.get_ref()));
    let Some(path) = source.corefile.clone().or(own) else {
        if let Some(ignore) = &spec.ignore {
            problems.add(Some(ignore.span()), "corefile.ignore", "no Corefile is named", "set corefile.path");
        }
        return Ok(None);
    };
    let port = source.port;
    let options = Options { ignore: ignore.clone(), ignore_unsupported, port };
    let machine = Recorder::new(&Machine);
    let translation = translate(&path, &machine, &options)
        .map_err(|faults| ConfigError::Invalid(faults.into_iter().map(problem).collect()))?;
    let (notes, forwarding) = (translation.notes, translation.forwarding);
    let config = CorefileConfig { path, ignore, ignore_unsupported, port, notes, forwarding, digest: machine.digest() };
    Ok(Some(Overlay { rendered: translation.document.render(), config }))
}

/// A fault of a Corefile as a problem of the configuration.
fn problem(fault: Fault) -> Problem {
    let ignorable = fault.plugin.map(|plugin| format!(", or pass it over: corefile.ignore = [\"{plugin}\"]"));
    Problem {
        file: fault.place.file,
        place: Some((fault.place.line, 1)),
        key: String::new(),
        message: fault.message,
        remedy: fault.remedy + &ignorable.unwrap_or_default(),
    }
}

/// Reads two texts as one, and which keys of the second are overruled; places are those in the first, a line end and the second.
fn merged(text: &str, added: &str) -> (Result<file::Spec, file::SpecError>, Vec<Range<usize>>) {
    // Blanks in place of the first, so that places in the second are right.
    let padded = format!("{}\n{added}", " ".repeat(text.len()));
    let mut overruled = Vec::new();
    let mut read = || -> Result<file::Spec, file::SpecError> {
        file::Spec::check_version(text)?;
        let mut base = DeTable::parse(text)?;
        merge(base.get_mut(), DeTable::parse(&padded)?.into_inner(), &mut overruled);
        file::Spec::of_table(base)
    };
    let spec = read();
    (spec, overruled)
}

/// Puts the keys of one table into another.
fn merge<'a>(base: &mut DeTable<'a>, added: DeTable<'a>, overruled: &mut Vec<Range<usize>>) {
    let is_tables = |values: &[Spanned<DeValue<'_>>]| values.iter().all(|value| value.get_ref().is_table());
    for (key, value) in added {
        let Some(known) = base.get_mut(key.get_ref().as_ref()) else {
            base.insert(key, value);
            continue;
        };
        let span = value.span();
        match (known.get_mut(), value.into_inner()) {
            (DeValue::Table(known), DeValue::Table(value)) => merge(known, value, overruled),
            (DeValue::Array(known), DeValue::Array(value)) if is_tables(known) && is_tables(&value) => {
                value.into_iter().for_each(|value| known.push(value));
            }
            _ => overruled.push(span),
        }
    }
}

/// Checks `[kube_dns_config]`.
pub(super) fn kube_dns_directory(spec: &KubeDnsConfig, base: &Path, problems: &mut Problems<'_>) -> Option<PathBuf> {
    let directory = spec.directory.as_ref()?;
    if directory.get_ref().as_os_str().is_empty() {
        let remedy = "name the directory where the ConfigMap kube-dns is mounted, such as /etc/kube-dns";
        problems.add(Some(directory.span()), "kube_dns_config.directory", "the path is empty", remedy);
    }
    Some(base.join(directory.get_ref()))
}
