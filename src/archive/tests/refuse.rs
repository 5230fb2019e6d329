//! What is no archive, and members that must not be in one.

use super::accept::old_sparse;
use super::build::{Pack, gzip, header, record, sample};
use super::refusal;
use super::refused;
use crate::archive::Refusal;
use crate::archive::format::{Format, Looks};
use crate::archive::name::BadName;

#[test]
fn what_is_no_archive_is_told_what_it_looks_like() {
    for (body, want) in [
        (&b""[..], Looks::Nothing),
        (b"<!DOCTYPE html><html>", Looks::Html),
        (b"\xef\xbb\xbf\n <HTML lang=en>", Looks::Html),
        (
            b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>",
            Looks::Xml,
        ),
        (b"{\"code\":404,\"message\":\"NotFound\"}", Looks::Json),
        (b"PK\x03\x04rest", Looks::Zip),
        (b"\x28\xb5\x2f\xfdrest", Looks::Zstd),
        (b"]\0\0\x80\0rest", Looks::Lzma),
        (b"\x1c\0\0\0TFL3rest", Looks::TfLite),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            Looks::GitLfs,
        ),
        (b"Not found\n", Looks::Text),
        (b"BZh is how this text begins", Looks::Text),
        (&[7; 2000], Looks::Unknown),
    ] {
        for (body, within) in [(body.to_vec(), None), (gzip(body), Some(Format::Gzip))] {
            match refusal(&body) {
                Refusal::NotAnArchive { looks, within: w } => {
                    assert_eq!((looks, w), (want, within))
                }
                other => panic!("{other}"),
            }
        }
    }
    let twice = refusal(&gzip(&gzip(&sample())));
    assert!(
        matches!(
            twice,
            Refusal::NotAnArchive {
                looks: Looks::CompressedTwice,
                ..
            }
        ),
        "{twice}"
    );
    let page = refusal(b"<html>").to_string();
    assert_eq!(
        page,
        "this is no tar archive but an HTML page; the server answered with a page for people: \
         open the URL in a browser to see it"
    );
}

#[test]
fn links_devices_and_unknown_types() {
    let typed = |typeflag: u8| {
        let mut header = header(typeflag, b"x", 0);
        header.as_old_mut().linkname[..6].copy_from_slice(b"target");
        header.set_cksum();
        Pack::new().file("a", "body").raw(&header, b"").end()
    };
    refused!(
        typed(b'1'),
        Refusal::HardLink { .. },
        "\"x\" is a hard link (to \"target\")"
    );
    refused!(
        typed(b'2'),
        Refusal::SymbolicLink { .. },
        "\"x\" is a symbolic link (to \"target\")"
    );
    refused!(typed(b'3'), Refusal::Device { .. }, "device");
    refused!(typed(b'4'), Refusal::Device { .. }, "device");
    refused!(typed(b'6'), Refusal::Fifo { .. }, "fifo");
    for typeflag in [b'D', b'M', b'V', b'A', b'?', 0xff] {
        refused!(typed(typeflag), Refusal::UnknownType { .. }, "unknown type");
    }
    let long = Pack::new()
        .typed(b'K', "k", &[b't'; 300])
        .raw(&header(b'2', b"x", 0), b"")
        .end();
    refused!(long, Refusal::SymbolicLink { .. }, "ttt\"...)");
}

#[test]
fn names_that_escape_or_cannot_be() {
    let named = |name: &str| Pack::new().pax(&[("path", name)]).file("x", "body").end();
    for name in ["..", "../x", "/../x", "a/../../x", "../../../../etc/passwd"] {
        refused!(
            named(name),
            Refusal::BadName {
                why: BadName::Escapes,
                ..
            },
            "leaves the directory"
        );
    }
    refused!(
        named(&"x".repeat(256)),
        Refusal::BadName {
            why: BadName::LongComponent(256),
            ..
        },
        "256 bytes, more than 255"
    );
    refused!(
        named(&"x/".repeat(2049)),
        Refusal::BadName {
            why: BadName::LongPath(4097),
            ..
        },
        "4097 bytes"
    );
    refused!(
        named("a\0b"),
        Refusal::BadName {
            why: BadName::Nul,
            ..
        },
        "NUL"
    );
    refused!(
        named("."),
        Refusal::BadName {
            why: BadName::Root,
            ..
        },
        "itself"
    );
    let latin = Pack::new().raw(&header(b'0', b"caf\xe9", 0), b"").end();
    refused!(
        latin,
        Refusal::BadName {
            why: BadName::NotUtf8,
            ..
        },
        "not UTF-8"
    );
    let terminal = refusal(&named("\x1b[2J/../..")).to_string();
    assert!(!terminal.contains('\x1b'), "{terminal:?}");
}

