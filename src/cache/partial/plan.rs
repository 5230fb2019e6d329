//! What the parts of a model consist of, and what of them can be used again.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::hubdir::is_uid;
use crate::os;

use super::super::dirs::base::Base;
use super::super::dirs::plain;
use super::super::error::{Error, if_there};
use super::super::layout::{create_new, new_uid};
use super::super::presence::Presence;
use super::super::spec::{FileSpec, Planned};
use super::bitmap;

pub(super) const NAME: &str = "plan.json";
/// A hundred thousand files of long names.
const MAX_PLAN: u64 = 64 << 20;
/// Enough for 32 TiB.
const MAX_MAP: u64 = 64 << 20;

/// What tells a file from one that somebody put in its place.
pub(super) type Inode = (u64, u64);

pub(super) fn inode(file: &File) -> io::Result<Inode> {
    let meta = file.metadata()?;
    Ok((meta.dev(), meta.ino()))
}

/// What is there of a file.
#[derive(Debug)]
pub(in crate::cache) struct Kept {
    pub(in crate::cache) presence: Presence,
    pub(in crate::cache) inode: Inode,
}

/// The plan of one model's parts.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cache) struct Plan {
    id: String,
    /// Names the maps that belong to it.
    uid: String,
    boot: String,
    files: Vec<Planned>,
}

/// A plan, old or new.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) plan: Plan,
    pub(super) kept: Vec<Option<Kept>>,
    /// Whether everything on disk is as it should be.
    pub(super) unchanged: bool,
}

impl Plan {
    pub(super) fn map_name(&self) -> String {
        format!("map.{}", self.uid)
    }

    pub(super) fn synced_name(&self) -> String {
        format!("synced.{}", self.uid)
    }

    /// Where the bits of each file begin in the map, and at last the map's length.
    pub(in crate::cache) fn offsets(&self) -> Vec<u64> {
        let ends = self.files.iter().scan(0u64, |end, file| {
            *end = end.saturating_add(bitmap::len(file.size));
            Some(*end)
        });
        std::iter::once(0).chain(ends).collect()
    }

    /// The map, in which `kept` is present.
    fn map(&self, kept: &[Option<Kept>]) -> Vec<u8> {
        let bits = |(file, kept): (&Planned, &Option<Kept>)| match kept {
            Some(kept) => bitmap::pack(&kept.presence, file.size, 0..bitmap::len(file.size)),
            None => vec![0; usize::try_from(bitmap::len(file.size)).unwrap_or(0)],
        };
        self.files.iter().zip(kept).flat_map(bits).collect()
    }

    /// Makes the map, and then the plan that names it.
    pub(super) fn write(&self, top: &Base, kept: &[Option<Kept>]) -> io::Result<()> {
        create_new(&top.path(&self.map_name()))?.write_all(&self.map(kept))?;
        let temp = top.path("plan.tmp");
        if_there(fs::remove_file(&temp))?;
        let text = serde_json::to_vec(self)?;
        create_new(&temp)?.write_all(&text)?;
        fs::rename(&temp, top.path(NAME))
    }

    /// The same, with nothing present.
    pub(super) fn write_new(&self, top: &Base) -> io::Result<()> {
        let nothing: Vec<_> = self.files.iter().map(|_| None).collect();
        self.write(top, &nothing)
    }

    fn read(top: &Base) -> Option<Plan> {
        let text = plain::read_up_to(&top.path(NAME), MAX_PLAN).ok()?;
        let plan: Plan = serde_json::from_slice(&text).ok()?;
        // It names files.
        is_uid(&plan.uid).then_some(plan)
    }
}

/// Whose parts are in `dir`, as far as one can tell.
pub(in crate::cache) fn id_in(dir: &Path) -> Option<String> {
    Some(Plan::read(&Base::look(dir).ok()?)?.id)
}

/// Reads the old plan of `id` and looks at what is there of `files`.
///
/// # Errors
///
/// The files are too large for any disk; the kernel's random numbers cannot be read.
pub(super) fn load(
    top: &Base,
    data: &Base,
    id: &str,
    boot: &str,
    files: &[FileSpec],
) -> Result<Loaded, Error> {
    let files: Vec<Planned> = files.iter().map(Planned::of).collect();
    let size: u64 = files
        .iter()
        .fold(0, |sum, file| sum.saturating_add(file.size));
    let mut plan = Plan {
        id: id.to_owned(),
        uid: String::new(),
        boot: boot.to_owned(),
        files,
    };
    if plan.offsets().last().is_none_or(|len| *len > MAX_MAP) {
        return Err(Error::TooLarge {
            id: id.to_owned(),
            size,
        });
    }
    let old = Plan::read(top).filter(|old| old.id == id);
    let same_boot = !boot.is_empty() && old.as_ref().is_some_and(|old| old.boot == boot);
    let map = old.as_ref().and_then(|old| {
        let name = if same_boot {
            old.map_name()
        } else {
            old.synced_name()
        };
        let map = plain::read_up_to(&top.path(&name), MAX_MAP).ok()?;
        let wanted = old.offsets().last().copied();
        (wanted == u64::try_from(map.len()).ok()).then_some(map)
    });
    let kept = match (&old, &map) {
        (Some(old), Some(map)) => keep(data, old, map, &plan),
        _ => plan.files.iter().map(|_| None).collect(),
    };
    let uid = old
        .filter(|old| same_boot && old.files == plan.files)
        .map(|old| old.uid);
    let unchanged = uid.is_some() && map.is_some_and(|map| map == plan.map(&kept));
    plan.uid = match uid.filter(|_| unchanged) {
        Some(uid) => uid,
        None => new_uid()?,
    };
    Ok(Loaded {
        plan,
        kept,
        unchanged,
    })
}

