//! Response policy zones: what is done about questions and answers, written as a zone (draft-vixie-dnsop-dns-rpz).

use std::path::Path;

use ringdns_controlplane::zonefile::Problem;
use ringdns_controlplane::zonefile::reader::{Record, Take, read_file};
use ringdns_engine::name::WireName;
use ringdns_engine::rtype::types;

use super::action::{Action, Datum};
use super::block::{Adding, Trigger};
use super::names::Scope;
use super::networks::{Prefix, before_last};

/// Targets of aliases that say what is done.
const SPECIAL: &[(&[u8], Action)] = &[
    (b"\0", Action::Nxdomain),
    (b"\x01*\0", Action::Nodata),
    (b"\x0crpz-passthru\0", Action::Pass),
    (b"\x08rpz-drop\0", Action::Drop),
    (b"\x0crpz-tcp-only\0", Action::TcpOnly),
];

/// What the last label of such a target begins with; those that are not known are none.
const SPECIAL_PREFIX: &[u8] = b"rpz-";

/// Types that are there for the zone's own sake, signed or not: DS, RRSIG, NSEC, DNSKEY, NSEC3, NSEC3PARAM, CDS, CDNSKEY, ZONEMD.
const OF_THE_ZONE: &[u16] = &[43, 46, 47, 48, 50, 51, 59, 60, 63];

/// The names of those that stand at other names than the zone's.
const SIGNATURES: &[&str] = &["RRSIG", "NSEC", "NSEC3"];

/// Types that are no answer: NS, SOA, DNAME.
const NO_ANSWERS: &[u16] = &[2, types::SOA, 39];

/// Reads a zone; `answer` takes the place of what it says, but where it lets something pass.
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
    /// Where entries go.
    adding: &'a mut Adding<'b>,
}

impl Take for Taking<'_, '_> {
    fn record(&mut self, record: Record, _: &Path, line: usize) {
        let owner = record.owner.to_lowercase();
        if record.rtype == types::SOA && self.zone.is_none() {
            self.zone = Some(owner);
            return;
        }
        let zone = self.zone.get_or_insert_with(WireName::root);
        if owner == *zone || OF_THE_ZONE.contains(&record.rtype) {
            // Its name servers, and whatever else is for those who transfer it.
            return;
        }
        let name = zone.contains(&owner).then(|| without(&owner, zone)).flatten();
        let taken = match name {
            Some(name) => self.take(&record, &name),
            None => Err(format!("{owner} is not in the zone {zone}")),
        };
        if let Err(why) = taken {
            self.adding.report.fault(line, || why);
        }
    }

    fn problem(&mut self, problem: Problem) {
        let Problem { line, record, message, .. } = problem;
        // A zone may be signed; what its signatures are is of no use here, whether it can be read or not.
        if record.split_whitespace().any(|word| SIGNATURES.contains(&word)) {
            return;
        }
        let why = if record.is_empty() { message } else { format!("{record}: {message}") };
        self.adding.report.fault(line, || why);
    }
}

/// An owner without the zone, as a name of its own.
fn without(owner: &WireName, zone: &WireName) -> Option<WireName> {
    let below = owner.as_bytes().len().checked_sub(zone.as_bytes().len())?;
    let mut name = owner.as_bytes().get(..below)?.to_vec();
    name.push(0);
    WireName::from_wire(&name).ok()
}

impl Taking<'_, '_> {
    /// Takes a record of a name below the zone. The error is what is wrong with it.
    fn take(&mut self, record: &Record, name: &WireName) -> Result<(), String> {
        let parent;
        let network = |what| Prefix::of_trigger(before_last(name)).map_err(|why| format!("{name}: {why} ({what})"));
        let trigger = match name.labels().last() {
            Some(b"rpz-nsdname" | b"rpz-nsip") => {
                self.adding.report.of_servers += 1;
                return Ok(());
            }
            Some(b"rpz-client-ip") => Trigger::Client(network("rpz-client-ip")?),
            Some(b"rpz-ip") => Trigger::Address(network("rpz-ip")?),
            _ if name.is_wildcard() => {
                parent = name.parent().unwrap_or_else(WireName::root);
                Trigger::Name(parent.as_bytes(), Scope::Below)
            }
            _ => Trigger::Name(name.as_bytes(), Scope::Name),
        };
        let mut action = said(record, &trigger)?;
        if let (Some(answer), false) = (&self.answer, action == Action::Pass) {
            action = answer.clone();
        }
        if matches!((&trigger, &action), (Trigger::Address(_), Action::TcpOnly)) {
            self.adding.report.unsupported += 1;
            return Ok(());
        }
        if self.adding.join(trigger, action) {
            return Ok(());
        }
        Err(format!("{name} has records that do not go together, or more than an answer has room for"))
    }
}

/// What a record says is to be done.
fn said(record: &Record, trigger: &Trigger<'_>) -> Result<Action, String> {
    let Record { rtype, ttl, rdata, owner, .. } = record;
    if NO_ANSWERS.contains(rtype) {
        return Err(format!("{owner}: records of type NS, SOA and DNAME are no answers"));
    }
    if *rtype != types::CNAME {
        return Ok(Action::Data(vec![Datum { rtype: *rtype, ttl: *ttl, rdata: rdata.as_slice().into() }]));
    }
    let target = WireName::from_wire(rdata).map_err(|_| format!("{owner}: the alias leads to no name"))?.to_lowercase();
    if let Some((_, action)) = SPECIAL.iter().find(|(special, _)| *special == target.as_bytes()) {
        return Ok(action.clone());
    }
    if target.label_count() == 1 && target.labels().next().is_some_and(|label| label.starts_with(SPECIAL_PREFIX)) {
        return Err(format!("{target} is nothing that is done; rpz-passthru, rpz-drop and rpz-tcp-only are"));
    }
    // How the first version of the form let a name pass.
    if matches!(trigger, Trigger::Name(name, Scope::Name) if *name == target.as_bytes()) {
        return Ok(Action::Pass);
    }
    let is_below = target.is_wildcard();
    let target = if is_below { target.parent().unwrap_or(target) } else { target };
    Ok(Action::Alias { target, is_below, ttl: *ttl })
}
