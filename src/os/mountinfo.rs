//! `/proc/self/mountinfo` as a table: which mounts there are, and which one holds a path, decided as text.
//!
//! The format is proc_pid_mountinfo(5): `id parent major:minor root mountpoint options [tags...] - fstype source super`,
//! with space, tab, newline and backslash in names written as three octal digits.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The type that every mount of ours shows: the kernel's `fuse` with our subtype.
pub const FSTYPE: &str = "fuse.tfhub-fs";

/// The device number of a mount. For FUSE the minor number is also the name of the connection under
/// `/sys/fs/fuse/connections/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device {
    /// 0 for every file system without a block device, FUSE included.
    pub major: u32,
    /// Unique among the mounts with the same major number.
    pub minor: u32,
}

impl fmt::Display for Device {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.major, self.minor)
    }
}

impl Device {
    /// Reads `major:minor`.
    fn parse(text: &str) -> Option<Device> {
        let (major, minor) = text.split_once(':')?;
        Some(Device {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

/// One line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Unique while the mount lives; may be reused afterwards.
    pub id: u64,
    /// The mount that this one is mounted on.
    pub parent: u64,
    /// See [`Device`].
    pub device: Device,
    /// Where it is mounted, absolute, symlinks resolved.
    pub mountpoint: PathBuf,
    /// Options of this mount, e.g. `ro,nosuid,nodev,relatime`.
    pub options: String,
    /// With subtype, e.g. `ext4`, `fuse.tfhub-fs`.
    pub fstype: String,
    /// E.g. `/dev/sda1`, `tfhub-fs`.
    pub source: String,
    /// Options of the file system, e.g. `rw,user_id=0,group_id=0,allow_other`.
    pub super_options: String,
}

/// All mounts of this mount namespace, in the kernel's order.
#[derive(Clone, Debug, Default)]
pub struct Table(Vec<Mount>);

impl Table {
    /// Reads `/proc/self/mountinfo`.
    ///
    /// # Errors
    ///
    /// `/proc` is not mounted.
    pub fn read() -> io::Result<Table> {
        Ok(Table::parse(&std::fs::read("/proc/self/mountinfo")?))
    }

    /// Reads the text of a mountinfo file; a line that is not in the format is skipped.
    pub fn parse(text: &[u8]) -> Table {
        Table(
            text.split(|byte| *byte == b'\n')
                .filter_map(parse_line)
                .collect(),
        )
    }

    /// Every mount of this type, hidden ones included.
    pub fn of_type<'a>(&'a self, fstype: &'a str) -> impl Iterator<Item = &'a Mount> {
        self.0.iter().filter(move |mount| mount.fstype == fstype)
    }

    /// The mount with this id.
    pub fn by_id(&self, id: u64) -> Option<&Mount> {
        self.0.iter().find(|mount| mount.id == id)
    }

    /// The mount that a lookup of `path` (absolute, without symlinks) ends in.
    ///
    /// It follows the tree of mounts from the root and crosses the first mountpoint met on the way, as the kernel does, so
    /// that a mount hidden under a later one is not found.
    pub fn holding(&self, path: &Path) -> Option<&Mount> {
        let mut at = self.root(path)?;
        // Each step goes to a child; the bound only guards against a table with a cycle.
        for _ in 0..self.0.len() {
            let next = self
                .0
                .iter()
                .filter(|mount| {
                    mount.parent == at.id
                        && mount.id != at.id
                        && path.starts_with(&mount.mountpoint)
                })
                .min_by_key(|mount| mount.mountpoint.components().count());
            match next {
                Some(mount) => at = mount,
                None => break,
            }
        }
        Some(at)
    }

    /// The mount that is visible at `mountpoint` itself (absolute, without symlinks).
    pub fn at(&self, mountpoint: &Path) -> Option<&Mount> {
        self.holding(mountpoint)
            .filter(|mount| mount.mountpoint == mountpoint)
    }

    /// Whether `path` (absolute, without symlinks) lies in a mount of this type, or is its mountpoint.
    pub fn inside(&self, path: &Path, fstype: &str) -> bool {
        self.holding(path)
            .is_some_and(|mount| mount.fstype == fstype)
    }

    /// Where the walk begins: a mount whose parent is not in the table. In a chroot there may be several.
    fn root(&self, path: &Path) -> Option<&Mount> {
        self.0
            .iter()
            .filter(|mount| path.starts_with(&mount.mountpoint))
            .filter(|mount| mount.parent == mount.id || self.by_id(mount.parent).is_none())
            .max_by_key(|mount| mount.mountpoint.components().count())
    }
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = Device::parse(std::str::from_utf8(fields.next()?).ok()?)?;
    let _root = fields.next()?;
    let mountpoint = unescape(fields.next()?);
    let options = text(fields.next()?);
    // Zero or more tags, then a hyphen alone.
    fields.find(|field| *field == b"-")?;
    Some(Mount {
        id,
        parent,
        device,
        mountpoint: PathBuf::from(OsString::from_vec(mountpoint)),
        options,
        fstype: text(fields.next()?),
        source: text(fields.next()?),
        super_options: fields.next().map(text).unwrap_or_default(),
    })
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

/// Turns `\040` and its like back into the byte that they stand for.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        match tail {
            [
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] if first == b'\\' => {
                out.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = after;
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::ffi::OsStrExt;

    const SAMPLE: &[u8] = b"\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
30 21 0:40 / /mnt/a\\040b ro,nosuid,nodev shared:2 master:1 - fuse.tfhub-fs tfhub-fs ro,user_id=0,group_id=0,allow_other\n\
31 21 0:41 / /mnt rw - tmpfs none rw\n\
32 31 0:42 / /mnt/hub ro - fuse.tfhub-fs tfhub-fs ro\n\
33 32 0:43 / /mnt/hub ro - fuse.sshfs host ro\n\
garbage\n";

    fn type_of(path: &str) -> String {
        Table::parse(SAMPLE)
            .holding(Path::new(path))
            .unwrap()
            .fstype
            .clone()
    }

    #[test]
    fn lines_are_read_and_garbage_skipped() {
        let table = Table::parse(SAMPLE);
        assert_eq!(table.of_type(FSTYPE).count(), 2);
        let mount = table.by_id(30).unwrap();
        assert_eq!(mount.mountpoint, Path::new("/mnt/a b"));
        assert_eq!(mount.device.to_string(), "0:40");
        assert_eq!(mount.options, "ro,nosuid,nodev");
        assert_eq!(mount.super_options, "ro,user_id=0,group_id=0,allow_other");
    }

    #[test]
    fn the_walk_crosses_mounts_as_the_kernel_does() {
        assert_eq!(type_of("/"), "ext4");
        assert_eq!(type_of("/mntx"), "ext4");
        assert_eq!(type_of("/mnt"), "tmpfs");
        // The tmpfs was mounted over /mnt later and hides the first mount of ours.
        assert_eq!(type_of("/mnt/a b/x"), "tmpfs");
        // Two at one mountpoint: the one on top.
        assert_eq!(type_of("/mnt/hub/x"), "fuse.sshfs");
        let table = Table::parse(SAMPLE);
        assert_eq!(table.at(Path::new("/mnt/hub")).unwrap().id, 33);
        assert!(table.at(Path::new("/mnt/hub/x")).is_none());
        assert!(!table.inside(Path::new("/mnt/hub/x"), FSTYPE));
    }

    #[test]
    fn a_table_with_a_cycle_ends() {
        let table = Table::parse(
            b"1 2 0:1 / / rw - a a rw\n2 1 0:2 / / rw - b b rw\n3 3 0:3 / / rw - c c rw\n",
        );
        assert!(table.holding(Path::new("/x")).is_some());
    }

    #[test]
    fn the_real_table_holds_the_root() {
        let table = Table::read().unwrap();
        assert_eq!(table.at(Path::new("/")).unwrap().mountpoint, Path::new("/"));
        assert_eq!(
            table.holding(Path::new("/proc/self")).unwrap().fstype,
            "proc"
        );
    }

    proptest! {
        #[test]
        fn any_name_survives_escaping(name in proptest::collection::vec(1u8.., 0..40)) {
            let escaped: Vec<u8> = name
                .iter()
                .flat_map(|byte| match byte {
                    b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
                    other => vec![*other],
                })
                .collect();
            let line = [b"5 1 0:7 / /".as_slice(), &escaped, b" ro - t s ro"].concat();
            let mount = parse_line(&line).unwrap();
            prop_assert_eq!(mount.mountpoint.as_os_str().as_bytes(), [b"/".as_slice(), &name].concat());
        }

        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let table = Table::parse(&text);
            let _ = table.holding(Path::new("/a/b"));
        }
    }
}
