//! One fault at a time.

use super::*;
use crate::double::Fault;

/// A server with some Services.
async fn server(services: usize) -> Server {
    let server = Server::start().await;
    for number in 0..services {
        server.put(service("a", &format!("s{number:02}"), &format!("10.0.0.{number}")));
    }
    server
}

#[tokio::test]
async fn everything_is_listed_by_pages_and_then_watched() {
    let server = server(10).await;
    server.faults().bookmark_ms = 5;
    let mut follow = Follow::start(&server, plan(&[What::Services]));
    follow.until_listed().await;
    assert_eq!((follow.mirror.objects.len(), follow.mirror.gone.len()), (10, 0));
    server.put(service("a", "s00", "10.0.9.9"));
    server.put(service("b", "new", "10.0.9.8"));
    server.remove("services", "a", "s01");
    follow.until("three changes", |mirror, _| mirror.gone.len() == 1 && mirror.events == 13).await;
    follow.until_fresh(&server).await;
    server.cluster().pass(1000);
    let version = server.cluster().version();
    follow
        .until("a bookmark is noted", |_, state| state.json()["kinds"]["service"]["resource_version"] == version)
        .await;
    let requests = server.cluster().requests.clone();
    let pages = requests.iter().filter(|line| line.contains("limit=3")).count();
    // A fresh follower has listed as well.
    assert_eq!(pages, 8, "{requests:#?}");
    assert!(requests.iter().any(|line| line.contains("watch=true") && line.contains("allowWatchBookmarks=true")));
    assert!(follow.state.is_connected() && follow.state.age_seconds(Kind::Service).is_some_and(|age| age < 5.0));
}

#[tokio::test]
async fn a_page_that_fails_is_asked_for_again() {
    let server = server(10).await;
    server.faults().next.extend([Fault::Slow(0), Fault::Cut, Fault::CutMiddle, Fault::Status(500), Fault::Status(429)]);
    let mut follow = Follow::start(&server, plan(&[What::Services]));
    follow.until_listed().await;
    assert_eq!((follow.mirror.events, follow.mirror.objects.len()), (10, 10), "no page was told twice");
    assert_eq!((follow.failures("server"), follow.failures("throttled"), follow.failures("unreachable")), (1, 1, 2));
}

#[tokio::test]
async fn a_listing_that_the_server_has_forgotten_begins_anew() {
    let server = server(10).await;
    server.faults().next.extend([
        Fault::Slow(0),
        Fault::Status(410),
        Fault::Slow(0),
        Fault::Slow(0),
        Fault::Status(410),
    ]);
    let mut follow = Follow::start(&server, plan(&[What::Services]));
    follow.until_listed().await;
    follow.until_fresh(&server).await;
    assert_eq!(follow.mirror.gone, []);
    let last = server
        .cluster()
        .requests
        .iter()
        .rfind(|line| !line.contains("limit=3") && !line.contains("watch=true"))
        .cloned();
    assert!(last.is_some(), "the third listing comes in one page");
}

#[tokio::test]
async fn what_was_missed_beyond_the_servers_memory_is_listed() {
    let mut server = server(10).await;
    let mut follow = Follow::start(&server, plan(&[What::Services]));
    follow.until_listed().await;
    // Of an even version and of an odd one: the server says it in either of two ways.
    for (name, is_even) in [("s03", true), ("s04", false)] {
        server.go_away().await;
        server.remove("services", "a", name);
        server.put(service("a", &format!("after-{name}"), "10.0.1.1"));
        if server.cluster().version() % 2 == u64::from(is_even) {
            server.cluster().pass(1);
        }
        server.cluster().compact();
        server.listen().await;
        follow.until("what is gone is gone", |mirror, _| mirror.gone.iter().any(|(_, _, gone)| gone == name)).await;
        follow.until_fresh(&server).await;
    }
    assert_eq!(follow.mirror.gone.len(), 2, "nothing else is told gone");
    assert!(follow.failures("gone") >= 1);
}

