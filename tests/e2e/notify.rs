//! What the server tells the service manager that started it.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use harness::dig::dig;
use harness::link::addresses::SERVED4;
use harness::{Setup, turn, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::zone_text;

/// Longest that a message may take; the server looks at itself twice a second.
const MESSAGE_TIME_MAX: Duration = Duration::from_secs(20);

/// Long enough for several messages of a server that lives.
const SILENCE: Duration = Duration::from_secs(3);

/// Waits for a message with these words.
fn await_message(manager: &UnixDatagram, words: &str) {
    let mut bytes = [0; 512];
    wait_for(words, MESSAGE_TIME_MAX, || {
        let len = manager.recv(&mut bytes).ok()?;
        String::from_utf8_lossy(&bytes[..len]).contains(words).then_some(())
    });
}

/// The messages that wait to be read.
fn waiting(manager: &UnixDatagram) -> usize {
    let mut bytes = [0; 512];
    std::iter::from_fn(|| manager.recv(&mut bytes).ok()).count()
}

#[test]
fn the_service_manager_hears_of_readiness_reloads_life_and_the_end() {
    let _turn = turn();
    let mut setup = Setup::new();
    setup.write_zone("file.example.", &zone_text("file.example.", 1, "www IN A 203.0.113.1\n"));
    let socket = setup.path("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket in the test's folder");
    manager.set_nonblocking(true).expect("a socket");
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let path = socket.to_str().expect("a path in UTF-8");
    setup.environment = vec![variable("NOTIFY_SOCKET", path), variable("WATCHDOG_USEC", "10000000")];

    let server = setup.start();
    await_message(&manager, "READY=1");
    assert_eq!(dig(SERVED4, "www.file.example", "A").rcode, "NOERROR", "ready means answering");
    await_message(&manager, "WATCHDOG=1");

    server.reload();
    await_message(&manager, "RELOADING=1");
    await_message(&manager, "READY=1");

    // A server that hangs feeds no watchdog.
    let process = Pid::from_raw(i32::try_from(server.id()).expect("a process id"));
    kill(process, Signal::SIGSTOP).expect("a running server");
    waiting(&manager);
    std::thread::sleep(SILENCE);
    let heard = waiting(&manager);
    kill(process, Signal::SIGCONT).expect("a stopped server");
    assert!(heard <= 1, "{heard} messages of a stopped process: one may have been under way");
    await_message(&manager, "WATCHDOG=1");

    assert!(server.stop().success());
    await_message(&manager, "STOPPING=1");
}
