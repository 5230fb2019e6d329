//! The one HTTP client, and [`Client::ask`], the only place that sends a request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Method, Response};

use super::address::Address;
use super::error::{Error, chain};
use super::headers::{retry_after, text};
use super::options::FetchOptions;
use super::redact::redacted;
use super::refusal::Refusal;
use super::retry::{Failure, RetryState, transient};
use super::sending::Sending;

/// Longest wait for a connection; leaves room for another attempt within the usual timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A longer timeout is the same as none at all, and a clock cannot be added up to it.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Limits for reading the body of a refusal: bytes and time.
const MAX_REFUSAL: usize = 4096;
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// A pool of connections with the rules of this room. Clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    /// Loopback is never asked through a proxy from the environment, which would look for it on itself.
    loopback: reqwest::Client,
    /// Why https is impossible here.
    no_certificates: Option<String>,
    options: FetchOptions,
}

/// A request, before it has an address.
pub(super) struct Question {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    /// Sets up TLS roots (the system's, or `SSL_CERT_FILE` and `SSL_CERT_DIR`) and proxies (`HTTPS_PROXY`,
    /// `NO_PROXY` and their kin) from the environment. Needs no network. Without certificates it works for plain
    /// http, and https fails with a message that says so.
    pub fn new(mut options: FetchOptions) -> Result<Client, Error> {
        // Fails only if a provider is installed already, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if !options.verify_certificates {
            tracing::warn!(
                "TFHUB_DISABLE_CERT_VALIDATION is set: any certificate is accepted, so anyone on the way can \
                 change models; for a proxy with its own certificate, SSL_CERT_FILE is the safe way"
            );
        }
        options.timeout = options.timeout.min(MAX_TIMEOUT);
        for known in &mut options.credentials {
            known.authorization.set_sensitive(true);
        }
        for mirror in &options.mirrors {
            // A mirror was checked when it was read; one that is no URL is asked for nothing anyway.
            let _ = options.http_hosts.add(&mirror.to);
        }

        let (http, no_certificates) = match builder(&options).build() {
            Ok(http) => (http, None),
            Err(error) if options.verify_certificates => {
                let without = builder(&options).tls_certs_only([]).build();
                (without.map_err(setup)?, Some(chain(error)))
            }
            Err(error) => return Err(setup(error)),
        };
        let direct = builder(&options).no_proxy();
        let direct = match no_certificates {
            Some(_) => direct.tls_certs_only([]),
            None => direct,
        };
        let loopback = match proxied() {
            true => direct.build().map_err(setup)?,
            false => http.clone(),
        };
        let shared = Shared {
            http,
            loopback,
            no_certificates,
            options,
        };
        Ok(Client {
            shared: Arc::new(shared),
        })
    }

    /// The rules this client was made with; `http_hosts` has the mirrors' hosts too.
    pub fn options(&self) -> &FetchOptions {
        &self.shared.options
    }

    /// The retry policy for one request or transfer.
    pub(crate) fn retry_state(&self) -> RetryState {
        RetryState::new(self.options().timeout)
    }

    /// The URL that is asked for `url`: at its mirror, if it has one.
    pub fn mirrored(&self, url: &str) -> String {
        let mut mirrors = self.options().mirrors.iter();
        mirrors
            .find_map(|mirror| mirror.apply(url))
            .unwrap_or_else(|| url.to_owned())
    }

    /// The canonical URLs that `url` of a mirror may stand for, itself included: a mirror may redirect within itself, and
    /// several hosts may have one mirror.
    pub fn stands_for(&self, url: &str) -> Vec<String> {
        let mirrors = self.options().mirrors.iter();
        let others = mirrors.filter_map(|mirror| {
            let rest = url.strip_prefix(mirror.to.as_str())?;
            (rest.is_empty() || rest.starts_with(['/', '?']))
                .then(|| format!("{}{rest}", mirror.from))
        });
        std::iter::once(url.to_owned()).chain(others).collect()
    }

    /// Parses a URL to request.
    pub(super) fn address(url: &str) -> Result<Address, Error> {
        Address::parse(url).map_err(|why| Error::BadUrl {
            url: redacted(url),
            why,
        })
    }

    /// One GET; see [`Client::exchange`].
    pub(super) async fn ask(
        &self,
        address: &Address,
        headers: &HeaderMap,
        retry: &mut RetryState,
    ) -> Result<Response, Error> {
        let question = Question {
            method: Method::GET,
            headers: headers.clone(),
            body: Bytes::new(),
        };
        self.exchange(address, &question, retry).await
    }

    /// One request, made until there is an answer for which another attempt would not help. Of redirects, the answer
    /// is the redirect.
    pub(super) async fn exchange(
        &self,
        address: &Address,
        question: &Question,
        retry: &mut RetryState,
    ) -> Result<Response, Error> {
        self.check_allowed(address)?;
        let url = address.to_request().map_err(|why| Error::BadUrl {
            url: address.to_string(),
            why,
        })?;
        let http = match address.is_loopback() {
            true => &self.shared.loopback,
            false => &self.shared.http,
        };
        let mut headers = question.headers.clone();
        if let Some(value) = self.authorization(address)
            && !headers.contains_key(AUTHORIZATION)
        {
            headers.insert(AUTHORIZATION, value);
        }
        loop {
            retry.begin_attempt();
            let sending = Sending::new(&question.body);
            let request = http
                .request(question.method.clone(), url.clone())
                .headers(headers.clone())
                .body(sending.body())
                .send();
            let failure = match sending.answered(request, retry).await {
                Some(Ok(answer)) if !transient(answer.status().as_u16()) => return Ok(answer),
                Some(Ok(answer)) => refusal(&answer),
                Some(Err(error)) => broken(error),
                None => Failure::Silent,
            };
            retry.wait_for_retry(address, failure).await?;
        }
    }

    /// The error for an answer without a body for us, with what the origin says in it.
    pub(super) async fn refused(address: &Address, retry: &RetryState, answer: Response) -> Error {
        let mut failure = refusal(&answer);
        if let Failure::Answer { refusal, .. } = &mut failure {
            *refusal = read_refusal(answer).await;
        }
        retry.give_up(address, failure)
    }

    /// The credential for the host of `address`. Looked up at every hop, so that no redirect takes it along.
    fn authorization(&self, address: &Address) -> Option<HeaderValue> {
        let mut known = self.options().credentials.iter();
        let credential = known.find(|known| known.authority == address.authority())?;
        Some(credential.authorization.clone())
    }

    fn check_allowed(&self, address: &Address) -> Result<(), Error> {
        if self.options().offline {
            return Err(Error::Offline {
                url: address.to_string(),
            });
        }
        if address.is_https() {
            return match &self.shared.no_certificates {
                Some(why) => Err(Error::NoCertificates {
                    url: address.to_string(),
                    why: why.clone(),
                }),
                None => Ok(()),
            };
        }
        if self.options().http_hosts.http_allowed(address.authority()) {
            return Ok(());
        }
        Err(Error::PlainHttp {
            url: address.to_string(),
            host: address.authority().to_owned(),
        })
    }
}

