//! The uncompressed form: models are read where they are, and only what is touched comes.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::time::Duration;

use crate::common::{
    Mount, Mounting, SOON, Tar, Tree, entries, eventually, files_below, run, saved_model, sha1_of,
};
use crate::origin::{ALWAYS, FOLDERS, Fault, Form, Gate, Hop, Object, Origin, Route, Uncompressed};

pub const DATA: &str = "variables/variables.data-00000-of-00001";

/// A model that is published in every form.
pub fn offer(origin: &Origin, name: &str, model: &Tree) -> Arc<Object> {
    origin.offer(name, model.files(), Tar::of(model).gz())
}

/// What the names of all objects of a model's folder begin with.
pub fn below(name: &str) -> String {
    format!("{}/", Origin::folder(name))
}

/// One object of a model's folder.
pub fn object(origin: &Origin, name: &str, path: &str) -> Arc<Object> {
    let key = format!("tfhub-modules/{name}/uncompressed/{path}");
    origin.bucket(FOLDERS).object(&key)
}

/// A mount that reads buckets at the origin.
pub fn with_buckets(origin: &Origin) -> Mounting {
    Mounting::of(origin).arg(format!("--gcs-endpoint={}", origin.url(Hop::Gcs)))
}

/// A mount in TensorFlow Hub's second mode.
pub fn uncompressed(origin: &Origin) -> Mounting {
    with_buckets(origin).arg("--load-format=uncompressed")
}

fn size(model: &Tree) -> u64 {
    model
        .files()
        .iter()
        .map(|(_, bytes)| bytes.len() as u64)
        .sum()
}

/// What a reader of one place in a file gets.
pub fn read_at(mount: &Mount, path: &str, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
    mount.on(path, move |path| {
        let mut bytes = vec![0; length];
        File::open(path)?.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    })
}

/// The whole way: listed, read, verified, sealed as tensorflow_hub wants it, and never asked for again.
#[test]
fn a_model_is_read_where_it_is_and_then_kept() {
    let origin = Origin::start();
    let model = saved_model(1, 3_000_000);
    offer(&origin, "google/a/1", &model);
    let mount = uncompressed(&origin).start();
    assert_eq!(
        mount.list("google/a/1").unwrap(),
        ["assets", "fingerprint.pb", "saved_model.pb", "variables"]
    );
    assert_eq!(
        origin.sent_below(&below("google/a/1")),
        0,
        "a listing costs no byte of a file"
    );
    let file = mount.stat(&format!("google/a/1/{DATA}")).unwrap();
    assert_eq!(
        (file.len(), file.mtime()),
        (3_000_000, 1_760_794_213),
        "the object's own"
    );
    let wanted = model.clone();
    mount.on("google/a/1", move |root| wanted.assert_at(&root));
    assert_eq!(origin.sent("google/a/1"), 0, "the archive is not asked for");
    let sent = origin.sent_below(&below("google/a/1"));
    assert!(
        sent <= size(&model) + size(&model) / 50,
        "{sent} bytes of {}",
        size(&model)
    );
    let sealed = mount.cache.join(sha1_of("https://tfhub.dev/google/a/1"));
    eventually("it is sealed", SOON, || sealed.is_dir());
    model.assert_at(&sealed);
    let again = uncompressed(&origin).cache(&mount.cache).start();
    let asked = origin.seen().len();
    let wanted = model.clone();
    again.on("google/a/1", move |root| wanted.assert_at(&root));
    assert_eq!(
        origin.seen().len(),
        asked,
        "sealed models are served without a request"
    );
}

