//! Bar 6: a mount is of use at once, however much its cache holds.

use std::fs;

use crate::Result;
use crate::figures::{Row, largest, median, ms, timed};
use crate::material::{self, GRAPH, small_model};
use crate::program;
use crate::room::Room;

const MODELS: usize = 1000;
const LIMIT: f64 = 0.200;
const ROUNDS: usize = 9;
/// Nobody listens there: what is cached needs no hub.
const HUB: &str = "http://127.0.0.1:9";

pub(crate) fn run(room: &Room) -> Result<Vec<Row>> {
    let place = room.fresh()?;
    let cache = place.path().join("cache");
    material::fill_cache(&cache, HUB, MODELS)?;
    program::settle();
    let mountpoint = place.path().join("mount");
    fs::create_dir(&mountpoint)?;
    let log = place.path().join("mount.log");

    let mut samples = Vec::new();
    for round in 0..room.rounds(ROUNDS) {
        let graph = mountpoint
            .join(small_model((round * 331) % MODELS))
            .join(GRAPH);
        let (seconds, metadata) = timed(|| {
            program::mount_in_background(HUB, &mountpoint, &cache, &log)?;
            Ok(fs::metadata(&graph)?)
        })?;
        samples.push(seconds);
        program::unmount(&mountpoint)?;
        if metadata.len() == 0 {
            return Err("the stat gave no size".into());
        }
    }
    let what = format!("mount to the stat of a sealed model, {MODELS} models in the cache");
    let how = format!(
        "from the start of `tfhub-fs mount`; median of {}, largest {}",
        samples.len(),
        ms(largest(&samples)),
    );
    Ok(vec![
        Row::at_most(what, median(&samples), LIMIT, ms).how(how),
    ])
}
