//! `[[admin_token]]`: tokens of the admin API that are for some zones and permit some things.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringdns_engine::name::WireName;
use serde::Deserialize;
use toml::Spanned;

use super::problem::Problems;
use super::validate::token;
use super::{AdminConfig, Token};

/// `[[admin_token]]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminToken {
    /// What it is called in messages.
    pub name: Spanned<String>,
    /// A file whose first line is the token.
    pub file: Spanned<PathBuf>,
    /// Zones that it is for, with all below them.
    pub zones: Spanned<Vec<Spanned<String>>>,
    /// What it permits.
    pub permissions: Spanned<Vec<Spanned<String>>>,
}

/// What can be permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// To see zones and records.
    Read,
    /// To change them.
    Write,
    /// What is of the whole server.
    Admin,
}

/// All permissions.
const PERMISSIONS: [Permission; 3] = [Permission::Read, Permission::Write, Permission::Admin];

impl Permission {
    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// A token, and what who has it may do.
#[derive(Clone)]
pub struct AccessToken {
    /// What it is called in messages.
    pub name: String,
    /// The secret.
    pub(super) token: Token,
    /// Zones that it is for, with all below them; in lower case.
    pub zones: Vec<WireName>,
    /// What it permits.
    pub permissions: Vec<Permission>,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("name", &self.name).field("zones", &self.zones).finish_non_exhaustive()
    }
}

impl AccessToken {
    /// True where it permits this.
    pub fn permits(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }

    /// True where it is for a zone.
    pub fn covers(&self, apex: &WireName) -> bool {
        self.zones.iter().any(|zone| zone.contains(apex))
    }

    /// True where another is the same in all.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.token.is_same(&other.token)
            && self.zones == other.zones
            && self.permissions == other.permissions
    }
}

/// All tokens of the admin API.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    /// The tokens.
    list: Vec<Arc<AccessToken>>,
    /// True: reads of zones and records need one too.
    pub(crate) read_needs_token: bool,
}

impl Tokens {
    /// Those of a configuration.
    pub(crate) fn new(config: &AdminConfig) -> Self {
        let whole = config.token.clone().map(|token| AccessToken {
            name: "admin.token_file".to_owned(),
            token,
            zones: vec![WireName::root()],
            permissions: PERMISSIONS.to_vec(),
        });
        let list = whole.into_iter().chain(config.tokens.iter().cloned()).map(Arc::new).collect();
        Self { list, read_needs_token: config.read_needs_token }
    }

    /// True where there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// True where a token that was found before is still one of them.
    pub(crate) fn still_has(&self, token: &AccessToken) -> bool {
        self.list.iter().any(|known| known.is_same(token))
    }

    /// The token that a guess is; looks at all of them, so that its time does not tell which one.
    pub(crate) fn find(&self, guess: &[u8]) -> Option<Arc<AccessToken>> {
        let mut found = None;
        for token in &self.list {
            if token.token.matches(guess) {
                found = Some(Arc::clone(token));
            }
        }
        found
    }
}

/// Checks the tokens.
pub(super) fn tokens(specs: &[Spanned<AdminToken>], base: &Path, problems: &mut Problems<'_>) -> Vec<AccessToken> {
    let mut tokens: Vec<AccessToken> = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let spec = spec.get_ref();
        let key = |name: &str| format!("admin_token[{index}].{name}");
        let name = spec.name.get_ref();
        if name.is_empty() || tokens.iter().any(|token| token.name == *name) {
            let message = format!("\"{name}\" is empty or the name of another token");
            problems.add(Some(spec.name.span()), key("name"), message, "give each token a name of its own");
        }
        let file_key = key("file");
        let secret = token([&file_key, &file_key], &None, &Some(spec.file.clone()), base, problems);
        let zones = zones(&spec.zones, &key("zones"), problems);
        let permissions = permissions(&spec.permissions, &key("permissions"), problems);
        let Some(secret) = secret else { continue };
        if let Some(same) = tokens.iter().find(|token| token.token.is_same(&secret)) {
            let message = format!("the token is that of \"{}\"", same.name);
            problems.add(Some(spec.file.span()), file_key, message, "make one with: openssl rand -hex 32");
        }
        tokens.push(AccessToken { name: name.clone(), token: secret, zones, permissions });
    }
    tokens
}

