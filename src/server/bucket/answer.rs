//! What each route answers.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::json;
use tokio::time::timeout;

use super::checksums::Sums;
use super::fault::{Fault, Surface};
use super::listing::{Mark, Query};
use super::{Bucket, Object, Route, json, xml};
use crate::server::origin::Origin;
use crate::server::survey::Stamp;

/// How long an answer about objects waits for their checksums: at the speed of
/// memory that is for some GiB, which are then known for good.
pub const SUMS_WITHIN: Duration = Duration::from_secs(2);

/// How much of what may not be written is heard out before it is refused, and how long.
const HEARD_BYTES: usize = 1 << 20;
const HEARD: Duration = Duration::from_secs(5);

impl Bucket {
    /// Answers a GET or HEAD.
    pub async fn answer(&self, route: Route, request: &Parts) -> Response {
        let surface = Surface::of(&route);
        match self.routed(route, request).await {
            Ok(response) => response,
            Err(fault) => fault.response(surface),
        }
    }

    /// Refuses a request that is to change something.
    pub async fn refuse(&self, route: &Route, body: Body) -> Response {
        // Whoever is still sending hears no answer when the connection ends under what it sends.
        let _ = timeout(HEARD, axum::body::to_bytes(body, HEARD_BYTES)).await;
        Fault::Denied.response(Surface::of(route))
    }

    async fn routed(&self, route: Route, request: &Parts) -> Result<Response, Fault> {
        let origin = Origin::of(&request.headers, &self.name);
        let asked = Parameters::of(request);
        let ours = |bucket: &str| match bucket == self.name {
            true => Ok(()),
            false => Err(Fault::NoBucket),
        };
        match route {
            Route::Buckets => Ok(json::response(&json!({
                "kind": "storage#buckets",
                "items": [json::bucket(&origin)],
            }))),
            Route::Bucket(bucket) => {
                ours(&bucket)?;
                Ok(json::response(&json::bucket(&origin)))
            }
            Route::List(bucket) => {
                ours(&bucket)?;
                self.list(&origin, &asked).await
            }
            Route::Object(bucket, name) => {
                ours(&bucket)?;
                if asked.get("alt").is_some_and(|alt| alt == "media") {
                    return Ok(self.send(&name, request, Surface::Media).await);
                }
                self.metadata(&origin, &asked, &name).await
            }
            Route::Media(bucket, name) => {
                ours(&bucket)?;
                Ok(self.send(&name, request, Surface::Media).await)
            }
            Route::XmlList => self.list_xml(&asked).await,
            Route::XmlObject(name) => Ok(self.send(&name, request, Surface::Xml).await),
            Route::Other => Err(Fault::NoSuchThing),
        }
    }

    async fn list(&self, origin: &Origin, asked: &Parameters) -> Result<Response, Fault> {
        if asked.get("matchGlob").is_some() {
            return Err(Fault::Invalid("matchGlob is not known here.".to_owned()));
        }
        let query = Query {
            prefix: asked.text("prefix").unwrap_or_default(),
            delimiter: asked.text("delimiter"),
            start: asked.text("startOffset"),
            end: asked.text("endOffset"),
            after: asked.mark("pageToken")?,
            max: asked.count("maxResults")?,
        };
        let page = self.page(query).await.map_err(Fault::Failed)?;
        let sums = self.sums_of(&page.objects).await;
        Ok(json::response(&json::page(origin, &page, &sums)))
    }

    async fn list_xml(&self, asked: &Parameters) -> Result<Response, Fault> {
        let second = asked.get("list-type").is_some_and(|version| version == "2");
        let after = match second {
            true => match asked.mark("continuation-token")? {
                Some(mark) => Some(mark),
                None => asked.text("start-after").map(Mark::Object),
            },
            // What follows a prefix begins with it: only the delimiter tells which it was.
            false => asked.text("marker").map(|marker| {
                let ends = asked
                    .text("delimiter")
                    .is_some_and(|d| marker.ends_with(&d));
                match ends {
                    true => Mark::Prefix(marker),
                    false => Mark::Object(marker),
                }
            }),
        };
        let query = Query {
            prefix: asked.text("prefix").unwrap_or_default(),
            delimiter: asked.text("delimiter"),
            after,
            max: asked.count("max-keys")?,
            ..Query::default()
        };
        let page = self.page(query.clone()).await.map_err(Fault::Failed)?;
        Ok(xml::page(&self.name, &query, second, &page))
    }

