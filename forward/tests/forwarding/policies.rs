//! Policies of files, as they change answers, what is kept of them, and what is removed when the files have changed.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ringdns_controlplane::config::Config;
use ringdns_engine::cache::EntryBits;
use ringdns_engine::recall::{AskOthers, ForeignQuestion, KeptAnswer};
use ringdns_forward::policy::Policies;
use ringdns_forward::upstream::Failure;

use crate::common::{A, AAAA, Asked, Double, Said, Scene, address, config, message, name, now, pass, shown, zone};

/// All types.
const ANY: u16 = 255;

/// A forwarder with the policies of a file, and that file.
struct Judged {
    scene: Scene,
    policies: Arc<Policies>,
    folder: tempfile::TempDir,
    double: Arc<Double>,
}

impl Judged {
    /// With lists of names, and a response policy zone, each as text.
    fn new(names: &str, zone_text: &str, more: &str, double: Arc<Double>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("names"), names).unwrap();
        fs::write(folder.path().join("zone"), format!("$TTL 20\n{zone_text}")).unwrap();
        let policies = Policies::load(&Self::config(folder.path(), more)).unwrap();
        let scene = Scene::with_policy(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)], policies.clone());
        let forwarder = scene.forwarder.clone();
        policies.on_change(Arc::new(move |goes| {
            forwarder.flush_where(goes);
        }));
        Self { scene, policies, folder, double }
    }

    /// The configuration.
    fn config(folder: &Path, more: &str) -> Config {
        let lists = "[policy]\nlocal_names = false\nblock_files = [{ path = \"zone\", format = \"rpz\" },\n\
                     { path = \"names\", format = \"domains\" }]\n";
        let text =
            format!("[sockets]\nlisten = [\"127.0.0.1:1\"]\n[forward]\nupstreams = [\"192.0.2.1\"]\n{lists}{more}");
        Config::parse(&folder.join("r.toml"), &text).unwrap()
    }

    /// Writes a file anew, and has it read.
    fn write(&self, file: &str, text: &str) {
        let ttl = if file == "zone" { "$TTL 20\n" } else { "" };
        fs::write(self.folder.path().join(file), format!("{ttl}{text}")).unwrap();
        assert!(!self.policies.look() && self.policies.look());
    }

    /// What a client is told, and what it was given.
    async fn told(&self, qname: &str, client: &str, is_stream: bool) -> Option<Arc<KeptAnswer>> {
        let (done, answer) = tokio::sync::oneshot::channel();
        let client = client.parse::<IpAddr>().unwrap();
        let question = ForeignQuestion { name: name(qname), qtype: A, bits: EntryBits::default(), client, is_stream };
        self.scene.forwarder.ask(question, Box::new(move |answer| drop(done.send(answer))));
        answer.await.unwrap()
    }

    /// The same as text.
    async fn text(&self, qname: &str, client: &str, is_stream: bool) -> String {
        self.told(qname, client, is_stream).await.map_or("nothing".to_owned(), |answer| shown(qname, A, &answer))
    }
}

/// Somebody to whom nobody objects.
const CLIENT: &str = "198.51.100.7";

/// Says where names lead: `to-x.test.` to `x.test.`, and others to an address by their label.
fn leading(asked: &Asked) -> Said {
    let first = String::from_utf8_lossy(asked.name.labels().next().unwrap()).into_owned();
    let last = if first.ends_with("bad") { "66" } else { "1" };
    now(match first.strip_prefix("to-") {
        Some(target) => {
            let answer = format!("{} 300 IN CNAME {target}.test.\n{target}.test. 300 IN A 192.0.2.{last}", asked.name);
            message(asked, 0, &answer, "")
        }
        None => message(asked, 0, &format!("{} 300 IN A 192.0.2.{last}", asked.name), ""),
    })
}

