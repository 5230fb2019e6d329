//! From a directory and a name to a node.

use std::sync::Arc;

use super::attr::{Attr, Entry, Kind, Ttl};
use super::look::{Look, is_harmless, look, other_spelling};
use super::nodes::{Node, Spot, join, number};
use super::{Answer, Error, Shared, Tree};
use crate::handle::{Handle, Place};
use crate::models::{Content, Latest, Model};
use crate::store::Need;

/// The longest name that Linux file systems take.
const NAME_MAX: usize = 255;

impl Tree {
    /// Finds `name` in the directory `parent`.
    pub fn lookup(&self, parent: u64, name: &str) -> Answer<Entry> {
        if name.len() > NAME_MAX {
            return Answer::Now(Err(Error::NameTooLong));
        }
        let Some(node) = self.shared.nodes.get(parent) else {
            return Answer::Now(Err(Error::Stale));
        };
        match node.spot {
            Spot::Model { model, inside } => {
                self.lookup_inside(node.path, node.refused, model, join(&inside, name), name)
            }
            Spot::Above | Spot::Versions(_) => {
                self.lookup_above(join(&node.path, name), node.refused)
            }
            Spot::Link(_) => Answer::Now(Err(Error::NotDirectory)),
        }
    }

    /// A node's attributes.
    pub fn getattr(&self, number: u64) -> Result<Entry, Error> {
        let node = self.shared.nodes.get(number).ok_or(Error::Stale)?;
        let Spot::Model { model, inside } = &node.spot else {
            return Ok(entry(node.attr, Ttl::Forever));
        };
        let Some(content) = model.here() else {
            return Ok(entry(node.attr, Ttl::Short));
        };
        let ttl = ttl_of(&content);
        match look(&content, inside, &model.handle().url()) {
            Look::File { size, mtime } => Ok(entry(
                Attr {
                    size,
                    mtime,
                    ..node.attr
                },
                ttl,
            )),
            Look::Directory { mtime } => Ok(entry(Attr { mtime, ..node.attr }, ttl)),
            Look::Absent | Look::NotYet(_) | Look::Failed(_) => Ok(entry(node.attr, Ttl::Zero)),
        }
    }

    /// The target of a symbolic link.
    pub fn readlink(&self, number: u64) -> Result<String, Error> {
        match self.shared.nodes.get(number).ok_or(Error::Stale)?.spot {
            Spot::Link(target) => Ok(target),
            _ => Err(Error::NotDirectory),
        }
    }

    fn lookup_above(&self, path: String, refused: usize) -> Answer<Entry> {
        let components: Vec<&str> = path.split('/').collect();
        let place = match self.shared.names.place_beyond(&components, refused) {
            Ok(place) => place,
            Err(_) => return Answer::Now(Err(Error::NoEntry { forever: true })),
        };
        match place {
            Place::Dir => Answer::Now(Ok(self.shared.hold_directory(path, refused, Spot::Above))),
            Place::Versions(handle) => {
                let spot = Spot::Versions(handle);
                Answer::Now(Ok(self.shared.hold_directory(path, refused, spot)))
            }
            Place::Link(target) => {
                if path.contains('?') {
                    self.shared.known.insert_pasted(&path);
                }
                Answer::Now(Ok(self.shared.hold_link(path, target, Ttl::Forever)))
            }
            Place::Latest(handle) => {
                let tree = self.clone();
                Answer::later(async move { tree.lookup_latest(path, refused, handle).await })
            }
            Place::Model {
                handle,
                inside,
                certain,
            } => {
                debug_assert!(inside.is_empty(), "the parent would be inside the model");
                self.lookup_root(path, refused, handle, certain)
            }
        }
    }

    fn lookup_root(
        &self,
        path: String,
        refused: usize,
        handle: Handle,
        certain: bool,
    ) -> Answer<Entry> {
        let model = self.shared.models.model(&handle);
        match model.verdict() {
            Some(verdict) => Answer::Now(self.root_entry(path, refused, model, certain, verdict)),
            None => {
                let tree = self.clone();
                Answer::later(async move {
                    let verdict = model.exists().await;
                    tree.root_entry(path, refused, model, certain, verdict)
                })
            }
        }
    }

