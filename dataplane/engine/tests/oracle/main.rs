//! Whole answers against a naive oracle: zones of nasty shape, questions in frames, one burst for all of them.
//! `PROPTEST_CASES` says how many sets of zones are tried (each with 64 questions).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_docs_in_private_items,
    reason = "tests state what they expect by failing"
)]

mod generate;
mod lookup;
mod message;
mod model;

use std::collections::{BTreeMap, BTreeSet};

use generate::{Asked, Labels, Plan, Planned};
use lookup::Expected;
use message::Reply;
use model::{NS, Name, Rrset, SOA, Zone, lowered, to_wire, wire_bytes};
use proptest::prelude::*;
use ringdns_engine::counters::Counters;
use ringdns_engine::frame::FrameBuffer;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_engine::name::WireName;
use ringdns_engine::serve::Server;
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{EditError, Editor, RrsetSpec};
use ringdns_engine::testing::{TestFrame, UdpFrame, reply_message, server_config};
use ringdns_engine::verdict::{Reason, Verdict};

/// Most bytes of an answer: beyond it even a client that takes more gets TC.
const UDP_ANSWER_BYTES_MAX: usize = 1800;

/// Bytes of an OPT record without options.
const OPT_BYTES: usize = 11;

/// The zones of a plan, in the engine's form and in the oracle's.
struct Served {
    /// The engine's.
    snapshot: Snapshot,
    /// The oracle's.
    zones: Vec<Zone>,
    /// Names worth asking for: owners, and what records point to.
    names: Vec<Labels>,
}

/// A name of the engine from labels.
fn wire_name(labels: &Labels) -> WireName {
    let written: Name = labels.iter().rev().cloned().collect();
    WireName::from_wire(&to_wire(&written)).unwrap()
}

/// Puts the plan's zones into both.
fn serve(plan: &Plan) -> Served {
    let mut editor = Editor::new(&Snapshot::empty());
    let mut served = Served { snapshot: Snapshot::empty(), zones: Vec::new(), names: plan.apexes.clone() };
    for (index, apex) in plan.apexes.iter().enumerate() {
        editor.add_zone(&wire_name(apex));
        served.zones.push(Zone { apex: lowered(apex), owners: BTreeMap::new() });
        let minimum = u32::try_from(index).unwrap() * 1000;
        let soa = BTreeSet::from([generate::soa(&lowered(apex), minimum)]);
        put(&mut editor, &mut served, index, apex, Rrset { owner: lowered(apex), rtype: SOA, ttl: 3000, rdatas: soa });
    }
    for planned in &plan.rrsets {
        let Planned { zone, owner, rtype, ttl, targets, .. } = planned;
        let (Some(owner), Some(rdatas)) = (plan.name(*zone, owner), plan.rdatas(planned)) else { continue };
        // What a wildcard with NS records would mean is not defined (RFC 4592 section 4.2).
        if *rtype == NS && owner.first().is_some_and(|label| label == b"*") {
            continue;
        }
        served.names.push(owner.clone());
        served.names.extend(targets.iter().filter_map(|(zone, below)| plan.name(*zone, below)));
        let rrset = Rrset { owner: lowered(&owner), rtype: *rtype, ttl: *ttl, rdatas };
        put(&mut editor, &mut served, zone.index(plan.apexes.len()), &owner, rrset);
    }
    editor.set_complete(true);
    served.snapshot = editor.commit();
    served
}

/// Puts an RRset into both, where the engine takes it.
fn put(editor: &mut Editor, served: &mut Served, zone: usize, owner: &Labels, rrset: Rrset) {
    let spec = RrsetSpec {
        rtype: rrset.rtype,
        ttl: rrset.ttl,
        rdatas: rrset.rdatas.iter().map(model::Rdata::to_wire).collect(),
        ..RrsetSpec::default()
    };
    let zone = &mut served.zones[zone];
    let apex = wire_name(&zone.apex.iter().rev().cloned().collect());
    match editor.put_rrset(&apex, &wire_name(owner), &spec) {
        Ok(()) => {
            zone.owners.entry(rrset.owner.clone()).or_default().insert(rrset.rtype, rrset);
        }
        Err(error) => assert_eq!(error, EditError::CnameAndOther, "{rrset:?}"),
    }
}

/// The name that is asked for, as it is written.
fn qname(served: &Served, asked: &Asked) -> Labels {
    let mut name = asked.base.get(&served.names).clone();
    name.drain(..asked.above.min(name.len()));
    for label in asked.below.iter().rev() {
        name.insert(0, label.clone());
        if wire_bytes(&name) > 255 {
            name.remove(0);
            break;
        }
    }
    for (index, byte) in name.iter_mut().flatten().enumerate() {
        if asked.case >> (index % 64) & 1 == 1 {
            byte.make_ascii_uppercase();
        }
    }
    name
}

