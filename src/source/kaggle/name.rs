//! A Kaggle handle by its parts.

use super::framework;
use crate::handle::Handle;
use crate::source::error::KAGGLE;

/// What a handle in either form names: `models/OWNER/MODEL/FRAMEWORK/VARIATION[/VERSION]`, or with the words
/// `frameworks`, `variations` and `versions` between. The parts are kept as the URL has them.
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
        let parts: Vec<&str> = handle.path().split('/').collect();
        let (framework, variation) = match parts.get(3)? {
            &"frameworks" => (parts.get(4)?, parts.get(6)?),
            short => (short, parts.get(4)?),
        };
        Some(Name {
            owner: parts.get(1)?.to_string(),
            model: parts.get(2)?.to_string(),
            framework: framework::slug(framework).to_owned(),
            variation: variation.to_string(),
            version: handle.version(),
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
