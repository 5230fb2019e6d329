//! The server as one client reached it.

use axum::http::HeaderMap;
use axum::http::header::HOST;

/// What a client must type to reach this server again.
pub struct Origin {
    /// Without a trailing slash.
    pub url: String,
    /// The bucket that lives at this address.
    pub bucket: String,
}

impl Origin {
    /// From the `Host` header; a proxy in front tells whether it speaks TLS.
    pub fn of(headers: &HeaderMap, bucket: &str) -> Origin {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let plausible = |host: &&str| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
        };
        let host = text(HOST.as_str()).filter(plausible).unwrap_or("localhost");
        let scheme = if text("x-forwarded-proto") == Some("https") {
            "https"
        } else {
            "http"
        };
        Origin {
            url: format!("{scheme}://{host}"),
            bucket: bucket.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn origin(host: &str, proto: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        if let Some(proto) = proto {
            headers.insert("x-forwarded-proto", HeaderValue::from_str(proto).unwrap());
        }
        Origin::of(&headers, "models").url
    }

    #[test]
    fn the_origin_is_what_the_client_typed_if_it_can_be_a_host() {
        assert_eq!(
            origin("models.example:8080", None),
            "http://models.example:8080"
        );
        assert_eq!(origin("[::1]:8080", None), "http://[::1]:8080");
        assert_eq!(
            origin("models.example", Some("https")),
            "https://models.example"
        );
        assert_eq!(origin("<script>", Some("javascript")), "http://localhost");
    }
}
