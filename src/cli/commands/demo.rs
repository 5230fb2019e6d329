//! `tfhub-fs demo`: the whole product on one machine, without network.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli::args::Demo;
use crate::cli::failure::Failure;
use crate::daemon::runtime::Runtime;
use crate::daemon::signals::StopSignals;
use crate::os::mountinfo::{FSTYPE, Table};
use crate::os::unmount::{self, Way};
use crate::os::xattr;
use crate::server::{self, Options, Server};

/// How long the mount may take to appear, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts a hub with a small real model, mounts it, shows what happens, and cleans up.
pub(in crate::cli) fn run(command: &Demo) -> Result<(), Failure> {
    let runtime = Runtime::new().map_err(Failure::failed)?;
    // From here on Ctrl-C ends the demo after its clean-up, and not the process at once.
    let mut stop = {
        let _entered = runtime.enter();
        StopSignals::new(false).map_err(Failure::failed)?
    };
    let place = Place::make()?;
    let models = server::demo::write_models(&place.dir("models")).map_err(Failure::failed)?;
    let options = Options::new(place.dir("models"));
    let server = runtime
        .block_on(Server::bind(options))
        .map_err(Failure::failed)?;
    let url = server.url();
    let folders: Vec<_> = models.iter().map(|model| server.folder(model)).collect();
    let serving = runtime.spawn(server.run(std::future::pending()));
    say(&format!(
        "A hub with a real SavedModel (made by TensorFlow) listens on {url}"
    ));
    let mount = Mounted::start(&place, &url)?;
    say(&format!("It is mounted on {}", mount.at.display()));
    for model in &models {
        tour(&mount.at, model)?;
    }
    for folder in &folders {
        touch(&mount.at, folder)?;
    }
    suggest(&mount.at, &models, &folders, &url);
    if !command.once {
        say("\nCtrl-C ends the demo and removes everything it made.");
        runtime.block_on(stop.next());
    }
    drop(mount);
    serving.abort();
    say("\nUnmounted and cleaned up.");
    Ok(())
}

/// The demo's talk is its data.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Touches the model cold and warm, and tells what that did.
fn tour(mountpoint: &Path, model: &str) -> Result<(), Failure> {
    let dir = mountpoint.join(model);
    let graph = dir.join("saved_model.pb");
    let cold = timed(|| std::fs::read(&graph))?;
    say(&format!(
        "\nThe first open of {model}/saved_model.pb fetched the model and read {} bytes in {:.1} ms.",
        cold.0.len(),
        cold.1
    ));
    wait_sealed(&dir);
    let warm = timed(|| std::fs::read(&graph))?;
    say(&format!(
        "Verified and kept; the same read again took {:.2} ms.",
        warm.1
    ));
    say("What is in it:");
    for (name, size) in files(&dir, "").map_err(Failure::failed)? {
        say(&format!("  {size:>9}  {name}"));
    }
    Ok(())
}

/// Reads one file of the uncompressed form, and nothing else of the model.
fn touch(mountpoint: &Path, folder: &str) -> Result<(), Failure> {
    let dir = mountpoint.join(as_path(folder));
    let (bytes, took) = timed(|| std::fs::read(dir.join("saved_model.pb")))?;
    say(&format!(
        "\nUncompressed, the same model is {folder}, a bucket on the same server. Reading {} bytes of it\n\
         there fetched no archive and took {took:.1} ms.",
        bytes.len()
    ));
    Ok(())
}

/// `gs://bucket/dir` as the mount spells it.
fn as_path(folder: &str) -> String {
    folder.replacen("://", ":/", 1)
}

fn timed<T>(work: impl FnOnce() -> std::io::Result<T>) -> Result<(T, f64), Failure> {
    let begun = Instant::now();
    let result = work().map_err(Failure::failed)?;
    Ok((result, begun.elapsed().as_secs_f64() * 1000.0))
}

fn wait_sealed(dir: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if xattr::get(dir, "user.tfhub.state").is_ok_and(|state| state == "sealed") {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// All files below `dir` with their sizes, by path.
fn files(dir: &Path, below: &str) -> std::io::Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path(), &format!("{name}/"))?);
        } else {
            found.push((name, entry.metadata()?.len()));
        }
    }
    found.sort();
    Ok(found)
}

fn suggest(mountpoint: &Path, models: &[String], folders: &[String], url: &str) {
    let at = mountpoint.display();
    let model = models.first().map_or("", String::as_str);
    let unversioned = model.rsplit_once('/').map_or(model, |(name, _)| name);
    say("\nTry, in another terminal:");
    for (what, command) in [
        ("the model's files", format!("ls -lR {at}/{model}")),
        (
            "its versions and `latest`",
            format!("ls -l {at}/{unversioned}"),
        ),
        (
            "the whole URL pasted after the mountpoint",
            format!("ls {at}/{url}/{model}"),
        ),
        (
            "the uncompressed form, in a bucket",
            format!(
                "ls -l {at}/{}",
                folders
                    .first()
                    .map(|folder| as_path(folder))
                    .unwrap_or_default()
            ),
        ),
        (
            "is it complete? (package attr)",
            format!("getfattr --absolute-names -n user.tfhub.state {at}/{model}"),
        ),
        ("the hub's pages, or in a browser", format!("curl {url}")),
        (
            "an embedding, with TensorFlow installed",
            format!(
                "python3 -c 'import tensorflow as tf; print(tf.saved_model.load(\"{at}/{model}\")([\"dogs and cats\"]))'"
            ),
        ),
    ] {
        say(&format!("  # {what}\n  {command}"));
    }
}

/// The demo's temporary directory; removed when dropped.
struct Place(PathBuf);

impl Place {
    fn make() -> Result<Place, Failure> {
        let base = std::env::temp_dir().join(format!("tfhub-fs-demo-{}", std::process::id()));
        let made = std::fs::create_dir(&base);
        made.map_err(|error| Failure::Failed(format!("cannot make {}: {error}", base.display())))?;
        let place = Place(base);
        for name in ["models", "cache", "mnt"] {
            std::fs::create_dir(place.dir(name)).map_err(Failure::failed)?;
        }
        Ok(place)
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Never through a mount that is still there.
        let mounted = Table::read().is_ok_and(|table| table.inside(&self.dir("mnt"), FSTYPE));
        if !mounted {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// The demo's mount, a process of its own: a program must not read a mount that it serves itself.
struct Mounted {
    at: PathBuf,
    child: Child,
}

impl Mounted {
    fn start(place: &Place, url: &str) -> Result<Mounted, Failure> {
        let at = place.dir("mnt");
        let program = std::env::current_exe().map_err(Failure::failed)?;
        let child = Command::new(program)
            .args([
                "--log-level",
                "warn",
                "mount",
                "--foreground",
                "--hub-url",
                url,
                "--gcs-endpoint",
                url,
            ])
            .arg("--cache-dir")
            .arg(place.dir("cache"))
            .arg(&at)
            .stdin(Stdio::null())
            .spawn()
            .map_err(Failure::failed)?;
        let mut mounted = Mounted { at, child };
        mounted.wait_mounted()?;
        Ok(mounted)
    }

    fn wait_mounted(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if Table::read().is_ok_and(|table| table.inside(&self.at, FSTYPE)) {
                return Ok(());
            }
            if let Ok(Some(_)) = self.child.try_wait() {
                return Err(Failure::Failed(
                    "the mount ended early; its message is above".to_owned(),
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(Failure::Failed("the mount did not appear".to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(unmount::Error::Busy { .. }) = unmount::unmount(&self.at, Way::Normal) {
            let _ = unmount::unmount(&self.at, Way::Lazy);
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
