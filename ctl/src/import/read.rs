//! Readers of the formats: INI as gcfg and as DPDK read it, the part of YAML that kdns-agent uses, JSON, and variables.

use serde_json::Value;

use super::settings::Settings;

/// INI as the Go programs read it: quotes, escapes, `#` and `;` behind a value, lines that go on after a backslash.
pub(super) fn gcfg(text: &str) -> Result<Settings, String> {
    let mut settings = Settings::default();
    let mut section = String::new();
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let number = index + 1;
        let mut line = line.to_owned();
        while line.ends_with('\\') {
            let Some((_, more)) = lines.next() else { break };
            line.pop();
            line += more;
        }
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = section_name(trimmed) {
            name.clone_into(&mut section);
            continue;
        }
        if section.is_empty() || trimmed.starts_with('[') {
            return Err(format!("line {number} is neither a section nor a key of one: {trimmed}"));
        }
        let (key, value) = trimmed.split_once('=').unwrap_or((trimmed, ""));
        let value = unquoted(value.trim()).ok_or_else(|| format!("line {number}: a quote is not closed"))?;
        settings.add(&section, key.trim(), &value, number);
    }
    Ok(settings)
}

/// The name in brackets, with what may stand behind them.
fn section_name(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix('[')?.split_once(']')?;
    let rest = rest.trim();
    (rest.is_empty() || rest.starts_with(['#', ';'])).then_some(name.trim())
}

/// A value without its quotes, its escapes and the comment behind it; nothing where a quote stays open.
fn unquoted(text: &str) -> Option<String> {
    let mut value = String::new();
    // Blanks at the end count only between quotes.
    let mut kept = 0;
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted = !quoted,
            '#' | ';' if !quoted => break,
            '\\' => value.push(match characters.next()? {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            other => value.push(other),
        }
        if quoted || !character.is_whitespace() {
            kept = value.len();
        }
    }
    value.truncate(kept);
    (!quoted).then_some(value)
}

/// INI as kdns reads it: a semicolon starts a comment wherever it stands, and quotes are characters like others.
pub(super) fn dpdk(text: &str) -> Result<Settings, String> {
    let mut settings = Settings::default();
    let mut section = String::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split(';').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        if let Some(name) = section_name(line) {
            name.clone_into(&mut section);
            continue;
        }
        let entry = line.split_once('=').filter(|_| !section.is_empty());
        let (key, value) = entry.ok_or_else(|| format!("line {} is neither a section nor a key: {line}", index + 1))?;
        settings.add(&section, key.trim(), value.trim(), index + 1);
    }
    Ok(settings)
}

/// The part of YAML that the agent's file is written in: keys with plain values, and one list of such keys.
pub(super) fn yaml(text: &str) -> Result<Settings, String> {
    let mut settings = Settings::default();
    let mut list = String::new();
    let mut items = 0;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let content = line.split(" #").next().unwrap_or_default();
        let trimmed = content.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') || trimmed == "---" {
            continue;
        }
        let (is_item, entry) = trimmed.strip_prefix("- ").map_or((false, trimmed), |entry| (true, entry.trim()));
        let Some((key, value)) = entry.split_once(':').filter(|(_, rest)| rest.is_empty() || rest.starts_with(' '))
        else {
            return Err(format!("line {number} is no key with a value: {trimmed}"));
        };
        let value = value.trim().trim_matches(['"', '\'']);
        let is_nested = is_item || content.starts_with([' ', '\t']);
        items += usize::from(is_item);
        if !is_nested {
            key.clone_into(&mut list);
            items = 0;
        }
        if is_nested {
            settings.add(&format!("{list}[{}]", items.max(1) - 1), key, value, number);
        } else if !value.is_empty() || !key.ends_with("-servers") || key.starts_with("etcd") {
            settings.add("", key, value, number);
        }
    }
    Ok(settings)
}

