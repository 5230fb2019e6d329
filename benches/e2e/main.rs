//! The bars that tfhub-fs must reach, measured through the kernel with the release binary against hubs on loopback,
//! which are this program started again as the scripted origin of the tests.
//!
//! `cargo bench --bench e2e -- [NAME...] [--quick]`, or `scripts/bench`. The table goes to stdout, talk to stderr.
//! What each bar means and how it is measured: docs/benchmarks.md. Without cargo's `--bench` (as `cargo test
//! --benches` runs it) only the measuring itself is checked.

mod clean;
mod crowd;
mod figures;
mod fill;
mod first_byte;
mod hosts;
mod listing;
mod material;
mod memory;
mod net;
#[allow(clippy::unwrap_used, clippy::expect_used)]
#[path = "../../tests/origin/mod.rs"]
mod origin;
mod program;
mod python;
mod read;
mod room;
mod sealed;
mod self_test;
mod start;
mod stream;
mod sys;
mod together;
mod touched;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use figures::Row;
use room::Room;

/// The bench only tells a person what went wrong, so that any error will do.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

type Bar = fn(&Room) -> Result<Vec<Row>>;

const BARS: [(&str, Bar); 11] = [
    ("sealed", sealed::run),
    ("first-byte", first_byte::run),
    ("fill", fill::run),
    ("together", together::run),
    ("memory", memory::run),
    ("start", start::run),
    ("crowd", crowd::run),
    ("hosts", hosts::run),
    ("stream", stream::run),
    ("touched", touched::run),
    ("listing", listing::run),
];

/// A bar that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(240);

struct Wanted {
    names: Vec<String>,
    quick: bool,
    measure: bool,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq("origin").is_some() {
        origin::program::run(arguments);
        return ExitCode::SUCCESS;
    }
    let wanted = match wanted(arguments) {
        Ok(wanted) => wanted,
        Err(message) => {
            eprintln!("bars: {message}");
            return ExitCode::from(2);
        }
    };
    let outcome = if wanted.measure {
        measure(&wanted)
    } else {
        self_test::run().map(|()| true)
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bars: {error}");
            ExitCode::FAILURE
        }
    }
}

fn wanted(arguments: impl Iterator<Item = String>) -> std::result::Result<Wanted, String> {
    let mut wanted = Wanted {
        names: Vec::new(),
        quick: false,
        measure: false,
    };
    for argument in arguments {
        match argument.as_str() {
            "--bench" => wanted.measure = true,
            "--quick" => wanted.quick = true,
            name if BARS.iter().any(|(known, _)| *known == name) => wanted.names.push(argument),
            other => {
                let names: Vec<&str> = BARS.iter().map(|(name, _)| *name).collect();
                return Err(format!(
                    "`{other}` is no bar; choose from {}, and --quick",
                    names.join(", ")
                ));
            }
        }
    }
    Ok(wanted)
}

/// Runs the wanted bars, prints the table; false if a limit was missed or a bar failed.
fn measure(wanted: &Wanted) -> Result<bool> {
    let started = Instant::now();
    let room = Room::new(wanted.quick)?;
    clean::watch(started)?;
    let mut rows = Vec::new();
    for (name, bar) in BARS {
        if !wanted.names.is_empty() && !wanted.names.iter().any(|wanted| wanted == name) {
            continue;
        }
        eprintln!(
            "bars: {name} ({:.0} s so far)",
            started.elapsed().as_secs_f64()
        );
        clean::allow(started, LONGEST);
        match bar(&room) {
            Ok(measured) => rows.extend(measured),
            Err(error) => {
                eprintln!("bars: {name} failed: {error}");
                rows.push(
                    Row::holds(name, "failed", "-", false)
                        .how(error.to_string().replace('\n', " ")),
                );
            }
        }
    }
    eprintln!("bars: {:.0} s in all", started.elapsed().as_secs_f64());
    print!("{}", figures::table(&rows));
    Ok(!rows.iter().any(Row::missed))
}
