//! As much HTTP/1.1 as an origin needs that must be able to break it: requests read by hand, replies written by hand.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use bytes::Bytes;

/// One request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Exactly the bytes between the method and the protocol.
    pub target: String,
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// Reads one request; `None` when the peer has closed the connection.
    pub fn read(from: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
        let first = line(from)?;
        let mut words = first.split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Ok(None);
        };
        let mut headers = Vec::new();
        loop {
            let text = line(from)?;
            let Some((name, value)) = text.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Some(Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
        }))
    }

    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The path, also when a proxy is asked with a whole URL.
    pub fn path(&self) -> &str {
        self.split().0
    }

    /// What follows the first `?`, or nothing.
    pub fn query(&self) -> &str {
        self.split().1
    }

    fn split(&self) -> (&str, &str) {
        let local = match self.target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
            None => &self.target,
        };
        local.split_once('?').unwrap_or((local, ""))
    }

    /// `Range: bytes=first-last`, last included.
    pub fn range(&self) -> Option<(u64, Option<u64>)> {
        let (first, last) = self
            .header("range")?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()))
    }
}

fn line(from: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut text = String::new();
    from.take(64 * 1024).read_line(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// What is answered, before faults change it on its way out.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// Where in the object the body begins; faults count from the object's first byte.
    pub first: u64,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Bytes>) -> Reply {
        Reply {
            status,
            headers: Vec::new(),
            body: body.into(),
            first: 0,
        }
    }

    pub fn header(mut self, name: &str, value: impl ToString) -> Reply {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// A redirect; the body is what people would see.
    pub fn redirect(status: u16, location: &str) -> Reply {
        Reply::new(status, "<html>moved</html>")
            .header("Content-Type", "text/html")
            .header("Location", location)
    }

    /// A page for people.
    pub fn html(status: u16, text: &str) -> Reply {
        let page = format!(
            "<!DOCTYPE html><html><head><title>Kaggle</title></head><body>{text}</body></html>"
        );
        Reply::new(status, page).header("Content-Type", "text/html; charset=utf-8")
    }

    /// An error as Google Cloud Storage words it.
    pub fn xml(status: u16, code: &str, message: &str) -> Reply {
        let text = format!(
            "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        Reply::new(status, text).header("Content-Type", "application/xml; charset=UTF-8")
    }

    /// Everything before the body. `length` is what is announced, which a fault may have falsified.
    pub fn write_head(&self, to: &mut TcpStream, length: u64) -> io::Result<()> {
        let mut head = format!(
            "HTTP/1.1 {} Scripted\r\nContent-Length: {length}\r\n",
            self.status
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        to.write_all(head.as_bytes())
    }
}