/// The query message.
fn query(asked: &Asked, name: &Labels) -> Vec<u8> {
    let mut message = b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0".to_vec();
    message[11] = u8::from(asked.edns_bytes.is_some());
    message.extend_from_slice(wire_name(name).as_bytes());
    message.extend_from_slice(&asked.qtype.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    if let Some(bytes) = asked.edns_bytes {
        message.extend_from_slice(&[0, 0, 41]);
        message.extend_from_slice(&bytes.to_be_bytes());
        message.extend_from_slice(&[0; 6]);
    }
    message
}

/// The replies to all queries, which come as one burst.
fn ask(snapshot: &Snapshot, queries: &[(Vec<u8>, bool)]) -> Vec<Vec<u8>> {
    let mut config = server_config();
    config.udp_answer_bytes_max = UDP_ANSWER_BYTES_MAX;
    let mut server = Server::new(&config);
    let path = |&is_ipv6: &bool| if is_ipv6 { UdpFrame::ipv6() } else { UdpFrame::ipv4() };
    let mut frames: Vec<TestFrame> =
        queries.iter().map(|(message, is_ipv6)| TestFrame::new(&path(is_ipv6).build(message))).collect();
    let mut verdicts = [Verdict::Drop(Reason::TxRefused); BURST_FRAMES_MAX];
    server.serve_burst(&mut frames, &mut verdicts, snapshot, &Counters::default());
    let replies = frames.iter().zip(&verdicts).zip(queries);
    replies
        .map(|((frame, verdict), (_, is_ipv6))| {
            assert_eq!(*verdict, Verdict::Reply);
            reply_message(frame.frame(), &path(is_ipv6)).to_vec()
        })
        .collect()
}

/// Compares a reply with what is expected; an error says what is wrong.
fn judge(message: &[u8], query: &[u8], edns_bytes: Option<u16>, expected: &Expected) -> Result<(), String> {
    let reply = message::parse(message)?;
    let question = 12..query.len() - if edns_bytes.is_some() { OPT_BYTES } else { 0 };
    if message[..2] != query[..2] || message[question.clone()] != query[question] {
        return Err("the question does not come back as it was sent".to_owned());
    }
    let bytes_max = edns_bytes.map_or(512, |bytes| usize::from(bytes).clamp(512, UDP_ANSWER_BYTES_MAX));
    if message.len() > bytes_max {
        return Err(format!("{} bytes, at most {bytes_max}", message.len()));
    }
    let parts = [
        ("rcode", u64::from(reply.rcode), u64::from(expected.rcode)),
        ("AA", reply.authoritative.into(), expected.authoritative.into()),
        ("EDNS", reply.has_edns.into(), edns_bytes.is_some().into()),
    ];
    // A chain that is cut off ends before it is known how it ends.
    let parts = if reply.truncated { &parts[1..] } else { &parts };
    if let Some((part, ours, oracle)) = parts.iter().find(|(_, ours, oracle)| ours != oracle) {
        return Err(format!("{part} is {ours}, not {oracle}"));
    }
    sections(&reply, expected)?;
    let opt_bytes = if edns_bytes.is_some() { OPT_BYTES } else { 0 };
    let least = expected.answer.iter().chain(&expected.authority).chain(&expected.glue);
    let one_of = expected.one_of.iter().map(Rrset::wire_bytes).max().unwrap_or_default();
    let uncompressed = query.len() + least.map(Rrset::wire_bytes).sum::<usize>() + one_of;
    if reply.truncated && uncompressed + opt_bytes <= bytes_max {
        return Err(format!("TC, and all of it takes {uncompressed} bytes"));
    }
    Ok(())
}

/// Compares the sections: whole RRsets, all of them unless TC is set, and no others.
fn sections(reply: &Reply, expected: &Expected) -> Result<(), String> {
    let [answer, authority, additional] = &reply.sections;
    let set = |rrsets: &[Rrset]| rrsets.iter().cloned().collect::<BTreeSet<_>>();
    let (mut answers, determined) = (set(answer), set(&expected.answer));
    let choices = set(&expected.one_of);
    let chosen: BTreeSet<Rrset> =
        answers.intersection(&choices).filter(|it| !determined.contains(it)).cloned().collect();
    // What is chosen may be in the answer already: the DNAME record that the chain came by.
    let is_free = reply.truncated || choices.is_empty() || !choices.is_disjoint(&determined);
    if chosen.len() > 1 || chosen.is_empty() && !is_free {
        return Err(format!("{} RRsets of {} are in the answer", chosen.len(), choices.len()));
    }
    answers.retain(|rrset| !chosen.contains(rrset));
    for (section, ours, oracle) in
        [("answer", answers, determined), ("authority", set(authority), set(&expected.authority))]
    {
        if if reply.truncated { !ours.is_subset(&oracle) } else { ours != oracle } {
            return Err(format!("{section} section: {ours:#?}\nnot {oracle:#?}"));
        }
    }
    let (added, allowed, glue) = (set(additional), set(&expected.addresses), set(&expected.glue));
    if !added.is_subset(&allowed) || !reply.truncated && !glue.is_subset(&added) {
        return Err(format!("additional section: {added:#?}\nnot {allowed:#?}\nwith glue {glue:#?}"));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(miri, ignore = "choosing random cases alone takes miri minutes")]
    fn every_answer_is_the_oracles(plan in generate::plan()) {
        let served = serve(&plan);
        let names: Vec<Labels> = plan.questions.iter().map(|asked| qname(&served, asked)).collect();
        let queries: Vec<(Vec<u8>, bool)> =
            plan.questions.iter().zip(&names).map(|(asked, name)| (query(asked, name), asked.is_ipv6)).collect();
        for (((asked, name), reply), (query, _)) in
            plan.questions.iter().zip(&names).zip(ask(&served.snapshot, &queries)).zip(&queries)
        {
            let expected = lookup::expect(&served.zones, &lowered(name), asked.qtype);
            let wrong = judge(&reply, query, asked.edns_bytes, &expected).err();
            let question = format!("{} TYPE{} EDNS {:?}", wire_name(name), asked.qtype, asked.edns_bytes);
            prop_assert!(wrong.is_none(), "{question}: {}\n{:?}", wrong.unwrap_or_default(), served.zones);
        }
    }
}
