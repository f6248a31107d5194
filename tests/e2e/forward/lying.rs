//! Upstreams that answer wrongly in every way: each is asked alone, and with an honest one behind it. Whatever they say, a client
//! gets the truth or SERVFAIL in time, and the names of others are not touched.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use harness::double::{Asked, Double, Manner, Reply, record_behind_name};
use harness::link::addresses::SERVED4;
use harness::message::name_to_wire;
use harness::rng::Rng;
use harness::{Namespace, turn};
use hickory_proto::op::ResponseCode;

use super::{A, CLIENT_TIME, SOCKETS, Told, WRONG, ask_all, forward_zone, others, setup, there, truth};

/// Last part of the honest one's address.
const HONEST: u8 = 15;
/// Last part of the first liar's.
const FIRST_LIAR: u8 = 20;
/// TTL of what is told.
const TTL: u32 = 300;
/// A name that nobody of them is asked for.
const VICTIM: &str = "victim.bank.example.";
/// The CNAME type.
const CNAME: u16 = 5;

/// What is right where a liar is the only one to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alone {
    /// The truth: it is told as well.
    Truth,
    /// No addresses: SERVFAIL, or what the upstream says that it cannot do.
    Nothing,
    /// Either, depending on how far the server goes to understand the upstream.
    Either,
    /// An alias to the victim, and where that is by the word of those who are asked for it.
    Victim,
}

/// The liars by name, and what is right.
const LIARS: &[(&str, Alone)] = &[
    ("wrong-id", Alone::Nothing),
    ("wrong-port", Alone::Nothing),
    ("wrong-address", Alone::Nothing),
    ("wrong-name", Alone::Nothing),
    ("wrong-type", Alone::Nothing),
    ("wrong-class", Alone::Nothing),
    ("wrong-case", Alone::Nothing),
    ("wrong-owner", Alone::Nothing),
    ("two-questions", Alone::Nothing),
    ("no-question", Alone::Nothing),
    ("echo", Alone::Nothing),
    ("empty", Alone::Nothing),
    ("header", Alone::Nothing),
    ("garbage", Alone::Nothing),
    ("half", Alone::Nothing),
    ("half-tcp", Alone::Nothing),
    ("pointer-loop", Alone::Nothing),
    ("missing-records", Alone::Nothing),
    ("servfail", Alone::Nothing),
    ("refused", Alone::Nothing),
    ("tc-without-tcp", Alone::Nothing),
    ("lower-case", Alone::Either),
    ("no-edns", Alone::Either),
    ("tc", Alone::Truth),
    ("bad-then-good", Alone::Truth),
    ("many-bad-then-good", Alone::Truth),
    ("strangers-too", Alone::Truth),
    ("chain-to-strangers", Alone::Victim),
];

/// The truth about an address; nothing about other types.
pub fn honest(asked: &Asked) -> Vec<u8> {
    tell(asked, truth(&asked.name()))
}

/// An answer with this address.
fn tell(asked: &Asked, address: [u8; 4]) -> Vec<u8> {
    if asked.rtype() == A { asked.answer(0, &[(A, TTL, &address)]) } else { asked.reply(0, 0) }
}

/// A lie that would be believed, but for a change at its bytes.
fn lie(asked: &Asked, change: impl FnOnce(&mut Vec<u8>)) -> Vec<Reply> {
    let mut wire = tell(asked, WRONG);
    change(&mut wire);
    vec![Reply::now(wire)]
}

/// Where the question's name ends in a message that answers.
fn name_end(asked: &Asked) -> usize {
    12 + asked.question().len() - 4
}

