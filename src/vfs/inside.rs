//! Names inside a model: answered at once if they are known, else as soon as they can be.

use std::sync::Arc;

use super::attr::{Attr, Entry, Kind, Ttl};
use super::look::{EntryState, is_harmless, look, lookup_known, other_spelling};
use super::lookup::ttl_of;
use super::nodes::{Spot, join, number};
use super::{Answer, Error, Shared, Tree};
use crate::cache::Need;
use crate::models::Model;

impl Tree {
    /// Finds `name`, which is `inside` in the model, below the path `parent`.
    pub(super) fn lookup_inside(
        &self,
        parent: &str,
        refused: usize,
        model: Arc<Model>,
        inside: String,
        name: &str,
    ) -> Answer<Entry> {
        let path = join(parent, name);
        if let Some((seen, ttl)) = lookup_known(&model, &inside) {
            let found = self
                .shared
                .inside_entry(path, refused, model, inside, seen, ttl);
            return Answer::Now(found);
        }
        let tree = self.clone();
        Answer::later(async move { tree.wait_inside(path, refused, model, inside).await })
    }

    async fn wait_inside(
        self,
        path: String,
        refused: usize,
        model: Arc<Model>,
        inside: String,
    ) -> Result<Entry, Error> {
        model.look().await?;
        if let Some((seen, ttl)) = lookup_known(&model, &inside) {
            let shared = &self.shared;
            return shared.inside_entry(path, refused, model, inside, seen, ttl);
        }
        let content = model.content().await?;
        let timeout = self.progress_timeout(model.handle());
        loop {
            match look(&content, &inside, model.handle()) {
                EntryState::NotYet(filling) if is_harmless(&filling, &inside) => {
                    return Err(Error::absent());
                }
                EntryState::NotYet(filling) => {
                    let seen = timeout.until(&filling, Need::Name(inside.clone()));
                    tokio::select! {
                        met = seen => met?,
                        () = other_spelling(&filling, &inside) => {}
                    }
                }
                EntryState::Failed(error) => return Err(error.into()),
                seen => {
                    let ttl = ttl_of(&content);
                    return self
                        .shared
                        .inside_entry(path, refused, model, inside, seen, ttl);
                }
            }
        }
    }
}

impl Shared {
    fn inside_entry(
        &self,
        path: String,
        refused: usize,
        model: Arc<Model>,
        inside: String,
        seen: EntryState,
        ttl: Ttl,
    ) -> Result<Entry, Error> {
        let node = number(&path);
        let attr = match seen {
            EntryState::File { size, mtime } => Attr {
                node,
                kind: Kind::File,
                size,
                mtime,
            },
            EntryState::Directory { mtime } => Attr {
                mtime,
                ..Attr::directory(node)
            },
            EntryState::Absent => {
                return Err(Error::NoEntry {
                    forever: ttl == Ttl::Forever,
                });
            }
            EntryState::NotYet(_) => return Err(Error::absent()),
            EntryState::Failed(error) => return Err(error.into()),
        };
        let spot = Spot::Model { model, inside };
        Ok(self.hold(path, refused, spot, attr, ttl))
    }
}