#[tokio::test(start_paused = true)]
async fn an_alias_of_the_policy_is_followed_and_kept() {
    let zone = "evil.test CNAME garden.test.\n*.wide.test CNAME *.garden.test.\nself.test CNAME x.self.test.\n*.self.test CNAME .\n\
                ours.test CNAME www.here.test.\n";
    let judged = Judged::new("garden.test\n", zone, "", Double::new(leading));
    let scene = &judged.scene;
    let evil = "NOERROR evil.test. 20 CNAME garden.test., garden.test. 300 A 192.0.2.1";
    assert_eq!(scene.ask("evil.test.", A).await, evil, "what it leads to is not judged");
    assert_eq!((scene.ask("evil.test.", A).await, judged.double.count()), (evil.to_owned(), 1));
    assert_eq!(scene.entries(), ["evil.test. 1"], "workers give it");
    let wide = scene.ask("a.b.wide.test.", A).await;
    assert_eq!(
        wide,
        "NOERROR a.b.wide.test. 20 CNAME a.b.wide.test.garden.test., a.b.wide.test.garden.test. 300 A 192.0.2.1"
    );
    assert!(
        scene.ask("self.test.", A).await.starts_with("NOERROR self.test. 20 CNAME x.self.test., x.self.test. 300 A")
    );
    assert_eq!(
        scene.ask("evil.test.", 5).await,
        "NOERROR evil.test. 20 CNAME garden.test.",
        "itself is what was asked for"
    );
    scene.serve(&[("here.test.", &[("www.here.test.", [203, 0, 113, 5])])]);
    let ours = scene.ask("ours.test.", A).await;
    assert_eq!(ours, "NOERROR ours.test. 20 CNAME www.here.test., www.here.test. 60 A 203.0.113.5");
    pass(21).await;
    let count = judged.double.count();
    assert_eq!(
        (scene.ask("evil.test.", A).await, judged.double.count()),
        (evil.to_owned(), count + 1),
        "its time was over"
    );
    judged.write("zone", "other.test CNAME .\n");
    assert_eq!(scene.ask("evil.test.", A).await, "NOERROR evil.test. 300 A 192.0.2.1");
}

