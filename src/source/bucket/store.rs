//! object_store's client of one bucket, and what a request of ours carries to be taken for one of its.

use bytes::Bytes;
use http::{HeaderMap, Method};
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsAuthorizer};
use object_store::client::HttpRequestBody;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use super::answers::Answers;
use crate::config::AwsKeys;
use crate::fetch::Connector;

/// One way to ask; `true`: with credentials.
#[derive(Debug)]
pub(super) enum Store {
    Google(GoogleCloudStorage, bool),
    Amazon(AmazonS3, bool),
}

/// With what a request to Amazon is signed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sign<'a> {
    Nothing,
    /// What the environment, or the machine, gives.
    Environment,
    /// These keys, if there are any, else likewise.
    Keys(Option<&'a AwsKeys>),
}

impl Store {
    /// A bucket of Google's, with the credentials in `file` or those of this machine if it shall `sign`.
    pub(super) fn google(
        bucket: &str,
        base: &str,
        file: Option<&str>,
        sign: bool,
        connector: Connector,
    ) -> object_store::Result<Store> {
        let builder = GoogleCloudStorageBuilder::new();
        let builder = match (sign, file) {
            // An empty token keeps the builder from looking for credentials, which may be broken.
            (false, _) => builder.with_bearer_token("").with_skip_signature(true),
            (true, Some(file)) => builder.with_application_credentials(file),
            (true, None) => builder,
        };
        let builder = builder
            .with_base_url(base)
            .with_bucket_name(bucket)
            .with_http_connector(Answers::new(connector, true))
            .with_client_options(plain())
            .with_retry(once());
        builder.build().map(|store| Store::Google(store, sign))
    }

    /// A bucket of Amazon's, with the credentials of the environment or of this machine if it shall `sign`.
    pub(super) fn amazon(
        bucket: &str,
        endpoint: Option<&str>,
        region: &str,
        sign: Sign<'_>,
        connector: Connector,
    ) -> object_store::Result<Store> {
        let signs = !matches!(sign, Sign::Nothing);
        let mut builder = match sign {
            Sign::Nothing => AmazonS3Builder::new().with_skip_signature(true),
            Sign::Environment | Sign::Keys(None) => AmazonS3Builder::from_env(),
            Sign::Keys(Some(keys)) => {
                let builder = AmazonS3Builder::new()
                    .with_access_key_id(&keys.id)
                    .with_secret_access_key(&keys.secret);
                match &keys.token {
                    Some(token) => builder.with_token(token),
                    None => builder,
                }
            }
        };
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let builder = builder
            .with_region(region)
            .with_bucket_name(bucket)
            .with_virtual_hosted_style_request(false)
            .with_http_connector(Answers::new(connector, false))
            .with_client_options(plain())
            .with_retry(once());
        builder.build().map(|store| Store::Amazon(store, signs))
    }

    /// The objects, to be read.
    pub(super) fn objects(&self) -> &dyn ObjectStore {
        match self {
            Store::Google(store, _) => store,
            Store::Amazon(store, _) => store,
        }
    }

    /// Has the credentials at hand, if there shall be any; what holds none that can be sent is an error.
    pub(super) async fn ready(&self) -> object_store::Result<()> {
        let sendable = |text: &str| http::HeaderValue::from_str(text).is_ok();
        let good = match self {
            Store::Google(store, true) => {
                let credential = store.credentials().get_credential().await?;
                sendable(&credential.bearer)
            }
            Store::Amazon(store, true) => {
                let credential = store.credentials().get_credential().await?;
                sendable(&credential.key_id) && credential.token.as_deref().is_none_or(sendable)
            }
            Store::Google(_, false) | Store::Amazon(_, false) => true,
        };
        match good {
            true => Ok(()),
            false => Err(object_store::Error::Generic {
                store: "credentials",
                source: "they have characters that no header can have".into(),
            }),
        }
    }

    /// What a GET of `url` carries: a token, a signature, or nothing.
    pub(super) async fn headers(&self, url: &str, region: &str) -> object_store::Result<HeaderMap> {
        let asked = (Method::GET, HeaderMap::new(), Bytes::new());
        self.signed(url, asked, region).await
    }

    /// The headers of a request (method, headers, body), and what says who asks.
    pub(super) async fn signed(
        &self,
        url: &str,
        (method, mut headers, body): (Method, HeaderMap, Bytes),
        region: &str,
    ) -> object_store::Result<HeaderMap> {
        match self {
            Store::Google(store, true) => {
                let credential = store.credentials().get_credential().await?;
                let token = format!("Bearer {}", credential.bearer);
                let value = http::HeaderValue::from_str(&token);
                if let Ok(mut value) = value {
                    value.set_sensitive(true);
                    headers.insert(http::header::AUTHORIZATION, value);
                }
                Ok(headers)
            }
            Store::Amazon(store, true) => {
                let credential = store.credentials().get_credential().await?;
                let mut request = http::Request::new(HttpRequestBody::from(body));
                *request.method_mut() = method;
                *request.headers_mut() = headers;
                if let Ok(uri) = url.parse() {
                    *request.uri_mut() = uri;
                }
                AwsAuthorizer::new(&credential, "s3", region).try_authorize(&mut request, None)?;
                request.headers_mut().remove(http::header::HOST);
                Ok(std::mem::take(request.headers_mut()))
            }
            Store::Google(_, false) | Store::Amazon(_, false) => Ok(headers),
        }
    }
}

/// Everything worth another attempt is tried again by the connector.
fn once() -> RetryConfig {
    RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    }
}

/// Plain http is the connector's to refuse.
fn plain() -> ClientOptions {
    ClientOptions::new().with_allow_http(true)
}
