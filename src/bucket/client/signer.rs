//! What a request carries so that a bucket knows who asks. object_store finds credentials, renews them, and signs for Amazon.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsAuthorizer};
use object_store::client::HttpRequestBody;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::{ClientOptions, RetryConfig};

use crate::config::AwsKeys;
use crate::fetch::Connector;

/// One way to ask a bucket.
#[derive(Debug)]
pub(crate) enum Signer {
    Anonymous,
    Google(GoogleCloudStorage),
    Amazon { store: AmazonS3, region: String },
}

impl Signer {
    /// Google's credentials in `file`, or those of this machine. Reads files.
    pub fn google(file: Option<&str>, connector: Connector) -> object_store::Result<Signer> {
        let builder = GoogleCloudStorageBuilder::new();
        let builder = match file {
            Some(file) => builder.with_application_credentials(file),
            None => builder,
        };
        let builder = builder
            .with_bucket_name("any")
            .with_http_connector(connector)
            .with_client_options(plain())
            .with_retry(once());
        builder.build().map(Signer::Google)
    }

    /// `keys`, or else the credentials of the environment or of this machine. Reads files.
    pub fn amazon(
        keys: Option<&AwsKeys>,
        region: String,
        connector: Connector,
    ) -> object_store::Result<Signer> {
        let builder = match keys {
            None => AmazonS3Builder::from_env(),
            Some(keys) => {
                let builder = AmazonS3Builder::new()
                    .with_access_key_id(&keys.id)
                    .with_secret_access_key(&keys.secret);
                match &keys.token {
                    Some(token) => builder.with_token(token),
                    None => builder,
                }
            }
        };
        let builder = builder
            .with_region(&region)
            .with_bucket_name("any")
            .with_http_connector(connector)
            .with_client_options(plain())
            .with_retry(once());
        let store = builder.build()?;
        Ok(Signer::Amazon { store, region })
    }

    /// Has the credentials at hand; what holds none that can be sent is an error.
    pub async fn ready(&self) -> object_store::Result<()> {
        let sendable = |text: &str| HeaderValue::from_str(text).is_ok();
        let good = match self {
            Signer::Google(store) => {
                let credential = store.credentials().get_credential().await?;
                sendable(&credential.bearer)
            }
            Signer::Amazon { store, .. } => {
                let credential = store.credentials().get_credential().await?;
                sendable(&credential.key_id) && credential.token.as_deref().is_none_or(sendable)
            }
            Signer::Anonymous => true,
        };
        match good {
            true => Ok(()),
            false => Err(object_store::Error::Generic {
                store: "credentials",
                source: "they have characters that no header can have".into(),
            }),
        }
    }

    /// The headers of a request, and what says who asks.
    pub async fn sign(
        &self,
        url: &str,
        method: &Method,
        mut headers: HeaderMap,
        body: &Bytes,
    ) -> object_store::Result<HeaderMap> {
        match self {
            Signer::Google(store) => {
                let credential = store.credentials().get_credential().await?;
                let token = format!("Bearer {}", credential.bearer);
                if let Ok(mut value) = HeaderValue::from_str(&token) {
                    value.set_sensitive(true);
                    headers.insert(http::header::AUTHORIZATION, value);
                }
                Ok(headers)
            }
            Signer::Amazon { store, region } => {
                let credential = store.credentials().get_credential().await?;
                let mut request = http::Request::new(HttpRequestBody::from(body.clone()));
                *request.method_mut() = method.clone();
                *request.headers_mut() = headers;
                if let Ok(uri) = url.parse() {
                    *request.uri_mut() = uri;
                }
                AwsAuthorizer::new(&credential, "s3", region).try_authorize(&mut request, None)?;
                request.headers_mut().remove(http::header::HOST);
                Ok(std::mem::take(request.headers_mut()))
            }
            Signer::Anonymous => Ok(headers),
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
