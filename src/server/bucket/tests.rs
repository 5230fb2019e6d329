//! The bucket over a real socket.

use std::fs::File;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::testing::{Reply, Tree, ask, get, noise, serve};

const LIST: &str = "/storage/v1/b/tfhub-models/o";

fn models() -> Tree {
    Tree::new(&[
        ("google/spice/2/saved_model.pb", "123456789"),
        ("google/spice/2/assets/vocab.txt", "a\nb\n"),
        ("google/spice/2/assets/más & más.txt", "x"),
        ("google/ready/1.tar.gz", "archive"),
        ("demo/m/1/saved_model.pb", "s"),
        ("notes.txt", "not a model's"),
    ])
}

async fn json(addr: SocketAddr, target: &str) -> Value {
    let reply = get(addr, target).await;
    assert_eq!(reply.status, 200, "{target}: {}", reply.text());
    serde_json::from_slice(&reply.body).unwrap()
}

fn names(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array();
    items.map_or(Vec::new(), |items| {
        items
            .iter()
            .filter_map(|item| item["name"].as_str())
            .collect()
    })
}

#[tokio::test]
async fn a_listing_names_the_files_of_models_and_archives() {
    let tree = models();
    let addr = serve(&tree).await;
    let all = json(addr, LIST).await;
    assert_eq!(
        names(&all),
        [
            "demo/m/1/saved_model.pb",
            "google/ready/1.tar.gz",
            "google/spice/2/assets/más & más.txt",
            "google/spice/2/assets/vocab.txt",
            "google/spice/2/saved_model.pb",
        ]
    );
    assert_eq!(all.get("prefixes"), None, "what is empty is left out");
    let graph = &all["items"][4];
    assert_eq!(graph["size"], "9");
    assert_eq!(graph["crc32c"], "4waSgw==");
    assert_eq!(graph["md5Hash"], "JfnnlDI7RTiF9RgfG2JNCw==");
    let generation = graph["generation"].as_str().unwrap();
    assert!(generation.parse::<i64>().unwrap() > 0);

    let query = "?delimiter=%2F&prefix=google%2Fspice%2F2%2F&fields=items(name)&pageToken=";
    let dir = json(addr, &format!("{LIST}{query}")).await;
    assert_eq!(names(&dir), ["google/spice/2/saved_model.pb"]);
    assert_eq!(
        dir["prefixes"],
        serde_json::json!(["google/spice/2/assets/"])
    );
    let top = json(addr, &format!("{LIST}?delimiter=/")).await;
    assert_eq!(top["prefixes"], serde_json::json!(["demo/", "google/"]));
    let none = json(addr, &format!("{LIST}?prefix=none/")).await;
    assert_eq!(none, serde_json::json!({"kind": "storage#objects"}));
    tree.put("google/new/1/saved_model.pb", "n");
    let new = json(addr, &format!("{LIST}?prefix=google/new/")).await;
    assert_eq!(names(&new).len(), 1, "a model that was copied in is there");
}

#[tokio::test]
async fn metadata_says_where_the_bytes_are() {
    let tree = models();
    let addr = serve(&tree).await;
    let name = "google%2Fspice%2F2%2Fassets%2Fm%C3%A1s%20%26%20m%C3%A1s.txt";
    let object = json(addr, &format!("{LIST}/{name}")).await;
    assert_eq!(object["name"], "google/spice/2/assets/más & más.txt");
    assert_eq!(object["bucket"], "tfhub-models");
    let link = object["mediaLink"].as_str().unwrap();
    let target = link.strip_prefix(&format!("http://{addr}")).unwrap();
    assert_eq!(get(addr, target).await.text(), "x");
    for target in [
        format!("{LIST}/{name}?alt=media"),
        format!("/tfhub-models/{name}"),
        "/tfhub-models/google/spice/2/assets/m%C3%A1s%20&%20m%C3%A1s.txt".to_owned(),
    ] {
        assert_eq!(get(addr, &target).await.text(), "x", "{target}");
    }
    let bucket = json(addr, "/storage/v1/b/tfhub-models").await;
    assert_eq!(bucket["name"], "tfhub-models");
    let buckets = json(addr, "/storage/v1/b?project=x").await;
    assert_eq!(buckets["items"][0]["name"], "tfhub-models");
}

