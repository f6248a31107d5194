//! The command line of the original, read as Go's `flag` package reads it: one dash or two, `-name value` or `-name=value`,
//! the last of a name counts, and the first word that is no flag ends them.

/// Everything that the command line and the environment say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Where the interface listens.
    pub(super) addr: String,
    /// Its token.
    pub(super) token: String,
    /// Who asks; the original had no such flag.
    pub(super) user: String,
    /// True: show everything.
    pub(super) list: bool,
    /// The name to show.
    pub(super) show: String,
    /// `create`, `update` or `delete`.
    pub(super) method: String,
    /// The name to change.
    pub(super) domain: String,
    /// Addresses of a new name.
    pub(super) ips: String,
    /// Alias of a name.
    pub(super) alias: String,
    /// What becomes what.
    pub(super) updates: String,
    /// True: exit code 1 where something failed; the original had no such flag.
    pub(super) fail: bool,
}

/// Why a command line cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Help was asked for.
    Help,
    /// It is wrong; Go's words for it.
    Wrong(String),
}

impl Options {
    /// The value of a flag that takes one.
    fn text(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "addr" => &mut self.addr,
            "token" => &mut self.token,
            "user" => &mut self.user,
            "show" => &mut self.show,
            "method" => &mut self.method,
            "domain" => &mut self.domain,
            "ips" => &mut self.ips,
            "alias" => &mut self.alias,
            "updates" => &mut self.updates,
            _ => return None,
        })
    }

    /// The value of a flag that is there or not.
    fn switch(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            "list" => Some(&mut self.list),
            "fail" => Some(&mut self.fail),
            _ => None,
        }
    }

    /// Takes in what the arguments say.
    pub(super) fn read(&mut self, arguments: &[String]) -> Result<(), Stop> {
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let Some(flag) = argument.strip_prefix('-').filter(|rest| !rest.is_empty()) else { break };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            if flag.is_empty() {
                break;
            }
            let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            if name.is_empty() || name.starts_with('-') {
                return Err(Stop::Wrong(format!("bad flag syntax: {argument}")));
            }
            if let Some(switch) = self.switch(name) {
                let word = value.unwrap_or("true");
                *switch = boolean(word)
                    .ok_or_else(|| Stop::Wrong(format!("invalid boolean value {word:?} for -{name}: parse error")))?;
            } else if let Some(text) = self.text(name) {
                let value = value.or_else(|| arguments.next().map(String::as_str));
                let missing = || Stop::Wrong(format!("flag needs an argument: -{name}"));
                value.ok_or_else(missing)?.clone_into(text);
            } else if name == "h" || name == "help" {
                return Err(Stop::Help);
            } else {
                return Err(Stop::Wrong(format!("flag provided but not defined: -{name}")));
            }
        }
        Ok(())
    }
}

/// What Go takes for true and false.
fn boolean(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What these words say.
    fn read(words: &[&str]) -> Result<Options, Stop> {
        let mut options = Options::default();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        options.read(&words).map(|()| options)
    }

    #[test]
    fn a_flag_has_one_dash_or_two_and_its_value_beside_it_or_behind_it() {
        for words in [&["-addr", "a:1"][..], &["-addr=a:1"], &["--addr", "a:1"], &["--addr=a:1"]] {
            assert_eq!(read(words).unwrap().addr, "a:1", "{words:?}");
        }
        assert_eq!(read(&["-ips", "-list"]).unwrap().ips, "-list", "the next word, whatever it is");
        assert_eq!(read(&["-token=a=b"]).unwrap().token, "a=b");
        assert_eq!(read(&["-show", "a", "-show", "b"]).unwrap().show, "b", "the last counts");
        assert!(!read(&["-list=F"]).unwrap().list);
        assert!(read(&["-list", "-user=u1"]).unwrap().list);
    }

    #[test]
    fn the_first_word_that_is_no_flag_ends_them() {
        for words in [&["x", "-list"][..], &["-", "-list"], &["--", "-list"], &["-show", "a", "b", "-list"]] {
            assert!(!read(words).unwrap().list, "{words:?}");
        }
    }

    #[test]
    fn mistakes_are_named_in_the_words_of_the_original() {
        for (words, expected) in [
            (&["-nope"][..], "flag provided but not defined: -nope"),
            (&["-addr"], "flag needs an argument: -addr"),
            (&["---addr"], "bad flag syntax: ---addr"),
            (&["-=x"], "bad flag syntax: -=x"),
            (&["-list=maybe"], "invalid boolean value \"maybe\" for -list: parse error"),
        ] {
            assert_eq!(read(words), Err(Stop::Wrong(expected.to_owned())));
        }
        assert_eq!(read(&["-list", "-h"]), Err(Stop::Help));
        assert_eq!(read(&["--help"]), Err(Stop::Help));
    }
}
