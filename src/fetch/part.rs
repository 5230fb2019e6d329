//! One answer to a question for a part, which is that part or an error.

use std::ops::Range;

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Response, header::AUTHORIZATION};

use super::address::Address;
use super::client::Client;
use super::error::Error;
use super::headers::{ContentRange, number, text};
use super::retry::RetryState;
use super::transfer::Opened;

/// A body that is the part that was asked for.
pub(crate) struct Part {
    answer: Response,
    address: Address,
    begin: u64,
    /// Length of the whole, if the origin tells it.
    pub total: Option<u64>,
}

impl Part {
    /// What the origin says about it.
    pub fn headers(&self) -> &HeaderMap {
        self.answer.headers()
    }

    /// To be read by a transfer.
    pub fn opened(self) -> Opened {
        Opened {
            body: self.answer,
            address: self.address,
            begin: self.begin,
            check: None,
        }
    }
}

impl Client {
    /// Asks for a part of `url`, at the mirror of its host unless `headers` say who asks.
    ///
    /// # Errors
    ///
    /// [`Error::Changed`] if there is no such part any more, [`Error::WrongPart`] for any other than the one asked for,
    /// because asking again would not make that origin honest.
    pub(crate) async fn part_of(
        &self,
        url: &str,
        headers: HeaderMap,
        range: Range<u64>,
        retry: &mut RetryState,
    ) -> Result<Part, Error> {
        let address = match headers.contains_key(AUTHORIZATION) {
            true => Client::address(url)?,
            false => Client::address(&self.mirrored(url))?,
        };
        self.part(&address, headers, range, retry).await
    }

    pub(super) async fn part(
        &self,
        address: &Address,
        mut headers: HeaderMap,
        range: Range<u64>,
        retry: &mut RetryState,
    ) -> Result<Part, Error> {
        headers.insert(RANGE, range_header(&range));
        let answer = self.ask(address, &headers, retry).await?;
        let url = address.to_string();
        let total = match answer.status().as_u16() {
            206 => spanned(&answer, &range).map_err(|why| Error::WrongPart { url, why })?,
            200 => Some(whole(&answer, &range).map_err(|why| Error::WrongPart { url, why })?),
            status @ (404 | 410 | 412 | 416) => {
                let why = format!("it answers {status} now");
                return Err(Error::Changed { url, why });
            }
            _ => return Err(Client::refused(address, retry, answer).await),
        };
        Ok(Part {
            answer,
            address: address.clone(),
            begin: range.start,
            total,
        })
    }
}

/// `bytes=first-last` for a range that is not empty.
fn range_header(range: &Range<u64>) -> HeaderValue {
    let text = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
    // Digits and a dash are always a header's value.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("bytes=0-0"))
}

/// The length of the whole that a 206 tells.
fn spanned(answer: &Response, range: &Range<u64>) -> Result<Option<u64>, String> {
    let said = text(answer.headers(), CONTENT_RANGE);
    let parsed = said.as_deref().and_then(ContentRange::parse);
    let (first, last) = (range.start, range.end - 1);
    match parsed.filter(|parsed| parsed.span == Some((first, last))) {
        Some(parsed) => Ok(parsed.total),
        None => {
            let said = said.unwrap_or_default();
            Err(format!("it sends {said:?} for bytes {first}-{last}"))
        }
    }
}

/// A 200 is good only if the whole was asked for.
fn whole(answer: &Response, range: &Range<u64>) -> Result<u64, String> {
    match number(answer.headers(), CONTENT_LENGTH) {
        Some(size) if range.start == 0 && size == range.end => Ok(size),
        _ => Err(String::from("it sends the whole for a part")),
    }
}
