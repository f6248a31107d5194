//! Differences that are allowed, each with the clause that leaves the choice. The shorter this list, the better.

use harness::message::{Answer, Question};

use crate::reference::Program;

/// Why two answers may differ; none where they may not.
pub fn clause(
    program: Program,
    _question: &Question,
    ours: &Answer,
    theirs: &Answer,
    differences: &[&str],
) -> Option<&'static str> {
    let _ = (program, ours, theirs, differences);
    None
}
