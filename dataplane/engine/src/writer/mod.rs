//! Writes an answer into the buffer that the query came in, right behind the question.

mod case;
mod place;
mod room;

use core::net::IpAddr;

use crate::limits::{NAME_BYTES_MAX, UDP_ANSWER_BYTES_MIN};
use crate::options::OPTIONS_BYTES_MAX;
use crate::query::{FLAG_QR, HEADER_BYTES, Query};
use crate::rtype::{self, types};
use crate::select::Window;
use crate::snapshot::{RECORD_HEAD_BYTES, RrsetView};
use case::ZoneCase;
pub(crate) use place::place_in_name;
pub(crate) use room::{EdnsReply, OPT_BYTES, UdpRoom, stream_limit, udp_limit};

// Whatever the question, there is room for all options in the smallest answer.
const _: () = assert!(HEADER_BYTES + NAME_BYTES_MAX + 4 + OPT_BYTES + OPTIONS_BYTES_MAX < UDP_ANSWER_BYTES_MIN);

/// Places of names that later names may point to.
pub(crate) const NAMES_MAX: usize = 64;

/// A pointer reaches the first 16 KiB of a message only (RFC 1035 section 4.1.4).
const POINTER_REACH: usize = 0x4000;

/// Where the question's name stands in every message.
pub(crate) const QNAME_OFFSET: usize = HEADER_BYTES;

/// What is to be written does not fit the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The sections that records are written to, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Answer section.
    Answer,
    /// Authority section.
    Authority,
    /// Additional section.
    Additional,
}

/// The owner of an RRset in a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner<'a> {
    /// The question's name, in the client's own letters.
    Question,
    /// Another name, uncompressed.
    Name(&'a [u8]),
}

/// A message that grows from its question on.
pub(crate) struct Writer<'a> {
    /// The message's buffer, from its header on.
    message: &'a mut [u8],
    /// Where the next byte goes.
    position: usize,
    /// Where the rdata of the record that was written last begins, if that record has been written field by field.
    last_rdata: usize,
    /// Where the records must end.
    limit: usize,
    /// Questions: one, or none where a cookie came alone.
    questions: u16,
    /// Records in each section.
    counts: [u16; 3],
    /// Offsets of names and their suffixes, in the order in which they were written.
    names: [u16; NAMES_MAX],
    /// How many offsets there are.
    names_count: usize,
    /// Whose letters the names of the question's zone end in; nothing: those of any name that was written before.
    zone_case: Option<ZoneCase>,
}

/// How far a message was at a moment, to go back to.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    /// Where the next byte went.
    position: usize,
    /// Records in each section.
    counts: [u16; 3],
    /// How many names were remembered.
    names_count: usize,
}

impl<'a> Writer<'a> {
    /// Starts behind the question. `limit` is where the records must end, in bytes from the start of the message; it is
    /// never beyond the buffer.
    pub(crate) fn new(message: &'a mut [u8], query: &Query, limit: usize) -> Self {
        let limit = limit.min(message.len());
        let mut writer = Self {
            message,
            position: query.question_end,
            last_rdata: query.question_end,
            limit,
            questions: u16::from(query.question_end > HEADER_BYTES),
            counts: [0; 3],
            names: [0; NAMES_MAX],
            names_count: 0,
            zone_case: None,
        };
        for depth in (1..=query.name.depth()).rev() {
            writer.remember(QNAME_OFFSET + query.name.start(depth));
        }
        writer
    }

