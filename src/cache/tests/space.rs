//! Making space while many write: exactly what is needed leaves, and nobody waits for the survey or for a deletion.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::evicting::{put_model, url};
use super::ranges::{data, get, limited, partial, spec};
use super::*;
use crate::cache::layout::Layout;
use crate::handle::Key;

const MIB: u64 = 1 << 20;
const WRITERS: u64 = 16;

/// Writes a file in parts, by many threads at once. The longest that one write took.
fn write_together(file: &Arc<FillFile>, piece: u64) -> Duration {
    let write = |writer: u64| {
        let mut longest = Duration::ZERO;
        for at in (writer * piece..file.size()).step_by((WRITERS * piece) as usize) {
            let range = at..(at + piece).min(file.size());
            let bytes = data(file.path(), range);
            let begun = Instant::now();
            assert!(file.write_at(at, &bytes).unwrap());
            longest = longest.max(begun.elapsed());
        }
        longest
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || write(writer)))
            .collect();
        let longest = writers.into_iter().map(|writer| writer.join().unwrap());
        longest.max().unwrap()
    })
}

fn left(cache: &Cache, names: impl Iterator<Item = String>) -> usize {
    let here = |name: &String| cache.sealed(&url(name)).unwrap().is_some();
    names.filter(here).count()
}

#[test]
fn writers_at_the_limit_evict_what_they_need_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 20 * MIB);
    let names = || (0..20).map(|number| format!("m{number}"));
    for name in names() {
        put_model(&cache, &name).unwrap();
    }
    let streamed = partial(&cache, &url("new"), &[spec("saved_model.pb", 4 * MIB)]);
    write_together(&get(&streamed, "saved_model.pb"), 64 << 10);
    assert_eq!(left(&cache, names()), 16);
    assert!(matches!(streamed.seal(), Ok(Sealing::Sealed(_))));
    assert_eq!(left(&cache, names()), 16);
}

/// `cargo test --lib -- --ignored --nocapture a_cache_of_ten_thousand`
#[test]
#[ignore = "a measurement"]
fn a_cache_of_ten_thousand_models_holds_no_write_up() {
    const MODELS: u64 = 10_000;
    const SIZE: u64 = 64 << 10;
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), MODELS * SIZE);
    let layout = Layout::new(dir.path().to_owned());
    let names = || (0..MODELS).map(|number| format!("m{number}"));
    for name in names() {
        let key = Key::of(&url(&name));
        fs::create_dir(layout.model(&key)).unwrap();
        let file = layout.model(&key).join("saved_model.pb");
        fs::write(file, vec![1; SIZE as usize]).unwrap();
        fs::write(layout.descriptor(&key), "d").unwrap();
        let sealed = Sealed::load(layout.model(&key)).unwrap();
        let manifest = Manifest::of(&url(&name), State::Sealed, "d", &sealed);
        manifest.write(&layout, &key).unwrap();
    }
    let streamed = partial(&cache, &url("new"), &[spec("saved_model.pb", 64 * MIB)]);
    let begun = SystemTime::now();
    let longest = write_together(&get(&streamed, "saved_model.pb"), 512 << 10);
    println!(
        "64 MiB written in {:?}, the longest write took {longest:?}",
        begun.elapsed().unwrap()
    );
    assert_eq!(left(&cache, names()) as u64, MODELS - 64 * MIB / SIZE);
    assert!(longest < Duration::from_millis(50), "{longest:?}");
}
