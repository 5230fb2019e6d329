//! Kaggle: pages that redirect to signed archives, and the Models API in both of its forms.
//!
//! The REST form (`GET /api/v1/models/...`) and the RPC form (`POST /v1/models.ModelApiService/...`, which kagglehub
//! sends) ask the same questions, so both are read into a [`Call`] and answered once.

mod answers;
mod call;
mod catalogue;

pub use catalogue::{Catalogue, Version, page_name, short};

use std::sync::Arc;

use call::{Ask, Call, Form};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::object::Object;
use super::script::{Fault, Hop, Wording};
use super::signed::Spelling;
use super::wire::{Reply, Request};
use super::{Form as Kind, Found, State, hosts, signed};

/// Answers a request of Kaggle's host.
pub fn answer(state: &State, request: &Request) -> Found {
    match Call::read(request) {
        Some(Ok(call)) => api(state, request, &call),
        Some(Err(form)) => (error(form.wording(), 404, "NotFound"), None),
        None => page(state, request),
    }
}

fn api(state: &State, request: &Request, call: &Call) -> Found {
    let version = state.versions.lock().unwrap().find(&call.ask);
    let about = version.as_ref().map(|version| Arc::clone(&version.api));
    let script = about.as_ref().map(|api| &api.script);
    let wording = script
        .and_then(|script| {
            script.find(|fault| match fault {
                Fault::Wording(wording) => Some(*wording),
                _ => None,
            })
        })
        .unwrap_or(call.form.wording());
    let wanted = state.credential.lock().unwrap().clone();
    if wanted.is_some() && request.header("authorization") != wanted.as_deref() {
        return (error(wording, 401, "Unauthorized"), about);
    }
    if let Some(api) = &about
        && let Some((code, retry_after)) = hosts::status(&api.script, Hop::Kaggle)
    {
        return (
            hosts::late(error(wording, code, "scripted"), retry_after),
            about,
        );
    }
    let files = matches!(call.ask, Ask::Files { .. } | Ask::Download { .. });
    let consent = script.is_some_and(|script| script.has(|fault| matches!(fault, Fault::Consent)));
    if files && consent {
        let text = "User has not consented to terms of use.";
        return (error(wording, 403, text), about);
    }
    let reply = match (&call.ask, &version) {
        (Ask::Download { path, .. }, Some(version)) => {
            let spelling = match call.form {
                Form::Rest => Spelling::Odd,
                Form::Rpc => Spelling::Usual,
            };
            download(state, request, version, path, spelling)
        }
        _ => answers::document(&state.versions.lock().unwrap(), call),
    };
    (
        reply.unwrap_or_else(|| error(wording, 404, "NotFound")),
        about,
    )
}

/// 302 to a signed URL of the archive, or of one file.
fn download(
    state: &State,
    request: &Request,
    version: &Version,
    path: &str,
    spelling: Spelling,
) -> Option<Reply> {
    if version.api.script.has(|fault| matches!(fault, Fault::Loop)) {
        let here = format!("{}{}", state.url(Hop::Kaggle), request.target);
        return Some(Reply::redirect(302, &here));
    }
    let to = match path {
        "" => bundle(
            state,
            &version.archive,
            Kind::SavedModel,
            version.id,
            spelling,
        ),
        path => {
            let file = version.file(path)?;
            let (id, number) = (version.id, version.id + 133);
            let path = format!("/kagglesdsdata/models/{id}/{number}/{}", encoded(path));
            signed::sign(state, &path, &file, spelling)
        }
    };
    Some(redirect(&to))
}

/// The signed URL of all that a version has.
fn bundle(state: &State, object: &Arc<Object>, form: Kind, id: u64, spelling: Spelling) -> String {
    let number = id + 133;
    let path = match form {
        Kind::TfLite => format!("/kagglesdsdata/models/{id}/{number}/1.tflite"),
        _ => format!("/kaggle-models-data/{id}/{number}/bundle/archive.tar.gz"),
    };
    signed::sign(state, &path, object, spelling)
}

/// A cookie comes along that no other host may see.
fn redirect(to: &str) -> Reply {
    Reply::redirect(302, to).header("Set-Cookie", "ka_sessionid=0123456789; path=/")
}

/// A path as Google writes it in a URL: what needs no percent sign has none.
fn encoded(path: &str) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    utf8_percent_encode(path, RESERVED).to_string()
}

/// The page of one model, which is a redirect for who asks for the form that it has.
fn page(state: &State, request: &Request) -> Found {
    let path = request.path().trim_matches('/');
    let plain = path.strip_suffix("/download");
    let name = short(plain.unwrap_or(path));
    let Some((object, form, id)) = on_page(state, &name) else {
        let reply = match path {
            "models" => Reply::html(200, "all models"),
            _ => error(Wording::Flat, 404, "NotFound"),
        };
        return (reply, None);
    };
    let reply = hosts::scripted(state, &object, Hop::Kaggle).unwrap_or_else(|| {
        if object.script.has(|fault| matches!(fault, Fault::Html)) {
            Reply::html(200, "sign in")
        } else if plain.is_none() && !form.is_asked(request) {
            Reply::html(200, "the page of one model")
        } else {
            redirect(&bundle(state, &object, form, id, Spelling::Odd))
        }
    });
    (reply, Some(object))
}

/// What has its page at this path: something of the hub's, or something that was born here.
fn on_page(state: &State, path: &str) -> Option<(Arc<Object>, Kind, u64)> {
    let published = state.published.lock().unwrap();
    let mut all = published.values();
    if let Some(known) = all.find(|published| published.page().eq_ignore_ascii_case(path)) {
        return Some((Arc::clone(&known.object), known.form, known.id));
    }
    let parts: Vec<&str> = path.split('/').collect();
    let ["models", owner, model, framework, variation, number] = parts.as_slice() else {
        return None;
    };
    let of = [owner, model, framework, variation].map(|slug| (*slug).to_owned());
    let versions = state.versions.lock().unwrap();
    let version = versions.version(&of, number.parse().ok()?)?;
    Some((Arc::clone(&version.archive), Kind::SavedModel, version.id))
}

/// An error in one of Kaggle's shapes.
pub fn error(wording: Wording, code: u16, text: &str) -> Reply {
    match wording {
        Wording::Flat => Reply::json(code, &json!({"code": code, "message": text})),
        Wording::Inside200 => Reply::json(200, &json!({"code": code, "message": text})),
        Wording::Gateway => {
            let status = match code {
                401 => "UNAUTHENTICATED",
                403 => "PERMISSION_DENIED",
                404 => "NOT_FOUND",
                429 => "RESOURCE_EXHAUSTED",
                _ => "UNKNOWN",
            };
            let told = json!({"code": code, "message": text, "status": status});
            Reply::json(code, &json!({"error": told}))
        }
    }
}

impl Form {
    fn wording(self) -> Wording {
        match self {
            Form::Rest => Wording::Flat,
            Form::Rpc => Wording::Gateway,
        }
    }
}
