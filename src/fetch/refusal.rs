//! What an origin says when it refuses: Google's and Amazon's `<Code>` and `<Message>`, the `message` of JSON.

use std::fmt;

use super::redact::printable;

/// The body of a refusal. Pages for people are not quoted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The code for programs, such as `NoSuchBucket`.
    pub code: Option<String>,
    /// The text for people.
    pub message: Option<String>,
}

impl Refusal {
    /// Reads the body of an answer, or as much of it as came.
    pub fn parse(body: &[u8]) -> Refusal {
        let body = &*String::from_utf8_lossy(body);
        let short = |text: &str| {
            let text: String = text.chars().take(200).collect();
            printable(&text).into_owned()
        };
        let element = |name: &str| {
            let (_, rest) = body.split_once(&format!("<{name}>"))?;
            rest.split_once(&format!("</{name}>"))
                .map(|(text, _)| short(text))
        };
        let json = || {
            let body: serde_json::Value = serde_json::from_str(body).ok()?;
            let message = body
                .get("message")
                .or_else(|| body.get("error")?.get("message"))?;
            message.as_str().map(short)
        };
        // Of Google's JSON surface.
        let reason = || {
            let body: serde_json::Value = serde_json::from_str(body).ok()?;
            let first = body.get("error")?.get("errors")?.get(0)?;
            first.get("reason")?.as_str().map(short)
        };
        match element("Code") {
            Some(code) => Refusal {
                code: Some(code),
                message: element("Message"),
            },
            None => Refusal {
                code: reason(),
                message: json(),
            },
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => write!(f, ", saying {:?}", format!("{code}: {message}")),
            (Some(words), None) | (None, Some(words)) => write!(f, ", saying {words:?}"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;

    #[test]
    fn refusals_are_quoted_from_machines_only() {
        let xml = "<?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code><Message>Access denied.</Message>";
        for (body, code, message) in [
            (xml, Some("SignatureDoesNotMatch"), Some("Access denied.")),
            (
                "<Error><Code>AccessDenied</Code>",
                Some("AccessDenied"),
                None,
            ),
            (
                r#"{"code":404,"message":"NotFound"}"#,
                None,
                Some("NotFound"),
            ),
            (
                r#"{"error":{"code":429,"message":"Too many"}}"#,
                None,
                Some("Too many"),
            ),
            ("<html><title>Oops</title>", None, None),
            ("", None, None),
        ] {
            let read = Refusal::parse(body.as_bytes());
            assert_eq!(
                (read.code.as_deref(), read.message.as_deref()),
                (code, message),
                "{body}"
            );
        }
    }
}
