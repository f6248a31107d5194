//! What several of the files say: listeners, names, etcd, logs, and keys without counterpart.

use std::net::{IpAddr, SocketAddr};

use super::Options;
use super::draft::{Draft, Value};
use super::settings::{Setting, Settings};

/// A section, a key of it, the table beside which it is told, and why it has no counterpart.
pub(super) type Lack = (&'static str, &'static str, &'static str, &'static str);

/// Why there are no log files.
pub(super) const NO_LOG_FILE: &str =
    "the log goes to standard error, from where systemd's journal or your supervisor takes it";

/// Names all of these keys that are there.
pub(super) fn lack(settings: &mut Settings, draft: &mut Draft, lacks: &[Lack]) {
    for (section, key, header, reason) in lacks {
        if let Some(setting) = settings.take(&[section], key) {
            draft.lacks(header, &setting, reason);
        }
    }
}

/// A switch; nothing, with a remark, where its word is none.
pub(super) fn switch(setting: Option<&Setting>, header: &'static str, draft: &mut Draft) -> bool {
    let Some(setting) = setting else { return false };
    setting.boolean().unwrap_or_else(|| {
        draft.remark(header, setting, "neither yes nor no, taken for no; write true or false");
        false
    })
}

/// The port that queries come in by. `listen` is where the original listens.
pub(super) fn port(draft: &mut Draft, options: &Options, listen: Option<&Setting>, default: &str) {
    const TABLE: &str = "[[port]]";
    if draft.has(TABLE, "device") {
        if let Some(setting) = listen {
            draft.remark(TABLE, setting, "not taken: another file says where queries come in");
        }
        return;
    }
    match &options.device {
        Some(device) => draft.set(TABLE, "device", Value::text(device.clone()), None),
        None => draft.fill_in(
            TABLE,
            "device",
            Value::text(""),
            "the NIC that queries come in by, such as \"0000:01:00.0\" (ringdns doctor lists them), or a virtual device such \
             as \"net_tap0,iface=ringdns0\"; importing with --device DEVICE writes it here",
        ),
    }
    let text = listen.map_or(default, |setting| setting.value.as_str());
    let address = listen_address(text);
    if let (Some(setting), None) = (listen, address) {
        draft.remark(TABLE, setting, "no IP address and port");
    }
    let ip = address.map(|address| address.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
    if let Some(address) = address.filter(|address| address.ip().is_loopback()) {
        let words = format!("the original listens on loopback, where no NIC is: [sockets] answers at {address}");
        draft.comment(TABLE, "", &words);
        draft.set("[sockets]", "listen", Value::Texts(vec![address.to_string()]), listen);
    }
    addresses(
        draft,
        options,
        ip.as_slice(),
        listen.filter(|_| address.is_some_and(|address| !address.ip().is_loopback())),
    );
    if let Some(port) = address.map(|address| address.port()).filter(|port| *port != 53) {
        draft.set(TABLE, "dns_port", Value::Number(port.into()), listen);
    }
}

/// The served addresses of the port: those of the command line, else those that the file has.
pub(super) fn addresses(draft: &mut Draft, options: &Options, found: &[IpAddr], from: Option<&Setting>) {
    if let (Some(setting), true) = (from, found.is_empty() || !options.addresses.is_empty()) {
        let words = if options.addresses.is_empty() { "every address of its host" } else { "--address says it" };
        draft.remark("[[port]]", setting, words);
    }
    if !options.addresses.is_empty() {
        let list = options.addresses.iter().map(ToString::to_string).collect();
        draft.set("[[port]]", "addresses", Value::Texts(list), None);
    } else if found.is_empty() {
        draft.fill_in(
            "[[port]]",
            "addresses",
            Value::Texts(Vec::new()),
            "the addresses to answer for, such as [\"192.0.2.53\"]: the original listens on all addresses of its host, \
             RingDNS on those named here; importing with --address ADDRESS writes them here",
        );
    } else {
        let list = found.iter().map(ToString::to_string).collect();
        draft.set("[[port]]", "addresses", Value::Texts(list), from);
    }
}

/// Where something listens: `IP:PORT`, or as Go takes it, `:PORT` for all addresses and `localhost` for this one.
pub(super) fn listen_address(text: &str) -> Option<SocketAddr> {
    let text = match text.split_once(':') {
        Some(("", port)) => format!("0.0.0.0:{port}"),
        Some(("localhost", port)) => format!("127.0.0.1:{port}"),
        _ => text.to_owned(),
    };
    text.parse().ok()
}

/// A listener of an interface, or a key to fill in.
pub(super) fn listen(draft: &mut Draft, header: &'static str, setting: &Setting) {
    match listen_address(&setting.value) {
        Some(address) => draft.set(header, "listen", Value::text(address.to_string()), Some(setting)),
        None => {
            let words = format!("the IP address and port of {}, which is a name: {}", setting.name(), setting.value);
            draft.fill_in(header, "listen", Value::text("127.0.0.1:0"), &words);
        }
    }
}

/// Zone names in lower case with a dot at their end; what is no name is told and left out.
pub(super) fn zones(draft: &mut Draft, header: &'static str, setting: &Setting, separators: &[char]) -> Vec<String> {
    let mut zones = Vec::new();
    for item in setting.items(separators) {
        let name = item.trim_end_matches('.').to_ascii_lowercase();
        let is_label =
            |label: &str| !label.is_empty() && label.len() < 64 && label.chars().all(|c| c.is_ascii_graphic());
        if name.len() < 254 && name.split('.').all(is_label) {
            let name = format!("{name}.");
            if !zones.contains(&name) {
                zones.push(name);
            }
        } else {
            draft.remark(header, setting, &format!("\"{item}\" is no domain name and was left out"));
        }
    }
    zones
}

/// What the keys of etcd begin with: the first generation has its own, compiled in.
pub(super) fn prefix(draft: &mut Draft, settings: &Settings) -> &'static str {
    let monitored = settings.value("ip-monitor-path").unwrap_or_default();
    let is_old = monitored.starts_with("/skydns")
        || settings.has_section("Kube2Skydns")
        || settings.has_section("SkydnsApi")
        || draft.file.to_ascii_lowercase().contains("skydns");
    let prefix = if is_old { "/skydns" } else { "/containerdns" };
    let words = format!(
        "the file does not say what the keys in etcd begin with; {prefix} was taken, as in the generation that writes such \
         files. To see it: etcdctl get --prefix --keys-only --limit=5 {prefix}"
    );
    draft.comment("[[etcd_tree]]", prefix, &words);
    prefix
}

