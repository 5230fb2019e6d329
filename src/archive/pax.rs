//! pax extended headers: records of the form `length key=value\n`.

use std::time::SystemTime;

use super::header::clock;

/// The records that matter here. Everything else (owners, xattrs, comments, other times) is ignored, as
/// tensorflow_hub does.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) mtime: Option<SystemTime>,
    pub(super) sparse: PaxSparse,
}

/// The `GNU.sparse.*` records of the three pax forms of a sparse member.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PaxSparse {
    /// `major` and `minor`: set by 1.0 only, whose map precedes the data.
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    /// `size` (0.0, 0.1) or `realsize` (1.0): of the unpacked file.
    pub(super) real_size: Option<u64>,
    /// `map` (0.1): offsets and lengths in turns.
    pub(super) map: Option<Vec<u64>>,
    /// `offset` and `numbytes` (0.0), repeated.
    pub(super) offsets: Vec<u64>,
    pub(super) lengths: Vec<u64>,
}

impl Pax {
    /// Reads all records of one header.
    ///
    /// # Errors
    /// A word about the record that is malformed.
    pub(super) fn parse(mut rest: &[u8]) -> Result<Pax, &'static str> {
        let mut pax = Pax::default();
        while rest.iter().any(|byte| *byte != 0) {
            let (key, value, after) = record(rest).ok_or("a pax record is malformed")?;
            pax.set(key, value)?;
            rest = after;
        }
        Ok(pax)
    }

    /// Whether it says something that can only be true of one member.
    pub(super) fn names_one_member(&self) -> bool {
        self.path.is_some() || self.size.is_some() || self.sparse != PaxSparse::default()
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let number = || decimal(value).ok_or("a pax record is not a number");
        let sparse = &mut self.sparse;
        match key {
            // An empty value takes back an earlier one.
            b"path" => self.path = (!value.is_empty()).then(|| value.to_vec()),
            b"size" if value.is_empty() => self.size = None,
            b"size" => self.size = Some(number()?),
            // Python's tarfile takes a malformed time for 0; here the header's own time stands.
            b"mtime" => self.mtime = time(value),
            b"GNU.sparse.major" => sparse.major = Some(number()?),
            b"GNU.sparse.minor" => sparse.minor = Some(number()?),
            b"GNU.sparse.name" => sparse.name = Some(value.to_vec()),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => sparse.real_size = Some(number()?),
            b"GNU.sparse.map" => {
                sparse.map = Some(list(value).ok_or("a pax sparse map is malformed")?)
            }
            b"GNU.sparse.offset" => sparse.offsets.push(number()?),
            b"GNU.sparse.numbytes" => sparse.lengths.push(number()?),
            _ => {}
        }
        Ok(())
    }
}

/// Key and value of the first record, and what follows it. A value may hold newlines, so only the length counts.
fn record(rest: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = rest.iter().take(20).position(|byte| *byte == b' ')?;
    let len = usize::try_from(decimal(&rest[..space])?).ok()?;
    let (record, after) = rest.split_at_checked(len)?;
    let body = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    (equals > 0).then_some((&body[..equals], &body[equals + 1..], after))
}

/// Decimal digits, nothing else; what is beyond 64 bits is as good as the largest number, which every limit refuses.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(value.saturating_mul(10).saturating_add(digit))
    })
}

fn list(text: &[u8]) -> Option<Vec<u64>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(|byte| *byte == b',').map(decimal).collect()
}

/// Seconds since 1970 with an optional sign and fraction.
fn time(text: &[u8]) -> Option<SystemTime> {
    let (sign, text) = text.strip_prefix(b"-").map_or((1, text), |text| (-1, text));
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let seconds = decimal(parts.next()?)?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction
        .iter()
        .copied()
        .chain(std::iter::repeat(b'0'))
        .take(9);
    let nanoseconds = digits.fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0'));
    Some(clock(i128::from(seconds) * sign, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn records_are_read_by_their_length() {
        let pax =
            Pax::parse(b"14 path=a\nb=c\n20 mtime=1700000000.5\n10 size=7\n16 comment=hello\n");
        assert!(pax.is_err(), "the third length is wrong");
        let pax =
            Pax::parse(b"14 path=a\nb=c\n22 mtime=1700000000.5\n10 size=7\n17 comment=hello\n\0\0")
                .unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"a\nb=c"[..]));
        assert_eq!(pax.size, Some(7));
        assert_eq!(
            pax.mtime,
            Some(SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 500_000_000))
        );
    }

    #[test]
    fn malformed_records_are_refused() {
        for bad in [
            &b"path=a\n"[..],
            b"8 path=a\n",
            b"99 path=a\n",
            b"0 path=a\n",
            b"2 path=a\n",
            b"9 path=ab",
            b"5 =a\n",
            b"10 size=x\n",
            b"11 size=-1\n",
            b"99999999999999999999999 path=a\n",
            b"21 GNU.sparse.map=1,\n",
        ] {
            assert!(Pax::parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(Pax::parse(b""), Ok(Pax::default()));
    }

    #[test]
    fn times_have_fractions_and_signs() {
        let at = |text: &str| {
            time(text.as_bytes()).map(|t| t.duration_since(SystemTime::UNIX_EPOCH).unwrap())
        };
        assert_eq!(at("12.000000001"), Some(Duration::new(12, 1)));
        assert_eq!(at("12"), Some(Duration::new(12, 0)));
        assert_eq!(at("-12.5"), Some(Duration::ZERO));
        assert_eq!(
            at("99999999999999999999999"),
            Some(Duration::from_secs(u32::MAX.into()))
        );
        assert_eq!(at("1e9"), None);
        assert_eq!(at(""), None);
    }
}
