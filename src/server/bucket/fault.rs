//! Errors in the words and shapes of Cloud Storage.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use quick_xml::escape::escape;
use serde_json::json;

use super::{Route, xml};
use crate::server::Error;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// JSON, metadata and listings.
    Json,
    /// Bytes on the JSON surface: its errors are plain text.
    Media,
    /// XML.
    Xml,
}

impl Surface {
    /// The one that a route is of.
    pub fn of(route: &Route) -> Surface {
        match route {
            Route::XmlList | Route::XmlObject(_) => Surface::Xml,
            _ => Surface::Json,
        }
    }
}

/// Why there is no other answer.
#[derive(Debug)]
pub enum Fault {
    /// No object of this name, or none of this generation.
    NoObject(String, String),
    /// No bucket of this name.
    NoBucket,
    /// Nothing that is known here.
    NoSuchThing,
    /// A condition of the request does not hold.
    Precondition,
    /// A parameter makes no sense.
    Invalid(String),
    /// Only who may write may do so, and nobody may.
    Denied,
    /// The disk, or the model on it.
    Failed(Error),
}

impl Fault {
    /// Status, the word of the JSON surface, the word of the XML surface, text.
    fn words(&self) -> (StatusCode, &'static str, &'static str, String) {
        match self {
            Fault::NoObject(bucket, name) => (
                StatusCode::NOT_FOUND,
                "notFound",
                "NoSuchKey",
                format!("No such object: {bucket}/{name}"),
            ),
            Fault::NoBucket => (
                StatusCode::NOT_FOUND,
                "notFound",
                "NoSuchBucket",
                "The specified bucket does not exist.".to_owned(),
            ),
            Fault::NoSuchThing => (
                StatusCode::NOT_FOUND,
                "notFound",
                "NotFound",
                "This server has a bucket to read, and nothing else of Cloud Storage.".to_owned(),
            ),
            Fault::Precondition => (
                StatusCode::PRECONDITION_FAILED,
                "conditionNotMet",
                "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold.".to_owned(),
            ),
            Fault::Invalid(why) => (
                StatusCode::BAD_REQUEST,
                "invalid",
                "InvalidArgument",
                why.clone(),
            ),
            Fault::Denied => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "AccessDenied",
                "This bucket is only read; copy models into the served directory.".to_owned(),
            ),
            Fault::Failed(error) => failed(error),
        }
    }

    /// The answer.
    pub fn response(self, surface: Surface) -> Response {
        let (status, reason, code, message) = self.words();
        if let Fault::Failed(error) = &self {
            // The reason goes to the log: it names paths that are no client's business.
            tracing::warn!("an object cannot be sent: {error}");
        }
        let mut response = match surface {
            Surface::Json => {
                let one = json!({"message": message, "domain": "global", "reason": reason});
                let error = json!({"code": status.as_u16(), "message": message, "errors": [one]});
                let headers = [(CONTENT_TYPE, "application/json; charset=UTF-8")];
                (status, headers, json!({ "error": error }).to_string()).into_response()
            }
            Surface::Media => {
                let headers = [(CONTENT_TYPE, "text/html; charset=UTF-8")];
                (status, headers, escape(&message).into_owned()).into_response()
            }
            Surface::Xml => xml::error(status, code, &message),
        };
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn failed(error: &Error) -> (StatusCode, &'static str, &'static str, String) {
    match error {
        Error::Changed { .. } | Error::Incomplete { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "backendError",
            "ServiceUnavailable",
            "The file is just being changed.".to_owned(),
        ),
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "internalError",
            "InternalError",
            "The file cannot be read; the server's log says more.".to_owned(),
        ),
    }
}
