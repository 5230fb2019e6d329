//! Pages for people: what is here and the lines to use it. Self-contained: no script, no font, no request to anyone.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::bucket::encoded;
use super::confine::Root;
use super::index::{Form, Listing};
use super::origin::Origin;
use super::survey::survey;
use super::{Error, blocking};

const STYLE: &str = include_str!("style.css");

/// What the page of a version says about its bytes.
pub enum Content {
    /// The files of a directory, by name, with their sizes.
    Files(Vec<(String, u64)>),
    /// A ready-made archive: its suffix and size.
    Archive(&'static str, u64),
}

impl Content {
    /// Looks at the disk, off the async threads.
    ///
    /// # Errors
    /// What cannot be read or must not be offered.
    pub async fn of(root: &Arc<Root>, form: &Form) -> Result<Content, Error> {
        let (root, form) = (Arc::clone(root), form.clone());
        blocking("a page", move || match form {
            Form::Tree(dir) => {
                let survey = survey(&root, &dir)?;
                let named = |file: &super::survey::Member| {
                    let name = String::from_utf8_lossy(&file.name);
                    (name.into_owned(), file.stamp.len)
                };
                Ok(Content::Files(
                    survey.files().into_iter().map(named).collect(),
                ))
            }
            Form::Ready(path, suffix) => {
                let meta = root.metadata(&path).map_err(|e| Error::read(&path, e))?;
                Ok(Content::Archive(suffix.text(), meta.len()))
            }
        })
        .await
    }
}

/// The page of one version.
pub fn version(
    origin: &Origin,
    listing: &Listing,
    model: &str,
    number: u64,
    content: &Content,
) -> Markup {
    let handle = format!("{model}/{number}");
    let versions = listing.models.get(model).filter(|all| all.len() > 1);
    let body = html! {
        h1 { (model) " " span.tag { "version " (number) } }
        @if let Some(versions) = versions { (version_links(model, versions, Some(number))) }
        h2 { "Use it" }
        (usage(origin, &handle))
        @match content {
            Content::Files(files) => (file_table(&origin.bucket, &handle, files)),
            Content::Archive(suffix, len) => {
                h2 { "Archive" }
                table.files { tr {
                    td { (handle.replace('/', "-")) (suffix) }
                    td { (size(*len)) }
                } }
            }
        }
        p { a.button href={ "/" (handle) "?tf-hub-format=compressed" } { "Download the archive" } }
    };
    shell(&handle, &handle, &body)
}

fn file_table(bucket: &str, handle: &str, files: &[(String, u64)]) -> Markup {
    let total = files.iter().map(|(_, len)| len).sum();
    html! {
        h2 { "Files " small { (plural(files.len(), "file")) ", " (size(total)) } }
        table.files {
            @for (name, len) in files {
                @let (dir, file) = name.split_at(name.rfind('/').map_or(0, |at| at + 1));
                tr {
                    td { a href=(object_link(bucket, &format!("{handle}/{name}"))) {
                        @if !dir.is_empty() { i { (plain(dir)) } }
                        (plain(file))
                    } }
                    td { (size(*len)) }
                }
            }
        }
    }
}

/// The page of a model without a version.
pub fn model(
    origin: &Origin,
    listing: &Listing,
    model: &str,
    versions: &BTreeMap<u64, Form>,
) -> Markup {
    let body = html! {
        h1 { (model) }
        (version_links(model, versions, None))
        @if let Some(newest) = versions.keys().next_back() {
            h2 { "Use the newest" }
            (usage(origin, &format!("{model}/{newest}")))
        }
        @if listing.below(model).next().is_some() {
            h2 { "Models below this name" }
            (table(listing, model))
        }
    };
    shell(model, model, &body)
}

/// The page of everything below a name: a publisher, or the empty name for all.
pub fn shelf(origin: &Origin, listing: &Listing, name: &str) -> Markup {
    let count = listing.below(name).count();
    let title = if name.is_empty() { "Models" } else { name };
    let (url, bucket) = (&origin.url, &origin.bucket);
    let mount = format!("tfhub-fs mount --hub-url {url} /mnt/tfhub");
    let stream = format!(
        "tfhub-fs mount --hub-url {url} --load-format uncompressed --gcs-endpoint {url} /mnt/tfhub"
    );
    let body = html! {
        h1 { (title) " " small { (plural(count, "model")) } }
        @if count == 0 {
            p {
                "No model is here yet. Copy a SavedModel to " code { "<publisher>/<model>/<version>/" }
                " in the served directory, or an archive to " code { "<publisher>/<model>/<version>.tar.gz" }
                ", and reload this page."
            }
        } @else {
            (table(listing, name))
            h2 { "Mount them all" }
            (code("shell", &mount))
            (code(&format!("or read only the bytes that are needed, from the bucket gs://{bucket} on this server"), &stream))
        }
    };
    shell(title, name, &body)
}

/// An HTML answer whose content may load nothing.
pub fn response(page: Markup) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, page.into_string()).into_response()
}

