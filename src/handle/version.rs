//! Kinds and versions of handles: with, without, and which.

use super::{Handle, kaggle, words};

/// The place `hub.tensorflow.google.cn`, whose archives lie at an address of their own.
pub(super) const TENSORFLOW_CN: &str = "hub.tensorflow.google.cn";

/// What a handle's form says about where its bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A host that speaks the hosting protocol.
    Hosted,
    /// Kaggle, short or long form.
    Kaggle,
    /// The URL of an archive, by its ending; perhaps in a bucket.
    Archive,
    /// A directory or an object of a bucket, which is read where it is.
    Bucket,
    /// `hub.tensorflow.google.cn`, whose archives are at
    /// `https://gcs.tensorflow.google.cn/tfhub-modules/<path>.tar.gz` (tensorflow_hub's
    /// `compressed_module_resolver.py`).
    TensorflowCn,
}

/// In which of TensorFlow's formats a model is, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A SavedModel, or what nothing is known of.
    SavedModel,
    /// One `.tflite` file.
    TfLite,
    /// `model.json` and shards.
    TfJs,
}

impl Handle {
    /// The format: from tfhub.dev's `<publisher>/lite-model/...` and `<publisher>/tfjs-model/...`, and from Kaggle's
    /// framework in any case.
    pub fn format(&self) -> Format {
        let components = self.components();
        let word = match self.kind() {
            Kind::Kaggle => kaggle::framework(&components),
            _ => components.get(1).copied(),
        };
        match word.map(str::to_ascii_lowercase).as_deref() {
            Some("lite-model" | "tflite") => Format::TfLite,
            Some("tfjs-model" | "tfjs") => Format::TfJs,
            _ => Format::SavedModel,
        }
    }

    /// What the handle's form says about its source.
    pub fn kind(&self) -> Kind {
        if kaggle::is_host(self.authority()) {
            Kind::Kaggle
        } else if words::is_archive(self.path()) {
            Kind::Archive
        } else if self.scheme().is_bucket() {
            Kind::Bucket
        } else if self.authority() == TENSORFLOW_CN {
            Kind::TensorflowCn
        } else {
            Kind::Hosted
        }
    }

    /// The version's number, if the handle names one: on a hub a last component of digits after
    /// publisher and name, on Kaggle the component for it. Archives have none.
    pub fn version(&self) -> Option<u64> {
        let components = self.components();
        let last = components.last()?;
        let versioned = match self.kind() {
            Kind::Archive | Kind::Bucket => false,
            Kind::Kaggle => kaggle::is_versioned(&components),
            Kind::Hosted | Kind::TensorflowCn => components.len() >= 3 && words::is_digits(last),
        };
        versioned.then(|| last.parse().ok()).flatten()
    }

    /// The same model without its version, or `None` if it has none.
    pub fn unversioned(&self) -> Option<Handle> {
        self.version()?;
        let components = self.components();
        let drop = if self.is_long_kaggle() { 2 } else { 1 };
        Some(self.with_path(components[..components.len() - drop].join("/")))
    }

    /// The same model at `version`, whether or not it names one now. Meaningless for an archive,
    /// which has no versions.
    pub fn with_version(&self, version: u64) -> Handle {
        let model = self.unversioned().unwrap_or_else(|| self.clone());
        let versions = if model.is_long_kaggle() {
            "versions/"
        } else {
            ""
        };
        model.with_path(format!("{}/{versions}{version}", model.path()))
    }

    fn is_long_kaggle(&self) -> bool {
        self.kind() == Kind::Kaggle && kaggle::is_long(&self.components())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(url: &str) -> Handle {
        Handle::parse(url).unwrap()
    }

    #[test]
    fn the_kind_is_in_the_form() {
        for (url, kind) in [
            ("https://tfhub.dev/google/x/1", Kind::Hosted),
            (
                "https://kaggle.com/models/google/nnlm/tensorFlow2/en-dim128/2",
                Kind::Kaggle,
            ),
            (
                "https://www.kaggle.com/models/google/nnlm/tensorFlow2/en-dim128",
                Kind::Kaggle,
            ),
            ("https://example.com/x/model.tar.gz", Kind::Archive),
            (
                "https://hub.tensorflow.google.cn/google/bit/s-r50x1/1",
                Kind::TensorflowCn,
            ),
        ] {
            assert_eq!(handle(url).kind(), kind, "{url}");
        }
    }

    #[test]
    fn versions_come_off_and_on() {
        for (url, model, version) in [
            (
                "https://tfhub.dev/google/x/12",
                "https://tfhub.dev/google/x",
                12,
            ),
            (
                "https://tfhub.dev/google/tfjs-model/spice/2/default/1",
                "https://tfhub.dev/google/tfjs-model/spice/2/default",
                1,
            ),
            (
                "https://www.kaggle.com/models/deepmind/i3d-kinetics/tensorFlow1/400/1",
                "https://www.kaggle.com/models/deepmind/i3d-kinetics/tensorFlow1/400",
                1,
            ),
            (
                "https://kaggle.com/models/g/n/frameworks/TensorFlow2/variations/v/versions/3",
                "https://kaggle.com/models/g/n/frameworks/TensorFlow2/variations/v",
                3,
            ),
        ] {
            let versioned = handle(url);
            assert_eq!(versioned.version(), Some(version), "{url}");
            let unversioned = versioned.unversioned().unwrap();
            assert_eq!(unversioned, handle(model));
            assert_eq!(
                (unversioned.version(), unversioned.unversioned()),
                (None, None)
            );
            assert_eq!(unversioned.with_version(version), versioned);
            assert_eq!(
                versioned.with_version(version + 1).version(),
                Some(version + 1)
            );
        }
    }

    #[test]
    fn what_has_no_version() {
        for url in [
            "https://tfhub.dev/google/x",
            "https://tfhub.dev/google/400",
            "https://www.kaggle.com/models/deepmind/i3d-kinetics/tensorFlow1/400",
            "https://example.com/a/b/1.tar.gz",
        ] {
            assert_eq!(handle(url).version(), None, "{url}");
        }
        assert_eq!(handle("https://e.example/a/b/007").version(), Some(7));
    }
}
