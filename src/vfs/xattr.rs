//! `user.tfhub.*`: what a path is, told without reading it.
//!
//! They answer `getxattr` and are not listed, so that `cp -a` and rsync do not copy them.

use super::nodes::Spot;
use super::{Answer, Error, Tree};
use crate::models::Content;

impl Tree {
    /// The value of an extended attribute.
    ///
    /// `user.tfhub.handle`, `.state` (`known`, `filling`, `sealed`, `evicted`) and `.source` exist inside models;
    /// `user.tfhub.error` exists wherever something went wrong at the path or below it, and
    /// `user.tfhub.pid` at the mount's root.
    pub fn xattr(&self, number: u64, name: &str) -> Answer<String> {
        if let Some(node) = self.shared.nodes.get(number)
            && let Spot::Model { model, .. } = &node.spot
            && name == "user.tfhub.state"
            && !model.is_looked_at()
        {
            let (tree, model) = (self.clone(), model.clone());
            return Answer::later(async move {
                model.look().await?;
                tree.known_xattr(number, "user.tfhub.state")
            });
        }
        Answer::Now(self.known_xattr(number, name))
    }

    fn known_xattr(&self, number: u64, name: &str) -> Result<String, Error> {
        // First: `ls -l` asks every file for attributes that are never here.
        let name = name.strip_prefix("user.tfhub.").ok_or(Error::NoAttribute)?;
        let node = self.shared.nodes.get(number).ok_or(Error::Stale)?;
        if name == "error" {
            let errors = &self.shared.status.errors;
            return errors.at_or_below(&node.path).ok_or(Error::NoAttribute);
        }
        if name == "pid" && node.path.is_empty() {
            return Ok(std::process::id().to_string());
        }
        let Spot::Model { model, .. } = &node.spot else {
            return Err(Error::NoAttribute);
        };
        match name {
            "handle" => Ok(model.handle().url()),
            "state" => Ok(match model.here() {
                Some(Content::Sealed(_)) => "sealed".to_owned(),
                Some(Content::Filling(_)) => "filling".to_owned(),
                None if model.outline().is_some() => "evicted".to_owned(),
                None => "known".to_owned(),
            }),
            "source" => model.source().ok_or(Error::NoAttribute),
            _ => Err(Error::NoAttribute),
        }
    }
}
