//! Names of archive members, vetted once.

use std::fmt;

use crate::handle::{MAX_COMPONENT, MAX_PATH};

/// The path of a member below the root of its model.
///
/// - Not empty, relative, UTF-8, no NUL, components joined by one `/`, at most [`MAX_PATH`] bytes.
/// - No component is empty, `.` or `..`, or longer than [`MAX_COMPONENT`] bytes.
///
/// So joining it to a directory stays below that directory as long as nothing there is a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why the name of a member cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// `..` leaves the model's directory.
    #[error("it leaves the directory of the model")]
    Escapes,
    /// A component above [`MAX_COMPONENT`] bytes.
    #[error("a component has {0} bytes, more than {MAX_COMPONENT}")]
    LongComponent(usize),
    /// A path above [`MAX_PATH`] bytes.
    #[error("it has {0} bytes, more than {MAX_PATH}")]
    LongPath(usize),
    /// A NUL byte, which no file system stores.
    #[error("it has a NUL byte in it")]
    Nul,
    /// Bytes that are not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// A file with the name of the model's own directory.
    #[error("it names the directory of the model itself")]
    Root,
}

impl Name {
    /// Vets the name of a member; `None` is the root of the model (`./`).
    ///
    /// Does what tensorflow_hub does (`tensorflow_hub/file_utils.py`): leading slashes are dropped, so `/a` is `a`,
    /// the rest is normalised like Python's `os.path.normpath` (`a/../b` is `b`), and what then begins with `..`
    /// escapes. Unlike tensorflow_hub, which compares text, a file whose name merely begins with two dots
    /// (`..foo`) is accepted.
    ///
    /// # Errors
    /// One [`BadName`] for each rule of the type.
    pub fn parse(raw: &[u8]) -> Result<Option<Name>, BadName> {
        if raw.contains(&0) {
            return Err(BadName::Nul);
        }
        let text = std::str::from_utf8(raw).map_err(|_| BadName::NotUtf8)?;
        let mut kept: Vec<&str> = Vec::new();
        for component in text.split('/') {
            match component {
                "" | "." => {}
                ".." => {
                    kept.pop().ok_or(BadName::Escapes)?;
                }
                long if long.len() > MAX_COMPONENT => {
                    return Err(BadName::LongComponent(long.len()));
                }
                good => kept.push(good),
            }
        }
        let name = kept.join("/");
        match name.len() {
            0 => Ok(None),
            long if long > MAX_PATH => Err(BadName::LongPath(long)),
            _ => Ok(Some(Name(name.into()))),
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components, in order.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The paths of the directories above, nearest first, without the root.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.rmatch_indices('/').map(|(end, _)| &self.0[..end])
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<std::path::Path> for Name {
    fn as_ref(&self) -> &std::path::Path {
        std::path::Path::new(self.as_str())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_vetted_as_tensorflow_hub_does() {
        let ok =
            |raw: &str| Name::parse(raw.as_bytes()).map(|name| name.map(|name| name.to_string()));
        for (raw, want) in [
            ("saved_model.pb", "saved_model.pb"),
            ("./variables/variables.index", "variables/variables.index"),
            ("assets/", "assets"),
            ("/abs.txt", "abs.txt"),
            ("///abs.txt", "abs.txt"),
            ("a/../b", "b"),
            (".//c", "c"),
            ("a/b/../../c", "c"),
            ("a/./b//c/", "a/b/c"),
            ("..foo", "..foo"),
            ("a/...", "a/..."),
            ("back\\slash", "back\\slash"),
            ("ünï/cödé", "ünï/cödé"),
        ] {
            assert_eq!(ok(raw), Ok(Some(want.to_owned())), "{raw:?}");
        }
        for root in ["", ".", "./", "/", "a/..", "./a/../"] {
            assert_eq!(ok(root), Ok(None), "{root:?}");
        }
        for escape in ["..", "../x", "/../x", "a/../../x", "a/../../a/x", "./../x"] {
            assert_eq!(ok(escape), Err(BadName::Escapes), "{escape:?}");
        }
    }

    #[test]
    fn names_are_bounded() {
        let long = |len| Name::parse("x".repeat(len).as_bytes());
        assert!(long(255).is_ok());
        assert_eq!(long(256), Err(BadName::LongComponent(256)));
        let path = |len: usize| Name::parse("x/".repeat(len).as_bytes());
        assert!(path(2048).is_ok());
        assert_eq!(path(2049), Err(BadName::LongPath(4097)));
        assert_eq!(Name::parse(b"a\0b"), Err(BadName::Nul));
        assert_eq!(Name::parse(b"a\xff"), Err(BadName::NotUtf8));
    }

    #[test]
    fn parents_come_nearest_first() {
        let name = Name::parse(b"a/b/c").unwrap().unwrap();
        assert_eq!(name.parents().collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(Name::parse(b"a").unwrap().unwrap().parents().count(), 0);
    }

    proptest! {
        #[test]
        fn a_vetted_name_keeps_its_promises(raw in "[a./\\x00é]{0,40}") {
            if let Ok(Some(name)) = Name::parse(raw.as_bytes()) {
                prop_assert!(name.components().all(|c| !matches!(c, "" | "." | "..") && !c.contains('\0')));
                prop_assert_eq!(Name::parse(name.as_str().as_bytes()).unwrap().unwrap(), name);
            }
        }
    }
}
