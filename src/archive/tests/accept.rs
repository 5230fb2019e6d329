//! Every shape of archive that must be understood.

use std::time::{Duration, SystemTime};

use super::build::{Pack, bzip2, gzip, header, sample, xz};
use super::sink::Node;
use super::{tree, unpacked};
use crate::archive::format::Format;

fn one(name: &str, body: impl AsRef<[u8]>) -> Vec<(String, Node)> {
    vec![(name.to_owned(), Node::file(body))]
}

#[test]
fn every_compression_is_told_by_content() {
    let plain = sample();
    let want = tree(&plain);
    assert_eq!(want.len(), 5);
    for (packed, format) in [
        (plain.clone(), Format::Tar),
        (gzip(&plain), Format::Gzip),
        (bzip2(&plain), Format::Bzip2),
        (xz(&plain), Format::Xz),
    ] {
        let (tree, summary) = unpacked(&packed).unwrap();
        assert_eq!(tree.nodes.into_iter().collect::<Vec<_>>(), want, "{format}");
        assert_eq!(summary.format, format);
        assert_eq!(
            (summary.files, summary.directories, summary.size),
            (3, 2, 31 + 6_000)
        );
        assert_eq!(
            (summary.compressed, summary.decompressed),
            (packed.len() as u64, plain.len() as u64)
        );
    }
}

#[test]
fn several_members_or_streams_are_one_archive() {
    let plain = sample();
    let want = tree(&plain);
    for cut in [1, 300, 512, 1024, 5000, plain.len() - 1024, plain.len() - 1] {
        let (head, tail) = plain.split_at(cut);
        for pack in [gzip, bzip2, xz] {
            let packed = [pack(head), pack(b""), pack(tail)].concat();
            assert_eq!(tree(&packed), want, "cut at {cut}");
        }
    }
}

#[test]
fn zeros_may_follow() {
    let plain = sample();
    let want = tree(&plain);
    let padded = [plain.clone(), vec![0; 700_001]].concat();
    assert_eq!(tree(&padded), want);
    // A multiple of four, as the xz format demands.
    for pack in [gzip, bzip2, xz] {
        assert_eq!(tree(&[pack(&padded), vec![0; 700_004]].concat()), want);
        assert_eq!(
            tree(&[pack(&plain[..512]), vec![0; 8], pack(&plain[512..])].concat()),
            want
        );
    }
    let one_block = &plain[..plain.len() - 512];
    assert_eq!(tree(one_block), want, "one block of zeros is a marker");
}

#[test]
fn the_regular_types_are_files() {
    for typeflag in [b'0', 0, b'7'] {
        assert_eq!(
            tree(&Pack::new().typed(typeflag, "a", b"body").end()),
            one("a", "body")
        );
    }
    assert_eq!(
        tree(&Pack::new().typed(0, "old/", b"").end()),
        vec![("old".to_owned(), Node::Dir)]
    );
}

#[test]
fn ustar_prefixes_and_v7_headers() {
    let mut ustar = tar::Header::new_ustar();
    ustar
        .set_path("p".repeat(90) + "/" + &"n".repeat(90))
        .unwrap();
    ustar.set_size(4);
    ustar.set_cksum();
    let want = "p".repeat(90) + "/" + &"n".repeat(90);
    assert_eq!(
        tree(&Pack::new().raw(&ustar, b"body").end()),
        one(&want, "body")
    );

    let mut v7 = tar::Header::new_old();
    v7.set_path("old.txt").unwrap();
    v7.set_size(4);
    v7.set_cksum();
    assert_eq!(
        tree(&Pack::new().raw(&v7, b"body").end()),
        one("old.txt", "body")
    );

    let mut full = header(b'0', &[b'x'; 100], 0);
    full.set_cksum();
    assert_eq!(
        tree(&Pack::new().raw(&full, b"").end()),
        one(&"x".repeat(100), "")
    );
}

