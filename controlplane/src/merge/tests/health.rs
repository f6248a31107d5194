//! Members that fall and come back: what is served without them, whichever source it is of, and what nobody touches.

use std::net::IpAddr;

use super::*;
use crate::health::owners::find;
use crate::health::{AllDown, Rule, Said, Status};

/// The type of IPv4 addresses.
const A: u16 = 1;

/// What is said of an address by its last number; nothing: that nothing is known.
fn said(last: u8, status: impl Into<Option<Status>>) -> Change {
    let address: IpAddr = [192, 0, 2, last].into();
    Change::SetMembers(vec![(address, status.into().map(Said::new))])
}

impl Bench {
    /// With a rule for all sources.
    fn with_rule(rule: Rule) -> Self {
        let owners = Owners::new(Arc::default(), rule);
        Self { merge: Merge { owners, ..Merge::default() }, snapshot: None }
    }

    /// Says something of an address.
    fn say(&mut self, last: u8, status: impl Into<Option<Status>>) {
        assert!(self.apply(255, vec![said(last, status)]).is_empty());
    }

    /// Finds the owners of members that came to be known.
    fn walk(&mut self) -> bool {
        let Some(wanted) = self.merge.start_walk() else { return false };
        let base = self.snapshot.take().unwrap();
        let (mut transaction, mut refusals) = (Transaction::new(&base), Vec::new());
        self.merge.end_walk(find(&base, wanted), &mut transaction, &mut refusals);
        assert!(refusals.is_empty());
        self.snapshot = Some(transaction.commit());
        true
    }

    /// Last numbers of the addresses that are answered for a name's A records.
    fn answered(&self, owner: &str) -> Vec<u8> {
        use ringdns_engine::serve::{MessageConfig, MessageServer, Transport};
        use ringdns_engine::testing::{query, server_config};
        let ringdns_engine::serve::ServerConfig { udp_answer_bytes_max, edns, chaos, rate_limit, recall, .. } =
            server_config();
        let config = MessageConfig { udp_answer_bytes_max, edns, chaos, rate_limit, hides_aaaa: false, recall };
        let mut server = MessageServer::new(&config, Transport::Tcp);
        let mut buffer = query(owner, A);
        let length = buffer.len();
        buffer.resize(65_535, 0);
        let client = "198.51.100.1:4000".parse().unwrap();
        let counters = ringdns_engine::counters::Counters::default();
        let length = server.answer(client, &mut buffer, length, self.snapshot.as_ref().unwrap(), &counters).unwrap();
        let message = hickory_proto::op::Message::from_vec(&buffer[..length]).unwrap();
        assert_eq!(message.metadata.response_code, hickory_proto::op::ResponseCode::NoError);
        let last = |text: String| text.rsplit('.').next().unwrap().parse().unwrap();
        message.answers.iter().map(|record| last(record.data.to_string())).collect()
    }
}

/// A zone of a source with its SOA record.
fn zone(origin: u8, bench: &mut Bench) {
    bench.apply(origin, vec![Change::AddZone(name("z."))]);
    bench.put(origin, "z. SOA ns.z. hostmaster.z. 1 2 3 4 5");
}

/// A bench with a rule and a zone of source 0.
fn bench(rule: Rule) -> Bench {
    let mut bench = Bench::with_rule(rule);
    zone(0, &mut bench);
    bench
}

#[test]
fn members_that_are_known_leave_and_come_back_in_one_publication() {
    let mut bench = bench(Rule::default());
    bench.say(1, Status::Up);
    bench.put(0, "a.z. A 192.0.2.1,192.0.2.2,192.0.2.3");
    bench.put(0, "b.z. A 192.0.2.1");
    bench.say(1, Status::Down);
    assert_eq!((bench.answered("a.z."), bench.answered("b.z.")), (vec![2, 3], vec![1]));
    assert_eq!(bench.served()[0], "0 a.z. A 192.0.2.1,192.0.2.2,192.0.2.3", "what the source said stays");
    bench.put(0, "c.z. A 192.0.2.1,192.0.2.4");
    assert_eq!(bench.answered("c.z."), [4], "what comes is marked at once");
    bench.say(1, Status::Up);
    assert_eq!((bench.answered("a.z."), bench.answered("c.z.")), (vec![1, 2, 3], vec![1, 4]));
    bench.say(1, Status::Down);
    bench.say(1, None);
    assert_eq!(bench.answered("a.z."), [1, 2, 3], "of what nobody says anything, nobody says that it is down");
}

