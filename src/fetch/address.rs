//! A URL that is requested exactly as it was written.
//!
//! A signed URL covers every byte of its path and query, so the target of a redirect has to be sent as `Location`
//! gave it. The URL standard, and with it the `url` crate and every client built on it, rewrites some bytes: `'`
//! in a query becomes `%27`, `{` in a path `%7B`, `\` becomes `/`, and `/../`, `/%2e/` are resolved. An [`Address`]
//! keeps the text beside the parsed host. Only what HTTP cannot carry is percent-encoded, as Python's urllib and
//! with it tensorflow_hub do: spaces and bytes from 0x80 on.

use std::fmt;

use super::redact::redacted;

/// Why a text is no address that can be requested. The words complete "cannot be requested: it ...".
pub(super) type Fault = &'static str;

/// An absolute http or https URL without user information or fragment. `Display` and `Debug` hide its secrets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    /// `scheme://authority`, in the spelling of the `url` crate.
    origin: String,
    /// Host without port or brackets, lower case.
    host: String,
    /// Path and query, the exact bytes of the request line.
    target: String,
}

impl Address {
    /// Checks an absolute URL.
    pub fn parse(text: &str) -> Result<Address, Fault> {
        let text = quoted(text.as_bytes())?;
        let (scheme, rest) = text.split_once("://").ok_or("is not an absolute URL")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains(['@', '\\']) {
            return Err("names a user or has a backslash before its path");
        }
        let origin = url::Url::parse(&format!("{scheme}://{authority}/"))
            .map_err(|_| "has no valid host or port")?;
        if !matches!(origin.scheme(), "http" | "https") {
            return Err("is neither http nor https");
        }
        let host = match origin.host() {
            Some(url::Host::Domain(name)) => name.to_owned(),
            Some(url::Host::Ipv4(ip)) => ip.to_string(),
            Some(url::Host::Ipv6(ip)) => ip.to_string(),
            None => return Err("has no host"),
        };
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Address {
            origin: origin.as_str().trim_end_matches('/').to_owned(),
            host,
            target: format!("{slash}{target}"),
        })
    }

    /// The address that a `Location` header of this address's answer names. Only a path relative to the present
    /// directory is merged (RFC 3986, 5.2.3); everything else is taken as it stands.
    pub fn join(&self, location: &[u8]) -> Result<Address, Fault> {
        let text = quoted(location)?;
        if has_scheme(&text) {
            return Address::parse(&text);
        }
        let scheme = if self.is_https() { "https" } else { "http" };
        if text.starts_with("//") {
            return Address::parse(&format!("{scheme}:{text}"));
        }
        let path = self.target.split('?').next().unwrap_or_default();
        let target = match text.as_bytes().first() {
            None => self.target.clone(),
            Some(b'/') => text,
            Some(b'?') => format!("{path}{text}"),
            Some(_) => merged(path, &text),
        };
        Ok(Address {
            target,
            ..self.clone()
        })
    }

    /// The whole URL, secrets included: for requests and comparisons, never for messages.
    pub fn exact(&self) -> String {
        format!("{}{}", self.origin, self.target)
    }

    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// Host with the port, if it is not the scheme's own.
    pub fn authority(&self) -> &str {
        self.origin.split("://").nth(1).unwrap_or_default()
    }

    /// This host, as seen from itself: nothing leaves the machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    }

    /// The form in which reqwest takes it; sent as [`Address::exact`] or not at all.
    pub fn to_request(&self) -> Result<url::Url, Fault> {
        const REFUSED: Fault = "has characters that cannot be sent as they are";
        let exact = self.exact();
        let parsed = url::Url::parse(&exact).map_err(|_| REFUSED)?;
        if parsed.as_str() == exact {
            return Ok(parsed);
        }
        unnormalised(&self.origin, &self.target)
            .filter(|url| url.as_str() == exact)
            .ok_or(REFUSED)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.exact()))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A `Url` whose path and query were not rewritten. The crate's public door for that is its serde form, a tuple of
/// the text and the offsets of its parts; should the tuple ever change, this is None and the URL is refused by name.
fn unnormalised(origin: &str, target: &str) -> Option<url::Url> {
    let base = url::Url::parse(&format!("{origin}/")).ok()?;
    let mut parts = base
        .serialize_internal(serde_json::value::Serializer)
        .ok()?;
    *parts.get_mut(0)? = format!("{origin}{target}").into();
    *parts.get_mut(8)? = match target.find('?') {
        Some(at) => (origin.len() + at).into(),
        None => serde_json::Value::Null,
    };
    url::Url::deserialize_internal(parts).ok()
}

/// What HTTP cannot carry in a request line, percent-encoded byte by byte; the fragment dropped.
fn quoted(bytes: &[u8]) -> Result<String, Fault> {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes.trim_ascii() {
        match byte {
            b'#' => break,
            0x21..=0x7e => text.push(char::from(byte)),
            b' ' | 0x80.. => {
                let _ = write!(text, "%{byte:02X}");
            }
            _ => return Err("has control characters"),
        }
    }
    Ok(text)
}

