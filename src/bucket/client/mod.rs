//! One bucket: its URLs, and how it is asked.

mod attempts;
mod bucket_client;
mod signer;

pub(super) use bucket_client::BucketClient;
pub(super) use signer::Signer;
