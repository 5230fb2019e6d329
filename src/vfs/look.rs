//! One look into a model's content, whichever state it is in.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt;

use super::attr::Ttl;
use super::lookup::ttl_of;
use crate::cache::{Attr, FileTree, Filling, Found, Need};
use crate::handle::Handle;
use crate::models::{Content, Error, Model};
use crate::savedmodel::GRAPHS;

/// What one look at a name inside a model tells.
pub(super) enum EntryState {
    /// A file and its exact size.
    File { size: u64, mtime: SystemTime },
    /// A directory.
    Directory { mtime: SystemTime },
    /// Not in this model.
    Absent,
    /// Not seen yet; the rest of the archive may hold it.
    NotYet(Arc<Filling>),
    /// The filling has failed.
    Failed(Error),
}

/// What `inside` is, as far as that is known without waiting, and for how long.
///
/// A model that has been here before is known by its names while its bytes are away, or on their way back.
pub(super) fn lookup_known(model: &Model, inside: &str) -> Option<(EntryState, Ttl)> {
    let before = || {
        let outline = model.outline()?;
        Some((look_back(&outline, inside), Ttl::Short))
    };
    let Some(content) = model.here() else {
        return before();
    };
    match look(&content, inside, model.handle()) {
        EntryState::NotYet(filling) if is_harmless(&filling, inside) => {
            Some((EntryState::Absent, Ttl::Zero))
        }
        EntryState::NotYet(_) => before(),
        EntryState::Failed(_) => None,
        seen => Some((seen, ttl_of(&content))),
    }
}

fn look_back(outline: &FileTree, inside: &str) -> EntryState {
    match outline.find(inside) {
        Some(Attr::Dir { mtime }) => EntryState::Directory { mtime },
        Some(Attr::File { size, mtime }) => EntryState::File { size, mtime },
        None => EntryState::Absent,
    }
}

/// Looks at `inside` (empty: the model's root).
pub(super) fn look(content: &Content, inside: &str, handle: &Handle) -> EntryState {
    match content {
        Content::Sealed(sealed) => look_back(sealed.file_tree(), inside),
        Content::Filling(filling) => match filling.find(inside) {
            Found::File(file) => EntryState::File {
                size: file.size(),
                mtime: file.mtime(),
            },
            Found::Dir { mtime } => EntryState::Directory { mtime },
            Found::Absent => EntryState::Absent,
            Found::NotYet => EntryState::NotYet(filling.clone()),
            Found::Failed(why) => EntryState::Failed(Error::of_failure(&why, &handle.url())),
        },
    }
}

/// Whether a name may be answered "not here" before the archive has ended.
///
/// TensorFlow asks for these on its way to a model, nearly always in vain, and does without them: waiting for the
/// archive's end would put the whole download before the first byte.
pub(super) fn is_harmless(filling: &Filling, inside: &str) -> bool {
    let seen = |name: &str| matches!(filling.find(name), Found::File(_));
    inside == "debug" || (GRAPHS.contains(&inside) && GRAPHS.into_iter().any(seen))
}

/// Ends when another spelling of `inside` has been seen; never for names that have no other spelling.
pub(super) async fn other_spelling(filling: &Filling, inside: &str) {
    if !GRAPHS.contains(&inside) {
        return std::future::pending().await;
    }
    let others = GRAPHS.into_iter().filter(|name| *name != inside);
    let seen = others.map(|name| filling.changed(Need::Name(name.to_owned())).boxed());
    futures_util::future::select_all(seen).await;
}
