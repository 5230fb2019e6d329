//! `Range`, `If-Range` and `If-None-Match`, as pure functions (RFC 9110, 13 and 14).

use std::ops::Range;
use std::time::SystemTime;

/// What part of a body is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: no range, or one that the standard tells us to ignore.
    Whole,
    /// These bytes, never empty, within the body: 206.
    Part(Range<u64>),
    /// Nothing that exists: 416.
    Unsatisfiable,
}

/// Reads a `Range` header against a body of `len` bytes. Several ranges at once,
/// another unit or bad syntax mean the whole body, as the standard allows.
pub fn wanted(header: Option<&str>, len: u64) -> Wanted {
    let Some((unit, spec)) = header.and_then(|h| h.split_once('=')) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Wanted::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let part = match (first, last) {
        ("", suffix) => match number(suffix) {
            Some(n) => len.saturating_sub(n)..len,
            None => return Wanted::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => first..len,
            None => return Wanted::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(len),
            _ => return Wanted::Whole,
        },
    };
    if part.is_empty() {
        Wanted::Unsatisfiable
    } else {
        Wanted::Part(part)
    }
}

/// Digits only: `parse` alone would take a plus sign. More digits than fit are
/// a position beyond every body.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// True if a range may be sent: there is no `If-Range`, or it names this very
/// version, by strong tag or by exact date.
pub fn range_holds(if_range: Option<&str>, etag: &str, modified: SystemTime) -> bool {
    let Some(condition) = if_range.map(str::trim) else {
        return true;
    };
    if condition.starts_with('"') || condition.starts_with("W/") {
        return condition == etag;
    }
    condition == httpdate::fmt_http_date(modified)
}

/// True if the client has this version already: 304.
pub fn none_match_hits(if_none_match: Option<&str>, etag: &str) -> bool {
    let Some(tags) = if_none_match else {
        return false;
    };
    // Our tags hold no comma, so cutting at commas cannot make a false match.
    tags.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        for (header, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-5", Wanted::Part(2..6)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("bytes=9-99", Wanted::Part(9..10)),
            ("Bytes = 2-3", Wanted::Part(2..4)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("bytes=0-18446744073709551615", Wanted::Part(0..10)),
            ("bytes=0-99999999999999999999999", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=10-12", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("0-1", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn if_range_needs_the_same_version() {
        let modified = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let holds = |condition| range_holds(Some(condition), "\"a\"", modified);
        assert!(range_holds(None, "\"a\"", modified));
        assert!(holds("\"a\""));
        assert!(!holds("\"b\""));
        assert!(!holds("W/\"a\""), "a weak tag never proves equal bytes");
        assert!(holds("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(!holds("Sun, 06 Nov 1994 08:49:38 GMT"));
        assert!(!holds("nonsense"));
    }

    #[test]
    fn if_none_match_takes_lists_and_weak_tags() {
        assert!(none_match_hits(Some("\"x\", W/\"a\""), "\"a\""));
        assert!(none_match_hits(Some("*"), "\"a\""));
        assert!(!none_match_hits(Some("\"x\""), "\"a\""));
        assert!(!none_match_hits(None, "\"a\""));
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_nor_beyond_the_end(header in "bytes=[0-9]{0,4}-[0-9]{0,4}", len in 0u64..2000) {
            if let Wanted::Part(part) = wanted(Some(&header), len) {
                prop_assert!(part.start < part.end && part.end <= len);
            }
        }

        #[test]
        fn any_text_is_answered(header in ".*", len: u64) {
            let _ = wanted(Some(&header), len);
        }
    }
}
