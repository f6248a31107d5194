//! How the control plane's interfaces show what is forwarded and kept: a real one beside a real forwarder, asked over its sockets.

#[path = "../../../controlplane/tests/common/mod.rs"]
mod plane;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use ringdns_controlplane::config::Config;
use ringdns_controlplane::config::forward::UpstreamConfig;
use ringdns_controlplane::foreign::{ForeignCache, Waits};
use ringdns_controlplane::sockets::{Asking, SocketOptions};
use ringdns_controlplane::{BuildInfo, ClusterPort, ControlPlane};
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::Publisher;
use ringdns_engine::serve::{ChaosConfig, EdnsConfig, MessageConfig};
use ringdns_engine::snapshot::Snapshot;
use ringdns_forward::policy::AskAll;
use ringdns_forward::{Exchange, Forwarder, Seams};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::common::{A, Double, Said, address, config, message, now, soa, zone};
use plane::{Client, config_text, wait_until};

/// Longest time that an answer may take.
const WAIT: Duration = Duration::from_secs(20);

/// No ports.
#[derive(Debug, Default)]
struct NoPorts(Counters);

impl Waits for NoPorts {
    fn served(&self) -> &Counters {
        &self.0
    }

    fn lost(&self) -> u64 {
        0
    }
}

/// A server.
struct Host {
    plane: Option<ControlPlane>,
    forwarder: Forwarder,
    double: Arc<Double>,
    /// How far the forwarder's clock is ahead of the machine's, in seconds.
    ahead: Arc<AtomicU32>,
    _runtime: Runtime,
    _directory: tempfile::TempDir,
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.plane.take().map(ControlPlane::shutdown));
        self.forwarder.stop();
    }
}

impl Host {
    /// With these tables. Upstreams give an address to names that begin with "a", and deny all others.
    fn new(tables: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let zone_file =
            "[[zone_file]]\nzone = \"ours.\"\ntext = \"@ 60 SOA ns m 1 2 3 4 5\\n@ 60 NS ns\\nns 60 A 192.0.2.1\\n\"\n";
        let more = format!("[sockets]\nlisten = [\"127.0.0.1:0\"]\n{tables}{zone_file}");
        let text = config_text(directory.path(), &more);
        let configuration = Config::parse(&directory.path().join("ringdns.toml"), &text).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let publisher = Publisher::new(Snapshot::empty());
        let newest = publisher.newest();
        let double = Double::new(|asked| match asked.name.to_string().starts_with('a') {
            true => address(asked, 300, "192.0.2.7"),
            false => now(message(asked, 3, "", &soa("test.", 300, 300))),
        });
        let ahead = Arc::new(AtomicU32::new(0));
        let (of_clock, upstream) = (Arc::clone(&ahead), Arc::clone(&double));
        let seams = Seams {
            connect: Arc::new(move |_: &UpstreamConfig, _, _| Ok(Arc::clone(&upstream) as Arc<dyn Exchange>)),
            clock: Arc::new(move || seconds() + of_clock.load(Ordering::SeqCst)),
        };
        let forward = config(vec![zone(".", &[1])]);
        let snapshots = Arc::new(move || newest.get());
        let handle = runtime.handle().clone();
        let forwarder = Forwarder::start_with(&forward, handle, snapshots, Arc::new(AskAll), seams).unwrap();
        let messages = MessageConfig {
            udp_answer_bytes_max: 1232,
            hides_aaaa: false,
            edns: EdnsConfig::default(),
            chaos: ChaosConfig::default(),
            rate_limit: None,
            recall: forwarder.recall(),
        };
        let sockets = SocketOptions {
            listen: configuration.sockets.listen.clone(),
            answers: messages,
            names: configuration.stats.names,
            others: Some(Asking { asker: Arc::new(forwarder.clone()), time_max: WAIT }),
        };
        let build = BuildInfo { version: "1".into(), commit: "a".into(), dpdk: "2".into() };
        let workers = vec![Arc::new(Counters::default())];
        let plane = ControlPlane::start(&configuration, sockets, workers, publisher, build, Vec::new()).unwrap();
        plane.show_foreign(Arc::new(forwarder.clone()), Arc::<NoPorts>::default());
        plane.show_metrics(vec![forwarder.metrics()]);
        wait_until("the sources are synced", || plane.is_synced());
        Self { plane: Some(plane), forwarder, double, ahead, _runtime: runtime, _directory: directory }
    }

