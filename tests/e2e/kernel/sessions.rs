//! Streams through the kernel path while dnsperf asks: short messages, a long session with a hold time, bulk, `dig +tcp`.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use harness::link::addresses::{SERVED4, SERVED6};
use harness::turn;

use super::{TIME_MAX, house};

/// Seconds that DNS is under load.
const LOAD_SECONDS: u32 = 8;
/// Queries a second: what the machine carries with ease beside the streams. No claim about speed.
const LOAD_RATE: u32 = 5_000;
/// Bytes of bulk in each direction.
const BULK_BYTES: usize = 32 << 20;
/// How often the long session says that it is there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_millis(200);
/// How long it takes silence for the end: generous, and far below the load's time.
const HOLD_TIME: Duration = Duration::from_secs(3);

/// Accepts one connection on a served address in this namespace and serves it on a thread.
fn serve<T: Send + 'static>(address: SocketAddr, work: impl FnOnce(TcpStream) -> T + Send + 'static) -> JoinHandle<T> {
    let listener = TcpListener::bind(address).expect("the served address is the kernel's");
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        bounded(&stream);
        work(stream)
    })
}

/// Bounds each wait of a stream.
fn bounded(stream: &TcpStream) {
    stream.set_read_timeout(Some(TIME_MAX)).expect("a stream");
    stream.set_write_timeout(Some(TIME_MAX)).expect("a stream");
    stream.set_nodelay(true).expect("a stream");
}

/// Connects from this namespace.
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, TIME_MAX).expect("a connection through the kernel path");
    bounded(&stream);
    stream
}

/// Sends back what comes, to the end of the stream.
fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).expect("bytes in time");
        if length == 0 {
            return;
        }
        stream.write_all(&buffer[..length]).expect("bytes in time");
    }
}

/// Keeps a session up until told to end by the other side; gives the longest silence.
fn keep(mut stream: TcpStream, until: Option<Instant>) -> Duration {
    stream.set_read_timeout(Some(HOLD_TIME)).expect("a stream");
    let (mut heard, mut longest) = (Instant::now(), Duration::ZERO);
    let mut message = [0; 19];
    loop {
        if until.is_some_and(|until| Instant::now() > until) {
            return longest;
        }
        let sent = stream.write_all(&[0xff; 19]);
        match sent.and_then(|()| stream.read_exact(&mut message)) {
            Ok(()) => {}
            // The other side has ended the session. It does so with a reset where a keepalive of ours was still on its way
            // (RFC 1122 section 4.2.2.13); a session that is lost before its time is lost for that side too, which tells.
            Err(error) if until.is_none() && is_end(error.kind()) => return longest,
            Err(error) => panic!("the session was lost after {:?}: {error}", heard.elapsed()),
        }
        longest = longest.max(heard.elapsed());
        heard = Instant::now();
        thread::sleep(KEEPALIVE_INTERVAL);
    }
}

/// True for what a stream comes to when its other side is closed.
fn is_end(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// The bytes of bulk from one place on.
fn pattern(start: usize, length: usize) -> Vec<u8> {
    (start..start + length).map(|place| u8::try_from((place * 31 + place / 251) % 256).expect("a byte")).collect()
}

/// Sends the pattern.
fn send_bulk(stream: &mut TcpStream) {
    for start in (0..BULK_BYTES).step_by(1 << 16) {
        stream.write_all(&pattern(start, 1 << 16)).expect("bulk that leaves");
    }
}

/// Receives the pattern and compares it.
fn receive_bulk(stream: &mut TcpStream) {
    let mut buffer = vec![0; 1 << 16];
    for start in (0..BULK_BYTES).step_by(1 << 16) {
        stream.read_exact(&mut buffer).expect("bulk that arrives");
        assert!(buffer == pattern(start, 1 << 16), "bytes changed at {start}");
    }
}

#[test]
fn streams_live_beside_a_loaded_dns() {
    let _turn = turn();
    let house = house();
    let at = |address, port| SocketAddr::new(address, port);
    let echo_servers = [serve(at(SERVED4, 2222), echo), serve(at(SERVED6, 2222), echo)];
    let session_server = serve(at(SERVED4, 179), |stream| keep(stream, None));
    let bulk_server = serve(at(SERVED6, 5201), |mut stream| {
        receive_bulk(&mut stream);
        send_bulk(&mut stream);
    });
    let load = house.dnsperf(LOAD_SECONDS, LOAD_RATE);
    let end = Instant::now() + Duration::from_secs(u64::from(LOAD_SECONDS));
    {
        let _entered = house.client.enter();
        let session = connect(at(SERVED4, 179));
        let session = thread::spawn(move || keep(session, Some(end)));
        let mut bulk = connect(at(SERVED6, 5201));
        let bulk = thread::spawn(move || {
            send_bulk(&mut bulk);
            receive_bulk(&mut bulk);
        });
        for address in [SERVED4, SERVED6] {
            // As somebody types, and sees it.
            let mut shell = connect(at(address, 2222));
            for key in 0..100u8 {
                shell.write_all(&[key]).expect("a key that leaves");
                let mut shown = [0];
                shell.read_exact(&mut shown).expect("a key that is shown");
                assert_eq!(shown, [key]);
            }
        }
        bulk.join().expect("bulk both ways");
        let longest = session.join().expect("a session that stays");
        println!("longest silence of the session: {longest:?}");
    }
    for server in echo_servers {
        server.join().expect("an echo server");
    }
    session_server.join().expect("the session's other side");
    bulk_server.join().expect("the bulk's other side");
    let (completed, lost) = load.figures();
    println!("dnsperf: {completed} queries completed, {lost} lost");
    assert!(completed > 0 && lost * 1000 <= completed, "{lost} of {completed} queries were lost");
    let metrics = house.server.metrics();
    let carried = metrics.sum("ringdns_kernel_frames_total", &[]);
    let counted = |name: &str| house.server.metrics().sum(&format!("ringdns_port_kernel_{name}_total"), &[]);
    // Shown twice a second, so a moment later than they pass.
    harness::wait_for("the kernel's frames to be shown", TIME_MAX, || {
        let least = BULK_BYTES as u64 / 1500;
        (counted("rx_frames") > least && counted("tx_frames") > least).then_some(())
    });
    assert!(carried > BULK_BYTES as u64 / 1500, "the streams went by the kernel path: {carried} frames");
}
