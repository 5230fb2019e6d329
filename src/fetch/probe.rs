//! What is behind a URL, from headers alone.
//!
//! The question is a GET with `Range: bytes=0-0` at every hop. A signed URL is signed for GET, so HEAD may be
//! refused; redirects ignore the range; an origin that honours it sends one byte, and from one that does not the
//! body is dropped unread.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use reqwest::Response;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    LAST_MODIFIED, LOCATION, RANGE,
};

use super::address::Address;
use super::client::Client;
use super::error::Error;
use crate::checksum::Hashes;

use super::headers::{self, ContentRange, expiry, number, text};
use super::redact::redacted;
use super::retry::RetryState;

/// Longest chain of redirects, as in Python's urllib and thus in tensorflow_hub.
pub const MAX_HOPS: usize = 10;

/// How long the single byte of a 206 is waited for, so that its connection can serve the download too.
const ONE_BYTE: Duration = Duration::from_secs(1);

/// A signature about to expire is renewed before it is used, not after it was refused.
pub(super) const EXPIRY_MARGIN: Duration = Duration::from_secs(10);

/// A body that can be downloaded, and what its origin says about it.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Length in bytes, if announced.
    pub size: Option<u64>,
    /// `ETag`, with its quotes; weak ones begin with `W/`.
    pub etag: Option<String>,
    /// `Last-Modified`, as sent.
    pub last_modified: Option<String>,
    /// Checksums of the whole body.
    pub hashes: Hashes,
    /// `Content-Type`, as sent. Says little: never a reason to read a body differently.
    pub content_type: Option<String>,
    /// When the final URL stops working, if it is a signed one that tells.
    pub expires: Option<SystemTime>,
    /// Whether parts can be asked for: the origin honoured the probe's range.
    pub ranges: bool,
    /// The first byte of the body, if it came along.
    pub first: Option<u8>,
    pub(super) start: Address,
    pub(super) address: Address,
    pub(super) hops: Vec<Hop>,
}

/// One redirect on the way.
#[derive(Debug, Clone)]
pub struct Hop {
    target: Address,
}

impl Hop {
    /// The exact URL it led to, before any mirror; may hold secrets.
    pub fn target(&self) -> String {
        self.target.exact()
    }
}

impl Resource {
    /// The URL the probe began with. May hold secrets: show [`redacted`] only.
    pub fn start(&self) -> String {
        self.start.exact()
    }

    /// The URL that gives the body, exactly as its redirect spelled it. May hold secrets.
    pub fn url(&self) -> String {
        self.address.exact()
    }

    /// [`Resource::url`] for messages.
    pub fn shown(&self) -> String {
        self.address.to_string()
    }

    /// The redirects between the two, in order.
    pub fn hops(&self) -> &[Hop] {
        &self.hops
    }

    /// Reads what the headers of a 200 or 206 say about the whole body.
    pub(super) fn read_headers(&mut self, headers: &HeaderMap, size: Option<u64>) {
        let stored_gzip = text(headers, GOOG_STORED_ENCODING).as_deref() == Some("gzip");
        let unpacked = stored_gzip && !headers.contains_key(CONTENT_ENCODING);
        self.size = match size {
            None if !unpacked => number(headers, GOOG_STORED_LENGTH),
            size => size,
        };
        // Checksums cover the stored object; a bucket that unpacked it on the way sends other bytes.
        self.hashes = if unpacked {
            Hashes::default()
        } else {
            headers::hashes(headers)
        };
        self.etag = text(headers, ETAG);
        self.last_modified = text(headers, LAST_MODIFIED);
        self.content_type = text(headers, CONTENT_TYPE);
    }

