//! A Corefile, and the ConfigMap of kube-dns: the translation is that of the server that reads them live.

use std::path::Path;

use ringdns_corefile::{Fault, Machine, Place, grouped, kube_dns, translate};

use super::Options;
use super::draft::{Draft, Value};
use super::settings::Setting;

/// Reads a Corefile and what it imports. What is not supported is an error unless it is to be passed over.
pub(super) fn import(path: &Path, options: &Options, draft: &mut Draft) -> Result<(), String> {
    let (ignore, ignore_unsupported) = (options.ignore.clone(), options.ignore_unsupported);
    let options = ringdns_corefile::Options { ignore, ignore_unsupported, port: None };
    let made = translate(path, &Machine, &options).map_err(|faults| told(&faults))?;
    for (index, (header, entries)) in made.document.tables().enumerate() {
        // Tables that may stand several times are told apart by their number.
        let label = if header.starts_with("[[") { index.to_string() } else { String::new() };
        for (key, value, place) in entries {
            draft.file = file_name(place);
            draft.set_in(header, &label, key, value.clone(), Some(&origin(key, place)));
        }
    }
    for (_, note) in grouped(&made.notes) {
        draft.say(note);
    }
    Ok(())
}

/// Has the server read the directory of a ConfigMap, which must be right.
pub(super) fn config_map(directory: &Path, draft: &mut Draft) -> Result<(), String> {
    if !kube_dns::KEYS.iter().any(|key| directory.join(key).exists()) {
        let keys = kube_dns::KEYS.join(", ");
        return Err(format!("{}: no file of kube-dns's ConfigMap is in it ({keys})", directory.display()));
    }
    let made = kube_dns::read(directory, &Machine).map_err(|faults| told(&faults))?;
    draft.set("[kube_dns_config]", "directory", Value::text(super::absolute(directory).to_string_lossy()), None);
    for (_, note) in grouped(&made.notes) {
        draft.say(note);
    }
    Ok(())
}

/// Faults for people, one a line; how those that can be ignored are ignored, at the end.
fn told(faults: &[Fault]) -> String {
    let mut lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let mut plugins: Vec<&str> = faults.iter().filter_map(|fault| fault.plugin.as_deref()).collect();
    plugins.sort_unstable();
    plugins.dedup();
    if !plugins.is_empty() {
        let flags: Vec<String> = plugins.iter().map(|plugin| format!("--ignore {plugin}")).collect();
        lines.push(format!("to import the rest: {}, or --ignore-unsupported", flags.join(" ")));
    }
    lines.join("\n")
}

/// The name of a file.
fn file_name(place: &Place) -> String {
    place.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Where a key comes from, as other importers tell it.
fn origin(key: &str, place: &Place) -> Setting {
    let (section, value) = (String::new(), String::new());
    Setting { section, key: key.to_owned(), value, line: place.line, is_secret: false }
}