/// What a liar says. `strange` are sockets that are not where the question went to: of another port, and of another address.
fn replies(liar: &str, asked: &Asked, strange: &[UdpSocket; 2]) -> Vec<Reply> {
    let at = name_end(asked);
    match liar {
        "wrong-id" => lie(asked, |wire| wire[1] ^= 1),
        "wrong-port" | "wrong-address" => {
            // Over TCP there is no other way to answer than the one that was taken.
            if !asked.over_tcp {
                let socket = &strange[usize::from(liar == "wrong-address")];
                // Who asked may be gone.
                let _ = socket.send_to(&tell(asked, WRONG), asked.from);
            }
            Vec::new()
        }
        "wrong-name" => lie(asked, |wire| wire[13] ^= 1),
        "wrong-type" => lie(asked, |wire| wire[at + 1] = 28),
        "wrong-class" => lie(asked, |wire| wire[at + 3] = 3),
        // Every letter in the case that it was not asked in. Over TCP case says nothing: nobody else answers there.
        "wrong-case" if asked.over_tcp => Vec::new(),
        "wrong-case" => lie(asked, |wire| flip_case(&mut wire[12..at])),
        "lower-case" => vec![Reply::now({
            let mut wire = honest(asked);
            wire[12..at].make_ascii_lowercase();
            wire
        })],
        "wrong-owner" => lie(asked, |wire| {
            // Instead of the pointer to the name that was asked for: one to what is above it.
            wire[at + 5] = 12 + 1 + wire[12];
        }),
        "two-questions" => lie(asked, |wire| {
            let question = asked.question();
            wire[5] = 2;
            wire.splice(at + 4..at + 4, question.iter().copied());
        }),
        "no-question" => lie(asked, |wire| {
            wire[5] = 0;
            let question = wire.drain(12..at + 4).collect::<Vec<u8>>();
            wire.splice(12..14, question[..question.len() - 4].iter().copied());
        }),
        "echo" => vec![Reply::now(asked.wire.clone())],
        "empty" => vec![Reply::now(Vec::new())],
        "header" => lie(asked, |wire| wire.truncate(12)),
        "garbage" => lie(asked, |wire| scramble(&mut wire[2..], asked.number)),
        "half" => lie(asked, |wire| wire.truncate(at + 4 + 9)),
        "pointer-loop" => lie(asked, |wire| wire[at + 5] = u8::try_from(at + 4).expect("a short name")),
        "missing-records" => lie(asked, |wire| wire[7] = 9),
        _ => more_replies(liar, asked),
    }
}

/// Turns every letter's case round.
fn flip_case(bytes: &mut [u8]) {
    for letter in bytes.iter_mut().filter(|byte| byte.is_ascii_alphabetic()) {
        *letter ^= 0x20;
    }
}

/// Puts bytes there that mean nothing.
fn scramble(bytes: &mut [u8], seed: usize) {
    let mut rng = Rng::new(seed as u64);
    for byte in bytes {
        *byte = *rng.one_of(&[0, 1, 3, 0x1f, 0x40, 0x7f, 0x80, 0xc0, 0xff]);
    }
}

/// The rest of them: those that say something true as well, or nothing.
fn more_replies(liar: &str, asked: &Asked) -> Vec<Reply> {
    let wrong_id = || lie(asked, |wire| wire[1] ^= 1).into_iter();
    let later = || [Reply::late(Duration::from_millis(100), honest(asked))];
    let truncated = || vec![Reply::now(asked.reply(0x0200, 0))];
    match liar {
        "half-tcp" if asked.over_tcp => vec![Reply { missing_bytes: 9, ..lie(asked, |_| {}).remove(0) }],
        "tc-without-tcp" if asked.over_tcp => Vec::new(),
        "tc" | "many-bad-then-good" if asked.over_tcp => vec![Reply::now(honest(asked))],
        "tc" | "half-tcp" | "tc-without-tcp" => truncated(),
        "servfail" => vec![Reply::now(asked.reply(0, 2))],
        "refused" => vec![Reply::now(asked.reply(0, 5))],
        // As servers did that had never heard of EDNS (RFC 6891 section 7).
        "no-edns" if asked.wire[11] > 0 => vec![Reply::now({
            let mut wire = asked.reply(0, 1);
            wire[11] = 0;
            wire.truncate(12 + asked.question().len());
            wire
        })],
        "no-edns" => vec![Reply::now(honest(asked))],
        "bad-then-good" => wrong_id().chain(later()).collect(),
        "many-bad-then-good" => (0..50).flat_map(|_| wrong_id()).chain(later()).collect(),
        "strangers-too" => vec![Reply::now(with_strangers(asked))],
        "chain-to-strangers" => vec![Reply::now(chain(asked))],
        _ => panic!("nobody has told what {liar} says"),
    }
}