    fn root_entry(
        &self,
        path: String,
        refused: usize,
        model: Arc<Model>,
        certain: bool,
        verdict: Result<(), crate::models::Error>,
    ) -> Result<Entry, Error> {
        match verdict {
            Ok(()) => {
                self.shared.known.insert(&path);
                let inside = String::new();
                let attr = Attr::directory(number(&path));
                let spot = Spot::Model { model, inside };
                Ok(self.shared.hold(path, refused, spot, attr, Ttl::Short))
            }
            // A number in the middle of a TF.js or TF Lite name: a directory if something is known below it.
            Err(error)
                if error.is_not_found() && !certain && self.shared.known.has_below(&path) =>
            {
                Ok(self.shared.hold_directory(path, refused + 1, Spot::Above))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn lookup_latest(
        self,
        path: String,
        refused: usize,
        handle: Handle,
    ) -> Result<Entry, Error> {
        match self.newest(&path_parent(&path), &handle).await? {
            Target::Link(target) => Ok(self.shared.hold_link(path, target, Ttl::Short)),
            Target::Model => {
                let model = self.shared.models.model(&handle);
                let verdict = model.exists().await;
                self.root_entry(path, refused, model, true, verdict)
            }
        }
    }

    /// What `latest` in the versions directory at `directory` is.
    pub(super) async fn newest(&self, directory: &str, handle: &Handle) -> Result<Target, Error> {
        let known = self.shared.known.children(directory);
        let known = known.iter().filter_map(|name| name.parse::<u64>().ok());
        let known = known.max().map(|version| Target::Link(version.to_string()));
        match self.shared.models.newest(handle).await {
            Ok(Latest::Version(version)) => {
                let name = version.to_string();
                self.shared.known.insert(&join(directory, &name));
                Ok(Target::Link(name))
            }
            Ok(Latest::Elsewhere(other)) => {
                let at = join(directory, "latest");
                let at: Vec<&str> = at.split('/').collect();
                let target = self.shared.names.link(&at, &other);
                target.map(Target::Link).map_err(|_| Error::absent())
            }
            Ok(Latest::Unnumbered) => Ok(known.unwrap_or(Target::Model)),
            Err(error) => known.ok_or(Error::Model(error)),
        }
    }

    fn lookup_inside(
        &self,
        parent: String,
        refused: usize,
        model: Arc<Model>,
        inside: String,
        name: &str,
    ) -> Answer<Entry> {
        let path = join(&parent, name);
        if let Some(content) = model.here() {
            match look(&content, &inside, &model.handle().url()) {
                Look::NotYet(filling) if is_harmless(&filling, &inside) => {
                    return Answer::Now(Err(Error::absent()));
                }
                Look::NotYet(_) | Look::Failed(_) => {}
                seen => {
                    return Answer::Now(
                        self.shared
                            .inside_entry(path, refused, model, inside, &content, seen),
                    );
                }
            }
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
        let content = model.content().await?;
        let patience = self.patience(model.handle());
        loop {
            match look(&content, &inside, &model.handle().url()) {
                Look::NotYet(filling) if is_harmless(&filling, &inside) => {
                    return Err(Error::absent());
                }
                Look::NotYet(filling) => {
                    let seen = patience.until(&filling, Need::Name(inside.clone()));
                    tokio::select! {
                        met = seen => met?,
                        () = other_spelling(&filling, &inside) => {}
                    }
                }
                Look::Failed(error) => return Err(error.into()),
                seen => {
                    return self
                        .shared
                        .inside_entry(path, refused, model, inside, &content, seen);
                }
            }
        }
    }
}

/// What `latest` is.
pub(super) enum Target {
    /// A link to a version, or to a model under another name.
    Link(String),
    /// The model itself: its origin gives it without a number.
    Model,
}

impl Shared {
    fn inside_entry(
        &self,
        path: String,
        refused: usize,
        model: Arc<Model>,
        inside: String,
        content: &Content,
        seen: Look,
    ) -> Result<Entry, Error> {
        let node = number(&path);
        let attr = match seen {
            Look::File { size, mtime } => Attr {
                node,
                kind: Kind::File,
                size,
                mtime,
            },
            Look::Directory { mtime } => Attr {
                mtime,
                ..Attr::directory(node)
            },
            Look::Absent => {
                let forever = matches!(content, Content::Sealed(_));
                return Err(Error::NoEntry { forever });
            }
            Look::NotYet(_) => return Err(Error::absent()),
            Look::Failed(error) => return Err(error.into()),
        };
        let spot = Spot::Model { model, inside };
        Ok(self.hold(path, refused, spot, attr, ttl_of(content)))
    }

    fn hold_directory(&self, path: String, refused: usize, spot: Spot) -> Entry {
        let attr = Attr::directory(number(&path));
        self.hold(path, refused, spot, attr, Ttl::Forever)
    }

    fn hold_link(&self, path: String, target: String, ttl: Ttl) -> Entry {
        let attr = Attr::link(number(&path), &target);
        self.hold(path, 0, Spot::Link(target), attr, ttl)
    }

    fn hold(&self, path: String, refused: usize, spot: Spot, attr: Attr, ttl: Ttl) -> Entry {
        self.nodes.hold(Node {
            path,
            refused,
            spot,
            attr,
        });
        entry(attr, ttl)
    }
}

fn entry(attr: Attr, ttl: Ttl) -> Entry {
    Entry { attr, ttl }
}

fn ttl_of(content: &Content) -> Ttl {
    match content {
        Content::Sealed(_) => Ttl::Forever,
        Content::Filling(_) => Ttl::Short,
    }
}

fn path_parent(path: &str) -> String {
    path.rsplit_once('/')
        .map_or(String::new(), |(parent, _)| parent.to_owned())
}
