//! How one bucket is asked: anonymously, or with credentials once it wants them.

use std::future::Future;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lru::LruCache;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectMeta};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::names::{Entry, Listed};
use super::store::{Sign, Store};
use super::{Options, amazon, google};
use crate::fetch::{self, Ask, Client, Connector, Document};
use crate::handle::{BucketPath, Scheme};
use crate::source::{Error, RemoteFile};

/// Of how many directories it is remembered that they were told of.
const TOLD: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

const GOOGLE: &str = "https://storage.googleapis.com";

/// A page of a thousand long names, and room.
const MAX_LISTING: usize = 8 << 20;

/// One bucket.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) scheme: Scheme,
    pub(super) bucket: String,
    pub(super) client: Client,
    credentials: Client,
    pub(super) options: Options,
    anonymous: OnceCell<Store>,
    signed: OnceCell<Store>,
    /// The bucket has wanted credentials, or they were named.
    sign: AtomicBool,
    /// Directories whose odd names were told of.
    odd: Mutex<LruCache<String, ()>>,
}

impl Access {
    pub(super) fn new(
        path: &BucketPath,
        client: &Client,
        credentials: &Client,
        options: &Options,
    ) -> Access {
        let named = match path.scheme() {
            Scheme::S3 => options.aws_credentials,
            _ => options.gcs_credentials.is_some(),
        };
        Access {
            scheme: path.scheme(),
            bucket: path.bucket().to_owned(),
            client: client.clone(),
            credentials: credentials.clone(),
            options: options.clone(),
            anonymous: OnceCell::new(),
            signed: OnceCell::new(),
            sign: AtomicBool::new(named),
            odd: Mutex::new(LruCache::new(TOLD)),
        }
    }

    /// Whether odd names in `dir` have not been told of yet: once is enough, whatever the number of its pages.
    pub(super) fn is_first_odd(&self, dir: &BucketPath) -> bool {
        self.odd.lock().put(dir.to_string(), ()).is_none()
    }

    /// The URL of a key, for messages.
    pub(super) fn shown(&self, key: &str) -> String {
        format!("{}://{}/{key}", self.scheme.as_str(), self.bucket)
    }

    /// A page of what lies below `dir`; `delimited`: directly below it.
    pub(super) async fn list(
        &self,
        dir: &BucketPath,
        token: Option<&str>,
        delimited: bool,
        most: usize,
    ) -> Result<Listed, Error> {
        let prefix = match dir.key() {
            "" => String::new(),
            key => format!("{key}/"),
        };
        let url = match self.scheme {
            Scheme::S3 => amazon::list_url(&self.amazon(), &prefix, token, delimited, most),
            _ => google::list_url(
                &self.google(),
                &self.bucket,
                &prefix,
                token,
                delimited,
                most,
            ),
        };
        let model = dir.to_string();
        let body = self
            .attempt(|store| self.document(store, &url, &model, &[200]))
            .await?
            .body;
        let read = match self.scheme {
            Scheme::S3 => amazon::page(&body),
            _ => google::page(&body),
        };
        read.map_err(|why| unreadable(&model, &why))
    }

