//! What is kept, for how long, and what is removed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use ringdns_controlplane::config::forward::{ForwardMode, ForwardPolicy};
use ringdns_controlplane::foreign::{CachedRecord, ForeignCache};
use ringdns_engine::cache::CacheKey;
use ringdns_engine::recall::name_hash;
use ringdns_engine::snapshot::Snapshot;

use crate::common::{A, AAAA, Double, Said, Scene, address, config, message, name, now, pass, shown, soa, zone};

#[tokio::test(start_paused = true)]
async fn ttls_are_brought_within_bounds() {
    let double = Double::new(|asked| {
        now(match asked.name.to_string().as_str() {
            "short.test." => message(asked, 0, "short.test. 1 IN A 192.0.2.1", ""),
            "long.test." => message(asked, 0, "long.test. 100000 IN A 192.0.2.1", ""),
            "zero.test." => message(asked, 0, "zero.test. 0 IN A 192.0.2.1", ""),
            "high.test." => message(asked, 0, "high.test. 3000000000 IN A 192.0.2.1", ""),
            "mixed.test." => message(asked, 0, "mixed.test. 90 IN A 192.0.2.1\nmixed.test. 80 IN A 192.0.2.2", ""),
            _ => message(asked, 3, "", &soa("test.", 9000, 9000)),
        })
    });
    let mut all = zone(".", &[1]);
    let scene = Scene::new(&config(vec![all.clone()]), &[Arc::clone(&double)]);
    for (qname, ttl) in
        [("short.test.", 1), ("long.test.", 86_400), ("zero.test.", 0), ("high.test.", 0), ("mixed.test.", 80)]
    {
        let answer = scene.kept(qname, A).await;
        assert_eq!(answer.ttl_seconds, ttl, "{qname}");
        let shown = shown(qname, A, &answer);
        assert_eq!(shown.matches(&format!(" {ttl} A ")).count(), usize::from(answer.counts[0]), "{shown}");
    }
    assert_eq!(scene.entries().len(), 3, "what has no time is not kept");
    (all.keep.positive_ttl, all.keep.negative_ttl) = ((5, 3600), (5, 1800));
    let scene = Scene::new(&config(vec![all.clone()]), &[Arc::clone(&double)]);
    for (qname, ttl) in [("short.test.", 5), ("long.test.", 3600), ("zero.test.", 5), ("none.test.", 1800)] {
        assert_eq!(scene.kept(qname, A).await.ttl_seconds, ttl, "{qname}");
    }
    all.keep.negative_ttl = (0, 0);
    all.keep.keeps_ttl = true;
    let scene = Scene::new(&config(vec![all]), &[Arc::clone(&double)]);
    let denial = "NXDOMAIN  / test. 9000 SOA ns.test. admin.test. 1 2 3 4 9000";
    assert_eq!(scene.ask("none.test.", A).await, denial);
    assert!(scene.entries().is_empty(), "denials are not kept");
    scene.ask("long.test.", A).await;
    pass(1000).await;
    assert_eq!(scene.ask("long.test.", A).await, "NOERROR long.test. 3600 A 192.0.2.1", "as it was fetched");
}

#[tokio::test(start_paused = true)]
async fn entries_are_shown_and_removed() {
    let double = Double::new(|asked| {
        now(match asked.qtype {
            A => message(asked, 0, &format!("{} 300 IN A 192.0.2.1", asked.name), ""),
            _ => message(asked, 0, "", &soa("test.", 60, 60)),
        })
    });
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    for qname in ["a.test.", "b.a.test.", "ba.test.", "c.other."] {
        scene.ask(qname, A).await;
        scene.ask(qname, AAAA).await;
    }
    assert_eq!(scene.entries().len(), 7, "the SOA record of another zone does not say that c.other. has no AAAA");
    let forwarder = &scene.forwarder;
    let below = forwarder.entries(Some(&name("A.test.")), 1, 2);
    assert_eq!(
        below.iter().map(|entry| (entry.name.to_string(), entry.qtype)).collect::<Vec<_>>(),
        [("a.test.".to_owned(), AAAA), ("b.a.test.".to_owned(), A)]
    );
    let [answers, authorities] = below[1].records().unwrap();
    assert_eq!(
        (answers[0].owner.to_string(), answers[0].ttl, answers[0].rdata()),
        ("b.a.test.".to_owned(), 300, &[192, 0, 2, 1][..])
    );
    assert!(authorities.is_empty());
    pass(10).await;
    assert_eq!(below[1].seconds_left(scene.now()), 290);
    assert_eq!(forwarder.flush(Some(&name("a.test.")), Some(AAAA)), 2);
    assert_eq!(forwarder.flush(Some(&name("a.test.")), None), 2);
    assert_eq!(forwarder.flush(None, Some(A)), 2);
    assert_eq!(scene.entries(), ["ba.test. 28"]);
    assert_eq!(forwarder.flush(None, None), 1);
    assert!(scene.entries().is_empty());
}