    fn plane(&self) -> &ControlPlane {
        self.plane.as_ref().unwrap()
    }

    /// Where DNS is answered.
    fn dns(&self) -> SocketAddr {
        self.plane().socket_addresses()[0]
    }

    /// Asks over UDP: the response code, and the TTL of the first record.
    fn ask(&self, qname: &str) -> (u8, Option<u32>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        socket.send_to(&query(qname), self.dns()).unwrap();
        let mut room = [0; 1500];
        let length = socket.recv(&mut room).unwrap();
        told(&room[..length])
    }

    /// The same over TCP.
    fn ask_tcp(&self, qname: &str) -> (u8, Option<u32>) {
        let mut stream = TcpStream::connect(self.dns()).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        let query = query(qname);
        stream.write_all(&[&u16::try_from(query.len()).unwrap().to_be_bytes()[..], &query].concat()).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut answer).unwrap();
        told(&answer)
    }
}

/// The machine's time, in seconds since 1970.
fn seconds() -> u32 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u32::try_from(since.as_secs()).unwrap()
}

/// A query for an address.
fn query(qname: &str) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Query;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(qname.parse::<Name>().unwrap(), RecordType::from(A)));
    message.to_vec().unwrap()
}

/// What an answer says.
fn told(answer: &[u8]) -> (u8, Option<u32>) {
    let message = Message::from_vec(answer).unwrap();
    (answer[3] & 15, message.answers.first().map(|record| record.ttl))
}

#[test]
fn containerdns_shows_the_message_cache_and_drops_from_it() {
    let host = Host::new("[containerdns_stats]\nlisten = \"127.0.0.1:0\"\ntoken = \"t\"\n");
    let client = Client { address: host.plane().containerdns_stats_address().unwrap() };
    let tell = |method: &str, path: &str, body: &str| {
        let reply = client.request(method, &format!("/containerdns{path}?token=t"), &[], body);
        assert_eq!(reply.status, 200, "{method} {path}");
        reply.body.strip_suffix('\n').unwrap().to_owned()
    };
    let missing = |name: &str| format!("no found domain: {name}");
    assert_eq!(tell("GET", "/stats", ""), "{\"domainSize\":2}");
    assert_eq!(host.ask("ns.ours."), (0, Some(60)));
    for _ in 0..2 {
        assert_eq!(host.ask("a.test.").0, 0);
    }
    assert_eq!(host.ask("none.test."), (3, None));
    let counted = "{\"reqCount\":4,\"forwardCount\":2,\"cacheMissCount\":2,\"dataCachedCount\":1,\"cacheSizeUsed\":2,\
                   \"domainSize\":2,\"noNameCount\":1}";
    wait_until("all is counted", || tell("GET", "/stats", "") == counted);
    assert_eq!(serde_json::from_str::<Value>(&tell("GET", "/stats/a.test", "")).unwrap()["reqCount"], 2);

    let shown: Value = serde_json::from_str(&tell("GET", "/domain/A.test", "")).unwrap();
    assert_eq!(
        (&shown["Rcode"], &shown["RecursionAvailable"], &shown["Authoritative"]),
        (&json!(0), &json!(true), &json!(false))
    );
    assert_eq!((&shown["Question"][0]["Name"], &shown["Answer"][0]["A"]), (&json!("a.test."), &json!("192.0.2.7")));
    assert!(shown["Answer"][0]["Hdr"]["Ttl"].as_u64().unwrap() <= 300);
    let denial: Value = serde_json::from_str(&tell("GET", "/domain/none.test.", "")).unwrap();
    assert_eq!(
        (&denial["Rcode"], &denial["Answer"], &denial["Ns"][0]["Minttl"]),
        (&json!(3), &Value::Null, &json!(300))
    );
    for path in ["/domain/test", "/domain/b.a.test", "/domain/never.test"] {
        let name = format!("{}.", path.rsplit('/').next().unwrap());
        assert_eq!([tell("GET", path, ""), tell("DELETE", path, "")], [missing(&name), missing(&name)], "{path}");
    }
    assert_eq!(tell("DELETE", "/domain/a.test", ""), "OK");
    assert_eq!(tell("DELETE", "/domain/a.test", ""), missing("a.test."));
    assert_eq!(tell("GET", "/domain/a.test", ""), missing("a.test."));
    assert_eq!(host.double.count(), 2);
    assert_eq!(host.ask("a.test.").0, 0);
    assert_eq!(host.double.count(), 3, "it was asked for again");
    assert!(tell("GET", "/domain/ns.ours", "").contains("\"A\":\"192.0.2.1\""), "a name of ours is shown as before");
    assert_eq!(tell("DELETE", "/domain/ns.ours", ""), "OK");
    assert_eq!(tell("POST", "/domainL1/a.test", ""), "OK", "the original has none of others there, and says so");

    assert_eq!(tell("GET", "/master", ""), "{\"cacheTtl\":86400,\"syncPeriod\":10}");
    assert_eq!(tell("POST", "/master", "{\"cacheTtl\":7}"), "OK");
    assert_eq!(tell("GET", "/master", ""), "{\"cacheTtl\":7,\"syncPeriod\":10}");
    let (rcode, ttl) = host.ask("again.test.");
    assert!(rcode == 0 && ttl.is_some_and(|ttl| ttl <= 7), "{ttl:?}");
    assert_eq!(tell("POST", "/master", "{\"cacheTtl\":9999999999}"), "OK");
    assert_eq!(tell("GET", "/master", ""), "{\"cacheTtl\":604800,\"syncPeriod\":10}");
}

