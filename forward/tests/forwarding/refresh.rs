//! Stale answers (RFC 8767), and answers that are fetched again before their time is over.

use std::sync::Arc;
use std::time::Duration;

use ringdns_controlplane::config::forward::{ForwardZone, StaleWhen};
use ringdns_engine::cache::{CacheKey, EntryBits};
use ringdns_engine::recall::name_hash;
use ringdns_forward::upstream::Failure;
use tokio::time::Instant;

use crate::common::{A, AAAA, Double, Said, Scene, address, config, message, name, now, pass, silence, soa, zone};

/// A zone with stale answers.
fn stale_zone(when: StaleWhen) -> ForwardZone {
    let mut zone = zone(".", &[1]);
    zone.keep.stale.seconds = 3600;
    zone.keep.stale.when = when;
    zone
}

/// Notes a use, as workers do.
fn use_once(scene: &Scene, qname: &str) {
    let (shelf, qname, snapshot) = (scene.forwarder.shelf(), name(qname), scene.published());
    let name_hash = name_hash(&snapshot, &qname);
    let key = CacheKey { name_hash, name: qname.as_bytes(), qtype: A, bits: EntryBits::default() };
    shelf.find(&key).unwrap().touch();
}

#[tokio::test(start_paused = true)]
async fn stale_answers_are_given_after_a_failure() {
    let double = Double::new(|asked| address(asked, 60, "192.0.2.1"));
    let zone = stale_zone(StaleWhen::After(Duration::from_millis(1800)));
    let scene = Scene::new(&config(vec![zone]), &[Arc::clone(&double)]);
    assert_eq!(scene.forwarder.stale_ttl(), None, "workers give none");
    scene.ask("a.test.", A).await;
    double.becomes(|_| Said(Duration::from_millis(100), Err(Failure::Unreachable)));
    pass(100).await;
    let begin = Instant::now();
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 30 A 192.0.2.1");
    assert_eq!((begin.elapsed(), double.count()), (Duration::from_millis(100), 2));
    assert_eq!(scene.kept("a.test.", A).await.ttl_seconds, 0, "it is for those who wait");
    assert_eq!(double.count(), 2, "RFC 8767 section 5: failure recheck timer");
    pass(31).await;
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 30 A 192.0.2.1");
    assert_eq!(double.count(), 3);
    pass(31).await;
    double.becomes(|asked| address(asked, 60, "192.0.2.2"));
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 60 A 192.0.2.2");
    double.becomes(|_| Said(Duration::ZERO, Err(Failure::Unreachable)));
    pass(60 + 3600).await;
    assert_eq!(scene.ask("a.test.", A).await, "SERVFAIL", "too old");
}

#[tokio::test(start_paused = true)]
async fn stale_answers_tell_their_own_ttl_also_where_ttls_stay_as_they_came() {
    for when in [StaleWhen::After(Duration::from_millis(1800)), StaleWhen::AtOnce] {
        let double = Double::new(|asked| {
            let alias = format!("{} 60 IN CNAME b.test.\nb.test. 50 IN A 192.0.2.1", asked.name);
            if asked.qtype == A {
                now(message(asked, 0, &alias, ""))
            } else {
                now(message(asked, 3, "", &soa("test.", 60, 60)))
            }
        });
        let mut zone = stale_zone(when);
        zone.keep.keeps_ttl = true;
        let scene = Scene::new(&config(vec![zone]), &[Arc::clone(&double)]);
        scene.ask("a.test.", A).await;
        scene.ask("none.test.", AAAA).await;
        pass(40).await;
        let fresh = "NOERROR a.test. 60 CNAME b.test., b.test. 50 A 192.0.2.1";
        assert_eq!((scene.ask("a.test.", A).await, double.count()), (fresh.to_owned(), 2));
        double.becomes(|_| Said(Duration::from_millis(100), Err(Failure::Unreachable)));
        pass(40).await;
        let stale = "NOERROR a.test. 30 CNAME b.test., b.test. 30 A 192.0.2.1";
        assert_eq!(scene.ask("a.test.", A).await, stale, "{when:?}");
        let denial = "NXDOMAIN  / test. 30 SOA ns.test. admin.test. 1 2 3 4 60";
        assert_eq!(scene.ask("none.test.", AAAA).await, denial);
        let snapshot = scene.published();
        let qname = name("a.test.");
        let key = CacheKey {
            name_hash: name_hash(&snapshot, &qname),
            name: qname.as_bytes(),
            qtype: A,
            bits: EntryBits::default(),
        };
        let is_given =
            scene.forwarder.stale_ttl().is_some() && scene.forwarder.shelf().read(&key).unwrap().stale_seconds > 0;
        assert!(!is_given, "workers cannot tell that TTL, and give none");
    }
}

