//! Questions under way: each once, whoever waits; nothing grows without bound, and nobody waits for ever.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringdns_engine::cache::EntryBits;
use tokio::time::Instant;

use crate::common::{A, AAAA, Double, Said, Scene, address, config, pass, silence, zone};

#[tokio::test(start_paused = true)]
async fn who_asks_the_same_waits_for_the_same() {
    let double = Double::new(|asked| Said(Duration::from_millis(100), address(asked, 300, "192.0.2.1").1));
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    let waiters: Vec<_> = (0..50)
        .map(|number| scene.begin_with("A.test.", A, EntryBits::default(), &format!("192.0.2.{number}")))
        .collect();
    let other = scene.begin("a.test.", AAAA);
    let signed = scene.begin_with("a.test.", A, EntryBits::DNSSEC_OK, "192.0.2.1");
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap().unwrap().counts, [1, 0]);
    }
    drop((other.await, signed.await));
    assert_eq!(double.count(), 3, "type and DO make another question");
    assert_eq!(scene.metric("ringdns_forward_merged_total"), 49);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_names_is_bounded_and_leaves_nothing_behind() {
    let double = Double::new(|_| silence());
    let mut config = config(vec![zone(".", &[1])]);
    (config.questions_max, config.questions_per_client_max) = (100, 1000);
    let scene = Scene::new(&config, &[Arc::clone(&double)]);
    let begin = Instant::now();
    let waiters: Vec<_> = (0..10_000).map(|number| scene.begin(&format!("{number}.test."), A)).collect();
    let mut refused = 0;
    for waiter in waiters {
        refused += usize::from(waiter.await.unwrap().unwrap().rcode == 5);
    }
    assert_eq!(refused, 9_900);
    assert!(begin.elapsed() <= config.deadline);
    pass(10).await;
    assert_eq!(double.under_way.load(Ordering::SeqCst), 0);
    assert!(double.most_under_way.load(Ordering::SeqCst) <= 200);
    assert_eq!(scene.metric("ringdns_forward_under_way"), 0);
    assert_eq!(scene.metric("ringdns_forward_waiting"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_has_so_many_questions_a_second() {
    let double = Double::new(|asked| address(asked, 300, "192.0.2.1"));
    let mut config = config(vec![zone(".", &[1])]);
    config.questions_per_client_per_second = 10;
    let scene = Scene::new(&config, &[Arc::clone(&double)]);
    // A name more each time, so that nothing is known of it.
    let mut number = 0;
    let mut refused = async |client: &str, count: usize| {
        let mut refused = 0;
        for _ in 0..count {
            number += 1;
            let answer = scene.begin_with(&format!("n{number}.test."), A, EntryBits::default(), client).await;
            refused += usize::from(answer.unwrap().unwrap().rcode == 5);
        }
        refused
    };
    assert_eq!(refused("192.0.2.1", 20).await, 5, "half a second's worth more at once");
    assert_eq!(refused("192.0.2.2", 15).await, 0, "another client");
    assert_eq!(refused("2001:db8::1", 15).await, 0);
    assert_eq!(refused("2001:db8::2", 1).await, 1, "of the same network");
    pass(1).await;
    assert_eq!(refused("192.0.2.1", 12).await, 2);
    assert_eq!(double.count(), 55, "nobody is asked for those");
    assert_eq!(scene.metric("coredns_forward_max_concurrent_rejects_total"), 8);
    config.questions_per_client_per_second = 0;
    scene.forwarder.reload(&config).unwrap();
    assert_eq!(refused("192.0.2.1", 100).await, 0);
}

#[tokio::test(start_paused = true)]
async fn it_is_counted_that_all_upstreams_are_down() {
    let double = Double::new(|asked| address(asked, 300, "192.0.2.1"));
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    scene.ask("a.test.", A).await;
    assert_eq!(scene.metric("coredns_forward_healthcheck_broken_total"), 0);
    double.is_up.store(false, Ordering::SeqCst);
    scene.ask("b.test.", A).await;
    assert_eq!(scene.metric("coredns_forward_healthcheck_broken_total"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_tells_all_who_wait() {
    let double = Double::new(|_| silence());
    let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
    let waiters: Vec<_> = (0..5).map(|number| scene.begin(&format!("{number}.test."), A)).collect();
    let begin = Instant::now();
    scene.forwarder.stop();
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap().unwrap().rcode, 2);
    }
    assert_eq!(scene.kept("6.test.", A).await.rcode, 2, "who comes later too");
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

/// The runtime ends before the forwarder does: whoever waits is told, by whatever thread.
#[test]
fn the_end_of_the_runtime_tells_all_who_wait() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let double = Double::new(|_| silence());
    let (scene, waiter) = runtime.block_on(async {
        let scene = Scene::new(&config(vec![zone(".", &[1])]), &[Arc::clone(&double)]);
        let waiter = scene.begin("a.test.", A);
        (scene, waiter)
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    assert_eq!(waiter.blocking_recv().unwrap().unwrap().rcode, 2);
    assert_eq!(scene.begin("b.test.", A).blocking_recv().unwrap().unwrap().rcode, 2);
}
