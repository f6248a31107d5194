//! An attacker beside the server and its upstream who knows the question, both addresses and the upstream's port, and sends forged
//! answers while the upstream, which is slow, has not answered yet. All that is between it and the cache is what it has to guess:
//! the port that was asked from, the id, and the case of the letters.
//!
//! `RINGDNS_TEST_FORGERIES` says how many answers are forged by one who guesses everything, as `make spoof` does; others, who are
//! told the port, or port and id, forge a tenth as many each. One who is told everything must succeed: otherwise nothing here
//! would be proven of the others.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use harness::double::{Asked, Double, Manner, Reply};
use harness::frames::{PacketSocket, Way};
use harness::link::addresses::SERVED4;
use harness::link::mac_address;
use harness::rng::Rng;
use harness::{Namespace, Server, Setup, turn};
use hickory_proto::op::ResponseCode;

use super::lying::honest;
use super::{A, OUR_ADDRESS, OURS, THEIRS, Told, WRONG, ask_all, forward_zone, others, setup, there, truth};

/// Answers that are forged by one who knows nothing, unless the environment says otherwise: some seconds' worth.
const FORGERIES: u64 = 100_000;
/// Last part of the upstream's address.
const UPSTREAM: u8 = 15;
/// How long the upstream takes: the time that an attacker has.
const SLOWNESS: Duration = Duration::from_millis(150);
/// Names that are asked for at once.
const OPEN: usize = 32;
/// Forgeries between two looks at what is being asked.
const ROUND: u64 = 64;
/// Longest that forging may take.
const FORGING_TIME_MAX: Duration = Duration::from_secs(120);
/// Letters of a name: the case of each is one bit to be guessed.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzabcdef";
/// Where the server's port answers.
const DEVICE: SocketAddr = SocketAddr::new(SERVED4, 53);

/// What an attacker need not guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knows {
    /// Nothing but what all know: names, addresses, the upstream's port.
    Nothing,
    /// The port that the question came from.
    Port,
    /// That and the id.
    PortAndId,
    /// That and the letters' case.
    Everything,
}

/// A question on its way to the upstream, as it was overheard.
#[derive(Clone, Debug)]
struct Overheard {
    /// The port that it came from.
    port: u16,
    /// The message.
    message: Vec<u8>,
}

/// The attacker.
struct Attacker {
    /// At the others' end of the wire.
    socket: PacketSocket,
    /// A forged answer's way; its destination port is guessed anew each time.
    way: Way,
    /// What it need not guess.
    knows: Knows,
    /// Guesses.
    rng: Rng,
}

impl Attacker {
    /// In the namespace of the others.
    fn new(theirs: &Namespace, knows: Knows) -> Attacker {
        let destination_mac = mac_address(OURS);
        let _entered = theirs.enter();
        let upstream = there(UPSTREAM);
        let way = Way {
            source_mac: mac_address(THEIRS),
            destination_mac,
            source: upstream.ip(),
            destination: Ipv4Addr::into(OUR_ADDRESS),
            source_port: upstream.port(),
            destination_port: 0,
        };
        Attacker { socket: PacketSocket::open(THEIRS), way, knows, rng: Rng::new(7) }
    }

