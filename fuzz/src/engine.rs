//! Frames into the engine, and what may come out of it.

use std::cell::RefCell;
use std::net::IpAddr;
use std::path::Path;

use ringdns_controlplane::zonefile::reader;
use ringdns_controlplane::zonefile::zone::Builder;
use ringdns_engine::cookie::{CookieConfig, CookieSecret};
use ringdns_engine::counters::Counters;
use ringdns_engine::frame::FrameBuffer;
use ringdns_engine::limits::BURST_FRAMES_MAX;
use ringdns_engine::name::WireName;
use ringdns_engine::rules::{PodRule, Rules, Search};
use ringdns_engine::serve::{MessageConfig, MessageServer, Server, ServerConfig, Transport, Unanswered};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{Editor, RrsetSpec};
use ringdns_engine::testing::{TestFrame, UdpFrame, query_options, reply_message, server_config};
use ringdns_engine::verdict::{Fate, Reason, Verdict};

use crate::{others, reply};

/// The zones that are served, from the outermost inwards.
const ZONES: [(&str, &str); 3] = [
    (".", include_str!("../zones/root.zone")),
    ("example.", include_str!("../zones/example.zone")),
    ("sub.example.", include_str!("../zones/sub.example.zone")),
];

/// Names that [`answer`] puts questions together from: every label that leads somewhere.
const LABELS: [&[u8]; 32] = [
    b"example",
    b"sub",
    b"www",
    b"a",
    b"b",
    b"*",
    b"wild",
    b"alias",
    b"cut",
    b"ns",
    b"inner",
    b"tree",
    b"ring",
    b"loop",
    b"chain0",
    b"chain20",
    b"large",
    b"mail",
    b"_sip",
    b"ent",
    b"deep",
    b"long",
    b"test",
    b"\xff\0.",
    b"x",
    b"PoD",
    b"toolong",
    b"hidden",
    b"svc",
    b"TREE",
    b"arpa",
    &[b'l'; 63],
];

/// Types that [`answer`] asks for.
const TYPES: [u16; 16] = [1, 2, 5, 6, 12, 15, 16, 28, 33, 39, 43, 255, 252, 41, 65280, 99];

thread_local! {
    /// The servers, made once: zones take longer to load than a query to be answered.
    static HOSTS: RefCell<[Host; 3]> = RefCell::new(hosts());
}

/// A server and what it serves.
struct Host {
    /// How it is set up.
    config: ServerConfig,
    /// The engine.
    server: Server,
    /// The engine for messages that come without a frame.
    messages: MessageServer,
    /// What is served.
    snapshot: Snapshot,
}

/// One server that does all that can be asked of it, one that does as little as possible, and one that has answers of others.
fn hosts() -> [Host; 3] {
    let mut editor = Editor::new(&Snapshot::empty());
    ZONES.iter().for_each(|(apex, text)| add_zone(&mut editor, &apex.parse().unwrap(), text));
    editor.set_complete(true);
    let snapshot = editor.commit();
    let mut generous = server_config();
    generous.udp_answer_bytes_max = 4096;
    generous.edns.nsid = b"fuzz".to_vec();
    generous.edns.cookies = Some(CookieConfig { secret: CookieSecret([7; 16]), other_secret: None, enforce: false });
    generous.chaos.version = b"a version".to_vec();
    generous.chaos.identity = vec![b'i'; 255];
    let mut sparing = server_config();
    sparing.udp_answer_bytes_max = 512;
    sparing.answer_local = false;
    sparing.vlan = Some(7);
    sparing.hides_aaaa = true;
    let ruled = with_rules(&snapshot);
    let partial = partial();
    let recalling = ServerConfig { recall: Some(others::recall(&partial)), ..generous.clone() };
    [(generous, snapshot), (sparing, ruled), (recalling, partial)].map(|(config, snapshot)| Host {
        server: Server::new(&config),
        messages: MessageServer::new(&messages(&config), Transport::Udp),
        snapshot,
        config,
    })
}

