//! Bar 5: what the daemon keeps in memory does not grow with the model.

use std::fs;
use std::thread;

use crate::figures::{Row, timed};
use crate::material::DATA;
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
        return Err("a reader saw other bytes than were packed".into());
    }
    let what = format!(
        "VmHWM of the daemon, filling an archive of {} MiB with {READERS} readers",
        model.packed >> 20
    );
    let how = format!("{idle:.0} MiB just mounted; all readers through in {seconds:.1} s");
    Ok(vec![
        Row::at_most(what, peak_mib(mount.pid())?, LIMIT_MIB, mib).how(how),
    ])
}

fn mib(figure: f64) -> String {
    format!("{figure:.0} MiB")
}

/// The most that a process ever had resident.
fn peak_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line
        .ok_or("no VmHWM")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kib / 1024.0)
}
