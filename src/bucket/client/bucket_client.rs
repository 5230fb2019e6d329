//! How one bucket is asked: anonymously, or with credentials once it wants them.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::OnceCell;

use super::attempts::Attempts;
use super::signer::Signer;
use crate::bucket::{BucketOptions, Error, ErrorKind};
use crate::fetch::{self, Ask, Client, Connector, Document};
use crate::handle::{BucketPath, Scheme};

const GOOGLE: &str = "https://storage.googleapis.com";

/// What a signature covers is encoded in exactly one way (RFC 3986: unreserved characters are left).
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One bucket.
#[derive(Debug)]
pub(crate) struct BucketClient {
    scheme: Scheme,
    bucket: String,
    client: Client,
    credentials: Client,
    options: BucketOptions,
    signer: OnceCell<Signer>,
    /// The bucket has wanted credentials, or they were named.
    signs: AtomicBool,
}

impl BucketClient {
    pub fn new(
        path: &BucketPath,
        client: &Client,
        credentials: &Client,
        options: &BucketOptions,
    ) -> BucketClient {
        let named = match path.scheme() {
            Scheme::S3 => options.aws_credentials,
            _ => options.gcs_credentials.is_some(),
        };
        BucketClient {
            scheme: path.scheme(),
            bucket: path.bucket().to_owned(),
            client: client.clone(),
            credentials: credentials.clone(),
            options: options.clone(),
            signer: OnceCell::new(),
            signs: AtomicBool::new(named),
        }
    }

    pub fn is_amazon(&self) -> bool {
        self.scheme == Scheme::S3
    }

    pub fn name(&self) -> &str {
        &self.bucket
    }

    pub fn http(&self) -> &Client {
        &self.client
    }

    /// The URL of a key, for messages.
    pub fn shown(&self, key: &str) -> String {
        format!("{}://{}/{key}", self.scheme.as_str(), self.bucket)
    }

    /// Google's endpoint.
    pub fn google(&self) -> &str {
        let endpoint = self.options.gcs_endpoint.as_deref();
        endpoint.unwrap_or(GOOGLE).trim_end_matches('/')
    }

    /// The bucket's own URL at Amazon.
    pub fn amazon(&self) -> String {
        let bucket = &self.bucket;
        match &self.options.aws_endpoint {
            Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
            None => format!("https://s3.{}.amazonaws.com/{bucket}", self.region()),
        }
    }

    /// The URL of an object's bytes, which both give over XML.
    pub fn object_url(&self, key: &str) -> String {
        let key = utf8_percent_encode(key, KEY).to_string();
        match self.scheme {
            Scheme::S3 => format!("{}/{}", self.amazon(), key.replace("%2F", "/")),
            _ => format!("{}/{}/{key}", self.google(), self.bucket),
        }
    }

    fn region(&self) -> &str {
        self.options.aws_region.as_deref().unwrap_or("us-east-1")
    }

    /// Makes a request about `object` as the last one succeeded, anonymously or signed, and if that is refused the other way.
    pub async fn ask(&self, object: &str, url: &str, ask: Ask<'_>) -> Result<Document, Error> {
        let mut attempts = self.attempts();
        while let Some(signer) = attempts.next().await {
            let answer = self.ask_as(signer, object, url, ask.clone()).await;
            if let Some(end) = attempts.judge(answer) {
                return end;
            }
        }
        Err(attempts.into_error())
    }