/// Checks the zones of a token.
fn zones(list: &Spanned<Vec<Spanned<String>>>, key: &str, problems: &mut Problems<'_>) -> Vec<WireName> {
    if list.get_ref().is_empty() {
        problems.add(Some(list.span()), key, "no zone is given", "name zones, or \".\" for all of them");
    }
    let mut zones = Vec::new();
    for entry in list.get_ref() {
        match entry.get_ref().parse::<WireName>() {
            Ok(zone) => zones.push(zone.to_lowercase()),
            Err(error) => {
                let message = format!("\"{}\" is no domain name: {error}", entry.get_ref());
                problems.add(Some(entry.span()), key, message, "write a name such as \"example.org.\"");
            }
        }
    }
    zones
}

/// Checks what a token permits.
fn permissions(list: &Spanned<Vec<Spanned<String>>>, key: &str, problems: &mut Problems<'_>) -> Vec<Permission> {
    let words = "write \"read\", \"write\" or \"admin\"";
    if list.get_ref().is_empty() {
        problems.add(Some(list.span()), key, "nothing is permitted", words);
    }
    let mut permissions = Vec::new();
    for entry in list.get_ref() {
        match PERMISSIONS.into_iter().find(|permission| permission.word() == entry.get_ref()) {
            Some(permission) => permissions.push(permission),
            None => {
                let message = format!("\"{}\" is no permission", entry.get_ref());
                problems.add(Some(entry.span()), key, message, words);
            }
        }
    }
    permissions
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::Config;

    /// What a configuration with these lines says, in a directory with the files `one` and `two`.
    fn config(lines: &str) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            let path = directory.path().join(name);
            std::fs::write(&path, format!("secret-{name}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let port = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"192.0.2.53\"]\n";
        Config::parse(&directory.path().join("c.toml"), &format!("{port}{lines}")).map_err(|error| error.to_string())
    }

    /// The lines of a token.
    fn token(name: &str, file: &str, zones: &str, permissions: &str) -> String {
        format!("[[admin_token]]\nname = \"{name}\"\nfile = \"{file}\"\nzones = {zones}\npermissions = {permissions}\n")
    }

    #[test]
    fn a_token_is_for_zones_and_what_is_below_them() {
        let lines = token("a", "one", "[\"Example.org\", \"b.example.\"]", "[\"read\"]");
        let config = config(&format!("[admin]\nlisten = \"0.0.0.0:1\"\nread_needs_token = true\n{lines}")).unwrap();
        let tokens = Tokens::new(&config.admin);
        assert!(tokens.find(b"secret-on").is_none() && tokens.find(b"").is_none());
        let token = tokens.find(b"secret-one").unwrap();
        for (zone, covers) in [
            ("example.org.", true),
            ("A.B.EXAMPLE.org.", true),
            ("org.", false),
            ("xexample.org.", false),
            (".", false),
        ] {
            assert_eq!(token.covers(&zone.parse().unwrap()), covers, "{zone}");
        }
        assert!(token.permits(Permission::Read) && !token.permits(Permission::Write));
        assert_eq!(format!("{token:?}"), "AccessToken { name: \"a\", zones: [example.org., b.example.], .. }");
        assert!(tokens.still_has(&token) && !Tokens::default().still_has(&token));
    }

    #[test]
    fn each_mistake_is_named() {
        let good = token("a", "one", "[\".\"]", "[\"write\"]");
        for (lines, words) in [
            (token("", "one", "[\".\"]", "[\"read\"]"), "admin_token[0].name: \"\" is empty or the name"),
            (format!("{good}{}", token("a", "two", "[\".\"]", "[\"read\"]")), "admin_token[1].name: \"a\" is empty or"),
            (
                format!("{good}{}", token("b", "one", "[\".\"]", "[\"read\"]")),
                "admin_token[1].file: the token is that of \"a\"",
            ),
            (token("a", "none", "[\".\"]", "[\"read\"]"), "cannot be read: No such file"),
            (token("a", "one", "[]", "[\"read\"]"), "admin_token[0].zones: no zone is given; name zones, or \".\""),
            (token("a", "one", "[\"..\"]", "[\"read\"]"), "admin_token[0].zones: \"..\" is no domain name"),
            (token("a", "one", "[\".\"]", "[]"), "admin_token[0].permissions: nothing is permitted"),
            (token("a", "one", "[\".\"]", "[\"all\"]"), "\"all\" is no permission; write \"read\""),
            ("[[admin_token]]\nname = \"a\"\nfile = \"one\"\n".to_owned(), "missing field `zones`"),
            (
                "[admin]\nread_needs_token = true\n".to_owned(),
                "admin.read_needs_token: no token is set; set admin.token_file",
            ),
        ] {
            let error = config(&lines).unwrap_err();
            assert!(error.contains(words), "{lines}\n{error}");
        }
    }
}
