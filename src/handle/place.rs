//! Path to place: what a path below the mountpoint is, as far as text can tell.

use super::names::{is_read_as_host, relative};
use super::rules::{Naming, Reading, read};
use super::{BucketPath, Catalogue, Handle, Names, NoName, Scheme, bucket, host, kaggle, words};

/// What a path below the mountpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A directory above every root: it exists always and costs no request.
    Dir,
    /// Another spelling: a symbolic link with this relative target, which leads to the canonical
    /// path, perhaps through one more link.
    Link(String),
    /// A directory that may be a model without its version: it exists always, and lists the
    /// versions of this unversioned handle, and `latest`.
    Versions(Handle),
    /// `latest` among the versions: the unversioned handle.
    Latest(Handle),
    /// `gs:` and `s3:`, which list the buckets that are known.
    Buckets(Scheme),
    /// A bucket, or a path in one: a directory or an object, as only the bucket can say.
    Bucket(BucketPath),
    /// A directory of Kaggle above its models: it exists always, and lists what Kaggle tells.
    Catalogue(Catalogue),
    /// A model's root, or a path within it.
    Model {
        /// The model: versioned, an archive, or unversioned below `latest`.
        handle: Handle,
        /// The path within the model, components joined by `/`; empty at the root itself.
        inside: String,
        /// `false` where a number may also be a mere directory: if the source knows no such
        /// model, and a known handle goes on below it, ask [`Names::place_beyond`] with `refused`
        /// one higher.
        certain: bool,
    },
}

impl Names {
    /// What the path of these components is. Never waits, never asks; the same answer always.
    pub fn place(&self, components: &[&str]) -> Result<Place, NoName> {
        self.place_beyond(components, 0)
    }

    /// [`Names::place`], where the first `refused` uncertain roots on the way are known to be no
    /// models and are read as directories: numbers of [`Place::Model`] with `certain: false`, and
    /// `latest` beside such numbers.
    ///
    /// A directory made of a refused root passes `refused` on to everything below it.
    pub fn place_beyond(&self, components: &[&str], refused: usize) -> Result<Place, NoName> {
        for name in components {
            words::check_fit(name)?;
        }
        if let Some(scheme) = bucket_scheme(components) {
            return self.below_buckets(scheme, components);
        }
        let Some(at) = components.iter().position(|name| name.contains(['?', '#'])) else {
            return self.plain(components, refused);
        };
        let last = at + 1 == components.len();
        match self.plain(&components[..at], refused)? {
            // `x/1/?tfhub-redirect=true`: the query of a URL with a trailing slash.
            Place::Model { inside, .. }
                if inside.is_empty() && last && is_query(components[at]) =>
            {
                Ok(Place::Link(".".to_owned()))
            }
            Place::Latest(_) if last && is_query(components[at]) => Ok(Place::Link(".".to_owned())),
            // Within a model any name is a file's.
            Place::Model { .. } | Place::Latest(_) => self.plain(components, refused),
            _ => self.pasted_query(&components[..=at], last, refused),
        }
    }

    /// A component above a root with a query (or fragment) pasted onto it: a link to the bare name.
    fn pasted_query(
        &self,
        components: &[&str],
        last: bool,
        refused: usize,
    ) -> Result<Place, NoName> {
        let Some((&name, above)) = components.split_last() else {
            return Ok(Place::Dir);
        };
        let bare = name.split(['?', '#']).next().unwrap_or_default();
        let target = if bare.is_empty() { "." } else { bare };
        if !bare.is_empty() {
            self.plain(&[above, &[bare]].concat(), refused)?;
        }
        link(target.to_owned(), name, last)
    }

    /// A path without pasted queries above its root.
    fn plain(&self, components: &[&str], refused: usize) -> Result<Place, NoName> {
        let Some((&first, rest)) = components.split_first() else {
            return Ok(Place::Dir);
        };
        match first.to_ascii_lowercase().as_str() {
            lower @ ("https:" | "http:" | "gs:" | "s3:") if lower != first => {
                link(lower.to_owned(), first, rest.is_empty())
            }
            "https:" => self.below_scheme(Scheme::Https, components, refused),
            "http:" => self.below_scheme(Scheme::Http, components, refused),
            _ if first.starts_with('[') || is_read_as_host(first) => {
                self.at_bare_host(components, refused)
            }
            _ => self.read_below(Naming::Hub, None, components, refused),
        }
    }

    /// `gs:/...` and `s3:/...`.
    fn below_buckets(&self, scheme: Scheme, components: &[&str]) -> Result<Place, NoName> {
        let Some((name, key)) = components.get(1).zip(components.get(2..)) else {
            return Ok(Place::Buckets(scheme));
        };
        if !bucket::is_name(name) {
            return Err(NoName::Bucket {
                name: name.escape_debug().to_string(),
            });
        }
        Ok(match bucket::read(key)? {
            Some(Reading::Root { end, certain }) => Place::Model {
                handle: Handle::of_checked(scheme, name, &key[..end]),
                inside: key[end..].join("/"),
                certain,
            },
            _ => Place::Bucket(BucketPath::of_checked(scheme, name, key.join("/"))),
        })
    }

