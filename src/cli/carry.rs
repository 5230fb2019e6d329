//! `tfhub-fs cache export` and `cache import`: models on their way to hosts without a network.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use super::args::{Export, Import};
use super::cache::{Done, choose, key_of, shown, told};
use super::{Failure, setup, table};
use crate::models::carry;
use crate::store::Standing;

/// Writes the chosen models; a file that could not be written whole is removed.
pub(super) fn export(command: &Export) -> Result<(), Failure> {
    let cache = setup::cache(&command.chosen.keep)?;
    let mut items = choose(&cache, &command.chosen)?;
    if command.chosen.all {
        items.retain(|item| !matches!(item.state, Standing::Evicted | Standing::Partial));
    }
    let to_stdout = command.output == Path::new("-");
    let out: Box<dyn Write> = match to_stdout {
        true => Box::new(std::io::stdout().lock()),
        false => Box::new(
            File::create(&command.output).map_err(|error| at(&command.output, "write", &error))?,
        ),
    };
    let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 20, out));
    let written = items.iter().try_for_each(|item| {
        let bytes = carry::export(&cache, &key_of(item)?, &mut tar).map_err(Failure::failed)?;
        eprintln!("{}: {}", item.handle, table::size(bytes));
        Ok(())
    });
    let finished = written.and_then(|()| {
        let finish = tar.into_inner().and_then(|mut out| out.flush());
        finish.map_err(|error| at(&command.output, "write", &error))
    });
    if finished.is_err() && !to_stdout {
        let _ = std::fs::remove_file(&command.output); // whoever finds a part of it takes it for all
    }
    finished
}

/// Takes in what such a file holds.
pub(super) fn import(command: &Import) -> Result<(), Failure> {
    let cache = setup::cache(&command.keep)?;
    let input: Box<dyn Read> = match command.file == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => {
            Box::new(File::open(&command.file).map_err(|error| at(&command.file, "read", &error))?)
        }
    };
    let mut done = Vec::new();
    let imported = carry::import(&cache, BufReader::with_capacity(1 << 20, input), |one| {
        let result = if one.known { "known" } else { "imported" };
        done.push(Done::of(one.handle, result));
    });
    told(&done, command.json, &[])?;
    imported.map_err(|error| {
        let file = command.file.display();
        Failure::Failed(format!(
            "{file}: {error}; {} models are in {}",
            done.len(),
            shown(&cache)
        ))
    })
}

fn at(file: &Path, what: &str, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("cannot {what} {}: {error}", file.display()))
}
