//! Cookies, as a client has them (RFC 7873, RFC 9018).

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::random;

/// Bytes of what the client chooses.
const CLIENT_BYTES: usize = 8;

/// Bytes of what the server chooses, at least and at most (RFC 7873 section 4).
const SERVER_BYTES: std::ops::RangeInclusive<usize> = 8..=32;

/// An upstream that is no longer seen to have cookies is not taken at its word before this is over: others of its address (an
/// anycast pool) may have them, and each question that lacks them is asked twice.
const LENIENT_FOR: Duration = Duration::from_secs(900);

/// A cookie as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientSide {
    /// What the client chose.
    pub(super) client: [u8; CLIENT_BYTES],
    /// What the server chose the last time; empty at first.
    pub(super) server: Vec<u8>,
}

impl ClientSide {
    /// The option's data.
    pub(super) fn option(&self) -> Vec<u8> {
        [&self.client, self.server.as_slice()].concat()
    }

    /// What the server chose, from the option of an answer; nothing where the option is not an answer to ours.
    pub(super) fn server_part<'a>(&self, option: &'a [u8]) -> Option<&'a [u8]> {
        let (client, server) = option.split_first_chunk::<CLIENT_BYTES>()?;
        (*client == self.client && (server.is_empty() || SERVER_BYTES.contains(&server.len()))).then_some(server)
    }
}

/// The cookies of one upstream.
#[derive(Debug, Default)]
pub(super) struct Jar {
    /// From where it was asked, and with which cookie.
    held: Option<(IpAddr, ClientSide)>,
    /// When it was found not to have cookies although it had had them.
    lenient_until: Option<Instant>,
}

impl Jar {
    /// The cookie for questions from an address. Each address of ours has another one, so that whoever sees two of them does
    /// not know that they are one client (RFC 7873 section 7.1).
    pub(super) fn cookie(&mut self, local: IpAddr) -> Option<ClientSide> {
        match &self.held {
            Some((address, cookie)) if *address == local => Some(cookie.clone()),
            _ => {
                let cookie = ClientSide { client: random::bytes().ok()?, server: Vec::new() };
                self.held = Some((local, cookie.clone()));
                Some(cookie)
            }
        }
    }

    /// The cookie of the last questions.
    pub(super) fn held(&self) -> Option<ClientSide> {
        self.held.as_ref().map(|(_, cookie)| cookie.clone())
    }

    /// The upstream has cookies: an answer without one is not its own.
    pub(super) fn is_required(&self, now: Instant) -> bool {
        self.has_cookies() && self.lenient_until.is_none_or(|until| until <= now)
    }

    /// The upstream has cookies.
    pub(super) fn has_cookies(&self) -> bool {
        self.held.as_ref().is_some_and(|(_, cookie)| !cookie.server.is_empty())
    }

    /// Keeps what the server chose in an answer to a question with `sent`; empty where it chose nothing.
    pub(super) fn keep(&mut self, sent: &ClientSide, server: &[u8]) {
        if let Some((_, cookie)) = &mut self.held
            && cookie.client == sent.client
            && !server.is_empty()
            && cookie.server != server
        {
            cookie.server = server.to_vec();
        }
    }

    /// Over a connection, where nobody else answers, the answer had no cookie: the upstream has none (any more).
    pub(super) fn none_came(&mut self, now: Instant) {
        if self.has_cookies() {
            self.lenient_until = Some(now + LENIENT_FOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_kept_for_one_address_of_ours() {
        let (one, other) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let now = Instant::now();
        let mut jar = Jar::default();
        let first = jar.cookie(one).unwrap();
        assert!(!jar.is_required(now));
        jar.keep(&first, b"from-server");
        assert!(jar.is_required(now));
        let second = jar.cookie(one).unwrap();
        assert_eq!((second.client, second.server.as_slice()), (first.client, b"from-server".as_slice()));
        let moved = jar.cookie(other).unwrap();
        assert!(moved.client != first.client && moved.server.is_empty() && !jar.is_required(now));
        jar.keep(&first, b"late answer");
        assert!(!jar.has_cookies());
    }

    #[test]
    fn only_answers_to_our_cookie_are_taken() {
        let sent = ClientSide { client: *b"12345678", server: Vec::new() };
        let server = |option: &'static [u8]| sent.server_part(option);
        assert_eq!(server(b"12345678abcdefgh"), Some(b"abcdefgh".as_slice()));
        assert_eq!(server(b"12345678"), Some(b"".as_slice()));
        for wrong in [&b"1234567"[..], b"12345679abcdefgh", b"12345678abcdefg", b"", &[b'1'; 41]] {
            assert_eq!(sent.server_part(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn an_upstream_that_gave_cookies_up_is_not_held_to_them_for_a_while() {
        let mut jar = Jar::default();
        let now = Instant::now();
        let sent = jar.cookie([127, 0, 0, 1].into()).unwrap();
        jar.none_came(now);
        jar.keep(&sent, b"abcdefgh");
        assert!(jar.is_required(now));
        jar.none_came(now);
        assert!(!jar.is_required(now));
        assert!(jar.is_required(now + LENIENT_FOR));
    }
}
