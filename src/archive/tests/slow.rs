//! Bytes are passed on as soon as they can be, however slowly they come.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::build::{Pack, gzip};
use super::sink::{Never, Node, Tree};
use crate::archive::{Limits, Name, Sink, unpack};

/// Gives one byte at a time.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(1);
        self.0.read(&mut buf[..len])
    }
}

impl BufRead for Trickle<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.0[..self.0.len().min(1)])
    }

    fn consume(&mut self, len: usize) {
        self.0 = &self.0[len..];
    }
}

#[test]
fn one_byte_at_a_time_makes_no_difference() {
    let plain = super::build::sample();
    let want = super::tree(&plain);
    for packed in [
        plain.clone(),
        gzip(&plain),
        super::build::bzip2(&plain),
        super::build::xz(&plain),
    ] {
        let mut tree = Tree::default();
        unpack(Trickle(&packed), &Limits::default(), &mut tree).unwrap();
        assert_eq!(tree.nodes.into_iter().collect::<Vec<_>>(), want);
    }
}

/// Gives what the test sends, when it sends it.
struct Pipe(Receiver<Vec<u8>>, Vec<u8>);

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(buf)?;
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for Pipe {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.1.is_empty() {
            self.1 = self.0.recv().unwrap_or_default();
        }
        Ok(&self.1)
    }

    fn consume(&mut self, len: usize) {
        self.1.drain(..len);
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Tree>>);

impl Sink for Shared {
    type Error = Never;
    fn dir(&mut self, path: &Name, mtime: SystemTime) -> Result<(), Never> {
        self.0.lock().unwrap().dir(path, mtime)
    }
    fn file(&mut self, path: &Name, size: u64, mtime: SystemTime) -> Result<(), Never> {
        self.0.lock().unwrap().file(path, size, mtime)
    }
    fn data(&mut self, bytes: &[u8]) -> Result<(), Never> {
        self.0.lock().unwrap().data(bytes)
    }
    fn hole(&mut self, len: u64) -> Result<(), Never> {
        self.0.lock().unwrap().hole(len)
    }
    fn end(&mut self) -> Result<(), Never> {
        self.0.lock().unwrap().end()
    }
}

#[track_caller]
fn eventually(what: &str, shared: &Shared, holds: impl Fn(&Tree) -> bool) {
    for _ in 0..1000 {
        if holds(&shared.0.lock().unwrap()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what} never came");
}

/// Sends the archive in two parts; after the first, all of "small" and the first bytes of "large" must be there.
fn two_parts(first: Vec<u8>, second: Vec<u8>) {
    let (sender, receiver): (SyncSender<Vec<u8>>, _) = sync_channel(4);
    let shared = Shared::default();
    let mut sink = shared.clone();
    let thread = std::thread::spawn(move || {
        unpack(Pipe(receiver, Vec::new()), &Limits::default(), &mut sink)
    });
    sender.send(first).unwrap();
    eventually("the small file", &shared, |tree| {
        tree.nodes.get("small") == Some(&Node::file("body"))
    });
    eventually("the head of the large file", &shared, |tree| {
        tree.partial().is_some_and(|bytes| bytes == [7; 100])
    });
    sender.send(second).unwrap();
    drop(sender);
    thread.join().unwrap().unwrap();
    assert_eq!(
        shared.0.lock().unwrap().nodes["large"],
        Node::file([7; 1000])
    );
}

#[test]
fn bytes_are_passed_on_before_the_next_come() {
    let plain = Pack::new()
        .file("small", "body")
        .file("large", [7; 1000])
        .end();
    let cut = 512 + 512 + 512 + 100;
    two_parts(plain[..cut].to_vec(), plain[cut..].to_vec());
    // A member boundary makes all bytes before it known; within a member deflate may hold some back.
    two_parts(gzip(&plain[..cut]), gzip(&plain[cut..]));
    let streams = |part: &[u8]| super::build::xz(part);
    two_parts(
        [streams(&plain[..cut]), Vec::new()].concat(),
        streams(&plain[cut..]),
    );
}
