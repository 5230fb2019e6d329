//! The receiving end: models out of a file that comes from anywhere.

use std::collections::HashSet;
use std::io::BufRead;
use std::time::SystemTime;

use super::Error;
use crate::archive::{self, Limits, Name, Refusal, Sink};
use crate::cache::{self, Begin, Cache, Lead, Manifest, Writer};
use crate::handle::Key;

/// No manifest is longer.
const MAX_MANIFEST: u64 = 64 << 20;

/// What became of a model that was carried here.
#[derive(Debug)]
pub struct Carried {
    /// Its handle.
    pub handle: String,
    /// The sum of its files' sizes.
    pub bytes: u64,
    /// Whether it was here before.
    pub known: bool,
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
        Err(archive::Error::Refused(why)) => Err(unpacking.refused(&why)),
    }
}

/// What is wrong with a file that is no archive, or a broken one. Its own words are about what a server sends.
fn shown(why: &Refusal) -> String {
    match why {
        Refusal::Corrupt { format, at, why } => {
            format!("the {format} stream is wrong near byte {at} ({why})")
        }
        Refusal::Truncated { format, at } => {
            format!("the {format} stream ends at byte {at}, before its own end")
        }
        other => other.to_string(),
    }
}

/// What became of a model of this handle. A filling that failed says why.
fn of_model(handle: &str, error: cache::Error) -> Error {
    let cause = match &error {
        cache::Error::Failed(why) => why.downcast_ref().unwrap_or(&error),
        _ => &error,
    };
    let why = match cause {
        cache::Error::Unlike { name } => {
            format!(
                "{name:?} has not arrived as it was exported; copy the file again, or export again"
            )
        }
        other => other.to_string(),
    };
    let handle = handle.to_owned();
    Error::Model { handle, why }
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
    /// The archive is none, or breaks off.
    fn refused(&self, why: &Refusal) -> Error {
        match (why, &self.part) {
            (Refusal::NotAnArchive { looks, .. }, _) => Error::Odd(format!("it is {looks}")),
            (Refusal::Empty, _) => Error::Odd(String::from("there is no model in it")),
            (why, Part::Model(model)) => Error::Model {
                handle: model.manifest.handle.clone(),
                why: format!(
                    "the file is damaged: {}; copy it again, or export again",
                    shown(why)
                ),
            },
            (why, _) => Error::Torn(shown(why)),
        }
    }

    /// Ends the model that the file has been about so far.
    fn finish(&mut self) -> Result<(), Error> {
        let Part::Model(model) = std::mem::replace(&mut self.part, Part::Between) else {
            return Ok(());
        };
        let Model {
            manifest, mut lead, ..
        } = *model;
        let (handle, bytes) = (manifest.handle.clone(), manifest.bytes());
        let failed = |error| of_model(&handle, error);
        let filling = lead.filling();
        for (dir, mtime) in manifest.dirs() {
            filling.dir(dir, mtime).map_err(failed)?;
        }
        filling.names_known();
        lead.must_be(manifest);
        lead.seal().map_err(failed)?;
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
        if manifest.files().any(|file| file.crc32c.is_none()) {
            return Err(odd("has a file without a checksum; export the model again"));
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
                let writer = model.lead.filling().file(inside, size, mtime);
                model.writer =
                    Some(writer.map_err(|error| of_model(&model.manifest.handle, error))?);
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
                    let written = writer.write(bytes);
                    written.map_err(|error| of_model(&model.manifest.handle, error))?;
                }
            }
            Part::Known(_) | Part::Between => {}
        }
        Ok(())
    }

    fn hole(&mut self, len: u64) -> Result<(), Error> {
        match &mut self.part {
            Part::Model(model) => match &mut model.writer {
                Some(writer) => {
                    let written = writer.hole(len);
                    written.map_err(|error| of_model(&model.manifest.handle, error))
                }
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
                let ended = ended.map_err(|error| of_model(&model.manifest.handle, error));
                self.part = Part::Model(model);
                ended
            }
            other => {
                self.part = other;
                Ok(())
            }
        }
    }
}
