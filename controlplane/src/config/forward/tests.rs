//! Tables that are right and wrong.
