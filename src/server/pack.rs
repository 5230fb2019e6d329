//! A directory becomes a tar.gz: equal trees give equal bytes, on every host.
//!
//! The shape is the published one (`tar -cz --owner=0 --group=0 -C dir .`):
//! members `./`, `./saved_model.pb`, ..., each directory before what it holds,
//! because tensorflow_hub makes no parents itself. Owners, modes and times of
//! the directory are left out, and the gzip header carries none.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use tar::{Builder, EntryType, Header};

use super::Error;
use super::confine::Root;
use super::gzip::GzipWriter;
use super::survey::{Member, Survey};

/// The time of every member: 1980-01-01, the earliest that every archive format
/// can say and no unpacker warns about, hence customary in reproducible builds.
const MTIME: u64 = 315_532_800;

/// Longest name that fits the plain header field.
const NAME_FIELD: usize = 100;

/// What stopped the packing.
pub enum Stop {
    /// The model is at fault.
    Model(Error),
    /// The output is.
    Output(io::Error),
}

/// Packs what `survey` saw in `root` into `out`, and gives `out` back.
///
/// # Errors
/// [`Stop::Model`] if a file cannot be read or has another length than the
/// survey saw, [`Stop::Output`] if `out` cannot be written.
pub fn pack<W: Write>(root: &Root, survey: &Survey, out: W) -> Result<W, Stop> {
    let mut tar = Builder::new(GzipWriter::new(out));
    for member in &survey.members {
        append(root, &mut tar, member)?;
    }
    tar.into_inner()
        .and_then(GzipWriter::finish)
        .map_err(Stop::Output)
}

fn append<W: Write>(root: &Root, tar: &mut Builder<W>, member: &Member) -> Result<(), Stop> {
    let mut name = b"./".to_vec();
    name.extend_from_slice(&member.name);
    if name.len() > NAME_FIELD {
        append_long_name(tar, &name).map_err(Stop::Output)?;
    }
    if member.is_dir() {
        let header = header(&name, EntryType::Directory, 0o755, 0);
        return tar.append(&header, io::empty()).map_err(Stop::Output);
    }
    let len = member.stamp.len;
    let header = header(&name, EntryType::Regular, 0o644, len);
    let file = root.open(&member.path);
    let file = file.map_err(|e| Stop::Model(Error::read(&member.path, e)))?;
    let mut source = Exactly {
        file,
        path: &member.path,
        left: len,
        fault: None,
    };
    let written = tar.append(&header, &mut source);
    match (source.fault.take(), written) {
        (Some(fault), _) => Err(Stop::Model(fault)),
        (None, Err(e)) => Err(Stop::Output(e)),
        // A file that has grown shows here; one that was rewritten, in the survey made afterwards.
        (None, Ok(())) if source.left > 0 => Err(Stop::Model(Error::changed(&member.path))),
        (None, Ok(())) => Ok(()),
    }
}

/// GNU's way to a longer name: an entry of its own in front, whose data is the name.
fn append_long_name<W: Write>(tar: &mut Builder<W>, name: &[u8]) -> io::Result<()> {
    let mut data = name.to_vec();
    data.push(0);
    let header = header(
        b"././@LongLink",
        EntryType::GNULongName,
        0o644,
        data.len() as u64,
    );
    tar.append(&header, data.as_slice())
}

fn header(name: &[u8], kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    // `set_path` would drop the leading "./".
    let field = &mut header.as_old_mut().name;
    let fits = name.len().min(field.len());
    field[..fits].copy_from_slice(&name[..fits]);
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MTIME);
    header.set_size(size);
    header.set_cksum();
    header
}

