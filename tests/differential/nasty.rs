//! What makes a zone nasty: names at every bound, labels of any byte, wildcards in odd places, cuts in cuts, chains that
//! are long or never end, and zones below and beside the zone.

use std::fmt::Write;

use harness::rng::Rng;

use crate::zone::{APEX, Zone, host};

/// A zone within the zone; the parent delegates it.
pub const CHILD: &str = "child.diff.example.";

/// A zone within that one, without a delegation.
pub const GRANDCHILD: &str = "deep.down.child.diff.example.";

/// A zone beside them.
pub const OTHER: &str = "other.example.";

/// Every zone beside the main one, with the text of its file.
pub fn others() -> Vec<(&'static str, String)> {
    [(CHILD, child()), (GRANDCHILD, grandchild()), (OTHER, other())]
        .map(|(apex, lines)| {
            (apex, format!("$ORIGIN {apex}\n$TTL 1200\n@ SOA ns hostmaster 1 2 3 4 77\n@ NS ns\n{lines}"))
        })
        .into()
}

/// Adds everything that is nasty within the zone.
pub fn add(zone: &mut Zone, rng: &mut Rng) {
    add_long_names(zone);
    add_binary_labels(zone, rng);
    add_mixed_case(zone);
    add_wildcards(zone);
    add_cuts(zone);
    add_chains(zone);
    add_endless(zone);
    add_between_zones(zone);
}

/// A text of so many equal letters.
fn letters(letter: &str, bytes: usize) -> String {
    letter.repeat(bytes)
}

/// Labels of 63 bytes, and names of 250 to 255 bytes: `diff.example.` takes 14.
fn add_long_names(zone: &mut Zone) {
    let long = [letters("x", 63), letters("Y", 63), letters("z", 63)].join(".");
    for first in 43..=48 {
        let owner = format!("{}.{long}", letters("a", first));
        zone.add(&owner, "A", &[format!("198.51.100.{first}")]);
        zone.add(&owner, "MX", &[format!("10 {owner}")]);
        zone.add(&format!("to-long{first}"), "CNAME", &[owner]);
    }
    zone.add(&format!("*.{}.{}", letters("w", 63), letters("W", 63)), "TXT", &["\"below long labels\"".to_owned()]);
    // RFC 6672 section 2.2: the name that is made may be too long, by one byte or by many.
    zone.add("toolong", "DNAME", std::slice::from_ref(&long));
    for first in 46..=52 {
        zone.ask(format!("{}.toolong", letters("a", first)));
    }
    zone.ask(format!("{}.toolong", [letters("b", 63), letters("c", 63)].join(".")));
    for last in [118, 119] {
        zone.ask(format!("{}e", "d.".repeat(last)));
    }
    for first in [60, 62, 63] {
        zone.ask(format!("{}.{}.{}.{}", letters("q", first), letters("q", 50), letters("w", 63), letters("W", 63)));
    }
}

/// Labels with bytes that no text has: zero, 255, dots, blanks, lengths.
fn add_binary_labels(zone: &mut Zone, rng: &mut Rng) {
    for label in ["\\000", "\\255\\254", "a\\046b", "\\032", "\\063\\001", "\\192\\012", "\\065\\090", "\\228\\196"] {
        let owner = format!("{label}.bin");
        zone.add(&owner, "A", &[format!("198.51.100.{}", rng.below(256))]);
        zone.add(&format!("*.{label}.binwild"), "TXT", &["\"below bytes\"".to_owned()]);
        zone.add(&format!("{label}.binalias"), "CNAME", std::slice::from_ref(&owner));
        zone.add(&format!("{label}.binmail"), "MX", &[format!("5 {owner}")]);
        zone.ask(format!("any.{label}.binwild"));
        zone.ask(format!("{label}.{label}.binwild"));
        zone.ask(format!("{label}.binredirect"));
    }
    zone.add("binredirect", "DNAME", &["bin".to_owned()]);
    // Beside `a\.b.bin` stand two labels, which are another name.
    zone.add("a.b.bin", "TXT", &["\"two labels\"".to_owned()]);
}

/// Owners and targets in mixed case.
fn add_mixed_case(zone: &mut Zone) {
    for index in 0..12 {
        zone.add(&format!("MiXeD{index}.CaSe"), "A", &[format!("198.51.100.{index}")]);
        zone.add(
            &format!("MAIL{index}"),
            "MX",
            &[format!("1 mIxEd{index}.cAsE"), format!("2 MiXeD{}.case", index / 2)],
        );
        zone.add(&format!("Alias{index}"), "CNAME", &[format!("mixed{index}.CASE")]);
        zone.add(&format!("Tree{index}"), "DNAME", &["CASE".to_owned()]);
        zone.ask(format!("mixed{index}.tree{index}"));
    }
}

/// Wildcards below empty non-terminals, below and above wildcards, with aliases, redirections and nothing under them.
fn add_wildcards(zone: &mut Zone) {
    for index in 0..8 {
        let empty = format!("ent{index}.deep.er");
        zone.add(&format!("*.{empty}"), "A", &[format!("198.51.100.{index}")]);
        zone.add(&format!("*.b.{empty}"), "CNAME", &[format!("name.{empty}")]);
        zone.add(&format!("*.*.c.{empty}"), "TXT", &["\"two asterisks\"".to_owned()]);
        zone.add(&format!("own.*.d.{empty}"), "TXT", &["\"below an asterisk that owns nothing\"".to_owned()]);
        for name in [
            "a", "a.a", "b", "x.b", "x.y.b", "c", "x.c", "*.c", "x.*.c", "*.*.c", "y.x.*.c", "d", "x.d", "*.d", "x.*.d",
        ] {
            zone.ask(format!("{name}.{empty}"));
        }
        zone.ask(format!("ent{index}x.deep.er"));
    }
    // A wildcard alias to itself: every name below leads to another name below.
    zone.add("*.selfwild", "CNAME", &["again.selfwild".to_owned()]);
    zone.ask("any.selfwild".to_owned());
    zone.ask("again.selfwild".to_owned());
}

