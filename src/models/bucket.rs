//! What buckets hold, as far as it was asked: directories are listed on demand and remembered for a short time.
//!
//! A name is looked up in the listing of its directory: one request tells of everything beside it too, and programs ask for
//! many names that are not there. Of a directory so large that one page does not hold it, names are asked one by one, and
//! the whole is listed only for a reader who lists it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::query_cache::{Answer, Kind, Old, QueryCache};
use super::{Error, Shared};
use crate::handle::BucketPath;
use crate::source::RemoteFile;
use crate::source::{MAX_PAGES, endless_listing};

/// What a name in a bucket is.
#[derive(Debug, Clone)]
pub enum Seen {
    /// A directory: objects lie below it.
    Dir,
    /// An object.
    File(RemoteFile),
    /// Nothing.
    Absent,
}

/// The names directly below a directory of a bucket.
#[derive(Debug, Clone, Default)]
pub struct BucketNames {
    /// Directories.
    pub dirs: BTreeSet<String>,
    /// Objects.
    pub files: BTreeMap<String, RemoteFile>,
    /// Where the listing goes on, if it does.
    next: Option<String>,
}

impl BucketNames {
    fn see(&self, name: &str) -> Option<Seen> {
        if self.dirs.contains(name) {
            return Some(Seen::Dir);
        }
        match self.files.get(name) {
            Some(file) => Some(Seen::File(file.clone())),
            None => self.is_whole().then_some(Seen::Absent),
        }
    }

    fn is_whole(&self) -> bool {
        self.next.is_none()
    }
}

/// How much of a directory is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    /// What one request tells.
    Page,
    /// Every name.
    Whole,
}

/// All that is remembered of buckets. Objects may be replaced at any time; what is open stays what it was.
pub(super) struct Told {
    dirs: QueryCache<BucketPath, Arc<BucketNames>>,
    names: QueryCache<BucketPath, Seen>,
}

impl Default for Told {
    fn default() -> Told {
        Told {
            dirs: QueryCache::new(Kind {
                old: Old::Forgotten,
                names: |listed| listed.dirs.len() + listed.files.len(),
            }),
            names: QueryCache::new(Kind {
                old: Old::Forgotten,
                names: |_| 1,
            }),
        }
    }
}

impl Told {
    /// What `path` is, without a request, if that is known.
    pub(super) fn seen(&self, path: &BucketPath) -> Option<Answer<Seen>> {
        let Some((parent, name)) = path.split() else {
            return Some(self.dirs.fresh(path)?.map(|_| Seen::Dir));
        };
        match self.dirs.fresh(&parent) {
            Some(Ok(names)) => match names.see(name) {
                Some(seen) => Some(Ok(seen)),
                None => self.names.fresh(path),
            },
            Some(Err(error)) if !error.is_denied() => Some(Err(error)),
            _ => self.names.fresh(path),
        }
    }

    /// Every name in a directory, without a request, if they are known.
    pub(super) fn listed(&self, dir: &BucketPath) -> Option<Answer<Arc<BucketNames>>> {
        let known = self.dirs.fresh(dir)?;
        let whole = known.as_ref().map_or(true, |names| names.is_whole());
        whole.then_some(known)
    }

    /// `path` is not what was listed: the next question is asked anew.
    pub(super) fn forget(&self, path: &BucketPath) {
        self.names.forget(path);
        if let Some((parent, _)) = path.split() {
            self.dirs.forget(&parent);
        }
    }
}

/// What `path` is.
pub(super) async fn look(shared: &Arc<Shared>, path: &BucketPath) -> Answer<Seen> {
    if let Some(answer) = shared.buckets.seen(path) {
        return answer;
    }
    let Some((parent, name)) = path.split() else {
        return ask_dir(shared, path, Want::Page).await.map(|_| Seen::Dir);
    };
    match ask_dir(shared, &parent, Want::Page).await {
        Ok(names) => match names.see(name) {
            Some(seen) => Ok(seen),
            None => ask_name(shared, path).await,
        },
        // Objects may be readable where listing is not allowed.
        Err(error) if error.is_denied() => ask_name(shared, path).await,
        Err(error) => Err(error),
    }
}

/// Every name in a directory.
pub(super) async fn list(shared: &Arc<Shared>, dir: &BucketPath) -> Answer<Arc<BucketNames>> {
    loop {
        // The question that is on its way may be for a page only.
        let names = ask_dir(shared, dir, Want::Whole).await?;
        if names.is_whole() {
            return Ok(names);
        }
    }
}

async fn ask_dir(shared: &Arc<Shared>, dir: &BucketPath, want: Want) -> Answer<Arc<BucketNames>> {
    let enough = |names: &Arc<BucketNames>| want == Want::Page || names.is_whole();
    let ask = |begun| pages(shared.clone(), dir.clone(), begun, want);
    let memo = &shared.buckets.dirs;
    memo.ask(&shared.runtime, dir, Error::lost(dir), enough, ask)
        .await
}

/// Goes on with a listing, by one page or to its end.
async fn pages(
    shared: Arc<Shared>,
    dir: BucketPath,
    begun: Option<Arc<BucketNames>>,
    want: Want,
) -> Answer<Arc<BucketNames>> {
    let mut names = begun.map_or_else(BucketNames::default, Arc::unwrap_or_clone);
    for _ in 0..MAX_PAGES {
        let page = shared.source.bucket_page(&dir, names.next.take()).await;
        let page = page.map_err(Error::Source)?;
        names.dirs.extend(page.dirs);
        let files = page.files.into_iter();
        names
            .files
            .extend(files.map(|file| (file.name.clone(), file)));
        names.next = page.next;
        if names.is_whole() || want == Want::Page {
            return Ok(Arc::new(names));
        }
    }
    Err(Error::Source(endless_listing(&dir)))
}

async fn ask_name(shared: &Arc<Shared>, path: &BucketPath) -> Answer<Seen> {
    let ask = |_| {
        let (shared, path) = (shared.clone(), path.clone());
        async move {
            let answer = shared.source.bucket_name(&path).await;
            answer.map_err(Error::Source).map(|seen| match seen.file {
                _ if seen.dir => Seen::Dir,
                Some(file) => Seen::File(file),
                None => Seen::Absent,
            })
        }
    };
    let memo = &shared.buckets.names;
    memo.ask(&shared.runtime, path, Error::lost(path), |_| true, ask)
        .await
}
