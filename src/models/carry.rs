//! Models on their way to hosts without a network: a tar of complete models, each behind its manifest.
//!
//! ```text
//! <sha1>.json       the manifest: handle, names, sizes, checksums
//! <sha1>/<path>     the files
//! ```
//!
//! Such a file comes from anywhere: it is unpacked like an archive from the network, and a model is kept only if every name, size
//! and checksum is what its manifest says, which is itself about the handle that the directory is named after.

use std::collections::HashSet;
use std::io::{self, BufRead, Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use tar::{Builder, Header};

use crate::archive::{self, Limits, Name, Sink};
use crate::handle::Key;
use crate::store::{self, Begin, Cache, Lead, Manifest, Writer};

/// No manifest is longer.
const MAX_MANIFEST: u64 = 64 << 20;

/// What became of a model that was carried here.
#[derive(Debug)]
pub struct Carried {
    /// Its handle, or the name of its directory if nobody knows whose it is.
    pub handle: String,
    /// The sum of its files' sizes.
    pub bytes: u64,
    /// Whether it was here before.
    pub known: bool,
}

/// A model could not be carried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not complete here.
    #[error("{0} is not complete in this cache; fetch it first (tfhub-fs prefetch)")]
    Absent(String),
    /// Its bytes are not what they were.
    #[error(
        "{handle}: {name:?} has other bytes than when the model was complete; run tfhub-fs cache verify"
    )]
    Damaged {
        /// The model.
        handle: String,
        /// The file.
        name: String,
    },
    /// Neither end may break off.
    #[error("cannot {what}: {why}")]
    Io {
        /// Which end.
        what: &'static str,
        /// What the kernel said.
        why: io::Error,
    },
    /// The file is not one that `cache export` writes.
    #[error("this is not what tfhub-fs cache export writes: {0}")]
    Odd(String),
    /// The archive breaks a rule that holds for archives from the network.
    #[error("this file cannot be unpacked: {0}")]
    Archive(String),
    /// Somebody fills the model just now.
    #[error("{handle} is being fetched by {who}; try again")]
    Busy {
        /// The model.
        handle: String,
        /// By whom.
        who: String,
    },
    /// The cache failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Writes a complete model behind those that were written before. Returns how many bytes its files have.
///
/// # Errors
///
/// It is not complete, or damaged; the disk or the output failed.
pub fn export<W: Write>(cache: &Cache, key: &Key, out: &mut Builder<W>) -> Result<u64, Error> {
    let whole = cache.whole(key)?;
    let (manifest, sealed) = whole.ok_or_else(|| Error::Absent(key.to_string()))?;
    let writing = |why| Error::Io {
        what: "write the models",
        why,
    };
    let text = manifest.to_json();
    append(
        out,
        &format!("{key}.json"),
        text.len() as u64,
        UNIX_EPOCH,
        &text[..],
    )
    .map_err(writing)?;
    for file in manifest.files() {
        let reading = |why| Error::Io {
            what: "read a model",
            why,
        };
        let mut body = Checked {
            from: sealed.open(file.path).map_err(reading)?,
            crc32c: 0,
        };
        let name = format!("{key}/{}", file.path);
        append(out, &name, file.size, file.mtime, &mut body).map_err(writing)?;
        if file.crc32c.is_some_and(|known| known != body.crc32c) {
            return Err(Error::Damaged {
                handle: manifest.handle.clone(),
                name: file.path.to_owned(),
            });
        }
    }
    Ok(manifest.bytes())
}

fn append<W: Write>(
    out: &mut Builder<W>,
    name: &str,
    size: u64,
    mtime: SystemTime,
    body: impl Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    let since = mtime.duration_since(UNIX_EPOCH).unwrap_or_default();
    header.set_mtime(since.as_secs());
    out.append_data(&mut header, name, body)
}

struct Checked<R> {
    from: R,
    crc32c: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.from.read(buffer)?;
        self.crc32c = crc32c::crc32c_append(self.crc32c, buffer.get(..len).unwrap_or_default());
        Ok(len)
    }
}

/// Takes the models of an export into the cache, each as soon as it is complete; those before an error stay.
///
/// # Errors
///
/// The file is no such export, or a model in it is not what its manifest says; the cache failed.
pub fn import(
    cache: &Cache,
    input: impl BufRead,
    mut told: impl FnMut(Carried),
) -> Result<(), Error> {
    let mut unpacking = Unpacking {
        cache,
        told: &mut told,
        part: Part::Between,
        seen: HashSet::new(),
    };
    let limits = Limits {
        max_entries: u64::MAX,
        max_file: u64::MAX,
        max_total: u64::MAX,
        ..Limits::default()
    };
    match archive::unpack(input, &limits, &mut unpacking) {
        Ok(_) => unpacking.finish(),
        Err(archive::Error::Sink(error)) => Err(error),
        Err(archive::Error::Input(why)) => Err(Error::Io {
            what: "read the models",
            why,
        }),
        Err(archive::Error::Refused(why)) => Err(Error::Archive(why.to_string())),
    }
}

