//! Walks the served directory for models.
//!
//! A version is a directory whose name is a number, which holds at least one
//! file itself (under `tfjs-model/` numbers also occur inside a name:
//! `spice/2/default/1`), or an archive `<number>.tar.gz`, `.tgz` or `.tar`. It
//! needs two components above it, publisher and model. What looks like a model
//! but cannot have a handle is reported, not silently missing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::listing::{Form, Listing, PassedOver, Suffix, is_component, version_number};
use crate::os::beneath::Listing as Listed;
use crate::server::Error;
use crate::server::confine::{self, Checked, Root};

/// Beyond this depth nobody keeps models; it ends every walk.
const MAX_DEPTH: usize = 24;

/// Scans `root`.
pub fn scan(root: &Root) -> Result<Listing, Error> {
    let entries = root.list(root.path()).map_err(|source| Error::Dir {
        dir: root.path().to_owned(),
        source,
    })?;
    let mut walk = Walk {
        root,
        chain: vec![root.path().to_owned()],
        listing: Listing::default(),
    };
    walk.entries("", entries);
    walk.listing.passed_over.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(walk.listing)
}

struct Walk<'a> {
    root: &'a Root,
    /// The directories through which the walk came, the served one first.
    chain: Vec<PathBuf>,
    listing: Listing,
}

impl Walk<'_> {
    fn pass_over(&mut self, name: &str, why: impl ToString) {
        self.listing.passed_over.push(PassedOver {
            name: name.to_owned(),
            why: why.to_string(),
        });
    }

    fn entries(&mut self, above: &str, entries: Listed) {
        let Some(dir) = self.chain.last().cloned() else {
            return;
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => return self.pass_over(above, e),
            };
            let file_name = entry.file_name();
            if confine::hidden(&file_name) {
                continue;
            }
            let text = file_name.to_string_lossy();
            let name = if above.is_empty() {
                text.to_string()
            } else {
                format!("{above}/{text}")
            };
            let at = dir.join(&file_name);
            let checked = entry.metadata();
            match checked.and_then(|meta| self.root.check(&self.chain, &at, meta)) {
                Ok(Checked::Inside(place, meta)) if meta.is_dir() => {
                    self.directory(above, &name, &text, &place)
                }
                Ok(Checked::Inside(place, _)) => self.file(above, &name, &text, &place),
                Ok(Checked::Stray(stray)) => self.pass_over(&name, stray),
                // Removed while we looked: it is simply not there.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => self.pass_over(&name, e),
            }
        }
    }

    fn directory(&mut self, above: &str, name: &str, last: &str, place: &Path) {
        if !is_component(last) {
            return self.pass_over(
                name,
                "a handle has only letters, digits, '_', '-' and '.' in its names",
            );
        }
        if last.bytes().all(|b| b.is_ascii_digit()) && self.holds_files(place) {
            return match version_number(last) {
                Some(_) if self.chain.len() < 3 => self.pass_over(name, TOO_HIGH),
                // A ready-made archive of the same version wins, whatever the order of the entries.
                Some(number) => {
                    self.versions(above)
                        .entry(number)
                        .or_insert_with(|| Form::Tree(place.to_owned()));
                }
                None => self.pass_over(name, "a version has no leading zero and fits 64 bits"),
            };
        }
        if self.chain.len() > MAX_DEPTH {
            return self.pass_over(name, format!("more than {MAX_DEPTH} directories deep"));
        }
        match self.root.list(place) {
            Ok(entries) => {
                self.chain.push(place.to_owned());
                self.entries(name, entries);
                self.chain.pop();
            }
            Err(e) => self.pass_over(name, e),
        }
    }

    fn file(&mut self, above: &str, name: &str, last: &str, place: &Path) {
        let cut = |suffix: Suffix| Some((last.strip_suffix(suffix.text())?, suffix));
        let Some((stem, suffix)) = Suffix::ALL.into_iter().find_map(cut) else {
            if matches!(last, "saved_model.pb" | "saved_model.pbtxt") {
                self.pass_over(
                    name,
                    "its directory is not a version number: <publisher>/<model>/<version>/",
                );
            }
            return;
        };
        let Some(number) = version_number(stem) else {
            return self.pass_over(
                name,
                format!("an archive is named <version>{}", suffix.text()),
            );
        };
        if self.chain.len() < 3 {
            return self.pass_over(name, TOO_HIGH);
        }
        let rank = |suffix| Suffix::ALL.iter().position(|s| *s == suffix);
        let versions = self.versions(above);
        match versions.get(&number) {
            Some(Form::Ready(_, other)) if rank(*other) < rank(suffix) => {}
            _ => {
                versions.insert(number, Form::Ready(place.to_owned(), suffix));
            }
        }
    }

    /// True if a directory holds a file that could be a model's: not hidden, and not the archive of a version below.
    fn holds_files(&self, dir: &Path) -> bool {
        let Ok(mut entries) = self.root.list(dir) else {
            return false;
        };
        entries.any(|entry| {
            let Ok(entry) = entry else {
                return false;
            };
            let name = entry.file_name();
            let text = name.to_string_lossy();
            let archive = Suffix::ALL.iter().any(|s| {
                text.strip_suffix(s.text())
                    .is_some_and(|v| version_number(v).is_some())
            });
            let check = |meta| self.root.check(&self.chain, &dir.join(&name), meta);
            let checked = || entry.metadata().and_then(check);
            !confine::hidden(&name)
                && !archive
                && matches!(checked(), Ok(Checked::Inside(_, meta)) if meta.is_file())
        })
    }

    fn versions(&mut self, model: &str) -> &mut BTreeMap<u64, Form> {
        self.listing.models.entry(model.to_owned()).or_default()
    }
}