/// The inner zones alone, one of which leaves names to others: so there are names of others.
fn partial() -> Snapshot {
    let mut editor = Editor::new(&Snapshot::empty());
    ZONES[1..].iter().for_each(|(apex, text)| add_zone(&mut editor, &apex.parse().unwrap(), text));
    let example: WireName = "example.".parse().unwrap();
    for (owner, target) in [("x.example.", "www.test."), ("hidden.sub.example.", "a.b.test.")] {
        let (owner, target): (WireName, WireName) = (owner.parse().unwrap(), target.parse().unwrap());
        let apex = if owner.label_count() > 2 { "sub.example.".parse().unwrap() } else { example.clone() };
        let spec = RrsetSpec { rtype: 5, ttl: 60, rdatas: vec![target.as_bytes().to_vec()], ..RrsetSpec::default() };
        editor.put_rrset(&apex, &owner, &spec).unwrap();
    }
    editor.set_rules(&example, &Rules { fallthrough: true, ..Rules::default() }).unwrap();
    editor.set_complete(true);
    editor.commit()
}

/// The same zones, the inner ones with rules of every kind.
fn with_rules(snapshot: &Snapshot) -> Snapshot {
    let mut editor = Editor::new(snapshot);
    let host_suffixes = ["wild.example.", "tree.example.", "."].map(|suffix| suffix.parse().unwrap()).to_vec();
    let rules = |fallthrough| Rules {
        empty_depth_max: Some(2),
        soa_below_apex: true,
        pods: Some(PodRule { ttl: 5, ..PodRule::default() }),
        deep_pods: true,
        bare_ports: true,
        fallthrough,
        no_dangling_cname: true,
        cname_for_addresses_only: true,
        whole_names: true,
        zone_case: true,
        refuse_any: fallthrough,
        aliases_beside: false,
        for_others: false,
        search: Some(Search { host_suffixes: host_suffixes.clone(), cname: !fallthrough }),
    };
    for (apex, fallthrough) in [("example.", false), ("sub.example.", true)] {
        let apex: WireName = apex.parse().unwrap();
        for namespace in ["a.svc", "a.pod"] {
            editor.add_name(&apex, &format!("{namespace}.{apex}").parse().unwrap()).unwrap();
        }
        editor.set_rules(&apex, &rules(fallthrough)).unwrap();
    }
    editor.commit()
}

/// What of a port is not about frames.
fn messages(config: &ServerConfig) -> MessageConfig {
    MessageConfig {
        udp_answer_bytes_max: config.udp_answer_bytes_max,
        hides_aaaa: config.hides_aaaa,
        edns: config.edns.clone(),
        chaos: config.chaos.clone(),
        rate_limit: None,
        recall: config.recall.clone(),
    }
}

/// Adds a zone from its text.
fn add_zone(editor: &mut Editor, apex: &WireName, text: &str) {
    let mut builder = Builder::new(apex.clone(), "a zone".into());
    reader::read_text(text.as_bytes(), Path::new("a zone"), apex, &mut builder);
    let zone = builder.finish().unwrap();
    editor.add_zone(apex);
    for rrset in zone.rrsets {
        let spec = RrsetSpec { rtype: rrset.rtype, ttl: rrset.ttl, rdatas: rrset.rdatas, ..RrsetSpec::default() };
        editor.put_rrset(apex, &rrset.owner, &spec).unwrap();
    }
}

impl Host {
    /// Takes a frame through the engine; the verdict, and the frame afterwards. Every frame is counted once.
    fn take(&mut self, frame: &[u8]) -> (Verdict, Vec<u8>) {
        let counters = Counters::default();
        let mut frames = [TestFrame::with_room(frame, 8192)];
        let mut verdicts = [Verdict::Drop(Reason::TxRefused); BURST_FRAMES_MAX];
        self.server.serve_burst(&mut frames, &mut verdicts, &self.snapshot, &counters);
        let [verdict, ..] = verdicts;
        let answers: u64 = counters.rcodes().map(|(_, number)| number).sum();
        let local = counters.arp_replies.get() + counters.neighbour_replies.get() + counters.echo_replies.get();
        let silent = Reason::ALL.iter().filter(|reason| reason.fate() != Fate::Formerr);
        let silent: u64 = silent.map(|&reason| counters.reason(reason)).sum();
        match verdict {
            Verdict::Reply => assert_eq!((answers + local, silent), (1, 0), "a reply is counted once"),
            Verdict::Forward => {
                assert!(self.config.recall.is_some(), "nobody is there who asks others");
                assert_eq!((answers + local, silent, counters.forwarded.get()), (0, 0, 1));
                assert!(self.server.foreign_question(&frames[0]).is_some());
                assert_eq!(frames[0].frame(), frame, "it goes on as it came");
            }
            Verdict::Drop(reason) | Verdict::Punt(reason) => {
                assert_eq!((answers + local, silent, counters.reason(reason)), (0, 1, 1), "{reason:?}");
                assert_eq!(matches!(verdict, Verdict::Punt(_)), reason.fate() == Fate::Punt, "{reason:?}");
            }
        }
        let [taken] = frames;
        (verdict, taken.frame().to_vec())
    }

