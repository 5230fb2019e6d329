//! Pages for people: what is here and the lines to use it. Self-contained (no
//! script, no font, no request to anyone), and every text that was not written
//! here is escaped.

mod html;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};

use super::Error;
use super::bucket::encoded;
use super::catalogue::{Form, Listing};
use super::confine::Root;
use super::origin::Origin;
use super::survey::survey;
use html::{code, crumbs, escape, plural, shell, size};

/// What the page of a version says about its bytes.
pub enum Content {
    /// The files of a directory, by name, with their sizes.
    Files(Vec<(String, u64)>),
    /// A ready-made archive.
    Archive(String, u64),
}

impl Content {
    /// Looks at the disk, off the async threads.
    ///
    /// # Errors
    /// What cannot be read or must not be offered.
    pub async fn of(root: &Arc<Root>, form: &Form) -> Result<Content, Error> {
        let (root, form) = (Arc::clone(root), form.clone());
        let look = move || match form {
            Form::Tree(dir) => {
                let survey = survey(&root, &dir)?;
                let files = survey.files().into_iter();
                Ok(Content::Files(
                    files
                        .map(|m| (String::from_utf8_lossy(&m.name).into_owned(), m.stamp.len))
                        .collect(),
                ))
            }
            Form::Ready(path, suffix) => {
                let meta = root.metadata(&path).map_err(|e| Error::read(&path, e))?;
                Ok(Content::Archive(suffix.text().to_owned(), meta.len()))
            }
        };
        let lost = |e: tokio::task::JoinError| Error::Lost {
            name: "a page".into(),
            why: e.to_string(),
        };
        tokio::task::spawn_blocking(look).await.map_err(lost)?
    }
}

/// The page of one version.
pub fn version(
    origin: &Origin,
    listing: &Listing,
    model: &str,
    number: u64,
    content: &Content,
) -> String {
    let handle = format!("{model}/{number}");
    let mut body = crumbs(&handle);
    let name = escape(model);
    let _ = write!(
        body,
        "<h1>{name} <span class=\"tag\">version {number}</span></h1>"
    );
    if let Some(versions) = listing.models.get(model).filter(|v| v.len() > 1) {
        body += &version_links(model, versions, Some(number));
    }
    body += "<h2>Use it</h2>";
    body += &usage(origin, &handle);
    match content {
        Content::Files(files) => {
            let total = files.iter().map(|(_, len)| len).sum();
            let _ = write!(
                body,
                "<h2>Files <small>{}, {}</small></h2><table class=\"files\">",
                plural(files.len(), "file"),
                size(total)
            );
            for (name, len) in files {
                let link = object_link(&origin.bucket, &format!("{handle}/{name}"));
                let (dir, file) = name
                    .rsplit_once('/')
                    .map_or(("", name.as_str()), |(dir, file)| (dir, file));
                let dir = if dir.is_empty() {
                    String::new()
                } else {
                    format!("<i>{}/</i>", escape(dir))
                };
                let _ = write!(
                    body,
                    "<tr><td><a href=\"{link}\">{dir}{}</a></td><td>{}</td></tr>",
                    escape(file),
                    size(*len)
                );
            }
            body += "</table>";
        }
        Content::Archive(suffix, len) => {
            let file = escape(&format!("{}{suffix}", handle.replace('/', "-")));
            let _ = write!(
                body,
                "<h2>Archive</h2><table class=\"files\"><tr><td>{file}</td><td>{}</td></tr></table>",
                size(*len)
            );
        }
    }
    let link = escape(&format!("/{handle}?tf-hub-format=compressed"));
    let _ = write!(
        body,
        "<p><a class=\"button\" href=\"{link}\">Download the archive</a></p>"
    );
    shell(&handle, &body)
}

/// The page of a model without a version.
pub fn model(
    origin: &Origin,
    listing: &Listing,
    model: &str,
    versions: &BTreeMap<u64, Form>,
) -> String {
    let mut body = crumbs(model);
    let _ = write!(body, "<h1>{}</h1>", escape(model));
    body += &version_links(model, versions, None);
    if let Some(newest) = versions.keys().next_back() {
        body += "<h2>Use the newest</h2>";
        body += &usage(origin, &format!("{model}/{newest}"));
    }
    if listing.below(model).next().is_some() {
        let _ = write!(
            body,
            "<h2>Models below this name</h2>{}",
            table(listing, model)
        );
    }
    shell(model, &body)
}

