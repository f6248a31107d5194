//! Who is asked for what, and what clients are told.

use std::sync::Arc;
use std::time::Duration;

use ringdns_controlplane::config::forward::{ForwardMode, Overload};
use ringdns_engine::cache::EntryBits;
use ringdns_engine::recall::{ForeignQuestion, KeptAnswer};
use ringdns_forward::policy::{Policy, Ruling};
use tokio::time::Instant;

use crate::common::{A, AAAA, Double, Scene, address, config, message, name, now, pass, shown, silence, soa, zone};

#[tokio::test(start_paused = true)]
async fn an_answer_is_asked_for_once_and_ages() {
    let double = Double::new(|asked| address(asked, 300, "192.0.2.9"));
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    assert_eq!(scene.ask("www.Test.", A).await, "NOERROR www.Test. 300 A 192.0.2.9");
    pass(100).await;
    assert_eq!(scene.ask("WWW.test.", A).await, "NOERROR WWW.test. 200 A 192.0.2.9");
    assert_eq!(double.count(), 1);
    pass(200).await;
    assert_eq!(scene.ask("www.test.", A).await, "NOERROR www.test. 300 A 192.0.2.9");
    assert_eq!(double.count(), 2);
    assert_eq!(scene.entries(), ["www.test. 1"]);
}

#[tokio::test(start_paused = true)]
async fn the_longest_zone_decides_at_the_borders_of_labels() {
    let doubles = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|said| Double::new(move |asked| address(asked, 9, said)));
    let mut zones =
        vec![zone(".", &[1]), zone("Corp.test.", &[2]), zone("b.corp.test.", &[3]), zone("off.test.", &[1])];
    zones[1].except = vec![name("secret.corp.test.")];
    zones[3].mode = ForwardMode::Disable;
    let scene = Scene::new(&config(zones), &doubles);
    for (qname, expected) in [
        ("corp.test.", "NOERROR corp.test. 9 A 192.0.2.2"),
        ("a.CORP.test.", "NOERROR a.corp.test. 9 A 192.0.2.2"),
        ("acorp.test.", "NOERROR acorp.test. 9 A 192.0.2.1"),
        ("x.b.corp.test.", "NOERROR x.b.corp.test. 9 A 192.0.2.3"),
        ("secret.corp.test.", "REFUSED"),
        ("a.secret.corp.test.", "REFUSED"),
        ("topsecret.corp.test.", "NOERROR topsecret.corp.test. 9 A 192.0.2.2"),
        ("a.off.test.", "REFUSED"),
        (".", "NOERROR . 9 A 192.0.2.1"),
    ] {
        assert_eq!(scene.ask(qname, A).await.to_lowercase(), expected.to_lowercase(), "{qname}");
    }
    let without_default = Scene::new(&config(vec![zone("corp.test.", &[1])]), &doubles);
    assert_eq!(without_default.ask("other.test.", A).await, "REFUSED");
}

#[tokio::test(start_paused = true)]
async fn names_of_ours_and_short_ones_are_not_asked_for() {
    let double = Double::new(|asked| address(asked, 300, "192.0.2.9"));
    let mut config = config(vec![zone(".", &[1])]);
    config.labels_min = 2;
    let scene = Scene::new(&config, &[Arc::clone(&double)]);
    scene.serve(&[("ours.test.", &[])]);
    for qname in ["ours.test.", "a.ours.test.", "test.", "."] {
        assert_eq!(scene.ask(qname, A).await, "SERVFAIL", "{qname}");
    }
    assert_eq!((double.count(), scene.entries().len()), (0, 0));
    assert!(scene.ask("a.test.", A).await.starts_with("NOERROR"));
}

#[tokio::test(start_paused = true)]
async fn do_and_cd_are_asked_for_and_kept_apart() {
    let double = Double::new(|asked| address(asked, 300, "192.0.2.9"));
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    let all = [
        EntryBits::default(),
        EntryBits::DNSSEC_OK,
        EntryBits::CHECKING_DISABLED,
        EntryBits::DNSSEC_OK.and(EntryBits::CHECKING_DISABLED),
    ];
    for bits in all.iter().chain(&all) {
        let answer = scene.begin_with("a.test.", A, *bits, "192.0.2.7").await.unwrap().unwrap();
        assert_eq!(shown("a.test.", A, &answer), "NOERROR a.test. 300 A 192.0.2.9");
        assert!(answer.bits.has(*bits));
    }
    let asked: Vec<_> = double.asked.lock().unwrap().iter().map(|a| (a.dnssec_ok, a.checking_disabled)).collect();
    assert_eq!(asked, [(false, false), (true, false), (false, true), (true, true)]);
}

