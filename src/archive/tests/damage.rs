//! Archives that were cut, damaged, or have something behind them.

use super::build::{bzip2, gzip, sample, xz};
use super::refusal;
use super::refused;
use super::sink::Tree;
use crate::archive::error::Place;
use crate::archive::format::Format;
use crate::archive::{Error, Limits, Refusal, unpack};
use std::io::{self, BufReader, Read};

#[test]
fn junk_behind_the_archive() {
    let plain = sample();
    let len = plain.len() as u64;
    for gap in [0usize, 512, 700_000] {
        let junk = [plain.clone(), vec![0; gap], b"junk".to_vec()].concat();
        for archive in [junk.clone(), gzip(&junk), bzip2(&junk), xz(&junk)] {
            match refusal(&archive) {
                Refusal::JunkAfter {
                    place: Place::Archive,
                    at,
                } => assert_eq!(at, len + gap as u64),
                other => panic!("{other}"),
            }
        }
    }
    for pack in [gzip, bzip2, xz] {
        let packed = pack(&plain);
        let junk = [packed.clone(), vec![0; 8], b"junk".to_vec()].concat();
        match refusal(&junk) {
            Refusal::JunkAfter {
                place: Place::Compressed,
                at,
            } => assert_eq!(at, packed.len() as u64 + 8),
            other => panic!("{other}"),
        }
        let more = [packed.clone(), packed].concat();
        refused!(
            more,
            Refusal::JunkAfter {
                place: Place::Archive,
                ..
            },
            "follows the end of the archive"
        );
    }
    let half = [gzip(&plain), vec![0x1f]].concat();
    refused!(half, Refusal::Truncated { .. }, "gzip");
}

#[test]
fn padding_has_an_end() {
    let endless = io::repeat(0).take(1 << 40);
    let error = unpack(
        BufReader::new(sample().chain(endless)),
        &Limits::default(),
        &mut Tree::default(),
    )
    .unwrap_err();
    assert!(
        matches!(
            error.refusal(),
            Some(Refusal::PaddingTooLong {
                place: Place::Archive
            })
        ),
        "{error}"
    );
    let packed = gzip(&sample());
    let endless = io::repeat(0).take(1 << 40);
    let error = unpack(
        BufReader::new(packed.chain(endless)),
        &Limits::default(),
        &mut Tree::default(),
    )
    .unwrap_err();
    assert!(
        matches!(
            error.refusal(),
            Some(Refusal::PaddingTooLong {
                place: Place::Compressed
            })
        ),
        "{error}"
    );
}

#[test]
fn a_cut_anywhere_is_noticed() {
    let plain = sample();
    let end = plain.len() - 1024;
    for cut in (0..end + 512).step_by(397).chain([512, 1024, end]) {
        let got = refusal(&plain[..cut]);
        let fits = if cut < 512 {
            matches!(got, Refusal::NotAnArchive { .. })
        } else {
            matches!(got, Refusal::CutShort { .. })
        };
        assert!(fits, "{cut}: {got}");
        for pack in [gzip, bzip2, xz] {
            let got = refusal(&pack(&plain[..cut]));
            assert!(
                matches!(got, Refusal::CutShort { .. } | Refusal::NotAnArchive { .. }),
                "{cut}: {got}"
            );
        }
    }
    for pack in [gzip, bzip2, xz] {
        let packed = pack(&plain);
        for cut in (20..packed.len())
            .step_by(131)
            .chain([packed.len() - 1, packed.len() - 8])
        {
            let got = refusal(&packed[..cut]);
            assert!(matches!(got, Refusal::Truncated { .. }), "{cut}: {got}");
        }
    }
    let within = refusal(&plain[..4096]).to_string();
    assert!(
        within.contains("(within \"./variables/variables.data-00000-of-00001\")"),
        "{within}"
    );
}

#[test]
fn wrong_checksums() {
    let plain = sample();
    let mut crc = gzip(&plain);
    let at = crc.len() - 6;
    crc[at] ^= 1;
    refused!(
        crc,
        Refusal::Corrupt {
            format: Format::Gzip,
            ..
        },
        "checksum"
    );
    let mut length = gzip(&plain);
    *length.last_mut().unwrap() ^= 1;
    refused!(
        length,
        Refusal::Corrupt {
            format: Format::Gzip,
            ..
        },
        "gzip"
    );
    let mut header = plain;
    header[600] ^= 1;
    header[512 + 148] ^= 1;
    refused!(header, Refusal::BadHeader { at: 512, .. }, "checksum");
}

#[test]
fn a_broken_input_is_not_a_broken_archive() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "reset by peer",
            ))
        }
    }
    let plain = sample();
    for packed in [plain.clone(), gzip(&plain), bzip2(&plain), xz(&plain)] {
        for cut in [0, 5, 300, packed.len() / 2, packed.len() - 4, packed.len()] {
            let input = BufReader::new(packed[..cut].chain(Fails));
            match unpack(input, &Limits::default(), &mut Tree::default()) {
                Err(Error::Input(error)) => assert_eq!(error.to_string(), "reset by peer"),
                other => panic!("{cut}: {other:?}"),
            }
        }
    }
}
