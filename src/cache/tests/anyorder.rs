//! Anything in any order, and `kill -9` in the middle of it: no wrong byte, and what must be there is.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use proptest::prelude::*;

use super::ranges::{BLOCK, OBJECT, fill, get, limited, memory, partial, read, spec};
use super::*;

const MIB: u64 = 1 << 20;
const SIZES: [(&str, u64); 3] = [
    ("dir/big", 5 * MIB / 2 + 77),
    ("dir/mid", 3 * BLOCK),
    ("s", 9),
];

#[derive(Clone, Debug)]
enum Step {
    Write(usize, Range<u64>),
    Read(usize, Range<u64>),
    GiveBack(u64),
    Verify,
    Sync,
    Reopen,
    Reboot,
    /// What a `kill -9` now would leave is looked at.
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let place = (0..SIZES.len(), 0.0..1.0f64, 1..700_000u64).prop_map(|(file, at, len)| {
        let size = SIZES[file].1;
        let start = (at * size as f64) as u64;
        (file, start..(start + len).min(size))
    });
    prop_oneof![
        8 => place.clone().prop_map(|(file, range)| Step::Write(file, range)),
        6 => place.prop_map(|(file, range)| Step::Read(file, range)),
        2 => (1..2 * MIB).prop_map(Step::GiveBack),
        1 => Just(Step::Verify),
        1 => Just(Step::Sync),
        1 => Just(Step::Reopen),
        1 => Just(Step::Reboot),
        1 => Just(Step::Kill),
    ]
}

fn files() -> Vec<FileSpec> {
    SIZES.map(|(name, size)| spec(name, size)).to_vec()
}

/// What was written and not given back, as far as the test can know: what is present lies within.
#[derive(Clone, Default)]
struct Model {
    written: [Presence; 3],
    synced: [Presence; 3],
    /// Whether all of `written` must still be there.
    all_kept: bool,
}

fn agrees(partial: &Partial, model: &Model) -> Result<(), TestCaseError> {
    for (number, (name, size)) in SIZES.iter().enumerate() {
        let file = get(partial, name);
        for range in model.written[number].missing(0..*size) {
            let count = range.end - range.start;
            let missing = file
                .missing(range)
                .iter()
                .map(|gap| gap.end - gap.start)
                .sum::<u64>();
            prop_assert_eq!(missing, count, "{} has bytes that nobody wrote", name);
        }
        for range in model.written[number].ranges() {
            if model.all_kept {
                prop_assert!(file.present(range.clone()), "{} lost {:?}", name, range);
            }
            for at in (range.start..range.end).step_by(300_000) {
                let piece = at..(at + 300_000).min(range.end);
                let present = file.present(piece.clone());
                prop_assert_eq!(read(&file, piece).is_some(), present);
            }
        }
    }
    Ok(())
}

/// Whole blocks are what outlives the process.
fn whole_blocks(present: &[Presence; 3]) -> [Presence; 3] {
    std::array::from_fn(|number| {
        let size = SIZES[number].1;
        let mut kept = Presence::default();
        for at in (0..size).step_by(BLOCK as usize) {
            let block = at..(at + BLOCK).min(size);
            if present[number].covers(block.clone()) {
                kept.insert(block);
            }
        }
        kept
    })
}

/// Looks at a copy of the cache, as the next process would find it.
fn look_at_copy(root: &Path, model: &Model) -> Result<(), TestCaseError> {
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .args(["-a", "--sparse=always"])
        .arg(root.join(".tfhub-fs"))
        .arg(copy.path())
        .status();
    prop_assert!(copied.unwrap().success());
    // A copy has other inodes, and no claims.
    let cache = limited(copy.path(), 1 << 30);
    let mut model = model.clone();
    model.written = whole_blocks(&model.written);
    agrees(&partial(&cache, OBJECT, &files()), &model)
}