/// Which keys of etcd a file names.
pub(super) struct EtcdKeys {
    /// Sections that they can stand in.
    pub(super) sections: &'static [&'static str],
    /// The members.
    pub(super) servers: &'static str,
    /// Certificate, its key, and whom to trust.
    pub(super) files: [&'static str; 3],
}

/// `[etcd]`
pub(super) fn etcd(settings: &mut Settings, draft: &mut Draft, keys: &EtcdKeys) {
    const TABLE: &str = "[etcd]";
    let servers = settings.take(keys.sections, keys.servers);
    let endpoints: Vec<String> =
        servers.iter().flat_map(|setting| setting.items(&[','])).map(|url| endpoint(&url)).collect();
    if let Some(setting) = servers.as_ref().filter(|setting| setting.value.contains('@')) {
        let words = "[etcd] user and password_file: the members' URLs have a user and a password in them, which were not \
                     copied";
        draft.leave(format!("{words} (line {} of {})", setting.line, draft.file));
    }
    let is_plain = endpoints.iter().any(|endpoint| endpoint.starts_with("http://"));
    if endpoints.is_empty() {
        let words = "the members of etcd, such as [\"http://127.0.0.1:2379\"]: the file names none";
        if !draft.has(TABLE, "endpoints") {
            draft.fill_in(TABLE, "endpoints", Value::Texts(Vec::new()), words);
        }
    } else {
        let from = servers.map(Setting::secret);
        draft.set(TABLE, "endpoints", Value::Texts(endpoints.clone()), from.as_ref());
    }
    let files = keys.files.map(|key| settings.take(keys.sections, key).filter(|setting| !setting.value.is_empty()));
    let has_ca = files[2].is_some();
    for (key, file) in ["cert_file", "key_file", "ca_file"].into_iter().zip(files) {
        let Some(file) = file else { continue };
        if is_plain {
            draft.remark(TABLE, &file, "not taken: the members' URLs begin with http://, so it was never used");
        } else {
            draft.set(TABLE, key, Value::text(file.value.clone()), Some(&file));
        }
    }
    if !is_plain && !endpoints.is_empty() && !has_ca {
        draft.leave(format!(
            "{TABLE} ca_file: the certificates of who signs those of the members; {} names none, and the original then \
             trusts whom the system trusts: often /etc/ssl/certs/ca-certificates.crt",
            draft.file
        ));
    }
}

/// The URL of a member: the original takes it without scheme too, and a slash at its end.
fn endpoint(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.rsplit('@').next().unwrap_or(rest);
    format!("{scheme}://{}", host.trim_end_matches('/'))
}

/// `[log]`: glog's level as a level of RingDNS.
pub(super) fn log(settings: &mut Settings, draft: &mut Draft, section: &'static str) {
    const TABLE: &str = "[log]";
    if let Some(level) = settings.take(&[section], "log-level") {
        match level.value.parse::<i64>() {
            Ok(number) => {
                let word = if number > 2 { "debug" } else { "info" };
                draft.set(TABLE, "level", Value::text(word), Some(&level));
            }
            Err(_) => draft.remark(TABLE, &level, "no number; \"info\" is the default"),
        }
    }
    let to_stdio = "the log always goes to standard error; RingDNS writes no files";
    lack(settings, draft, &[(section, "log-dir", TABLE, NO_LOG_FILE), (section, "log-to-stdio", TABLE, to_stdio)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("0.0.0.0:53", "0.0.0.0:53"),
            (":9001", "0.0.0.0:9001"),
            ("localhost:9600", "127.0.0.1:9600"),
            ("[::1]:53", "[::1]:53"),
        ] {
            assert_eq!(listen_address(text), Some(expected.parse().unwrap()), "{text}");
        }
        assert_eq!(listen_address("dns.example:53"), None);
    }

    #[test]
    fn members_are_urls_without_users_and_slashes() {
        for (text, expected) in [
            ("10.0.0.1:2379", "http://10.0.0.1:2379"),
            ("https://e1:2379/", "https://e1:2379"),
            ("http://u:p@e1:2379", "http://e1:2379"),
        ] {
            assert_eq!(endpoint(text), expected);
        }
    }
}