struct Unpacking<'a> {
    cache: &'a Cache,
    told: &'a mut dyn FnMut(Carried),
    part: Part,
    seen: HashSet<Key>,
}

/// Where in the file we are.
enum Part {
    Between,
    /// In the text of a manifest.
    Manifest(Key, Vec<u8>),
    /// In a model that is here already.
    Known(Key),
    Model(Box<Model>),
}

struct Model {
    key: Key,
    manifest: Manifest,
    lead: Lead,
    writer: Option<Writer>,
}

impl Unpacking<'_> {
    /// Ends the model that the file has been about so far.
    fn finish(&mut self) -> Result<(), Error> {
        let Part::Model(model) = std::mem::replace(&mut self.part, Part::Between) else {
            return Ok(());
        };
        let Model {
            manifest, mut lead, ..
        } = *model;
        let filling = lead.filling();
        for (dir, mtime) in manifest.dirs() {
            filling.dir(dir, mtime)?;
        }
        filling.names_known();
        let (handle, bytes) = (manifest.handle.clone(), manifest.bytes());
        lead.must_be(manifest);
        lead.seal()?;
        (self.told)(Carried {
            handle,
            bytes,
            known: false,
        });
        Ok(())
    }

    fn begin(&mut self, key: Key, text: &[u8]) -> Result<(), Error> {
        let odd = |why: &str| Error::Odd(format!("{key}.json {why}"));
        let manifest = Manifest::from_json(text, &key).ok_or_else(|| odd("is no manifest"))?;
        if manifest.handle.is_empty() {
            return Err(odd("does not say whose model it is"));
        }
        if !self.seen.insert(key) {
            return Err(odd("is there twice"));
        }
        self.part = match self.cache.begin(&manifest.handle)? {
            Begin::Lead(lead) => Part::Model(Box::new(Model {
                key,
                manifest,
                lead,
                writer: None,
            })),
            Begin::Sealed(_) => {
                (self.told)(Carried {
                    bytes: manifest.bytes(),
                    handle: manifest.handle,
                    known: true,
                });
                Part::Known(key)
            }
            Begin::Busy(holder) => {
                return Err(Error::Busy {
                    handle: manifest.handle,
                    who: holder.who,
                });
            }
        };
        Ok(())
    }
}

