//! The result of a scan, and how a name is found in it.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// How a ready-made archive is packed, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suffix {
    /// `.tar.gz`
    TarGz,
    /// `.tgz`
    Tgz,
    /// `.tar`, not compressed
    Tar,
}

impl Suffix {
    /// Every suffix, the one that wins first.
    pub const ALL: [Suffix; 3] = [Suffix::TarGz, Suffix::Tgz, Suffix::Tar];

    /// With its leading dot.
    pub fn text(self) -> &'static str {
        match self {
            Suffix::TarGz => ".tar.gz",
            Suffix::Tgz => ".tgz",
            Suffix::Tar => ".tar",
        }
    }

    /// The media type of such an archive.
    pub fn content_type(self) -> &'static str {
        match self {
            Suffix::TarGz | Suffix::Tgz => "application/gzip",
            Suffix::Tar => "application/x-tar",
        }
    }
}

/// Where the bytes of one version are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A directory, packed when it is asked for.
    Tree(PathBuf),
    /// An archive, sent as it is.
    Ready(PathBuf, Suffix),
}

/// Something in the served directory that looks like a model and is not offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// Its path below the served directory.
    pub name: String,
    /// Why, and what to do.
    pub why: String,
}

/// What one scan found.
#[derive(Debug, Default)]
pub struct Listing {
    /// `<publisher>/<model...>` to its versions.
    pub models: BTreeMap<String, BTreeMap<u64, Form>>,
    /// What is not offered.
    pub passed_over: Vec<PassedOver>,
}

/// What a name means.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A versioned handle.
    Version {
        /// `<publisher>/<model...>`.
        model: &'a str,
        /// Its version.
        number: u64,
        /// Its bytes.
        form: &'a Form,
    },
    /// An unversioned handle; never without versions.
    Model {
        /// `<publisher>/<model...>`.
        model: &'a str,
        /// Its versions.
        versions: &'a BTreeMap<u64, Form>,
    },
    /// Models lie below this name: a publisher, or the empty name for all.
    Shelf,
    /// No such name.
    Nothing,
}

impl Listing {
    /// Looks up a handle without host: components joined by single slashes.
    pub fn find<'a>(&'a self, name: &str) -> Found<'a> {
        if let Some((model, last)) = name.rsplit_once('/')
            && let Some(number) = version_number(last)
            && let Some((model, versions)) = self.models.get_key_value(model)
            && let Some(form) = versions.get(&number)
        {
            return Found::Version {
                model,
                number,
                form,
            };
        }
        if let Some((model, versions)) = self.models.get_key_value(name) {
            return Found::Model { model, versions };
        }
        if name.is_empty() || self.below(name).next().is_some() {
            return Found::Shelf;
        }
        Found::Nothing
    }

    /// The models whose names lie below `name`, in order; all for the empty name.
    pub fn below<'a>(
        &'a self,
        name: &str,
    ) -> impl Iterator<Item = (&'a str, &'a BTreeMap<u64, Form>)> + use<'a> {
        let prefix = if name.is_empty() {
            String::new()
        } else {
            format!("{name}/")
        };
        self.models
            .range(prefix.clone()..)
            .take_while(move |(model, _)| model.starts_with(&prefix))
            .map(|(model, versions)| (model.as_str(), versions))
    }

    /// The handles of all versions, without host.
    #[cfg(test)]
    pub fn handles(&self) -> impl Iterator<Item = String> {
        self.models.iter().flat_map(|(model, versions)| {
            versions
                .keys()
                .map(move |number| format!("{model}/{number}"))
        })
    }
}

/// A version as a handle spells it: digits, no leading zero, so that one
/// version has one name.
pub fn version_number(component: &str) -> Option<u64> {
    let digits = component.bytes().all(|b| b.is_ascii_digit());
    let plain = component.len() == 1 || !component.starts_with('0');
    if digits && plain {
        component.parse().ok()
    } else {
        None
    }
}

/// True for a component that TensorFlow Hub allows in a handle: `[\w.-]+`, here
/// in ASCII, and not hidden.
pub fn is_component(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(handles: &[&str]) -> Listing {
        let mut listing = Listing::default();
        for handle in handles {
            let (model, number) = handle.rsplit_once('/').unwrap();
            let form = Form::Tree(PathBuf::from(handle));
            listing
                .models
                .entry(model.into())
                .or_default()
                .insert(number.parse().unwrap(), form);
        }
        listing
    }

    #[test]
    fn names_are_versions_models_or_shelves() {
        let listing = listing(&["g/m/1", "g/m/squad/1", "g/m-x/1", "g/spice/2/default/1"]);
        assert!(matches!(
            listing.find("g/m/1"),
            Found::Version {
                model: "g/m",
                number: 1,
                ..
            }
        ));
        assert!(matches!(
            listing.find("g/m"),
            Found::Model { model: "g/m", .. }
        ));
        assert!(matches!(listing.find("g/m/squad"), Found::Model { .. }));
        assert!(matches!(
            listing.find("g/spice/2/default/1"),
            Found::Version { .. }
        ));
        assert_eq!(listing.find("g/spice/2"), Found::Shelf);
        assert_eq!(listing.find("g"), Found::Shelf);
        assert_eq!(listing.find(""), Found::Shelf);
        for nothing in [
            "g/m/2", "g/m/01", "g/m/+1", "g/", "/g", "m", "g/m/", "g/mm", "../g/m/1", "g/./m/1",
        ] {
            assert_eq!(listing.find(nothing), Found::Nothing, "{nothing}");
        }
    }

    #[test]
    fn a_shelf_holds_only_what_lies_below_it() {
        let listing = listing(&["g/m/1", "g/m/squad/1", "g/m-x/1", "h/m/1"]);
        let below = |name| {
            listing
                .below(name)
                .map(|(model, _)| model.to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(below("g/m"), ["g/m/squad"]);
        assert_eq!(below("g"), ["g/m", "g/m-x", "g/m/squad"]);
        assert_eq!(below("").len(), 4);
    }

    #[test]
    fn version_numbers_have_one_spelling() {
        assert_eq!(version_number("0"), Some(0));
        assert_eq!(version_number("18446744073709551615"), Some(u64::MAX));
        for wrong in ["", "01", "+1", "-1", "1.0", "18446744073709551616", "١"] {
            assert_eq!(version_number(wrong), None, "{wrong}");
        }
    }
}
