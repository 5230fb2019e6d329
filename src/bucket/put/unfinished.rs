//! Uploads in flight. One that is not completed is aborted, also when its task is cancelled, so that no parts stay in the bucket.

use super::writer::BucketWriter;
use super::{amazon, google};

/// What a bucket knows an upload by.
#[derive(Debug, Clone)]
pub(super) enum Begun {
    /// Google: the URL of a resumable session, which is all that it takes.
    Session(String),
    /// Amazon: the encoded id of a multipart upload.
    Parts(String),
}

/// An upload in parts. Dropped before [`Upload::end`], as when its task is cancelled, it is aborted in the background.
pub(super) struct Upload {
    writer: BucketWriter,
    key: String,
    begun: Option<Begun>,
}

impl Upload {
    pub fn new(writer: &BucketWriter, key: &str, begun: Begun) -> Upload {
        Upload {
            writer: writer.clone(),
            key: key.to_owned(),
            begun: Some(begun),
        }
    }

    /// Forgets a complete upload, and aborts any other.
    pub async fn end(mut self, is_complete: bool) {
        if !is_complete && let Some(begun) = self.begun.clone() {
            abort(&self.writer, &self.key, &begun).await;
        }
        self.begun = None;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(begun) = self.begun.take() else {
            return;
        };
        let (writer, key) = (self.writer.clone(), std::mem::take(&mut self.key));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { abort(&writer, &key, &begun).await });
        }
    }
}

async fn abort(writer: &BucketWriter, key: &str, begun: &Begun) {
    let aborted = match begun {
        Begun::Session(url) => google::abort(writer, key, url).await,
        Begun::Parts(id) => amazon::abort(writer, key, id).await,
    };
    if let Err(error) = aborted {
        tracing::warn!(
            object = writer.client.shown(key), %error,
            "an upload could not be aborted: its parts stay until the bucket's lifecycle rules delete them"
        );
    }
}