    /// Writes a whole RRset, or what was chosen of it, or nothing. `ttl` takes the place of the RRset's own.
    pub(crate) fn put_rrset(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rrset: RrsetView<'_>,
        chosen: Option<Window<'_>>,
        ttl: Option<u32>,
    ) -> Result<(), Full> {
        let (position, names_count) = (self.position, self.names_count);
        let compressible = rtype::rdata_names(rrset.rtype()).is_some_and(|layout| layout.compressible);
        // The stored records point to the question's name already.
        let is_ready = !compressible && ttl.is_none() && matches!(owner, Owner::Question) && self.zone_case.is_none();
        let ttl = ttl.unwrap_or(rrset.ttl());
        let written = match (chosen, is_ready) {
            (None, true) if !rrset.is_selected() => self.put(rrset.records()),
            (None, _) => self.put_records(owner, rrset, ttl, rrset.rdatas()),
            (Some(chosen), true) => chosen.records().try_for_each(|record| self.put(record)),
            (Some(chosen), false) => self.put_records(owner, rrset, ttl, chosen.rdatas()),
        };
        match written {
            Ok(()) => self.count(section, chosen.map_or(rrset.count(), |chosen| chosen.count())),
            Err(Full) => (self.position, self.names_count) = (position, names_count),
        }
        written
    }

    /// Writes one record of an RRset, or nothing: its rdata is given.
    pub(crate) fn put_record(&mut self, owner: &[u8], rrset: RrsetView<'_>, rdata: &[u8]) -> Result<(), Full> {
        let (position, names_count) = (self.position, self.names_count);
        let written = self.put_records(Owner::Name(owner), rrset, rrset.ttl(), core::iter::once(rdata));
        match written {
            Ok(()) => self.count(Section::Answer, 1),
            Err(Full) => (self.position, self.names_count) = (position, names_count),
        }
        written
    }

    /// Forgets names that were written since there were so many, so that there is room for others to be pointed to.
    pub(crate) fn forget_names(&mut self, names_count: usize) {
        self.names_count = self.names_count.min(names_count);
    }

    /// Names that can be pointed to.
    pub(crate) fn names_count(&self) -> usize {
        self.names_count
    }

    /// Records of the answer section.
    pub(crate) fn answers(&self) -> u16 {
        self.counts[0]
    }

    /// Writes a record that is ready to copy.
    pub(crate) fn put_ready(&mut self, section: Section, record: &[u8]) -> Result<(), Full> {
        self.put(record)?;
        self.count(section, 1);
        Ok(())
    }

    /// The message so far, and room for records behind it that somebody else writes.
    pub(crate) fn message_and_room(&mut self, bytes: usize) -> Result<(&[u8], &mut [u8]), Full> {
        let end = self.position + bytes;
        if end > self.limit {
            return Err(Full);
        }
        let (message, room) = self.message.split_at_mut_checked(self.position).ok_or(Full)?;
        Ok((message, room.get_mut(..bytes).ok_or(Full)?))
    }

    /// Takes records that were written into room of so many bytes: those of the answer and of the authority section.
    pub(crate) fn take(&mut self, bytes: usize, [answers, authorities]: [u16; 2]) {
        self.position += bytes;
        self.count(Section::Answer, answers);
        self.count(Section::Authority, authorities);
    }

    /// Writes a CNAME record that was made from a DNAME record (RFC 6672 section 3.1).
    pub(crate) fn put_cname(&mut self, owner: Owner<'_>, ttl: u32, target: &[u8]) -> Result<(), Full> {
        let (position, names_count) = (self.position, self.names_count);
        let written = self.put_head(owner, types::CNAME, ttl).and_then(|length_at| {
            self.put_name(target)?;
            self.close_rdata(length_at)
        });
        match written {
            Ok(()) => self.count(Section::Answer, 1),
            Err(Full) => (self.position, self.names_count) = (position, names_count),
        }
        written
    }

    /// Writes an address record that is not stored.
    pub(crate) fn put_address(&mut self, owner: Owner<'_>, ttl: u32, address: IpAddr) -> Result<(), Full> {
        let (v4, v6);
        let (rtype, rdata): (u16, &[u8]) = match address {
            IpAddr::V4(address) => (types::A, (v4 = address.octets(), &v4).1),
            IpAddr::V6(address) => (types::AAAA, (v6 = address.octets(), &v6).1),
        };
        let (position, names_count) = (self.position, self.names_count);
        let written = self.put_head(owner, rtype, ttl).and_then(|length_at| {
            self.put(rdata)?;
            self.close_rdata(length_at)
        });
        match written {
            Ok(()) => self.count(Section::Answer, 1),
            Err(Full) => (self.position, self.names_count) = (position, names_count),
        }
        written
    }

