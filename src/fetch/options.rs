//! Settings of a client.

use std::time::Duration;

use reqwest::header::HeaderValue;

use crate::config::{HttpHosts, Mirror};

/// Settings of a [`Client`](super::Client).
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Longest time without progress, of a probe as a whole or between two chunks of a download.
    pub timeout: Duration,
    /// False accepts any certificate, which `TFHUB_DISABLE_CERT_VALIDATION=true` asks for.
    pub verify_certificates: bool,
    /// Never use the network: every request fails at once, without a socket.
    pub offline: bool,
    /// Hosts that may be reached over plain HTTP, besides the mirrors.
    pub http_hosts: HttpHosts,
    /// Where the content of a host is fetched from instead.
    pub mirrors: Vec<Mirror>,
    /// Credentials, each for one host.
    pub credentials: Vec<HostCredential>,
    /// `User-Agent` of every request.
    pub user_agent: String,
}

/// A credential that is sent to one host and no other.
#[derive(Debug, Clone)]
pub struct HostCredential {
    /// `host` or `host:port`.
    pub authority: String,
    /// The value of `Authorization`; a client marks it as sensitive.
    pub authorization: HeaderValue,
}
