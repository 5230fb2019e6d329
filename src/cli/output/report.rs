//! What became of each of several models: a line as soon as it is known, or one JSON document at the end.

use serde::Serialize;

use super::{stdout, units};
use crate::cli::failure::Failure;

/// What became of one model.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Done {
    handle: String,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip)]
    bad: bool,
}

impl Done {
    /// Of a model of this handle.
    pub fn of(handle: &str, result: &'static str) -> Done {
        Done {
            handle: handle.to_owned(),
            result,
            bytes: None,
            why: None,
            bad: false,
        }
    }

    /// With the size of what it is about.
    pub fn sized(self, bytes: u64) -> Done {
        let bytes = Some(bytes);
        Done { bytes, ..self }
    }

    /// With the reason.
    pub fn because(self, why: impl ToString) -> Done {
        let why = Some(why.to_string());
        Done { why, ..self }
    }

    /// Not what was wanted: the command has failed.
    pub fn bad(self) -> Done {
        Done { bad: true, ..self }
    }

    /// The reason, if there is one.
    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    fn line(&self) -> String {
        let bytes = self.bytes.map(|bytes| format!("  {}", units::size(bytes)));
        let why = self.why.as_ref().map(|why| format!(": {why}"));
        let (bytes, why) = (bytes.unwrap_or_default(), why.unwrap_or_default());
        format!("{}  {}{bytes}{why}\n", self.result, self.handle)
    }
}

/// Where the lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum To {
    /// A line for each model on stdout.
    Lines,
    /// The same on stderr, because stdout has something else.
    Talk,
    /// One JSON array on stdout, at the end.
    Json,
}

impl To {
    /// As `--json` says.
    pub fn stdout(json: bool) -> To {
        if json { To::Json } else { To::Lines }
    }
}

/// The models so far.
#[derive(Debug)]
pub(in crate::cli) struct Report {
    to: To,
    done: Vec<Done>,
}

impl Report {
    pub fn new(to: To) -> Report {
        Report {
            to,
            done: Vec::new(),
        }
    }

    /// Says what became of a model.
    pub fn tell(&mut self, done: Done) -> Result<(), Failure> {
        match self.to {
            To::Lines => stdout::say(&done.line())?,
            To::Talk => eprint!("{}", done.line()),
            To::Json => {}
        }
        self.done.push(done);
        Ok(())
    }

    /// How many have not become what was wanted.
    pub fn bad(&self) -> usize {
        self.done.iter().filter(|done| done.bad).count()
    }

    /// Ends the document.
    ///
    /// # Errors
    ///
    /// One of the models has not become what was wanted.
    pub fn end(self) -> Result<(), Failure> {
        let (bad, all) = (self.bad(), self.done.len());
        self.close()?;
        match bad {
            0 => Ok(()),
            _ => Err(Failure::Failed(format!(
                "{bad} of {} failed; see above",
                units::models(all)
            ))),
        }
    }

    /// Ends the document, whatever is in it.
    pub fn close(self) -> Result<(), Failure> {
        match self.to {
            To::Json => stdout::json(&self.done),
            To::Lines | To::Talk => Ok(()),
        }
    }
}
