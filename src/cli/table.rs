//! Tables for people, and the same as JSON for scripts.

use std::io::Write;
use std::time::{Duration, SystemTime};

use super::Failure;
use crate::config::ByteSize;

/// Prints rows under their headings, each column as wide as it needs to be; the last one is not padded.
pub(super) fn print(headings: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        longest.max(headings.get(column).map_or(0, |heading| heading.len()))
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let last = cells.len().saturating_sub(1);
        let padded = cells.iter().zip(&widths).enumerate();
        let padded = padded.map(|(at, (cell, width))| match at == last {
            true => (*cell).to_owned(),
            false => format!("{cell:width$}  "),
        });
        padded.collect::<String>() + "\n"
    };
    let mut text = line(headings.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    say(&text)
}

/// Prints JSON, whose numbers are bytes and seconds.
pub(super) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::failed)?;
    say(&(text + "\n"))
}

/// Writes to stdout; a reader that has gone (`| head`) is an error like any other.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(Failure::failed)
}

/// A size as people read it: `1.4 GiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut shown = bytes as f64;
    let mut unit = None;
    for next in UNITS {
        if shown < 1000.0 {
            break;
        }
        shown /= 1024.0;
        unit = Some(next);
    }
    match unit {
        Some(unit) if shown < 10.0 => format!("{shown:.1} {unit}"),
        Some(unit) => format!("{shown:.0} {unit}"),
        None => ByteSize(bytes).to_string(),
    }
}

/// How long ago that was: `3 h ago`.
pub(super) fn ago(time: SystemTime) -> String {
    let since = SystemTime::now().duration_since(time).unwrap_or_default();
    format!("{} ago", span(since))
}

/// A span in its largest unit.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_short() {
        for (bytes, want) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (300 << 20, "300 MiB"),
            (1023 << 20, "1.0 GiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(size(bytes), want, "{bytes}");
        }
        for (seconds, want) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (7200, "2 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), want);
        }
    }
}
