//! Called as `coredns`: its flags, so that a container's command line stays as it is.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ringdns_controlplane::config::ConfigSource;

/// The Corefile where none is named.
const COREFILE: &str = "Corefile";

/// What CoreDNS is told to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Serve.
    Serve {
        /// What.
        source: ConfigSource,
        /// Where the process's id is to be written.
        pid_file: Option<PathBuf>,
    },
    /// Tell the version.
    Version,
}

/// True where this process was called by CoreDNS's name.
pub fn is_name(argument: &OsStr) -> bool {
    Path::new(argument).file_name() == Some(OsStr::new("coredns"))
}

/// Reads flags as Go's programs take them: one dash or two, the value behind `=` or a blank.
pub fn read(flags: &[String]) -> Result<Action, String> {
    let mut source = ConfigSource { corefile: Some(PathBuf::from(COREFILE)), ..ConfigSource::default() };
    let mut pid_file = None;
    let mut words = flags.iter();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            return Err(format!("\"{word}\" is no flag of coredns; {KNOWN}"));
        };
        let (name, given) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value.to_owned())));
        let mut value = || {
            let value = given.clone().or_else(|| words.next().cloned());
            value.ok_or_else(|| format!("-{name} has no value; give it one"))
        };
        match name {
            "conf" => source.corefile = Some(value()?.into()),
            "dns.port" | "p" => {
                let port = value()?;
                let number = port.parse().ok().filter(|&number: &u16| number != 0);
                source.port =
                    Some(number.ok_or_else(|| format!("-{name} {port} is no port; give one from 1 to 65535"))?);
            }
            "pidfile" => pid_file = Some(value()?.into()),
            // What it would keep quiet is not said here.
            "quiet" => {}
            "version" => return Ok(Action::Version),
            _ => return Err(format!("coredns has no flag -{name} that is known; {KNOWN}")),
        }
    }
    Ok(Action::Serve { source, pid_file })
}

/// The flags that are known.
const KNOWN: &str = "the flags are -conf, -dns.port, -p, -pidfile, -quiet and -version";

#[cfg(test)]
mod tests {
    use super::*;

    /// What flags come to.
    fn of(flags: &[&str]) -> Result<Action, String> {
        read(&flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_flags_of_containers_are_read() {
        let source = ConfigSource { corefile: Some("/etc/coredns/Corefile".into()), ..ConfigSource::default() };
        let serve = |source: &ConfigSource| Ok(Action::Serve { source: source.clone(), pid_file: None });
        assert_eq!(of(&["-conf", "/etc/coredns/Corefile"]), serve(&source));
        assert_eq!(of(&["--conf=/etc/coredns/Corefile", "-quiet"]), serve(&source));
        let other = ConfigSource { corefile: Some("Corefile".into()), port: Some(1053), ..ConfigSource::default() };
        assert_eq!(of(&["-dns.port=1053"]), serve(&other));
        assert_eq!(
            of(&["-p", "1053", "-pidfile", "/run/x"]),
            Ok(Action::Serve { source: other, pid_file: Some("/run/x".into()) })
        );
        assert_eq!(of(&["-version"]), Ok(Action::Version));
        for flags in [&["-conf"][..], &["-p", "0"], &["-p", "x"], &["conf"], &["-plugins"]] {
            assert!(of(flags).is_err(), "{flags:?}");
        }
        assert!(is_name(OsStr::new("/usr/bin/coredns")) && !is_name(OsStr::new("ringdns")));
    }
}
