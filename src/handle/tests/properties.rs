//! Properties over every form of handle and any path at all.

use proptest::prelude::*;

use super::*;

/// More links than any path has: two spellings of a host, a query, a second query.
const MAX_LINKS: usize = 32;

/// Follows every link in `path` (relative to the mountpoint), as the kernel does: the canonical path, and what it is.
fn follow(names: &Names, path: &str) -> Result<(String, Place), NoName> {
    let mut left: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    let mut done: Vec<String> = Vec::new();
    let mut place = Place::Dir;
    let mut links = 0;
    while let Some(name) = left.pop() {
        match name.as_str() {
            "" | "." => continue,
            ".." => drop(done.pop()),
            _ => done.push(name),
        }
        place = names.place(&done.iter().map(String::as_str).collect::<Vec<_>>())?;
        if let Place::Link(target) = &place {
            let link = done.pop().unwrap_or_default();
            links += 1;
            if links > MAX_LINKS {
                return Err(NoName::BeyondLink { link });
            }
            left.extend(target.rsplit('/').map(str::to_owned));
            place = names.place(&done.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
    }
    Ok((done.join("/"), place))
}

/// A component of a handle: words, numbers, marks, `latest`, archives, escapes.
fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,9}",
        3 => "[0-9]{1,4}",
        1 => "[a-z][a-z!$&'()*+,;=:@.]{1,5}",
        1 => "[a-z]{1,3}%[0-9A-F]{2}",
        1 => "[a-z]{1,4}\\.(tar\\.gz|tgz|tar|tar\\.bz2|txz)",
        1 => Just("latest".to_owned()),
        1 => prop_oneof![Just("tfjs-model"), Just("lite-model"), Just("localhost")].prop_map(str::to_owned),
    ]
}

fn origin() -> impl Strategy<Value = String> {
    let of_hubs = (0..HUBS.len()).prop_map(|i| names(HUBS[i]).hub());
    let other = prop_oneof![
        Just("https://tfhub.dev"),
        Just("https://models.example.com"),
        Just("https://modelserver"),
        Just("https://localhost:8443"),
        Just("https://hub.example:80"),
        Just("https://127.0.0.1:9"),
        Just("http://127.0.0.1"),
        Just("http://[::1]:8080"),
        Just("gs://bucket"),
        Just("s3://my.bucket-1"),
        Just("http://allowed.example"),
        Just("https://hub.tensorflow.google.cn"),
        Just("https://corp.example/hub"),
    ];
    prop_oneof![of_hubs, other.prop_map(str::to_owned)]
}

fn any_url() -> impl Strategy<Value = String> {
    let hosted = (origin(), prop::collection::vec(component(), 1..8))
        .prop_map(|(origin, path)| format!("{origin}/{}", path.join("/")));
    let slug = "[a-z0-9][A-Za-z0-9_.-]{0,8}";
    let kaggle = (
        prop::collection::vec(slug, 4),
        0..1000u32,
        0..4,
        any::<bool>(),
    )
        .prop_map(|(s, n, form, www)| {
            let (o, m, f, v) = (&s[0], &s[1], &s[2], &s[3]);
            let model = match form {
                0 => format!("{o}/{m}/{f}/{v}"),
                1 => format!("{o}/{m}/{f}/{v}/{n}"),
                2 => format!("{o}/{m}/frameworks/{f}/variations/{v}"),
                _ => format!("{o}/{m}/frameworks/{f}/variations/{v}/versions/{n}"),
            };
            format!(
                "https://{}kaggle.com/models/{model}",
                if www { "www." } else { "" }
            )
        });
    prop_oneof![3 => hosted, 1 => kaggle]
}

