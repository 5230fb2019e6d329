//! A model that is still arriving: what answers at once, what waits, and what becomes of bytes that prove wrong.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crate::common::{
    Mounting, SOON, Tar, assert_errno, entries, eventually, gzip_members, saved_model, sha1_of,
};
use crate::origin::{ALWAYS, Fault, Gate, Origin};

const DATA: &str = "variables/variables.data-00000-of-00001";

/// Where, within an archive of noise, byte `at` of the tar stream lies; gzip neither shrinks nor grows noise by much.
pub fn gate_after(archive: &[u8], share: f64) -> u64 {
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

pub fn read_at(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset).map(|()| bytes)
}

fn state(path: &std::path::Path) -> String {
    let path = path.to_owned();
    crate::common::within(SOON, move || {
        crate::common::xattr(&path, "user.tfhub.state").unwrap_or_default()
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
