//! From a directory and a name to a node.

use std::sync::Arc;
use std::time::Duration;

use super::attr::{Attr, Entry, Ttl};
use super::look::{EntryState, look, lookup_known};
use super::modules;
use super::nodes::{Node, Spot, join, number};
use super::{Answer, Error, Shared, Tree};
use crate::handle::{Handle, Place};
use crate::models::{Content, Latest, Model};

/// The longest name that Linux file systems take.
const NAME_MAX: usize = 255;

/// The longest path that Linux takes in one call. Directories above models exist without end; this ends them.
const PATH_MAX: usize = 4096;

impl Tree {
    /// Finds `name` in the directory `parent`.
    pub fn lookup(&self, parent: u64, name: &str) -> Answer<Entry> {
        if name.len() > NAME_MAX {
            return Answer::Now(Err(Error::NameTooLong));
        }
        let Some(node) = self.shared.nodes.get(parent) else {
            return Answer::Now(Err(Error::Stale));
        };
        if node.path.len() + name.len() >= PATH_MAX {
            return Answer::Now(Err(Error::NameTooLong));
        }
        match &node.spot {
            Spot::Model { inside, .. } if inside.is_empty() && name.starts_with('?') => {
                self.lookup_query(join(&node.path, name), node.refused)
            }
            Spot::Model { model, inside } => {
                let inside = join(inside, name);
                self.lookup_inside(&node.path, node.refused, model.clone(), inside, name)
            }
            Spot::Above | Spot::Versions(_) | Spot::Bucket(_) | Spot::Catalogue(_) => {
                self.lookup_above(join(&node.path, name), node.refused)
            }
            Spot::Modules => self.lookup_module(name),
            Spot::Link(_) => Answer::Now(Err(Error::NotDirectory)),
        }
    }

    /// A node's attributes.
    pub fn getattr(&self, number: u64) -> Result<Entry, Error> {
        let node = self.shared.nodes.get(number).ok_or(Error::Stale)?;
        let Spot::Model { model, inside } = &node.spot else {
            return Ok(entry(node.attr, Ttl::Forever));
        };
        match lookup_known(model, inside) {
            Some((EntryState::File { size, mtime }, ttl)) => Ok(entry(
                Attr {
                    size,
                    mtime,
                    ..node.attr
                },
                ttl,
            )),
            Some((EntryState::Directory { mtime }, ttl)) => {
                Ok(entry(Attr { mtime, ..node.attr }, ttl))
            }
            Some(_) => Ok(entry(node.attr, Ttl::Zero)),
            None => Ok(entry(node.attr, Ttl::Short)),
        }
    }

    /// The target of a symbolic link.
    pub fn readlink(&self, number: u64) -> Result<String, Error> {
        match &self.shared.nodes.get(number).ok_or(Error::Stale)?.spot {
            Spot::Link(target) => Ok(target.clone()),
            _ => Err(Error::NotDirectory),
        }
    }

    fn lookup_above(&self, path: String, refused: usize) -> Answer<Entry> {
        if path == modules::NAME {
            return Answer::Now(Ok(self.shared.hold_directory(path, 0, Spot::Modules)));
        }
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
            Place::Buckets(_) => {
                Answer::Now(Ok(self.shared.hold_directory(path, refused, Spot::Above)))
            }
            Place::Bucket(bucket) => self.lookup_bucket(path, bucket),
            Place::Catalogue(of) => {
                let spot = Spot::Catalogue(of);
                Answer::Now(Ok(self.shared.hold_directory(path, refused, spot)))
            }
            Place::Link(target) => {
                if path.contains(['?', '#']) {
                    self.shared.pasted(&path, refused);
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
            } if inside.is_empty() => self.lookup_root(path, refused, handle, certain),
            // The parent would be a model, and is not any more.
            Place::Model { .. } => Answer::Now(Err(Error::Stale)),
        }
    }

    /// `x/1/?tfhub-redirect=true`: the query of a URL with a trailing slash, pasted whole.
    fn lookup_query(&self, path: String, refused: usize) -> Answer<Entry> {
        let components: Vec<&str> = path.split('/').collect();
        Answer::Now(match self.shared.names.place_beyond(&components, refused) {
            Ok(Place::Link(target)) => {
                self.shared.pasted(&path, refused);
                Ok(self.shared.hold_link(path, target, Ttl::Forever))
            }
            _ => Err(Error::absent()),
        })
    }

