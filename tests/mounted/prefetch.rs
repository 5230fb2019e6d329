//! `prefetch` and `resolve` beside each other, on terminals and in loops.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::common::{
    Mounting, SOON, Tar, eventually, files_below, program, run_with, saved_model, sha1_of,
};
use crate::disk::SmallDisk;
use crate::origin::{Fault, Gate, Hop, Object, Origin};
use crate::stream::{DATA, object, offer, uncompressed};

fn host(origin: &Origin, name: &str, size: usize) -> String {
    host_as(origin, name, size).0
}

fn host_as(origin: &Origin, name: &str, size: usize) -> (String, Arc<Object>) {
    let model = saved_model(size as u64, size);
    let object = origin.host(&format!("google/{name}/1"), Tar::of(&model).gz());
    (format!("https://tfhub.dev/google/{name}/1"), object)
}

fn command(origin: &Origin, cache: &Path, args: &[&str]) -> Command {
    let mut command = program(args);
    command
        .arg(format!("--cache-dir={}", cache.display()))
        .arg(format!(
            "--mirror=https://tfhub.dev={}",
            origin.url(Hop::Hub)
        ));
    command
}

fn is_here(cache: &Path, handle: &str) -> bool {
    cache.join(sha1_of(handle)).exists()
}

/// Kills a child that a failed test leaves.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_slow_model_holds_up_no_other() {
    let origin = Origin::start();
    let gate = Gate::new();
    let (slow, object) = host_as(&origin, "slow", 300_000);
    let quick: Vec<String> = (1..=4)
        .map(|number| host(&origin, &format!("q{number}"), 1000 * number))
        .collect();
    let fault = Fault::Gated {
        at: 5000,
        gate: gate.clone(),
    };
    object.faults(vec![fault]);
    let cache = tempfile::tempdir().unwrap();
    let mut args = vec!["prefetch", "--jobs=2", "--timeout=60s", &slow];
    args.extend(quick.iter().map(String::as_str));
    let mut fetching = command(&origin, cache.path(), &args);
    fetching.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut fetching = Guarded(fetching.spawn().unwrap());
    eventually("the quick ones are here", SOON, || {
        quick.iter().all(|handle| is_here(cache.path(), handle))
    });
    assert!(!is_here(cache.path(), &slow));
    gate.open();
    let mut told = String::new();
    std::io::Read::read_to_string(&mut fetching.0.stdout.take().unwrap(), &mut told).unwrap();
    assert!(fetching.0.wait().unwrap().success());
    let names: Vec<String> = told
        .lines()
        .map(|line| line.rsplit_once('/').unwrap().1.to_owned())
        .collect();
    let wanted: Vec<String> = args[3..].iter().map(|handle| sha1_of(handle)).collect();
    assert_eq!(names, wanted, "in the order in which they were typed");
}

/// What one run has fetched is there at its end, however small the cache.
#[test]
fn models_of_one_run_do_not_push_each_other_out() {
    let origin = Origin::start();
    let handles: Vec<String> = (1..=4)
        .map(|number| host(&origin, &format!("m{number}"), 1_000_000 + number))
        .collect();
    let cache = tempfile::tempdir().unwrap();
    let mut args = vec![
        "prefetch",
        "--jobs=1",
        "--json",
        "--cache-size=2500KiB",
        "--load-format=compressed",
    ];
    args.extend(handles.iter().map(String::as_str));
    let done = run_with(command(&origin, cache.path(), &args));
    assert_eq!(done.code, Some(1), "{done:?}");
    let here = done.stdout.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let path = line["path"].as_str().map(Path::new);
        assert!(path.is_none_or(Path::exists), "{line}");
        path.is_some()
    });
    assert_eq!(here.collect::<Vec<_>>(), [true, true, false, false]);
    assert!(done.stderr.contains("nothing can be evicted now"));
    // The next run may push them out.
    let next = run_with(command(
        &origin,
        cache.path(),
        &["prefetch", "--cache-size=2500KiB", &handles[2]],
    ));
    assert_eq!(next.code, Some(0), "{next:?}");
}

