//! The configuration of RingDNS while it is written: tables of TOML whose lines know where they come from.

use std::fmt::Write as _;

use crate::fault::Place;

/// The tables in the order in which they are written: that of conf/example.toml.
const ORDER: [&str; 16] = [
    "[dns]",
    "[sockets]",
    "[store]",
    "[[zone_file]]",
    "[forward]",
    "[[forward.zone]]",
    "[cache]",
    "[policy]",
    "[kubernetes]",
    "[kubernetes.external]",
    "[kubernetes.search_path]",
    "[etcd]",
    "[[etcd_tree]]",
    "[[transfer]]",
    "[cluster_http]",
    "[shutdown]",
];

/// A value of TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// A list of strings.
    Texts(Vec<String>),
    /// A number.
    Number(i64),
    /// A list of numbers.
    Numbers(Vec<i64>),
    /// True or false.
    Boolean(bool),
    /// A table in one line.
    Table(Vec<(&'static str, Value)>),
}

impl Value {
    /// A string.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// As TOML.
    pub fn show(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Texts(texts) => format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")),
            Self::Number(number) => number.to_string(),
            Self::Numbers(numbers) => {
                format!("[{}]", numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
            }
            Self::Boolean(boolean) => boolean.to_string(),
            Self::Table(keys) => {
                let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key} = {}", value.show())).collect();
                format!("{{ {} }}", keys.join(", "))
            }
        }
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// The key.
    key: &'static str,
    /// Its value.
    value: Value,
    /// Where it comes from.
    place: Place,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Table {
    /// Its header, with brackets.
    header: &'static str,
    /// Its keys.
    entries: Vec<Entry>,
}

/// A configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Its tables.
    tables: Vec<Table>,
}

/// A configuration as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Where each of its lines comes from.
    pub places: Vec<Option<Place>>,
}

impl Document {
    /// Begins a new table of a header that may stand several times.
    pub fn begin(&mut self, header: &'static str) {
        self.tables.push(Table { header, entries: Vec::new() });
    }

    /// Sets a key of the last table of a header. Lists grow; of other values the first one stays, and is given back where
    /// another was to be set.
    pub fn set(&mut self, header: &'static str, key: &'static str, value: Value, place: &Place) -> Result<(), Place> {
        let position = self.tables.iter().rposition(|table| table.header == header);
        let position = position.unwrap_or_else(|| {
            self.begin(header);
            self.tables.len() - 1
        });
        let Some(table) = self.tables.get_mut(position) else { return Ok(()) };
        match (table.entries.iter_mut().find(|entry| entry.key == key), value) {
            (None, value) => table.entries.push(Entry { key, value, place: place.clone() }),
            (Some(Entry { value: Value::Texts(old), .. }), Value::Texts(new)) => {
                for text in new {
                    if !old.contains(&text) {
                        old.push(text);
                    }
                }
            }
            (Some(entry), value) if entry.value == value => {}
            (Some(entry), _) => return Err(entry.place.clone()),
        }
        Ok(())
    }

    /// Sets a key of the last table of a header, whatever it was before.
    pub fn replace(&mut self, header: &'static str, key: &'static str, value: Value, place: &Place) {
        for table in self.tables.iter_mut().rev().filter(|table| table.header == header).take(1) {
            table.entries.retain(|entry| entry.key != key);
        }
        // It is not there any more, so nothing stands against it.
        let _ = self.set(header, key, value, place);
    }

    /// The value of a key of the last table of a header.
    pub fn get(&self, header: &str, key: &str) -> Option<&Value> {
        let table = self.tables.iter().rev().find(|table| table.header == header)?;
        table.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The tables in the order in which they are written: header, and keys with values and places.
    pub fn tables(&self) -> impl Iterator<Item = (&'static str, impl Iterator<Item = (&'static str, &Value, &Place)>)> {
        let in_order = ORDER.iter().flat_map(|header| self.tables.iter().filter(move |table| table.header == *header));
        in_order.map(|table| {
            let entries = table.entries.iter().map(|Entry { key, value, place }| (*key, value, place));
            (table.header, entries)
        })
    }

    /// As text, with a comment at each key that tells where it comes from.
    pub fn render(&self) -> Rendered {
        let mut rendered = Rendered::default();
        for (header, entries) in self.tables() {
            let mut entries = entries.peekable();
            rendered.add("", None);
            rendered.add(header, entries.peek().map(|(_, _, place)| *place));
            for (key, value, place) in entries {
                rendered.add(&format!("# {}", one_line(&place.to_string())), Some(place));
                rendered.add(&format!("{key} = {}", value.show()), Some(place));
            }
        }
        rendered
    }
}

impl Rendered {
    /// Adds a line.
    fn add(&mut self, line: &str, place: Option<&Place>) {
        self.text.push_str(line);
        self.text.push('\n');
        self.places.push(place.cloned());
    }

    /// Where a line, counted from 1, comes from.
    pub fn place(&self, line: usize) -> Option<&Place> {
        self.places.get(line.checked_sub(1)?)?.as_ref()
    }
}

/// Text without what ends a line.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_and_lines_know_their_places() {
        assert_eq!(Value::text("a\"b\\c\nd").show(), "\"a\\\"b\\\\c\\nd\"");
        let place = |line| Place { file: "Corefile".into(), line };
        let mut document = Document::default();
        assert_eq!(document.set("[dns]", "nsid", Value::text("a"), &place(3)), Ok(()));
        assert_eq!(document.set("[dns]", "nsid", Value::text("b"), &place(4)), Err(place(3)));
        for (line, zone) in [(5, "a."), (6, "a."), (7, "b.")] {
            let zones = Value::Texts(vec![zone.to_owned()]);
            assert_eq!(document.set("[kubernetes]", "zones", zones, &place(line)), Ok(()));
        }
        let rendered = document.render();
        assert!(rendered.text.contains("zones = [\"a.\", \"b.\"]"), "{}", rendered.text);
        let line = rendered.text.lines().position(|line| line.starts_with("nsid")).unwrap_or_default() + 1;
        assert_eq!(rendered.place(line), Some(&place(3)));
        assert_eq!(rendered.places.len(), rendered.text.lines().count());
    }
}