    /// The object with this name, if there is one.
    pub(super) async fn stat(
        self: &Arc<Access>,
        path: &BucketPath,
    ) -> Result<Option<RemoteFile>, Error> {
        let found = match self.scheme {
            Scheme::S3 => self.attempt(|store| self.head(store, path)).await,
            _ => {
                let (url, model) = (google::object_url(&self.google(), path), path.to_string());
                let body = self
                    .attempt(|store| self.document(store, &url, &model, &[200]))
                    .await;
                body.and_then(|told| {
                    google::object(&told.body).map_err(|why| unreadable(&model, &why))
                })
            }
        };
        let entry = match found {
            Ok(entry) => entry,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let name = path.split().map_or("", |(_, name)| name).to_owned();
        Ok(Some(RemoteFile {
            name,
            size: entry.size,
            mtime: entry.mtime,
            hashes: entry.hashes,
            version: entry.version.clone(),
            from: Arc::new(super::object::Object::new(self.clone(), &entry)),
        }))
    }

    /// Part of an object, if it still is that version.
    pub(super) async fn get(
        &self,
        key: &str,
        version: &str,
        range: Range<u64>,
    ) -> Result<GetResult, Error> {
        let mut options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        match self.scheme {
            Scheme::S3 if version.is_empty() => {}
            Scheme::S3 => options.if_match = Some(version.to_owned()),
            _ => options.version = Some(version.to_owned()),
        }
        // Keys were vetted: what object_store would change in them is not in them.
        let path = Path::parse(key).map_err(|why| unreadable(key, &why.to_string()))?;
        let (path, options) = (&path, &options);
        self.attempt(|store| async move {
            let got = store.objects().get_opts(path, options.clone()).await;
            got.map_err(
                |error| match fetch::cause(&error).and_then(fetch::Error::status) {
                    Some(404 | 410 | 412 | 416) => Error::Changed {
                        model: self.shown(key),
                        why: error_text(&error),
                    },
                    _ => self.explain(key, &error),
                },
            )
        })
        .await
    }

    /// What says that an answer is about another content than `version`.
    pub(super) fn is_other(&self, version: &str, told: &ObjectMeta) -> Option<String> {
        let found = match self.scheme {
            Scheme::S3 => told.e_tag.as_deref(),
            _ => told.version.as_deref(),
        };
        let found = found.filter(|found| *found != version)?;
        Some(format!("it was {version} and is {found}"))
    }

    /// What an error of object_store's means for a key.
    pub(super) fn explain(&self, key: &str, error: &object_store::Error) -> Error {
        let model = self.shown(key);
        match fetch::cause(error) {
            Some(why) => Error::told(model, why, self.advice(why)),
            None => Error::Failed {
                model,
                why: error_text(error),
                advice: String::from(
                    "the bucket does not answer as it should; nothing of it was kept",
                ),
            },
        }
    }

    /// Asks in the way that worked last, and if that is refused in the other one. Credentials that cannot be used, or may
    /// do less than everybody, do not keep anyone from what is public.
    pub(super) async fn attempt<'a, T, F>(
        &'a self,
        ask: impl Fn(&'a Store) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + 'a,
    {
        let first = self.sign.load(Ordering::Relaxed);
        let (mut refused, mut useless) = (None, None);
        for sign in [first, !first] {
            if sign && !self.may_sign() {
                continue;
            }
            let store = match self.way(sign).await {
                Ok(store) => store,
                Err(why) => {
                    useless = Some(why);
                    continue;
                }
            };
            match ask(store).await {
                Err(error) if error.is_denied() => {
                    // What is said to somebody who is known tells more.
                    refused = Some(error)
                        .filter(|_| sign || refused.is_none())
                        .or(refused);
                }
                answer => {
                    if answer.is_ok() {
                        self.sign.store(sign, Ordering::Relaxed);
                    }
                    return answer;
                }
            }
        }
        Err(match (refused, useless) {
            (Some(Error::Denied { model, why, advice }), Some(useless)) => Error::Denied {
                model,
                why,
                advice: format!("the credentials cannot be used: {useless}; {advice}"),
            },
            (Some(refused), _) => refused,
            (None, Some(useless)) => unreadable(&self.shown(""), &useless),
            (None, None) => unreadable(&self.shown(""), "nobody may ask"),
        })
    }

    /// What asks with or without credentials; `Err` says why they cannot be used.
    pub(super) async fn way(&self, sign: bool) -> Result<&Store, String> {
        let cell = if sign { &self.signed } else { &self.anonymous };
        let store = cell.get_or_try_init(async || self.store(sign)).await;
        let store = store.map_err(|error| error_text(&error))?;
        match store.ready().await {
            Ok(()) => Ok(store),
            Err(error) => Err(error_text(&error)),
        }
    }

    /// Credentials go to Google and Amazon, and to another endpoint only if they were named for it.
    pub(super) fn may_sign(&self) -> bool {
        match self.scheme {
            Scheme::S3 => {
                let options = &self.options;
                options.aws_credentials || options.aws_keys.is_some() || options.on_amazon
            }
            _ if self.options.gcs_credentials.is_some() => true,
            _ if self.options.gcs_endpoint.is_some() => self.options.gcs_default_named,
            _ => self.options.gcs_default,
        }
    }

    fn store(&self, sign: bool) -> object_store::Result<Store> {
        let client = match sign {
            true => &self.credentials,
            false => &self.client,
        };
        let connector = Connector::new(client.clone());
        match self.scheme {
            Scheme::S3 => {
                let endpoint = self.options.aws_endpoint.as_deref();
                let sign = match (sign, self.options.aws_credentials) {
                    (false, _) => Sign::Nothing,
                    (true, true) => Sign::Environment,
                    (true, false) => Sign::Keys(self.options.aws_keys.as_ref()),
                };
                Store::amazon(&self.bucket, endpoint, &self.region(), sign, connector)
            }
            _ => {
                let file = self.options.gcs_credentials.as_deref();
                Store::google(&self.bucket, &self.google(), file, sign, connector)
            }
        }
    }

    /// What a GET of `url`, about `model`, is answered.
    pub(super) async fn document(
        &self,
        store: &Store,
        url: &str,
        model: &str,
        accept: &[u16],
    ) -> Result<Document, Error> {
        let headers = store.headers(url, &self.region()).await;
        let headers = headers.map_err(|error| self.explain("", &error))?;
        let ask = Ask {
            headers,
            max: MAX_LISTING,
            accept,
        };
        let told = self.client.document(url, ask).await;
        told.map_err(|why| Error::told(model.to_owned(), &why, self.advice(&why)))
    }

    async fn head(&self, store: &Store, path: &BucketPath) -> Result<Entry, Error> {
        let key =
            Path::parse(path.key()).map_err(|why| unreadable(path.key(), &why.to_string()))?;
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        let told = store.objects().get_opts(&key, options).await;
        let meta = told.map_err(|error| self.explain(path.key(), &error))?.meta;
        Ok(Entry {
            key: path.key().to_owned(),
            size: meta.size,
            version: meta.e_tag.unwrap_or_default(),
            mtime: meta.last_modified.into(),
            hashes: crate::checksum::Hashes::default(),
        })
    }

    pub(super) fn google(&self) -> String {
        let endpoint = self.options.gcs_endpoint.as_deref();
        endpoint.unwrap_or(GOOGLE).trim_end_matches('/').to_owned()
    }

    /// The bucket's own URL.
    pub(super) fn amazon(&self) -> String {
        let bucket = &self.bucket;
        match &self.options.aws_endpoint {
            Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
            None => format!("https://s3.{}.amazonaws.com/{bucket}", self.region()),
        }
    }

    pub(super) fn region(&self) -> String {
        let region = self.options.aws_region.as_deref();
        region.unwrap_or("us-east-1").to_owned()
    }

    pub(super) fn advice(&self, why: &fetch::Error) -> String {
        let text = match (self.scheme, why.status()) {
            (Scheme::S3, Some(301 | 307)) => "the bucket is in another region: set AWS_REGION",
            (Scheme::S3, Some(401 | 403)) => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of somebody who may read it"
            }
            (_, Some(401 | 403)) => {
                "set GOOGLE_APPLICATION_CREDENTIALS to a key file of somebody who may read it"
            }
            (_, Some(404)) => "check the names of the bucket and what is in it",
            _ if why.is_timeout() => "try again, or give it more time with --timeout",
            _ => "try again later",
        };
        text.to_owned()
    }
}

/// Quotes what a parser says, which may quote what was sent.
pub(super) fn unreadable(model: &str, why: &str) -> Error {
    let why: String = why.chars().take(200).flat_map(char::escape_debug).collect();
    Error::Failed {
        model: model.to_owned(),
        why: format!("the bucket's answer cannot be read: {why}"),
        advice: String::from("the fault is on the bucket's side"),
    }
}

/// At most a line: some of object_store's errors quote whole answers.
fn error_text(error: &object_store::Error) -> String {
    match fetch::cause(error) {
        Some(why) => why.to_string(),
        None => {
            let text = error.to_string();
            text.chars()
                .take(300)
                .flat_map(char::escape_debug)
                .collect()
        }
    }
}
