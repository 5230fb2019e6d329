//! `<sha1>.descriptor.txt`: whose handle a cache entry is, when it was made and by whom.
//!
//! Three lines without a newline at the end, byte for byte as tensorflow_hub writes them
//! (`resolver.py`, `_write_module_descriptor_file`). It is the only map from a directory's sha1 back to a handle.

use jiff::civil::DateTime;

use crate::handle::Key;

/// Whether `text`, found beside an entry, is that entry's handle: its sha1 is `key`, and it holds no control characters,
/// which a terminal would act on.
pub fn is_handle_of(text: &str, key: &Key) -> bool {
    Key::of(text) == *key && !text.contains(char::is_control)
}

/// One descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The handle, as the user of tensorflow_hub wrote it.
    pub handle: String,
    /// When, in the downloader's local time: Python's `str(datetime.today())`.
    pub time: String,
    /// The downloader's host name.
    pub host: String,
    /// The downloader's process id.
    pub pid: u32,
}

impl Descriptor {
    /// The descriptor that this process writes for `handle` now.
    pub fn new(handle: &str, host: String) -> Descriptor {
        Descriptor {
            handle: handle.to_owned(),
            time: python_time(jiff::ZonedDateTime::now().datetime()),
            host,
            pid: std::process::id(),
        }
    }

    /// Parses a descriptor; `None` if the text is not one.
    pub fn parse(text: &str) -> Option<Descriptor> {
        let mut lines = text.lines();
        let handle = lines.next()?.strip_prefix("Module: ")?.to_owned();
        let time = lines.next()?.strip_prefix("Download Time: ")?.to_owned();
        let who = lines.next()?.strip_prefix("Downloader Hostname: ")?;
        let (host, pid) = who.strip_suffix(')')?.rsplit_once(" (PID:")?;
        Some(Descriptor {
            handle,
            time,
            host: host.to_owned(),
            pid: pid.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Descriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Descriptor {
            handle,
            time,
            host,
            pid,
        } = self;
        write!(
            f,
            "Module: {handle}\nDownload Time: {time}\nDownloader Hostname: {host} (PID:{pid})"
        )
    }
}

/// Python's `str(datetime)`: microseconds, which are left out with their point when they are 0.
fn python_time(time: DateTime) -> String {
    let seconds = time.strftime("%Y-%m-%d %H:%M:%S");
    match time.subsec_nanosecond() / 1000 {
        0 => seconds.to_string(),
        micros => format!("{seconds}.{micros:06}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;

    #[test]
    fn microseconds_vanish_when_zero() {
        // What CPython 3.11 prints for datetime(2026, 1, 2, 3, 4, 5, micros).
        for (nanos, text) in [
            (0, "2026-01-02 03:04:05"),
            (999, "2026-01-02 03:04:05"),
            (1_000, "2026-01-02 03:04:05.000001"),
            (120_000_000, "2026-01-02 03:04:05.120000"),
            (999_999_999, "2026-01-02 03:04:05.999999"),
        ] {
            assert_eq!(python_time(datetime(2026, 1, 2, 3, 4, 5, nanos)), text);
        }
    }

    #[test]
    fn text_is_that_of_tensorflow_hub_and_back() {
        let text = "Module: https://tfhub.dev/google/yamnet/1\nDownload Time: 2026-01-02 03:04:05.120000\n\
                    Downloader Hostname: box (PID:42)";
        let descriptor = Descriptor::parse(text).unwrap();
        assert_eq!(descriptor.handle, "https://tfhub.dev/google/yamnet/1");
        assert_eq!((descriptor.host.as_str(), descriptor.pid), ("box", 42));
        assert_eq!(descriptor.to_string(), text);
        let now = Descriptor::new("https://h/a/1", "a (PID:1) b".into());
        assert_eq!(Descriptor::parse(&now.to_string()), Some(now));
    }

    #[test]
    fn other_texts_are_no_descriptors() {
        for text in [
            "",
            "Module: x",
            "Module: x\nDownload Time: y\nDownloader Hostname: z (PID:)",
            "\n\n\n",
        ] {
            assert_eq!(Descriptor::parse(text), None, "{text:?}");
        }
    }
}
