//! The room against buckets on loopback that answer as a test says.

mod access;
mod listing;
mod reading;
mod stand;

use std::time::Duration;

use super::{BucketOptions, Buckets};
use crate::fetch::Client;
use crate::fetch::tests::options;
use crate::handle::BucketPath;

/// Buckets that are all at one place, without credentials.
fn buckets(base: &str) -> Buckets {
    reached(BucketOptions {
        gcs_endpoint: Some(base.to_owned()),
        aws_endpoint: Some(base.to_owned()),
        ..BucketOptions::default()
    })
}

fn reached(options_of: BucketOptions) -> Buckets {
    let client = Client::new(options(Duration::from_secs(2))).unwrap();
    Buckets::new(client.clone(), client, options_of)
}

fn at(url: &str) -> BucketPath {
    BucketPath::parse(url).unwrap()
}
