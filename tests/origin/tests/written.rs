//! Buckets that may be written, on both surfaces; and links slower than loopback.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{ask, get, location};
use crate::origin::{Hop, Origin, Shape, Strike};

const UPLOAD: &str = "upload/storage/v1/b/cache/o";

struct Stand {
    origin: Origin,
    dir: tempfile::TempDir,
}

impl Stand {
    fn start() -> Stand {
        let (origin, dir) = (Origin::start(), tempfile::tempdir().unwrap());
        origin.bucket_in("cache", dir.path());
        Stand { origin, dir }
    }

    /// Status, head and body.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, String) {
        let url = format!("{}/{path}", self.origin.url(Hop::Gcs));
        let headers = format!("{headers}Content-Length: {}\r\n", body.len());
        let (head, body) = ask(method, &url, &headers, body);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, String::from_utf8(body).unwrap())
    }

    fn status(&self, method: &str, path: &str, headers: &str, body: &str) -> u16 {
        self.ask(method, path, headers, body).0
    }

    fn on_disk(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.dir.path().join(name)).ok()
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let line = |line: &'a str| line.strip_prefix(&format!("{name}: "));
    head.lines().find_map(line).unwrap_or("")
}

const NEW: &str = "If-None-Match: *\r\n";

#[test]
fn conditions_of_both_surfaces_hold() {
    let stand = Stand::start();
    let (status, head, _) = stand.ask("PUT", "cache/a/b", NEW, "one");
    assert_eq!(status, 200);
    let (etag, generation) = (header(&head, "ETag"), header(&head, "x-goog-generation"));
    assert_eq!(stand.status("PUT", "cache/a/b", NEW, "two"), 412);
    let json = format!("{UPLOAD}?uploadType=media&name=a%2Fb&ifGenerationMatch=");
    for wrong in ["0", "7"] {
        assert_eq!(
            stand.status("POST", &format!("{json}{wrong}"), "", "two"),
            412
        );
    }
    assert_eq!(stand.on_disk("a/b").unwrap(), "one");
    let (_, _, told) = stand.ask("POST", &format!("{json}{generation}"), "", "two");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["name"], &told["size"]), (&"a/b".into(), &"3".into()));
    assert_eq!(stand.on_disk("a/b").unwrap(), "two");
    let matched = format!("If-Match: {etag}\r\n");
    assert_eq!(stand.status("PUT", "cache/a/b", &matched, "three"), 412);

    let gone = format!("storage/v1/b/cache/o/a%2Fb?ifGenerationMatch={generation}");
    assert_eq!(stand.status("DELETE", &gone, "", ""), 412);
    let now = told["generation"].as_str().unwrap();
    let gone = format!("storage/v1/b/cache/o/a%2Fb?ifGenerationMatch={now}");
    assert_eq!(stand.status("DELETE", &gone, "", ""), 204);
    assert_eq!(stand.status("DELETE", &gone, "", ""), 404);
    assert!(!stand.dir.path().join("a").exists());
}

#[test]
fn of_two_who_make_one_object_one_does() {
    let stand = Stand::start();
    let made: Vec<u16> = std::thread::scope(|scope| {
        let one = || scope.spawn(|| stand.status("PUT", "cache/x", NEW, "x"));
        let all: Vec<_> = (0..16).map(|_| one()).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let count = |wanted| made.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(412)), (1, 15), "{made:?}");
}

#[test]
fn a_resumable_upload_goes_on_where_it_was() {
    let stand = Stand::start();
    let begin = format!("{UPLOAD}?uploadType=resumable&name=r&ifGenerationMatch=0");
    let (_, head, _) = stand.ask("POST", &begin, "", "");
    let at = location(&head).to_owned();
    let at = at.strip_prefix(&stand.origin.url(Hop::Gcs)).unwrap();
    let part = |range: &str, body: &str| {
        let range = format!("Content-Range: bytes {range}\r\n");
        let (status, head, _) = stand.ask("PUT", at.trim_start_matches('/'), &range, body);
        (status, header(&head, "Range").to_owned())
    };
    assert_eq!(part("0-3/10", "abcd"), (308, "bytes=0-3".into()));
    // The same again, as after a lost answer; then more than what is new.
    assert_eq!(part("0-3/10", "abcd").1, "bytes=0-3");
    assert_eq!(part("2-5/10", "cdef").1, "bytes=0-5");
    assert_eq!(part("*/10", "").1, "bytes=0-5");
    assert_eq!(part("8-9/10", "ij").1, "bytes=0-5");
    assert!(stand.on_disk("r").is_none());
    assert_eq!(part("6-9/10", "ghij").0, 200);
    assert_eq!(stand.on_disk("r").unwrap(), "abcdefghij");
    assert_eq!(part("6-9/10", "ghij").0, 404);
}

