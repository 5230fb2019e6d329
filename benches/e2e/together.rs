//! Bar 4: many readers of one cold model cost its origin one transfer.

use std::process::Stdio;

use crate::Result;
use crate::figures::Row;
use crate::material::{self, DATA, Weights};
use crate::net::Relay;
use crate::program::{Hub, Mount, Process, command};
use crate::room::Room;

const READERS: usize = 64;
const MIB: u64 = 128;
/// What the headers of a few answers may add to the archive's bytes.
const HEADERS: u64 = 64 * 1024;

pub(crate) fn run(room: &Room) -> Result<Vec<Row>> {
    let mib = room.scaled(MIB);
    let model = material::pack(&room.hub(), "together", Weights::Floats, mib)?;
    let place = room.fresh()?;
    let expected = place.path().join("expected");
    material::write_plain(&expected, Weights::Floats, mib)?;
    // So slow to begin with that all readers are there before the first byte.
    let hub = Hub::serve(&room.hub(), Some("latency=200ms"))?;
    let relay = Relay::to(hub.authority())?;
    let mount = Mount::of(&relay.url, place.path(), &place.path().join("cache"), &[])?;

    let tested = model.file(&mount.path, DATA);
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
    let returned = relay.returned();
    let once = (model.packed..=model.packed + HEADERS).contains(&returned);
    Ok(vec![
        Row::holds(
            format!("{READERS} readers of one cold model: correct"),
            correct.to_string(),
            READERS.to_string(),
            correct == READERS,
        )
        .how(format!("processes of cmp(1), each over all {mib} MiB")),
        Row::holds(
            format!("{READERS} readers of one cold model: bytes from the origin"),
            format!(
                "{:.4} times the archive",
                returned as f64 / model.packed as f64
            ),
            "once",
            once,
        )
        .how(format!(
            "{returned} bytes with headers, of an archive of {}",
            model.packed
        )),
    ])
}
