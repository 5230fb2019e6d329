//! Bar 3: a cold model is there sooner than tensorflow_hub has it, and nearly as soon as its archive inflates.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::figures::{Row, median, ratio, timed, two_places};
use crate::material::{self, DATA, GRAPH, Model, Weights, key};
use crate::program::{self, Hub, Mount};
use crate::python::Python;
use crate::room::Room;
use crate::{Result, read};

const ROUNDS: usize = 5;
/// Of the time of hub.resolve.
const OF_RESOLVE: f64 = 0.6;
/// Times inflating alone.
const OF_INFLATING: f64 = 1.3;
/// In which a model whose last byte is there must be sealed.
const SEALED_WITHIN: Duration = Duration::from_secs(60);

/// Seconds of one archive, round by round.
#[derive(Default)]
struct Times {
    last_byte: Vec<f64>,
    whole: Vec<f64>,
    sealed: Vec<f64>,
    resolve: Vec<f64>,
    inflate: Vec<f64>,
}

pub(crate) fn run(room: &Room) -> Result<Vec<Row>> {
    let mut tensorflow = Python::start(room, "hub_resolve.py", &[])?;
    eprintln!("bars: packing float32 weights at gzip level 6");
    // A tenth more than the size that the archive shall have: that is what deflate saves.
    let floats = material::pack(&room.hub(), "floats", Weights::Floats, room.scaled(281))?;
    let random = material::pack(&room.hub(), "random", Weights::Random, room.scaled(256))?;
    let hub = Hub::serve(&room.hub(), None)?;
    tensorflow.ready()?;

    let times = measure(room, &hub, &mut tensorflow, &floats)?;
    let resolve = ratio(&times.last_byte, &times.resolve);
    let inflate = ratio(&times.last_byte, &times.inflate);
    let mut rows = vec![
        Row::at_most(
            "cold fill to the last byte, by hub.resolve",
            resolve,
            OF_RESOLVE,
            two_places,
        )
        .how(how(&floats, &times)),
        Row::at_most(
            "cold fill to the last byte, by inflating alone",
            inflate,
            OF_INFLATING,
            two_places,
        )
        .how(how(&floats, &times)),
    ];
    let times = measure(room, &hub, &mut tensorflow, &random)?;
    let figure = format!(
        "{} and {}",
        two_places(ratio(&times.last_byte, &times.resolve)),
        two_places(ratio(&times.last_byte, &times.inflate)),
    );
    rows.push(
        Row::note("the same two for an archive that does not compress", figure)
            .how(how(&random, &times)),
    );
    Ok(rows)
}

fn measure(room: &Room, hub: &Hub, tensorflow: &mut Python, model: &Model) -> Result<Times> {
    let mut times = Times::default();
    for round in 0..room.rounds(ROUNDS) {
        for turn in 0..4 {
            program::settle();
            match (round + turn) % 4 {
                0 => {
                    let (last_byte, sealed) = through_mount(room, hub, model, read::last_byte)?;
                    times.last_byte.push(last_byte);
                    times.sealed.push(sealed);
                }
                1 => times.resolve.push(resolve(room, hub, tensorflow, model)?),
                2 => times
                    .inflate
                    .push(timed(|| material::inflate(&model.archive))?.0),
                _ => {
                    let whole =
                        through_mount(room, hub, model, |path| read::through(path).map(drop))?;
                    times.whole.push(whole.0);
                }
            }
        }
    }
    Ok(times)
}

/// Opens a cold model as a loader does: the graph whole, then the variables by `wait`. Gives the seconds from the
/// first open to the end of `wait`, and those to the sealed model.
fn through_mount(
    room: &Room,
    hub: &Hub,
    model: &Model,
    wait: fn(&Path) -> Result<()>,
) -> Result<(f64, f64)> {
    let place = room.fresh()?;
    let cache = place.path().join("cache");
    let mount = Mount::of(&hub.url, place.path(), &cache, &[])?;
    let begin = Instant::now();
    read::through(&model.file(&mount.path, GRAPH))?;
    wait(&model.file(&mount.path, DATA))?;
    let waited = begin.elapsed().as_secs_f64();
    let sealed = cache.join(key(&format!("{}/{}", hub.url, model.name)));
    while !sealed.exists() {
        if begin.elapsed() > SEALED_WITHIN {
            return Err("the last byte was read, but the model was never sealed".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let (seconds, sum) = (
        begin.elapsed().as_secs_f64(),
        read::through_and_sum(&sealed.join(DATA))?,
    );
    if sum != model.sum {
        return Err("the sealed model has other bytes than were packed".into());
    }
    Ok((waited, seconds))
}

fn how(model: &Model, times: &Times) -> String {
    let show = |samples: &[f64]| format!("{:.2} s", median(samples));
    format!(
        "{} MiB packed, {} MiB unpacked; mount {} (read whole meanwhile {}, sealed after {}), hub.resolve {}, inflating {}; medians of {}",
        model.packed >> 20,
        model.data >> 20,
        show(&times.last_byte),
        show(&times.whole),
        show(&times.sealed),
        show(&times.resolve),
        show(&times.inflate),
        times.inflate.len(),
    )
}

/// Seconds of one hub.resolve into an empty cache.
fn resolve(room: &Room, hub: &Hub, tensorflow: &mut Python, model: &Model) -> Result<f64> {
    let place = room.fresh()?;
    let question = format!("{}/{}\t{}", hub.url, model.name, place.path().display());
    let answer = tensorflow.ask(&question)?;
    let (seconds, size) = answer.split_once(' ').ok_or("two numbers")?;
    if size.parse() == Ok(model.data) {
        Ok(seconds.parse()?)
    } else {
        Err(format!("hub.resolve left {size} bytes, not {}", model.data).into())
    }
}
