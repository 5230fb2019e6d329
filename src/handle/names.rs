//! The names of one mount: handle to path.

use crate::config::HttpHosts;

use super::parse::{UrlParts, shown};
use super::rules::{Naming, Reading, read};
use super::version::TENSORFLOW_CN;
use super::{Handle, HandleError, Scheme, bucket, host, kaggle, words};

/// The naming rules of one mount: which hub owns the short names, and which hosts may be spoken
/// to in plain http.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub(super) scheme: Scheme,
    pub(super) authority: String,
    /// The components of the hub's path; usually none.
    pub(super) prefix: Vec<String>,
    pub(super) http_hosts: HttpHosts,
}

impl Names {
    /// The names under the hub at the base URL `hub` (perhaps with a path), where plain http is
    /// spoken to the hub if its URL says so, and to `http_hosts`.
    pub fn new(hub: &str, mut http_hosts: HttpHosts) -> Result<Names, HandleError> {
        let parts = UrlParts::split(hub)?;
        let wrong = |why: String| HandleError::Hub {
            typed: shown(hub),
            why,
        };
        if !parts.query.is_empty() {
            return Err(wrong(
                "paths are appended to it, so it can have no query".to_owned(),
            ));
        }
        if kaggle::is_host(&parts.authority) {
            return Err(wrong(
                "Kaggle names its models differently, and they have paths under www.kaggle.com/ with any hub".to_owned(),
            ));
        }
        let path = parts.path.trim_end_matches('/');
        let prefix: Vec<String> = path
            .split('/')
            .filter(|_| !path.is_empty())
            .map(str::to_owned)
            .collect();
        for name in &prefix {
            words::check(name).map_err(|why| wrong(why.to_string()))?;
        }
        http_hosts.add(hub).map_err(|why| wrong(why.to_string()))?;
        Ok(Names {
            scheme: parts.scheme,
            authority: parts.authority,
            prefix,
            http_hosts,
        })
    }

    /// The hub's base URL, without a trailing slash.
    pub fn hub(&self) -> String {
        let mut url = format!("{}://{}", self.scheme.as_str(), self.authority);
        for name in &self.prefix {
            url.push('/');
            url.push_str(name);
        }
        url
    }

    /// The canonical path of `handle`, relative to the mountpoint. An unversioned handle's path
    /// ends in `latest`.
    ///
    /// An error if no path leads to it: plain http that is not allowed, a handle that goes on
    /// below another model's root, a name on the hub that reads as a host.
    pub fn path(&self, handle: &Handle) -> Result<String, HandleError> {
        if handle.url() == self.hub() {
            return Err(HandleError::NoPath {
                typed: handle.url(),
            });
        }
        let components = handle.components();
        if handle.scheme().is_bucket() {
            return in_bucket(handle, &components);
        }
        let (base, naming, rest) = match self.below_hub(handle, &components) {
            Some(rest) => (Vec::new(), Naming::Hub, rest),
            None => {
                if handle.scheme() == Scheme::Http
                    && !self.http_hosts.http_allowed(handle.authority())
                {
                    return Err(HandleError::PlainHttp {
                        url: handle.url(),
                        host: host::without_port(handle.authority()).to_owned(),
                    });
                }
                let base = self.directory_of(handle.scheme(), handle.authority());
                (
                    base,
                    self.naming(handle.scheme(), handle.authority()),
                    &components[..],
                )
            }
        };
        if base.is_empty() && is_read_as_host(rest[0]) {
            return Err(HandleError::ReadsAsHost {
                url: handle.url(),
                first: rest[0].to_owned(),
            });
        }
        let skipped = components.len() - rest.len();
        let tail = tail(naming, rest).map_err(|stop| match stop {
            Stop::Root(end) => HandleError::BelowRoot {
                url: handle.url(),
                root: handle
                    .with_path(components[..skipped + end].join("/"))
                    .url(),
            },
            Stop::Latest(end) => HandleError::Latest {
                url: handle.url(),
                model: handle
                    .with_path(components[..skipped + end].join("/"))
                    .url(),
            },
        })?;
        let base = base.iter().map(String::as_str);
        Ok(base
            .chain(rest.iter().copied())
            .chain(tail.iter().copied())
            .collect::<Vec<_>>()
            .join("/"))
    }

