//! Aliases: followed within an answer as long as who sent it is believed, and asked for where it leaves them open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringdns_engine::cache::EntryBits;
use ringdns_engine::rate::Network;
use ringdns_engine::select::ViewTable;
use ringdns_engine::snapshot::edit::RrsetSpec;

use crate::common::{A, Double, Said, Scene, address, config, message, name, now, shown, soa, zone};

#[tokio::test(start_paused = true)]
async fn what_an_answer_leaves_open_is_asked_for() {
    let double = Double::new(|asked| {
        now(match asked.name.to_string().as_str() {
            "www.test." => message(asked, 0, "www.test. 50 IN CNAME a.other.test.", ""),
            "a.other.test." => {
                message(asked, 0, "a.other.test. 40 IN CNAME b.other.test.\nb.other.test. 30 IN A 192.0.2.1", "")
            }
            "gone.test." => message(asked, 0, "gone.test. 50 IN CNAME none.test.", ""),
            "none.test." => message(asked, 3, "", &soa("test.", 20, 10)),
            _ => message(asked, 0, "", &soa("test.", 20, 10)),
        })
    });
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    let answer = scene.kept("www.test.", A).await;
    let expected =
        "NOERROR www.test. 50 CNAME a.other.test., a.other.test. 40 CNAME b.other.test., b.other.test. 30 A 192.0.2.1";
    assert_eq!(shown("www.test.", A, &answer), expected);
    assert_eq!(answer.ttl_seconds, 30);
    let answer = scene.kept("gone.test.", A).await;
    let expected = "NXDOMAIN gone.test. 50 CNAME none.test. / test. 10 SOA ns.test. admin.test. 1 2 3 4 10";
    assert_eq!(shown("gone.test.", A, &answer), expected);
    assert!(answer.bits.has(EntryBits::NEGATIVE) && answer.ttl_seconds == 10);
    assert_eq!(scene.ask("gone.test.", 5).await, "NOERROR gone.test. 50 CNAME none.test.", "the alias itself");
}

#[tokio::test(start_paused = true)]
async fn chains_without_end_fail() {
    let number = AtomicU64::new(0);
    let double = Double::new(move |asked| {
        let next = number.fetch_add(1, Ordering::Relaxed);
        now(match asked.name.label_count() {
            3 => message(asked, 0, &format!("{} 9 IN CNAME n{next}.long.test.", asked.name), ""),
            _ => message(asked, 0, "a.test. 9 IN CNAME b.test.\nb.test. 9 IN CNAME a.test.", ""),
        })
    });
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    assert_eq!(scene.ask("www.long.test.", A).await, "SERVFAIL");
    assert_eq!(double.count(), 8);
    assert_eq!(scene.ask("a.test.", A).await, "SERVFAIL");
    assert_eq!(double.count(), 9);
}

#[tokio::test(start_paused = true)]
async fn each_zone_speaks_for_its_own_names() {
    let public = Double::new(|asked| {
        now(message(asked, 0, "www.test. 50 IN CNAME a.corp.test.\na.corp.test. 50 IN A 203.0.113.66", ""))
    });
    let corp = Double::new(|asked| address(asked, 40, "10.0.0.1"));
    let scene =
        Scene::new(&config(vec![zone(".", &[1]), zone("corp.test.", &[2])]), &[Arc::clone(&public), Arc::clone(&corp)]);
    let expected = "NOERROR www.test. 50 CNAME a.corp.test., a.corp.test. 40 A 10.0.0.1";
    assert_eq!(scene.ask("www.test.", A).await, expected);
    assert_eq!((public.count(), corp.count()), (1, 1));
    assert_eq!(scene.metric("ringdns_forward_dropped_records_total"), 1);
}

#[tokio::test(start_paused = true)]
async fn names_of_ours_are_answered_by_us() {
    let double = Double::new(|asked| {
        let records = "www.test. 50 IN CNAME a.ours.test.\na.ours.test. 50 IN A 203.0.113.66";
        now(message(asked, 0, records, ""))
    });
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    scene.serve(&[("ours.test.", &[("a.ours.test.", [192, 0, 2, 5])])]);
    for _ in 0..2 {
        let answer = scene.kept("www.test.", A).await;
        let expected = "NOERROR www.test. 50 CNAME a.ours.test., a.ours.test. 60 A 192.0.2.5";
        assert_eq!(shown("www.test.", A, &answer), expected);
        assert_eq!(answer.ttl_seconds, 0, "it is for those who wait");
    }
    assert_eq!((double.count(), scene.entries().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn each_client_sees_its_own_view_of_ours() {
    let double = Double::new(|asked| {
        let alias = message(asked, 0, "www.test. 50 IN CNAME a.ours.test.", "");
        Said(Duration::from_millis(100), Ok(alias))
    });
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    scene.serve(&[("ours.test.", &[("a.ours.test.", [192, 0, 2, 5])])]);
    scene.edit(|editor| {
        let inside = Network::new("10.0.0.0".parse().unwrap(), 8).unwrap();
        editor.set_views(ViewTable::new([(inside, 1)].into_iter()));
        let rrset = RrsetSpec { rtype: A, ttl: 60, rdatas: vec![vec![10, 0, 0, 9]], view: 1, ..RrsetSpec::default() };
        editor.put_rrset(&name("ours.test."), &name("a.ours.test."), &rrset).unwrap();
    });
    let clients = ["10.1.2.3", "198.51.100.1", "10.7.7.7", "198.51.100.2", "198.51.100.3"];
    let waiters = clients.map(|client| scene.begin_with("www.test.", A, EntryBits::default(), client));
    for (client, waiter) in clients.iter().zip(waiters) {
        let answer = shown("www.test.", A, &waiter.await.unwrap().unwrap());
        let expected = if client.starts_with("10.") { "10.0.0.9" } else { "192.0.2.5" };
        assert!(answer.ends_with(expected), "{client}: {answer}");
    }
    assert_eq!(double.count(), 2, "once for each view");
}
