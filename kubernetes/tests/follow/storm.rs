//! Storms: everything goes wrong at random while the cluster changes at random.

use super::*;
use crate::double::Chance;

/// Names of each kind. Those of even numbers are never removed.
const NAMES: u64 = 14;

/// A change of the cluster by chance.
fn change(server: &Server, chance: &mut Chance) {
    let number = chance.below(NAMES);
    let (namespace, name) = (["a", "b"][usize::try_from(number % 2).unwrap()], format!("n{number}"));
    let is_removed = number % 2 == 1 && chance.below(3) == 0;
    match (chance.below(4), is_removed) {
        (0, true) => server.remove("services", namespace, &name),
        (0, false) => server.put(service(namespace, &name, &format!("10.0.{number}.{}", chance.below(250)))),
        (1, true) => server.remove("pods", namespace, &name),
        (1, false) => server.put(json!({ "kind": "Pod", "metadata": { "namespace": namespace, "name": name },
                "status": { "phase": "Running", "podIP": format!("10.1.{number}.{}", chance.below(250)) } })),
        (_, true) => server.remove("endpointslices", namespace, &name),
        (_, false) => {
            let addresses: Vec<String> = (0..chance.below(4)).map(|last| format!("10.2.{number}.{last}")).collect();
            server.put(slice(namespace, &name, &format!("s{}", number / 2), &addresses));
        }
    }
}

/// Makes what stays for the whole storm.
fn found(server: &Server) {
    for namespace in ["a", "b"] {
        server.put(json!({ "kind": "Namespace", "metadata": { "name": namespace } }));
    }
    for number in 0..NAMES {
        let (namespace, name) = (["a", "b"][usize::try_from(number % 2).unwrap()], format!("n{number}"));
        server.put(service(namespace, &name, "10.0.0.1"));
        server.put(slice(namespace, &name, "s", &["10.2.0.1".to_owned()]));
        server.put(json!({ "kind": "Pod", "metadata": { "namespace": namespace, "name": name },
                           "status": { "phase": "Running", "podIP": "10.1.0.1" } }));
    }
}

/// A storm of a seed.
async fn storm(seed: u64) {
    let mut server = Server::start().await;
    let mut chance = Chance::new(seed);
    found(&server);
    let mut follow = Follow::start(&server, plan(&[What::Namespaces, What::Services, What::Either, What::Pods]));
    server.faults().storm = Some((Chance::new(seed ^ 0xffff), 3));
    server.faults().bookmark_ms = 15;
    for turn in 0..100 {
        change(&server, &mut chance);
        match chance.below(25) {
            0 => server.cut(),
            1 => server.cluster().compact(),
            2 => {
                // Away, and what has changed in the meantime may be forgotten when it is back.
                server.go_away().await;
                (0..5).for_each(|_| change(&server, &mut chance));
                if chance.below(2) == 0 {
                    server.cluster().compact();
                }
                server.listen().await;
            }
            3 => server.cluster().pass(chance.below(20)),
            _ => {}
        }
        let pause = Duration::from_millis(chance.below(7));
        let end = tokio::time::Instant::now() + pause;
        while let Ok(Some(told)) = tokio::time::timeout_at(end, follow.following.told.recv()).await {
            follow.mirror.take(told);
        }
        // What is never removed is never told gone: there is no hole.
        let hole = follow
            .mirror
            .gone
            .drain(..)
            .find(|(_, _, name)| !name.starts_with('n') || name[1..].parse::<u64>().unwrap() % 2 == 0);
        assert_eq!(hole, None, "seed {seed}, turn {turn}");
    }
    server.faults().storm = None;
    follow.until_listed().await;
    follow.until_fresh(&server).await;
    // And it goes on from there.
    server.put(service("a", "last", "10.0.0.9"));
    follow
        .until("the change after the storm", |mirror, _| mirror.objects.keys().any(|(_, _, name)| name == "last"))
        .await;
    follow.until_fresh(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_storm_what_is_told_is_what_is_listed() {
    let seeds: Vec<u64> = match std::env::var("STORM_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=4).collect(),
    };
    let mut storms = tokio::task::JoinSet::new();
    for seed in seeds {
        storms.spawn(storm(seed));
    }
    storms.join_all().await;
}
