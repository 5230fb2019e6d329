//! What a range filler is told by the readers of a filling.

use std::ops::Range;

use super::filling::Filling;

/// Hears of every read of a filling, so that whoever fills it by ranges knows what is wanted next. Called in the reader's
/// thread: must not block, and must not read the filling itself.
pub trait Demand: Send + Sync + std::fmt::Debug {
    /// `file` is read at `range` (within the file). `present` says whether these bytes were there already; if they were
    /// not, somebody waits for them now.
    fn read(&self, filling: &Filling, file: &str, range: Range<u64>, present: bool);

    /// Somebody has taken a file away, or cut it off: nothing of it is present any more.
    fn lost(&self) {}
}