#[test]
fn owners_that_were_there_before_are_found() {
    let mut bench = bench(Rule::default());
    bench.put(0, "a.z. A 192.0.2.1,192.0.2.2");
    bench.put(0, "deep.b.z. A 192.0.2.1,192.0.2.3");
    bench.put(0, "t.z. TXT \\192\\000\\002\\001");
    bench.say(1, Status::Down);
    assert_eq!(bench.answered("a.z."), [1, 2], "not found yet");
    assert!(bench.walk());
    assert_eq!((bench.answered("a.z."), bench.answered("deep.b.z.")), (vec![2], vec![3]));
    bench.say(1, Status::Up);
    assert_eq!((bench.answered("a.z."), bench.answered("deep.b.z.")), (vec![1, 2], vec![1, 3]));
    bench.say(3, Status::Up);
    assert!(!bench.walk(), "nothing depends on it, and the last walk was a moment ago");
    bench.say(3, Status::Down);
    assert!(bench.walk(), "now it does");
    assert_eq!(bench.answered("deep.b.z."), [1]);
    assert!(!bench.walk(), "everything is found");
}

#[test]
fn what_is_not_touched_by_a_member_stays_as_it_is() {
    let mut bench = bench(Rule::default());
    bench.say(1, Status::Up);
    for owner in ["a", "b", "c"] {
        bench.put(0, &format!("{owner}.z. A 192.0.2.1,192.0.2.2"));
    }
    bench.put(0, "a.z. A 192.0.2.3");
    bench.remove(0, "b.z.", "A");
    assert_eq!(
        bench.merge.owners.owners_of([192, 0, 2, 1].into()),
        [&(name("z."), name("c.z."))],
        "others are forgotten"
    );
    bench.say(1, Status::Down);
    assert_eq!((bench.answered("a.z."), bench.answered("c.z.")), (vec![3], vec![2]));
    assert!(!bench.served().iter().any(|line| line.contains("b.z.")), "nothing comes back by being marked");
    bench.apply(0, vec![Change::RemoveZone(name("z."))]);
    bench.say(1, Status::Up);
    assert!(bench.merge.owners.owners_of([192, 0, 2, 1].into()).is_empty(), "leads that lead nowhere are forgotten");
}

#[test]
fn every_source_of_a_zone_obeys_unless_it_says_otherwise() {
    let mut bench = bench(Rule::default());
    zone(1, &mut bench);
    let deaf = Rule { obeyed: false, ..Rule::default() };
    bench.apply(1, vec![Change::SetHealth { apex: name("z."), rule: deaf }]);
    bench.say(1, Status::Down);
    bench.put(0, "a.z. A 192.0.2.1,192.0.2.2");
    bench.put(1, "a.z. A 192.0.2.1,192.0.2.3");
    bench.put(1, "b.z. A 192.0.2.1,192.0.2.3");
    assert_eq!((bench.answered("a.z."), bench.answered("b.z.")), (vec![2], vec![1, 3]));
    bench.remove(0, "a.z.", "A");
    assert_eq!(bench.answered("a.z."), [1, 3], "the other source's is served as that source wants it");
    let doubting = Rule { unknown: Status::Down, ..Rule::default() };
    bench.apply(1, vec![Change::SetHealth { apex: name("z."), rule: doubting }]);
    bench.put(1, "d.z. A 192.0.2.5,192.0.2.6");
    bench.put(0, "e.z. A 192.0.2.5,192.0.2.6");
    bench.say(5, Status::Up);
    assert!(bench.walk());
    assert_eq!((bench.answered("d.z."), bench.answered("e.z.")), (vec![5], vec![5, 6]));
    bench.say(5, None);
    assert_eq!(bench.answered("d.z."), [5, 6], "where all are doubted all are answered");
}

#[test]
fn all_down_is_all_or_none() {
    for (all_down, left) in [(AllDown::All, vec![1, 2]), (AllDown::None, vec![])] {
        let mut bench = bench(Rule { all_down, ..Rule::default() });
        bench.put(0, "a.z. A 192.0.2.1,192.0.2.2");
        bench.say(1, Status::Down);
        bench.say(2, Status::Down);
        bench.walk();
        assert_eq!(bench.answered("a.z."), left);
        bench.say(2, Status::Up);
        assert_eq!(bench.answered("a.z."), [2]);
    }
}

#[test]
fn what_is_too_large_to_be_chosen_from_is_answered_whole() {
    let mut bench = bench(Rule::default());
    bench.say(1, Status::Down);
    let many = |count: u32| {
        let rdatas = (0..count).map(|number| (0xc000_0200 + number).to_be_bytes().to_vec()).collect();
        vec![Change::Put { apex: name("z."), rrset: Rrset::new(name("a.z."), A, 60, rdatas) }]
    };
    bench.apply(0, many(1025));
    assert_eq!(bench.answered("a.z.").len(), 1025);
    bench.apply(0, many(1024));
    assert_eq!(bench.answered("a.z.").len(), 1023);
}
