//! Text that people and programs write: request bodies and zone files.

use std::path::Path;

use ringdns_controlplane::api::body;
use ringdns_controlplane::model::Rrset;
use ringdns_controlplane::text::lexer::Token;
use ringdns_controlplane::text::name::Origin;
use ringdns_controlplane::text::rdata;
use ringdns_controlplane::views::Views;
use ringdns_controlplane::zonefile::reader;
use ringdns_controlplane::zonefile::zone::Builder;
use ringdns_engine::name::WireName;
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{EditError, Editor, RrsetSpec};

/// Types of RFC 1035 whose rdata is made of names, and has no text form here any more.
const OBSOLETE: [u16; 6] = [3, 4, 7, 8, 9, 14];

/// Any bytes as the body of every request that has one. What is taken can be shown, read again and served.
pub fn body(input: &[u8]) {
    let apex: WireName = "example.".parse().unwrap();
    let owner: WireName = "www.example.".parse().unwrap();
    let views = Views::new(["inside"]);
    let _ = body::zone(input);
    if let Ok(rrset) = body::new_rrset(input, &apex, &views) {
        keep(&apex, rrset);
    }
    for rtype in [1, 2, 5, 6, 15, 16, 28, 33, 35, 43, 44, 46, 48, 52, 64, 65, 257, 65280] {
        if let Ok(rrset) = body::rrset(input, &apex, owner.clone(), rtype) {
            keep(&apex, rrset);
        }
    }
    if let Ok(text) = str::from_utf8(input) {
        if let Ok(name) = body::apex(text) {
            assert_eq!(body::apex(&name.to_string()).ok(), Some(name), "a name is read as it is shown");
        }
        if let Ok(name) = body::owner(text, &apex) {
            assert_eq!(body::owner(&name.to_string(), &apex).ok(), Some(name), "an owner is read as it is shown");
        }
        let _ = body::rtype(text);
    }
}

/// Any bytes as a zone file.
pub fn zonefile(input: &[u8]) {
    // Other files are no input of this target.
    if input.to_ascii_uppercase().windows(8).any(|word| word == b"$INCLUDE") {
        return;
    }
    let apex: WireName = "example.".parse().unwrap();
    let mut builder = Builder::new(apex.clone(), "input".into());
    reader::read_text(input, Path::new("input"), &apex, &mut builder);
    match builder.finish() {
        Ok(zone) => zone.rrsets.into_iter().for_each(|rrset| keep(&apex, rrset)),
        Err(error) => assert!(!error.to_string().is_empty(), "it says what is wrong"),
    }
}

/// Checks an RRset that was taken: in its zone, each record shown and read again the same, and served where it is sound
/// as a whole.
fn keep(apex: &WireName, mut rrset: Rrset) {
    assert!(apex.contains(&rrset.owner), "{} is not in {apex}", rrset.owner);
    for wire in &rrset.rdatas {
        let shown = rdata::show(rrset.rtype, wire);
        let read = rdata::parse_line(rrset.rtype, &shown, Origin::None);
        assert_eq!(read.as_ref().ok(), Some(wire), "TYPE{} {shown}: {read:?}", rrset.rtype);
    }
    let shown = rrset.owner.to_string();
    let token = Token { text: shown.as_bytes(), quoted: false };
    let read = ringdns_controlplane::text::name::parse(&token, Origin::None);
    assert_eq!(read.ok().as_ref(), Some(&rrset.owner), "{shown}");
    if rrset.normalise(apex).is_err() {
        return;
    }
    let mut editor = Editor::new(&Snapshot::empty());
    editor.add_zone(apex);
    let Rrset { owner, rtype, ttl, rdatas, view: _, selection } = rrset;
    let put = editor.put_rrset(apex, &owner, &RrsetSpec { rtype, ttl, rdatas, selection, ..RrsetSpec::default() });
    // The store and the merge tell whoever wrote it where the engine takes no such bytes.
    let may_be_refused = put == Err(EditError::RdataMalformed) && OBSOLETE.contains(&rtype);
    assert!(put == Ok(()) || may_be_refused, "{owner} TYPE{rtype} is sound: {put:?}");
}
