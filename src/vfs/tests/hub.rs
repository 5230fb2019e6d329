//! A tree over models with a cache of their own, and the origin behind them.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::nodes::ROOT;
use super::super::{Entry, Error, Options, Tree};
use super::{GRAPH, MODEL};
use crate::handle::Names;
use crate::models::testing::models;
use crate::models::testing::origin::{Answer as Said, Origin, full, probed};

pub struct Hub {
    pub tree: Tree,
    pub origin: Origin,
    pub cache: tempfile::TempDir,
}

impl Hub {
    pub async fn playing(answers: impl IntoIterator<Item = Said>) -> Hub {
        Hub::patient(answers, Duration::from_secs(20)).await
    }

    pub async fn patient(answers: impl IntoIterator<Item = Said>, timeout: Duration) -> Hub {
        Hub::with(answers, timeout, Options::default()).await
    }

    /// A hub in which a listing begins no download.
    pub async fn crawled(answers: impl IntoIterator<Item = Said>) -> Hub {
        let options = Options {
            list_fetches: false,
            ..Options::default()
        };
        Hub::with(answers, Duration::from_secs(20), options).await
    }

    pub async fn with(
        answers: impl IntoIterator<Item = Said>,
        timeout: Duration,
        options: Options,
    ) -> Hub {
        let origin = Origin::playing(answers).await;
        let cache = tempfile::tempdir().unwrap();
        let tree = tree(&origin.base, cache.path(), timeout, options);
        Hub {
            tree,
            origin,
            cache,
        }
    }

    /// Every component looked up from the root, as the kernel does; links are not followed.
    pub async fn walk(&self, path: &str) -> Result<Entry, Error> {
        let mut node = ROOT;
        let mut entry = self.tree.getattr(ROOT)?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            entry = self.tree.lookup(node, name).get().await?;
            node = entry.attr.node;
        }
        Ok(entry)
    }

    pub async fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let entry = self.walk(path).await?;
        let opened = self.tree.open(entry.attr.node).get().await?;
        let bytes = self.tree.read(opened.handle, 0, 1 << 20).get().await;
        self.tree.close(opened.handle);
        bytes.map(|bytes| bytes.to_vec())
    }

    pub async fn names(&self, path: &str) -> Result<Vec<String>, Error> {
        let node = self.walk(path).await?.attr.node;
        let entries = self.tree.list(node).get().await?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    pub async fn sealed(&self) {
        let node = self.walk(MODEL).await.unwrap().attr.node;
        for _ in 0..500 {
            if self
                .tree
                .xattr(node, "user.tfhub.state")
                .get()
                .await
                .unwrap()
                == "sealed"
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the model is not sealed");
    }

    pub fn file_in_cache(&self, name: &str) -> std::path::PathBuf {
        let entries = std::fs::read_dir(self.cache.path()).unwrap();
        let mut models = entries.map(|entry| entry.unwrap().path().join(name));
        models.find(|path| path.exists()).unwrap()
    }
}

fn tree(hub: &str, cache: &Path, timeout: Duration, options: Options) -> Tree {
    let names = Names::new(hub, Default::default()).unwrap();
    Tree::new(names, models(cache, timeout), Arc::default(), options)
}

/// Files one after another, as tar.gz.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let level = flate2::Compression::default();
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), level));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_500_000_000);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    let mut gzip = tar.into_inner().unwrap();
    gzip.flush().unwrap();
    gzip.finish().unwrap()
}

pub fn model() -> Vec<u8> {
    archive(&[("saved_model.pb", GRAPH), ("assets/vocab.txt", b"words")])
}

/// What a hub says of `archive` when it is asked and then fetched from.
pub fn given(archive: &[u8]) -> [Said; 2] {
    [probed(archive, &[]), full(archive, &[])]
}

/// Bytes that do not compress.
pub fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(next).collect()
}