    /// The answer to a message that came without a frame.
    fn answer(&mut self, message: &[u8], client: IpAddr) -> Result<Vec<u8>, Unanswered> {
        let mut buffer = message.to_vec();
        buffer.resize(8192, 0xee);
        let client = (client, 40000).into();
        let counters = Counters::default();
        let answered = self.messages.answer(client, &mut buffer, message.len(), &self.snapshot, &counters);
        if answered == Err(Unanswered::Foreign) {
            assert_eq!(buffer[..message.len()], *message, "it goes on as it came");
            assert!(self.messages.foreign_question(client).is_some());
        }
        Ok(buffer[..answered?].to_vec())
    }

    /// Sends a message over IPv4 and IPv6 and checks the replies, which are the same without a frame.
    fn ask(&mut self, message: &[u8]) {
        let vlan = self.config.vlan;
        for path in [UdpFrame { vlan, ..UdpFrame::ipv4() }, UdpFrame { vlan, ..UdpFrame::ipv6() }] {
            let (verdict, frame) = self.take(&path.build(message));
            match verdict {
                // Checks addresses, ports, lengths and checksums too.
                Verdict::Reply => {
                    let reply = reply_message(&frame, &path);
                    reply::check(message, reply, self.config.udp_answer_bytes_max, self.config.recall.is_some());
                    assert_eq!(self.answer(message, path.addresses.0), Ok(reply.to_vec()));
                }
                Verdict::Forward => assert_eq!(self.answer(message, path.addresses.0), Err(Unanswered::Foreign)),
                Verdict::Drop(Reason::DnsShort) => assert!(message.len() < 12),
                Verdict::Drop(Reason::DnsResponse) => assert!(message.get(2).is_some_and(|flags| flags & 0x80 != 0)),
                other => panic!("{other:?} of a message in a sound frame"),
            }
        }
    }
}

/// Runs something with both servers.
fn with_hosts(mut run: impl FnMut(&mut Host)) {
    HOSTS.with_borrow_mut(|hosts| hosts.iter_mut().for_each(&mut run));
}

/// Any bytes as a frame.
pub fn frame(input: &[u8]) {
    with_hosts(|host| {
        let (verdict, taken) = host.take(input);
        match verdict {
            Verdict::Reply => reply::check_frame(input, &taken),
            _ => assert_eq!(taken, input, "a frame that is not answered stays as it was"),
        }
    });
}

/// Any bytes as a message in a sound frame.
pub fn query(input: &[u8]) {
    // What one frame carries without fragments, and IP can say the length of.
    let message = input.get(..8000).unwrap_or(input);
    with_hosts(|host| host.ask(message));
}

/// Bytes that choose a question which leads somewhere: type, UDP size, flags, options, then labels and their case.
pub fn answer(input: &[u8]) {
    let [rtype, size, flags, options, labels @ ..] = input else { return };
    let Some(qname) = name(labels) else { return };
    let rtype = TYPES[usize::from(rtype % 16)];
    let cookie = [*options; 24];
    let cookie = cookie.get(..[8, 16, 24, 7][usize::from(options >> 3 & 3)]).unwrap();
    let all: [(u16, &[u8]); 3] = [(3, &[]), (10, cookie), (12, &[0; 31])];
    let chosen: Vec<(u16, &[u8])> = (0..3).filter(|bit| options >> bit & 1 == 1).map(|bit| all[bit]).collect();
    let mut message = query_options(".", rtype, u16::from(*size) << 5, &chosen);
    message.splice(12..13, qname);
    if flags & 1 == 1 {
        // Without the OPT record.
        message.truncate(message.len() - 11 - chosen.iter().map(|(_, data)| data.len() + 4).sum::<usize>());
        message[11] = 0;
    }
    message[2] |= flags & 0x78 & flags << 1 | 1;
    with_hosts(|host| host.ask(&message));
}

/// The wire form of a name that bytes choose; none where it is too long.
fn name(choices: &[u8]) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    for choice in choices {
        let label = LABELS[usize::from(choice & 31)];
        wire.push(u8::try_from(label.len()).unwrap());
        let case = |byte: &u8| if choice & 32 == 0 { *byte } else { byte.to_ascii_uppercase() };
        wire.extend(label.iter().map(case));
    }
    wire.push(0);
    (wire.len() <= 255).then_some(wire)
}
