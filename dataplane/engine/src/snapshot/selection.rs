//! The table behind the records of an RRset with a selection: written when it is put, read back for whoever edits it. The
//! packet path reads it in [`crate::select::table`], which shows how it is laid out.

use super::edit::EditError;
use super::node::{RECORD_HEAD_BYTES, rdatas_of};
use crate::select::table::{MARKED_ONLY, Table};
use crate::select::{Marks, Member, Mode, SELECTION_MEMBERS_MAX, Selection, member_hash};

/// Appends the table of a selection and of marks to the records of an RRset, which come from `rdatas`. `key` tells RRsets apart.
pub(super) fn append(
    stored: &mut Vec<u8>,
    selection: Option<&Selection>,
    marks: &Marks,
    rdatas: &[Vec<u8>],
    key: u64,
) -> Result<(), EditError> {
    let flags = if selection.is_some() { 0 } else { MARKED_ONLY };
    let (mode, answers_max) = selection.map(|selection| (selection.mode, selection.answers_max)).unwrap_or_default();
    let members = members(selection, marks, rdatas)?;
    let mut choices: Vec<u8> = Vec::new();
    let (mut place, mut cumulated, mut count) = (0, 0u32, 0u16);
    let chosen = weights(&members, marks.or_none);
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
    for (Member { weight, up }, _) in members {
        stored.extend_from_slice(&weight.to_le_bytes());
        stored.push(u8::from(up));
    }
    stored.extend_from_slice(&choices);
    stored.extend_from_slice(&[mode as u8, flags]);
    stored.extend_from_slice(&answers_max.to_le_bytes());
    stored.extend_from_slice(&count.to_le_bytes());
    let [t1, t2, ..] = key.to_le_bytes();
    stored.extend_from_slice(&[t1, t2]);
    Ok(())
}

/// The selection of an RRset with `count` records, as it was put; members are left out where all are as if they were not given.
pub(super) fn read(stored: &[u8], count: u16) -> Option<Selection> {
    let table = Table::of(stored).filter(|table| table.flags & MARKED_ONLY == 0)?;
    let mut members: Vec<Member> = table.settings(count).map(|(weight, up)| Member { weight, up }).collect();
    if members.iter().all(|&member| member == Member::default()) {
        members.clear();
    }
    Some(Selection { mode: Mode::of(table.mode), answers_max: table.answers_max, members })
}

/// One member for each record that is stored, and whether it is marked down: of equal ones only the first is.
fn members(selection: Option<&Selection>, marks: &Marks, rdatas: &[Vec<u8>]) -> Result<Vec<(Member, bool)>, EditError> {
    let given = selection.map(|selection| selection.members.as_slice()).unwrap_or_default();
    if rdatas.len() > SELECTION_MEMBERS_MAX {
        return Err(EditError::TooLarge);
    }
    let fits = |count: usize| count == 0 || count == rdatas.len();
    if !fits(given.len()) || !fits(marks.down.len()) {
        return Err(EditError::MembersMismatch);
    }
    let given = given.iter().copied().chain(core::iter::repeat(Member::default()));
    let down = marks.down.iter().copied().chain(core::iter::repeat(false));
    let stored = rdatas
        .iter()
        .enumerate()
        .zip(given.zip(down))
        .filter(|((index, rdata), _)| !rdatas.iter().take(*index).any(|earlier| earlier == *rdata));
    Ok(stored.map(|(_, member)| member).collect())
}

/// The weight of each member that may be chosen. Those with a weight come before those with none, as long as any of them is
/// up; where none is up, all are taken to be up: an address that may not answer is better than no address, unless `or_none`
/// says that it is worse.
fn weights(members: &[(Member, bool)], or_none: bool) -> Vec<Option<u16>> {
    let none_up = !members.iter().any(|(member, down)| member.up && !down);
    let is_up = |(member, down): &(Member, bool)| (member.up && !down) || (none_up && !or_none);
    let any_weight = members.iter().any(|member| is_up(member) && member.0.weight > 0);
    let weight = |member: &(Member, bool)| match (is_up(member), member.0.weight) {
        (false, _) => None,
        (true, 0) => (!any_weight).then_some(1),
        (true, weight) => Some(weight),
    };
    members.iter().map(weight).collect()
}
