//! Bar 2: the first byte of a model does not wait for the rest of it.

use std::time::Duration;

use crate::figures::{Row, largest, median, ms, timed};
use crate::material::{self, GRAPH, Model, Weights};
use crate::program::{Hub, Mount};
use crate::room::Room;
use crate::{Result, net, read};

/// What each request to the hub takes.
const LATENCY: Duration = Duration::from_millis(30);
/// Five round trips, and what the program itself may take.
const LIMIT: f64 = 0.150 + 0.100;
const ROUNDS: usize = 7;

pub(crate) fn run(room: &Room) -> Result<Vec<Row>> {
    let small = material::pack(&room.hub(), "small", Weights::Random, room.scaled(64))?;
    let mut rows = Vec::new();
    for redirected in [false, true] {
        for model in [&small, room.big()?] {
            rows.push(row(room, redirected, model)?);
        }
    }
    Ok(rows)
}

/// Nothing knows the model before: each sample has a hub, a front, a mount and a cache of its own.
fn row(room: &Room, redirected: bool, model: &Model) -> Result<Row> {
    let mut samples = Vec::new();
    for _ in 0..room.rounds(ROUNDS) {
        let place = room.fresh()?;
        let latency = format!("latency={}ms", LATENCY.as_millis());
        let hub = Hub::serve(&room.hub(), Some(&latency))?;
        let url = match redirected {
            true => net::front(&hub.url, LATENCY)?,
            false => hub.url.clone(),
        };
        let mount = Mount::of(&url, place.path(), &place.path().join("cache"), &[])?;
        let graph = model.file(&mount.path, GRAPH);
        let (seconds, ()) = timed(|| Ok(read::first_byte(&graph)?))?;
        samples.push(seconds);
    }
    let way = if redirected {
        "after two redirects"
    } else {
        "direct"
    };
    let what = format!(
        "first byte of {GRAPH}, archive of {} MiB, {way}",
        model.packed >> 20
    );
    let how = format!(
        "from the open, {} per request; median of {}, largest {}",
        ms(LATENCY.as_secs_f64()),
        samples.len(),
        ms(largest(&samples)),
    );
    Ok(Row::at_most(what, median(&samples), LIMIT, ms).how(how))
}
