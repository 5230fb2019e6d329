//! Sizes: `300MiB`.

use std::fmt;
use std::str::FromStr;

use super::Error;

/// Powers of 1024 are `KiB` and, as coreutils and systemd have it, plain `K`; powers of 1000 are `KB`.
const UNITS: [(&str, u64); 17] = [
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kb", 1000),
    ("kib", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1_000_000_000),
    ("gib", 1 << 30),
    ("t", 1 << 40),
    ("tb", 1_000_000_000_000),
    ("tib", 1 << 40),
    ("p", 1 << 50),
    ("pb", 1_000_000_000_000_000),
    ("pib", 1 << 50),
];

/// A number of bytes, typed with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = Error;

    /// Reads `300MiB`, `1.5 GB` (fractions round down), `4096`; units in any case.
    fn from_str(typed: &str) -> Result<Self, Error> {
        bytes(typed).map(Self).map_err(|why| {
            Error::value(
                "size",
                typed,
                why,
                "a number and a unit, like `300MiB`, `2GB` or `4096`",
            )
        })
    }
}

impl fmt::Display for ByteSize {
    /// The shortest exact form, which reads back as the same size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BINARY: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        const DECIMAL: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
        let (binary, binary_power) = divided(self.0, 1024);
        let (decimal, decimal_power) = divided(self.0, 1000);
        if self.0 == 0 || (binary_power == 0 && decimal_power == 0) {
            write!(f, "{} B", self.0)
        } else if binary_power >= decimal_power {
            write!(f, "{binary} {}", BINARY[binary_power - 1])
        } else {
            write!(f, "{decimal} {}", DECIMAL[decimal_power - 1])
        }
    }
}

/// `number` without its factors `by`, of which at most five are taken, and how many there were.
fn divided(mut number: u64, by: u64) -> (u64, usize) {
    let mut power = 0;
    while power < 5 && number != 0 && number.is_multiple_of(by) {
        number /= by;
        power += 1;
    }
    (number, power)
}

fn bytes(typed: &str) -> Result<u64, &'static str> {
    let typed = typed.trim();
    let end = typed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(typed.len());
    let (number, unit) = typed.split_at(end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit);
    let (_, factor) = factor.ok_or("its unit is none of B, kB, KiB, MB, MiB, GB, GiB, TB, TiB")?;
    scaled(number, (*factor).into())?
        .try_into()
        .map_err(|_| TOO_LARGE)
}

const TOO_LARGE: &str = "it is too large";

/// A decimal number times `factor`, rounded down.
pub(super) fn scaled(number: &str, factor: u128) -> Result<u128, &'static str> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // Nine places are a nanosecond of a second, and keep the product below small.
    let is_number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > 9 {
        return Err("it does not begin with a number");
    }
    let places = 10_u128.pow(fraction.len() as u32);
    let whole: u128 = whole.parse().map_err(|_| TOO_LARGE)?;
    let fraction: u128 = fraction.parse().map_err(|_| TOO_LARGE)?;
    whole
        .checked_mul(factor)
        .and_then(|product| product.checked_add(fraction * factor / places))
        .ok_or(TOO_LARGE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_have_units() {
        for (typed, want) in [
            ("0", 0),
            ("4096", 4096),
            ("10B", 10),
            ("300MiB", 300 << 20),
            ("300 mib", 300 << 20),
            ("2K", 2048),
            ("2kB", 2000),
            ("1.5GB", 1_500_000_000),
            ("0.1KiB", 102),
            ("18446744073709551615", u64::MAX),
            ("16383PiB", 16383 << 50),
        ] {
            assert_eq!(typed.parse(), Ok(ByteSize(want)), "{typed}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for typed in [
            "",
            "MiB",
            "1..5M",
            ".5M",
            "1.",
            "-1",
            "+1",
            "1e3",
            "40%",
            "1 KiB/s",
            "1Kibit",
            "18446744073709551616",
            "16384PiB",
            "99999999999999999999999999999999999999999",
        ] {
            assert!(typed.parse::<ByteSize>().is_err(), "{typed}");
        }
    }

    proptest! {
        #[test]
        fn sizes_read_back(bytes in any::<u64>(), power in 0..50u32, thousands in 0..5u32) {
            for size in [bytes, (bytes >> 50) << power, (bytes >> 50) * 1000_u64.pow(thousands)] {
                prop_assert_eq!(ByteSize(size).to_string().parse(), Ok(ByteSize(size)));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*", like in "[0-9.]{0,50}[a-zA-Z]{0,3}") {
            for text in [text, like] {
                let _ = text.parse::<ByteSize>();
            }
        }
    }
}
