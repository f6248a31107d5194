//! From the text of a zone file to its records: directives, owners, TTLs, classes and types (RFC 1035 section 5, RFC 2308
//! section 4 for `$TTL`). Rdata is read by [`crate::text::rdata`].

use std::io::Read as _;
use std::path::{Path, PathBuf};

use ringdns_engine::name::WireName;

use super::Problem;
use super::annotation::{Annotation, AnnotationError, OfRrset};
use crate::text::lexer::{Entry, LexError, Lexer, Remark, Token};
use crate::text::name::Origin;
use crate::text::rdata::{self, RdataError};
use crate::text::{name, rtype, seconds};

/// How deep files may include files.
const INCLUDE_DEPTH_MAX: usize = 16;

/// Largest file in bytes: it is read as a whole.
const FILE_BYTES_MAX: u64 = 8 << 30;

/// Records between two lines of the log that tell how far a load is.
const PROGRESS_RECORDS: u64 = 500_000;

/// A record as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The owner name.
    pub owner: WireName,
    /// The type.
    pub rtype: u16,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The rdata in wire form.
    pub rdata: Vec<u8>,
    /// What the file says of it beyond DNS.
    pub annotation: Option<Box<Annotation>>,
}

/// Who takes the records of a zone file and what is wrong with it.
pub trait Take {
    /// Takes a record and where it stands.
    fn record(&mut self, record: Record, file: &Path, line: usize);

    /// Takes a problem.
    fn problem(&mut self, problem: Problem);
}

