//! Upstreams by name, and zones that come while the forwarder runs.

use std::sync::Arc;

use ringdns_controlplane::config::forward::{ForwardMode, ForwardZone};
use ringdns_controlplane::suffixes::StubZones;
use ringdns_forward::ZoneUpstream;
use ringdns_forward::upstream::Failure;

use crate::common::{A, AAAA, Asked, Double, Said, Scene, address, config, message, name, now, pass, soa, zone};

/// A zone with upstreams by name and by number.
fn named(of: &str, names: &[&str], upstreams: &[u16]) -> ForwardZone {
    ForwardZone { named: names.iter().map(|text| text.parse().unwrap()).collect(), ..zone(of, upstreams) }
}

/// The upstreams of a zone: where they are, or as they are written; whose address it is; and what is wrong with that.
fn shown(scene: &Scene, of: &str) -> Vec<String> {
    let show = |upstream: &ZoneUpstream| {
        let (host, error) = upstream.host.clone().unzip();
        let address = upstream.config.address();
        let place = if address.ip().is_unspecified() { upstream.state.name.clone() } else { address.to_string() };
        let host = host.map(|host| format!(" of {host}")).unwrap_or_default();
        format!("{place}{host}{}", error.flatten().map(|error| format!(": {error}")).unwrap_or_default())
    };
    let upstreams = scene.forwarder.upstreams();
    upstreams.iter().filter(|upstream| upstream.zone == name(of)).map(show).collect()
}

/// Says the addresses of a host, and of other names that they are somewhere else.
fn knows(host: &'static str, ttl: u32, said: &'static str) -> impl Fn(&Asked) -> Said {
    move |asked| match asked.qtype {
        A if asked.is(host) => address(asked, ttl, said),
        AAAA => now(message(asked, 0, "", &soa("test.", 300, 300))),
        _ => address(asked, 300, "192.0.2.99"),
    }
}

#[tokio::test(start_paused = true)]
async fn names_are_asked_of_who_is_given_by_address_again_and_again() {
    let near = Double::new(knows("ns.corp.test.", 60, "192.0.2.50"));
    let far = Double::new(|asked| address(asked, 300, "192.0.2.2"));
    let config = config(vec![zone(".", &[1]), named("corp.test.", &["ns.corp.test:2"], &[])]);
    let scene = Scene::new(&config, &[Arc::clone(&near), Arc::clone(&far)]);
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    assert_eq!(
        shown(&scene, "corp.test."),
        ["ns.corp.test:2 of ns.corp.test.: the zones that are served are not known yet"]
    );
    scene.serve(&[]);
    pass(2).await;
    assert_eq!(shown(&scene, "corp.test."), ["192.0.2.50:2 of ns.corp.test."]);
    assert_eq!(scene.ask("a.corp.test.", A).await, "NOERROR a.corp.test. 300 A 192.0.2.2");
    assert_eq!(scene.ask("a.test.", A).await, "NOERROR a.test. 300 A 192.0.2.99");
    near.becomes(knows("ns.corp.test.", 10, "192.0.2.51"));
    pass(50).await;
    assert_eq!(shown(&scene, "corp.test."), ["192.0.2.50:2 of ns.corp.test."], "its time is not over");
    pass(10).await;
    assert_eq!(shown(&scene, "corp.test."), ["192.0.2.51:2 of ns.corp.test."]);
    // It stays while nobody says anything else.
    near.becomes(|_| Said(std::time::Duration::ZERO, Err(Failure::Timeout)));
    pass(20).await;
    assert_eq!(shown(&scene, "corp.test."), ["192.0.2.51:2 of ns.corp.test.: no upstream has answered"]);
    near.becomes(|asked| now(message(asked, 3, "", &soa("test.", 300, 300))));
    pass(60).await;
    assert_eq!(shown(&scene, "corp.test."), ["192.0.2.51:2 of ns.corp.test.: the name has no address"]);
    assert_eq!(scene.ask("b.corp.test.", A).await, "NOERROR b.corp.test. 300 A 192.0.2.2");
    near.becomes(knows("ns.corp.test.", 300, "192.0.2.52"));
    pass(60).await;
    assert_eq!(shown(&scene, "corp.test."), ["192.0.2.52:2 of ns.corp.test."]);
    let asked = far.asked.lock().unwrap();
    assert!(asked.iter().all(|asked| !asked.is("ns.corp.test.")), "never through itself: {asked:?}");
}

