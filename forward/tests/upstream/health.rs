//! Whether an upstream is up, and what is done to find out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringdns_controlplane::config::forward::UpstreamConfig;
use ringdns_engine::name::WireName;
use ringdns_forward::upstream::{Failure, Switches};
use tokio::sync::Notify;

use crate::asking::{SHORT, TRY, address, ask, quiet, until, with};
use crate::double::{Double, only};
use crate::reply::HONEST;

/// Down after some failures.
fn down_after(failures_max: u32) -> Switches {
    Switches { failures_max, ..quiet() }
}

#[tokio::test]
async fn failures_in_a_row_take_it_down_and_any_answer_up() {
    let works = Arc::new(AtomicBool::new(true));
    let works_there = Arc::clone(&works);
    let double = Double::start(move |asked| {
        // Not even a friendly answer.
        if works_there.load(Ordering::Relaxed) { only(asked.reply().rcode(5)) } else { Vec::new() }
    })
    .await;
    let upstream = with(&UpstreamConfig::Plain(double.address), down_after(2));
    ask(&upstream, "some.name.", TRY).await.unwrap();
    works.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(ask(&upstream, "some.name.", SHORT).await, Err(Failure::Timeout));
    }
    assert!(!upstream.is_up());
    // It is asked all the same where the caller wants that.
    assert_eq!(ask(&upstream, "some.name.", SHORT).await, Err(Failure::Timeout));
    works.store(true, Ordering::Relaxed);
    until("a probe is answered", || upstream.is_up()).await;
    let state = upstream.state();
    assert!(state.is_up && state.failures_in_row == 0);
    assert!(state.probes_failed >= 1 && state.probes > state.probes_failed, "{state:?}");
    let probes = double.asked().iter().filter(|asked| asked.name() == [0] && asked.qtype() == 2).count() as u64;
    assert!(probes >= 1 && probes <= state.probes);
}

#[tokio::test]
async fn a_name_that_gets_no_answer_does_not_take_it_down() {
    let double = Double::start(|asked| if asked.name() == [0] { only(asked.reply()) } else { Vec::new() }).await;
    let upstream = with(&UpstreamConfig::Plain(double.address), down_after(2));
    for _ in 0..4 {
        assert_eq!(ask(&upstream, "slow.name.", Duration::from_millis(50)).await, Err(Failure::Timeout));
        until("the probe is answered", || upstream.state().failures_in_row == 0).await;
        assert!(upstream.is_up());
    }
    assert_eq!(upstream.state().probes, 4);
}

#[tokio::test]
async fn probes_become_fewer_while_nobody_answers() {
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upstream = with(&UpstreamConfig::Plain(nobody), down_after(1));
    assert_eq!(ask(&upstream, "some.name.", TRY).await, Err(Failure::Unreachable));
    assert!(!upstream.is_up());
    tokio::time::sleep(Duration::from_millis(700)).await;
    // After 0, 20, 60, 140, 300, 620 ms, by and large: 35 would come without backing off.
    let probes = upstream.state().probes;
    assert!((2..=10).contains(&probes), "{probes}");
}

#[tokio::test]
async fn zero_failures_never_take_it_down() {
    let double = Double::start(|_| Vec::new()).await;
    let upstream = with(&UpstreamConfig::Plain(double.address), down_after(0));
    for _ in 0..5 {
        assert_eq!(ask(&upstream, "some.name.", Duration::from_millis(20)).await, Err(Failure::Timeout));
    }
    assert!(upstream.is_up());
    assert_eq!((upstream.state().failures_in_row, upstream.state().probes), (5, 0));
}

#[tokio::test]
async fn an_exchange_that_is_given_up_is_no_failure_and_counts_as_slow() {
    let double = Double::start(|_| Vec::new()).await;
    let upstream = with(&UpstreamConfig::Plain(double.address), down_after(1));
    for _ in 0..20 {
        let given_up = tokio::time::timeout(Duration::from_millis(15), ask(&upstream, "some.name.", TRY)).await;
        assert!(given_up.is_err());
    }
    assert!(upstream.is_up() && upstream.latency().is_none());
    assert!(upstream.p95().unwrap() >= Duration::from_millis(15));
}

#[tokio::test]
async fn an_upstream_that_leads_back_is_not_used_until_that_ends() {
    let (comes_back, leads_back) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(true)));
    let (comes_back_there, leads_back_there) = (Arc::clone(&comes_back), Arc::clone(&leads_back));
    let double = Double::start(move |asked| {
        if asked.qtype() == 13 && leads_back_there.load(Ordering::Relaxed) {
            comes_back_there.notify_one();
        }
        only(asked.reply())
    })
    .await;
    let zone: WireName = "corp.example.".parse().unwrap();
    let switches = Switches { loops_after: Some(Duration::from_millis(50)), zone: zone.clone(), ..quiet() };
    let upstream = with(&UpstreamConfig::Plain(double.address), switches);
    assert_eq!(address(&upstream).await, HONEST);
    tokio::time::timeout(TRY, comes_back.notified()).await.unwrap();
    let name = {
        let asked = double.asked();
        let probe = asked.iter().find(|asked| asked.qtype() == 13).unwrap();
        WireName::from_wire(probe.name()).unwrap()
    };
    assert!(zone.contains(&name) && name.label_count() == 4);
    assert!(!upstream.is_loop(&zone, 13) && !upstream.is_loop(&name, 1) && upstream.is_up());
    assert!(upstream.is_loop(&name, 13));
    assert!(!upstream.is_up() && upstream.state().is_loop);
    assert_eq!(ask(&upstream, "some.name.", TRY).await, Err(Failure::Loop));
    assert!(double.asked().iter().filter(|asked| asked.qtype() == 1).count() == 1);
    leads_back.store(false, Ordering::Relaxed);
    until("the loop is seen to have ended", || upstream.is_up()).await;
    assert_eq!(address(&upstream).await, HONEST);
}
