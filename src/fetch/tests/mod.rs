//! The room against a scripted origin.

mod connector;
mod document;
mod download;
pub mod origin;
mod probe;
mod range;
mod sending;

use std::time::Duration;

use super::{Client, Download, Error, FetchOptions};

pub fn options(timeout: Duration) -> FetchOptions {
    FetchOptions {
        timeout,
        verify_certificates: true,
        offline: false,
        http_hosts: Default::default(),
        mirrors: Vec::new(),
        credentials: Vec::new(),
        user_agent: String::from("tfhub-fs/test"),
    }
}

/// A client with a timeout that no good test reaches.
pub fn client() -> Client {
    Client::new(options(Duration::from_secs(20))).unwrap()
}

/// A client with a short timeout.
pub fn hasty(millis: u64) -> Client {
    Client::new(options(Duration::from_millis(millis))).unwrap()
}

/// Everything a download gives before it ends, and how it ends.
async fn drain(mut download: Download) -> (Vec<u8>, Result<(), Error>) {
    let mut body = Vec::new();
    loop {
        match download.chunk().await {
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => return (body, Ok(())),
            Err(error) => {
                assert!(
                    download.chunk().await.is_err(),
                    "a failed download must not end well"
                );
                return (body, Err(error));
            }
        }
    }
}