const TOO_HIGH: &str = "a handle is <publisher>/<model>/<version>; move it one directory down";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn touch(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
    }

    fn scanned(files: &[&str]) -> (tempfile::TempDir, PathBuf, Listing) {
        let temp = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(temp.path()).unwrap();
        touch(&root, files);
        let listing = scan(&Root::new(&root).unwrap()).unwrap();
        (temp, root, listing)
    }

    #[test]
    fn models_of_any_depth_in_both_forms() {
        let (_temp, _, listing) = scanned(&[
            "google/spice/2/saved_model.pb",
            "google/spice/10/saved_model.pb",
            "google/imagenet/mobilenet_v2_100_224/feature_vector/5.tar.gz",
            "google/tfjs-model/spice/2/default/1/model.json",
            "google/tfjs-model/spice/2/default/2.tgz",
            "google/m/1.tar",
        ]);
        let mut handles: Vec<_> = listing.handles().collect();
        handles.sort();
        assert_eq!(
            handles,
            [
                "google/imagenet/mobilenet_v2_100_224/feature_vector/5",
                "google/m/1",
                "google/spice/10",
                "google/spice/2",
                "google/tfjs-model/spice/2/default/1",
                "google/tfjs-model/spice/2/default/2",
            ]
        );
        assert_eq!(listing.passed_over, []);
    }

    #[test]
    fn the_better_archive_wins_over_other_forms() {
        let (_temp, root, listing) = scanned(&[
            "g/m/1.tar",
            "g/m/1.tar.gz",
            "g/m/1.tgz",
            "g/m/1/saved_model.pb",
        ]);
        assert_eq!(
            listing.models["g/m"][&1],
            Form::Ready(root.join("g/m/1.tar.gz"), Suffix::TarGz)
        );
    }

    #[test]
    fn what_cannot_have_a_handle_is_reported() {
        let (_temp, _, listing) = scanned(&[
            "half_plus_two/1/saved_model.pb",
            "g/m/01/saved_model.pb",
            "g/m m/1/saved_model.pb",
            "g/m/latest.tar.gz",
            "g/bare/saved_model.pb",
            "g/.hidden/1/saved_model.pb",
            ".git/m/1/saved_model.pb",
            "g/notes.txt",
        ]);
        assert!(listing.models.is_empty(), "{:?}", listing.models);
        let names: Vec<_> = listing
            .passed_over
            .iter()
            .map(|p| p.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "g/bare/saved_model.pb",
                "g/m m",
                "g/m/01",
                "g/m/latest.tar.gz",
                "half_plus_two/1"
            ]
        );
    }

    #[test]
    fn links_stay_inside_and_walks_end() {
        let (temp, root, _) = scanned(&["g/m/1/saved_model.pb"]);
        let elsewhere = tempfile::tempdir().unwrap();
        touch(elsewhere.path(), &["m/1/saved_model.pb"]);
        symlink(elsewhere.path(), root.join("leak")).unwrap();
        symlink("1", root.join("g/m/2")).unwrap();
        symlink("..", root.join("g/up")).unwrap();
        let listing = scan(&Root::new(&root).unwrap()).unwrap();
        assert_eq!(listing.handles().collect::<Vec<_>>(), ["g/m/1", "g/m/2"]);
        let names: Vec<_> = listing
            .passed_over
            .iter()
            .map(|p| p.name.as_str())
            .collect();
        assert_eq!(names, ["g/up", "leak"]);
        drop(temp);
    }
}
