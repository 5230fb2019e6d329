//! How far models are that are being fetched: bars on a terminal, lines elsewhere; both on stderr, because stdout is data.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::units::{size, span};
use crate::handle::Handle;
use crate::models::Progress;

/// How often a bar moves.
pub(in crate::cli) const TICK: Duration = Duration::from_millis(100);

/// How often there is a line where there are no bars.
const LINE: Duration = Duration::from_secs(5);

/// How much of a name a bar shows: with everything else it fits into 80 columns.
const NAME: usize = 30;

/// All models of one run.
pub(in crate::cli) struct Show {
    bars: Option<(MultiProgress, ProgressBar)>,
}

impl Show {
    /// Of so many models.
    pub fn new(models: usize) -> Show {
        let bars = MultiProgress::new();
        // Hidden: a terminal that cannot move its cursor (TERM=dumb), which gets lines too.
        let fit = std::io::stderr().is_terminal() && !bars.is_hidden();
        let bars = fit.then(|| {
            let _ = BARS.set(bars.clone()); // one run a process
            let all = bars.add(ProgressBar::new(models as u64));
            all.set_style(style("{pos} of {len} models"));
            if models > 1 {
                all.tick();
            }
            (bars, all)
        });
        Show { bars }
    }

    /// One of them is being fetched from now on.
    pub fn begin(&self, handle: &Handle) -> Bar<'_> {
        let bar = self.bars.as_ref().map(|(bars, all)| {
            let bar = ProgressBar::no_length().with_style(style("{msg} {spinner} {size} {rate}"));
            let bar = bars.insert_before(all, bar);
            bar.set_message(short(&handle.to_string()));
            bar.enable_steady_tick(TICK);
            bar
        });
        Bar {
            show: self,
            handle: handle.to_string(),
            bar,
            line: (Instant::now(), 0),
        }
    }
}

/// What a terminal shows at the moment.
static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// stderr for whoever writes lines while there are bars: they are taken away meanwhile.
pub(in crate::cli) struct StderrBesideBars;

impl io::Write for StderrBesideBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        suspend_bars(|| io::Write::write(&mut io::stderr(), bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::Write::flush(&mut io::stderr())
    }
}

/// Writes to stdout or stderr, which may be the terminal that has the bars.
pub(in crate::cli) fn suspend_bars<T>(write: impl FnOnce() -> T) -> T {
    match BARS.get() {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// How far one model is.
pub(in crate::cli) struct Bar<'a> {
    show: &'a Show,
    handle: String,
    bar: Option<ProgressBar>,
    /// When there was a line last, and the bytes in it.
    line: (Instant, u64),
}

impl Bar<'_> {
    /// So much has come.
    pub fn moved(&mut self, progress: Progress) {
        match &self.bar {
            Some(bar) => {
                if let Some(total) = progress.total.filter(|total| bar.length() != Some(*total)) {
                    bar.set_length(total);
                    bar.set_style(style("{msg} {bar:12} {size} {rate} {left}"));
                }
                bar.set_position(progress.bytes);
            }
            None if self.line.0.elapsed() >= LINE => {
                let (at, before) =
                    std::mem::replace(&mut self.line, (Instant::now(), progress.bytes));
                let line = line(
                    progress,
                    progress.bytes.saturating_sub(before),
                    at.elapsed(),
                );
                eprintln!("{}: {line}", self.handle);
            }
            None => {}
        }
    }

    /// It has been here all the time: so many bytes.
    pub fn was_here(self, bytes: u64) {
        self.ended(&format!("{}, already cached", size(bytes)));
    }

    /// All of it is here: so many bytes, in this time.
    pub fn complete(self, bytes: u64, took: Duration) {
        let rate = per_second(bytes, took);
        let seconds = took.as_secs_f64();
        let text = format!("{} in {seconds:.1} s, {}/s", size(bytes), size(rate));
        self.ended(&text);
    }

    /// It could not be had.
    pub fn failed(self, why: &str) {
        self.ended(why);
    }

    fn ended(&self, text: &str) {
        // Many errors begin with the handle.
        let text = match text.starts_with(&self.handle) {
            true => text.to_owned(),
            false => format!("{}: {text}", self.handle),
        };
        match (&self.bar, &self.show.bars) {
            (Some(bar), Some((bars, all))) => {
                let _ = bars.println(text); // a terminal that is gone is told nothing more
                bar.finish_and_clear();
                bars.remove(bar);
                all.inc(1);
            }
            _ => eprintln!("{text}"),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // A template of our own is well formed, and the default says the same less well.
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let put = |out: &mut dyn Write, text: String| {
        let _ = out.write_str(&text); // into memory
    };
    style
        .with_key("size", move |state: &ProgressState, out: &mut dyn Write| {
            put(out, of(state.pos(), state.len()));
        })
        .with_key("rate", move |state: &ProgressState, out: &mut dyn Write| {
            put(out, format!("{}/s", size(state.per_sec() as u64)));
        })
        .with_key("left", move |state: &ProgressState, out: &mut dyn Write| {
            put(out, format!("{} left", span(state.eta())));
        })
}

/// What a line says after the model's name; `came` is what has come `within` the time since the line before.
fn line(progress: Progress, came: u64, within: Duration) -> String {
    let rate = per_second(came, within);
    let mut line = format!("{}, {}/s", of(progress.bytes, progress.total), size(rate));
    let left = progress
        .total
        .map(|total| total.saturating_sub(progress.bytes));
    if let Some(seconds) = left.and_then(|left| left.checked_div(rate)) {
        let _ = write!(line, ", {} left", span(Duration::from_secs(seconds)));
    }
    line
}

fn of(bytes: u64, total: Option<u64>) -> String {
    match total {
        Some(total) => format!("{} of {}", size(bytes), size(total)),
        None => size(bytes),
    }
}

fn per_second(bytes: u64, within: Duration) -> u64 {
    (bytes as f64 / within.as_secs_f64().max(1e-3)) as u64
}

/// A name in as many columns as each bar has for it. Its end tells models apart.
fn short(handle: &str) -> String {
    let name = handle.strip_prefix("https://").unwrap_or(handle);
    let length = name.chars().count();
    if length <= NAME {
        return format!("{name:NAME$}");
    }
    let end = name.chars().skip(length - (NAME - 1));
    format!("…{}", end.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_end_and_fill_their_columns() {
        let of = |handle| short(handle);
        assert_eq!(
            of("https://tfhub.dev/a/b/1"),
            format!("{:30}", "tfhub.dev/a/b/1")
        );
        let long = of("https://tfhub.dev/google/imagenet/mobilenet_v2_100_224/feature_vector/5");
        assert!(
            long.starts_with('…') && long.ends_with("_100_224/feature_vector/5"),
            "{long}"
        );
        assert_eq!(long.chars().count(), NAME);
    }

    #[test]
    fn lines_tell_bytes_rate_and_the_time_that_is_left() {
        let progress = |bytes, total| Progress { bytes, total };
        let second = Duration::from_secs(1);
        let mib = 1 << 20;
        assert_eq!(
            line(progress(20 * mib, Some(100 * mib)), 8 * mib, 2 * second),
            "20 MiB of 100 MiB, 4.0 MiB/s, 20 s left"
        );
        assert_eq!(line(progress(mib, None), mib, second), "1.0 MiB, 1.0 MiB/s");
        assert_eq!(
            line(progress(mib, Some(2 * mib)), 0, second),
            "1.0 MiB of 2.0 MiB, 0 B/s",
            "nobody knows when it ends"
        );
    }
}