    /// What says that two answers were about different bytes; None if nothing does.
    pub(super) fn differs(&self, other: &Resource) -> Option<String> {
        fn pair<'a, T>(a: &'a Option<T>, b: &'a Option<T>) -> Option<(&'a T, &'a T)> {
            a.as_ref().zip(b.as_ref())
        }
        let sizes = pair(&self.size, &other.size).filter(|(a, b)| a != b);
        if let Some((old, new)) = sizes {
            return Some(format!("its length was {old} and is {new}"));
        }
        if let Some((old, new)) = pair(&self.hashes.crc32c, &other.hashes.crc32c) {
            // The same content under another ETag, as servers of one farm have them, is the same.
            return (old != new).then(|| format!("its CRC-32C was {old:08x} and is {new:08x}"));
        }
        if let Some((old, new)) = pair(&self.etag, &other.etag) {
            return (old != new).then(|| format!("its ETag was {old} and is {new}"));
        }
        let dates = pair(&self.last_modified, &other.last_modified).filter(|(a, b)| a != b);
        dates.map(|(old, new)| format!("it was last modified {old} and is {new}"))
    }

    /// Takes over the address and the signature of `now`, which the redirects lead to at present.
    ///
    /// # Errors
    ///
    /// It is another body.
    pub(super) fn renew(&mut self, now: Resource) -> Result<(), Error> {
        if let Some(why) = self.differs(&now) {
            return Err(Error::Changed {
                url: self.shown(),
                why,
            });
        }
        self.address = now.address;
        self.hops = now.hops;
        self.expires = now.expires;
        Ok(())
    }

    /// The validator for `If-Range`: a strong ETag, or else a date.
    pub(super) fn validator(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|etag| !etag.starts_with("W/"));
        strong.or(self.last_modified.as_deref())
    }
}

const GOOG_STORED_ENCODING: reqwest::header::HeaderName =
    reqwest::header::HeaderName::from_static("x-goog-stored-content-encoding");
const GOOG_STORED_LENGTH: reqwest::header::HeaderName =
    reqwest::header::HeaderName::from_static("x-goog-stored-content-length");

impl Client {
    /// Follows `url` to where its body is and reads the headers there: one request per hop, at most one byte of
    /// body, all within one timeout. 401, 403, 404, 410 and the like are [`Error::Status`].
    pub async fn probe(&self, url: &str) -> Result<Resource, Error> {
        let mut retry = self.retry_state();
        self.follow(&Client::address(url)?, &mut retry).await
    }

    /// [`Client::probe`] as part of a request or transfer that has begun.
    pub(super) async fn follow(
        &self,
        start: &Address,
        retry: &mut RetryState,
    ) -> Result<Resource, Error> {
        let range = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-0"))]);
        let mut here = self.at_mirror(start)?;
        let mut seen = HashSet::new();
        let mut hops = Vec::new();
        loop {
            if !seen.insert(here.clone()) {
                return Err(Error::Loop {
                    url: start.to_string(),
                    again: here.to_string(),
                });
            }
            retry.begin_target();
            let answer = self.ask(&here, &range, retry).await?;
            let status = answer.status().as_u16();
            if !is_redirect(status) {
                return self.arrived(start.clone(), here, hops, answer, retry).await;
            }
            let target = target(&here, answer.headers().get(LOCATION))?;
            if hops.len() == MAX_HOPS {
                return Err(Error::TooManyRedirects {
                    url: start.to_string(),
                    last: target.to_string(),
                });
            }
            here = self.at_mirror(&target)?;
            tracing::debug!(status, "{start} leads to {here}");
            hops.push(Hop { target });
        }
    }

    /// Where an address is asked. Mirrors stand in for every hop and not only the first, because what a user who
    /// mirrors www.kaggle.com means is that it shall not be asked; everything after the host stays as it is.
    fn at_mirror(&self, address: &Address) -> Result<Address, Error> {
        Client::address(&self.mirrored(&address.exact()))
    }

