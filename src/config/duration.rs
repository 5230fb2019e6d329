//! Durations as people type them: `60s`, `500ms`, `1m30s`.

use std::time::Duration;

use super::Error;
use super::size::scaled;

/// Units with their nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Longer than anybody waits, and far from what overflows a clock.
const MAX: Duration = Duration::from_secs(366 * 86_400);

/// Reads `60s`, `500ms`, `10m`, `1m30s`; a bare number is seconds.
///
/// At most 366 days, so that the result can be added to any point in time.
pub fn parse_duration(typed: &str) -> Result<Duration, Error> {
    nanoseconds(typed.trim())
        .and_then(|n| match u64::try_from(n).map(Duration::from_nanos) {
            Ok(duration) if duration <= MAX => Ok(duration),
            _ => Err("it is more than 366 days"),
        })
        .map_err(|why| {
            Error::value(
                "duration",
                typed,
                why,
                "a number and a unit, like `60s`, `500ms` or `10m`",
            )
        })
}

fn nanoseconds(typed: &str) -> Result<u128, &'static str> {
    const SECOND: u128 = 1_000_000_000;
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    if typed.chars().all(is_number) {
        return scaled(typed, SECOND);
    }
    let mut total = 0_u128;
    let mut rest = typed;
    while !rest.is_empty() {
        let unit_at = rest.find(|c| !is_number(c)).unwrap_or(rest.len());
        let (number, after) = rest.split_at(unit_at);
        let unit_end = after.find(is_number).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit = UNITS.iter().find(|(name, _)| *name == unit.trim());
        let (_, factor) = unit.ok_or("its unit is none of d, h, m, s, ms, us, ns")?;
        let term = scaled(number, (*factor).into())?;
        total = total.checked_add(term).ok_or("it is too long")?;
        rest = after;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_units() {
        for (typed, millis) in [
            ("60s", 60_000),
            ("60", 60_000),
            ("0.25", 250),
            ("500ms", 500),
            ("10m", 600_000),
            ("10 min", 600_000),
            ("1m30s", 90_000),
            ("1h 1s", 3_601_000),
            ("1.5s", 1_500),
            ("0", 0),
            ("366d", 366 * 86_400_000),
        ] {
            assert_eq!(
                parse_duration(typed),
                Ok(Duration::from_millis(millis)),
                "{typed}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for typed in [
            "",
            "s",
            "-1s",
            "1x",
            "1m30",
            "1e3",
            "forever",
            "1.2.3s",
            "367d",
            "99999999999999999999s",
            "99999999999999999999999999999999999999999999",
        ] {
            let error = parse_duration(typed).unwrap_err().to_string();
            assert!(error.contains("`60s`"), "{typed}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*", like in "([0-9.]{0,30}[a-z ]{0,3}){0,3}") {
            let _ = parse_duration(&text);
            let _ = parse_duration(&like);
        }
    }
}