#[test]
fn kdns_counts_what_is_forwarded_by_transport_name_and_client() {
    let host = Host::new("[kdns_api]\nlisten = \"127.0.0.1:0\"\nzones = [\"kdns.test.\"]\nmetrics_host = \"h1\"\n");
    let client = Client { address: host.plane().kdns_address().unwrap() };
    let get = |path: &str| client.request("GET", &format!("/kdns/{path}"), &[], "").json();
    let begun = seconds();
    for _ in 0..3 {
        host.ask("a.test.");
    }
    host.ask_tcp("a.test.");
    host.ask_tcp("ab.test.");
    host.ask("ns.ours.");
    let numbers = || {
        let all = get("statistics/get");
        ["udp_fwd_rcv", "udp_fwd_snd", "udp_fwd_lost", "tcp_fwd_rcv", "tcp_fwd_snd", "tcp_fwd_lost"]
            .map(|member| all[member].as_f64().unwrap())
    };
    wait_until("all is counted", || numbers() == [3.0, 3.0, 0.0, 2.0, 2.0, 0.0]);
    assert_eq!(client.request("POST", "/kdns/statistics/reset", &[], "").body, "OK\n");
    assert_eq!(numbers(), [0.0; 6]);

    assert_eq!(get("metrics/domains"), json!([]), "nothing before the first look");
    host.ahead.fetch_add(600, Ordering::SeqCst);
    wait_until("it was looked", || get("metrics/domains") != json!([]));
    let names = get("metrics/domains");
    let list: Vec<&str> = names.as_array().unwrap().iter().map(|row| row["Domain"].as_str().unwrap()).collect();
    assert_eq!(list, ["a.test.", "ab.test."], "those that the cache had no answer to");
    let first = &names[0];
    assert_eq!(first["QueryNum"], 1.0);
    let times = ["FirstQueryTime", "LastQueryTime"].map(|member| first[member].as_f64().unwrap() / 1e6);
    assert!(f64::from(begun) <= times[0] && times[0] == times[1] && times[1] <= f64::from(seconds()), "{first}");
    assert_eq!((1..=4).map(|place| first[format!("metrics{place}")].as_f64().unwrap()).sum::<f64>(), 1.0);
    assert!(first["MinTime"].as_f64() <= first["MaxTime"].as_f64() && first["SumTime"] == first["MaxTime"]);
    let clients = get("metrics/clientIp");
    assert_eq!((&clients[1]["Domain"], &clients[1]["Host"]), (&json!("ab.test."), &json!("h1")));
    assert_eq!(clients[1]["SourceIP"], 0x0100_007f);
    host.ahead.fetch_add(601, Ordering::SeqCst);
    wait_until("what nobody asks for is forgotten", || get("metrics/domains") == json!([]));
}