#[tokio::test(start_paused = true)]
async fn direct_zones_are_asked_each_time() {
    let double = Double::new(|asked| address(asked, 300, "192.0.2.9"));
    let mut zone = zone(".", &[1]);
    zone.mode = ForwardMode::Direct;
    let scene = Scene::new(&config(vec![zone]), &[Arc::clone(&double)]);
    for count in 1..4 {
        assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.9");
        assert_eq!((double.count(), scene.entries().len()), (count, 0));
    }
    double.becomes(|_| silence());
    assert_eq!(scene.ask("a.test.", A).await, "SERVFAIL");
    assert!(scene.entries().is_empty());
}

/// Rules by the first label.
struct ByLabel;

impl Policy for ByLabel {
    fn rule(&self, question: &ForeignQuestion) -> Ruling {
        match question.name.labels().next().unwrap_or_default() {
            b"refused" => Ruling::Refuse,
            b"dropped" => Ruling::Drop,
            b"hosts" => {
                let body = [&[0xc0, 12, 0, 1, 0, 1][..], &60u32.to_be_bytes(), &[0, 4, 127, 0, 0, 9]].concat();
                Ruling::Answer(Arc::new(KeptAnswer {
                    counts: [1, 0],
                    body,
                    ttl_places: vec![6],
                    pointer_places: vec![0],
                    ttl_seconds: if question.name.label_count() > 2 { 60 } else { 0 },
                    fetched_seconds: crate::common::BEGIN,
                    ..KeptAnswer::default()
                }))
            }
            _ => Ruling::Ask,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_policy_decides_first_also_about_what_aliases_lead_to() {
    let double = Double::new(|asked| {
        let target = asked.name.labels().next().map(|label| String::from_utf8_lossy(label)[2..].to_owned()).unwrap();
        now(message(
            asked,
            0,
            &format!("{0} 9 IN CNAME {target}.a.test.\n{target}.a.test. 9 IN A 192.0.2.1", asked.name),
            "",
        ))
    });
    let policy = Arc::new(ByLabel);
    let scene = Scene::with_policy(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)], policy);
    assert_eq!(scene.ask("refused.test.", A).await, "REFUSED");
    assert_eq!(scene.ask("hosts.test.", A).await, "NOERROR hosts.test. 60 A 127.0.0.9");
    assert_eq!(scene.entries().len(), 0, "whose TTL is 0");
    assert_eq!(scene.ask("hosts.a.test.", A).await, "NOERROR hosts.a.test. 60 A 127.0.0.9");
    assert_eq!(scene.entries(), ["hosts.a.test. 1"]);
    assert_eq!(scene.begin("dropped.test.", A).await.unwrap(), None);
    assert_eq!(double.count(), 0);
    let alias = scene.ask("tohosts.test.", A).await;
    assert_eq!(alias, "NOERROR tohosts.test. 9 CNAME hosts.a.test., hosts.a.test. 60 A 127.0.0.9");
    assert_eq!(scene.ask("torefused.test.", A).await, "REFUSED");
    assert_eq!(scene.begin("todropped.test.", A).await.unwrap(), None);
    let plain = scene.ask("toplain.test.", A).await;
    assert_eq!(plain, "NOERROR toplain.test. 9 CNAME plain.a.test., plain.a.test. 9 A 192.0.2.1");
}

#[tokio::test(start_paused = true)]
async fn who_comes_on_top_is_told_so() {
    for (overload, expected) in [(Overload::Refused, Some(5)), (Overload::Servfail, Some(2)), (Overload::Drop, None)] {
        let double = Double::new(|_| silence());
        let mut config = config(vec![zone(".", &[1])]);
        (config.overload, config.questions_max, config.questions_per_client_max) = (overload, 5, 3);
        let scene = Scene::new(&config, &[Arc::clone(&double)]);
        let begin = Instant::now();
        let ask =
            |number: u32, client: &str| scene.begin_with(&format!("{number}.test."), A, EntryBits::default(), client);
        let of_client: Vec<_> = (0..3).map(|number| ask(number, "2001:db8::1")).collect();
        let rcode = |answer: Option<Arc<KeptAnswer>>| answer.map(|answer| answer.rcode);
        assert_eq!(rcode(ask(3, "2001:db8::2").await.unwrap()), expected, "the same prefix");
        assert_eq!(rcode(ask(0, "2001:db8::3").await.unwrap()), expected, "also for one under way");
        let others = [ask(4, "192.0.2.1"), ask(5, "192.0.2.2")];
        assert_eq!(rcode(ask(6, "192.0.2.3").await.unwrap()), expected, "questions in all");
        let merged = ask(5, "192.0.2.3");
        assert_eq!(begin.elapsed(), Duration::ZERO, "nobody has waited");
        for waiter in of_client.into_iter().chain(others).chain([merged]) {
            assert_eq!(rcode(waiter.await.unwrap()), Some(2));
        }
        assert!(begin.elapsed() <= config.deadline);
        assert_eq!(scene.metric("ringdns_forward_waiting"), 0);
        assert_eq!(scene.metric("ringdns_forward_clients"), 0);
        assert_eq!(scene.metric("ringdns_forward_under_way"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_for_a_subnet_is_not_kept_for_all() {
    let double = Double::new(|asked| {
        let mut bytes = message(asked, 0, &format!("{} 300 IN A 192.0.2.9", asked.name), "");
        let scope = if asked.is("all.test.") { 0 } else { 24 };
        // OPT with the option of a subnet (RFC 7871 section 6): family 1, 24 bits, its scope.
        bytes[11] = 1;
        bytes.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, scope, 198, 51, 100]);
        now(bytes)
    });
    let mut config = config(vec![zone(".", &[1])]);
    config.client_subnet = Some((24, 56));
    let scene = Scene::new(&config, &[Arc::clone(&double)]);
    for qname in ["near.test.", "near.test.", "all.test.", "all.test."] {
        assert!(scene.ask(qname, A).await.starts_with("NOERROR"));
    }
    let subnets = || double.asked.lock().unwrap().iter().map(|asked| asked.client_subnet).collect::<Vec<_>>();
    assert_eq!(subnets(), [Some(("198.51.100.0".parse().unwrap(), 24)); 2]);
    assert_eq!(scene.entries(), ["all.test. 1"]);
    pass(10).await;
    let from = |qname, client: &'static str| scene.begin_with(qname, A, EntryBits::default(), client);
    let neighbour = from("near.test.", "198.51.100.99").await.unwrap().unwrap();
    assert_eq!(shown("near.test.", A, &neighbour), "NOERROR near.test. 290 A 192.0.2.9", "it is kept for the subnet");
    for client in ["203.0.113.5", "203.0.113.6"] {
        assert_eq!(from("near.test.", client).await.unwrap().unwrap().ttl_seconds, 300);
        assert!(from("all.test.", client).await.unwrap().is_some());
    }
    assert_eq!(subnets()[2..], [Some(("203.0.113.0".parse().unwrap(), 24))], "another subnet is asked for once");
    pass(295).await;
    from("near.test.", "198.51.100.99").await.unwrap();
    assert_eq!((subnets().len(), scene.forwarder.flush(Some(&name("near.test.")), None)), (4, 2), "both are removed");
}

#[tokio::test(start_paused = true)]
async fn denials_are_kept_as_their_soa_record_says() {
    let double = Double::new(|asked| {
        let soa = soa("test.", 500, 60);
        now(match asked.qtype {
            A => message(asked, 3, "", &soa),
            AAAA => message(asked, 0, "", &soa),
            15 => message(asked, 3, "", ""),
            _ => message(asked, 0, "", ""),
        })
    });
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    let soa = "test. 60 SOA ns.test. admin.test. 1 2 3 4 60";
    for turn in 1..3 {
        assert_eq!(scene.ask("a.test.", A).await, format!("NXDOMAIN  / {soa}"));
        assert_eq!(scene.ask("a.test.", AAAA).await, format!("NOERROR  / {soa}"));
        assert_eq!(scene.ask("a.test.", 15).await, "NXDOMAIN", "answered, not kept");
        assert_eq!(scene.ask("a.test.", 16).await, "NOERROR", "answered, not kept");
        assert_eq!(double.count(), 2 + 2 * turn);
    }
    assert_eq!(scene.entries(), ["a.test. 1", "a.test. 28"]);
}

#[tokio::test(start_paused = true)]
async fn upstreams_follow_the_file_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resolv.conf");
    let mut zone = zone(".", &[]);
    zone.resolv_conf = Some(path.clone());
    let double = Double::new(|asked| address(asked, 300, "192.0.2.9"));
    std::fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
    // The servers of files have port 53.
    let scene = Scene::new(&config(vec![zone]), &vec![double; 53]);
    assert_eq!(scene.forwarder.upstreams().len(), 1);
    pass(1).await;
    std::fs::write(&path, "nameserver 192.0.2.1\nnameserver 192.0.2.2\n").unwrap();
    pass(6).await;
    assert_eq!(scene.forwarder.upstreams().len(), 2);
    std::fs::write(&path, "").unwrap();
    pass(6).await;
    assert_eq!(scene.forwarder.upstreams().len(), 2, "they stay where it names none");
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.9");
}

#[tokio::test(start_paused = true)]
async fn a_question_of_ours_that_comes_back_is_refused() {
    let double = Double::new(|asked| address(asked, 300, "192.0.2.9"));
    *double.looped.lock().unwrap() = Some(name("x.loop.test."));
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    assert_eq!(scene.ask("x.loop.test.", 13).await, "REFUSED");
    assert_eq!(double.count(), 0);
}
