//! What the tests of this room share: trees of files, and a client that says
//! exactly what it is told over a real socket.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::archives::Archives;
use super::confine::Root;
use super::hosting::router;
use super::{Bucket, DEFAULT_BUCKET, ModelIndex};

/// A directory of files, removed when dropped.
pub struct Tree {
    _temp: tempfile::TempDir,
    root: PathBuf,
}

impl Tree {
    pub fn new(files: &[(&str, &str)]) -> Tree {
        let temp = tempfile::tempdir().unwrap();
        let tree = Tree {
            root: fs::canonicalize(temp.path()).unwrap(),
            _temp: temp,
        };
        for (name, content) in files {
            tree.put(name, content);
        }
        tree
    }

    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn path(&self) -> &Path {
        &self.root
    }

    /// It, as it is served.
    pub fn root(&self) -> Arc<Root> {
        Arc::new(Root::new(&self.root).unwrap())
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HashMap<String, Vec<String>>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |values| values[0].as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Serves `tree` until the test's runtime ends.
pub async fn serve(tree: &Tree) -> SocketAddr {
    let index = Arc::new(ModelIndex::open(tree.path()).unwrap());
    let bucket = Bucket::new(DEFAULT_BUCKET, index).unwrap();
    let router = router(bucket, Archives::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    addr
}

/// One request on a connection of its own; `target` goes out byte for byte.
pub async fn ask(addr: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> Reply {
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let mut request =
        format!("{method} {target} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    stream
        .write_all((request + "\r\n").as_bytes())
        .await
        .unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let cut = bytes
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .expect("a header block");
    let head = String::from_utf8(bytes[..cut].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let mut headers = HashMap::<String, Vec<String>>::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers
            .entry(name.to_ascii_lowercase())
            .or_default()
            .push(value.trim().into());
    }
    Reply {
        status,
        headers,
        body: bytes[cut + 4..].to_vec(),
    }
}

/// A GET without further headers.
pub async fn get(addr: SocketAddr, target: &str) -> Reply {
    ask(addr, "GET", target, &[]).await
}

/// Bytes that do not compress, the same ones every time.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}
