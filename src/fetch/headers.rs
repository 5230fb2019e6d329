//! Reading what an origin says about a body: pure functions from header text to checked values. All of it is
//! hostile input; what cannot be read is as if it had not been said.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, HeaderName};

use crate::checksum::Hashes;

/// The checksums that `x-goog-hash` announces.
pub(super) fn hashes(headers: &HeaderMap) -> Hashes {
    let lines = headers.get_all("x-goog-hash").iter();
    Hashes::of_header_lines(lines.filter_map(|line| line.to_str().ok()))
}

/// A header's text, trimmed.
pub(super) fn text(headers: &HeaderMap, name: impl Into<HeaderName>) -> Option<String> {
    let value = headers.get(name.into())?.to_str().ok()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// A header that is one decimal number.
pub(super) fn number(headers: &HeaderMap, name: impl Into<HeaderName>) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

/// `Content-Range` of a 206 or 416 (RFC 9110, 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// First and last byte, both included; None in a 416.
    pub span: Option<(u64, u64)>,
    /// Size of the whole, None if the origin does not know it.
    pub total: Option<u64>,
}

impl ContentRange {
    pub fn parse(text: &str) -> Option<ContentRange> {
        let (unit, rest) = text.trim().split_once(' ')?;
        let (span, total) = rest.trim().split_once('/')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let span = match span.split_once('-') {
            Some((first, last)) => Some((first.parse().ok()?, last.parse().ok()?)),
            None if span == "*" => None,
            None => return None,
        };
        let total = match total {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        let (first, last) = span.unwrap_or((0, 0));
        let whole = total.is_none_or(|total| span.is_none() || last < total);
        (first <= last && whole).then_some(ContentRange { span, total })
    }
}

/// How long `Retry-After` asks to wait: seconds, or the time until a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    match value.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(value.trim()).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

/// When a signed URL stops working, told by its query: `X-Goog-Date` + `X-Goog-Expires` (Google V4), `X-Amz-*`
/// likewise, or `Expires` in Unix seconds (Google V2). Read from the URL, because its age on receipt is unknown.
pub(super) fn expiry(url: &str) -> Option<SystemTime> {
    let query = url.split_once('?')?.1;
    let value = |wanted: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(key, _)| key.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value)
    };
    let signed = |date: &str, life: &str| {
        let from = timestamp(value(date)?)?;
        from.checked_add(value(life)?.parse().ok()?)
    };
    let unix = signed("X-Goog-Date", "X-Goog-Expires")
        .or_else(|| signed("X-Amz-Date", "X-Amz-Expires"))
        .or_else(|| value("Expires")?.parse().ok())?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(unix))
}

/// Unix seconds of `yyyymmddThhmmssZ`.
fn timestamp(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if date.len() != 8 || time.len() != 6 || !digits(date) || !digits(time) {
        return None;
    }
    let part = |text: &str, from: usize, to: usize| text[from..to].parse::<u64>().ok();
    let (year, month, day) = (part(date, 0, 4)?, part(date, 4, 6)?, part(date, 6, 8)?);
    let (hour, minute, second) = (part(time, 0, 2)?, part(time, 2, 4)?, part(time, 4, 6)?);
    let valid = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day);
    valid.then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from 1970-01-01 to a Gregorian date from 1970 on. Years are counted from March, so that the leap day is the
/// last of its year and months have a regular pattern of lengths.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let before_year = year * 365 + year / 4 - year / 100 + year / 400;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    before_year + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_range_is_checked() {
        let range = |span, total| Some(ContentRange { span, total });
        for (text, parsed) in [
            ("bytes 0-0/10", range(Some((0, 0)), Some(10))),
            ("bytes 5-9/10", range(Some((5, 9)), Some(10))),
            ("Bytes 5-9/*", range(Some((5, 9)), None)),
            ("bytes */0", range(None, Some(0))),
            ("bytes 5-10/10", None),
            ("bytes 6-5/10", None),
            ("bytes 0-0", None),
            ("lines 0-0/10", None),
            ("bytes -5/10", None),
            ("", None),
        ] {
            assert_eq!(ContentRange::parse(text), parsed, "{text}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, wait) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(
                retry_after(text, now),
                wait.map(Duration::from_secs),
                "{text}"
            );
        }
    }

    #[test]
    fn expiry_is_read_from_the_url() {
        for (query, unix) in [
            (
                "X-Goog-Date=20240229T000000Z&X-Goog-Expires=259200&X-Goog-Signature=a",
                Some(1_709_424_000),
            ),
            ("X-Goog-Expires=1&X-Goog-Date=19700101T000001Z", Some(2)),
            (
                "X-Amz-Date=20000301T010203Z&X-Amz-Expires=0",
                Some(951_872_523),
            ),
            (
                "GoogleAccessId=a&Expires=1735689600&Signature=b",
                Some(1_735_689_600),
            ),
            ("X-Goog-Date=20241301T000000Z&X-Goog-Expires=1", None),
            ("X-Goog-Date=2024022\u{e9}T00000Z&X-Goog-Expires=1", None),
            (
                "X-Goog-Date=20240229T000000Z&X-Goog-Expires=18446744073709551615",
                None,
            ),
            ("tf-hub-format=compressed", None),
        ] {
            let expected = unix.map(|unix| SystemTime::UNIX_EPOCH + Duration::from_secs(unix));
            assert_eq!(expiry(&format!("https://h/o?{query}")), expected, "{query}");
        }
    }
}
