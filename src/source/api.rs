//! Questions to Kaggle's REST API, and what its answers say. Everything in them is hostile input.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::sleep;

use crate::fetch::{self, Ask, Client, Refusal, Tries, redacted};
use crate::source::Error;

/// Below www.kaggle.com, or what `--kaggle-url` puts in its place.
const BASE: &str = "https://www.kaggle.com/api/v1";

/// As many as Kaggle gives at once; fewer questions are fewer against its limits.
const PAGE_SIZE: u32 = 200;
/// Longest answer that is read: a page of the longest names is a tenth of it.
const MAX_ANSWER: usize = 4 << 20;
/// Most pages of one listing. No model or owner has so much; a server that never ends does.
const MAX_PAGES: usize = 5_000;
/// Most things in one listing.
const MAX_ITEMS: usize = 100_000;

/// After a refusal with status 200; `fetch` waits by itself after the others.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Everything but what a path component may have unencoded (RFC 3986, `unreserved`).
const COMPONENT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// `text` as one component of a path, or one value of a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, &COMPONENT).to_string()
}

/// The URL of `path` in the API.
pub(super) fn url(path: &str) -> String {
    format!("{BASE}{path}")
}

/// What a question is about, for messages.
#[derive(Debug, Clone)]
pub(super) struct About {
    /// The URL of the model, or of the page.
    pub model: String,
    /// The page about it.
    pub page: String,
}

impl About {
    pub fn explain(&self, why: &fetch::Error) -> Error {
        Error::of_kaggle(self.model.clone(), &self.page, why)
    }

    /// An answer that makes no sense.
    pub fn broken(&self, url: &str, why: &str) -> Error {
        Error::Failed {
            model: self.model.clone(),
            why: format!("{} {why}", redacted(url)),
            advice: String::from(
                "the fault is on its side; the archive may do: use --load-format compressed",
            ),
        }
    }
}

/// One page of a listing.
pub(super) trait Page: DeserializeOwned {
    type Item;
    /// What is on it, and the token of the next.
    fn into_parts(self) -> (Vec<Self::Item>, Option<String>);
}

/// The API, at one client.
#[derive(Debug, Clone)]
pub(super) struct Api<'a> {
    pub client: &'a Client,
}

impl Api<'_> {
    /// The answer to one question.
    pub async fn get<T: DeserializeOwned>(&self, about: &About, url: &str) -> Result<T, Error> {
        let body = self.body(url).await.map_err(|why| about.explain(&why))?;
        serde_json::from_slice(&body).map_err(|error| {
            let asked = self.client.mirrored(url);
            about.broken(&asked, &format!("gave no such answer as expected: {error}"))
        })
    }

    /// The body of an answer that is no refusal, however that is told. "Too many requests" is waited out.
    pub async fn body(&self, url: &str) -> Result<Bytes, fetch::Error> {
        let asked = self.client.mirrored(url);
        let began = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            let ask = Ask {
                max: MAX_ANSWER,
                accept: &[200],
                ..Ask::default()
            };
            let body = self.client.document(&asked, ask).await?.body;
            let Some(why) = refusal(&asked, &body) else {
                return Ok(body);
            };
            let left = self
                .client
                .options()
                .timeout
                .saturating_sub(began.elapsed());
            if why.status() != Some(429) || wait >= left {
                return Err(why);
            }
            sleep(wait).await;
            wait *= 2;
        }
    }

    /// Everything in a listing, page by page.
    pub async fn all<P: Page>(
        &self,
        about: &About,
        path: &str,
        query: &str,
    ) -> Result<Vec<P::Item>, Error> {
        let first = format!("{}?{query}pageSize={PAGE_SIZE}", url(path));
        let mut items = Vec::new();
        let mut seen = HashSet::new();
        let mut next = first.clone();
        for _ in 0..MAX_PAGES {
            let (page, token) = self.get::<P>(about, &next).await?.into_parts();
            items.extend(page);
            if items.len() > MAX_ITEMS {
                return Err(about.broken(&first, "lists more than 100,000 things"));
            }
            let Some(token) = token.filter(|token| !token.is_empty()) else {
                return Ok(items);
            };
            next = format!("{first}&pageToken={}", encoded(&token));
            if !seen.insert(token) {
                return Err(about.broken(&first, "lists its pages in a circle"));
            }
        }
        Err(about.broken(&first, "lists without end"))
    }
}

/// The refusal that is said at `url` with status 200, if it is one.
pub(super) async fn words(client: &Client, url: &str) -> Option<fetch::Error> {
    Api { client }.body(url).await.err()
}

/// The error that a body is, whatever its status was: `{"code": 404, "message": ...}`, or the same within `error`.
fn refusal(url: &str, body: &[u8]) -> Option<fetch::Error> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let words = body.get("error").filter(|words| words.is_object());
    let words = words.unwrap_or(&body);
    let code = words.get("code")?;
    let code = code.as_u64().or_else(|| code.as_str()?.parse().ok())?;
    let status = u16::try_from(code).ok().filter(|code| *code >= 400)?;
    let message = words.get("message").and_then(Value::as_str);
    let message = message.map(|words| words.chars().take(200).collect());
    Some(fetch::Error::Status {
        url: redacted(url),
        status,
        refusal: Refusal {
            code: None,
            message,
        },
        tries: Tries {
            attempts: 1,
            elapsed: Duration::ZERO,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_either_shape() {
        for (body, status) in [
            (r#"{"code":404,"message":"NotFound"}"#, Some(404)),
            (r#"{"code":"403","message":"no"}"#, Some(403)),
            (
                r#"{"error":{"code":429,"message":"Too many requests","status":"RESOURCE_EXHAUSTED"}}"#,
                Some(429),
            ),
            (r#"{"error":{"code":200}}"#, None),
            (r#"{"files":[],"nextPageToken":""}"#, None),
            (r#"{"code":null,"files":[]}"#, None),
            (r#"{"error":null,"files":[]}"#, None),
            ("[]", None),
            ("", None),
        ] {
            let found = refusal("https://h/x", body.as_bytes());
            assert_eq!(found.and_then(|found| found.status()), status, "{body}");
        }
    }

    #[test]
    fn components_are_encoded() {
        assert_eq!(encoded("a b/ü&c=d~-_."), "a%20b%2F%C3%BC%26c%3Dd~-_.");
    }
}
