//! Numbers as people read them.

use std::time::{Duration, SystemTime};

use crate::config::ByteSize;

/// A number of models: `1 model`.
pub(in crate::cli) fn models(count: usize) -> String {
    match count {
        1 => String::from("1 model"),
        _ => format!("{count} models"),
    }
}

/// A size as people read it: `1.4 GiB`.
pub(in crate::cli) fn size(bytes: u64) -> String {
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
pub(in crate::cli) fn ago(time: SystemTime) -> String {
    if time == SystemTime::UNIX_EPOCH {
        return String::from("never");
    }
    let since = SystemTime::now().duration_since(time).unwrap_or_default();
    format!("{} ago", span(since))
}

/// A span in its largest unit.
pub(in crate::cli) fn span(span: Duration) -> String {
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
