//! Files that are read: the cache's own, and lists of names that come from elsewhere.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use ringdns_controlplane::config::Config;
use ringdns_engine::cache::EntryBits;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::ForeignQuestion;
use ringdns_forward::normalise::expand;
use ringdns_forward::policy::{Policies, Policy as _, Ruling};
use ringdns_forward::testing::load_cache;

/// The time at which files are read.
const NOW_SECONDS: u32 = 1_700_000_000;

/// How a cache's file begins.
const MAGIC: &[u8] = b"ringdns cache 1\n";

/// A file without a name, whose content is what is at hand.
struct Scratch(Mutex<File>);

impl Scratch {
    /// An empty one.
    fn new() -> Self {
        Self(Mutex::new(tempfile::tempfile().unwrap()))
    }

    /// By which path it can be opened.
    fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.lock().unwrap().as_raw_fd()).into()
    }

    /// Gives it another content.
    fn fill(&self, parts: &[&[u8]]) {
        let mut file = self.0.lock().unwrap();
        file.set_len(0).unwrap();
        file.rewind().unwrap();
        parts.iter().for_each(|part| file.write_all(part).unwrap());
    }
}

/// Any bytes as a cache's file; where the first byte is odd they are its entries, and what stands before and behind them is right.
/// What is read can be shown.
pub fn cachefile(input: &[u8]) {
    static FILE: LazyLock<Scratch> = LazyLock::new(Scratch::new);
    let Some((mode, rest)) = input.split_first() else { return };
    if mode & 1 == 0 {
        FILE.fill(&[rest]);
    } else {
        let entries = [MAGIC, rest, &[0]].concat();
        let sum = entries
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        FILE.fill(&[&entries, &sum.to_be_bytes()]);
    }
    for entry in load_cache(&FILE.path(), NOW_SECONDS) {
        assert_eq!(entry.name, entry.name.to_lowercase());
        let lives = entry.seconds_left(NOW_SECONDS) + i64::from(entry.answer.stale_seconds);
        assert!(lives > 0, "its time is over: {entry:?}");
        // What others have written need not be a message; it must do no harm where it is shown.
        let _ = entry.records();
    }
}

/// Any bytes as a list of names in each of the forms that there are. Answers that are made of them are sound.
pub fn lists(input: &[u8]) {
    static FILE: LazyLock<Scratch> = LazyLock::new(Scratch::new);
    static CONFIGS: LazyLock<Vec<Config>> = LazyLock::new(|| {
        let path = FILE.path().display().to_string();
        let block = |format: &str, answer: &str| {
            format!("block_files = [{{ path = \"{path}\", format = \"{format}\"{answer} }}]\nlocal_names = false")
        };
        let policies = [
            format!("hosts_files = [\"{path}\"]"),
            block("hosts", ", answer = \"nodata\""),
            block("domains", ", answer = [\"192.0.2.1\", \"2001:db8::1\"]"),
            block("rpz", ""),
        ];
        policies.iter().map(|policy| config(policy)).collect()
    });
    // Other files are no input of this target.
    if input.to_ascii_uppercase().windows(8).any(|word| word == b"$INCLUDE") {
        return;
    }
    FILE.fill(&[input]);
    for config in CONFIGS.iter() {
        match Policies::load(config) {
            Ok(policies) => {
                ["a.example.", "example.", "1.2.0.192.in-addr.arpa.", "."].map(|name| check(&policies, name))
            }
            Err(error) => {
                assert!(!error.to_string().is_empty(), "it says what is wrong");
                continue;
            }
        };
    }
}

/// A configuration with a policy.
fn config(policy: &str) -> Config {
    let text = format!(
        "[sockets]\nlisten = [\"127.0.0.1:1\"]\n[store]\npath = \"/nowhere/store\"\n[forward]\nupstreams = [\"192.0.2.1\"]\n\
         [policy]\n{policy}\n"
    );
    Config::parse("/nowhere/ringdns.toml".as_ref(), &text).unwrap()
}

/// Checks what becomes of questions for a name.
fn check(policies: &Policies, name: &str) {
    let name: WireName = name.parse().unwrap();
    for qtype in [1, 28, 12, 6, 255] {
        let client = [192, 0, 2, 1].into();
        let question =
            ForeignQuestion { name: name.clone(), qtype, bits: EntryBits::default(), client, is_stream: false };
        let Ruling::Answer(answer) = policies.rule(&question) else { continue };
        if answer.body.len() <= 64_000 {
            let message = expand(&name, qtype, &answer).unwrap();
            assert_eq!([message.answers.len(), message.authorities.len()], answer.counts.map(usize::from));
        }
    }
}
