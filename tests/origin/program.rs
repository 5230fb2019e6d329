//! The scripted origin as a program, for tests that are not written in Rust.
//!
//! `origin DIR [--kaggle-port PORT] [--credential AUTHORIZATION] [--private yes]` offers every model below DIR (`test/dense/1/` with its
//! files, or `test/lite/1.tar.gz`) in every form: the hub's two, Kaggle's API (`test/dense/tensorFlow2/dense/1`) and the
//! bucket. It prints one line of JSON with its URLs. Each line on its standard input is answered with one: the log of
//! requests so far. It ends when its standard input does, so it cannot outlive who started it.

#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unused_imports)]

#[path = "mod.rs"]
mod origin;

use std::fs;
use std::io::BufRead;
use std::path::Path;

use origin::{FOLDERS, Fault, Hop, Origin};
use serde_json::{Value, json};

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args
        .next()
        .expect("usage: origin DIR [--kaggle-port PORT] [--credential TEXT]");
    let (mut port, mut credential, mut private) = (0, None, false);
    while let Some(flag) = args.next() {
        let value = args
            .next()
            .unwrap_or_else(|| panic!("{flag} wants a value"));
        match flag.as_str() {
            "--kaggle-port" => port = value.parse().expect("a port"),
            "--credential" => credential = Some(value),
            "--private" => private = value == "yes",
            _ => panic!("unknown flag {flag}"),
        }
    }
    let origin = Origin::at([0, port, 0]);
    if let Some(credential) = credential {
        origin.require(&credential);
    }
    offer_below(&origin, Path::new(&dir), "");
    if private {
        origin.bucket(FOLDERS).faults(vec![Fault::Private]);
    }
    let [hub, kaggle, gcs] = [Hop::Hub, Hop::Kaggle, Hop::Gcs].map(|hop| origin.url(hop));
    println!("{}", json!({"hub": hub, "kaggle": kaggle, "gcs": gcs}));
    for line in std::io::stdin().lock().lines() {
        line.unwrap();
        let seen: Vec<Value> = origin.seen().iter().map(|seen| told(seen)).collect();
        println!("{}", Value::from(seen));
    }
}

fn told(seen: &origin::Seen) -> Value {
    json!({
        "host": format!("{:?}", seen.hop).to_lowercase(), "method": seen.method, "target": seen.target,
        "about": seen.model, "status": seen.status, "sent": seen.sent(),
        "authorization": seen.header("authorization"), "user_agent": seen.header("user-agent"),
    })
}

/// Models are directories whose name is a number, and archives whose name is one.
fn offer_below(origin: &Origin, dir: &Path, name: &str) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let file = entry.file_name().into_string().unwrap();
        let below = format!("{name}/{file}").trim_start_matches('/').to_owned();
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match file.strip_suffix(".tar.gz") {
            Some(number) if is_number(number) => {
                let archive = fs::read(entry.path()).unwrap();
                origin.publish(below.trim_end_matches(".tar.gz"), archive);
            }
            _ if !entry.path().is_dir() => {}
            _ if is_number(&file) => {
                origin.offer(&below, &files(&entry.path(), ""), archive(&entry.path()));
            }
            _ => offer_below(origin, &entry.path(), &below),
        }
    }
}

fn files(dir: &Path, below: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{below}/{name}").trim_start_matches('/').to_owned();
        if entry.path().is_dir() {
            found.extend(files(&entry.path(), &path));
        } else {
            found.push((path, fs::read(entry.path()).unwrap()));
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
