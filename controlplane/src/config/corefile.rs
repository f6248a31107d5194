//! `[corefile]` and `[kube_dns_config]`: configuration in the form of other programs, read live.
//!
//! A Corefile becomes TOML, which is merged with that of the file: tables join, `[[tables]]` follow each other, and of a key that
//! both have the file's counts. What is wrong with a key that came from the Corefile is told with the Corefile's line.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ringdns_corefile::{
    Fault, Machine, Note, Options, Place, Recorder, Rendered, Why, is_corefile, kube_dns, translate,
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

/// What is added to a file: the keys of a Corefile, and those of kube-dns's ConfigMap.
#[derive(Default)]
struct Added {
    /// Texts, each of its own.
    texts: Vec<String>,
    /// Where the lines of all of them come from, one behind the other with an empty line between.
    places: Vec<Option<Place>>,
}

impl Added {
    /// Adds keys.
    fn add(&mut self, rendered: Rendered) {
        if !self.texts.is_empty() {
            self.places.push(None);
        }
        self.texts.push(rendered.text);
        self.places.extend(rendered.places);
    }

    /// Where a line comes from, counted from 1.
    fn place(&self, line: usize) -> Option<&Place> {
        self.places.get(line.checked_sub(1)?)?.as_ref()
    }
}

/// The tables that are looked at before the rest.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tables {
    /// `[corefile]`
    corefile: Corefile,
    /// `[kube_dns_config]`
    kube_dns_config: KubeDnsConfig,
}

/// Checks text with what the Corefile adds that it names, or that is given.
pub(super) fn parse(path: &Path, text: &str, source: &ConfigSource) -> Result<Config, ConfigError> {
    let base = path.parent().unwrap_or(Path::new(""));
    let mut problems = Problems::new(path, text);
    // What is no TOML is told below.
    let tables: Tables = toml::from_str(text).unwrap_or_default();
    let overlay = overlay(&tables.corefile, source, base, &mut problems)?;
    problems.finish(())?;
    let mut added = Added::default();
    let mut config = overlay.map(|Overlay { rendered, config }| {
        added.add(rendered);
        config
    });
    config_map(&tables.kube_dns_config, base)?.into_iter().for_each(|rendered| added.add(rendered));
    if added.texts.is_empty() {
        return validate::validate(path, text, file::Spec::parse(text), config);
    }
    let whole = format!("{text}\n{}", added.texts.join("\n"));
    let lines = text.matches('\n').count() + 1;
    let place = |line: usize| added.place(line.checked_sub(lines)?);
    let (spec, overruled) = merged(text, &added.texts);
    for span in overruled {
        let line = whole.get(..span.start).unwrap_or_default().matches('\n').count() + 1;
        let Some(place) = place(line) else { continue };
        let message = format!("{} says it otherwise, and that counts", path.display());
        let note = Note { place: place.clone(), why: Why::Differs, message };
        config.iter_mut().for_each(|config| config.notes.push(note.clone()));
    }
    validate::validate(path, &whole, spec, config).map_err(|error| match error {
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
    let notes = translation.notes;
    let config = CorefileConfig { path, ignore, ignore_unsupported, port, notes, digest: machine.digest() };
    Ok(Some(Overlay { rendered: translation.document.render(), config }))
}

/// What kube-dns's ConfigMap adds; nothing where there is none, or none that says anything.
fn config_map(spec: &KubeDnsConfig, base: &Path) -> Result<Option<Rendered>, ConfigError> {
    let Some(directory) = spec.directory.as_ref().filter(|directory| !directory.get_ref().as_os_str().is_empty())
    else {
        return Ok(None);
    };
    let made = kube_dns::read(&base.join(directory.get_ref()), &Machine)
        .map_err(|faults| ConfigError::Invalid(faults.into_iter().map(problem).collect()))?;
    Ok(Some(made.document.render()).filter(|rendered| !rendered.text.is_empty()))
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

/// Reads texts as one, and which keys of those added are overruled; places are those in all of them, with line ends between.
fn merged(text: &str, added: &[String]) -> (Result<file::Spec, file::SpecError>, Vec<Range<usize>>) {
    // Blanks in place of those before, so that places in each are right.
    let mut padded: Vec<String> = Vec::new();
    let mut before = text.len();
    for added in added {
        padded.push(format!("{}\n{added}", " ".repeat(before)));
        before += 1 + added.len();
    }
    let mut overruled = Vec::new();
    let mut read = || -> Result<file::Spec, file::SpecError> {
        file::Spec::check_version(text)?;
        let mut base = DeTable::parse(text)?;
        for padded in &padded {
            merge(base.get_mut(), DeTable::parse(padded)?.into_inner(), &mut overruled);
        }
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
