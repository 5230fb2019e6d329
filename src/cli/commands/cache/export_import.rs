//! `tfhub-fs cache export` and `cache import`: models on their way to hosts without a network.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read};
use std::path::Path;

use super::directory::{self, shown};
use super::select::{Pick, choose, key_of, unknown};
use crate::cache::Cache;
use crate::cli::args::{Export, Import};
use crate::cli::failure::Failure;
use crate::cli::output::file::{self, Output};
use crate::cli::output::report::{Done, Report, To};
use crate::cli::output::units;
use crate::models::export_import::{self, Ready};

/// Writes the chosen models into a file that is there whole or not at all.
pub(super) fn export(command: &Export) -> Result<(), Failure> {
    let chosen = &command.chosen;
    let to = match (command.output == Path::new("-"), chosen.json) {
        (true, true) => {
            return Err(Failure::Usage(String::from(
                "--json and --output - both want standard output; leave one of them out",
            )));
        }
        (true, false) => To::Talk,
        (false, json) => To::stdout(json),
    };
    let cache = directory::open(&chosen.cache)?;
    let mut report = Report::new(to);
    let ready = ready(&cache, command, &mut report)?;
    if report.bad() > 0 {
        report.close()?;
        return Err(Failure::Failed(format!(
            "nothing was written to {}: not every model can be exported; see above",
            command.output.display()
        )));
    }
    if ready.is_empty() {
        return Err(Failure::Failed(format!(
            "nothing was written: no complete model is in {}",
            shown(&cache)
        )));
    }
    match write(&ready, command, &mut report) {
        Ok(()) => report.end(),
        Err(failure) => {
            report.close()?;
            Err(failure)
        }
    }
}

/// The models, each of them looked at: nothing is written if one of them is not whole.
fn ready(cache: &Cache, command: &Export, report: &mut Report) -> Result<Vec<Ready>, Failure> {
    let mut all = Vec::new();
    for pick in choose(cache, &command.chosen)? {
        let item = match pick {
            Pick::Known(item) if command.chosen.all && !item.state.is_here() => continue,
            Pick::Known(item) => item,
            Pick::Unknown(typed) => {
                report.tell(unknown(&typed, cache))?;
                continue;
            }
        };
        if command.chosen.all && item.handle == item.key {
            eprintln!("skipping {}: its handle is not known", item.key);
            continue;
        }
        match Ready::look(cache, &key_of(&item)?, &item.handle) {
            Ok(ready) => all.push(ready),
            Err(error) => {
                report.tell(Done::of(&item.handle, "not exported").because(error).bad())?
            }
        }
    }
    Ok(all)
}

fn write(ready: &[Ready], command: &Export, report: &mut Report) -> Result<(), Failure> {
    let out = Output::begin(&command.output)?;
    let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 20, out));
    for model in ready {
        let bytes = model.export(&mut tar).map_err(Failure::failed)?;
        report.tell(Done::of(model.handle(), "exported").sized(bytes))?;
    }
    let cannot = |error| file::at(&command.output, &error);
    let buffer = tar.into_inner().map_err(cannot)?;
    let out = buffer
        .into_inner()
        .map_err(|error| cannot(error.into_error()))?;
    out.finish().map_err(cannot)
}

/// Takes in what such a file holds.
pub(super) fn import(command: &Import) -> Result<(), Failure> {
    let file = command.file.display();
    let input: Box<dyn Read> = match command.file == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => {
            let opened = File::open(&command.file);
            let cannot = |error| Failure::Failed(format!("cannot read {file}: {error}"));
            Box::new(opened.map_err(cannot)?)
        }
    };
    let cache = directory::make(&command.cache)?;
    let mut report = Report::new(To::stdout(command.json));
    let (mut taken, mut told) = (0, Ok(()));
    let imported = export_import::import(&cache, BufReader::with_capacity(1 << 20, input), |one| {
        taken += usize::from(!one.known);
        let result = if one.known { "known" } else { "imported" };
        let done = Done::of(&one.handle, result).sized(one.bytes);
        if told.is_ok() {
            told = report.tell(done);
        }
    });
    told?;
    report.close()?;
    imported.map_err(|error| {
        let before = match taken {
            0 => String::from("no model was imported"),
            _ => format!(
                "{} imported before that, into {}",
                were(taken),
                shown(&cache)
            ),
        };
        Failure::Failed(format!("{file}: {error}; {before}"))
    })
}

fn were(count: usize) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} {verb}", units::models(count))
}
