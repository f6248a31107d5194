//! `dig` as a client, its output taken apart.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use crate::process::finish;

/// Longest that one `dig` may take, its own retries included.
const TIME_MAX: Duration = Duration::from_secs(20);

/// An answer as dig shows it.
#[derive(Debug, Default)]
pub struct Answer {
    /// Response code by name.
    pub rcode: String,
    /// Flags as written (`qr aa rd`).
    pub flags: String,
    /// Answer section, fields separated by single blanks.
    pub answer: Vec<String>,
    /// Authority section.
    pub authority: Vec<String>,
    /// Additional section, without OPT.
    pub additional: Vec<String>,
}

/// Asks for a type at an address; panics when there is no answer.
pub fn dig(server: IpAddr, owner: &str, rtype: &str) -> Answer {
    dig_with(server, owner, rtype, &[])
}

/// [`dig`] with more options.
pub fn dig_with(server: IpAddr, owner: &str, rtype: &str, options: &[&str]) -> Answer {
    let server = format!("@{server}");
    let mut command = Command::new("dig");
    // No cookie: it is an option of its own that a test may add. No IDN: names are as written.
    command.args([&server, owner, rtype, "+nocookie", "+noidnout", "+time=2", "+tries=3"]).args(options);
    let finished = finish(&mut command, TIME_MAX);
    parse(&finished.stdout).unwrap_or_else(|| panic!("no answer to {command:?}:\n{}", finished.stdout))
}

/// Takes dig's output apart.
fn parse(text: &str) -> Option<Answer> {
    let mut answer = Answer::default();
    let mut section = "";
    for line in text.lines() {
        if let Some(header) = line.strip_prefix(";; ->>HEADER<<- ") {
            answer.rcode = header.split("status: ").nth(1)?.split(',').next()?.to_owned();
        } else if let Some(flags) = line.strip_prefix(";; flags: ") {
            answer.flags = flags.split(';').next()?.to_owned();
        } else if let Some(title) = line.strip_prefix(";; ") {
            section = title;
        } else if !line.is_empty() && !line.starts_with(';') {
            let record = line.split_whitespace().collect::<Vec<_>>().join(" ");
            match section {
                "ANSWER SECTION:" => answer.answer.push(record),
                "AUTHORITY SECTION:" => answer.authority.push(record),
                "ADDITIONAL SECTION:" => answer.additional.push(record),
                _ => {}
            }
        }
    }
    (!answer.rcode.is_empty()).then_some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_told_apart() {
        let text = ";; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 1\n;; flags: qr aa; QUERY: 1\n\n;; QUESTION SECTION:\n;a.\t\tIN\tA\n\n;; AUTHORITY SECTION:\na.\t\t300\tIN\tSOA\tb. c.\n\n;; Query time: 0\n";
        let answer = parse(text).expect("an answer");
        assert_eq!((answer.rcode.as_str(), answer.flags.as_str()), ("NXDOMAIN", "qr aa"));
        assert_eq!((answer.answer.len(), answer.authority), (0, vec!["a. 300 IN SOA b. c.".to_owned()]));
    }
}
