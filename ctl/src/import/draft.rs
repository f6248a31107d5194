//! The RingDNS configuration while it is written, and the report about it.

use std::path::PathBuf;

pub(super) use ringdns_corefile::Value;

use super::settings::Setting;

/// The tables in the order in which they are written: that of conf/example.toml.
const ORDER: [&str; 26] = [
    "[kube_dns_config]",
    "[dns]",
    "[rate_limit]",
    "[sockets]",
    "[workers]",
    "[eal]",
    "[[port]]",
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
    "[admin]",
    "[containerdns_api]",
    "[kdns_api]",
    "[containerdns_stats]",
    "[log]",
];

/// Longest line of a comment.
const COMMENT_COLUMNS: usize = 118;

/// A table.
#[derive(Debug)]
struct Table {
    /// Its header, with brackets.
    header: &'static str,
    /// What tells it from others of the same header.
    label: String,
    /// What stands in it.
    lines: Vec<Line>,
}

/// A line, or several, of a table.
#[derive(Debug)]
enum Line {
    /// A comment.
    Comment(String),
    /// A key.
    Key {
        /// The key.
        key: &'static str,
        /// Its value.
        value: Value,
        /// Where it comes from; empty: from nowhere.
        from: String,
    },
}

/// A secret that goes into a file of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Secret {
    /// The name of the file.
    pub(super) name: &'static str,
    /// What stands in it.
    pub(super) text: String,
}

/// A configuration while it is written.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The file that is read now.
    pub(super) file: String,
    /// The tables so far.
    tables: Vec<Table>,
    /// Secrets for files.
    pub(super) secrets: Vec<Secret>,
    /// What the report says of keys.
    notes: Vec<String>,
    /// What is left to do by hand.
    to_do: Vec<String>,
    /// What stands above all tables.
    remarks: Vec<String>,
    /// Where files of secrets lie; none: where packages put them.
    pub(super) secrets_dir: Option<PathBuf>,
}

impl Draft {
    /// The table of a header and a label; without a label, the first one of the header.
    fn table(&mut self, header: &'static str, label: &str) -> &mut Table {
        let is_it = |table: &Table| table.header == header && (label.is_empty() || table.label == label);
        let found = self.tables.iter().position(is_it);
        let place = found.unwrap_or_else(|| {
            self.tables.push(Table { header, label: label.to_owned(), lines: Vec::new() });
            self.tables.len() - 1
        });
        &mut self.tables[place]
    }

    /// True where a table has a key.
    pub(super) fn has(&self, header: &str, key: &str) -> bool {
        let mut tables = self.tables.iter().filter(|table| table.header == header);
        tables.any(|table| table.lines.iter().any(|line| matches!(line, Line::Key { key: known, .. } if *known == key)))
    }

    /// Sets a key of the only table of a header.
    pub(super) fn set(&mut self, header: &'static str, key: &'static str, value: Value, from: Option<&Setting>) {
        self.set_in(header, "", key, value, from);
    }

    /// Sets a key. Another file may have set it: the same value is as good, for another the first one stays.
    pub(super) fn set_in(
        &mut self,
        header: &'static str,
        label: &str,
        key: &'static str,
        value: Value,
        from: Option<&Setting>,
    ) {
        let from = from.map(|setting| self.place(setting)).unwrap_or_default();
        let table = self.table(header, label);
        let known = table.lines.iter_mut().find_map(|line| match line {
            Line::Key { key: known, value, .. } if *known == key => Some(value),
            _ => None,
        });
        match (known, value) {
            (None, value) => table.lines.push(Line::Key { key, value, from }),
            (Some(Value::Texts(old)), Value::Texts(new)) => {
                for text in new {
                    if !old.contains(&text) {
                        old.push(text);
                    }
                }
            }
            (Some(old), new) if *old == new => {}
            (Some(old), new) => {
                let words = format!("{from}: {header} {key} is {} already, {} was not taken", old.show(), new.show());
                self.notes.push(words);
            }
        }
    }

    /// Sets a key of the only table of a header, whatever it was before.
    pub(super) fn replace(&mut self, header: &'static str, key: &'static str, value: Value, from: Option<&Setting>) {
        let is_it = |line: &Line| matches!(line, Line::Key { key: known, .. } if *known == key);
        self.table(header, "").lines.retain(|line| !is_it(line));
        self.set(header, key, value, from);
    }

    /// File, line and name of a setting.
    fn place(&self, setting: &Setting) -> String {
        format!("{}:{}: {}", self.file, setting.line, setting.name())
    }

    /// File, line, name and value of a setting.
    fn shown(&self, setting: &Setting) -> String {
        format!("{}:{}: {}", self.file, setting.line, setting.shown())
    }