/// The truth, and behind it what nobody asked for: that the victim's zone is here, and where the victim is.
fn with_strangers(asked: &Asked) -> Vec<u8> {
    let mut wire = honest(asked);
    let end = if wire[11] > 0 { wire.len() - 11 } else { wire.len() };
    let victim = name_to_wire(VICTIM);
    let ns = [name_to_wire("bank.example."), record_behind_name(2, 86_400, &victim)].concat();
    let address = [victim, record_behind_name(A, 86_400, &WRONG)].concat();
    wire[9] = 1;
    wire[11] += 1;
    wire.splice(end..end, [ns, address].concat());
    wire
}

/// An alias to the victim, and where that is said to be.
fn chain(asked: &Asked) -> Vec<u8> {
    let victim = name_to_wire(VICTIM);
    let mut wire = asked.answer(0, &[(CNAME, TTL, &victim)]);
    let end = if wire[11] > 0 { wire.len() - 11 } else { wire.len() };
    wire[7] = 2;
    wire.splice(end..end, [victim, record_behind_name(A, TTL, &WRONG)].concat());
    wire
}

/// Starts the honest one and all liars.
fn start_all(theirs: &Namespace) -> Vec<Double> {
    let manner: Manner = Arc::new(|asked: &Asked| vec![Reply::now(honest(asked))]);
    let mut doubles = vec![Double::start(theirs, there(HONEST), manner)];
    for (index, &(liar, _)) in LIARS.iter().enumerate() {
        let address = liar_address(index);
        let strange = {
            let _entered = theirs.enter();
            [address.ip(), there(HONEST).ip()].map(|ip| UdpSocket::bind((ip, 0)).expect("a free port"))
        };
        let manner: Manner = Arc::new(move |asked: &Asked| replies(liar, asked, &strange));
        doubles.push(Double::start(theirs, address, manner));
    }
    doubles
}

/// Where a liar is.
fn liar_address(index: usize) -> SocketAddr {
    there(FIRST_LIAR + u8::try_from(index).expect("few liars"))
}

/// Holds what was told about a name to what is right.
fn assert_right(name: &str, told: Option<&Told>, right: Alone) {
    let told = told.unwrap_or_else(|| panic!("{name}: no answer within {CLIENT_TIME:?}"));
    let is_truth = told.answer.rcode == ResponseCode::NoError && told.addresses() == [truth(name)];
    let is_nothing = told.answer.rcode != ResponseCode::NXDomain && told.answer.answer.is_empty();
    let is_right = match right {
        Alone::Truth => is_truth,
        Alone::Nothing => is_nothing,
        Alone::Either => is_truth || is_nothing,
        Alone::Victim => told.addresses() == [truth(VICTIM)],
    };
    assert!(is_right, "{name}, expected {right:?}: {told:?}");
}

#[test]
fn lies_end_in_the_truth_or_in_servfail_and_touch_no_other_name() {
    let _turn = turn();
    let lasts: Vec<u8> = (HONEST..FIRST_LIAR + 40).collect();
    let theirs = others(&lasts);
    let zones = LIARS.iter().enumerate().map(|(index, (liar, _))| {
        let alone = forward_zone(&format!("{liar}.alone.example."), &[liar_address(index)]);
        alone + &forward_zone(&format!("{liar}.first.example."), &[liar_address(index), there(HONEST)])
    });
    let setup = setup(&format!("upstreams = [\"{}\"]\n{}", there(HONEST), zones.collect::<String>()));
    let doubles = start_all(&theirs);
    let server = setup.start();
    let names: Vec<(String, Alone)> = LIARS
        .iter()
        .flat_map(|&(liar, alone)| {
            // An alias is true as far as anybody can tell.
            let second = if alone == Alone::Victim { alone } else { Alone::Truth };
            [(format!("www.{liar}.alone.example."), alone), (format!("www.{liar}.first.example."), second)]
        })
        .chain([(VICTIM.to_owned(), Alone::Truth), ("honest.example.".to_owned(), Alone::Truth)])
        .collect();
    let questions: Vec<String> = names.iter().map(|(name, _)| name.clone()).collect();
    // The second time what is kept speaks, over sockets as over the device.
    for server in [SocketAddr::new(SERVED4, 53), SOCKETS] {
        let told = ask_all(server, &questions);
        for ((name, right), told) in names.iter().zip(&told) {
            assert_right(name, told.as_ref(), *right);
        }
    }
    for (double, (liar, _)) in doubles[1..].iter().zip(LIARS) {
        assert!(double.asked_for(liar) > 0, "nobody has asked {liar}");
    }
    drop(server);
}
