//! The record client of ContainerDNS: its flags, variables, words and lines, so that scripts go on unchanged.
//!
//! It prints what the original prints, byte for byte. Where the original crashed it says what is wrong; what it could not do
//! (name a user, tell a script that something failed) has flags of its own, which change nothing for who does not use them.

mod flags;
mod show;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use flags::{Options, Stop};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::http::{self, Trust};
use crate::terminal::{Terminal, with_process};

/// Time for the connection that shows whether somebody listens. The original waits as long as the system does.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What cannot stand in a URL's path. A percent sign is kept: names came encoded from scripts that knew.
const IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`');

/// What cannot stand in a URL's query. `&` and `=` are kept: `-token 'TOKEN&user=u1'` was the way to name a user.
const IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'+');

/// Which of the originals is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `containerdns-apicmd`
    ContainerDns,
    /// `skydns-apicmd`, of the first generation.
    SkyDns,
    /// `ringdns apicmd`, which no old script calls.
    Own,
}

impl Program {
    /// The program that this process was called as; nothing where it is none of the originals.
    pub fn called_as(argument: &OsStr) -> Option<Self> {
        match Path::new(argument).file_name()?.to_str()? {
            "containerdns-apicmd" => Some(Self::ContainerDns),
            "skydns-apicmd" => Some(Self::SkyDns),
            _ => None,
        }
    }

    /// Its name.
    fn name(self) -> &'static str {
        match self {
            Self::ContainerDns => "containerdns-apicmd",
            Self::SkyDns => "skydns-apicmd",
            Self::Own => "ringdns apicmd",
        }
    }

    /// What the paths of the interface begin with.
    fn base(self) -> &'static str {
        if self == Self::SkyDns { "/skydns/api/" } else { "/containerdns/api/" }
    }

    /// A value from the environment: under the program's own variables first, then under those of the other generation.
    fn variable(self, name: &str, environment: &dyn Fn(&str) -> Option<String>) -> String {
        let mut prefixes = ["CONDNS", "SKYDNS"];
        if self == Self::SkyDns {
            prefixes.reverse();
        }
        let mut values = prefixes.iter().filter_map(|prefix| environment(&format!("{prefix}_API_{name}")));
        values.find(|value| !value.is_empty()).unwrap_or_default()
    }
}

/// Runs on this process's arguments and streams; gives the exit code.
pub fn main(program: Program, arguments: &[String]) -> u8 {
    with_process(|terminal| run(program, arguments, &|name| std::env::var(name).ok(), terminal))
}

/// Does what the arguments say; gives the exit code.
pub fn run(
    program: Program,
    arguments: &[String],
    environment: &dyn Fn(&str) -> Option<String>,
    terminal: &mut Terminal<'_>,
) -> u8 {
    let mut options = Options {
        addr: program.variable("ADDR", environment),
        token: program.variable("TOKEN", environment),
        user: program.variable("USER", environment),
        // Nobody calls it by this name who expects the original's exit codes.
        fail: program == Program::Own,
        ..Options::default()
    };
    match options.read(arguments) {
        Err(Stop::Help) => {
            let _ = terminal.print(&help(program));
            return 0;
        }
        Err(Stop::Wrong(fault)) => {
            terminal.note(&format!("{fault}\n{}", help(program)));
            return 2;
        }
        Ok(()) => {}
    }
    let fail = options.fail;
    let mut command = Command { program, options, terminal };
    match command.run() {
        Outcome::Done => 0,
        Outcome::Crashed => 1,
        Outcome::Failed => u8::from(fail),
    }
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// As asked.
    Done,
    /// Not as asked, in a way that the original prints and passes over.
    Failed,
    /// The connection broke after it was made, where the original crashes: no script takes that for success.
    Crashed,
}

/// One call.
struct Command<'a, 'b> {
    /// As what.
    program: Program,
    /// What is asked.
    options: Options,
    /// Where output goes.
    terminal: &'a mut Terminal<'b>,
}

impl Command<'_, '_> {
    /// Does it. The order of the checks is that of the original.
    fn run(&mut self) -> Outcome {
        if self.options.token.is_empty() {
            return self.fail("token must be input\n");
        }
        if self.options.addr.is_empty() {
            return self.fail("url must be input \n");
        }
        if !somebody_listens(&self.options.addr) {
            return self.fail(&format!(" the addr : {} can not access \n", self.options.addr));
        }
        if self.options.list {
            // A domain narrows the list, as it did by chance.
            let domain = self.options.domain.clone();
            return self.show(&domain, |error| format!("err :{error}\n"));
        }
        if !self.options.show.is_empty() {
            let domain = self.options.show.clone();
            return self.show(&domain, |_| format!("domain :{domain} not found \n"));
        }
        match self.options.method.to_lowercase().as_str() {
            "create" => self.create(),
            "delete" => self.change("DELETE", None),
            "update" => self.update(),
            _ => self.fail("method must be  create delete or update \n"),
        }
    }

    /// Prints that it failed.
    fn fail(&mut self, text: &str) -> Outcome {
        let _ = self.terminal.print(text);
        Outcome::Failed
    }

    /// Prints the records of a reply.
    fn show(&mut self, domain: &str, lost: impl Fn(&str) -> String) -> Outcome {
        let reply = match self.ask("GET", domain, None) {
            Ok(reply) => reply,
            Err(error) => {
                let _ = self.terminal.print(&lost(&error));
                return Outcome::Crashed;
            }
        };
        if let Some(lines) = show::lines(&reply) {
            let _ = self.terminal.print(&lines);
            return Outcome::Done;
        }
        // The original keeps to itself what the server said.
        self.terminal.note(&format!("{}: the server said: {}", self.program.name(), reply.trim_end()));
        self.fail(&format!("domain :{} not found\n", self.options.show))
    }

    /// `-method create`
    fn create(&mut self) -> Outcome {
        if self.options.domain.is_empty() {
            return self.fail("domain must be input\n");
        }
        let Options { ips, alias, .. } = &self.options;
        if ips.is_empty() == alias.is_empty() {
            return self.fail("either ips or alias must be offered\n");
        }
        let body = if alias.is_empty() {
            json!({ "type": "A", "ips": ips.split(';').collect::<Vec<_>>() })
        } else {
            json!({ "type": "CNAME", "alias": alias })
        };
        self.change("POST", Some(&body))
    }

    /// `-method update`
    fn update(&mut self) -> Outcome {
        const ADDRESSES: &str = "ips:10.0.0.0->192.168.0.1;10.0.0.1->192.168.0.2 ";
        const ALIAS: &str = "alias: baidu->baidu1 ";
        if self.options.domain.is_empty() {
            return self.fail("domain must be input\n");
        }
        let updates = self.options.updates.clone();
        if updates.is_empty() {
            return self.fail("updates must be offered\n");
        }
        let (rtype, pairs, form) = if let Some(pairs) = updates.strip_prefix("ips:") {
            ("A", pairs.split(';').map(pair).collect(), ADDRESSES.to_owned())
        } else if let Some(alias) = updates.strip_prefix("alias:") {
            ("CNAME", pair(alias).map(|pair| BTreeMap::from([pair])), ALIAS.to_owned())
        } else {
            ("", None, format!("{ADDRESSES}   or    {ALIAS} "))
        };
        let Some(pairs): Option<BTreeMap<&str, &str>> = pairs else {
            return self.fail(&format!("updates data err,input like {form}\n"));
        };
        self.change("PUT", Some(&json!({ "type": rtype, "update": pairs })))
    }

    /// A request that changes something; prints what the server says, as it is.
    fn change(&mut self, method: &str, body: Option<&Value>) -> Outcome {
        if self.options.domain.is_empty() {
            return self.fail("domain must be input\n");
        }
        let domain = self.options.domain.clone();
        match self.ask(method, &domain, body) {
            Ok(reply) => {
                let _ = self.terminal.print(&reply);
                if reply.trim_end() == "OK" { Outcome::Done } else { Outcome::Failed }
            }
            Err(error) => {
                let _ = self.terminal.print(&format!("err :{error}\n"));
                Outcome::Crashed
            }
        }
    }

    /// A request; gives the text of its reply, whatever its status.
    fn ask(&self, method: &str, domain: &str, body: Option<&Value>) -> Result<String, String> {
        let Options { addr, token, user, .. } = &self.options;
        let (domain, token) = (utf8_percent_encode(domain, IN_PATH), utf8_percent_encode(token, IN_QUERY));
        let mut url = format!("http://{}{}{domain}?token={token}", with_host(addr), self.program.base());
        if !user.is_empty() {
            url += &format!("&user={}", utf8_percent_encode(user, NON_ALPHANUMERIC));
        }
        let agent = http::agent(Trust::NoTls)?;
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("content-type", "application/json;charset=UTF-8");
        let wrong = |error: ureq::http::Error| error.to_string();
        let reply = match body {
            Some(body) => agent.run(request.body(body.to_string()).map_err(wrong)?),
            None => agent.run(request.body(()).map_err(wrong)?),
        };
        let mut reply = reply.map_err(|error| http::explain(&error))?;
        reply.body_mut().read_to_string().map_err(|error| http::explain(&error))
    }
}

/// Two words around an arrow.
fn pair(text: &str) -> Option<(&str, &str)> {
    text.split_once("->").filter(|(_, new)| !new.contains("->"))
}

/// An address with a host, which may be left out as in Go: this one.
fn with_host(addr: &str) -> String {
    if addr.starts_with(':') { format!("127.0.0.1{addr}") } else { addr.to_owned() }
}

/// True where a connection is taken.
fn somebody_listens(addr: &str) -> bool {
    let Ok(mut addresses) = with_host(addr).to_socket_addrs() else { return false };
    addresses.any(|address| TcpStream::connect_timeout(&address, PROBE_TIMEOUT).is_ok())
}

/// The help of a program.
fn help(program: Program) -> String {
    let own = if program == Program::SkyDns { "SKYDNS" } else { "CONDNS" };
    let other = if program == Program::SkyDns { "CONDNS" } else { "SKYDNS" };
    format!(include_str!("help.txt"), name = program.name(), own = own, other = other)
}
