//! `--simulate latency=30ms,rate=50MB/s,total=400MB/s`: what the words mean, and
//! the arithmetic of a link that is slower than the real one.

use std::str::FromStr;
use std::time::Duration;

/// A network to imitate. The default imitates nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Simulation {
    /// From a request to the first byte of its answer.
    pub latency: Duration,
    /// Bytes a second of one connection.
    pub rate: Option<u64>,
    /// Bytes a second of all connections together.
    pub total: Option<u64>,
}

/// A `--simulate` value that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimulationError {
    /// Not `key=value`, or an unknown key.
    #[error(
        "{0:?} is no setting; write latency=30ms, rate=50MB/s or total=400MB/s, joined by commas"
    )]
    Setting(String),
    /// A key twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// Not a time.
    #[error("{0:?} is no latency; write a number with s, ms or us, for example 30ms, at most 60s")]
    Latency(String),
    /// Not a rate.
    #[error(
        "{0:?} is no rate; write a number above 0 with B/s, kB/s, MB/s, GB/s, KiB/s, MiB/s or GiB/s, for example 50MB/s"
    )]
    Rate(String),
}

impl FromStr for Simulation {
    type Err = SimulationError;

    fn from_str(text: &str) -> Result<Simulation, SimulationError> {
        let (mut latency, mut rate, mut total) = (None, None, None);
        for setting in text.split(',').map(str::trim).filter(|s| !s.is_empty()) {
            let unknown = || SimulationError::Setting(setting.to_owned());
            let (key, value) = setting.split_once('=').ok_or_else(unknown)?;
            let again = match key.trim() {
                "latency" => latency
                    .replace(parse_latency(value.trim())?)
                    .map(|_| "latency"),
                "rate" => rate.replace(parse_rate(value.trim())?).map(|_| "rate"),
                "total" => total.replace(parse_rate(value.trim())?).map(|_| "total"),
                _ => return Err(unknown()),
            };
            if let Some(key) = again {
                return Err(SimulationError::Twice(key));
            }
        }
        Ok(Simulation {
            latency: latency.unwrap_or_default(),
            rate,
            total,
        })
    }
}

/// A number and what follows it.
fn number(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit.trim_start()))
}