/// How far it is: lines where there is no terminal that can move its cursor, each with bytes, rate and time left.
#[test]
fn progress_is_told_in_lines_and_as_bars() {
    let origin = Origin::start();
    let (handle, object) = host_as(&origin, "long", 2_000_000);
    let never = "https://tfhub.dev/google/never/1";
    let slow = |bytes_per_second| {
        let fault = Fault::Rate { bytes_per_second };
        object.faults(vec![fault]);
    };
    slow(250_000);
    let cache = tempfile::tempdir().unwrap();
    let lines = run_with(command(&origin, cache.path(), &["prefetch", &handle]));
    let told: Vec<&str> = lines
        .stderr
        .lines()
        .filter(|l| l.contains("left"))
        .collect();
    assert!(!told.is_empty(), "{lines:?}");
    for line in told {
        for word in ["google/long/1: ", " of 2.0 MiB, ", "/s, ", " s left"] {
            assert!(line.contains(word), "{word}: {line}");
        }
    }
    let again = run_with(command(&origin, cache.path(), &["prefetch", &handle]));
    assert!(again.stderr.contains("already cached"), "{again:?}");
    // script(1) makes a terminal, whose output it writes to stdout.
    slow(4_000_000);
    let on_terminal = |term: &str| {
        let cache = tempfile::tempdir().unwrap();
        let inner = command(&origin, cache.path(), &["prefetch", &handle, never]);
        let mut typed = vec![inner.get_program().to_str().unwrap().to_owned()];
        typed.extend(inner.get_args().map(|arg| arg.to_str().unwrap().to_owned()));
        let mut script = Command::new("script");
        script
            .args(["--quiet", "--return", "--command", &typed.join(" ")])
            .arg("/dev/null")
            .env("TERM", term)
            .env("TFHUB_FS_MIN_FREE", "0")
            .stdin(Stdio::null());
        run_with(script)
    };
    let bars = on_terminal("xterm");
    assert_eq!(bars.code, Some(1), "{bars:?}");
    for words in ["1 of 2 models", " of 2.0 MiB", "left", "google/never/1"] {
        assert!(bars.stdout.contains(words), "{words}: {}", bars.stdout);
    }
    assert!(bars.stdout.contains('\u{2588}'), "{}", bars.stdout);
    let dumb = on_terminal("dumb");
    assert!(
        dumb.stdout.contains("google/never/1 is unknown"),
        "{dumb:?}"
    );
    assert!(!dumb.stdout.contains('\u{2588}'), "{dumb:?}");
}

/// Ctrl-C ends a loop around the command too, and what was complete stays.
#[test]
fn an_interrupt_ends_it_and_keeps_what_is_complete() {
    let origin = Origin::start();
    let gate = Gate::new();
    let quick = host(&origin, "quick", 1000);
    let (slow, object) = host_as(&origin, "slow", 300_000);
    let fault = Fault::Gated {
        at: 5000,
        gate: gate.clone(),
    };
    object.faults(vec![fault]);
    let cache = tempfile::tempdir().unwrap();
    let args = ["prefetch", "--timeout=60s", &quick, &slow];
    let mut fetching = command(&origin, cache.path(), &args);
    fetching.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut fetching = Guarded(fetching.spawn().unwrap());
    eventually("one is here", SOON, || is_here(cache.path(), &quick));
    let pid = fetching.0.id().to_string();
    let told = Command::new("kill").args(["-INT", &pid]).status();
    assert!(told.unwrap().success());
    let begun = std::time::Instant::now();
    let status = fetching.0.wait().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(signal, Some(libc::SIGINT), "{status:?}");
    assert!(is_here(cache.path(), &quick) && !is_here(cache.path(), &slow));
    gate.open();
    let left = run_with(command(&origin, cache.path(), &["prefetch", &slow]));
    assert_eq!(left.code, Some(0), "{left:?}");
    let names = crate::common::entries(cache.path());
    assert!(
        names.iter().all(|name| !name.ends_with(".tmp")),
        "{names:?}"
    );
}

#[test]
fn a_list_tells_every_bad_line_and_a_catalog_may_only_pin() {
    let origin = Origin::start();
    let handle = host(&origin, "pinned", 1000);
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let list = dir.path().join("list");
    std::fs::write(
        &list,
        format!("{handle}\nnonsense\n# a remark\ngoogle/x/1\n"),
    )
    .unwrap();
    let file = format!("--file={}", list.display());
    let bad = run_with(command(&origin, &cache, &["prefetch", &file]));
    assert_eq!(bad.code, Some(2), "{bad:?}");
    for at in [":2: ", ":4: "] {
        let line = format!("{}{at}", list.display());
        assert!(bad.stderr.contains(&line), "{bad:?}");
    }
    std::fs::write(&list, format!("{handle} pin\n")).unwrap();
    let catalog = format!("--catalog={}", list.display());
    let pinned = run_with(command(&origin, &cache, &["prefetch", &catalog]));
    assert_eq!(pinned.code, Some(0), "{pinned:?}");
    assert!(pinned.stderr.contains("nothing to fetch"), "{pinned:?}");
    let pin = cache.join(".tfhub-fs/v1/pins").join(sha1_of(&handle));
    assert!(pin.exists());
}

/// `resolve` takes the cache that it is told by the environment, and waits for no mount then.
#[test]
fn resolve_of_a_cache_in_the_environment_asks_no_mount() {
    let origin = Origin::start();
    let handle = host(&origin, "x", 1000);
    let mount = Mounting::of(&origin).start();
    mount.stat("google/x/1").unwrap();
    let cache = tempfile::tempdir().unwrap();
    let mut resolve = program(["resolve", &handle]);
    resolve
        .arg(format!(
            "--mirror=https://tfhub.dev={}",
            origin.url(Hop::Hub)
        ))
        .env("TFHUB_FS_CACHE_DIR", cache.path());
    let resolved = run_with(resolve);
    let wanted = cache.path().join(sha1_of(&handle));
    assert_eq!(
        resolved.stdout.trim(),
        wanted.to_str().unwrap(),
        "{resolved:?}"
    );
}

