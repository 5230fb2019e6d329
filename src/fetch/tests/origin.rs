//! A scripted origin on loopback: plays prepared answers byte for byte, one per request, and keeps what it was asked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One answer: raw bytes, then what becomes of the connection.
pub struct Answer {
    bytes: Vec<u8>,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    Close,
    Keep,
    Reset,
    Hang,
}

/// `head` is the status and headers, one per line, without line ends.
pub fn answer(head: &[&str], body: &[u8]) -> Answer {
    let mut bytes = format!(
        "HTTP/1.1 {}\r\nConnection: close\r\n\r\n",
        head.join("\r\n")
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    Answer {
        bytes,
        then: Then::Close,
    }
}

/// A redirect whose `Location` is exactly these bytes.
pub fn redirect(status: u16, location: impl AsRef<[u8]>) -> Answer {
    let mut bytes =
        format!("HTTP/1.1 {status} Moved\r\nContent-Length: 0\r\nConnection: close\r\nLocation: ")
            .into_bytes();
    bytes.extend_from_slice(location.as_ref());
    bytes.extend_from_slice(b"\r\n\r\n");
    Answer {
        bytes,
        then: Then::Close,
    }
}

/// A 206 with the bytes of `whole` from `first` on and further headers.
pub fn part(whole: &[u8], first: usize, headers: &[&str]) -> Answer {
    let (last, total) = (whole.len() - 1, whole.len());
    let range = format!("Content-Range: bytes {first}-{last}/{total}");
    let length = format!("Content-Length: {}", total - first);
    answer(
        &[&["206 Partial Content", &range, &length], headers].concat(),
        &whole[first..],
    )
}

/// The answer to a probe of `whole`.
pub fn probed(whole: &[u8], headers: &[&str]) -> Answer {
    let range = format!("Content-Range: bytes 0-0/{}", whole.len());
    answer(
        &[
            &["206 Partial Content", &range, "Content-Length: 1"],
            headers,
        ]
        .concat(),
        &whole[..1],
    )
}

/// A 200 with all of `whole`.
pub fn full(whole: &[u8], headers: &[&str]) -> Answer {
    let length = format!("Content-Length: {}", whole.len());
    answer(&[&["200 OK", &length], headers].concat(), whole)
}

impl Answer {
    /// Only the first `body` bytes of the body are sent, then the connection breaks.
    pub fn cut(self, body: usize) -> Answer {
        self.after(body, Then::Reset)
    }

    /// Only the first `body` bytes of the body are sent, then nothing more comes.
    pub fn hang(self, body: usize) -> Answer {
        self.after(body, Then::Hang)
    }

    /// The connection stays open for another request.
    pub fn kept(mut self) -> Answer {
        let close = b"Connection: close\r\n";
        let at = self
            .bytes
            .windows(close.len())
            .position(|bytes| bytes == close)
            .unwrap();
        self.bytes.drain(at..at + close.len());
        self.then = Then::Keep;
        self
    }

    /// Not even the status is sent.
    pub fn headless(mut self) -> Answer {
        self.bytes.clear();
        self
    }

    /// What was sent is all, and the connection stays open.
    pub fn hanging(mut self) -> Answer {
        self.then = Then::Hang;
        self
    }

    fn after(mut self, body: usize, then: Then) -> Answer {
        let head = self
            .bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap()
            + 4;
        self.bytes.truncate(head + body);
        self.then = then;
        self
    }
}

/// The running origin; it ends with the test's runtime.
pub struct Origin {
    pub base: String,
    asked: Arc<Mutex<Vec<String>>>,
    left: Arc<Mutex<VecDeque<Answer>>>,
    connections: Arc<AtomicUsize>,
}

impl Origin {
    pub async fn start() -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Origin {
            base: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            left: Arc::default(),
            connections: Arc::default(),
        };
        let (asked, left) = (origin.asked.clone(), origin.left.clone());
        let connections = origin.connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, asked.clone(), left.clone()));
            }
        });
        origin
    }

    /// An origin that gives these answers, in order.
    pub async fn playing(answers: impl IntoIterator<Item = Answer>) -> Origin {
        let origin = Origin::start().await;
        origin.play(answers);
        origin
    }

    pub fn play(&self, answers: impl IntoIterator<Item = Answer>) {
        self.left.lock().extend(answers);
    }

    pub fn url(&self, target: &str) -> String {
        format!("{}{target}", self.base)
    }

    /// The heads of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }

    /// The request targets so far.
    pub fn targets(&self) -> Vec<String> {
        let target = |head: &String| head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.asked().iter().map(target).collect()
    }

    /// A header of the `index`th request.
    pub fn header(&self, index: usize, name: &str) -> Option<String> {
        let head = self.asked().get(index)?.clone();
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Whether every answer was asked for.
    pub fn is_done(&self) -> bool {
        self.left.lock().is_empty()
    }
}

async fn serve(
    mut stream: TcpStream,
    asked: Arc<Mutex<Vec<String>>>,
    left: Arc<Mutex<VecDeque<Answer>>>,
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        asked.lock().push(String::from_utf8(head).unwrap());
        let over = || answer(&["418 The script is over", "Content-Length: 0"], b"");
        let answer = left.lock().pop_front().unwrap_or_else(over);
        let _ = stream.write_all(&answer.bytes).await;
        match answer.then {
            Then::Keep => continue,
            Then::Close => drop(stream.shutdown().await),
            Then::Reset => {
                // Let the bytes out before the reset overtakes them.
                tokio::time::sleep(Duration::from_millis(20)).await;
                let _ = stream.set_zero_linger();
            }
            Then::Hang => tokio::time::sleep(Duration::from_secs(60)).await,
        }
        return;
    }
}
