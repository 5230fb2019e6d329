//! kagglehub's cache, read only: models that it has downloaded need not be fetched again.
//!
//! ```text
//! <root>/models/<owner>/<model>/<framework>/<variation>/<version>/           the files
//! <root>/models/<owner>/<model>/<framework>/<variation>/<version>.complete   all of them are there
//! ```
//!
//! kagglehub writes in place and has no lock: only its marker, which it makes last, says that a model is whole
//! (`cache.py`). The framework is spelled as whoever asked kagglehub spelled it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::handle::Variation;
use crate::savedmodel;

use super::model::Sealed;

/// Frameworks whose models are known by their files: the others' may have any.
const KNOWN: [&str; 4] = ["tensorFlow1", "tensorFlow2", "tfLite", "tfJs"];

/// The model in kagglehub's cache, if it is there, whole, and nothing leads out of `root` on the way. Reads the disk.
pub fn find(root: &Path, name: &Variation<'_>) -> Option<Sealed> {
    let version = name.version?.to_string();
    let root = root.join("models").canonicalize().ok()?;
    let model = root.join(part(name.owner)?).join(part(name.model)?);
    let mut frameworks = spellings(&model, part(name.framework)?).into_iter();
    frameworks.find_map(|framework| {
        let variation = framework.join(part(name.variation)?);
        let marker = variation.join(format!("{version}.complete"));
        let dir = variation.join(&version);
        // A link in place of any directory would lead elsewhere than its name says.
        let here = dir.canonicalize().is_ok_and(|real| real == dir);
        let marked = fs::symlink_metadata(marker).is_ok_and(|meta| meta.is_file());
        (here && marked).then(|| whole(dir, name.framework))?
    })
}

fn whole(dir: PathBuf, framework: &str) -> Option<Sealed> {
    let shown = dir.display().to_string();
    let sealed = Sealed::load(dir).ok()?;
    let known = KNOWN
        .iter()
        .any(|name| name.eq_ignore_ascii_case(framework));
    let flaw = match known {
        true => savedmodel::flaw(&sealed),
        false => savedmodel::variables_flaw(&sealed),
    };
    if let Some(flaw) = flaw {
        tracing::warn!(dir = shown, %flaw, "kagglehub's copy is not whole, and not used");
        return None;
    }
    (!sealed.children("")?.is_empty()).then_some(sealed)
}

/// Directories of a framework: the one that is spelled the same first.
fn spellings(model: &Path, framework: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(model).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| name.eq_ignore_ascii_case(framework))
        .collect();
    names.sort_unstable_by_key(|name| (name != framework, name.clone()));
    names.into_iter().map(|name| model.join(name)).collect()
}

/// One component of a path.
fn part(text: &str) -> Option<&str> {
    (!matches!(text, "" | "." | "..") && !text.contains('/')).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const NAME: Variation<'static> = Variation {
        owner: "google",
        model: "yamnet",
        framework: "tensorFlow2",
        variation: "yamnet",
        version: Some(1),
    };

    /// A cache with the model under this spelling of its framework; gives the variation's directory.
    fn cache(framework: &str) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().join("models/google/yamnet");
        let variation = base.join(framework).join("yamnet");
        fs::create_dir_all(variation.join("1")).unwrap();
        fs::write(variation.join("1/saved_model.pb"), "graph").unwrap();
        fs::write(variation.join("1.complete"), "").unwrap();
        (root, variation)
    }

    #[test]
    fn a_marked_model_is_found_in_any_case_of_its_framework() {
        for framework in ["tensorFlow2", "TensorFlow2", "tensorflow2"] {
            let (root, _) = cache(framework);
            let sealed = find(root.path(), &NAME).unwrap();
            assert_eq!(sealed.bytes(), 5);
            assert!(sealed.open("saved_model.pb").is_ok());
        }
        let (root, _) = cache("tensorFlow1");
        assert!(find(root.path(), &NAME).is_none());
    }

    #[test]
    fn what_is_not_whole_is_not_found() {
        let (root, variation) = cache("tensorFlow2");
        let unversioned = Variation {
            version: None,
            ..NAME
        };
        assert!(find(root.path(), &unversioned).is_none());
        fs::remove_file(variation.join("1.complete")).unwrap();
        assert!(find(root.path(), &NAME).is_none(), "no marker");
        fs::create_dir(variation.join("1.complete")).unwrap();
        assert!(find(root.path(), &NAME).is_none(), "no marker");
        fs::remove_dir(variation.join("1.complete")).unwrap();
        fs::write(variation.join("1.complete"), "").unwrap();
        assert!(find(root.path(), &NAME).is_some());
        fs::create_dir(variation.join("1/variables")).unwrap();
        fs::write(
            variation.join("1/variables/variables.data-00000-of-00001"),
            "",
        )
        .unwrap();
        assert!(find(root.path(), &NAME).is_none(), "no index");
        fs::remove_dir_all(variation.join("1")).unwrap();
        assert!(find(root.path(), &NAME).is_none(), "no files");
    }

    #[test]
    fn models_of_other_frameworks_have_files_of_their_own() {
        let (root, variation) = cache("PyTorch");
        fs::rename(
            variation.join("1/saved_model.pb"),
            variation.join("1/x.bin"),
        )
        .unwrap();
        let name = Variation {
            framework: "pyTorch",
            ..NAME
        };
        assert!(find(root.path(), &name).is_some());
        fs::remove_file(variation.join("1/x.bin")).unwrap();
        assert!(find(root.path(), &name).is_none());
    }

    #[test]
    fn nothing_leads_out_of_it() {
        let (root, variation) = cache("tensorFlow2");
        let (elsewhere, other) = cache("tensorFlow2");
        fs::remove_dir_all(variation.join("1")).unwrap();
        symlink(other.join("1"), variation.join("1")).unwrap();
        assert!(find(root.path(), &NAME).is_none());
        fs::remove_dir_all(root.path().join("models/google")).unwrap();
        let google = elsewhere.path().join("models/google");
        symlink(google, root.path().join("models/google")).unwrap();
        assert!(find(root.path(), &NAME).is_none());
        for owner in ["..", "", "a/b"] {
            assert!(find(root.path(), &Variation { owner, ..NAME }).is_none());
        }
    }
}
