//! Bars 8 to 10: only the bytes that are touched are fetched, each once, and memory stays flat.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Stdio;
use std::time::Instant;

use crate::figures::{Row, largest, median, ms, two_places};
use crate::material::{self, DATA, GRAPH, Model, Weights};
use crate::net::Relay;
use crate::program::{Hub, Mount, Process, command};
use crate::room::Room;
use crate::{Result, memory, read};

const MIB: u64 = 1024;
const LATENCY: f64 = 0.030;
const ROUND_TRIPS: f64 = 1.3;
const READS: u64 = 200;
const READERS: usize = 64;
const READERS_MIB: u64 = 128;
/// What headers and the listing may add to a model's bytes.
const ONCE: f64 = 1.02;

pub(crate) fn run(room: &Room) -> Result<Vec<Row>> {
    let big = material::lay(
        &room.path().join("plain"),
        "big",
        Weights::Random,
        room.scaled(MIB),
    )?;
    let mut rows = touched(room, &big)?;
    rows.push(memory::streaming(room, &room.path().join("plain"), &big)?);
    rows.extend(together(room)?);
    Ok(rows)
}

/// A mount that streams from `hub` through a relay that counts.
fn mount(relay: &Relay, dir: &std::path::Path, more: &[&str]) -> Result<Mount> {
    let mut flags = vec![
        "--load-format",
        "uncompressed",
        "--gcs-endpoint",
        relay.url.as_str(),
    ];
    flags.extend(more);
    Mount::of(&relay.url, dir, &dir.join("cache"), &flags)
}

fn touched(room: &Room, model: &Model) -> Result<Vec<Row>> {
    let place = room.fresh()?;
    let latency = format!("latency={:.0}ms", LATENCY * 1e3);
    let hub = Hub::serve(&room.path().join("plain"), Some(&latency))?;
    let relay = Relay::to(hub.authority())?;
    let mount = mount(&relay, place.path(), &["--prefetch", "none"])?;
    read::through(&model.file(&mount.path, GRAPH))?;
    let mib = relay.returned() as f64 / f64::from(1 << 20);
    let what = format!(
        "{GRAPH} of a model of {} MiB, --prefetch none: MiB from the origin",
        model.data >> 20
    );
    let graph =
        Row::at_most(what, mib, 1.0, two_places).how("bodies and headers, as a relay counts them");

    let file = File::open(model.file(&mount.path, DATA))?;
    let plain = File::open(room.path().join("plain").join(&model.name).join(DATA))?;
    let before = relay.returned();
    let mut seconds = Vec::new();
    let (mut got, mut want) = ([0; 4096], [0; 4096]);
    for number in 0..READS {
        // A stride that is no multiple of anything jumps all over the file.
        let offset = (number * 0x9E37_79B9_7F4A_7C15) % (model.data - 4096);
        let begin = Instant::now();
        file.read_exact_at(&mut got, offset)?;
        seconds.push(begin.elapsed().as_secs_f64());
        plain.read_exact_at(&mut want, offset)?;
        if got != want {
            return Err(format!("wrong bytes at {offset}").into());
        }
    }
    let trips: Vec<f64> = seconds.iter().map(|seconds| seconds / LATENCY).collect();
    let what = format!(
        "{READS} reads of 4 KiB all over it: the slowest, in round trips of {}",
        ms(LATENCY)
    );
    let how = format!(
        "median {}, {} KiB from the origin for each",
        two_places(median(&trips)),
        (relay.returned() - before) / READS / 1024
    );
    let random = Row::at_most(what, largest(&trips), ROUND_TRIPS, two_places).how(how);
    Ok(vec![graph, random])
}

fn together(room: &Room) -> Result<Vec<Row>> {
    let mib = room.scaled(READERS_MIB);
    let model = material::lay(&room.path().join("plain"), "together", Weights::Floats, mib)?;
    let place = room.fresh()?;
    // So slow to begin with that all readers are there before the first byte.
    let hub = Hub::serve(&room.path().join("plain"), Some("latency=200ms"))?;
    let relay = Relay::to(hub.authority())?;
    let mount = mount(&relay, place.path(), &[])?;
    let (tested, expected) = (
        model.file(&mount.path, DATA),
        room.path().join("plain").join(&model.name).join(DATA),
    );
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut compare = command("cmp");
        compare.arg("--silent").arg(&tested).arg(&expected);
        readers.push(Process::spawn(compare.stdin(Stdio::null()))?);
    }
    let mut correct = 0;
    for reader in readers {
        correct += usize::from(reader.succeeds()?);
    }
    let times = relay.returned() as f64 / fs::metadata(&expected)?.len() as f64;
    Ok(vec![
        Row::holds(
            format!("{READERS} readers of one cold model, streamed: correct"),
            correct.to_string(),
            READERS.to_string(),
            correct == READERS,
        )
        .how(format!("processes of cmp(1), each over all {mib} MiB")),
        Row::at_most(
            format!("{READERS} readers of one cold model, streamed: bytes from the origin, by the model's"),
            times,
            ONCE,
            |ratio| format!("{ratio:.4}"),
        )
        .how("with headers and the listing"),
    ])
}
