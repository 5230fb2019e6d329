//! A link slower than loopback, `latency=30ms,rate=50MB/s,total=400MB/s`: answers come late, and their bytes one after another.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// What a link does to answers. By default they pass as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shape {
    /// From a request to the first byte of its answer.
    pub latency: Duration,
    /// Bytes a second of one connection.
    pub rate: Option<u64>,
    /// Bytes a second of all connections together.
    pub total: Option<u64>,
}

impl Shape {
    /// Reads settings that are joined by commas; latency in ms, rates in MB/s or KB/s.
    pub fn read(text: &str) -> Shape {
        let mut shape = Shape::default();
        for setting in text.split(',').filter(|setting| !setting.is_empty()) {
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            match key {
                "latency" => shape.latency = Duration::from_millis(number(value, "ms")),
                "rate" => shape.rate = Some(bytes(value)),
                "total" => shape.total = Some(bytes(value)),
                _ => panic!("{setting} is no setting of a link"),
            }
        }
        shape
    }
}

fn number(text: &str, unit: &str) -> u64 {
    let digits = text.strip_suffix(unit);
    let number = digits.and_then(|digits| digits.parse().ok());
    number.unwrap_or_else(|| panic!("{text} is no number of {unit}"))
}

fn bytes(text: &str) -> u64 {
    match text.ends_with("KB/s") {
        true => number(text, "KB/s") * 1_000,
        false => number(text, "MB/s") * 1_000_000,
    }
}

/// The link between the hosts and all of their clients.
#[derive(Debug)]
pub struct Link {
    shape: Shape,
    epoch: Instant,
    total: Option<Mutex<Pace>>,
}

impl Link {
    /// Idle from now on.
    pub fn new(shape: Shape) -> Link {
        let total = shape
            .total
            .map(|rate| Mutex::new(Pace::new(rate, Duration::ZERO)));
        let epoch = Instant::now();
        Link {
            shape,
            epoch,
            total,
        }
    }

    /// Holds an answer up for as long as its first byte takes.
    pub fn delay(&self) {
        thread::sleep(self.shape.latency);
    }

    /// The way of one connection over the link; HTTP/1 sends one answer at a time on it.
    pub fn lane(&self) -> Lane<'_> {
        let own = self
            .shape
            .rate
            .map(|rate| Pace::new(rate, self.epoch.elapsed()));
        let total = self
            .total
            .as_ref()
            .map(|total| total.lock().unwrap().step());
        let steps = [own.as_ref().map(Pace::step), total];
        let step = steps.into_iter().flatten().min().unwrap_or(usize::MAX);
        Lane {
            link: self,
            own,
            step,
        }
    }
}

/// One answer on its way over a link.
pub struct Lane<'a> {
    link: &'a Link,
    own: Option<Pace>,
    /// Bytes to hand over at once.
    pub step: usize,
}

impl Lane<'_> {
    /// Returns when so many bytes have crossed.
    pub fn carry(&mut self, bytes: usize) {
        let now = self.link.epoch.elapsed();
        let own = self.own.as_mut().map(|pace| pace.take(now, bytes as u64));
        let total = self.link.total.as_ref();
        let total = total.map(|pace| pace.lock().unwrap().take(now, bytes as u64));
        if let Some(due) = own.max(total) {
            thread::sleep(due.saturating_sub(self.link.epoch.elapsed()));
        }
    }
}

/// How far a link may catch up after it was held up, by a timer that woke late
/// or a reader that paused: enough for the timer's millisecond, too little to
/// show as a burst.
const SLACK: Duration = Duration::from_millis(10);

/// A token bucket, told the time by its caller: bytes cross a link of fixed
/// rate one after another.
#[derive(Debug)]
struct Pace {
    rate: u64,
    /// When everything taken so far has crossed.
    free: Duration,
}

impl Pace {
    /// A link of `rate` bytes a second, idle at time `now`.
    fn new(rate: u64, now: Duration) -> Pace {
        Pace {
            rate: rate.max(1),
            free: now,
        }
    }

    /// When `bytes` more have crossed, if they are handed over at `now`.
    fn take(&mut self, now: Duration, bytes: u64) -> Duration {
        let start = self.free.max(now.saturating_sub(SLACK));
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        self.free = start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.free
    }

    /// Bytes to hand over at once, so that throughput is smooth: 4 ms worth.
    fn step(&self) -> usize {
        (self.rate / 250).clamp(512, 256 << 10) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn settings_are_read() {
        let all = Shape {
            latency: ms(30),
            rate: Some(50_000_000),
            total: Some(400_000),
        };
        assert_eq!(Shape::read("latency=30ms,rate=50MB/s,total=400KB/s"), all);
        assert_eq!(Shape::read(""), Shape::default());
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
