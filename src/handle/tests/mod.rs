//! Handle to path to place and back: the table of names, and properties over all forms.

mod kinds;
mod properties;
mod table;

use super::*;
use crate::config::HttpHosts;

/// Hubs of every shape: the usual one, plain http, with a path, without a dot, both.
const HUBS: [&str; 6] = [
    "https://tfhub.dev",
    "http://127.0.0.1:9",
    "https://corp.example/hub/v/1",
    "http://[::1]:8080/m",
    "https://modelserver/",
    "http://hub.example",
];

fn names(hub: &str) -> Names {
    Names::new(
        hub,
        HttpHosts::new([], &["allowed.example", "one.example:81", "Two.example:80"]).unwrap(),
    )
    .unwrap()
}

fn split(path: &str) -> Vec<&str> {
    path.split('/').filter(|name| !name.is_empty()).collect()
}

fn handle(url: &str) -> Handle {
    Handle::parse(url).unwrap()
}