    fn lookup_root(
        &self,
        path: String,
        refused: usize,
        handle: Handle,
        certain: bool,
    ) -> Answer<Entry> {
        let model = self.shared.models.model(&handle);
        if model.verdict().is_none() && !model.is_looked_at() {
            let tree = self.clone();
            return Answer::later(async move {
                model.look().await?;
                tree.lookup_root(path, refused, handle, certain).get().await
            });
        }
        if !certain
            && model.here().is_none()
            && let Some(directory) = self.way_through(&path, refused, certain)
        {
            return Answer::Now(Ok(directory));
        }
        if let Some(verdict) = model.verdict() {
            return Answer::Now(self.root_entry(path, refused, model, verdict));
        }
        let tree = self.clone();
        Answer::later(async move {
            let verdict = model.exists().await;
            // The cache's models may have become known meanwhile.
            if verdict.is_err()
                && let Some(directory) = tree.way_through(&path, refused, certain)
            {
                return Ok(directory);
            }
            tree.root_entry(path, refused, model, verdict)
        })
    }

    /// A number in the middle of a TF.js or TF Lite name: a directory if a known model lies below it. That needs no
    /// request, or a cached model could not be reached without a network.
    fn way_through(&self, path: &str, refused: usize, certain: bool) -> Option<Entry> {
        if certain || !self.shared.known.has_below(path) {
            return None;
        }
        let path = path.to_owned();
        Some(self.shared.hold_directory(path, refused + 1, Spot::Above))
    }

    fn root_entry(
        &self,
        path: String,
        refused: usize,
        model: Arc<Model>,
        verdict: Result<(), crate::models::Error>,
    ) -> Result<Entry, Error> {
        verdict?;
        self.shared.learn(model.handle(), &path);
        let mut attr = Attr::directory(number(&path));
        let mut ttl = Ttl::Short;
        if let Some(content) = model.here()
            && let EntryState::Directory { mtime } = look(&content, "", model.handle())
        {
            attr.mtime = mtime;
            // What `latest` is may change, and so may the archive at a URL that has no version.
            if model.handle().version().is_some() {
                ttl = ttl_of(&content);
            }
        }
        let inside = String::new();
        let spot = Spot::Model { model, inside };
        Ok(self.shared.hold(path, refused, spot, attr, ttl))
    }

    async fn lookup_latest(
        self,
        path: String,
        refused: usize,
        handle: Handle,
    ) -> Result<Entry, Error> {
        match self.newest(&path_parent(&path), &handle).await? {
            Target::Link(target) => {
                self.shared.modules.insert(&handle, &path);
                Ok(self.shared.hold_link(path, target, Ttl::Short))
            }
            Target::Model => {
                let model = self.shared.models.model(&handle);
                let verdict = model.exists().await;
                self.root_entry(path, refused, model, verdict)
            }
        }
    }

    /// What `latest` in the versions directory at `directory` is.
    pub(super) async fn newest(&self, directory: &str, handle: &Handle) -> Result<Target, Error> {
        let known = self.shared.known.children(directory);
        let known = known.into_iter().filter(|name| name.parse::<u64>().is_ok());
        let known = known
            .max_by_key(|name| name.parse::<u64>().ok())
            .map(Target::Link);
        let Some(told) = in_time(known.is_some(), self.shared.models.newest(handle)).await else {
            return known.ok_or_else(Error::absent);
        };
        match told {
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
}

/// How long an origin is waited for when there is an answer without it. It is asked on, and the next answer has what it says.
const PATIENCE: Duration = Duration::from_secs(1);

/// What an origin says; `None` if that takes too long for something that is `known` otherwise.
pub(super) async fn in_time<T>(known: bool, asked: impl Future<Output = T>) -> Option<T> {
    match known {
        true => tokio::time::timeout(PATIENCE, asked).await.ok(),
        false => Some(asked.await),
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
    fn hold_directory(&self, path: String, refused: usize, spot: Spot) -> Entry {
        let attr = Attr::directory(number(&path));
        self.hold(path, refused, spot, attr, Ttl::Forever)
    }

    pub(super) fn hold_link(&self, path: String, target: String, ttl: Ttl) -> Entry {
        let attr = Attr::link(number(&path), &target);
        self.hold(path, 0, Spot::Link(target), attr, ttl)
    }

    pub(super) fn hold(
        &self,
        path: String,
        refused: usize,
        spot: Spot,
        attr: Attr,
        ttl: Ttl,
    ) -> Entry {
        let is_over = self.nodes.hold(Node {
            path,
            refused,
            spot,
            attr,
        });
        if is_over {
            self.prune();
        }
        entry(attr, ttl)
    }
}

fn entry(attr: Attr, ttl: Ttl) -> Entry {
    Entry { attr, ttl }
}

/// How long the kernel may keep what it was told of a model.
pub(super) fn ttl_of(content: &Content) -> Ttl {
    match content {
        Content::Sealed(_) => Ttl::Forever,
        Content::Filling(_) => Ttl::Short,
    }
}

fn path_parent(path: &str) -> String {
    path.rsplit_once('/')
        .map_or(String::new(), |(parent, _)| parent.to_owned())
}
