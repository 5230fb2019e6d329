//! A Kaggle handle as the API has it.

use super::framework;
use crate::handle::Handle;
use crate::source::error::KAGGLE;

/// A variation, with the slug of its framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub owner: String,
    pub model: String,
    pub framework: String,
    pub variation: String,
    pub version: Option<u64>,
}

impl Name {
    /// `None` for what is no handle of Kaggle's.
    pub fn of(handle: &Handle) -> Option<Name> {
        let parts = handle.variation()?;
        Some(Name {
            owner: parts.owner.to_owned(),
            model: parts.model.to_owned(),
            framework: framework::slug(parts.framework).to_owned(),
            variation: parts.variation.to_owned(),
            version: parts.version,
        })
    }

    /// The page about the model, where terms are accepted.
    pub fn page(&self) -> String {
        format!("{KAGGLE}{}/{}", self.owner, self.model)
    }

    /// The variation's place in the API.
    pub fn path(&self) -> String {
        let Name {
            owner,
            model,
            framework,
            variation,
            ..
        } = self;
        format!("/models/{owner}/{model}/{framework}/{variation}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for (url, version) in [
            (
                "https://www.kaggle.com/models/o/m/TensorFlow2/400/3",
                Some(3),
            ),
            ("https://kaggle.com/models/o/m/tensorflow2/400", None),
            (
                "https://kaggle.com/models/o/m/frameworks/tensorFlow2/variations/400/versions/3",
                Some(3),
            ),
            (
                "https://www.kaggle.com/models/o/m/frameworks/TENSORFLOW2/variations/400",
                None,
            ),
        ] {
            let name = Name::of(&Handle::parse(url).unwrap()).unwrap();
            assert_eq!(name.path(), "/models/o/m/tensorFlow2/400", "{url}");
            assert_eq!(name.version, version, "{url}");
            assert_eq!(name.page(), "https://www.kaggle.com/models/o/m");
        }
    }
}
