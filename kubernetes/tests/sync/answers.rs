//! A server outside of the cluster that reads the tree answers as one that follows the cluster itself.

use std::path::Path;
use std::sync::Arc;

use ringdns_controlplane::config::Config;
use ringdns_controlplane::sockets::SocketOptions;
use ringdns_controlplane::{BuildInfo, ControlPlane};
use ringdns_engine::counters::Counters;
use ringdns_engine::publish::{Publisher, Reader};
use ringdns_engine::serve::{ChaosConfig, EdnsConfig, MessageConfig, MessageServer, Transport};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::testing::query;

use super::scene::{Scene, service, slice, wait_until};
use crate::message;

/// A server without sockets.
struct Served {
    /// What is published.
    reader: Reader,
    /// Answers.
    server: MessageServer,
    /// The control plane.
    _plane: ControlPlane,
}

impl Served {
    /// Starts one with a source.
    fn start(directory: &Path, lines: &str) -> Self {
        let text = format!(
            "[[port]]\ndevice = \"net_null0\"\naddresses = [\"192.0.2.53\"]\n[store]\npath = \"{0}/ringdns.redb\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef\"\n{lines}\n",
            directory.display()
        );
        let config = Config::parse(&directory.join("ringdns.toml"), &text).unwrap();
        let publisher = Publisher::new(Snapshot::empty());
        let reader = publisher.reader();
        let answers = MessageConfig {
            udp_answer_bytes_max: 4096,
            edns: EdnsConfig::default(),
            chaos: ChaosConfig::default(),
            rate_limit: None,
            recall: None,
            hides_aaaa: false,
        };
        let sockets =
            SocketOptions { listen: Vec::new(), answers: answers.clone(), names: config.stats.names, others: None };
        let build = BuildInfo { version: "1.2.3".into(), commit: "abc".into(), dpdk: "22.11".into() };
        let guests = ringdns_kubernetes::guest(&config).into_iter().collect();
        let plane = ControlPlane::start(&config, sockets, vec![Arc::default()], publisher, build, guests).unwrap();
        wait_until("everything is read", || plane.is_synced());
        Self { reader, server: MessageServer::new(&answers, Transport::Tcp), _plane: plane }
    }

    /// Response code and answer of a question.
    fn says(&mut self, qname: &str, qtype: &str) -> String {
        let question = query(qname, message::type_number(qtype));
        let mut buffer = vec![0; 65_535];
        buffer[..question.len()].copy_from_slice(&question);
        let client = "192.0.2.1:4242".parse().unwrap();
        let length = self.server.answer(client, &mut buffer, question.len(), self.reader.pin(), &Counters::default());
        let reply = message::read(&buffer[..length.unwrap()]);
        let mut found: Vec<String> =
            reply.sections[0].iter().map(|record| format!("{} {}", record.ttl, record.rdata)).collect();
        found.sort();
        format!("{} {}", reply.rcode, found.join(", "))
    }
}

#[test]
fn a_server_that_reads_the_tree_answers_as_one_that_follows_the_cluster() {
    let scene = Scene::start();
    let mut dual = service("a", "web", "10.96.0.2");
    dual["spec"]["clusterIPs"] = serde_json::json!(["10.96.0.2", "fd00::2"]);
    scene.server.put(dual);
    scene.server.put(service("a", "one", "10.96.0.3"));
    scene.server.put(serde_json::json!({ "kind": "Namespace", "metadata": { "name": "a" } }));
    scene.server.put(service("a", "db", "None"));
    scene.server.put(slice("a", "db", &[("db-0", "10.9.0.5"), ("", "10.9.0.6")]));
    let writers = ["skydns", "containerdns"].map(|layout| {
        let more = if layout == "containerdns" { "service_addresses = \"cluster-ip\"" } else { "" };
        scene.writer(layout, &format!("layout = \"{layout}\"\n{more}"))
    });
    writers.iter().for_each(|writer| writer.wait_synced());

    let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let api = scene.server.address();
    let cluster = format!(
        "[kubernetes]\nzones = [\"cluster.local\"]\nendpoint = \"http://{api}\"\ncompatibility = \"kube2sky\"\n"
    );
    let mut cluster = Served::start(directories[0].path(), &cluster);
    for (layout, directory) in ["skydns", "containerdns"].into_iter().zip(&directories[1..]) {
        let path = directory.path();
        let port = scene.etcd.members[0].port;
        let tree = format!(
            "[etcd]\nendpoints = [\"http://127.0.0.1:{port}\"]\ncache_file = \"{}/etcd.cache\"\n\
             [[etcd_tree]]\nlayout = \"{layout}\"\nzones = [\"cluster.local\"]\n",
            path.display()
        );
        let mut tree = Served::start(path, &tree);
        let mut asked = vec![
            ("web.a.svc.cluster.local", "A"),
            ("web.a.svc.cluster.local", "AAAA"),
            ("db.a.svc.cluster.local", "A"),
            ("db.a.svc.cluster.local", "AAAA"),
            ("none.a.svc.cluster.local", "A"),
        ];
        if layout == "skydns" {
            // ContainerDNS has no services of addresses, and no names of endpoints but for those that services have for targets; its
            // hashes are others.
            asked.extend([
                ("db-0.db.a.svc.cluster.local", "A"),
                ("_http._tcp.one.a.svc.cluster.local", "SRV"),
                ("_pg._tcp.db.a.svc.cluster.local", "SRV"),
                ("_none._tcp.one.a.svc.cluster.local", "SRV"),
            ]);
        } else {
            let found = tree.says("_pg._tcp.db.a.svc.cluster.local", "SRV");
            assert!(found.contains("5432 db-0.db.a.svc.cluster.local."), "{found}");
        }
        for (qname, qtype) in asked {
            let (expected, found) = (cluster.says(qname, qtype), tree.says(qname, qtype));
            assert_eq!(found, expected, "{qname} {qtype} by {layout}");
        }
    }
    assert!(cluster.says("web.a.svc.cluster.local", "A").contains("10.96.0.2"));
}