#[test]
fn coredns_dashboards_find_their_names() {
    let host = Host::new("[cluster_http]\nmetrics = \"127.0.0.1:0\"\n");
    let client = Client { address: host.plane().cluster_address(ClusterPort::Metrics).unwrap() };
    host.ask("a.test.");
    host.ask("a.test.");
    host.ask("none.test.");
    // One that has waited for a while, over each transport.
    host.double.becomes(|asked| Said(Duration::from_millis(300), address(asked, 300, "192.0.2.7").1));
    host.ask("aa.test.");
    host.ask_tcp("ab.test.");
    let metrics = || client.request("GET", "/metrics", &[], "").body;
    let server = "server=\"dns://:53\",zones=\".\",view=\"\"";
    let port = host.dns().port();
    for row in [
        format!("coredns_cache_entries{{{server},type=\"success\"}} 3.0"),
        format!("coredns_cache_entries{{{server},type=\"denial\"}} 1.0"),
        format!("coredns_cache_evictions_total{{{server},type=\"denial\"}} 0"),
        format!("coredns_cache_misses_total{{{server}}} 4"),
        format!("coredns_cache_hits_total{{server=\"dns://:{port}\",type=\"success\",zones=\".\",view=\"\"}} 1"),
        format!("coredns_cache_requests_total{{server=\"dns://:{port}\",zones=\".\",view=\"\"}} 5"),
        format!("coredns_dns_request_duration_seconds_count{{server=\"dns://:{port}\",zone=\"ours.\",view=\"\"}} 5"),
        format!("coredns_cache_served_stale_total{{{server}}} 0"),
        "coredns_forward_healthcheck_broken_total 0".to_owned(),
        "coredns_forward_max_concurrent_rejects_total 0".to_owned(),
        "coredns_forward_responses_total{to=\"double\",zone=\".\",rcode=\"NXDOMAIN\"} 1".to_owned(),
        "coredns_forward_response_rcode_count_total{to=\"double\",zone=\".\",rcode=\"NOERROR\"} 3".to_owned(),
        "coredns_forward_request_duration_seconds_count{to=\"double\",zone=\".\",rcode=\"NOERROR\"} 3".to_owned(),
        "coredns_proxy_request_duration_seconds_count{proxy_name=\"forward\",to=\"double\",zone=\".\",rcode=\"NOERROR\"} 3"
            .to_owned(),
        "coredns_proxy_healthcheck_failures_total{proxy_name=\"forward\",to=\"double\",zone=\".\"} 0".to_owned(),
        "coredns_proxy_conn_cache_hits_total{proxy_name=\"forward\",to=\"double\",zone=\".\",proto=\"tcp\"} 0".to_owned(),
        "coredns_forward_conn_cache_misses_total{to=\"double\",zone=\".\",proto=\"tcp\"} 0".to_owned(),
        format!("coredns_plugin_enabled{{server=\"dns://:{port}\",zone=\"ours.\",view=\"\",name=\"forward\"}} 1"),
    ] {
        wait_until(&row, || metrics().lines().any(|line| line.replace("{} ", " ") == row));
    }
    let told = metrics();
    let sum = told.lines().find_map(|line| line.strip_prefix("coredns_dns_request_duration_seconds_sum{"));
    let sum: f64 = sum.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(sum >= 0.6, "the time of those that have waited counts: {sum}");
}