    /// The target of a symbolic link at the path `at` (relative to the mountpoint) that leads to
    /// `handle`'s canonical path.
    pub fn link(&self, at: &[&str], to: &Handle) -> Result<String, HandleError> {
        let path = self.path(to)?;
        let from = at.split_last().map_or(&[][..], |(_, directory)| directory);
        Ok(relative(from, &path.split('/').collect::<Vec<_>>()))
    }

    /// The directory in which a host's models are, as components below the mountpoint.
    pub(super) fn directory_of(&self, scheme: Scheme, authority: &str) -> Vec<String> {
        if scheme == self.scheme && authority == self.authority && self.prefix.is_empty() {
            return Vec::new();
        }
        // A bare authority means https, unless a hub in plain http has it.
        let bare = scheme == Scheme::Https
            && host::looks_like_one(authority)
            && !(self.scheme == Scheme::Http && self.names_hub(authority));
        if bare {
            vec![authority.to_owned()]
        } else {
            vec![format!("{}:", scheme.as_str()), authority.to_owned()]
        }
    }

    /// Whether a bare `authority` is a spelling of the hub's.
    pub(super) fn names_hub(&self, authority: &str) -> bool {
        host::canonical(authority, self.scheme).as_deref() == Ok(&self.authority)
    }

    /// Whose rules hold on a host, outside the hub's base.
    pub(super) fn naming(&self, scheme: Scheme, authority: &str) -> Naming {
        if kaggle::is_host(authority) {
            Naming::Kaggle
        } else if scheme == Scheme::Https && authority == TENSORFLOW_CN {
            Naming::Hub
        } else {
            Naming::Elsewhere
        }
    }

    fn below_hub<'a>(&self, handle: &Handle, components: &'a [&'a str]) -> Option<&'a [&'a str]> {
        let is_hub = handle.scheme() == self.scheme && handle.authority() == self.authority;
        let inside = components.len() > self.prefix.len()
            && self.prefix.iter().zip(components).all(|(a, b)| a == b);
        (is_hub && inside).then(|| &components[self.prefix.len()..])
    }
}

/// Whether a first component below the mountpoint is a host and not the hub's. An archive's
/// ending is no top-level domain, so archives at the top of a hub are the hub's.
pub(super) fn is_read_as_host(name: &str) -> bool {
    host::looks_like_one(name) && !words::is_archive(name)
}

/// The relative path from one directory to another place.
pub(super) fn relative(from: &[&str], to: &[&str]) -> String {
    let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - common);
    let path: Vec<&str> = up.chain(to[common..].iter().copied()).collect();
    if path.is_empty() {
        ".".to_owned()
    } else {
        path.join("/")
    }
}

/// The path of a handle in a bucket.
fn in_bucket(handle: &Handle, components: &[&str]) -> Result<String, HandleError> {
    match bucket::read(components) {
        Ok(Some(Reading::Root { end, .. })) if end < components.len() => {
            Err(HandleError::BelowRoot {
                url: handle.url(),
                root: handle.with_path(components[..end].join("/")).url(),
            })
        }
        _ => Ok(format!(
            "{}:/{}/{}",
            handle.scheme().as_str(),
            handle.authority(),
            handle.path()
        )),
    }
}

/// Where a handle's path leaves the handle: inside a model that ends earlier.
enum Stop {
    Root(usize),
    Latest(usize),
}

/// What follows a handle's components in its path: nothing if they end at a root, else the way
/// to `latest`.
fn tail(naming: Naming, rest: &[&str]) -> Result<&'static [&'static str], Stop> {
    let long_kaggle = naming == Naming::Kaggle && kaggle::is_long(rest);
    let latest: &[&str] = if long_kaggle {
        &["versions", words::LATEST]
    } else {
        &[words::LATEST]
    };
    let mut stop = None;
    // Each round refuses one more uncertain root above the handle's end.
    for refused in 0..=rest.len() {
        let found = match read(naming, rest, refused) {
            Ok(Reading::Root { end, .. }) if end == rest.len() => return Ok(&[]),
            Ok(Reading::Root { end, .. }) => Stop::Root(end),
            Ok(Reading::Latest { model, .. }) => Stop::Latest(model),
            // Components were checked when the handle was made: never an error here.
            Ok(Reading::Dir | Reading::Versions { .. }) | Err(_) => return Ok(latest),
        };
        stop = Some(found);
    }
    stop.map_or(Ok(latest), Err)
}
