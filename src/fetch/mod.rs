//! Bytes over the network: one client, one retry policy, resume, checksums, deadlines.
//!
//! [`Client::probe`] asks what is behind a URL, following redirects by hand, and gives a [`Resource`];
//! [`Client::download`] turns that into a verified stream of bytes, a [`Download`]. Nothing here knows what a model
//! is. The promises:
//!
//! - The target of a redirect is requested byte for byte (`address`), and nothing is added to it: signed URLs cover
//!   every byte. No credentials or cookies are sent anywhere.
//! - Never from https to plain http, and plain http only to hosts that are trusted with it.
//! - One retry policy (`retry`): whatever happens, nothing is silent for longer than the timeout.
//! - One loop for every body (`transfer`): it resumes where a connection broke, believes only what it asked for, and renews
//!   signatures that expire.
//! - A download ends well only after its length and its announced checksum were seen to be right.
//! - Secrets in URLs never reach a message ([`redacted`]).
//!
//! Every request says `Accept-Encoding: gzip` and no body is ever decoded here. A bucket unpacks an object stored
//! with `Content-Encoding: gzip` for clients that do not say so: such an answer has no length, ignores `Range` and
//! does not match its own checksum. What was stored is what is wanted; `archive` tells formats apart by content.

mod address;
mod client;
mod connector;
mod document;
mod download;
mod error;
mod headers;
mod options;
mod part;
mod probe;
mod range;
mod redact;
mod refusal;
mod retry;
mod sending;
mod transfer;

#[cfg(test)]
pub(crate) mod tests;

pub use client::Client;
pub use connector::{Connector, cause};
pub use document::{Ask, Document};
pub use download::Download;
pub use error::{Error, Tries};
pub use options::{FetchOptions, HostCredential};
pub(crate) use part::Part;
pub use probe::{MAX_HOPS, Resource};
pub use range::{RangeDownload, SharedResource};
pub use redact::redacted;
pub use refusal::Refusal;
pub(crate) use retry::{RetryState, backoff};
pub(crate) use transfer::{Opened, Origin, Span, Transfer};
