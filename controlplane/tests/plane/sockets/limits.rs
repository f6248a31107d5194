//! What clients may have: connections, time, memory, rates.

use super::*;

#[test]
fn a_client_has_only_so_many_connections() {
    let host = Host::new("tcp_connections_per_client_max = 3");
    let mut kept: Vec<TcpStream> = (0..3).map(|_| host.connect()).collect();
    for stream in &mut kept {
        assert!(ask(stream, &query("www.example.org.", types::A)).is_some());
    }
    assert_eq!(receive(&mut host.connect()), None);
    assert_eq!(host.metric("ringdns_tcp_refused_total{cause=\"client_limit\"}"), 1);
    kept.truncate(2);
    wait_until("the place is free", || host.closed("client") == 1);
    assert!(ask(&mut host.connect(), &query("www.example.org.", types::A)).is_some());
}

#[test]
fn a_full_table_gives_up_the_connection_asked_the_longest_ago() {
    let host = Host::new("tcp_connections_max = 4\ntcp_idle_seconds = 3600");
    let message = query("www.example.org.", types::A);
    let mut streams: Vec<TcpStream> = (0..4).map(|_| host.connect()).collect();
    for stream in &mut streams {
        assert!(ask(stream, &message).is_some());
    }
    // A byte now and then is no query: the second one stays the oldest.
    assert!(ask(&mut streams[0], &message).is_some());
    streams[1].write_all(&[0]).unwrap();
    let mut newcomer = host.connect();
    assert!(ask(&mut newcomer, &message).is_some());
    assert_eq!(receive(&mut streams[1]), None);
    for index in [0, 2, 3] {
        assert!(ask(&mut streams[index], &message).is_some(), "{index}");
    }
    wait_until("it is counted", || host.closed("evicted") == 1);
    assert_eq!(host.open(), 4);
    let status = host.server.get("/api/v1/status").1;
    assert_eq!(status["sockets"], json!({"tcp_connections": 4, "tcp_connections_max": 4}));
}

#[test]
fn idle_connections_end_and_clients_are_told_when() {
    let host = Host::new("tcp_idle_seconds = 1");
    let mut stream = host.connect();
    let answer = ask(&mut stream, &query_options("www.example.org.", types::A, 1232, &[(11, b"")])).unwrap();
    assert!(answer.ends_with(&[0, 11, 0, 2, 0, 10]), "ten tenths of a second: {answer:?}");
    let start = Instant::now();
    assert_eq!(receive(&mut stream), None);
    assert!(start.elapsed() > Duration::from_millis(500), "not before its time");
    wait_until("it is counted", || host.closed("idle") == 1 && host.open() == 0);
}

#[test]
fn a_query_that_never_ends_is_not_waited_for() {
    let host = Host::new("tcp_message_seconds = 1\ntcp_idle_seconds = 3600");
    let mut stream = host.connect();
    let mut other = host.connect();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let start = Instant::now();
    let mut drops = framed(&query("www.example.org.", types::A)).into_iter();
    loop {
        // A byte every 50 milliseconds would take two seconds in all.
        let written = drops.next().map_or(Ok(0), |byte| stream.write(&[byte]));
        assert!(ask(&mut other, &query("www.example.org.", types::A)).is_some(), "others are not kept waiting");
        match stream.read(&mut [0; 16]) {
            Ok(0) => break,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
            Ok(bytes) => panic!("{bytes} bytes of an answer: {written:?}"),
        }
        assert!(start.elapsed() < WAIT, "it is still open");
    }
    wait_until("it is counted", || host.closed("slow_query") == 1);
}

#[test]
fn a_client_that_does_not_read_is_not_waited_for() {
    let host = Host::new("tcp_write_seconds = 1\ntcp_idle_seconds = 3600");
    let stream = host.connect();
    stream.set_nonblocking(true).unwrap();
    let queries = framed(&query("large.example.org.", types::TXT)).repeat(1000);
    let start = Instant::now();
    let mut other = host.connect();
    while host.closed("slow_reader") == 0 {
        // Its own buffer fills as well; what it cannot send it does not.
        let _ = (&stream).write(&queries);
        assert!(ask(&mut other, &query("www.example.org.", types::A)).is_some(), "others are not kept waiting");
        assert!(start.elapsed() < WAIT, "it is still open");
    }
    assert!(host.metric("ringdns_tcp_held_bytes{}") < 1 << 20);
}

#[test]
fn what_all_clients_leave_unread_is_bounded() {
    let host = Host::new("tcp_connections_per_client_max = 4000\ntcp_write_seconds = 3600\ntcp_idle_seconds = 3600");
    let queries = framed(&query("large.example.org.", types::TXT)).repeat(300);
    // Each could leave some hundred KiB unread.
    let mut clients = Vec::new();
    for _ in 0..3000 {
        let mut stream = host.connect();
        stream.write_all(&queries).unwrap();
        clients.push(stream);
        if clients.len() % 200 == 0 && host.closed("memory") > 0 {
            break;
        }
    }
    wait_until("some are closed", || host.closed("memory") > 0);

    assert!(host.metric("ringdns_tcp_held_bytes{}") <= 64 << 20);
    assert!(ask(&mut host.connect(), &query("www.example.org.", types::A)).is_some());
}

#[test]
fn rates_hold_on_sockets() {
    let limit = "[rate_limit]\npackets_per_second = 20\nresponses_per_second = 5\nslip = 1\nwindow_seconds = 0\n";
    let host = Host::new(limit);
    let message = query("www.example.org.", types::A);
    let mut stream = host.connect();
    // Thirty at once is the rate and a half.
    stream.write_all(&framed(&message).repeat(200)).unwrap();
    let answered = std::iter::from_fn(|| receive(&mut stream)).count();
    assert!((1..200).contains(&answered), "{answered} were answered");
    wait_until("it is counted", || host.closed("rate_limited") == 1);
    assert!(host.metric("ringdns_drops_total{worker=\"tcp\",reason=\"packet_limited\"}") >= 1);
    assert_eq!(host.metric("ringdns_slipped_total{worker=\"tcp\"}"), 0);

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(host.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    for _ in 0..200 {
        socket.send(&message).unwrap();
    }
    let mut buffer = [0; 512];
    let answers: Vec<bool> = std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|_| buffer[2] & 2 != 0)).collect();
    assert!(answers.contains(&true) && answers.contains(&false) && answers.len() < 200, "{answers:?}");
    assert!(host.metric("ringdns_slipped_total{worker=\"udp\"}") >= 1);
    assert!(host.metric("ringdns_drops_total{worker=\"udp\",reason=\"packet_limited\"}") >= 1);
}
