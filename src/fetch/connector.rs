//! object_store's way to the network: this room's client, with its one retry policy, deadlines and rules.
//!
//! Headers go out as they are given, signatures among them, and redirects are not followed. A GET that nobody signed is asked at
//! the mirror of its host, like every other. What goes wrong is an [`Error`] of
//! this room, refusals too; [`cause`] finds it in what object_store makes of it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HOST, RANGE};
use http::{HeaderValue, Method};
use http_body::{Body, Frame, SizeHint};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use tokio::time::{Instant, Sleep, sleep};

use super::client::{Client, Question, broken};
use super::error::Error;
use super::retry::{Failure, Patience};

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
        let url = parts.uri.to_string();
        // What is signed is for the host it names, and for no mirror.
        let address = match parts.method == Method::GET && !headers.contains_key(AUTHORIZATION) {
            true => Client::address(&self.0.mirrored(&url))?,
            false => Client::address(&url)?,
        };
        // The client sets it from the address.
        headers.remove(HOST);
        if !headers.contains_key(RANGE) {
            // A token or another small answer, which object_store reads as it comes.
            headers
                .entry(ACCEPT_ENCODING)
                .or_insert(HeaderValue::from_static("identity"));
        }
        let question = Question {
            method: parts.method,
            headers,
            body: body.as_bytes().cloned().unwrap_or_default(),
        };
        let timeout = self.0.options().timeout;
        let mut patience = Patience::new(timeout);
        let answer = self.0.exchange(&address, &question, &mut patience).await?;
        if !answer.status().is_success() {
            return Err(Client::refused(&address, &patience, answer).await);
        }
        let (parts, body) = http::Response::from(answer).into_parts();
        let flow = Flow {
            body,
            timeout,
            deadline: Box::pin(sleep(timeout)),
            waiting: false,
            url: address.to_string(),
            patience,
        };
        Ok(http::Response::from_parts(
            parts,
            HttpResponseBody::new(flow),
        ))
    }
}

/// A body that may not be silent for longer than the timeout.
struct Flow {
    body: reqwest::Body,
    timeout: Duration,
    deadline: Pin<Box<Sleep>>,
    /// Somebody waits, and nothing has come since.
    waiting: bool,
    url: String,
    patience: Patience,
}

impl Body for Flow {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let flow = &mut *self;
        match Pin::new(&mut flow.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                flow.waiting = false;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let why = match broken(error) {
                    Failure::Broken { why, .. } => why,
                    Failure::Silent | Failure::Answer { .. } => String::from("it broke off"),
                };
                Poll::Ready(Some(Err(failed(Error::Transport {
                    url: flow.url.clone(),
                    why,
                    tries: flow.patience.tries(),
                }))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                // The time in which nobody asks does not count.
                if !std::mem::replace(&mut flow.waiting, true) {
                    flow.deadline.as_mut().reset(Instant::now() + flow.timeout);
                }
                ready!(flow.deadline.as_mut().poll(cx));
                Poll::Ready(Some(Err(failed(Error::Stalled {
                    url: flow.url.clone(),
                    waited: flow.timeout,
                    tries: flow.patience.tries(),
                }))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