fn parse_latency(text: &str) -> Result<Duration, SimulationError> {
    let wrong = || SimulationError::Latency(text.to_owned());
    let (value, unit) = number(text).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => value,
        "ms" => value / 1e3,
        "us" | "µs" => value / 1e6,
        "" if value == 0.0 => 0.0,
        _ => return Err(wrong()),
    };
    if seconds > 60.0 {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

fn parse_rate(text: &str) -> Result<u64, SimulationError> {
    let wrong = || SimulationError::Rate(text.to_owned());
    let (value, unit) = number(text).ok_or_else(wrong)?;
    let factor = match unit {
        "B/s" => 1.0,
        "kB/s" | "KB/s" => 1e3,
        "MB/s" => 1e6,
        "GB/s" => 1e9,
        "KiB/s" => 1024.0,
        "MiB/s" => 1_048_576.0,
        "GiB/s" => 1_073_741_824.0,
        _ => return Err(wrong()),
    };
    let rate = value * factor;
    // A float becomes an integer here by saturation; beyond 1 TB/s nothing is shaped.
    if (1.0..=1e12).contains(&rate) {
        Ok(rate as u64)
    } else {
        Err(wrong())
    }
}

/// How far a link may catch up after it was held up, by a timer that woke late
/// or a reader that paused: enough for the timer's millisecond, too little to
/// show as a burst.
pub const SLACK: Duration = Duration::from_millis(10);

/// A token bucket, told the time by its caller: bytes cross a link of fixed
/// rate one after another.
#[derive(Debug)]
pub struct Pace {
    rate: u64,
    /// When everything taken so far has crossed.
    free: Duration,
}

impl Pace {
    /// A link of `rate` bytes a second, idle at time `now`.
    pub fn new(rate: u64, now: Duration) -> Pace {
        Pace {
            rate: rate.max(1),
            free: now,
        }
    }

    /// When `bytes` more have crossed, if they are handed over at `now`.
    pub fn take(&mut self, now: Duration, bytes: u64) -> Duration {
        let start = self.free.max(now.saturating_sub(SLACK));
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        self.free = start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.free
    }

    /// Bytes to hand over at once, so that throughput is smooth: 4 ms worth.
    pub fn step(&self) -> usize {
        (self.rate / 250).clamp(512, 256 << 10) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn settings_are_read() {
        let read = |text: &str| text.parse::<Simulation>();
        let all = Simulation {
            latency: Duration::from_millis(30),
            rate: Some(50_000_000),
            total: Some(400_000_000),
        };
        assert_eq!(read("latency=30ms,rate=50MB/s,total=400MB/s"), Ok(all));
        assert_eq!(
            read(" total = 400 MB/s , rate=50000kB/s,latency=0.03s"),
            Ok(all)
        );
        assert_eq!(read(""), Ok(Simulation::default()));
        assert_eq!(read("latency=0").unwrap().latency, Duration::ZERO);
        assert_eq!(read("rate=1MiB/s").unwrap().rate, Some(1 << 20));
    }

    #[test]
    fn nonsense_is_named() {
        use SimulationError as E;
        let error = |text: &str| text.parse::<Simulation>().unwrap_err();
        assert_eq!(error("slow"), E::Setting("slow".into()));
        assert_eq!(error("loss=3%"), E::Setting("loss=3%".into()));
        assert_eq!(error("rate=1MB/s,rate=2MB/s"), E::Twice("rate"));
        for latency in ["30", "30m", "-1ms", "ms", "1.2.3ms", "61s", "1e9s", ""] {
            assert_eq!(
                error(&format!("latency={latency}")),
                E::Latency(latency.into())
            );
        }
        for rate in [
            "50",
            "50MB",
            "0MB/s",
            "50Mbit/s",
            "-1MB/s",
            "MB/s",
            "9999999GB/s",
        ] {
            assert_eq!(error(&format!("rate={rate}")), E::Rate(rate.into()));
        }
    }

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn bytes_cross_one_after_another() {
        let mut pace = Pace::new(1_000_000, Duration::ZERO);
        assert_eq!(pace.take(ms(0), 100_000), ms(100));
        assert_eq!(
            pace.take(ms(0), 100_000),
            ms(200),
            "two who share a link wait for each other"
        );
        assert_eq!(pace.take(ms(200), 50_000), ms(250));
        // Woken 3 ms late: what was lost is caught up.
        assert_eq!(pace.take(ms(253), 50_000), ms(300));
        // An idle second earns the slack and no more.
        assert_eq!(pace.take(ms(1300), 50_000), ms(1300) - SLACK + ms(50));
    }

    proptest! {
        #[test]
        fn no_window_exceeds_the_rate_by_more_than_the_slack(
            rate in 1_000u64..1_000_000_000,
            steps in proptest::collection::vec((0u64..20_000, 1u64..300_000), 1..200),
        ) {
            let mut pace = Pace::new(rate, Duration::ZERO);
            let (mut now, mut sent) = (Duration::ZERO, 0u64);
            for (pause, bytes) in steps {
                now += Duration::from_micros(pause);
                now = now.max(pace.take(now, bytes));
                sent += bytes;
                let allowed = rate as f64 * (now + SLACK).as_secs_f64() + 1.0;
                prop_assert!(sent as f64 <= allowed, "{sent} by {now:?}");
            }
        }

        #[test]
        fn a_sender_that_never_pauses_gets_the_whole_rate(rate in 1_000u64..1_000_000_000, count in 1u64..200) {
            let mut pace = Pace::new(rate, Duration::ZERO);
            let step = pace.step() as u64;
            let mut now = Duration::ZERO;
            for _ in 0..count {
                now = pace.take(now, step);
            }
            let expected = (step * count) as f64 / rate as f64;
            prop_assert!((now.as_secs_f64() - expected).abs() < 1e-6 + count as f64 * 1e-9);
        }
    }
}