    /// Forges so many answers to what is asked, and no longer than it may; gives how many.
    fn forge(&mut self, count: u64, open: &Mutex<Vec<String>>) -> u64 {
        let begun = Instant::now();
        let (mut sent, mut overheard) = (0, Vec::new());
        while sent < count && begun.elapsed() < FORGING_TIME_MAX {
            let targets = match self.knows {
                Knows::Nothing => {
                    let names = open.lock().unwrap_or_else(PoisonError::into_inner);
                    names.iter().map(|name| Overheard { port: 0, message: super::query(name, 0) }).collect()
                }
                _ => {
                    self.listen(&mut overheard);
                    overheard.clone()
                }
            };
            if targets.is_empty() {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            let frames: Vec<Vec<u8>> = targets.iter().map(|target| self.frame(target)).collect();
            // Who knows everything needs to say it once, and before the truth comes.
            let round = if self.knows == Knows::Everything { frames.len() as u64 } else { ROUND };
            for _ in 0..round {
                let which = self.rng.below(frames.len());
                let mut frame = frames[which].clone();
                self.guess(&mut frame, targets[which].message.len());
                self.socket.send(&frame);
            }
            sent += round;
        }
        sent
    }

    /// Takes in which questions have gone to the upstream; keeps the latest ones, which are those that are open.
    fn listen(&self, overheard: &mut Vec<Overheard>) {
        while let Some(frame) = self.socket.receive() {
            // IPv4 without options, UDP, to port 53.
            let Some((head, message)) = frame.split_at_checked(42) else { continue };
            if head[12..14] == [8, 0]
                && head[23] == 17
                && head[26..30] == OUR_ADDRESS.octets()
                && head[36..38] == [0, 53]
            {
                overheard.push(Overheard { port: u16::from_be_bytes([head[34], head[35]]), message: message.to_vec() });
            }
        }
        overheard.drain(..overheard.len().saturating_sub(OPEN));
    }

    /// A forged answer to a question, right but for what is to be guessed.
    fn frame(&self, target: &Overheard) -> Vec<u8> {
        let asked = Asked { wire: target.message.clone(), from: DEVICE, over_tcp: false, number: 0 };
        let forged = asked.answer(0, &[(A, 86_400, &WRONG)]);
        let mut frame = Way { destination_port: target.port, ..self.way }.frame(&forged);
        // No checksum, as IPv4 allows, so that a guess changes nothing else.
        frame[40..42].fill(0);
        frame
    }

    /// Guesses in a frame what this one was does not know.
    fn guess(&mut self, frame: &mut [u8], message_bytes: usize) {
        let mut bits = self.rng.next_u64();
        let mut draw = |count: u32| {
            let drawn = bits & ((1 << count) - 1);
            bits >>= count;
            drawn
        };
        if self.knows == Knows::Nothing {
            // The dynamic ports, which are likelier than others.
            let port = 1024 + draw(16) % (65_536 - 1024);
            frame[36..38].copy_from_slice(&u16::try_from(port).expect("a port").to_be_bytes());
        }
        if matches!(self.knows, Knows::Nothing | Knows::Port) {
            frame[42..44].copy_from_slice(&u16::try_from(draw(16)).expect("sixteen bits").to_be_bytes());
        }
        if self.knows != Knows::Everything {
            let name_end = 42 + message_bytes;
            let letters =
                frame[54..name_end.min(54 + LETTERS.len() + 1)].iter_mut().filter(|byte| byte.is_ascii_alphabetic());
            letters.zip(0..32).for_each(|(letter, _)| *letter ^= 0x20 * u8::from(draw(1) == 1));
        }
    }
}

/// What came of an attack.
#[derive(Debug, Default)]
struct Outcome {
    /// Answers that were forged.
    forged: u64,
    /// Names that were asked for, each for the first time.
    asked: usize,
    /// Names that lead where the attacker wants.
    poisoned: usize,
    /// Questions that failed meanwhile.
    failed: usize,
}

/// Has an attacker forge so many answers, while names are asked for that nobody has asked for before, and compares all that is
/// kept with the truth afterwards.
fn attack(theirs: &Namespace, knows: Knows, count: u64) -> Outcome {
    let open = Mutex::new(Vec::new());
    let over = AtomicBool::new(false);
    let forged = AtomicU64::new(0);
    let mut attacker = Attacker::new(theirs, knows);
    let (mut names, mut outcome) = (Vec::new(), Outcome::default());
    thread::scope(|scope| {
        scope.spawn(|| {
            forged.store(attacker.forge(count, &open), Ordering::Relaxed);
            over.store(true, Ordering::Relaxed);
        });
        while !over.load(Ordering::Relaxed) {
            let fresh: Vec<String> = (0..OPEN)
                .map(|index| format!("{LETTERS}.n{}x{index}.{knows:?}.spoofed.example.", names.len()).to_lowercase())
                .collect();
            open.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&fresh);
            let heard = ask_all(DEVICE, &fresh);
            outcome.failed += heard.iter().filter(|told| told.as_ref().is_none_or(has_failed)).count();
            outcome.poisoned += fresh.iter().zip(&heard).filter(|(name, told)| is_wrong(name, told.as_ref())).count();
            names.extend(fresh);
        }
    });
    for names in names.chunks(OPEN) {
        let heard = ask_all(DEVICE, names);
        outcome.poisoned += names.iter().zip(&heard).filter(|(name, told)| is_wrong(name, told.as_ref())).count();
    }
    outcome.forged = forged.load(Ordering::Relaxed);
    outcome.asked = names.len();
    outcome
}

/// Whether an answer says that there is none.
fn has_failed(told: &Told) -> bool {
    told.answer.rcode == ResponseCode::ServFail
}

/// Whether an answer leads anywhere but to the truth.
fn is_wrong(name: &str, told: Option<&Told>) -> bool {
    told.is_some_and(|told| !has_failed(told) && told.addresses() != [truth(name)])
}

/// A server whose upstream tells the truth, slowly.
fn start(theirs: &Namespace) -> (Double, Setup, Server) {
    let manner: Manner = Arc::new(|asked: &Asked| vec![Reply::late(SLOWNESS, honest(asked))]);
    let double = Double::start(theirs, there(UPSTREAM), manner);
    let setup = setup(&forward_zone("spoofed.example.", &[there(UPSTREAM)]));
    let server = setup.start();
    (double, setup, server)
}

#[test]
fn who_has_to_guess_poisons_nothing() {
    let _turn = turn();
    let theirs = others(&[UPSTREAM]);
    let (_double, _setup, _server) = start(&theirs);
    let count = std::env::var("RINGDNS_TEST_FORGERIES").map_or(FORGERIES, |count| count.parse().expect("a number"));
    for (knows, count) in [(Knows::Nothing, count), (Knows::Port, count / 10), (Knows::PortAndId, count / 10)] {
        let outcome = attack(&theirs, knows, count);
        println!("who knows {knows:?}: {outcome:?}");
        assert_eq!(outcome.poisoned, 0, "who knows {knows:?}: {outcome:?}");
        assert!(outcome.forged >= count, "too slow to have tried: {outcome:?}");
        assert!(outcome.asked > outcome.failed, "some were answered in spite of it all: {outcome:?}");
    }
}

#[test]
fn who_is_told_everything_poisons_so_the_guessers_were_heard() {
    let _turn = turn();
    let theirs = others(&[UPSTREAM]);
    let (_double, _setup, _server) = start(&theirs);
    let outcome = attack(&theirs, Knows::Everything, 2 * OPEN as u64);
    assert!(outcome.poisoned > 0, "no forged answer was taken by anybody: {outcome:?}");
}
