//! Kaggle's two forms of a model's address, read by position.
//!
//! ```text
//! models/OWNER/MODEL/FRAMEWORK/VARIATION[/VERSION]
//! models/OWNER/MODEL/frameworks/FRAMEWORK/variations/VARIATION[/versions/VERSION]
//! ```
//!
//! Numbers elsewhere are slugs (`.../tensorFlow1/400/1`: the variation is 400). Spelling is kept
//! as typed, since tensorflow_hub's cache key is made of it.

use std::fmt;

use super::rules::Reading;
use super::{NoName, words};

/// A directory of Kaggle above its models: what it lists is Kaggle's to tell. Names as in the path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Catalogue {
    /// An owner, whose children are models.
    Owner {
        /// The owner.
        owner: String,
    },
    /// A model, whose children are frameworks.
    Model {
        /// The owner.
        owner: String,
        /// The model.
        model: String,
    },
    /// A model in one framework, whose children are variations.
    Framework {
        /// The owner.
        owner: String,
        /// The model.
        model: String,
        /// The framework.
        framework: String,
    },
}

impl fmt::Display for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("https://www.kaggle.com/models/")?;
        match self {
            Catalogue::Owner { owner } => f.write_str(owner),
            Catalogue::Model { owner, model } => write!(f, "{owner}/{model}"),
            Catalogue::Framework {
                owner,
                model,
                framework,
            } => write!(f, "{owner}/{model}/{framework}"),
        }
    }
}

/// The catalogue that a directory above every model is, if Kaggle can tell what is in it.
pub(super) fn catalogue(components: &[&str]) -> Option<Catalogue> {
    let owned = |name: &str| name.to_owned();
    match *components {
        ["models", owner] => Some(Catalogue::Owner {
            owner: owned(owner),
        }),
        ["models", owner, model] | ["models", owner, model, "frameworks"] => {
            Some(Catalogue::Model {
                owner: owned(owner),
                model: owned(model),
            })
        }
        ["models", _, _, "frameworks", _] => None,
        ["models", owner, model, framework]
        | [
            "models",
            owner,
            model,
            "frameworks",
            framework,
            "variations",
        ] => Some(Catalogue::Framework {
            owner: owned(owner),
            model: owned(model),
            framework: owned(framework),
        }),
        _ => None,
    }
}

/// The framework that a model's components name.
pub(super) fn framework<'a>(components: &[&'a str]) -> Option<&'a str> {
    let at = if is_long(components) { 4 } else { 3 };
    components.get(at).copied()
}

enum Slot {
    Word(&'static str),
    Slug,
    Version,
}
use Slot::{Slug, Version, Word};

const SHORT: &[Slot] = &[Word("models"), Slug, Slug, Slug, Slug, Version];
const LONG: &[Slot] = &[
    Word("models"),
    Slug,
    Slug,
    Word("frameworks"),
    Slug,
    Word("variations"),
    Slug,
    Word("versions"),
    Version,
];

/// Whether `authority` is one of Kaggle's two names.
pub(super) fn is_host(authority: &str) -> bool {
    matches!(authority, "www.kaggle.com" | "kaggle.com")
}

/// Whether this is the long form.
pub(super) fn is_long(components: &[&str]) -> bool {
    components.get(3) == Some(&"frameworks")
}

/// Whether this is a whole handle with a version.
pub(super) fn is_versioned(components: &[&str]) -> bool {
    components.len() == form(components).len()
}

/// Whether this is a whole handle, with or without a version.
pub(super) fn is_model(components: &[&str]) -> bool {
    let whole = is_versioned(components) || components.len() == unversioned_len(components);
    whole && matches!(read(components), Ok(reading) if !matches!(reading, Reading::Latest { .. }))
}

/// What a path below Kaggle's host is.
pub(super) fn read(components: &[&str]) -> Result<Reading, NoName> {
    let form = form(components);
    for (slot, &name) in form.iter().zip(components) {
        let fits = match slot {
            Word(word) => name == *word,
            Slug => name != words::LATEST,
            Version => words::is_digits(name) || name == words::LATEST,
        };
        if !fits {
            return Err(NoName::Kaggle {
                name: name.escape_debug().to_string(),
            });
        }
        words::check(name)?;
    }
    let model = unversioned_len(components);
    let end = form.len();
    Ok(match components.get(end - 1) {
        Some(&words::LATEST) => Reading::Latest { model, end },
        Some(_) => Reading::Root { end, certain: true },
        None if components.len() == end - 1 => Reading::Versions { model },
        None => Reading::Dir,
    })
}

/// How many components name the model without its version.
fn unversioned_len(components: &[&str]) -> usize {
    if is_long(components) { 7 } else { 5 }
}

fn form(components: &[&str]) -> &'static [Slot] {
    if is_long(components) { LONG } else { SHORT }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_path(path: &str) -> Result<Reading, NoName> {
        read(&path.split('/').collect::<Vec<_>>())
    }

    #[test]
    fn both_forms_are_read_by_position() {
        for (path, want) in [
            ("models", Reading::Dir),
            ("models/google/nnlm/tensorFlow2", Reading::Dir),
            (
                "models/google/nnlm/tensorFlow2/400",
                Reading::Versions { model: 5 },
            ),
            (
                "models/google/nnlm/tensorFlow2/400/2",
                Reading::Root {
                    end: 6,
                    certain: true,
                },
            ),
            (
                "models/google/nnlm/tensorFlow2/v/2/a/3",
                Reading::Root {
                    end: 6,
                    certain: true,
                },
            ),
            (
                "models/google/nnlm/tensorFlow2/v/latest/a",
                Reading::Latest { model: 5, end: 6 },
            ),
            ("models/g/n/frameworks/f/variations/v", Reading::Dir),
            (
                "models/g/n/frameworks/f/variations/v/versions",
                Reading::Versions { model: 7 },
            ),
            (
                "models/g/n/frameworks/f/variations/v/versions/1",
                Reading::Root {
                    end: 9,
                    certain: true,
                },
            ),
            (
                "models/g/n/frameworks/f/variations/v/versions/latest",
                Reading::Latest { model: 7, end: 9 },
            ),
        ] {
            assert_eq!(read_path(path), Ok(want), "{path}");
        }
    }

    #[test]
    fn what_fits_neither_form_is_no_name() {
        for path in [
            "datasets",
            "models/google/latest",
            "models/google/nnlm/tensorFlow2/v/x",
            "models/g/n/frameworks/f/versions",
            "models/g/n/frameworks/f/variations/v/1",
        ] {
            assert!(
                matches!(read_path(path), Err(NoName::Kaggle { .. })),
                "{path}"
            );
        }
        assert!(matches!(read_path("models/.git"), Err(NoName::Name(_))));
    }
}