/// `--prefetch none`: a file that nobody opens costs nothing, and a place in a file costs its chunk.
#[test]
fn only_what_is_touched_comes() {
    let origin = Origin::start();
    let model = saved_model(2, 32_000_000);
    offer(&origin, "google/a/1", &model);
    let mount = uncompressed(&origin).arg("--prefetch=none").start();
    assert_eq!(
        mount.read("google/a/1/saved_model.pb").unwrap(),
        model.bytes("saved_model.pb")
    );
    let sent = origin.sent_below(&below("google/a/1"));
    assert!(sent <= 1 << 20, "{sent} bytes for saved_model.pb");
    let before = sent;
    for offset in [31_999_000, 7_000_000, 16_000_001] {
        let got = read_at(&mount, &format!("google/a/1/{DATA}"), offset, 1000).unwrap();
        assert!(
            got == model.bytes(DATA)[offset as usize..][..1000],
            "the bytes at {offset}"
        );
    }
    let sent = origin.sent_below(&below("google/a/1")) - before;
    assert!(sent <= 3 << 20, "{sent} bytes for three places");
    assert!(
        entries(&mount.cache).is_empty(),
        "nothing is sealed that is not complete"
    );
}

/// `--prefetch model`: one opened file brings everything.
#[test]
fn a_model_that_is_wanted_whole_comes_whole() {
    let origin = Origin::start();
    let model = saved_model(3, 2_000_000);
    offer(&origin, "google/a/1", &model);
    let mount = uncompressed(&origin).arg("--prefetch=model").start();
    assert_eq!(
        mount.read("google/a/1/saved_model.pb").unwrap(),
        model.bytes("saved_model.pb")
    );
    let sealed = mount.cache.join(sha1_of("https://tfhub.dev/google/a/1"));
    eventually("it is sealed", SOON, || sealed.is_dir());
    model.assert_at(&sealed);
}

