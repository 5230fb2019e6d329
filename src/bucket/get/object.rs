//! Parts of one object, always of the content that was listed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::header::{ETAG, IF_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::bucket::client::{BucketClient, Signer};
use crate::bucket::{Error, ObjectInfo};
use crate::fetch::{self, Opened, Origin, Part, RetryState, Span, Transfer};

/// Bytes in order; ends early with an error only.
pub type ObjectStream = BoxStream<'static, Result<Bytes, Error>>;

/// An object's content: its key, and the generation or ETag it was listed with.
#[derive(Clone)]
pub struct Object {
    client: Arc<BucketClient>,
    info: Arc<ObjectInfo>,
}

/// An object, and the name that it has below a directory.
#[derive(Debug, Clone)]
pub struct NamedObject {
    /// A relative path.
    pub name: String,
    /// The object.
    pub object: Object,
}

impl Object {
    pub(crate) fn new(client: Arc<BucketClient>, info: ObjectInfo) -> Object {
        Object {
            client,
            info: Arc::new(info),
        }
    }

    /// As it was listed.
    pub fn info(&self) -> &ObjectInfo {
        &self.info
    }

    /// Its URL, for messages.
    pub fn shown(&self) -> String {
        self.client.shown(&self.info.key)
    }

    /// Exactly the bytes of `range`, which lies within the object, in order. Nothing is sent before the first poll; dropping
    /// it ends the transfer.
    pub fn read(&self, range: Range<u64>) -> ObjectStream {
        let span = Span {
            at: range.start,
            end: Some(range.end),
        };
        let retry = self.client.http().retry_state();
        let transfer = Transfer::new(ObjectPart(self.clone()), span, retry);
        stream::try_unfold(transfer, |mut transfer| async {
            let chunk = transfer.chunk().await?;
            Ok(chunk.map(|bytes| (bytes, transfer)))
        })
        .boxed()
    }

    /// The URL of this content.
    fn url(&self) -> String {
        let url = self.client.object_url(&self.info.key);
        match self.client.is_amazon() {
            true => url,
            false => format!("{url}?generation={}", self.info.version),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.shown(), self.info.version)
    }
}

struct ObjectPart(Object);

impl Origin for ObjectPart {
    type Error = Error;

    async fn open(&mut self, span: Span, retry: &mut RetryState) -> Result<Opened, Error> {
        let client = self.0.client.clone();
        let range = span.at..span.end.unwrap_or(self.0.info.size);
        let mut attempts = client.attempts();
        while let Some(signer) = attempts.next().await {
            let answer = self.ask(signer, range.clone(), retry).await;
            if let Some(end) = attempts.judge(answer) {
                let part = end?;
                self.verify(&part)?;
                return Ok(part.opened());
            }
        }
        Err(attempts.into_error())
    }

    fn size(&self) -> Option<u64> {
        Some(self.0.info.size)
    }

    fn failed(&self, cause: fetch::Error) -> Error {
        self.0.client.explain(&self.0.shown(), &cause)
    }

    fn url(&self) -> String {
        self.0.shown()
    }
}

impl ObjectPart {
    async fn ask(
        &self,
        signer: &Signer,
        range: Range<u64>,
        retry: &mut RetryState,
    ) -> Result<Part, Error> {
        let (object, url) = (&self.0, self.0.url());
        let mut headers = HeaderMap::new();
        if object.client.is_amazon()
            && !object.info.version.is_empty()
            && let Ok(version) = HeaderValue::from_str(&object.info.version)
        {
            headers.insert(IF_MATCH, version);
        }
        let shown = object.shown();
        let signed = object
            .client
            .sign_get(signer, &shown, &url, headers)
            .await?;
        let part = object.client.http().part_of(&url, signed, range, retry);
        part.await
            .map_err(|cause| object.client.explain(&shown, &cause))
    }

    /// That the answer is about the content that was listed.
    fn verify(&self, part: &Part) -> Result<(), Error> {
        let (object, info) = (&self.0, &self.0.info);
        if let Some(total) = part.total.filter(|total| *total != info.size) {
            let why = format!("its length was {} and is {total}", info.size);
            return Err(Error::changed(&object.shown(), why));
        }
        let name = match object.client.is_amazon() {
            true => ETAG,
            false => HeaderName::from_static("x-goog-generation"),
        };
        let version = part.headers().get(&name);
        let version = version.and_then(|version| version.to_str().ok());
        match version.filter(|version| *version != info.version) {
            Some(version) => {
                let why = format!("it was {} and is {version}", info.version);
                Err(Error::changed(&object.shown(), why))
            }
            None => Ok(()),
        }
    }
}
