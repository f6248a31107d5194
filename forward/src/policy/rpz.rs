//! Response policy zones: what is done about names, written as a zone.

use std::net::IpAddr;
use std::path::Path;

use ringdns_controlplane::zonefile::Problem;
use ringdns_controlplane::zonefile::reader::{Record, Take, read_file};
use ringdns_engine::name::WireName;
use ringdns_engine::rtype::types;

use super::block::{Action, Adding};
use super::names::Scope;

/// Last labels of owners that are triggers by something else than the name.
const OTHER_TRIGGERS: &[&[u8]] = &[b"rpz-ip", b"rpz-nsip", b"rpz-nsdname", b"rpz-client-ip"];

/// Where a zone is told to ask all the same.
const PASS: &[u8] = b"\x0crpz-passthru\0";

/// Where it is told not to answer.
const DROP: &[u8] = b"\x08rpz-drop\0";

/// Reads a zone; `answer` takes the place of what it says, but where it lets a name pass.
pub(super) fn read(path: &Path, answer: Option<Action>, adding: &mut Adding<'_>) {
    let mut taking = Taking { zone: None, answer, adding };
    // Without $ORIGIN names are as in the root; the SOA record tells what the zone is.
    read_file(path, &WireName::root(), &mut taking);
}

/// Takes the records of a zone.
struct Taking<'a, 'b> {
    /// The zone, once its SOA record was read.
    zone: Option<WireName>,
    /// What is done in place of what it says.
    answer: Option<Action>,
    /// Where names go.
    adding: &'a mut Adding<'b>,
}

/// What a record says.
enum Saying {
    /// What is done.
    Do(Action),
    /// An address of the name.
    Address(IpAddr),
    /// Something that is not supported.
    Other,
}

impl Take for Taking<'_, '_> {
    fn record(&mut self, record: Record, _: &Path, line: usize) {
        let owner = record.owner.to_lowercase();
        if record.rtype == types::SOA {
            self.zone.get_or_insert(owner);
            return;
        }
        let zone = self.zone.get_or_insert_with(WireName::root);
        if owner == *zone {
            // Its name servers, and whatever else is for those who transfer it.
            return;
        }
        if !zone.contains(&owner) {
            return self.adding.report.fault(line);
        }
        // The owner without the zone, as a name of its own.
        let below = owner.as_bytes().len().saturating_sub(zone.as_bytes().len());
        let mut name = owner.as_bytes().get(..below).unwrap_or_default().to_vec();
        name.push(0);
        let Ok(name) = WireName::from_wire(&name) else { return self.adding.report.fault(line) };
        if name.labels().last().is_some_and(|last| OTHER_TRIGGERS.contains(&last)) {
            self.adding.report.unsupported += 1;
            return;
        }
        let (name, scope) = match name.is_wildcard() {
            true => (name.parent().unwrap_or_else(WireName::root), Scope::Below),
            false => (name, Scope::Name),
        };
        match (saying(&record, &name, scope), &self.answer) {
            (Saying::Other, None) => self.adding.report.unsupported += 1,
            (Saying::Do(Action::Pass), _) => self.add(&name, scope, Action::Pass),
            (_, Some(answer)) => self.add(&name, scope, answer.clone()),
            (Saying::Do(action), None) => self.add(&name, scope, action),
            (Saying::Address(address), None) => self.adding.add_address(name.as_bytes(), scope, address),
        }
    }

    fn problem(&mut self, problem: Problem) {
        self.adding.report.fault(problem.line);
    }
}

impl Taking<'_, '_> {
    /// Adds a name.
    fn add(&mut self, name: &WireName, scope: Scope, action: Action) {
        let action = self.adding.action(action);
        self.adding.add(name.as_bytes(), scope, action);
    }
}

/// What a record says about a name.
fn saying(record: &Record, name: &WireName, scope: Scope) -> Saying {
    match (record.rtype, record.rdata.as_slice()) {
        (types::A, rdata) => <[u8; 4]>::try_from(rdata).map_or(Saying::Other, |octets| Saying::Address(octets.into())),
        (types::AAAA, rdata) => {
            <[u8; 16]>::try_from(rdata).map_or(Saying::Other, |octets| Saying::Address(octets.into()))
        }
        (types::CNAME, target) => match target.to_ascii_lowercase().as_slice() {
            b"\0" => Saying::Do(Action::Nxdomain),
            b"\x01*\0" => Saying::Do(Action::Nodata),
            PASS => Saying::Do(Action::Pass),
            DROP => Saying::Do(Action::Drop),
            // How the first version of the form let a name pass.
            target if target == name.as_bytes() && scope == Scope::Name => Saying::Do(Action::Pass),
            _ => Saying::Other,
        },
        _ => Saying::Other,
    }
}
