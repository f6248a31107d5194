//! Somebody who forges answers: he knows the name, the type, the upstream's address and this machine's, and has the upstream's
//! address to send from. What he does not know is the port, the id and the letters' case.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::asking::{TRY, address_in, ask, bad, plain, turns};
use crate::double::{Act, Double, only};
use crate::reply::{Asked, FORGED, HONEST, Reply};

/// Packets that he sends while one question is open.
const PACKETS: u64 = 100_000;

/// What he is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Nothing.
    Nothing,
    /// The port.
    Port,
    /// All.
    Everything,
}

/// Numbers that look like chance, the same each time.
struct Numbers(u64);

impl Numbers {
    /// The next one.
    fn next(&mut self) -> u64 {
        // Xorshift (Marsaglia, 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A forged answer to a question in lower case, with an id and a case that are guessed.
fn forge(template: &mut [u8], name_length: usize, numbers: &mut Numbers) {
    let guess = numbers.next();
    template[..2].copy_from_slice(&guess.to_be_bytes()[..2]);
    let mut bits = numbers.next();
    for byte in &mut template[12..12 + name_length] {
        *byte = if bits & 1 == 1 { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
        bits = bits.rotate_right(1);
    }
}

/// Asks while he sends; gives what was answered, the counts of bad ids and of turns to TCP for an attack, and whether the
/// upstream was asked over TCP.
async fn attacked(told: Told) -> ([u8; 4], u64, u64, bool) {
    let over = Arc::new(Notify::new());
    // The upstream answers over UDP only when he is done.
    let upstream_s =
        Double::start(|asked: &Asked| if asked.over_tcp { only(asked.reply()) } else { Vec::<Act>::new() }).await;
    let upstream = plain(upstream_s.address);
    let asking = tokio::spawn({
        let (upstream, over) = (upstream.clone(), Arc::clone(&over));
        async move {
            let answer = ask(&upstream, "www.attacked.example.", TRY * 6).await;
            over.notify_one();
            answer
        }
    });
    crate::asking::until("the question is open", || !upstream_s.asked().is_empty()).await;
    let (asked, asker) = (upstream_s.asked().remove(0), upstream_s.askers().remove(0));
    let port = asker.port();
    let forged = Reply { options: None, ..asked.reply() }.with(&[FORGED]);
    if told == Told::Everything {
        upstream_s.udp.send_to(&asked.reply().with(&[FORGED]).bytes(), asker).await.unwrap();
    } else {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let mut template = forged.lower_case().bytes();
        let name_length = asked.name().len();
        for sent in 0..PACKETS {
            forge(&mut template, name_length, &mut numbers);
            let target = if told == Told::Port { port } else { 1024 + u16::try_from(numbers.next() % 64_512).unwrap() };
            let target = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), target);
            drop(upstream_s.udp.try_send_to(&template, target));
            if sent % 256 == 0 {
                tokio::task::yield_now().await;
            }
        }
        // He is done: the true answer comes.
        upstream_s.udp.send_to(&asked.reply().with(&[HONEST]).bytes(), asker).await.unwrap();
    }
    tokio::time::timeout(TRY * 6, over.notified()).await.unwrap();
    let answer = address_in(&asking.await.unwrap().unwrap());
    let over_tcp = upstream_s.asked().iter().any(|asked| asked.over_tcp);
    (answer, bad(&upstream, "id"), turns(&upstream, "attack"), over_tcp)
}

#[tokio::test]
async fn a_hundred_thousand_guesses_of_port_id_and_case_give_nothing() {
    let (answer, bad_ids, attacks, _) = attacked(Told::Nothing).await;
    assert_eq!(answer, HONEST);
    assert!(bad_ids <= 3 && attacks <= 1, "{bad_ids} {attacks}");
}

#[tokio::test]
async fn whoever_knows_the_port_has_three_guesses() {
    let (answer, bad_ids, attacks, over_tcp) = attacked(Told::Port).await;
    assert_eq!(answer, HONEST);
    assert_eq!((bad_ids, attacks, over_tcp), (3, 1, true));
}

#[tokio::test]
async fn whoever_knows_everything_succeeds_so_that_these_tests_can_fail() {
    let (answer, ..) = attacked(Told::Everything).await;
    assert_eq!(answer, FORGED);
}