fn run(steps: Vec<Step>, limit: u64, on_disk: bool) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let roomy = limit > 100 * MIB;
    let open = |boot: u32| {
        let mut cache = if on_disk {
            limited(dir.path(), limit)
        } else {
            memory(limit)
        };
        cache.boot_as(format!("boot {boot}"));
        cache
    };
    let mut cache = open(0);
    let mut now = partial(&cache, OBJECT, &files());
    let mut boots = 0;
    let mut model = Model {
        all_kept: roomy,
        ..Model::default()
    };
    for step in steps {
        match step {
            Step::Write(file, range) => {
                if fill(&get(&now, SIZES[file].0), range.clone()) {
                    model.written[file].insert(range);
                }
            }
            Step::Read(file, range) => {
                read(&get(&now, SIZES[file].0), range);
            }
            Step::GiveBack(bytes) => {
                let filling = now.filling();
                let stake = filling.shared.stake.as_ref().unwrap();
                let before = stake.room.used();
                let freed = stake.room.spare(bytes);
                prop_assert_eq!(before - stake.room.used(), freed);
                model.all_kept &= freed == 0;
            }
            Step::Verify => {
                prop_assert_eq!(now.verify().is_ok(), now.is_complete());
            }
            Step::Sync => {
                now.sync().unwrap();
                model.synced = whole_blocks(&model.written);
            }
            Step::Reopen | Step::Reboot if on_disk => {
                drop(now);
                model.written = whole_blocks(&model.written);
                if matches!(step, Step::Reboot) {
                    boots += 1;
                    // What was synced and is there no more is not there any more either.
                    model.written = std::mem::take(&mut model.synced);
                }
                cache = open(boots);
                now = partial(&cache, OBJECT, &files());
            }
            Step::Kill if on_disk => look_at_copy(
                dir.path(),
                &Model {
                    all_kept: false,
                    ..model.clone()
                },
            )?,
            Step::Reopen | Step::Reboot | Step::Kill => {}
        }
        if !model.all_kept {
            // What is there is what counts.
            for (number, (name, size)) in SIZES.iter().enumerate() {
                for gap in get(&now, name).missing(0..*size) {
                    model.written[number].remove(gap);
                }
            }
        }
        agrees(&now, &model)?;
    }
    let room = now.filling().shared.stake.as_ref().unwrap().room.clone();
    drop(now);
    prop_assert_eq!(room.used(), 0, "the count of bytes drifts");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn on_disk_with_room(steps in proptest::collection::vec(step(), 1..24)) {
        run(steps, 1 << 30, true)?;
    }

    #[test]
    fn on_disk_without(steps in proptest::collection::vec(step(), 1..24)) {
        run(steps, MIB, true)?;
    }

    #[test]
    fn in_memory(steps in proptest::collection::vec(step(), 1..24)) {
        run(steps, MIB, false)?;
    }
}

const CACHE: &str = "TFHUB_FS_TEST_RANGES_CACHE";

/// Not a test by itself: the other process, which writes, reads and gives back in a small room until it is killed.
#[test]
fn child() {
    let Some(root) = std::env::var_os(CACHE) else {
        return;
    };
    let cache = limited(Path::new(&root), MIB);
    let partial = partial(&cache, OBJECT, &files());
    let big = get(&partial, "dir/big");
    for number in 0u64.. {
        let at = number.wrapping_mul(0x9e37_79b9) % (big.size() - 100_000);
        fill(&big, at..at + 100_000);
        read(&big, at..at + 50_000);
        if number == 30 {
            let _ = writeln!(std::io::stdout(), "\nfilling"); // nobody listens after the first time
        }
        if number % 64 == 0 {
            partial.sync().unwrap();
        }
    }
}

struct Filler(Child);

impl Filler {
    /// Returns once the other process has begun.
    fn start(root: &Path) -> Filler {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cache::tests::anyorder::child", "--nocapture"])
            .env(CACHE, root)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let filler = Filler(child);
        assert!(lines.map_while(Result::ok).any(|line| line == "filling"));
        filler
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn killed_at_any_moment_it_leaves_right_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = 0;
    for round in 0..12u64 {
        let filler = Filler::start(dir.path());
        std::thread::sleep(std::time::Duration::from_micros(round * 900));
        drop(filler);
        let cache = limited(dir.path(), MIB);
        let partial = partial(&cache, OBJECT, &files());
        let big = get(&partial, "dir/big");
        for at in (0..big.size()).step_by(1000) {
            kept += usize::from(read(&big, at..at + 1000).is_some());
        }
        let parts: Vec<PathBuf> = fs::read_dir(dir.path().join(".tfhub-fs/v1/parts"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(parts.len(), 1, "the claim of the dead is free: {parts:?}");
    }
    assert!(kept > 0, "it never left anything");
}
