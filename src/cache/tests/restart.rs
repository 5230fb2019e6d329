//! What the limit lets stay when a run begins.

use super::ranges::{BLOCK, OBJECT, fill, get, limited, partial, spec};
use super::*;

const MIB: u64 = 1 << 20;
const LIMIT: u64 = 3 * MIB;

fn files() -> [FileSpec; 1] {
    [spec("big", 8 * MIB)]
}

fn kept_next(root: &Path) -> u64 {
    let again = partial(&limited(root, LIMIT), OBJECT, &files());
    get(&again, "big").bytes_present()
}

#[test]
fn parts_that_fill_the_limit_are_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let one = partial(&limited(dir.path(), LIMIT), OBJECT, &files());
    let big = get(&one, "big");
    // In pieces with gaps between them, so that each ends in a page of its own.
    let piece = 2 * BLOCK + 100;
    for at in (0..5 * MIB).step_by(4 * BLOCK as usize) {
        assert!(fill(&big, at..at + piece));
    }
    let left = LIMIT - big.bytes_present();
    assert!(fill(&big, 6 * MIB..6 * MIB + left));
    drop(one);
    let whole = 5 * 4 * 2 * BLOCK + left / BLOCK * BLOCK;
    assert_eq!(kept_next(dir.path()), whole);
}

#[test]
fn what_was_waited_for_beyond_the_limit_costs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let one = partial(&limited(dir.path(), LIMIT), OBJECT, &files());
    let big = get(&one, "big");
    let wait = |range| {
        let file = big.clone();
        one.filling().changed(Need::Bytes { file, range })
    };
    // Told, and not read yet: nothing of it may go.
    let waits = [wait(0..2 * MIB), wait(4 * MIB..5 * MIB + 3 * BLOCK)];
    assert!(fill(&big, 0..2 * MIB) && fill(&big, 4 * MIB..5 * MIB + 3 * BLOCK));
    drop((one, waits));
    assert_eq!(kept_next(dir.path()), LIMIT + 3 * BLOCK);
}

#[test]
fn parts_far_beyond_a_lower_limit_go_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let one = partial(&limited(dir.path(), 9 * MIB), OBJECT, &files());
    assert!(fill(&get(&one, "big"), 0..8 * MIB));
    drop(one);
    Upkeep::of(&limited(dir.path(), LIMIT)).tidy();
    assert_eq!(names(&dir.path().join(".tfhub-fs/v1/parts")), [""; 0]);
}