/// What `map`, the map of `old`, says of the files of `plan`, and is so.
fn keep(data: &Base, old: &Plan, map: &[u8], plan: &Plan) -> Vec<Option<Kept>> {
    let offsets = old.offsets();
    let by_name: HashMap<&str, (&Planned, &[u64])> = old
        .files
        .iter()
        .zip(offsets.windows(2))
        .map(|(file, ends)| (&*file.name, (file, ends)))
        .collect();
    let keep = |file: &Planned| {
        let (then, ends) = by_name.get(&*file.name)?;
        if *then != file || !file.is_told_apart() {
            return None;
        }
        let [start, end] = [ends.first()?, ends.get(1)?].map(|end| usize::try_from(*end).ok());
        let presence = bitmap::unpack(map.get(start?..end?)?, file.size);
        if presence.bytes() == 0 {
            return None;
        }
        look(data, file, &presence)
            .ok()
            .filter(|kept| kept.presence.bytes() > 0)
    };
    plan.files.iter().map(keep).collect()
}

/// What of `presence` is really there: not what a cleaner has cut off, and no holes.
fn look(data: &Base, file: &Planned, presence: &Presence) -> io::Result<Kept> {
    let disk = os::beneath::open(data.dir(), Path::new(&file.name))?;
    let stored = os::sparse::data(&disk)?;
    let presence = bitmap::only_in(presence, &stored, file.size);
    if disk.metadata()?.len() != file.size {
        disk.set_len(file.size)?;
    }
    Ok(Kept {
        presence,
        inode: inode(&disk)?,
    })
}

/// Removes what is trusted after another boot, and makes sure that it stays removed.
pub(super) fn forget_synced(top: &Base) -> io::Result<()> {
    let mut found = false;
    for entry in fs::read_dir(top.path(""))? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b"synced.") {
            if_there(fs::remove_file(entry.path()))?;
            found = true;
        }
    }
    if found { top.dir().sync_all() } else { Ok(()) }
}

/// Removes what the plan does not know, or knows to have other bytes.
pub(super) fn prune(top: &Base, data: &Base, plan: &Plan, kept: &[Option<Kept>]) -> io::Result<()> {
    let map = plan.map_name();
    for entry in fs::read_dir(top.path(""))? {
        let entry = entry?;
        let name = entry.file_name();
        if !["claim", NAME, "data", &*map]
            .iter()
            .any(|known| name == *known)
        {
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
    }
    let files = plan
        .files
        .iter()
        .zip(kept)
        .filter(|(_, kept)| kept.is_some());
    let files: HashSet<&str> = files.map(|(file, _)| &*file.name).collect();
    clear(data, &files)
}

/// Removes every file below `data` but `files`, and every directory without one of them.
pub(in crate::cache) fn clear(data: &Base, files: &HashSet<&str>) -> io::Result<()> {
    let mut dirs = vec![String::new()];
    let mut next = 0;
    while let Some(dir) = dirs.get(next).cloned() {
        next += 1;
        let mut entries = os::beneath::list(data.dir(), Path::new(&dir))?;
        while let Some(entry) = entries.next().transpose()? {
            let name = entry.file_name().into_string();
            let is_dir = entry.file_type()?.is_dir();
            let path = name.map(|name| {
                if dir.is_empty() {
                    name
                } else {
                    format!("{dir}/{name}")
                }
            });
            match path {
                Ok(path) if is_dir => dirs.push(path),
                Ok(path) if files.contains(&*path) => {}
                _ if is_dir => fs::remove_dir_all(entry.path())?,
                _ => fs::remove_file(entry.path())?,
            }
        }
    }
    // The innermost first; those that hold something stay.
    for dir in dirs.iter().skip(1).rev() {
        let _ = os::beneath::spot(data.dir(), Path::new(dir))
            .and_then(|spot| fs::remove_dir(spot.path()));
    }
    Ok(())
}