#[tokio::test]
async fn an_etcd_that_was_put_back_is_found_out() {
    let server = server(10).await;
    let before = server.cluster().version();
    let mut follow = Follow::start(&server, plan(&[What::Services]));
    follow.until_listed().await;
    for number in 0..20 {
        server.put(service("later", &format!("n{number}"), "10.0.1.1"));
    }
    follow.until_count(30).await;
    // A watch of the version that was would say nothing until the server has come that far again.
    server.restore(before);
    server.put(service("a", "restored", "10.0.2.2"));
    follow.until_count(11).await;
    follow.until_fresh(&server).await;
    assert!(follow.failures("backwards") >= 1);
}

#[tokio::test]
async fn a_watch_that_says_nothing_is_opened_again() {
    let server = server(2).await;
    server.faults().bookmark_ms = 100;
    server.faults().next.extend([Fault::Slow(0), Fault::Silent]);
    let mut follow = Follow::start(&server, plan(&[What::Services]));
    follow.until_listed().await;
    server.put(service("a", "unheard", "10.0.2.2"));
    follow.until_count(3).await;
    assert_eq!(follow.failures("silent"), 1);
}

#[tokio::test]
async fn an_event_that_was_told_before_does_no_harm() {
    let server = server(3).await;
    server.remove("services", "a", "s01");
    server.put(service("a", "s01", "10.0.5.5"));
    server.cluster().pass(1);
    server.faults().next.extend([Fault::Slow(0), Fault::Duplicate]);
    let mut follow = Follow::start(&server, plan(&[What::Services]));
    follow.until("it is listed again", |_, state| state.json()["kinds"]["service"]["lists"] == 2).await;
    follow.until_fresh(&server).await;
    assert_eq!(follow.mirror.gone, []);
}

#[tokio::test]
async fn a_token_that_was_renewed_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "first").unwrap();
    let server = server(4).await;
    server.cluster().token = Some("first".to_owned());
    let mut follow = Follow::with(plan(&[What::Services]), &server.access_with(&path));
    follow.until_listed().await;
    // The old one is taken no more, before the new one is there.
    server.cluster().token = Some("second".to_owned());
    server.cut();
    server.put(service("a", "new", "10.0.2.2"));
    follow
        .until("the old token is refused", |_, state| {
            state.faults().keys().any(|(_, reason)| *reason == "unauthorized")
        })
        .await;
    let shown = follow.state.json()["kinds"]["service"]["errors"][0].as_str().unwrap().to_owned();
    assert!(shown.contains("401") && shown.contains("kubernetes.token_file"), "{shown}");
    std::fs::write(&path, "second").unwrap();
    follow.until_count(5).await;
    assert_eq!(follow.mirror.gone, [], "what was known stayed");
}

#[tokio::test]
async fn what_may_not_be_read_is_named_with_its_remedy() {
    let server = server(4).await;
    server.cluster().forbidden.insert("endpointslices".to_owned());
    let mut follow = Follow::start(&server, plan(&[What::Services, What::Either]));
    follow
        .until("it is refused", |mirror, state| {
            mirror.listed.contains(&0) && !state.json()["kinds"]["endpoints"]["errors"].as_array().unwrap().is_empty()
        })
        .await;
    let shown = follow.state.json()["kinds"]["endpoints"]["errors"][0].as_str().unwrap().to_owned();
    assert!(shown.contains("list and watch on endpointslices by a ClusterRole"), "{shown}");
    server.cluster().forbidden.clear();
    follow.until_listed().await;
}

#[tokio::test]
async fn a_server_that_is_away_at_first_is_waited_for() {
    let mut server = server(4).await;
    server.go_away().await;
    let mut follow = Follow::start(&server, plan(&[What::Services]));
    follow
        .until("it cannot be reached", |_, state| state.faults().keys().any(|(_, reason)| *reason == "unreachable"))
        .await;
    server.listen().await;
    follow.until_listed().await;
    assert_eq!(follow.mirror.objects.len(), 4);
}