fn builder(options: &FetchOptions) -> ClientBuilder {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    reqwest::Client::builder()
        .user_agent(&options.user_agent)
        .default_headers(headers)
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(options.timeout.min(CONNECT_TIMEOUT))
        .tls_danger_accept_invalid_certs(!options.verify_certificates)
}

/// Whether the environment names a proxy.
fn proxied() -> bool {
    let names = ["http_proxy", "https_proxy", "all_proxy"];
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    names
        .iter()
        .any(|name| set(name) || set(&name.to_ascii_uppercase()))
}

fn setup(error: reqwest::Error) -> Error {
    Error::Setup { why: chain(error) }
}

fn refusal(answer: &Response) -> Failure {
    let after = text(answer.headers(), RETRY_AFTER);
    Failure::Answer {
        status: answer.status().as_u16(),
        retry_after: after.and_then(|after| retry_after(&after, SystemTime::now())),
        refusal: Refusal::default(),
    }
}

/// Classifies a transport error for the retry policy.
pub(super) fn broken(error: reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Silent;
    }
    let untrusted = bad_certificate(&error);
    let hint = match untrusted {
        true => "; if a host or proxy has a certificate of its own, set SSL_CERT_FILE to its CA",
        false => "",
    };
    Failure::Broken {
        lasting: error.is_builder() || untrusted,
        why: chain(error) + hint,
    }
}

/// Whether the certificate of the other side is not trusted, which no retry changes.
fn bad_certificate(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // An io::Error's source() skips the error it wraps.
        cause = match error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

/// What an origin says about a refusal. Pages for people are not quoted.
async fn read_refusal(mut answer: Response) -> Refusal {
    let mut body = Vec::new();
    let read = async {
        while body.len() < MAX_REFUSAL {
            match answer.chunk().await {
                Ok(Some(bytes)) => body.extend_from_slice(&bytes),
                _ => break,
            }
        }
    };
    // What came until then is read; a refusal is no reason to wait.
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, read).await;
    body.truncate(MAX_REFUSAL);
    Refusal::parse(&body)
}
