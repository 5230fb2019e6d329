//! Trees at random, and archives damaged at random.

use std::time::Instant;

use proptest::prelude::*;

use super::build::{Pack, bzip2, gzip, gzip_with, sample, xz};
use super::sink::Node;
use super::{tree, unpacked, unpacked_within};
use crate::archive::Limits;

/// Small limits, so that a random header cannot make a test slow.
fn small() -> Limits {
    Limits {
        max_file: 1 << 24,
        max_total: 1 << 24,
        max_entries: 1000,
        ..Limits::default()
    }
}

/// Files below directories that no file is called: `d0/d1/f.bin`.
fn files() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = "(d[0-2]{1,40}/){0,4}(f[a-zé]{1,80}|\\.\\.f|f\\.pb)";
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..2000),
        (any::<u8>(), 0usize..600_000).prop_map(|(byte, len)| vec![byte; len]),
        Just(vec![1; 512]),
    ];
    prop::collection::vec((name, body), 1..8)
}

/// What the tar crate's own builder makes of them: ustar, GNU long names.
fn packed(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, body) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &body[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_packed_is_unpacked(files in files(), how in 0..4) {
        let plain = packed(&files);
        let archive = match how { 0 => plain, 1 => gzip(&plain), 2 => bzip2(&plain), _ => xz(&plain) };
        let want: std::collections::BTreeMap<_, _> =
            files.into_iter().map(|(name, body)| (name, Node::File(body))).collect();
        prop_assert_eq!(tree(&archive), want.into_iter().collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..3000), magic in 0..5) {
        let magic: &[u8] = [&b""[..], b"\x1f\x8b\x08\0", b"BZh91AY&SY", b"\xfd7zXZ\0", b""][magic as usize];
        prop_assert!(unpacked_within(&[magic, &bytes].concat(), &small()).is_err());
        prop_assert!(unpacked_within(&gzip(&bytes), &small()).is_err());
    }

    /// A good checksum over a header that is otherwise random: everything behind the checksum is reached.
    #[test]
    fn random_headers_never_panic(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 512), 1..4),
        typeflag in prop::sample::select(b"05SLKxg\0".to_vec()),
        size in 0u64..2000,
        gnu in any::<bool>(),
    ) {
        let mut archive = Vec::new();
        for block in &blocks {
            let mut header = tar::Header::from_byte_slice(block).clone();
            header.set_entry_type(tar::EntryType::new(typeflag));
            header.set_size(size);
            header.set_mtime(0);
            if gnu {
                header.as_mut_bytes()[257..265].copy_from_slice(b"ustar  \0");
            }
            header.set_cksum();
            archive.extend_from_slice(header.as_bytes());
            archive.extend(block.iter().cycle().take((size as usize).next_multiple_of(512)));
        }
        archive.extend([0; 1024]);
        let _ = unpacked_within(&archive, &small());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damage_is_noticed_or_harmless(
        how in 0..4,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..4),
    ) {
        let plain = sample();
        let want = tree(&plain);
        let mut archive = match how { 0 => plain, 1 => gzip(&plain), 2 => bzip2(&plain), _ => xz(&plain) };
        for (at, byte, edit) in edits {
            if archive.is_empty() {
                break;
            }
            let at = at.index(archive.len());
            match edit {
                0 => archive[at] ^= 1 << (byte % 8),
                1 => drop(archive.remove(at)),
                _ => archive.insert(at, byte),
            }
        }
        let begun = Instant::now();
        let got = unpacked_within(&archive, &small());
        // A plain tar has no checksum over its data: that is for `x-goog-hash` and the announced length.
        if let (Ok((got, _)), true) = (got, how > 0) {
            prop_assert_eq!(got.nodes.into_iter().collect::<Vec<_>>(), want);
        }
        prop_assert!(begun.elapsed().as_secs() < 5);
    }
}

/// Every single bit of a compressed archive: refused, or a bit that means nothing.
#[test]
fn no_flipped_bit_goes_unnoticed() {
    let body: Vec<u8> = (0..100u32).map(|n| (n * n / 7) as u8).collect();
    let plain = Pack::new()
        .dir("d")
        .file("d/a", &body)
        .file("b", "body")
        .end();
    let want = tree(&plain);
    let stored = gzip_with(&plain, flate2::Compression::none());
    for (packed, meaningless) in [
        // In the gzip header: time (32 bits), extra flags, system, one flag "text" and three reserved ones. Then
        // the padding before a stored block.
        (stored, 32 + 8 + 8 + 4 + 5),
        // And the lengths of codes that its data never uses: deflate has redundancy of its own.
        (gzip(&plain), 200),
        (xz(&plain), 0),
    ] {
        let mut harmless = Vec::new();
        for bit in 0..packed.len() * 8 {
            let mut flipped = packed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok((tree, _)) = unpacked(&flipped) {
                assert_eq!(
                    tree.nodes.into_iter().collect::<Vec<_>>(),
                    want,
                    "bit {bit}"
                );
                harmless.push(bit);
            }
        }
        assert!(harmless.len() <= meaningless, "{harmless:?}");
        let trailer = (packed.len() - 8) * 8;
        assert!(harmless.iter().all(|bit| *bit < trailer), "checksums count");
    }
}
