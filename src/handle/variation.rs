//! A Kaggle handle by its parts.

use super::{Handle, Kind};

/// What a Kaggle handle in either form names: `models/OWNER/MODEL/FRAMEWORK/VARIATION[/VERSION]`, or with the words
/// `frameworks`, `variations` and `versions` between. The parts are spelled as in the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variation<'a> {
    /// Whose model it is.
    pub owner: &'a str,
    /// The model.
    pub model: &'a str,
    /// In any case.
    pub framework: &'a str,
    /// Of the model, in this framework.
    pub variation: &'a str,
    /// If the handle has one.
    pub version: Option<u64>,
}

impl Handle {
    /// The parts of a Kaggle handle; `None` for any other.
    pub fn variation(&self) -> Option<Variation<'_>> {
        if self.kind() != Kind::Kaggle {
            return None;
        }
        let parts = self.components();
        let (framework, variation) = match parts.get(3)? {
            &"frameworks" => (parts.get(4)?, parts.get(6)?),
            framework => (framework, parts.get(4)?),
        };
        Some(Variation {
            owner: parts.get(1)?,
            model: parts.get(2)?,
            framework,
            variation,
            version: self.version(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_have_the_same_parts() {
        for (url, version) in [
            (
                "https://www.kaggle.com/models/o/m/TensorFlow2/400/3",
                Some(3),
            ),
            ("https://kaggle.com/models/o/m/TensorFlow2/400", None),
            (
                "https://kaggle.com/models/o/m/frameworks/TensorFlow2/variations/400/versions/3",
                Some(3),
            ),
            (
                "https://www.kaggle.com/models/o/m/frameworks/TensorFlow2/variations/400",
                None,
            ),
        ] {
            let handle = Handle::parse(url).unwrap();
            let parts = Variation {
                owner: "o",
                model: "m",
                framework: "TensorFlow2",
                variation: "400",
                version,
            };
            assert_eq!(handle.variation(), Some(parts), "{url}");
        }
        let other = Handle::parse("https://tfhub.dev/models/o/m/f/v/1").unwrap();
        assert_eq!(other.variation(), None);
    }
}
