//! The table behind the records of an RRset with a selection: written when it is put, read back for whoever edits it. The
//! packet path reads it in [`crate::select::table`], which shows how it is laid out.

use super::edit::EditError;
use super::node::{RECORD_HEAD_BYTES, rdatas_of};
use crate::select::table::Table;
use crate::select::{Member, Mode, SELECTION_MEMBERS_MAX, Selection, member_hash};

/// Appends the table of a selection to the records of an RRset, which come from `rdatas`. `key` tells RRsets apart.
pub(super) fn append(
    stored: &mut Vec<u8>,
    selection: &Selection,
    rdatas: &[Vec<u8>],
    key: u64,
) -> Result<(), EditError> {
    let members = members(selection, rdatas)?;
    let mut choices: Vec<u8> = Vec::new();
    let (mut place, mut cumulated, mut count) = (0, 0u32, 0u16);
    let chosen = weights(&members);
    for (rdata, weight) in rdatas_of(stored).take(members.len()).zip(chosen) {
        if let Some(weight) = weight {
            cumulated += u32::from(weight);
            count += 1;
            // Records take less bytes than two bytes can count, see RRSET_BYTES_MAX.
            choices.extend_from_slice(&u16::try_from(place).unwrap_or(u16::MAX).to_le_bytes());
            choices.extend_from_slice(&cumulated.to_le_bytes());
            choices.extend_from_slice(&member_hash(rdata).to_le_bytes());
        }
        place += RECORD_HEAD_BYTES + rdata.len();
    }
    for Member { weight, up } in members {
        stored.extend_from_slice(&weight.to_le_bytes());
        stored.push(u8::from(up));
    }
    stored.extend_from_slice(&choices);
    stored.extend_from_slice(&[selection.mode as u8, 0]);
    stored.extend_from_slice(&selection.answers_max.to_le_bytes());
    stored.extend_from_slice(&count.to_le_bytes());
    let [t1, t2, ..] = key.to_le_bytes();
    stored.extend_from_slice(&[t1, t2]);
    Ok(())
}

/// The selection of an RRset with `count` records; members are left out where all are as if they were not given.
pub(super) fn read(stored: &[u8], count: u16) -> Option<Selection> {
    let table = Table::of(stored)?;
    let mut members: Vec<Member> = table.settings(count).map(|(weight, up)| Member { weight, up }).collect();
    if members.iter().all(|&member| member == Member::default()) {
        members.clear();
    }
    Some(Selection { mode: Mode::of(table.mode), answers_max: table.answers_max, members })
}

/// One member for each record that is stored: of equal ones only the first is.
fn members(selection: &Selection, rdatas: &[Vec<u8>]) -> Result<Vec<Member>, EditError> {
    if rdatas.len() > SELECTION_MEMBERS_MAX {
        return Err(EditError::TooLarge);
    }
    if !selection.members.is_empty() && selection.members.len() != rdatas.len() {
        return Err(EditError::MembersMismatch);
    }
    let given = selection.members.iter().copied().chain(core::iter::repeat(Member::default()));
    let stored = rdatas
        .iter()
        .enumerate()
        .zip(given)
        .filter(|((index, rdata), _)| !rdatas.iter().take(*index).any(|earlier| earlier == *rdata));
    Ok(stored.map(|(_, member)| member).collect())
}

/// The weight of each member that may be chosen. Those with a weight come before those with none, as long as any of them is
/// up; where none is up, all are taken to be up: an address that may not answer is better than no address.
fn weights(members: &[Member]) -> Vec<Option<u16>> {
    let none_up = !members.iter().any(|member| member.up);
    let is_up = |member: &Member| member.up || none_up;
    let any_weight = members.iter().any(|member| is_up(member) && member.weight > 0);
    let weight = |member: &Member| match (is_up(member), member.weight) {
        (false, _) => None,
        (true, 0) => (!any_weight).then_some(1),
        (true, weight) => Some(weight),
    };
    members.iter().map(weight).collect()
}
