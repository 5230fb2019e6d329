//! A model that is still arriving: what answers at once, what waits, and what becomes of bytes that prove wrong.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crate::common::{
    Mounting, SOON, Tar, Tree, assert_errno, entries, eventually, gzip_members, noise, saved_model,
    sha1_of,
};
use crate::origin::{ALWAYS, Fault, Gate, Origin};

const DATA: &str = "variables/variables.data-00000-of-00001";

/// Where, within an archive of noise, byte `at` of the tar stream lies; gzip neither shrinks nor grows noise by much.
fn gate_after(archive: &[u8], share: f64) -> u64 {
    (archive.len() as f64 * share) as u64
}

/// "A read returns as soon as its bytes are on disk, while the rest of the archive is still arriving."
#[test]
fn what_has_arrived_is_read_while_the_rest_is_held_back() {
    let origin = Origin::start();
    let model = saved_model(1, 4_000_000);
    let archive = Tar::of(&model).gz();
    let gate = Gate::new();
    let at = gate_after(&archive, 0.5);
    origin
        .publish("google/big/1", archive)
        .faults(vec![Fault::Gated {
            at,
            gate: gate.clone(),
        }]);
    let mount = Mounting::of(&origin).timeout("20s").start();

    let graph = mount
        .start("google/big/1/saved_model.pb", std::fs::read)
        .take(Duration::from_secs(3))
        .unwrap();
    assert!(
        graph == model.bytes("saved_model.pb"),
        "the first file, while the gate is closed"
    );
    let size = mount
        .start(&format!("google/big/1/{DATA}"), std::fs::metadata)
        .take(Duration::from_secs(3))
        .unwrap()
        .len();
    assert_eq!(
        size, 4_000_000,
        "a size is exact as soon as the file is visible"
    );
    let file = mount
        .on(&format!("google/big/1/{DATA}"), File::open)
        .unwrap();
    let head = mount.start("", move |_| {
        read_at(&file, 0, 1_000_000).map(|bytes| (file, bytes))
    });
    let (file, head) = head.take(Duration::from_secs(3)).unwrap();
    assert!(
        head == model.bytes(DATA)[..1_000_000],
        "a part of a file of which the rest has not come"
    );
    // TensorFlow asks for these in passing and does without.
    for absent in [
        "debug",
        "debug/saved_model_debug_info.pb",
        "saved_model.pbtxt",
    ] {
        let stat = mount
            .start(&format!("google/big/1/{absent}"), std::fs::metadata)
            .take(Duration::from_secs(2));
        assert_errno(stat, libc::ENOENT);
    }
    let listing = mount.start("google/big/1", |path| crate::common::names(&path));
    let tail = mount.start("", move |_| read_at(&file, 3_999_000, 1_000));
    let absent = mount.start("google/big/1/not_in_it", std::fs::metadata);
    assert!(
        listing.is_waiting_after(Duration::from_millis(300)),
        "a listing waits until every name is known"
    );
    assert!(
        tail.is_waiting_after(Duration::ZERO),
        "a read waits for its bytes"
    );
    assert!(
        absent.is_waiting_after(Duration::ZERO),
        "a name that may still come is not denied"
    );
    assert!(
        !mount
            .cache
            .join(sha1_of("https://tfhub.dev/google/big/1"))
            .exists(),
        "nothing is sealed yet"
    );
    assert_eq!(state(&mount.path("google/big/1")), "filling");

    gate.open();
    assert_eq!(
        listing.take(SOON).unwrap(),
        ["assets", "fingerprint.pb", "saved_model.pb", "variables"]
    );
    assert!(tail.take(SOON).unwrap() == model.bytes(DATA)[3_999_000..]);
    assert_errno(absent.take(SOON), libc::ENOENT);
    mount.on("google/big/1", move |root| model.assert_at(&root));
    eventually("the model is sealed", SOON, || {
        state(&mount.path("google/big/1")) == "sealed"
    });
    assert_eq!(origin.downloads("google/big/1").len(), 1);
}