/// A whole page for `name`, with the way from the index to it.
fn shell(title: &str, name: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (crumbs(name)) (body) }
                footer {
                    "Served by tfhub-fs " (env!("CARGO_PKG_VERSION")) " over TensorFlow Hub's hosting protocol."
                }
            }
        }
    }
}

fn crumbs(name: &str) -> Markup {
    let last = name.rfind('/').map_or(0, |at| at + 1);
    html! {
        @if !name.is_empty() {
            nav {
                a href="/" { "models" }
                @for (at, _) in name.match_indices('/') {
                    " / " a href={ "/" (&name[..at]) } { (name[..at].rsplit('/').next().unwrap_or_default()) }
                }
                " / " b { (&name[last..]) }
            }
        }
    }
}

fn usage(origin: &Origin, handle: &str) -> Markup {
    let url = &origin.url;
    let python = format!("import tensorflow_hub as hub\n\nmodel = hub.load(\"{url}/{handle}\")");
    let mount = format!("tfhub-fs mount --hub-url {url} /mnt/tfhub");
    let path =
        format!("import tensorflow as tf\n\nmodel = tf.saved_model.load(\"/mnt/tfhub/{handle}\")");
    html! {
        (code("Python, with tensorflow_hub", &python))
        (code("Or mount this hub with tfhub-fs, once", &mount))
        (code("and open the model as a directory, in any process", &path))
    }
}

/// Lines to copy, under what they are.
fn code(label: &str, lines: &str) -> Markup {
    html! { figure { figcaption { (label) } pre { (lines) } } }
}

/// The newest first.
fn version_links(model: &str, versions: &BTreeMap<u64, Form>, current: Option<u64>) -> Markup {
    html! {
        p.versions {
            @for number in versions.keys().rev() {
                a.here[current == Some(*number)] href={ "/" (model) "/" (number) } { (number) } " "
            }
        }
    }
}

fn table(listing: &Listing, name: &str) -> Markup {
    html! {
        table.models {
            tr { th { "Model" } th { "Versions" } }
            @for (model, versions) in listing.below(name) {
                @let (publisher, rest) = model.split_once('/').unwrap_or(("", model));
                tr {
                    td { a href={ "/" (model) } { i { (publisher) "/" } (rest) } }
                    td { (version_links(model, versions, None)) }
                }
            }
        }
    }
}

/// The path of an object, each component escaped.
fn object_link(bucket: &str, name: &str) -> String {
    let steps: Vec<_> = name.split('/').map(encoded).collect();
    format!("/{bucket}/{}", steps.join("/"))
}

/// Text without control characters and those that turn the direction of writing, which could disguise a name.
fn plain(text: &str) -> String {
    let disguises =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.replace(disguises, "\u{fffd}")
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// In units of 1024, as tensorflow_hub prints sizes.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, 0);
    // 1023.95 would be shown as 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(content: &Content) -> String {
        let origin = Origin {
            url: "http://h:1".into(),
            bucket: "models".into(),
        };
        version(&origin, &Listing::default(), "g/m", 1, content).into_string()
    }

    #[test]
    fn file_names_are_escaped() {
        let name = "assets/<b>&\"'\u{202e}.txt";
        let html = page(&Content::Files(vec![(name.into(), 1)]));
        assert!(
            html.contains("<i>assets/</i>&lt;b&gt;&amp;&quot;'\u{fffd}.txt"),
            "{html}"
        );
        let link = "href=\"/models/g/m/1/assets/%3Cb%3E%26%22%27%E2%80%AE.txt\"";
        assert!(html.contains(link), "{html}");
    }

    #[test]
    fn a_page_says_how_to_use_the_model() {
        let html = page(&Content::Archive(".tgz", 5 << 30));
        for part in [
            "hub.load(&quot;http://h:1/g/m/1&quot;)",
            "/mnt/tfhub/g/m/1",
            "<td>g-m-1.tgz</td><td>5.0 GiB</td>",
            "<a href=\"/g\">g</a> / <a href=\"/g/m\">m</a> / <b>1</b>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[test]
    fn sizes_for_people() {
        for (bytes, text) in [
            (1023, "1023 B"),
            (1_048_575, "1.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
