//! What each host answers when nothing goes wrong on the wire, and the faults that are answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::object;
use super::script::{Fault, Hop};
use super::signed;
use super::wire::{Reply, Request};
use super::{Model, Route, State, Unknown};

/// The reply to a request, and the model that it was about.
pub fn answer(state: &State, hop: Hop, request: &Request) -> (Reply, Option<Arc<Model>>) {
    if request.method == "CONNECT" {
        return (Reply::new(502, "this proxy reaches nobody"), None);
    }
    let model = find(state, hop, request);
    let scripted = model.as_ref().and_then(|model| scripted(state, model, hop));
    let reply = match (scripted, &model, hop) {
        (Some(reply), ..) => reply,
        (None, Some(model), Hop::Hub) => hub(state, model, request),
        (None, Some(model), Hop::Kaggle) => kaggle(state, model, request),
        (None, Some(model), Hop::Gcs) => gcs(state, model, request),
        (None, None, Hop::Hub) => hub_unknown(state, request),
        (None, None, Hop::Kaggle) => kaggle_unknown(request),
        (None, None, Hop::Gcs) => Reply::xml(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match.",
        ),
    };
    (reply, model)
}

fn find(state: &State, hop: Hop, request: &Request) -> Option<Arc<Model>> {
    let path = request.path().trim_matches('/');
    let models = state.models.lock().unwrap();
    match hop {
        Hop::Hub => models.get(path).cloned(),
        Hop::Kaggle => models
            .values()
            .find(|model| kaggle_name(&model.name) == short(path))
            .cloned(),
        Hop::Gcs => match path
            .strip_prefix("tfhub-modules/")
            .and_then(|rest| rest.strip_suffix(".tar.gz"))
        {
            Some(name) => models.get(name).cloned(),
            // By path alone, so that a wrong signature is still counted for its model.
            None => models
                .values()
                .find(|model| path.starts_with(&format!("kaggle-models-data/{}/", model.id)))
                .cloned(),
        },
    }
}

/// Where Kaggle keeps what the hub calls `google/a/b/1`: `models/google/a-b/tensorFlow2/a-b/1`.
pub fn kaggle_name(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        [owner, middle @ .., version] => {
            let slug = middle.join("-").to_ascii_lowercase();
            format!("models/{owner}/{slug}/tensorFlow2/{slug}/{version}")
        }
        _ => String::new(),
    }
}

/// The short form of a Kaggle path: the long one says `frameworks/`, `variations/` and `versions/` in between.
fn short(path: &str) -> String {
    let words = path
        .split('/')
        .filter(|part| !matches!(*part, "frameworks" | "variations" | "versions"));
    words.collect::<Vec<_>>().join("/")
}

/// Faults that are answers of their own.
fn scripted(state: &State, model: &Arc<Model>, hop: Hop) -> Option<Reply> {
    let status = model.script.strike(|fault| match fault {
        Fault::Status {
            hop: at,
            code,
            retry_after,
            times,
        } if *at == hop => Some((times, (*code, *retry_after))),
        _ => None,
    });
    if let Some((code, retry_after)) = status {
        let reply = Reply::new(
            code,
            format!("{{\"code\":{code},\"message\":\"scripted\"}}"),
        );
        let reply = reply.header("Content-Type", "application/json");
        return Some(match retry_after {
            Some(seconds) => reply.header("Retry-After", seconds),
            None => reply,
        });
    }
    if model.script.has(|fault| matches!(fault, Fault::Loop)) && hop != Hop::Gcs {
        let back = format!(
            "{}/{}?tf-hub-format=compressed",
            state.url(Hop::Hub),
            model.name
        );
        return Some(Reply::redirect(302, &back));
    }
    let page = model.script.has(|fault| matches!(fault, Fault::Html));
    (page && (hop == Hop::Kaggle || model.route == Route::Direct))
        .then(|| Reply::html(200, "sign in"))
}

fn wants_archive(request: &Request) -> bool {
    request
        .query()
        .split('&')
        .any(|pair| pair == "tf-hub-format=compressed")
}

fn hub(state: &State, model: &Arc<Model>, request: &Request) -> Reply {
    match model.route {
        Route::Direct => object::reply(model, request),
        Route::Kaggle => {
            let page = format!("{}/{}", state.url(Hop::Kaggle), kaggle_name(&model.name));
            let first = if request.query().is_empty() {
                String::new()
            } else {
                format!("{}&", request.query())
            };
            Reply::redirect(302, &format!("{page}?{first}tfhub-redirect=true"))
        }
    }
}

fn hub_unknown(state: &State, request: &Request) -> Reply {
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

fn kaggle(state: &State, model: &Arc<Model>, request: &Request) -> Reply {
    if !wants_archive(request) {
        return Reply::html(200, "the page of one model");
    }
    let (target, secret) = signed::target(model.id, state.serial.fetch_add(1, Ordering::SeqCst));
    state.secrets.lock().unwrap().push(secret);
    state.signed.lock().unwrap().insert(target.clone(), false);
    let to = format!("{}{target}", state.url(Hop::Gcs));
    Reply::redirect(302, &to).header("Set-Cookie", "ka_sessionid=0123456789; path=/")
}

fn kaggle_unknown(request: &Request) -> Reply {
    match request.path() {
        "/models" | "/models/" => Reply::html(200, "all models"),
        _ => Reply::new(404, "{\"code\":404,\"message\":\"NotFound\"}")
            .header("Content-Type", "application/json"),
    }
}

fn gcs(state: &State, model: &Arc<Model>, request: &Request) -> Reply {
    if request.path().starts_with("/tfhub-modules/") {
        return object::reply(model, request);
    }
    let unsigned = |name: &str| {
        name.starts_with("x-goog-")
            || matches!(
                name,
                "authorization" | "cookie" | "content-type" | "content-md5"
            )
    };
    let foreign = request.headers.iter().any(|(name, _)| unsigned(name));
    let mut signed = state.signed.lock().unwrap();
    let Some(expired) = signed.get_mut(&request.target) else {
        return Reply::xml(403, "SignatureDoesNotMatch", "Access denied.");
    };
    if request.header("range") != Some("bytes=0-0") && !*expired {
        *expired = model
            .script
            .strike(|fault| match fault {
                Fault::Expired { times } => Some((times, ())),
                _ => None,
            })
            .is_some();
    }
    match (*expired, foreign) {
        (true, _) => Reply::xml(400, "ExpiredToken", "The provided token has expired."),
        (false, false) => object::reply(model, request),
        (false, true) => Reply::xml(403, "SignatureDoesNotMatch", "Access denied."),
    }
}
