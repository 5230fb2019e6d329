//! What a file looks like, and that nothing can be changed.

use std::os::unix::fs::MetadataExt;

use crate::common::{Mounting, Tar, assert_errno, saved_model};
use crate::origin::Origin;

/// A mount shows no way to change anything.
#[test]
fn every_mutation_is_refused() {
    let origin = Origin::start();
    origin.publish("google/x/1", Tar::of(&saved_model(7, 5_000)).gz());
    let mount = Mounting::of(&origin).start();
    assert_errno(
        mount.on("google/x/1/assets/new", std::fs::create_dir),
        libc::EROFS,
    );
    assert_errno(
        mount.on("google/x/1/new", std::fs::File::create),
        libc::EROFS,
    );
    assert_errno(
        mount.on("google/x/1/saved_model.pb", std::fs::remove_file),
        libc::EROFS,
    );
    assert_errno(
        mount.on("google/x/1", |path| {
            std::fs::rename(&path, path.with_file_name("2"))
        }),
        libc::EROFS,
    );
    let file = mount.stat("google/x/1/saved_model.pb").unwrap();
    assert_eq!(
        (file.mode() & 0o7777, file.uid(), file.mtime()),
        (0o444, 0, 1_760_794_213)
    );
    let dir = mount.stat("google/x/1/variables").unwrap();
    assert_eq!((dir.mode() & 0o7777, dir.nlink()), (0o555, 1));
}