/// Gives exactly as many bytes as the header has announced, and keeps its own
/// error apart from those of the output.
struct Exactly<'a> {
    file: File,
    path: &'a Path,
    left: u64,
    fault: Option<Error>,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        match self.file.read(&mut buffer[..room]) {
            Ok(0) => self.fault = Some(Error::changed(self.path)),
            Ok(n) => {
                self.left -= n as u64;
                return Ok(n);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
            Err(e) => self.fault = Some(Error::read(self.path, e)),
        }
        Err(io::Error::other("the model could not be read"))
    }
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::super::survey::survey;
    use super::super::testing::Tree;
    use super::*;

    fn packed(tree: &Tree) -> Vec<u8> {
        let survey = survey(&tree.root(), tree.path()).unwrap();
        pack(&tree.root(), &survey, Vec::new())
            .map_err(|_| "stopped")
            .unwrap()
    }

    /// Name, is a directory, content, of each member, in order.
    fn members(archive: &[u8]) -> Vec<(String, bool, Vec<u8>)> {
        let mut tar = tar::Archive::new(GzDecoder::new(archive));
        let read = |mut entry: tar::Entry<'_, GzDecoder<&[u8]>>| {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            assert_eq!(entry.header().mtime().unwrap(), MTIME);
            assert_eq!(
                (entry.header().uid().unwrap(), entry.header().gid().unwrap()),
                (0, 0)
            );
            (name, entry.header().entry_type().is_dir(), content)
        };
        tar.entries()
            .unwrap()
            .map(|entry| read(entry.unwrap()))
            .collect()
    }

    #[test]
    fn members_are_spelled_as_published_archives_spell_them() {
        let tree = Tree::new(&[
            ("saved_model.pb", "graph"),
            ("variables/variables.index", ""),
            ("assets/vocab.txt", "a\nb"),
        ]);
        let expected = [
            ("./", true, ""),
            ("./saved_model.pb", false, "graph"),
            ("./variables/", true, ""),
            ("./variables/variables.index", false, ""),
            ("./assets/", true, ""),
            ("./assets/vocab.txt", false, "a\nb"),
        ];
        let expected = expected
            .map(|(name, dir, content)| (name.to_owned(), dir, content.as_bytes().to_vec()));
        assert_eq!(members(&packed(&tree)), expected);
    }

    #[test]
    fn equal_trees_give_equal_bytes() {
        let files = [
            ("saved_model.pb", "graph"),
            ("z/1", "one"),
            ("a/2", "two"),
            ("a/b/c/3", "three"),
        ];
        let mut backwards = files;
        backwards.reverse();
        let (one, other) = (Tree::new(&files), Tree::new(&backwards));
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
        File::options()
            .write(true)
            .open(other.path().join("z/1"))
            .unwrap()
            .set_modified(old)
            .unwrap();
        assert_eq!(packed(&one), packed(&other));
        other.put("z/1", "ONE");
        assert_ne!(packed(&one), packed(&other));
    }

    #[test]
    fn long_and_non_ascii_names_survive() {
        let long = format!("assets/{}/{}.txt", "d".repeat(200), "é".repeat(100));
        let border = format!("{}.txt", "b".repeat(94));
        let tree = Tree::new(&[(&long, "long"), (&border, "border")]);
        let names: Vec<_> = members(&packed(&tree))
            .into_iter()
            .map(|(name, ..)| name)
            .collect();
        assert!(names.contains(&format!("./{long}")), "{names:?}");
        assert!(names.contains(&format!("./{border}")), "{names:?}");
    }

    #[test]
    fn a_file_that_shrank_since_the_survey_is_no_archive() {
        let tree = Tree::new(&[("saved_model.pb", "graph")]);
        let survey = survey(&tree.root(), tree.path()).unwrap();
        tree.put("saved_model.pb", "gra");
        assert!(matches!(
            pack(&tree.root(), &survey, Vec::new()),
            Err(Stop::Model(Error::Changed { .. }))
        ));
    }

    #[test]
    fn a_full_disk_is_not_the_models_fault() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let tree = Tree::new(&[("saved_model.pb", "graph")]);
        let survey = survey(&tree.root(), tree.path()).unwrap();
        assert!(matches!(
            pack(&tree.root(), &survey, Full),
            Err(Stop::Output(_))
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_archive_holds_the_tree(files in proptest::collection::btree_map("[a-c]{1,2}(/[a-c]{1,2}){0,2}\\.f", proptest::collection::vec(any::<u8>(), 0..2000), 0..8)) {
            let tree = Tree::new(&[]);
            for (name, content) in &files {
                tree.put(name, content);
            }
            let mut seen: Vec<_> = members(&packed(&tree)).into_iter().filter(|(_, dir, _)| !dir)
                .map(|(name, _, content)| (name[2..].to_owned(), content)).collect();
            seen.sort();
            prop_assert_eq!(seen, files.into_iter().collect::<Vec<_>>());
        }
    }
}
