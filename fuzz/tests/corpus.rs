//! Replays the corpus: every input that was worth keeping does no harm.

#![expect(clippy::print_stderr, reason = "shows the input at which it fails")]

use std::fs;
use std::path::Path;

use ringdns_fuzz::TARGETS;

#[test]
fn every_input_of_the_corpus_does_no_harm() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut inputs = 0;
        for entry in fs::read_dir(&folder).expect("a corpus for every target") {
            let path = entry.expect("a readable folder").path();
            eprintln!("{}", path.display());
            target(&fs::read(&path).expect("a readable input"));
            inputs += 1;
        }
        assert!(inputs > 0, "{} is empty", folder.display());
    }
}
