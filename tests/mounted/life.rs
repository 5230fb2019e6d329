//! A mount's life: it begins when it answers, ends without a trace, and mends what died before it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{
    Background, Mounting, PROGRAM, SOON, Tar, as_other, daemons, entries, eventually, is_mounted,
    mount_entry, needs_fuse, other_user, run, run_with, saved_model, signal, within,
};
use crate::origin::{Hop, Origin};

fn in_background(place: &Background, origin: &Origin, more: &[&str]) -> crate::common::Outcome {
    let mut args = place.mount_args();
    args.push(format!(
        "--mirror=https://tfhub.dev={}",
        origin.url(Hop::Hub)
    ));
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    run(args)
}

/// `mount` returns when the mount answers, makes a missing mountpoint, and logs to its file; `unmount` leaves nothing.
#[test]
fn a_mount_in_the_background_begins_and_ends() {
    let origin = Origin::start();
    let model = saved_model(1, 20_000);
    origin.publish("google/x/1", Tar::of(&model).gz());
    let place = Background::new();
    let started = in_background(&place, &origin, &[]);
    assert_eq!(started.code, Some(0), "{started:?}");
    assert!(is_mounted(&place.at), "mounted when the command returns");
    let entry = mount_entry(&place.at).unwrap();
    let (options, kind) = entry.split_once(" - ").unwrap();
    assert!(
        kind.starts_with("fuse.tfhub-fs ") && options.contains(" ro,"),
        "{entry}"
    );
    let at = place.at.clone();
    within(SOON, move || model.assert_at(&at.join("google/x/1")));
    let df = run_with({
        let mut df = Command::new("df");
        df.arg(&place.at);
        df
    });
    assert_eq!(df.code, Some(0), "{df:?}");
    assert!(
        started.stderr.contains("mounted"),
        "whoever mounts is told: {started:?}"
    );
    eventually("the log is a file", SOON, || {
        std::fs::read_to_string(&place.log)
            .unwrap()
            .contains("https://tfhub.dev/google/x/1")
    });
    assert_eq!(daemons(&place.at).len(), 1);

    let file = File::open(place.at.join("google/x/1/saved_model.pb")).unwrap();
    let refused = run(["unmount", place.at.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains(&std::process::id().to_string()),
        "the pids are named: {refused:?}"
    );
    assert!(is_mounted(&place.at));
    drop(file);
    let ended = run(["unmount", place.at.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_nothing_left(&place);
    let again = run(["unmount", place.at.to_str().unwrap()]);
    assert_eq!(again.code, Some(1), "nothing is mounted there: {again:?}");
}

#[track_caller]
fn assert_nothing_left(place: &Background) {
    assert!(!is_mounted(&place.at), "no mount");
    eventually("no process", Duration::from_secs(5), || {
        daemons(&place.at).is_empty()
    });
    let odd: Vec<String> = entries(&place.cache)
        .into_iter()
        .filter(|name| name.ends_with(".lock") || name.ends_with(".tmp") || name.contains(".tmp"))
        .collect();
    assert!(odd.is_empty(), "no staging and no lock: {odd:?}");
}

/// `--lazy` detaches a mount in use; what is open is still served.
#[test]
fn a_lazy_unmount_serves_what_is_open() {
    let origin = Origin::start();
    let model = saved_model(2, 3_000_000);
    let wanted = model
        .bytes("variables/variables.data-00000-of-00001")
        .to_vec();
    origin.publish("google/x/1", Tar::of(&model).gz());
    let place = Background::new();
    assert_eq!(
        in_background(&place, &origin, &["--passthrough=false"]).code,
        Some(0)
    );
    let mut file = File::open(
        place
            .at
            .join("google/x/1/variables/variables.data-00000-of-00001"),
    )
    .unwrap();
    let lazy = run(["unmount", "--lazy", place.at.to_str().unwrap()]);
    assert_eq!(lazy.code, Some(0), "{lazy:?}");
    assert!(!is_mounted(&place.at), "detached");
    let bytes = within(SOON, move || {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| bytes)
    });
    assert!(bytes.unwrap() == wanted, "what is open is still served");
    eventually(
        "the process ends with the last open file",
        Duration::from_secs(8),
        || daemons(&place.at).is_empty(),
    );
}

/// "SIGTERM unmounts, and if something is open detaches, serves what is open for `--grace` and exits."
#[test]
fn sigterm_gives_open_files_a_grace() {
    let origin = Origin::start();
    let model = saved_model(3, 3_000_000);
    let data = "google/x/1/variables/variables.data-00000-of-00001";
    origin.publish("google/x/1", Tar::of(&model).gz());
    let mut mount = Mounting::of(&origin)
        .arg("--grace=3s")
        .arg("--passthrough=false")
        .start();
    let mut file = mount.on(data, File::open).unwrap();
    let since = Instant::now();
    mount.signal("TERM");
    eventually("it is detached", Duration::from_secs(2), || {
        !is_mounted(&mount.at)
    });
    assert!(mount.is_alive(), "and serves on");
    let (file, bytes) = within(SOON, move || {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| (file, bytes))
    })
    .unwrap();
    assert!(bytes == model.bytes("variables/variables.data-00000-of-00001"));
    assert_eq!(
        mount.ended(Duration::from_secs(8)),
        Some(0),
        "{}",
        mount.log()
    );
    let after = since.elapsed();
    assert!(
        (2500..6000).contains(&after.as_millis()),
        "the grace was 3 s, it ended after {after:?}"
    );
    drop(file);
    let mut quiet = Mounting::of(&origin).start();
    let since = Instant::now();
    quiet.signal("TERM");
    assert_eq!(quiet.ended(SOON), Some(0));
    assert!(
        since.elapsed() < Duration::from_secs(2),
        "nothing open, no grace: {:?}",
        since.elapsed()
    );
    assert!(!is_mounted(&quiet.at));
}

/// "Mounting over a dead mount mends it."
#[test]
fn a_dead_mount_is_mended() {
    let origin = Origin::start();
    let model = saved_model(4, 20_000);
    origin.publish("google/x/1", Tar::of(&model).gz());
    let place = Background::new();
    assert_eq!(in_background(&place, &origin, &[]).code, Some(0));
    let [daemon] = daemons(&place.at)[..] else {
        panic!("one daemon")
    };
    signal(daemon, "KILL");
    eventually("it is dead", SOON, || daemons(&place.at).is_empty());
    eventually("the kernel says that nobody is there", SOON, || {
        std::fs::metadata(&place.at)
            .is_err_and(|error| error.raw_os_error() == Some(libc::ENOTCONN))
    });
    let again = in_background(&place, &origin, &[]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let at = place.at.clone();
    within(SOON, move || model.assert_at(&at.join("google/x/1")));
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let here = table
        .lines()
        .filter(|line| line.split(' ').nth(4) == place.at.to_str())
        .count();
    assert_eq!(here, 1, "the dead one is gone, not covered");
    let twice = in_background(&place, &origin, &[]);
    assert_eq!(
        twice.code,
        Some(1),
        "a live mount is not mounted over: {twice:?}"
    );
    assert_eq!(run(["unmount", place.at.to_str().unwrap()]).code, Some(0));
    assert_nothing_left(&place);
}

/// An ordinary user mounts through fusermount3, for himself, without passthrough.
#[test]
fn an_ordinary_user_mounts_too() {
    let origin = Origin::start();
    let model = saved_model(5, 200_000);
    origin.publish("google/x/1", Tar::of(&model).gz());
    let mut mount = Mounting::of(&origin).by_other().start();
    let mut sum = Command::new("sh");
    sum.args(["-c", "cat \"$1\"/google/x/1/saved_model.pb | md5sum; stat -c %u \"$1\"/google/x/1/saved_model.pb", "sh"]);
    sum.arg(&mount.at);
    as_other(&mut sum);
    let read = run_with(sum);
    let plain = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(plain.path(), model.bytes("saved_model.pb")).unwrap();
    let md5 = run_with({
        let mut md5 = Command::new("md5sum");
        md5.arg(plain.path());
        md5
    });
    let (uid, _) = other_user();
    let wanted = format!("{}  -\n{uid}\n", md5.stdout.split(' ').next().unwrap());
    assert_eq!(read.stdout, wanted, "{read:?}\n{}", mount.log());
    let path = mount.path("google/x/1");
    assert!(
        std::fs::metadata(path).is_err(),
        "a user's mount is that user's"
    );
    let cached = std::fs::metadata(&mount.cache).unwrap();
    assert_eq!(cached.uid(), uid);
    let mut unmount = crate::common::program(["unmount".as_ref(), mount.at.as_os_str()]);
    as_other(&mut unmount);
    let ended = run_with(unmount);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(mount.ended(SOON), Some(0));
    assert!(!is_mounted(&mount.at));
}

/// `--allow-other` takes a line of the administrator in /etc/fuse.conf, which is not there.
#[test]
fn an_ordinary_user_is_told_what_others_reading_takes() {
    needs_fuse();
    let (uid, gid) = other_user();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("mnt");
    std::fs::create_dir(&at).unwrap();
    for path in [dir.path(), &at] {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c"]).arg(
        "set -e; [ ! -e /etc/fuse.conf ] || mount --bind /dev/null /etc/fuse.conf
        exec setpriv --reuid=$1 --regid=$2 --clear-groups \"$3\" mount --foreground --allow-other=true \"$4/mnt\" --cache-dir \"$4/cache\"",
    );
    command.args(["sh", &uid.to_string(), &gid.to_string(), PROGRAM]);
    command.arg(dir.path());
    let ended = run_with(command);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("user_allow_other"), "{ended:?}");
}