/// Why an entry is no record.
#[derive(Debug, thiserror::Error)]
enum EntryError {
    /// Text that cannot be cut into tokens.
    #[error(transparent)]
    Lex(#[from] LexError),
    /// An owner, origin or included name that is none.
    #[error(transparent)]
    Name(#[from] name::NameTextError),
    /// Rdata that is none.
    #[error(transparent)]
    Rdata(#[from] RdataError),
    /// The first record of a file has no owner.
    #[error("the line starts with a blank, and no record before it names an owner")]
    NoOwner,
    /// An annotation that is none.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// Nothing says how long the record may be kept.
    #[error("the record has no TTL and none is known yet; put $TTL at the top of the file")]
    NoTtl,
    /// A type that nobody knows.
    #[error("\"{0}\" is no record type; unknown types are written TYPE65280, with rdata \\# <length> <digits>")]
    Type(String),
    /// A record without a type.
    #[error("the record ends before its type")]
    NoType,
    /// Another class than IN.
    #[error("class {0} is not served; every record is of class IN")]
    Class(String),
    /// A `$` that starts nothing known.
    #[error("\"{0}\" is no directive; $ORIGIN, $TTL and $INCLUDE are")]
    Directive(String),
    /// An included file where none is to be read.
    #[error("$INCLUDE is not possible here; send one text with all records")]
    NoInclude,
    /// A directive with the wrong number of arguments, or arguments of the wrong kind.
    #[error("write it as: {0}")]
    Usage(&'static str),
    /// An included file that cannot be read.
    #[error("{} cannot be included: {error}", path.display())]
    Include {
        /// The file.
        path: PathBuf,
        /// Why.
        error: String,
    },
}

/// What entries inherit from those before them.
#[derive(Clone, Debug)]
struct Context {
    /// What relative names are relative to.
    origin: WireName,
    /// Owner of the record before.
    owner: Option<WireName>,
    /// What a line of its own says of the RRset after it; with owner and type once its first record is read.
    remark: Option<(OfRrset, Option<(WireName, u16)>)>,
}

/// The bytes of a file, as far as one more than are allowed: devices and pipes have no length that tells.
fn read(path: &Path, length: u64) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(usize::try_from(length.min(FILE_BYTES_MAX)).unwrap_or_default());
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// Reads a file and those that it includes.
struct Reader<'a, T> {
    /// Who takes the records.
    zone: &'a mut T,
    /// The files that are being read, the outermost first.
    open: Vec<PathBuf>,
    /// What `$TTL` says, or the SOA record where nothing else does.
    ttl_default: Option<u32>,
    /// The last TTL that a record stated.
    ttl_stated: Option<u32>,
    /// Records read so far.
    records: u64,
    /// True: no other file is read.
    is_alone: bool,
}

/// Reads a zone file into `zone`.
pub fn read_file(path: &Path, apex: &WireName, zone: &mut impl Take) {
    let mut reader = Reader::new(zone, false);
    let context = Context { origin: apex.clone(), owner: None, remark: None };
    if let Err(EntryError::Include { path, error }) = reader.file(path, context, false) {
        let message = format!("cannot be read: {error}; correct the path in the configuration or create the file");
        reader.zone.problem(Problem { file: path, line: 0, record: String::new(), message });
    }
}

/// Reads a zone's text as if it stood in `path`.
pub fn read_text(text: &[u8], path: &Path, apex: &WireName, zone: &mut impl Take) {
    let mut reader = Reader::new(zone, false);
    reader.text(text, path, Context { origin: apex.clone(), owner: None, remark: None });
}

/// Reads a zone's text from a stranger, who is not to have files of this machine read.
pub fn read_alone(text: &[u8], path: &Path, apex: &WireName, zone: &mut impl Take) {
    let mut reader = Reader::new(zone, true);
    reader.text(text, path, Context { origin: apex.clone(), owner: None, remark: None });
}

impl<'a, T: Take> Reader<'a, T> {
    /// Has read nothing yet.
    fn new(zone: &'a mut T, is_alone: bool) -> Self {
        Self { zone, open: Vec::new(), ttl_default: None, ttl_stated: None, records: 0, is_alone }
    }

    /// Reads one file; an error tells why it was not even opened.
    fn file(&mut self, path: &Path, context: Context, is_included: bool) -> Result<(), EntryError> {
        let fail = |error: String| EntryError::Include { path: path.to_path_buf(), error };
        let canonical = path.canonicalize().map_err(|error| fail(error.to_string()))?;
        if self.open.contains(&canonical) {
            return Err(fail("the file includes itself".to_owned()));
        }
        if self.open.len() > INCLUDE_DEPTH_MAX {
            return Err(fail(format!("files include files more than {INCLUDE_DEPTH_MAX} deep")));
        }
        let metadata = std::fs::metadata(&canonical).map_err(|error| fail(error.to_string()))?;
        // A pipe may be what the operator wants for the zone itself; what a zone file names may be anything.
        if is_included && !metadata.is_file() {
            return Err(fail("it is no regular file".to_owned()));
        }
        let text = read(&canonical, metadata.len()).map_err(|error| fail(error.to_string()))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(fail(format!("it has more than the {FILE_BYTES_MAX} bytes that are read")));
        }
        self.open.push(canonical);
        self.text(&text, path, context);
        self.open.pop();
        Ok(())
    }

    /// Reads entries to the end of a text.
    fn text(&mut self, text: &[u8], path: &Path, mut context: Context) {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            let (line, outcome) = match lexer.next_entry(&mut tokens) {
                Ok(None) => {
                    let dangling = lexer
                        .remarks()
                        .iter()
                        .find(|remark| Annotation::parse(remark.text).is_ok_and(|words| words.is_some()));
                    if let Some(remark) = dangling {
                        self.dangling(path, remark.line);
                    }
                    return;
                }
                Ok(Some(entry)) => {
                    let remarks = lexer.remarks();
                    self.remarks_before(remarks, path, &mut context);
                    (entry.line, self.entry(entry, &tokens, remarks, path, &mut context))
                }
                Err((line, error)) => (line, Err(error.into())),
            };
            if let Err(error) = outcome {
                let record = tokens.iter().take(4).map(Token::shown).collect::<Vec<_>>().join(" ");
                self.zone.problem(Problem { file: path.to_path_buf(), line, record, message: error.to_string() });
            }
        }
    }

    /// Notes an annotation after which no record comes.
    fn dangling(&mut self, path: &Path, line: usize) {
        let message = AnnotationError::Dangling.to_string();
        self.zone.problem(Problem { file: path.to_path_buf(), line, record: String::new(), message });
    }

    /// Reads the annotations on lines of their own before an entry; the last of them holds.
    fn remarks_before(&mut self, remarks: &[Remark<'_>], path: &Path, context: &mut Context) {
        for remark in remarks.iter().filter(|remark| remark.is_before) {
            match Annotation::parse(remark.text).and_then(|words| words.map(Annotation::into_rrset).transpose()) {
                Ok(None) => {}
                Ok(Some(words)) => context.remark = Some((words, None)),
                Err(error) => {
                    let message = error.to_string();
                    let (file, line) = (path.to_path_buf(), remark.line);
                    self.zone.problem(Problem { file, line, record: String::new(), message });
                }
            }
        }
    }

    /// Reads one entry.
    fn entry(
        &mut self,
        entry: Entry,
        tokens: &[Token<'_>],
        remarks: &[Remark<'_>],
        path: &Path,
        context: &mut Context,
    ) -> Result<(), EntryError> {
        match tokens {
            [first, rest @ ..] if !first.quoted && first.text.starts_with(b"$") && !entry.starts_blank => {
                self.directive(first, rest, path, context)
            }
            [first, rest @ ..] if !entry.starts_blank => {
                // The owner holds for the lines after it even where the rest of this one is wrong.
                let owner = name::parse(first, Origin::Relative(&context.origin))?;
                context.owner = Some(owner);
                self.record(entry.line, rest, remarks, path, context)
            }
            _ => self.record(entry.line, tokens, remarks, path, context),
        }
    }

    /// Obeys a directive.
    fn directive(
        &mut self,
        word: &Token<'_>,
        arguments: &[Token<'_>],
        path: &Path,
        context: &mut Context,
    ) -> Result<(), EntryError> {
        if word.is("$ORIGIN") {
            let [argument] = arguments else { return Err(EntryError::Usage("$ORIGIN <domain name>")) };
            context.origin = name::parse(argument, Origin::Relative(&context.origin))?;
        } else if word.is("$TTL") {
            const USAGE: EntryError = EntryError::Usage("$TTL <seconds>");
            let [argument] = arguments else { return Err(USAGE) };
            self.ttl_default = Some(seconds(argument).ok_or(USAGE)?);
        } else if word.is("$INCLUDE") {
            if self.is_alone {
                return Err(EntryError::NoInclude);
            }
            let (file, origin) = match arguments {
                [file] => (file, context.origin.clone()),
                [file, origin] => (file, name::parse(origin, Origin::Relative(&context.origin))?),
                _ => return Err(EntryError::Usage("$INCLUDE <file> [<domain name>]")),
            };
            let included = path.parent().unwrap_or(Path::new("")).join(file.shown());
            // RFC 1035 section 5.1: "a $INCLUDE entry never changes the relative origin of the parent file".
            self.file(&included, Context { origin, owner: context.owner.clone(), remark: None }, true)?;
        } else {
            return Err(EntryError::Directive(word.shown()));
        }
        Ok(())
    }

    /// Reads a record from what follows its owner.
    fn record(
        &mut self,
        line: usize,
        tokens: &[Token<'_>],
        remarks: &[Remark<'_>],
        path: &Path,
        context: &mut Context,
    ) -> Result<(), EntryError> {
        let owner = context.owner.clone().ok_or(EntryError::NoOwner)?;
        let (ttl, rtype, fields) = head(tokens)?;
        let rdata = rdata::parse(rtype, fields, Origin::Relative(&context.origin))?;
        let ttl = self.ttl(ttl, rtype, &rdata)?;
        let annotation = annotation(remarks, context, &owner, rtype)?.map(Box::new);
        self.zone.record(Record { owner, rtype, ttl, rdata, annotation }, path, line);
        self.records += 1;
        if self.records.is_multiple_of(PROGRESS_RECORDS) {
            tracing::info!(file = %path.display(), records = self.records, "reading zone file");
        }
        Ok(())
    }

    /// The TTL of a record: its own, that of `$TTL`, that of the record before, or for a start the SOA record's minimum.
    fn ttl(&mut self, stated: Option<u32>, rtype: u16, rdata: &[u8]) -> Result<u32, EntryError> {
        if let Some(ttl) = stated {
            self.ttl_stated = stated;
            return Ok(ttl);
        }
        if let Some(ttl) = self.ttl_default.or(self.ttl_stated) {
            return Ok(ttl);
        }
        match rdata.last_chunk() {
            Some(&minimum) if rtype == rtype::SOA => {
                let minimum = u32::from_be_bytes(minimum);
                self.ttl_default = Some(minimum);
                Ok(minimum)
            }
            _ => Err(EntryError::NoTtl),
        }
    }
}

/// What is said of a record: at the end of its line, and on a line of its own before its RRset.
fn annotation(
    remarks: &[Remark<'_>],
    context: &mut Context,
    owner: &WireName,
    rtype: u16,
) -> Result<Option<Annotation>, EntryError> {
    let mut found = None;
    for remark in remarks.iter().filter(|remark| !remark.is_before) {
        found = Annotation::parse(remark.text)?.or(found);
    }
    if let Some((words, of)) = &mut context.remark {
        let is_of_this = of.get_or_insert_with(|| (owner.clone(), rtype)) == &(owner.clone(), rtype);
        if is_of_this {
            found.get_or_insert_with(Annotation::default).take_missing(words);
        } else {
            context.remark = None;
        }
    }
    Ok(found)
}

/// TTL if there is one, type, and the tokens after it; TTL and class may come in either order.
fn head<'t, 'a>(tokens: &'t [Token<'a>]) -> Result<(Option<u32>, u16, &'t [Token<'a>]), EntryError> {
    let mut ttl = None;
    let mut class = false;
    let mut rest = tokens;
    loop {
        let [word, tail @ ..] = rest else { return Err(EntryError::NoType) };
        let text = str::from_utf8(word.text).ok().filter(|_| !word.quoted);
        let text = text.ok_or_else(|| EntryError::Type(word.shown()))?;
        match (seconds(word), rtype::is_internet(text)) {
            (Some(value), _) if ttl.is_none() => ttl = Some(value),
            (_, Some(true)) if !class => class = true,
            (_, Some(false)) => return Err(EntryError::Class(word.shown())),
            _ => {
                let rtype = rtype::parse(text).ok_or_else(|| EntryError::Type(word.shown()))?;
                return Ok((ttl, rtype, tail));
            }
        }
        rest = tail;
    }
}
