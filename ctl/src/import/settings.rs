//! What a file says: keys with their sections, values and lines.

/// One key as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The section; empty where the format has none.
    pub(super) section: String,
    /// The key.
    pub(super) key: String,
    /// The value, without quotes.
    pub(super) value: String,
    /// The line, counted from 1.
    pub(super) line: usize,
    /// True: the value is not to be shown.
    pub(super) is_secret: bool,
}

impl Setting {
    /// Section and key.
    pub(super) fn name(&self) -> String {
        if self.section.is_empty() { self.key.clone() } else { format!("{}.{}", self.section, self.key) }
    }

    /// Key and value for people: on one line, and without secrets.
    pub(super) fn shown(&self) -> String {
        let value: String = self.value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let value = match value.as_str() {
            "" => "\"\"",
            _ if self.is_secret => "(not shown)",
            value => value,
        };
        format!("{} = {value}", self.name())
    }

    /// The same setting, its value not to be shown.
    pub(super) fn secret(self) -> Self {
        Self { is_secret: true, ..self }
    }

    /// True and false in all the words that the originals take.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value.to_ascii_lowercase().as_str() {
            // A key without a value is true to gcfg.
            "true" | "yes" | "on" | "1" | "" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }

    /// The items between separators, without blanks and empty ones.
    pub(super) fn items(&self, separators: &[char]) -> Vec<String> {
        self.value.split(separators).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }
}

/// The keys of a file that nobody has taken yet.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// They, in the order of the file.
    rest: Vec<Setting>,
    /// Those that a later line overrules.
    pub(super) overruled: Vec<Setting>,
}

impl Settings {
    /// Adds a key; it overrules one of the same name, as in the originals.
    pub(super) fn add(&mut self, section: &str, key: &str, value: &str, line: usize) {
        let (section, key, value) = (section.to_owned(), key.to_owned(), value.to_owned());
        let new = Setting { section, key, value, line, is_secret: false };
        let same =
            |old: &Setting| old.section.eq_ignore_ascii_case(&new.section) && old.key.eq_ignore_ascii_case(&new.key);
        if let Some(place) = self.rest.iter().position(same) {
            self.overruled.push(self.rest.remove(place));
        }
        self.rest.push(new);
    }

    /// Takes a key out of the first of these sections that has it; capitals do not count.
    pub(super) fn take(&mut self, sections: &[&str], key: &str) -> Option<Setting> {
        let is_it = |setting: &Setting, section: &str| {
            setting.section.eq_ignore_ascii_case(section) && setting.key.eq_ignore_ascii_case(key)
        };
        let found = sections.iter().find_map(|section| self.rest.iter().position(|setting| is_it(setting, section)));
        found.map(|place| self.rest.remove(place))
    }

    /// Takes the first of several keys that is there.
    pub(super) fn take_any(&mut self, sections: &[&str], keys: &[&str]) -> Option<Setting> {
        keys.iter().find_map(|key| self.take(sections, key))
    }

    /// Looks at a key and leaves it.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.rest.iter().find(|setting| setting.key.eq_ignore_ascii_case(key)).map(|setting| setting.value.as_str())
    }

    /// True where a section is there.
    pub(super) fn has_section(&self, section: &str) -> bool {
        self.rest.iter().any(|setting| setting.section.eq_ignore_ascii_case(section))
    }

    /// Keys that nobody has taken.
    pub(super) fn into_rest(self) -> Vec<Setting> {
        self.rest
    }
}
