//! A bucket that may be written, over a real socket.

use reqwest::{Client, Method, RequestBuilder, Response};

struct Stand {
    base: String,
    dir: tempfile::TempDir,
    client: Client,
}

impl Stand {
    async fn start() -> Stand {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let router = crate::server::testing_bucket("cache", dir.path());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = Client::builder().no_proxy().build().unwrap();
        Stand { base, dir, client }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    fn put(&self, path: &str, body: &'static str) -> RequestBuilder {
        self.request(Method::PUT, path).body(body)
    }

    fn post(&self, path: &str, body: &'static str) -> RequestBuilder {
        self.request(Method::POST, path).body(body)
    }

    fn on_disk(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.dir.path().join(name)).ok()
    }
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name);
    value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
}

const UPLOAD: &str = "/upload/storage/v1/b/cache/o";

#[tokio::test]
async fn conditions_of_both_surfaces_hold() {
    let stand = Stand::start().await;
    let new = |body| stand.put("/cache/a/b", body).header("if-none-match", "*");
    let made = new("one").send().await.unwrap();
    assert_eq!(made.status(), 200);
    let (tag, generation) = (header(&made, "etag"), header(&made, "x-goog-generation"));
    assert_eq!(status(new("two")).await, 412);
    let json = format!("{UPLOAD}?uploadType=media&name=a%2Fb&ifGenerationMatch=");
    assert_eq!(status(stand.post(&format!("{json}0"), "two")).await, 412);
    assert_eq!(status(stand.post(&format!("{json}7"), "two")).await, 412);
    assert_eq!(stand.on_disk("a/b").unwrap(), "one");

    let replaced = stand
        .post(&format!("{json}{generation}"), "two")
        .send()
        .await
        .unwrap();
    let text = replaced.text().await.unwrap();
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (told["name"].as_str(), told["size"].as_str()),
        (Some("a/b"), Some("3"))
    );
    assert_eq!(stand.on_disk("a/b").unwrap(), "two");
    let matched = stand.put("/cache/a/b", "three").header("if-match", &tag);
    assert_eq!(status(matched).await, 412, "it is another one now");

    let gone = format!("/storage/v1/b/cache/o/a%2Fb?ifGenerationMatch={generation}");
    assert_eq!(status(stand.request(Method::DELETE, &gone)).await, 412);
    let now = told["generation"].as_str().unwrap();
    let gone = format!("/storage/v1/b/cache/o/a%2Fb?ifGenerationMatch={now}");
    assert_eq!(status(stand.request(Method::DELETE, &gone)).await, 204);
    assert_eq!(status(stand.request(Method::DELETE, &gone)).await, 404);
    assert!(!stand.dir.path().join("a").exists());
}

#[tokio::test]
async fn of_two_who_make_one_object_one_does() {
    let stand = Stand::start().await;
    let made = (0..16).map(|_| status(stand.put("/cache/x", "x").header("if-none-match", "*")));
    let made = futures_util::future::join_all(made).await;
    assert_eq!(
        made.iter().filter(|status| **status == 200).count(),
        1,
        "{made:?}"
    );
    assert_eq!(made.iter().filter(|status| **status == 412).count(), 15);
}

#[tokio::test]
async fn a_resumable_upload_goes_on_where_it_was() {
    let stand = Stand::start().await;
    let begin = format!("{UPLOAD}?uploadType=resumable&name=r&ifGenerationMatch=0");
    let place = header(&stand.post(&begin, "").send().await.unwrap(), "location");
    assert!(place.starts_with(&stand.base), "{place}");
    let part = |range: &str, body: &'static str| {
        let request = stand.client.put(&place).body(body);
        request
            .header("content-range", format!("bytes {range}"))
            .send()
    };
    let told = part("0-3/10", "abcd").await.unwrap();
    assert_eq!(
        (told.status().as_u16(), header(&told, "range")),
        (308, "bytes=0-3".into())
    );
    // The same again, as after a lost answer; then more than what is new.
    assert_eq!(
        header(&part("0-3/10", "abcd").await.unwrap(), "range"),
        "bytes=0-3"
    );
    assert_eq!(
        header(&part("2-5/10", "cdef").await.unwrap(), "range"),
        "bytes=0-5"
    );
    assert_eq!(
        header(&part("*/10", "").await.unwrap(), "range"),
        "bytes=0-5"
    );
    assert_eq!(
        header(&part("8-9/10", "ij").await.unwrap(), "range"),
        "bytes=0-5"
    );
    assert!(stand.on_disk("r").is_none());
    assert_eq!(part("6-9/10", "ghij").await.unwrap().status(), 200);
    assert_eq!(stand.on_disk("r").unwrap(), "abcdefghij");
    assert_eq!(part("6-9/10", "ghij").await.unwrap().status(), 404);
}

#[tokio::test]
async fn an_object_of_parts_has_them_in_order() {
    let stand = Stand::start().await;
    let begun = stand
        .post("/cache/m?uploads=", "")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let id = begun
        .split("<UploadId>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    let part = |number: u32| format!("/cache/m?partNumber={number}&uploadId={id}");
    assert_eq!(status(stand.put(&part(2), "two")).await, 200);
    assert_eq!(status(stand.put(&part(0), "zero")).await, 400);
    assert_eq!(status(stand.put(&part(1), "one")).await, 200);
    let end = format!("/cache/m?uploadId={id}");
    assert_eq!(
        status(stand.post(&end, "<PartNumber>1</PartNumber>")).await,
        400
    );
    let list = "<C><PartNumber>1</PartNumber><PartNumber>2</PartNumber></C>";
    let ended = stand
        .post(&end, list)
        .header("if-none-match", "*")
        .send()
        .await
        .unwrap();
    assert!(ended.text().await.unwrap().contains("<ETag>"));
    assert_eq!(stand.on_disk("m").unwrap(), "onetwo");
    assert_eq!(status(stand.post(&end, list)).await, 404);
    assert_eq!(status(stand.request(Method::DELETE, &end)).await, 204);
}

#[tokio::test]
async fn nothing_is_written_anywhere_else() {
    let stand = Stand::start().await;
    for name in [
        "..%2Fx",
        "a%2F%2Fb",
        "a%2F..%2Fb",
        ".tfhub-fs-uploads%2F0",
        "a%0Ab",
        "%2Fx",
    ] {
        let path = format!("{UPLOAD}?uploadType=media&name={name}");
        assert_eq!(status(stand.post(&path, "x")).await, 400, "{name}");
    }
    assert_eq!(
        status(stand.put("/tfhub-models/x", "x")).await,
        403,
        "the hub's own bucket"
    );
    assert_eq!(status(stand.put("/cache/a", "x")).await, 200);
    assert_eq!(
        status(stand.put("/cache/a/b", "x")).await,
        400,
        "a is not a directory"
    );
    std::os::unix::fs::symlink("/etc", stand.dir.path().join("link")).unwrap();
    assert_eq!(
        status(stand.request(Method::GET, "/cache/link/hostname")).await,
        404
    );
    std::fs::create_dir(stand.dir.path().join("real")).unwrap();
    let real = stand.dir.path().join("real");
    std::os::unix::fs::symlink(&real, stand.dir.path().join("other")).unwrap();
    for name in ["other/x", "other/y/x"] {
        let path = format!("/cache/{name}");
        assert_eq!(status(stand.put(&path, "x")).await, 400, "{name}");
    }
    assert_eq!(std::fs::read_dir(&real).unwrap().count(), 0);
    let left = std::fs::read_dir(stand.dir.path().join(".tfhub-fs-uploads")).unwrap();
    assert_eq!(left.count(), 0);
}
