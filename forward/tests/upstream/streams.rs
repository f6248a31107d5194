//! Over TCP: connections that are kept, shared, closed and cut.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use ringdns_controlplane::config::forward::UpstreamConfig;
use ringdns_forward::upstream::{Failure, Switches};

use crate::asking::{SHORT, TRY, address, address_in, ask, bad, quiet, tcp_only, until, with};
use crate::double::{Act, Double, only};
use crate::reply::{FORGED, HONEST, Reply, framed};

#[tokio::test]
async fn questions_share_a_connection_and_are_answered_in_any_order() {
    // The later a question comes, the sooner it is answered.
    let double = Double::start(|asked| {
        let last = asked.name()[1..].iter().find(|byte| byte.is_ascii_digit()).copied().unwrap();
        vec![Act::Wait(u64::from(b'9' - last) * 40), asked.reply().with(&[[10, 0, 0, last]]).into()]
    })
    .await;
    let upstream = tcp_only(double.address);
    let names: Vec<String> = (0..10).map(|number| format!("n{number}.example.")).collect();
    let answers = join_all(names.iter().map(|name| ask(&upstream, name, TRY))).await;
    for (number, answer) in (b'0'..=b'9').zip(answers) {
        assert_eq!(address_in(&answer.unwrap()), [10, 0, 0, number]);
    }
    assert_eq!(double.connections(), (1, 0));
    assert!(double.asked().iter().all(|asked| asked.over_tcp));
    let ids: std::collections::HashSet<u16> = double.asked().iter().map(crate::reply::Asked::id).collect();
    assert_eq!(ids.len(), 10);
    let state = upstream.state();
    assert_eq!((state.connections_begun, state.connections_reused), (1, 9));
}

#[tokio::test]
async fn a_kept_connection_that_has_gone_is_replaced_at_once() {
    let double = Double::start(|asked| {
        // Each connection answers one question; the next one finds it closed, sooner or later.
        if asked.on_connection == 1 { only(asked.reply()) } else { vec![Act::Close] }
    })
    .await;
    let upstream = tcp_only(double.address);
    for _ in 0..4 {
        assert_eq!(address(&upstream).await, HONEST);
    }
    assert_eq!(double.connections().0, 4);
    assert_eq!(upstream.state().failures.iter().map(|(_, count)| count).sum::<u64>(), 0);
}

#[tokio::test]
async fn a_new_connection_that_closes_is_a_failure_and_not_tried_for_ever() {
    let double = Double::start(|_| vec![Act::Close]).await;
    let upstream = tcp_only(double.address);
    assert_eq!(ask(&upstream, "some.name.", TRY).await, Err(Failure::Closed));
    assert_eq!(double.connections().0, 1);
}

#[tokio::test]
async fn who_closes_after_one_answer_gets_a_connection_for_each_question() {
    let double = Double::start(|asked| {
        if asked.on_connection == 1 { vec![Act::Wait(20), asked.reply().into(), Act::Close] } else { Vec::new() }
    })
    .await;
    let upstream = tcp_only(double.address);
    // It is found out by questions that are lost by it; after that none is.
    drop(join_all((0..9).map(|_| ask(&upstream, "some.name.", TRY))).await);
    let answers = join_all((0..8).map(|_| ask(&upstream, "some.name.", TRY))).await;
    for answer in answers {
        assert_eq!(address_in(&answer.unwrap()), HONEST);
    }
}

#[tokio::test]
async fn messages_that_are_cut_are_no_answers() {
    let whole = Double::start(|asked| {
        let message = asked.reply().bytes();
        let framed = framed(&message, message.len());
        // In pieces, it is an answer.
        vec![
            Act::Raw(framed[..1].to_vec()),
            Act::Wait(20),
            Act::Raw(framed[1..20].to_vec()),
            Act::Wait(20),
            Act::Raw(framed[20..].to_vec()),
        ]
    })
    .await;
    assert_eq!(address(&tcp_only(whole.address)).await, HONEST);
    for (last, failure) in [(Act::Close, Failure::Closed), (Act::Wait(1), Failure::Timeout)] {
        let half = Double::start(move |asked| {
            let message = asked.reply().bytes();
            let framed = framed(&message, message.len() / 2);
            vec![Act::Raw(framed), last.clone()]
        })
        .await;
        assert_eq!(ask(&tcp_only(half.address), "some.name.", SHORT).await, Err(failure));
    }
}

#[tokio::test]
async fn answers_to_other_questions_are_waited_over() {
    let double = Double::start(|asked| {
        let other = Reply { question: b"\x05other\0\0\x01\0\x01".to_vec(), ..asked.reply() }.with(&[FORGED]);
        let stray = Reply { id: !asked.id(), ..asked.reply() }.with(&[FORGED]);
        vec![other.into(), stray.into(), Act::Send(Vec::new()), asked.reply().into()]
    })
    .await;
    let upstream = tcp_only(double.address);
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!((bad(&upstream, "question"), bad(&upstream, "id")), (1, 2));
}

#[tokio::test]
async fn an_answer_that_is_garbage_is_malformed_and_one_that_is_truncated_is_what_there_is() {
    let double = Double::start(|asked| only(Reply { behind: vec![1], ..asked.reply() })).await;
    assert_eq!(ask(&tcp_only(double.address), "some.name.", TRY).await, Err(Failure::Malformed));
    let double = Double::start(|asked| only(asked.reply().truncated())).await;
    let upstream = with(&UpstreamConfig::Plain(double.address), quiet());
    let answer = ask(&upstream, "some.name.", TRY).await.unwrap();
    assert_eq!(answer[2] & 0x02, 0x02, "TC");
    assert_eq!(double.asked().iter().map(|asked| asked.over_tcp).collect::<Vec<_>>(), [false, true]);
    let manners = upstream.state();
    assert!(manners.has_edns && manners.varies_case, "what is missing shows no habits");
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_not_used_again() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let double = Double::start(|asked| match ASKED.fetch_add(1, Ordering::Relaxed) {
        0 => Vec::new(),
        _ if asked.on_connection == 1 => only(asked.reply()),
        _ => Vec::new(),
    })
    .await;
    let upstream = tcp_only(double.address);
    assert_eq!(ask(&upstream, "some.name.", Duration::from_millis(600)).await, Err(Failure::Timeout));
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!(double.connections().0, 2);
}

#[tokio::test]
async fn connections_end_when_they_are_idle_and_with_the_upstream() {
    let double = Double::start(|asked| only(asked.reply())).await;
    let switches = Switches { tcp_only: true, idle_after: Duration::from_millis(300), ..quiet() };
    let upstream = with(&UpstreamConfig::Plain(double.address), switches);
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!(upstream.state().connections, 1);
    until("the idle connection is closed", || double.connections() == (1, 1)).await;
    assert_eq!(upstream.state().connections, 0);
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!(double.connections(), (2, 1));
    drop(upstream);
    until("the connection is closed", || double.connections() == (2, 2)).await;
}

#[tokio::test]
async fn many_questions_at_once_take_few_connections() {
    let double = Double::start(|asked| vec![Act::Wait(50), asked.reply().into()]).await;
    let upstream = tcp_only(double.address);
    let answers = join_all((0..500).map(|_| ask(&upstream, "some.name.", TRY))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!((4..=5).contains(&double.connections().0), "{:?}", double.connections());
}
