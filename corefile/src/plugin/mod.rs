//! What each plugin of a Corefile comes to.

mod cluster;
mod etcd;
mod files;
mod forward;
mod hosts;
mod http;
mod listed;
mod listen;
mod others;
mod server;

use std::collections::HashMap;
use std::path::Path;

pub(crate) use self::forward::server;
pub(crate) use self::others::Others;
use crate::fault::{Fault, Place, Why};
use crate::out::{Out, Scope};
use crate::parse::{Block, Corefile, Line};
use crate::world::World;
use crate::zone::{self, Key};
use crate::{Options, Translation};

/// How a plugin is translated.
type Translate = fn(&Line, &Scope<'_>, &mut Out<'_>);

/// Plugins that have a counterpart, or part of one.
const TRANSLATED: &[(&str, Translate)] = &[
    ("kubernetes", cluster::kubernetes),
    ("k8s_external", cluster::external),
    ("autopath", cluster::autopath),
    ("etcd", etcd::etcd),
    ("file", files::file),
    ("auto", files::auto),
    ("transfer", files::transfer),
    ("hosts", hosts::hosts),
    ("local", hosts::local),
    ("forward", forward::forward),
    ("proxy", forward::proxy),
    ("cache", forward::cache),
    ("health", http::health),
    ("ready", http::ready),
    ("prometheus", http::prometheus),
    ("bind", listen::bind),
    ("timeouts", listen::timeouts),
    ("nsid", server::nsid),
    ("chaos", server::chaos),
    ("bufsize", server::bufsize),
    ("loadbalance", server::loadbalance),
    ("root", server::root),
];

/// True for a plugin of CoreDNS, and for an import.
pub(crate) fn is_known(name: &str) -> bool {
    TRANSLATED.iter().any(|(known, _)| *known == name)
        || listed::NOT_NEEDED.iter().any(|(known, _)| *known == name)
        || listed::UNSUPPORTED.iter().any(|(known, ..)| *known == name)
        || name == "import"
}

/// Translates all blocks.
pub(crate) fn translate(
    path: &Path,
    corefile: &Corefile,
    world: &dyn World,
    options: &Options,
) -> Result<Translation, Vec<Fault>> {
    let mut out = Out::new(world, &corefile.files, options);
    let mut seen = HashMap::new();
    for block in &corefile.blocks {
        translate_block(path, block, &mut seen, &mut out);
    }
    out.plugin.clear();
    if corefile.blocks.is_empty() {
        // CoreDNS answers whoami then, which is for trials.
        out.faults.push(Fault {
            place: Place { file: path.to_path_buf(), line: 1 },
            plugin: None,
            message: "the Corefile has no server block".to_owned(),
            remedy: "write one such as: .:53 { ... }".to_owned(),
        });
    }
    if !out.faults.is_empty() {
        return Err(out.faults);
    }
    out.made.files = corefile.files.0.iter().map(|file| file.to_path_buf()).collect();
    Ok(out.made)
}

/// Translates a block.
fn translate_block(path: &Path, block: &Block, seen: &mut HashMap<(String, u16), Place>, out: &mut Out<'_>) {
    out.plugin.clear();
    let keys = keys(block, seen, out);
    let directory = path.parent().unwrap_or(Path::new(""));
    let root = block.lines.iter().find(|line| line.name.text == "root").and_then(|line| line.args.first());
    let root = root.map_or_else(|| directory.to_path_buf(), |root| directory.join(&root.text));
    let mut zones: Vec<String> = Vec::new();
    for zone in keys.iter().flat_map(|key| &key.zones) {
        if !zones.contains(zone) {
            zones.push(zone.clone());
        }
    }
    let scope = Scope { zones, lines: &block.lines, root };
    listen::listen(block, &keys, &scope, out);
    let (rules, caches) = (out.made.forwarding.rules.len(), out.made.forwarding.caches.len());
    for line in &block.lines {
        translate_line(line, &scope, out);
    }
    let Translation { document, notes, forwarding, .. } = &mut out.made;
    let mut others = Others { document, notes, asked: &mut out.asked };
    let rules = forwarding.rules.get(rules..).unwrap_or_default();
    others.write(rules, forwarding.caches.get(caches..).unwrap_or_default(), false);
}

/// What a block is for; told where another is for the same.
fn keys(block: &Block, seen: &mut HashMap<(String, u16), Place>, out: &mut Out<'_>) -> Vec<Key> {
    let has_view = block.lines.iter().any(|line| line.name.text == "view");
    let mut keys = Vec::new();
    for word in &block.keys {
        let key = match zone::key(&word.text, out.options.port.unwrap_or(crate::DNS_PORT)) {
            Ok(key) => key,
            Err(fault) => {
                out.fault(word, fault, "write ZONE[:PORT], such as cluster.local:53 or 10.0.0.0/8");
                continue;
            }
        };
        for zone in &key.zones {
            let before = seen.insert((zone.clone(), key.port), out.place(word));
            if let Some(before) = before.filter(|_| !has_view) {
                let message = format!("zone {zone} on port {} is already that of {before}", key.port);
                out.fault(word, message, "join the two blocks");
            }
        }
        keys.push(key);
    }
    keys
}

/// Translates a plugin.
fn translate_line(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    let name = line.name.text.as_str();
    name.clone_into(&mut out.plugin);
    if out.options.ignore.iter().any(|ignored| ignored == name) {
        return out.note(&line.name, Why::Ignored, "the plugin is passed over");
    }
    if let Some((_, translate)) = TRANSLATED.iter().find(|(known, _)| *known == name) {
        return translate(line, scope, out);
    }
    if let Some((_, reason)) = listed::NOT_NEEDED.iter().find(|(known, _)| *known == name) {
        return out.note(&line.name, Why::NotNeeded, *reason);
    }
    if let Some((_, reason, remedy)) = listed::UNSUPPORTED.iter().find(|(known, ..)| *known == name) {
        return out.unsupported(&line.name, *reason, *remedy);
    }
    out.unsupported(
        &line.name,
        "no plugin of CoreDNS has this name",
        "correct it; a plugin of your own can be ignored by its name",
    );
}