    /// How far the message is.
    pub(crate) fn mark(&self) -> Mark {
        Mark { position: self.position, counts: self.counts, names_count: self.names_count }
    }

    /// Takes back everything since a mark was made.
    pub(crate) fn rollback(&mut self, mark: Mark) {
        (self.position, self.counts, self.names_count) = (mark.position, mark.counts, mark.names_count);
    }

    /// Ends the message: OPT record, counts, flags. Returns its length in bytes.
    pub(crate) fn finish(mut self, flags: u16, rcode: u16, edns: Option<EdnsReply>) -> usize {
        if let Some(edns) = edns {
            self.limit = self.message.len();
            if self.put(&edns.record(rcode)).is_ok() {
                self.count(Section::Additional, 1);
            }
        }
        let [answers, authorities, additionals] = self.counts;
        let counts = [self.questions, answers, authorities, additionals];
        let header = Header { flags: flags | FLAG_QR | (rcode & 0xf), counts };
        header.write(self.message);
        self.position
    }

    /// Where the next record goes.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Where the rdata of the record that was written last begins: of a CNAME record, its target.
    pub(crate) fn last_rdata(&self) -> usize {
        self.last_rdata
    }

    /// True where the name at an offset of the message is `name`.
    pub(crate) fn holds_at(&self, offset: usize, name: &[u8]) -> bool {
        self.is_at(offset, name) == Some(true)
    }

    /// Counts records of a section.
    fn count(&mut self, section: Section, records: u16) {
        if let Some(count) = self.counts.get_mut(section as usize) {
            *count = count.saturating_add(records);
        }
    }