    pub fn attempts(&self) -> Attempts<'_> {
        Attempts::new(self, self.signs.load(Ordering::Relaxed))
    }

    /// Makes a request that changes `key`, with credentials.
    pub async fn change(&self, key: &str, url: &str, mut ask: Ask<'_>) -> Result<Document, Error> {
        let signer = self.writing().await?;
        if matches!(ask.method, Method::PUT | Method::POST) {
            let headers = &mut ask.headers;
            headers
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/octet-stream"));
        }
        self.ask_as(signer, &self.shown(key), url, ask).await
    }

    async fn ask_as(
        &self,
        signer: &Signer,
        object: &str,
        url: &str,
        mut ask: Ask<'_>,
    ) -> Result<Document, Error> {
        let headers = std::mem::take(&mut ask.headers);
        let signed = signer.sign(url, &ask.method, headers, &ask.body).await;
        ask.headers = signed.map_err(|error| BucketClient::explain_credentials(object, &error))?;
        let answer = self.client.document(url, ask).await;
        answer.map_err(|cause| self.explain(object, &cause))
    }

    /// The headers with which a GET of `url` is asked.
    pub async fn sign_get(
        &self,
        signer: &Signer,
        object: &str,
        url: &str,
        headers: HeaderMap,
    ) -> Result<HeaderMap, Error> {
        let (method, body) = (Method::GET, Bytes::new());
        let signed = signer.sign(url, &method, headers, &body).await;
        signed.map_err(|error| BucketClient::explain_credentials(object, &error))
    }

    /// What a failed request about `object` means.
    pub fn explain(&self, object: &str, cause: &fetch::Error) -> Error {
        Error::of_request(object, cause, self.advice(cause))
    }

    fn explain_credentials(object: &str, error: &object_store::Error) -> Error {
        let advice = "check the credentials";
        Error::new(ErrorKind::Failed, object, text(error), advice)
    }

    /// The signer with or without credentials; `Err` says why they cannot be used.
    pub async fn signer(&self, signs: bool) -> Result<&Signer, String> {
        if !signs {
            return Ok(&Signer::Anonymous);
        }
        let signer = self.signer.get_or_try_init(|| self.find_credentials());
        let signer = signer.await?;
        match signer.ready().await {
            Ok(()) => Ok(signer),
            Err(error) => Err(text(&error)),
        }
    }

    /// Makes the way that worked the first one the next time.
    pub fn remember(&self, signs: bool) {
        self.signs.store(signs, Ordering::Relaxed);
    }

    /// Credentials go to Google and Amazon, and to another endpoint only if they were named for it.
    pub fn may_sign(&self) -> bool {
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

    /// Off the async threads: it reads files, in home directories among others.
    async fn find_credentials(&self) -> Result<Signer, String> {
        let connector = Connector::new(self.credentials.clone());
        let (scheme, options) = (self.scheme, self.options.clone());
        let region = self.region().to_owned();
        let find = move || match scheme {
            Scheme::S3 => {
                let keys = options.aws_keys.filter(|_| !options.aws_credentials);
                Signer::amazon(keys.as_ref(), region, connector)
            }
            _ => Signer::google(options.gcs_credentials.as_deref(), connector),
        };
        let found = tokio::task::spawn_blocking(find).await;
        let found = found.map_err(|error| error.to_string())?;
        found.map_err(|error| text(&error))
    }

    /// The signer of writes: credentials, or none where an endpoint was configured.
    async fn writing(&self) -> Result<&Signer, Error> {
        let endpoint = match self.scheme {
            Scheme::S3 => &self.options.aws_endpoint,
            _ => &self.options.gcs_endpoint,
        };
        let signs = self.may_sign();
        let ready = match signs || endpoint.is_some() {
            true => self.signer(signs).await,
            false => Err(String::from("there are no credentials")),
        };
        let advice = match self.scheme {
            Scheme::S3 => "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            _ => "set GOOGLE_APPLICATION_CREDENTIALS",
        };
        ready.map_err(|why| Error::new(ErrorKind::Denied, &self.shown(""), why, advice))
    }

    fn advice(&self, cause: &fetch::Error) -> &'static str {
        match (self.scheme, cause.status()) {
            (Scheme::S3, Some(301 | 307)) => "the bucket is in another region: set AWS_REGION",
            (Scheme::S3, Some(401 | 403)) => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of an account that may read it"
            }
            (_, Some(401 | 403)) => {
                "set GOOGLE_APPLICATION_CREDENTIALS to the key file of an account that may read it"
            }
            (_, Some(404)) => "check the names of the bucket and what is in it",
            _ if cause.is_timeout() => "try again, or give it more time with --timeout",
            _ => "try again later",
        }
    }
}

/// At most a line: some of object_store's errors quote whole answers.
fn text(error: &object_store::Error) -> String {
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
