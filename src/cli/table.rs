//! Tables for people, and the same as JSON for scripts.

use std::io::{ErrorKind, Write};
use std::time::{Duration, SystemTime};

use super::Failure;
use crate::config::ByteSize;
use crate::os;

/// A shorter part of the last column tells nobody anything.
const SHORTEST: usize = 12;

/// Prints rows under their headings, each column as wide as it needs to be; the last one is not padded. On a terminal that is
/// too narrow it is shortened, or left out.
pub(super) fn print(headings: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    say(&laid_out(
        headings,
        rows,
        os::terminal::columns(&std::io::stdout()),
    ))
}

fn laid_out(headings: &[&str], rows: &[Vec<String>], columns: Option<usize>) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        longest.max(headings.get(column).map_or(0, |heading| heading.len()))
    };
    let mut widths: Vec<usize> = (0..headings.len()).map(width).collect();
    if let Some(columns) = columns {
        let is_empty = |at: usize| {
            rows.iter()
                .all(|row| row.get(at).is_none_or(String::is_empty))
        };
        fit(&mut widths, columns, is_empty);
    }
    let last = widths.len().saturating_sub(1);
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).enumerate();
        let padded = padded.map(|(at, (cell, width))| match at == last {
            true => shortened(cell, *width),
            false => format!("{cell:width$}  "),
        });
        padded.collect::<String>().trim_end().to_owned() + "\n"
    };
    let mut text = line(headings.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// Makes the columns fit: the last one is shortened or left out, and then those at the end with nothing in them.
fn fit(widths: &mut Vec<usize>, columns: usize, is_empty: impl Fn(usize) -> bool) {
    let whole =
        |widths: &[usize]| widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
    let over = whole(widths).saturating_sub(columns);
    match widths.last_mut() {
        Some(last) if over > 0 && *last >= over + SHORTEST => *last -= over,
        Some(_) if over > 0 => drop(widths.pop()),
        _ => return,
    }
    while whole(widths) > columns && widths.len() > 1 && is_empty(widths.len() - 1) {
        widths.pop();
    }
}

fn shortened(cell: &str, width: usize) -> String {
    match cell.chars().count() > width {
        true => cell
            .chars()
            .take(width.saturating_sub(1))
            .chain(['…'])
            .collect(),
        false => cell.to_owned(),
    }
}

/// Prints JSON, whose numbers are bytes and seconds.
pub(super) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::failed)?;
    say(&(text + "\n"))
}

/// Writes to stdout. A reader that has gone (`| head`) has read enough, and what was asked for is done all the same.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Failure::failed),
    }
}

/// A number of models: `1 model`.
pub(super) fn models(count: usize) -> String {
    match count {
        1 => String::from("1 model"),
        _ => format!("{count} models"),
    }
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
    if time == SystemTime::UNIX_EPOCH {
        return String::from("never");
    }
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
    fn a_narrow_terminal_gets_less_of_the_last_column() {
        let row = ["handle", "1 B", "", "https://h/a/very/long/name"].map(str::to_owned);
        let headings = ["HANDLE", "SIZE", "PINNED", "ORIGIN"];
        let shown = |columns| laid_out(&headings, &[row.to_vec()], columns);
        let wide =
            "HANDLE  SIZE  PINNED  ORIGIN\nhandle  1 B           https://h/a/very/long/name\n";
        for columns in [None, Some(200), Some(48)] {
            assert_eq!(shown(columns), wide, "{columns:?}");
        }
        let short = "HANDLE  SIZE  PINNED  ORIGIN\nhandle  1 B           https://h/a/very/…\n";
        assert_eq!(shown(Some(40)), short);
        assert_eq!(shown(Some(30)), "HANDLE  SIZE  PINNED\nhandle  1 B\n");
        for columns in [12, 5] {
            assert_eq!(shown(Some(columns)), "HANDLE  SIZE\nhandle  1 B\n");
        }
        let pinned = vec![
            String::from("handle"),
            String::new(),
            String::from("pinned"),
        ];
        let shown = laid_out(&["HANDLE", "SIZE", "PINNED", "ORIGIN"], &[pinned], Some(5));
        assert_eq!(shown, "HANDLE  SIZE  PINNED\nhandle        pinned\n");
    }

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
