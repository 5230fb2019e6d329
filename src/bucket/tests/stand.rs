//! A bucket whose answers are a function of what is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Response};
use parking_lot::Mutex;

/// One request.
#[derive(Clone)]
pub struct Asked {
    pub method: Method,
    /// As it was sent.
    pub path: String,
    /// Decoded.
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
}

impl Asked {
    pub fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn is_list(&self) -> bool {
        self.path.ends_with("/o") || self.query.contains_key("list-type")
    }

    /// The first and last byte that are wanted.
    pub fn range(&self) -> Option<(usize, usize)> {
        let (first, last) = self
            .header("range")?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    }
}

pub type Reply = Response<Body>;

/// Running until the test's runtime ends.
pub struct Stand {
    pub base: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Stand {
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Stand {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = asked.clone();
        let answer = Arc::new(answer);
        let app = Router::new().fallback(move |request: Request| {
            let (parts, _) = request.into_parts();
            let query = parts.uri.query().unwrap_or_default();
            let asked = Asked {
                method: parts.method,
                path: parts.uri.path().to_owned(),
                query: url::form_urlencoded::parse(query.as_bytes())
                    .into_owned()
                    .collect(),
                headers: parts.headers,
            };
            log.lock().push(asked.clone());
            let reply = answer(&asked);
            async move { reply }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Stand { base, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

pub fn reply(status: u16, body: impl Into<Body>) -> Reply {
    Response::builder()
        .status(status)
        .body(body.into())
        .unwrap()
}

/// A 206 with what was asked of `whole`, and further headers.
pub fn part(asked: &Asked, whole: &[u8], headers: &[(&str, &str)]) -> Reply {
    let Some((first, last)) = asked.range() else {
        return reply(400, "no range");
    };
    let range = format!("bytes {first}-{last}/{}", whole.len());
    let mut reply = Response::builder()
        .status(206)
        .header("content-range", range);
    for (name, value) in headers {
        reply = reply.header(*name, *value);
    }
    let body = Body::from(whole[first..=last].to_vec());
    reply.body(body).unwrap()
}

/// A page of Google's with these objects (name, size, generation), prefixes and next page.
pub fn google(objects: &[(&str, u64, u64)], prefixes: &[&str], next: &str) -> Reply {
    let items: Vec<_> = objects.iter().map(|object| item(*object)).collect();
    let page = serde_json::json!({"items": items, "prefixes": prefixes, "nextPageToken": next});
    reply(200, page.to_string())
}

/// What Google tells of one object.
pub fn item((name, size, generation): (&str, u64, u64)) -> serde_json::Value {
    serde_json::json!({"name": name, "size": size.to_string(), "generation": generation.to_string()})
}

/// A page of Amazon's with these objects (key, size, ETag), prefixes and next page.
pub fn amazon(objects: &[(&str, u64, &str)], prefixes: &[&str], next: &str) -> Reply {
    let url = percent_encoding::NON_ALPHANUMERIC;
    let encoded = |key: &str| percent_encoding::utf8_percent_encode(key, url).to_string();
    let contents = objects.iter().map(|(key, size, etag)| {
        let key = encoded(key);
        format!("<Contents><Key>{key}</Key><Size>{size}</Size><ETag>{etag}</ETag></Contents>")
    });
    let prefixes = prefixes.iter().map(|prefix| {
        let prefix = encoded(prefix);
        format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>")
    });
    let (contents, prefixes): (String, String) = (contents.collect(), prefixes.collect());
    let next = match next {
        "" => String::new(),
        next => format!("<NextContinuationToken>{next}</NextContinuationToken>"),
    };
    let page = format!("<EncodingType>url</EncodingType>{contents}{prefixes}{next}");
    reply(200, format!("<ListBucketResult>{page}</ListBucketResult>"))
}