    /// Appends bytes.
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.position + bytes.len();
        if end > self.limit {
            return Err(Full);
        }
        self.message.get_mut(self.position..end).ok_or(Full)?.copy_from_slice(bytes);
        self.position = end;
        Ok(())
    }

    /// Writes records of an RRset one by one, their names compressed where the type allows it.
    fn put_records<'b>(
        &mut self,
        owner: Owner<'_>,
        rrset: RrsetView<'_>,
        ttl: u32,
        rdatas: impl Iterator<Item = &'b [u8]>,
    ) -> Result<(), Full> {
        let layout = rtype::rdata_names(rrset.rtype()).filter(|layout| layout.compressible);
        for rdata in rdatas {
            let length_at = self.put_head(owner, rrset.rtype(), ttl)?;
            match layout {
                None => {
                    self.put(rdata)?;
                    self.fit_rdata(rrset.rtype());
                }
                Some(layout) => {
                    let (prefix, mut rest) = rdata.split_at_checked(layout.prefix_bytes).ok_or(Full)?;
                    self.put(prefix)?;
                    for _ in 0..layout.names {
                        let (name, after) = split_name(rest).ok_or(Full)?;
                        self.put_name(name)?;
                        rest = after;
                    }
                    self.put(rest)?;
                }
            }
            self.close_rdata(length_at)?;
        }
        Ok(())
    }

    /// Writes a record up to its rdata; returns where the rdata's length belongs.
    fn put_head(&mut self, owner: Owner<'_>, rtype: u16, ttl: u32) -> Result<usize, Full> {
        match owner {
            Owner::Question => self.put(&pointer(QNAME_OFFSET))?,
            Owner::Name(name) => self.put_name(name)?,
        }
        let mut head = [0; RECORD_HEAD_BYTES - 2];
        let (first, rest) = head.split_at_mut(4);
        let [t1, t2] = rtype.to_be_bytes();
        first.copy_from_slice(&[t1, t2, 0, 1]);
        let (second, _) = rest.split_at_mut(4);
        second.copy_from_slice(&ttl.to_be_bytes());
        self.put(&head)?;
        self.last_rdata = self.position;
        Ok(self.position - 2)
    }

    /// Fills in the length of the rdata that ends here.
    fn close_rdata(&mut self, length_at: usize) -> Result<(), Full> {
        let length = u16::try_from(self.position - length_at - 2).map_err(|_| Full)?;
        self.message.get_mut(length_at..length_at + 2).ok_or(Full)?.copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// Writes a name: as much of its end as was written before becomes a pointer.
    fn put_name(&mut self, name: &[u8]) -> Result<(), Full> {
        let mut rest = name;
        while let [length, after @ ..] = rest
            && *length != 0
        {
            if let Some(offset) = self.written_at(rest) {
                return self.put(&pointer(offset));
            }
            let (label, after) = after.split_at_checked(usize::from(*length)).ok_or(Full)?;
            self.remember(self.position);
            self.put(&[*length])?;
            self.put(label)?;
            rest = after;
        }
        self.put(&[0])
    }

    /// Remembers that a name stands at an offset.
    fn remember(&mut self, offset: usize) {
        if let (Some(slot), Ok(short)) = (self.names.get_mut(self.names_count), u16::try_from(offset))
            && offset < POINTER_REACH
        {
            *slot = short;
            self.names_count += 1;
        }
    }

    /// Where a name was written before.
    fn written_at(&self, name: &[u8]) -> Option<usize> {
        let known = self.names.get(..self.names_count)?;
        // A name that is being written is remembered label by label: what stands at `position` is no name yet.
        known.iter().map(|&offset| usize::from(offset)).find(|&offset| self.is_at(offset, name) == Some(true))
    }

    /// True where the name at an offset of the message equals `name`, case aside (RFC 4343 section 4.1: a pointer may
    /// change the case that is seen).
    fn is_at(&self, mut offset: usize, mut name: &[u8]) -> Option<bool> {
        loop {
            let length = *self.message.get(offset).filter(|_| offset < self.position)?;
            if length >= 0xc0 {
                let low = *self.message.get(offset + 1)?;
                let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                // Pointers written here go backwards, so this ends.
                offset = Some(target).filter(|&target| target < offset)?;
                continue;
            }
            let label_bytes = usize::from(length) + 1;
            let (mine, rest) = name.split_at_checked(label_bytes)?;
            if !self.message.get(offset..offset + label_bytes)?.eq_ignore_ascii_case(mine) {
                return Some(false);
            }
            if length == 0 {
                return Some(true);
            }
            offset += label_bytes;
            name = rest;
        }
    }
}

/// A compression pointer (RFC 1035 section 4.1.4).
pub(crate) fn pointer(offset: usize) -> [u8; 2] {
    // Offsets are below POINTER_REACH, checked where they are remembered.
    (u16::try_from(offset).unwrap_or_default() | 0xc000).to_be_bytes()
}

/// The uncompressed name that starts `bytes`, and what follows it.
pub(crate) fn split_name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(crate::name::name_length(bytes).ok()?)
}

/// The part of a header behind the id.
struct Header {
    /// Flags and response code.
    flags: u16,
    /// Records of question, answer, authority, additional section.
    counts: [u16; 4],
}

impl Header {
    /// Writes it over the query's.
    fn write(&self, message: &mut [u8]) {
        let Some(header) = message.first_chunk_mut::<HEADER_BYTES>() else {
            return;
        };
        let fields = header.chunks_exact_mut(2).skip(1);
        for (field, value) in fields.zip([self.flags].iter().chain(&self.counts)) {
            field.copy_from_slice(&value.to_be_bytes());
        }
    }
}

/// Turns a message that cannot be answered from the zones into a bare header with a response code: RFC 1035 asks for no
/// question where none could be read. Returns the length in bytes.
pub(crate) fn refuse(message: &mut [u8], flags: u16, rcode: u16) -> usize {
    Header { flags: flags | FLAG_QR | rcode, counts: [0; 4] }.write(message);
    HEADER_BYTES
}