#[tokio::test]
async fn bytes_come_with_the_headers_of_cloud_storage() {
    let tree = models();
    let addr = serve(&tree).await;
    let target = "/tfhub-models/google/spice/2/saved_model.pb";
    let whole = get(addr, target).await;
    assert_eq!(whole.text(), "123456789");
    for (header, value) in [
        ("content-length", "9"),
        ("accept-ranges", "bytes"),
        ("x-goog-metageneration", "1"),
        ("x-goog-stored-content-encoding", "identity"),
        ("x-goog-stored-content-length", "9"),
    ] {
        assert_eq!(whole.header(header), value, "{header}");
    }
    assert_eq!(
        whole.headers["x-goog-hash"],
        ["crc32c=4waSgw==", "md5=JfnnlDI7RTiF9RgfG2JNCw=="]
    );
    assert!(!whole.header("last-modified").is_empty());
    let head = ask(addr, "HEAD", target, &[]).await;
    for header in ["content-length", "etag", "x-goog-hash", "x-goog-generation"] {
        assert_eq!(whole.headers[header], head.headers[header], "{header}");
    }
    assert_eq!(head.body.len(), 0);
    let media = format!("{LIST}/google%2Fspice%2F2%2Fsaved_model.pb?alt=media");
    assert_eq!(
        get(addr, &media).await.headers["x-goog-hash"],
        ["crc32c=4waSgw==,md5=JfnnlDI7RTiF9RgfG2JNCw=="],
        "in one line on the JSON surface"
    );
    let part = ask(addr, "GET", target, &[("Range", "bytes=2-4")]).await;
    assert_eq!((part.status, part.text().as_str()), (206, "345"));
    assert_eq!(part.header("content-range"), "bytes 2-4/9");
    let last = ask(addr, "GET", target, &[("Range", "bytes=-2")]).await;
    assert_eq!((last.status, last.text().as_str()), (206, "89"));
    let beyond = ask(addr, "GET", target, &[("Range", "bytes=9-")]).await;
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, "bytes */9")
    );
}

#[tokio::test]
async fn a_generation_is_found_for_as_long_as_it_is_there() {
    let tree = models();
    let addr = serve(&tree).await;
    let target = "/tfhub-models/demo/m/1/saved_model.pb";
    let first = get(addr, target).await;
    let (generation, etag) = (
        first.header("x-goog-generation").to_owned(),
        first.header("etag").to_owned(),
    );
    let pinned = format!("{target}?generation={generation}");
    let conditional =
        format!("{LIST}/demo%2Fm%2F1%2Fsaved_model.pb?ifGenerationMatch={generation}");
    let matching = [("If-Match", etag.as_str())];
    let known = format!("{LIST}/demo%2Fm%2F1%2Fsaved_model.pb?ifGenerationNotMatch={generation}");
    let goog = [("x-goog-if-generation-match", generation.as_str())];
    let asked = async || {
        let status = async |target: &str, headers: &[(&str, &str)]| -> u16 {
            ask(addr, "GET", target, headers).await.status
        };
        [
            status(&pinned, &[]).await,
            status(&conditional, &[]).await,
            status(&format!("{conditional}&alt=media"), &[]).await,
            status(target, &matching).await,
            status(target, &goog).await,
            status(&known, &[]).await,
        ]
    };
    assert_eq!(asked().await, [200, 200, 200, 200, 200, 304]);
    // Written beside and renamed in, with the size and the time of the old one.
    let path = tree.path().join("demo/m/1/saved_model.pb");
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    tree.put("demo/.new", "t");
    let new = tree.path().join("demo/.new");
    let file = File::options().write(true).open(&new).unwrap();
    file.set_modified(modified).unwrap();
    std::fs::rename(&new, &path).unwrap();
    assert_eq!(asked().await, [404, 412, 412, 412, 412, 200]);
    assert_eq!(get(addr, target).await.text(), "t");
    assert_eq!(
        get(addr, &format!("{target}?generation=x")).await.status,
        400
    );
}

