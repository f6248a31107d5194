//! Over UDP: what is sent, what is believed, and what leads to TCP.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_proto::op::Message;
use ringdns_engine::name::WireName;
use ringdns_forward::upstream::{Ask, Failure, Switches};

use crate::asking::{SHORT, TRY, address, address_in, ask, bad, plain, quiet, tcp_only, turns, with};
use crate::double::{Act, Double, only};
use crate::reply::{Asked, FORGED, HONEST, Reply, SUBNET};

/// Answers over UDP as told, over TCP honestly.
async fn udp_says(reply: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> Double {
    Double::start(move |asked| if asked.over_tcp { only(asked.reply()) } else { reply(asked) }).await
}

#[tokio::test]
async fn a_query_is_well_formed_and_says_what_is_asked() {
    let double = Double::start(|asked| only(asked.reply())).await;
    let upstream = with(
        &ringdns_controlplane::config::forward::UpstreamConfig::Plain(double.address),
        Switches { wants_ad: true, ..quiet() },
    );
    let name: WireName = "www.Example.".parse().unwrap();
    for (dnssec_ok, checking_disabled) in [(false, false), (true, false), (false, true), (true, true)] {
        let ask = Ask { name: &name, qtype: 28, dnssec_ok, checking_disabled, client_subnet: None };
        upstream.ask(&ask, TRY).await.unwrap();
        let message = Message::from_vec(&double.asked().last().unwrap().message).unwrap();
        let edns = message.edns.unwrap();
        assert_eq!((edns.flags().dnssec_ok, message.metadata.checking_disabled), (dnssec_ok, checking_disabled));
        assert!(message.metadata.recursion_desired && message.metadata.authentic_data);
        assert_eq!((edns.max_payload(), edns.version()), (1232, 0));
        let question = &message.queries[0];
        assert_eq!(question.name().to_string().to_lowercase(), "www.example.");
        assert_eq!(u16::from(question.query_type()), 28);
    }
    assert!(double.asked().iter().all(|asked| !asked.over_tcp));
}

#[tokio::test]
async fn id_port_and_case_are_others_each_time() {
    let double = Double::start(|asked| only(asked.reply())).await;
    let upstream = plain(double.address);
    for _ in 0..40 {
        assert_eq!(address(&upstream).await, HONEST);
    }
    let asked = double.asked();
    let ids: HashSet<u16> = asked.iter().map(Asked::id).collect();
    let names: HashSet<&[u8]> = asked.iter().map(Asked::name).collect();
    let ports: HashSet<u16> = double.askers().iter().map(std::net::SocketAddr::port).collect();
    assert!(ids.len() >= 38, "{} ids", ids.len());
    assert!(names.len() >= 38, "{} cases", names.len());
    assert!(ports.len() >= 38, "{} ports", ports.len());
}

#[tokio::test]
async fn bad_packets_are_waited_over_and_counted() {
    /// A fault, and how it is counted.
    type Fault = (&'static str, fn(&Asked) -> Vec<u8>);
    let faults: [Fault; 7] = [
        ("id", |asked| Reply { id: !asked.id(), ..asked.reply() }.bytes()),
        ("query", |asked| Reply { flags: [0, 0], ..asked.reply() }.bytes()),
        ("opcode", |asked| Reply { flags: [0xa1, 0x80], ..asked.reply() }.bytes()),
        ("question", |asked| Reply { question: b"\x05other\0\0\x01\0\x01".to_vec(), ..asked.reply() }.bytes()),
        ("question", |asked| {
            let mut reply = asked.reply();
            let kind = reply.question.len() - 3;
            reply.question[kind] ^= 0x20;
            reply.bytes()
        }),
        ("question", |asked| Reply { question: Vec::new(), ..asked.reply() }.bytes()),
        ("short", |asked| asked.message[..11].to_vec()),
    ];
    for (label, fault) in faults {
        let double = udp_says(move |asked| {
            let mut forged = fault(asked);
            if let Some(address) = forged.windows(4).position(|window| window == HONEST) {
                forged[address..address + 4].copy_from_slice(&FORGED);
            }
            vec![Act::Send(forged), Act::Wait(20), asked.reply().into()]
        })
        .await;
        let upstream = plain(double.address);
        assert_eq!(address(&upstream).await, HONEST, "{label}");
        assert_eq!(bad(&upstream, label), 1, "{label}");
        assert_eq!(double.asked().len(), 1, "{label}: one bad packet is no reason to ask again");
    }
}

#[tokio::test]
async fn what_another_port_sends_does_not_arrive() {
    let double = udp_says(|asked| {
        let forged = asked.reply().with(&[FORGED]).bytes();
        vec![Act::FromElsewhere(forged), Act::Wait(20), asked.reply().into()]
    })
    .await;
    let upstream = plain(double.address);
    assert_eq!(address(&upstream).await, HONEST);
    assert!(upstream.state().bad_packets.iter().all(|(_, count)| *count == 0));
}

#[tokio::test]
async fn three_bad_packets_lead_to_tcp_at_once() {
    let double = udp_says(|asked| {
        let forged = |id| Act::from(Reply { id, ..asked.reply() }.with(&[FORGED]));
        (1..=3).map(|step| forged(asked.id().wrapping_add(step))).collect()
    })
    .await;
    let upstream = plain(double.address);
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!((bad(&upstream, "id"), turns(&upstream, "attack")), (3, 1));
}

#[tokio::test]
async fn what_is_right_but_for_a_detail_is_looked_at_over_tcp() {
    /// A fault, and how it is counted.
    type Fault = (&'static str, fn(Reply) -> Reply);
    let faults: [Fault; 6] = [
        ("garbage", |reply| Reply { behind: vec![0], ..reply }),
        ("garbage", |reply| Reply { behind: vec![0, 0, 1], ..reply }),
        ("oversize", |reply| reply.with(&[FORGED; 100])),
        ("case", Reply::lower_case),
        ("no_question", |reply| Reply { question: Vec::new(), options: None, ..reply }.rcode(1)),
        // A cookie that nobody asked for like this.
        ("cookie", |reply| reply.option(10, b"elsewhereelsewhere")),
    ];
    for (label, fault) in faults {
        let double = udp_says(move |asked| only(fault(asked.reply().with(&[FORGED])))).await;
        let upstream = plain(double.address);
        assert_eq!(address(&upstream).await, HONEST, "{label}");
        assert_eq!((bad(&upstream, label), turns(&upstream, "doubt")), (1, 1), "{label}");
        assert!(upstream.state().varies_case, "{label}: over TCP the case was right");
    }
}

#[tokio::test]
async fn records_that_end_behind_the_packet_are_not_believed() {
    let double = udp_says(|asked| {
        let whole = asked.reply().bytes();
        vec![Act::Send(whole[..whole.len() - 1].to_vec())]
    })
    .await;
    let upstream = plain(double.address);
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!(bad(&upstream, "garbage"), 1);
}

#[tokio::test]
async fn an_upstream_that_loses_the_case_is_asked_in_lower_case_from_then_on() {
    let double = Double::start(|asked| only(asked.reply().lower_case())).await;
    let upstream = plain(double.address);
    assert_eq!(address(&upstream).await, HONEST);
    assert!(!upstream.state().varies_case);
    assert_eq!(address(&upstream).await, HONEST);
    let asked = double.asked();
    assert_eq!(asked.iter().map(|asked| asked.over_tcp).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(asked[2].name(), asked[2].name().to_ascii_lowercase());
}

#[tokio::test]
async fn an_upstream_that_loses_the_case_and_has_no_tcp_is_asked_twice_once() {
    let refuses = Double::without_tcp(|asked| only(asked.reply().lower_case())).await;
    let is_silent =
        Double::start(|asked| if asked.over_tcp { Vec::new() } else { only(asked.reply().lower_case()) }).await;
    for double in [refuses, is_silent] {
        let upstream = plain(double.address);
        for _ in 0..2 {
            assert_eq!(address_in(&ask(&upstream, "some.name.", SHORT * 2).await.unwrap()), HONEST);
        }
        assert!(!upstream.state().varies_case);
        assert_eq!(double.asked().iter().filter(|asked| !asked.over_tcp).count(), 3);
    }
}

#[tokio::test]
async fn what_is_cut_off_is_given_where_there_is_no_tcp() {
    // Whoever listens and does not take connections, and whoever takes and ends them.
    for closes in [false, true] {
        let manner = move |asked: &Asked| match asked.over_tcp {
            true => vec![Act::Close],
            false => only(asked.reply().truncated().with(&[HONEST])),
        };
        let double = if closes { Double::start(manner).await } else { Double::without_tcp(manner).await };
        let upstream = plain(double.address);
        let message = ask(&upstream, "some.name.", SHORT).await.unwrap();
        assert_eq!(message[2] & 2, 2, "TC says that there may be more");
        assert_eq!(address_in(&message), HONEST);
        assert_eq!((turns(&upstream, "truncated"), upstream.state().answered), (1, 1));
    }
}

#[tokio::test]
async fn upstreams_may_be_at_addresses_of_ipv6() {
    let ip = std::net::Ipv6Addr::LOCALHOST.into();
    let manner = |asked: &Asked| match (asked.over_tcp, asked.qtype()) {
        (false, 1) if asked.name()[..5].eq_ignore_ascii_case(b"\x04long") => only(asked.reply().truncated()),
        _ => only(asked.reply()),
    };
    let double = Double::at(ip, true, None, manner).await;
    assert!(double.address.is_ipv6());
    let upstream = plain(double.address);
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!(address_in(&ask(&upstream, "long.name.", TRY).await.unwrap()), HONEST);
    assert_eq!(turns(&upstream, "truncated"), 1);
    assert!(double.askers().iter().all(SocketAddr::is_ipv6));
    assert_eq!(address(&tcp_only(double.address)).await, HONEST);
}

#[tokio::test]
async fn truncation_leads_to_tcp() {
    let double = udp_says(|asked| only(asked.reply().truncated())).await;
    let upstream = plain(double.address);
    assert_eq!(address(&upstream).await, HONEST);
    assert_eq!(turns(&upstream, "truncated"), 1);
    assert!(double.asked()[1].over_tcp);
}

#[tokio::test]
async fn nobody_there_is_known_at_once_and_silence_takes_the_try_s_time() {
    let nobody = {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.local_addr().unwrap()
    };
    assert_eq!(ask(&plain(nobody), "some.name.", TRY * 10).await, Err(Failure::Unreachable));
    let silent = Double::start(|_| Vec::new()).await;
    let upstream = plain(silent.address);
    let begun = std::time::Instant::now();
    assert_eq!(ask(&upstream, "some.name.", SHORT).await, Err(Failure::Timeout));
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(upstream.state().failures_in_row, 1);
    assert_eq!(upstream.state().failures.iter().find(|(label, _)| *label == "timeout").unwrap().1, 1);
}

#[tokio::test]
async fn an_answer_that_comes_late_but_in_time_is_taken() {
    let slow = Double::start(|asked| vec![Act::Wait(250), asked.reply().into()]).await;
    let upstream = plain(slow.address);
    assert_eq!(address(&upstream).await, HONEST);
    assert!(upstream.latency().unwrap() >= Duration::from_millis(250));
}

#[tokio::test]
async fn errors_of_the_name_are_answers() {
    for rcode in [2, 3, 5, 9] {
        let double = Double::start(move |asked| only(asked.reply().rcode(rcode))).await;
        let message = ask(&plain(double.address), "some.name.", TRY).await.unwrap();
        assert_eq!(u16::from(message[3] & 0x0f), rcode);
        assert_eq!(double.asked().len(), 1);
    }
}

#[tokio::test]
async fn who_does_not_understand_edns_is_asked_without_and_remembered() {
    for (rcode, keeps_opt) in [(1, false), (4, false), (16, true)] {
        let double = udp_says(move |asked| match asked.opt() {
            Some(_) if keeps_opt => only(asked.reply().rcode(rcode)),
            Some(_) => only(Reply { options: None, ..asked.reply() }.rcode(rcode)),
            None => only(asked.reply()),
        })
        .await;
        let upstream = plain(double.address);
        assert_eq!(address(&upstream).await, HONEST, "{rcode}");
        assert!(!upstream.state().has_edns, "{rcode}");
        assert_eq!(address(&upstream).await, HONEST, "{rcode}");
        let with_opt: Vec<bool> = double.asked().iter().map(|asked| asked.opt().is_some()).collect();
        assert_eq!(with_opt, [true, false, false], "{rcode}");
    }
}

#[tokio::test]
async fn who_never_understands_is_believed_and_keeps_edns() {
    let double = Double::start(|asked| only(asked.reply().rcode(1))).await;
    let upstream = plain(double.address);
    let message = ask(&upstream, "some.name.", TRY).await.unwrap();
    assert_eq!(message[3] & 0x0f, 1);
    assert!(upstream.state().has_edns);
    assert_eq!(double.asked().len(), 2);
}

#[tokio::test]
async fn the_client_s_subnet_is_told_where_asked_for_and_another_one_not_believed() {
    let double = udp_says(|asked| match asked.option(SUBNET) {
        Some(mut subnet) => {
            subnet[3] = 20;
            if asked.qtype() == 28 {
                subnet[4] ^= 1;
            }
            only(asked.reply().option(SUBNET, &subnet))
        }
        None => only(asked.reply()),
    })
    .await;
    let upstream = plain(double.address);
    let name: WireName = "some.name.".parse().unwrap();
    for qtype in [1, 28] {
        let client_subnet = Some(([198, 51, 100, 77].into(), 24));
        let ask = Ask { name: &name, qtype, dnssec_ok: false, checking_disabled: false, client_subnet };
        upstream.ask(&ask, TRY).await.unwrap();
    }
    assert_eq!(double.asked()[0].option(SUBNET).unwrap(), [0, 1, 24, 0, 198, 51, 100]);
    assert_eq!((bad(&upstream, "subnet"), turns(&upstream, "doubt")), (1, 1));
    address(&upstream).await;
    assert_eq!(double.asked().last().unwrap().option(SUBNET), None);
}
