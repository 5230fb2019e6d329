//! What is printed: one table, one report, one way to write a size, and progress bars that everything else makes way for.

pub(super) mod file;
pub(super) mod log;
pub(super) mod progress;
pub(super) mod report;
pub(super) mod stdout;
pub(super) mod table;
pub(super) mod units;
