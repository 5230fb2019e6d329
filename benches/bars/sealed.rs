//! Bar 1: a complete model is read at the speed of the file in the cache directory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use crate::figures::{Pairs, Row, median, rate, three_places, timed};
use crate::material::{DATA, Model};
use crate::program::{self, Hub, Mount};
use crate::room::Room;
use crate::{Result, read, sys};

/// Pairs of each kind; the bar asks for 15.
const ROUNDS: usize = 21;
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
    let mount = Mount::of(&hub.url, place.path(), &cache, &["--passthrough=false"])?;
    rows.extend(cached(room, model, &mount, &plain)?);
    Ok(rows)
}

fn passthrough(room: &Room, model: &Model, mount: &Mount, plain: &Path) -> Result<Vec<Row>> {
    let tested = model.file(&mount.path, DATA);
    let alone = answers_without_daemon(mount, &tested)?;
    warm(&[&tested, plain], model)?;
    let read = pairs(room, &tested, plain, read::through)?;
    let map = pairs(room, &tested, plain, read::mapped)?;
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

fn cached(room: &Room, model: &Model, mount: &Mount, plain: &Path) -> Result<Vec<Row>> {
    let tested = model.file(&mount.path, DATA);
    if answers_without_daemon(mount, &tested)? {
        return Err(
            "--passthrough=false: a first read returned although the daemon was stopped".into(),
        );
    }
    warm(&[&tested, plain], model)?;
    let read = pairs(room, &tested, plain, read::through)?;
    let map = pairs(room, &tested, plain, read::mapped)?;
    Ok(vec![
        row(
            "sealed, no passthrough, page cache warm: sequential read",
            &read,
            0.90,
            model,
        ),
        Row::note(
            "sealed, no passthrough, page cache warm: mmap",
            three_places(map.speed()),
        )
        .how(speeds(&map, model)),
    ])
}

fn pairs(room: &Room, tested: &Path, plain: &Path, how: fn(&Path) -> Result<u64>) -> Result<Pairs> {
    let once = |path: &Path| timed(|| how(path)).map(|(seconds, _)| seconds);
    Pairs::measure(room.rounds(ROUNDS), || once(tested), || once(plain))
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
    let (done, answer) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let _ = done.send(file.read_exact_at(&mut [0; 4096], 0).is_ok());
    });
    let answered = answer.recv_timeout(PATIENCE);
    sys::signal(mount.pid(), libc::SIGCONT);
    reader.join().map_err(|_| "the reader panicked")?;
    Ok(answered.unwrap_or(false))
}
