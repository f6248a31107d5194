//! `[sockets]`: DNS over the kernel's own sockets, TCP and UDP.

use std::net::SocketAddr;
use std::time::Duration;

use ringdns_engine::limits::SERVED_ADDRESSES_MAX;
use serde::Deserialize;
use toml::Spanned;

use super::change::Changes;
use super::problem::Problems;
use super::validate::number;

/// Default for the connections held: tens of thousands cost some tens of MiB.
const CONNECTIONS_DEFAULT: i64 = 20_000;

/// Most connections that can be configured: about a GiB when all are idle.
const CONNECTIONS_MAX: i64 = 1_000_000;

/// Default for the connections of one client: a resolver keeps a few, a network behind one address some tens.
const PER_CLIENT_DEFAULT: i64 = 100;

/// Default for idle connections, in seconds: RFC 7766 section 6.2.3 asks for "on the order of a few seconds".
const IDLE_SECONDS_DEFAULT: i64 = 10;

/// Default for a query to arrive whole, in seconds: a few retransmissions.
const MESSAGE_SECONDS_DEFAULT: i64 = 5;

/// Default for answers to be taken, in seconds: a slow line takes the longest answer in that time.
const WRITE_SECONDS_DEFAULT: i64 = 10;

/// Longest time that can be configured, in seconds.
const SECONDS_MAX: i64 = 3600;

/// `[sockets]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sockets {
    /// Addresses and ports.
    pub listen: Option<Spanned<Vec<Spanned<SocketAddr>>>>,
    /// False: TCP alone.
    pub udp: Option<bool>,
    /// Connections held at most.
    pub tcp_connections_max: Option<Spanned<i64>>,
    /// Connections of one client at most.
    pub tcp_connections_per_client_max: Option<Spanned<i64>>,
    /// Seconds for which a connection may be idle.
    pub tcp_idle_seconds: Option<Spanned<i64>>,
    /// Seconds in which a query that has begun must be whole.
    pub tcp_message_seconds: Option<Spanned<i64>>,
    /// Seconds in which answers must be taken.
    pub tcp_write_seconds: Option<Spanned<i64>>,
}

/// DNS over the kernel's own sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketsConfig {
    /// Where TCP and UDP are listened on; none twice.
    pub listen: Vec<SocketAddr>,
    /// Whether UDP is listened on as well.
    pub udp: bool,
    /// Connections held at most.
    pub tcp_connections_max: usize,
    /// Connections of one client at most: an IPv4 address, or an IPv6 network of 64 bits.
    pub tcp_connections_per_client_max: usize,
    /// How long a connection may be idle.
    pub tcp_idle: Duration,
    /// In what time a query that has begun must be whole.
    pub tcp_message: Duration,
    /// In what time answers must be taken.
    pub tcp_write: Duration,
}

impl SocketsConfig {
    /// Notes what differs in a newer one: sockets are not opened anew, nor are their limits changed, while connections stand.
    pub(super) fn compare(&self, new: &Self, changes: &mut Changes) {
        changes.restart("sockets.listen", &self.listen, &new.listen);
        changes.restart("sockets.udp", &self.udp, &new.udp);
        changes.restart("sockets.tcp_connections_max", &self.tcp_connections_max, &new.tcp_connections_max);
        let per_client = [self, new].map(|config| config.tcp_connections_per_client_max);
        changes.restart("sockets.tcp_connections_per_client_max", &per_client[0], &per_client[1]);
        changes.restart("sockets.tcp_idle_seconds", &self.tcp_idle, &new.tcp_idle);
        changes.restart("sockets.tcp_message_seconds", &self.tcp_message, &new.tcp_message);
        changes.restart("sockets.tcp_write_seconds", &self.tcp_write, &new.tcp_write);
    }
}

