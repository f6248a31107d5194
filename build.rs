//! Stamps the binary with the commit that it is built from.

use std::path::Path;
use std::process::Command;

fn main() {
    // A source archive has no repository; then the version alone must do.
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    // Without writing the index anew, which would have the next build begin from here again.
    let status = ["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"];
    let is_changed = git(&status).is_some();
    println!("cargo::rustc-env=RINGDNS_COMMIT={commit}{}", if is_changed { "-changed" } else { "" });
    for file in ["HEAD", "logs/HEAD", "index"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file])
            && Path::new(&path).exists()
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
}

/// What git prints; nothing where it fails or prints nothing.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