#[tokio::test(start_paused = true)]
async fn upstreams_by_name_stand_where_they_are_given() {
    let near = Double::new(|asked| match asked.qtype {
        A => now(message(asked, 0, "ns.test. 60 IN A 192.0.2.61\nns.test. 60 IN A 192.0.2.60", "")),
        _ => now(message(asked, 0, "ns.test. 60 IN AAAA 2001:db8::1\nns.test. 60 IN AAAA ::", "")),
    });
    let mut zone = named(".", &["ns.test:2", "192-0-2-1.test:1"], &[1, 3]);
    zone.named[0].place = 1;
    let doubles = [near, Double::new(|_| now(Vec::new())), Double::new(|_| now(Vec::new()))];
    let mut config = config(vec![zone]);
    config.own = vec!["192.0.2.60:2".parse().unwrap()];
    let scene = Scene::new(&config, &doubles);
    scene.serve(&[("ours.", &[("ns.ours.", [192, 0, 2, 60])])]);
    pass(2).await;
    assert_eq!(
        shown(&scene, "."),
        [
            "192.0.2.1:1",
            "192.0.2.61:2 of ns.test.",
            "[2001:db8::1]:2 of ns.test.",
            "192.0.2.1:3",
            "192-0-2-1.test:1 of 192-0-2-1.test.: the name has no address",
        ]
    );
    config.zones[0].named = vec!["ns.ours:2".parse().unwrap()];
    scene.forwarder.reload(&config).unwrap();
    pass(1).await;
    let own = "ns.ours:2 of ns.ours.: 192.0.2.60 is where RingDNS itself answers: it would ask itself";
    assert_eq!(shown(&scene, "."), ["192.0.2.1:1", "192.0.2.1:3", own], "our own zone has the name");
    config.own = Vec::new();
    scene.forwarder.reload(&config).unwrap();
    assert_eq!(shown(&scene, "."), ["192.0.2.60:2 of ns.ours.", "192.0.2.1:1", "192.0.2.1:3"]);
}

#[tokio::test(start_paused = true)]
async fn stub_zones_come_and_go() {
    let said = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let doubles = said.map(|said| Double::new(move |asked| address(asked, 300, said)));
    let mut config = config(vec![zone(".", &[1]), zone("fixed.test.", &[3])]);
    config.common.mode = ForwardMode::Disable;
    config.own = vec!["192.0.2.1:53".parse().unwrap()];
    let scene = Scene::new(&config, &doubles);
    assert_eq!(scene.ask("a.corp.test.", A).await, "NOERROR a.corp.test. 300 A 192.0.2.1");
    let server = |port: u16| std::net::SocketAddr::new("192.0.2.1".parse().unwrap(), port);
    let stubs: StubZones =
        [(name("corp.test."), vec![server(53), server(2)]), (name("fixed.test."), vec![server(2)])].into();
    scene.forwarder.set_stub_zones(&stubs);
    assert_eq!(
        scene.ask("a.corp.test.", A).await,
        "NOERROR a.corp.test. 300 A 192.0.2.2",
        "what was kept is forgotten"
    );
    assert_eq!(
        scene.ask("a.fixed.test.", A).await,
        "NOERROR a.fixed.test. 300 A 192.0.2.3",
        "the configuration counts more"
    );
    assert_eq!(shown(&scene, "corp.test."), ["192.0.2.1:2"], "our own address is left out");
    scene.forwarder.reload(&config).unwrap();
    assert_eq!(scene.ask("b.corp.test.", A).await, "NOERROR b.corp.test. 300 A 192.0.2.2", "they outlive a reload");
    scene.forwarder.set_stub_zones(&StubZones::new());
    assert_eq!(scene.ask("b.corp.test.", A).await, "NOERROR b.corp.test. 300 A 192.0.2.1");
}
