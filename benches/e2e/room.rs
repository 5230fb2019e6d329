//! Where a run of the bench lives: one temporary directory, and the archives that several bars share.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::material::{self, Model, Weights};
use crate::{Result, clean};

/// One run of the bench.
pub(crate) struct Room {
    /// Small sizes and few rounds: to see that everything works, not to be quoted.
    pub quick: bool,
    temp: TempDir,
    big: OnceCell<Model>,
}

impl Room {
    pub(crate) fn new(quick: bool) -> Result<Room> {
        let temp = tempfile::Builder::new()
            .prefix("tfhub-fs-bars-")
            .tempdir()?;
        clean::remember_dir(temp.path());
        std::fs::create_dir(temp.path().join("hub"))?;
        Ok(Room {
            quick,
            temp,
            big: OnceCell::new(),
        })
    }

    /// The directory of models that the hubs of all bars offer.
    pub(crate) fn hub(&self) -> PathBuf {
        self.temp.path().join("hub")
    }

    /// An empty directory of one measurement, removed with its owner.
    pub(crate) fn fresh(&self) -> Result<TempDir> {
        Ok(TempDir::new_in(self.temp.path())?)
    }

    /// An empty directory in memory, where the host has one with room for `bytes`.
    pub(crate) fn in_memory(&self, bytes: u64) -> Result<Option<TempDir>> {
        let shm = Path::new("/dev/shm");
        match rustix::fs::statvfs(shm) {
            Ok(disk) if disk.f_bavail * disk.f_frsize >= bytes => {
                let temp = tempfile::Builder::new()
                    .prefix("tfhub-fs-bars-")
                    .tempdir_in(shm)?;
                clean::remember_dir(temp.path());
                Ok(Some(temp))
            }
            _ => Ok(None),
        }
    }

    /// The temporary directory of the whole run.
    pub(crate) fn path(&self) -> &Path {
        self.temp.path()
    }

    /// The archive of 1 GiB, packed when first asked for.
    pub(crate) fn big(&self) -> Result<&Model> {
        if self.big.get().is_none() {
            let mib = self.scaled(1024);
            eprintln!("bars: packing an archive of {mib} MiB");
            let model = material::pack(&self.hub(), "big", Weights::Random, mib)?;
            let _ = self.big.set(model);
        }
        self.big.get().ok_or_else(|| "just set".into())
    }

    /// A size, an eighth of it in a quick run.
    pub(crate) fn scaled(&self, mib: u64) -> u64 {
        if self.quick { mib / 8 } else { mib }
    }

    /// A number of rounds, a few in a quick run.
    pub(crate) fn rounds(&self, rounds: usize) -> usize {
        if self.quick { rounds.min(3) } else { rounds }
    }
}
