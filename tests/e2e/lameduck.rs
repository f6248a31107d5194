//! The end: the server says that it is not ready, answers for a while yet, and ends with status 0.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use harness::dig::dig;
use harness::link::addresses::SERVED4;
use harness::{Setup, turn, wait_for};
use nix::sys::signal::Signal;

use crate::zone_text;

/// Longest until something is seen that happens at once.
const SEEN_TIME_MAX: Duration = Duration::from_secs(10);

/// A setup with a zone, and with an end that is so long.
fn setup(lameduck: Duration) -> Setup {
    let mut setup = Setup::new();
    setup.write_zone("file.example.", &zone_text("file.example.", 1, "www IN A 203.0.113.1\n"));
    setup.more = format!(
        "[sockets]\nlisten = [\"127.0.0.1:5399\"]\n[cluster_http]\nready = \"127.0.0.1:8181\"\nhealth = \"127.0.0.1:8080\"\n\
         [shutdown]\nlameduck_ms = {}\n",
        lameduck.as_millis()
    );
    setup
}

/// Status and body of a GET, from a port of the server.
fn get(port: u16, path: &str) -> (u16, String) {
    let address = ([127, 0, 0, 1], port).into();
    let response = harness::http::request(address, "GET", path, None, None).expect("an answer");
    (response.status, response.body)
}

#[test]
fn a_lame_server_is_not_ready_and_answers_until_the_second_sigterm() {
    let _turn = turn();
    let mut setup = setup(Duration::from_secs(600));
    let socket = setup.path("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket in the test's folder");
    manager.set_nonblocking(true).expect("a socket");
    let path = socket.to_str().expect("a path in UTF-8").to_owned();
    setup.environment = vec![("NOTIFY_SOCKET".to_owned(), path)];
    let mut server = setup.start();
    assert_eq!(get(8181, "/ready"), (200, "OK".to_owned()));

    server.signal(Signal::SIGTERM);
    wait_for("readiness to end", SEEN_TIME_MAX, || {
        (get(8181, "/ready") == (503, "Shutting down".to_owned())).then_some(())
    });
    assert_eq!(server.get("/ready").status, 503, "so says the admin API");
    wait_for("the service manager to hear of it", SEEN_TIME_MAX, || {
        let mut bytes = [0; 512];
        let length = manager.recv(&mut bytes).ok()?;
        let heard = String::from_utf8_lossy(&bytes[..length]).into_owned();
        (heard.starts_with("STOPPING=1") && heard.contains("EXTEND_TIMEOUT_USEC=")).then_some(())
    });
    assert_eq!(get(8080, "/health"), (200, "OK".to_owned()));
    assert_eq!(get(8080, "/healthz").0, 200, "the sockets answer");
    let answer = ["www.file.example. 300 IN A 203.0.113.1"];
    assert_eq!(dig(SERVED4, "www.file.example", "A").answer, answer, "so does the port");
    let status = server.terminate();
    assert!(status.success(), "{status:?}:\n{}", server.log());
}

#[test]
fn the_lame_end_is_over_in_its_time() {
    const LAMEDUCK: Duration = Duration::from_millis(1500);
    let _turn = turn();
    let mut server = setup(LAMEDUCK).start();
    let begun = Instant::now();
    server.signal(Signal::SIGTERM);
    let status = server.wait();
    assert!(status.success(), "{status:?}:\n{}", server.log());
    assert!(begun.elapsed() >= LAMEDUCK, "it ended early");
}

#[test]
fn sigusr1_reads_the_files_again() {
    let _turn = turn();
    let mut setup = setup(Duration::ZERO);
    let server = setup.start();
    setup.write_zone("file.example.", &zone_text("file.example.", 2, "www IN A 203.0.113.2\n"));
    server.signal(Signal::SIGUSR1);
    wait_for("the new file's answer", SEEN_TIME_MAX, || {
        (dig(SERVED4, "www.file.example", "A").answer == ["www.file.example. 300 IN A 203.0.113.2"]).then_some(())
    });
}
