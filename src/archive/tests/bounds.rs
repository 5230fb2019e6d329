//! Archives that ask for too much.

use super::accept::old_sparse;
use super::build::{Pack, bzip2, gzip, header, record, sample, xz, xz_with};
use super::{refusal_within, refused, unpacked_within};
use crate::archive::{Limits, Refusal};
use std::time::Instant;

#[test]
fn sizes_beyond_reason_are_refused_before_they_are_believed() {
    let claim = |typeflag: u8, first: u8| {
        let mut header = header(typeflag, b"x", 0);
        header.as_old_mut().size = [first, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0];
        header.set_cksum();
        Pack::new().raw(&header, b"").0
    };
    refused!(
        claim(b'0', 0x80),
        Refusal::FileTooLarge {
            size: 0x8000_0000_0000_0000,
            ..
        },
        "--max-model-size"
    );
    refused!(
        claim(b'0', 0x81),
        Refusal::FileTooLarge { size: u64::MAX, .. },
        "more than the 1099511627776"
    );
    refused!(
        claim(b'0', 0xc0),
        Refusal::BadHeader { .. },
        "size is not a number"
    );
    refused!(
        claim(b'L', 0x80),
        Refusal::ExtensionTooLong {
            what: "long name",
            ..
        },
        "1048576"
    );
    refused!(
        claim(b'K', 0x80),
        Refusal::ExtensionTooLong { .. },
        "long link"
    );
    refused!(
        claim(b'x', 0x80),
        Refusal::ExtensionTooLong { .. },
        "pax header"
    );
    refused!(
        claim(b'g', 0x80),
        Refusal::ExtensionTooLong { .. },
        "pax header"
    );
    let pax = Pack::new()
        .pax(&[("size", "9223372036854775808")])
        .file("x", "")
        .end();
    refused!(pax, Refusal::FileTooLarge { .. }, "9223372036854775808");
    let pax = Pack::new()
        .pax(&[("size", "99999999999999999999999999")])
        .file("x", "")
        .end();
    refused!(pax, Refusal::FileTooLarge { size: u64::MAX, .. }, "claims");
    refused!(
        old_sparse(1 << 63, &[(1 << 63, 0)], b"").end(),
        Refusal::FileTooLarge { .. },
        "claims"
    );
}

#[test]
fn limits_on_files_and_their_sum() {
    let limits = Limits {
        max_file: 10,
        max_total: 25,
        ..Limits::default()
    };
    let files = |sizes: &[usize]| {
        sizes
            .iter()
            .fold(Pack::new(), |pack, size| {
                pack.file(&format!("f{size}"), vec![1; *size])
            })
            .end()
    };
    assert!(unpacked_within(&files(&[10, 9, 6]), &limits).is_ok());
    let large = refusal_within(&files(&[1, 11]), &limits);
    assert_eq!(
        large.to_string(),
        "\"f11\" claims 11 bytes, more than the 10 that are allowed (--max-model-size)"
    );
    let total = refusal_within(&files(&[10, 9, 7]), &limits);
    assert!(
        matches!(
            total,
            Refusal::TotalTooLarge {
                total: 26,
                limit: 25,
                ..
            }
        ),
        "{total}"
    );
    let again = Pack::new()
        .file("a", [1; 10])
        .file("a", [1; 10])
        .file("a", [1; 10])
        .end();
    assert!(
        matches!(
            refusal_within(&again, &limits),
            Refusal::TotalTooLarge { total: 30, .. }
        ),
        "copies count"
    );
}

#[test]
fn limits_on_entries_and_names() {
    let limits = Limits {
        max_entries: 4,
        ..Limits::default()
    };
    let numbered = |count: usize| {
        (0..count)
            .fold(Pack::new(), |pack, n| pack.file(&n.to_string(), ""))
            .end()
    };
    assert!(unpacked_within(&numbered(4), &limits).is_ok());
    assert!(matches!(
        refusal_within(&numbered(5), &limits),
        Refusal::TooManyEntries { limit: 4 }
    ));
    let deep = Pack::new().file("a/b/c/d/e", "").end();
    assert!(
        matches!(
            refusal_within(&deep, &limits),
            Refusal::TooManyEntries { limit: 4 }
        ),
        "implied directories count"
    );
    let same = (0..5)
        .fold(Pack::new(), |pack, _| pack.dir("./"))
        .file("a", "")
        .end();
    assert!(
        matches!(
            refusal_within(&same, &limits),
            Refusal::TooManyEntries { limit: 4 }
        ),
        "members count"
    );
    let global = (0..5)
        .fold(Pack::new(), |pack, _| {
            pack.typed(b'g', "g", &record("comment", "x"))
        })
        .file("a", "")
        .end();
    assert!(
        matches!(
            refusal_within(&global, &limits),
            Refusal::TooManyEntries { limit: 4 }
        ),
        "global headers count"
    );
    let names = Limits {
        max_names: 100,
        ..Limits::default()
    };
    let long = Pack::new()
        .file(&format!("{}/{}", "a".repeat(40), "b".repeat(40)), "")
        .end();
    assert!(matches!(
        refusal_within(&long, &names),
        Refusal::NamesTooLong { limit: 100 }
    ));
}

#[test]
fn a_million_entries() {
    let begun = Instant::now();
    let one = header(b'0', b"", 0);
    let mut archive = Vec::with_capacity(100_001 * 512);
    for n in 0..100_001 {
        let mut header = one.clone();
        header.as_old_mut().name[..6].copy_from_slice(format!("{n:06}").as_bytes());
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
    }
    refused!(
        archive,
        Refusal::TooManyEntries { limit: 100_000 },
        "--max-archive-entries"
    );
    assert!(begun.elapsed().as_secs() < 120, "this takes a second");
}

#[test]
fn bombs() {
    let limits = Limits {
        ratio_floor: 1 << 20,
        max_ratio: 100,
        ..Limits::default()
    };
    let bomb = Pack::new().file("zeros", vec![0; 4 << 20]).end();
    for pack in [gzip, bzip2, xz] {
        match refusal_within(&pack(&bomb), &limits) {
            Refusal::RatioTooHigh {
                decompressed,
                limit: 100,
                ..
            } => assert!(decompressed < 2 << 20),
            other => panic!("{other}"),
        }
        assert!(
            unpacked_within(&pack(&bomb), &Limits::default()).is_ok(),
            "small ones are harmless"
        );
    }
    assert!(
        unpacked_within(&bomb, &limits).is_ok(),
        "what is not compressed is no bomb"
    );
}

#[test]
fn xz_memory_is_limited() {
    let mut options = lzma_rust2::XzOptions::with_preset(0);
    options.lzma_options.dict_size = 16 << 20;
    let archive = xz_with(&sample(), options);
    assert!(super::unpacked(&archive).is_ok());
    let limits = Limits {
        max_xz_memory: 8 << 20,
        ..Limits::default()
    };
    assert!(matches!(
        refusal_within(&archive, &limits),
        Refusal::XzMemory { limit: 0x80_0000 }
    ));
}
