//! object_store's way to the network, on which it learns credentials: this room's client, with its one retry policy,
//! deadlines and rules.
//!
//! Headers go out as they are given, and redirects are not followed. What goes wrong is an [`Error`] of this room, refusals
//! too; [`cause`] finds it in what object_store makes of it.

use async_trait::async_trait;
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpService,
};

use super::client::Client;
use super::document::Ask;
use super::error::Error;

/// Longest answer of a server of credentials, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Gives object_store our client.
#[derive(Debug, Clone)]
pub struct Connector(Client);

impl Connector {
    /// Over `client`.
    pub fn new(client: Client) -> Connector {
        Connector(client)
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(self.0.clone())))
    }
}

#[derive(Debug)]
struct Service(Client);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.send(request).await.map_err(failed)
    }
}

impl Service {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let (parts, body) = request.into_parts();
        let mut headers = parts.headers;
        // The client sets it from the address.
        headers.remove(http::header::HOST);
        let ask = Ask {
            method: parts.method,
            headers,
            body: body.as_bytes().cloned().unwrap_or_default(),
            max: MAX_ANSWER,
            accept: &[200, 201, 202, 204, 206],
        };
        let document = self.0.document(&parts.uri.to_string(), ask).await?;
        let mut answer = http::Response::new(document.body.into());
        *answer.headers_mut() = document.headers;
        *answer.status_mut() = http::StatusCode::from_u16(document.status).unwrap_or_default();
        Ok(answer)
    }
}

/// Everything worth another attempt has had it.
fn failed(error: Error) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error)
}

/// What of this room's is the cause of an error of object_store's, if it is one.
pub fn cause(error: &object_store::Error) -> Option<&Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref() {
            return Some(ours);
        }
        cause = error.source();
    }
    None
}
