//! What is kept over the death of the process, and what is not for those whom a list names.

use std::fs;
use std::sync::Arc;

use harness::double::{Asked, Double, Manner, Reply};
use harness::{Namespace, Setup, dig, turn, wait_for};
use hickory_proto::op::ResponseCode;

use super::lying::honest;
use super::{SOCKETS, TIME_MAX, ask, forward_zone, leads_to, others, setup, there, truth};

/// Last part of the address of the one that is asked.
const HONEST: u8 = 15;
/// The zone that it is asked for.
const ZONE: &str = "kept.example.";
/// A name in it.
const NAME: &str = "www.kept.example.";

/// Starts one that tells the truth.
fn start(theirs: &Namespace) -> Double {
    let manner: Manner = Arc::new(|asked: &Asked| vec![Reply::now(honest(asked))]);
    Double::start(theirs, there(HONEST), manner)
}

/// The setup of a server that asks it, with more tables.
fn asking(more: &str) -> Setup {
    setup(&(forward_zone(ZONE, &[there(HONEST)]) + more))
}

#[test]
fn what_was_known_before_a_kill_is_known_after_it() {
    let _turn = turn();
    let theirs = others(&[HONEST]);
    let upstream = start(&theirs);
    let setup = asking("[cache]\nfile = \"cache\"\nfile_interval_seconds = 1\n");
    let server = setup.start();
    wait_for("an answer", TIME_MAX, || leads_to(NAME, &[truth(NAME)]));
    let is_written = || {
        let written = fs::read(setup.path("cache")).ok()?;
        written.windows(5).any(|bytes| bytes == b"\x04kept").then_some(())
    };
    wait_for("the cache's file", TIME_MAX, is_written);
    server.kill();
    drop(upstream);
    let server = setup.start();
    assert_eq!(ask(NAME).addresses(), [truth(NAME)], "nobody is there who could be asked");
    assert_eq!(ask("new.kept.example.").answer.rcode, ResponseCode::ServFail);
    drop(server);
}

#[test]
fn clients_that_come_onto_a_list_are_not_told_what_is_kept() {
    let _turn = turn();
    let theirs = others(&[HONEST]);
    let _upstream = start(&theirs);
    let setup = asking("[policy]\nblock_files = [{ path = \"zone\", format = \"rpz\" }]\n");
    let list = |text: &str| fs::write(setup.path("zone"), format!("$TTL 9\n{text}\n")).expect("a file of ours");
    list("other.example CNAME .");
    let server = setup.start();
    wait_for("an answer", TIME_MAX, || leads_to(NAME, &[truth(NAME)]));
    list("0.0.0.0.0.rpz-client-ip CNAME rpz-tcp-only.");
    wait_for("an answer that is cut", TIME_MAX, || ask(NAME).answer.truncated.then_some(()));
    // The kernel's sockets know of it too, and by TCP the name is answered.
    let socket = |options: &[&str]| {
        let port = SOCKETS.port().to_string();
        dig::dig_with(SOCKETS.ip(), NAME, "A", &[&["-p", &port], options].concat())
    };
    assert_eq!(socket(&["+tcp"]).answer.len(), 1);
    list("0.0.0.0.0.rpz-client-ip CNAME .");
    wait_for("a denial", TIME_MAX, || (ask(NAME).answer.rcode == ResponseCode::NXDomain).then_some(()));
    assert_eq!(socket(&[]).answer.len(), 0);
    assert_eq!(ask("www.ours.example.").addresses(), [[203, 0, 113, 1]], "zones are for all");
    drop(server);
}