#[tokio::test]
async fn faults_have_the_shape_of_their_surface() {
    let tree = models();
    let addr = serve(&tree).await;
    let error = async |target: &str| -> Value {
        let reply = get(addr, target).await;
        let error: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(error["error"]["code"], reply.status, "{target}");
        error["error"]["errors"][0]["reason"].clone()
    };
    assert_eq!(error(&format!("{LIST}/none")).await, "notFound");
    assert_eq!(error("/storage/v1/b/other/o").await, "notFound");
    assert_eq!(error("/storage/v1/b/tfhub-models/iam").await, "notFound");
    assert_eq!(error(&format!("{LIST}?pageToken=!")).await, "invalid");
    assert_eq!(error(&format!("{LIST}?maxResults=many")).await, "invalid");
    let media = get(addr, &format!("{LIST}/none?alt=media")).await;
    assert_eq!(
        (media.status, media.text().as_str()),
        (404, "No such object: tfhub-models/none")
    );
    let xml = get(addr, "/tfhub-models/a%3Cb").await;
    assert_eq!(xml.status, 404);
    assert!(
        xml.text().contains("<Code>NoSuchKey</Code>"),
        "{}",
        xml.text()
    );
    assert!(xml.text().contains("a&lt;b"), "{}", xml.text());
    let post: &[(&str, &str)] = &[("Content-Length", "0")];
    for (method, target) in [
        ("POST", "/upload/storage/v1/b/tfhub-models/o?name=x"),
        ("DELETE", "/storage/v1/b/tfhub-models/o/x"),
        ("PUT", "/tfhub-models/x"),
    ] {
        assert_eq!(
            ask(addr, method, target, post).await.status,
            403,
            "{method}"
        );
    }
}

#[tokio::test]
async fn no_spelling_leads_to_what_is_not_in_a_model() {
    let tree = models();
    std::os::unix::fs::symlink("/etc", tree.path().join("demo/m/1/etc")).unwrap();
    let addr = serve(&tree).await;
    for name in [
        "notes.txt",
        "../notes.txt",
        "%2e%2e/notes.txt",
        "demo/m/1/../../../notes.txt",
        "demo/m/1/..%2f..%2f..%2fnotes.txt",
        "demo/m/1/etc/passwd",
        "demo/m/1/%00",
        "demo/m/1",
        "demo//m/1/saved_model.pb",
    ] {
        assert_eq!(
            get(addr, &format!("/tfhub-models/{name}")).await.status,
            404,
            "{name}"
        );
        assert_eq!(
            get(addr, &format!("{LIST}/{name}")).await.status,
            404,
            "{name}"
        );
    }
    let listed = json(addr, LIST).await;
    assert!(!names(&listed).iter().any(|name| name.starts_with("demo/")));
    assert!(
        names(&listed).contains(&"google/ready/1.tar.gz"),
        "one bad model hides no other"
    );
}

/// Follows `next` through all pages.
async fn all_pages(
    addr: SocketAddr,
    first: &str,
    next: impl Fn(&Reply) -> Option<String>,
) -> Vec<Reply> {
    let mut pages = vec![get(addr, first).await];
    while let Some(target) = next(pages.last().unwrap()) {
        pages.push(get(addr, &target).await);
        assert!(pages.len() < 100, "pages end");
    }
    pages
}

