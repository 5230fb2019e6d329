//! Two hosts with one bucket: the hub gives a model once, and the second host has it much sooner.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::Result;
use crate::figures::{Row, median, timed, two_places};
use crate::material::{self, DATA, GRAPH, Model, Weights};
use crate::net::Relay;
use crate::program::{self, Hub, Mount};
use crate::read;
use crate::room::Room;

const MIB: u64 = 64;
const ROUNDS: usize = 3;
const HUB: &str = "latency=100ms,rate=10MB/s,total=40MB/s";
const BUCKET: &str = "latency=5ms,total=200MB/s";
/// Of the first host's time.
const LIMIT: f64 = 0.3;
/// What the headers of a few answers may add to the archive's bytes.
const HEADERS: u64 = 64 * 1024;
/// In which the first host must have left the model in the bucket.
const UPLOADED: Duration = Duration::from_secs(60);

pub(crate) fn run(room: &Room) -> Result<Vec<Row>> {
    let mib = room.scaled(MIB);
    let (mut first, mut second, mut once) = (Vec::new(), Vec::new(), true);
    let mut returned = 0;
    let mut packed = 0;
    for _ in 0..room.rounds(ROUNDS) {
        let place = room.fresh()?;
        let models = place.path().join("models");
        let model = material::pack(&models, "hosts", Weights::Floats, mib)?;
        let (empty, objects) = (place.path().join("empty"), place.path().join("bucket"));
        std::fs::create_dir(&empty)?;
        let hub = Hub::serve(&models, Some(HUB))?;
        let relay = Relay::to(hub.authority())?;
        let bucket = Hub::serve_writable(&empty, &format!("cache={}", objects.display()), BUCKET)?;
        let host = |name: &str| {
            program::settle();
            let dir = place.path().join(name);
            let flags = [
                "--shared-cache",
                "gs://cache/hub",
                "--gcs-endpoint",
                &bucket.url,
            ];
            load(&relay.url, &dir, &flags, &model)
        };
        let (seconds, mount) = host("first")?;
        first.push(seconds);
        uploaded(&objects.join("hub"))?;
        drop(mount);
        second.push(host("second")?.0);
        returned = relay.returned();
        packed = model.packed;
        once &= (packed..=packed + HEADERS).contains(&returned);
    }
    let how = format!(
        "first {:.2} s from a hub with {HUB}, second {:.2} s from a bucket with {BUCKET}, {mib} MiB; medians of {}",
        median(&first),
        median(&second),
        first.len()
    );
    let ratio = median(&second) / median(&first);
    Ok(vec![
        Row::at_most(
            "two hosts with one bucket: the second's cold load by the first's",
            ratio,
            LIMIT,
            two_places,
        )
        .how(how),
        Row::holds(
            "two hosts with one bucket: bytes from the hub",
            format!("{:.4} times the archive", returned as f64 / packed as f64),
            "once",
            once,
        )
        .how(format!(
            "{returned} bytes with headers, both hosts together"
        )),
    ])
}

/// Seconds from the first open to the last byte of a cold model, and its mount.
fn load(hub: &str, dir: &Path, flags: &[&str], model: &Model) -> Result<(f64, Mount)> {
    std::fs::create_dir(dir)?;
    let mount = Mount::of(hub, dir, &dir.join("cache"), flags)?;
    let (seconds, sum) = timed(|| {
        std::fs::read(model.file(&mount.path, GRAPH))?;
        read::through_and_sum(&model.file(&mount.path, DATA))
    })?;
    match sum == model.sum {
        true => Ok((seconds, mount)),
        false => Err("other bytes were read than were packed".into()),
    }
}

/// Waits until the first host has left the model in the bucket.
fn uploaded(objects: &Path) -> Result<()> {
    let since = Instant::now();
    while since.elapsed() < UPLOADED {
        let entries = std::fs::read_dir(objects).into_iter().flatten().flatten();
        let ends = |end: &str, name: &str| name.ends_with(end);
        let names: Vec<_> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        if names.iter().any(|name| ends(".descriptor.txt", name))
            && !names.iter().any(|name| ends(".lock", name))
        {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err("the model did not come into the bucket".into())
}
