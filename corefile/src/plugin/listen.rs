//! Where a block listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::document::Value;
use crate::fault::Why;
use crate::out::{Out, Scope};
use crate::parse::{Block, Line};
use crate::zone::{Key, Scheme};

/// The table.
const TABLE: &str = "[sockets]";

/// Longest time that can be configured, in seconds.
const SECONDS_MAX: u64 = 3600;

/// What `bind` says is looked at with the block: see [`listen`].
pub(super) fn bind(_: &Line, _: &Scope<'_>, _: &mut Out<'_>) {}

/// Where a block's clients come in: its ports at the addresses of `bind`, or at all.
pub(super) fn listen(block: &Block, keys: &[Key], scope: &Scope<'_>, out: &mut Out<'_>) {
    let Some(first) = block.keys.first() else { return };
    let mut ports: Vec<u16> = Vec::new();
    for (key, word) in keys.iter().zip(&block.keys) {
        match key.scheme {
            Scheme::Dns if !ports.contains(&key.port) => ports.push(key.port),
            Scheme::Dns => {}
            Scheme::Other(scheme) => {
                scheme.clone_into(&mut out.plugin);
                let remedy = "put a proxy in front that ends it, or remove the block";
                out.unsupported(word, format!("clients that come by {scheme}://"), remedy);
                out.plugin.clear();
            }
        }
    }
    let ignored = out.options.ignore.iter().any(|ignored| ignored == "bind");
    let binds: Vec<&Line> = scope.lines.iter().filter(|line| line.name.text == "bind" && !ignored).collect();
    "bind".clone_into(&mut out.plugin);
    let addresses = if binds.is_empty() {
        let ipv6 = out.world.has_ipv6().then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        std::iter::once(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).chain(ipv6).collect()
    } else {
        binds.iter().flat_map(|bind| addresses(bind, out)).collect::<Vec<_>>()
    };
    let word = binds.first().map_or(first, |bind| &bind.name);
    for address in addresses {
        for &port in &ports {
            add(SocketAddr::new(address, port), word, out);
        }
    }
    out.plugin.clear();
}

/// Adds an address, unless all addresses are listened on already.
fn add(address: SocketAddr, word: &crate::lexer::Word, out: &mut Out<'_>) {
    let mut texts = match out.made.document.get(TABLE, "listen") {
        Some(Value::Texts(texts)) => texts.clone(),
        _ => Vec::new(),
    };
    let known: Vec<SocketAddr> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    let covers = |wide: &SocketAddr, narrow: &SocketAddr| {
        wide.port() == narrow.port()
            && (wide.ip() == narrow.ip() || (wide.ip().is_unspecified() && wide.is_ipv4() == narrow.is_ipv4()))
    };
    if known.iter().any(|known| covers(known, &address)) {
        return;
    }
    texts.retain(|text| !text.parse().is_ok_and(|known| covers(&address, &known)));
    texts.push(address.to_string());
    let place = out.place(word);
    out.made.document.replace(TABLE, "listen", Value::Texts(texts), &place);
}

/// The addresses of a `bind`: given, or those of interfaces.
fn addresses(line: &Line, out: &mut Out<'_>) -> Vec<IpAddr> {
    let mut except = Vec::new();
    for option in &line.lines {
        match option.name.text.as_str() {
            "except" => except.extend(option.args.iter().flat_map(|word| named(&word.text, out))),
            _ => out.unknown(option),
        }
    }
    let mut addresses = Vec::new();
    for word in &line.args {
        let found = named(&word.text, out);
        if found.is_empty() {
            let message = format!("\"{}\" is no address, and no interface of this machine that has one", word.text);
            let remedy = if word.text.starts_with("__PILLAR__") {
                "replace the word by the address that node-cache was to fill in, such as 169.254.20.10"
            } else {
                "name an address or an interface (ip address)"
            };
            out.fault(word, message, remedy);
        }
        addresses.extend(found.into_iter().filter(|address| !except.contains(address)));
    }
    if line.args.is_empty() {
        out.fault(&line.name, "no address is given", "name an address or an interface");
    }
    addresses
}

/// The addresses that a word stands for.
fn named(text: &str, out: &Out<'_>) -> Vec<IpAddr> {
    // An address of a link has its interface behind it, which a socket of RingDNS cannot have.
    let is_of_link = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    match text.parse() {
        Ok(ip) => vec![ip],
        Err(_) => out.world.interface(text).into_iter().filter(|ip| !is_of_link(ip)).collect(),
    }
}

/// `timeouts`
pub(super) fn timeouts(line: &Line, _: &Scope<'_>, out: &mut Out<'_>) {
    for option in &line.lines {
        let key = match option.name.text.as_str() {
            "read" => "tcp_message_seconds",
            "write" => "tcp_write_seconds",
            "idle" => "tcp_idle_seconds",
            "max_queries" => {
                out.note(
                    &option.name,
                    Why::NotNeeded,
                    "queries of a connection are not counted; idle ones make room for others",
                );
                continue;
            }
            _ => {
                out.unknown(option);
                continue;
            }
        };
        let Some(word) = out.only(option) else { continue };
        if let Some(seconds) = out.seconds(word) {
            let seconds = i64::try_from(seconds.clamp(1, SECONDS_MAX)).unwrap_or(1);
            out.set(TABLE, key, Value::Number(seconds), word);
        }
    }
}
