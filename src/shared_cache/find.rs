//! Looks a model up in the bucket.

use super::complete;
use super::handle::{Shared, SharedCache};
use super::{Error, layout};
use crate::handle::{BucketPath, Handle};
use crate::source::Folder;

/// What is in the bucket of one model.
#[derive(Debug)]
pub(super) enum FoundCopy {
    Complete(Folder),
    Absent,
    /// Why it cannot be used.
    Unusable(String),
}

impl SharedCache {
    /// The model's files in the bucket, if all of it is there. Trouble is logged here, and is `None`.
    pub async fn find(&self, handle: &Handle) -> Option<Folder> {
        let (key, shared) = (handle.key(), &self.shared);
        let health = &shared.health;
        if !SharedCache::can_hold(handle)
            || shared.backing_off().is_some()
            || health.is_passed_over(&key)
        {
            return None;
        }
        match shared.look_up_in_time(handle).await {
            Ok(FoundCopy::Complete(folder)) => health.offer(key, &folder).then_some(folder),
            Ok(FoundCopy::Absent) => {
                health.forget(&key);
                None
            }
            Ok(FoundCopy::Unusable(why)) => {
                tracing::warn!(model = %handle, copy = shared.layout.dir(&key), "the shared cache's copy is not used: {why}");
                health.record_unusable(key);
                None
            }
            Err(error) => {
                shared.back_off(&error);
                None
            }
        }
    }

    /// Whether the model is being read from the bucket, or was.
    pub fn is_source_of(&self, handle: &Handle) -> bool {
        self.shared.health.is_offered(&handle.key())
    }

    /// Records that a copy could not be read, or that its bytes are wrong (`by_bytes`): for a while the hub is asked
    /// instead. False if the model was not read from here.
    pub fn record_failure(&self, handle: &Handle, by_bytes: bool) -> bool {
        let failed = self.shared.health.record_failure(handle.key(), by_bytes);
        if failed {
            tracing::warn!(model = %handle, at = self.shown(), "the shared cache's copy failed; the hub is asked from now on");
        }
        failed
    }
}

impl Shared {
    pub async fn look_up_in_time(&self, handle: &Handle) -> Result<FoundCopy, Error> {
        let timeout = self.options.timeout;
        let found = tokio::time::timeout(timeout, self.look_up(handle)).await;
        found.unwrap_or_else(|_| {
            Err(Error::NoAnswer {
                at: self.options.at.to_string(),
                seconds: timeout.as_secs_f32(),
            })
        })
    }

    pub async fn look_up(&self, handle: &Handle) -> Result<FoundCopy, Error> {
        let (key, url) = (handle.key(), handle.url());
        let descriptor = self.layout.descriptor(&key);
        let Some(descriptor) = self.writer.read(&descriptor).await? else {
            return Ok(FoundCopy::Absent);
        };
        if let Err(why) = layout::check_descriptor(&descriptor.bytes, &url) {
            return Ok(FoundCopy::Unusable(why));
        }
        let Ok(dir) = BucketPath::parse(&self.layout.dir(&key)) else {
            return Ok(FoundCopy::Absent);
        };
        let (lock, manifest) = (self.layout.lock(&key), self.layout.manifest(&key));
        let (tree, manifest) = tokio::join!(self.buckets.folder(&dir), self.writer.read(&manifest));
        let mut folder = match tree {
            Ok(tree) => Folder::of_bucket(&dir, tree),
            Err(error) if error.is_not_found() => {
                return Ok(FoundCopy::Unusable(String::from("it has no files")));
            }
            Err(error) => return Err(error.into()),
        };
        let judged = match manifest? {
            Some(text) => complete::by_manifest(&text.bytes, &url, &mut folder),
            // tensorflow_hub writes its descriptor before it moves the files.
            None if self.writer.read(&lock).await?.is_some() => return Ok(FoundCopy::Absent),
            None => complete::by_names(&folder).map_err(|flaw| flaw.to_string()),
        };
        Ok(match judged {
            Ok(()) => FoundCopy::Complete(folder),
            Err(why) => FoundCopy::Unusable(why),
        })
    }
}