#[test]
fn long_names_of_both_kinds() {
    let long = ["d".repeat(200), "e".repeat(200), "f".repeat(200)].join("/");
    let gnu = Pack::new().typed(b'L', "././@LongLink", format!("{long}\0").as_bytes());
    assert_eq!(tree(&gnu.file("ddd", "body").end()), one(&long, "body"));
    // As the tar crate writes it: the name in the header is cut, here behind a slash, and the type is NUL.
    let slash = format!("{}/{}", "d".repeat(99), "e".repeat(100));
    let cut = Pack::new()
        .typed(b'L', "L", slash.as_bytes())
        .typed(0, &slash[..100], b"body");
    assert_eq!(tree(&cut.end()), one(&slash, "body"));
    let pax = Pack::new().pax(&[("path", &long)]).file("ddd", "body");
    assert_eq!(tree(&pax.end()), one(&long, "body"));
    let utf8 = Pack::new()
        .pax(&[("path", "voca\u{301}bulary/\u{65e5}\u{672c}\n.txt")])
        .file("v", "body");
    assert_eq!(
        tree(&utf8.end()),
        one("voca\u{301}bulary/\u{65e5}\u{672c}\n.txt", "body")
    );
    let unused = Pack::new()
        .typed(b'K', "././@LongLink", b"target\0")
        .file("a", "body");
    assert_eq!(tree(&unused.end()), one("a", "body"));
}

#[test]
fn pax_sizes_times_and_global_headers() {
    let archive = Pack::new()
        .typed(
            b'g',
            "global",
            &super::build::record("mtime", "1000000000.25"),
        )
        .file("inherits", "")
        .pax(&[
            ("mtime", "1234567890.123456789"),
            ("comment", "hi"),
            ("SCHILY.xattr.user.a", "b\nc=d"),
        ])
        .file("own", "")
        .pax(&[("size", "4")])
        .raw(&header(b'0', b"sized", 0), b"body")
        .pax(&[("mtime", "soon")])
        .file("nonsense", "")
        .end();
    let (tree, _) = unpacked(&archive).unwrap();
    let at = |name: &str| {
        tree.times[name]
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
    };
    assert_eq!(at("inherits"), Duration::new(1_000_000_000, 250_000_000));
    assert_eq!(at("own"), Duration::new(1_234_567_890, 123_456_789));
    assert_eq!(tree.nodes["sized"], Node::file("body"));
    assert_eq!(at("nonsense"), at("inherits"));
}

#[test]
fn times_are_held_in_range() {
    let mut header = header(b'0', b"a", 0);
    header.as_old_mut().mtime = [0xff; 12];
    header.set_cksum();
    let archive = Pack::new()
        .raw(&header, b"")
        .pax(&[("mtime", "99999999999999999999")])
        .file("b", "")
        .end();
    let (tree, _) = unpacked(&archive).unwrap();
    assert_eq!(tree.times["a"], SystemTime::UNIX_EPOCH);
    assert_eq!(
        tree.times["b"],
        SystemTime::UNIX_EPOCH + Duration::from_secs(u32::MAX.into())
    );
}

#[test]
fn names_are_normalised() {
    for (name, want) in [
        ("/abs.txt", "abs.txt"),
        ("a/../b", "b"),
        (".//c", "c"),
        ("..foo", "..foo"),
        ("d/", "d"),
    ] {
        assert_eq!(
            tree(&Pack::new().file(name, "body").end()),
            one(want, "body"),
            "{name}"
        );
    }
}

#[test]
fn files_before_their_directories_and_again() {
    let archive = Pack::new()
        .file("a/b/c", "first")
        .dir("a/b/")
        .dir("a")
        .file("a/b/c", "second")
        .dir("a")
        .end();
    let want = [
        ("a", Node::Dir),
        ("a/b", Node::Dir),
        ("a/b/c", Node::file("second")),
    ];
    assert_eq!(
        tree(&archive),
        want.map(|(name, node)| (name.to_owned(), node))
    );
}

#[test]
fn a_directory_may_have_a_size_but_no_data() {
    let archive = Pack::new()
        .raw(&header(b'5', b"d", 4096), b"")
        .file("d/a", "body")
        .end();
    assert_eq!(
        tree(&archive),
        [
            ("d".to_owned(), Node::Dir),
            ("d/a".to_owned(), Node::file("body"))
        ]
    );
}

