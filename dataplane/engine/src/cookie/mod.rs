//! DNS cookies (RFC 7873) as every implementation makes them (RFC 9018), so that servers of different makers behind one
//! address know each other's. Nothing is kept for a client: its cookie is a hash of its address, the time and a secret.

mod siphash;

use core::fmt;

use siphash::Key;

/// Bytes of a client cookie.
pub const CLIENT_COOKIE_BYTES: usize = 8;
/// Bytes of a server cookie of version 1 (RFC 9018 section 4.2).
pub const SERVER_COOKIE_BYTES: usize = 16;
/// Bytes of both: the data of the COOKIE option of an answer.
pub(crate) const COOKIE_BYTES: usize = CLIENT_COOKIE_BYTES + SERVER_COOKIE_BYTES;
/// Bytes of the hash that ends a server cookie.
const HASH_BYTES: usize = 8;
/// What a server cookie that we make begins with: version 1, and three reserved bytes.
const VERSION: [u8; 4] = [1, 0, 0, 0];

/// Age in seconds from which a server cookie is not taken any more (RFC 9018 section 4.3: "1 hour in the past").
const AGE_SECONDS_MAX: i32 = 3600;
/// Seconds by which a server cookie may come from the future (the same: "5 minutes in the future"): clocks of replicas.
const AHEAD_SECONDS_MAX: i32 = 300;
/// Age in seconds from which a new server cookie is given (the same: "more than half an hour").
const RENEW_SECONDS: i32 = 1800;

/// A secret that server cookies are made with; the same on all replicas. Never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CookieSecret(pub [u8; 16]);

impl fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret(..)")
    }
}

/// How a port deals with cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieConfig {
    /// The secret that new cookies are made with.
    pub secret: CookieSecret,
    /// Another one whose cookies are taken: the previous one, or one that replicas are about to change to (RFC 9018
    /// section 5).
    pub other_secret: Option<CookieSecret>,
    /// True: a query without a valid server cookie is not answered, but told how to come by one.
    pub enforce: bool,
}

/// The COOKIE option of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cookie {
    /// Neither 8 nor 16 to 40 bytes (RFC 7873 section 4).
    #[default]
    Malformed,
    /// A client cookie alone.
    Client([u8; CLIENT_COOKIE_BYTES]),
    /// A client cookie, and a server cookie of a length that ours never have.
    Foreign([u8; CLIENT_COOKIE_BYTES]),
    /// A client cookie, and a server cookie that may be ours.
    Both([u8; CLIENT_COOKIE_BYTES], [u8; SERVER_COOKIE_BYTES]),
}

impl Cookie {
    /// Takes the option's data.
    pub(crate) fn decode(data: &[u8]) -> Self {
        match data.split_first_chunk::<CLIENT_COOKIE_BYTES>() {
            Some((client, [])) => Self::Client(*client),
            Some((client, server)) if (8..=32).contains(&server.len()) => {
                server.try_into().map_or(Self::Foreign(*client), |server| Self::Both(*client, server))
            }
            _ => Self::Malformed,
        }
    }
}

/// What a query's server cookie was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// There is none.
    Absent,
    /// It was made with one of our secrets for this client, not too long ago.
    Valid,
    /// Anything else.
    Invalid,
}

/// The address that a query came from, as cookies take it in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Client {
    /// An IPv4 address.
    Ipv4([u8; 4]),
    /// An IPv6 address.
    Ipv6([u8; 16]),
}

/// Makes and checks server cookies.
pub(crate) struct Keeper {
    /// The key that new cookies are made with.
    key: Key,
    /// Another key whose cookies are taken.
    other_key: Option<Key>,
}

impl Keeper {
    /// A keeper of secrets.
    pub(crate) fn new(config: &CookieConfig) -> Self {
        let other_key = config.other_secret.map(|CookieSecret(bytes)| Key::new(&bytes));
        Self { key: Key::new(&config.secret.0), other_key }
    }

    /// Checks a query's cookie, and gives those that go back: client cookie and server cookie. None for a malformed one.
    /// `now` is in seconds since 1970.
    pub(crate) fn answer(&self, cookie: Cookie, from: Client, now: u32) -> Option<(Finding, [u8; COOKIE_BYTES])> {
        let (client, finding) = match cookie {
            Cookie::Malformed => return None,
            Cookie::Client(client) => (client, Finding::Absent),
            Cookie::Foreign(client) => (client, Finding::Invalid),
            Cookie::Both(client, server) => match self.check(client, server, from, now) {
                // It is good for some time still: one hash is enough.
                Some(Freshness::Keep) => return Some((Finding::Valid, join(client, server))),
                Some(Freshness::Renew) => (client, Finding::Valid),
                None => (client, Finding::Invalid),
            },
        };
        let [v1, v2, v3, v4] = VERSION;
        let [t1, t2, t3, t4] = now.to_be_bytes();
        let head = [v1, v2, v3, v4, t1, t2, t3, t4];
        let server = join::<8, HASH_BYTES, SERVER_COOKIE_BYTES>(head, hash(self.key, client, head, from));
        Some((finding, join(client, server)))
    }

    /// Checks a server cookie; nothing where it is not valid.
    fn check(
        &self,
        client: [u8; CLIENT_COOKIE_BYTES],
        server: [u8; SERVER_COOKIE_BYTES],
        from: Client,
        now: u32,
    ) -> Option<Freshness> {
        let (head, received) = server.split_first_chunk::<8>()?;
        let &[version, r1, r2, r3, t1, t2, t3, t4] = head;
        // RFC 9018 section 4.3: by serial number arithmetic, so the year 2106 changes nothing.
        let age = now.wrapping_sub(u32::from_be_bytes([t1, t2, t3, t4])).cast_signed();
        if version != 1 || !(-AHEAD_SECONDS_MAX..=AGE_SECONDS_MAX).contains(&age) {
            return None;
        }
        // NOTE: all bytes are compared at once: time tells nothing of how many were right.
        let is_made_with = |key| hash(key, client, *head, from) == *received;
        if is_made_with(self.key) {
            let keep = age <= RENEW_SECONDS && [version, r1, r2, r3] == VERSION;
            return Some(if keep { Freshness::Keep } else { Freshness::Renew });
        }
        self.other_key.filter(|key| is_made_with(*key)).map(|_| Freshness::Renew)
    }
}

/// Whether a valid server cookie goes back as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freshness {
    /// It does.
    Keep,
    /// The client gets a new one.
    Renew,
}

/// The hash of a server cookie (RFC 9018 section 4.4): of client cookie, the server cookie's first half, address.
#[inline]
fn hash(key: Key, client: [u8; CLIENT_COOKIE_BYTES], head: [u8; 8], from: Client) -> [u8; HASH_BYTES] {
    let cookies: [u8; 16] = join(client, head);
    let hash = match from {
        Client::Ipv4(address) => key.hash(&join::<16, 4, 20>(cookies, address)),
        Client::Ipv6(address) => key.hash(&join::<16, 16, 32>(cookies, address)),
    };
    hash.to_le_bytes()
}

/// Two arrays, one behind the other.
#[inline]
fn join<const A: usize, const B: usize, const C: usize>(first: [u8; A], second: [u8; B]) -> [u8; C] {
    const { assert!(A + B == C) }
    let mut whole = [0; C];
    let (left, right) = whole.split_at_mut(A);
    left.copy_from_slice(&first);
    right.copy_from_slice(&second);
    whole
}

#[cfg(test)]
mod tests;
