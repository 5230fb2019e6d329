//! A cache of many models: found at once, listed quickly, kept in little memory, and quick to say what leaves.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::Result;
use crate::figures::{Row, largest, median, ms, timed};
use crate::material::{self, GRAPH, small_model};
use crate::memory::{mib, peak_mib};
use crate::program::{self, Mount};
use crate::room::Room;

const MODELS: usize = 10_000;
const ROUNDS: usize = 9;
const FIRST_STAT: f64 = 0.250;
const LIST: f64 = 1.0;
const RESIDENT_MIB: f64 = 64.0;
const CHOOSE: f64 = 0.010;
/// Nobody listens there: what is cached needs no hub.
const HUB: &str = "http://127.0.0.1:9";

pub(crate) fn run(room: &Room) -> Result<Vec<Row>> {
    let place = room.fresh()?;
    let cache = place.path().join("cache");
    material::fill_cache(&cache, HUB, MODELS)?;
    seal(&cache)?;
    program::settle();
    let mut rows = vec![first_stat(room, place.path(), &cache)?];
    let mut samples = Vec::new();
    for _ in 0..room.rounds(ROUNDS) {
        let (seconds, listed) = timed(|| list(&cache))?;
        if listed != MODELS {
            return Err(format!("{listed} of {MODELS} models are listed").into());
        }
        samples.push(seconds);
    }
    rows.push(
        Row::at_most(
            format!("`cache list` of {MODELS} models"),
            median(&samples),
            LIST,
            ms,
        )
        .how(several(&samples)),
    );
    rows.push(choose(room, &cache)?);
    rows.push(resident(place.path(), &cache)?);
    Ok(rows)
}

fn several(samples: &[f64]) -> String {
    let (count, largest) = (samples.len(), ms(largest(samples)));
    format!("median of {count}, largest {largest}")
}

/// Makes of what lies there what this program would have left: all checksums are recorded, and that they are its own.
fn seal(cache: &Path) -> Result<()> {
    lines_of(cache, &["verify", "--all"])?;
    for entry in fs::read_dir(cache.join(".tfhub-fs/v1/manifests"))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        fs::write(&path, text.replace("\"adopted\"", "\"sealed\""))?;
    }
    Ok(())
}

fn list(cache: &Path) -> Result<usize> {
    let listed = lines_of(cache, &["list"])?;
    let is_sealed = |line: &&str| line.split_whitespace().any(|word| word == "sealed");
    match listed.lines().filter(is_sealed).count() {
        MODELS => Ok(listed.lines().count() - 1),
        sealed => Err(format!("{sealed} models are sealed").into()),
    }
}

fn lines_of(cache: &Path, what: &[&str]) -> Result<String> {
    let mut command = program::command(program::BINARY);
    command
        .arg("cache")
        .args(what)
        .arg("--cache-dir")
        .arg(cache);
    let done = command.output()?;
    match done.status.success() {
        true => Ok(String::from_utf8(done.stdout)?),
        false => Err(String::from_utf8_lossy(&done.stderr).into()),
    }
}

fn first_stat(room: &Room, place: &Path, cache: &Path) -> Result<Row> {
    let mountpoint = place.join("many");
    fs::create_dir(&mountpoint)?;
    let log = place.join("mount.log");
    let mut samples = Vec::new();
    for round in 0..room.rounds(ROUNDS) {
        let graph = mountpoint
            .join(small_model((round * 3331) % MODELS))
            .join(GRAPH);
        let (seconds, metadata) = timed(|| {
            program::mount_in_background(HUB, &mountpoint, cache, &log)?;
            Ok(fs::metadata(&graph)?)
        })?;
        samples.push(seconds);
        program::unmount(&mountpoint)?;
        if metadata.len() == 0 {
            return Err("the stat gave no size".into());
        }
    }
    let what = format!("mount to the stat of a sealed model, {MODELS} models in the cache");
    Ok(Row::at_most(what, median(&samples), FIRST_STAT, ms).how(several(&samples)))
}

/// The function alone, when the directory has just been looked at.
fn choose(room: &Room, cache: &Path) -> Result<Row> {
    let choose = tfhub_fs::eviction_order(cache.to_owned())?;
    let looked = Instant::now();
    choose();
    let looked = looked.elapsed();
    let mut samples = Vec::new();
    for _ in 0..room.rounds(ROUNDS) {
        let (seconds, chosen) = timed(|| Ok(choose()))?;
        if chosen != MODELS {
            return Err(format!("{chosen} of {MODELS} models may leave").into());
        }
        samples.push(seconds);
    }
    let how = format!(
        "{}; looking at the directory, at most every 30 s, took {}",
        several(&samples),
        ms(looked.as_secs_f64())
    );
    let what = format!("choosing what leaves among {MODELS} models");
    Ok(Row::at_most(what, median(&samples), CHOOSE, ms).how(how))
}

/// What a mount keeps in memory that knows every model, and whose kernel does.
fn resident(place: &Path, cache: &Path) -> Result<Row> {
    let mount = Mount::of(HUB, place, cache, &[])?;
    std::thread::sleep(std::time::Duration::from_secs(3));
    let idle = peak_mib(mount.pid())?;
    for number in 0..MODELS {
        fs::metadata(mount.path.join(small_model(number)).join(GRAPH))?;
    }
    let all = peak_mib(mount.pid())?;
    let how = format!("{idle:.0} MiB before the kernel held a file of each of them");
    let what = format!("VmHWM of a mount with {MODELS} models, all of them looked at");
    Ok(Row::at_most(what, all, RESIDENT_MIB, mib).how(how))
}
