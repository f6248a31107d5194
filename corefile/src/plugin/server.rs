//! What the server tells of itself, and how it answers: `nsid`, `chaos`, `bufsize`, `loadbalance`, `root`.

use crate::document::Value;
use crate::fault::Why;
use crate::lexer::Word;
use crate::out::{Out, Scope};
use crate::parse::Line;

/// The table.
const TABLE: &str = "[dns]";

/// Size of answers that `bufsize` alone means.
const ANSWER_BYTES: i64 = 1232;

/// `nsid`
pub(super) fn nsid(line: &Line, _: &Scope<'_>, out: &mut Out<'_>) {
    let words: Vec<&str> = line.args.iter().map(|word| word.text.as_str()).collect();
    let text = if words.is_empty() { host_name(out) } else { words.join(" ") };
    // What begins so would be taken for hexadecimal digits.
    let text = match text.strip_prefix("0x") {
        Some(_) => text.bytes().fold("0x".to_owned(), |hex, byte| format!("{hex}{byte:02x}")),
        None => text,
    };
    out.set(TABLE, "nsid", Value::text(text), &line.name);
}

/// The machine's name.
fn host_name(out: &Out<'_>) -> String {
    out.world.host_name().unwrap_or_else(|| "localhost".to_owned())
}

/// `chaos`
pub(super) fn chaos(line: &Line, _: &Scope<'_>, out: &mut Out<'_>) {
    let version = line.args.first().map_or("RingDNS", |word| word.text.as_str());
    out.set(TABLE, "version", Value::text(version), &line.name);
    let identity = host_name(out);
    out.set(TABLE, "identity", Value::text(identity), &line.name);
    if line.args.len() > 1 {
        out.note(
            &line.name,
            Why::Differs,
            "authors.bind is refused: version.bind, hostname.bind and id.server are answered",
        );
    }
}

/// `bufsize`
pub(super) fn bufsize(line: &Line, _: &Scope<'_>, out: &mut Out<'_>) {
    let bytes = if line.args.is_empty() { Some(ANSWER_BYTES) } else { out.number(line, 512..=4096) };
    if let Some(bytes) = bytes {
        out.set(TABLE, "udp_answer_bytes_max", Value::Number(bytes), &line.name);
    }
}

/// `loadbalance`
pub(super) fn loadbalance(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    match line.args.first().map(|word| word.text.as_str()) {
        None | Some("round_robin") => {
            // What etcd has is turned round, which the plugin etcd sees to.
            let has_files = ["file", "auto"].iter().any(|plugin| scope.has(plugin));
            if has_files {
                let words =
                    "records of a zone file keep their order unless a comment \";@ select=rotate\" stands above them";
                out.note(&line.name, Why::Differs, words);
            }
        }
        Some(policy) => {
            let (word, policy): (&Word, String) = (&line.args[0], policy.to_owned());
            let remedy = "write the weights into a zone file (;@ select=weighted) or the store, and round_robin here";
            out.unsupported(word, format!("the policy {policy}"), remedy);
        }
    }
}

/// `root` is looked at with the block.
pub(super) fn root(line: &Line, _: &Scope<'_>, out: &mut Out<'_>) {
    out.only(line);
}
