//! Where a handle ends on a host that speaks the hosting protocol.
//!
//! The root is the first component that is
//!
//! - an archive by its ending, anywhere;
//! - a number, from the third component on: `publisher/name.../version`;
//! - `latest`, from the second on: the model without a version.
//!
//! On the hub this is certain, except below `publisher/tfjs-model/` and `publisher/lite-model/`,
//! where handles have numbers in the middle (`google/tfjs-model/spice/2/default/1`). A host that is
//! not known to be a hub may have numbers anywhere (`/releases/download/2024/model.tar.gz`), so
//! there they are uncertain too. Who finds that an uncertain root is no model can ask again with
//! `refused` one higher, and it is read as a directory.

use super::{NoName, kaggle, words};

/// Whose rules hold on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// The hub of the mount, or one known to be a hub.
    Hub,
    /// Any other host.
    Elsewhere,
    /// Kaggle.
    Kaggle,
}

/// What a path below a host is. Numbers count components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Above every root.
    Dir,
    /// Lists the versions of the model that the first `model` components name.
    Versions { model: usize },
    /// The unversioned model of the first `model` components; what follows `end` is inside.
    Latest { model: usize, end: usize },
    /// The model that ends at `end`.
    Root { end: usize, certain: bool },
}

/// Reads the components below a host (or below the hub's base).
pub(super) fn read(naming: Naming, components: &[&str], refused: usize) -> Result<Reading, NoName> {
    if naming == Naming::Kaggle {
        return kaggle::read(components);
    }
    let with_formats = components
        .get(1)
        .is_some_and(|name| words::FORMATS.contains(name));
    let sure = naming == Naming::Hub && !with_formats;
    let mut refused = if sure { 0 } else { refused };
    for (index, &name) in components.iter().enumerate() {
        words::check(name)?;
        let end = index + 1;
        let reading = if words::is_archive(name) {
            return Ok(Reading::Root { end, certain: true });
        } else if index >= 2 && words::is_digits(name) {
            Reading::Root { end, certain: sure }
        } else if index >= 1 && name == words::LATEST {
            Reading::Latest { model: index, end }
        } else {
            continue;
        };
        match refused.checked_sub(1) {
            Some(left) => refused = left,
            None => return Ok(reading),
        }
    }
    let model = components.len();
    Ok(if model < 2 || (model == 2 && with_formats) {
        Reading::Dir
    } else {
        Reading::Versions { model }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(naming: Naming, path: &str, refused: usize) -> Reading {
        read(naming, &path.split('/').collect::<Vec<_>>(), refused).unwrap()
    }

    fn root(end: usize) -> Reading {
        Reading::Root { end, certain: true }
    }

    #[test]
    fn a_number_after_publisher_and_name_is_the_root() {
        let hub = |path| at(Naming::Hub, path, 0);
        assert_eq!(hub("google"), Reading::Dir);
        assert_eq!(hub("google/400"), Reading::Versions { model: 2 });
        assert_eq!(hub("google/x/1"), root(3));
        assert_eq!(hub("google/x/1/variables"), root(3));
        assert_eq!(hub("google/imagenet/v2_100/feature_vector/5"), root(5));
        assert_eq!(
            hub("google/x/latest/a"),
            Reading::Latest { model: 2, end: 3 }
        );
        assert_eq!(hub("google/x/m.tar.gz/1"), root(3));
        assert_eq!(at(Naming::Hub, "google/x/1/2", 3), root(3));
    }

    #[test]
    fn other_formats_have_numbers_in_the_middle() {
        let uncertain = |end| Reading::Root {
            end,
            certain: false,
        };
        let path = "google/tfjs-model/spice/2/default/1";
        assert_eq!(at(Naming::Hub, path, 0), uncertain(4));
        assert_eq!(at(Naming::Hub, path, 1), uncertain(6));
        assert_eq!(at(Naming::Hub, path, 2), Reading::Versions { model: 6 });
        assert_eq!(at(Naming::Hub, "google/tfjs-model", 0), Reading::Dir);
        assert_eq!(
            at(Naming::Hub, "google/lite-model/x", 0),
            Reading::Versions { model: 3 }
        );
    }

    #[test]
    fn other_hosts_are_uncertain() {
        let path = "o/r/releases/latest/download/1/model.tar.gz";
        let read = |refused| at(Naming::Elsewhere, path, refused);
        assert_eq!(read(0), Reading::Latest { model: 3, end: 4 });
        assert_eq!(
            read(1),
            Reading::Root {
                end: 6,
                certain: false
            }
        );
        assert_eq!(read(2), root(7));
    }
}