fn between(text: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let pieces = text.split(&open).skip(1);
    let until = |piece: &str| piece.split(&close).next().unwrap().to_owned();
    pieces.map(until).collect()
}

#[tokio::test]
async fn pages_follow_each_other_on_every_surface() {
    let tree = Tree::new(&[("g/m/1/saved_model.pb", "s")]);
    for index in 0..2500 {
        tree.put(&format!("g/m/1/assets/{index:04}"), "");
    }
    let addr = serve(&tree).await;
    let first = format!("{LIST}?prefix=g/m/1/&maxResults=5000");
    let pages = all_pages(addr, &first, |page| {
        let page: Value = serde_json::from_slice(&page.body).unwrap();
        let token = page["nextPageToken"].as_str()?;
        Some(format!("{first}&pageToken={token}"))
    });
    let pages = pages.await;
    let values: Vec<Value> = pages
        .iter()
        .map(|page| serde_json::from_slice(&page.body).unwrap())
        .collect();
    let listed: Vec<&str> = values.iter().flat_map(names).collect();
    assert_eq!((pages.len(), listed.len()), (3, 2501));
    assert!(listed.is_sorted());

    let second = "/tfhub-models?list-type=2&prefix=g/m/1/&max-keys=900";
    let pages = all_pages(addr, second, |page| {
        let token = between(&page.text(), "NextContinuationToken").pop()?;
        Some(format!("{second}&continuation-token={token}"))
    });
    let keys: Vec<_> = pages
        .await
        .iter()
        .flat_map(|page| between(&page.text(), "Key"))
        .collect();
    assert_eq!(keys, listed);
    let first = "/tfhub-models/?delimiter=/&prefix=g/m/1/&max-keys=1";
    let pages = all_pages(addr, first, |page| {
        let marker = between(&page.text(), "NextMarker").pop()?;
        Some(format!("{first}&marker={marker}"))
    });
    let pages = pages.await;
    assert_eq!(between(&pages[0].text(), "Prefix")[1], "g/m/1/assets/");
    assert_eq!(between(&pages[1].text(), "Key"), ["g/m/1/saved_model.pb"]);
    assert_eq!(pages.len(), 2);
}

#[tokio::test]
async fn a_later_page_says_what_is_true_now() {
    let tree = Tree::new(&[("g/m/1/a", "s")]);
    for index in 0..1200 {
        tree.put(&format!("g/m/1/z{index:04}"), "old");
    }
    let addr = serve(&tree).await;
    let first = json(addr, LIST).await;
    tree.put("g/m/1/z1100", "longer");
    std::fs::remove_file(tree.path().join("g/m/1/z1101")).unwrap();
    let token = first["nextPageToken"].as_str().unwrap();
    let page = json(addr, &format!("{LIST}?pageToken={token}")).await;
    let items = page["items"].as_array().unwrap();
    let changed = items.iter().find(|item| item["name"] == "g/m/1/z1100");
    assert_eq!(changed.unwrap()["size"], "6");
    assert!(!names(&page).contains(&"g/m/1/z1101"));
}

#[tokio::test]
async fn a_file_written_to_while_it_is_sent_is_cut() {
    let tree = Tree::new(&[("g/m/1/saved_model.pb", "s")]);
    let len = 32 << 20;
    tree.put("g/m/1/weights", noise(len));
    let addr = serve(&tree).await;
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let request =
        "GET /tfhub-models/g/m/1/weights HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = vec![0; 1 << 20];
    stream.read_exact(&mut received).await.unwrap();
    let head = String::from_utf8_lossy(&received[..1000]).into_owned();
    assert!(head.contains(&format!("content-length: {len}")), "{head}");
    // The rest does not fit between the two: it waits for this client.
    let path = tree.path().join("g/m/1/weights");
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(9))
        .unwrap();
    let _ = stream.read_to_end(&mut received).await;
    assert!(
        received.len() < len,
        "the connection ends before the bytes do"
    );
}
