//! Cookies (RFC 7873).

use ringdns_forward::upstream::Failure;

use crate::asking::{SHORT, address, ask, bad, plain, turns};
use crate::double::{Act, Double, only};
use crate::reply::{Asked, COOKIE, FORGED, HONEST, Reply};

/// What the double puts behind the client's part.
const SERVER_PART: &[u8] = b"from-the-server!";

/// The client's part of a query's cookie.
fn client_part(asked: &Asked) -> Vec<u8> {
    asked.option(COOKIE).map(|mut cookie| cookie.drain(..8).collect()).unwrap_or_default()
}

/// A reply with a right cookie.
fn with_cookie(asked: &Asked) -> Reply {
    asked.reply().option(COOKIE, &[client_part(asked), SERVER_PART.to_vec()].concat())
}

#[tokio::test]
async fn cookies_are_sent_kept_and_sent_back() {
    let double = Double::start(|asked| only(with_cookie(asked))).await;
    let upstream = plain(double.address);
    assert_eq!(address(&upstream).await, HONEST);
    assert!(upstream.state().has_cookies);
    assert_eq!(address(&upstream).await, HONEST);
    let cookies: Vec<Vec<u8>> = double.asked().iter().map(|asked| asked.option(COOKIE).unwrap()).collect();
    assert_eq!(cookies[0].len(), 8);
    assert_eq!(cookies[1], [&cookies[0], SERVER_PART].concat());
    assert!(double.asked().iter().all(|asked| !asked.over_tcp));
    let other = plain(double.address);
    address(&other).await;
    assert_ne!(double.asked()[2].option(COOKIE).unwrap(), cookies[0]);
}

#[tokio::test]
async fn an_upstream_without_cookies_is_believed() {
    let double = Double::start(|asked| only(asked.reply())).await;
    let upstream = plain(double.address);
    for _ in 0..3 {
        assert_eq!(address(&upstream).await, HONEST);
    }
    assert!(!upstream.state().has_cookies && double.asked().iter().all(|asked| !asked.over_tcp));
}

#[tokio::test]
async fn who_has_had_cookies_is_not_believed_without() {
    let double = Double::start(|asked| {
        let forged = asked.reply().with(&[FORGED]);
        let is_first = asked.option(COOKIE).is_some_and(|cookie| cookie.len() == 8);
        if is_first || asked.over_tcp { only(with_cookie(asked)) } else { only(forged) }
    })
    .await;
    let upstream = plain(double.address);
    for _ in 0..3 {
        assert_eq!(address(&upstream).await, HONEST);
    }
    assert_eq!((bad(&upstream, "no_cookie"), turns(&upstream, "doubt")), (2, 2));
}

#[tokio::test]
async fn a_wrong_cookie_is_not_believed() {
    let double = Double::start(|asked| {
        let wrong = asked.reply().with(&[FORGED]).option(COOKIE, b"not oursfrom-the-server!");
        if asked.over_tcp { only(with_cookie(asked)) } else { only(wrong) }
    })
    .await;
    let upstream = plain(double.address);
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!(bad(&upstream, "cookie"), 1);
}

#[tokio::test]
async fn badcookie_is_answered_with_the_new_cookie() {
    let double = Double::start(|asked| {
        let is_known = asked.option(COOKIE).is_some_and(|cookie| cookie[8..] == *SERVER_PART);
        if is_known { only(with_cookie(asked)) } else { only(with_cookie(asked).rcode(23)) }
    })
    .await;
    let upstream = plain(double.address);
    assert_eq!(address(&upstream).await, HONEST);
    let asked = double.asked();
    assert!(asked.len() == 2 && !asked[1].over_tcp);
}

#[tokio::test]
async fn badcookie_twice_leads_to_tcp() {
    let double =
        Double::start(
            |asked| {
                if asked.over_tcp { only(with_cookie(asked)) } else { only(with_cookie(asked).rcode(23)) }
            },
        )
        .await;
    let upstream = plain(double.address);
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!(double.asked().iter().map(|asked| asked.over_tcp).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(turns(&upstream, "cookie"), 1);
}

#[tokio::test]
async fn who_gives_cookies_up_is_believed_once_a_connection_has_shown_it() {
    let double = Double::start(|asked| {
        let is_first = asked.option(COOKIE).is_some_and(|cookie| cookie.len() == 8);
        if is_first { only(with_cookie(asked)) } else { only(asked.reply()) }
    })
    .await;
    let upstream = plain(double.address);
    for _ in 0..4 {
        assert_eq!(address(&upstream).await, HONEST);
    }
    let over_tcp: Vec<bool> = double.asked().iter().map(|asked| asked.over_tcp).collect();
    assert_eq!(over_tcp, [false, false, true, false, false]);
}

#[tokio::test]
async fn a_wrong_cookie_is_no_answer_where_there_is_no_tcp() {
    let double = Double::without_tcp(|asked| {
        vec![Act::from(asked.reply().with(&[FORGED]).option(COOKIE, b"not oursfrom-the-server!"))]
    })
    .await;
    assert_eq!(ask(&plain(double.address), "some.name.", SHORT).await, Err(Failure::Unreachable));
}
