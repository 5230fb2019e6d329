//! The rules that a client works by.

use std::time::Duration;

use reqwest::header::HeaderValue;

use crate::config::{HttpHosts, Mirror};

/// What a [`Client`](super::Client) is made of.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Longest time without progress, of a probe as a whole or between two chunks of a download.
    pub timeout: Duration,
    /// False accepts any certificate, which `TFHUB_DISABLE_CERT_VALIDATION=true` asks for.
    pub verify_certificates: bool,
    /// True asks nobody anything: every request fails at once, without a socket.
    pub offline: bool,
    /// The hosts that may be spoken to in plain http, beside the mirrors.
    pub http_hosts: HttpHosts,
    /// Other places for the bytes of a host.
    pub mirrors: Vec<Mirror>,
    /// What hosts are told of who asks.
    pub credentials: Vec<HostCredential>,
    /// `User-Agent` of every request.
    pub user_agent: String,
}

/// What one host, and no other, is told of who asks.
#[derive(Debug, Clone)]
pub struct HostCredential {
    /// `host` or `host:port`.
    pub authority: String,
    /// The value of `Authorization`; a client marks it as sensitive.
    pub authorization: HeaderValue,
}
