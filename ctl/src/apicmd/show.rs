//! Records as the original prints them.

use std::collections::BTreeMap;

use serde_json::Value;

/// The lines of a reply, sorted by name; nothing where the reply is none of records. The original's order is that of its hash
/// map, another one each time.
pub(super) fn lines(reply: &str) -> Option<String> {
    let shown: Option<BTreeMap<String, Option<BTreeMap<String, Value>>>> = serde_json::from_str(reply).ok()?;
    let mut lines = String::new();
    for (name, record) in shown.unwrap_or_default() {
        let record = record.unwrap_or_default();
        let value = if text(&record, "type")? == "A" {
            format!("type:A  ips:[{}]", texts(&record, "ips")?.join(" "))
        } else {
            // Whatever it is: the original knows two types.
            format!("type:Cname  alias:{}", text(&record, "alias-domain")?)
        };
        lines += &format!("domain:  {name:>56}       val: {{ {value} }}\n");
    }
    Some(lines)
}

/// A member that is a string, or not there; nothing where it is something else.
fn text<'a>(record: &'a BTreeMap<String, Value>, member: &str) -> Option<&'a str> {
    match record.get(member) {
        None | Some(Value::Null) => Some(""),
        Some(value) => value.as_str(),
    }
}

/// A member that is a list of strings, or not there; nothing where it is something else.
fn texts<'a>(record: &'a BTreeMap<String, Value>, member: &str) -> Option<Vec<&'a str>> {
    match record.get(member) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(value) => value.as_array()?.iter().map(Value::as_str).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_right_aligned_to_56_columns() {
        let line =
            lines(r#"{"cctv2.containerdns.local.":{"type":"A","ips":["192.168.10.1","192.168.10.2"]}}"#).unwrap();
        let expected = format!("domain:  {}cctv2.containerdns.local.       val: {{ ", " ".repeat(56 - 25));
        assert_eq!(line, format!("{expected}type:A  ips:[192.168.10.1 192.168.10.2] }}\n"));
    }

    #[test]
    fn long_names_are_not_cut() {
        let name = "x".repeat(60);
        let line = lines(&format!(r#"{{"{name}":{{"type":"A"}}}}"#)).unwrap();
        assert_eq!(line, format!("domain:  {name}       val: {{ type:A  ips:[] }}\n"));
    }

    #[test]
    fn every_other_type_is_printed_as_an_alias() {
        let reply = r#"{"b.":{"type":"MX","mailHost":"m."},"a.":{"type":"CNAME","alias-domain":"t."},"c.":null}"#;
        let printed = lines(reply).unwrap();
        let values: Vec<&str> = printed.lines().map(|line| line.split("val: ").nth(1).unwrap()).collect();
        assert_eq!(values, ["{ type:Cname  alias:t. }", "{ type:Cname  alias: }", "{ type:Cname  alias: }"]);
    }

    #[test]
    fn what_is_no_map_of_records_is_told_from_an_empty_one() {
        assert_eq!(lines("{}\n"), Some(String::new()));
        for reply in
            ["No authorized\n", "ERR, type input \n", "[]", r#"{"a.":{"type":5}}"#, r#"{"a.":{"type":"A","ips":"x"}}"#]
        {
            assert_eq!(lines(reply), None, "{reply}");
        }
    }
}