    async fn arrived(
        &self,
        start: Address,
        address: Address,
        hops: Vec<Hop>,
        mut answer: Response,
        retry: &RetryState,
    ) -> Result<Resource, Error> {
        let headers = answer.headers();
        let range = text(headers, CONTENT_RANGE).and_then(|text| ContentRange::parse(&text));
        let total = range.and_then(|range| range.total);
        let (size, ranges) = match (answer.status().as_u16(), range) {
            (200, _) => (number(headers, CONTENT_LENGTH), false),
            (
                206,
                Some(ContentRange {
                    span: Some((0, 0)), ..
                }),
            ) => (total, true),
            // Not even the first byte exists.
            (416, _) if total.unwrap_or(0) == 0 => (Some(0), true),
            _ => return Err(Client::refused(&address, retry, answer).await),
        };
        let mut resource = Resource {
            size: None,
            etag: None,
            last_modified: None,
            hashes: Hashes::default(),
            content_type: None,
            expires: expiry(&address.exact()),
            ranges,
            first: None,
            start,
            address,
            hops,
        };
        resource.read_headers(answer.headers(), size);
        if answer.status() == 206 || resource.is_html() {
            let chunk = tokio::time::timeout(ONE_BYTE, answer.chunk()).await;
            let chunk = chunk.ok().and_then(Result::ok).flatten();
            resource.first = chunk.and_then(|bytes| bytes.first().copied());
        }
        Ok(resource)
    }
}

impl Resource {
    /// Whether this is a page for people: it says so, and its first byte does not say otherwise.
    pub fn is_html(&self) -> bool {
        let media = self
            .content_type
            .as_deref()
            .and_then(|text| text.split(';').next());
        let html = media.is_some_and(|media| media.trim().eq_ignore_ascii_case("text/html"));
        // 0xEF begins a byte order mark.
        html && self
            .first
            .is_none_or(|byte| byte == b'<' || byte == 0xef || byte.is_ascii_whitespace())
    }
}

impl Client {
    /// Where an answer of `asked` leads with this `Location`: an exact URL, which may hold secrets and is yet to be mirrored.
    /// For whoever follows redirects that are not all http.
    pub fn redirected(asked: &str, location: Option<&HeaderValue>) -> Result<String, Error> {
        Ok(target(&Client::address(asked)?, location)?.exact())
    }
}

pub(super) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads, if it may.
fn target(here: &Address, location: Option<&HeaderValue>) -> Result<Address, Error> {
    let bad = |location: &str, why| Error::BadLocation {
        from: here.to_string(),
        location: redacted(location),
        why,
    };
    let location = location.ok_or_else(|| bad("", "is missing"))?;
    let target = here
        .join(location.as_bytes())
        .map_err(|why| bad(&String::from_utf8_lossy(location.as_bytes()), why))?;
    if here.is_https() && !target.is_https() {
        return Err(Error::Downgrade {
            from: here.to_string(),
            to: target.to_string(),
        });
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_never_leads_to_plain_http() {
        let follow = |from: &str, to: &'static str| {
            let location = HeaderValue::from_static(to);
            target(&Address::parse(from).unwrap(), Some(&location))
        };
        let error = follow("https://h/x", "http://h/x?sig=S3CR3T").unwrap_err();
        assert!(
            matches!(error, Error::Downgrade { .. }) && !error.to_string().contains("S3CR3T"),
            "{error}"
        );
        // Not even to this host itself.
        assert!(follow("https://h/x", "http://127.0.0.1/x").is_err());
        assert!(follow("https://h/x", "//g/x").unwrap().is_https());
        assert!(follow("http://h/x", "https://h/x").is_ok());
        assert!(follow("http://127.0.0.1/x", "http://h/x").is_ok());
    }

    #[test]
    fn a_redirect_needs_a_target() {
        let here = Address::parse("https://h/x").unwrap();
        let error = target(&here, None).unwrap_err().to_string();
        assert_eq!(
            error,
            "https://h/x redirects to \"\", which cannot be followed: it is missing"
        );
        let gs = HeaderValue::from_static("gs://bucket/x?sig=S3CR3T");
        let error = target(&here, Some(&gs)).unwrap_err().to_string();
        assert!(
            error.contains("neither http nor https") && !error.contains("S3CR3T"),
            "{error}"
        );
    }
}
