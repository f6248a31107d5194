//! Tables and lists for people.

use serde_json::Value;

/// Rows under headings, each column as wide as its widest cell; the last one as long as it is.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = line(&headings.map(str::to_owned), &widths);
    for row in rows {
        text += &line(row, &widths);
    }
    text
}

/// One row.
fn line(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, &width) in cells.iter().zip(widths) {
        text += &format!("{cell:<width$}  ");
    }
    format!("{}\n", text.trim_end())
}

/// An object as lines of a key and a value; inner objects by their path.
pub(super) fn fields(value: &Value) -> String {
    let mut pairs = Vec::new();
    flatten("", value, &mut pairs);
    let width = pairs.iter().map(|(key, _)| key.chars().count()).max().unwrap_or_default();
    pairs.iter().map(|(key, value)| format!("{key:<width$}  {value}").trim_end().to_owned() + "\n").collect()
}

/// Collects the leaves below a value.
fn flatten(path: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                flatten(&below(key), value, pairs);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), item, pairs);
            }
        }
        Value::Null => {}
        other => pairs.push((path.to_owned(), cell(other))),
    }
}

/// A value in a cell.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let rows = [["a".to_owned(), "1".to_owned()], ["long".to_owned(), String::new()]];
        assert_eq!(table(["NAME", "N"], &rows), "NAME  N\na     1\nlong\n");
    }

    #[test]
    fn objects_become_lines() {
        let value = json!({ "a": { "b": 1, "none": null }, "c": ["x", "y"], "d": [{ "e": true }] });
        assert_eq!(fields(&value), "a.b     1\nc       x y\nd[0].e  true\n");
    }
}
