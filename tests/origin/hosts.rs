//! What each host answers when nothing goes wrong on the wire, and the faults that are answers.

use std::sync::Arc;

use serde_json::json;

use super::object::{self, Object, Surface};
use super::script::{Fault, Hop};
use super::wire::{Reply, Request};
use super::{Found, Published, Route, State, Uncompressed, Unknown, bucket, kaggle, signed};

/// The reply to a request, and the object whose faults it may have.
pub fn answer(state: &State, hop: Hop, request: &Request) -> Found {
    if request.method == "CONNECT" {
        return (Reply::new(502, "this proxy reaches nobody"), None);
    }
    let (reply, object) = match hop {
        Hop::Hub => hub(state, request),
        Hop::Kaggle => return kaggle::answer(state, request),
        Hop::Gcs => gcs(state, request),
    };
    let scripted = object
        .as_ref()
        .and_then(|object| scripted(state, object, hop));
    (scripted.unwrap_or(reply), object)
}

/// The status that a fault gives instead of an answer, and its `Retry-After`.
pub fn status(script: &super::script::Script, hop: Hop) -> Option<(u16, Option<u32>)> {
    script.strike(|fault| match fault {
        Fault::Status {
            hop: at,
            code,
            retry_after,
            times,
        } if *at == hop => Some((times, (*code, *retry_after))),
        _ => None,
    })
}

/// With `Retry-After`, if there is one.
pub fn late(reply: Reply, retry_after: Option<u32>) -> Reply {
    match retry_after {
        Some(seconds) => reply.header("Retry-After", seconds),
        None => reply,
    }
}

/// Faults that are answers of their own.
pub fn scripted(state: &State, object: &Object, hop: Hop) -> Option<Reply> {
    if let Some((code, retry_after)) = status(&object.script, hop) {
        let reply = Reply::json(code, &json!({"code": code, "message": "scripted"}));
        return Some(late(reply, retry_after));
    }
    if object.script.has(|fault| matches!(fault, Fault::Loop)) && hop != Hop::Gcs {
        let back = format!(
            "{}/{}?tf-hub-format=compressed",
            state.url(Hop::Hub),
            object.name
        );
        return Some(Reply::redirect(302, &back));
    }
    None
}

fn hub(state: &State, request: &Request) -> Found {
    let name = request.path().trim_matches('/');
    let published = state.published.lock().unwrap().get(name).cloned();
    let asked = request.asked("tf-hub-format");
    if asked.as_deref() == Some("uncompressed")
        && let Some(folder) = state.uncompressed.lock().unwrap().get(name)
    {
        let object = published.map(|published| Arc::clone(&published.object));
        return (uncompressed(folder), object);
    }
    match published {
        Some(published) => {
            let object = Arc::clone(&published.object);
            (known(state, &published, request), Some(object))
        }
        None if bucket::is_asked(state, request) => bucket::answer(state, request),
        None => (unknown(state, request), None),
    }
}

/// 303 with the folder in the body and without `Location`, or what other hosts say instead.
fn uncompressed(answer: &Uncompressed) -> Reply {
    match answer {
        Uncompressed::Folder(body) => Reply::new(303, body.clone()),
        Uncompressed::Location(to) => Reply::redirect(303, to),
        Uncompressed::Status(200) => Reply::html(200, "the page of one model"),
        Uncompressed::Status(code) => Reply::html(*code, "not in this form"),
    }
}

fn known(state: &State, published: &Published, request: &Request) -> Reply {
    let object = &published.object;
    match published.route {
        Route::Direct if object.script.has(|fault| matches!(fault, Fault::Html)) => {
            Reply::html(200, "sign in")
        }
        Route::Direct => {
            object.change(request);
            object::reply(object, request, Surface::Xml)
        }
        Route::Kaggle => {
            let page = format!("{}/{}", state.url(Hop::Kaggle), published.page());
            let first = if request.query().is_empty() {
                String::new()
            } else {
                format!("{}&", request.query())
            };
            Reply::redirect(302, &format!("{page}?{first}tfhub-redirect=true"))
        }
    }
}

fn unknown(state: &State, request: &Request) -> Reply {
    let name = request.path().trim_matches('/');
    if let Some(target) = state.newest.lock().unwrap().get(name) {
        let target = if target.contains("://") {
            target.clone()
        } else {
            format!("/{target}")
        };
        return Reply::redirect(302, &format!("{target}?{}", request.query()));
    }
    match *state.unknown.lock().unwrap() {
        Unknown::Catalogue => Reply::redirect(
            302,
            &format!("{}/models?tfhub-redirect=true", state.url(Hop::Kaggle)),
        ),
        Unknown::NotFound => Reply::html(404, "no such model"),
    }
}

fn gcs(state: &State, request: &Request) -> Found {
    let path = request.path();
    if path.starts_with("/kaggle-models-data/") || path.starts_with("/kagglesdsdata/") {
        return signed::answer(state, request);
    }
    if path.starts_with("/computeMetadata/") {
        return (metadata(request), None);
    }
    let mirrored = path
        .strip_prefix("/tfhub-modules/")
        .and_then(|rest| rest.strip_suffix(".tar.gz"));
    let published = state.published.lock().unwrap();
    match mirrored.and_then(|name| published.get(name)) {
        Some(published) => {
            let object = Arc::clone(&published.object);
            let reply = object::reply(&object, request, Surface::Xml);
            (reply, Some(object))
        }
        None => {
            drop(published);
            bucket::answer(state, request)
        }
    }
}

/// The metadata server of a machine in Google's cloud, which gives tokens to whoever asks in its way.
fn metadata(request: &Request) -> Reply {
    match request.header("metadata-flavor") {
        Some("Google") => Reply::json(
            200,
            &json!({"access_token": bucket::TOKEN, "expires_in": 3599, "token_type": "Bearer"}),
        )
        .header("Metadata-Flavor", "Google"),
        _ => Reply::new(403, "Missing Metadata-Flavor:Google header."),
    }
}
