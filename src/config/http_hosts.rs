//! To whom plain http is spoken.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::error::shown;
use super::{BaseUrl, Error};

/// The hosts that plain http is spoken to: this machine, the host of every configured `http://`
/// URL, and those of `--allow-http`. To nobody else, whatever a redirect says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpHosts {
    hosts: Vec<String>,
}

impl HttpHosts {
    /// From the configured URLs (`--hub-url`, `--kaggle-url`, the right sides of `--mirror`), of
    /// which those in https add nothing, and from the values of `--allow-http`: `host`, or
    /// `host:port` for that port alone.
    pub fn new<'a, S: AsRef<str>>(
        configured: impl IntoIterator<Item = &'a str>,
        allow: &[S],
    ) -> Result<Self, Error> {
        let mut hosts = Self::default();
        for url in configured {
            hosts.add(url)?;
        }
        for typed in allow {
            hosts.hosts.push(read_host(typed.as_ref())?);
        }
        hosts.hosts.sort();
        hosts.hosts.dedup();
        Ok(hosts)
    }

    /// Adds the host of one more configured URL, if that is in plain http.
    pub fn add(&mut self, url: &str) -> Result<(), Error> {
        let url: BaseUrl = url.parse()?;
        if url.is_plain_http() {
            self.hosts.push(split_port(url.authority()).0.to_owned());
        }
        Ok(())
    }

    /// Whether plain http may be spoken to `host` (or `host:port`; without a port, 80 is meant).
    pub fn http_allowed(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let (name, port) = split_port(&host);
        let with_port = format!("{name}:{}", port.unwrap_or("80"));
        is_loopback(name) || self.hosts.iter().any(|h| h == name || *h == with_port)
    }
}

/// A value of `--allow-http`, in one spelling.
fn read_host(typed: &str) -> Result<String, Error> {
    let wrong = |why: &str| Error::HttpHost {
        typed: shown(typed),
        why: why.to_owned(),
    };
    if typed.contains("://") {
        return Err(wrong("it is a URL"));
    }
    let url: BaseUrl = format!("http://{typed}")
        .parse()
        .map_err(|error| match error {
            Error::BaseUrl { why, .. } => wrong(&why),
            other => other,
        })?;
    if !url.path().is_empty() {
        return Err(wrong("it has a path"));
    }
    // A base URL has lost the default port, which here narrows the permission.
    let narrowed = typed.trim().trim_end_matches('/').ends_with(":80");
    Ok(format!(
        "{}{}",
        url.authority(),
        if narrowed { ":80" } else { "" }
    ))
}

/// `host` and `port` of `host[:port]`; an IPv6 address may come without its brackets, then it has no port.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    if authority.parse::<Ipv6Addr>().is_ok() {
        return (authority, None);
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Whether `name` (a host without a port) can only be this machine.
fn is_loopback(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || bare.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || bare.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(configured: &[&str], allow: &[&str]) -> HttpHosts {
        HttpHosts::new(configured.iter().copied(), allow).unwrap()
    }

    #[test]
    fn this_machine_always_and_strangers_never() {
        let none = HttpHosts::default();
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:9",
            "127.3.2.1",
            "[::1]:80",
            "::1",
        ] {
            assert!(none.http_allowed(host), "{host}");
        }
        for host in [
            "tfhub.dev",
            "localhost.example",
            "127.0.0.1.example:80",
            "10.0.0.1",
            "[::2]",
            "",
        ] {
            assert!(!none.http_allowed(host), "{host}");
        }
    }

    #[test]
    fn configured_hosts_are_spoken_to_as_configured() {
        let h = hosts(
            &["https://tfhub.dev", "http://Hub.example:8080/x"],
            &["10.0.0.1", "b.example:81", "c.example:80"],
        );
        for host in [
            "hub.example",
            "hub.example:1",
            "10.0.0.1:9",
            "b.example:81",
            "c.example",
            "c.example:80",
        ] {
            assert!(h.http_allowed(host), "{host}");
        }
        for host in [
            "tfhub.dev",
            "b.example",
            "b.example:8",
            "c.example:81",
            "x.hub.example",
        ] {
            assert!(!h.http_allowed(host), "{host}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for (typed, part) in [
            ("http://a.example", "it is a URL"),
            ("a.example/x", "path"),
            ("", "empty host"),
            ("a b", "invalid"),
            ("a.example:x", "port"),
            ("u:secret@a.example", "password"),
        ] {
            let error = HttpHosts::new([], &[typed]).unwrap_err().to_string();
            assert!(
                error.contains(part) && error.contains("--allow-http"),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