/// One JSON object: the configuration that SkyDNS keeps in etcd.
pub(super) fn json(text: &str) -> Result<Settings, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let members = value.as_object().ok_or("it is no JSON object")?;
    let mut settings = Settings::default();
    for (key, value) in members {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => {
                let items = items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
                items.collect::<Vec<_>>().join(",")
            }
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let quoted = format!("\"{key}\"");
        let line = text.lines().position(|line| line.contains(&quoted)).map_or(1, |index| index + 1);
        settings.add("", key, &value, line);
    }
    Ok(settings)
}

/// Variables, one a line, as shells and systemd read them.
pub(super) fn variables(text: &str) -> Result<Settings, String> {
    let mut settings = Settings::default();
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let entry = trimmed.strip_prefix("export ").unwrap_or(trimmed).trim();
        let Some((key, value)) = entry.split_once('=') else {
            return Err(format!("line {} is no NAME=VALUE: {trimmed}", index + 1));
        };
        settings.add("", key.trim(), value.trim().trim_matches(['"', '\'']), index + 1);
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names, values and lines.
    fn list(settings: Settings) -> Vec<(String, String, usize)> {
        settings.into_rest().into_iter().map(|setting| (setting.name(), setting.value, setting.line)).collect()
    }

    /// What a list should be.
    fn expected(list: &[(&str, &str, usize)]) -> Vec<(String, String, usize)> {
        list.iter().map(|&(name, value, line)| (name.to_owned(), value.to_owned(), line)).collect()
    }

    #[test]
    fn ini_of_the_go_programs() {
        let text = "[A] # x\nk = a b ; c\nq =\"x # y \" \n\n; no\nbare\nlong = 1,\\\n2\n[B]\nk = \"a\\\"b\"\nK = c\n";
        let mut settings = gcfg(text).unwrap();
        assert_eq!(settings.overruled.pop().map(|old| old.line), Some(10));
        let found =
            [("A.k", "a b", 2), ("A.q", "x # y ", 3), ("A.bare", "", 6), ("A.long", "1,2", 7), ("B.K", "c", 11)];
        assert_eq!(list(settings), expected(&found));
        for (wrong, message) in
            [("k = v", "line 1 is neither"), ("[A\nk=v", "line 1"), ("[A]\nk = \"v", "line 2: a quote")]
        {
            assert!(gcfg(wrong).unwrap_err().starts_with(message), "{wrong}");
        }
    }

    #[test]
    fn ini_of_kdns() {
        let found = list(dpdk("; c\n[EAL]\ncores = 1,3 ; two\n \nq = \"x#\"\n").unwrap());
        assert_eq!(found, expected(&[("EAL.cores", "1,3", 3), ("EAL.q", "\"x#\"", 5)]));
        assert!(dpdk("cores = 1").is_err() && dpdk("[A]\nx").is_err());
    }

    #[test]
    fn yaml_of_the_agent() {
        let text =
            "#log\na: http://x:1  # c\nb: \"\"\nkdns-servers:\n  - kdns-url: u1\n    k:\n  - kdns-url: 'u2'\nc: 1\n";
        let found = [
            ("a", "http://x:1", 2),
            ("b", "", 3),
            ("kdns-servers[0].kdns-url", "u1", 5),
            ("kdns-servers[0].k", "", 6),
            ("kdns-servers[1].kdns-url", "u2", 7),
            ("c", "1", 8),
        ];
        assert_eq!(list(yaml(text).unwrap()), expected(&found));
        assert_eq!(yaml("a: 1\n[b]\n").unwrap_err(), "line 2 is no key with a value: [b]");
    }

    #[test]
    fn json_and_variables() {
        let found =
            list(json("{\n \"ttl\": 60,\n \"nameservers\": [\"a:53\", \"b:53\"], \"no_rec\": true\n}").unwrap());
        assert_eq!(found, expected(&[("nameservers", "a:53,b:53", 3), ("no_rec", "true", 3), ("ttl", "60", 2)]));
        assert!(json("[]").is_err() && json("{").is_err());
        let found = list(variables("# c\nexport A=\"b c\"\nD=e=f\n").unwrap());
        assert_eq!(found, expected(&[("A", "b c", 2), ("D", "e=f", 3)]));
        assert!(variables("A b").is_err());
    }
}