/// The page of everything below a name: a publisher, or the empty name for all.
pub fn shelf(origin: &Origin, listing: &Listing, name: &str) -> String {
    let count = listing.below(name).count();
    let mut body = crumbs(name);
    let title = if name.is_empty() { "Models" } else { name };
    let _ = write!(
        body,
        "<h1>{} <small>{}</small></h1>",
        escape(title),
        plural(count, "model")
    );
    if count == 0 {
        body += "<p>No model is here yet. Copy a SavedModel to <code>&lt;publisher&gt;/&lt;model&gt;/&lt;version&gt;/</code> \
                 in the served directory, or an archive to <code>&lt;publisher&gt;/&lt;model&gt;/&lt;version&gt;.tar.gz</code>, \
                 and look again.</p>";
    } else {
        body += &table(listing, name);
        body += "<h2>Mount them all</h2>";
        let url = &origin.url;
        body += &code(
            "shell",
            &format!("tfhub-fs mount --hub-url {url} /mnt/tfhub"),
        );
        body += &code(
            &format!(
                "or read only the bytes that are touched, from the bucket gs://{} on this server",
                origin.bucket
            ),
            &format!(
                "tfhub-fs mount --hub-url {url} --load-format uncompressed --gcs-endpoint {url} /mnt/tfhub"
            ),
        );
    }
    shell(if name.is_empty() { "Models" } else { name }, &body)
}

/// The path of an object, each component escaped: a quote or an angle bracket cannot be in it.
fn object_link(bucket: &str, name: &str) -> String {
    let steps: Vec<_> = name.split('/').map(encoded).collect();
    format!("/{bucket}/{}", steps.join("/"))
}

/// An HTML answer whose content may load nothing.
pub fn response(html: String) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, html).into_response()
}

fn usage(origin: &Origin, handle: &str) -> String {
    let url = &origin.url;
    let python = format!("import tensorflow_hub as hub\n\nmodel = hub.load(\"{url}/{handle}\")");
    let mount = format!("tfhub-fs mount --hub-url {url} /mnt/tfhub");
    let path =
        format!("import tensorflow as tf\n\nmodel = tf.saved_model.load(\"/mnt/tfhub/{handle}\")");
    [
        code("Python, with tensorflow_hub", &python),
        code("Or mount this hub with tfhub-fs, once", &mount),
        code("and open the model as a directory, in any process", &path),
    ]
    .concat()
}

/// The newest first, as a person looks for it.
fn version_links(model: &str, versions: &BTreeMap<u64, Form>, current: Option<u64>) -> String {
    let mut out = String::from("<p class=\"versions\">");
    for number in versions.keys().rev() {
        let here = if current == Some(*number) {
            " class=\"here\""
        } else {
            ""
        };
        let link = escape(&format!("/{model}/{number}"));
        let _ = write!(out, "<a{here} href=\"{link}\">{number}</a> ");
    }
    out + "</p>"
}

fn table(listing: &Listing, name: &str) -> String {
    let mut out = String::from("<table class=\"models\"><tr><th>Model</th><th>Versions</th></tr>");
    for (model, versions) in listing.below(name) {
        let (publisher, rest) = model.split_once('/').unwrap_or(("", model));
        let link = escape(&format!("/{model}"));
        let label = format!("<i>{}/</i>{}", escape(publisher), escape(rest));
        let _ = write!(
            out,
            "<tr><td><a href=\"{link}\">{label}</a></td><td>{}</td></tr>",
            version_links(model, versions, None)
        );
    }
    out + "</table>"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin {
            url: url.into(),
            bucket: "models".into(),
        }
    }

    #[test]
    fn file_names_are_escaped() {
        let content = Content::Files(vec![("assets/<b>&\"'.txt".into(), 1)]);
        let html = version(&origin("http://h"), &Listing::default(), "g/m", 1, &content);
        assert!(html.contains("&lt;b&gt;&amp;&quot;&#39;.txt"), "{html}");
        assert!(!html.contains("<b>&") && !html.contains("/<b>"));
        assert!(
            html.contains("href=\"/models/g/m/1/assets/%3Cb%3E%26%22%27.txt\""),
            "{html}"
        );
    }

    #[test]
    fn a_page_says_how_to_use_the_model() {
        let html = version(
            &origin("http://h:1"),
            &Listing::default(),
            "g/m",
            1,
            &Content::Archive(".tgz".into(), 5),
        );
        assert!(
            html.contains("hub.load(&quot;http://h:1/g/m/1&quot;)"),
            "{html}"
        );
        assert!(html.contains("/mnt/tfhub/g/m/1"));
        assert!(html.contains("g-m-1.tgz"));
    }
}
