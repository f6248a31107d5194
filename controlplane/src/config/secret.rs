//! Secrets in files of their own.

use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::problem::Problems;

/// Reads a file that only its owner and group may read. `maker` is the command that makes such a secret.
pub(super) fn read(
    path: &Path,
    span: Range<usize>,
    key: &str,
    maker: &str,
    problems: &mut Problems<'_>,
) -> Option<String> {
    let shown = path.display();
    match std::fs::metadata(path).and_then(|found| Ok((found, std::fs::read_to_string(path)?))) {
        Err(error) => {
            let remedy = format!("create it with: (umask 077; {maker} > {shown})");
            problems.add(Some(span), key, format!("{shown} cannot be read: {error}"), remedy);
            None
        }
        Ok((found, _)) if found.permissions().mode() & 0o007 != 0 => {
            let message = format!("every user of this machine can read or change {shown}");
            problems.add(Some(span), key, message, format!("run: chmod 0600 {shown}, and put a new secret in it"));
            None
        }
        Ok((_, text)) => Some(text),
    }
}
