//! The scripted origin as a program, for what is not a Rust test: tests in Python, and benchmarks.
//!
//! `origin DIR [FLAG VALUE]...` offers every model below DIR (`test/dense/1/` with its files, or `test/lite/1.tar.gz`) in
//! every form: the hub's two, Kaggle's API (`test/dense/tensorFlow2/dense/1`) and the bucket.
//!
//! | flag | value |
//! |---|---|
//! | `--direct` | `yes`: one host for all; archives come from the hub itself, directories only as folders of its bucket |
//! | `--link` | the link to all clients: see [`Shape::read`] |
//! | `--bucket` | `NAME=DIR`: a bucket that may be written, and the directory of its objects |
//! | `--kaggle-port` | a port |
//! | `--credential` | the Authorization without which Kaggle answers nothing |
//! | `--private` | `yes`: the folders want [`super::TOKEN`] |
//!
//! It prints one line of JSON with its URLs. Each line on its standard input is answered with one: an empty one with the
//! log of requests so far, `{"forget": true}` empties it, and `{"offer": NAME, "file": PATH, ...}` puts the bytes of a file
//! on the hub, to be answered in some [`Manner`]. It ends when its standard input does, so it cannot outlive who started it.

use std::collections::BTreeMap;
use std::fs;
use std::io::BufRead;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use super::{ALWAYS, FOLDERS, Fault, Hop, Origin, Seen, Shape, Uncompressed, Unknown};

/// How one file is answered.
#[derive(Debug, Deserialize)]
struct Manner {
    offer: String,
    file: String,
    status: u16,
    headers: BTreeMap<String, String>,
    /// The length to announce, when it is a lie; below 0 announces none.
    length: Option<i64>,
    /// Bytes a second.
    rate: Option<u64>,
    ranges: bool,
}

/// Runs until standard input ends.
pub fn run(mut args: impl Iterator<Item = String>) {
    let dir = args.next().expect("usage: origin DIR [FLAG VALUE]...");
    let (mut port, mut direct, mut private) = (0, false, false);
    let (mut shape, mut credential, mut buckets) = (Shape::default(), None, Vec::new());
    while let Some(flag) = args.next() {
        let value = args
            .next()
            .unwrap_or_else(|| panic!("{flag} wants a value"));
        match flag.as_str() {
            "--direct" => direct = value == "yes",
            "--link" => shape = Shape::read(&value),
            "--bucket" => buckets.push(value),
            "--kaggle-port" => port = value.parse().expect("a port"),
            "--credential" => credential = Some(value),
            "--private" => private = value == "yes",
            _ => panic!("unknown flag {flag}"),
        }
    }
    let origin = Origin::over(shape, [0, port, 0]);
    if let Some(credential) = credential {
        origin.require(&credential);
    }
    if direct {
        origin.unknown(Unknown::NotFound);
    }
    offer_below(&origin, Path::new(&dir), "", direct);
    for bucket in &buckets {
        let (name, dir) = bucket.split_once('=').expect("NAME=DIR");
        origin.bucket_in(name, Path::new(dir));
    }
    if private {
        origin.bucket(FOLDERS).faults(vec![Fault::Private]);
    }
    let [hub, kaggle, gcs] = [Hop::Hub, Hop::Kaggle, Hop::Gcs].map(|hop| origin.url(hop));
    println!("{}", json!({"hub": hub, "kaggle": kaggle, "gcs": gcs}));
    for line in std::io::stdin().lock().lines() {
        println!("{}", told(&origin, &line.unwrap()));
    }
}

fn told(origin: &Origin, command: &str) -> Value {
    if command.is_empty() {
        return origin.seen().iter().map(|seen| request(seen)).collect();
    }
    let command: Value = serde_json::from_str(command).unwrap();
    match command.get("forget") {
        Some(_) => origin.forget(),
        None => offer(origin, serde_json::from_value(command).unwrap()),
    }
    json!({})
}

fn request(seen: &Seen) -> Value {
    json!({
        "host": format!("{:?}", seen.hop).to_lowercase(), "method": seen.method, "target": seen.target,
        "about": seen.model, "status": seen.status, "sent": seen.sent(), "size": seen.length,
        "range": seen.header("range"),
        "authorization": seen.header("authorization"), "user_agent": seen.header("user-agent"),
    })
}

fn offer(origin: &Origin, manner: Manner) {
    let body = fs::read(&manner.file).unwrap();
    let mut faults = vec![Fault::Bare(manner.headers.into_iter().collect())];
    match manner.length {
        Some(..0) => faults.push(Fault::Unmeasured),
        Some(length) => faults.push(Fault::Total {
            add: length - body.len() as i64,
        }),
        None => {}
    }
    if manner.status != 200 {
        faults.push(Fault::Status {
            hop: Hop::Hub,
            code: manner.status,
            retry_after: None,
            times: ALWAYS,
        });
    }
    if !manner.ranges {
        faults.push(Fault::NoRange);
    }
    let rate = manner.rate;
    faults.extend(rate.map(|bytes_per_second| Fault::Rate { bytes_per_second }));
    origin.host_as(&manner.offer, body, faults);
}

/// Models are directories whose name is a number, and archives whose name is one.
pub fn offer_below(origin: &Origin, dir: &Path, name: &str, direct: bool) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let (at, file) = (entry.path(), entry.file_name().into_string().unwrap());
        let below = format!("{name}/{file}").trim_start_matches('/').to_owned();
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match file.strip_suffix(".tar.gz") {
            Some(number) if is_number(number) => {
                let name = below.trim_end_matches(".tar.gz");
                match direct {
                    true => drop(origin.host_body(name, Body::file(&at).unwrap())),
                    false => drop(origin.publish(name, fs::read(at).unwrap())),
                }
            }
            _ if !at.is_dir() => {}
            _ if is_number(&file) && direct => {
                let prefix = format!("tfhub-modules/{below}/uncompressed/");
                for path in files(&at, "") {
                    let body = Body::file(&at.join(&path)).unwrap();
                    origin
                        .bucket(FOLDERS)
                        .put_body(&format!("{prefix}{path}"), body);
                }
                let folder = Uncompressed::Folder(Origin::folder(&below));
                origin.uncompressed(&below, folder);
            }
            _ if is_number(&file) => {
                let read = |path: String| {
                    let bytes = fs::read(at.join(&path)).unwrap();
                    (path, bytes)
                };
                let files: Vec<_> = files(&at, "").into_iter().map(read).collect();
                origin.offer(&below, &files, archive(&at));
            }
            _ => offer_below(origin, &at, &below, direct),
        }
    }
}

fn files(dir: &Path, below: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{below}/{name}").trim_start_matches('/').to_owned();
        match entry.path().is_dir() {
            true => found.extend(files(&entry.path(), &path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

fn archive(dir: &Path) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    tar.append_dir_all(".", dir).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}
