//! Models that are to come whole: who has space reserved for all of it, and who waits for that.
//!
//! Models that fit together come at the same time, others one after the other. One that does not fit beside what cannot
//! leave is told so, with the size that would do. Of several that turn out not to fit (another process has taken space) the
//! latest waits for the others, so that one of them always goes on.

use std::fmt;

use parking_lot::Mutex;

use super::super::fill::waiting::{Wait, Waiters, Woken};

/// The answer to who wants space for a whole model.
#[derive(Debug)]
pub enum Turn {
    /// It is reserved, as long as the filling lives or until a write is refused.
    Reserved,
    /// Others come first: ask again then.
    Later(Wait),
}

/// Why there is no space for a whole model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The size of the model, in bytes.
    pub needs: u64,
    /// What it may take at most.
    pub has: u64,
    /// What would do.
    pub remedy: Remedy,
}

/// What makes enough space for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A limit of so many bytes.
    CacheSize(u64),
    /// So many more free bytes of the disk.
    Disk(u64),
    /// So many bytes of memory.
    Memory(u64),
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remedy::CacheSize(bytes) => write!(f, "use --cache-size {}", Mebibytes(*bytes)),
            Remedy::Memory(bytes) => write!(f, "use --memory {}", Mebibytes(*bytes)),
            Remedy::Disk(bytes) => write!(
                f,
                "free {} on the disk, or lower --min-free by as much",
                Mebibytes(*bytes)
            ),
        }
    }
}

/// A size as people type it, rounded up.
pub(in crate::cache) struct Mebibytes(pub(in crate::cache) u64);

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}MiB", self.0.div_ceil(1 << 20))
    }
}

/// The models of one room that are to come whole, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Turns {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    latest: u64,
    rows: Vec<Row>,
    waiters: Waiters<()>,
}

#[derive(Debug)]
struct Row {
    id: u64,
    bytes: u64,
    reserved: bool,
    /// It has made way, and waits until another has ended.
    yielded: bool,
}

impl Table {
    fn reserved(&self) -> u64 {
        let rows = self.rows.iter().filter(|row| row.reserved);
        rows.fold(0, |sum, row| sum.saturating_add(row.bytes))
    }

    fn row(&mut self, id: u64) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.id == id)
    }
}

impl Turns {
    /// Joins the queue with a model of so many bytes.
    pub(super) fn join(&self, bytes: u64) -> u64 {
        let mut table = self.table.lock();
        table.latest += 1;
        let id = table.latest;
        table.rows.push(Row {
            id,
            bytes,
            reserved: false,
            yielded: false,
        });
        id
    }

    /// Whether all of it has space reserved.
    pub(super) fn is_reserved(&self, id: u64) -> bool {
        let mut table = self.table.lock();
        table.row(id).is_some_and(|row| row.reserved)
    }

    /// Reserves space for a model, if it and all that have some fit by `check`, which is given the bytes of all of them.
    /// `None`: it does not fit, and no other is in its way.
    pub(super) fn reserve(&self, id: u64, check: impl FnOnce(u64) -> bool) -> Option<Turn> {
        let (together, alone) = {
            let mut table = self.table.lock();
            let others = table.reserved();
            let own = table.row(id)?;
            if own.reserved {
                return Some(Turn::Reserved);
            }
            let together = others.saturating_add(own.bytes);
            if own.yielded && others > 0 {
                return Some(Turn::Later(table.waiters.add(())));
            }
            (together, others == 0)
        };
        let fits = check(together); // looks at the disk
        let mut table = self.table.lock();
        let others = table.reserved();
        let own = table.row(id)?;
        let bytes = own.bytes;
        if fits && others.saturating_add(bytes) <= together {
            own.reserved = true;
            return Some(Turn::Reserved);
        }
        match alone && others == 0 {
            true => None,
            // Whoever was in its way may have ended meanwhile.
            false if others == 0 => Some(Turn::Later(Wait::over())),
            false => Some(Turn::Later(table.waiters.add(()))),
        }
    }

    /// A write of a model with space reserved was refused: the latest of them has none any more. `false`: it is the only
    /// one.
    pub(super) fn yield_latest(&self) -> bool {
        let mut table = self.table.lock();
        let mut reserved = table.rows.iter_mut().filter(|row| row.reserved);
        let first = reserved.next();
        let latest = reserved.next_back();
        match (first, latest) {
            (Some(_), Some(latest)) => {
                latest.reserved = false;
                latest.yielded = true;
                true
            }
            _ => false,
        }
    }

    /// Leaves the queue: those who wait ask again.
    pub(super) fn leave(&self, id: u64) {
        let mut woken = Woken::default();
        {
            let mut table = self.table.lock();
            table.rows.retain(|row| row.id != id);
            table.rows.iter_mut().for_each(|row| row.yielded = false);
            table.waiters.take_all(&mut woken);
        }
        woken.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_comes_together_and_the_rest_in_its_turn() {
        let turns = Turns::default();
        let fits = |bytes| move |together| together <= bytes;
        let [a, b, c] = [200, 200, 50].map(|bytes| turns.join(bytes));
        assert!(matches!(turns.reserve(a, fits(300)), Some(Turn::Reserved)));
        let later = turns.reserve(b, fits(300));
        assert!(matches!(later, Some(Turn::Later(_))));
        assert!(matches!(turns.reserve(c, fits(300)), Some(Turn::Reserved)));
        turns.leave(a);
        assert!(matches!(turns.reserve(b, fits(300)), Some(Turn::Reserved)));
        // There is less space than was thought.
        assert!(turns.yield_latest());
        assert!(turns.is_reserved(b) && !turns.is_reserved(c));
        let later = turns.reserve(c, fits(300));
        assert!(matches!(later, Some(Turn::Later(_))), "it has made way");
        assert!(!turns.yield_latest(), "it is the only one");
        turns.leave(b);
        assert!(turns.reserve(c, fits(49)).is_none(), "it can never fit");
    }

    #[test]
    fn a_remedy_is_rounded_up() {
        let size = Remedy::CacheSize((300 << 20) + 1);
        assert_eq!(size.to_string(), "use --cache-size 301MiB");
    }
}