/// The cache is cleared under a model that is being streamed: its readers get right bytes, and it is sealed in the end.
#[test]
fn a_cleared_cache_is_an_ordinary_event() {
    let origin = Origin::start();
    let model = saved_model(4, 12_000_000);
    offer(&origin, "google/a/1", &model);
    let mount = uncompressed(&origin).arg("--prefetch=none").start();
    let read = |at: u64| {
        let got = read_at(&mount, &format!("google/a/1/{DATA}"), at, 100_000).unwrap();
        assert!(
            got == model.bytes(DATA)[at as usize..][..100_000],
            "at {at}"
        );
    };
    read(0);
    let parts = mount.cache.join(".tfhub-fs/v1/parts");
    for entry in std::fs::read_dir(&parts).unwrap() {
        std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    read(4_000_000);
    read(0);
    for entry in std::fs::read_dir(&mount.cache).unwrap() {
        std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    read(8_000_000);
    read(4_000_000);
    let log = mount.log();
    assert!(log.lines().count() < 100, "{} lines", log.lines().count());
    let wanted = model.clone();
    mount.on("google/a/1", move |root| wanted.assert_at(&root));
    let sealed = mount.cache.join(sha1_of("https://tfhub.dev/google/a/1"));
    eventually("it is sealed", SOON, || sealed.is_dir());
    model.assert_at(&sealed);
}

/// "One chunk is fetched once however many readers want it."
#[test]
fn many_readers_fetch_each_chunk_once() {
    let origin = Origin::start();
    let model = saved_model(4, 8_000_000);
    offer(&origin, "google/a/1", &model);
    let mount = uncompressed(&origin).timeout("20s").start();
    let readers: Vec<_> = (0..32)
        .map(|_| mount.start(&format!("google/a/1/{DATA}"), std::fs::read))
        .collect();
    for reader in readers {
        assert!(reader.take(SOON).unwrap() == model.bytes(DATA));
    }
    let name = format!("{}{DATA}", below("google/a/1"));
    assert_eq!(origin.sent_again(&name), 0, "{:?}", origin.downloads(&name));
    assert!(origin.sent(&name) <= 8_000_000 * 102 / 100);
}

/// A read of one place is answered while another place of the same file is held back.
#[test]
fn demand_overtakes_what_is_held_back() {
    let origin = Origin::start();
    let model = saved_model(5, 24_000_000);
    offer(&origin, "google/a/1", &model);
    let gate = Gate::new();
    object(&origin, "google/a/1", DATA).faults(vec![Fault::Gated {
        at: 1_000_000,
        gate: gate.clone(),
    }]);
    let mount = uncompressed(&origin).timeout("20s").start();
    let whole = mount.start(&format!("google/a/1/{DATA}"), std::fs::read);
    let tail = mount.start(&format!("google/a/1/{DATA}"), |path| {
        let mut bytes = [0; 1000];
        File::open(path)
            .unwrap()
            .read_exact_at(&mut bytes, 23_999_000)
            .map(|()| bytes)
    });
    let tail = tail.take(Duration::from_secs(5)).unwrap();
    assert!(
        tail[..] == model.bytes(DATA)[23_999_000..],
        "the tail, while the head is held back"
    );
    gate.open();
    assert!(whole.take(SOON).unwrap() == model.bytes(DATA));
}

/// "What has been read is on disk and survives a restart of the daemon mid-model", also the hardest one.
#[test]
fn a_killed_daemon_loses_no_chunk() {
    for how in ["KILL", "TERM"] {
        let origin = Origin::start();
        let model = saved_model(6, 16_000_000);
        offer(&origin, "google/a/1", &model);
        let cache = tempfile::tempdir().unwrap();
        let mut mount = uncompressed(&origin)
            .cache(cache.path())
            .arg("--prefetch=none")
            .start();
        let half = read_at(&mount, &format!("google/a/1/{DATA}"), 0, 8_000_000).unwrap();
        assert!(half == model.bytes(DATA)[..8_000_000]);
        mount.signal(how);
        mount.ended(SOON);
        drop(mount);
        let mount = uncompressed(&origin).cache(cache.path()).start();
        let wanted = model.clone();
        mount.on("google/a/1", move |root| wanted.assert_at(&root));
        let sent = origin.sent_below(&below("google/a/1"));
        assert!(
            sent <= size(&model) * 105 / 100,
            "{how}: {sent} bytes of {}",
            size(&model)
        );
    }
}

/// "With --cache-size smaller than the model the model still loads; old chunks are given back while it streams."
#[test]
fn a_cache_smaller_than_the_model_is_enough() {
    let origin = Origin::start();
    let model = saved_model(7, 24_000_000);
    offer(&origin, "google/a/1", &model);
    let mount = uncompressed(&origin).arg("--cache-size=6MiB").start();
    for _ in 0..2 {
        let wanted = model.clone();
        mount.on("google/a/1", move |root| wanted.assert_at(&root));
    }
    eventually("old chunks are given back", SOON, || {
        used(&mount) <= 7 << 20
    });
    assert!(
        entries(&mount.cache).is_empty(),
        "{:?}",
        entries(&mount.cache)
    );
}

/// Bytes of disk that the files of a cache take.
fn used(mount: &Mount) -> u64 {
    let files = files_below(&mount.cache);
    let blocks = files
        .iter()
        .filter_map(|path| std::fs::metadata(mount.cache.join(path)).ok());
    blocks.map(|file| file.blocks() * 512).sum()
}

/// "With --cache-size 0, or a cache directory that is missing or read-only, models stream through memory alone."
#[test]
fn models_stream_without_any_cache() {
    let origin = Origin::start();
    let model = saved_model(8, 6_000_000);
    offer(&origin, "google/a/1", &model);
    let nowhere = tempfile::NamedTempFile::new().unwrap();
    let below_a_file = nowhere.path().join("cache");
    let mounts = [
        uncompressed(&origin).arg("--cache-size=0"),
        uncompressed(&origin).cache(&below_a_file),
        uncompressed(&origin).cache(std::path::Path::new("/sys/kernel/tfhub-fs")),
    ];
    for mount in mounts {
        let mount = mount.arg("--memory=2MiB").start();
        let wanted = model.clone();
        mount.on("google/a/1", move |root| wanted.assert_at(&root));
        assert!(used(&mount) < 1 << 20, "{:?}", files_below(&mount.cache));
    }
}

/// `auto` is the archive, as in tensorflow_hub, but for models of which only files exist, or whose archive does not fit.
#[test]
fn auto_is_the_archive_where_that_can_be() {
    let origin = Origin::start();
    let (small, large) = (saved_model(9, 200_000), saved_model(10, 12_000_000));
    offer(&origin, "google/small/1", &small);
    let gone = |hop| Fault::Status {
        hop,
        code: 404,
        retry_after: None,
        times: ALWAYS,
    };
    offer(&origin, "google/large/1", &large);
    // Its archive is nowhere; the folder is, under a name of its own.
    let prefix = "only/files/";
    origin.bucket("folders").put_all(prefix, small.files());
    origin
        .publish("google/only/1", "")
        .faults(vec![gone(Hop::Kaggle)]);
    origin.uncompressed(
        "google/only/1",
        Uncompressed::Folder("gs://folders/only/files\n".into()),
    );
    let mount = with_buckets(&origin).arg("--cache-size=4MiB").start();
    for (name, model) in [
        ("google/small/1", &small),
        ("google/large/1", &large),
        ("google/only/1", &small),
    ] {
        let wanted = model.clone();
        mount.on(name, move |root| wanted.assert_at(&root));
    }
    assert_eq!(
        origin.sent_below(&below("google/small/1")),
        0,
        "small comes as an archive"
    );
    assert!(
        origin.sent("google/large/1") < 1 << 20,
        "large comes as files"
    );
}

/// Hosts that do not have the second form fail under `uncompressed` with words that help.
#[test]
fn a_host_without_the_form_is_an_error_that_says_so() {
    let origin = Origin::start();
    let page = format!("{}/models", origin.url(Hop::Kaggle));
    let answers = [
        ("status-200", Uncompressed::Status(200)),
        ("status-404", Uncompressed::Status(404)),
        ("page", Uncompressed::Location(page)),
        (
            "elsewhere",
            Uncompressed::Folder("https://example.com/x".into()),
        ),
    ];
    let mount = uncompressed(&origin).start();
    let auto = with_buckets(&origin).start();
    let model = saved_model(11, 20_000);
    for (name, answer) in answers {
        let name = format!("google/{name}/1");
        origin.host(&name, Tar::of(&model).gz());
        origin.uncompressed(&name, answer);
        assert!(mount.stat(&name).is_err(), "{name}");
        mount.assert_logged(&[&name, "--load-format auto"]);
        let wanted = model.clone();
        auto.on(&name, move |root| wanted.assert_at(&root));
    }
}

/// TF Lite handles are directories with the one file, TF.js handles what their archive holds.
#[test]
fn tf_lite_and_tf_js_handles_are_directories() {
    let origin = Origin::start();
    let mut file = crate::common::noise(12, 300_000);
    file[4..8].copy_from_slice(b"TFL3");
    let lite = "google/lite-model/movenet/tflite/4";
    origin.publish_as(lite, file.clone(), Route::Kaggle, Form::TfLite);
    let js = Tree::new()
        .with("model.json", "{}")
        .with("group1-shard1of1.bin", crate::common::noise(13, 50_000));
    let name = "google/tfjs-model/spice/1";
    origin.publish_as(name, Tar::of(&js).gz(), Route::Kaggle, Form::TfJs);
    for mount in [with_buckets(&origin), uncompressed(&origin)] {
        let mount = mount.start();
        let names = mount.list(lite).unwrap();
        let [only] = names.as_slice() else {
            panic!("{names:?}")
        };
        assert!(only.ends_with(".tflite"), "{only}");
        assert!(mount.read(&format!("{lite}/{only}")).unwrap() == file);
        let wanted = js.clone();
        mount.on(name, move |root| wanted.assert_at(&root));
    }
}

/// `resolve --remote` prints the folder, as `hub.resolve` does in this mode, and fetches nothing.
#[test]
fn resolve_remote_prints_the_folder() {
    let origin = Origin::start();
    offer(&origin, "google/a/1", &saved_model(14, 1_000));
    let flags = [
        format!("--mirror=https://tfhub.dev={}", origin.url(Hop::Hub)),
        format!("--gcs-endpoint={}", origin.url(Hop::Gcs)),
    ];
    let args = [
        "resolve",
        "--remote",
        "https://tfhub.dev/google/a/1",
        &flags[0],
        &flags[1],
    ];
    let done = run(args);
    assert_eq!(
        done.stdout.trim_end(),
        Origin::folder("google/a/1"),
        "{done:?}"
    );
    assert_eq!(origin.sent_below("gs://"), 0);
}