/// `scheme:` at the start (RFC 3986, 3.1).
fn has_scheme(text: &str) -> bool {
    let end = text.find([':', '/', '?']).unwrap_or(text.len());
    text[end..].starts_with(':') && text.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// A relative path laid onto the directory of `path`; its leading dot segments climb, all else stays as it is.
fn merged(path: &str, mut relative: &str) -> String {
    let mut directory = &path[..path.rfind('/').unwrap_or(0)];
    loop {
        if let Some(rest) = relative.strip_prefix("../") {
            directory = &directory[..directory.rfind('/').unwrap_or(0)];
            relative = rest;
        } else if let Some(rest) = relative.strip_prefix("./") {
            relative = rest;
        } else {
            return format!("{directory}/{relative}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn an_address_is_requested_as_it_was_written() {
        for url in [
            "https://tfhub.dev/google/nnlm-en-dim128/2?tf-hub-format=compressed",
            "https://h/a|b/{c}/d^e?q='x'&r={y}|z^`&s=%2e%2E%zz;[]",
            "https://h/a/../b/./c/%2e%2e/d?x=/../",
            "https://h/a\\b?c\\d",
            "http://127.0.0.1:8080/?X-Goog-Credential=a%40b%2F2024&response-content-disposition=a%3B+f%3D'b'",
            "https://[::1]:8443/x?a=b?c=d",
            "https://h//a//b",
        ] {
            let request = address(url).to_request().unwrap();
            assert_eq!(request.as_str(), url);
            assert_eq!(address(url).exact(), url);
        }
        let odd = address("https://h.example:81/a'{}?q='")
            .to_request()
            .unwrap();
        assert_eq!(odd.host_str(), Some("h.example"));
        assert_eq!(
            (odd.port(), odd.path(), odd.query()),
            (Some(81), "/a'{}", Some("q='"))
        );
    }

    #[test]
    fn only_what_http_cannot_carry_is_encoded() {
        for (text, exact) in [
            ("https://h/a b", "https://h/a%20b"),
            ("https://h/ü?ö", "https://h/%C3%BC?%C3%B6"),
            ("HTTPS://H.Example:443/A#frag", "https://h.example/A"),
            ("https://h", "https://h/"),
            ("https://h?a=b", "https://h/?a=b"),
        ] {
            assert_eq!(address(text).exact(), exact);
        }
    }

    #[test]
    fn what_cannot_be_requested_is_refused() {
        for text in [
            "",
            "h/x",
            "ftp://h/x",
            "https:/h/x",
            "https://",
            "https://u@h/",
            "https://u:p@h/",
            "https://h\\@g/",
            "https://h/a\tb",
            "https://h:99999/",
            "gs://b/o",
            "https://h/\u{7f}",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_location_is_joined_byte_for_byte() {
        let base = address("https://h:8443/dir/m/1?tf-hub-format=compressed");
        for (location, exact) in [
            ("http://other/x?y='", "http://other/x?y='"),
            ("//other/x", "https://other/x"),
            ("/x/../y?z", "https://h:8443/x/../y?z"),
            ("?a=b", "https://h:8443/dir/m/1?a=b"),
            ("2?a=b:c", "https://h:8443/dir/m/2?a=b:c"),
            ("./2/../3", "https://h:8443/dir/m/2/../3"),
            ("../../../x", "https://h:8443/x"),
            ("", "https://h:8443/dir/m/1?tf-hub-format=compressed"),
        ] {
            assert_eq!(
                base.join(location.as_bytes()).unwrap().exact(),
                exact,
                "{location}"
            );
        }
        assert_eq!(
            base.join(b"/caf\xe9").unwrap().exact(),
            "https://h:8443/caf%E9"
        );
        for refused in [
            "gs://bucket/x",
            "javascript:x",
            "mailto:x",
            "https://u:p@h/",
        ] {
            assert!(base.join(refused.as_bytes()).is_err(), "{refused}");
        }
    }

    #[test]
    fn loopback_is_told_apart() {
        for (url, loopback) in [
            ("http://127.0.0.1:1/", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]/", true),
            ("http://LOCALHOST/", true),
            ("http://127.0.0.1.example.com/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(address(url).is_loopback(), loopback, "{url}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_refused_or_kept(target in "/[ -~]{0,40}") {
            let text = format!("https://h.example{target}");
            let Ok(address) = Address::parse(&text) else { return Ok(()) };
            let kept = text.trim_end().split('#').next().unwrap().replace(' ', "%20");
            proptest::prop_assert_eq!(address.exact(), &*kept);
            if let Ok(url) = address.to_request() {
                proptest::prop_assert_eq!(url.as_str(), &*kept);
            }
        }
    }
}