#[tokio::test(start_paused = true)]
async fn addresses_in_answers_are_judged_before_they_are_kept() {
    let zone = "32.66.2.0.192.rpz-ip CNAME .\nfine-bad.test CNAME rpz-passthru.\n";
    let judged = Judged::new("", zone, "", Double::new(leading));
    let scene = &judged.scene;
    let denial = |qname: &str| format!("NXDOMAIN  / {qname} 60 SOA {qname} nobody.invalid. 1 3600 1200 604800 60");
    assert_eq!(scene.ask("bad.test.", A).await, denial("bad.test."));
    assert_eq!(scene.ask("to-bad.test.", A).await, denial("to-bad.test."), "at the end of a chain too");
    assert_eq!(scene.ask("fine-bad.test.", A).await, "NOERROR fine-bad.test. 300 A 192.0.2.66");
    assert_eq!(scene.ask("good.test.", A).await, "NOERROR good.test. 300 A 192.0.2.1");
    assert_eq!(scene.entries(), ["fine-bad.test. 1", "good.test. 1"], "what was changed is not where workers look");
    let count = judged.double.count();
    assert_eq!(scene.ask("bad.test.", A).await, denial("bad.test."));
    assert_eq!(
        (judged.double.count(), scene.metric("ringdns_forward_entries_apart")),
        (count, 2),
        "it is kept all the same"
    );
    judged.write("zone", "32.1.2.0.192.rpz-ip CNAME rpz-drop.\n");
    assert_eq!(scene.entries(), Vec::<String>::new(), "names and addresses of old and new lists");
    assert_eq!(scene.ask("bad.test.", A).await, "NOERROR bad.test. 300 A 192.0.2.66");
    assert_eq!(judged.text("good.test.", CLIENT, false).await, "nothing");
    judged.write("zone", "32.66.2.0.192.rpz-ip CNAME sink.test.\n");
    let sunk = scene.ask("bad.test.", A).await;
    assert_eq!(sunk, "NOERROR bad.test. 20 CNAME sink.test., sink.test. 300 A 192.0.2.1");
    assert!(!scene.entries().contains(&"bad.test. 1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_refreshed_answer_that_is_changed_takes_the_place_of_the_one_before() {
    let judged = Judged::new(
        "",
        "32.66.2.0.192.rpz-ip A 203.0.113.9\n",
        "",
        Double::new(|asked| address(asked, 9, "192.0.2.1")),
    );
    let scene = &judged.scene;
    scene.ask("a.test.", A).await;
    judged.double.becomes(|asked| address(asked, 9, "192.0.2.66"));
    pass(9).await;
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 20 A 203.0.113.9");
    assert!(scene.entries().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_alias_to_a_name_that_comes_onto_a_list_goes_and_others_stay() {
    let judged = Judged::new("", "", "", Double::new(leading));
    let scene = &judged.scene;
    for qname in ["to-ads.test.", "to-news.test.", "plain.test."] {
        scene.ask(qname, A).await;
    }
    assert_eq!(scene.entries().len(), 3);
    judged.write("names", "ads.test\n");
    assert_eq!(scene.entries(), ["to-news.test. 1", "plain.test. 1"]);
    let blocked = scene.ask("to-ads.test.", A).await;
    assert!(blocked.starts_with("NXDOMAIN to-ads.test. 300 CNAME ads.test. / ads.test. 60 SOA"), "{blocked}");
    judged.write("names", "");
    assert_eq!(scene.entries(), ["to-news.test. 1", "plain.test. 1"], "what the list has made goes with it");
    let free = scene.ask("to-ads.test.", A).await;
    assert_eq!(free, "NOERROR to-ads.test. 300 CNAME ads.test., ads.test. 300 A 192.0.2.1");
}

#[tokio::test(start_paused = true)]
async fn what_a_list_says_of_a_client_is_for_it_alone() {
    let zone = "24.0.0.0.10.rpz-client-ip CNAME rpz-passthru.\n32.9.1.0.10.rpz-client-ip CNAME .\n\
                32.8.1.0.10.rpz-client-ip CNAME rpz-tcp-only.\n32.7.1.0.10.rpz-client-ip CNAME jail.test.\n";
    let judged = Judged::new("ads.test\n", zone, "", Double::new(leading));
    let scene = &judged.scene;
    assert!(judged.text("ads.test.", CLIENT, false).await.starts_with("NXDOMAIN"));
    let free = "NOERROR ads.test. 300 A 192.0.2.1";
    assert_eq!(judged.text("ads.test.", "10.0.0.1", false).await, free);
    assert_eq!(judged.text("ads.test.", "10.0.0.2", false).await, free);
    assert_eq!(
        (judged.double.count(), scene.entries()),
        (1, vec!["ads.test. 1".to_owned()]),
        "kept for those it is for"
    );
    assert!(judged.text("ads.test.", CLIENT, false).await.starts_with("NXDOMAIN"));
    assert!(judged.text("news.test.", "10.0.1.9", false).await.starts_with("NXDOMAIN"));
    assert_eq!(judged.text("news.test.", CLIENT, false).await, "NOERROR news.test. 300 A 192.0.2.1");
    let cut = judged.told("news.test.", "10.0.1.8", false).await.unwrap();
    assert!(cut.body.len() > 4096 && cut.ttl_seconds == 0, "no datagram has room for it");
    assert_eq!(judged.text("news.test.", "10.0.1.8", true).await, "NOERROR news.test. 300 A 192.0.2.1");
    let jail = "NOERROR news.test. 20 CNAME jail.test., jail.test. 300 A 192.0.2.1";
    assert_eq!(judged.text("news.test.", "10.0.1.7", false).await, jail);
    assert_eq!(judged.text("news.test.", CLIENT, false).await, "NOERROR news.test. 300 A 192.0.2.1");
    // A failure is no more for others than an answer.
    judged.double.becomes(|_| Said(Duration::ZERO, Err(Failure::Unreachable)));
    assert_eq!(judged.text("new.test.", "10.0.0.1", false).await, "SERVFAIL");
    judged.double.becomes(leading);
    assert_eq!(judged.text("new.test.", CLIENT, false).await, "NOERROR new.test. 300 A 192.0.2.1");
}

#[tokio::test(start_paused = true)]
async fn names_that_are_to_come_by_tcp_are_asked_for_then_and_not_kept_for_others() {
    let judged = Judged::new("", "tcp.test CNAME rpz-tcp-only.\n", "", Double::new(leading));
    assert!(judged.told("tcp.test.", CLIENT, false).await.unwrap().body.len() > 4096);
    assert_eq!(judged.double.count(), 0);
    for _ in 0..2 {
        assert_eq!(judged.text("tcp.test.", CLIENT, true).await, "NOERROR tcp.test. 300 A 192.0.2.1");
    }
    assert_eq!((judged.double.count(), judged.scene.entries().len()), (1, 0));
    assert!(judged.told("tcp.test.", CLIENT, false).await.unwrap().body.len() > 4096);
    let alias = judged.text("to-tcp.test.", CLIENT, false).await;
    assert_eq!(
        alias, "NOERROR to-tcp.test. 300 CNAME tcp.test., tcp.test. 300 A 192.0.2.1",
        "what it leads to is theirs to say"
    );
}

#[tokio::test(start_paused = true)]
async fn addresses_that_are_hidden_are_hidden_where_everything_is_asked_for() {
    let double = Double::new(|asked| {
        let both = format!("{0} 300 IN A 192.0.2.1\n{0} 300 IN AAAA 2001:db8::1", asked.name);
        let only = format!("{} 300 IN AAAA 2001:db8::1", asked.name);
        now(message(asked, 0, if asked.is("six.test.") { &only } else { &both }, ""))
    });
    let hidden = Judged::new("", "", "[dns]\naaaa = \"nodata\"\n", Arc::clone(&double));
    assert_eq!(hidden.scene.ask("a.test.", ANY).await, "NOERROR a.test. 300 A 192.0.2.1");
    assert_eq!(hidden.scene.ask("six.test.", ANY).await, "NOERROR");
    assert!(hidden.scene.ask("a.test.", AAAA).await.starts_with("NOERROR  / a.test. 60 SOA"));
    assert_eq!(hidden.scene.entries(), ["a.test. 255", "a.test. 28"]);
    hidden.policies.reload(&Judged::config(hidden.folder.path(), "")).unwrap();
    assert!(hidden.scene.entries().is_empty());
    assert_eq!(hidden.scene.kept("a.test.", ANY).await.counts, [2, 0]);
}
