//! Archives as honest archivers write them, however unusual.

use std::fs::File;
use std::io;

use crate::common::{
    Mounting, SOON, Tar, Tree, assert_errno, eventually, gzip_members, noise, run, saved_model,
    sha1_of,
};
use crate::filling::{gate_after, read_at};
use crate::origin::{Fault, Gate, Origin};

/// "An archive that holds a file twice counts with its last copy"; who has read the earlier one is told.
#[test]
fn the_last_of_two_copies_counts() {
    let origin = Origin::start();
    let (first, second, big) = (noise(3, 50_000), noise(4, 70_000), noise(5, 1_000_000));
    let tar = Tar::new()
        .file("saved_model.pb", &first)
        .file("variables/big", &big)
        .file("saved_model.pb", &second);
    let archive = tar.gz();
    let gate = Gate::new();
    let at = gate_after(&archive, 0.5);
    origin
        .publish("google/twice/1", archive)
        .faults(vec![Fault::Gated {
            at,
            gate: gate.clone(),
        }]);
    let mount = Mounting::of(&origin).timeout("20s").start();
    let path = "google/twice/1/saved_model.pb";
    let file = mount.on(path, File::open).unwrap();
    let (file, bytes) = mount
        .on("", move |_| {
            read_at(&file, 0, 1_000).map(|bytes| (file, bytes))
        })
        .unwrap();
    assert!(bytes == first[..1_000]);
    gate.open();
    mount.list("google/twice/1").unwrap();
    let later = mount
        .start("", move |_| read_at(&file, 1_000, 1_000))
        .take(SOON);
    assert_errno(later.map(|bytes| bytes.len()), libc::EIO);
    assert!(mount.read(path).unwrap() == second, "the last copy counts");
}

/// Everything an honest archiver may write.
#[test]
fn unusual_but_honest_archives() {
    let origin = Origin::start();
    let base = saved_model(6, 10_000);
    let (long_gnu, long_pax) = (
        format!("assets/{}", "g".repeat(200)),
        format!("assets/{}", "ü".repeat(120)),
    );
    let (a, b) = (noise(7, 3_000), noise(8, 5_000));
    let mut sparse = vec![0; 3_000_000];
    sparse[512_000..515_000].copy_from_slice(&a);
    sparse[2_000_000..2_005_000].copy_from_slice(&b);
    let parts = [(512_000, a.as_slice()), (2_000_000, b.as_slice())];
    let tar = Tar::of(&base)
        .file("assets/empty", b"")
        .file("no/parents/here.txt", b"deep")
        .file(&long_gnu, b"gnu")
        .pax(&[("path", &long_pax)])
        .file("assets/placeholder", b"pax")
        .pax_sparse("assets/sparse-pax", 3_000_000, &parts)
        .gnu_sparse("assets/sparse-gnu", 3_000_000, &parts)
        .file("/absolute.txt", b"made relative")
        .file("a/../normal.txt", b"normalised")
        .dir("an_empty_dir/");
    let wanted: Tree = base
        .with("assets/empty", "")
        .with("no/parents/here.txt", "deep")
        .with(&long_gnu, "gnu")
        .with(&long_pax, "pax")
        .with("assets/sparse-pax", sparse.clone())
        .with("assets/sparse-gnu", sparse)
        .with("absolute.txt", "made relative")
        .with("normal.txt", "normalised");
    let plain = tar.plain();
    let mut xz = Vec::new();
    let mut bz = bzip2::write::BzEncoder::new(&mut xz, bzip2::Compression::fast());
    io::Write::write_all(&mut bz, &plain).unwrap();
    bz.finish().unwrap();
    origin.publish("google/members/1", gzip_members(&plain, 7_000).0);
    origin.publish("google/bzip2/1", xz);
    origin.publish("google/plain/1", plain);
    let mount = Mounting::of(&origin).start();
    for name in ["members", "bzip2", "plain"] {
        let (dir, wanted) = (format!("google/{name}/1"), wanted.clone());
        let stat = mount.stat(&format!("{dir}/an_empty_dir"));
        assert!(
            stat.unwrap_or_else(|error| panic!("{name}: {error}\n{}", mount.log()))
                .is_dir()
        );
        mount.on(&dir, move |root| wanted.assert_at(&root));
        let sealed = mount
            .cache
            .join(sha1_of(&format!("https://tfhub.dev/{dir}")));
        eventually("sealed", SOON, || sealed.is_dir());
        wanted_on_disk(&sealed);
    }
}

/// Holes stay holes on disk.
fn wanted_on_disk(sealed: &std::path::Path) {
    use std::os::unix::fs::MetadataExt;
    let sparse = std::fs::metadata(sealed.join("assets/sparse-pax")).unwrap();
    assert!(
        sparse.blocks() * 512 < 500_000,
        "{} blocks of a file with 8 kB of data",
        sparse.blocks()
    );
}

/// What an archive's URL gives may change where it has no version: once the cached copy is gone, the new one is shown, with
/// the names that were absent before.
#[test]
fn an_archive_url_is_not_remembered_for_ever() {
    let origin = Origin::start();
    let model = saved_model(11, 20_000);
    origin.host("x/model.tar.gz", Tar::of(&model).gz());
    let mount = Mounting::of(&origin).start();
    let root = format!("http:/{}/x/model.tar.gz", origin.authority());
    let graph = format!("{root}/saved_model.pb");
    let added = ["added.txt", "variables/added.txt"].map(|name| format!("{root}/{name}"));
    mount.read(&graph).unwrap();
    mount.list(&root).unwrap();
    let url = format!("http://{}/x/model.tar.gz", origin.authority());
    eventually("sealed", SOON, || mount.cache.join(sha1_of(&url)).is_dir());
    for name in &added {
        assert_errno(mount.stat(name), libc::ENOENT);
    }
    let mut newer = Tar::of(&model);
    for name in ["added.txt", "variables/added.txt"] {
        newer = newer.file(name, b"new");
    }
    origin.host("x/model.tar.gz", newer.gz());
    let cache = mount.cache.to_str().unwrap();
    let removed = run(["cache", "remove", &url, "--cache-dir", cache]);
    assert_eq!(removed.code, Some(0), "{}", removed.stderr);
    for name in &added {
        eventually("the new archive is shown", SOON, || {
            let _ = mount.read(&graph);
            mount.read(name).is_ok_and(|bytes| bytes == b"new")
        });
    }
}
