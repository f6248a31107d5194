//! Corefiles, the configuration of CoreDNS, as configuration of RingDNS; and kube-dns's ConfigMap.
//!
//! ```text
//! text -> lexer -> parse (blocks, imports, variables) -> plugin (what each says) -> document (TOML)
//!                                                                                -> forwarding, notes, faults
//! ```
//!
//! Everything that a Corefile says ends in one of these ways: it is a key of the document; it is part of [`Forwarding`]; it is not
//! needed, or differs, which a [`Note`] tells with its line; or it cannot be served, which is a [`Fault`]. Nothing is dropped
//! silently. The same code serves `ringdns config import` and the server that reads its Corefile live.

mod document;
mod duration;
mod fault;
mod forwarding;
pub mod kube_dns;
mod lexer;
mod out;
mod parse;
mod plugin;
mod world;
mod zone;

use std::path::{Path, PathBuf};

pub use document::{Document, Rendered, Value, one_line};
pub use fault::{Fault, Note, Place, Why, grouped};
pub use forwarding::{CacheLimits, CacheRule, ForwardRule, Forwarding, Policy, Transport, Upstream};
pub use world::{FILE_BYTES_MAX, Machine, Recorder, World};

/// The port of DNS (RFC 1035 section 4.2).
const DNS_PORT: u16 = 53;

/// What is to be ignored, and what is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Plugins that are passed over as if they were not there.
    pub ignore: Vec<String>,
    /// True: whatever is not supported is told and passed over.
    pub ignore_unsupported: bool,
    /// The port of server blocks that name none; none: 53.
    pub port: Option<u16>,
}

/// What a Corefile comes to.
#[derive(Clone, Debug, Default)]
pub struct Translation {
    /// The configuration.
    pub document: Document,
    /// What is not in it, and keeps nothing from being served.
    pub notes: Vec<Note>,
    /// Who is asked for names of others.
    pub forwarding: Forwarding,
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
}

/// Reads a Corefile, what it imports, and what that means. Every fault is told where the structure is whole, else the first one.
pub fn translate(path: &Path, world: &dyn World, options: &Options) -> Result<Translation, Vec<Fault>> {
    let corefile = parse::parse(path, world).map_err(|fault| vec![fault])?;
    plugin::translate(path, &corefile, world, options)
}

/// True where text looks like a Corefile: a server block opens on one of its first lines, and none of them is of another format.
pub fn is_corefile(name: &str, text: &str) -> bool {
    if name == "Corefile" || name.starts_with("Corefile.") || name.ends_with(".corefile") {
        return true;
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(first) = lines.next() else { return false };
    let Some(keys) = first.strip_suffix('{').map(str::trim) else { return first.starts_with("import ") };
    let is_snippet = keys.starts_with('(') && keys.ends_with(')');
    let is_key = |key: &str| zone::key(key.trim_end_matches(','), DNS_PORT).is_ok();
    let has_plugin = lines.next().is_some_and(|line| {
        let name = line.split_whitespace().next().unwrap_or_default();
        plugin::is_known(name) || name == "}"
    });
    !keys.is_empty() && (is_snippet || keys.split_whitespace().all(is_key)) && has_plugin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corefiles_are_told_from_others() {
        for (name, text, expected) in [
            ("Corefile", "", true),
            ("x", ".:53 {\n  errors\n}\n", true),
            ("x", "# a\n(snip) {\n  log\n}\n", true),
            ("x", "cluster.local:53, 10.0.0.0/8 {\n  kubernetes\n}\n", true),
            ("x", "import custom/*.server\n", true),
            ("x", "{\"dns_addr\":\"0.0.0.0:53\"}", false),
            ("x", "zone \"a\" {\n type master;\n};", false),
            ("x", "[Dns]\na = b", false),
            ("x", "", false),
        ] {
            assert_eq!(is_corefile(name, text), expected, "{text}");
        }
    }
}
