//! tensorflow_hub's names and texts, as they are in a bucket (`resolver.py`).

use std::hash::{BuildHasher, RandomState};

use crate::handle::{BucketPath, Key};

/// Where the parts of models are.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// `gs://bucket/` or `s3://bucket/`.
    root: String,
    /// Empty, or with a slash at the end.
    prefix: String,
}

impl Layout {
    pub fn new(at: &BucketPath) -> Layout {
        Layout {
            root: format!("{}://{}/", at.scheme().as_str(), at.bucket()),
            prefix: match at.key() {
                "" => String::new(),
                key => format!("{key}/"),
            },
        }
    }

    /// The URL of a model's directory.
    pub fn dir(&self, key: &Key) -> String {
        format!("{}{}{key}", self.root, self.prefix)
    }

    pub fn file(&self, key: &Key, name: &str) -> String {
        format!("{}{key}/{name}", self.prefix)
    }

    pub fn descriptor(&self, key: &Key) -> String {
        format!("{}{key}.descriptor.txt", self.prefix)
    }

    pub fn lock(&self, key: &Key) -> String {
        format!("{}{key}.lock", self.prefix)
    }

    pub fn manifest(&self, key: &Key) -> String {
        format!("{}.tfhub-fs/v1/manifests/{key}", self.prefix)
    }

    /// The directory into which the tensorflow_hub that wrote this lock unpacks.
    pub fn staging(&self, key: &Key, lock: &Lock) -> String {
        format!("{}{}{key}.{}.tmp", self.root, self.prefix, lock.uid)
    }
}

/// What `<sha1>.lock` says: `<host>.<pid>.<uid>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lock {
    pub host: String,
    pub pid: u32,
    pub uid: String,
}

impl Lock {
    /// One of this process's. Its uid begins with what stands for `place`.
    pub fn new(host: &str, place: Option<&str>) -> Lock {
        // A fresh RandomState is seeded by the system: random enough, and std has it.
        let random = || RandomState::new().hash_one(0);
        let mut uid = format!("{:016x}{:016x}", random(), random());
        if let Some(place) = place {
            let mark = mark(place);
            uid.replace_range(..mark.len(), &mark);
        }
        Lock {
            host: host.to_owned(),
            pid: std::process::id(),
            uid,
        }
    }

    /// Whether it was written in this place; those of tensorflow_hub do not say where.
    pub fn is_of(&self, place: Option<&str>) -> bool {
        place.is_some_and(|place| self.uid.starts_with(&mark(place)))
    }

    pub fn parse(text: &[u8]) -> Option<Lock> {
        let text = std::str::from_utf8(text).ok()?;
        let (rest, uid) = text.rsplit_once('.')?;
        let (host, pid) = rest.rsplit_once('.')?;
        let is_uid = uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_uid.then_some(())?;
        Some(Lock {
            host: host.to_owned(),
            pid: pid.parse().ok()?,
            uid: uid.to_owned(),
        })
    }

    pub fn text(&self) -> String {
        format!("{}.{}.{}", self.host, self.pid, self.uid)
    }
}

/// Eight digits of hexadecimal that stand for a place.
fn mark(place: &str) -> String {
    Key::of(place).to_string().chars().take(8).collect()
}

/// What `<sha1>.descriptor.txt` says of a model that this process has fetched now.
pub(super) fn descriptor(url: &str, host: &str) -> String {
    let now = jiff::ZonedDateTime::now().datetime();
    let seconds = now.strftime("%Y-%m-%d %H:%M:%S");
    // Python leaves microseconds out with their point when they are 0.
    let time = match now.subsec_nanosecond() / 1000 {
        0 => seconds.to_string(),
        micros => format!("{seconds}.{micros:06}"),
    };
    let pid = std::process::id();
    format!("Module: {url}\nDownload Time: {time}\nDownloader Hostname: {host} (PID:{pid})")
}

/// Whether a descriptor is about the model at `url`; `Err` says why not.
pub(super) fn check_descriptor(text: &[u8], url: &str) -> Result<(), String> {
    let text = String::from_utf8_lossy(text);
    let told = text.lines().next().unwrap_or_default();
    match told.strip_prefix("Module: ") {
        Some(told) if told == url => Ok(()),
        Some(told) => {
            let told: String = told
                .chars()
                .take(200)
                .flat_map(char::escape_debug)
                .collect();
            Err(format!("its descriptor says that it is {told}"))
        }
        None => Err(String::from("its descriptor is none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_tensorflow_hub() {
        let key = Key::of("https://tfhub.dev/google/yamnet/1");
        for (at, dir, lock) in [
            (
                "gs://bucket/a/b",
                "gs://bucket/a/b/9616fd04ec2360621642ef9455b84f4b668e219e",
                "a/b/9616fd04ec2360621642ef9455b84f4b668e219e.lock",
            ),
            (
                "s3://bucket",
                "s3://bucket/9616fd04ec2360621642ef9455b84f4b668e219e",
                "9616fd04ec2360621642ef9455b84f4b668e219e.lock",
            ),
        ] {
            let layout = Layout::new(&BucketPath::parse(at).unwrap());
            assert_eq!(
                (layout.dir(&key), layout.lock(&key)),
                (dir.into(), lock.into())
            );
        }
    }

    #[test]
    fn a_lock_is_read_from_its_end() {
        for place in [None, Some("boot 1, namespace 2")] {
            let lock = Lock::new("a.b.example.com", place);
            assert_eq!(lock.uid.len(), 32);
            assert_eq!(Lock::parse(lock.text().as_bytes()), Some(lock));
        }
        for odd in ["", "x", "a.1.x", "a.b.0123456789abcdef0123456789abcdef"] {
            assert_eq!(Lock::parse(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn a_lock_tells_where_it_was_written() {
        let lock = Lock::new("h", Some("one"));
        assert!(lock.is_of(Some("one")) && !lock.is_of(Some("other")) && !lock.is_of(None));
        assert!(!Lock::new("h", None).is_of(Some("one")));
        assert_ne!(lock.uid, Lock::new("h", Some("one")).uid);
    }

    #[test]
    fn a_descriptor_names_its_model() {
        let url = "https://tfhub.dev/google/yamnet/1";
        let text = descriptor(url, "host");
        assert_eq!(check_descriptor(text.as_bytes(), url), Ok(()));
        assert_eq!(text.lines().count(), 3);
        assert!(!text.ends_with('\n') && text.contains("\nDownloader Hostname: host (PID:"));
        for odd in [
            "",
            "Module: ",
            "Module: https://tfhub.dev/google/yamnet/2\n",
            "\u{fffd}",
        ] {
            assert!(check_descriptor(odd.as_bytes(), url).is_err(), "{odd}");
        }
    }
}