#[test]
fn an_object_of_parts_has_them_in_order() {
    let stand = Stand::start();
    let (_, _, begun) = stand.ask("POST", "cache/m?uploads=", "", "");
    let id = begun.split("UploadId>").nth(1).unwrap();
    let id = id.split('<').next().unwrap();
    let part = |number: u32, body: &str| {
        let path = format!("cache/m?partNumber={number}&uploadId={id}");
        stand.status("PUT", &path, "", body)
    };
    assert_eq!(
        (part(2, "two"), part(0, "zero"), part(1, "one")),
        (200, 400, 200)
    );
    let end = format!("cache/m?uploadId={id}");
    let listed = "<PartNumber>1</PartNumber>";
    assert_eq!(stand.status("POST", &end, "", listed), 400);
    let (_, _, ended) = stand.ask("POST", &end, NEW, &(listed.to_owned() + listed));
    assert!(ended.contains("<ETag>"), "{ended}");
    assert_eq!(stand.on_disk("m").unwrap(), "onetwo");
    assert_eq!(stand.status("POST", &end, "", listed), 404);
    assert_eq!(stand.status("DELETE", &end, "", ""), 204);
}

#[test]
fn what_is_put_into_the_directory_is_there() {
    let stand = Stand::start();
    std::fs::write(stand.dir.path().join("x"), "by hand").unwrap();
    let (_, first, body) = stand.ask("GET", "cache/x", "", "");
    assert_eq!(body, "by hand");
    std::fs::write(stand.dir.path().join("x"), "by Hand").unwrap();
    let (_, second, _) = stand.ask("GET", "cache/x", "", "");
    assert_ne!(
        header(&first, "x-goog-generation"),
        header(&second, "x-goog-generation")
    );
    assert_ne!(
        header(&first, "x-goog-hash"),
        header(&second, "x-goog-hash")
    );
    let (_, _, page) = stand.ask("GET", "cache?list-type=2&max-keys=1", "", "");
    assert!(
        page.contains("<Key>x</Key>") && page.contains("<IsTruncated>false"),
        "{page}"
    );
    std::fs::remove_file(stand.dir.path().join("x")).unwrap();
    assert_eq!(stand.status("GET", "cache/x", "", ""), 404);
    for name in ["..%2Fx", "a%2F%2Fb", "a%0Ab", "%2Fx"] {
        let path = format!("{UPLOAD}?uploadType=media&name={name}");
        assert_eq!(stand.status("POST", &path, "", "x"), 400, "{name}");
    }
    stand.origin.bucket("other");
    assert_eq!(stand.status("PUT", "other/x", "", "x"), 403);
}

#[test]
fn a_rule_strikes_whatever_is_asked() {
    let stand = Stand::start();
    stand.origin.rule(|method, _| match method {
        "PUT" => Strike::LostAnswer,
        "GET" => Strike::Status(429),
        _ => Strike::None,
    });
    assert_eq!(stand.status("PUT", "cache/x", "", "done"), 503);
    assert_eq!(stand.on_disk("x").unwrap(), "done");
    assert_eq!(stand.status("GET", "cache/x", "", ""), 429);
}

#[test]
fn each_connection_has_the_rate_and_all_share_the_link() {
    let timed = |shape: &str| {
        let origin = Origin::over(Shape::read(shape), [0; 3]);
        origin.host("g/m/1", vec![7; 200_000]);
        let url = format!("{}/g/m/1", origin.url(Hop::Hub));
        let one = || {
            let since = Instant::now();
            assert_eq!(get(&url, "").1.len(), 200_000);
            since.elapsed()
        };
        std::thread::scope(|scope| {
            let all = [scope.spawn(one), scope.spawn(one)];
            all.map(|one| one.join().unwrap())
                .into_iter()
                .max()
                .unwrap()
        })
    };
    // Bounds are wide above: the machine may be busy. Below they are what the arithmetic promises.
    let (own, shared) = (timed("latency=60ms,rate=1MB/s"), timed("total=1MB/s"));
    let ms = Duration::from_millis;
    assert!((ms(245)..ms(1_500)).contains(&own), "{own:?}");
    assert!((ms(385)..ms(2_000)).contains(&shared), "{shared:?}");
}

#[test]
fn the_program_offers_files_as_one_host() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    put("g/packed/1.tar.gz", "archive");
    put("g/plain/2/saved_model.pb", "graph");
    let origin = Origin::start();
    crate::origin::program::offer_below(&origin, Path::new(dir.path()), "", true);
    let hub = origin.url(Hop::Hub);
    let body = |path: &str| String::from_utf8(get(&format!("{hub}/{path}"), "").1).unwrap();
    assert_eq!(body("g/packed/1?tf-hub-format=compressed"), "archive");
    let folder = body("g/plain/2?tf-hub-format=uncompressed");
    let at = folder.strip_prefix("gs://").unwrap();
    assert_eq!(body(&format!("{at}/saved_model.pb")), "graph");
}
