//! Probes of real listeners on loopback.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

mod common;

use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Web, config, wait_until};
use ringdns_health::probe::{Plan, ProbeError, Prober};

/// Probes a target once, by lines of `[[probe]]` for it, or by what is done without any.
fn probe(target: &str, ports: &[u16], lines: &str) -> Result<(), ProbeError> {
    let lines =
        if lines.is_empty() { String::new() } else { format!("[[probe]]\ntargets = [\"{target}\"]\n{lines}\n") };
    let config = config(&["http://127.0.0.1:1".to_owned()], "timeout_ms = 1000", &lines);
    let plan = Plan::new(&config.health.scanner, target, ports);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { Prober::new(config.health.scanner.timeout).probe(target, &plan).await })
}

/// What is said of a probe that must fail.
fn fault(target: &str, ports: &[u16], lines: &str) -> String {
    let error = probe(target, ports, lines).unwrap_err();
    assert!(!error.is_ours(), "{error}");
    error.to_string()
}

#[test]
fn any_port_that_takes_a_connection_is_enough_by_either_ip_version() {
    for local in ["127.0.0.1", "::1"] {
        let listener = TcpListener::bind((local, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        probe(local, &[1, port], "").unwrap();
        drop(listener);
        let fault = fault(local, &[port], "");
        assert!(fault.contains(&format!(":{port}: Connection refused")), "{fault}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    probe("localhost", &[listener.local_addr().unwrap().port()], "kind = \"tcp\"").unwrap();
}

#[test]
fn echo_requests_are_answered_by_either_ip_version() {
    for (target, lines) in [("127.0.0.1", "kind = \"icmp\""), ("::1", "kind = \"icmp\""), ("localhost", "")] {
        match probe(target, &[], lines) {
            Ok(()) => {}
            // Where this process may not, it must say so and how to mend it.
            Err(error @ ProbeError::PingPermission(_)) => {
                assert!(!is_root() && error.is_ours() && error.to_string().contains("CAP_NET_RAW"), "{error}");
            }
            Err(error) => panic!("{target}: {error}"),
        }
    }
    let fault = fault("nowhere.invalid", &[], "");
    assert!(fault.starts_with("nowhere.invalid cannot be resolved"), "{fault}");
}

/// Tells the process that is in a namespace of its own from the one that started it there.
const IN_NAMESPACE: &str = "RINGDNS_TEST_IN_NAMESPACE";

/// What the network is like: this namespace, a router in another, and targets behind it.
const NETWORK: &str = "
    ip link set lo up
    ip link add near type veth peer name far netns $ROUTER
    ip address add 10.9.0.1/24 dev near
    ip -6 address add fd09::1/64 dev near nodad
    ip link set near up
    router() { nsenter --target $ROUTER --net \"$@\"; }
    router ip link set lo up
    router ip address add 10.9.0.2/24 dev far
    router ip -6 address add fd09::2/64 dev far nodad
    router ip link set far up
    router sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'
    ip route add 10.10.0.0/24 via 10.9.0.2
    ip -6 route add fd10::/64 via fd09::2
    router ip address add 10.10.0.1/32 dev lo
    router ip -6 address add fd10::1/128 dev lo nodad
    router ip route add unreachable 10.10.0.2
    router ip -6 route add unreachable fd10::2
    router ip route add prohibit 10.10.0.3
    router ip -6 route add prohibit fd10::3
    router ip route add blackhole 10.10.0.4
    router ip -6 route add blackhole fd10::4
    ip route add prohibit 10.10.0.5
    ip route add unreachable 10.10.0.6
";

/// Runs the test of this name in a network namespace of its own, as a user of its own; true in there.
fn is_in_namespace(test: &str) -> bool {
    if std::env::var_os(IN_NAMESPACE).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net"]).arg(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(IN_NAMESPACE, "1");
    let ran = command.output().unwrap_or_else(|error| panic!("unshare of util-linux cannot be run: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ran.status.success(), "{}{}", text(&ran.stdout), text(&ran.stderr));
    false
}

/// A process that does nothing but have a namespace; it ends with this one or when it is dropped.
struct Router(Child);

impl Router {
    /// In a network namespace of its own.
    fn start() -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--net", "sleep", "60"]).stdin(Stdio::null());
        let router = Self(command.stdout(Stdio::null()).spawn().unwrap());
        let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
        let id = router.0.id().to_string();
        wait_until("the router has a namespace", || namespace(&id).is_some_and(|its| Some(its) != namespace("self")));
        router
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn what_routers_refuse_is_down_with_their_reason() {
    if !is_in_namespace("what_routers_refuse_is_down_with_their_reason") {
        return;
    }
    let router = Router::start();
    let mut shell = Command::new("sh");
    shell.args(["-ec", NETWORK]).env("ROUTER", router.0.id().to_string());
    assert!(shell.status().unwrap().success());
    let lines = "kind = \"icmp\"";
    for network in ["10.10.0.", "fd10::"] {
        probe(&format!("{network}1"), &[], lines).unwrap_or_else(|error| panic!("{network}1: {error}"));
        for last in [2, 3] {
            let found = fault(&format!("{network}{last}"), &[], lines);
            assert!(found.contains("it cannot be reached"), "{found}");
        }
        assert_eq!(fault(&format!("{network}4"), &[], lines), "icmp: no answer within 1000 ms");
    }
    assert!(fault("10.10.0.5", &[], "kind = \"icmp\"").contains("Permission denied"));
    assert!(fault("10.10.0.6", &[], "kind = \"icmp\"").contains("No route to host"));
    assert!(fault("10.10.0.2", &[80], "kind = \"tcp\"").contains("10.10.0.2:80: No route to host"));
    assert!(fault("10.10.0.1", &[80], "kind = \"tcp\"").contains("10.10.0.1:80: Connection refused"));
}

/// True where echo requests need no permission.
fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0"))
}

#[test]
fn pages_need_a_right_status() {
    let web = Web::answering(|_| 503);
    let port = web.address.port();
    let found = fault("127.0.0.1", &[port], "kind = \"http\"");
    assert_eq!(found, format!("127.0.0.1:{port}: HTTP status 503"));
    probe("127.0.0.1", &[port], "kind = \"http\"\nstatuses = [200, 503]\npath = \"/x?y\"\nhost = \"h.example\"")
        .unwrap();
    let (_, request) = web.requests.lock().unwrap()[1].clone();
    let expected = format!("GET /x?y HTTP/1.1\r\nhost: h.example:{port}\r\n");
    assert!(request.starts_with(&expected), "{request}");
    assert!(request.ends_with("\r\n\r\n") && request.to_lowercase().contains("connection: close"), "{request}");
    let redirect = Web::answering(|_| 302);
    probe("127.0.0.1", &[1, redirect.address.port()], "kind = \"http\"").unwrap();
}

#[test]
fn what_is_no_http_and_what_never_comes_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = fault("127.0.0.1", &[port], "kind = \"http\"");
    assert_eq!(silent, "http: no answer within 1000 ms");
    let garbage = std::thread::spawn(move || {
        // The first is that of the probe before.
        let _silent = listener.accept().unwrap();
        listener.accept().unwrap().0.write_all(b"SSH-2.0-x\r\n\r\n").unwrap();
    });
    let found = fault("127.0.0.1", &[port], "kind = \"http\"");
    assert!(found.contains(": HTTP: "), "{found}");
    garbage.join().unwrap();
}

#[test]
fn queries_need_a_right_response_code_and_answers_must_be_ours() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let lines = format!("kind = \"dns\"\nports = [{port}]\nquery = \"Example.org.\"\nquery_type = \"A\"");
    let server = std::thread::spawn(move || {
        let mut bytes = [0; 512];
        for round in 0..3u8 {
            let (length, client) = socket.recv_from(&mut bytes).unwrap();
            let answer = &mut bytes[..length];
            assert_eq!(&answer[12..], b"\x07Example\x03org\0\0\x01\0\x01");
            // QR is set; the response code is NXDOMAIN.
            answer[2] |= 0x80;
            answer[3] |= 3;
            if round == 2 {
                answer[0] ^= 0xFF;
            }
            socket.send_to(answer, client).unwrap();
        }
    });
    probe("127.0.0.1", &[80], &format!("{lines}\nrcodes = [3]")).unwrap();
    assert_eq!(fault("127.0.0.1", &[80], &lines), format!("127.0.0.1:{port}: DNS response code 3"));
    let strange = fault("127.0.0.1", &[80], &format!("{lines}\nrcodes = [3]"));
    assert_eq!(strange, "dns: no answer within 1000 ms", "an answer with another id is none");
    server.join().unwrap();
    let refused = fault("127.0.0.1", &[80], &lines);
    assert!(refused.contains("Connection refused"), "{refused}");
}

/// Runs openssl in a directory.
fn openssl(directory: &Path, arguments: &str) {
    let ran = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output();
    let ran = ran.unwrap_or_else(|error| panic!("openssl cannot be run: {error}; run scripts/install-deps test"));
    assert!(ran.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// Makes an authority and a certificate of it for a host.
fn certificates(directory: &Path, authority: &str) {
    openssl(
        directory,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={authority} -keyout {authority}.key -out {authority}.pem"
        ),
    );
    openssl(
        directory,
        &format!("req -newkey rsa:2048 -nodes -subj /CN=h -keyout {authority}-h.key -out {authority}-h.csr"),
    );
    std::fs::write(directory.join("extensions"), "subjectAltName=DNS:h.example\n").unwrap();
    openssl(
        directory,
        &format!(
            "x509 -req -days 2 -in {authority}-h.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial \
             -extfile extensions -out {authority}-h.pem"
        ),
    );
}

/// A server of openssl; ends when it is dropped.
struct Tls(Child);

impl Drop for Tls {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Serves pages with a certificate on a port.
fn serve_tls(directory: &Path, authority: &str, port: u16) -> Tls {
    let arguments =
        format!("s_server -accept 127.0.0.1:{port} -cert {authority}-h.pem -key {authority}-h.key -www -quiet");
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(directory);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Tls(command.spawn().unwrap());
    wait_until("openssl listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    server
}

#[test]
fn a_certificate_that_is_wrong_is_down() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path(), "one");
    certificates(directory.path(), "two");
    let port = common::real::free_port();
    let _server = serve_tls(directory.path(), "one", port);
    let ca = |name: &str| format!("kind = \"https\"\nca_file = \"{}/{name}.pem\"", directory.path().display());
    let good = format!("{}\nhost = \"h.example\"", ca("one"));
    probe("127.0.0.1", &[port], &good).unwrap();
    let other_authority = fault("127.0.0.1", &[port], &format!("{}\nhost = \"h.example\"", ca("two")));
    assert!(other_authority.contains(": TLS: invalid peer certificate"), "{other_authority}");
    for host in ["", "\nhost = \"i.example\""] {
        let other_host = fault("127.0.0.1", &[port], &format!("{}{host}", ca("one")));
        assert!(other_host.contains(": TLS: invalid peer certificate"), "{other_host}");
    }
    probe("127.0.0.1", &[port], "kind = \"https\"\nverify = false").unwrap();
    // Without an authority of ours the machine's count: none of them has signed it. Where it has none, that is our fault.
    let error = probe("127.0.0.1", &[port], "kind = \"https\"\nhost = \"h.example\"").unwrap_err();
    assert!(error.is_ours() || error.to_string().contains("invalid peer certificate"), "{error}");
    std::fs::write(directory.path().join("none.pem"), "").unwrap();
    let none = probe("127.0.0.1", &[port], &ca("none")).unwrap_err();
    assert!(none.is_ours() && none.to_string().contains("no certificate is in it"), "{none}");
    // A server that is no TLS.
    let plain = Web::answering(|_| 200);
    let found = fault("127.0.0.1", &[plain.address.port()], &good);
    assert!(found.contains(": TLS: ") || found.contains("no answer"), "{found}");
}

#[test]
fn a_target_without_a_port_is_a_fault_of_ours() {
    let plan = Plan { kind: ringdns_controlplane::config::health::ProbeKind::Tcp, ports: Vec::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(Prober::new(Duration::from_secs(1)).probe("127.0.0.1", &plan)).unwrap_err();
    assert!(error.is_ours(), "{error}");
}
