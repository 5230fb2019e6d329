//! Which requests are for the bucket, by their paths.

use percent_encoding::percent_decode_str;

/// What a path asks of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// JSON: the buckets that there are.
    Buckets,
    /// JSON: a bucket.
    Bucket(String),
    /// JSON: a listing of a bucket.
    List(String),
    /// JSON: an object of a bucket.
    Object(String, String),
    /// The bytes of an object of a bucket, as the JSON surface sends them.
    Media(String, String),
    /// JSON: something that only writers ask for, or that is not known here.
    Other,
    /// XML: a listing.
    XmlList,
    /// XML: the bytes of an object.
    XmlObject(String),
}

impl Route {
    /// What `path`, as it came in the request, asks of the bucket called
    /// `bucket`; none if it is for the hub.
    pub fn of(path: &str, bucket: &str) -> Option<Route> {
        if let Some(rest) = below(path, "/storage/v1/b") {
            return Some(json(rest, Route::Object));
        }
        if let Some(rest) = below(path, "/download/storage/v1/b") {
            return Some(match json(rest, Route::Media) {
                media @ Route::Media(..) => media,
                _ => Route::Other,
            });
        }
        if below(path, "/upload/storage/v1/b").is_some() {
            return Some(Route::Other);
        }
        // Some clients, rclone among them, leave the rest out when they are told an address alone.
        if let Some(rest) = below(path, "/b")
            && decoded(rest.split('/').next()?)? == bucket
        {
            return Some(json(rest, Route::Object));
        }
        let (first, rest) = match path.strip_prefix('/')?.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path.strip_prefix('/')?, None),
        };
        if decoded(first)? != bucket {
            return None;
        }
        match rest {
            None | Some("") => Some(Route::XmlList),
            Some(object) => Some(decoded(object).map_or(Route::Other, Route::XmlObject)),
        }
    }
}

/// What follows `above`, without the slash between.
fn below<'a>(path: &'a str, above: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(above)?;
    match rest {
        "" => Some(""),
        _ => rest.strip_prefix('/'),
    }
}

/// `<bucket>/o/<object>` or less. A client escapes the slashes of an object's
/// name, but who types it does not.
fn json(rest: &str, object: impl Fn(String, String) -> Route) -> Route {
    if rest.is_empty() {
        return Route::Buckets;
    }
    let (bucket, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let Some(bucket) = decoded(bucket) else {
        return Route::Other;
    };
    match rest {
        "" => Route::Bucket(bucket),
        "o" | "o/" => Route::List(bucket),
        _ => match rest.strip_prefix("o/").and_then(decoded) {
            Some(name) => object(bucket, name),
            None => Route::Other,
        },
    }
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_both_surfaces() {
        let object = |name: &str| Route::Object("b".into(), name.into());
        for (path, route) in [
            ("/storage/v1/b", Route::Buckets),
            ("/storage/v1/b/", Route::Buckets),
            ("/storage/v1/b/b", Route::Bucket("b".into())),
            ("/storage/v1/b/b/o", Route::List("b".into())),
            ("/storage/v1/b/b/o/", Route::List("b".into())),
            ("/storage/v1/b/b/o/g%2Fm%2F1%2Fx%20y", object("g/m/1/x y")),
            ("/storage/v1/b/b/o/g/m/1/x", object("g/m/1/x")),
            ("/storage/v1/b/b/iam", Route::Other),
            ("/storage/v1/b/b/o/%ff", Route::Other),
            (
                "/download/storage/v1/b/b/o/x",
                Route::Media("b".into(), "x".into()),
            ),
            ("/download/storage/v1/b/b/o", Route::Other),
            ("/upload/storage/v1/b/b/o", Route::Other),
            ("/b/models/o", Route::List("models".into())),
            ("/models", Route::XmlList),
            ("/models/", Route::XmlList),
            ("/models/g/m%2F1", Route::XmlObject("g/m/1".into())),
            ("/models/%ff", Route::Other),
        ] {
            assert_eq!(Route::of(path, "models"), Some(route), "{path}");
        }
    }

    #[test]
    fn everything_else_is_the_hubs() {
        for path in [
            "/",
            "",
            "/models-x",
            "/modelsx/1",
            "/google/models/1",
            "/storage/v1/bx",
            "/b",
            "/b/other/o",
            "/storage/v2/b",
            "/download/x/1",
        ] {
            assert_eq!(Route::of(path, "models"), None, "{path}");
        }
    }
}
