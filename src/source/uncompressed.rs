//! TensorFlow Hub's hosting protocol, uncompressed form: a GET of the handle with `tf-hub-format=uncompressed` answers
//! 303, and its body is the `gs://` folder with the model's files. There is no `Location`, or one that is no http
//! (uncompressed_module_resolver.py); one that is, leads on.

use reqwest::header::LOCATION;

use super::Error;
use super::hosting::is_start_page;
use crate::fetch::{self, Ask, Client, Document, MAX_HOPS, redacted};
use crate::handle::Handle;

const UNCOMPRESSED: &str = "tf-hub-format=uncompressed";

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

const ADVICE: &str = "this host does not offer the uncompressed form; use --load-format auto";

/// A folder is named in some hundred bytes.
const MAX_BODY: usize = 4096;

/// The way to a model's folder.
#[derive(Debug)]
pub(super) struct Walk {
    /// The exact URLs that redirects led to, before any mirror.
    pub hops: Vec<String>,
    /// Where it ended: `gs://bucket/...`, without a trailing slash.
    pub end: Result<String, Error>,
}

/// Asks for the folder of `handle`: one request per redirect hop.
pub(super) async fn walk(client: &Client, handle: &Handle) -> Walk {
    let mut hops = Vec::new();
    let start = format!("{}?{UNCOMPRESSED}", handle.url());
    let end = loop {
        let here = hops.last().unwrap_or(&start);
        match step(client, handle, here).await {
            Ok(Step::Folder(folder)) => break Ok(folder),
            Ok(Step::Redirect(next)) => match may_follow(&start, &hops, &next) {
                Ok(()) => hops.push(next),
                Err(why) => break Err(Error::explain(handle, &why)),
            },
            Err(error) => break Err(error),
        }
    };
    Walk { hops, end }
}

enum Step {
    Folder(String),
    Redirect(String),
}

async fn step(client: &Client, handle: &Handle, here: &str) -> Result<Step, Error> {
    let asked = client.mirrored(here);
    let document = ask(client, handle, &asked).await?;
    if let Some(folder) = named(&document) {
        return Ok(Step::Folder(folder));
    }
    let location = document.headers.get(LOCATION);
    if document.status == 303 && location.is_none() {
        return Err(Error::Failed {
            model: handle.url(),
            why: format!(
                "{} answered 303 and names no gs:// folder",
                redacted(&asked)
            ),
            advice: ADVICE.to_owned(),
        });
    }
    let next = Client::redirected(&asked, location);
    next.map(Step::Redirect)
        .map_err(|why| Error::explain(handle, &why))
}

async fn ask(client: &Client, handle: &Handle, url: &str) -> Result<Document, Error> {
    let ask = Ask {
        max: MAX_BODY,
        accept: &REDIRECTS,
        ..Ask::default()
    };
    client.document(url, ask).await.map_err(|why| {
        let transient = |status| matches!(status, 407 | 408 | 429 | 500..);
        match why.status() {
            Some(200) if is_start_page(url) => Error::page(handle, &redacted(url)),
            // 404 stays what it is: nobody knows whether the model is, in another form.
            Some(status) if !transient(status) => {
                Error::of_request(handle.url(), &why, ADVICE.to_owned())
            }
            _ => Error::explain(handle, &why),
        }
    })
}

fn may_follow(start: &str, hops: &[String], next: &String) -> Result<(), fetch::Error> {
    let (url, last) = (redacted(start), redacted(next));
    if hops.len() == MAX_HOPS {
        return Err(fetch::Error::TooManyRedirects { url, last });
    }
    if next == start || hops.contains(next) {
        return Err(fetch::Error::Loop { url, again: last });
    }
    Ok(())
}

/// The folder that an answer names.
fn named(document: &Document) -> Option<String> {
    if document.status != 303 {
        return None;
    }
    let location = document.headers.get(LOCATION);
    let location = location.and_then(|location| location.to_str().ok());
    if location.is_some_and(|location| !location.trim().starts_with("gs://")) {
        return None;
    }
    let body = std::str::from_utf8(&document.body).ok();
    [body, location].into_iter().flatten().find_map(folder_of)
}

fn folder_of(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let (bucket, path) = text.strip_prefix("gs://")?.split_once('/')?;
    let fits = !bucket.is_empty()
        && !path.is_empty()
        && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_place_in_a_bucket() {
        for (text, folder) in [
            ("gs://b/m/1", Some("gs://b/m/1")),
            (" gs://b/m/1/\n", Some("gs://b/m/1")),
            ("gs://b", None),
            ("gs://b/", None),
            ("gs:///m", None),
            ("gs://b/m\n1", None),
            ("gs://b/m 1", None),
            ("s3://b/m", None),
            ("https://h/m", None),
            ("", None),
        ] {
            assert_eq!(folder_of(text).as_deref(), folder, "{text:?}");
        }
    }
}