#[tokio::test(start_paused = true)]
async fn people_see_records_as_clients_would_get_them_now() {
    let double = Double::new(|asked| {
        now(match asked.qtype {
            A => message(asked, 0, "a.test. 300 IN CNAME b.test.\nb.test. 100 IN A 192.0.2.1", ""),
            _ => message(asked, 0, "", &soa("test.", 60, 60)),
        })
    });
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    scene.ask("a.test.", A).await;
    scene.ask("d.test.", AAAA).await;
    pass(10).await;
    let cache: &dyn ForeignCache = &scene.forwarder;
    let found = cache.entries(None, 0, 10);
    let [alias, denial] = &found[..] else { panic!("{found:?}") };
    let records = |records: &[CachedRecord]| {
        records.iter().map(|it| format!("{} {} {}", it.owner, it.rtype, it.ttl)).collect::<Vec<_>>()
    };
    assert_eq!(records(&alias.records), ["a.test. 5 290", "b.test. 1 90"]);
    assert_eq!(alias.records[1].rdata, [192, 0, 2, 1]);
    assert_eq!((alias.seconds_left, alias.ends_seconds), (90, i64::from(scene.now()) + 90));
    assert_eq!((records(&denial.records).len(), records(&denial.authority)), (0, vec!["test. 6 50".to_owned()]));
    let upstreams = cache.upstreams();
    assert_eq!((upstreams.len(), upstreams[0].zone.to_string(), upstreams[0].transport()), (1, ".".to_owned(), "udp"));
    assert_eq!(cache.flush(Some(&name("D.test.")), None), 1);
    assert_eq!(cache.entries(None, 0, 10).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn pages_leave_nothing_out() {
    let double = Double::new(|asked| now(message(asked, 0, &format!("{} 300 IN A 192.0.2.1", asked.name), "")));
    let mut config = config(vec![zone(".", &[1])]);
    config.cache.bytes = 16 << 20;
    let scene = Scene::new(&config, &[Arc::clone(&double)]);
    // More than are looked at in one go.
    for number in 0..4200 {
        scene.ask(&format!("n{number}.test."), A).await;
    }
    let mut seen = Vec::new();
    for skipped in (0..6000).step_by(1000) {
        seen.extend(scene.forwarder.entries(None, skipped, 1000).into_iter().map(|entry| entry.name));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4200);
    assert_eq!(scene.forwarder.entries(Some(&name("n4199.test.")), 0, 1).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn answers_under_way_when_entries_are_removed_are_not_kept() {
    let double = Double::new(|asked| Said(Duration::from_secs(1), address(asked, 300, "192.0.2.1").1));
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    let waiter = scene.begin("a.test.", A);
    tokio::time::sleep(Duration::from_millis(500)).await;
    scene.forwarder.flush(None, None);
    assert_eq!(waiter.await.unwrap().unwrap().counts, [1, 0]);
    assert!(scene.entries().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_comes_takes_its_names_out() {
    let double = Double::new(|asked| {
        let after = if asked.is("late.ours.test.") { 1900 } else { 0 };
        Said(Duration::from_millis(after), address(asked, 300, "192.0.2.1").1)
    });
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    for qname in ["ours.test.", "a.ours.test.", "aours.test.", "test."] {
        scene.ask(qname, A).await;
    }
    let late = scene.begin("late.ours.test.", A);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(scene.entries().len(), 4);
    scene.serve(&[("Ours.test.", &[])]);
    assert_eq!(late.await.unwrap().unwrap().counts, [1, 0]);
    pass(1).await;
    assert_eq!(scene.entries(), ["aours.test. 1", "test. 1"]);
    assert_eq!(scene.metric("ringdns_forward_swept_entries_total"), 2);
    assert_eq!(scene.ask("a.ours.test.", A).await, "SERVFAIL", "the zone answers whoever asks again");
}

#[tokio::test(start_paused = true)]
async fn workers_find_what_was_kept() {
    let double = Double::new(|asked| address(asked, 300, "192.0.2.1"));
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    scene.ask("A.test.", A).await;
    let (shelf, qname) = (scene.forwarder.shelf(), name("a.test."));
    let key = |hash| CacheKey { name_hash: hash, name: qname.as_bytes(), qtype: A, bits: Default::default() };
    assert!(shelf.find(&key(name_hash(&scene.published(), &qname))).is_some());
    assert!(shelf.find(&key(name_hash(&Snapshot::empty(), &qname))).is_none(), "by the seed of the snapshots");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let double = Double::new(|asked| match asked.qtype {
        A => address(asked, 300, "192.0.2.1"),
        15 => address(&crate::common::Asked { qtype: A, ..asked.clone() }, 5, "192.0.2.1"),
        _ => now(message(asked, 3, &format!("{} 200 IN CNAME b.test.", asked.name), &soa("test.", 60, 60))),
    });
    let mut config = config(vec![zone(".", &[1])]);
    config.cache.file = Some(path.clone());
    let first = Scene::new(&config, &[Arc::clone(&double)]);
    first.ask("a.test.", A).await;
    first.ask("a.test.", AAAA).await;
    first.ask("b.ours.test.", A).await;
    first.forwarder.stop();
    let written = fs::read(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "what is asked for is nobody else's");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no other file is left");
    let count = double.count();
    config.zones.push(zone("a.test.", &[1]));
    config.zones[1].mode = ForwardMode::Direct;
    assert_eq!(Scene::new(&config, &[Arc::clone(&double)]).entries(), ["b.ours.test. 1"], "by the rules of now");
    config.zones.pop();
    let second = Scene::new(&config, &[Arc::clone(&double)]);
    assert_eq!(second.entries(), ["a.test. 1", "a.test. 28", "b.ours.test. 1"]);
    pass(10).await;
    assert_eq!(second.ask("a.test.", A).await, "NOERROR a.test. 290 A 192.0.2.1");
    let denial = "NXDOMAIN a.test. 190 CNAME b.test. / test. 50 SOA ns.test. admin.test. 1 2 3 4 60";
    assert_eq!(second.ask("a.test.", AAAA).await, denial);
    assert_eq!(double.count(), count);
    for at in (0..written.len()).step_by(3) {
        let mut damaged = written.clone();
        damaged[at] ^= 0x41;
        fs::write(&path, &damaged).unwrap();
        assert!(Scene::new(&config, &[Arc::clone(&double)]).entries().is_empty(), "byte {at} is wrong");
    }
    for length in (0..written.len()).step_by(5) {
        fs::write(&path, &written[..length]).unwrap();
        assert!(Scene::new(&config, &[Arc::clone(&double)]).entries().is_empty(), "{length} bytes");
    }
}

#[tokio::test]
async fn the_file_is_written_now_and_then_while_something_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let double = Double::new(|asked| address(asked, 300, "192.0.2.1"));
    let mut config = config(vec![zone(".", &[1])]);
    config.cache.file = Some(path.clone());
    config.cache.file_interval = Duration::from_secs(1);
    let first = Scene::new(&config, &[Arc::clone(&double)]);
    first.ask("a.test.", A).await;
    let begun = std::time::Instant::now();
    let has = |entries: &[&str]| Scene::new(&config, &[Arc::clone(&double)]).entries() == entries;
    while !has(&["a.test. 1"]) {
        assert!(begun.elapsed() < Duration::from_secs(150), "it is not written");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written, "nothing has come or gone");
    first.ask("b.test.", A).await;
    while !has(&["a.test. 1", "b.test. 1"]) {
        assert!(begun.elapsed() < Duration::from_secs(150), "it is not written again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_configuration_is_taken_as_a_whole() {
    let doubles = ["192.0.2.1", "192.0.2.2"].map(|said| Double::new(move |asked| address(asked, 300, said)));
    let mut config = config(vec![zone(".", &[1]), zone("corp.test.", &[1])]);
    let scene = Scene::new(&config, &doubles);
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.1");
    scene.ask("a.corp.test.", A).await;
    config.zones[1].policy = ForwardPolicy::Random;
    scene.forwarder.reload(&config).unwrap();
    assert_eq!(scene.entries().len(), 2);
    config.zones[0] = zone(".", &[2]);
    config.zones[0].keep.stale.seconds = 60;
    scene.forwarder.reload(&config).unwrap();
    assert_eq!(scene.forwarder.stale_ttl(), Some(30));
    assert_eq!(scene.entries(), ["a.corp.test. 1"], "who is asked for it has not changed");
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.2");
    assert_eq!(scene.forwarder.upstreams().len(), 2);
}
