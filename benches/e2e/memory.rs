//! Bar 5: what the daemon keeps in memory does not grow with the model.

use std::fs;
use std::path::Path;
use std::thread;

use crate::figures::{Row, timed};
use crate::material::{DATA, Model};
use crate::program::{Hub, Mount};
use crate::room::Room;
use crate::{Result, read};

const READERS: usize = 8;
const LIMIT_MIB: f64 = 96.0;

pub(crate) fn run(room: &Room) -> Result<Vec<Row>> {
    let model = room.big()?;
    let place = room.fresh()?;
    let hub = Hub::serve(&room.hub(), None)?;
    let mount = Mount::of(&hub.url, place.path(), &place.path().join("cache"), &[])?;
    let what = format!("filling an archive of {} MiB", model.packed >> 20);
    Ok(vec![readers(&mount, model, &what)?])
}

/// The same for a model that is streamed by ranges from below `hub`.
pub(crate) fn streaming(room: &Room, hub: &Path, model: &Model) -> Result<Row> {
    let place = room.fresh()?;
    let hub = Hub::serve(hub, None)?;
    let flags = ["--load-format", "uncompressed", "--gcs-endpoint", &hub.url];
    let mount = Mount::of(&hub.url, place.path(), &place.path().join("cache"), &flags)?;
    let what = format!("streaming {} MiB", model.data >> 20);
    readers(&mount, model, &what)
}

/// Lets all readers go through the model's large file, and looks at the daemon then.
fn readers(mount: &Mount, model: &Model, what: &str) -> Result<Row> {
    let idle = peak_mib(mount.pid())?;
    let tested = model.file(&mount.path, DATA);
    let (seconds, sums) = timed(|| {
        thread::scope(|scope| {
            let readers: Vec<_> = (0..READERS)
                .map(|_| scope.spawn(|| read::through_and_sum(&tested)))
                .collect();
            readers
                .into_iter()
                .map(|reader| reader.join().map_err(|_| "a reader panicked")?)
                .collect::<Result<Vec<u64>>>()
        })
    })?;
    if sums.iter().any(|sum| *sum != model.sum) {
        return Err("a reader saw other bytes than the origin has".into());
    }
    let what = format!("VmHWM of the daemon, {what} with {READERS} readers");
    let how = format!("{idle:.0} MiB just mounted; all readers through in {seconds:.1} s");
    Ok(Row::at_most(what, peak_mib(mount.pid())?, LIMIT_MIB, mib).how(how))
}

pub(crate) fn mib(figure: f64) -> String {
    format!("{figure:.0} MiB")
}

/// The most that a process ever had resident.
pub(crate) fn peak_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line
        .ok_or("no VmHWM")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kib / 1024.0)
}