/// Zone cuts below zone cuts with glue for both, and data that the outer cut hides.
fn add_cuts(zone: &mut Zone) {
    for index in 0..8 {
        let outer = format!("outer{index}");
        let inner = format!("inner.ent.{outer}");
        zone.add(&outer, "NS", &[format!("ns.{outer}"), format!("ns.{inner}")]);
        zone.add(&inner, "NS", &[format!("ns.{inner}"), format!("ns.{outer}")]);
        for owner in [&outer, &inner] {
            zone.add(&format!("ns.{owner}"), "A", &[format!("198.51.100.{index}")]);
            zone.add(&format!("ns.{owner}"), "AAAA", &[format!("2001:db8::{index}")]);
        }
        if index % 2 == 0 {
            zone.add(&outer, "DS", &[format!("{index} 8 2 {}", "ab".repeat(32))]);
            zone.add(&format!("*.{outer}"), "A", &["198.51.100.99".to_owned()]);
            zone.add(&format!("hidden.{outer}"), "TXT", &["\"below a cut\"".to_owned()]);
        }
        zone.add(&format!("to-outer{index}"), "CNAME", &[format!("hidden.{outer}")]);
        zone.add(&format!("tree-outer{index}"), "DNAME", std::slice::from_ref(&inner));
        for name in ["any", "hidden", "ent", "inner.ent", "any.inner.ent", "ns", "ns.inner.ent"] {
            zone.ask(format!("{name}.{outer}"));
            zone.ask(format!("{name}.tree-outer{index}"));
        }
    }
}

/// Chains of aliases and of redirections, as long as every server follows them.
fn add_chains(zone: &mut Zone) {
    for length in 1..=8 {
        for step in 0..length {
            let target = |prefix: &str| match step + 1 {
                next if next == length => host(5 * length),
                next => format!("{prefix}{length}-{next}"),
            };
            zone.add(&format!("chain{length}-{step}"), "CNAME", &[target("chain")]);
        }
        // The first name leads through all the trees to the names below the last.
        for step in 0..length {
            zone.add(&format!("trees{length}-{step}"), "DNAME", &[format!("trees{length}-{}", step + 1)]);
        }
        zone.add(&format!("leaf.trees{length}-{length}"), "A", &[format!("198.51.100.{length}")]);
        zone.ask(format!("leaf.trees{length}-0"));
        zone.ask(format!("gone.trees{length}-0"));
        zone.ask(format!("leaf.trees{length}-{}", length / 2));
    }
}

/// Chains that never end: aliases of each other, of themselves, and trees that grow.
fn add_endless(zone: &mut Zone) {
    for length in 1..=4 {
        for step in 0..length {
            zone.add(&format!("loop{length}-{step}"), "CNAME", &[format!("loop{length}-{}", (step + 1) % length)]);
            zone.add(&format!("ring{length}-{step}"), "DNAME", &[format!("ring{length}-{}", (step + 1) % length)]);
        }
        zone.ask(format!("x.ring{length}-0"));
    }
}

/// Aliases and redirections between the zones, and the delegation of the one below.
fn add_between_zones(zone: &mut Zone) {
    zone.add("child", "NS", &["ns.child".to_owned()]);
    zone.add("child", "DS", &[format!("7 8 2 {}", "cd".repeat(32))]);
    zone.add("ns.child", "A", &["198.51.100.200".to_owned()]);
    zone.add("hidden.child", "A", &["198.51.100.201".to_owned()]);
    for (index, target) in ["www.child", "gone.child", "any.wild.child", "www.deep.down.child", "gone.deep.down.child"]
        .iter()
        .map(|name| format!("{name}.{APEX}"))
        .chain(["www", "gone", "back"].map(|name| format!("{name}.{OTHER}")))
        .enumerate()
    {
        zone.add(&format!("across{index}"), "CNAME", &[target]);
    }
    zone.add("tree-across", "DNAME", &[OTHER.to_owned()]);
    zone.ask("www.tree-across".to_owned());
    zone.ask("back.tree-across".to_owned());
    for (apex, names) in [
        (CHILD, ["www", "gone", "any.wild", "wild", "hidden", "ns", "down", "x.down", "www.deep", "up"].as_slice()),
        (GRANDCHILD, &["www", "gone", "any.wild", "ns"]),
        (OTHER, &["www", "gone", "back", "far", "www.tree"]),
    ] {
        zone.ask(apex.to_owned());
        names.iter().for_each(|name| zone.ask(format!("{name}.{apex}")));
    }
}

/// Records of the zone below.
fn child() -> String {
    let mut lines = "ns A 198.51.100.200\nwww A 198.51.100.210\nwww MX 10 ns\n*.wild TXT \"child\"\n".to_owned();
    writeln!(lines, "up CNAME {}.{APEX}\nback CNAME across0.{APEX}", host(3)).expect("a string takes it");
    lines
}

/// Records of the zone below that one.
fn grandchild() -> String {
    "ns A 198.51.100.220\nwww AAAA 2001:db8::220\n*.wild A 198.51.100.221\n".to_owned()
}

/// Records of the zone beside.
fn other() -> String {
    format!(
        "ns A 198.51.100.230\nwww A 198.51.100.231\nback CNAME across5.{APEX}\nfar CNAME www.{CHILD}\ntree DNAME {CHILD}\n"
    )
}
