//! A catalog: a list of handles that a mount shows before anybody has asked for them.
//!
//! ```text
//! # what the serving hosts need
//! https://tfhub.dev/google/nnlm-en-dim128/2    prefetch pin
//! https://tfhub.dev/google/yamnet/1?tfhub-redirect=true
//! ```
//!
//! One handle a line, then words; a `#` at the beginning of a line or after white space begins a comment.

use super::{Handle, HandleError, Key, Kind, Names};
use crate::config::shown;

/// No list that people write is longer, and each line costs memory.
const MAX_LINES: usize = 100_000;

/// A catalog that was read and has no bad line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HandleList {
    lines: Vec<Listed>,
}

/// One line of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    handle: Handle,
    path: String,
    spelled: Key,
    pin: bool,
    prefetch: bool,
}

/// A line that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {number}: {why}")]
pub struct BadLine {
    /// Counted from 1.
    pub number: usize,
    /// What is wrong with it.
    pub why: BadListed,
}

/// What is wrong with a line of a catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadListed {
    /// It begins with no handle, or with one that has no path in this mount.
    #[error(transparent)]
    Handle(#[from] HandleError),
    /// What follows the handle is no word that is known.
    #[error("`{0}` is not a word of a catalog; after the handle may stand `pin` and `prefetch`")]
    Word(String),
    /// It is to be kept, and is not of the kind that is.
    #[error(
        "{0} is read in its bucket and never kept as a whole; take the words after it away, or name an archive"
    )]
    NotKept(String),
    /// It is to be pinned, and a newer version would be another model.
    #[error("{0} has no version, and `pin` keeps one version; add it, like {0}/1")]
    Unversioned(String),
    /// The list is too long.
    #[error("a catalog has at most {MAX_LINES} lines with handles")]
    TooMany,
}

impl HandleList {
    /// Reads a catalog's text. Every line must be good, or all bad ones are told.
    pub fn parse(text: &str, names: &Names) -> Result<HandleList, Vec<BadLine>> {
        let (mut lines, mut bad) = (Vec::new(), Vec::new());
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (at, line) in text.lines().enumerate() {
            let number = at + 1;
            if lines.len() + bad.len() == MAX_LINES {
                let why = BadListed::TooMany;
                bad.push(BadLine { number, why });
                break;
            }
            match read(line, names) {
                Ok(listed) => lines.extend(listed),
                Err(why) => bad.push(BadLine { number, why }),
            }
        }
        match bad.is_empty() {
            true => Ok(HandleList { lines }),
            false => Err(bad),
        }
    }

    /// Its lines, in order.
    pub fn lines(&self) -> &[Listed] {
        &self.lines
    }

    /// The handles that are marked `pin`.
    pub fn pinned(&self) -> impl Iterator<Item = &Handle> {
        let pinned = self.lines.iter().filter(|line| line.pin);
        pinned.map(|line| &line.handle)
    }

    /// The handles that are marked `prefetch`.
    pub fn prefetched(&self) -> impl Iterator<Item = &Handle> {
        let wanted = self.lines.iter().filter(|line| line.prefetch);
        wanted.map(|line| &line.handle)
    }
}

impl Listed {
    /// The handle, without what was pasted with it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Its canonical path below the mountpoint.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name that tensorflow_hub gives the handle as it is spelled in the line.
    pub fn spelled(&self) -> Key {
        self.spelled
    }
}

