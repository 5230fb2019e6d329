//! `serve` seen through a mount, and `demo` as a newcomer runs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::{
    Mounting, SOON, Tar, Tree, clear, program, run_with, saved_model, signal, within,
};

/// A `serve` on a free port; it ends when dropped.
struct Serve {
    child: Child,
    url: String,
}

impl Serve {
    fn start(dir: &Path) -> Serve {
        let mut command = program(["serve".as_ref(), dir.as_os_str()]);
        command
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let url = within(SOON, move || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            line.trim_end().trim_end_matches('/').to_owned()
        });
        assert!(
            url.starts_with("http://127.0.0.1:"),
            "the URL is printed on stdout: {url:?}"
        );
        Serve { child, url }
    }

    fn get(&self, path: &str, header: &str) -> (String, Vec<u8>) {
        let authority = self.url.strip_prefix("http://").unwrap().to_owned();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\n{header}Connection: close\r\n\r\n"
        );
        within(SOON, move || {
            let mut stream = TcpStream::connect(authority).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            let end = answer
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
                .unwrap();
            let body = answer.split_off(end + 4);
            (
                String::from_utf8(answer).unwrap().to_ascii_lowercase(),
                body,
            )
        })
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn models(dir: &Path) -> [Tree; 3] {
    let models = [1, 2, 3].map(|seed| saved_model(seed, 200_000));
    models[0].write_to(&dir.join("google/packed/1"));
    models[1].write_to(&dir.join("google/packed/12"));
    std::fs::create_dir_all(dir.join("google/ready")).unwrap();
    std::fs::write(dir.join("google/ready/3.tar.gz"), Tar::of(&models[2]).gz()).unwrap();
    models
}

/// What is served is what is in the directory, packed on the fly or ready-made, in parts and by version.
#[test]
fn a_served_directory_is_seen_through_a_mount() {
    let dir = tempfile::tempdir().unwrap();
    let [one, twelve, ready] = models(dir.path());
    let serve = Serve::start(dir.path());
    let mount = Mounting::bare()
        .arg(format!("--hub-url={}", serve.url))
        .arg("--timeout=10s")
        .start();
    for (path, model) in [
        ("google/packed/1", &one),
        ("google/packed/12", &twelve),
        ("google/ready/3", &ready),
    ] {
        let model = model.clone();
        mount.on(path, move |root| model.assert_at(&root));
    }
    assert_eq!(
        mount.real("google/packed/latest").unwrap(),
        "google/packed/12",
        "numbers are compared as numbers"
    );
    assert!(mount.stat("google/packed/7").is_err());

    let archive = "/google/packed/1?tf-hub-format=compressed";
    let (head, whole) = serve.get(archive, "");
    assert!(
        head.starts_with("http/1.1 200") && head.contains("etag:") && head.contains("x-goog-hash:"),
        "{head}"
    );
    let (_, again) = serve.get(archive, "");
    assert!(whole == again, "packing is deterministic");
    let (head, part) = serve.get(archive, "Range: bytes=1000-1999\r\n");
    assert!(
        head.starts_with("http/1.1 206") && part == whole[1000..2000],
        "{head}"
    );
    assert!(
        head.contains(&format!("content-range: bytes 1000-1999/{}", whole.len())),
        "{head}"
    );
    let (head, _) = serve.get(archive, &format!("Range: bytes={}-\r\n", whole.len()));
    assert!(head.starts_with("http/1.1 416"), "{head}");
    let (head, _) = serve.get("/google/packed?tf-hub-format=compressed", "");
    assert!(
        head.contains("location:") && head.contains("/google/packed/12"),
        "{head}"
    );
    let (head, page) = serve.get("/google/packed/1", "");
    assert!(head.contains("content-type: text/html"), "{head}");
    assert!(
        String::from_utf8_lossy(&page).contains("google/packed"),
        "a page for people"
    );
    let (head, _) = serve.get("/google/../../etc/passwd?tf-hub-format=compressed", "");
    assert!(head.starts_with("http/1.1 4"), "{head}");
}

/// Everything at once, with no network, and nothing left behind.
#[test]
fn the_demo_shows_itself_and_cleans_up() {
    let temp = tempfile::tempdir().unwrap();
    let _cleared = Cleared(temp.path().to_owned());
    let mut command = program(["demo", "--once"]);
    command.env("TMPDIR", temp.path());
    let once = run_with(command);
    assert_eq!(once.code, Some(0), "{once:?}");
    assert!(
        once.stdout.contains("saved_model.pb") && once.stdout.contains("http://127.0.0.1:"),
        "{once:?}"
    );
    assert_clean(temp.path());

    let mut command = program(["demo"]);
    command
        .env("TMPDIR", temp.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut demo = command.spawn().unwrap();
    let stdout = BufReader::new(demo.stdout.take().unwrap());
    let seen = within(SOON, move || {
        stdout
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("Ctrl-C"))
    });
    assert!(seen, "it waits for Ctrl-C and says so");
    signal(demo.id(), "INT");
    let status = within(SOON, move || demo.wait().unwrap());
    assert!(status.success(), "{status:?}");
    assert_clean(temp.path());
}

/// Takes away what a demo that failed has left.
struct Cleared(PathBuf);

impl Drop for Cleared {
    fn drop(&mut self) {
        clear(&self.0);
    }
}

#[track_caller]
fn assert_clean(temp: &Path) {
    let left: Vec<_> = std::fs::read_dir(temp)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    let table = Command::new("cat")
        .arg("/proc/self/mountinfo")
        .output()
        .unwrap();
    assert!(
        !String::from_utf8_lossy(&table.stdout).contains(temp.to_str().unwrap()),
        "a mount is left"
    );
}