/// The reading of a path that the tree comes to when only `handle` is known.
fn reading_of(names: &Names, path: &str, handle: &Handle) -> Option<Place> {
    let components = split(path);
    (0..=components.len())
        .map(|refused| names.place_beyond(&components, refused).unwrap())
        .find(|place| match place {
            Place::Model {
                handle: found,
                inside,
                ..
            } => found == handle && inside.is_empty(),
            Place::Latest(found) => found == handle,
            Place::Bucket(found) => handle.bucket().as_ref() == Some(found),
            _ => false,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn handle_to_path_to_place_to_handle(hub in 0..HUBS.len(), url in any_url()) {
        let names = names(HUBS[hub]);
        let Ok(handle) = Handle::parse(&url) else { return Ok(()) };
        prop_assert_eq!(handle.url(), url);
        let Ok(path) = names.path(&handle) else { return Ok(()) };
        prop_assert!(reading_of(&names, &path, &handle).is_some(), "{} has path {}", handle, path);
        prop_assert_eq!(&follow(&names, &path).unwrap().0, &path);
    }

    #[test]
    fn every_spelling_leads_to_the_canonical_path(
        hub in 0..HUBS.len(), url in any_url(), query in "[?#][a-z0-9=&?#]{0,6}", case in any::<bool>(),
    ) {
        let names = names(HUBS[hub]);
        let Ok(handle) = Handle::parse(&url) else { return Ok(()) };
        let Ok(path) = names.path(&handle) else { return Ok(()) };
        // A bucket has one spelling: its keys may hold what is a query elsewhere.
        prop_assume!(!handle.scheme().is_bucket());
        let (scheme, rest) = url.split_once("://").unwrap();
        let host = if case { handle.authority().to_uppercase() } else { handle.authority().to_owned() };
        let pasted = format!("{scheme}:/{host}{}", &rest[handle.authority().len()..]);
        let bare = follow(&names, &pasted).unwrap().0;
        // An unversioned handle's path goes on to `latest`.
        let tail = path.strip_prefix(&bare);
        prop_assert!(matches!(tail, Some("" | "/latest" | "/versions/latest")), "{} is {}", pasted, bare);
        // Below an uncertain root any name is a file's, until the root is refused.
        if !matches!(follow(&names, &pasted).unwrap().1, Place::Model { inside, .. } if !inside.is_empty()) {
            prop_assert_eq!(follow(&names, &format!("{pasted}{query}")).unwrap().0, bare.clone());
        }
        // Without a scheme a host means https, or the hub where the hub has it.
        let of_hub = names.hub() == format!("{scheme}://{}", handle.authority());
        let is_taken = names.names_hub(handle.authority());
        if host::looks_like_one(&host) && (of_hub || (scheme == "https" && !is_taken)) {
            let short = &pasted[scheme.len() + 2..];
            prop_assert_eq!(follow(&names, short).unwrap().0, bare);
        }
    }

    #[test]
    fn well_formed_handles_always_have_a_path(
        hub in 0..HUBS.len(), origin in origin(), publisher in "[a-z0-9_-]{1,8}",
        name in prop::collection::vec("[a-z_][A-Za-z0-9_-]{0,8}", 1..5), version in prop::option::of(0..u64::MAX),
    ) {
        prop_assume!(publisher != "localhost" && !name.iter().any(|n| n == "latest"));
        let version = version.map_or(String::new(), |v| format!("/{v}"));
        let handle = handle(&format!("{origin}/{publisher}/{}{version}", name.join("/")));
        let names = names(HUBS[hub]);
        if handle.scheme() == Scheme::Https || names.http_hosts.http_allowed(handle.authority()) {
            let path = names.path(&handle);
            prop_assert!(path.is_ok(), "{}: {:?}", handle, path);
        }
    }

    #[test]
    fn place_takes_anything(
        hub in 0..HUBS.len(), refused in 0..4usize,
        path in prop::collection::vec(prop_oneof![
            component(), any::<String>(), "[A-Za-z0-9.:?#%/\\[\\]@-]{0,12}",
            prop_oneof![Just("https:"), Just("http:"), Just("tfhub.dev"), Just("[::1]:8080"),
                Just("www.kaggle.com"), Just("models"), Just("gs:"), Just("s3:"), Just("bucket"), Just("x.tar.gz"), Just("corp.example"), Just("hub")].prop_map(str::to_owned),
        ], 0..7),
    ) {
        let names = names(HUBS[hub]);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match names.place_beyond(&path, refused) {
            Ok(Place::Link(target)) => {
                prop_assert!(!target.starts_with('/') && !target.is_empty());
                let (end, place) = follow(&names, &path.join("/")).unwrap();
                prop_assert!(!matches!(place, Place::Link(_)), "{} is still a link", end);
            }
            Ok(Place::Versions(h) | Place::Latest(h) | Place::Model { handle: h, .. }) => {
                prop_assert_eq!(&handle(&h.url()), &h);
            }
            Ok(Place::Bucket(path)) => {
                prop_assert_eq!(BucketPath::parse(&path.to_string()).unwrap(), path);
            }
            Ok(Place::Dir | Place::Buckets(_) | Place::Catalogue(_)) | Err(_) => {}
        }
    }

    #[test]
    fn parse_takes_anything_and_tells_no_secret(
        text in any::<String>(), host in "[a-z.\\[:@]{0,6}", path in "[a-z/.% ]{0,9}", scheme in "[a-z]{0,3}(https|gs)?(://|:/|)",
    ) {
        let _ = Handle::parse(&text);
        for text in [
            format!("{scheme}user:SECRET@{host}/{path}?token=SECRET"),
            format!("{scheme}{host}/{path}?token=SECRET\u{fc}"),
        ] {
            if let Err(error) = Handle::parse(&text) {
                prop_assert!(!error.to_string().contains("SECRET"), "{}", error);
            }
        }
    }

    /// What a handle says is what goes over the wire: the HTTP client's URL parser changes nothing.
    #[test]
    fn url_parsers_keep_a_handle_as_it_is(url in any_url()) {
        if let Ok(handle) = Handle::parse(&url) {
            let parsed = url::Url::parse(&handle.url()).unwrap();
            prop_assert_eq!(parsed.as_str(), handle.url());
        }
    }
}