/// Checks the table.
pub(super) fn sockets(spec: &Sockets, problems: &mut Problems<'_>) -> SocketsConfig {
    let udp = spec.udp.unwrap_or(true);
    let listen = listen(spec.listen.as_ref(), problems);
    let mut count = |value: Option<&Spanned<i64>>, key: &str, default: i64| {
        let key = format!("sockets.{key}");
        usize::try_from(number(value, &key, 1..=CONNECTIONS_MAX, "", default, problems)).unwrap_or(usize::MAX)
    };
    let connections = spec.tcp_connections_max.as_ref();
    let tcp_connections_max = count(connections, "tcp_connections_max", CONNECTIONS_DEFAULT);
    let per_client = spec.tcp_connections_per_client_max.as_ref();
    let tcp_connections_per_client_max = count(per_client, "tcp_connections_per_client_max", PER_CLIENT_DEFAULT);
    let mut seconds = |value: Option<&Spanned<i64>>, key: &str, default: i64| {
        let key = format!("sockets.{key}");
        let seconds = number(value, &key, 1..=SECONDS_MAX, " seconds", default, problems);
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    };
    SocketsConfig {
        listen,
        udp,
        tcp_connections_max,
        tcp_connections_per_client_max,
        tcp_idle: seconds(spec.tcp_idle_seconds.as_ref(), "tcp_idle_seconds", IDLE_SECONDS_DEFAULT),
        tcp_message: seconds(spec.tcp_message_seconds.as_ref(), "tcp_message_seconds", MESSAGE_SECONDS_DEFAULT),
        tcp_write: seconds(spec.tcp_write_seconds.as_ref(), "tcp_write_seconds", WRITE_SECONDS_DEFAULT),
    }
}

/// Checks the addresses.
fn listen(list: Option<&Spanned<Vec<Spanned<SocketAddr>>>>, problems: &mut Problems<'_>) -> Vec<SocketAddr> {
    const KEY: &str = "sockets.listen";
    let Some(list) = list else { return Vec::new() };
    if list.get_ref().len() > SERVED_ADDRESSES_MAX {
        let message = format!("{} addresses are given", list.get_ref().len());
        problems.add(Some(list.span()), KEY, message, format!("name at most {SERVED_ADDRESSES_MAX}"));
    }
    let mut addresses = Vec::new();
    for entry in list.get_ref() {
        let address = *entry.get_ref();
        if address.ip().is_multicast() {
            let message = format!("{address} is a multicast address");
            problems.add(Some(entry.span()), KEY, message, "name addresses of this host");
        } else if addresses.contains(&address) {
            problems.add(Some(entry.span()), KEY, format!("{address} is given twice"), "name each address once");
        } else {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    /// The configuration with such a table.
    fn parse(table: &str) -> Result<Config, String> {
        let port = "[[port]]\ndevice = \"net_null0\"\naddresses = [\"192.0.2.53\"]\n";
        Config::parse(Path::new("/nonexistent/ringdns.toml"), &format!("{port}[sockets]\n{table}\n"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_listened_on_unless_it_is_said() {
        let sockets = parse("").unwrap().sockets;
        assert!(sockets.listen.is_empty() && sockets.udp);
        assert_eq!((sockets.tcp_connections_max, sockets.tcp_connections_per_client_max), (20_000, 100));
        assert_eq!([sockets.tcp_idle, sockets.tcp_message, sockets.tcp_write].map(|time| time.as_secs()), [10, 5, 10]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_remedy() {
        for (table, words) in [
            ("listen = [\"127.0.0.1:53\", \"127.0.0.1:53\"]", ["given twice", "once"]),
            ("listen = [\"224.0.0.1:53\"]", ["multicast", "this host"]),
            ("listen = [\"127.0.0.1\"]", ["socket address", "conf/example.toml"]),
            ("tcp_connections_max = 0", ["sockets.tcp_connections_max", "from 1 to"]),
            ("tcp_connections_per_client_max = -1", ["sockets.tcp_connections_per_client_max", "from 1 to"]),
            ("tcp_idle_seconds = 0", ["sockets.tcp_idle_seconds", "seconds"]),
            ("tcp_message_seconds = 4000", ["sockets.tcp_message_seconds", "3600"]),
            ("tcp_write_seconds = 0", ["sockets.tcp_write_seconds", "seconds"]),
        ] {
            let error = parse(table).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{table}: {error}");
        }
        let wildcard = parse("listen = [\"0.0.0.0:53\", \"[::]:53\"]").unwrap();
        assert_eq!(wildcard.sockets.listen.len(), 2);
    }
}
