//! Names: a handle is text checked once, and turns back into a URL or a mount path.
//!
//! A [`Handle`] is the URL of a model as tensorflow_hub accepts it. [`Names`] holds the rules of
//! one mount, and turns a handle into a path below the mountpoint and a path into a [`Place`]:
//! what that path is, as far as text can tell. Nothing here asks anybody anything.
//!
//! ```text
//! https://tfhub.dev/google/x/1              google/x/1          the hub owns the short names
//! https://tfhub.dev/google/x                google/x/latest     unversioned: the newest
//! https://models.example.com/a/b/1          models.example.com/a/b/1
//! https://modelserver/a/b/1                 https:/modelserver/a/b/1     a host without a dot
//! http://127.0.0.1:8080/a/b/1               http:/127.0.0.1:8080/a/b/1   where plain http is allowed
//! https://example.com/x/model.tar.gz        example.com/x/model.tar.gz
//! gs://bucket/dir/model                     gs:/bucket/dir/model     a directory, or an object
//! ```
//!
//! Every model has one canonical path; the other spellings (`tfhub.dev/google/x/1`,
//! `https:/tfhub.dev/google/x/1`, `google/x/1?tfhub-redirect=true`) are symbolic links to it, so
//! that a model has one inode. A *root* is where a handle ends, by position and never by asking:
//! see `rules` for hubs and `kaggle` for Kaggle.

mod bucket;
mod error;
mod host;
mod kaggle;
mod key;
mod list;
mod names;
mod parse;
mod path;
mod place;
mod rules;
#[cfg(test)]
mod tests;
mod variation;
mod version;
mod words;

pub use bucket::BucketPath;
pub use error::{BadHost, BadName, HandleError, NoName};
pub use kaggle::Catalogue;
pub use key::Key;
pub use list::{BadLine, BadListed, HandleList, Listed};
pub use names::Names;
pub use parse::{Handle, Scheme};
pub use path::{MAX_COMPONENT, MAX_PATH, is_plain_path};
pub use place::Place;
pub use variation::Variation;
pub use version::{Format, Kind};
