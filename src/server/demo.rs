//! The model inside the binary: what `demo` serves on a machine that has
//! nothing else and no network.

use std::fs;
use std::io;
use std::path::Path;

use flate2::read::GzDecoder;

/// A ready-made archive and the handle, without host, that it answers to.
struct Embedded {
    handle: &'static str,
    archive: &'static [u8],
}

/// Made by real TensorFlow with `scripts/make-models --demo`.
const MODELS: &[Embedded] = &[Embedded {
    handle: "demo/tiny-text-embedding/1",
    archive: include_bytes!("../../assets/demo/demo/tiny-text-embedding/1.tar.gz"),
}];

/// Unpacks the embedded models into `dir` as a directory that
/// [`Server`](super::Server) serves in both forms, and gives their handles
/// without host. The first is a text embedding: `str[batch] -> float[batch, width]`.
///
/// # Errors
/// As for creating directories and files in `dir`.
pub fn write_models(dir: &Path) -> io::Result<Vec<String>> {
    for model in MODELS {
        let place = dir.join(model.handle);
        fs::create_dir_all(&place)?;
        tar::Archive::new(GzDecoder::new(model.archive)).unpack(&place)?;
    }
    Ok(MODELS.iter().map(|model| model.handle.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::ModelIndex;
    use super::*;

    #[test]
    fn the_embedded_models_are_a_directory_to_serve() {
        let temp = tempfile::tempdir().unwrap();
        let handles = write_models(temp.path()).unwrap();
        let index = ModelIndex::open(temp.path()).unwrap();
        let served: Vec<_> = index.known().handles().collect();
        assert!(!handles.is_empty());
        assert_eq!(handles, served);
        assert!(index.known().passed_over.is_empty());
    }

    #[test]
    fn each_embedded_archive_is_a_saved_model() {
        for model in MODELS {
            let mut tar = tar::Archive::new(GzDecoder::new(model.archive));
            let names: Vec<_> = tar
                .entries()
                .unwrap()
                .map(|entry| entry.unwrap().path().unwrap().into_owned())
                .collect();
            assert!(
                names.iter().any(|name| name.ends_with("saved_model.pb")),
                "{names:?}"
            );
        }
    }
}
