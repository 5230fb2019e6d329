//! Hosts: `host` or `host:port`, checked and spelled in one way.

use super::{BadHost, Scheme};

/// DNS allows 63 bytes in a label and 253 in a name (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 253;

/// `text` in its one spelling: lower case, no default port, shortest IPv6 form.
pub(super) fn canonical(text: &str, scheme: Scheme) -> Result<String, BadHost> {
    let text = text.to_ascii_lowercase();
    let (host, port) = split_port(&text)?;
    let host = if host.starts_with('[') {
        match url::Host::parse(host) {
            Ok(host @ url::Host::Ipv6(_)) => host.to_string(),
            _ => return Err(BadHost::Address),
        }
    } else {
        check_name(host)?;
        host.to_owned()
    };
    match port {
        Some(port) if port != scheme.default_port() => Ok(format!("{host}:{port}")),
        _ => Ok(host),
    }
}

/// The host of an authority, without its port.
pub(super) fn without_port(authority: &str) -> &str {
    split_port(authority).map_or(authority, |(host, _)| host)
}

/// Whether a first component is read as a host and not as a publisher on the hub.
pub(super) fn looks_like_one(name: &str) -> bool {
    name.contains(['.', ':']) || name.eq_ignore_ascii_case("localhost")
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), BadHost> {
    let host_end = match text.strip_prefix('[') {
        Some(_) => text.find(']').ok_or(BadHost::Address)? + 1,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(host_end);
    if rest.is_empty() {
        return Ok((host, None));
    }
    let digits = rest.strip_prefix(':').ok_or(BadHost::Address)?;
    // `parse` alone would take `+80`; a leading zero would be a second spelling.
    if !digits.bytes().all(|b| b.is_ascii_digit()) || digits.starts_with('0') {
        return Err(BadHost::Port);
    }
    match digits.parse() {
        Ok(port) => Ok((host, Some(port))),
        Err(_) => Err(BadHost::Port),
    }
}

fn check_name(host: &str) -> Result<(), BadHost> {
    if host.len() > MAX_NAME {
        return Err(BadHost::TooLong);
    }
    for label in host.split('.') {
        if label.is_empty() {
            return Err(BadHost::Empty);
        }
        if label.len() > MAX_LABEL {
            return Err(BadHost::TooLong);
        }
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if !label.bytes().all(inner) || label.starts_with('-') || label.ends_with('-') {
            return Err(BadHost::Character);
        }
    }
    // What the URL standard would respell (`127.1`, `0x7f.1`) or refuse is no host here.
    match url::Host::parse(host) {
        Ok(parsed) if parsed.to_string() == host => Ok(()),
        _ => Err(BadHost::Address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_one_spelling() {
        for (typed, scheme, want) in [
            ("TFHUB.dev", Scheme::Https, "tfhub.dev"),
            ("tfhub.dev:443", Scheme::Https, "tfhub.dev"),
            ("tfhub.dev:443", Scheme::Http, "tfhub.dev:443"),
            ("127.0.0.1:80", Scheme::Http, "127.0.0.1"),
            ("localhost:8080", Scheme::Http, "localhost:8080"),
            ("[0:0::1]:9", Scheme::Http, "[::1]:9"),
            ("my_host-1.example", Scheme::Https, "my_host-1.example"),
        ] {
            assert_eq!(canonical(typed, scheme).as_deref(), Ok(want), "{typed}");
        }
    }

    #[test]
    fn refuses_what_only_looks_like_one() {
        for (typed, want) in [
            ("", BadHost::Empty),
            ("a..b", BadHost::Empty),
            ("tfhub.dev.", BadHost::Empty),
            ("a b.example", BadHost::Character),
            ("-a.example", BadHost::Character),
            ("b\u{fc}cher.example", BadHost::Character),
            ("v1.0", BadHost::Address),
            ("127.1", BadHost::Address),
            ("0x7f.0.0.1", BadHost::Address),
            ("256.0.0.1", BadHost::Address),
            ("[::1", BadHost::Address),
            ("[x]", BadHost::Address),
            ("[::1]8", BadHost::Address),
            ("a.example:", BadHost::Port),
            ("a.example:0", BadHost::Port),
            ("a.example:080", BadHost::Port),
            ("a.example:65536", BadHost::Port),
            ("a.example:1:2", BadHost::Port),
        ] {
            assert_eq!(canonical(typed, Scheme::Https), Err(want), "{typed}");
        }
        let long = format!("{}.example", "a".repeat(64));
        assert_eq!(canonical(&long, Scheme::Https), Err(BadHost::TooLong));
    }

    #[test]
    fn a_port_comes_off() {
        assert_eq!(without_port("[::1]:80"), "[::1]");
        assert_eq!(without_port("a:80"), "a");
    }
}
