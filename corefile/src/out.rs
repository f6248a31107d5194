//! Where plugins put what they come to.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::document::Value;
use crate::fault::{Fault, Note, Place, Why};
use crate::lexer::{Files, Word};
use crate::parse::Line;
use crate::world::World;
use crate::{Options, Translation, duration, zone};

/// What of a server block its plugins need to know.
pub(crate) struct Scope<'a> {
    /// Its zones.
    pub(crate) zones: Vec<String>,
    /// Its plugins.
    pub(crate) lines: &'a [Line],
    /// What relative names of files are relative to.
    pub(crate) root: PathBuf,
}

impl Scope<'_> {
    /// True where the block has a plugin.
    pub(crate) fn has(&self, plugin: &str) -> bool {
        self.lines.iter().any(|line| line.name.text == plugin)
    }

    /// A file that a plugin names.
    pub(crate) fn path(&self, name: &str) -> String {
        self.root.join(name).to_string_lossy().into_owned()
    }
}

/// The translation while it is made.
pub(crate) struct Out<'a> {
    /// The machine.
    pub(crate) world: &'a dyn World,
    /// The files that were read.
    pub(crate) files: &'a Files,
    /// What is to be ignored.
    pub(crate) options: &'a Options,
    /// What has come so far.
    pub(crate) made: Translation,
    /// What keeps it from being served.
    pub(crate) faults: Vec<Fault>,
    /// The plugin at hand.
    pub(crate) plugin: String,
    /// The options of the cluster that was read, and where.
    pub(crate) cluster: Option<(Vec<String>, Place)>,
    /// Names that are zones of their own.
    pub(crate) hosted: HashSet<String>,
    /// Zones that somebody is asked for.
    pub(crate) asked: HashSet<String>,
}

impl<'a> Out<'a> {
    /// Nothing yet.
    pub(crate) fn new(world: &'a dyn World, files: &'a Files, options: &'a Options) -> Self {
        let (made, faults) = (Translation::default(), Vec::new());
        let (hosted, asked) = (HashSet::new(), HashSet::new());
        Self { world, files, options, made, faults, plugin: String::new(), cluster: None, hosted, asked }
    }

    /// Where a word stands.
    pub(crate) fn place(&self, word: &Word) -> Place {
        word.place(self.files)
    }

    /// Tells what is wrong.
    pub(crate) fn fault(&mut self, word: &Word, message: impl Into<String>, remedy: impl Into<String>) {
        let place = self.place(word);
        let message =
            if self.plugin.is_empty() { message.into() } else { format!("{}: {}", self.plugin, message.into()) };
        self.faults.push(Fault { place, plugin: None, message, remedy: remedy.into() });
    }

    /// Tells that something cannot be served, which keeps the rest from being served unless it is to be ignored.
    pub(crate) fn unsupported(&mut self, word: &Word, message: impl Into<String>, remedy: impl Into<String>) {
        if self.options.ignore_unsupported {
            return self.note(word, Why::Ignored, message);
        }
        let (place, plugin) = (self.place(word), self.plugin.clone());
        let message = format!("{plugin}: not supported: {}", message.into());
        self.faults.push(Fault { place, plugin: Some(plugin), message, remedy: remedy.into() });
    }

    /// Tells something that keeps nothing from being served.
    pub(crate) fn note(&mut self, word: &Word, why: Why, message: impl Into<String>) {
        let (place, message) = (self.place(word), format!("{}: {}", self.plugin, message.into()));
        let note = Note { place, why, message };
        // Blocks often have the same lines by way of an import.
        if !self.made.notes.contains(&note) {
            self.made.notes.push(note);
        }
    }

    /// Sets a key. What was set otherwise before stays, and is told.
    pub(crate) fn set(&mut self, header: &'static str, key: &'static str, value: Value, word: &Word) {
        let place = self.place(word);
        let shown = value.show();
        if let Err(before) = self.made.document.set(header, key, value, &place) {
            let words = format!("{shown} is not taken: the server has one {header} {key}, which {before} says");
            self.note(word, Why::Differs, words);
        }
    }

    /// An unknown option.
    pub(crate) fn unknown(&mut self, line: &Line) {
        let message = format!("unknown option \"{}\"", line.name.text);
        self.fault(&line.name, message, "remove it, or correct its name");
    }

    /// The only argument of a line.
    pub(crate) fn only<'l>(&mut self, line: &'l Line) -> Option<&'l Word> {
        match line.args.as_slice() {
            [word] => Some(word),
            words => {
                let message = format!("{} has {} values", line.name.text, words.len());
                self.fault(&line.name, message, "give it one");
                None
            }
        }
    }

    /// The only argument of a line as a number within bounds.
    pub(crate) fn number(&mut self, line: &Line, bounds: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let word = self.only(line)?;
        let number = word.text.parse().ok().filter(|number| bounds.contains(number));
        if number.is_none() {
            let remedy = format!("give a number from {} to {}", bounds.start(), bounds.end());
            self.fault(word, format!("{} is \"{}\"", line.name.text, word.text), remedy);
        }
        number
    }

    /// A word as milliseconds.
    pub(crate) fn milliseconds(&mut self, word: &Word) -> Option<u64> {
        let milliseconds = duration::milliseconds(&word.text);
        if milliseconds.is_none() {
            self.fault(word, format!("\"{}\" is no duration", word.text), "write one such as 5s or 500ms");
        }
        milliseconds
    }

    /// A word as seconds.
    pub(crate) fn seconds(&mut self, word: &Word) -> Option<u64> {
        let seconds = duration::seconds(&word.text);
        if seconds.is_none() {
            self.fault(word, format!("\"{}\" is no time", word.text), "write seconds, or a duration such as 5s");
        }
        seconds
    }

    /// The zones that words name; those of the block where there are none.
    pub(crate) fn zones(&mut self, words: &[Word], scope: &Scope<'_>) -> Vec<String> {
        if words.is_empty() {
            return scope.zones.clone();
        }
        let mut zones: Vec<String> = Vec::new();
        for word in words {
            match zone::zones(&word.text) {
                Ok(found) => {
                    for zone in found {
                        if !zones.contains(&zone) {
                            zones.push(zone);
                        }
                    }
                }
                Err(fault) => {
                    self.fault(word, fault, "name a zone such as cluster.local, or a network such as 10.0.0.0/8");
                }
            }
        }
        zones
    }

    /// An address to listen on as Go writes it: `:8080` is all addresses, `localhost:8080` loopback.
    pub(crate) fn listen(&mut self, word: &Word) -> Option<SocketAddr> {
        let address = match word.text.rsplit_once(':') {
            Some((host, port)) => port.parse::<u16>().ok().and_then(|port| {
                let ip = match host {
                    "" => Some(self.any_address()),
                    "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                    _ => host.trim_start_matches('[').trim_end_matches(']').parse().ok(),
                };
                Some(SocketAddr::new(ip?, port))
            }),
            None => None,
        };
        if address.is_none() {
            self.fault(
                word,
                format!("\"{}\" is no address to listen on", word.text),
                "write one such as :8080 or 127.0.0.1:8080",
            );
        }
        address
    }

    /// The address that stands for all.
    pub(crate) fn any_address(&self) -> IpAddr {
        // An IPv6 socket of an HTTP interface takes IPv4 too.
        if self.world.has_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
    }
}
