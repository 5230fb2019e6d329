//! Bar 1: a complete model is read at the speed of the file in the cache directory.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::figures::{Pairs, Row, median, rate, three_places, timed, two_places};
use crate::material::{DATA, Model};
use crate::program::{self, Hub, Mount};
use crate::room::Room;
use crate::{Result, read, sys};

/// Pairs of each kind; the bar asks for 15.
const ROUNDS: usize = 25;
/// Mounts among which the pairs without passthrough are shared.
const MOUNTS: usize = 5;
/// A read that has not returned by then waits for the stopped daemon.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn run(room: &Room) -> Result<Vec<Row>> {
    let model = room.big()?;
    let place = room.fresh()?;
    let cache = place.path().join("cache");
    let hub = Hub::serve(&room.hub(), None)?;
    let dir = program::resolve(&hub, &format!("{}/{}", hub.url, model.name), &cache)?;
    let plain = dir.join(DATA);
    program::settle();

    let mut rows = Vec::new();
    {
        let mount = Mount::of(&hub.url, place.path(), &cache, &[])?;
        rows.extend(passthrough(room, model, &mount, &plain)?);
    }
    let many = cached(room, model, &plain, MOUNTS, |number| {
        without_passthrough(&hub, place.path(), &cache, number)
    })?;
    let how = format!(
        "{}; mount by mount {}",
        speeds(&many.read, model),
        many.each.join(", ")
    );
    let what = "sealed, no passthrough, page cache warm: sequential read";
    rows.push(Row::at_least(what, many.read.speed(), 0.90, three_places).how(how));
    rows.push(
        Row::note("the same: mmap", three_places(many.map.speed())).how(speeds(&many.map, model)),
    );
    rows.extend(in_memory(room, model, &hub)?);
    Ok(rows)
}

/// Both sides have pages of 4 KiB there: what is left is the cost of the mount itself.
fn in_memory(room: &Room, model: &Model, hub: &Hub) -> Result<Option<Row>> {
    let Some(place) = room.in_memory(2 * model.data)? else {
        return Ok(None);
    };
    let cache = place.path().join("cache");
    let dir = program::resolve(hub, &format!("{}/{}", hub.url, model.name), &cache)?;
    let one = cached(room, model, &dir.join(DATA), 1, |number| {
        without_passthrough(hub, place.path(), &cache, number)
    })?;
    let what = "the same: sequential read, cache on tmpfs, whose pages are no larger than FUSE's";
    Ok(Some(
        Row::note(what, three_places(one.read.speed())).how(speeds(&one.read, model)),
    ))
}

fn passthrough(room: &Room, model: &Model, mount: &Mount, plain: &Path) -> Result<Vec<Row>> {
    let tested = model.file(&mount.path, DATA);
    let alone = answers_without_daemon(mount, &tested)?;
    warm(&[&tested, plain], model)?;
    let read = pairs(room, ROUNDS, &tested, plain, read::through)?;
    let map = pairs(room, ROUNDS, &tested, plain, read::mapped)?;
    Ok(vec![
        Row::holds(
            "passthrough at work",
            if alone { "yes" } else { "no" },
            "yes",
            alone,
        )
        .how("a first read of an open file returns while the daemon is stopped by SIGSTOP"),
        row("sealed, passthrough: sequential read", &read, 0.97, model),
        row(
            "sealed, passthrough: mmap, every byte summed",
            &map,
            0.97,
            model,
        ),
    ])
}

/// What was measured without passthrough.
struct Cached {
    read: Pairs,
    map: Pairs,
    /// The share of the plain reading speed, mount by mount.
    each: Vec<String>,
}

/// The kernel keeps a second copy of the file, in pages of 4 KiB. How those happen to lie in memory makes the same
/// read up to three times slower or faster, so that the pairs are shared among `mounts` mounts, which live together:
/// each has pages of its own.
fn cached(
    room: &Room,
    model: &Model,
    plain: &Path,
    mounts: usize,
    mount: impl Fn(usize) -> Result<Mount>,
) -> Result<Cached> {
    let mut cached = Cached {
        read: Pairs::default(),
        map: Pairs::default(),
        each: Vec::new(),
    };
    let mut kept = Vec::new();
    let rounds = (ROUNDS / mounts).min(15);
    for number in 0..mounts {
        let mount = mount(number)?;
        let tested = model.file(&mount.path, DATA);
        if answers_without_daemon(&mount, &tested)? {
            return Err(
                "--passthrough=false: a first read returned although the daemon was stopped".into(),
            );
        }
        warm(&[&tested, plain], model)?;
        let read = pairs(room, rounds, &tested, plain, read::through)?;
        cached.each.push(two_places(read.speed()));
        cached.read.extend(read);
        cached
            .map
            .extend(pairs(room, rounds, &tested, plain, read::mapped)?);
        kept.push(mount);
    }
    Ok(cached)
}

fn without_passthrough(hub: &Hub, place: &Path, cache: &Path, number: usize) -> Result<Mount> {
    let place = place.join(number.to_string());
    fs::create_dir(&place)?;
    Mount::of(&hub.url, &place, cache, &["--passthrough=false"])
}

fn pairs(
    room: &Room,
    rounds: usize,
    tested: &Path,
    plain: &Path,
    how: fn(&Path) -> Result<u64>,
) -> Result<Pairs> {
    let once = |path: &Path| timed(|| how(path)).map(|(seconds, _)| seconds);
    Pairs::measure(room.rounds(rounds), || once(tested), || once(plain))
}

fn row(what: &str, pairs: &Pairs, limit: f64, model: &Model) -> Row {
    Row::at_least(what, pairs.speed(), limit, three_places).how(speeds(pairs, model))
}

fn speeds(pairs: &Pairs, model: &Model) -> String {
    format!(
        "{} through the mount, {} in the cache directory; {} pairs of {} MiB",
        rate(model.data, median(&pairs.tested)),
        rate(model.data, median(&pairs.plain)),
        pairs.plain.len(),
        model.data >> 20,
    )
}

/// Reads each file once in both ways: the page cache is warm afterwards, and the bytes are known to be right.
fn warm(paths: &[&Path], model: &Model) -> Result<()> {
    for path in paths {
        for sum in [read::through_and_sum(path)?, read::mapped(path)?] {
            if sum != model.sum {
                return Err(format!("{} has other bytes than were packed", path.display()).into());
            }
        }
    }
    Ok(())
}

/// Whether a read of a file that was opened before goes on while the daemon is stopped: then the kernel reads the
/// file in the cache by itself. Must be the first read of `path`, before its pages are in the page cache.
fn answers_without_daemon(mount: &Mount, path: &PathBuf) -> Result<bool> {
    let file = File::open(path)?;
    sys::signal(mount.pid(), libc::SIGSTOP);
    wait_until_stopped(mount.pid())?;
    let (done, answer) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let _ = done.send(file.read_exact_at(&mut [0; 4096], 0).is_ok());
    });
    let answered = answer.recv_timeout(PATIENCE);
    sys::signal(mount.pid(), libc::SIGCONT);
    reader.join().map_err(|_| "the reader panicked")?;
    Ok(answered.unwrap_or(false))
}

/// SIGSTOP reaches the threads of a process one by one.
fn wait_until_stopped(pid: u32) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let mut stopped = true;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let stat = fs::read_to_string(thread?.path().join("stat"))?;
            stopped &= stat
                .rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('T'));
        }
        if stopped {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err("the daemon does not stop".into())
}
