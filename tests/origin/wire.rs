//! As much HTTP/1.1 as an origin needs that must be able to break it: requests read by hand, replies written by hand.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;

use bytes::Bytes;

use super::body::Body;

/// One request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Exactly the bytes between the method and the protocol.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// False if the connection ended before the body did.
    pub whole: bool,
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
        let mut request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body: Vec::new(),
            whole: true,
        };
        let length = request.header("content-length").map(str::parse);
        if let Some(Ok(length)) = length {
            let read = from.take(length).read_to_end(&mut request.body);
            request.whole = read.is_ok() && request.body.len() as u64 == length;
        }
        Ok(Some(request))
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

    /// The query's pairs, decoded.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let pairs = self.query().split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(&value.replace('+', " "))))
            .collect()
    }

    /// The first value of a pair of the query, decoded.
    pub fn asked(&self, name: &str) -> Option<String> {
        let mut pairs = self.pairs().into_iter();
        pairs.find_map(|(known, value)| (known == name).then_some(value))
    }

    /// The parts of the path, each decoded by itself.
    pub fn parts(&self) -> Vec<String> {
        self.path()
            .trim_start_matches('/')
            .split('/')
            .map(decoded)
            .collect()
    }

    /// True for the one-byte range with which headers are asked for.
    pub fn is_probe(&self) -> bool {
        self.header("range") == Some("bytes=0-0") || self.method == "HEAD"
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

/// Percent signs undone.
pub fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
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
    pub body: Body,
    /// Where in the object the body begins; faults count from the object's first byte.
    pub first: u64,
    /// True for bytes and listings, which the faults of the wire are for; pages and redirects come whole.
    pub object: bool,
    /// False if the length is not told: the end of the connection ends the body.
    pub measured: bool,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Bytes>) -> Reply {
        Reply::of(status, Body::Memory(body.into()))
    }

    /// With a body that may lie in a file.
    pub fn of(status: u16, body: Body) -> Reply {
        Reply {
            status,
            headers: Vec::new(),
            body,
            first: 0,
            object: false,
            measured: true,
        }
    }

    /// A document for programs.
    pub fn json(status: u16, value: &serde_json::Value) -> Reply {
        Reply::new(status, value.to_string())
            .header("Content-Type", "application/json; charset=UTF-8")
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
    pub fn head(&self, length: u64) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        head.push_str(&match self.measured {
            true => format!("Content-Length: {length}\r\n"),
            false => "Connection: close\r\n".to_owned(),
        });
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}
