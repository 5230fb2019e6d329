//! From samples to figures, and from figures to the table that is printed.

use std::fmt::Write;
use std::time::Instant;

use crate::Result;

/// The middle of the samples; of an even number, the mean of the two in the middle. NaN of none.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle)) {
        (_, None) => f64::NAN,
        (1, Some(value)) => *value,
        (_, Some(value)) => (value + sorted[middle - 1]) / 2.0,
    }
}

/// The largest sample.
pub(crate) fn largest(samples: &[f64]) -> f64 {
    samples.iter().copied().fold(f64::NAN, f64::max)
}

/// How long `work` took, in seconds.
pub(crate) fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let begin = Instant::now();
    let done = work()?;
    Ok((begin.elapsed().as_secs_f64(), done))
}

/// Two ways of doing the same, measured alternately, so that a neighbour's noise meets both.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// Seconds of the way under test.
    pub tested: Vec<f64>,
    /// Seconds of what it is compared with.
    pub plain: Vec<f64>,
}

impl Pairs {
    /// `rounds` pairs; which of the two goes first alternates.
    pub(crate) fn measure(
        rounds: usize,
        mut tested: impl FnMut() -> Result<f64>,
        mut plain: impl FnMut() -> Result<f64>,
    ) -> Result<Pairs> {
        let mut pairs = Pairs::default();
        for round in 0..rounds {
            if round % 2 == 0 {
                pairs.tested.push(tested()?);
                pairs.plain.push(plain()?);
            } else {
                pairs.plain.push(plain()?);
                pairs.tested.push(tested()?);
            }
        }
        Ok(pairs)
    }

    /// Adds the pairs of another measurement of the same.
    pub(crate) fn extend(&mut self, more: Pairs) {
        self.tested.extend(more.tested);
        self.plain.extend(more.plain);
    }

    /// The median over the pairs of plain time by tested time: the share of the plain speed that is reached.
    pub(crate) fn speed(&self) -> f64 {
        let ratios: Vec<f64> = self
            .plain
            .iter()
            .zip(&self.tested)
            .map(|(a, b)| a / b)
            .collect();
        median(&ratios)
    }
}

/// The median over rounds of `a / b`, round by round.
pub(crate) fn ratio(a: &[f64], b: &[f64]) -> f64 {
    let ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
    median(&ratios)
}

/// Bytes by seconds, as a person reads it.
pub(crate) fn rate(bytes: u64, seconds: f64) -> String {
    format!("{:.0} MiB/s", bytes as f64 / seconds / f64::from(1 << 20))
}

/// Seconds as milliseconds.
pub(crate) fn ms(seconds: f64) -> String {
    format!("{:.0} ms", seconds * 1000.0)
}

/// One line of the table.
pub(crate) struct Row {
    what: String,
    figure: String,
    limit: String,
    reached: Option<bool>,
    how: String,
}

impl Row {
    /// A figure that must be at most `limit`; both as numbers in the same unit, shown by `show`.
    pub(crate) fn at_most(
        what: impl Into<String>,
        figure: f64,
        limit: f64,
        show: fn(f64) -> String,
    ) -> Row {
        Row {
            what: what.into(),
            figure: show(figure),
            limit: format!("≤ {}", show(limit)),
            reached: Some(figure <= limit),
            how: String::new(),
        }
    }

    /// A figure that must be at least `limit`.
    pub(crate) fn at_least(
        what: impl Into<String>,
        figure: f64,
        limit: f64,
        show: fn(f64) -> String,
    ) -> Row {
        Row {
            limit: format!("≥ {}", show(limit)),
            reached: Some(figure >= limit),
            ..Row::at_most(what, figure, limit, show)
        }
    }

    /// Something that must be so.
    pub(crate) fn holds(
        what: impl Into<String>,
        figure: impl Into<String>,
        limit: impl Into<String>,
        so: bool,
    ) -> Row {
        Row {
            what: what.into(),
            figure: figure.into(),
            limit: limit.into(),
            reached: Some(so),
            how: String::new(),
        }
    }

    /// A figure without a limit, for the reader.
    pub(crate) fn note(what: impl Into<String>, figure: impl Into<String>) -> Row {
        Row {
            what: what.into(),
            figure: figure.into(),
            limit: "-".to_owned(),
            reached: None,
            how: String::new(),
        }
    }

    /// What stands behind the figure.
    pub(crate) fn how(mut self, how: impl Into<String>) -> Row {
        self.how = how.into();
        self
    }

    /// Whether a limit was missed.
    pub(crate) fn missed(&self) -> bool {
        self.reached == Some(false)
    }
}

/// The table in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text =
        String::from("| bar | figure | limit | reached | measured |\n|---|---|---|---|---|\n");
    for row in rows {
        let reached = match row.reached {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "-",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {reached} | {} |",
            row.what, row.figure, row.limit, row.how
        );
    }
    text
}

/// A ratio with two places.
pub(crate) fn two_places(ratio: f64) -> String {
    format!("{ratio:.2}")
}

/// A ratio with three places, for limits near 1.
pub(crate) fn three_places(ratio: f64) -> String {
    format!("{ratio:.3}")
}