/// One line; nothing for one without a handle.
fn read(line: &str, names: &Names) -> Result<Option<Listed>, BadListed> {
    let mut words = line
        .split_whitespace()
        .take_while(|word| !word.starts_with('#'));
    let Some(typed) = words.next() else {
        return Ok(None);
    };
    let handle = Handle::parse(typed)?;
    let path = names.path(&handle)?;
    let mut listed = Listed {
        handle,
        path,
        spelled: Key::of(typed),
        pin: false,
        prefetch: false,
    };
    for word in words {
        match word {
            "pin" => listed.pin = true,
            "prefetch" => listed.prefetch = true,
            other => return Err(BadListed::Word(shown(other))),
        }
    }
    if (listed.pin || listed.prefetch) && listed.handle.kind() == Kind::Bucket {
        return Err(BadListed::NotKept(listed.handle.url()));
    }
    let numbered = listed.handle.version().is_some() || listed.handle.kind() == Kind::Archive;
    if listed.pin && !numbered {
        return Err(BadListed::Unversioned(listed.handle.url()));
    }
    Ok(Some(listed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<HandleList, Vec<BadLine>> {
        let names = Names::new("https://tfhub.dev", Default::default()).unwrap();
        HandleList::parse(text, &names)
    }

    #[test]
    fn one_handle_a_line_with_words_and_comments() {
        let text = "\u{feff}# all we need\n\n  https://tfhub.dev/google/x/1   prefetch  pin # twice\r\n\
            https://tfhub.dev/google/y/2/?tfhub-redirect=true\t pin\n  # https://tfhub.dev/google/no/1\n\
            https://example.com/m.tar.gz#top prefetch\nhttps://tfhub.dev/google/z\ngs://bucket/dir/model";
        let list = parse(text).unwrap();
        let paths: Vec<_> = list.lines().iter().map(Listed::path).collect();
        assert_eq!(
            paths,
            [
                "google/x/1",
                "google/y/2",
                "example.com/m.tar.gz",
                "google/z/latest",
                "gs:/bucket/dir/model"
            ]
        );
        let urls = |handles: Vec<&Handle>| handles.iter().map(|h| h.url()).collect::<Vec<_>>();
        assert_eq!(
            urls(list.pinned().collect()),
            [
                "https://tfhub.dev/google/x/1",
                "https://tfhub.dev/google/y/2"
            ]
        );
        assert_eq!(
            urls(list.prefetched().collect()),
            [
                "https://tfhub.dev/google/x/1",
                "https://example.com/m.tar.gz"
            ]
        );
        let spelled = Key::of("https://tfhub.dev/google/y/2/?tfhub-redirect=true");
        assert_eq!(list.lines()[1].spelled(), spelled);
        assert_eq!(parse(""), Ok(HandleList::default()));
    }

    #[test]
    fn every_bad_line_is_told_with_its_number() {
        let text = "https://tfhub.dev/google/x/1\ngoogle/x/1\nhttps://tfhub.dev/google/x/1 pinned\n\
            http://example.com/a/b/1\ngs://bucket/dir prefetch\nhttps://tfhub.dev/google/x/1/saved_model.pb\n\
            https://tfhub.dev/google/x pin";
        let told: Vec<String> = parse(text)
            .unwrap_err()
            .iter()
            .map(BadLine::to_string)
            .collect();
        let want = [
            "line 2: ",
            "line 3: `pinned` is not a word",
            "line 4: ",
            "line 5: gs://bucket/dir is read in its bucket",
            "line 6: ",
            "line 7: https://tfhub.dev/google/x has no version",
        ];
        assert_eq!(told.len(), want.len(), "{told:?}");
        for (told, want) in told.iter().zip(want) {
            assert!(told.starts_with(want), "{told} for {want}");
        }
    }

    #[test]
    fn secrets_of_a_bad_line_are_not_told() {
        for line in [
            "https://u:secret@tfhub.dev/google/x/1",
            "tfhub.dev/x/1?token=secret",
            "https://tfhub.dev/google/x/1 https://h/x?token=secret",
        ] {
            let told = parse(line).unwrap_err()[0].to_string();
            assert!(!told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn a_list_has_an_end() {
        let text = "https://tfhub.dev/google/x/1\n".repeat(MAX_LINES + 5);
        let bad = parse(&text).unwrap_err();
        assert_eq!(bad.len(), 1);
        assert_eq!(
            (bad[0].number, &bad[0].why),
            (MAX_LINES + 1, &BadListed::TooMany)
        );
    }
}