#[test]
fn all_forms_of_sparse_members_are_expanded() {
    let mut want = vec![0; 5000];
    want[512..1024].fill(b'x');
    want[2048..2148].fill(b'y');
    let data = [vec![b'x'; 512], vec![b'y'; 100]].concat();
    let v00 = [
        ("GNU.sparse.size", "5000"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.offset", "512"),
        ("GNU.sparse.numbytes", "512"),
        ("GNU.sparse.offset", "2048"),
        ("GNU.sparse.numbytes", "100"),
    ];
    let v01 = [
        ("GNU.sparse.size", "5000"),
        ("GNU.sparse.name", "s"),
        ("GNU.sparse.map", "512,512,2048,100"),
    ];
    let v10 = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "s"),
        ("GNU.sparse.realsize", "5000"),
    ];
    let mut map = b"2\n512\n512\n2048\n100\n".to_vec();
    map.resize(512, 0);
    let forms = [
        ("0.0", Pack::new().pax(&v00).file("s", &data)),
        (
            "0.1",
            Pack::new().pax(&v01).file("GNUSparseFile.0/s", &data),
        ),
        (
            "1.0",
            Pack::new()
                .pax(&v10)
                .file("GNUSparseFile.0/s", [map, data.clone()].concat()),
        ),
        (
            "old",
            old_sparse(5000, &[(512, 512), (2048, 100), (5000, 0)], &data),
        ),
    ];
    for (form, pack) in forms {
        let archive = pack.file("next", "body").end();
        let (tree, summary) = unpacked(&archive).unwrap();
        assert_eq!(tree.nodes["s"], Node::file(&want), "{form}");
        assert_eq!(tree.nodes["next"], Node::file("body"), "{form}");
        assert_eq!((tree.holes, summary.size), (5000 - 612, 5004), "{form}");
    }
}

#[test]
fn sparse_maps_may_need_many_blocks() {
    let segments: Vec<(u64, u64)> = (0..100).map(|n| (n * 1000, 10)).collect();
    let mut want = vec![0; 100_000];
    segments
        .iter()
        .for_each(|(offset, len)| want[*offset as usize..(offset + len) as usize].fill(b'z'));
    let data = vec![b'z'; 1000];
    assert_eq!(
        tree(&old_sparse(100_000, &segments, &data).end()),
        one("s", &want)
    );

    let mut map = format!("{}\n", segments.len()).into_bytes();
    segments
        .iter()
        .for_each(|(offset, len)| map.extend_from_slice(format!("{offset}\n{len}\n").as_bytes()));
    map.resize(map.len().next_multiple_of(512), 0);
    assert!(map.len() > 512);
    let records = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.realsize", "100000"),
    ];
    let archive = Pack::new()
        .pax(&records)
        .file("s", [map, data].concat())
        .end();
    assert_eq!(tree(&archive), one("s", &want));
}

#[test]
fn a_file_may_be_all_hole() {
    assert_eq!(
        tree(&old_sparse(3000, &[(3000, 0)], b"").end()),
        one("s", vec![0; 3000])
    );
    let records = [("GNU.sparse.size", "3000"), ("GNU.sparse.map", "")];
    assert_eq!(
        tree(&Pack::new().pax(&records).file("s", "").end()),
        one("s", vec![0; 3000])
    );
}

/// A member in the old GNU form.
pub(super) fn old_sparse(size: u64, segments: &[(u64, u64)], data: &[u8]) -> Pack {
    let mut header = header(b'S', b"s", data.len() as u64);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.set_real_size(size);
    let (first, rest) = segments.split_at(segments.len().min(4));
    for (slot, (offset, len)) in gnu.sparse.iter_mut().zip(first) {
        slot.set_offset(*offset);
        slot.set_length(*len);
    }
    gnu.set_is_extended(!rest.is_empty());
    header.set_cksum();
    let mut pack = Pack::new();
    pack.0.extend_from_slice(header.as_bytes());
    let mut chunks = rest.chunks(21).peekable();
    while let Some(chunk) = chunks.next() {
        let mut extension = tar::GnuExtSparseHeader::new();
        for (slot, (offset, len)) in extension.sparse_mut().iter_mut().zip(chunk) {
            slot.set_offset(*offset);
            slot.set_length(*len);
        }
        extension.set_is_extended(chunks.peek().is_some());
        pack.0.extend_from_slice(extension.as_bytes());
    }
    pack.bytes(data)
}