#[tokio::test(start_paused = true)]
async fn stale_answers_are_given_to_those_who_have_waited_long_enough() {
    let double = Double::new(|asked| address(asked, 60, "192.0.2.1"));
    let zone = stale_zone(StaleWhen::After(Duration::from_millis(1800)));
    let scene = Scene::new(&config(vec![zone]), &[Arc::clone(&double)]);
    scene.ask("a.test.", A).await;
    pass(100).await;
    double.becomes(|asked| Said(Duration::from_millis(1950), address(asked, 60, "192.0.2.2").1));
    let begin = Instant::now();
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 30 A 192.0.2.1");
    assert_eq!(begin.elapsed(), Duration::from_millis(1800), "the client response timer");
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 30 A 192.0.2.1");
    assert_eq!(begin.elapsed(), Duration::from_millis(1800), "who comes now waits no more");
    pass(1).await;
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 59 A 192.0.2.2", "the question went on");
    assert_eq!(double.count(), 2);
    let fresh = Instant::now();
    double.becomes(|_| silence());
    assert_eq!(scene.ask("none.test.", A).await, "SERVFAIL");
    assert!(fresh.elapsed() > Duration::from_millis(1800), "without a stale answer it is waited for");
}

#[tokio::test(start_paused = true)]
async fn what_is_given_stale_at_once_is_fetched_again() {
    let double = Double::new(|asked| address(asked, 60, "192.0.2.1"));
    let scene = Scene::new(&config(vec![stale_zone(StaleWhen::AtOnce)]), &[Arc::clone(&double)]);
    assert_eq!(scene.forwarder.stale_ttl(), Some(30));
    for qname in ["used.test.", "unused.test.", "asked.test."] {
        scene.ask(qname, A).await;
    }
    pass(70).await;
    double.becomes(|asked| address(asked, 60, "192.0.2.2"));
    assert_eq!(double.count(), 3, "nobody has used them");
    use_once(&scene, "used.test.");
    assert_eq!(scene.ask("asked.test.", A).await, "NOERROR asked.test. 30 A 192.0.2.1", "and not kept waiting");
    pass(2).await;
    assert_eq!(double.count(), 5);
    assert_eq!(scene.ask("used.test.", A).await, "NOERROR used.test. 58 A 192.0.2.2");
    assert_eq!(scene.ask("asked.test.", A).await, "NOERROR asked.test. 58 A 192.0.2.2");
    pass(600).await;
    assert_eq!(double.count(), 5, "one use is for one refresh");
    double.becomes(|_| Said(Duration::ZERO, Err(Failure::Unreachable)));
    use_once(&scene, "used.test.");
    pass(100).await;
    assert!((6..=10).contains(&double.count()), "every 30 seconds, not every second: {}", double.count());
    assert_eq!(scene.ask("used.test.", A).await, "NOERROR used.test. 30 A 192.0.2.2", "it stays");
}

#[tokio::test(start_paused = true)]
async fn a_positive_answer_beats_denials_where_it_is_preferred() {
    for prefers in [false, true] {
        let double = Double::new(|asked| address(asked, 60, "192.0.2.1"));
        let mut zone = stale_zone(StaleWhen::After(Duration::from_millis(1800)));
        zone.keep.stale.prefers_positive = prefers;
        let scene = Scene::new(&config(vec![zone]), &[Arc::clone(&double)]);
        scene.ask("a.test.", A).await;
        pass(100).await;
        double.becomes(|asked| now(message(asked, 3, "", &soa("test.", 20, 20))));
        let answer = scene.ask("a.test.", A).await;
        assert_eq!(answer == "NOERROR a.test. 30 A 192.0.2.1", prefers, "{answer}");
        assert_eq!(scene.ask("a.test.", A).await, answer);
        assert_eq!(double.count(), 2, "as long as the denial would be kept");
        pass(21).await;
        scene.ask("a.test.", A).await;
        assert_eq!(double.count(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_use_is_fetched_before_its_time_is_over() {
    let double = Double::new(|asked| address(asked, 100, "192.0.2.1"));
    let mut zone = zone(".", &[1]);
    (zone.keep.prefetch_uses, zone.keep.prefetch_percent) = (2, 20);
    let scene = Scene::new(&config(vec![zone]), &[Arc::clone(&double)]);
    for qname in ["often.test.", "once.test.", "never.test."] {
        scene.ask(qname, A).await;
    }
    use_once(&scene, "often.test.");
    use_once(&scene, "often.test.");
    use_once(&scene, "once.test.");
    pass(79).await;
    assert_eq!(double.count(), 3);
    double.becomes(|asked| address(asked, 100, "192.0.2.2"));
    pass(4).await;
    assert_eq!(double.count(), 4);
    assert_eq!(scene.metric("ringdns_forward_refreshes_total"), 1);
    assert!(scene.ask("often.test.", A).await.ends_with("192.0.2.2"));
    assert!(scene.ask("once.test.", A).await.ends_with("192.0.2.1"));
    pass(400).await;
    assert_eq!(double.count(), 4, "nobody has used it since");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_leaves_what_is_there() {
    let double = Double::new(|asked| address(asked, 100, "192.0.2.1"));
    let mut zone = zone(".", &[1]);
    (zone.keep.prefetch_uses, zone.keep.prefetch_percent) = (1, 50);
    let scene = Scene::new(&config(vec![zone]), &[Arc::clone(&double)]);
    scene.ask("a.test.", A).await;
    scene.ask("a.test.", AAAA).await;
    use_once(&scene, "a.test.");
    double.becomes(|_| Said(Duration::ZERO, Err(Failure::Unreachable)));
    pass(95).await;
    assert!((3..=5).contains(&double.count()), "{}", double.count());
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 5 A 192.0.2.1");
}
