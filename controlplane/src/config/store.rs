//! `[store]`: where what is written is kept.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::problem::Problems;
use super::{StoreConfig, file};

/// Where the store lies unless the file says otherwise.
const STORE_PATH: &str = "/var/lib/ringdns/ringdns.redb";

/// What its keys in etcd begin with unless the file says otherwise.
const PREFIX: &str = "/ringdns";

/// The store on etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreEtcdConfig {
    /// What the keys begin with: a slash first, none last.
    pub prefix: String,
    /// True: an etcd that has nothing there is filled from the file.
    pub import: bool,
}

/// True where the store is to be in etcd.
pub(super) fn is_in_etcd(spec: &file::Store) -> bool {
    spec.backend.as_ref().is_some_and(|backend| backend.get_ref() == "etcd")
}

/// Checks the table. `has_etcd`: it is said where etcd is.
pub(super) fn store(spec: file::Store, has_etcd: bool, base: &Path, problems: &mut Problems<'_>) -> StoreConfig {
    let etcd = etcd(&spec, has_etcd, problems);
    let path = spec.path.unwrap_or_else(|| Spanned::new(0..0, PathBuf::from(STORE_PATH)));
    if path.get_ref().as_os_str().is_empty() {
        problems.add(Some(path.span()), "store.path", "the path is empty", "name a file on a local disk");
    } else if base.join(path.get_ref()).is_dir() {
        let remedy = "name a file in it, such as ringdns.redb";
        problems.add(Some(path.span()), "store.path", "a directory is given", remedy);
    }
    let in_memory = spec.backend.as_ref().is_some_and(|backend| backend.get_ref() == "memory");
    StoreConfig { path: base.join(path.get_ref()), in_memory, etcd }
}

/// Checks what is said of etcd; nothing where the file stands by itself.
fn etcd(spec: &file::Store, has_etcd: bool, problems: &mut Problems<'_>) -> Option<StoreEtcdConfig> {
    let span = spec.backend.as_ref().map(Spanned::span);
    match spec.backend.as_ref().map(|backend| backend.get_ref().as_str()) {
        None | Some("embedded" | "memory") => {
            let prefix = spec.etcd_prefix.as_ref().map(|prefix| (prefix.span(), "store.etcd_prefix"));
            let import = spec.etcd_import.as_ref().filter(|import| *import.get_ref());
            let import = import.map(|import| (import.span(), "store.etcd_import"));
            for (span, key) in prefix.into_iter().chain(import) {
                let remedy = "set store.backend = \"etcd\", or remove the key";
                problems.add(Some(span), key, "the store is not in etcd", remedy);
            }
            return None;
        }
        Some("etcd") => {}
        Some(other) => {
            let message = format!("\"{other}\" is no backend");
            problems.add(span, "store.backend", message, "write \"embedded\", \"memory\" or \"etcd\"");
            return None;
        }
    }
    if !has_etcd {
        let message = "the store is to be in etcd, and nothing says where that is";
        problems.add(span, "store.backend", message, "give endpoints in [etcd]");
    }
    let given = spec.etcd_prefix.as_ref().map_or(PREFIX, |prefix| prefix.get_ref());
    let prefix = given.strip_suffix('/').unwrap_or(given);
    if !prefix.starts_with('/') || prefix.len() < 2 || prefix.contains("//") {
        let message = format!("\"{given}\" is no prefix of keys");
        let span = spec.etcd_prefix.as_ref().map(Spanned::span);
        problems.add(span, "store.etcd_prefix", message, format!("write \"{PREFIX}\" or the like"));
    }
    let import = spec.etcd_import.as_ref().is_some_and(|import| *import.get_ref());
    Some(StoreEtcdConfig { prefix: prefix.to_owned(), import })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    /// The store of a configuration with these lines.
    fn parse(lines: &str) -> Result<StoreConfig, String> {
        let port = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n";
        Config::parse(Path::new("/etc/ringdns/ringdns.toml"), &format!("{port}{lines}"))
            .map(|config| config.store)
            .map_err(|error| error.to_string())
    }

    /// An etcd that nothing else is read from.
    const ETCD: &str = "[etcd]\nendpoints = [\"http://a:1\"]\n";

    #[test]
    fn the_store_is_a_file_unless_it_is_told_otherwise() {
        assert_eq!(parse("").unwrap().etcd, None);
        assert_eq!(parse("[store]\nbackend = \"embedded\"").unwrap().etcd, None);
        let etcd = parse(&format!("{ETCD}[store]\nbackend = \"etcd\"")).unwrap().etcd.unwrap();
        assert_eq!(etcd, StoreEtcdConfig { prefix: "/ringdns".to_owned(), import: false });
        let lines = format!("{ETCD}[store]\nbackend = \"etcd\"\netcd_prefix = \"/a/b/\"\netcd_import = true");
        assert_eq!(parse(&lines).unwrap().etcd.unwrap(), StoreEtcdConfig { prefix: "/a/b".to_owned(), import: true });
    }

    #[test]
    fn each_mistake_is_named() {
        for (lines, expected) in [
            ("[store]\nbackend = \"sql\"".to_owned(), "store.backend: \"sql\" is no backend"),
            ("[store]\nbackend = \"etcd\"".to_owned(), "nothing says where that is; give endpoints in [etcd]"),
            ("[store]\netcd_prefix = \"/r\"".to_owned(), "store.etcd_prefix: the store is not in etcd"),
            ("[store]\netcd_import = true".to_owned(), "store.etcd_import: the store is not in etcd"),
            (format!("{ETCD}[store]\nbackend = \"etcd\"\netcd_prefix = \"r\""), "\"r\" is no prefix of keys"),
        ] {
            let problems = parse(&lines).unwrap_err();
            assert!(problems.contains(expected), "{expected} in {problems}");
        }
    }
}