/// A hub that publishes models to be streamed.
fn streamed(origin: &Origin, names: &[&str], size: usize) -> Vec<String> {
    let published = names.iter().enumerate().map(|(number, name)| {
        offer(
            origin,
            &format!("google/{name}/1"),
            &saved_model(number as u64, size),
        );
        format!("https://tfhub.dev/google/{name}/1")
    });
    published.collect()
}

fn prefetch_streamed(origin: &Origin, cache: &Path, args: &[&str]) -> Command {
    let mut command = command(origin, cache, &["prefetch"]);
    command
        .arg("--load-format=uncompressed")
        .arg(format!("--gcs-endpoint={}", origin.url(Hop::Gcs)))
        .args(args);
    command
}

/// Together they are larger than the cache: one comes, and the other fails with the size that would do.
#[test]
fn streamed_models_that_do_not_fit_together_end() {
    let origin = Origin::start();
    let handles = streamed(&origin, &["a", "b"], 16 << 20);
    let cache = tempfile::tempdir().unwrap();
    let args = ["--cache-size=24MiB", &handles[0], &handles[1]];
    let done = run_with(prefetch_streamed(&origin, cache.path(), &args));
    assert_eq!(done.code, Some(1), "{done:?}");
    let here = handles
        .iter()
        .filter(|handle| is_here(cache.path(), handle));
    assert_eq!(here.count(), 1, "{done:?}");
    assert!(done.stderr.contains("--cache-size 33MiB"), "{done:?}");
    // Larger than the cache could ever be.
    let args = ["--cache-size=12MiB", &handles[0], &handles[1]];
    let done = run_with(prefetch_streamed(
        &origin,
        &cache.path().join("small"),
        &args,
    ));
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("--cache-size 17MiB"), "{done:?}");
    let args = ["--cache-size=33MiB", &handles[0], &handles[1]];
    let done = run_with(prefetch_streamed(
        &origin,
        &cache.path().join("large"),
        &args,
    ));
    assert_eq!(done.code, Some(0), "{done:?}");
}

/// The same for what is to stay free of the disk, and for space that others take meanwhile.
#[test]
fn streamed_models_that_the_disk_has_no_space_for_end() {
    let origin = Origin::start();
    let handles = streamed(&origin, &["a", "b"], 16 << 20);
    let disk = SmallDisk::of("36m");
    let args = ["--min-free=12MiB", &handles[0], &handles[1]];
    let done = run_with(prefetch_streamed(&origin, disk.cache(), &args));
    assert_eq!(done.code, Some(1), "{done:?}");
    let here = handles
        .iter()
        .filter(|handle| is_here(disk.cache(), handle));
    assert_eq!(here.count(), 1, "{done:?}");
    assert!(done.stderr.contains("--min-free"), "{done:?}");

    let disk = SmallDisk::of("40m");
    for name in ["a", "b"] {
        let slow = vec![
            Fault::Rate {
                bytes_per_second: 1_000_000
            };
            64
        ];
        object(&origin, &format!("google/{name}/1"), DATA).faults(slow);
    }
    let args = ["--min-free=1MiB", "--timeout=60s", &handles[0], &handles[1]];
    let mut fetching = prefetch_streamed(&origin, disk.cache(), &args);
    fetching.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut fetching = Guarded(fetching.spawn().unwrap());
    let mut told = fetching.0.stderr.take().unwrap();
    let arrived = || {
        let files = files_below(disk.cache());
        files.iter().filter(|file| file.ends_with(DATA)).count() == 2
    };
    eventually("both are under way", SOON, arrived);
    std::fs::write(disk.cache().join("another's"), vec![1; 18 << 20]).unwrap();
    eventually("it ends", Duration::from_secs(40), || {
        fetching.0.try_wait().unwrap().is_some()
    });
    let mut words = String::new();
    std::io::Read::read_to_string(&mut told, &mut words).unwrap();
    let here = handles
        .iter()
        .filter(|handle| is_here(disk.cache(), handle));
    assert_eq!(here.count(), 1, "{words}");
    assert!(words.contains("1 of 2 models"), "{words}");
}

/// In a mount nobody holds what a catalog has brought: one comes after the other.
#[test]
fn a_catalog_of_streamed_models_that_do_not_fit_together_comes_one_by_one() {
    let origin = Origin::start();
    let handles = streamed(&origin, &["a", "b", "c"], 16 << 20);
    let dir = tempfile::tempdir().unwrap();
    let catalog = dir.path().join("catalog");
    let lines = handles.iter().map(|handle| format!("{handle} prefetch\n"));
    std::fs::write(&catalog, lines.collect::<String>()).unwrap();
    let mount = uncompressed(&origin)
        .arg("--cache-size=24MiB")
        .arg(format!("--catalog={}", catalog.display()))
        .start();
    let manifest = |handle: &String| {
        let manifests = mount.cache.join(".tfhub-fs/v1/manifests");
        manifests.join(sha1_of(handle)).exists()
    };
    eventually("each was here", Duration::from_secs(40), || {
        handles.iter().all(manifest)
    });
}