    /// `https:/...` and `http:/...`.
    fn below_scheme(
        &self,
        scheme: Scheme,
        components: &[&str],
        refused: usize,
    ) -> Result<Place, NoName> {
        let Some(&name) = components.get(1) else {
            return Ok(Place::Dir);
        };
        let authority = authority(name, scheme)?;
        self.at_host(scheme, &authority, 2, components, refused)
    }

    /// A first component that looks like a host: the hub's own, or any other in https.
    fn at_bare_host(&self, components: &[&str], refused: usize) -> Result<Place, NoName> {
        let name = components[0];
        words_of_host(name)?;
        if self.names_hub(name) {
            return self.at_host(self.scheme, &self.authority, 1, components, refused);
        }
        let authority = authority(name, Scheme::Https)?;
        self.at_host(Scheme::Https, &authority, 1, components, refused)
    }

    /// A path whose first `named` components name a host: the canonical directory of its models,
    /// or a link to that.
    fn at_host(
        &self,
        scheme: Scheme,
        authority: &str,
        named: usize,
        components: &[&str],
        refused: usize,
    ) -> Result<Place, NoName> {
        if scheme == Scheme::Http && !self.http_hosts.http_allowed(authority) {
            return Err(NoName::PlainHttp {
                host: host::without_port(authority).to_owned(),
            });
        }
        let (path, rest) = components.split_at(named);
        let canonical = self.directory_of(scheme, authority);
        if canonical != path {
            let canonical: Vec<&str> = canonical.iter().map(String::as_str).collect();
            let target = relative(&path[..named - 1], &canonical);
            return link(target, path[named - 1], rest.is_empty());
        }
        if (scheme, authority) == (self.scheme, &self.authority) {
            // Not the hub's own directory, so the hub has a prefix here.
            let on_the_way = self.prefix.iter().zip(rest).all(|(a, b)| a == b);
            if on_the_way && rest.len() < self.prefix.len() {
                return Ok(Place::Dir);
            }
            if on_the_way {
                let base = named + self.prefix.len();
                let target = relative(&components[..base - 1], &[]);
                return link(target, components[base - 1], components.len() == base);
            }
        }
        self.read_below(
            self.naming(scheme, authority),
            Some((scheme, authority)),
            rest,
            refused,
        )
    }

    /// Reads what is below a host, or below the hub's base for `None`.
    fn read_below(
        &self,
        naming: Naming,
        host: Option<(Scheme, &str)>,
        components: &[&str],
        refused: usize,
    ) -> Result<Place, NoName> {
        let handle = |end: usize| match host {
            Some((scheme, authority)) => Handle::of_checked(scheme, authority, &components[..end]),
            None => {
                let prefix = self.prefix.iter().map(String::as_str);
                let path: Vec<&str> = prefix.chain(components[..end].iter().copied()).collect();
                Handle::of_checked(self.scheme, &self.authority, &path)
            }
        };
        Ok(match read(naming, components, refused)? {
            Reading::Dir if naming == Naming::Kaggle => {
                kaggle::catalogue(components).map_or(Place::Dir, Place::Catalogue)
            }
            Reading::Dir => Place::Dir,
            Reading::Versions { model } => Place::Versions(handle(model)),
            Reading::Latest { model, end } if end == components.len() => {
                Place::Latest(handle(model))
            }
            Reading::Latest { model, end } => Place::Model {
                handle: handle(model),
                inside: components[end..].join("/"),
                certain: true,
            },
            Reading::Root { end, certain } => Place::Model {
                handle: handle(end),
                inside: components[end..].join("/"),
                certain,
            },
        })
    }
}

/// A link at `name`; what is below it is reached by following it.
fn link(target: String, name: &str, last: bool) -> Result<Place, NoName> {
    if last {
        Ok(Place::Link(target))
    } else {
        Err(NoName::BeyondLink {
            link: name.escape_debug().to_string(),
        })
    }
}

fn authority(name: &str, scheme: Scheme) -> Result<String, NoName> {
    host::canonical(name, scheme).map_err(|why| NoName::Host {
        name: name.escape_debug().to_string(),
        why,
    })
}

/// Refuses hidden and known file names before they are taken for hosts (`.git`, `saved_model.pb`).
fn words_of_host(name: &str) -> Result<(), NoName> {
    // Brackets are an IPv6 address's, and in no handle's path.
    words::check(name.trim_start_matches('[').replace(']', "").as_str())?;
    Ok(())
}

/// The scheme of a path below `gs:` or `s3:`.
fn bucket_scheme(components: &[&str]) -> Option<Scheme> {
    match *components.first()? {
        "gs:" => Some(Scheme::Gs),
        "s3:" => Some(Scheme::S3),
        _ => None,
    }
}

fn is_query(name: &str) -> bool {
    name.starts_with('?')
}
