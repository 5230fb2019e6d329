//! A question to the Models API, whichever form it came in.

use serde_json::Value;

use crate::origin::wire::Request;

/// Which form a question came in; answers and errors differ in small things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Rest,
    Rpc,
}

/// Owner, model, framework, variation; as much of it as was said, the rest empty.
pub type Slugs = [String; 4];

#[derive(Debug)]
pub enum Ask {
    Models {
        owner: String,
    },
    Model(Slugs),
    Variations(Slugs),
    Variation(Slugs),
    Versions(Slugs),
    /// Version 0 is the newest.
    Files {
        of: Slugs,
        version: u64,
    },
    /// An empty path is the archive.
    Download {
        of: Slugs,
        version: u64,
        path: String,
    },
}

#[derive(Debug)]
pub struct Call {
    pub ask: Ask,
    pub form: Form,
    /// How many entries a page may have, and with which it begins.
    pub page: (usize, usize),
}

impl Call {
    /// `None` if this is no call of the API; an error if it is one that does not exist.
    pub fn read(request: &Request) -> Option<Result<Call, Form>> {
        let path = request.path();
        let rpc = path
            .strip_prefix("/api/v1/models.ModelApiService/")
            .or_else(|| path.strip_prefix("/v1/models.ModelApiService/"));
        if let Some(method) = rpc {
            return Some(rpc_call(method, request).ok_or(Form::Rpc));
        }
        path.starts_with("/api/")
            .then(|| rest_call(request).ok_or(Form::Rest))
    }
}

fn rest_call(request: &Request) -> Option<Call> {
    let parts = request.parts();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let ["api", "v1", "models", rest @ ..] = parts.as_slice() else {
        return None;
    };
    let ask = match rest {
        ["list"] => Ask::Models {
            owner: request.asked("owner").unwrap_or_default(),
        },
        [o, m, "get"] => Ask::Model(slugs([o, m, "", ""])),
        [o, m, "list"] => Ask::Variations(slugs([o, m, "", ""])),
        [o, m, f, v, "get"] => Ask::Variation(slugs([o, m, f, v])),
        [o, m, f, v, "list"] => Ask::Versions(slugs([o, m, f, v])),
        [o, m, f, v, "files"] => Ask::Files {
            of: slugs([o, m, f, v]),
            version: 0,
        },
        [o, m, f, v, n, "files"] => Ask::Files {
            of: slugs([o, m, f, v]),
            version: n.parse().ok()?,
        },
        [o, m, f, v, n, "download", path @ ..] => Ask::Download {
            of: slugs([o, m, f, v]),
            version: n.parse().ok()?,
            path: path.join("/"),
        },
        _ => return None,
    };
    let size = request.asked("pageSize");
    let page = page(
        size.and_then(|size| size.parse().ok()),
        request.asked("pageToken"),
    );
    (request.method == "GET").then_some(Call {
        ask,
        form: Form::Rest,
        page,
    })
}

fn rpc_call(method: &str, request: &Request) -> Option<Call> {
    let body: Value = serde_json::from_slice(&request.body).ok()?;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let framework = framework(&text("framework"));
    let of = [
        text("ownerSlug"),
        text("modelSlug"),
        framework,
        text("instanceSlug"),
    ];
    let version = body["versionNumber"].as_u64().unwrap_or_default();
    let ask = match method {
        "ListModels" => Ask::Models {
            owner: text("owner"),
        },
        "GetModel" => Ask::Model(of),
        "ListModelInstances" => Ask::Variations(of),
        "GetModelInstance" => Ask::Variation(of),
        "ListModelInstanceVersions" => Ask::Versions(of),
        "ListModelInstanceVersionFiles" => Ask::Files { of, version },
        "DownloadModelInstanceVersion" => Ask::Download {
            of,
            version,
            path: text("path"),
        },
        _ => return None,
    };
    let page = page(
        body["pageSize"].as_u64(),
        body["pageToken"].as_str().map(str::to_owned),
    );
    (request.method == "POST").then_some(Call {
        ask,
        form: Form::Rpc,
        page,
    })
}

fn slugs(of: [&str; 4]) -> Slugs {
    of.map(str::to_owned)
}

/// Twenty entries unless told otherwise; the token is the number of the first.
fn page(size: Option<u64>, token: Option<String>) -> (usize, usize) {
    let first = token.and_then(|token| token.strip_prefix("page-")?.parse().ok());
    (
        size.unwrap_or(20).clamp(1, 1000) as usize,
        first.unwrap_or(0),
    )
}

/// `MODEL_FRAMEWORK_TENSOR_FLOW_2` as it is in paths.
fn framework(name: &str) -> String {
    name.trim_start_matches("MODEL_FRAMEWORK_")
        .replace('_', "")
        .to_ascii_lowercase()
}

/// `tensorFlow2` as the RPC form says it.
pub fn enumerated(framework: &str) -> String {
    let mut name = "MODEL_FRAMEWORK_".to_owned();
    for letter in framework.chars() {
        if letter.is_ascii_uppercase() || letter.is_ascii_digit() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
