//! What a directory lists.

use std::collections::HashSet;
use std::sync::Arc;

use super::attr::Kind;
use super::lookup::{Target, in_time};
use super::modules;
use super::nodes::{Node, Spot, join, number};
use super::{Answer, Error, Tree};
use crate::cache::{self, Child, Need};
use crate::handle::{Catalogue, Handle};
use crate::models::{Content, Model};

/// One name in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name.
    pub name: String,
    /// The number of its node.
    pub node: u64,
    /// What it is.
    pub kind: Kind,
}

impl Tree {
    /// The names in a directory, sorted, without `.` and `..`.
    pub fn list(&self, number: u64) -> Answer<Vec<DirEntry>> {
        let Some(node) = self.shared.nodes.get(number) else {
            return Answer::Now(Err(Error::Stale));
        };
        match &node.spot {
            Spot::Above if node.path.is_empty() => Answer::Now(Ok(self.list_root())),
            Spot::Above => Answer::Now(Ok(self.list_known(&node.path))),
            Spot::Modules => Answer::Now(Ok(self.list_modules())),
            Spot::Versions(handle) => {
                let (tree, handle) = (self.clone(), handle.clone());
                Answer::later(async move { Ok(tree.list_versions(&node.path, &handle).await) })
            }
            Spot::Model { model, inside } => {
                if !model.is_looked_at() {
                    let (tree, model) = (self.clone(), model.clone());
                    return Answer::later(async move {
                        model.look().await?;
                        tree.list(number).get().await
                    });
                }
                let here = model.here();
                let listed = match &here {
                    Some(content) => list_content(&node, content, inside),
                    None => None,
                };
                let listed = listed.or_else(|| {
                    if is_sealed(here.as_ref()) {
                        return None;
                    }
                    Some(entries(&node, model.outline()?.children(inside)?))
                });
                if let Some(entries) = listed {
                    return Answer::Now(Ok(entries));
                }
                if !self.shared.options.list_fetches && model.here().is_none() {
                    return Answer::Now(Ok(Vec::new()));
                }
                let (tree, model, inside) = (self.clone(), model.clone(), inside.clone());
                Answer::later(async move { tree.wait_listing(&node, model, &inside).await })
            }
            Spot::Bucket(dir) => self.list_bucket(&node.path, dir),
            Spot::Catalogue(of) => {
                let (tree, of) = (self.clone(), of.clone());
                Answer::later(async move { Ok(tree.list_catalogue(&node.path, &of).await) })
            }
            Spot::Link(_) => Answer::Now(Err(Error::NotDirectory)),
        }
    }

    /// What is known to be there, and what Kaggle tells of; its not answering takes nothing away.
    async fn list_catalogue(&self, path: &str, of: &Catalogue) -> Vec<DirEntry> {
        let mut entries = self.list_known(path);
        match self.shared.models.children(of).await {
            Ok(names) => self.add(&mut entries, path, names.iter().cloned()),
            Err(error) => self.record(path, &Error::Model(error)),
        }
        entries
    }

    /// Adds directories that are not listed yet.
    fn add(&self, entries: &mut Vec<DirEntry>, path: &str, names: impl Iterator<Item = String>) {
        let known: HashSet<String> = entries.iter().map(|entry| entry.name.clone()).collect();
        let new = names.filter(|name| !known.contains(name));
        entries.extend(new.map(|name| child(path, name, Kind::Directory)));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
    }

    fn list_root(&self) -> Vec<DirEntry> {
        let mut entries = self.list_known("");
        let modules = std::iter::once(modules::NAME.to_owned());
        self.add(&mut entries, "", modules);
        entries
    }

    fn list_known(&self, path: &str) -> Vec<DirEntry> {
        let names = self.shared.known.children(path);
        let directories = names
            .into_iter()
            .map(|name| child(path, name, Kind::Directory));
        let pasted = self.shared.known.pasted(path).into_iter();
        directories
            .chain(pasted.map(|name| child(path, name, Kind::Link)))
            .collect()
    }

    async fn list_versions(&self, path: &str, handle: &Handle) -> Vec<DirEntry> {
        let newest = self.newest(path, handle).await;
        if let Err(error) = &newest {
            self.record(path, error);
        }
        let known = newest.is_ok();
        let versions = in_time(known, self.shared.models.versions(handle)).await;
        let mut entries = self.list_known(path);
        match versions {
            Some(Ok(versions)) => {
                let names = versions.iter().map(u64::to_string);
                self.add(&mut entries, path, names);
            }
            Some(Err(error)) => self.record(path, &Error::Model(error)),
            None => {}
        }
        let kind = match newest {
            Ok(Target::Link(_)) => Kind::Link,
            Ok(Target::Model) => Kind::Directory,
            Err(_) => return entries,
        };
        entries.retain(|entry| entry.name != "latest");
        entries.push(child(path, "latest".to_owned(), kind));
        entries
    }

    async fn wait_listing(
        &self,
        node: &Node,
        model: Arc<Model>,
        inside: &str,
    ) -> Result<Vec<DirEntry>, Error> {
        let content = model.content().await?;
        if let Content::Filling(filling) = &content {
            let timeout = self.progress_timeout(model.handle());
            timeout.until(filling, Need::Names).await?;
            if let Some(why) = filling.failure() {
                let url = model.handle().url();
                return Err(crate::models::Error::of_failure(&why, &url).into());
            }
        }
        list_content(node, &content, inside).ok_or_else(Error::absent)
    }
}

/// The listing of `inside`, or `None` while the names are not all known.
fn list_content(node: &Node, content: &Content, inside: &str) -> Option<Vec<DirEntry>> {
    let children = match content {
        Content::Sealed(sealed) => sealed.children(inside)?,
        Content::Filling(filling) => filling.children(inside)?,
    };
    Some(entries(node, children))
}

fn is_sealed(content: Option<&Content>) -> bool {
    matches!(content, Some(Content::Sealed(_)))
}

fn entries(node: &Node, children: Vec<Child>) -> Vec<DirEntry> {
    let entries = children.into_iter().map(|found| {
        let kind = match found.attr {
            cache::Attr::Dir { .. } => Kind::Directory,
            cache::Attr::File { .. } => Kind::File,
        };
        child(&node.path, found.name, kind)
    });
    entries.collect()
}

pub(super) fn child(path: &str, name: String, kind: Kind) -> DirEntry {
    DirEntry {
        node: number(&join(path, &name)),
        name,
        kind,
    }
}
