//! object_store's client of one bucket, and what a request of ours carries to be taken for one of its.

use http::HeaderMap;
use object_store::ObjectStore;
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::gcp::GoogleCloudStorage;

/// One way to ask; `true`: with credentials.
#[derive(Debug)]
pub(super) enum Store {
    Google(GoogleCloudStorage, bool),
    Amazon(AmazonS3, bool),
}

impl Store {
    /// The objects, to be read.
    pub(super) fn objects(&self) -> &dyn ObjectStore {
        match self {
            Store::Google(store, _) => store,
            Store::Amazon(store, _) => store,
        }
    }

    /// What a GET of `url` carries: a token, a signature, or nothing.
    pub(super) async fn headers(&self, url: &str, region: &str) -> object_store::Result<HeaderMap> {
        match self {
            Store::Google(store, true) => {
                let credential = store.credentials().get_credential().await?;
                let token = format!("Bearer {}", credential.bearer);
                let value = http::HeaderValue::from_str(&token);
                let mut headers = HeaderMap::new();
                if let Ok(mut value) = value {
                    value.set_sensitive(true);
                    headers.insert(http::header::AUTHORIZATION, value);
                }
                Ok(headers)
            }
            Store::Amazon(store, true) => {
                let credential = store.credentials().get_credential().await?;
                let mut request =
                    http::Request::new(object_store::client::HttpRequestBody::empty());
                if let Ok(uri) = url.parse() {
                    *request.uri_mut() = uri;
                }
                AwsAuthorizer::new(&credential, "s3", region).try_authorize(&mut request, None)?;
                request.headers_mut().remove(http::header::HOST);
                Ok(std::mem::take(request.headers_mut()))
            }
            Store::Google(_, false) | Store::Amazon(_, false) => Ok(HeaderMap::new()),
        }
    }
}
