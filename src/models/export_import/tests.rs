//! What is exported arrives, and nothing else does.

use std::time::UNIX_EPOCH;

use tar::Builder;

use crate::cache::Begin;

use super::*;
use std::path::Path;

const URL: &str = "https://h/a/1";

fn cache(dir: &Path) -> Cache {
    Cache::open(dir).unwrap()
}

fn sealed(dir: &Path, url: &str) -> Cache {
    let cache = cache(dir);
    let Ok(Begin::Lead(lead)) = cache.begin(url) else {
        panic!("{url} is there");
    };
    let filling = lead.filling();
    for (name, bytes) in [("saved_model.pb", &b"graph"[..]), ("variables/x", b"bytes")] {
        let mut writer = filling.file(name, bytes.len() as u64, UNIX_EPOCH).unwrap();
        writer.write(bytes).unwrap();
        writer.end().unwrap();
    }
    filling.dir("assets", UNIX_EPOCH).unwrap();
    filling.names_known();
    lead.seal().unwrap();
    cache
}

fn exported(cache: &Cache, urls: &[&str]) -> Result<Vec<u8>, Error> {
    let mut out = Builder::new(Vec::new());
    for url in urls {
        Ready::look(cache, &Key::of(url), url)?.export(&mut out)?;
    }
    Ok(out.into_inner().unwrap())
}

fn imported(cache: &Cache, bytes: &[u8]) -> Result<Vec<(String, bool)>, Error> {
    let mut models = Vec::new();
    import(cache, bytes, |one| models.push((one.handle, one.known)))?;
    Ok(models)
}

#[test]
fn models_arrive_whole_and_once() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let from = sealed(here.path(), URL);
    sealed(here.path(), "https://h/b/2");
    let bytes = exported(&from, &[URL, "https://h/b/2"]).unwrap();
    let to = cache(there.path());
    let want = |known| vec![(URL.to_owned(), known), ("https://h/b/2".to_owned(), known)];
    assert_eq!(imported(&to, &bytes).unwrap(), want(false));
    assert_eq!(imported(&to, &bytes).unwrap(), want(true));
    let (one, other) = (
        from.sealed(URL).unwrap().unwrap(),
        to.sealed(URL).unwrap().unwrap(),
    );
    assert_eq!(one.children("").unwrap().len(), 3);
    for dir in ["variables", "assets"] {
        assert_eq!(one.children(dir), other.children(dir), "{dir}");
    }
    assert!(
        crate::cache::Integrity::of(&to)
            .whole(&Key::of(URL))
            .unwrap()
            .unwrap()
            .0
            .files()
            .all(|file| file.crc32c.is_some())
    );
}

#[test]
fn what_is_not_as_its_manifest_says_is_not_kept() {
    let here = tempfile::tempdir().unwrap();
    let good = exported(&sealed(here.path(), URL), &[URL]).unwrap();
    let at = |text: &[u8]| {
        good.windows(text.len())
            .position(|part| part == text)
            .unwrap()
    };
    let flipped = {
        let mut bytes = good.clone();
        bytes[at(b"bytes\0")] ^= 1;
        bytes
    };
    let another = {
        let mut bytes = good.clone();
        bytes[at(b"https://h/a/1") + 8] = b'g';
        bytes
    };
    let short = good[..at(b"bytes\0") - 512].to_vec();
    for (bytes, what) in [
        (flipped, "another byte"),
        (another, "another handle"),
        (short, "no end"),
        (good[at(b"graph") - 512..].to_vec(), "no manifest"),
        (b"no tar at all".repeat(100), "something else"),
        (Vec::new(), "nothing"),
    ] {
        let there = tempfile::tempdir().unwrap();
        let to = cache(there.path());
        assert!(imported(&to, &bytes).is_err(), "{what}");
        assert!(to.sealed(URL).unwrap().is_none(), "{what}");
        let left: Vec<_> = std::fs::read_dir(there.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{what}: {left:?}");
    }
}

#[test]
fn what_is_not_whole_does_not_leave() {
    let here = tempfile::tempdir().unwrap();
    let cache = sealed(here.path(), URL);
    assert!(matches!(
        exported(&cache, &["https://h/never/1"]),
        Err(Error::Absent(_))
    ));
    let file = cache
        .sealed(URL)
        .unwrap()
        .unwrap()
        .dir()
        .join("variables/x");
    let mtime = std::fs::metadata(&file).unwrap().modified().unwrap();
    std::fs::write(&file, "BYTES").unwrap();
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_modified(mtime).unwrap();
    assert!(matches!(
        exported(&cache, &[URL]),
        Err(Error::Damaged { .. })
    ));
}

/// What tensorflow_hub put here has no checksums yet; what is exported has, or nobody could tell a damaged copy.
#[test]
fn adopted_models_are_exported_with_checksums_and_none_is_taken_in_without() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = here.path().join(Key::of(URL).to_string());
    std::fs::create_dir(&at).unwrap();
    std::fs::write(at.join("saved_model.pb"), "graph that others wrote").unwrap();
    let from = cache(here.path());
    from.record_use(URL);
    let good = exported(&from, &[URL]).unwrap();
    let mut flipped = good.clone();
    let place = good.windows(5).position(|part| part == b"graph").unwrap();
    flipped[place] ^= 1;
    let to = cache(there.path());
    assert!(imported(&to, &flipped).is_err());
    assert!(to.sealed(URL).unwrap().is_none());
    imported(&to, &good).unwrap();
    let text = String::from_utf8_lossy(&good);
    let crc = text.find(",\"crc32c\"").unwrap();
    let end = crc + text[crc..].find('}').unwrap();
    let mut without = good.clone();
    without[crc..end].fill(b' ');
    assert!(imported(&cache(tempfile::tempdir().unwrap().path()), &without).is_err());
}