impl Sink for Unpacking<'_> {
    type Error = Error;

    fn dir(&mut self, _: &Name, _: SystemTime) -> Result<(), Error> {
        Ok(()) // the manifest knows them
    }

    fn file(&mut self, path: &Name, size: u64, mtime: SystemTime) -> Result<(), Error> {
        let path = path.as_str();
        if let Some(key) = path.strip_suffix(".json").and_then(Key::parse) {
            self.finish()?;
            if size > MAX_MANIFEST {
                return Err(Error::Odd(format!("{path} is too long")));
            }
            self.part = Part::Manifest(key, Vec::new());
            return Ok(());
        }
        let split = path.split_once('/');
        let split = split.and_then(|(dir, inside)| Some((Key::parse(dir)?, inside)));
        match (&mut self.part, split) {
            (Part::Known(known), Some((key, _))) if *known == key => Ok(()),
            (Part::Model(model), Some((key, inside))) if model.key == key => {
                model.writer = Some(model.lead.filling().file(inside, size, mtime)?);
                Ok(())
            }
            _ => Err(Error::Odd(format!("{path:?} does not follow its manifest"))),
        }
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.part {
            Part::Manifest(_, text) => text.extend_from_slice(bytes),
            Part::Model(model) => {
                if let Some(writer) = &mut model.writer {
                    writer.write(bytes)?;
                }
            }
            Part::Known(_) | Part::Between => {}
        }
        Ok(())
    }

    fn hole(&mut self, len: u64) -> Result<(), Error> {
        match &mut self.part {
            Part::Model(model) => match &mut model.writer {
                Some(writer) => Ok(writer.hole(len)?),
                None => Ok(()),
            },
            Part::Manifest(..) => Err(Error::Odd(String::from("a manifest has holes"))),
            Part::Known(_) | Part::Between => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.part, Part::Between) {
            Part::Manifest(key, text) => self.begin(key, &text),
            Part::Model(mut model) => {
                let ended = model.writer.take().map_or(Ok(()), Writer::end);
                self.part = Part::Model(model);
                Ok(ended?)
            }
            other => {
                self.part = other;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const URL: &str = "https://h/a/1";

    fn cache(dir: &Path) -> Cache {
        Cache::open(dir).unwrap()
    }

    fn sealed(dir: &Path, url: &str) -> Cache {
        let cache = cache(dir);
        let Ok(Begin::Lead(lead)) = cache.begin(url) else {
            panic!("{url} is there");
        };
        let filling = lead.filling();
        for (name, bytes) in [("saved_model.pb", &b"graph"[..]), ("variables/x", b"bytes")] {
            let mut writer = filling.file(name, bytes.len() as u64, UNIX_EPOCH).unwrap();
            writer.write(bytes).unwrap();
            writer.end().unwrap();
        }
        filling.dir("assets", UNIX_EPOCH).unwrap();
        filling.names_known();
        lead.seal().unwrap();
        cache
    }

    fn exported(cache: &Cache, urls: &[&str]) -> Result<Vec<u8>, Error> {
        let mut out = Builder::new(Vec::new());
        for url in urls {
            export(cache, &Key::of(url), &mut out)?;
        }
        Ok(out.into_inner().unwrap())
    }

    fn imported(cache: &Cache, bytes: &[u8]) -> Result<Vec<(String, bool)>, Error> {
        let mut models = Vec::new();
        import(cache, bytes, |one| models.push((one.handle, one.known)))?;
        Ok(models)
    }

    #[test]
    fn models_arrive_whole_and_once() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let from = sealed(here.path(), URL);
        sealed(here.path(), "https://h/b/2");
        let bytes = exported(&from, &[URL, "https://h/b/2"]).unwrap();
        let to = cache(there.path());
        let want = |known| vec![(URL.to_owned(), known), ("https://h/b/2".to_owned(), known)];
        assert_eq!(imported(&to, &bytes).unwrap(), want(false));
        assert_eq!(imported(&to, &bytes).unwrap(), want(true));
        let (one, other) = (
            from.sealed(URL).unwrap().unwrap(),
            to.sealed(URL).unwrap().unwrap(),
        );
        assert_eq!(one.children("").unwrap().len(), 3);
        for dir in ["variables", "assets"] {
            assert_eq!(one.children(dir), other.children(dir), "{dir}");
        }
        assert!(
            to.whole(&Key::of(URL))
                .unwrap()
                .unwrap()
                .0
                .files()
                .all(|file| file.crc32c.is_some())
        );
    }

    #[test]
    fn what_is_not_as_its_manifest_says_is_not_kept() {
        let here = tempfile::tempdir().unwrap();
        let good = exported(&sealed(here.path(), URL), &[URL]).unwrap();
        let at = |text: &[u8]| {
            good.windows(text.len())
                .position(|part| part == text)
                .unwrap()
        };
        let flipped = {
            let mut bytes = good.clone();
            bytes[at(b"bytes\0")] ^= 1;
            bytes
        };
        let another = {
            let mut bytes = good.clone();
            bytes[at(b"https://h/a/1") + 8] = b'g';
            bytes
        };
        let short = good[..at(b"bytes\0") - 512].to_vec();
        for (bytes, what) in [
            (flipped, "another byte"),
            (another, "another handle"),
            (short, "no end"),
            (good[at(b"graph") - 512..].to_vec(), "no manifest"),
            (b"no tar at all".repeat(100), "something else"),
            (Vec::new(), "nothing"),
        ] {
            let there = tempfile::tempdir().unwrap();
            let to = cache(there.path());
            assert!(imported(&to, &bytes).is_err(), "{what}");
            assert!(to.sealed(URL).unwrap().is_none(), "{what}");
            let left: Vec<_> = std::fs::read_dir(there.path()).unwrap().collect();
            assert_eq!(left.len(), 1, "{what}: {left:?}");
        }
    }

    #[test]
    fn what_is_not_whole_does_not_leave() {
        let here = tempfile::tempdir().unwrap();
        let cache = sealed(here.path(), URL);
        assert!(matches!(
            exported(&cache, &["https://h/never/1"]),
            Err(Error::Absent(_))
        ));
        let file = cache
            .sealed(URL)
            .unwrap()
            .unwrap()
            .dir()
            .join("variables/x");
        let mtime = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::fs::write(&file, "BYTES").unwrap();
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_modified(mtime).unwrap();
        assert!(matches!(
            exported(&cache, &[URL]),
            Err(Error::Damaged { .. })
        ));
    }
}
