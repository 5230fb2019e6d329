//! What stands between a mount and its hub: a relay that counts bytes, and a front that redirects.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::Result;

/// A TCP relay to one address, which counts what comes back from there. Lives until the bench ends.
pub(crate) struct Relay {
    /// Its own URL.
    pub url: String,
    returned: Arc<AtomicU64>,
}

impl Relay {
    pub(crate) fn to(authority: &str) -> Result<Relay> {
        let target: SocketAddr = authority.parse()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let returned = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&returned);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let count = Arc::clone(&count);
                thread::spawn(move || relay(&client, target, &count));
            }
        });
        Ok(Relay { url, returned })
    }

    /// Bytes that came from the target so far, headers included.
    pub(crate) fn returned(&self) -> u64 {
        self.returned.load(Ordering::Relaxed)
    }
}

/// Both directions of one connection, until either side closes. A broken connection is the daemon's to notice.
fn relay(client: &TcpStream, target: SocketAddr, returned: &AtomicU64) {
    let Ok(origin) = TcpStream::connect(target) else {
        return;
    };
    thread::scope(|scope| {
        scope.spawn(|| pump(client, &origin, &AtomicU64::new(0)));
        pump(&origin, client, returned);
    });
}

fn pump(mut from: &TcpStream, mut to: &TcpStream, count: &AtomicU64) {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(n) if n > 0 => {
                count.fetch_add(n as u64, Ordering::Relaxed);
                if to.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            _ => break,
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

/// A front that redirects twice before the hub is reached, as tfhub.dev does to Kaggle and Kaggle to its store.
/// Each of its answers takes `latency`. Gives its URL; lives until the bench ends.
pub(crate) fn front(hub_url: &str, latency: Duration) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let own = format!("http://{}", listener.local_addr()?);
    let (url, hub_url) = (own.clone(), hub_url.to_owned());
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (own, hub_url) = (own.clone(), hub_url.clone());
            thread::spawn(move || redirect(&client, &own, &hub_url, latency));
        }
    });
    Ok(url)
}

/// Answers the requests of one connection. A client that goes away ends it.
fn redirect(client: &TcpStream, own: &str, hub_url: &str, latency: Duration) {
    let mut requests = BufReader::new(client);
    while let Some(path) = request_path(&mut requests) {
        thread::sleep(latency);
        let location = match path.strip_prefix("/second/") {
            Some(rest) => format!("{hub_url}/{rest}"),
            None => format!("{own}/second{path}"),
        };
        let answer =
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let mut client = client;
        if client.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Reads one request without a body; `None` at the end of the connection.
fn request_path(requests: &mut impl BufRead) -> Option<String> {
    let mut first = String::new();
    requests.read_line(&mut first).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut header = String::new();
    while requests.read_line(&mut header).ok()? > 2 {
        header.clear();
    }
    Some(path)
}
