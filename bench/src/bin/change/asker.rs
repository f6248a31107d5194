//! Changes one record after the other and asks for each until the new answer comes.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use harness::Server;
use harness::link::addresses::SERVED4;
use harness::server::rrset_path;
use harness::udp::Asker;
use ringdns_bench::Outcome;

use super::{CHANGING, ZONE, changing};

/// Longest from a change to its answer before the bench gives up.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(10);
/// The `A` type.
const A: u16 = 1;

/// What was seen.
pub struct Seen {
    /// From each change to its answer.
    pub milliseconds: Vec<f64>,
    /// Questions that were asked.
    pub asked: u64,
    /// Questions without an answer.
    pub lost: u64,
}

/// Makes so many changes.
pub fn one_by_one(server: &Server, changes: u64) -> Outcome<Seen> {
    let mut connection = server.connect();
    let (orders, ordered) = mpsc::channel::<(String, String)>();
    let (sent, starts) = mpsc::channel::<Instant>();
    // The writer waits for its answers on a thread of its own: the first new answer may come before.
    let writer = thread::spawn(move || -> std::io::Result<()> {
        for (path, body) in ordered {
            let start = Instant::now();
            connection.send("PUT", &path, &body)?;
            // Nobody listens where the bench has failed.
            let _ = sent.send(start);
            let response = connection.answer()?;
            if response.status != 200 {
                return Err(std::io::Error::other(format!("{response:?}")));
            }
        }
        Ok(())
    });
    let mut asker = Asker::new(SERVED4);
    let mut milliseconds = Vec::new();
    for change in 1..=changes {
        let owner = changing(change % CHANGING);
        let [.., a, b, c] = change.to_be_bytes();
        let body = format!(r#"{{"ttl":60,"records":["10.{a}.{b}.{c}"]}}"#);
        orders.send((rrset_path(ZONE, &owner, "A"), body))?;
        let start = starts.recv().map_err(|_| "the writer has failed")?;
        while address(&mut asker, &format!("{owner}.{ZONE}"))? != Some([10, a, b, c]) {
            if start.elapsed() > CHANGE_TIME_MAX {
                return Err(format!("change {change} is not answered after {CHANGE_TIME_MAX:?}").into());
            }
        }
        milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
    }
    drop(orders);
    writer.join().map_err(|_| "the writer has panicked")??;
    Ok(Seen { milliseconds, asked: asker.asked, lost: asker.lost })
}

/// The address in the answer to a question; nothing where none came.
fn address(asker: &mut Asker, owner: &str) -> Outcome<Option<[u8; 4]>> {
    let Some(answer) = asker.ask(owner, A) else { return Ok(None) };
    // NOERROR and one answer, whose address ends the message: it was asked without EDNS.
    if answer.get(3).is_none_or(|flags| flags & 0xf != 0) || answer.get(6..8) != Some(&[0, 1]) {
        return Err(format!("{owner}: a wrong answer: {answer:02x?}").into());
    }
    Ok(answer.last_chunk().copied())
}
