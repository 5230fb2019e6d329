//! The whole origin over a real socket.

use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::digest::{Halt, Summing};
use super::super::testing::{Tree, ask, get, serve};
use super::*;

const COMPRESSED: &str = "?tf-hub-format=compressed";

fn models() -> Tree {
    Tree::new(&[
        ("google/spice/2/saved_model.pb", "graph of two"),
        ("google/spice/2/assets/vocab.txt", "a\nb\n"),
        ("google/spice/10/saved_model.pb", "graph of ten"),
        ("google/ready/1.tar.gz", "0123456789"),
        ("secret.txt", "secret"),
        ("google/.hidden/1/saved_model.pb", "secret"),
    ])
}

fn unpacked(archive: &[u8]) -> Vec<(String, String)> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let mut files = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        files.push((
            String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
            content,
        ));
    }
    files
}

#[tokio::test]
async fn a_directory_comes_as_its_archive() {
    let tree = models();
    let addr = serve(&tree).await;
    let reply = get(addr, "/google/spice/2?tf-hub-format=compressed").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/gzip");
    assert_eq!(reply.header("accept-ranges"), "bytes");
    assert_eq!(reply.header("content-length"), reply.body.len().to_string());
    assert!(
        !reply.headers.contains_key("content-encoding"),
        "a client would unpack it"
    );
    let mut sums = Summing::new(std::io::sink(), &Halt::default());
    std::io::Write::write_all(&mut sums, &reply.body).unwrap();
    let (_, digests) = sums.finish();
    assert_eq!(reply.headers["x-goog-hash"], digests.goog_hashes());
    assert_eq!(reply.header("etag"), digests.etag());
    assert!(reply.header("x-goog-generation").parse::<u64>().unwrap() > 0);
    let names: Vec<_> = unpacked(&reply.body)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        ["./", "./saved_model.pb", "./assets/", "./assets/vocab.txt"]
    );
    let again = get(addr, "/google/spice/2/?extra=1&tf-hub-format=compressed").await;
    assert!(
        again.body == reply.body,
        "a trailing slash and other keys change nothing"
    );
}

#[tokio::test]
async fn head_says_what_get_would() {
    let tree = models();
    let addr = serve(&tree).await;
    let target = format!("/google/ready/1{COMPRESSED}");
    let (get, head) = (
        get(addr, &target).await,
        ask(addr, "HEAD", &target, &[]).await,
    );
    for header in [
        "content-length",
        "etag",
        "x-goog-hash",
        "last-modified",
        "accept-ranges",
        "content-type",
    ] {
        assert_eq!(get.headers[header], head.headers[header], "{header}");
    }
    assert_eq!(
        (get.text().as_str(), head.text().as_str()),
        ("0123456789", "")
    );
    let ranged = ask(addr, "HEAD", &target, &[("Range", "bytes=1-2")]).await;
    assert_eq!(ranged.status, 200, "a range means nothing in HEAD");
}

#[tokio::test]
async fn ranges_resume_a_transfer_of_the_same_bytes_only() {
    let tree = models();
    let addr = serve(&tree).await;
    let target = format!("/google/ready/1{COMPRESSED}");
    let etag = get(addr, &target).await.header("etag").to_owned();
    let part = ask(addr, "GET", &target, &[("Range", "bytes=3-5")]).await;
    assert_eq!((part.status, part.text().as_str()), (206, "345"));
    assert_eq!(
        (part.header("content-range"), part.header("content-length")),
        ("bytes 3-5/10", "3")
    );
    assert_eq!(part.headers["x-goog-hash"].len(), 2);
    let rest = ask(
        addr,
        "GET",
        &target,
        &[("Range", "bytes=7-"), ("If-Range", &etag)],
    )
    .await;
    assert_eq!((rest.status, rest.text().as_str()), (206, "789"));
    let other = ask(
        addr,
        "GET",
        &target,
        &[("Range", "bytes=7-"), ("If-Range", "\"other\"")],
    )
    .await;
    assert_eq!((other.status, other.text().as_str()), (200, "0123456789"));
    let beyond = ask(addr, "GET", &target, &[("Range", "bytes=10-")]).await;
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, "bytes */10")
    );
    assert_eq!(
        (beyond.header("content-length"), beyond.text().as_str()),
        ("0", "")
    );
    let same = ask(addr, "GET", &target, &[("If-None-Match", &etag)]).await;
    assert_eq!((same.status, same.text().as_str()), (304, ""));
}

