//! Names as byte strings whose plain order is the canonical order of names (RFC 4034 section 6.1): labels from the right,
//! in lower case, each ended by a zero byte; one more zero byte ends the name.
//!
//! A zero byte inside a label is written 1 1, a one byte 1 2, so that the zero byte stays the smallest and ends labels only.

use ringdns_engine::name::WireName;

/// Appends a name.
pub fn push_name(key: &mut Vec<u8>, name: &WireName) {
    let labels: Vec<&[u8]> = name.labels().collect();
    for label in labels.iter().rev() {
        for &byte in *label {
            match byte.to_ascii_lowercase() {
                0 => key.extend_from_slice(&[1, 1]),
                1 => key.extend_from_slice(&[1, 2]),
                byte => key.push(byte),
            }
        }
        key.push(0);
    }
    key.push(0);
}

/// The name that starts a key, in lower case, and what follows it; nothing where the key is none.
pub fn split_name(key: &[u8]) -> Option<(WireName, &[u8])> {
    let mut labels: Vec<Vec<u8>> = Vec::new();
    let mut rest = key;
    loop {
        if let [0, tail @ ..] = rest {
            let mut wire = Vec::with_capacity(key.len());
            for label in labels.iter().rev() {
                wire.push(u8::try_from(label.len()).ok()?);
                wire.extend_from_slice(label);
            }
            wire.push(0);
            return Some((WireName::from_wire(&wire).ok()?, tail));
        }
        let mut label = Vec::new();
        loop {
            rest = match rest {
                [0, tail @ ..] => {
                    rest = tail;
                    break;
                }
                [1, coded @ (1 | 2), tail @ ..] => {
                    label.push(coded - 1);
                    tail
                }
                [1, ..] | [] => return None,
                [byte, tail @ ..] => {
                    label.push(*byte);
                    tail
                }
            };
        }
        labels.push(label);
    }
}

/// The key of a name.
pub fn name_key(name: &WireName) -> Vec<u8> {
    let mut key = Vec::new();
    push_name(&mut key, name);
    key
}

/// The key of an RRset within its zone: by owner, type and the number of the view.
pub fn rrset_key(owner: &WireName, rtype: u16, view: u16) -> Vec<u8> {
    let mut key = name_key(owner);
    key.extend_from_slice(&rtype.to_be_bytes());
    key.extend_from_slice(&view.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_names_do_and_read_back() {
        let names = [
            ".",
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "z.a.example.",
            "zabc.a.example.",
            "z.example.",
            "\\000.z.example.",
            "\\000\\000.z.example.",
            "\\001.z.example.",
            "\\001\\000.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        let names: Vec<WireName> = names.iter().map(|name| name.parse().unwrap()).collect();
        for pair in names.windows(2) {
            assert!(pair[0] < pair[1], "{} < {}", pair[0], pair[1]);
            assert!(name_key(&pair[0]) < name_key(&pair[1]), "{} < {}", pair[0], pair[1]);
            assert!(rrset_key(&pair[0], u16::MAX, u16::MAX) < rrset_key(&pair[1], 0, 0));
        }
        for name in &names {
            let key = rrset_key(name, 257, 2);
            assert_eq!(split_name(&key), Some((name.clone(), &[1u8, 1, 0, 2][..])));
        }
        let upper: WireName = "A.EXAMPLE.".parse().unwrap();
        assert_eq!(name_key(&upper), name_key(&names[2]));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for key in [&b""[..], b"a", b"a\0", b"a\x01\0\0", b"a\x01\x03\0\0"] {
            assert_eq!(split_name(key), None, "{key:?}");
        }
        let long = [vec![b'x'; 64], vec![0, 0]].concat();
        assert_eq!(split_name(&long), None);
    }
}
