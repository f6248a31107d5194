//! Upstreams that fail, are slow, or lie.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringdns_controlplane::config::forward::ForwardPolicy;
use ringdns_engine::cache::EntryBits;
use ringdns_forward::upstream::Failure;
use tokio::time::Instant;

use crate::common::{A, Double, Said, Scene, address, config, message, now, pass, silence, zone};

#[tokio::test(start_paused = true)]
async fn the_next_is_asked_after_a_failure() {
    let failing = Double::new(|_| Said(Duration::from_millis(10), Err(Failure::Unreachable)));
    let good = Double::new(|asked| address(asked, 300, "192.0.2.2"));
    let scene = Scene::new(&config(vec![zone(".", &[1, 2])]), &[Arc::clone(&failing), Arc::clone(&good)]);
    let begin = Instant::now();
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.2");
    assert_eq!(begin.elapsed(), Duration::from_millis(10));
    for lie in [
        |_: &_| now(b"garbage".to_vec()),
        |asked: &crate::common::Asked| now(message(&crate::common::Asked { qtype: 28, ..asked.clone() }, 0, "", "")),
        |asked: &_| now(message(asked, 0, "", "test. 9 IN NS ns.test.")),
    ] {
        failing.becomes(lie);
        let before = good.count();
        assert_eq!(scene.ask(&format!("a{before}.test."), A).await, format!("NOERROR a{before}.test. 300 A 192.0.2.2"));
        assert_eq!(good.count(), before + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_leads_to_the_next_beside_one_that_is_slow() {
    let slow = Double::new(|_| silence());
    let failing = Double::new(|_| Said(Duration::from_millis(10), Err(Failure::Unreachable)));
    let good = Double::new(|asked| Said(Duration::from_millis(10), address(asked, 300, "192.0.2.3").1));
    let mut config = config(vec![zone(".", &[1, 2, 3])]);
    config.hedge_after_min = Some(Duration::from_millis(100));
    let scene = Scene::new(&config, &[slow, failing, good]);
    let begin = Instant::now();
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.3");
    assert_eq!(begin.elapsed(), Duration::from_millis(120));
    assert_eq!(scene.metric("ringdns_forward_hedges_total"), 1);
}

#[tokio::test(start_paused = true)]
async fn response_codes_that_are_configured_lead_to_the_next() {
    let refusing = Double::new(|asked| now(message(asked, 5, "", "")));
    let good = Double::new(|asked| address(asked, 300, "192.0.2.2"));
    let mut zone = zone(".", &[1, 2]);
    let scene = Scene::new(&config(vec![zone.clone()]), &[Arc::clone(&refusing), Arc::clone(&good)]);
    assert_eq!(scene.ask("a.test.", A).await, "REFUSED");
    zone.next_rcodes = vec![2, 5];
    let scene = Scene::new(&config(vec![zone.clone()]), &[Arc::clone(&refusing), Arc::clone(&good)]);
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.2");
    good.becomes(|asked| now(message(asked, 2, "", "")));
    assert_eq!(scene.ask("b.test.", A).await, "SERVFAIL", "what the last one said");
}

#[tokio::test(start_paused = true)]
async fn answers_to_something_else_lead_to_the_next_before_they_are_taken_for_none() {
    let beside = Double::new(|asked| now(message(asked, 0, "other.test. 9 IN A 192.0.2.1", "")));
    let good = Double::new(|asked| address(asked, 300, "192.0.2.2"));
    let scene = Scene::new(&config(vec![zone(".", &[1, 2])]), &[Arc::clone(&beside), Arc::clone(&good)]);
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.2");
    good.becomes(|_| Said(Duration::ZERO, Err(Failure::Timeout)));
    assert_eq!(scene.ask("b.test.", A).await, "NOERROR", "nobody says anything else");
    good.becomes(|asked| address(asked, 300, "192.0.2.2"));
    beside.becomes(|asked| now(message(asked, 0, &format!("{} 9 IN TXT x", asked.name), "")));
    assert_eq!(scene.ask("c.test.", A).await, "NOERROR", "it is about the name");
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_off_is_told_where_nobody_has_the_whole() {
    let part = |asked: &crate::common::Asked| {
        let mut bytes = message(asked, 0, &format!("{0} 9 IN A 192.0.2.1\n{0} 9 IN A 192.0.2.9", asked.name), "");
        bytes.truncate(bytes.len() - 3);
        bytes[2] |= 2;
        now(bytes)
    };
    let cut = Double::new(part);
    let good = Double::new(|asked| address(asked, 300, "192.0.2.2"));
    let scene = Scene::new(&config(vec![zone(".", &[1, 2])]), &[Arc::clone(&cut), Arc::clone(&good)]);
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.2");
    good.becomes(|asked| now(message(asked, 2, "", "")));
    let mut zone = zone(".", &[1, 2]);
    zone.next_rcodes = vec![2];
    scene.forwarder.reload(&config(vec![zone])).unwrap();
    for turn in 0..2 {
        let kept = scene.kept("b.test.", A).await;
        assert!(kept.bits.has(EntryBits::TRUNCATED) && kept.ttl_seconds == 0, "{kept:?}");
        assert_eq!((kept.counts, good.count()), ([1, 0], 2 + turn), "it is not kept");
    }
    assert!(!scene.kept("a.test.", A).await.bits.has(EntryBits::TRUNCATED));
}

#[tokio::test(start_paused = true)]
async fn a_second_is_asked_beside_a_slow_first() {
    let slow = Double::new(|asked| Said(Duration::from_millis(900), address(asked, 300, "192.0.2.1").1));
    let fast = Double::new(|asked| Said(Duration::from_millis(20), address(asked, 300, "192.0.2.2").1));
    *slow.latency.lock().unwrap() = Some(Duration::from_millis(80));
    let mut config = config(vec![zone(".", &[1, 2])]);
    config.hedge_after_min = Some(Duration::from_millis(50));
    let scene = Scene::new(&config, &[Arc::clone(&slow), Arc::clone(&fast)]);
    let begin = Instant::now();
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.2");
    assert_eq!(begin.elapsed(), Duration::from_millis(100), "80 ms is in what the first gives most answers");
    assert_eq!(scene.metric("ringdns_forward_hedges_total"), 1);
    assert_eq!(scene.metric("ringdns_forward_hedges_won_total"), 1);
    *slow.latency.lock().unwrap() = Some(Duration::from_millis(1));
    let begin = Instant::now();
    scene.ask("b.test.", A).await;
    assert_eq!(begin.elapsed(), Duration::from_millis(70), "not before the bound");
    fast.becomes(|_| Said(Duration::from_millis(5), Err(Failure::Unreachable)));
    let begin = Instant::now();
    assert_eq!(scene.ask("c.test.", A).await, "NOERROR c.test. 300 A 192.0.2.1");
    assert_eq!(begin.elapsed(), Duration::from_millis(900), "the first is waited for all the same");
}

#[tokio::test(start_paused = true)]
async fn every_question_is_answered_in_time() {
    let dead = Double::new(|_| silence());
    let mut zone = zone(".", &[1, 1, 1, 1]);
    zone.try_time = Duration::from_millis(1500);
    let config = config(vec![zone]);
    let scene = Scene::new(&config, &[Arc::clone(&dead)]);
    let begin = Instant::now();
    assert_eq!(scene.ask("a.test.", A).await, "SERVFAIL");
    assert_eq!(begin.elapsed(), config.deadline);
    assert_eq!(dead.count(), 3, "at 0, 1.5 and 3 seconds");
}

#[tokio::test(start_paused = true)]
async fn where_all_are_down_one_is_tried_unless_told_otherwise() {
    let down = Double::new(|asked| address(asked, 300, "192.0.2.1"));
    down.is_up.store(false, Ordering::SeqCst);
    let mut zone = zone(".", &[1]);
    let scene = Scene::new(&config(vec![zone.clone()]), &[Arc::clone(&down)]);
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.1");
    zone.fail_fast = true;
    let scene = Scene::new(&config(vec![zone]), &[Arc::clone(&down)]);
    let begin = Instant::now();
    assert_eq!(scene.ask("a.test.", A).await, "SERVFAIL");
    assert_eq!((begin.elapsed(), down.count()), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn who_comes_first_is_as_configured() {
    let doubles =
        ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|said| Double::new(move |asked| address(asked, 300, said)));
    for (double, ms) in doubles.iter().zip([30, 10, 20]) {
        *double.latency.lock().unwrap() = Some(Duration::from_millis(ms));
    }
    for (policy, expected) in [
        (ForwardPolicy::Sequential, [300..=300, 0..=0, 0..=0]),
        (ForwardPolicy::RoundRobin, [100..=100, 100..=100, 100..=100]),
        (ForwardPolicy::Random, [40..=170, 40..=170, 40..=170]),
        // One in sixteen is for the others.
        (ForwardPolicy::Fastest, [1..=40, 230..=299, 1..=40]),
    ] {
        doubles.iter().for_each(|double| double.asked.lock().unwrap().clear());
        let mut zone = zone(".", &[1, 2, 3]);
        zone.policy = policy;
        let scene = Scene::new(&config(vec![zone]), &doubles);
        for number in 0..300 {
            scene.ask(&format!("{number}.test."), A).await;
        }
        for (double, expected) in doubles.iter().zip(expected) {
            assert!(expected.contains(&double.count()), "{policy:?}: {} of {expected:?}", double.count());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_kept_and_each_longer_than_the_one_before() {
    let dead = Double::new(|asked| now(message(asked, 2, "", "")));
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&dead)]);
    let mut kept = Vec::new();
    for turn in 1..15 {
        let answer = scene.kept("a.test.", A).await;
        assert_eq!((answer.rcode, dead.count()), (2, turn));
        assert_eq!(scene.kept("a.test.", A).await.rcode, 2);
        assert_eq!(dead.count(), turn, "RFC 9520: it is not asked again at once");
        kept.push(answer.ttl_seconds);
        pass(answer.ttl_seconds.into()).await;
    }
    assert_eq!(kept[..2], [1, 2]);
    assert!(kept.windows(2).all(|pair| pair[1] == 300 || pair[1] >= 2 * pair[0] && pair[1] <= 3 * pair[0]), "{kept:?}");
    assert_eq!(kept.last(), Some(&300), "RFC 9520 section 3.2");
    dead.becomes(|asked| address(asked, 60, "192.0.2.1"));
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 60 A 192.0.2.1");
    dead.becomes(|asked| now(message(asked, 2, "", "")));
    pass(60).await;
    assert_eq!(scene.kept("a.test.", A).await.ttl_seconds, 1, "from the beginning after an answer");
}

/// A policy that has something happen when it is asked for the first time.
struct Happening(std::sync::Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl ringdns_forward::policy::Policy for Happening {
    fn rule(&self, _: &ringdns_engine::recall::ForeignQuestion) -> ringdns_forward::policy::Ruling {
        if let Some(happen) = self.0.lock().unwrap().take() {
            happen();
        }
        ringdns_forward::policy::Ruling::Ask
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_by_settings_that_were_just_replaced_is_not_kept() {
    let [old, new] = ["192.0.2.1", "192.0.2.2"].map(|said| Double::new(move |asked| address(asked, 300, said)));
    let policy = Arc::new(Happening(std::sync::Mutex::default()));
    let before = config(vec![zone(".", &[1])]);
    let scene = Scene::with_policy(&before, &[Arc::clone(&old), new], policy.clone());
    let forwarder = scene.forwarder.clone();
    // Between the question's look at the settings and its flight.
    let replace = move || forwarder.reload(&config(vec![zone(".", &[2])])).unwrap();
    *policy.0.lock().unwrap() = Some(Box::new(replace));
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.1", "who waits is told");
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.2", "nobody else is");
    assert_eq!(old.count(), 1);
}
