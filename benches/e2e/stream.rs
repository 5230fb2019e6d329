//! Bar 7: TensorFlow loads a cold model as fast as the link gives its bytes, and far faster than through `rclone mount`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::figures::{Row, median, ratio, two_places};
use crate::program::{self, Hub, Mount, Process, command};
use crate::python::{self, Python};
use crate::room::Room;
use crate::{Result, clean};

const MIB: u64 = 256;
const ROUNDS: usize = 5;
/// The link of the shaped half.
const LINK: &str = "latency=30ms,rate=50MB/s,total=400MB/s";
/// Its bytes a second in all.
const LINK_RATE: f64 = 400e6;
/// Of the time through rclone.
const OF_RCLONE: f64 = 0.2;
/// Times what the link and TensorFlow need by themselves.
const OF_LINK: f64 = 1.3;
/// Times a load from a plain directory, where nothing is shaped.
const OF_PLAIN: f64 = 2.0;
/// In which a mount of rclone must answer.
const SOON: Duration = Duration::from_secs(20);

/// Seconds of one load each, round by round.
#[derive(Default)]
struct Times {
    ours: Vec<f64>,
    bucket: Vec<f64>,
    rclone: Vec<f64>,
    plain: Vec<f64>,
}

pub(crate) fn run(room: &Room) -> Result<Vec<Row>> {
    let model = make(room)?;
    let mut rows = Vec::new();
    for link in [Some(LINK), None] {
        let hub = Hub::serve(&room.path().join("layers"), link)?;
        let rounds = room.rounds(ROUNDS);
        let times = measure(room, &hub, &model, rounds)?;
        rows.extend(judged(&model, &times, link.is_some()));
    }
    Ok(rows)
}

/// A real SavedModel in a hub's directory of its own.
struct Layers {
    dir: PathBuf,
    bytes: u64,
}

const NAME: &str = "bench/layers/1";

fn make(room: &Room) -> Result<Layers> {
    let mib = room.scaled(MIB);
    eprintln!("bars: making a SavedModel of {mib} MiB");
    let dir = room.path().join("layers").join(NAME);
    let mut make = python::interpreter("saved_model.py");
    make.arg("make").arg(&dir).arg(mib.to_string());
    make.stderr(fs::File::create(room.path().join("saved_model.log"))?);
    if !Process::spawn(make.stdin(Stdio::null()))?.succeeds()? {
        return Err(
            "TensorFlow could not save a model; scripts/bench makes its environment".into(),
        );
    }
    let bytes = size_of(&dir)?;
    Ok(Layers { dir, bytes })
}

fn size_of(dir: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        total += match entry.file_type()?.is_dir() {
            true => size_of(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(total)
}

fn measure(room: &Room, hub: &Hub, model: &Layers, rounds: usize) -> Result<Times> {
    let folder = program::remote(hub, NAME)?;
    let mut times = Times::default();
    for round in 0..rounds {
        for turn in 0..4 {
            program::settle();
            match (round + turn) % 4 {
                0 => times.ours.push(through_mount(room, hub, NAME)?),
                1 => {
                    let path = folder.replacen("://", ":/", 1);
                    times.bucket.push(through_mount(room, hub, &path)?);
                }
                2 => times.rclone.push(through_rclone(room, hub, &folder)?),
                _ => times.plain.push(load(room, &model.dir)?),
            }
        }
    }
    Ok(times)
}

/// Seconds of one load in a process of its own.
fn load(room: &Room, dir: &Path) -> Result<f64> {
    let mut tensorflow = Python::start(room, "saved_model.py", &["load"])?;
    tensorflow.ready()?;
    Ok(tensorflow.ask(&dir.display().to_string())?.parse()?)
}

fn through_mount(room: &Room, hub: &Hub, path: &str) -> Result<f64> {
    let place = room.fresh()?;
    let flags = [
        "--load-format",
        "uncompressed",
        "--gcs-endpoint",
        hub.url.as_str(),
    ];
    let mount = Mount::of(&hub.url, place.path(), &place.path().join("cache"), &flags)?;
    load(room, &mount.path.join(path))
}

fn through_rclone(room: &Room, hub: &Hub, folder: &str) -> Result<f64> {
    let place = room.fresh()?;
    let mount = Rclone::mount(hub, folder, place.path())?;
    load(room, &mount.path)
}

/// `rclone mount` of a folder of the hub's bucket, with its defaults.
struct Rclone {
    path: PathBuf,
    _process: Process,
}

impl Rclone {
    fn mount(hub: &Hub, folder: &str, dir: &Path) -> Result<Rclone> {
        let path = dir.join("rclone");
        fs::create_dir(&path)?;
        let from = folder.replacen("gs://", ":gcs:", 1);
        let mut rclone = command("rclone");
        rclone.arg("mount").arg(from).arg(&path);
        rclone.args(["--read-only", "--gcs-anonymous", "--gcs-endpoint", &hub.url]);
        rclone
            .env("HOME", dir)
            .env("RCLONE_CONFIG", dir.join("rclone.conf"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(dir.join("rclone.log"))?);
        let mut process = Process::spawn(&mut rclone)?;
        let deadline = Instant::now() + SOON;
        while !program::is_mounted(&path) {
            if process.has_ended()? || Instant::now() > deadline {
                let said = fs::read_to_string(dir.join("rclone.log"))?;
                return Err(format!("rclone does not mount: {said}").into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(Rclone {
            path,
            _process: process,
        })
    }
}

impl Drop for Rclone {
    fn drop(&mut self) {
        clean::unmount_below(&self.path);
    }
}

fn judged(model: &Layers, times: &Times, shaped: bool) -> Vec<Row> {
    let what = |of: &str| {
        let link = if shaped { LINK } else { "loopback as it is" };
        format!(
            "tf.saved_model.load, cold, {} MiB, {link}: {of}",
            model.bytes >> 20
        )
    };
    let show = |samples: &[f64]| format!("{:.2} s", median(samples));
    let how = format!(
        "the model's name {}, its gs:/ path {}, rclone mount {}, plain directory {}; medians of {}",
        show(&times.ours),
        show(&times.bucket),
        show(&times.rclone),
        show(&times.plain),
        times.plain.len()
    );
    let alone = model.bytes as f64 / LINK_RATE;
    let mut rows = Vec::new();
    for (way, ours) in [("", &times.ours), (" (gs:/ path)", &times.bucket)] {
        let by_rclone = ratio(ours, &times.rclone);
        if shaped {
            let least: Vec<f64> = times.plain.iter().map(|warm| alone + warm).collect();
            rows.push(
                Row::at_most(
                    what(&format!("by rclone mount{way}")),
                    by_rclone,
                    OF_RCLONE,
                    two_places,
                )
                .how(how.clone()),
            );
            rows.push(
                Row::at_most(
                    what(&format!("by the link's {alone:.2} s and a warm load{way}")),
                    ratio(ours, &least),
                    OF_LINK,
                    two_places,
                )
                .how(how.clone()),
            );
        } else {
            rows.push(
                Row::at_most(
                    what(&format!("by rclone mount{way}")),
                    by_rclone,
                    1.0,
                    two_places,
                )
                .how(how.clone()),
            );
            rows.push(
                Row::at_most(
                    what(&format!("by a plain directory{way}")),
                    ratio(ours, &times.plain),
                    OF_PLAIN,
                    two_places,
                )
                .how(how.clone()),
            );
        }
    }
    rows
}