    /// Says something of a setting, at its place and in the report.
    pub(super) fn remark(&mut self, header: &'static str, setting: &Setting, words: &str) {
        self.remark_in(header, "", setting, words);
    }

    /// The same in one of several tables.
    pub(super) fn remark_in(&mut self, header: &'static str, label: &str, setting: &Setting, words: &str) {
        let text = format!("{}: {words}", self.shown(setting));
        self.table(header, label).lines.push(Line::Comment(text.clone()));
        self.notes.push(text);
    }

    /// Says that a setting has no counterpart, why, and what to do instead.
    pub(super) fn lacks(&mut self, header: &'static str, setting: &Setting, reason: &str) {
        self.remark(header, setting, &format!("no counterpart: {reason}"));
    }

    /// Says something that no setting stands for.
    pub(super) fn comment(&mut self, header: &'static str, label: &str, words: &str) {
        let table = self.table(header, label);
        // Two files may have the same to say.
        if table.lines.iter().any(|line| matches!(line, Line::Comment(known) if known == words)) {
            return;
        }
        table.lines.push(Line::Comment(words.to_owned()));
        self.notes.push(format!("{}: {words}", self.file));
    }

    /// Says something that no table stands for.
    pub(super) fn say(&mut self, words: String) {
        self.remarks.push(words.clone());
        self.notes.push(words);
    }

    /// Sets a key whose value somebody has to find out.
    pub(super) fn fill_in(&mut self, header: &'static str, key: &'static str, placeholder: Value, words: &str) {
        // Another file may have known it.
        if self.has(header, key) {
            return;
        }
        let table = self.table(header, "");
        table.lines.push(Line::Comment(format!("FILL IN: {words}")));
        table.lines.push(Line::Key { key, value: placeholder, from: String::new() });
        self.to_do.push(format!("{header} {key}: {words}"));
    }

    /// Leaves a task to whoever imports.
    pub(super) fn leave(&mut self, words: String) {
        self.to_do.push(words);
    }

    /// Has a key name the file of a secret.
    pub(super) fn secret(&mut self, header: &'static str, key: &'static str, name: &'static str, setting: &Setting) {
        let directory = self.secrets_dir.clone().unwrap_or_else(|| PathBuf::from("/etc/ringdns"));
        let path = directory.join(name).display().to_string();
        self.set(header, key, Value::text(path.clone()), Some(setting));
        if self.secrets_dir.is_none() {
            self.to_do.push(format!(
                "{header} {key}: put the value of {} (line {} of {}) into {path}: umask 077; cat > {path}; or import again \
                 with --secrets-dir /etc/ringdns, which makes the file. The user that RingDNS runs as must be able to \
                 read it, and others not",
                setting.name(),
                setting.line,
                self.file
            ));
        }
        self.secrets.push(Secret { name, text: setting.value.clone() });
    }

    /// The file.
    pub(super) fn toml(&self, from: &str) -> String {
        let mut text = format!("# RingDNS configuration, made from {from}.\n");
        text += "# conf/example.toml explains every key; check the file with: ringdns check-config FILE\n";
        for words in &self.remarks {
            text += &comment(words);
        }
        for header in ORDER {
            for table in self.tables.iter().filter(|table| table.header == header) {
                text += "\n";
                if table.lines.iter().any(|line| matches!(line, Line::Key { .. })) {
                    text += &format!("{header}\n");
                }
                for line in &table.lines {
                    text += &match line {
                        Line::Comment(words) => comment(words),
                        Line::Key { key, value, from } if from.is_empty() => format!("{key} = {}\n", value.show()),
                        Line::Key { key, value, from } => format!("# {from}\n{key} = {}\n", value.show()),
                    };
                }
            }
        }
        text
    }

    /// The report.
    pub(super) fn report(&self) -> String {
        let mut text = String::new();
        for note in &self.notes {
            text += &format!("{note}\n");
        }
        for task in &self.to_do {
            text += &format!("to do: {task}\n");
        }
        text
    }
}

/// A comment, in lines that fit.
fn comment(words: &str) -> String {
    let mut text = String::new();
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > COMMENT_COLUMNS && line != "#" {
            text += &line;
            text += "\n";
            "#  ".clone_into(&mut line);
        }
        line += " ";
        line += word;
    }
    text + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_stay_on_their_lines() {
        let long = comment(&"word ".repeat(60));
        assert!(
            long.lines().count() > 2 && long.lines().all(|line| line.starts_with('#') && line.len() <= 118),
            "{long}"
        );
        assert_eq!(comment("a\nb"), "# a b\n");
    }
}