fn read_at(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset).map(|()| bytes)
}

fn state(path: &std::path::Path) -> String {
    let path = path.to_owned();
    crate::common::within(SOON, move || {
        tfhub_fs::os::xattr::get(&path, "user.tfhub.state").unwrap_or_default()
    })
}

/// "A flipped bit, a cut at a member boundary or a wrong CRC is never sealed, and from then on readers get EIO."
#[test]
fn bytes_that_prove_wrong_are_never_kept() {
    let origin = Origin::start();
    let model = saved_model(2, 1_000_000);
    let plain = Tar::of(&model).plain();
    let (archive, ends) = gzip_members(&plain, 300_000);
    let cut = ends[2] as u64;
    let wrong_crc = {
        let mut bytes = archive.clone();
        let last = bytes.len();
        bytes[last - 8] ^= 0x01;
        bytes
    };
    let flip = Fault::Flip {
        bit: (archive.len() as u64 - 20_000) * 8 + 3,
    };
    let cases: [(&str, Vec<u8>, Vec<Fault>); 6] = [
        ("flipped", archive.clone(), vec![flip.clone()]),
        (
            "flipped-unannounced",
            archive.clone(),
            vec![flip, Fault::NoHash],
        ),
        ("crc", wrong_crc, vec![]),
        ("hash", archive.clone(), vec![Fault::Hash]),
        (
            "cut",
            archive.clone(),
            vec![Fault::Cut {
                at: cut,
                times: ALWAYS,
            }],
        ),
        ("ended", archive[..ends[2]].to_vec(), vec![Fault::NoHash]),
    ];
    let gates = cases.clone().map(|(name, bytes, mut faults)| {
        let gate = Gate::new();
        faults.push(Fault::Gated {
            at: gate_after(&bytes, 0.3),
            gate: gate.clone(),
        });
        origin
            .publish(&format!("google/{name}/1"), bytes)
            .faults(faults);
        gate
    });
    let mount = Mounting::of(&origin).timeout("20s").start();
    for ((name, ..), gate) in cases.iter().zip(gates) {
        let dir = format!("google/{name}/1");
        let early = mount
            .on(&format!("{dir}/saved_model.pb"), File::open)
            .unwrap();
        let file = mount.on(&format!("{dir}/{DATA}"), File::open).unwrap();
        let head = mount.start("", move |_| {
            read_at(&file, 0, 100_000).map(|bytes| (file, bytes))
        });
        let (file, head) = head
            .take(SOON)
            .unwrap_or_else(|error| panic!("{name}: {error}\n{}", mount.log()));
        assert!(
            head == model.bytes(DATA)[..100_000],
            "{name}: what came before the fault"
        );
        gate.open();
        let rest = mount.start("", move |_| {
            read_at(&file, 100_000, 900_000).map(|bytes| (file, bytes))
        });
        let rest = rest.take(SOON);
        assert!(
            rest.as_ref()
                .map_or(true, |(_, bytes)| bytes == &model.bytes(DATA)[100_000..]
                    || name.starts_with("flipped")),
            "{name}"
        );
        eventually(&format!("{name} is given up"), SOON, || {
            entries(&mount.cache).is_empty()
        });
        let late = mount.start("", move |_| read_at(&early, 0, 100)).take(SOON);
        assert_eq!(
            late.unwrap_err().raw_os_error(),
            Some(libc::EIO),
            "{name}: whoever has it open is told"
        );
        let handle = format!("https://tfhub.dev/{dir}");
        mount.assert_logged(&["ERROR", &handle]);
    }
    for (name, ..) in cases {
        let dir = format!("google/{name}/1");
        origin.publish(&dir, archive.clone());
        let wanted = model.clone();
        mount.on(&dir, move |root| wanted.assert_at(&root));
    }
}

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
