//! Archives, good and hostile: entries exactly as given, in the order given.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::Tree;

/// When everything in these archives was last changed: 2025-10-18 13:30:13 UTC.
pub const MTIME: u64 = 1_760_794_213;

/// A tar archive that is being written.
pub struct Tar(Builder<Vec<u8>>);

impl Tar {
    pub fn new() -> Tar {
        Tar(Builder::new(Vec::new()))
    }

    /// A whole model as it is published: `./`, then every directory before its files.
    pub fn of(tree: &Tree) -> Tar {
        let mut tar = Tar::new().dir("./");
        for dir in tree.dirs() {
            tar = tar.dir(&format!("./{dir}/"));
        }
        tree.files().iter().fold(tar, |tar, (path, bytes)| {
            tar.file(&format!("./{path}"), bytes)
        })
    }

    pub fn dir(self, path: &str) -> Tar {
        self.entry(path, EntryType::Directory, &[])
    }

    pub fn file(self, path: &str, bytes: &[u8]) -> Tar {
        self.entry(path, EntryType::Regular, bytes)
    }

    /// Any entry; the name goes into the header as it is, however hostile, or into a GNU long name.
    pub fn entry(mut self, path: &str, kind: EntryType, bytes: &[u8]) -> Tar {
        let mut header = header(kind, bytes.len() as u64);
        if path.len() > 100 {
            let long = self.long_name(path);
            self.0.append(&long.0, long.1.as_slice()).unwrap();
        }
        put(&mut header, path);
        self.0.append(&header, bytes).unwrap();
        self
    }

    fn long_name(&self, path: &str) -> (Header, Vec<u8>) {
        let mut bytes = path.as_bytes().to_vec();
        bytes.push(0);
        let mut header = header(EntryType::GNULongName, bytes.len() as u64);
        put(&mut header, "././@LongLink");
        (header, bytes)
    }

    /// A symbolic or hard link.
    pub fn link(mut self, path: &str, kind: EntryType, target: &str) -> Tar {
        let mut header = header(kind, 0);
        header.set_link_name(target).unwrap();
        put(&mut header, path);
        self.0.append(&header, &[][..]).unwrap();
        self
    }

    /// An entry that claims more bytes than follow.
    pub fn claim(mut self, path: &str, size: u64, bytes: &[u8]) -> Tar {
        let mut header = header(EntryType::Regular, size);
        put(&mut header, path);
        let inner = self.0.get_mut();
        inner.extend_from_slice(header.as_bytes());
        inner.extend_from_slice(bytes);
        self
    }

    /// A pax extended header for the next entry.
    pub fn pax(mut self, records: &[(&str, &str)]) -> Tar {
        self.0
            .append_pax_extensions(records.iter().map(|(key, value)| (*key, value.as_bytes())))
            .unwrap();
        self
    }

    /// An old GNU sparse file: `parts` are at their offsets, the rest up to `size` is a hole. At most four parts.
    pub fn gnu_sparse(mut self, path: &str, size: u64, parts: &[(u64, &[u8])]) -> Tar {
        let stored: usize = parts.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut header = header(EntryType::GNUSparse, stored as u64);
        let gnu = header.as_gnu_mut().unwrap();
        octal(&mut gnu.realsize, size);
        for (slot, (offset, bytes)) in gnu.sparse.iter_mut().zip(parts) {
            octal(&mut slot.offset, *offset);
            octal(&mut slot.numbytes, bytes.len() as u64);
        }
        put(&mut header, path);
        let bytes: Vec<u8> = parts
            .iter()
            .flat_map(|(_, bytes)| bytes.iter().copied())
            .collect();
        self.0.append(&header, bytes.as_slice()).unwrap();
        self
    }

    /// A sparse file as GNU tar's pax format 1.0 writes it: the map is the first block of the data.
    pub fn pax_sparse(self, path: &str, size: u64, parts: &[(u64, &[u8])]) -> Tar {
        let mut map = format!("{}\n", parts.len());
        for (offset, bytes) in parts {
            map.push_str(&format!("{offset}\n{}\n", bytes.len()));
        }
        let mut data = map.into_bytes();
        data.resize(data.len().next_multiple_of(512), 0);
        data.extend(parts.iter().flat_map(|(_, bytes)| bytes.iter().copied()));
        let records = [
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", path),
            ("GNU.sparse.realsize", &size.to_string()),
        ];
        self.pax(&records)
            .entry("GNUSparseFile.0/placeholder", EntryType::Regular, &data)
    }

    /// The archive with its two blocks of zeros.
    pub fn plain(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    /// The archive as a `.tar.gz`.
    pub fn gz(self) -> Vec<u8> {
        gzip(&self.plain())
    }
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory {
        0o755
    } else {
        0o644
    });
    header.set_size(size);
    header.set_mtime(MTIME);
    header
}

/// Writes the name as it is, without the checks that a polite archiver makes.
fn put(header: &mut Header, path: &str) {
    let bytes = path.as_bytes();
    let kept = bytes.len().min(100);
    header.as_gnu_mut().unwrap().name[..kept].copy_from_slice(&bytes[..kept]);
    header.set_cksum();
}

fn octal(field: &mut [u8; 12], value: u64) {
    field[..11].copy_from_slice(format!("{value:011o}").as_bytes());
    field[11] = 0;
}

/// One gzip member, level 1.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Several gzip members, each of `size` bytes of the input, and where each ends.
pub fn gzip_members(bytes: &[u8], size: usize) -> (Vec<u8>, Vec<usize>) {
    let (mut out, mut ends) = (Vec::new(), Vec::new());
    for chunk in bytes.chunks(size) {
        out.extend(gzip(chunk));
        ends.push(out.len());
    }
    (out, ends)
}