#[test]
fn a_name_is_a_file_or_a_directory() {
    refused!(
        Pack::new().file("a", "").dir("a").end(),
        Refusal::FileAndDirectory { .. },
        "\"a\""
    );
    refused!(
        Pack::new().dir("a/").file("./a", "").end(),
        Refusal::FileAndDirectory { .. },
        "\"a\""
    );
    refused!(
        Pack::new().file("a/b", "").file("a", "").end(),
        Refusal::FileAndDirectory { .. },
        "\"a\""
    );
    refused!(
        Pack::new().file("a", "").file("a/b/c", "").end(),
        Refusal::ParentIsFile { .. },
        "\"a/b/c\" lies below \"a\""
    );
    refused!(
        Pack::new().file("a", "").dir("a/b").end(),
        Refusal::ParentIsFile { .. },
        "below \"a\""
    );
}

#[test]
fn empty_archives() {
    for empty in [
        vec![0; 512],
        vec![0; 10_240],
        Pack::new().dir("./").end(),
        Pack::new().dir("a/..").end(),
    ] {
        refused!(empty, Refusal::Empty, "empty");
        refused!(gzip(&empty), Refusal::Empty, "empty");
    }
}

#[test]
fn extension_headers_that_contradict() {
    let pax = || record("path", "a");
    let twice = Pack::new()
        .typed(b'x', "x", &pax())
        .typed(b'x', "x", &pax())
        .file("f", "")
        .end();
    refused!(twice, Refusal::BadHeader { at: 1024, .. }, "repeats");
    let names = Pack::new()
        .typed(b'L', "L", b"a\0")
        .typed(b'L', "L", b"b\0")
        .file("f", "")
        .end();
    refused!(names, Refusal::BadHeader { .. }, "repeats");
    let both = Pack::new()
        .typed(b'L', "L", b"a\0")
        .typed(b'x', "x", &pax())
        .file("f", "")
        .end();
    refused!(
        both,
        Refusal::BadHeader { .. },
        "a GNU long name and a pax name"
    );
    refused!(
        Pack::new().file("a", "").typed(b'x', "x", &pax()).end(),
        Refusal::BadHeader { .. },
        "must follow"
    );
    refused!(
        Pack::new().typed(b'g', "g", &pax()).file("f", "").end(),
        Refusal::BadHeader { .. },
        "global"
    );
    refused!(
        Pack::new()
            .typed(b'x', "x", b"7 path=a\n")
            .file("f", "")
            .end(),
        Refusal::BadHeader { .. },
        "malformed"
    );
}

#[test]
fn sparse_maps_that_lie() {
    let map = |map: &str, size: &str, data: &[u8]| {
        Pack::new()
            .pax(&[("GNU.sparse.size", size), ("GNU.sparse.map", map)])
            .file("s", data)
            .end()
    };
    refused!(
        map("0,5,4,5", "100", &[1; 10]),
        Refusal::BadSparseMap { .. },
        "overlap"
    );
    refused!(
        map("5,5,0,5", "100", &[1; 10]),
        Refusal::BadSparseMap { .. },
        "overlap"
    );
    refused!(
        map("95,10", "100", &[1; 10]),
        Refusal::BadSparseMap { .. },
        "behind the file"
    );
    refused!(
        map("18446744073709551615,10", "100", &[1; 10]),
        Refusal::BadSparseMap { .. },
        "behind the file"
    );
    refused!(
        map("0,10", "100", &[1; 11]),
        Refusal::BadSparseMap { .. },
        "does not fit"
    );
    refused!(
        map("0,11", "100", &[1; 10]),
        Refusal::BadSparseMap { .. },
        "does not fit"
    );
    refused!(
        map("0", "100", &[1; 10]),
        Refusal::BadSparseMap { .. },
        "missing"
    );
    let unsized_map = Pack::new()
        .pax(&[("GNU.sparse.map", "0,10")])
        .file("s", [1; 10])
        .end();
    refused!(unsized_map, Refusal::BadSparseMap { .. }, "missing");
    let v10 = |body: &[u8]| {
        let records = [
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.realsize", "100"),
        ];
        Pack::new().pax(&records).file("s", body).end()
    };
    refused!(
        v10(b""),
        Refusal::BadSparseMap { .. },
        "longer than the member"
    );
    refused!(
        v10(&[b'1'; 4096]),
        Refusal::BadSparseMap { .. },
        "not made of numbers"
    );
    refused!(
        v10(&[b'\n'; 512]),
        Refusal::BadSparseMap { .. },
        "not made of numbers"
    );
    let mut many = b"70000\n".to_vec();
    many.resize(512, b'0');
    refused!(
        v10(&many),
        Refusal::SparseMapTooLong { .. },
        "65536 segments"
    );
    let endless: Vec<(u64, u64)> = (0..70_000).map(|n| (n, 1)).collect();
    refused!(
        old_sparse(70_000, &endless, &vec![1; 70_000]).end(),
        Refusal::SparseMapTooLong { .. },
        "65536"
    );
    let version = Pack::new()
        .pax(&[("GNU.sparse.major", "2"), ("GNU.sparse.realsize", "1")])
        .file("s", "")
        .end();
    refused!(version, Refusal::BadSparseMap { .. }, "version");
}