#[tokio::test]
async fn an_unversioned_handle_leads_to_the_newest_number() {
    let tree = models();
    let addr = serve(&tree).await;
    let reply = get(addr, "/google/spice?a=%2F&tf-hub-format=compressed").await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (302, "/google/spice/10?a=%2F&tf-hub-format=compressed")
    );
    tree.put("google/spice/11/saved_model.pb", "newer");
    let reply = get(addr, "/google/spice?tf-hub-format=compressed").await;
    assert_eq!(
        reply.header("location"),
        "/google/spice/11?tf-hub-format=compressed"
    );
}

#[tokio::test]
async fn other_formats_and_unknown_names_are_explained() {
    let tree = models();
    let addr = serve(&tree).await;
    for (target, says) in [
        (
            "/google/ready/1?tf-hub-format=uncompressed",
            "is a ready-made archive and has no other form",
        ),
        (
            "/google/ready/1?lite-format=tflite",
            "is a ready-made archive",
        ),
        (
            "/google/spice/2?lite-format=tflite",
            "not hold exactly one .tflite",
        ),
        (
            "/google/spice/2?tfjs-format=compressed",
            "holds no model.json",
        ),
        (
            "/google/spice/2/none?tfjs-format=file",
            "is no file of a model",
        ),
        ("/google/spice/2?lite-format=zip", "lite-format is tflite"),
        (
            "/google/spice/2?tf-hub-format=zip",
            "tf-hub-format is compressed",
        ),
        (
            "/google/spice/3?tf-hub-format=compressed",
            "versions of google/spice: 2, 10",
        ),
        (
            "/google/none/1?tf-hub-format=compressed",
            "google/none/1 is not here",
        ),
        ("/google?tf-hub-format=compressed", "google is not here"),
        ("/google/none", "/ lists the models"),
    ] {
        let reply = get(addr, target).await;
        assert_eq!(reply.status, 404, "{target}");
        assert!(reply.text().contains(says), "{target}: {}", reply.text());
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    }
    let reply = ask(addr, "POST", "/google/spice/2", &[("Content-Length", "0")]).await;
    assert_eq!((reply.status, reply.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn no_spelling_leaves_the_directory() {
    let tree = models();
    let addr = serve(&tree).await;
    let deep = tree.path().display();
    for target in [
        "/../secret.txt".to_owned(),
        "/google/../secret.txt".to_owned(),
        "/google/..%2f..%2fsecret.txt".to_owned(),
        "/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        "/google/spice/2/../../../secret.txt".to_owned(),
        "/google/spice/2/saved_model.pb".to_owned(),
        "/google//spice/2".to_owned(),
        "//google/spice/2".to_owned(),
        "/google/spice/2%00".to_owned(),
        "/google/spice/%ff".to_owned(),
        "/google/.hidden/1".to_owned(),
        "/secret.txt".to_owned(),
        format!("/{deep}/google/spice/2"),
    ] {
        let reply = get(addr, &format!("{target}{COMPRESSED}")).await;
        assert_eq!(reply.status, 404, "{target}");
        assert!(!reply.text().contains("graph"), "{target}");
    }
    assert_eq!(
        get(addr, "/google%2Fspice/2").await.status,
        200,
        "an encoded slash is the same name"
    );
}

#[tokio::test]
async fn pages_show_models_versions_and_files() {
    let tree = models();
    let addr = serve(&tree).await;
    let index = get(addr, "/").await;
    assert_eq!(
        (index.status, index.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    for part in [
        "href=\"/google/spice\"",
        "href=\"/google/spice/10\"",
        "2 models",
    ] {
        assert!(index.text().contains(part), "{part}: {}", index.text());
    }
    assert!(!index.text().contains("secret"));
    assert!(
        get(addr, "/google")
            .await
            .text()
            .contains("href=\"/google/ready\"")
    );
    assert!(
        get(addr, "/google/spice")
            .await
            .text()
            .contains("Use the newest")
    );
    let page = get(addr, "/google/spice/2").await.text();
    for part in [
        "saved_model.pb",
        "vocab.txt",
        "12 B",
        &format!("http://{addr}/google/spice/2"),
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(
        get(addr, "/google/ready/1")
            .await
            .text()
            .contains("google-ready-1.tar.gz")
    );
}

#[tokio::test]
async fn a_model_that_changes_or_goes_is_noticed() {
    let tree = models();
    let addr = serve(&tree).await;
    let target = format!("/google/spice/2{COMPRESSED}");
    let before = get(addr, &target).await.header("etag").to_owned();
    tree.put("google/spice/2/assets/more.txt", "more");
    assert_ne!(get(addr, &target).await.header("etag"), before);
    std::os::unix::fs::symlink("/etc/passwd", tree.path().join("google/spice/2/passwd")).unwrap();
    let refused = get(addr, &target).await;
    assert_eq!(refused.status, 500);
    assert!(
        !refused.text().contains(&tree.path().display().to_string()),
        "{}",
        refused.text()
    );
    std::fs::remove_dir_all(tree.path().join("google/spice/2")).unwrap();
    assert_eq!(get(addr, &target).await.status, 404);
    tree.put("google/spice/2.tgz", "ready now");
    assert_eq!(get(addr, &target).await.text(), "ready now");
}

#[tokio::test]
async fn half_a_model_is_never_sent() {
    let tree = models();
    let addr = serve(&tree).await;
    let target = format!("/google/spice/2{COMPRESSED}");
    tree.put("google/spice/2/variables/variables.index", "index");
    tree.put(
        "google/spice/2/variables/variables.data-00000-of-00002",
        "half",
    );
    let half = get(addr, &target).await;
    assert_eq!((half.status, half.header("retry-after")), (503, "1"));
    tree.put(
        "google/spice/2/variables/variables.data-00001-of-00002",
        "half",
    );
    assert_eq!(get(addr, &target).await.status, 200);
}

#[tokio::test]
async fn the_uncompressed_form_is_a_folder_of_the_bucket() {
    let tree = models();
    let addr = serve(&tree).await;
    let target = "/google/spice/2?tf-hub-format=uncompressed";
    let folder = get(addr, target).await;
    assert_eq!(
        (folder.status, folder.text().as_str()),
        (303, "gs://tfhub-models/google/spice/2"),
        "the body and nothing else"
    );
    assert!(!folder.headers.contains_key("location"));
    let page = get(
        addr,
        "/storage/v1/b/tfhub-models/o?prefix=google/spice/2/&delimiter=/",
    );
    assert!(page.await.text().contains("google/spice/2/saved_model.pb"));
    let newest = get(addr, "/google/spice?tf-hub-format=uncompressed").await;
    assert_eq!(
        newest.header("location"),
        "/google/spice/10?tf-hub-format=uncompressed"
    );
    tree.put("google/spice/2/variables/variables.index", "index");
    tree.put(
        "google/spice/2/variables/variables.data-00000-of-00002",
        "half",
    );
    assert_eq!(get(addr, target).await.status, 503, "half a model");
    std::fs::remove_dir_all(tree.path().join("google/spice/2")).unwrap();
    assert_eq!(get(addr, target).await.status, 404);
    tree.put("google/spice/10/a\nb", "");
    let unnameable = get(addr, "/google/spice/10?tf-hub-format=uncompressed").await;
    assert_eq!(unnameable.status, 500, "no object can be called so");
}

#[tokio::test]
async fn lite_and_js_models_have_forms_of_their_own() {
    let tree = Tree::new(&[
        ("g/lite-model/m/tflite/1/m.tflite", "0123456789"),
        ("g/lite-model/two/1/a.tflite", "a"),
        ("g/lite-model/two/1/b.tflite", "b"),
        ("g/tfjs-model/m/1/model.json", "{}"),
        ("g/tfjs-model/m/1/group1-shard1of1.bin", "weights"),
        ("g/tfjs-model/ready/1.tar.gz", "archive"),
    ]);
    let addr = serve(&tree).await;
    let target = "/g/lite-model/m/tflite/1?lite-format=tflite";
    let file = get(addr, target).await;
    assert_eq!((file.status, file.text().as_str()), (200, "0123456789"));
    assert_eq!(file.headers["x-goog-hash"].len(), 2);
    let part = ask(addr, "GET", target, &[("Range", "bytes=1-2")]).await;
    assert_eq!((part.status, part.text().as_str()), (206, "12"));
    let two = get(addr, "/g/lite-model/two/1?lite-format=tflite").await;
    assert_eq!(two.status, 404);
    let newest = get(addr, "/g/lite-model/m/tflite?lite-format=tflite").await;
    assert_eq!((newest.status, newest.header("location")), (302, target));

    let archive = get(addr, "/g/tfjs-model/m/1?tfjs-format=compressed").await;
    assert_eq!(unpacked(&archive.body).len(), 3);
    let ready = get(addr, "/g/tfjs-model/ready/1?tfjs-format=compressed").await;
    assert_eq!(ready.text(), "archive");
    let json = get(addr, "/g/tfjs-model/m/1/model.json?tfjs-format=file").await;
    assert_eq!((json.status, json.text().as_str()), (200, "{}"));
    let shard = "/g/tfjs-model/m/1/group1-shard1of1.bin?tfjs-format=file";
    assert_eq!(get(addr, shard).await.text(), "weights");
}

/// Exchanges what `at` names and a link to `outside`, over and over, until dropped.
struct Swapping {
    ended: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Swapping {
    fn start(at: PathBuf, outside: PathBuf) -> Swapping {
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let (real, link) = (at.with_extension("real"), at.with_extension("link"));
        std::os::unix::fs::symlink(outside, &link).unwrap();
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                for (from, to) in [(&at, &real), (&link, &at), (&at, &link), (&real, &at)] {
                    std::fs::rename(from, to).unwrap();
                }
                std::thread::yield_now();
            }
        });
        let thread = Some(thread);
        Swapping { ended, thread }
    }
}

impl Drop for Swapping {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_swapped_in_after_the_check_leads_nowhere() {
    let tree = models();
    let outside = Tree::new(&[("assets/vocab.txt", "secret"), ("1.tar.gz", "secret")]);
    let addr = serve(&tree).await;
    for (swapped, target) in [
        (
            "google/spice/2/assets",
            "/tfhub-models/google/spice/2/assets/vocab.txt",
        ),
        (
            "google/spice/2/assets",
            "/google/spice/2/assets/vocab.txt?tfjs-format=file",
        ),
        (
            "google/spice/2/assets/vocab.txt",
            "/tfhub-models/google/spice/2/assets/vocab.txt",
        ),
        (
            "google/ready/1.tar.gz",
            "/google/ready/1?tf-hub-format=compressed",
        ),
        (
            "google/ready/1.tar.gz",
            "/tfhub-models/google/ready/1.tar.gz",
        ),
    ] {
        let name = swapped.rsplit_once('/').unwrap().1;
        let to = match name {
            "vocab.txt" => "assets/vocab.txt",
            name => name,
        };
        let swapping = Swapping::start(tree.path().join(swapped), outside.path().join(to));
        let (mut sent, since) = (0, std::time::Instant::now());
        while since.elapsed() < Duration::from_millis(800) {
            let reply = get(addr, target).await;
            sent += u32::from(reply.status == 200);
            assert!(
                !reply.text().contains("secret"),
                "{target}: after {sent} answers"
            );
        }
        assert!(sent > 0, "{target}: the file itself was never sent");
        drop(swapping);
        std::fs::remove_file(tree.path().join(swapped).with_extension("link")).unwrap();
    }
}