    async fn metadata(
        &self,
        origin: &Origin,
        asked: &Parameters,
        name: &str,
    ) -> Result<Response, Fault> {
        let none = || Fault::NoObject(self.name.clone(), name.to_owned());
        let object = self.find(name).await.map_err(Fault::Failed)?;
        let object = object.ok_or_else(none)?;
        if !asked.check(&object.stamp)? {
            return Err(none());
        }
        if asked.is_known(&object.stamp) {
            return Ok(super::send::not_modified());
        }
        let sums = self.sums_of(std::slice::from_ref(&object)).await;
        let sums = sums.first().copied().flatten();
        Ok(json::response(&json::object(origin, &object, sums)))
    }

    /// Their checksums, as far as they are known in time.
    async fn sums_of(&self, objects: &[Object]) -> Vec<Option<Sums>> {
        let files: Vec<_> = objects
            .iter()
            .map(|object| (object.path.as_path(), object.stamp))
            .collect();
        self.sums.ask(&files).within(SUMS_WITHIN).await
    }
}

/// What a request's query says, and the conditions that the XML surface has as headers.
pub struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// All pairs of the query.
    pub fn of(request: &Parts) -> Parameters {
        let query = request.uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let mut pairs: Vec<_> = pairs.into_owned().collect();
        for (header, parameter) in [
            ("x-goog-if-generation-match", "ifGenerationMatch"),
            ("x-goog-if-metageneration-match", "ifMetagenerationMatch"),
        ] {
            if let Some(value) = request.headers.get(header) {
                let value = String::from_utf8_lossy(value.as_bytes());
                pairs.push((parameter.to_owned(), value.into_owned()));
            }
        }
        Parameters { pairs }
    }

    /// The first value.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut pairs = self.pairs.iter();
        pairs
            .find(|(found, _)| found == key)
            .map(|(_, value)| value.as_str())
    }

    /// A value; an empty one is none.
    pub fn text(&self, key: &str) -> Option<String> {
        self.get(key)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    }

    /// A value that is a number.
    fn number(&self, key: &str) -> Result<Option<u64>, Fault> {
        let Some(text) = self.get(key).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Fault::Invalid(format!(
                "Invalid unsigned integer for {key}."
            ))),
        }
    }

    fn count(&self, key: &str) -> Result<Option<usize>, Fault> {
        let count = self.number(key)?.filter(|count| *count > 0);
        Ok(count.map(|count| usize::try_from(count).unwrap_or(usize::MAX)))
    }

    fn mark(&self, key: &str) -> Result<Option<Mark>, Fault> {
        let Some(token) = self.get(key).filter(|token| !token.is_empty()) else {
            return Ok(None);
        };
        match Mark::of(token) {
            Some(mark) => Ok(Some(mark)),
            None => Err(Fault::Invalid(format!("Invalid {key}."))),
        }
    }

    /// False if another generation is asked for: there is only one.
    ///
    /// # Errors
    /// A condition that does not hold.
    pub fn check(&self, stamp: &Stamp) -> Result<bool, Fault> {
        let generation = stamp.generation();
        if self
            .number("generation")?
            .is_some_and(|asked| asked != generation)
        {
            return Ok(false);
        }
        for (key, actual) in [
            ("ifGenerationMatch", generation),
            ("ifMetagenerationMatch", 1),
        ] {
            if self.number(key)?.is_some_and(|asked| asked != actual) {
                return Err(Fault::Precondition);
            }
        }
        Ok(true)
    }

    /// True if the client has this generation already.
    pub fn is_known(&self, stamp: &Stamp) -> bool {
        let known = self.get("ifGenerationNotMatch").map(Cow::from);
        known.is_some_and(|known| known == stamp.generation().to_string())
    }
}
